//! Rows on their way from one store into another: pages in the order of their keys, and what becomes of a row that meets another
//! of its key.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Code, Error, Result};
use crate::mongo::document::{entries, get, key_name};
use crate::mongo::table::Collection;
use crate::mongo::wire::Answer;

/// The most rows of a page.
pub const ROWS: usize = 10_000;
/// A page that is as large as this ends, whatever it holds.
pub const BYTES: usize = 2 * 1024 * 1024;

/// A page of rows, with where the next one begins.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    count: usize,
}

impl Page {
    /// Whether it takes no more.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count >= ROWS || self.bytes.len() >= BYTES
    }

    /// Adds a row.
    pub fn push(&mut self, row: &RawDocument) {
        self.bytes.extend_from_slice(row.as_bytes());
        self.count += 1;
    }

    /// The answer: `{ after }`, which is null at the end, and then the rows.
    #[must_use]
    pub fn into_answer(self, after: Option<RawDocumentBuf>) -> Answer {
        let mut head = RawDocumentBuf::new();
        head.append(cstr!("after"), after.map_or(RawBson::Null, RawBson::Document));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.bytes);
        Answer::Documents(bytes)
    }
}

/// Where a page begins: after the row with these fields of the key; none: at the beginning.
pub fn after(body: &RawDocument) -> Result<Option<&RawDocument>> {
    match get(body, "after")? {
        Some(RawBsonRef::Document(after)) => Ok(Some(after)),
        _ => Ok(None),
    }
}

/// The key of a row, by which its page is found again.
#[must_use]
pub fn place_of(collection: &Collection, row: &RawDocument) -> RawDocumentBuf {
    let mut place = RawDocumentBuf::new();
    for field in collection.key {
        if let Ok(Some(value)) = row.get(field.name) {
            place.append(field.key, RawBson::from(value));
        }
    }
    place
}

/// The filter of the rows whose keys come after a place, in the order of the unique index. Absent fields come first there.
#[must_use]
pub fn beyond(collection: &Collection, place: &RawDocument) -> RawDocumentBuf {
    let mut branches = RawArrayBuf::new();
    for (depth, last) in collection.key.iter().enumerate() {
        let mut branch = RawDocumentBuf::new();
        for field in &collection.key[..depth] {
            branch.append(field.key, place.get(field.name).ok().flatten().map_or(RawBson::Null, RawBson::from));
        }
        match place.get(last.name).ok().flatten() {
            None | Some(RawBsonRef::Null) => branch.append(last.key, rawdoc! { "$ne": RawBson::Null }),
            Some(value) => {
                let mut greater = RawDocumentBuf::new();
                greater.append(cstr!("$gt"), RawBson::from(value));
                branch.append(last.key, greater);
            }
        }
        branches.push(branch);
    }
    rawdoc! { "$or": branches }
}

/// The rows of a request `{ rows }`: documents, one after the other, each with an `_id`.
pub fn rows(body: &RawDocument) -> Result<Vec<&RawDocument>> {
    let malformed = || Error::new(Code::InvalidValue, "the rows are malformed");
    let Some(RawBsonRef::Binary(given)) = get(body, "rows")? else { return Err(malformed()) };
    split(given.bytes)
}

/// Documents that stand one after the other.
pub fn split(mut rest: &[u8]) -> Result<Vec<&RawDocument>> {
    let malformed = || Error::new(Code::InvalidValue, "the rows are malformed");
    let mut rows = Vec::new();
    while let Some(length) = rest.first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (row, others) = rest.split_at_checked(length).ok_or_else(malformed)?;
        let row = RawDocument::from_bytes(row).map_err(|_| malformed())?;
        get(row, "_id")?.ok_or_else(malformed)?;
        rows.push(row);
        rest = others;
    }
    if rest.is_empty() { Ok(rows) } else { Err(malformed()) }
}

/// Bytes of a digest.
pub const DIGEST: usize = 32;

/// Rows by what they are: 16 bytes that rows of one key share, and 16 of all that a copy takes over. That leaves out `_id` and
/// `createDate`, which stay where a row is there, of candles also `updatedDate`; `whole` takes them in. The order of fields is
/// none of it, but that of documents within them is.
pub fn digests(collection: &Collection, rows: &[&RawDocument], whole: bool) -> Result<Vec<u8>> {
    let is_candle = collection.stem == "candle";
    let left_out =
        |name: &str| !whole && (matches!(name, "_id" | "createDate") || (is_candle && name == "updatedDate"));
    let mut digests = Vec::with_capacity(rows.len() * DIGEST);
    let mut bytes = Vec::new();
    for row in rows {
        bytes.clear();
        for field in collection.key {
            push_value(&mut bytes, get(row, field.name)?);
        }
        digests.extend_from_slice(&xxh3_128(&bytes).to_le_bytes());
        let mut content = 0_u128;
        for entry in entries(row) {
            let (name, value) = entry?;
            if !left_out(name) {
                bytes.clear();
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
                push_value(&mut bytes, Some(value));
                content = content.wrapping_add(xxh3_128(&bytes));
            }
        }
        digests.extend_from_slice(&content.to_le_bytes());
    }
    Ok(digests)
}

/// A value as bytes that tell it from every other one. A number counts by its value, as everywhere in MongoDB.
fn push_value(out: &mut Vec<u8>, value: Option<RawBsonRef<'_>>) {
    let number = |out: &mut Vec<u8>, n: f64| {
        out.push(1);
        // 0 beside -0.
        out.extend_from_slice(&(n + 0.0).to_le_bytes());
    };
    match value {
        None => out.push(0),
        Some(RawBsonRef::Double(n)) => number(out, n),
        Some(RawBsonRef::Int32(n)) => number(out, f64::from(n)),
        Some(RawBsonRef::String(text)) => {
            out.push(2);
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Some(other) => {
            out.push(3);
            let mut alone = RawDocumentBuf::new();
            alone.append(cstr!(""), RawBson::from(other));
            out.extend_from_slice(alone.as_bytes());
        }
    }
}

/// The id of a row; none where it is of another type.
#[must_use]
pub fn id_of(row: &RawDocument) -> Option<ObjectId> {
    match row.get("_id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => Some(id),
        _ => None,
    }
}

fn updated(row: &RawDocument) -> Option<DateTime> {
    match row.get("updatedDate") {
        Ok(Some(RawBsonRef::DateTime(date))) => Some(date),
        _ => None,
    }
}

/// Whether a row that comes takes the place of the one that is there.
#[must_use]
pub fn is_newer(there: &RawDocument, comes: &RawDocument) -> bool {
    updated(comes) > updated(there)
}

/// The row that comes in place of the one that is there, whose `_id` and `createDate` stay.
pub fn in_place(there: &RawDocument, comes: &RawDocument) -> Result<RawDocumentBuf> {
    let mut row = RawDocumentBuf::new();
    for entry in entries(comes) {
        let (name, value) = entry?;
        let kept = if matches!(name, "_id" | "createDate") { get(there, name)? } else { None };
        row.append(key_name(name)?, RawBson::from(kept.unwrap_or(value)));
    }
    if get(comes, "createDate")?.is_none()
        && let Some(date) = get(there, "createDate")?
    {
        row.append(cstr!("createDate"), RawBson::from(date));
    }
    Ok(row)
}

/// A row under another id.
pub fn under(id: ObjectId, row: &RawDocument) -> Result<RawDocumentBuf> {
    let mut renamed = RawDocumentBuf::new();
    for entry in entries(row) {
        let (name, value) = entry?;
        renamed.append(key_name(name)?, if name == "_id" { RawBson::ObjectId(id) } else { RawBson::from(value) });
    }
    Ok(renamed)
}

/// What became of rows, in their order.
#[derive(Debug)]
pub struct Merged {
    ids: Vec<u8>,
    new: i32,
    newer: i32,
    kept: i32,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// There was none of its key.
    New,
    /// It took the place of an older one.
    Newer,
    /// The one that was there stays.
    Kept,
}

impl Merged {
    /// Of so many rows, none of which has an id that is known.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { ids: vec![0; count * 12], new: 0, newer: 0, kept: 0 }
    }

    /// So many rows more that have that fate.
    pub fn count(&mut self, fate: Fate, rows: usize) {
        let counter = match fate {
            Fate::New => &mut self.new,
            Fate::Newer => &mut self.newer,
            Fate::Kept => &mut self.kept,
        };
        *counter += i32::try_from(rows).unwrap_or(i32::MAX);
    }

    /// The id that stands for a row now.
    pub fn stands(&mut self, place: usize, id: Option<ObjectId>) {
        if let (Some(id), Some(bytes)) = (id, self.ids.get_mut(place * 12..place * 12 + 12)) {
            bytes.copy_from_slice(&id.bytes());
        }
    }

    /// The same of one row, with its fate.
    pub fn tell(&mut self, place: usize, fate: Fate, id: Option<ObjectId>) {
        self.count(fate, 1);
        self.stands(place, id);
    }

    /// The answer: `{ new, newer, kept, ids }`; ids are 12 bytes each, zeros where a row has none that a cache could name.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        let mut answer = RawDocumentBuf::new();
        answer.append(cstr!("new"), self.new);
        answer.append(cstr!("newer"), self.newer);
        answer.append(cstr!("kept"), self.kept);
        answer.append(cstr!("ids"), Binary { subtype: BinarySubtype::Generic, bytes: self.ids });
        Answer::Documents(answer.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mongo::table::COLLECTIONS;

    fn row(updated: i64) -> RawDocumentBuf {
        rawdoc! { "_id": ObjectId::from_bytes([1; 12]), "createDate": DateTime::from_millis(1), "n": 1, "updatedDate": DateTime::from_millis(updated) }
    }

    #[test]
    fn the_newer_row_wins_and_id_and_first_date_stay() {
        let (there, mut comes) =
            (row(5), rawdoc! { "_id": 7, "n": 2, "createDate": DateTime::from_millis(9), "removed": true });
        assert!(!is_newer(&there, &comes));
        comes.append(cstr!("updatedDate"), DateTime::from_millis(6));
        assert!(is_newer(&there, &comes));
        assert!(!is_newer(&there, &there));
        assert!(is_newer(&rawdoc! { "_id": 1 }, &there));
        let expected = rawdoc! {
            "_id": ObjectId::from_bytes([1; 12]), "n": 2, "createDate": DateTime::from_millis(1), "removed": true,
            "updatedDate": DateTime::from_millis(6)
        };
        assert_eq!(in_place(&there, &comes).unwrap(), expected);
        assert_eq!(
            in_place(&there, &rawdoc! { "_id": 7 }).unwrap().get_datetime("createDate").unwrap(),
            DateTime::from_millis(1)
        );
        assert_eq!(
            under(ObjectId::from_bytes([2; 12]), &there).unwrap().get_object_id("_id").unwrap(),
            ObjectId::from_bytes([2; 12])
        );
    }

    #[test]
    fn what_comes_after_a_place_is_asked_field_by_field() {
        let session = COLLECTIONS.iter().find(|one| one.stem == "session").unwrap();
        let place = rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f" };
        let filter = beyond(session, &place);
        let branches: Vec<_> = filter.get_array("$or").unwrap().into_iter().flatten().collect();
        assert_eq!(branches.len(), 5);
        assert_eq!(branches[0].as_document().unwrap(), &*rawdoc! { "strategyName": { "$gt": "s" } });
        let absent =
            rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f", "symbol": { "$ne": RawBson::Null } };
        assert_eq!(branches[3].as_document().unwrap(), &*absent);
    }

    #[test]
    fn digests_tell_rows_apart_and_leave_out_what_a_copy_leaves_alone() {
        let signal = COLLECTIONS.iter().find(|one| one.stem == "signal").unwrap();
        let digest = |row: &RawDocument, whole| digests(signal, &[row], whole).unwrap();
        let one = rawdoc! { "_id": 1, "symbol": "S", "payload": { "a": 1 }, "n": 5, "createDate": 1 };
        let same = rawdoc! { "_id": 2, "createDate": 2, "payload": { "a": 1 }, "n": 5.0, "symbol": "S" };
        assert_eq!(digest(&one, false), digest(&same, false));
        assert_ne!(digest(&one, true), digest(&same, true));
        for other in [
            rawdoc! { "symbol": "S", "payload": { "a": 2 }, "n": 5 },
            rawdoc! { "symbol": "S", "payload": { "a": 1 }, "n": "5" },
            rawdoc! { "symbol": "S", "payload": { "a": 1 } },
            rawdoc! { "symbol": "S", "payload": 5, "n": { "a": 1 } },
        ] {
            assert_eq!(digest(&other, false)[..16], digest(&one, false)[..16]);
            assert_ne!(digest(&other, false)[16..], digest(&one, false)[16..], "{other:?}");
        }
        let elsewhere = rawdoc! { "symbol": "T" };
        assert_ne!(digest(&elsewhere, false)[..16], digest(&one, false)[..16]);
    }

    #[test]
    fn rows_that_are_cut_off_are_refused() {
        let body = |bytes: &[u8]| rawdoc! { "rows": Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() } };
        let two = [row(1).into_bytes(), row(2).into_bytes()].concat();
        assert_eq!(rows(&body(&two)).unwrap().len(), 2);
        for length in 1..two.len() {
            if length != two.len() / 2 {
                assert_eq!(rows(&body(&two[..length])).unwrap_err().code, Code::InvalidValue, "{length}");
            }
        }
        assert_eq!(rows(&body(&RawDocumentBuf::new().into_bytes())).unwrap_err().code, Code::InvalidValue);
    }
}
