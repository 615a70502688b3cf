//! Indexes: the unique one of the key before a collection's first write, the others behind it.
//!
//! Without the unique index two first writers of one key make two documents, and then the index can never be made.

use std::sync::{Arc, Mutex, PoisonError};

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};
use tokio::sync::OnceCell;

use super::session::{Outcome, Session, collection};
use crate::error::Code;
use crate::mongo::document::key_name;
use crate::mongo::failure::Failure;
use crate::mongo::table::{COLLECTIONS, Collection};

/// Which collections have their indexes.
#[derive(Debug)]
pub(super) struct Indexes {
    ready: [OnceCell<()>; COLLECTIONS.len()],
    problems: Mutex<Vec<String>>,
}

impl Default for Indexes {
    fn default() -> Self {
        Self { ready: std::array::from_fn(|_| OnceCell::new()), problems: Mutex::default() }
    }
}

impl Indexes {
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The description of an index, the same as the original's, so that either finds the other's.
fn index(fields: &[(&str, i32)], unique: bool) -> Outcome<RawDocumentBuf> {
    let mut key = RawDocumentBuf::new();
    for (name, direction) in fields {
        key.append(key_name(name)?, *direction);
    }
    let mut index = RawDocumentBuf::new();
    index.append(cstr!("key"), key);
    index.append(cstr!("name"), Collection::index_name(fields));
    index.append(cstr!("background"), true);
    if unique {
        index.append(cstr!("unique"), true);
    }
    Ok(index)
}

impl Session {
    /// Waits until the collection has its unique index, or cannot have it.
    pub(super) async fn indexed(self: &Arc<Self>, number: usize) -> Outcome<()> {
        let Some(ready) = self.indexes.ready.get(number) else { return Ok(()) };
        ready
            .get_or_try_init(|| async {
                let collection = collection(number);
                let unique = collection.unique_index();
                self.make(collection, vec![index(&unique, true)?]).await?;
                let session = Arc::clone(self);
                self.spawn(async move { session.make_others(collection).await });
                Ok(())
            })
            .await
            .copied()
    }

    async fn make_others(&self, collection: &'static Collection) {
        let all: Outcome<Vec<_>> = collection.plain_indexes().iter().map(|fields| index(fields, false)).collect();
        // A server that is away now is asked again by the next process; reads are right without them.
        if let Ok(all) = all {
            let _ = self.make(collection, all).await;
        }
    }

    /// Makes indexes. What the server refuses is noted and told once; writes go on.
    async fn make(&self, collection: &Collection, indexes: Vec<RawDocumentBuf>) -> Outcome<()> {
        let mut list = RawArrayBuf::new();
        for index in indexes {
            list.push(index);
        }
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("createIndexes"), collection.name);
        command.append(cstr!("indexes"), list);
        match self.command(command).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.error.code == Code::MongoWrite => {
                self.refused(collection, &failure);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn refused(&self, collection: &Collection, failure: &Failure) {
        let text = format!("an index of {} could not be made: {}", collection.name, failure.error.message);
        self.notice(&format!("backtest-kit-native: {text}"));
        self.indexes.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}
