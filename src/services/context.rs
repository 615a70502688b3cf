//! From a call to a key: which form the arguments or the row fit, and the Redis key of that form.
//!
//! JavaScript values come in through the trait [`Part`], so that the rules can be tested without an engine.

use crate::error::{Code, Error, Result};
use crate::services::table::{Entry, Field, Form, MAX_ARGS, Slot};

/// What a JavaScript value looks like to a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// `null` or `undefined`, by name.
    Missing(&'static str),
    /// A string.
    Text,
    /// A number.
    Number(f64),
    /// `true`, `false` or a bigint: has a text, but is no number for a number slot.
    Scalar,
    /// Anything without a text of its own, by the name of its type.
    Other(&'static str),
}

/// A JavaScript value as an argument or a field of a row.
pub trait Part: Copy {
    /// What it looks like.
    fn shape(&self) -> Shape;
    /// Whether JavaScript holds it for true.
    fn truthy(&self) -> bool;
    /// Appends its text, as `String()` makes it. Only called for shapes that have one.
    fn push_text(&self, out: &mut Vec<u8>) -> Result<()>;
}

/// The verbs of the methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `has<Noun>Id`
    Has,
    /// `get<Noun>Id`
    Get,
    /// `set<Noun>Id`
    Set,
    /// `delete<Noun>Id`
    Delete,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Has => "has",
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }
}

/// Keys that one call asks for: one, or two where three strings fit two forms of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// Index of the (first) form within its noun.
    pub form: usize,
    /// Where the first key ends in the buffer.
    pub first_end: usize,
    /// Where the second key ends, if there is one; it begins at `first_end`.
    pub second_end: Option<usize>,
}

/// `service.method`, for messages.
fn method(entry: Entry, verb: Verb) -> String {
    format!("{}.{}{}Id", entry.service.name, verb.as_str(), entry.noun.name)
}

fn signatures(entry: Entry) -> String {
    entry.noun.forms.iter().map(|form| form.signature()).collect::<Vec<_>>().join(" or ")
}

fn numeric(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|t| t.parse::<f64>().is_ok_and(f64::is_finite))
}

/// What a text slot takes, for messages.
const TEXT: &str = "a string, number, boolean or bigint";
/// What a number slot takes, for messages.
const NUMBER: &str = "a finite number or a numeric string";

/// Appends what a slot makes of a value, or says why it takes none. The error is the end of a sentence.
fn push_slot<P: Part>(field: &Field, part: P, out: &mut Vec<u8>) -> std::result::Result<(), SlotError> {
    let refuse =
        |what: &str, takes: &str| Err(SlotError::Refused(format!("{} is {what}; it must be {takes}", field.name)));
    match (field.slot, part.shape()) {
        (Slot::Mode, _) => {
            out.extend_from_slice(if part.truthy() { b"backtest" } else { b"live" });
            Ok(())
        }
        (Slot::Text, Shape::Text | Shape::Number(_) | Shape::Scalar) => part.push_text(out).map_err(SlotError::Failed),
        (Slot::Text, Shape::Missing(what) | Shape::Other(what)) => refuse(what, TEXT),
        (Slot::Number, Shape::Number(n)) if n.is_finite() => part.push_text(out).map_err(SlotError::Failed),
        (Slot::Number, Shape::Number(n)) => refuse(if n.is_nan() { "NaN" } else { "not finite" }, NUMBER),
        (Slot::Number, Shape::Text) => {
            let start = out.len();
            part.push_text(out).map_err(SlotError::Failed)?;
            if numeric(&out[start..]) { Ok(()) } else { refuse("not a number", NUMBER) }
        }
        (Slot::Number, Shape::Scalar) => refuse("a boolean or bigint", NUMBER),
        (Slot::Number, Shape::Missing(what) | Shape::Other(what)) => refuse(what, NUMBER),
    }
}

enum SlotError {
    /// The slot does not take such a value; the text says which and why.
    Refused(String),
    /// Reading the value failed.
    Failed(Error),
}

/// Appends `prefix:` and the parts of a form's key.
fn push_key<P: Part>(entry: Entry, form: &Form, parts: &[P], out: &mut Vec<u8>) -> std::result::Result<(), SlotError> {
    out.extend_from_slice(entry.service.prefix.as_bytes());
    for &index in form.key {
        out.push(b':');
        push_slot(form.args[index], parts[index], out)?;
    }
    Ok(())
}

/// Appends the full Redis key or keys that a call asks for. The number of arguments chooses the form.
pub fn match_args<P: Part>(entry: Entry, verb: Verb, count: usize, parts: &[P], out: &mut Vec<u8>) -> Result<Matched> {
    let mut matched: Option<Matched> = None;
    for (index, form) in entry.noun.forms.iter().enumerate() {
        if form.args.len() != count {
            continue;
        }
        push_key(entry, form, parts, out).map_err(|error| match error {
            SlotError::Failed(error) => error,
            SlotError::Refused(why) => Error::new(
                Code::InvalidContext,
                format!("{}: {why} (call forms: {})", method(entry, verb), signatures(entry)),
            ),
        })?;
        match &mut matched {
            None => matched = Some(Matched { form: index, first_end: out.len(), second_end: None }),
            Some(matched) => matched.second_end = Some(out.len()),
        }
    }
    matched.ok_or_else(|| {
        let plural = if count == 1 { "argument fits" } else { "arguments fit" };
        Error::new(
            Code::InvalidContext,
            format!("{}: {count} {plural} no call form; it takes {}", method(entry, verb), signatures(entry)),
        )
    })
}

/// A row as a source of fields.
pub trait Row {
    /// What its fields are.
    type Part: Part;
    /// Reads one field. A getter that throws is an error.
    fn read(&mut self, field: &'static Field) -> Result<Self::Part>;
}

/// Fields that were read already: a getter of a row runs once per call, however many forms name the field.
struct Fields<P> {
    read: [Option<(&'static str, P)>; 2 * MAX_ARGS],
}

impl<P: Part> Fields<P> {
    fn get<R: Row<Part = P>>(&mut self, row: &mut R, field: &'static Field) -> Result<P> {
        for slot in &mut self.read {
            match slot {
                Some((name, part)) if *name == field.name => return Ok(*part),
                Some(_) => {}
                None => {
                    let part = row.read(field)?;
                    *slot = Some((field.name, part));
                    return Ok(part);
                }
            }
        }
        row.read(field)
    }
}

/// Appends the full Redis key under which a row is stored: of the first form whose fields are all there (neither null
/// nor undefined; the empty string is a value). Returns the form's index.
pub fn match_row<R: Row>(entry: Entry, row: &mut R, out: &mut Vec<u8>) -> Result<usize> {
    let mut fields = Fields { read: [None; 2 * MAX_ARGS] };
    let mut lacking = Vec::new();
    'forms: for (index, form) in entry.noun.forms.iter().enumerate() {
        let mut parts = [None; MAX_ARGS];
        for (place, field) in form.args.iter().enumerate() {
            let part = fields.get(row, field)?;
            if matches!(part.shape(), Shape::Missing(_)) {
                lacking.push((field.name, form));
                continue 'forms;
            }
            parts[place] = Some(part);
        }
        // Places beyond the form's length are never read; any value fills them.
        let Some(filler) = parts[0] else { continue };
        let parts = parts.map(|part| part.unwrap_or(filler));
        return match push_key(entry, form, &parts, out) {
            Ok(()) => Ok(index),
            Err(SlotError::Failed(error)) => Err(error),
            Err(SlotError::Refused(why)) => {
                Err(Error::new(Code::InvalidRow, format!("{}: in the row, {why}", method(entry, Verb::Set))))
            }
        };
    }
    let lacking: Vec<_> = lacking.iter().map(|(name, form)| format!("{name} for {}", form.signature())).collect();
    Err(Error::new(Code::InvalidRow, format!("{}: the row lacks {}", method(entry, Verb::Set), lacking.join(", and "))))
}

/// The error for a row without a usable id.
#[must_use]
pub fn no_id(entry: Entry, what: &str) -> Error {
    Error::new(
        Code::InvalidRow,
        format!("{}: the row has no id: {what}; it needs a string `id`, or an `_id`", method(entry, Verb::Set)),
    )
}

/// The error for something that is no row at all.
#[must_use]
pub fn no_row(entry: Entry, what: &str) -> Error {
    Error::new(
        Code::InvalidRow,
        format!("{}: the row is {what}; it takes an object with {}", method(entry, Verb::Set), signatures(entry)),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::services::table::entries;

    impl Part for &Value {
        fn shape(&self) -> Shape {
            match self {
                Value::Null => Shape::Missing("null"),
                Value::Bool(_) => Shape::Scalar,
                Value::Number(n) => Shape::Number(n.as_f64().unwrap()),
                Value::String(_) => Shape::Text,
                Value::Array(_) | Value::Object(_) => Shape::Other("an object"),
            }
        }
        fn truthy(&self) -> bool {
            match self {
                Value::Null => false,
                Value::Bool(b) => *b,
                Value::Number(n) => n.as_f64() != Some(0.0),
                Value::String(s) => !s.is_empty(),
                Value::Array(_) | Value::Object(_) => true,
            }
        }
        fn push_text(&self, out: &mut Vec<u8>) -> Result<()> {
            let text = self.as_str().map_or_else(|| self.to_string(), str::to_owned);
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }

    struct JsonRow<'a> {
        row: &'a Value,
        reads: Vec<&'static str>,
    }

    impl<'a> Row for JsonRow<'a> {
        type Part = &'a Value;
        fn read(&mut self, field: &'static Field) -> Result<&'a Value> {
            self.reads.push(field.name);
            Ok(self.row.get(field.name).unwrap_or(&Value::Null))
        }
    }

    fn entry(noun: &str) -> Entry {
        entries().find(|e| e.noun.name == noun).unwrap()
    }

    fn keys(noun: &str, args: &[Value]) -> Result<Vec<String>> {
        let mut out = Vec::new();
        let parts: Vec<_> = args.iter().collect();
        let matched = match_args(entry(noun), Verb::Get, args.len(), &parts, &mut out)?;
        let text = |range: &[u8]| String::from_utf8(range.to_vec()).unwrap();
        let mut keys = vec![text(&out[..matched.first_end])];
        keys.extend(matched.second_end.map(|end| text(&out[matched.first_end..end])));
        Ok(keys)
    }

    fn row_key(noun: &str, row: &Value) -> Result<String> {
        let mut out = Vec::new();
        match_row(entry(noun), &mut JsonRow { row, reads: Vec::new() }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn three_strings_to_a_session_ask_for_both_keys() {
        let args = ["a", "b", "c"].map(Value::from);
        assert_eq!(keys("Session", &args).unwrap(), ["session_cache:b:a:c", "session_cache:c:b:a"]);
    }

    #[test]
    fn the_number_of_arguments_chooses_the_form() {
        let uniform = ["BTC", "s", "x"].map(Value::from);
        assert_eq!(keys("Partial", &uniform).unwrap(), ["partial_cache:x:s:BTC"]);
        let own = ["BTC", "s", "x", "id"].map(Value::from);
        assert_eq!(keys("Partial", &own).unwrap(), ["partial_cache:x:s:BTC:id"]);
        let error = keys("Partial", &[Value::from("BTC")]).unwrap_err();
        assert_eq!(error.code, Code::InvalidContext);
        assert!(error.message.starts_with("partialCacheService.getPartialId: 1 argument fits no call form"));
    }

    #[test]
    fn a_number_slot_keeps_the_text_of_a_numeric_string() {
        let with = |timestamp: Value| keys("Candle", &["B".into(), "1m".into(), "x".into(), timestamp]);
        assert_eq!(with("1767225600000".into()).unwrap(), with(1_767_225_600_000_u64.into()).unwrap());
        for bad in [Value::from("soon"), "".into(), "inf".into(), true.into(), Value::Null] {
            assert_eq!(with(bad.clone()).unwrap_err().code, Code::InvalidContext, "{bad}");
        }
    }

    #[test]
    fn a_row_goes_under_the_first_form_whose_fields_are_all_there() {
        let mut row = serde_json::json!({ "symbol": "B", "strategyName": "s", "exchangeName": "x" });
        assert_eq!(row_key("Recent", &row).unwrap(), "recent_cache:x:s:B");
        row["backtest"] = false.into();
        row["frameName"] = "".into();
        assert_eq!(row_key("Recent", &row).unwrap(), "recent_cache:live:x:s::B");
    }

    #[test]
    fn a_row_without_a_form_says_what_each_lacks() {
        let error = row_key("Partial", &serde_json::json!({ "symbol": "B", "exchangeName": "x" })).unwrap_err();
        assert_eq!(error.code, Code::InvalidRow);
        assert!(error.message.contains("strategyName for (symbol, strategyName, exchangeName)"), "{}", error.message);
    }

    #[test]
    fn each_field_of_a_row_is_read_once() {
        for entry in entries() {
            let mut row = JsonRow { row: &Value::Null, reads: Vec::new() };
            let _ = match_row(entry, &mut row, &mut Vec::new());
            let mut distinct = row.reads.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), row.reads.len(), "{}", entry.service.name);
        }
    }
}
