//! Makes a collection's indexes: the unique one of the key before the first write, the others behind it.
//!
//! Without the unique index two first writers of one key make two documents, and then the index can never be made.

use std::sync::Arc;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};

use super::executor::Executor;
use crate::error::Code;
use crate::mongo::document::key_name;
use crate::mongo::failure::Outcome;
use crate::mongo::table::{Collection, collection};

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

impl Executor {
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
            let executor = Arc::clone(self);
            self.spawn(async move { executor.make_others(collection).await });
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
                self.indexes.problems().remove(&place);
                Ok(())
            }
            Err(failure) if failure.error.code == Code::MongoWrite => {
                let why = self.secrets().mask(&failure.error.message);
                let text = format!("an index of {} could not be made: {why}", collection.name);
                self.notice(&format!("backtest-kit-native: {text}"));
                self.indexes.problems().insert(place, text);
                Ok(())
            }
            Err(mut failure) => {
                if failure.error.code == Code::MongoTimeout {
                    let text = unfinished(collection, unique, &self.secrets().mask(&failure.error.message));
                    self.indexes.problems().insert(place, text.clone());
                    failure.error.message = text;
                }
                Err(failure)
            }
        }
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
