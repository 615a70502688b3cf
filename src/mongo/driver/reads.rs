//! Reads: rows by id and key, many in one query; lists and counts.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::session::{Outcome, Session, collection};
use crate::error::Code;
use crate::mongo::document::{self, get, matches, part};
use crate::mongo::failure::Failure;
use crate::mongo::filter;
use crate::mongo::table::Collection;
use crate::mongo::wire::{Answer, Call, Request};

/// A row that is looked for by its key, and perhaps the id that the cache has of it.
pub(super) struct Lookup {
    call: Call,
    key: RawDocumentBuf,
    id: Option<ObjectId>,
}

impl Lookup {
    pub(super) fn new(request: &Request) -> Outcome<Self> {
        let key = document::key(collection(request.collection), part(&request.body, "k")?)?;
        let id = get(&request.body, "id")?.and_then(crate::mongo::cast::object_id);
        Ok(Self { call: request.call, key, id })
    }
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
        })
    }
}

impl Session {
    /// A cursor over what a query finds.
    pub(super) async fn query(
        &self,
        collection: &Collection,
        query: Query,
    ) -> Outcome<mongodb::Cursor<RawDocumentBuf>> {
        let rows = self.rows(collection).await?;
        let mut find = rows.find(Document::try_from(query.filter)?);
        if !query.sort.is_empty() {
            find = find.sort(Document::try_from(query.sort)?);
        }
        if query.limit != 0 {
            find = find.limit(query.limit);
        }
        if query.skip != 0 {
            find = find.skip(query.skip);
        }
        if !query.fields.is_empty() {
            find = find.projection(Document::try_from(query.fields)?);
        }
        if let Some(batch) = query.batch {
            find = find.batch_size(batch);
        }
        self.within(async { find.await }).await.map_err(of_read)
    }

    /// The next document of a cursor, where it stands then.
    pub(super) async fn advance(&self, cursor: &mut mongodb::Cursor<RawDocumentBuf>) -> Outcome<bool> {
        self.bounded(cursor.advance()).await.map_err(of_read)
    }

    /// One document, or none.
    pub(super) async fn first(
        &self,
        collection: &Collection,
        filter: RawDocumentBuf,
        only_id: bool,
    ) -> Outcome<Option<RawDocumentBuf>> {
        let rows = self.rows(collection).await?;
        let mut find = rows.find_one(Document::try_from(filter)?);
        if only_id {
            find = find.projection(doc! { "_id": 1 });
        }
        self.within(async { find.await }).await.map_err(of_read)
    }

    /// Rows by the ids that the cache has of them, in one query; those that are not there, or are of another key, by their
    /// keys.
    pub(super) async fn look_up(self: Arc<Self>, number: usize, lookups: Vec<Lookup>) {
        let collection = collection(number);
        let what = format!("Find {}", collection.name);
        let ids: Vec<_> = lookups.iter().filter_map(|lookup| lookup.id).collect();
        let found = match self.by_ids(collection, &ids).await {
            Ok(found) => found,
            Err(failure) => {
                // Those without an id have a chance of their own, but not with a server that does not answer.
                for lookup in lookups {
                    self.answer(lookup.call, &what, Err(failure.clone()));
                }
                return;
            }
        };
        for lookup in lookups {
            let row = lookup.id.and_then(|id| found.get(&id)).filter(|row| matches(row, &lookup.key));
            if let Some(row) = row {
                self.answer(lookup.call, &what, Ok(Answer::document(row)));
                continue;
            }
            let (session, what) = (Arc::clone(&self), what.clone());
            self.spawn(async move {
                let row = session.first(collection, lookup.key, false).await;
                let answer = row.map(|row| row.map_or(Answer::None, |row| Answer::ByKey(row.into_bytes())));
                session.answer(lookup.call, &what, answer);
            });
        }
    }

    async fn by_ids(&self, collection: &Collection, ids: &[ObjectId]) -> Outcome<HashMap<ObjectId, RawDocumentBuf>> {
        let mut found = HashMap::with_capacity(ids.len());
        match ids {
            [] => {}
            [id] => {
                if let Some(row) = self.first(collection, rawdoc! { "_id": *id }, false).await? {
                    found.insert(*id, row);
                }
            }
            many => {
                for chunk in many.chunks(1_000) {
                    let mut list = RawArrayBuf::new();
                    for id in chunk {
                        list.push(*id);
                    }
                    let query =
                        Query { filter: rawdoc! { "_id": { "$in": list } }, batch: Some(1_001), ..Query::default() };
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
        let count = rows.count_documents(Document::try_from(query.filter)?);
        let count = self.within(async { count.await }).await.map_err(of_read)?;
        let mut answer = RawDocumentBuf::new();
        #[allow(clippy::cast_precision_loss, reason = "JavaScript counts so too")]
        answer.append(cstr!("n"), count as f64);
        Ok(Answer::document(&answer))
    }
}
