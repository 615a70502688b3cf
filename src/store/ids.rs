//! The keys under which the cache services know the ids of rows: where a row's context is plain text, its id is noted with the row
//! itself, which spares JavaScript a call of its own.

use std::sync::LazyLock;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::Connection;

use super::error::Outcome;
use super::maps;
use crate::error::Result;
use crate::mongo::document::get;
use crate::services::context::{Part, Shape, match_row};
use crate::services::table::{Entry, entries};

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(entries);

#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl Part for Text<'_> {
    fn shape(&self) -> Shape {
        Shape::Text
    }

    fn truthy(&self) -> bool {
        !self.0.is_empty()
    }

    fn push_text(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(())
    }
}

/// The key of the context that a request is about, `{ k, noun? }`; none where it names no noun, or where not all of the context
/// is text.
fn key_of(body: &RawDocument, context: &RawDocument) -> Result<Option<Vec<u8>>> {
    let Some(RawBsonRef::Int32(noun)) = get(body, "noun")? else { return Ok(None) };
    let Some(entry) = usize::try_from(noun).ok().and_then(|noun| ENTRIES.get(noun)) else { return Ok(None) };
    let text = |name| match context.get(name) {
        Ok(Some(RawBsonRef::String(text))) => Some(Text(text)),
        _ => None,
    };
    let Some(texts) = entry.fields.iter().map(|field| text(field.name)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut key = Vec::with_capacity(64);
    match_row(entry, &texts, &mut key)?;
    Ok(Some(key))
}

/// Whether the cache services know the id of a context already.
pub fn is_noted(store: &Connection, body: &RawDocument, context: &RawDocument, id: ObjectId) -> Outcome<bool> {
    match key_of(body, context)? {
        Some(key) => maps::holds(store, &key, id.to_hex().as_bytes()),
        None => Ok(false),
    }
}

/// Sees to it that they do; false where it is the caller's to tell them.
pub fn note(store: &Connection, body: &RawDocument, context: &RawDocument, id: ObjectId) -> Outcome<bool> {
    let Some(key) = key_of(body, context)? else { return Ok(false) };
    maps::run(store, &maps::Ask::Refresh(key, id.to_hex().into_bytes()), 0)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::store::maps::{Ask, Told};
    use crate::store::testing::store;

    /// The noun of signals.
    fn noun() -> i32 {
        i32::try_from(ENTRIES.iter().position(|entry| entry.service.prefix == "signal_cache").unwrap()).unwrap()
    }

    #[test]
    fn an_id_is_noted_under_the_key_of_the_cache_service() {
        let (_folder, store) = store();
        let id = ObjectId::from_bytes([7; 12]);
        let context = rawdoc! { "symbol": "S", "strategyName": "s", "exchangeName": "e" };
        let body = rawdoc! { "noun": noun() };
        assert!(!is_noted(&store, &body, &context, id).unwrap());
        assert!(note(&store, &body, &context, id).unwrap());
        assert!(is_noted(&store, &body, &context, id).unwrap());
        assert!(!is_noted(&store, &body, &context, ObjectId::from_bytes([8; 12])).unwrap());
        let told = maps::run(&store, &Ask::Get(b"signal_cache:e:s:S".to_vec(), None), 0).unwrap();
        assert_eq!(told, Told::Text(id.to_hex().into_bytes()));
    }

    #[test]
    fn what_is_not_asked_for_or_not_text_is_the_callers() {
        let (_folder, store) = store();
        let id = ObjectId::from_bytes([7; 12]);
        let context = rawdoc! { "symbol": "S", "strategyName": "s", "exchangeName": "e" };
        assert!(!note(&store, &rawdoc! {}, &context, id).unwrap());
        assert!(!note(&store, &rawdoc! { "noun": 10_000 }, &context, id).unwrap());
        let odd = rawdoc! { "symbol": 5, "strategyName": "s", "exchangeName": "e" };
        assert!(!note(&store, &rawdoc! { "noun": noun() }, &odd, id).unwrap());
    }
}
