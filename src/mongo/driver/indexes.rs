//! Indexes: the unique one of the key before a collection's first write, the others behind it.
//!
//! Without the unique index two first writers of one key make two documents, and then the index can never be made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};

use super::session::{Outcome, Session, collection};
use super::shared::Shared;
use crate::error::Code;
use crate::mongo::document::key_name;
use crate::mongo::table::{COLLECTIONS, Collection};

/// Which collections have their indexes.
#[derive(Debug)]
pub(super) struct Indexes {
    ready: [Shared<()>; COLLECTIONS.len()],
    /// By the collection and whether it is the unique one.
    problems: Mutex<BTreeMap<(&'static str, bool), String>>,
}

impl Default for Indexes {
    fn default() -> Self {
        Self { ready: std::array::from_fn(|_| Shared::default()), problems: Mutex::default() }
    }
}

impl Indexes {
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        if ready.get().is_some() {
            return Ok(());
        }
        let make = async {
            let collection = collection(number);
            let unique = collection.unique_index();
            self.make(collection, vec![index(&unique, true)?], true).await?;
            let session = Arc::clone(self);
            self.spawn(async move { session.make_others(collection).await });
            Ok(())
        };
        ready.get_or_make(make).await
    }

    async fn make_others(&self, collection: &'static Collection) {
        let all: Outcome<Vec<_>> = collection.plain_indexes().iter().map(|fields| index(fields, false)).collect();
        // A server that is away now is asked again by the next process; reads are right without them.
        if let Ok(all) = all {
            let _ = self.make(collection, all, false).await;
        }
    }

    /// Makes indexes. What the server refuses is noted and told once; writes go on. On a large collection it may take longer
    /// than a round trip has: the server goes on, and the next one who needs the index waits for the same build.
    async fn make(&self, collection: &'static Collection, indexes: Vec<RawDocumentBuf>, unique: bool) -> Outcome<()> {
        let mut list = RawArrayBuf::new();
        for index in indexes {
            list.push(index);
        }
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("createIndexes"), collection.name);
        command.append(cstr!("indexes"), list);
        let place = (collection.name, unique);
        match self.command(command).await {
            Ok(_) => {
                self.problems().remove(&place);
                Ok(())
            }
            Err(failure) if failure.error.code == Code::MongoWrite => {
                let why = self.secrets().mask(&failure.error.message);
                let text = format!("an index of {} could not be made: {why}", collection.name);
                self.notice(&format!("backtest-kit-native: {text}"));
                self.problems().insert(place, text);
                Ok(())
            }
            Err(mut failure) => {
                if failure.error.code == Code::MongoTimeout {
                    let text = unfinished(collection, unique, &self.secrets().mask(&failure.error.message));
                    self.problems().insert(place, text.clone());
                    failure.error.message = text;
                }
                Err(failure)
            }
        }
    }

    fn problems(&self) -> MutexGuard<'_, BTreeMap<(&'static str, bool), String>> {
        self.indexes.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to say of a build that takes longer than a round trip may.
fn unfinished(collection: &Collection, unique: bool, why: &str) -> String {
    let which = if unique {
        format!("the unique index {}", Collection::index_name(&collection.unique_index()))
    } else {
        "the indexes".to_owned()
    };
    format!("{why}; {which} of {} may still be under construction", collection.name)
}
