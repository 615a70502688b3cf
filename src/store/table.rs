//! The tables of the collections, made from the table of collections: one for each, and the statements that use it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use mongodb::bson::{DateTime, RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params, params_from_iter};

use super::error::{Outcome, damaged};
use super::key;
use crate::mongo::table::{COLLECTIONS, Collection};

/// One collection's table.
///
/// `n` is the order in which rows came, `id` and `key` are what must be unique, `created` and `updated` are the dates in
/// milliseconds since 1970. Fields of the key, and `removed`, are columns without affinity. `odd` is 1 where a column does not tell
/// which questions find the row; see [`Table::odd`]. `doc` is the document.
pub struct Table {
    /// What it holds.
    pub collection: &'static Collection,
    /// The fields that are columns.
    pub columns: Vec<&'static str>,
    name: String,
    insert: String,
    replace: String,
    rewrite: String,
    by_key: String,
    by_key_noted: String,
    by_id: String,
    by_place: String,
    delete: String,
    odd: String,
}

/// A row, and where it is.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the order in which rows came.
    pub place: i64,
    /// The document.
    pub document: RawDocumentBuf,
}

/// All tables, in the order of [`COLLECTIONS`].
pub static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| COLLECTIONS.iter().map(Table::new).collect());

/// A collection's table; numbers come from our own JavaScript.
#[must_use]
pub fn table(number: usize) -> &'static Table {
    TABLES.get(number).unwrap_or(&TABLES[0])
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// A date in milliseconds; what is no date is NULL, which comes before all of them as in MongoDB.
fn date(document: &RawDocument, name: &str) -> Value {
    match document.get(name) {
        Ok(Some(RawBsonRef::DateTime(date))) => Value::Integer(DateTime::timestamp_millis(date)),
        _ => Value::Null,
    }
}

/// A document as SQLite gave it.
pub fn document(bytes: Vec<u8>) -> Outcome<RawDocumentBuf> {
    RawDocumentBuf::from_bytes(bytes).map_err(|error| damaged(&format!("a document is no BSON: {error}")))
}

impl Table {
    fn new(collection: &'static Collection) -> Self {
        let name = quoted(collection.name);
        let mut columns: Vec<_> = collection.key.iter().map(|field| field.name).collect();
        if collection.removes() {
            columns.push("removed");
        }
        let list = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        let marks = vec!["?"; columns.len()].join(", ");
        let sets = columns.iter().map(|column| format!("{} = ?", quoted(column))).collect::<Vec<_>>().join(", ");
        Self {
            insert: format!(
                "INSERT INTO {name} (id, key, created, updated, odd, {list}, doc) VALUES (?, ?, ?, ?, ?, {marks}, ?)"
            ),
            replace: format!(
                "UPDATE {name} SET id = ?, key = ?, created = ?, updated = ?, odd = ?, {sets}, doc = ? WHERE n = ?"
            ),
            rewrite: format!(
                "UPDATE {name} SET updated = ?1{}, doc = ?2 WHERE n = ?3",
                if collection.removes() { ", removed = ?4" } else { "" }
            ),
            by_key: format!("SELECT n, doc FROM {name} WHERE key = ?"),
            by_key_noted: format!(
                "SELECT n, doc, (SELECT value FROM maps WHERE maps.key = ? AND expires IS NULL) FROM {name} AS row \
                 WHERE row.key = ?"
            ),
            by_id: format!("SELECT n, doc FROM {name} WHERE id = ?"),
            by_place: format!("SELECT doc FROM {name} WHERE n = ?"),
            delete: format!("DELETE FROM {name} WHERE n = ?"),
            odd: format!("SELECT 1 FROM {name} WHERE odd LIMIT 1"),
            collection,
            columns,
            name,
        }
    }

    /// The statements that make it.
    #[must_use]
    pub fn create(&self) -> String {
        let columns: String = self.columns.iter().flat_map(|column| [quoted(column), ", ".to_owned()]).collect();
        let mut sql = format!(
            "CREATE TABLE {} (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, key BLOB NOT NULL UNIQUE, \
             created INTEGER, updated INTEGER, odd INTEGER NOT NULL, {columns}doc BLOB NOT NULL);\n",
            self.name
        );
        let stem = self.collection.stem;
        let _ = writeln!(sql, "CREATE INDEX {stem}_odd ON {} (odd) WHERE odd;", self.name);
        for (number, list) in self.collection.lists.iter().enumerate() {
            let mut by: Vec<_> = list.by.iter().map(|field| quoted(field)).collect();
            if list.present {
                by.push(quoted("removed"));
            }
            by.push(if list.newest { "created" } else { "updated" }.to_owned());
            let _ = writeln!(sql, "CREATE INDEX {stem}_list_{number} ON {} ({});", self.name, by.join(", "));
        }
        if self.collection.stem == "candle" {
            let by: Vec<_> = self.collection.key.iter().map(|field| quoted(field.name)).collect();
            let _ = writeln!(sql, "CREATE INDEX {stem}_moments ON {} ({});", self.name, by.join(", "));
        }
        sql
    }

    /// Whether its columns do not tell which questions find a row: an array is found by each of its elements, and what stands for
    /// a date and is none has a place in a sort.
    fn odd(&self, row: &RawDocument) -> bool {
        let is_list = |name: &&str| matches!(row.get(*name), Ok(Some(RawBsonRef::Array(_))));
        let is_date = |name| matches!(row.get(name), Ok(None | Some(RawBsonRef::Null | RawBsonRef::DateTime(_))));
        self.columns.iter().any(is_list) || !is_date("createDate") || !is_date("updatedDate")
    }

    /// Whether it has odd rows, which `WHERE odd` finds.
    pub fn has_odd(&self, store: &Connection) -> Outcome<bool> {
        Ok(store.prepare_cached(&self.odd)?.exists([])?)
    }

    fn values(&self, row: &RawDocument) -> Outcome<Vec<Value>> {
        key::check(self.collection, row)?;
        let id = row.get("_id").ok().flatten().ok_or_else(|| damaged("a document has no _id"))?;
        let mut values = vec![
            Value::Blob(key::of(Some(id))),
            Value::Blob(key::unique(self.collection, row)),
            date(row, "createDate"),
            date(row, "updatedDate"),
            Value::Integer(self.odd(row).into()),
        ];
        values.extend(self.columns.iter().map(|name| key::column(row.get(*name).ok().flatten())));
        values.push(Value::Blob(row.as_bytes().to_vec()));
        Ok(values)
    }

    /// Adds a row; its key and its id must be free.
    pub fn insert(&self, store: &Connection, row: &RawDocument) -> Outcome<i64> {
        store.prepare_cached(&self.insert)?.execute(params_from_iter(self.values(row)?))?;
        Ok(store.last_insert_rowid())
    }

    /// Puts a row in place of another.
    pub fn replace(&self, store: &Connection, place: i64, row: &RawDocument) -> Outcome<()> {
        let mut values = self.values(row)?;
        values.push(Value::Integer(place));
        store.prepare_cached(&self.replace)?.execute(params_from_iter(values))?;
        Ok(())
    }

    /// Whether a field stands in a column that [`Table::rewrite`] leaves as it is.
    #[must_use]
    pub fn is_fixed(&self, name: &str) -> bool {
        matches!(name, "_id" | "createDate") || self.collection.key.iter().any(|field| field.name == name)
    }

    /// Puts a row in place of another from which it differs in no fixed field, so that indexes stay as they are. False: what it
    /// has for a date or a mark is none.
    pub fn rewrite(&self, store: &Connection, place: i64, row: &RawDocument) -> Outcome<bool> {
        let Ok(Some(RawBsonRef::DateTime(updated))) = row.get("updatedDate") else { return Ok(false) };
        let updated = updated.timestamp_millis();
        let mut statement = store.prepare_cached(&self.rewrite)?;
        if self.collection.removes() {
            let removed = row.get("removed").ok().flatten();
            if !matches!(removed, None | Some(RawBsonRef::Boolean(_))) {
                return Ok(false);
            }
            statement.execute(params![updated, row.as_bytes(), place, key::column(removed)])?;
        } else {
            statement.execute(params![updated, row.as_bytes(), place])?;
        }
        Ok(true)
    }

    /// Takes a row away.
    pub fn delete(&self, store: &Connection, place: i64) -> Outcome<()> {
        store.prepare_cached(&self.delete)?.execute(params![place])?;
        Ok(())
    }

    fn one(mut statement: CachedStatement<'_>, by: &[u8]) -> Outcome<Option<Row>> {
        let found = statement.query_row(params![by], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        found.optional()?.map(|(place, bytes)| Ok(Row { place, document: document(bytes)? })).transpose()
    }

    /// The row of a unique key; see [`key::asked`].
    pub fn by_key(&self, store: &Connection, key: &[u8]) -> Outcome<Option<Row>> {
        Self::one(store.prepare_cached(&self.by_key)?, key)
    }

    /// The row of a unique key, and what a key of the maps holds for ever, in one statement: statements are most of what such a
    /// read costs.
    pub fn by_key_noted(
        &self,
        store: &Connection,
        key: &[u8],
        noted: &[u8],
    ) -> Outcome<Option<(Row, Option<Vec<u8>>)>> {
        let mut statement = store.prepare_cached(&self.by_key_noted)?;
        let found = statement.query_row(params![noted, key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let row = |(place, bytes, noted)| Ok((Row { place, document: document(bytes)? }, noted));
        found.optional()?.map(row).transpose()
    }

    /// The row of an `_id`.
    pub fn by_id(&self, store: &Connection, id: RawBsonRef<'_>) -> Outcome<Option<Row>> {
        Self::one(store.prepare_cached(&self.by_id)?, &key::of(Some(id)))
    }

    /// The document at a place.
    pub fn at(&self, store: &Connection, place: i64) -> Outcome<Option<RawDocumentBuf>> {
        let mut statement = store.prepare_cached(&self.by_place)?;
        statement.query_row(params![place], |row| row.get(0)).optional()?.map(document).transpose()
    }

    /// How many rows it has.
    pub fn count(&self, store: &Connection) -> Outcome<i64> {
        Ok(store.query_row(&format!("SELECT count(*) FROM {}", self.name), [], |row| row.get(0))?)
    }

    /// Goes through rows: those where `condition` holds, in `order`, until `each` says `false`.
    pub fn scan(
        &self,
        store: &Connection,
        condition: &str,
        values: &[Value],
        order: &str,
        each: &mut dyn FnMut(Row) -> Outcome<bool>,
    ) -> Outcome<()> {
        let sql = format!("SELECT n, doc FROM {} WHERE {condition} ORDER BY {order}", self.name);
        let mut statement = store.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let row = Row { place: row.get(0)?, document: document(row.get(1)?)? };
            if !each(row)? {
                break;
            }
        }
        Ok(())
    }
}
