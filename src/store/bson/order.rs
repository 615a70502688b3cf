//! BSON's order: of types first, then within a type.

use std::cmp::Ordering;

use mongodb::bson::raw::{RawBinaryRef, RawRegexRef, cstr};
use mongodb::bson::spec::{BinarySubtype, ElementType};
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use super::numbers::Number;

/// Where a type stands among the others. Types of one bracket are compared by value. A missing value counts as undefined.
pub(crate) fn bracket(kind: ElementType) -> u8 {
    match kind {
        ElementType::MinKey => 0,
        ElementType::Undefined => 1,
        ElementType::Null => 5,
        ElementType::Int32 | ElementType::Int64 | ElementType::Double | ElementType::Decimal128 => 10,
        ElementType::String | ElementType::Symbol => 15,
        ElementType::EmbeddedDocument => 20,
        ElementType::Array => 25,
        ElementType::Binary => 30,
        ElementType::ObjectId => 35,
        ElementType::Boolean => 40,
        ElementType::DateTime => 45,
        ElementType::Timestamp => 47,
        ElementType::RegularExpression => 50,
        ElementType::DbPointer => 55,
        ElementType::JavaScriptCode => 60,
        ElementType::JavaScriptCodeWithScope => 65,
        ElementType::MaxKey => 127,
    }
}

/// The order of two values, as MongoDB sorts them. Numbers are equal by value, whatever their types.
#[must_use]
pub fn compare(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    bracket(a.element_type()).cmp(&bracket(b.element_type())).then_with(|| within(a, b))
}

/// The order of two values of one bracket.
fn within(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    use RawBsonRef as V;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return a.cmp(b);
    }
    match (a, b) {
        (V::String(a) | V::Symbol(a), V::String(b) | V::Symbol(b)) | (V::JavaScriptCode(a), V::JavaScriptCode(b)) => {
            a.as_bytes().cmp(b.as_bytes())
        }
        (V::Document(a), V::Document(b)) => compare_documents(a, b),
        (V::Array(a), V::Array(b)) => compare_lists(values(a), values(b)),
        (V::Binary(a), V::Binary(b)) => compare_binaries(a, b),
        (V::ObjectId(a), V::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (V::Boolean(a), V::Boolean(b)) => a.cmp(&b),
        (V::DateTime(a), V::DateTime(b)) => a.timestamp_millis().cmp(&b.timestamp_millis()),
        (V::Timestamp(a), V::Timestamp(b)) => (a.time, a.increment).cmp(&(b.time, b.increment)),
        (V::RegularExpression(a), V::RegularExpression(b)) => {
            let texts = |it: RawRegexRef<'_>| [it.pattern.as_str(), it.options.as_str()].map(str::to_owned);
            texts(a).cmp(&texts(b))
        }
        (V::DbPointer(_), V::DbPointer(_)) => compare_pointers(a, b),
        (V::JavaScriptCodeWithScope(a), V::JavaScriptCodeWithScope(b)) => {
            a.code.as_bytes().cmp(b.code.as_bytes()).then_with(|| compare_documents(a.scope, b.scope))
        }
        _ => Ordering::Equal,
    }
}

/// Documents: field by field, of each the type, then the name, then the value. The one that ends first is less.
fn compare_documents(a: &RawDocument, b: &RawDocument) -> Ordering {
    let (mut a, mut b) = (fields(a), fields(b));
    loop {
        let ((a_name, a), (b_name, b)) = match (a.next(), b.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let order = bracket(a.element_type())
            .cmp(&bracket(b.element_type()))
            .then_with(|| a_name.as_bytes().cmp(b_name.as_bytes()))
            .then_with(|| within(a, b));
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_lists<'a>(
    mut a: impl Iterator<Item = RawBsonRef<'a>>,
    mut b: impl Iterator<Item = RawBsonRef<'a>>,
) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Binaries: by length, then by subtype, then by bytes.
fn compare_binaries(a: RawBinaryRef<'_>, b: RawBinaryRef<'_>) -> Ordering {
    // The old subtype's bytes begin with their length once more.
    let length = |it: &RawBinaryRef<'_>| it.bytes.len() + if it.subtype == BinarySubtype::BinaryOld { 4 } else { 0 };
    let order = length(&a).cmp(&length(&b)).then_with(|| u8::from(a.subtype).cmp(&u8::from(b.subtype)));
    order.then_with(|| a.bytes.cmp(b.bytes))
}

/// Pointers of old: by length, then by bytes.
fn compare_pointers(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    let bytes = |it: RawBsonRef<'_>| {
        let mut alone = RawDocumentBuf::new();
        alone.append(cstr!(""), it);
        alone.into_bytes()
    };
    let (a, b) = (bytes(a), bytes(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

/// The fields of a document; what is no BSON ends them.
pub(crate) fn fields(document: &RawDocument) -> impl Iterator<Item = (&str, RawBsonRef<'_>)> {
    document.iter().map_while(Result::ok).map(|(name, value)| (name.as_str(), value))
}

/// The elements of an array.
pub(crate) fn values(array: &mongodb::bson::RawArray) -> impl Iterator<Item = RawBsonRef<'_>> {
    array.into_iter().map_while(Result::ok)
}
