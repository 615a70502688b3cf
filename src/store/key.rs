//! Keys as bytes: equal exactly where MongoDB takes the values for equal.
//!
//! SQLite's UNIQUE holds NULLs for distinct, MongoDB's unique index holds absent fields for equal, to each other and to null.
//! So the unique key of a row is one column: its fields in their order, each with a tag that tells its type.

use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::types::Value;

use crate::mongo::table::Collection;

const ABSENT: u8 = 0x05;
const NUMBER: u8 = 0x10;
const TEXT: u8 = 0x20;
const DOCUMENT: u8 = 0x30;
const LIST: u8 = 0x40;
const ID: u8 = 0x60;
const FLAG: u8 = 0x70;
const DATE: u8 = 0x80;
const OTHER: u8 = 0xF0;

/// A number by its value, whatever its type; 0 beside -0.
#[must_use]
pub fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Int32(n) => Some(f64::from(n)),
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of any date are exact")]
        RawBsonRef::Int64(n) => Some(n as f64),
        RawBsonRef::Double(n) => Some(n + 0.0),
        _ => None,
    }
}

/// Appends a value with its tag.
pub fn push(out: &mut Vec<u8>, value: Option<RawBsonRef<'_>>) {
    let long = |out: &mut Vec<u8>, tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => out.push(ABSENT),
        Some(RawBsonRef::String(text) | RawBsonRef::Symbol(text)) => long(out, TEXT, text.as_bytes()),
        Some(RawBsonRef::Boolean(flag)) => out.extend_from_slice(&[FLAG, u8::from(flag)]),
        Some(RawBsonRef::ObjectId(id)) => {
            out.push(ID);
            out.extend_from_slice(&id.bytes());
        }
        Some(RawBsonRef::DateTime(date)) => {
            out.push(DATE);
            out.extend_from_slice(&date.timestamp_millis().to_be_bytes());
        }
        Some(RawBsonRef::Document(inner)) => long(out, DOCUMENT, inner.as_bytes()),
        Some(RawBsonRef::Array(inner)) => long(out, LIST, inner.as_bytes()),
        Some(other) => match number(other) {
            Some(n) => {
                out.push(NUMBER);
                out.extend_from_slice(&n.to_be_bytes());
            }
            None => long(out, OTHER, format!("{other:?}").as_bytes()),
        },
    }
}

/// A value as bytes.
#[must_use]
pub fn of(value: Option<RawBsonRef<'_>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    push(&mut out, value);
    out
}

/// The unique key of a stored document.
#[must_use]
pub fn unique(collection: &Collection, document: &RawDocument) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for field in collection.key {
        push(&mut out, document.get(field.name).ok().flatten());
    }
    out
}

/// The unique key that a filter asks for, as [`crate::mongo::document::key`] makes it: `{ $exists: false }` is absent.
#[must_use]
pub fn asked(collection: &Collection, key: &RawDocument) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for field in collection.key {
        let value = key.get(field.name).ok().flatten();
        push(&mut out, value.filter(|value| !matches!(value, RawBsonRef::Document(_))));
    }
    out
}

/// A value as a column that ranges and equality are asked of. A boolean is no number, so it is one byte; what has no column
/// is NULL, which no question finds.
#[must_use]
pub fn column(value: Option<RawBsonRef<'_>>) -> Value {
    match value {
        Some(RawBsonRef::String(text)) => Value::Text(text.to_owned()),
        Some(RawBsonRef::Boolean(flag)) => Value::Blob(vec![u8::from(flag)]),
        Some(other) => number(other).map_or(Value::Null, Value::Real),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{RawBson, rawdoc};

    use super::*;
    use crate::mongo::document;
    use crate::mongo::table::COLLECTIONS;

    fn session() -> &'static Collection {
        COLLECTIONS.iter().find(|collection| collection.stem == "session").unwrap()
    }

    #[test]
    fn numbers_are_equal_by_value_and_booleans_are_none() {
        let same = [RawBson::Int32(1), RawBson::Int64(1), RawBson::Double(1.0)];
        for value in &same {
            assert_eq!(of(Some(value.as_raw_bson_ref())), of(Some(RawBsonRef::Int32(1))));
        }
        assert_eq!(of(Some(RawBsonRef::Double(-0.0))), of(Some(RawBsonRef::Int32(0))));
        assert_ne!(of(Some(RawBsonRef::Boolean(true))), of(Some(RawBsonRef::Int32(1))));
        assert_ne!(of(Some(RawBsonRef::String("1"))), of(Some(RawBsonRef::Int32(1))));
        assert_ne!(of(Some(RawBsonRef::ObjectId(ObjectId::from_bytes([7; 12])))), of(Some(RawBsonRef::String("7"))));
    }

    #[test]
    fn absent_equals_absent_and_null() {
        let old = rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f" };
        let null = rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f", "symbol": RawBson::Null };
        let new =
            rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f", "symbol": "", "backtest": false };
        assert_eq!(unique(session(), &old), unique(session(), &null));
        assert_ne!(unique(session(), &old), unique(session(), &new));
        assert_eq!(asked(session(), &document::key(session(), &old).unwrap()), unique(session(), &old));
        assert_eq!(asked(session(), &document::key(session(), &new).unwrap()), unique(session(), &new));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = |a: &str, b: &str| rawdoc! { "strategyName": a, "exchangeName": b };
        assert_ne!(unique(session(), &key("ab", "c")), unique(session(), &key("a", "bc")));
        assert_ne!(unique(session(), &key("a\u{5}", "")), unique(session(), &key("a", "\u{5}")));
    }
}
