//! What a duplicate key (E11000) means.

use mongodb::bson::{RawBsonRef, RawDocument};

use crate::error::{Code, Error};
use crate::mongo::document::entries;
use crate::mongo::table::Collection;

/// The server's code of a duplicate key.
pub const DUPLICATE: i32 = 11_000;

/// Whose index refused a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Conflict {
    /// That of the collection's key: somebody else has just written this row.
    Race,
    /// That of an older release, which has fewer fields: it takes rows for equal that are not.
    OldIndex,
    /// Another: `_id`, or one that we do not know.
    Other,
}

/// Which index a duplicate key belongs to: by the pattern that newer servers send, or by the name in the message.
#[must_use]
pub fn analyse(collection: &Collection, pattern: Option<&RawDocument>, message: &str) -> Conflict {
    let names: Vec<String> = match pattern {
        Some(pattern) => entries(pattern).flatten().map(|(name, _)| name.to_owned()).collect(),
        None => index_name(message).map(fields_of).unwrap_or_default(),
    };
    if names.iter().map(String::as_str).eq(collection.key.iter().map(|field| field.name)) {
        Conflict::Race
    } else if collection.old_key.is_some_and(|old| names.iter().map(String::as_str).eq(old.iter().copied())) {
        Conflict::OldIndex
    } else {
        Conflict::Other
    }
}

/// The name of the index in `… index: NAME dup key: …`.
#[must_use]
pub fn index_name(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(" index: ")?;
    rest.split_once(" dup key").map(|(name, _)| name)
}

/// `a_1_b_1` as the fields that it is made of.
fn fields_of(name: &str) -> Vec<String> {
    name.trim_end_matches("_1").split("_1_").map(str::to_owned).collect()
}

/// The error that an index of an older release causes, with what mends it.
#[must_use]
pub fn old_index(collection: &Collection, message: &str) -> Error {
    let fields: Vec<_> = collection.old_key.unwrap_or_default().iter().map(|name| (*name, 1)).collect();
    let made = Collection::index_name(&fields);
    let name = index_name(message).unwrap_or(&made);
    Error::new(
        Code::MongoWrite,
        format!(
            "{message} (the unique index {name} of an older release takes rows for equal that are not; drop it with \
             db.getCollection(\"{}\").dropIndex(\"{name}\"))",
            collection.name
        ),
    )
}

/// The code of a write error, or of a whole reply.
#[must_use]
pub fn code_of(error: &RawDocument) -> i32 {
    match error.get("code") {
        Ok(Some(RawBsonRef::Int32(code))) => code,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::mongo::table::COLLECTIONS;

    const MESSAGE: &str =
        "E11000 duplicate key error collection: db.candle-items index: symbol_1_interval_1_timestamp_1 dup key: { … }";

    #[test]
    fn first_writers_who_meet_are_told_from_an_old_index() {
        let candle = &COLLECTIONS[0];
        let key = rawdoc! { "exchangeName": 1, "symbol": 1, "interval": 1, "timestamp": 1 };
        assert_eq!(analyse(candle, Some(&key), ""), Conflict::Race);
        let old = rawdoc! { "symbol": 1, "interval": 1, "timestamp": 1 };
        assert_eq!(analyse(candle, Some(&old), ""), Conflict::OldIndex);
        assert_eq!(analyse(candle, Some(&rawdoc! { "_id": 1 }), ""), Conflict::Other);
        assert_eq!(analyse(&COLLECTIONS[1], Some(&old), ""), Conflict::Other);
    }

    #[test]
    fn without_a_pattern_the_message_tells() {
        assert_eq!(analyse(&COLLECTIONS[0], None, MESSAGE), Conflict::OldIndex);
        assert_eq!(analyse(&COLLECTIONS[9], None, "E11000 … index: entryId_1 dup key: {}"), Conflict::Race);
        assert_eq!(analyse(&COLLECTIONS[0], None, "nonsense"), Conflict::Other);
    }

    #[test]
    fn the_error_names_the_index_and_the_command() {
        let error = old_index(&COLLECTIONS[0], MESSAGE);
        assert!(error.message.starts_with("E11000"));
        let command = "db.getCollection(\"candle-items\").dropIndex(\"symbol_1_interval_1_timestamp_1\")";
        assert!(error.message.contains(command), "{error}");
    }
}
