//! What replies say of single documents, and what a refusal means.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, RawDocumentBuf};

use crate::mongo::conflict::{self, Conflict, DUPLICATE};
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table::Collection;

/// What a reply says of the documents of an unordered command.
pub(super) fn list<'a>(reply: &'a Document, name: &str) -> impl Iterator<Item = (usize, &'a Document)> {
    let entries = reply.get_array(name).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(Bson::as_document).map(|entry| {
        (entry.get_i32("index").ok().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX), entry)
    })
}

/// The write errors of a reply, by the place of their document.
pub(super) fn write_errors(reply: &Document) -> Outcome<HashMap<usize, Failure>> {
    list(reply, "writeErrors")
        .map(|(index, error)| Ok((index, Failure::from_server(&RawDocumentBuf::try_from(error)?))))
        .collect()
}

/// A duplicate key with what it means; other failures as they are.
pub(super) fn explain(collection: &Collection, failure: Failure) -> (Conflict, Failure) {
    if failure.server_code() != DUPLICATE {
        return (Conflict::Other, failure);
    }
    let pattern = failure.server.as_ref().and_then(|server| server.key_pattern.as_deref());
    match conflict::analyse(collection, pattern, &failure.error.message) {
        Conflict::OldIndex => {
            let error = conflict::old_index(collection, &failure.error.message);
            (Conflict::OldIndex, failure.with(error))
        }
        other => (other, failure),
    }
}
