//! Keys as bytes: equal exactly where MongoDB takes the values for equal.
//!
//! SQLite's UNIQUE holds NULLs for distinct, MongoDB's unique index holds absent fields for equal, to each other and to null.
//! So the unique key of a row is one column: its fields in their order, each with a tag that tells its type.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::types::Value;

use super::bson::{Exact, Number, nearest};
use super::error::Outcome;
use crate::error::{Code, Error};
use crate::mongo::table::Collection;

const UNDEFINED: u8 = 0x04;
const ABSENT: u8 = 0x05;
const NUMBER: u8 = 0x10;
const WHOLE: u8 = 0x11;
const DECIMAL: u8 = 0x12;
const TEXT: u8 = 0x20;
const DOCUMENT: u8 = 0x30;
const LIST: u8 = 0x40;
const ID: u8 = 0x60;
const FLAG: u8 = 0x70;
const DATE: u8 = 0x80;
const CODE: u8 = 0x90;
const OTHER: u8 = 0xF0;
/// Before each field of a document, and behind the last.
const FIELD: u8 = 0x01;
const END: u8 = 0x00;

/// A number whose double is exactly its value.
#[must_use]
pub fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match Exact::of(Number::of(value)?) {
        Exact::Double(number) => Some(number),
        Exact::Int(_) | Exact::Decimal(..) => None,
    }
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn document(out: &mut Vec<u8>, document: &RawDocument) {
    for (name, value) in document.iter().flatten() {
        out.push(FIELD);
        long(out, name.as_str().as_bytes());
        push(out, Some(value));
    }
    out.push(END);
}

/// Appends a value with its tag.
pub fn push(out: &mut Vec<u8>, value: Option<RawBsonRef<'_>>) {
    match value {
        None | Some(RawBsonRef::Null) => out.push(ABSENT),
        Some(RawBsonRef::Undefined) => out.push(UNDEFINED),
        Some(RawBsonRef::String(text) | RawBsonRef::Symbol(text)) => {
            out.push(TEXT);
            long(out, text.as_bytes());
        }
        Some(RawBsonRef::Boolean(flag)) => out.extend_from_slice(&[FLAG, u8::from(flag)]),
        Some(RawBsonRef::ObjectId(id)) => {
            out.push(ID);
            out.extend_from_slice(&id.bytes());
        }
        Some(RawBsonRef::DateTime(date)) => {
            out.push(DATE);
            out.extend_from_slice(&date.timestamp_millis().to_be_bytes());
        }
        Some(RawBsonRef::Document(inner)) => {
            out.push(DOCUMENT);
            document(out, inner);
        }
        Some(RawBsonRef::Array(inner)) => {
            out.push(LIST);
            for value in inner.into_iter().flatten() {
                push(out, Some(value));
            }
            out.push(END);
        }
        Some(RawBsonRef::JavaScriptCodeWithScope(code)) => {
            out.push(CODE);
            long(out, code.code.as_bytes());
            document(out, code.scope);
        }
        Some(other) => match Number::of(other).map(Exact::of) {
            Some(Exact::Double(number)) => {
                out.push(NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Some(Exact::Int(number)) => {
                out.push(WHOLE);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Some(Exact::Decimal(negative, digits, exponent)) => {
                out.extend_from_slice(&[DECIMAL, u8::from(negative)]);
                out.extend_from_slice(&digits.to_be_bytes());
                out.extend_from_slice(&exponent.to_be_bytes());
            }
            None => {
                let mut alone = RawDocumentBuf::new();
                alone.append(cstr!(""), other);
                out.push(OTHER);
                long(out, alone.as_bytes());
            }
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

/// Refuses a document whose key MongoDB takes for several: of an array, each element is a key of its own there.
pub fn check(collection: &Collection, document: &RawDocument) -> Outcome<()> {
    for field in collection.key {
        if let Ok(Some(RawBsonRef::Array(_))) = document.get(field.name) {
            let message = format!("{}: {} is part of the key and cannot hold an array", collection.name, field.name);
            return Err(Error::new(Code::InvalidValue, message).into());
        }
    }
    Ok(())
}

/// A value as a column that ranges and equality are asked of: of a number, the double that is next to it. A boolean is no number,
/// so it is one byte; what has no column is NULL, which no question finds.
#[must_use]
pub fn column(value: Option<RawBsonRef<'_>>) -> Value {
    match value {
        Some(RawBsonRef::String(text) | RawBsonRef::Symbol(text)) => Value::Text(text.to_owned()),
        Some(RawBsonRef::Boolean(flag)) => Value::Blob(vec![u8::from(flag)]),
        Some(other) => Number::of(other).map_or(Value::Null, |number| Value::Real(nearest(number))),
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
    fn whole_numbers_beyond_doubles_stay_different() {
        let key = |n: i64| of(Some(RawBsonRef::Int64(n)));
        let (even, odd) = (9_007_199_254_740_992, 9_007_199_254_740_993);
        assert_ne!(key(even), key(odd));
        assert_ne!(key(odd), of(Some(RawBsonRef::Double(9_007_199_254_740_992.0))));
        assert_eq!(key(even), of(Some(RawBsonRef::Double(9_007_199_254_740_992.0))));
        let decimal = |text: &str| of(Some(RawBsonRef::Decimal128(text.parse().unwrap())));
        assert_eq!(decimal("9007199254740993.0"), key(odd));
        assert_eq!(decimal("1.00"), of(Some(RawBsonRef::Int32(1))));
        assert_eq!(decimal("0.10"), decimal("0.1"));
        assert_ne!(decimal("0.1"), of(Some(RawBsonRef::Double(0.1))));
    }

    #[test]
    fn every_nan_is_the_same() {
        let nan =
            |sign: u64| of(Some(RawBsonRef::Double(f64::from_bits(f64::NAN.to_bits() & !(1 << 63) | sign << 63))));
        assert_eq!(nan(0), nan(1));
        assert_eq!(nan(0), of(Some(RawBsonRef::Double(f64::INFINITY - f64::INFINITY))));
        assert_eq!(nan(0), of(Some(RawBsonRef::Decimal128("NaN".parse().unwrap()))));
    }

    #[test]
    fn documents_are_equal_field_by_field_and_in_their_order() {
        let of = |document: RawDocumentBuf| of(Some(RawBson::Document(document).as_raw_bson_ref()));
        assert_eq!(of(rawdoc! { "a": 1, "b": [1_i64, { "c": -0.0 }] }), of(rawdoc! { "a": 1.0, "b": [1, { "c": 0 }] }));
        assert_ne!(of(rawdoc! { "a": 1, "b": 2 }), of(rawdoc! { "b": 2, "a": 1 }));
        assert_ne!(of(rawdoc! { "a": [1], "b": 2 }), of(rawdoc! { "a": [1, 2] }));
        assert_ne!(of(rawdoc! { "a": RawBson::Null }), of(rawdoc! {}));
        assert_ne!(of(rawdoc! { "a": {} }), of(rawdoc! { "a": [] }));
    }

    #[test]
    fn undefined_is_another_key_than_null() {
        assert_ne!(of(Some(RawBsonRef::Undefined)), of(Some(RawBsonRef::Null)));
        assert_eq!(of(None), of(Some(RawBsonRef::Null)));
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
