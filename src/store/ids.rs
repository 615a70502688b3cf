//! The keys under which the cache services know the ids of rows: where a row's context is plain text, its id is noted with the row
//! itself, which spares JavaScript a call of its own.

use std::sync::LazyLock;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::Connection;

use super::error::Outcome;
use super::key;
use super::maps;
use super::table::table;
use crate::error::Result;
use crate::mongo::document::get;
use crate::mongo::table::Type;
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

/// The key under which a noun's id is noted, of a context that is all text; none where it is not.
fn key_of_texts<'a>(entry: &Entry, text: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Vec<u8>>> {
    let Some(texts) = entry.fields.iter().map(|field| text(field.name).map(Text)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut key = Vec::with_capacity(64);
    match_row(entry, &texts, &mut key)?;
    Ok(Some(key))
}

/// The key of the context that a request is about, `{ k, noun? }`; none where it names no noun, or where not all of the context
/// is text.
pub fn key_of(body: &RawDocument, context: &RawDocument) -> Result<Option<Vec<u8>>> {
    let Some(RawBsonRef::Int32(noun)) = get(body, "noun")? else { return Ok(None) };
    let Some(entry) = usize::try_from(noun).ok().and_then(|noun| ENTRIES.get(noun)) else { return Ok(None) };
    key_of_texts(entry, |name| match context.get(name) {
        Ok(Some(RawBsonRef::String(text))) => Some(text),
        _ => None,
    })
}

/// Whether an id that is noted is that of a document.
#[must_use]
pub fn is_of(document: &RawDocument, noted: Option<&[u8]>) -> bool {
    matches!(document.get("_id"), Ok(Some(RawBsonRef::ObjectId(own))) if noted == Some(own.to_hex().as_bytes()))
}

/// The row of a context that is all text, in the order of the cache service's call, where that service knows the row's id already. None:
/// it takes a request to find the row, to note its id, or to say what is wrong.
pub fn known_row(store: &Connection, number: usize, noun: usize, context: &[String]) -> Outcome<Option<Vec<u8>>> {
    let table = table(number);
    let Some(entry) = ENTRIES.get(noun) else { return Ok(None) };
    let names = entry.noun.forms[0].args;
    let text =
        |name: &str| names.iter().zip(context).find(|(field, _)| field.name == name).map(|(_, text)| text.as_str());
    let Some(noted) = key_of_texts(entry, text)? else { return Ok(None) };
    let mut key = Vec::with_capacity(64);
    for field in table.collection.key {
        // Whatever else stands in a key is cast first.
        let Some(text) = text(field.name).filter(|_| field.kind == Type::Text) else { return Ok(None) };
        key::push(&mut key, Some(RawBsonRef::String(text)));
    }
    let Some((row, noted)) = table.by_key_noted(store, &key, &noted)? else { return Ok(None) };
    Ok(is_of(&row.document, noted.as_deref()).then(|| row.document.into_bytes()))
}

/// Sees to it that the cache services know an id under a key; `noted` is what they know, where it was looked at.
pub fn note(store: &Connection, key: Vec<u8>, noted: Option<&[u8]>, id: ObjectId) -> Outcome<()> {
    let id = id.to_hex().into_bytes();
    if noted != Some(&*id) {
        maps::run(store, &maps::Ask::Refresh(key, id), 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::mongo::table::COLLECTIONS;
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
        let key = key_of(&rawdoc! { "noun": noun() }, &context).unwrap().unwrap();
        let noted = || maps::run(&store, &Ask::Get(b"signal_cache:e:s:S".to_vec(), None), 0).unwrap();
        note(&store, key.clone(), None, id).unwrap();
        assert_eq!(noted(), Told::Text(id.to_hex().into_bytes()));
        let other = ObjectId::from_bytes([8; 12]);
        note(&store, key.clone(), Some(id.to_hex().as_bytes()), other).unwrap();
        assert_eq!(noted(), Told::Text(other.to_hex().into_bytes()));
        // What is known to be there is not written.
        note(&store, key, Some(id.to_hex().as_bytes()), id).unwrap();
        assert_eq!(noted(), Told::Text(other.to_hex().into_bytes()));
    }

    #[test]
    fn a_row_is_known_by_its_context_alone_as_long_as_its_id_is_noted() {
        let (_folder, store) = store();
        let number = COLLECTIONS.iter().position(|collection| collection.stem == "signal").unwrap();
        let noun = usize::try_from(noun()).unwrap();
        let context = ["S", "s", "e"].map(str::to_owned);
        let known = |context: &[String]| known_row(&store, number, noun, context).unwrap();
        assert_eq!(known(&context), None);
        let id = ObjectId::from_bytes([7; 12]);
        let row = rawdoc! { "_id": id, "exchangeName": "e", "strategyName": "s", "symbol": "S", "payload": { "n": 1 } };
        table(number).insert(&store, &row).unwrap();
        assert_eq!(known(&context), None, "nobody has noted its id");
        note(&store, b"signal_cache:e:s:S".to_vec(), None, id).unwrap();
        assert_eq!(known(&context).as_deref(), Some(row.as_bytes()));
        assert_eq!(known(&["T", "s", "e"].map(str::to_owned)), None);
        assert_eq!(known(&context[..2]), None);
        let key = b"signal_cache:e:s:S".to_vec();
        maps::run(&store, &Ask::Set(key.clone(), id.to_hex().into_bytes(), Some(60)), maps::now()).unwrap();
        assert_eq!(known(&context), None, "an id that ends is noted anew");
        let other = ObjectId::from_bytes([8; 12]).to_hex().into_bytes();
        maps::run(&store, &Ask::Set(key, other, None), 0).unwrap();
        assert_eq!(known(&context), None, "the id of another row");
    }

    #[test]
    fn what_is_not_asked_for_or_not_text_is_the_callers() {
        let context = rawdoc! { "symbol": "S", "strategyName": "s", "exchangeName": "e" };
        assert_eq!(key_of(&rawdoc! {}, &context).unwrap(), None);
        assert_eq!(key_of(&rawdoc! { "noun": 10_000 }, &context).unwrap(), None);
        let odd = rawdoc! { "symbol": 5, "strategyName": "s", "exchangeName": "e" };
        assert_eq!(key_of(&rawdoc! { "noun": noun() }, &odd).unwrap(), None);
    }
}
