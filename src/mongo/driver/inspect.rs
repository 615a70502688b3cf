//! What there is to know of a collection, for whoever looks after the servers.

use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::executor::Executor;
use crate::mongo::failure::Outcome;
use crate::mongo::table::Collection;
use crate::mongo::wire::Answer;

/// The server's code of a collection that is not there.
const NO_COLLECTION: i32 = 26;

impl Executor {
    /// `{ version, rows, missing: [index names], duplicates, sharding }`; `duplicates` are keys that several rows have, looked for
    /// only where the unique index, which rules them out, is missing; `sharding` as [`Self::sharding`] says.
    pub(super) async fn inspect(&self, collection: &Collection) -> Outcome<Answer> {
        let build = self.command(rawdoc! { "buildInfo": 1 }).await?;
        let (indexes, rows) = match self.command(rawdoc! { "listIndexes": collection.name }).await {
            Ok(reply) => (first_batch(&reply), self.command(rawdoc! { "count": collection.name }).await?),
            Err(failure) if failure.server_code() == NO_COLLECTION => (Vec::new(), doc! { "n": 0 }),
            Err(failure) => return Err(failure),
        };
        let is_there = |fields: &[(&str, i32)], unique: bool| {
            indexes.iter().any(|index| {
                let same = index.get_document("key").is_ok_and(|key| {
                    key.len() == fields.len()
                        && key.iter().zip(fields).all(|((name, direction), (field, wanted))| {
                            name == field && number(direction) == Some(f64::from(*wanted))
                        })
                });
                same && (!unique || index.get_bool("unique").unwrap_or(false))
            })
        };
        let unique = collection.unique_index();
        let has_unique = is_there(&unique, true);
        let mut missing: Vec<String> = Vec::new();
        if !has_unique {
            missing.push(Collection::index_name(&unique));
        }
        let plain = collection.plain_indexes();
        missing.extend(
            plain.iter().filter(|fields| !is_there(fields, false)).map(|fields| Collection::index_name(fields)),
        );
        let count = rows.get("n").and_then(number).unwrap_or_default();
        let duplicates = if has_unique || count == 0.0 { 0.0 } else { self.duplicates(collection).await? };
        let found = doc! {
            "version": build.get_str("version").unwrap_or_default(),
            "rows": count,
            "missing": if indexes.is_empty() { Vec::new() } else { missing },
            "duplicates": duplicates,
            "sharding": self.sharding(collection).await?,
        };
        Ok(Answer::document(&RawDocumentBuf::try_from(&found)?))
    }

    /// On a router, what it divides the collection by: `{ key, right }`, where `key` is null if it does not, or `{ refused }` where this
    /// user may not know. Else null.
    async fn sharding(&self, collection: &Collection) -> Outcome<Bson> {
        let connected = self.connect().await?;
        if !connected.members.route() {
            return Ok(Bson::Null);
        }
        let name = format!("{}.{}", connected.database.name(), collection.name);
        let known = connected.client.database("config").collection::<Document>("collections");
        let trip = || {
            let (known, filter) = (known.clone(), doc! { "_id": &name, "dropped": { "$ne": true } });
            async move { known.find_one(filter).await }
        };
        let found = match self.read(trip).await {
            Ok(found) => found,
            Err(failure) if failure.server.is_some() => {
                return Ok(Bson::from(doc! { "refused": failure.error.message }));
            }
            Err(failure) => return Err(failure),
        };
        let key = found.and_then(|found| found.get_document("key").ok().cloned());
        let right = key.as_ref().is_some_and(|key| is_shard_key(collection, key));
        Ok(Bson::from(doc! { "key": key, "right": right }))
    }

    async fn duplicates(&self, collection: &Collection) -> Outcome<f64> {
        let mut by = RawDocumentBuf::new();
        for field in collection.key {
            by.append(field.key, format!("${}", field.name));
        }
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("aggregate"), collection.name);
        command.append(
            cstr!("pipeline"),
            mongodb::bson::RawArrayBuf::from_iter([
                rawdoc! { "$group": { "_id": by, "n": { "$sum": 1 } } },
                rawdoc! { "$match": { "n": { "$gt": 1 } } },
                rawdoc! { "$count": "n" },
            ]),
        );
        command.append(cstr!("cursor"), RawDocumentBuf::new());
        command.append(cstr!("allowDiskUse"), true);
        let reply = self.command(command).await?;
        Ok(first_batch(&reply).first().and_then(|found| found.get("n")).and_then(number).unwrap_or_default())
    }
}

/// Whether a unique index can be made beside a shard key: it must begin with that.
fn is_shard_key(collection: &Collection, key: &Document) -> bool {
    let unique = collection.unique_index();
    let same = |(have, want): ((&String, &Bson), &(&str, i32))| have.0 == want.0 && number(have.1) == Some(1.0);
    !key.is_empty() && key.len() <= unique.len() && key.iter().zip(&unique).all(same)
}

fn first_batch(reply: &Document) -> Vec<Document> {
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch.map(|batch| batch.iter().filter_map(Bson::as_document).cloned().collect()).unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "a count of rows")]
fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(n) => Some(f64::from(*n)),
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mongo::table::COLLECTIONS;

    #[test]
    fn a_shard_key_is_right_where_the_unique_key_begins_with_it() {
        let measure = COLLECTIONS.iter().find(|collection| collection.name == "measure-items").unwrap();
        for right in [doc! { "bucket": 1 }, doc! { "bucket": 1, "entryKey": 1.0 }] {
            assert!(is_shard_key(measure, &right), "{right}");
        }
        for wrong in [doc! {}, doc! { "entryKey": 1 }, doc! { "bucket": "hashed" }, doc! { "bucket": 1, "when": 1 }] {
            assert!(!is_shard_key(measure, &wrong), "{wrong}");
        }
        assert!(!is_shard_key(measure, &doc! { "bucket": 1, "entryKey": 1, "_id": 1 }));
    }
}
