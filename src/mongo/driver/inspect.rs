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
    /// `{ version, rows, missing: [index names], duplicates }`; `duplicates` are keys that several rows have, looked for only
    /// where the unique index, which rules them out, is missing.
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
        };
        Ok(Answer::document(&RawDocumentBuf::try_from(&found)?))
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
