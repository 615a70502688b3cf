//! From a call to a key: which form the arguments or the row fit, and the Redis key of that form.
//!
//! JavaScript values come in through the trait [`Part`], so that the rules can be tested without an engine.

use crate::error::{Code, Error, Result};
use crate::services::table::{Entry, Field, Form, Slot};

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
fn method(entry: &Entry, verb: Verb) -> String {
    format!("{}.{}{}Id", entry.service.name, verb.as_str(), entry.noun.name)
}

fn signatures(entry: &Entry) -> String {
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
fn push_key<P: Part>(
    entry: &Entry,
    form: &Form,
    part: impl Fn(usize) -> P,
    out: &mut Vec<u8>,
) -> std::result::Result<(), SlotError> {
    out.extend_from_slice(entry.service.prefix.as_bytes());
    for &index in form.key {
        out.push(b':');
        push_slot(form.args[index], part(index), out)?;
    }
    Ok(())
}

/// Appends the full Redis key or keys that a call asks for. The number of arguments chooses the form.
pub fn match_args<P: Part>(entry: &Entry, verb: Verb, count: usize, parts: &[P], out: &mut Vec<u8>) -> Result<Matched> {
    let mut matched: Option<Matched> = None;
    for (index, form) in entry.noun.forms.iter().enumerate() {
        if form.args.len() != count {
            continue;
        }
        push_key(entry, form, |index| parts[index], out).map_err(|error| match error {
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

/// Appends the full Redis key under which a row is stored: of the first form whose fields are all there (neither null
/// nor undefined; the empty string is a value). `fields` are the row's values for [`Entry::fields`], in that order.
/// Returns the form's index.
pub fn match_row<P: Part>(entry: &Entry, fields: &[P], out: &mut Vec<u8>) -> Result<usize> {
    let missing = |&place: &usize| matches!(fields[place].shape(), Shape::Missing(_));
    for (index, (form, places)) in entry.noun.forms.iter().zip(&entry.places).enumerate() {
        if places.iter().any(missing) {
            continue;
        }
        return match push_key(entry, form, |arg| fields[places[arg]], out) {
            Ok(()) => Ok(index),
            Err(SlotError::Failed(error)) => Err(error),
            Err(SlotError::Refused(why)) => {
                let message = format!("{}: in the row, {why} (forms: {})", method(entry, Verb::Set), signatures(entry));
                Err(Error::new(Code::InvalidRow, message))
            }
        };
    }
    let lacks = |(form, places): (&&Form, &Vec<usize>)| {
        let first = places.iter().find(|place| missing(place)).copied().unwrap_or_default();
        format!("{} for {}", entry.fields[first].name, form.signature())
    };
    let lacking: Vec<_> = entry.noun.forms.iter().zip(&entry.places).map(lacks).collect();
    Err(Error::new(Code::InvalidRow, format!("{}: the row lacks {}", method(entry, Verb::Set), lacking.join(", and "))))
}

/// The error for a row without a usable id.
#[must_use]
pub fn no_id(entry: &Entry, what: &str) -> Error {
    Error::new(
        Code::InvalidRow,
        format!("{}: the row has no id: {what}; it needs a string `id`, or an `_id`", method(entry, Verb::Set)),
    )
}

/// The error for something that is no row at all.
#[must_use]
pub fn no_row(entry: &Entry, what: &str) -> Error {
    Error::new(
        Code::InvalidRow,
        format!("{}: the row is {what}; it takes an object with {}", method(entry, Verb::Set), signatures(entry)),
    )
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
