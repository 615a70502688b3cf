//! Unit tests and golden cases of [`super`].

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

fn entry(noun: &str) -> Entry {
    entries().into_iter().find(|e| e.noun.name == noun).unwrap()
}

fn keys(noun: &str, args: &[Value]) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let parts: Vec<_> = args.iter().collect();
    let matched = match_args(&entry(noun), Verb::Get, args.len(), &parts, &mut out)?;
    let text = |range: &[u8]| String::from_utf8(range.to_vec()).unwrap();
    let mut keys = vec![text(&out[..matched.first_end])];
    keys.extend(matched.second_end.map(|end| text(&out[matched.first_end..end])));
    Ok(keys)
}

fn row_key(noun: &str, row: &Value) -> Result<String> {
    let mut out = Vec::new();
    let entry = entry(noun);
    let fields: Vec<_> = entry.fields.iter().map(|field| row.get(field.name).unwrap_or(&Value::Null)).collect();
    match_row(&entry, &fields, &mut out)?;
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

fn named(case: &Value) -> (&str, Entry) {
    let noun = case["noun"].as_str().unwrap();
    let entry = entries().into_iter().find(|e| e.noun.name == noun).unwrap_or_else(|| panic!("no noun {noun}"));
    assert_eq!(entry.service.name, case["service"]);
    (case["name"].as_str().unwrap(), entry)
}

#[test]
fn golden_calls_ask_for_their_keys() {
    let spec = crate::spec::load("keys");
    for case in crate::spec::cases(&spec, "reads") {
        let (name, entry) = named(case);
        let found = keys(entry.noun.name, case["args"].as_array().unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Value::from(found), case["itemKeys"], "{name}");
    }
    for case in crate::spec::cases(&spec, "refusedReads") {
        let (name, entry) = named(case);
        let error = keys(entry.noun.name, case["args"].as_array().unwrap()).expect_err(name);
        assert_eq!(error.code.as_str(), case["code"], "{name}");
        assert!(error.message.starts_with(entry.service.name), "{name}: {}", error.message);
    }
}

#[test]
fn golden_rows_go_under_their_keys() {
    let spec = crate::spec::load("keys");
    for case in crate::spec::cases(&spec, "rows") {
        let (name, entry) = named(case);
        let key = row_key(entry.noun.name, &case["row"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(case["itemKey"], key, "{name}");
    }
    // A row that lacks nothing but an id is refused by the boundary, which reads the id.
    for case in crate::spec::cases(&spec, "refusedRows").iter().filter(|case| case["noId"].is_null()) {
        let (name, entry) = named(case);
        if case["row"].is_object() {
            assert_eq!(row_key(entry.noun.name, &case["row"]).expect_err(name).code.as_str(), case["code"], "{name}");
        }
    }
}
