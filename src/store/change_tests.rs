//! Rows whose fields hold what casts keep out: what others have written, and what `$rename` moves.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, Document, RawBson, RawDocumentBuf, rawdoc};

use super::*;
use crate::mongo::table::{CANDLES, COLLECTIONS};
use crate::mongo::wire::{Op, Request};
use crate::store::calls::{Cursors, run};
use crate::store::testing::store;

fn number(collection: &str) -> usize {
    COLLECTIONS.iter().position(|it| it.name == collection).unwrap()
}

fn ask(store: &Connection, op: Op, collection: usize, body: RawDocumentBuf) -> Outcome<Vec<Document>> {
    store.execute_batch("SAVEPOINT test").unwrap();
    let outcome = run(store, &Request { call: 7, op, collection, body }, &Cursors::default(), 1_000);
    store.execute_batch(if outcome.is_ok() { "RELEASE test" } else { "ROLLBACK TO test; RELEASE test" }).unwrap();
    let bytes = match outcome? {
        Answer::Documents(bytes) | Answer::ByKey(bytes) => bytes,
        _ => Vec::new(),
    };
    let (mut rest, mut all) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = usize::try_from(i32::from_le_bytes(rest[..4].try_into().unwrap())).unwrap();
        all.push(Document::try_from(RawDocument::from_bytes(&rest[..length]).unwrap()).unwrap());
        rest = &rest[length..];
    }
    Ok(all)
}

/// Writes a document as somebody else has written it.
fn foreign(store: &Connection, collection: usize, mut fields: RawDocumentBuf) -> Outcome<ObjectId> {
    let id = ObjectId::new();
    fields.append(cstr!("_id"), id);
    let rows = Rows::new(store, collection);
    check_free(&rows, &fields, None)?;
    rows.insert(&fields)?;
    Ok(id)
}

fn found(store: &Connection, collection: usize, filter: RawDocumentBuf) -> Vec<ObjectId> {
    let rows = ask(store, Op::Rows, collection, rawdoc! { "filter": filter }).unwrap();
    rows.iter().map(|row| row.get_object_id("_id").unwrap()).collect()
}

fn codes<T: std::fmt::Debug>(outcome: Outcome<T>) -> (Code, i32) {
    let failure = outcome.unwrap_err();
    (failure.error.code, failure.server_code())
}

fn measure(key: &str) -> RawDocumentBuf {
    rawdoc! { "bucket": "b", "entryKey": key }
}

#[test]
fn a_row_whose_column_holds_an_array_is_found_by_its_elements() {
    let (_folder, store) = store();
    let measures = number("measure-items");
    let payload =
        rawdoc! { "payload": { "flags": [true], "dates": [DateTime::from_millis(5), DateTime::from_millis(50)] } };
    ask(&store, Op::Upsert, measures, rawdoc! { "k": measure("a"), "v": payload }).unwrap();
    ask(&store, Op::Upsert, measures, rawdoc! { "k": measure("z"), "v": { "payload": {} } }).unwrap();
    let id = found(&store, measures, rawdoc! { "entryKey": "a" })[0];
    let rename = rawdoc! { "$rename": { "payload.flags": "removed", "payload.dates": "createDate" } };
    ask(&store, Op::Change, measures, rawdoc! { "id": id, "dto": rename }).unwrap();
    let date = |millis| RawBson::DateTime(DateTime::from_millis(millis));
    assert_eq!(found(&store, measures, rawdoc! { "removed": true }), [id]);
    assert_eq!(found(&store, measures, rawdoc! { "createDate": date(5) }), [id]);
    // Each end is met by another element.
    assert_eq!(found(&store, measures, rawdoc! { "createDate": { "$gt": date(40), "$lt": date(10) } }), [id]);
    assert_eq!(found(&store, measures, rawdoc! { "createDate": { "$gt": date(60) } }).len(), 1, "the other row");
}

#[test]
fn what_stands_for_a_date_and_is_none_has_its_place_in_a_sort() {
    let (_folder, store) = store();
    let logs = number("log-items");
    let with = |name: &str, date: RawBson| {
        let fields = rawdoc! { "entryId": name, "payload": {}, "createDate": date };
        foreign(&store, logs, fields).unwrap();
    };
    with("date", RawBson::DateTime(DateTime::from_millis(500)));
    with("text", RawBson::String("t".to_owned()));
    with("null", RawBson::Null);
    with("number", RawBson::Int32(7));
    with(
        "list",
        RawBson::Array([RawBson::Int32(3), RawBson::DateTime(DateTime::from_millis(900))].into_iter().collect()),
    );
    for (direction, expected) in
        [(1, ["null", "list", "number", "text", "date"]), (-1, ["list", "date", "text", "number", "null"])]
    {
        let body = rawdoc! { "filter": {}, "sort": { "createDate": direction } };
        let rows = ask(&store, Op::Rows, logs, body).unwrap();
        let names: Vec<_> = rows.iter().map(|row| row.get_str("entryId").unwrap()).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn numbers_and_texts_of_every_type_are_found_by_their_value() {
    let (_folder, store) = store();
    let risks = number("risk-items");
    let risk = |name: RawBson| foreign(&store, risks, rawdoc! { "riskName": name, "exchangeName": "e" });
    let symbol = risk(RawBson::Symbol("s".to_owned())).unwrap();
    assert_eq!(found(&store, risks, rawdoc! { "riskName": "s" }), [symbol]);
    assert_eq!(codes(risk(RawBson::String("s".to_owned()))), (Code::MongoWrite, DUPLICATE));
    let candle = |timestamp: RawBson| {
        foreign(
            &store,
            CANDLES,
            rawdoc! { "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": timestamp },
        )
    };
    let decimal = candle(RawBson::Decimal128("60000.0".parse().unwrap())).unwrap();
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": 60_000 }), [decimal]);
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": { "$gte": 59_999.5, "$lt": 60_001 } }), [decimal]);
    assert_eq!(codes(candle(RawBson::Int64(60_000))), (Code::MongoWrite, DUPLICATE));
    let (even, odd) = (9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64);
    let even_id = candle(RawBson::Int64(even)).unwrap();
    let odd_id = candle(RawBson::Int64(odd)).unwrap();
    let double = 9_007_199_254_740_992.0;
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": { "$gt": double } }), [odd_id]);
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": { "$gte": double } }), [even_id, odd_id]);
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": double }), [even_id]);
    assert_eq!(codes(candle(RawBson::Double(double))), (Code::MongoWrite, DUPLICATE));
}

#[test]
fn a_candle_of_a_block_and_a_row_of_another_type_are_not_two_of_one_key() {
    let (_folder, store) = store();
    let candle = |timestamp: RawBson| {
        rawdoc! {
            "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": timestamp,
            "open": 1, "high": 2, "low": 1, "close": 1, "volume": 1
        }
    };
    ask(&store, Op::Candle, CANDLES, rawdoc! { "dto": candle(RawBson::Int32(60_000)) }).unwrap();
    for same in [RawBson::Int64(60_000), RawBson::Decimal128("6E+4".parse().unwrap()), RawBson::Double(60_000.0)] {
        assert_eq!(codes(foreign(&store, CANDLES, candle(same))), (Code::MongoWrite, DUPLICATE));
    }
    // And the other way round.
    foreign(&store, CANDLES, candle(RawBson::Decimal128("12E+4".parse().unwrap()))).unwrap();
    let insert = rawdoc! { "rows": [candle(RawBson::Int32(120_000)), candle(RawBson::Int32(180_000))] };
    ask(&store, Op::Candles, CANDLES, insert).unwrap();
    assert_eq!(found(&store, CANDLES, rawdoc! { "timestamp": 120_000 }).len(), 1);
}

#[test]
fn a_key_that_is_an_array_is_refused_and_nothing_is_changed() {
    let (_folder, store) = store();
    let risks = number("risk-items");
    let dto = rawdoc! { "riskName": "r", "exchangeName": "e", "positions": ["a"], "when": 5 };
    let id = ask(&store, Op::Insert, risks, rawdoc! { "dto": dto }).unwrap()[0].get_object_id("_id").unwrap();
    let rename = || rawdoc! { "id": id, "dto": { "$rename": { "positions": "riskName" } } };
    assert_eq!(codes(ask(&store, Op::Change, risks, rename())), (Code::InvalidValue, 0));
    let row = ask(&store, Op::Rows, risks, rawdoc! { "filter": { "riskName": "r" } }).unwrap().remove(0);
    assert_eq!(row.get_array("positions").unwrap().len(), 1);
    assert_eq!(
        codes(foreign(&store, risks, rawdoc! { "riskName": ["r"], "exchangeName": "e" })),
        (Code::InvalidValue, 0)
    );
}

#[test]
fn documents_as_keys_are_equal_by_value() {
    let (_folder, store) = store();
    let risks = number("risk-items");
    let risk = |name: RawDocumentBuf| foreign(&store, risks, rawdoc! { "riskName": name, "exchangeName": "e" });
    risk(rawdoc! { "a": 1 }).unwrap();
    assert_eq!(codes(risk(rawdoc! { "a": 1.0 })), (Code::MongoWrite, DUPLICATE));
    risk(rawdoc! { "a": 1.5 }).unwrap();
    risk(rawdoc! { "b": 1 }).unwrap();
}

#[test]
fn an_increment_that_makes_an_int64_makes_no_false_duplicate() {
    let (_folder, store) = store();
    let candle = |timestamp: i64| {
        rawdoc! { "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": RawBson::Int64(timestamp) }
    };
    foreign(&store, CANDLES, candle(9_007_199_254_740_992)).unwrap();
    let id = foreign(&store, CANDLES, candle(9_007_199_254_740_991)).unwrap();
    let by = |step: i32| rawdoc! { "id": id, "dto": { "$inc": { "timestamp": step } } };
    assert_eq!(codes(ask(&store, Op::Change, CANDLES, by(1))), (Code::MongoWrite, DUPLICATE));
    ask(&store, Op::Change, CANDLES, by(2)).unwrap();
}

#[test]
fn filters_and_sorts_that_mongodb_refuses_have_its_code_and_ours_have_none() {
    let (_folder, store) = store();
    let logs = number("log-items");
    let rows = |filter: RawDocumentBuf| codes(ask(&store, Op::Rows, logs, rawdoc! { "filter": filter }));
    assert_eq!(rows(rawdoc! { "$or": [] }), (Code::MongoReply, 2));
    assert_eq!(rows(rawdoc! { "payload.a": { "$size": -1 } }).0, Code::MongoReply);
    assert_eq!(rows(rawdoc! { "$where": "true" }), (Code::InvalidValue, 0));
    let count = ask(&store, Op::Count, logs, rawdoc! { "filter": { "$nor": [] } });
    assert_eq!(codes(count), (Code::MongoReply, 2));
}

#[test]
fn a_document_beyond_sixteen_megabytes_is_refused_as_mongodb_refuses_it() {
    let (_folder, store) = store();
    let (risks, signals) = (number("risk-items"), number("signal-items"));
    let text = |bytes: usize| "x".repeat(bytes);
    let dto = |name: &str, bytes| {
        rawdoc! { "dto": { "riskName": name, "exchangeName": "e", "positions": [text(bytes)], "when": 5 } }
    };
    assert_eq!(codes(ask(&store, Op::Insert, risks, dto("r", LARGEST))), (Code::MongoWrite, 2));
    let row = ask(&store, Op::Insert, risks, dto("r", LARGEST - 400)).unwrap().remove(0);
    let id = row.get_object_id("_id").unwrap();
    let push = |bytes| rawdoc! { "id": id, "dto": { "$push": { "positions": text(bytes) } } };
    assert_eq!(codes(ask(&store, Op::Change, risks, push(400))), (Code::MongoWrite, 17_419));
    assert_eq!(codes(ask(&store, Op::Change, risks, push(40_000))), (Code::MongoWrite, 10_334));
    ask(&store, Op::Change, risks, push(10)).unwrap();
    let signal = rawdoc! { "symbol": "S", "strategyName": "s", "exchangeName": "e" };
    let upsert = rawdoc! { "k": signal, "v": { "payload": { "a": text(LARGEST - 100) } } };
    assert_eq!(codes(ask(&store, Op::Upsert, signals, upsert)), (Code::MongoWrite, 17_420));
    assert_eq!(found(&store, signals, rawdoc! {}).len(), 0);
}

#[test]
fn a_session_whose_symbol_is_null_is_not_the_one_without_it_and_has_its_key() {
    let (_folder, store) = store();
    let sessions = number("session-items");
    let key = || rawdoc! { "strategyName": "s", "exchangeName": "e", "frameName": "f" };
    let mut null = key();
    null.append(cstr!("symbol"), RawBson::Null);
    let id = foreign(&store, sessions, null).unwrap();
    assert!(ask(&store, Op::Find, sessions, rawdoc! { "k": key() }).unwrap().is_empty());
    let upsert = || rawdoc! { "k": key(), "v": { "payload": 1, "when": 1 } };
    assert_eq!(codes(ask(&store, Op::Upsert, sessions, upsert())), (Code::MongoWrite, DUPLICATE));
    ask(&store, Op::Delete, sessions, rawdoc! { "filter": { "_id": id } }).unwrap();
    ask(&store, Op::Upsert, sessions, upsert()).unwrap();
    assert_eq!(ask(&store, Op::Find, sessions, rawdoc! { "k": key() }).unwrap().len(), 1);
}
