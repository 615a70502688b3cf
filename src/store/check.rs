//! Whether a store is whole: what SQLite can say of the file, and what it cannot know of what stands in it.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::block::Ids;
use super::block_view::View;
use super::candles::{by_key, scan};
use super::error::Outcome;
use super::key;
use super::table::TABLES;

/// The most that is told of one kind.
const MOST: usize = 20;

/// What is wrong with a store; nothing, where it is whole. It reads everything, within one transaction.
pub fn check(store: &Connection) -> Outcome<Vec<String>> {
    let transaction = store.unchecked_transaction()?;
    let mut wrong = pages(&transaction)?;
    // What SQLite cannot read is told once.
    if wrong.is_empty() {
        rows(&transaction, &mut wrong)?;
        candles(&transaction, &mut wrong)?;
    }
    transaction.finish()?;
    Ok(wrong)
}

fn pages(store: &Connection) -> Outcome<Vec<String>> {
    let mut statement = store.prepare(&format!("PRAGMA quick_check({MOST})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Each document is BSON, and its columns are what it says.
fn rows(store: &Connection, wrong: &mut Vec<String>) -> Outcome<()> {
    for table in TABLES.iter() {
        let name = table.collection.name;
        let mut statement = store.prepare(&format!("SELECT n, id, key, doc FROM \"{name}\""))?;
        let mut rows = statement.query([])?;
        let mut told = 0;
        while let Some(row) = rows.next()? {
            let (place, id, unique): (i64, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let what = match super::table::document(row.get(3)?) {
                Err(failure) => failure.error.message,
                Ok(document) if document.iter().any(|field| field.is_err()) => "its document is no BSON".to_owned(),
                Ok(document) if key::of(document.get("_id").ok().flatten()) != id => "it has another _id".to_owned(),
                Ok(document) if key::unique(table.collection, &document) != unique => "it has another key".to_owned(),
                Ok(document) if table.collection.stem == "candle" && by_key(store, &document)?.is_some() => {
                    "its candle is in a block too".to_owned()
                }
                Ok(_) => continue,
            };
            told += 1;
            if told <= MOST {
                wrong.push(format!("{name}, row {place}: {what}"));
            }
        }
    }
    Ok(())
}

/// Each block can be read, its ids lead to it, and no candle is in two places.
fn candles(store: &Connection, wrong: &mut Vec<String>) -> Outcome<()> {
    let mut runs: HashMap<i64, Vec<Ids>> = HashMap::new();
    let mut statement = store.prepare("SELECT first, count, at FROM candle_ids")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        runs.entry(row.get(2)?).or_default().push(Ids { first: row.get(0)?, count: row.get(1)? });
    }
    let before = wrong.len();
    let mut statement = store.prepare("SELECT at, data FROM candle_blocks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (at, data): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let known: HashSet<Ids> = runs.remove(&at).unwrap_or_default().into_iter().collect();
        let what = match View::of(&data) {
            Err(failure) => failure.error.message,
            Ok(block) if block.id_runs().collect::<HashSet<_>>() != known => "its ids do not lead to it".to_owned(),
            Ok(_) => continue,
        };
        wrong.push(format!("candles, block {at}: {what}"));
    }
    wrong.extend(runs.keys().map(|at| format!("candles, block {at}: ids lead to it, and it is not there")));
    wrong.truncate(before + MOST);
    if wrong.len() > before {
        return Ok(());
    }
    let mut last = None;
    scan(store, ("TRUE", &[]), (f64::NEG_INFINITY, f64::INFINITY), None, &mut |held| {
        if last == Some(held.at) && wrong.len() < before + MOST {
            wrong.push(format!("candles, place {}: it is taken twice", held.at));
        }
        last = Some(held.at);
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::mongo::table::CANDLES;
    use crate::mongo::wire::{Op, Request};
    use crate::store::calls::{Cursors, run};
    use crate::store::testing::store;

    #[test]
    fn a_whole_store_has_nothing_wrong_and_each_damage_is_named() {
        let (_folder, store) = store();
        let candle = |minute: i32| {
            rawdoc! {
                "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": minute * 60_000,
                "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1
            }
        };
        let ask = |op, collection, body| {
            run(&store, &Request { call: 1, op, collection, body }, &Cursors::default(), 1).unwrap();
        };
        for minute in 0..260 {
            ask(Op::Candle, CANDLES, rawdoc! { "dto": candle(minute) });
        }
        let risk = |name: &str| rawdoc! { "riskName": name, "exchangeName": "e", "positions": [], "when": 1 };
        ask(Op::Insert, 4, rawdoc! { "dto": risk("r") });
        assert_eq!(check(&store).unwrap(), Vec::<String>::new());
        let damages = [
            ("UPDATE \"risk-items\" SET key = x'00'", "another key"),
            ("UPDATE \"risk-items\" SET id = x'00'", "another _id"),
            ("UPDATE \"risk-items\" SET doc = x'0102'", "no BSON"),
            ("UPDATE candle_blocks SET data = substr(data, 1, 1000)", "ends too early"),
            ("DELETE FROM candle_ids", "do not lead to it"),
            ("DELETE FROM candle_blocks", "is not there"),
            (
                "INSERT INTO candle_tail SELECT at << 10, (SELECT data FROM candle_tail) FROM candle_blocks",
                "taken twice",
            ),
        ];
        for (damage, named) in damages {
            store.execute_batch(&format!("SAVEPOINT damage; {damage}")).unwrap();
            let wrong = {
                let mut wrong = Vec::new();
                rows(&store, &mut wrong).unwrap();
                candles(&store, &mut wrong).unwrap();
                wrong
            };
            assert!(wrong.iter().any(|what| what.contains(named)), "{damage}: {wrong:?}");
            store.execute_batch("ROLLBACK TO damage; RELEASE damage").unwrap();
        }
        assert_eq!(check(&store).unwrap(), Vec::<String>::new());
    }
}
