//! The seventeen collections: key, fields, defaults, indexes and methods of each, as data.
//!
//! The JavaScript classes, the declarations, casts, documents and indexes are made from it; a new collection is a new
//! row and nothing else.

use mongodb::bson::raw::{CStr, cstr};
use serde_json::{Value, json};

/// What a field stores, as the original's schemas declare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Flag,
    /// A date.
    Date,
    /// The `_id`.
    Id,
    /// Anything, as it is.
    Any,
}

/// What a field holds after an insert that does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// Nothing: the field is not there.
    None,
    /// `{}`
    Document,
    /// `[]`
    List,
    /// `false`
    False,
}

/// A field of a collection.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The same for documents.
    pub key: &'static CStr,
    /// What it stores.
    pub kind: Type,
    /// What an insert without it stores.
    pub default: Default,
}

macro_rules! fields {
    ($($constant:ident = $name:literal: $kind:ident, $default:ident;)+) => {
        $(const $constant: Field = Field {
            name: $name,
            key: cstr!($name),
            kind: Type::$kind,
            default: Default::$default,
        };)+
    };
}

fields! {
    SYMBOL = "symbol": Text, None;
    INTERVAL = "interval": Text, None;
    TIMESTAMP = "timestamp": Number, None;
    STRATEGY = "strategyName": Text, None;
    EXCHANGE = "exchangeName": Text, None;
    FRAME = "frameName": Text, None;
    RISK = "riskName": Text, None;
    SIGNAL = "signalId": Text, None;
    NOTIFICATION = "notificationId": Text, None;
    ENTRY = "entryId": Text, None;
    BUCKET = "bucket": Text, None;
    ENTRY_KEY = "entryKey": Text, None;
    BUCKET_NAME = "bucketName": Text, None;
    MEMORY = "memoryId": Text, None;
    DICTIONARY = "dictionaryName": Text, None;
    BACKTEST = "backtest": Flag, None;
    OPEN = "open": Number, None;
    HIGH = "high": Number, None;
    LOW = "low": Number, None;
    CLOSE = "close": Number, None;
    VOLUME = "volume": Number, None;
    PAYLOAD = "payload": Any, None;
    PAYLOAD_OR_EMPTY = "payload": Any, Document;
    POSITIONS = "positions": Any, List;
    REMOVED = "removed": Flag, False;
    WHEN = "when": Number, None;
}

/// The fields that every document has besides its own.
pub const COMMON: &[Field] = &[
    Field { name: "_id", key: cstr!("_id"), kind: Type::Id, default: Default::None },
    Field { name: "createDate", key: cstr!("createDate"), kind: Type::Date, default: Default::None },
    Field { name: "updatedDate", key: cstr!("updatedDate"), kind: Type::Date, default: Default::None },
    Field { name: "__v", key: cstr!("__v"), kind: Type::Number, default: Default::None },
];

/// How a list is asked for.
#[derive(Debug)]
pub struct List {
    /// The method.
    pub method: &'static str,
    /// What it is asked by, in the order of its arguments.
    pub by: &'static [&'static str],
    /// Only the newest, by `createDate`, and no more than 200; else 1000 by `updatedDate`.
    pub newest: bool,
    /// Only rows that are not removed.
    pub present: bool,
    /// Only this field of the rows.
    pub only: Option<&'static str>,
}

/// One collection and its service.
#[derive(Debug)]
pub struct Collection {
    /// Its name in the database.
    pub name: &'static str,
    /// Name of the service, less `DbService`; of the cache service, less `CacheService`.
    pub stem: &'static str,
    /// The noun of the cache service's methods.
    pub noun: &'static str,
    /// The fields of the filter and of the unique index, in this order.
    pub key: &'static [Field],
    /// The other fields, in the order of the schema. `BaseCRUD` writes no row in which one of either is missing or null.
    pub rest: &'static [Field],
    /// The method that finds one row by its key.
    pub find: &'static str,
    /// The method that says whether there is one.
    pub has: Option<&'static str>,
    /// Its lists.
    pub lists: &'static [List],
    /// Indexes besides the key's and those of single fields: fields with their direction.
    pub indexes: &'static [&'static [(&'static str, i32)]],
    /// The fields of the unique index that an older release made.
    pub old_key: Option<&'static [&'static str]>,
    /// The field of the key that the schema names after the others of it.
    pub last: Option<&'static str>,
}

/// The collection of that number; numbers come from our own JavaScript.
#[must_use]
pub fn collection(number: usize) -> &'static Collection {
    COLLECTIONS.get(number).unwrap_or(&COLLECTIONS[0])
}

const fn declare(
    name: &'static str,
    stem: &'static str,
    noun: &'static str,
    key: &'static [Field],
    rest: &'static [Field],
    find: &'static str,
) -> Collection {
    Collection { name, stem, noun, key, rest, find, has: None, lists: &[], indexes: &[], old_key: None, last: None }
}

const BY_CONTEXT: &[Field] = &[SYMBOL, STRATEGY, EXCHANGE];
const BY_SIGNAL: &[Field] = &[SYMBOL, STRATEGY, EXCHANGE, SIGNAL];
const FIND: &str = "findByContext";

const fn list(method: &'static str, by: &'static [&'static str]) -> List {
    List { method, by, newest: false, present: false, only: None }
}

/// Keys of a bucket that are not removed.
const LIST_KEYS: List = List { present: true, only: Some("entryKey"), ..list("listKeys", &["bucket"]) };
const BUCKET_REMOVED: &[(&str, i32)] = &[("bucket", 1), ("removed", 1)];

/// The collections, in the order of `ioc`.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        has: Some("hasCandle"),
        old_key: Some(&["symbol", "interval", "timestamp"]),
        last: Some("exchangeName"),
        ..declare(
            "candle-items",
            "candle",
            "Candle",
            &[EXCHANGE, SYMBOL, INTERVAL, TIMESTAMP],
            &[OPEN, HIGH, LOW, CLOSE, VOLUME],
            "findBySymbolIntervalTimestamp",
        )
    },
    declare("signal-items", "signal", "Signal", BY_CONTEXT, &[PAYLOAD], FIND),
    declare("schedule-items", "schedule", "Schedule", BY_CONTEXT, &[PAYLOAD], FIND),
    declare("strategy-items", "strategy", "Strategy", BY_CONTEXT, &[PAYLOAD], FIND),
    declare("risk-items", "risk", "Risk", &[RISK, EXCHANGE], &[POSITIONS, WHEN], FIND),
    declare("partial-items", "partial", "Partial", BY_SIGNAL, &[PAYLOAD_OR_EMPTY, WHEN], FIND),
    declare("breakeven-items", "breakeven", "Breakeven", BY_SIGNAL, &[PAYLOAD_OR_EMPTY, WHEN], FIND),
    Collection {
        lists: &[list("listByMode", &["backtest"])],
        ..declare("storage-items", "storage", "Storage", &[BACKTEST, SIGNAL], &[PAYLOAD], "findBySignalId")
    },
    Collection {
        lists: &[List { newest: true, ..list("listByMode", &["backtest"]) }],
        indexes: &[&[("backtest", 1), ("createDate", -1)]],
        ..declare(
            "notification-items",
            "notification",
            "Notification",
            &[BACKTEST, NOTIFICATION],
            &[PAYLOAD],
            "findByNotificationId",
        )
    },
    Collection {
        lists: &[List { newest: true, ..list("listAll", &[]) }],
        indexes: &[&[("createDate", -1)]],
        ..declare("log-items", "log", "Log", &[ENTRY], &[PAYLOAD], "findByEntryId")
    },
    Collection {
        lists: &[LIST_KEYS],
        indexes: &[BUCKET_REMOVED],
        ..declare("measure-items", "measure", "Measure", &[BUCKET, ENTRY_KEY], &[PAYLOAD, REMOVED], "findByKey")
    },
    Collection {
        lists: &[LIST_KEYS],
        indexes: &[BUCKET_REMOVED],
        ..declare(
            "interval-items",
            "interval",
            "Interval",
            &[BUCKET, ENTRY_KEY],
            &[PAYLOAD, REMOVED, WHEN],
            "findByKey",
        )
    },
    Collection {
        has: Some("hasMemoryEntry"),
        lists: &[List { present: true, ..list("listEntries", &["signalId", "bucketName"]) }],
        indexes: &[&[("signalId", 1), ("bucketName", 1), ("removed", 1)]],
        ..declare(
            "memory-items",
            "memory",
            "MemoryEntry",
            &[SIGNAL, BUCKET_NAME, MEMORY],
            &[PAYLOAD, REMOVED, WHEN],
            "findByMemoryId",
        )
    },
    declare("recent-items", "recent", "Recent", &[SYMBOL, STRATEGY, EXCHANGE, FRAME, BACKTEST], &[PAYLOAD, WHEN], FIND),
    declare("state-items", "state", "State", &[SIGNAL, BUCKET_NAME], &[PAYLOAD, WHEN], FIND),
    declare("dictionary-items", "dictionary", "Dictionary", &[SIGNAL, DICTIONARY], &[PAYLOAD, WHEN], FIND),
    Collection {
        old_key: Some(&["strategyName", "exchangeName", "frameName"]),
        ..declare(
            "session-items",
            "session",
            "Session",
            &[STRATEGY, EXCHANGE, FRAME, SYMBOL, BACKTEST],
            &[PAYLOAD, WHEN],
            FIND,
        )
    },
];

/// Number of the candles' collection.
pub const CANDLES: usize = 0;

impl Collection {
    /// Its own fields, in the order of the schema.
    #[must_use]
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = &'static Field> {
        let is_last = |field: &&Field| Some(field.name) == self.last;
        let first = self.key.iter().filter(move |field| !is_last(field));
        first.chain(self.key.iter().filter(move |field| is_last(field))).chain(self.rest)
    }

    /// A field of the schema by its name, the common ones included.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.key.iter().chain(self.rest).chain(COMMON).find(|field| field.name == name)
    }

    /// One of its own fields, those of the key excluded.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'static Field> {
        self.rest.iter().find(|field| field.name == name)
    }

    /// Whether rows are marked as removed instead of being deleted.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.value("removed").is_some()
    }

    /// The name that the original's release gives an index on these fields.
    #[must_use]
    pub fn index_name(fields: &[(&str, i32)]) -> String {
        fields.iter().map(|(name, direction)| format!("{name}_{direction}")).collect::<Vec<_>>().join("_")
    }

    /// The fields of its unique index.
    #[must_use]
    pub fn unique_index(&self) -> Vec<(&'static str, i32)> {
        self.key.iter().map(|field| (field.name, 1)).collect()
    }

    /// The fields of its other indexes.
    #[must_use]
    pub fn plain_indexes(&self) -> Vec<Vec<(&'static str, i32)>> {
        let single = |field: &Field| field.name == "removed" || field.name == "when";
        let singles = self.key.iter().chain(self.rest.iter().filter(|field| single(field)));
        // The key of log is one field, whose index is the unique one.
        let singles = singles.filter(|field| self.key.len() > 1 || field.name != self.key[0].name);
        let mut all: Vec<_> = singles.map(|field| vec![(field.name, 1)]).collect();
        all.extend(self.indexes.iter().map(|fields| fields.to_vec()));
        all
    }
}

/// The table as JSON, for the JavaScript classes and the TypeScript declarations.
#[must_use]
pub fn to_json() -> Value {
    let kind = |field: &Field| match field.kind {
        Type::Text | Type::Id => "string",
        Type::Number => "number",
        Type::Flag => "boolean",
        Type::Date => "Date",
        Type::Any => "any",
    };
    let field = |field: &Field| json!({ "name": field.name, "type": kind(field) });
    let list = |list: &List| {
        json!({
            "method": list.method, "by": list.by, "newest": list.newest, "present": list.present, "only": list.only,
        })
    };
    let collection = |it: &Collection| {
        let (first, rest) = it.stem.split_at(1);
        json!({
            "collection": it.name,
            "service": format!("{}DbService", it.stem),
            "class": format!("{}{rest}DbService", first.to_uppercase()),
            "cache": format!("{}CacheService", it.stem),
            "noun": it.noun,
            "key": it.key.iter().map(field).collect::<Vec<_>>(),
            "rest": it.rest.iter().map(field).collect::<Vec<_>>(),
            "find": it.find,
            "has": it.has,
            "removes": it.removes(),
            "lists": it.lists.iter().map(list).collect::<Vec<_>>(),
        })
    };
    COLLECTIONS.iter().map(collection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::table::SERVICES;

    #[test]
    fn every_collection_has_its_cache_service_and_noun() {
        assert_eq!(COLLECTIONS.len(), SERVICES.len());
        for (collection, service) in COLLECTIONS.iter().zip(SERVICES) {
            assert_eq!(service.name, format!("{}CacheService", collection.stem));
            assert!(service.nouns.iter().any(|noun| noun.name == collection.noun), "{}", collection.name);
        }
    }

    #[test]
    fn the_cache_key_is_made_of_the_documents_key() {
        for (collection, service) in COLLECTIONS.iter().zip(SERVICES) {
            let noun = service.nouns.iter().find(|noun| noun.name == collection.noun).unwrap();
            let mut form: Vec<_> = noun.forms[0].args.iter().map(|field| field.name).collect();
            let mut key: Vec<_> = collection.key.iter().map(|field| field.name).collect();
            form.sort_unstable();
            key.sort_unstable();
            assert_eq!(form, key, "{}", collection.name);
        }
    }

    #[test]
    fn indexes_have_the_originals_names() {
        let names = |collection: &Collection| {
            let mut all: Vec<_> =
                collection.plain_indexes().iter().map(|fields| Collection::index_name(fields)).collect();
            all.push(Collection::index_name(&collection.unique_index()));
            all
        };
        assert_eq!(names(&COLLECTIONS[9]), ["createDate_-1", "entryId_1"]);
        assert_eq!(
            names(&COLLECTIONS[10]),
            ["bucket_1", "entryKey_1", "removed_1", "bucket_1_removed_1", "bucket_1_entryKey_1"]
        );
        assert_eq!(names(&COLLECTIONS[CANDLES])[4], "exchangeName_1_symbol_1_interval_1_timestamp_1");
    }
}
