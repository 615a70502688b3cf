//! Rows on their way into another store, and those that come from one.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::executor::Executor;
use super::reads::Query;
use super::replies::{explain, list, write_errors};
use crate::error::{Code, Error};
use crate::mongo::candles::identity;
use crate::mongo::conflict::{Conflict, DUPLICATE};
use crate::mongo::document::matches;
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table::{CANDLES, COMMON, Collection, collection};
use crate::mongo::transfer::{Fate, Merged, Page, ROWS, after, beyond, id_of, place_of, rows, under};
use crate::mongo::wire::Answer;

/// How many rows one command writes, and how many keys one query asks the ids of.
const WRITTEN: usize = 500;
const ASKED: usize = 100;
/// How often what met somebody else's write is tried again.
const ATTEMPTS: usize = 3;

/// The key of a row as a filter: equal fields, where absent is a value of its own.
fn key_of(collection: &Collection, row: &RawDocument) -> RawDocumentBuf {
    let mut key = RawDocumentBuf::new();
    for field in collection.key {
        match row.get(field.name) {
            Ok(Some(value)) => key.append(field.key, RawBson::from(value)),
            _ => key.append(field.key, rawdoc! { "$exists": false }),
        }
    }
    key
}

/// What the server makes of a row that is there, or of none: the one that comes, unless the other is as new. `_id` and
/// `createDate` of the one that is there stay.
fn newest(row: &RawDocument) -> RawDocumentBuf {
    let literal = |value: RawBson| rawdoc! { "$literal": value };
    let date = row.get("updatedDate").ok().flatten().filter(|date| matches!(date, RawBsonRef::DateTime(_)));
    let is_newer = if let Some(date) = date {
        rawdoc! { "$or": [
            { "$lt": ["$updatedDate", literal(RawBson::from(date))] },
            { "$ne": [{ "$type": "$updatedDate" }, "date"] },
        ] }
    } else {
        rawdoc! { "$eq": [1, 0] }
    };
    let mut comes = RawDocumentBuf::new();
    comes.append(cstr!("$literal"), row.to_owned());
    rawdoc! { "$replaceWith": { "$cond": [
        { "$or": [{ "$eq": [{ "$type": "$_id" }, "missing"] }, is_newer] },
        { "$mergeObjects": [comes, { "_id": "$_id", "createDate": "$createDate" }] },
        "$$ROOT",
    ] } }
}

impl Executor {
    /// A page of rows, in the order of the unique index.
    pub(super) async fn export(&self, collection: &Collection, body: &RawDocument) -> Outcome<Answer> {
        let filter = after(body)?.map(|place| beyond(collection, place)).unwrap_or_default();
        let mut sort = RawDocumentBuf::new();
        for field in collection.key {
            sort.append(field.key, 1);
        }
        let most = i64::try_from(ROWS).unwrap_or(i64::MAX);
        let query = Query { filter, sort, limit: most, batch: Some(2_000), on_disk: true, ..Query::default() };
        let mut cursor = self.query(collection, query).await?;
        let (mut page, mut place) = (Page::default(), None);
        while !page.is_full() && self.advance(&mut cursor).await? {
            page.push(cursor.current());
            if page.is_full() {
                place = Some(place_of(collection, cursor.current()));
            }
        }
        Ok(page.into_answer(place))
    }

    /// Takes rows of another store in. The one of a key whose `updatedDate` is newer wins; of candles, the one that is there.
    pub(super) async fn merge(self: &Arc<Self>, number: usize, body: &RawDocument) -> Outcome<Answer> {
        let given: Vec<_> = rows(body)?.into_iter().map(ToOwned::to_owned).collect();
        let mut merged = Merged::new(given.len());
        self.indexed(number).await?;
        if number == CANDLES {
            self.merge_candles(&given, &mut merged).await?;
        } else {
            let collection = collection(number);
            for from in (0..given.len()).step_by(WRITTEN) {
                let rows = &given[from..given.len().min(from + WRITTEN)];
                self.merge_rows(collection, rows, from, &mut merged).await?;
            }
        }
        Ok(merged.into_answer())
    }

    async fn merge_rows(
        &self,
        collection: &'static Collection,
        given: &[RawDocumentBuf],
        from: usize,
        merged: &mut Merged,
    ) -> Outcome<()> {
        let mut left: Vec<(usize, RawDocumentBuf)> = given.iter().cloned().enumerate().collect();
        let mut unknown = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut updates = RawArrayBuf::new();
            for (_, row) in &left {
                let mut change = RawArrayBuf::new();
                change.push(newest(row));
                updates.push(rawdoc! { "q": key_of(collection, row), "u": change, "upsert": true });
            }
            let mut command = self.writing(cstr!("update"), collection).await?;
            command.append(cstr!("ordered"), false);
            command.append(cstr!("updates"), updates);
            let (reply, _) = self.write_harmless(command).await?;
            let errors = write_errors(&reply)?;
            let inserted: HashMap<_, _> =
                list(&reply, "upserted").map(|(at, entry)| (at, entry.get_object_id("_id").ok())).collect();
            let newer = usize::try_from(reply.get_i32("nModified").unwrap_or(0)).unwrap_or(0);
            merged.count(Fate::Newer, newer);
            merged.count(Fate::Kept, (left.len() - errors.len() - inserted.len()).saturating_sub(newer));
            let mut again = Vec::new();
            let mut errors = errors;
            for (at, (place, row)) in left.into_iter().enumerate() {
                match (errors.remove(&at).map(|failure| explain(collection, failure)), inserted.get(&at)) {
                    (None, Some(id)) => merged.tell(from + place, Fate::New, *id),
                    (None, None) => unknown.push((place, row)),
                    (Some((Conflict::Race, _)), _) => again.push((place, row)),
                    // Another row has the id.
                    (Some((Conflict::Other, failure)), _) if failure.server_code() == DUPLICATE => {
                        again.push((place, under(ObjectId::new(), &row)?));
                    }
                    (Some((_, failure)), _) => return Err(failure),
                }
            }
            left = again;
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            let message = format!("{} rows of {} met other writers again and again", left.len(), collection.name);
            return Err(Failure::from(Error::new(Code::MongoWrite, message)));
        }
        for some in unknown.chunks(ASKED) {
            let mut branches = RawArrayBuf::new();
            let keys: Vec<_> = some.iter().map(|(_, row)| key_of(collection, row)).collect();
            for key in &keys {
                branches.push(key.clone());
            }
            let mut fields = RawDocumentBuf::new();
            for field in COMMON.iter().take(1).chain(collection.key) {
                fields.append(field.key, 1);
            }
            let query = Query { filter: rawdoc! { "$or": branches }, fields, ..Query::default() };
            let mut cursor = self.query(collection, query).await?;
            while self.advance(&mut cursor).await? {
                if let Some(at) = keys.iter().position(|key| matches(cursor.current(), key)) {
                    merged.stands(from + some[at].0, id_of(cursor.current()));
                }
            }
        }
        Ok(())
    }

    async fn merge_candles(&self, given: &[RawDocumentBuf], merged: &mut Merged) -> Outcome<()> {
        let all: Vec<_> = (0..given.len()).collect();
        let known = self.ids_of_candles(given, &all).await?;
        let mut left = Vec::new();
        for (at, row) in given.iter().enumerate() {
            match known.get(&identity(row)) {
                Some(id) => merged.tell(at, Fate::Kept, Some(*id)),
                None => left.push((at, row.clone())),
            }
        }
        for _ in 0..ATTEMPTS {
            let rows: Vec<_> = left.iter().map(|(_, row)| row.clone()).collect();
            let (refused, _) = self.insert_candles(&rows, &(0..rows.len()).collect::<Vec<_>>()).await?;
            let known = if refused.is_empty() { HashMap::new() } else { self.ids_of_candles(&rows, &refused).await? };
            let mut again = Vec::new();
            for (at, (place, row)) in left.into_iter().enumerate() {
                match (refused.contains(&at), known.get(&identity(&row))) {
                    (false, _) => merged.tell(place, Fate::New, id_of(&row)),
                    // Written meanwhile, by us where the command was sent twice.
                    (true, Some(id)) => {
                        let fate = if id_of(&row) == Some(*id) { Fate::New } else { Fate::Kept };
                        merged.tell(place, fate, Some(*id));
                    }
                    (true, None) => again.push((place, under(ObjectId::new(), &row)?)),
                }
            }
            left = again;
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Failure::from(Error::new(Code::MongoWrite, "candles could not be given ids that are free")))
    }
}
