//! What a field stores of a value, as the original's schemas cast it.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, RawBson, RawBsonRef};

use crate::error::{Code, Error, Result};
use crate::mongo::table::{Collection, Field, Type};

/// A failed cast, in the original's words.
fn refused(to: &str, value: RawBsonRef<'_>, path: &str, collection: &Collection) -> Error {
    let message =
        format!("Cast to {to} failed for value {} at path \"{path}\" for \"{}\"", shown(value), collection.name);
    Error::new(Code::InvalidValue, message)
}

/// A value for a message, with its type.
fn shown(value: RawBsonRef<'_>) -> String {
    match value {
        RawBsonRef::String(text) => format!("{:?} (type string)", text.chars().take(80).collect::<String>()),
        RawBsonRef::Double(number) => format!("\"{}\" (type number)", number_text(number)),
        RawBsonRef::Int32(number) => format!("\"{number}\" (type number)"),
        RawBsonRef::Int64(number) => format!("\"{number}\" (type bigint)"),
        RawBsonRef::Boolean(flag) => format!("\"{flag}\" (type boolean)"),
        RawBsonRef::Null | RawBsonRef::Undefined => "null".to_owned(),
        RawBsonRef::Array(_) => "(type Array)".to_owned(),
        RawBsonRef::Document(_) => "(type Object)".to_owned(),
        RawBsonRef::DateTime(_) => "(type Date)".to_owned(),
        _ => "of another type".to_owned(),
    }
}

/// The BSON of a JavaScript number: int32 where it is a whole number within its bounds (-0 is not), else a double.
#[must_use]
pub fn number(value: f64) -> RawBson {
    #[allow(clippy::cast_possible_truncation, reason = "checked: it is a whole number within bounds")]
    if value.fract() == 0.0
        && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value)
        && !(value == 0.0 && value.is_sign_negative())
    {
        RawBson::Int32(value as i32)
    } else {
        RawBson::Double(value)
    }
}

/// The text of a number, as JavaScript's `String()` makes it.
#[must_use]
pub fn number_text(value: f64) -> String {
    ryu_js::Buffer::new().format(value).to_owned()
}

/// The number that JavaScript's `Number()` makes of a text; `None` is NaN.
fn text_number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0.0);
    }
    let prefixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    for (prefix, radix) in prefixes {
        if let Some(digits) = text.strip_prefix(prefix) {
            #[allow(clippy::cast_precision_loss, reason = "as JavaScript does")]
            return u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).map(|n| n as f64);
        }
    }
    match text {
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust also reads "inf" and "nan", which are no numbers in JavaScript.
        _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

/// The text that a value becomes in a text field; `None`: it has none.
fn text(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) => Some(text.to_owned()),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        RawBsonRef::Double(number) => Some(number_text(number)),
        RawBsonRef::Boolean(flag) => Some(flag.to_string()),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        _ => None,
    }
}

fn as_number(value: RawBsonRef<'_>) -> Option<RawBson> {
    let number = match value {
        RawBsonRef::String("") => return Some(RawBson::Null),
        RawBsonRef::String(text) => text_number(text)?,
        RawBsonRef::Int32(number) => f64::from(number),
        RawBsonRef::Double(number) => number,
        RawBsonRef::Boolean(flag) => f64::from(u8::from(flag)),
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of any date are exact")]
        RawBsonRef::DateTime(date) => date.timestamp_millis() as f64,
        _ => return None,
    };
    (!number.is_nan()).then(|| self::number(number))
}

fn as_flag(value: RawBsonRef<'_>) -> Option<bool> {
    match value {
        RawBsonRef::Boolean(flag) => Some(flag),
        RawBsonRef::String("true" | "1" | "yes") | RawBsonRef::Int32(1) => Some(true),
        // -0 is a double.
        RawBsonRef::String("false" | "0" | "no") | RawBsonRef::Int32(0) | RawBsonRef::Double(0.0) => Some(false),
        _ => None,
    }
}

fn as_date(value: RawBsonRef<'_>) -> Option<DateTime> {
    #[allow(clippy::cast_possible_truncation, reason = "checked: within the bounds of JavaScript's dates")]
    let millis = |n: f64| (n.abs() <= 8.64e15).then(|| DateTime::from_millis(n.trunc() as i64));
    match value {
        RawBsonRef::DateTime(date) => Some(date),
        RawBsonRef::Int32(number) => Some(DateTime::from_millis(number.into())),
        RawBsonRef::Int64(number) => Some(DateTime::from_millis(number)),
        RawBsonRef::Double(number) => millis(number),
        // Numbers that could be a year are one.
        RawBsonRef::String(text) => match text_number(text) {
            Some(number) if !(-271_820.0..275_761.0).contains(&number) => millis(number),
            _ => date_text(text),
        },
        _ => None,
    }
}

/// A date as ISO 8601: a year, a month or a day, or with a time and its zone.
fn date_text(text: &str) -> Option<DateTime> {
    let full = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    DateTime::parse_rfc3339_str(full).ok()
}

/// The id that a text or an `ObjectId` is.
#[must_use]
pub fn object_id(value: RawBsonRef<'_>) -> Option<ObjectId> {
    match value {
        RawBsonRef::ObjectId(id) => Some(id),
        RawBsonRef::String(text) => ObjectId::parse_str(text).ok(),
        RawBsonRef::Document(document) => document.get("_id").ok().flatten().and_then(object_id),
        _ => None,
    }
}

/// What a field stores of a value. Null is null.
pub fn cast(collection: &Collection, field: &Field, value: RawBsonRef<'_>) -> Result<RawBson> {
    cast_as(collection, field.name, field.kind, value)
}

/// The same for a path of that type.
pub fn cast_as(collection: &Collection, path: &str, kind: Type, value: RawBsonRef<'_>) -> Result<RawBson> {
    if matches!(value, RawBsonRef::Null | RawBsonRef::Undefined) {
        return Ok(RawBson::Null);
    }
    let cast = match kind {
        Type::Text => text(value).map(RawBson::String),
        Type::Number => as_number(value),
        Type::Flag => as_flag(value).map(RawBson::Boolean),
        Type::Date => as_date(value).map(RawBson::DateTime),
        Type::Id => object_id(value).map(RawBson::ObjectId),
        Type::Any => Some(RawBson::from(value)),
    };
    let to = match kind {
        Type::Text => "string",
        Type::Number => "Number",
        Type::Flag => "Boolean",
        Type::Date => "date",
        Type::Id => "ObjectId",
        Type::Any => "Mixed",
    };
    cast.ok_or_else(|| refused(to, value, path, collection))
}

/// The same for a part of a key, which may not be missing.
pub fn key_part(collection: &Collection, field: &Field, value: Option<RawBsonRef<'_>>) -> Result<RawBson> {
    match value {
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => {
            let message = format!("{}: {} is null or undefined", collection.name, field.name);
            Err(Error::new(Code::InvalidContext, message))
        }
        Some(value) => cast(collection, field, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mongo::table::COLLECTIONS;

    fn field(kind: Type, value: RawBsonRef<'_>) -> std::result::Result<RawBson, String> {
        cast_as(&COLLECTIONS[0], "f", kind, value).map_err(|error| error.message)
    }

    #[test]
    fn numbers_are_int32_only_where_nothing_is_lost() {
        for (value, int) in
            [(0.0, true), (-0.0, false), (1.5, false), (2_147_483_647.0, true), (2_147_483_648.0, false)]
        {
            assert_eq!(matches!(number(value), RawBson::Int32(_)), int, "{value}");
        }
        assert_eq!(number(-2_147_483_648.0), RawBson::Int32(i32::MIN));
        assert!(matches!(number(f64::NAN), RawBson::Double(_)) && matches!(number(f64::INFINITY), RawBson::Double(_)));
    }

    #[test]
    fn numbers_have_the_text_that_javascript_gives_them() {
        let cases = [
            (5.0, "5"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.23e-7, "1.23e-7"),
            (-123.456, "-123.456"),
            (1_767_225_600_000.0, "1767225600000"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(number_text(value), text);
        }
    }

    #[test]
    fn numbers_are_cast_as_javascript_reads_them() {
        assert_eq!(field(Type::Number, RawBsonRef::String("1.25")), Ok(RawBson::Double(1.25)));
        assert_eq!(field(Type::Number, RawBsonRef::String(" 12 ")), Ok(RawBson::Int32(12)));
        assert_eq!(field(Type::Number, RawBsonRef::String("0x10")), Ok(RawBson::Int32(16)));
        assert_eq!(field(Type::Number, RawBsonRef::String("")), Ok(RawBson::Null));
        assert_eq!(field(Type::Number, RawBsonRef::Boolean(true)), Ok(RawBson::Int32(1)));
        for text in ["abc", "inf", "nan", "1,5", "1e", "--1"] {
            assert!(field(Type::Number, RawBsonRef::String(text)).unwrap_err().contains("at path \"f\""), "{text}");
        }
        assert!(field(Type::Number, RawBsonRef::Double(f64::NAN)).is_err());
    }

    #[test]
    fn texts_flags_dates_and_ids_are_cast() {
        assert_eq!(field(Type::Text, RawBsonRef::Int32(5)), Ok(RawBson::String("5".into())));
        assert_eq!(field(Type::Flag, RawBsonRef::String("yes")), Ok(RawBson::Boolean(true)));
        assert!(field(Type::Flag, RawBsonRef::Int32(2)).is_err());
        let date = DateTime::from_millis(1_767_225_600_000);
        assert_eq!(field(Type::Date, RawBsonRef::String("2026-01-01T00:00:00Z")), Ok(RawBson::DateTime(date)));
        assert_eq!(field(Type::Date, RawBsonRef::String("2026-01-01")), Ok(RawBson::DateTime(date)));
        for text in ["2026", "2026-01", "1767225600000", "2026-01-01T03:00:00+03:00"] {
            assert_eq!(field(Type::Date, RawBsonRef::String(text)), Ok(RawBson::DateTime(date)), "{text}");
        }
        for text in ["", "5", "275760", "9e15", "Jan 1 2026", "2026-01-01T00:00:00", "+2026-1"] {
            assert!(field(Type::Date, RawBsonRef::String(text)).is_err(), "{text}");
        }
        let early = DateTime::from_millis(275_761);
        assert_eq!(field(Type::Date, RawBsonRef::String("275761")), Ok(RawBson::DateTime(early)));
        assert_eq!(field(Type::Date, RawBsonRef::Double(1_767_225_600_000.0)), Ok(RawBson::DateTime(date)));
        assert!(matches!(field(Type::Id, RawBsonRef::String("6b037d17f0687123749f4ec3")), Ok(RawBson::ObjectId(_))));
        assert!(field(Type::Id, RawBsonRef::String("garbage")).unwrap_err().starts_with("Cast to ObjectId failed"));
        assert_eq!(field(Type::Text, RawBsonRef::Null), Ok(RawBson::Null));
    }
}
