//! Elements as MongoDB's messages show them.

use std::fmt::Write as _;

use mongodb::bson::Bson;
use mongodb::bson::spec::ElementType;

/// `{name: value}`
pub(super) fn element(name: &str, value: &Bson) -> String {
    format!("{{{name}: {}}}", self::value(value))
}

/// A value; a long text is cut.
pub(super) fn value(value: &Bson) -> String {
    match value {
        Bson::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.1}"),
        Bson::Double(number) => number.to_string(),
        Bson::String(text) => format!("{:?}", cut(text)),
        Bson::Array(values) if values.is_empty() => "[]".to_owned(),
        Bson::Array(values) => {
            let shown: Vec<_> = values.iter().map(self::value).collect();
            format!("[ {} ]", cut(&shown.join(", ")))
        }
        Bson::Document(fields) if fields.is_empty() => "{}".to_owned(),
        Bson::Document(fields) => {
            let mut shown = String::new();
            for (name, value) in fields {
                let comma = if shown.is_empty() { "" } else { ", " };
                let _ = write!(shown, "{comma}{name}: {}", self::value(value));
            }
            format!("{{ {} }}", cut(&shown))
        }
        Bson::Boolean(flag) => flag.to_string(),
        Bson::Null => "null".to_owned(),
        Bson::Undefined => "undefined".to_owned(),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::ObjectId(id) => format!("ObjectId('{id}')"),
        Bson::DateTime(date) => format!("new Date({})", date.timestamp_millis()),
        Bson::Timestamp(stamp) => format!("Timestamp({}, {})", stamp.time, stamp.increment),
        Bson::Decimal128(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 150 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(150).collect::<String>())
    }
}

/// The name of a value's type.
pub(super) fn kind(value: &Bson) -> &'static str {
    match value.element_type() {
        ElementType::Double => "double",
        ElementType::String => "string",
        ElementType::EmbeddedDocument => "object",
        ElementType::Array => "array",
        ElementType::Binary => "binData",
        ElementType::Undefined => "undefined",
        ElementType::ObjectId => "objectId",
        ElementType::Boolean => "bool",
        ElementType::DateTime => "date",
        ElementType::Null => "null",
        ElementType::RegularExpression => "regex",
        ElementType::DbPointer => "dbPointer",
        ElementType::JavaScriptCode => "javascript",
        ElementType::Symbol => "symbol",
        ElementType::JavaScriptCodeWithScope => "javascriptWithScope",
        ElementType::Int32 => "int",
        ElementType::Timestamp => "timestamp",
        ElementType::Int64 => "long",
        ElementType::Decimal128 => "decimal",
        ElementType::MinKey => "minKey",
        ElementType::MaxKey => "maxKey",
    }
}
