//! Why a filter, a sort or an update is not carried out.

use mongodb::bson::{RawBsonRef, RawDocument};
use thiserror::Error as ThisError;

/// Why a filter, a sort or an update is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct Refusal {
    /// MongoDB's code, where it refuses the same; none where a server would have an answer and we have not.
    pub code: Option<i32>,
    /// Why, for people; in MongoDB's words where it has some.
    pub message: String,
}

impl Refusal {
    /// What MongoDB refuses too.
    pub(super) fn of_mongo(code: i32, message: impl Into<String>) -> Self {
        Self { code: Some(code), message: message.into() }
    }

    /// What only we refuse.
    pub(super) fn ours(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into() }
    }

    /// Bytes that are no BSON.
    pub(super) fn malformed(error: &mongodb::bson::error::Error) -> Self {
        Self::ours(format!("the value is not valid BSON: {error}"))
    }
}

/// Codes of MongoDB's errors.
pub(crate) mod codes {
    pub(crate) const BAD_VALUE: i32 = 2;
    pub(crate) const FAILED_TO_PARSE: i32 = 9;
    pub(crate) const TYPE_MISMATCH: i32 = 14;
    pub(crate) const OVERFLOW: i32 = 15;
    pub(crate) const PATH_NOT_VIABLE: i32 = 28;
    pub(crate) const CONFLICT: i32 = 40;
    pub(crate) const DOLLAR_PREFIXED: i32 = 52;
    pub(crate) const EMPTY_NAME: i32 = 56;
    pub(crate) const IMMUTABLE: i32 = 66;
    pub(crate) const INVALID_REGEX: i32 = 51091;
}

/// The most levels of a filter or an update.
const LEVELS: usize = 200;

/// Refuses what is nested so deeply that no server would take it, and that the stack might not hold.
pub(super) fn check_levels(document: &RawDocument) -> Result<(), Refusal> {
    fn level(document: &RawDocument, left: usize) -> Result<(), Refusal> {
        let Some(left) = left.checked_sub(1) else {
            return Err(Refusal::of_mongo(codes::OVERFLOW, format!("exceeded the nesting limit of {LEVELS} levels")));
        };
        for entry in document {
            match entry.map_err(|error| Refusal::malformed(&error))?.1 {
                RawBsonRef::Document(inner) => level(inner, left)?,
                RawBsonRef::Array(inner) => {
                    let inner =
                        RawDocument::from_bytes(inner.as_bytes()).map_err(|error| Refusal::malformed(&error))?;
                    level(inner, left)?;
                }
                RawBsonRef::JavaScriptCodeWithScope(code) => level(code.scope, left)?,
                _ => {}
            }
        }
        Ok(())
    }
    level(document, LEVELS)
}

/// A value that an operator does not take.
pub(super) fn bad(message: impl Into<String>) -> Refusal {
    Refusal::of_mongo(codes::BAD_VALUE, message)
}
