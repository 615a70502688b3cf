//! JavaScript values as arguments and rows of the cache services.

use std::cell::Cell;

use napi::sys::ValueType;

use super::js::{Env, Value};
use crate::error::{Code, Error, Result};
use crate::services::context::{Part, Row, Shape};
use crate::services::table::Field;

/// An argument of a call, or a field of a row.
#[derive(Clone, Copy)]
pub(super) struct JsPart {
    pub(super) env: Env,
    pub(super) value: Value,
}

fn unreadable() -> Error {
    Error::new(Code::InvalidContext, "the value could not be read")
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
        // A number, boolean or bigint: its text runs no user code.
        let text = self.env.to_text(self.value).map_err(|_| unreadable())?;
        self.env.push_text(text, out).map_err(|_| unreadable())?;
        Ok(())
    }
}

/// A row that somebody passed. Its getters may be anybody's code.
pub(super) struct JsRow<'a> {
    pub(super) env: Env,
    pub(super) row: Value,
    /// All property names that may be read, as an array of JavaScript strings.
    pub(super) names: Value,
    /// The same names.
    pub(super) index: &'a [&'static str],
    /// What a getter threw, for the cause of the error.
    pub(super) thrown: &'a Cell<Option<Value>>,
}

impl JsRow<'_> {
    /// Reads a property by one of the known names.
    pub(super) fn named(&self, name: &str) -> Result<JsPart> {
        let position = self.index.iter().position(|known| *known == name);
        let position = u32::try_from(position.expect("every field is in the index")).expect("there are few fields");
        let value = self.env.element(self.names, position).and_then(|name| self.env.property(self.row, name));
        let value = value.map_err(|_| {
            self.thrown.set(self.env.take_exception());
            Error::new(Code::InvalidRow, format!("Reading {name} of the row failed"))
        })?;
        Ok(JsPart { env: self.env, value })
    }
}

impl Row for JsRow<'_> {
    type Part = JsPart;

    fn read(&mut self, field: &'static Field) -> Result<JsPart> {
        self.named(field.name)
    }
}
