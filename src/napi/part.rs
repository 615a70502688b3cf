//! JavaScript values as arguments of the cache services.

use napi::sys::ValueType;

use super::js::{Env, NapiValue};
use crate::error::{Code, Error, Result};
use crate::redis::encode::push_number;
use crate::services::context::{Part, Shape};

/// An argument of a call, or a field of a row.
#[derive(Clone, Copy)]
pub(super) struct JsPart {
    pub(super) env: Env,
    pub(super) value: NapiValue,
}

fn unreadable() -> Error {
    Error::new(Code::InvalidContext, "the value could not be read")
}

/// Timestamps are numbers, and asked for by the thousand: whole ones are written here, as `String()` writes them.
fn push_whole(number: f64, out: &mut Vec<u8>) -> bool {
    // Up to here every whole number is exact and has no exponent in its text.
    const MOST: f64 = 9_007_199_254_740_991.0;
    if number.fract() != 0.0 || !(0.0..=MOST).contains(&number) {
        return false;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within bounds")]
    push_number(out, number as u64);
    true
}

impl Part for JsPart {
    fn shape(&self) -> Shape {
        match self.env.type_of(self.value) {
            Ok(ValueType::napi_undefined) => Shape::Missing("undefined"),
            Ok(ValueType::napi_null) => Shape::Missing("null"),
            Ok(ValueType::napi_string) => Shape::Text,
            Ok(ValueType::napi_number) => self.env.f64(self.value).map_or(Shape::Other("unreadable"), Shape::Number),
            Ok(ValueType::napi_boolean | ValueType::napi_bigint) => Shape::Scalar,
            Ok(ValueType::napi_symbol) => Shape::Other("a symbol"),
            Ok(ValueType::napi_function) => Shape::Other("a function"),
            _ => Shape::Other("an object"),
        }
    }

    fn truthy(&self) -> bool {
        self.env.truthy(self.value).unwrap_or(false)
    }

    fn push_text(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.env.push_text(self.value, out).map_err(|_| unreadable())? {
            return Ok(());
        }
        if let Ok(ValueType::napi_number) = self.env.type_of(self.value)
            && let Ok(number) = self.env.f64(self.value)
            && push_whole(number, out)
        {
            return Ok(());
        }
        // A boolean, a bigint or a fraction: its text runs no user code.
        let text = self.env.to_text(self.value).map_err(|_| unreadable())?;
        self.env.push_text(text, out).map_err(|_| unreadable())?;
        Ok(())
    }
}
