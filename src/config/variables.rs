//! The variables: their names, bounds and defaults, and how their texts are read.

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};

/// How a variable's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A URL whose password is never shown.
    Url,
    /// The path of a PEM file, or PEM text. Only what is certainly a path is shown.
    Pem,
    /// A connection string of MongoDB, whose password is never shown.
    MongoUrl,
    /// A whole number within bounds, both included.
    Whole(u64, u64),
    /// `on` or `off`.
    Switch,
    /// A folder; unset it is none.
    Folder,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// One variable: the row that reading, checking, showing and documentation share.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment and in `setConfig`.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// Its value when it is unset or empty; an empty default means "none".
    pub default: &'static str,
}

const fn variable(name: &'static str, kind: Kind, default: &'static str) -> Variable {
    Variable { name, kind, default }
}

/// Every variable that this version reads. Host, port, user and password default to what the original's
/// docker-compose uses, because existing projects rely on it.
pub const VARIABLES: &[Variable] = &[
    variable("CC_REDIS_HOST", Kind::Text, "127.0.0.1"),
    variable("CC_REDIS_PORT", Kind::Whole(1, 65_535), "6379"),
    variable("CC_REDIS_USER", Kind::Text, "default"),
    variable("CC_REDIS_PASSWORD", Kind::Secret, "mysecurepassword"),
    variable("CC_REDIS_URL", Kind::Url, ""),
    variable("CC_REDIS_SENTINEL_USER", Kind::Text, ""),
    variable("CC_REDIS_SENTINEL_PASSWORD", Kind::Secret, ""),
    variable("CC_REDIS_TLS_CA", Kind::Pem, ""),
    variable("CC_REDIS_TLS_CERT", Kind::Pem, ""),
    variable("CC_REDIS_TLS_KEY", Kind::Pem, ""),
    variable("CC_REDIS_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_REDIS_SCAN_COUNT", Kind::Whole(1, 100_000), "100"),
    variable("CC_REDIS_SCAN_COUNT_MAX", Kind::Whole(1, 100_000), "1000"),
    variable("CC_REDIS_SPIN_US", Kind::Whole(0, 1_000), "60"),
    variable("CC_REDIS_QUEUE_MAX", Kind::Whole(1, 100_000_000), "1000000"),
    variable("CC_REDIS_QUEUE_MAX_BYTES", Kind::Whole(1_024, 4_294_967_295), "268435456"),
    variable("CC_NEAR_CACHE", Kind::Switch, "on"),
    variable("CC_NEAR_CACHE_MAX_BYTES", Kind::Whole(4_096, 4_294_967_295), "67108864"),
    variable("CC_MONGO_CONNECTION_STRING", Kind::MongoUrl, "mongodb://localhost:27017/backtest-pro?wtimeoutMS=15000"),
    variable("CC_MONGO_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_MONGO_FAILOVER_MS", Kind::Whole(0, 86_400_000), "20000"),
    variable("CC_MONGO_QUEUE_MAX", Kind::Whole(1, 100_000_000), "1000000"),
    variable("CC_MONGO_QUEUE_MAX_BYTES", Kind::Whole(1_024, 4_294_967_295), "268435456"),
    variable("CC_CANDLE_CACHE_MAX_BYTES", Kind::Whole(0, 4_294_967_295), "134217728"),
    variable("CC_CANDLE_ABSENCE_MS", Kind::Whole(0, 1_000), "1000"),
    variable("CC_CANDLE_IDS", Kind::Switch, "off"),
    variable("CC_STORE_PATH", Kind::Folder, ""),
    variable("CC_STORE_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_STORE_SYNC", Kind::OneOf(&["batch", "full"]), "batch"),
];

/// In [`Values`] beside the variables: the defaults are those of `setup()`.
pub const SETUP: &str = "setup";

/// What differs then: the defaults of the package whose `setup()` it replaces, no credentials and a database of its own.
const SETUP_DEFAULTS: [(&str, &str); 3] = [
    ("CC_REDIS_USER", ""),
    ("CC_REDIS_PASSWORD", ""),
    ("CC_MONGO_CONNECTION_STRING", "mongodb://localhost:27017/backtest-kit?wtimeoutMS=15000"),
];

/// Variables by name; an absent or empty one has its default.
pub type Values = BTreeMap<String, String>;

/// `INVALID_CONFIG`, naming the variable.
pub fn invalid(name: &str, problem: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidConfig, format!("{name}: {problem}"))
}

/// The variable of a name.
pub(super) fn find(name: &str) -> Result<&'static Variable> {
    VARIABLES.iter().find(|v| v.name == name).ok_or_else(|| {
        let known: Vec<_> = VARIABLES.iter().map(|v| v.name).collect();
        invalid(name, format!("no such variable; known are {}", known.join(", ")))
    })
}

/// What a text says of a switch.
pub(super) fn switch(variable: &Variable, text: &str) -> Result<bool> {
    match if text.is_empty() { variable.default } else { text } {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(invalid(variable.name, format!("{other:?} is neither \"on\" nor \"off\""))),
    }
}

/// What a text says where it must be one of some words.
pub(super) fn one_of<'a>(variable: &Variable, words: &[&str], text: &'a str) -> Result<&'a str> {
    let text = if text.is_empty() { variable.default } else { text };
    if words.contains(&text) {
        return Ok(text);
    }
    Err(invalid(variable.name, format!("{text:?} is none of {}", words.join(", "))))
}

/// A variable that is one of some words.
pub(super) fn word<'a>(values: &'a Values, name: &str) -> Result<&'a str> {
    let variable = find(name)?;
    let Kind::OneOf(words) = variable.kind else { return Err(invalid(name, "it is no word of a list")) };
    one_of(variable, words, text(values, name))
}

/// A whole number within the bounds of its variable.
pub(super) fn whole(variable: &Variable, text: &str) -> Result<u64> {
    let Kind::Whole(least, most) = variable.kind else { unreachable!("only called for whole numbers") };
    let text = if text.is_empty() { variable.default } else { text };
    // Digits only: parse() would take "+5".
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(n) if digits && (least..=most).contains(&n) => Ok(n),
        _ => Err(invalid(variable.name, format!("{text:?} is not a whole number from {least} to {most}"))),
    }
}

/// The value of a variable, or its default where it is unset or empty (empty counts as unset, as in the original).
pub(super) fn text<'a>(values: &'a Values, name: &str) -> &'a str {
    match values.get(name) {
        Some(text) if !text.is_empty() => text,
        _ => default_of(values, name),
    }
}

fn default_of(values: &Values, name: &str) -> &'static str {
    let setup = SETUP_DEFAULTS.iter().find(|(variable, _)| values.contains_key(SETUP) && *variable == name);
    setup.map_or_else(|| find(name).map_or("", |variable| variable.default), |(_, default)| default)
}

/// Whether a switch is on.
pub(super) fn is_on(values: &Values, name: &str) -> Result<bool> {
    switch(find(name)?, text(values, name))
}

/// A whole number.
pub(super) fn number(values: &Values, name: &str) -> Result<u64> {
    whole(find(name)?, text(values, name))
}

/// A whole number as a size in memory.
pub(super) fn size(values: &Values, name: &str) -> Result<usize> {
    usize::try_from(number(values, name)?).map_err(|_| invalid(name, "too large for this platform"))
}
