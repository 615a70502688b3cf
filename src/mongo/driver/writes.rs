//! Writes: upserts, one at a time or many in one command; marks, changes, deletions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use tokio::task::JoinSet;

use super::reads::Query;
use super::session::{Outcome, Session, collection};
use crate::error::{Code, Error};
use crate::mongo::batch::{Statement, rounds};
use crate::mongo::cast;
use crate::mongo::conflict::{self, Conflict, DUPLICATE};
use crate::mongo::crud;
use crate::mongo::document::{self, Millis, get, identity, part};
use crate::mongo::failure::Failure;
use crate::mongo::table::{COMMON, Collection};
use crate::mongo::update;
use crate::mongo::wire::{Answer, Call, Request};

/// The server cannot put a field into a value that is no document.
const PATH_NOT_VIABLE: i32 = 28;
/// How many keys one query asks the ids of.
const KEYS: usize = 100;

/// The time that is written into documents.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or_default()
}

/// An upsert of a tick.
pub(super) struct Upsert {
    call: Call,
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
    pub(super) fn new(request: &Request) -> Outcome<Self> {
        let collection = collection(request.collection);
        let key = document::key(collection, part(&request.body, "k")?)?;
        let update = document::upsert(collection, part(&request.body, "v")?, now())?;
        Ok(Self { call: request.call, key, update, id: get(&request.body, "id")?.and_then(cast::object_id) })
    }
}

/// What a reply says of the documents of an unordered command.
fn list<'a>(reply: &'a Document, name: &str) -> impl Iterator<Item = (usize, &'a Document)> {
    let entries = reply.get_array(name).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(Bson::as_document).map(|entry| {
        (entry.get_i32("index").ok().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX), entry)
    })
}

/// The write errors of a reply, by the place of their document.
pub(super) fn write_errors(reply: &Document) -> Outcome<HashMap<usize, Failure>> {
    list(reply, "writeErrors")
        .map(|(index, error)| Ok((index, Failure::from_server(&RawDocumentBuf::try_from(error)?))))
        .collect()
}

/// A duplicate key with what it means; other failures as they are.
pub(super) fn explain(collection: &Collection, failure: Failure) -> (Conflict, Failure) {
    if failure.server_code() != DUPLICATE {
        return (Conflict::Other, failure);
    }
    let pattern = failure.server.as_ref().and_then(|server| server.key_pattern.as_deref());
    match conflict::analyse(collection, pattern, &failure.error.message) {
        Conflict::OldIndex => {
            let error = conflict::old_index(collection, &failure.error.message);
            (Conflict::OldIndex, failure.with(error))
        }
        other => (other, failure),
    }
}

/// What `findAndModify` is to do.
struct Modify<'a> {
    filter: &'a RawDocument,
    update: RawDocumentBuf,
    upsert: bool,
    /// Whether the whole row is wanted, not only its id.
    whole: bool,
    /// Whether it may be done twice. What may not is not sent again when its reply is lost.
    repeatable: bool,
}

impl Session {
    /// The row afterwards.
    async fn modify(&self, collection: &Collection, modify: Modify<'_>) -> Outcome<Option<RawDocumentBuf>> {
        let mut command = self.writing(cstr!("findAndModify"), collection).await?;
        command.append(cstr!("query"), modify.filter.to_owned());
        command.append(cstr!("update"), modify.update);
        command.append(cstr!("new"), true);
        command.append(cstr!("upsert"), modify.upsert);
        if !modify.whole {
            command.append(cstr!("fields"), rawdoc! { "_id": 1 });
        }
        let reply = if modify.repeatable {
            self.command(command).await?
        } else {
            self.command_once(command).await.map_err(|mut failure| {
                if failure.transient {
                    failure.error.message += "; it may have been done, and is not sent again";
                }
                failure
            })?
        };
        Ok(reply.get_document("value").ok().map(RawDocumentBuf::try_from).transpose()?)
    }

    /// The same as an upsert of a key; when another first writer wins, the row is there, and it is tried once more.
    async fn upsert_one(
        &self,
        collection: &Collection,
        key: &RawDocument,
        update: RawDocumentBuf,
        whole: bool,
    ) -> Outcome<RawDocumentBuf> {
        let modify =
            |update| self.modify(collection, Modify { filter: key, update, upsert: true, whole, repeatable: true });
        let mut outcome = modify(update.clone()).await.map_err(|failure| explain(collection, failure));
        if let Err((Conflict::Race, _)) = outcome {
            self.count_retry();
            outcome = modify(update).await.map_err(|failure| explain(collection, failure));
        }
        let row = outcome.map_err(|(_, failure)| failure)?;
        row.ok_or_else(|| Error::new(Code::MongoReply, "the server did not return the row").into())
    }

    /// The upserts of a tick in one collection.
    pub(super) async fn upsert_all(self: Arc<Self>, number: usize, upserts: Vec<Upsert>) {
        let what = format!("Upsert {}", collection(number).name);
        if let Err(failure) = self.indexed(number).await {
            for upsert in upserts {
                self.answer(upsert.call, &what, Err(failure.clone()));
            }
            return;
        }
        for round in rounds(upserts) {
            self.upsert_round(number, &what, round).await;
        }
    }

    async fn upsert_round(self: &Arc<Self>, number: usize, what: &str, round: Vec<Upsert>) {
        let collection = collection(number);
        if let [only] = &*round {
            let row = self.upsert_one(collection, &only.key, only.update.clone(), false).await;
            self.answer(only.call, what, row.and_then(|row| identified(&only.key, &row)));
            return;
        }
        let reply = self.update_many(collection, &round).await;
        let (reply, mut errors) = match reply.and_then(|reply| write_errors(&reply).map(|errors| (reply, errors))) {
            Ok(told) => told,
            Err(failure) => {
                for upsert in round {
                    self.answer(upsert.call, what, Err(failure.clone()));
                }
                return;
            }
        };
        let inserted: HashMap<_, _> = list(&reply, "upserted")
            .filter_map(|(index, entry)| Some((index, entry.get_object_id("_id").ok()?)))
            .collect();
        let mut unknown = Vec::new();
        // The next round may have later values of the same keys, so these end before it.
        let mut again = JoinSet::new();
        for (index, upsert) in round.into_iter().enumerate() {
            let id = inserted.get(&index).copied().or(upsert.id);
            match (errors.remove(&index).map(|failure| explain(collection, failure)), id) {
                (Some((Conflict::Race, _)), _) => {
                    let (session, what) = (Arc::clone(self), what.to_owned());
                    self.count_retry();
                    again.spawn(async move {
                        let row = session.upsert_one(collection, &upsert.key, upsert.update, false).await;
                        session.answer(upsert.call, &what, row.and_then(|row| identified(&upsert.key, &row)));
                    });
                }
                (Some((_, failure)), _) => self.answer(upsert.call, what, Err(failure)),
                (None, Some(id)) => self.answer(upsert.call, what, Ok(Answer::document(&identity(&upsert.key, id)))),
                (None, None) => unknown.push(upsert),
            }
        }
        for chunk in unknown.chunks(KEYS) {
            self.identify(collection, what, chunk).await;
        }
        while again.join_next().await.is_some() {}
    }

    async fn update_many(&self, collection: &Collection, round: &[Upsert]) -> Outcome<Document> {
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
        self.command(command).await
    }

    /// The ids of rows that were there before and that the cache does not know, in one query.
    async fn identify(&self, collection: &Collection, what: &str, upserts: &[Upsert]) {
        let found = self.ids_of(collection, upserts).await;
        for upsert in upserts {
            let answer = match &found {
                // Deleted meanwhile, by somebody else: the row was written, and there is no id to remember.
                Ok(found) => Ok(found
                    .iter()
                    .find(|row| document::matches(row, &upsert.key))
                    .map_or(Ok(Answer::None), |row| identified(&upsert.key, row))),
                Err(failure) => Err(failure.clone()),
            };
            self.answer(upsert.call, what, answer.and_then(|answer| answer));
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
    pub(super) async fn soft_remove(self: &Arc<Self>, number: usize, key: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let mark = |with_payload| {
            let update = document::soft_remove(with_payload, now());
            self.modify(collection, Modify { filter: key, update, upsert: false, whole: false, repeatable: true })
        };
        let row = match mark(true).await {
            Err(failure) if failure.server_code() == PATH_NOT_VIABLE => mark(false).await,
            outcome => outcome,
        };
        row?.map_or(Ok(Answer::None), |row| identified(key, &row))
    }

    /// `candleDbService.create`
    pub(super) async fn candle(self: &Arc<Self>, number: usize, dto: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let (key, update) = (document::candle_key(collection, dto)?, document::candle(collection, dto, now())?);
        self.indexed(number).await?;
        let row = self.upsert_one(collection, &key, update, true).await?;
        Ok(Answer::Documents(row.into_bytes()))
    }

    /// `BaseCRUD.create`
    pub(super) async fn insert(self: &Arc<Self>, number: usize, dto: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let row = crud::insert(collection, dto, ObjectId::new(), now())?;
        self.indexed(number).await?;
        let mut command = self.writing(cstr!("insert"), collection).await?;
        let mut documents = RawArrayBuf::new();
        documents.push(row.clone());
        command.append(cstr!("documents"), documents);
        let reply = self.command(command).await?;
        match write_errors(&reply)?.remove(&0).map(|failure| explain(collection, failure)) {
            None => Ok(Answer::Documents(row.into_bytes())),
            Some((_, failure)) => {
                // The command may have been sent twice; then it is our own row that is in the way.
                let id = row.get_object_id("_id").map(|id| rawdoc! { "_id": id });
                match id {
                    Ok(id) if is_id(&failure) => match self.first(collection, id, false).await? {
                        Some(there) if document::same_row(&there, &row) => Ok(Answer::Documents(row.into_bytes())),
                        _ => Err(failure),
                    },
                    _ => Err(failure),
                }
            }
        }
    }

    /// `BaseCRUD.update`
    pub(super) async fn change(self: &Arc<Self>, number: usize, body: &RawDocument) -> Outcome<Answer> {
        let collection = collection(number);
        let id = cast::cast(collection, &COMMON[0], get(body, "id")?.unwrap_or(RawBsonRef::Null))?;
        let mut filter = RawDocumentBuf::new();
        filter.append(cstr!("_id"), id);
        let update = update::change(collection, part(body, "dto")?, now())?;
        let repeatable = update::repeatable(&update);
        let row =
            self.modify(collection, Modify { filter: &filter, update, upsert: false, whole: true, repeatable }).await;
        match row.map_err(|failure| explain(collection, failure).1)? {
            Some(row) => Ok(Answer::Documents(row.into_bytes())),
            None => Ok(Answer::None),
        }
    }

    /// Deletes the rows of a filter.
    pub(super) async fn delete(&self, collection: &Collection, body: &RawDocument) -> Outcome<Answer> {
        let query = Query::new(collection, body)?;
        let mut command = self.writing(cstr!("delete"), collection).await?;
        let mut deletes = RawArrayBuf::new();
        deletes.push(rawdoc! { "q": query.filter, "limit": 0 });
        command.append(cstr!("deletes"), deletes);
        let reply = self.command(command).await?;
        match write_errors(&reply)?.into_values().next() {
            Some(failure) => Err(failure),
            None => Ok(Answer::None),
        }
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
