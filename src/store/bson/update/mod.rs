//! What an update makes of a document.
//!
//! * [`parse`]: the operators, and what they refuse before they have seen a document.
//! * [`apply`]: paths through a document, and what is made where they lead to nothing.
//! * [`numbers`], [`lists`]: operators that compute, and those of arrays.
//! * [`shown`], [`values`]: elements as MongoDB's messages show them; values in memory.

mod apply;
mod lists;
mod numbers;
mod parse;
mod shown;
mod values;

use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf};

use self::values::raw;
use super::refusal::codes::{IMMUTABLE, OVERFLOW};
use super::refusal::{Refusal, bad, check_levels};

/// How an update is applied.
#[derive(Debug, Clone, Copy)]
pub struct UpdateOptions {
    /// Whether the document is made by this very update (an upsert that found nothing): `$setOnInsert` counts, and
    /// `_id` may be set where there is none.
    pub is_insert: bool,
    /// Now, in milliseconds since 1970, for `$currentDate`.
    pub now: i64,
}

/// The most levels of a document that is stored.
const STORED_LEVELS: usize = 180;

/// The document after an update by operators, whose values are cast already. Fields keep their places and new ones come
/// in the order in which MongoDB adds them. Of an upsert, the document is what the filter's equalities make.
///
/// Refused, with MongoDB's code, is what MongoDB refuses; and without one what it has and we have not: `$[]`, array
/// filters. How large the document may be is checked where it is stored.
pub fn apply_update(document: Document, update: &RawDocument, options: UpdateOptions) -> Result<Document, Refusal> {
    check_levels(update)?;
    let changes = parse::changes(update)?;
    let id = document.get("_id").cloned();
    let shown = id.as_ref().map_or_else(|| "{ no _id }".to_owned(), |id| format!("{{_id: {}}}", shown::value(id)));
    let mut after = document;
    for change in &changes {
        if change.path.iter().any(|part| part == "$") {
            return Err(bad("The positional operator did not find the match needed from the query."));
        }
        if change.only_inserts() && !options.is_insert {
            continue;
        }
        apply::change(&mut after, change, &shown, options.now)?;
        let same = match (&id, after.get("_id")) {
            (Some(before), Some(now)) if change.touches("_id") => is_identical(before, now)?,
            (Some(_), None) => false,
            _ => true,
        };
        if !same {
            let path = change.path.join(".");
            let message = format!("Performing an update on the path '{path}' would modify the immutable field '_id'");
            return Err(Refusal::of_mongo(IMMUTABLE, message));
        }
    }
    check_stored_levels(after.values(), STORED_LEVELS)?;
    Ok(after)
}

fn check_stored_levels<'a>(mut values: impl Iterator<Item = &'a Bson>, left: usize) -> Result<(), Refusal> {
    let Some(left) = left.checked_sub(1) else {
        let message = format!("Document exceeds maximum nesting depth of {STORED_LEVELS}");
        return Err(Refusal::of_mongo(OVERFLOW, message));
    };
    values.try_for_each(|value| match value {
        Bson::Document(inner) => check_stored_levels(inner.values(), left),
        Bson::Array(inner) => check_stored_levels(inner.iter(), left),
        Bson::JavaScriptCodeWithScope(code) => check_stored_levels(code.scope.values(), left),
        _ => Ok(()),
    })
}

/// Whether two values have the same bytes.
fn is_identical(a: &Bson, b: &Bson) -> Result<bool, Refusal> {
    let bytes = |value: &Bson| {
        let mut alone = RawDocumentBuf::new();
        alone.append(cstr!(""), raw(value)?);
        Ok::<_, Refusal>(alone.into_bytes())
    };
    Ok(bytes(a)? == bytes(b)?)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
