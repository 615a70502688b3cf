//! The documents and updates that are written.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{CStr, CString, cstr};
use mongodb::bson::{DateTime, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};
use crate::mongo::cast::{cast, key_part};
use crate::mongo::table::{Collection, Default, Field};

/// The time at which documents are written, in milliseconds since 1970.
pub type Millis = i64;

/// Intervals that candles may have, and their length in milliseconds.
pub const INTERVALS: &[(&str, i64)] = &[
    ("1m", 60_000),
    ("3m", 180_000),
    ("5m", 300_000),
    ("15m", 900_000),
    ("30m", 1_800_000),
    ("1h", 3_600_000),
    ("2h", 7_200_000),
    ("4h", 14_400_000),
    ("6h", 21_600_000),
    ("8h", 28_800_000),
    ("1d", 86_400_000),
];

/// The exchange of candles that name none: the original's constant.
pub const EXCHANGE: &str = "ccxt_binance";

pub(super) fn malformed(error: &mongodb::bson::error::Error) -> Error {
    Error::new(Code::InvalidValue, format!("the value is not valid BSON: {error}"))
}

/// A field of a document; what cannot be read is an error.
pub fn get<'a>(document: &'a RawDocument, name: &str) -> Result<Option<RawBsonRef<'a>>> {
    document.get(name).map_err(|error| malformed(&error))
}

/// A document within a document; absent is empty.
pub fn part<'a>(document: &'a RawDocument, name: &str) -> Result<&'a RawDocument> {
    static EMPTY: [u8; 5] = [5, 0, 0, 0, 0];
    match get(document, name)? {
        Some(RawBsonRef::Document(part)) => Ok(part),
        _ => RawDocument::from_bytes(&EMPTY).map_err(|error| malformed(&error)),
    }
}

/// The most levels of a request, its own among them. A server takes 180 of a document, and what turns documents over in
/// our memory makes a call for each.
const LEVELS: usize = 200;
/// The least bytes of a level: its length, its end, and the type and the empty name of the element that holds the next one.
const LEVEL_BYTES: usize = 7;

/// Refuses a request that is nested so deeply that no server would take it, and that the stack might not hold.
pub fn check_depth(body: &RawDocument) -> Result<()> {
    fn level(values: &RawDocument, depth: usize) -> Result<()> {
        if depth > LEVELS {
            let message = "the value is nested too deeply: MongoDB takes no more than 180 levels";
            return Err(Error::new(Code::InvalidValue, message));
        }
        for entry in entries(values) {
            match entry?.1 {
                RawBsonRef::Document(inner) => level(inner, depth + 1)?,
                RawBsonRef::Array(inner) => {
                    level(RawDocument::from_bytes(inner.as_bytes()).map_err(|error| malformed(&error))?, depth + 1)?;
                }
                RawBsonRef::JavaScriptCodeWithScope(code) => level(code.scope, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }
    level(body, 1)
}

/// Whether a document has no room for as many levels as [`check_depth`] refuses.
#[must_use]
pub fn is_surely_shallow(body: &RawDocument) -> bool {
    body.as_bytes().len() < LEVELS * LEVEL_BYTES
}

/// Whether two documents are the same but for the place of `_id`, which the server puts first.
#[must_use]
pub fn same_row(a: &RawDocument, b: &RawDocument) -> bool {
    let rest = |row| entries(row).filter(|entry| !matches!(entry, Ok(("_id", _)))).collect::<Result<Vec<_>>>();
    matches!((get(a, "_id"), get(b, "_id")), (Ok(a), Ok(b)) if a == b)
        && matches!((rest(a), rest(b)), (Ok(a), Ok(b)) if a == b)
}

/// The fields of a document in their order.
pub fn entries(document: &RawDocument) -> impl Iterator<Item = Result<(&str, RawBsonRef<'_>)>> {
    document.iter().map(|entry| entry.map(|(name, value)| (name.as_str(), value)).map_err(|error| malformed(&error)))
}

/// A name from a user as a key of a document.
pub fn key_name(name: &str) -> Result<CString> {
    CString::try_from(name).map_err(|error| malformed(&error))
}

/// The key of a row, cast, as it stands in filters: fields in the order of the unique index. A session that was asked
/// for with three arguments is one that lacks the other two.
pub fn key(collection: &Collection, args: &RawDocument) -> Result<RawDocumentBuf> {
    let mut key = RawDocumentBuf::new();
    let old =
        collection.old_key.filter(|_| collection.stem == "session" && get(args, "symbol").is_ok_and(|s| s.is_none()));
    for field in collection.key {
        match old {
            Some(fields) if !fields.contains(&field.name) => {
                let mut absent = RawDocumentBuf::new();
                absent.append(cstr!("$exists"), false);
                key.append(field.key, absent);
            }
            _ => key.append(field.key, key_part(collection, field, get(args, field.name)?)?),
        }
    }
    Ok(key)
}

/// Whether a document that was found by its id is the one that was asked for.
#[must_use]
pub fn matches(document: &RawDocument, key: &RawDocument) -> bool {
    entries(key).all(|entry| {
        let Ok((name, asked)) = entry else { return false };
        match (document.get(name), asked) {
            (Ok(None), RawBsonRef::Document(_)) => true,
            (Ok(Some(_)), RawBsonRef::Document(_)) | (Ok(None) | Err(_), _) => false,
            (Ok(Some(stored)), asked) => same(stored, asked),
        }
    })
}

/// Equality as filters see it: numbers by value.
fn same(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> bool {
    let number = |value: RawBsonRef<'_>| match value {
        RawBsonRef::Int32(n) => Some(f64::from(n)),
        #[allow(clippy::cast_precision_loss, reason = "timestamps are exact")]
        RawBsonRef::Int64(n) => Some(n as f64),
        RawBsonRef::Double(n) => Some(n),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq() || (a == 0.0 && b == 0.0),
        _ => a == b,
    }
}

/// The key alone, with the id, as a row's id is stored in the cache.
#[must_use]
pub fn identity(key: &RawDocument, id: ObjectId) -> RawDocumentBuf {
    let mut row = RawDocumentBuf::new();
    row.append(cstr!("_id"), id);
    for (name, value) in entries(key).flatten() {
        if !matches!(value, RawBsonRef::Document(_))
            && let Ok(name) = <&CStr>::try_from(name)
        {
            row.append(name, RawBson::from(value));
        }
    }
    row
}

/// What an insert stores of a field that it does not name.
#[must_use]
pub fn default_of(field: &Field) -> Option<RawBson> {
    match field.default {
        Default::None => None,
        Default::Document => Some(RawBson::Document(RawDocumentBuf::new())),
        Default::List => Some(RawBson::Array(RawArrayBuf::new())),
        Default::False => Some(RawBson::Boolean(false)),
    }
}

/// `removed` as the payload says; null and no payload are no payloads that could say it.
fn removed<'a>(collection: &Collection, payload: Option<RawBsonRef<'a>>) -> Result<Option<RawBsonRef<'a>>> {
    match payload {
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => {
            let message = format!("{}: payload is null or undefined; it must be an object", collection.name);
            Err(Error::new(Code::InvalidValue, message))
        }
        Some(RawBsonRef::Document(payload)) => get(payload, "removed"),
        Some(_) => Ok(None),
    }
}

/// The update of an upsert: what is always set, and what only an insert sets.
pub fn upsert(collection: &Collection, values: &RawDocument, now: Millis) -> Result<RawDocumentBuf> {
    let mut set = RawDocumentBuf::new();
    let mut on_insert = created(now);
    for field in collection.rest {
        let mut value = get(values, field.name)?;
        if field.name == "removed" {
            value = removed(collection, get(values, "payload")?)?;
        }
        if field.name == "when" && matches!(value, None | Some(RawBsonRef::Null)) {
            return Err(Error::new(Code::InvalidValue, format!("{}: when must be a Date", collection.name)));
        }
        match (value, default_of(field)) {
            (Some(value), _) => set.append(field.key, cast(collection, field, value)?),
            (None, Some(default)) => on_insert.append(field.key, default),
            (None, None) => {}
        }
    }
    set.append(cstr!("updatedDate"), DateTime::from_millis(now));
    Ok(update(on_insert, set))
}

fn created(now: Millis) -> RawDocumentBuf {
    let mut on_insert = RawDocumentBuf::new();
    on_insert.append(cstr!("__v"), 0_i32);
    on_insert.append(cstr!("createDate"), DateTime::from_millis(now));
    on_insert
}

fn update(on_insert: RawDocumentBuf, set: RawDocumentBuf) -> RawDocumentBuf {
    let mut update = RawDocumentBuf::new();
    update.append(cstr!("$setOnInsert"), on_insert);
    update.append(cstr!("$set"), set);
    update
}

/// The update of `softRemove`. A payload that is null has no place for the mark.
#[must_use]
pub fn soft_remove(with_payload: bool, now: Millis) -> RawDocumentBuf {
    let mut set = RawDocumentBuf::new();
    set.append(cstr!("removed"), true);
    if with_payload {
        set.append(cstr!("payload.removed"), true);
    }
    set.append(cstr!("updatedDate"), DateTime::from_millis(now));
    let mut update = RawDocumentBuf::new();
    update.append(cstr!("$set"), set);
    update
}

/// The key of a candle's dto: without an exchange, it is the original's constant.
pub fn candle_key(collection: &Collection, dto: &RawDocument) -> Result<RawDocumentBuf> {
    if matches!(get(dto, "exchangeName")?, Some(value) if value != RawBsonRef::Null) {
        return key(collection, dto);
    }
    let mut named = RawDocumentBuf::new();
    for entry in entries(dto) {
        let (name, value) = entry?;
        if name != "exchangeName" {
            named.append(key_name(name)?, RawBson::from(value));
        }
    }
    named.append(cstr!("exchangeName"), EXCHANGE);
    key(collection, &named)
}

/// The update of a candle: nothing of it changes once it is there, but for `updatedDate`.
pub fn candle(collection: &Collection, dto: &RawDocument, now: Millis) -> Result<RawDocumentBuf> {
    let mut on_insert = RawDocumentBuf::new();
    for field in collection.rest {
        if let Some(value) = get(dto, field.name)? {
            on_insert.append(field.key, cast(collection, field, value)?);
        }
    }
    on_insert.append(cstr!("__v"), 0_i32);
    on_insert.append(cstr!("createDate"), DateTime::from_millis(now));
    let mut set = RawDocumentBuf::new();
    set.append(cstr!("updatedDate"), DateTime::from_millis(now));
    Ok(update(on_insert, set))
}

/// The whole document of a new candle, in the order in which the server stores an upsert.
pub fn new_candle(collection: &Collection, dto: &RawDocument, id: ObjectId, now: Millis) -> Result<RawDocumentBuf> {
    let key = candle_key(collection, dto)?;
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), id);
    for name in [cstr!("exchangeName"), cstr!("interval"), cstr!("symbol"), cstr!("timestamp")] {
        if let Some(value) = get(&key, name.as_str())? {
            document.append(name, RawBson::from(value));
        }
    }
    document.append(cstr!("__v"), 0_i32);
    let number = |document: &mut RawDocumentBuf, name: &str| -> Result<()> {
        if let (Some(value), Some(field)) = (get(dto, name)?, collection.value(name)) {
            document.append(field.key, cast(collection, field, value)?);
        }
        Ok(())
    };
    number(&mut document, "close")?;
    document.append(cstr!("createDate"), DateTime::from_millis(now));
    for name in ["high", "low", "open"] {
        number(&mut document, name)?;
    }
    document.append(cstr!("updatedDate"), DateTime::from_millis(now));
    number(&mut document, "volume")?;
    Ok(document)
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
