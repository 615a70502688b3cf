//! Writes: upserts, one at a time or many in one command; marks, changes, deletions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use tokio::task::JoinSet;

use super::caller::Caller;
use super::executor::Executor;
use super::modify::Modify;
use super::numbers::Written;
use super::reads::{Query, with_key};
use super::replies::{explain, list, write_errors};
use crate::error::{Code, Error};
use crate::mongo::batch::{Statement, rounds};
use crate::mongo::cast;
use crate::mongo::conflict::Conflict;
use crate::mongo::crud;
use crate::mongo::document::{self, Millis, get, identity, part};
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table::{COMMON, Collection, collection};
use crate::mongo::unanswered::Kind;
use crate::mongo::update;
use crate::mongo::wire::{Answer, Request};

/// The server cannot put a field into a value that is no document.
const PATH_NOT_VIABLE: i32 = 28;
/// How many keys one query asks the ids of.
const KEYS: usize = 100;
/// How many rows one command deletes.
const DELETED: usize = 1_000;

/// The time that is written into documents.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or_default()
}

/// An upsert of a tick.
pub(super) struct Upsert {
    caller: Caller,
    key: RawDocumentBuf,
    update: RawDocumentBuf,
    /// What the near cache knows of its id.
    id: Option<ObjectId>,
}

impl Statement for Upsert {
    fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }
    fn size(&self) -> usize {
        self.key.as_bytes().len() + self.update.as_bytes().len() + 64
    }
}

impl Upsert {
    /// Reads a request; who asked is told where it cannot be carried out.
    pub(super) fn read(caller: Caller, request: &Request) -> Option<Self> {
        let collection = collection(request.collection);
        let read = || {
            let key = document::key(collection, part(&request.body, "k")?)?;
            let update = document::upsert(collection, part(&request.body, "v")?, now())?;
            Ok((key, update, get(&request.body, "id")?.and_then(cast::object_id)))
        };
        match read() {
            Ok((key, update, id)) => Some(Self { caller, key, update, id }),
            Err(failure) => {
                caller.answer(Err(failure));
                None
            }
        }
    }

    /// The same as a write of its own, and who waits for it.
    fn alone(self) -> (Caller, Modify) {
        (self.caller, Modify { kind: Kind::Upsert, filter: self.key, update: self.update, whole: false })
    }
}

impl Executor {
    /// An upsert of a key; when another first writer wins, the row is there, and it is tried once more.
    async fn upsert_one(&self, collection: &Collection, upsert: &Modify) -> Outcome<RawDocumentBuf> {
        let mut outcome = self.modify(collection, upsert).await.map_err(|failure| explain(collection, failure));
        if let Err((Conflict::Race, _)) = outcome {
            self.count_retry();
            outcome = self.modify(collection, upsert).await.map_err(|failure| explain(collection, failure));
        }
        let row = outcome.map_err(|(_, failure)| failure)?;
        row.ok_or_else(|| Error::new(Code::MongoReply, "the server did not return the row").into())
    }

    /// The upserts of a tick in one collection.
    pub(super) async fn upsert_all(self: Arc<Self>, number: usize, upserts: Vec<Upsert>) {
        if let Err(failure) = self.indexed(number).await {
            for upsert in upserts {
                upsert.caller.answer(Err(failure.clone()));
            }
            return;
        }
        for round in rounds(upserts) {
            self.upsert_round(collection(number), round).await;
        }
    }

    async fn upsert_round(self: &Arc<Self>, collection: &'static Collection, mut round: Vec<Upsert>) {
        if round.len() == 1
            && let Some(only) = round.pop()
        {
            let (caller, upsert) = only.alone();
            let row = self.upsert_one(collection, &upsert).await;
            caller.answer(row.and_then(|row| identified(&upsert.filter, &row)));
            return;
        }
        let written = self.update_many(collection, &round).await;
        let told = written.and_then(|written| match written {
            Written::Reply(reply, _) => write_errors(&reply).map(|errors| Ok((reply, errors))),
            Written::Unanswered(failure) => Ok(Err(failure)),
        });
        // The next round may have later values of the same keys, so what goes on alone ends before it.
        let mut alone = JoinSet::new();
        match told {
            Ok(Ok((reply, errors))) => self.upserts_told(collection, round, &reply, errors, &mut alone).await,
            Ok(Err(lost)) => {
                for upsert in round {
                    let (executor, lost) = (Arc::clone(self), lost.clone());
                    let (caller, upsert) = upsert.alone();
                    alone.spawn(async move {
                        let row = executor.find_out(collection, &upsert, lost).await;
                        caller.answer(
                            row.and_then(|row| row.map_or(Ok(Answer::None), |row| identified(&upsert.filter, &row))),
                        );
                    });
                }
            }
            Err(failure) => {
                for upsert in round {
                    upsert.caller.answer(Err(failure.clone()));
                }
            }
        }
        while alone.join_next().await.is_some() {}
    }

    /// The upserts of a command that was answered.
    async fn upserts_told(
        self: &Arc<Self>,
        collection: &'static Collection,
        round: Vec<Upsert>,
        reply: &Document,
        mut errors: HashMap<usize, Failure>,
        alone: &mut JoinSet<()>,
    ) {
        let inserted: HashMap<_, _> = list(reply, "upserted")
            .filter_map(|(index, entry)| Some((index, entry.get_object_id("_id").ok()?)))
            .collect();
        let mut unknown = Vec::new();
        for (index, upsert) in round.into_iter().enumerate() {
            let id = inserted.get(&index).copied().or(upsert.id);
            match (errors.remove(&index).map(|failure| explain(collection, failure)), id) {
                (Some((Conflict::Race, _)), _) => {
                    let executor = Arc::clone(self);
                    let (caller, upsert) = upsert.alone();
                    self.count_retry();
                    alone.spawn(async move {
                        let row = executor.upsert_one(collection, &upsert).await;
                        caller.answer(row.and_then(|row| identified(&upsert.filter, &row)));
                    });
                }
                (Some((_, failure)), _) => upsert.caller.answer(Err(failure)),
                (None, Some(id)) => {
                    let identity = identity(&upsert.key, id);
                    upsert.caller.answer(Ok(Answer::document(&identity)));
                }
                (None, None) => unknown.push(upsert),
            }
        }
        while !unknown.is_empty() {
            let rest = unknown.split_off(unknown.len().min(KEYS));
            self.identify(collection, std::mem::replace(&mut unknown, rest)).await;
        }
    }

    async fn update_many(&self, collection: &Collection, round: &[Upsert]) -> Outcome<Written> {
        let mut updates = RawArrayBuf::new();
        for upsert in round {
            let mut statement = RawDocumentBuf::new();
            statement.append(cstr!("q"), upsert.key.clone());
            statement.append(cstr!("u"), upsert.update.clone());
            statement.append(cstr!("upsert"), true);
            updates.push(statement);
        }
        let mut command = self.writing(cstr!("update"), collection).await?;
        command.append(cstr!("ordered"), false);
        command.append(cstr!("updates"), updates);
        self.write(command, false).await
    }

    /// The ids of rows that were there before and that the cache does not know, in one query.
    async fn identify(&self, collection: &Collection, upserts: Vec<Upsert>) {
        let found = self.ids_of(collection, &upserts).await;
        for Upsert { caller, key, .. } in upserts {
            let answer = match &found {
                // Deleted meanwhile, by somebody else: the row was written, and there is no id to remember.
                Ok(found) => found
                    .iter()
                    .find(|row| document::matches(row, &key))
                    .map_or(Ok(Answer::None), |row| identified(&key, row)),
                Err(failure) => Err(failure.clone()),
            };
            caller.answer(answer);
        }
    }

    async fn ids_of(&self, collection: &Collection, upserts: &[Upsert]) -> Outcome<Vec<RawDocumentBuf>> {
        let mut branches = RawArrayBuf::new();
        for upsert in upserts {
            branches.push(upsert.key.clone());
        }
        let mut fields = RawDocumentBuf::new();
        for field in COMMON.iter().take(1).chain(collection.key) {
            fields.append(field.key, 1);
        }
        let query = Query { filter: rawdoc! { "$or": branches }, fields, ..Query::default() };
        let mut cursor = self.query(collection, query).await?;
        let mut found = Vec::with_capacity(upserts.len());
        while self.advance(&mut cursor).await? {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// `softRemove`: never inserts.
    pub(super) async fn soft_remove(&self, number: usize, key: RawDocumentBuf) -> Outcome<Answer> {
        let collection = collection(number);
        let mark = |with_payload| document::soft_remove(with_payload, now());
        let mut modify = Modify { kind: Kind::Mark, filter: key, update: mark(true), whole: false };
        let mut row = self.modify(collection, &modify).await;
        if row.as_ref().is_err_and(|failure| failure.server_code() == PATH_NOT_VIABLE) {
            modify.update = mark(false);
            row = self.modify(collection, &modify).await;
        }
        row?.map_or(Ok(Answer::None), |row| identified(&modify.filter, &row))
    }

    /// `candleDbService.create`
    pub(super) async fn candle(self: &Arc<Self>, number: usize, dto: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let (filter, update) = (document::candle_key(collection, dto)?, document::candle(collection, dto, now())?);
        self.indexed(number).await?;
        let row = self.upsert_one(collection, &Modify { kind: Kind::First, filter, update, whole: true }).await?;
        Ok(Answer::Documents(row.into_bytes()))
    }

    /// `BaseCRUD.create`
    pub(super) async fn insert(self: &Arc<Self>, number: usize, dto: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let own = ObjectId::new();
        let row = crud::insert(collection, dto, own, now())?;
        self.indexed(number).await?;
        let mut command = self.writing(cstr!("insert"), collection).await?;
        let mut documents = RawArrayBuf::new();
        documents.push(row.clone());
        command.append(cstr!("documents"), documents);
        let (reply, repeated) = self.write_harmless(command).await?;
        match write_errors(&reply)?.remove(&0).map(|failure| explain(collection, failure).1) {
            None => {}
            // Sent twice, it may be our own row that is in the way; an id that we made is nobody else's.
            Some(failure) if repeated && is_id(&failure) => {
                let id = row.get_object_id("_id")?;
                let there = if id == own { None } else { self.first(collection, rawdoc! { "_id": id }, false).await? };
                if id != own && !there.is_some_and(|there| document::same_row(&there, &row)) {
                    return Err(failure.unknown());
                }
            }
            Some(failure) => return Err(failure),
        }
        Ok(Answer::Documents(row.into_bytes()))
    }

    /// `BaseCRUD.update`
    pub(super) async fn change(self: &Arc<Self>, number: usize, body: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let id = cast::cast(collection, &COMMON[0], get(body, "id")?.unwrap_or(RawBsonRef::Null))?;
        let mut filter = RawDocumentBuf::new();
        filter.append(cstr!("_id"), id);
        if self.connect().await?.members.routes().await {
            // A router wants to know the shard.
            let Some(row) = self.first(collection, filter.clone(), false).await? else { return Ok(Answer::None) };
            filter = with_key(collection, filter, &row);
        }
        let update = update::change(collection, part(body, "dto")?, now())?;
        let modify = Modify { kind: Kind::Change, filter, update, whole: true };
        let row = self.modify(collection, &modify).await;
        match row.map_err(|failure| explain(collection, failure).1)? {
            Some(row) => Ok(Answer::Documents(row.into_bytes())),
            None => Ok(Answer::None),
        }
    }

    /// Deletes the rows that a filter finds, each by its id: rows that come later stay, also where a command is sent again.
    pub(super) async fn delete(&self, collection: &Collection, body: &RawDocument) -> Outcome<Answer> {
        let route = self.connect().await?.members.route();
        let mut query = Query { batch: Some(10_000), ..Query::new(collection, body)? };
        if route && query.fields.iter().next().is_some() {
            for field in collection.key {
                if query.fields.get(field.name).is_ok_and(|field| field.is_none()) {
                    query.fields.append(field.key, 1);
                }
            }
        }
        let mut rows = self.query(collection, query).await?;
        let (mut filters, mut found) = (Vec::new(), Vec::new());
        while self.advance(&mut rows).await? {
            if let Some(id) = get(rows.current(), "_id")? {
                let mut filter = RawDocumentBuf::new();
                filter.append(cstr!("_id"), RawBson::from(id));
                filters.push(if route { with_key(collection, filter, rows.current()) } else { filter });
                found.extend_from_slice(rows.current().as_bytes());
            }
        }
        for filters in filters.chunks(DELETED) {
            let mut deletes = RawArrayBuf::new();
            for filter in filters {
                deletes.push(rawdoc! { "q": filter.clone(), "limit": 1 });
            }
            let mut command = self.writing(cstr!("delete"), collection).await?;
            command.append(cstr!("ordered"), false);
            command.append(cstr!("deletes"), deletes);
            let (reply, _) = self.write_harmless(command).await?;
            if let Some(failure) = write_errors(&reply)?.into_values().next() {
                return Err(failure);
            }
        }
        Ok(Answer::Documents(found))
    }
}

/// A duplicate `_id`.
fn is_id(failure: &Failure) -> bool {
    let pattern = failure.server.as_ref().and_then(|server| server.key_pattern.as_ref());
    pattern.is_some_and(|pattern| pattern.get("_id").is_ok_and(|id| id.is_some()))
}

fn identified(key: &RawDocument, row: &RawDocument) -> Outcome<Answer> {
    match get(row, "_id")? {
        Some(RawBsonRef::ObjectId(id)) => Ok(Answer::document(&identity(key, id))),
        // A row of somebody else's making, whose id no cache can name.
        _ => Ok(Answer::None),
    }
}
