//! The operators that compute.

use std::cmp::Ordering;

use mongodb::bson::{Bson, RawBsonRef};

use super::super::order::fields;
use super::super::refusal::codes::TYPE_MISMATCH;
use super::super::refusal::{Refusal, bad};
use super::shown;
use super::values::owned;

/// `$inc` or `$mul`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compute {
    Add,
    Multiply,
}

impl Compute {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "$inc",
            Self::Multiply => "$mul",
        }
    }

    /// The value of a field that was not there.
    pub(super) fn begin(self, by: &Bson) -> Result<Bson, Refusal> {
        match self {
            Self::Add => Ok(by.clone()),
            Self::Multiply => self.of(by, &Bson::Int32(0))?.ok_or_else(|| bad("Failed to apply $mul")),
        }
    }

    /// The value of a field that has one. `name` and `id` show it in messages.
    pub(super) fn apply(self, value: &Bson, by: &Bson, (name, id): (&str, &str)) -> Result<Bson, Refusal> {
        if !matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_)) {
            let (operator, kind) = (self.name(), shown::kind(value));
            let message = format!(
                "Cannot apply {operator} to a value of non-numeric type. {id} has the field '{name}' of non-numeric type \
                 {kind}"
            );
            return Err(Refusal::of_mongo(TYPE_MISMATCH, message));
        }
        let result = self.of(value, by)?;
        // What is equal already stays as it is: -0 too.
        if let (Bson::Double(before), Some(Bson::Double(after))) = (value, &result)
            && before.partial_cmp(after).is_some_and(Ordering::is_eq)
        {
            return Ok(value.clone());
        }
        result.ok_or_else(|| {
            let (operator, value) = (self.name(), shown::value(value));
            bad(format!("Failed to apply {operator} operations to current value ({value}) for document {id}"))
        })
    }

    /// Of two int32 the result is an int64 where it must be; of int64, none where it is too large.
    fn of(self, a: &Bson, b: &Bson) -> Result<Option<Bson>, Refusal> {
        #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
        let double = |value: &Bson| match value {
            Bson::Int32(number) => Some(f64::from(*number)),
            Bson::Int64(number) => Some(*number as f64),
            Bson::Double(number) => Some(*number),
            _ => None,
        };
        let int = |value: &Bson| match value {
            Bson::Int32(number) => Some(i64::from(*number)),
            Bson::Int64(number) => Some(*number),
            _ => None,
        };
        if matches!((a, b), (Bson::Decimal128(_), _) | (_, Bson::Decimal128(_))) {
            return Err(Refusal::ours(format!(
                "the embedded store does not compute with decimal128 ({})",
                self.name()
            )));
        }
        if let (Some(x), Some(y)) = (int(a), int(b)) {
            let result = match self {
                Self::Add => x.checked_add(y),
                Self::Multiply => x.checked_mul(y),
            };
            let small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
            return Ok(result.map(|result| match i32::try_from(result) {
                Ok(result) if small => Bson::Int32(result),
                _ => Bson::Int64(result),
            }));
        }
        Ok(double(a).zip(double(b)).map(|(a, b)| {
            Bson::Double(match self {
                Self::Add => a + b,
                Self::Multiply => a * b,
            })
        }))
    }
}

/// What `$bit` does, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Bits(Vec<(Bit, Bson)>);

#[derive(Debug, Clone, Copy)]
enum Bit {
    And,
    Or,
    Xor,
}

impl Bits {
    pub(super) fn parse(name: &str, value: RawBsonRef<'_>) -> Result<Self, Refusal> {
        let RawBsonRef::Document(given) = value else {
            let (kind, element) = (shown::kind(&owned(value)?), shown::element(name, &owned(value)?));
            let message = format!(
                "The $bit modifier is not compatible with a {kind}. You must pass in an embedded document: {{$bit: \
                 {{field: {{and/or/xor: #}}}} (given {element})"
            );
            return Err(bad(message));
        };
        let mut all = Vec::new();
        for (operator, value) in fields(given) {
            let bit = match operator {
                "and" => Bit::And,
                "or" => Bit::Or,
                "xor" => Bit::Xor,
                _ => {
                    let message = format!(
                        "The $bit modifier only supports 'and', 'or', and 'xor', not '{operator}' which is an unknown \
                         operator"
                    );
                    return Err(bad(message));
                }
            };
            let value = owned(value)?;
            if !matches!(value, Bson::Int32(_) | Bson::Int64(_)) {
                let kind = shown::kind(&value);
                let message = format!(
                    "The $bit modifier field must be an Integer(32/64 bit); a '{kind}' is not supported here: {}",
                    shown::element(operator, &value)
                );
                return Err(bad(message));
            }
            all.push((bit, value));
        }
        if all.is_empty() {
            let message =
                "You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}";
            return Err(bad(message));
        }
        Ok(Self(all))
    }

    /// The value that becomes of one; none of what is no integer.
    pub(super) fn apply(&self, value: &Bson) -> Option<Bson> {
        self.0.iter().try_fold(value.clone(), |value, (bit, by)| {
            let int32 = |a: i32, b: i32| match bit {
                Bit::And => a & b,
                Bit::Or => a | b,
                Bit::Xor => a ^ b,
            };
            let int64 = |a: i64, b: i64| match bit {
                Bit::And => a & b,
                Bit::Or => a | b,
                Bit::Xor => a ^ b,
            };
            match (&value, by) {
                (Bson::Int32(a), Bson::Int32(b)) => Some(Bson::Int32(int32(*a, *b))),
                (Bson::Int32(a), Bson::Int64(b)) => Some(Bson::Int64(int64(i64::from(*a), *b))),
                (Bson::Int64(a), Bson::Int32(b)) => Some(Bson::Int64(int64(*a, i64::from(*b)))),
                (Bson::Int64(a), Bson::Int64(b)) => Some(Bson::Int64(int64(*a, *b))),
                _ => None,
            }
        })
    }
}
