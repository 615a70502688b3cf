//! Values in memory and as bytes.

use std::cmp::Ordering;

use mongodb::bson::{Bson, RawBson, RawBsonRef};

use super::super::order::compare;
use super::super::refusal::Refusal;

/// The order of two values in memory.
pub(super) fn compare_owned(a: &Bson, b: &Bson) -> Result<Ordering, Refusal> {
    if let (Some(a), Some(b)) = (scalar(a), scalar(b)) {
        return Ok(compare(a, b));
    }
    let (a, b) = (raw(a)?, raw(b)?);
    Ok(compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()))
}

/// A value of the usual types as it stands; none of another.
fn scalar(value: &Bson) -> Option<RawBsonRef<'_>> {
    Some(match value {
        Bson::Double(value) => RawBsonRef::Double(*value),
        Bson::String(value) => RawBsonRef::String(value),
        Bson::Boolean(value) => RawBsonRef::Boolean(*value),
        Bson::Null => RawBsonRef::Null,
        Bson::Int32(value) => RawBsonRef::Int32(*value),
        Bson::Int64(value) => RawBsonRef::Int64(*value),
        Bson::Timestamp(value) => RawBsonRef::Timestamp(*value),
        Bson::ObjectId(value) => RawBsonRef::ObjectId(*value),
        Bson::DateTime(value) => RawBsonRef::DateTime(*value),
        Bson::Decimal128(value) => RawBsonRef::Decimal128(*value),
        _ => return None,
    })
}

/// A value as bytes.
pub(super) fn raw(value: &Bson) -> Result<RawBson, Refusal> {
    RawBson::try_from(value.clone()).map_err(|error| Refusal::malformed(&error))
}

/// A value of bytes, in memory.
pub(super) fn owned(value: RawBsonRef<'_>) -> Result<Bson, Refusal> {
    Bson::try_from(value).map_err(|error| Refusal::malformed(&error))
}
