//! Candles in bulk: thousands in one unordered insert, ranges in one query.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::executor::Executor;
use super::reads::Query;
use super::replies::{explain, write_errors};
use super::writes::now;
use crate::error::{Code, Error};
use crate::mongo::candle_window::{Found, Window};
use crate::mongo::candles::{Columns, Place, Range, Written, collection, documents, identity};
use crate::mongo::conflict::{Conflict, DUPLICATE};
use crate::mongo::document::get;
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table::CANDLES;
use crate::mongo::wire::Answer;

/// So many candles are inserted without a question before: the round trip would cost more than the duplicates.
const UNASKED: usize = 1_000;
/// How many candles that are there already one query asks the ids of.
const ASKED: usize = 2_000;

fn id_of(row: &RawDocument) -> Option<ObjectId> {
    match row.get("_id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => Some(id),
        _ => None,
    }
}

impl Executor {
    /// Inserts what is not there yet; what is there stays as it is. The answer has the ids of all. A chunk with `check` is
    /// only looked at; one with `bare` wants no ids of those that were there.
    ///
    /// Inserting first is fastest where the candles are new, and slowest where they are there: each duplicate costs the
    /// server an exception. So of many a few are asked for first, and only where one of them is there, all are.
    pub(super) async fn candles(self: &Arc<Self>, chunk: &RawDocument) -> Outcome<Answer> {
        let now = now();
        let rows = documents(chunk, now)?;
        let flag = |name| Ok::<_, Error>(matches!(get(chunk, name)?, Some(RawBsonRef::Boolean(true))));
        if flag("check")? {
            return Ok(Answer::None);
        }
        let mut written = Written::new(rows.len(), now);
        let Some(last) = rows.len().checked_sub(1) else { return Ok(written.into_answer()) };
        self.indexed(CANDLES).await?;
        let mut known = HashMap::new();
        if rows.len() > UNASKED {
            known = self.ids_of_candles(&rows, &[0, last / 2, last]).await?;
            if !known.is_empty() {
                known = self.ids_of_candles(&rows, &(0..rows.len()).collect::<Vec<_>>()).await?;
            }
        }
        let keys: Vec<_> = rows.iter().map(|row| identity(row)).collect();
        let new: Vec<_> = (0..rows.len()).filter(|index| !known.contains_key(&keys[*index])).collect();
        let (there, repeated) = self.insert_candles(&rows, &new).await?;
        let bare = flag("bare")?;
        if !there.is_empty() && (!bare || repeated) {
            known.extend(self.ids_of_candles(&rows, &there).await?);
        }
        let mut existing = vec![true; rows.len()];
        for index in new {
            existing[index] = false;
        }
        for index in there {
            existing[index] = true;
        }
        for (index, (row, key)) in rows.iter().zip(&keys).enumerate() {
            let own = id_of(row).unwrap_or_default();
            match known.get(key).copied().filter(|_| existing[index]) {
                // One of our own is there already where the command was sent twice.
                Some(id) => written.there(id, own == id),
                None if !existing[index] => written.stored(own, !repeated),
                None if bare => written.there(ObjectId::from_bytes([0; 12]), false),
                None => {
                    let message = "a candle was deleted while it was written";
                    return Err(Failure::from(Error::new(Code::MongoWrite, message)));
                }
            }
        }
        Ok(written.into_answer())
    }

    /// Inserts those rows; which of them were there already, and whether the command was sent twice.
    pub(super) async fn insert_candles(&self, rows: &[RawDocumentBuf], new: &[usize]) -> Outcome<(Vec<usize>, bool)> {
        if new.is_empty() {
            return Ok((Vec::new(), false));
        }
        let mut command = self.writing(cstr!("insert"), collection()).await?;
        let mut list = RawArrayBuf::new();
        for index in new {
            list.push(&rows[*index]);
        }
        command.append(cstr!("ordered"), false);
        command.append(cstr!("documents"), list);
        let (reply, repeated) = self.write_harmless(command).await?;
        let mut there = Vec::new();
        for (place, failure) in write_errors(&reply)? {
            match explain(collection(), failure) {
                // A duplicate `_id` is a row of ours, from a command that was sent twice.
                (Conflict::Race | Conflict::Other, failure) if failure.server_code() == DUPLICATE => {
                    there.extend(new.get(place));
                }
                (_, failure) => return Err(failure),
            }
        }
        Ok((there, repeated))
    }

    /// The ids of candles that are there, by what identifies them.
    pub(super) async fn ids_of_candles(
        &self,
        rows: &[RawDocumentBuf],
        there: &[usize],
    ) -> Outcome<HashMap<Vec<u8>, ObjectId>> {
        // By exchange, symbol and interval, which are nearly always the same for all.
        let mut groups: HashMap<Vec<u8>, (RawArrayBuf, usize)> = HashMap::new();
        let mut queries = Vec::new();
        for row in there.iter().filter_map(|index| rows.get(*index)) {
            let Ok(Some(timestamp)) = row.get("timestamp") else { continue };
            let mut filter = RawDocumentBuf::new();
            for field in &collection().key[..3] {
                if let Ok(Some(value)) = row.get(field.name) {
                    filter.append(field.key, RawBson::from(value));
                }
            }
            let (timestamps, count) = groups.entry(filter.as_bytes().to_vec()).or_default();
            timestamps.push(RawBson::from(timestamp));
            *count += 1;
            if *count >= ASKED {
                *count = 0;
                queries.push((filter, std::mem::take(timestamps)));
            }
        }
        for (filter, (timestamps, _)) in groups {
            queries.push((RawDocumentBuf::from_bytes(filter)?, timestamps));
        }
        let mut known = HashMap::with_capacity(there.len());
        for (mut filter, timestamps) in queries {
            filter.append(cstr!("timestamp"), rawdoc! { "$in": timestamps });
            let fields = rawdoc! { "_id": 1, "exchangeName": 1, "symbol": 1, "interval": 1, "timestamp": 1 };
            let query = Query { filter, fields, batch: Some(10_000), ..Query::default() };
            let mut cursor = self.query(collection(), query).await?;
            while self.advance(&mut cursor).await? {
                if let Some(id) = id_of(cursor.current()) {
                    known.insert(identity(cursor.current()), id);
                }
            }
        }
        Ok(known)
    }

    /// A range of candles in order, or nothing where one is missing.
    pub(super) async fn range(&self, body: &RawDocument) -> Outcome<Answer> {
        let range = Range::new(body)?;
        let query = Query {
            filter: range.filter.clone(),
            sort: rawdoc! { "timestamp": 1 },
            batch: Some(range.limit.saturating_add(1)),
            ..Query::default()
        };
        let mut columns = Some(Columns::default());
        let (mut rows, mut found) = (Vec::new(), 0);
        if range.limit > 0 {
            let mut cursor = self.query(collection(), query).await?;
            while found < range.limit && self.advance(&mut cursor).await? {
                let row = cursor.current();
                match range.place(row, found) {
                    Place::Beside => continue,
                    Place::Gap => return Ok(Answer::None),
                    Place::Next => found += 1,
                }
                columns = columns.and_then(|mut columns| columns.push(row).then_some(columns));
                rows.extend_from_slice(row.as_bytes());
            }
        }
        if found < range.limit {
            return Ok(Answer::None);
        }
        Ok(columns.map_or(Answer::Documents(rows), |columns| Answer::Columns(columns.into_bytes())))
    }
    /// What is there of a window of candles.
    pub(super) async fn window(&self, body: &RawDocument) -> Outcome<Answer> {
        let window = Window::new(body)?;
        let mut found = Found::default();
        if window.limit > 0 {
            let query = Query {
                filter: window.filter.clone(),
                sort: rawdoc! { "timestamp": 1 },
                fields: window.fields.clone(),
                batch: Some(window.limit.saturating_add(1)),
                ..Query::default()
            };
            let mut cursor = self.query(collection(), query).await?;
            while self.advance(&mut cursor).await? {
                found.push(&window, cursor.current());
            }
        }
        let (count, bytes) = found.into_bytes();
        Ok(Answer::Window(count, bytes))
    }
}
