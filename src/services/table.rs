//! The seventeen cache services: prefix in Redis, nouns of the methods, call forms.
//!
//! A *form* is one way to name a context. Most services have two: their own, as the code in the field calls them, and
//! the uniform `(symbol, strategyName, exchangeName)` of the documentation. Forms are tried in the order in which they
//! stand here; a new service is a row in this table and nothing else.

use serde_json::{Value, json};

/// What a call form takes at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A string, number, boolean or bigint, as `String()` makes it.
    Text,
    /// A finite number or a numeric string.
    Number,
    /// Anything, by its truthiness; in a key it reads `backtest` or `live`.
    Mode,
}

/// An argument of a call, and the field of a row that holds the same thing.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in calls, rows, log entries and declarations.
    pub name: &'static str,
    /// What it takes.
    pub slot: Slot,
}

/// One way to name a context.
#[derive(Debug)]
pub struct Form {
    /// The arguments, in the order of the call.
    pub args: &'static [&'static Field],
    /// The parts of the key in their order, as indexes into `args`; joined with `:`.
    pub key: &'static [usize],
}

/// A group of methods `has<Noun>Id`, `get<Noun>Id`, `set<Noun>Id`.
#[derive(Debug)]
pub struct Noun {
    /// As it stands in the method names.
    pub name: &'static str,
    /// Its call forms, in the order in which they are tried.
    pub forms: &'static [&'static Form],
    /// Whether there is a `delete<Noun>Id` too.
    pub delete: bool,
}

/// One cache service.
#[derive(Debug)]
pub struct Service {
    /// Its name in `ioc`, and in log topics.
    pub name: &'static str,
    /// Its class.
    pub class: &'static str,
    /// Its namespace in Redis.
    pub prefix: &'static str,
    /// Its nouns; one, but for memory.
    pub nouns: &'static [Noun],
}

const fn field(name: &'static str, slot: Slot) -> Field {
    Field { name, slot }
}

const SYMBOL: &Field = &field("symbol", Slot::Text);
const STRATEGY: &Field = &field("strategyName", Slot::Text);
const EXCHANGE: &Field = &field("exchangeName", Slot::Text);
const INTERVAL: &Field = &field("interval", Slot::Text);
const TIMESTAMP: &Field = &field("timestamp", Slot::Number);
const RISK: &Field = &field("riskName", Slot::Text);
const SIGNAL: &Field = &field("signalId", Slot::Text);
const NOTIFICATION: &Field = &field("notificationId", Slot::Text);
const ENTRY: &Field = &field("entryId", Slot::Text);
const BUCKET: &Field = &field("bucket", Slot::Text);
const ENTRY_KEY: &Field = &field("entryKey", Slot::Text);
const BUCKET_NAME: &Field = &field("bucketName", Slot::Text);
const MEMORY: &Field = &field("memoryId", Slot::Text);
const FRAME: &Field = &field("frameName", Slot::Text);
const DICTIONARY: &Field = &field("dictionaryName", Slot::Text);
const BACKTEST: &Field = &field("backtest", Slot::Mode);

/// `{exchangeName}:{strategyName}:{symbol}`: the one form that all services but dictionary share.
const UNIFORM: &Form = &Form { args: &[SYMBOL, STRATEGY, EXCHANGE], key: &[2, 1, 0] };
const CANDLE: &Form = &Form { args: &[SYMBOL, INTERVAL, EXCHANGE, TIMESTAMP], key: &[2, 0, 1, 3] };
const BY_RISK: &Form = &Form { args: &[RISK, EXCHANGE], key: &[1, 0] };
const BY_SIGNAL: &Form = &Form { args: &[SYMBOL, STRATEGY, EXCHANGE, SIGNAL], key: &[2, 1, 0, 3] };
const MODE_SIGNAL: &Form = &Form { args: &[BACKTEST, SIGNAL], key: &[0, 1] };
const MODE_NOTIFICATION: &Form = &Form { args: &[BACKTEST, NOTIFICATION], key: &[0, 1] };
const BY_ENTRY: &Form = &Form { args: &[ENTRY], key: &[0] };
const BUCKET_ENTRY: &Form = &Form { args: &[BUCKET, ENTRY_KEY], key: &[0, 1] };
const MEMORY_ENTRY: &Form = &Form { args: &[SIGNAL, BUCKET_NAME, MEMORY], key: &[0, 1, 2] };
const RECENT: &Form = &Form { args: &[SYMBOL, STRATEGY, EXCHANGE, FRAME, BACKTEST], key: &[4, 2, 1, 3, 0] };
const STATE: &Form = &Form { args: &[SIGNAL, BUCKET_NAME], key: &[0, 1] };
const BY_DICTIONARY: &Form = &Form { args: &[SIGNAL, DICTIONARY], key: &[0, 1] };
const SESSION: &Form = &Form { args: &[STRATEGY, EXCHANGE, FRAME, SYMBOL, BACKTEST], key: &[1, 0, 2, 3, 4] };
/// The session key of older releases. It takes three strings, as the uniform form does: a read asks for both keys.
const SESSION_OLD: &Form = &Form { args: &[STRATEGY, EXCHANGE, FRAME], key: &[1, 0, 2] };

const fn noun(name: &'static str, forms: &'static [&'static Form]) -> Noun {
    Noun { name, forms, delete: false }
}

const fn service(name: &'static str, class: &'static str, prefix: &'static str, nouns: &'static [Noun]) -> Service {
    Service { name, class, prefix, nouns }
}

/// The services, in the order of `ioc`.
pub const SERVICES: &[Service] = &[
    service("candleCacheService", "CandleCacheService", "candle_cache", &[noun("Candle", &[CANDLE, UNIFORM])]),
    service("signalCacheService", "SignalCacheService", "signal_cache", &[noun("Signal", &[UNIFORM])]),
    service("scheduleCacheService", "ScheduleCacheService", "schedule_cache", &[noun("Schedule", &[UNIFORM])]),
    service("strategyCacheService", "StrategyCacheService", "strategy_cache", &[noun("Strategy", &[UNIFORM])]),
    service("riskCacheService", "RiskCacheService", "risk_cache", &[noun("Risk", &[BY_RISK, UNIFORM])]),
    service("partialCacheService", "PartialCacheService", "partial_cache", &[noun("Partial", &[BY_SIGNAL, UNIFORM])]),
    service(
        "breakevenCacheService",
        "BreakevenCacheService",
        "breakeven_cache",
        &[noun("Breakeven", &[BY_SIGNAL, UNIFORM])],
    ),
    service("storageCacheService", "StorageCacheService", "storage_cache", &[noun("Storage", &[MODE_SIGNAL, UNIFORM])]),
    service(
        "notificationCacheService",
        "NotificationCacheService",
        "notification_cache",
        &[noun("Notification", &[MODE_NOTIFICATION, UNIFORM])],
    ),
    service("logCacheService", "LogCacheService", "log_cache", &[noun("Log", &[BY_ENTRY, UNIFORM])]),
    service(
        "measureCacheService",
        "MeasureCacheService",
        "measure_cache",
        &[noun("Measure", &[BUCKET_ENTRY, UNIFORM])],
    ),
    service(
        "intervalCacheService",
        "IntervalCacheService",
        "interval_cache",
        &[Noun { name: "Interval", forms: &[BUCKET_ENTRY, UNIFORM], delete: true }],
    ),
    service(
        "memoryCacheService",
        "MemoryCacheService",
        "memory_cache",
        &[noun("MemoryEntry", &[MEMORY_ENTRY]), noun("Memory", &[UNIFORM])],
    ),
    service("recentCacheService", "RecentCacheService", "recent_cache", &[noun("Recent", &[RECENT, UNIFORM])]),
    service("stateCacheService", "StateCacheService", "state_cache", &[noun("State", &[STATE, UNIFORM])]),
    service(
        "dictionaryCacheService",
        "DictionaryCacheService",
        "dictionary_cache",
        &[noun("Dictionary", &[BY_DICTIONARY])],
    ),
    service(
        "sessionCacheService",
        "SessionCacheService",
        "session_cache",
        &[noun("Session", &[SESSION, SESSION_OLD, UNIFORM])],
    ),
];

/// The most arguments that any form takes, and the most fields that rows of any noun are read for.
pub const MAX_ARGS: usize = 5;

/// Whether a map's keys, which begin with `prefix`, are keys of a service.
#[must_use]
pub fn is_tracked(prefix: &[u8]) -> bool {
    let within = |service: &Service| prefix.strip_prefix(service.prefix.as_bytes()).is_some_and(|rest| rest[0] == b':');
    SERVICES.iter().any(within)
}

/// The prefixes of all services' keys, as Redis is told them.
#[must_use]
pub fn tracked_prefixes() -> Vec<String> {
    SERVICES.iter().map(|service| format!("{}:", service.prefix)).collect()
}

/// A noun with the service that it belongs to, and what rows of it are read for.
#[derive(Debug)]
pub struct Entry {
    /// The service.
    pub service: &'static Service,
    /// The noun.
    pub noun: &'static Noun,
    /// The fields of all forms, each once: a row is read for these, in this order.
    pub fields: Vec<&'static Field>,
    /// For each form, where its arguments stand in `fields`.
    pub places: Vec<Vec<usize>>,
}

/// All nouns, in the order of the table. Their position is the number by which JavaScript names them.
#[must_use]
pub fn entries() -> Vec<Entry> {
    SERVICES.iter().flat_map(|service| service.nouns.iter().map(move |noun| entry(service, noun))).collect()
}

fn entry(service: &'static Service, noun: &'static Noun) -> Entry {
    let mut fields: Vec<&'static Field> = Vec::new();
    let mut place = |field: &'static Field| {
        fields.iter().position(|known| known.name == field.name).unwrap_or_else(|| {
            fields.push(field);
            fields.len() - 1
        })
    };
    let places = noun.forms.iter().map(|form| form.args.iter().map(|field| place(field)).collect()).collect();
    Entry { service, noun, fields, places }
}

impl Form {
    /// The key as text with the names of its parts: `{exchangeName}:{strategyName}:{symbol}`.
    #[must_use]
    pub fn template(&self) -> String {
        let part = |&i: &usize| match self.args[i].slot {
            Slot::Mode => "{mode}".to_owned(),
            Slot::Text | Slot::Number => format!("{{{}}}", self.args[i].name),
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(":")
    }

    /// The form as a call: `(symbol, strategyName, exchangeName)`.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("({})", self.args.iter().map(|field| field.name).collect::<Vec<_>>().join(", "))
    }
}

/// The table as JSON, for the JavaScript classes and the TypeScript declarations.
#[must_use]
pub fn to_json() -> Value {
    let slot = |slot| match slot {
        Slot::Text => "string",
        Slot::Number => "number",
        Slot::Mode => "boolean",
    };
    let form = |form: &&Form| {
        let args: Vec<_> = form.args.iter().map(|f| json!({ "name": f.name, "type": slot(f.slot) })).collect();
        json!({ "args": args, "key": form.template() })
    };
    let noun = |service, noun: &'static Noun| {
        let forms: Vec<_> = noun.forms.iter().map(form).collect();
        let fields: Vec<_> = entry(service, noun).fields.iter().map(|field| field.name).collect();
        json!({ "noun": noun.name, "delete": noun.delete, "fields": fields, "forms": forms })
    };
    let service = |service: &'static Service| {
        let nouns: Vec<_> = service.nouns.iter().map(|n| noun(service, n)).collect();
        json!({ "service": service.name, "class": service.class, "prefix": service.prefix, "nouns": nouns })
    };
    SERVICES.iter().map(service).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_prefixes_are_unique_and_belong_together() {
        let mut seen = HashSet::new();
        for service in SERVICES {
            assert!(seen.insert(service.prefix), "{} twice", service.prefix);
            let stem = service.prefix.strip_suffix("_cache").expect("every prefix ends in _cache");
            assert_eq!(service.name, format!("{stem}CacheService"));
            assert!(service.class.eq_ignore_ascii_case(service.name));
        }
        assert_eq!(SERVICES.len(), 17);
    }

    #[test]
    fn no_prefix_begins_with_another() {
        // Redis refuses overlapping prefixes in CLIENT TRACKING, and scans of one would see the other.
        for a in SERVICES {
            for b in SERVICES {
                assert!(a.prefix == b.prefix || !format!("{}:", a.prefix).starts_with(&format!("{}:", b.prefix)));
            }
        }
    }

    #[test]
    fn maps_over_a_services_keys_are_tracked() {
        assert!(is_tracked(b"signal_cache:") && is_tracked(b"signal_cache:binance:"));
        assert!(!is_tracked(b"signal_cache2:") && !is_tracked(b"signal:") && !is_tracked(b":"));
    }

    #[test]
    fn every_key_uses_each_argument_exactly_once() {
        for entry in entries() {
            for form in entry.noun.forms {
                let mut used = form.key.to_vec();
                used.sort_unstable();
                assert_eq!(used, (0..form.args.len()).collect::<Vec<_>>(), "{}", entry.service.name);
                assert!(form.args.len() <= MAX_ARGS);
            }
            assert!(entry.fields.len() <= MAX_ARGS, "{}", entry.service.name);
        }
    }

    #[test]
    fn only_sessions_have_two_forms_of_one_length() {
        for entry in entries() {
            let mut lengths = HashSet::new();
            let ambiguous = entry.noun.forms.iter().any(|form| !lengths.insert(form.args.len()));
            assert_eq!(ambiguous, entry.service.name == "sessionCacheService", "{}", entry.service.name);
        }
    }
}
