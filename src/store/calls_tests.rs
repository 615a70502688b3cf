//! Calls over a real file, held against models.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "moments of a test are small whole numbers"
)]

use std::collections::BTreeMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc, rawdoc};
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::mongo::failure::Failure;
use crate::mongo::table::{CANDLES, COLLECTIONS};
use crate::store::block::Series;
use crate::store::columns;
use crate::store::testing::store;

const MINUTE: i64 = 60_000;
/// A moment in the middle of a block.
const START: i64 = 1_767_225_600_000;

struct World {
    store: Connection,
    cursors: Cursors,
    now: Millis,
}

impl World {
    fn new(store: Connection) -> Self {
        Self { store, cursors: Cursors::default(), now: 1_000 }
    }

    fn ask(&mut self, op: Op, collection: usize, body: RawDocumentBuf) -> Outcome<Answer> {
        self.now += 1;
        let request = Request { call: 7, op, collection, body };
        if writes(op) {
            run(&self.store, &request, &self.cursors, self.now)
        } else {
            read(&self.store, &request, &self.cursors)
        }
    }

    fn rows(&mut self, op: Op, collection: usize, body: RawDocumentBuf) -> Vec<Document> {
        documents(self.ask(op, collection, body).unwrap())
    }
}

fn documents(answer: Answer) -> Vec<Document> {
    let (Answer::Documents(bytes) | Answer::ByKey(bytes) | Answer::Page(bytes)) = answer else { return Vec::new() };
    let (mut rest, mut all) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = usize::try_from(i32::from_le_bytes(rest[..4].try_into().unwrap())).unwrap();
        all.push(Document::try_from(RawDocument::from_bytes(&rest[..length]).unwrap()).unwrap());
        rest = &rest[length..];
    }
    all
}

fn number(collection: &str) -> usize {
    COLLECTIONS.iter().position(|it| it.name == collection).unwrap()
}

fn signal(symbol: &str) -> RawDocumentBuf {
    rawdoc! { "symbol": symbol, "strategyName": "s", "exchangeName": "e" }
}

#[test]
fn an_upsert_makes_a_row_and_then_changes_it_and_keeps_its_id() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let signals = number("signal-items");
    let made = world.rows(Op::Upsert, signals, rawdoc! { "k": signal("S"), "v": { "payload": { "a": 1 } } });
    let id = made[0].get_object_id("_id").unwrap();
    let row = world.rows(Op::Find, signals, rawdoc! { "k": signal("S") }).remove(0);
    let names: Vec<_> = row.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["_id", "exchangeName", "strategyName", "symbol", "__v", "createDate", "payload", "updatedDate"],
        "the order in which MongoDB stores an upsert"
    );
    world.rows(Op::Upsert, signals, rawdoc! { "k": signal("S"), "v": { "payload": [2] } });
    let after = world.rows(Op::Find, signals, rawdoc! { "k": signal("S"), "id": id }).remove(0);
    assert_eq!(after.get_object_id("_id").unwrap(), id);
    assert_eq!(after.get("payload"), Some(&Bson::Array(vec![Bson::Int32(2)])));
    assert_eq!(after.get("createDate"), row.get("createDate"));
    assert_ne!(after.get("updatedDate"), row.get("updatedDate"));
}

#[test]
fn a_find_says_whether_the_remembered_id_was_right() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let signals = number("signal-items");
    assert!(matches!(world.ask(Op::Find, signals, rawdoc! { "k": signal("S") }), Ok(Answer::None)));
    let made = world.rows(Op::Upsert, signals, rawdoc! { "k": signal("S"), "v": { "payload": 1 } });
    let id = made[0].get_object_id("_id").unwrap();
    let mut ask = |id: Bson| {
        let body = RawDocumentBuf::try_from(
            &doc! { "k": { "symbol": "S", "strategyName": "s", "exchangeName": "e" }, "id": id },
        );
        world.ask(Op::Find, signals, body.unwrap()).unwrap()
    };
    assert!(matches!(ask(id.into()), Answer::Documents(_)));
    assert!(matches!(ask(ObjectId::new().into()), Answer::ByKey(_)));
    assert!(matches!(ask(Bson::Null), Answer::ByKey(_)));
}

#[test]
fn sessions_of_three_and_of_five_arguments_are_different_rows() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let sessions = number("session-items");
    let old = || rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f" };
    let new =
        || rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f", "symbol": "S", "backtest": true };
    for key in [old(), new(), old(), new()] {
        world.ask(Op::Upsert, sessions, rawdoc! { "k": key, "v": { "payload": 1, "when": 1 } }).unwrap();
    }
    assert_eq!(world.rows(Op::Rows, sessions, rawdoc! { "filter": {} }).len(), 2);
    assert_eq!(world.rows(Op::Find, sessions, rawdoc! { "k": old() })[0].get("symbol"), None);
    assert_eq!(world.rows(Op::Find, sessions, rawdoc! { "k": new() })[0].get_str("symbol").unwrap(), "S");
}

#[test]
fn a_second_row_of_a_key_is_refused_as_mongodb_refuses_it() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let risks = number("risk-items");
    let dto = |id: Option<ObjectId>, name: &str| {
        let mut dto = rawdoc! { "riskName": name, "exchangeName": "e", "positions": [], "when": 5 };
        if let Some(id) = id {
            dto.append(mongodb::bson::raw::cstr!("_id"), id);
        }
        rawdoc! { "dto": dto }
    };
    let id = ObjectId::new();
    world.ask(Op::Insert, risks, dto(Some(id), "r")).unwrap();
    let Failure { error, server, .. } = world.ask(Op::Insert, risks, dto(None, "r")).unwrap_err();
    let server = server.unwrap();
    assert_eq!((error.code, server.code), (Code::MongoWrite, 11_000));
    assert!(error.message.starts_with("E11000 duplicate key error"), "{error}");
    assert_eq!(server.key_pattern.unwrap(), rawdoc! { "riskName": 1, "exchangeName": 1 });
    assert_eq!(server.key_value.unwrap(), rawdoc! { "riskName": "r", "exchangeName": "e" });
    let taken = world.ask(Op::Insert, risks, dto(Some(id), "other")).unwrap_err();
    assert_eq!(taken.server.unwrap().key_pattern.unwrap(), rawdoc! { "_id": 1 });
    world.ask(Op::Insert, risks, dto(None, "q")).unwrap();
    let body = rawdoc! { "id": id, "dto": { "riskName": "q" } };
    assert_eq!(world.ask(Op::Change, risks, body).unwrap_err().server_code(), 11_000);
    assert_eq!(world.rows(Op::Rows, risks, rawdoc! { "filter": {} }).len(), 2);
}

#[test]
fn a_mark_goes_where_there_is_a_row_and_into_its_payload_where_that_can_hold_it() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let measures = number("measure-items");
    let key = |name: &str| rawdoc! { "bucket": "b", "entryKey": name };
    assert!(matches!(world.ask(Op::SoftRemove, measures, rawdoc! { "k": key("none") }), Ok(Answer::None)));
    for (name, payload) in [("whole", Bson::Document(doc! { "a": 1 })), ("text", Bson::String("t".to_owned()))] {
        let body =
            RawDocumentBuf::try_from(&doc! { "k": { "bucket": "b", "entryKey": name }, "v": { "payload": payload } });
        world.ask(Op::Upsert, measures, body.unwrap()).unwrap();
        world.ask(Op::SoftRemove, measures, rawdoc! { "k": key(name) }).unwrap();
        let row = world.rows(Op::Find, measures, rawdoc! { "k": key(name) }).remove(0);
        assert!(row.get_bool("removed").unwrap());
        let marked = row.get_document("payload").is_ok_and(|payload| payload.get_bool("removed").unwrap_or(false));
        assert_eq!(marked, name == "whole");
    }
    assert!(
        world
            .rows(
                Op::Rows,
                measures,
                rawdoc! { "k": { "bucket": "b" }, "by": ["bucket"], "filter": { "removed": false } }
            )
            .is_empty()
    );
}

#[test]
fn lists_come_newest_first_and_no_more_than_asked_for() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let logs = number("log-items");
    for name in 0..30 {
        let body = rawdoc! { "k": { "entryId": format!("{name}") }, "v": { "payload": name } };
        world.ask(Op::Upsert, logs, body).unwrap();
    }
    let newest = world.rows(Op::Rows, logs, rawdoc! { "filter": {}, "sort": { "createDate": -1 }, "limit": 3 });
    assert_eq!(newest.iter().map(|row| row.get_i32("payload").unwrap()).collect::<Vec<_>>(), [29, 28, 27]);
    let sorted = world.rows(Op::Rows, logs, rawdoc! { "filter": {}, "sort": { "entryId": 1 }, "skip": 1, "limit": 2 });
    assert_eq!(sorted.iter().map(|row| row.get_str("entryId").unwrap()).collect::<Vec<_>>(), ["1", "10"]);
    let counted = world.rows(Op::Count, logs, rawdoc! { "filter": { "payload": { "$gte": 20 } } });
    assert_eq!(counted[0], doc! { "n": 10.0 });
}

#[test]
fn pages_of_a_cursor_hold_every_row_once_and_others_may_write_meanwhile() {
    let (_folder, store) = store();
    let mut world = World::new(store);
    let logs = number("log-items");
    for name in 0..2_500 {
        world
            .ask(Op::Upsert, logs, rawdoc! { "k": { "entryId": format!("{name}") }, "v": { "payload": name } })
            .unwrap();
    }
    for sort in [rawdoc! {}, rawdoc! { "payload": -1 }] {
        let mut all = Vec::new();
        let mut answer =
            world.ask(Op::Open, logs, rawdoc! { "filter": { "payload": { "$gte": 0 } }, "sort": sort }).unwrap();
        loop {
            let more = matches!(answer, Answer::Page(_));
            all.extend(documents(answer).into_iter().map(|row| row.get_i32("payload").unwrap()));
            if !more {
                break;
            }
            assert!(all.len() % 1_000 == 0);
            world.ask(Op::Upsert, logs, rawdoc! { "k": { "entryId": "0" }, "v": { "payload": 0 } }).unwrap();
            answer = world.ask(Op::Next, logs, rawdoc! { "cursor": 7 }).unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, (0..2_500).collect::<Vec<_>>());
    }
    assert_eq!(world.ask(Op::Next, logs, rawdoc! { "cursor": 7 }).unwrap_err().error.code, Code::Closed);
}

/// A chunk of candles in columns, at these minutes.
fn chunk(symbol: &str, minutes: &[i64], close: f64) -> RawDocumentBuf {
    let mut numbers = Vec::new();
    for minute in minutes {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
        for number in [(START + minute * MINUTE) as f64, 1.5, 2.0, 1.0, close, 3.0] {
            numbers.extend_from_slice(&number.to_le_bytes());
        }
    }
    let numbers = Binary { subtype: BinarySubtype::Generic, bytes: numbers };
    rawdoc! { "texts": [symbol, "1m", "e"], "numbers": numbers }
}

#[derive(Debug, Clone)]
enum Step {
    Chunk(i64, usize, f64),
    Create(i64, f64),
    Insert(i64, f64),
    Change(i64, f64),
    Move(i64, i64),
    Delete(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let minute = || prop_oneof![3 => 0_i64..300, 1 => 900_i64..1_200];
    let close = || (0_u8..4).prop_map(|n| f64::from(n) + 0.5);
    prop_oneof![
        (minute(), 1_usize..500, close()).prop_map(|(from, count, close)| Step::Chunk(from, count, close)),
        (minute(), close()).prop_map(|(minute, close)| Step::Create(minute, close)),
        (minute(), close()).prop_map(|(minute, close)| Step::Insert(minute, close)),
        (minute(), close()).prop_map(|(minute, close)| Step::Change(minute, close)),
        (minute(), minute()).prop_map(|(from, to)| Step::Move(from, to)),
        minute().prop_map(Step::Delete),
    ]
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds")]
fn key(minute: i64) -> RawDocumentBuf {
    rawdoc! { "exchangeName": "e", "symbol": "S", "interval": "1m", "timestamp": (START + minute * MINUTE) as f64 }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds")]
fn dto(minute: i64, close: f64) -> RawDocumentBuf {
    rawdoc! {
        "exchangeName": "e", "symbol": "S", "interval": "1m", "timestamp": (START + minute * MINUTE) as f64,
        "open": 1.5, "high": 2, "low": 1, "close": close, "volume": 3
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whether in a block, in the tail or a row: each candle is found by its key, by its id, in ranges and in windows.
    #[test]
    fn candles_are_what_a_model_holds(steps in prop::collection::vec(step(), 1..25)) {
        let (_folder, store) = store();
        let mut world = World::new(store);
        let mut model: BTreeMap<i64, (ObjectId, f64)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Chunk(from, count, close) => {
                    let minutes: Vec<_> = (from..).step_by(1 + usize::try_from(from % 3).unwrap()).take(count).collect();
                    let answer = world.ask(Op::Candles, CANDLES, chunk("S", &minutes, close)).unwrap();
                    let Answer::Written(inserted, bytes) = answer else { panic!("{answer:?}") };
                    let mut new = 0;
                    for (place, minute) in minutes.iter().enumerate() {
                        let id = ObjectId::from_bytes(bytes[place * 12..place * 12 + 12].try_into().unwrap());
                        let known = *model.entry(*minute).or_insert_with(|| {
                            new += 1;
                            (id, close)
                        });
                        prop_assert_eq!(known.0, id);
                    }
                    prop_assert_eq!(inserted, new);
                }
                Step::Create(minute, close) => {
                    let row = world.rows(Op::Candle, CANDLES, rawdoc! { "dto": dto(minute, close) }).remove(0);
                    let id = row.get_object_id("_id").unwrap();
                    prop_assert_eq!(model.entry(minute).or_insert((id, close)).0, id);
                }
                Step::Insert(minute, close) => {
                    let outcome = world.ask(Op::Insert, CANDLES, rawdoc! { "dto": dto(minute, close) });
                    prop_assert_eq!(outcome.is_ok(), !model.contains_key(&minute));
                    if let Ok(answer) = outcome {
                        model.insert(minute, (documents(answer)[0].get_object_id("_id").unwrap(), close));
                    }
                }
                Step::Change(minute, close) => {
                    let Some((id, held)) = model.get_mut(&minute) else { continue };
                    let row = world.rows(Op::Change, CANDLES, rawdoc! { "id": *id, "dto": { "close": close } }).remove(0);
                    prop_assert_eq!(row.get_f64("close").unwrap().to_bits(), close.to_bits());
                    *held = close;
                }
                Step::Move(from, to) => {
                    let Some((id, close)) = model.get(&from).copied() else { continue };
                    let change = rawdoc! { "timestamp": (START + to * MINUTE) as f64 };
                    let outcome = world.ask(Op::Change, CANDLES, rawdoc! { "id": id, "dto": change });
                    prop_assert_eq!(outcome.is_ok(), from == to || !model.contains_key(&to));
                    if outcome.is_ok() {
                        model.remove(&from);
                        model.insert(to, (id, close));
                    }
                }
                Step::Delete(minute) => {
                    let filter = rawdoc! { "timestamp": (START + minute * MINUTE) as f64, "symbol": "S" };
                    let gone = world.rows(Op::Delete, CANDLES, rawdoc! { "filter": filter });
                    prop_assert_eq!(gone.len(), usize::from(model.remove(&minute).is_some()));
                }
            }
        }
        for (minute, (id, close)) in &model {
            for body in [rawdoc! { "filter": { "_id": *id } }, rawdoc! { "filter": key(*minute) }] {
                let rows = world.rows(Op::Rows, CANDLES, body);
                prop_assert_eq!(rows.len(), 1, "{}", minute);
                prop_assert_eq!(rows[0].get_object_id("_id").unwrap(), *id);
                prop_assert_eq!(rows[0].get_f64("close").unwrap().to_bits(), close.to_bits());
            }
            let row = world.rows(Op::Find, CANDLES, rawdoc! { "k": key(*minute) });
            prop_assert_eq!(row[0].get_object_id("_id").unwrap(), *id);
        }
        let all = world.rows(Op::Rows, CANDLES, rawdoc! { "filter": {}, "sort": { "timestamp": -1 } });
        let times: Vec<_> = all.iter().rev().map(|row| (row.get_f64("timestamp").unwrap() - START as f64) as i64 / MINUTE).collect();
        prop_assert_eq!(times, model.keys().copied().collect::<Vec<_>>());
        let series = Series { exchange: "e".to_owned(), symbol: "S".to_owned(), interval: "1m".to_owned() };
        let first = u64::try_from(START / MINUTE).unwrap() / 1_024;
        for block in first..first + 4 {
            let moment = |minute: i64| u64::try_from(START / MINUTE + minute).unwrap();
            let within: Vec<_> = model.iter().filter(|(minute, _)| moment(**minute) / 1_024 == block).collect();
            let mut columns = vec![0; columns::size(true)];
            let Some(count) = columns::fill(&world.store, &series, block, true, &mut columns).unwrap() else {
                let sql = "SELECT count(*) FROM \"candle-items\" WHERE \"timestamp\" >= ?1 AND \"timestamp\" < ?2";
                let bounds = [block, block + 1].map(|block| (block * 1_024) as f64 * MINUTE as f64);
                let odd = world.store.query_row(sql, bounds, |row| row.get::<_, i64>(0)).unwrap();
                prop_assert!(odd > 0, "a block without rows is not told");
                continue;
            };
            prop_assert_eq!(count as usize, within.len());
            for (minute, (id, close)) in within {
                let slot = usize::try_from(moment(*minute) % 1_024).unwrap();
                let at = 128 + 3 * 8_192 + slot * 8;
                prop_assert_eq!(&columns[at..at + 8], &close.to_le_bytes());
                let at = 128 + 7 * 8_192 + slot * 12;
                prop_assert_eq!(&columns[at..at + 12], &id.bytes());
            }
        }
        let window = rawdoc! { "k": key(0), "limit": 3_000, "rows": true };
        let Answer::Window(count, bytes) = world.ask(Op::Window, CANDLES, window).unwrap() else { panic!("no window") };
        prop_assert_eq!(count as usize, model.len());
        for (place, (minute, (_, close))) in model.iter().enumerate() {
            let number = |at: usize| f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            prop_assert_eq!(number(place * 56 + 24).to_bits(), close.to_bits());
            let at = model.len() * 56 + place * 4;
            prop_assert_eq!(i64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())), *minute);
        }
        let first = model.keys().next().copied().unwrap_or(0);
        let run = (first..=first + 2_000).take_while(|minute| model.contains_key(minute)).count();
        for limit in [run, run + 1] {
            let range = rawdoc! { "k": key(first), "limit": i32::try_from(limit).unwrap() };
            let answer = world.ask(Op::Range, CANDLES, range).unwrap();
            prop_assert_eq!(matches!(answer, Answer::None), limit > run, "{:?}", limit);
        }
        let check = |sql: &str| world.store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let ids = check("SELECT coalesce(sum(count), 0) FROM candle_ids");
        let elsewhere = check("SELECT (SELECT count(*) FROM candle_tail) + (SELECT count(*) FROM \"candle-items\")");
        prop_assert_eq!(ids + elsewhere, i64::try_from(model.len()).unwrap());
    }
}

#[test]
fn what_looks_through_all_candles_of_no_block_is_not_for_the_javascript_thread() {
    let is_quick = |op, collection, body| is_quick(&Request { call: 1, op, collection, body });
    let by_id = || rawdoc! { "filter": { "_id": "65a000000000000000000001" } };
    let change = || rawdoc! { "id": "65a000000000000000000001", "update": { "close": 1 } };
    for (collection, quick) in [(CANDLES, false), (4, true)] {
        assert_eq!(is_quick(Op::Rows, collection, by_id()), quick);
        assert_eq!(is_quick(Op::Change, collection, change()), quick);
    }
}
