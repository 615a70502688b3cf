//! The operations of maps: keys in their order, each with its value and the time of its end.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::candle_ids::{self, Named};
use super::error::Outcome;
use crate::map::scan::Kind;

/// The table of keys.
pub const CREATE: &str = "
    CREATE TABLE maps (key BLOB PRIMARY KEY, value BLOB NOT NULL, expires INTEGER) WITHOUT ROWID;
    CREATE INDEX maps_expires ON maps (expires) WHERE expires IS NOT NULL;
";

/// Keys that one sweep takes away.
pub const SWEPT: u32 = 1_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The value of a key; with a second one, that of the first which is there.
    Get(Vec<u8>, Option<Vec<u8>>),
    /// Whether a key is there; with a second one, whether any is.
    Has(Vec<u8>, Option<Vec<u8>>),
    /// The id of a candle: the value of its key, or else what its row has.
    CandleId(Vec<u8>, Named),
    /// Whether there is one.
    HasCandle(Vec<u8>, Named),
    /// Writes a key, for so many seconds or for ever.
    Set(Vec<u8>, Vec<u8>, Option<u64>),
    /// Writes the id of a row; the answer is the id.
    SetId(Vec<u8>, Vec<u8>),
    /// The same, where the key does not hold that id already.
    Refresh(Vec<u8>, Vec<u8>),
    /// Takes a key away.
    Delete(Vec<u8>),
    /// The next page of a scan.
    Page {
        /// What it makes of the keys.
        kind: Kind,
        /// Its keys begin with this.
        prefix: Vec<u8>,
        /// The key that the page before has ended with.
        after: Option<Vec<u8>>,
        /// The most keys of the page.
        limit: u32,
    },
    /// The value of a key, whatever it is.
    Bytes(Vec<u8>),
    /// Writes a key that is not there, for so many milliseconds or for ever.
    Add(Vec<u8>, Vec<u8>, Option<u64>),
    /// How long a key still lives, for whoever moves it elsewhere.
    Remaining(Vec<u8>),
    /// Is the store there?
    Ping,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// `undefined`
    Nothing,
    /// `null`
    Absent,
    /// A boolean.
    Flag(bool),
    /// Text.
    Text(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Milliseconds that a key still lives; none: for ever.
    Millis(Option<i64>),
    /// Keys, values, or both in turn; and the key that the next page comes after, none where this was the last page.
    Page(Vec<Vec<u8>>, Option<Vec<u8>>),
}

impl Ask {
    /// Whether it changes anything.
    #[must_use]
    pub const fn writes(&self) -> bool {
        match self {
            Self::Set(..) | Self::SetId(..) | Self::Refresh(..) | Self::Delete(_) | Self::Add(..) => true,
            Self::Page { kind, .. } => matches!(kind, Kind::Clear),
            Self::Get(..)
            | Self::Has(..)
            | Self::CandleId(..)
            | Self::HasCandle(..)
            | Self::Bytes(_)
            | Self::Remaining(_)
            | Self::Ping => false,
        }
    }

    /// Whether its work grows with what is stored, so that it is none for the JavaScript thread.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        matches!(self, Self::Page { kind: Kind::Count | Kind::Clear, .. })
    }

    /// How many bytes wait with it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Get(key, second) | Self::Has(key, second) => key.len() + second.as_ref().map_or(0, Vec::len),
            Self::CandleId(key, named) | Self::HasCandle(key, named) => key.len() + named.size(),
            Self::Set(key, value, _)
            | Self::Add(key, value, _)
            | Self::SetId(key, value)
            | Self::Refresh(key, value) => key.len() + value.len(),
            Self::Delete(key) | Self::Bytes(key) | Self::Remaining(key) => key.len(),
            Self::Page { prefix, after, .. } => prefix.len() + after.as_ref().map_or(0, Vec::len),
            Self::Ping => 0,
        }
    }
}

/// Milliseconds since 1970. Keys end by the clock on the wall, as they do in Redis.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The first key that does not begin with `prefix`, of those that come after the ones that do; none: all do.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Carries it out.
pub fn run(store: &Connection, ask: &Ask, now: i64) -> Outcome<Told> {
    match ask {
        Ask::Get(key, second) => {
            let mut found = get(store, key, now)?;
            if let (None, Some(second)) = (&found, second) {
                found = get(store, second, now)?;
            }
            Ok(found.map_or(Told::Absent, Told::Text))
        }
        Ask::Has(key, second) => {
            let there = has(store, key, now)?;
            match second {
                Some(second) if !there => Ok(Told::Flag(has(store, second, now)?)),
                _ => Ok(Told::Flag(there)),
            }
        }
        Ask::CandleId(key, named) => Ok(match get(store, key, now)? {
            Some(id) => Told::Text(id),
            None => candle_ids::find(store, named)?.map_or(Told::Absent, |id| Told::Text(id.to_hex().into_bytes())),
        }),
        Ask::HasCandle(key, named) => {
            Ok(Told::Flag(has(store, key, now)? || candle_ids::find(store, named)?.is_some()))
        }
        Ask::Set(key, value, seconds) => {
            let expires = seconds.map(|seconds| now.saturating_add_unsigned(seconds.saturating_mul(1_000)));
            set(store, key, value, expires)?;
            Ok(Told::Nothing)
        }
        Ask::SetId(key, id) => {
            set(store, key, id, None)?;
            Ok(Told::Text(id.clone()))
        }
        Ask::Refresh(key, id) => {
            if !holds(store, key, id)? {
                set(store, key, id, None)?;
            }
            Ok(Told::Text(id.clone()))
        }
        Ask::Delete(key) => {
            store.prepare_cached("DELETE FROM maps WHERE key = ?")?.execute(params![key])?;
            Ok(Told::Nothing)
        }
        Ask::Page { kind, prefix, after, limit } => page(store, *kind, prefix, after.as_deref(), *limit, now),
        Ask::Bytes(key) => Ok(get(store, key, now)?.map_or(Told::Absent, Told::Bytes)),
        Ask::Add(key, value, millis) => {
            if has(store, key, now)? {
                return Ok(Told::Flag(false));
            }
            set(store, key, value, millis.map(|millis| now.saturating_add_unsigned(millis)))?;
            Ok(Told::Flag(true))
        }
        Ask::Remaining(key) => {
            let sql = "SELECT expires - ? FROM maps WHERE key = ? AND (expires IS NULL OR expires > ?)";
            let found = store.prepare_cached(sql)?.query_row(params![now, key, now], |row| row.get(0)).optional()?;
            Ok(found.map_or(Told::Absent, Told::Millis))
        }
        Ask::Ping => {
            store.prepare_cached("SELECT 1 FROM maps LIMIT 1")?.query_row([], |_| Ok(())).optional()?;
            Ok(Told::Nothing)
        }
    }
}

fn get(store: &Connection, key: &[u8], now: i64) -> Outcome<Option<Vec<u8>>> {
    let sql = "SELECT value FROM maps WHERE key = ? AND (expires IS NULL OR expires > ?)";
    Ok(store.prepare_cached(sql)?.query_row(params![key, now], |row| row.get(0)).optional()?)
}

fn has(store: &Connection, key: &[u8], now: i64) -> Outcome<bool> {
    let sql = "SELECT 1 FROM maps WHERE key = ? AND (expires IS NULL OR expires > ?)";
    Ok(store.prepare_cached(sql)?.exists(params![key, now])?)
}

/// Whether a key holds that value for ever.
pub fn holds(store: &Connection, key: &[u8], value: &[u8]) -> Outcome<bool> {
    let sql = "SELECT 1 FROM maps WHERE key = ? AND value = ? AND expires IS NULL";
    Ok(store.prepare_cached(sql)?.exists(params![key, value])?)
}

fn set(store: &Connection, key: &[u8], value: &[u8], expires: Option<i64>) -> Outcome<()> {
    let sql = "INSERT INTO maps (key, value, expires) VALUES (?, ?, ?) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires";
    store.prepare_cached(sql)?.execute(params![key, value, expires])?;
    Ok(())
}

/// Where no key ends: a bound above all keys of Redis, which takes no more than 512 MB of 0xFF.
const BEYOND: [u8; 64] = [u8::MAX; 64];

fn page(store: &Connection, kind: Kind, prefix: &[u8], after: Option<&[u8]>, limit: u32, now: i64) -> Outcome<Told> {
    let end = end_of(prefix).unwrap_or_else(|| BEYOND.to_vec());
    // The prefix itself is a key too, of the empty name.
    let from = if after.is_none() { "key >= ?" } else { "key > ?" };
    let after = after.unwrap_or(prefix);
    let within = format!("{from} AND key < ?");
    let alive = format!("{within} AND (expires IS NULL OR expires > ?)");
    match kind {
        Kind::Count => {
            let sql = format!("SELECT count(*) FROM maps WHERE {alive}");
            let count: i64 = store.prepare_cached(&sql)?.query_row(params![after, end, now], |row| row.get(0))?;
            return Ok(Told::Number(count.unsigned_abs()));
        }
        Kind::Clear => {
            store.prepare_cached(&format!("DELETE FROM maps WHERE {within}"))?.execute(params![after, end])?;
            return Ok(Told::Nothing);
        }
        Kind::Keys | Kind::Pairs | Kind::Values => {}
    }
    let value = if kind == Kind::Keys { "NULL" } else { "value" };
    let sql = format!("SELECT key, {value} FROM maps WHERE {alive} ORDER BY key LIMIT ?");
    let mut statement = store.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, end, now, limit])?;
    let (mut texts, mut last, mut count) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        if kind != Kind::Values {
            texts.push(key[prefix.len()..].to_vec());
        }
        if kind != Kind::Keys {
            texts.push(row.get(1)?);
        }
        last = Some(key);
        count += 1;
    }
    Ok(Told::Page(texts, last.filter(|_| count == limit)))
}

/// Whether there are keys that have ended.
pub fn have_ended(store: &Connection, now: i64) -> Outcome<bool> {
    Ok(store.prepare_cached("SELECT 1 FROM maps WHERE expires IS NOT NULL AND expires <= ?")?.exists(params![now])?)
}

/// Takes away keys that have ended; whether there may be more.
pub fn sweep(store: &Connection, now: i64) -> Outcome<bool> {
    let sql = "DELETE FROM maps WHERE key IN (SELECT key FROM maps WHERE expires IS NOT NULL AND expires <= ? LIMIT ?)";
    let swept = store.prepare_cached(sql)?.execute(params![now, SWEPT])?;
    Ok(swept == SWEPT as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::testing::store;

    fn pages(store: &Connection, kind: Kind, prefix: &[u8], limit: u32, now: i64) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let ask = Ask::Page { kind, prefix: prefix.to_vec(), after, limit };
            let Told::Page(texts, next) = run(store, &ask, now).unwrap() else { panic!("{ask:?}") };
            all.extend(texts);
            match next {
                Some(last) => after = Some(last),
                None => return all,
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Ask(Ask),
        Wait(i64),
        Sweep,
        Clear(Vec<u8>),
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        (
            prop_oneof![Just(b"a:".to_vec()), Just(b"b:".to_vec()), Just(b"a:b:".to_vec())],
            prop::collection::vec(any::<u8>(), 0..2),
        )
            .prop_map(|(prefix, rest)| [prefix, rest].concat())
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = || prop::collection::vec(any::<u8>(), 0..4);
        prop_oneof![
            (key(), value(), prop::option::of(1_u64..5))
                .prop_map(|(key, value, ttl)| Step::Ask(Ask::Set(key, value, ttl))),
            (key(), value()).prop_map(|(key, id)| Step::Ask(Ask::SetId(key, id))),
            (key(), prop::option::of(key())).prop_map(|(key, second)| Step::Ask(Ask::Get(key, second))),
            (key(), prop::option::of(key())).prop_map(|(key, second)| Step::Ask(Ask::Has(key, second))),
            key().prop_map(|key| Step::Ask(Ask::Delete(key))),
            key().prop_map(|key| Step::Ask(Ask::Bytes(key))),
            (key(), value(), prop::option::of(1_u64..5_000))
                .prop_map(|(key, value, millis)| Step::Ask(Ask::Add(key, value, millis))),
            (-1_000_i64..4_000).prop_map(Step::Wait),
            Just(Step::Sweep),
            prop_oneof![Just(b"a:".to_vec()), Just(b"a:b:".to_vec())].prop_map(Step::Clear),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Values with their end, as Redis keeps them. A clock that is set back lets keys live longer, unless they were swept.
        #[test]
        fn maps_hold_what_a_model_holds(steps in prop::collection::vec(step(), 1..60), limit in 1_u32..4) {
            let (_folder, store) = store();
            let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> = BTreeMap::new();
            let mut now = 1_000_000;
            for step in steps {
                let alive = |model: &BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>, key: &Vec<u8>| {
                    model.get(key).filter(|(_, end)| end.is_none_or(|end| end > now)).map(|(value, _)| value.clone())
                };
                match step {
                    Step::Wait(millis) => now += millis,
                    Step::Sweep => {
                        sweep(&store, now).unwrap();
                        model.retain(|_, (_, end)| end.is_none_or(|end| end > now));
                    }
                    Step::Clear(prefix) => {
                        let ask = Ask::Page { kind: Kind::Clear, prefix: prefix.clone(), after: None, limit };
                        prop_assert_eq!(run(&store, &ask, now).unwrap(), Told::Nothing);
                        model.retain(|key, _| !key.starts_with(&prefix));
                    }
                    Step::Ask(ask) => {
                        let expected = match &ask {
                            Ask::Get(key, second) => alive(&model, key)
                                .or_else(|| second.as_ref().and_then(|second| alive(&model, second)))
                                .map_or(Told::Absent, Told::Text),
                            Ask::Has(key, second) => Told::Flag(
                                alive(&model, key).is_some()
                                    || second.as_ref().is_some_and(|second| alive(&model, second).is_some()),
                            ),
                            Ask::Set(key, value, ttl) => {
                                let end = ttl.map(|ttl| now + i64::try_from(ttl).unwrap() * 1_000);
                                model.insert(key.clone(), (value.clone(), end));
                                Told::Nothing
                            }
                            Ask::SetId(key, id) => {
                                model.insert(key.clone(), (id.clone(), None));
                                Told::Text(id.clone())
                            }
                            Ask::Delete(key) => {
                                model.remove(key);
                                Told::Nothing
                            }
                            Ask::Add(key, value, millis) => {
                                let is_free = alive(&model, key).is_none();
                                if is_free {
                                    let end = millis.map(|millis| now + i64::try_from(millis).unwrap());
                                    model.insert(key.clone(), (value.clone(), end));
                                }
                                Told::Flag(is_free)
                            }
                            Ask::Bytes(key) => alive(&model, key).map_or(Told::Absent, Told::Bytes),
                            Ask::Refresh(..) | Ask::CandleId(..) | Ask::HasCandle(..) | Ask::Page { .. } | Ask::Remaining(_) | Ask::Ping => unreachable!("not among the steps"),
                        };
                        prop_assert_eq!(run(&store, &ask, now).unwrap(), expected, "{:?}", ask);
                    }
                }
                for prefix in [b"a:".as_slice(), b"b:", b"a:b:", b"c:"] {
                    let there: Vec<_> = model
                        .iter()
                        .filter(|(key, (_, end))| key.starts_with(prefix) && end.is_none_or(|end| end > now))
                        .collect();
                    let keys: Vec<_> = there.iter().map(|(key, _)| key[prefix.len()..].to_vec()).collect();
                    let values: Vec<_> = there.iter().map(|(_, (value, _))| value.clone()).collect();
                    prop_assert_eq!(pages(&store, Kind::Keys, prefix, limit, now), keys.clone());
                    prop_assert_eq!(pages(&store, Kind::Values, prefix, limit, now), values.clone());
                    let pairs: Vec<_> = keys.iter().zip(&values).flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
                    prop_assert_eq!(pages(&store, Kind::Pairs, prefix, limit, now), pairs);
                    let count = Ask::Page { kind: Kind::Count, prefix: prefix.to_vec(), after: None, limit };
                    prop_assert_eq!(run(&store, &count, now).unwrap(), Told::Number(there.len() as u64));
                }
            }
        }
    }

    #[test]
    fn a_key_tells_how_long_it_still_lives() {
        let (_folder, store) = store();
        run(&store, &Ask::Set(b"a:1".to_vec(), b"v".to_vec(), Some(5)), 1_000).unwrap();
        run(&store, &Ask::SetId(b"a:2".to_vec(), b"v".to_vec()), 1_000).unwrap();
        let left = |key: &[u8], now| run(&store, &Ask::Remaining(key.to_vec()), now).unwrap();
        assert_eq!([left(b"a:1", 1_000), left(b"a:1", 5_999)], [Told::Millis(Some(5_000)), Told::Millis(Some(1))]);
        assert_eq!(left(b"a:2", 1_000), Told::Millis(None));
        assert_eq!([left(b"a:1", 6_000), left(b"a:3", 1_000)], [Told::Absent, Told::Absent]);
    }

    #[test]
    fn a_prefix_of_the_highest_bytes_ends_somewhere() {
        assert_eq!(end_of(b"a:").unwrap(), b"a;");
        assert_eq!(end_of(b"a\xFF").unwrap(), b"b");
        assert_eq!(end_of(b"\xFF\xFF"), None);
    }
}
