use mongodb::bson::{Binary, DateTime, rawdoc, spec::BinarySubtype};

use super::*;
use crate::mongo::document::{Millis, new_candle};
use crate::mongo::table::COLLECTIONS;
use crate::store::facts;
use crate::store::testing::{Folder, store};

const NOW: Millis = 1_767_225_600_000;

fn number_of(stem: &str) -> usize {
    COLLECTIONS.iter().position(|one| one.stem == stem).unwrap()
}

fn bytes(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Documents(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn documents(mut bytes: &[u8]) -> Vec<RawDocumentBuf> {
    let mut all = Vec::new();
    while let Some(length) = bytes.first_chunk() {
        let (one, rest) = bytes.split_at(u32::from_le_bytes(*length) as usize);
        all.push(RawDocumentBuf::from_bytes(one.to_vec()).unwrap());
        bytes = rest;
    }
    all
}

/// All rows, page by page, and how many pages they were.
fn exported(store: &Connection, number: usize) -> (Vec<RawDocumentBuf>, usize) {
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let mut body = RawDocumentBuf::new();
        if let Some(after) = after {
            body.append(cstr!("after"), after);
        }
        let mut page = documents(&bytes(export(store, number, &body).unwrap()));
        let head = page.remove(0);
        all.append(&mut page);
        pages += 1;
        match head.get("after").unwrap() {
            Some(RawBsonRef::Document(place)) => after = Some(place.to_owned()),
            _ => return (all, pages),
        }
    }
}

fn merged(store: &Connection, number: usize, rows: &[RawDocumentBuf]) -> RawDocumentBuf {
    let all = rows.iter().flat_map(|row| row.as_bytes().to_vec()).collect();
    let body = rawdoc! { "rows": Binary { subtype: BinarySubtype::Generic, bytes: all } };
    documents(&bytes(merge(store, number, &body).unwrap())).remove(0)
}

fn counts(told: &RawDocument) -> [i32; 3] {
    ["new", "newer", "kept"].map(|name| told.get_i32(name).unwrap())
}

fn row(n: i32, updated: i64) -> RawDocumentBuf {
    rawdoc! {
        "_id": ObjectId::new(), "symbol": format!("S{n:05}"), "strategyName": "s", "exchangeName": "e", "__v": 0,
        "createDate": DateTime::from_millis(NOW), "payload": { "n": n, "at": updated, "fill": "x".repeat(300) },
        "updatedDate": DateTime::from_millis(updated),
    }
}

fn candle(symbol: &str, minute: i32) -> RawDocumentBuf {
    let dto = rawdoc! {
        "symbol": symbol, "interval": "1m", "exchangeName": "e", "timestamp": 1_767_225_600_000.0 + 60_000.0 * f64::from(minute),
        "open": 1, "high": 2.5, "low": 0.5, "close": minute, "volume": 3
    };
    new_candle(&COLLECTIONS[CANDLES], &dto, ObjectId::new(), NOW).unwrap()
}

#[test]
fn rows_come_page_by_page_in_the_order_of_their_keys_and_arrive_as_they_were() {
    let number = number_of("signal");
    let ((_one, from), (_other, to)): ((Folder, _), (Folder, _)) = (store(), store());
    let mut rows: Vec<_> = (0..12_345).map(|n| row(n, NOW)).collect();
    rows.reverse();
    assert_eq!(counts(&merged(&from, number, &rows)), [12_345, 0, 0]);
    let (all, pages) = exported(&from, number);
    assert!(pages > 2, "{pages}");
    rows.reverse();
    assert_eq!(all, rows);
    for chunk in all.chunks(1_000) {
        merged(&to, number, chunk);
    }
    assert_eq!(exported(&to, number).0, rows);
    assert_eq!(counts(&merged(&to, number, &all[..100])), [0, 0, 100]);
}

#[test]
fn rows_meet_by_their_key_and_the_newer_one_wins_under_the_first_ones_id() {
    let number = number_of("signal");
    let (_folder, store) = store();
    let first = row(1, NOW);
    merged(&store, number, std::slice::from_ref(&first));
    let newer = row(1, NOW + 5);
    let told = merged(&store, number, &[newer, row(1, NOW + 3), row(1, NOW + 5)]);
    assert_eq!(counts(&told), [0, 1, 2]);
    let Some(RawBsonRef::Binary(ids)) = told.get("ids").unwrap() else { panic!() };
    assert_eq!(ids.bytes, first.get_object_id("_id").unwrap().bytes().repeat(3));
    let (all, _) = exported(&store, number);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].get("_id").unwrap(), first.get("_id").unwrap());
    assert_eq!(all[0].get_document("payload").unwrap().get_i64("at").unwrap(), NOW + 5);
}

#[test]
fn an_id_that_another_row_has_is_not_taken() {
    let number = number_of("signal");
    let (_folder, store) = store();
    let first = row(1, NOW);
    let other = under(first.get_object_id("_id").unwrap(), &row(2, NOW)).unwrap();
    assert_eq!(counts(&merged(&store, number, &[first, other])), [2, 0, 0]);
    let (all, _) = exported(&store, number);
    assert_ne!(all[0].get("_id").unwrap(), all[1].get("_id").unwrap());
    // The same of candles, which have their ids in runs.
    let candles: Vec<_> = (0..100).map(|minute| candle("A", minute)).collect();
    merged(&store, CANDLES, &candles);
    let again: Vec<_> = (0..100)
        .map(|minute| {
            under(candles[minute].get_object_id("_id").unwrap(), &candle("B", 7 + i32::try_from(minute).unwrap()))
                .unwrap()
        })
        .collect();
    assert_eq!(counts(&merged(&store, CANDLES, &again)), [100, 0, 0]);
    let ids: HashSet<_> = exported(&store, CANDLES).0.iter().map(|row| row.get_object_id("_id").unwrap()).collect();
    assert_eq!(ids.len(), 200);
}

#[test]
fn candles_come_from_blocks_the_tail_and_rows_and_the_first_one_stays() {
    let ((_one, from), (_other, to)) = (store(), store());
    let mut all: Vec<_> = (0..11_000).map(|minute| candle("A", minute)).collect();
    all.extend((0..30).map(|minute| candle("B", minute)));
    // What a block does not hold, and one that is on no moment of the grid.
    let odd = |candle: &RawDocument| {
        let mut odd = candle.to_owned();
        odd.append(cstr!("more"), 1);
        odd
    };
    all.extend((0..3).map(|minute| odd(&candle("C", minute))));
    all.push(rawdoc! { "_id": 7, "exchangeName": "e", "symbol": "D", "interval": "1m", "timestamp": 5 });
    assert_eq!(counts(&merged(&from, CANDLES, &all)), [11_034, 0, 0]);
    let counted = documents(&bytes(facts::inspect(&from, CANDLES).unwrap())).remove(0);
    assert_eq!(counted.get_f64("rows").unwrap().to_bits(), 11_034_f64.to_bits());
    let (read, pages) = exported(&from, CANDLES);
    assert!(pages > 1);
    let sorted = |rows: &[RawDocumentBuf]| {
        let mut bytes: Vec<_> = rows.iter().map(|row| row.as_bytes().to_vec()).collect();
        bytes.sort();
        bytes
    };
    assert_eq!(sorted(&read), sorted(&all));
    for chunk in read.chunks(997) {
        assert_eq!(counts(&merged(&to, CANDLES, chunk))[0], i32::try_from(chunk.len()).unwrap());
    }
    assert_eq!(sorted(&exported(&to, CANDLES).0), sorted(&all));
    let others: Vec<_> =
        (0..50).map(|minute| candle("C", minute)).chain((0..50).map(|minute| candle("B", minute))).collect();
    assert_eq!(counts(&merged(&to, CANDLES, &others)), [47 + 20, 0, 3 + 30]);
}

#[test]
fn sessions_of_three_and_of_five_arguments_are_different_rows() {
    let number = number_of("session");
    let ((_one, from), (_other, to)) = (store(), store());
    let old = rawdoc! { "_id": ObjectId::new(), "strategyName": "s", "exchangeName": "e", "frameName": "f", "updatedDate": DateTime::from_millis(1) };
    let mut new = under(ObjectId::new(), &old).unwrap();
    new.append(cstr!("symbol"), "S");
    new.append(cstr!("backtest"), false);
    merged(&from, number, &[new.clone(), old.clone()]);
    let (all, _) = exported(&from, number);
    assert_eq!(all, [old, new]);
    assert_eq!(counts(&merged(&to, number, &all)), [2, 0, 0]);
    assert_eq!(counts(&merged(&to, number, &all)), [0, 0, 2]);
}
