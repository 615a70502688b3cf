//! Golden cases as data: `spec/*.json`, which the JavaScript suites run too.

use std::io::Write as _;

use serde_json::Value;

/// The content of `spec/<name>.json`. Leaves its name in the file that `BKN_SPEC_LOG` names: the test runner fails when
/// a file of `spec/` was loaded by nobody.
pub(crate) fn load(name: &str) -> Value {
    let file = format!("{name}.json");
    let path = format!("{}/spec/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    if let Ok(log) = std::env::var("BKN_SPEC_LOG") {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        writeln!(log, "{file}").unwrap();
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A list of cases, which must not be empty.
pub(crate) fn cases<'a>(spec: &'a Value, list: &str) -> &'a Vec<Value> {
    let cases = spec[list].as_array().unwrap_or_else(|| panic!("no list {list}"));
    assert!(!cases.is_empty(), "{list} is empty");
    cases
}
