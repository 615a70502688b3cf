//! Writes of rows.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;

use super::bson::{Refusal, UpdateOptions, apply_update};
use super::error::{Outcome, damaged};
use super::fields;
use super::ids;
use super::rows::{Found, Rows};
use crate::error::{Code, Error};
use crate::mongo::cast;
use crate::mongo::conflict::DUPLICATE;
use crate::mongo::crud;
use crate::mongo::document::{self, Millis, entries, get, identity, part};
use crate::mongo::failure::{Failure, Server};
use crate::mongo::table::{COMMON, Collection};
use crate::mongo::update;
use crate::mongo::wire::Answer;

/// MongoDB cannot put a field into a value that is no document.
const PATH_NOT_VIABLE: i32 = 28;
/// Its codes of documents that are too large: of an insert, an update, an upsert that inserts, and beyond its memory.
const TOO_LARGE_INSERT: i32 = 2;
const TOO_LARGE_UPDATE: i32 = 17_419;
const TOO_LARGE_UPSERT: i32 = 17_420;
const TOO_LARGE: i32 = 10_334;

/// The most bytes of a document in MongoDB.
const LARGEST: usize = 16 * 1024 * 1024;
/// So much more fits into its memory, so it is refused later, and in other words.
const SPARE: usize = 16 * 1024;

/// An update that is not carried out: as MongoDB refuses it, or as a value that only we do not take.
fn refused(refusal: Refusal) -> Failure {
    refusal.into_failure(Code::MongoWrite)
}

fn too_large(code: i32, message: String) -> Failure {
    refused(Refusal { code: Some(code), message })
}

/// Refuses a document that MongoDB does not take, with the code that it has for it.
fn check_size(document: &RawDocument, code: i32, what: &str) -> Outcome<()> {
    let size = document.as_bytes().len();
    if size <= LARGEST { Ok(()) } else { Err(too_large(code, format!("{what}{LARGEST}"))) }
}

/// A value in the words of MongoDB's error of a duplicate key.
fn shown(value: Option<RawBsonRef<'_>>) -> String {
    match value {
        None => "null".to_owned(),
        Some(RawBsonRef::ObjectId(id)) => format!("ObjectId('{}')", id.to_hex()),
        Some(RawBsonRef::String(text)) => format!("{text:?}"),
        Some(RawBsonRef::Double(number)) => format!("{number:?}"),
        Some(other) => Bson::try_from(RawBson::from(other)).map_or_else(|_| "?".to_owned(), |value| value.to_string()),
    }
}

/// What MongoDB says of a document whose unique fields somebody else has.
fn duplicate(collection: &Collection, names: &[&'static str], document: &RawDocument) -> Failure {
    let fields: Vec<_> = names.iter().map(|name| (*name, 1)).collect();
    let index = if names == ["_id"] { "_id_".to_owned() } else { Collection::index_name(&fields) };
    let (mut pattern, mut values, mut shown_values) = (RawDocumentBuf::new(), RawDocumentBuf::new(), Vec::new());
    for name in names {
        let Some(field) = collection.field(name) else { continue };
        let value = document.get(*name).ok().flatten();
        pattern.append(field.key, 1_i32);
        values.append(field.key, value.map_or(RawBson::Null, RawBson::from));
        shown_values.push(format!("{name}: {}", shown(value)));
    }
    let message = format!(
        "E11000 duplicate key error collection: {} index: {index} dup key: {{ {} }}",
        collection.name,
        shown_values.join(", ")
    );
    let server = Server {
        code: DUPLICATE,
        name: "DuplicateKey".to_owned(),
        key_pattern: Some(pattern),
        key_value: Some(values),
    };
    Failure { server: Some(Box::new(server)), ..Error::new(Code::MongoWrite, message).into() }
}

/// Whether two documents have the same `_id`.
fn same_id(a: &RawDocument, b: &RawDocument) -> bool {
    super::key::of(a.get("_id").ok().flatten()) == super::key::of(b.get("_id").ok().flatten())
}

/// Refuses a document whose key or `_id` another row has; `own` is the row that it takes the place of.
fn check_free(rows: &Rows<'_>, document: &RawDocument, own: Option<&RawDocument>) -> Outcome<()> {
    let collection = rows.table.collection;
    let id = document.get("_id").ok().flatten().ok_or_else(|| damaged("a document has no _id"))?;
    if own.is_none() && rows.by_id(id)?.is_some() {
        return Err(duplicate(collection, &["_id"], document));
    }
    if let Some(other) = rows.like(document)?
        && !own.is_some_and(|own| same_id(own, &other.document()))
    {
        let names: Vec<_> = collection.key.iter().map(|field| field.name).collect();
        return Err(duplicate(collection, &names, document));
    }
    Ok(())
}

/// The document after an update.
fn updated(before: Document, change: &RawDocument, is_insert: bool, now: Millis) -> Outcome<RawDocumentBuf> {
    let after = apply_update(before, change, UpdateOptions { is_insert, now }).map_err(refused)?;
    let after = RawDocumentBuf::try_from(&after).map_err(|error| Error::new(Code::InvalidValue, error.to_string()))?;
    let size = after.as_bytes().len();
    if is_insert {
        check_size(&after, TOO_LARGE_UPSERT, "Document to upsert is larger than ")?;
    } else if size > LARGEST + SPARE {
        let most = LARGEST + SPARE;
        let message = format!("BSONObj size: {size} (0x{size:X}) is invalid. Size must be between 0 and {most}(16MB)");
        return Err(too_large(TOO_LARGE, message));
    } else {
        check_size(&after, TOO_LARGE_UPDATE, "Resulting document after update is larger than ")?;
    }
    Ok(after)
}

fn owned(document: &RawDocument) -> Outcome<Document> {
    Document::try_from(document).map_err(|error| damaged(&error.to_string()))
}

/// Changes a row that was found; the document afterwards.
fn change_found(rows: &Rows<'_>, found: &Found, change: &RawDocument, now: Millis) -> Outcome<RawDocumentBuf> {
    if let Found::Row(row) = found
        && let Some(after) = fields::replaced(&row.document, change, |name| rows.table.is_fixed(name))
        && rows.table.rewrite(rows.store(), row.place, &after)?
    {
        return Ok(after);
    }
    let before = found.document();
    let after = updated(owned(&before)?, change, false, now)?;
    let (old, new) =
        (super::key::unique(rows.table.collection, &before), super::key::unique(rows.table.collection, &after));
    if old != new {
        check_free(rows, &after, Some(&before))?;
    }
    rows.replace(found, &after)?;
    Ok(after)
}

/// The document that an upsert makes of a key: what MongoDB makes of the filter's equalities, in the order of their names.
fn made(key: &RawDocument, change: &RawDocument, now: Millis) -> Outcome<RawDocumentBuf> {
    let mut document = Document::new();
    document.insert("_id", ObjectId::new());
    let mut fields = entries(key).collect::<Result<Vec<_>, _>>()?;
    fields.sort_by_key(|(name, _)| *name);
    for (name, value) in fields {
        if !matches!(value, RawBsonRef::Document(_)) {
            let value = Bson::try_from(RawBson::from(value)).map_err(|error| damaged(&error.to_string()))?;
            document.insert(name, value);
        }
    }
    updated(document, change, true, now)
}

fn identified(key: &RawDocument, row: &RawDocument) -> Outcome<Answer> {
    match get(row, "_id")? {
        Some(RawBsonRef::ObjectId(id)) => Ok(Answer::document(&identity(key, id))),
        // A row of somebody else's making, whose id no cache can name.
        _ => Ok(Answer::None),
    }
}

/// Writes a row of a key; the answer is its identity, or nothing where its id is noted already.
pub fn upsert(store: &Connection, number: usize, body: &RawDocument, now: Millis) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let collection = rows.table.collection;
    let key = document::key(collection, part(body, "k")?)?;
    let change = document::upsert(collection, part(body, "v")?, now)?;
    let id_key = ids::key_of(body, &key)?;
    let found = rows.by_key_noted(&key, id_key.as_deref())?;
    let row = if let Some((found, _)) = &found {
        change_found(&rows, found, &change, now)?
    } else {
        let row = made(&key, &change, now)?;
        // What was asked for as absent and not found may have the key all the same: null is absent there.
        if entries(&key).any(|entry| matches!(entry, Ok((_, RawBsonRef::Document(_))))) {
            check_free(&rows, &row, None)?;
        }
        rows.insert(&row)?;
        row
    };
    match (row.get("_id"), id_key) {
        (Ok(Some(RawBsonRef::ObjectId(id))), Some(id_key)) => {
            ids::note(store, id_key, found.and_then(|(_, noted)| noted).as_deref(), id)?;
            Ok(Answer::None)
        }
        _ => identified(&key, &row),
    }
}

/// Marks a row as removed; it makes none.
pub fn soft_remove(store: &Connection, number: usize, body: &RawDocument, now: Millis) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let key = document::key(rows.table.collection, part(body, "k")?)?;
    let Some(found) = rows.by_key(&key)? else { return Ok(Answer::None) };
    let mut row = change_found(&rows, &found, &document::soft_remove(true, now), now);
    if row.as_ref().is_err_and(|failure| failure.server_code() == PATH_NOT_VIABLE) {
        row = change_found(&rows, &found, &document::soft_remove(false, now), now);
    }
    identified(&key, &row?)
}

/// `BaseCRUD.create`
pub fn insert(store: &Connection, number: usize, body: &RawDocument, now: Millis) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let row = crud::insert(rows.table.collection, part(body, "dto")?, ObjectId::new(), now)?;
    let mut stored = RawDocumentBuf::new();
    // MongoDB puts `_id` first.
    stored.append(cstr!("_id"), get(&row, "_id")?.map_or(RawBson::Null, RawBson::from));
    for entry in entries(&row) {
        let (name, value) = entry?;
        if name != "_id" {
            stored.append(document::key_name(name)?, RawBson::from(value));
        }
    }
    let size = format!("object to insert too large. size in bytes: {}, max size: ", stored.as_bytes().len());
    check_size(&stored, TOO_LARGE_INSERT, &size)?;
    check_free(&rows, &stored, None)?;
    rows.insert(&stored)?;
    Ok(Answer::Documents(row.into_bytes()))
}

/// `BaseCRUD.update`
pub fn change(store: &Connection, number: usize, body: &RawDocument, now: Millis) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let collection = rows.table.collection;
    let id = cast::cast(collection, &COMMON[0], get(body, "id")?.unwrap_or(RawBsonRef::Null))?;
    let change = update::change(collection, part(body, "dto")?, now)?;
    match rows.by_id(id.as_raw_bson_ref())? {
        Some(found) => Ok(Answer::Documents(change_found(&rows, &found, &change, now)?.into_bytes())),
        None => Ok(Answer::None),
    }
}

/// `candleDbService.create`: a candle that is there stays as it is, but for the date of its update.
pub fn candle(store: &Connection, number: usize, body: &RawDocument, now: Millis) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let collection = rows.table.collection;
    let dto = part(body, "dto")?;
    let key = document::candle_key(collection, dto)?;
    let change = document::candle(collection, dto, now)?;
    let row = if let Some(found) = rows.by_key(&key)? {
        change_found(&rows, &found, &change, now)?
    } else {
        let row = document::new_candle(collection, dto, ObjectId::new(), now)?;
        rows.insert(&row)?;
        row
    };
    Ok(Answer::Documents(row.into_bytes()))
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
