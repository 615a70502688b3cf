//! Reads: rows by id and key, many in one query; lists and counts.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::caller::Caller;
use super::executor::Executor;
use super::rows::{Rows, next_batch};
use crate::error::Code;
use crate::mongo::document::{self, get, matches, part};
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::filter;
use crate::mongo::table::{Collection, collection};
use crate::mongo::wire::{Answer, Request};

/// A row that is looked for by its key, and perhaps the id that the cache has of it.
pub(super) struct Lookup {
    caller: Caller,
    key: RawDocumentBuf,
    id: Option<ObjectId>,
}

impl Lookup {
    /// Reads a request; who asked is told where it cannot be carried out.
    pub(super) fn read(caller: Caller, request: &Request) -> Option<Self> {
        let read = || {
            let key = document::key(collection(request.collection), part(&request.body, "k")?)?;
            Ok((key, get(&request.body, "id")?.and_then(crate::mongo::cast::object_id)))
        };
        match read() {
            Ok((key, id)) => Some(Self { caller, key, id }),
            Err(failure) => {
                caller.answer(Err(failure));
                None
            }
        }
    }
}

/// How many rows one query to a router names, each by its id and its key.
const ROUTED: usize = 100;

/// A filter with the key of a row, or of what was asked for, as far as it has one.
pub(super) fn with_key(collection: &Collection, mut filter: RawDocumentBuf, row: &RawDocument) -> RawDocumentBuf {
    for field in collection.key {
        if let Ok(Some(value)) = row.get(field.name) {
            filter.append(field.key, RawBson::from(value));
        }
    }
    filter
}

/// What the server says of a read is no failed write.
fn of_read(mut failure: Failure) -> Failure {
    if failure.error.code == Code::MongoWrite {
        failure.error.code = Code::MongoReply;
    }
    failure
}

/// What a query asks for besides its filter.
#[derive(Default)]
pub(super) struct Query {
    pub(super) filter: RawDocumentBuf,
    pub(super) sort: RawDocumentBuf,
    pub(super) limit: i64,
    pub(super) skip: u64,
    pub(super) fields: RawDocumentBuf,
    pub(super) batch: Option<u32>,
    /// Whether a sort that no index serves may use the server's disk.
    pub(super) on_disk: bool,
}

impl Query {
    /// Reads `{ k?, by?, filter, sort?, limit?, skip?, fields? }`. `by` names the parts of the key `k` that the filter has.
    pub(super) fn new(collection: &Collection, body: &RawDocument) -> Outcome<Self> {
        let whole = |name| match get(body, name)? {
            Some(RawBsonRef::Int32(number)) => Ok::<_, Failure>(i64::from(number)),
            #[allow(clippy::cast_possible_truncation, reason = "a limit beyond 2^63 is none")]
            Some(RawBsonRef::Double(number)) => Ok(number as i64),
            _ => Ok(0),
        };
        Ok(Self {
            filter: filter::of_request(collection, body)?,
            sort: filter::sort(collection, get(body, "sort")?.unwrap_or(RawBsonRef::Null))?,
            limit: whole("limit")?,
            skip: u64::try_from(whole("skip")?).unwrap_or(0),
            fields: part(body, "fields")?.to_owned(),
            batch: None,
            on_disk: false,
        })
    }
}

impl Executor {
    /// What a query finds, from before the first row.
    pub(super) async fn query(&self, collection: &Collection, query: Query) -> Outcome<Rows> {
        let rows = self.rows(collection).await?;
        let Query { filter, sort, limit, skip, fields, batch, on_disk } = query;
        let (filter, sort) = (Document::try_from(filter)?, Document::try_from(sort)?);
        let fields = Document::try_from(fields)?;
        let trip = || {
            let (rows, filter, sort, fields) = (rows.clone(), filter.clone(), sort.clone(), fields.clone());
            async move {
                let mut find = rows.find(filter);
                if !sort.is_empty() {
                    find = find.sort(sort);
                }
                if limit != 0 {
                    find = find.limit(limit);
                }
                if skip != 0 {
                    find = find.skip(skip);
                }
                if !fields.is_empty() {
                    find = find.projection(fields);
                }
                if let Some(batch) = batch {
                    find = find.batch_size(batch);
                }
                if on_disk {
                    find = find.allow_disk_use(true);
                }
                let mut cursor = find.batch().await?;
                let batch = next_batch(&mut cursor).await?;
                Ok((cursor, batch))
            }
        };
        let (cursor, batch) = self.read(trip).await.map_err(of_read)?;
        Rows::new(cursor, batch)
    }

    /// Goes on to the next row; `false` where there is none. It is a round trip where the batch is through.
    pub(super) async fn advance(&self, rows: &mut Rows) -> Outcome<bool> {
        loop {
            if let Some(row) = rows.batch.pop_front() {
                rows.current = row;
                return Ok(true);
            }
            let Some(mut cursor) = rows.cursor.take() else { return Ok(false) };
            let trip = async move {
                let batch = next_batch(&mut cursor).await?;
                Ok((cursor, batch))
            };
            let (cursor, batch) = self.once(trip).await.map_err(of_read)?;
            rows.take(cursor, batch)?;
        }
    }

    /// One document, or none.
    pub(super) async fn first(
        &self,
        collection: &Collection,
        filter: RawDocumentBuf,
        only_id: bool,
    ) -> Outcome<Option<RawDocumentBuf>> {
        let rows = self.rows(collection).await?;
        let filter = Document::try_from(filter)?;
        let trip = || {
            let (rows, filter) = (rows.clone(), filter.clone());
            async move {
                let find = rows.find_one(filter);
                if only_id { find.projection(doc! { "_id": 1 }).await } else { find.await }
            }
        };
        self.read(trip).await.map_err(of_read)
    }

    /// Rows by the ids that the cache has of them, in one query; those that are not there, or are of another key, by their
    /// keys.
    pub(super) async fn find_rows(self: Arc<Self>, number: usize, lookups: Vec<Lookup>) {
        let collection = collection(number);
        let ids: Vec<_> = lookups.iter().filter_map(|lookup| Some((lookup.id?, &*lookup.key))).collect();
        let found = match self.by_ids(collection, &ids).await {
            Ok(found) => found,
            Err(failure) => {
                // Those without an id have a chance of their own, but not with a server that does not answer.
                for lookup in lookups {
                    lookup.caller.answer(Err(failure.clone()));
                }
                return;
            }
        };
        for lookup in lookups {
            let row = lookup.id.and_then(|id| found.get(&id)).filter(|row| matches(row, &lookup.key));
            if let Some(row) = row {
                lookup.caller.answer(Ok(Answer::document(row)));
                continue;
            }
            let executor = Arc::clone(&self);
            self.spawn(async move {
                let row = executor.first(collection, lookup.key, false).await;
                let answer = row.map(|row| row.map_or(Answer::None, |row| Answer::ByKey(row.into_bytes())));
                lookup.caller.answer(answer);
            });
        }
    }

    /// Rows by their ids. Routers are told the keys too, so that they ask the shards that have them and no others.
    async fn by_ids(
        &self,
        collection: &Collection,
        ids: &[(ObjectId, &RawDocument)],
    ) -> Outcome<HashMap<ObjectId, RawDocumentBuf>> {
        let route = self.connect().await?.members.route();
        let named = |(id, key): &(ObjectId, &RawDocument)| {
            let filter = rawdoc! { "_id": *id };
            if route { with_key(collection, filter, key) } else { filter }
        };
        let mut found = HashMap::with_capacity(ids.len());
        match ids {
            [] => {}
            [only] => {
                if let Some(row) = self.first(collection, named(only), false).await? {
                    found.insert(only.0, row);
                }
            }
            many => {
                for chunk in many.chunks(if route { ROUTED } else { 1_000 }) {
                    let mut list = RawArrayBuf::new();
                    for one in chunk {
                        if route {
                            list.push(named(one));
                        } else {
                            list.push(one.0);
                        }
                    }
                    let filter = if route {
                        rawdoc! { "$or": list }
                    } else {
                        rawdoc! { "_id": { "$in": list } }
                    };
                    let query = Query { filter, batch: Some(1_001), ..Query::default() };
                    let mut cursor = self.query(collection, query).await?;
                    while self.advance(&mut cursor).await? {
                        let row = cursor.current();
                        if let Ok(Some(RawBsonRef::ObjectId(id))) = row.get("_id") {
                            found.insert(id, row.to_owned());
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// Rows of a filter.
    pub(super) async fn rows_of(&self, collection: &Collection, body: &RawDocument) -> Outcome<Answer> {
        let mut query = Query::new(collection, body)?;
        // So that what a list asks for comes in one piece.
        query.batch = u32::try_from(query.limit).ok().filter(|limit| *limit > 0).map(|limit| limit.saturating_add(1));
        let mut cursor = self.query(collection, query).await?;
        let mut rows = Vec::new();
        while self.advance(&mut cursor).await? {
            rows.extend_from_slice(cursor.current().as_bytes());
        }
        Ok(Answer::Documents(rows))
    }

    /// How many rows a filter finds.
    pub(super) async fn count(&self, collection: &Collection, body: &RawDocument) -> Outcome<Answer> {
        let query = Query::new(collection, body)?;
        let rows = self.rows(collection).await?;
        let filter = Document::try_from(query.filter)?;
        let trip = || {
            let (rows, filter) = (rows.clone(), filter.clone());
            async move { rows.count_documents(filter).await }
        };
        let count = self.read(trip).await.map_err(of_read)?;
        let mut answer = RawDocumentBuf::new();
        #[allow(clippy::cast_precision_loss, reason = "JavaScript counts so too")]
        answer.append(cstr!("n"), count as f64);
        Ok(Answer::document(&answer))
    }
}
