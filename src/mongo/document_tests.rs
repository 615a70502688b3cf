use mongodb::bson::rawdoc;

use super::*;
use crate::mongo::table::COLLECTIONS;

fn collection(name: &str) -> &'static Collection {
    COLLECTIONS.iter().find(|collection| collection.name == name).unwrap()
}

const DATE: DateTime = DateTime::from_millis(7);

#[test]
fn a_key_is_cast_and_in_the_order_of_the_index() {
    let args = rawdoc! { "exchangeName": "e", "symbol": 5, "strategyName": true };
    let key = key(collection("signal-items"), &args).unwrap();
    assert_eq!(key, rawdoc! { "symbol": "5", "strategyName": "true", "exchangeName": "e" });
}

#[test]
fn a_key_without_a_part_is_refused_by_name() {
    let error = key(collection("signal-items"), &rawdoc! { "symbol": null }).unwrap_err();
    assert_eq!(error.code, Code::InvalidContext);
    assert!(error.message.contains("symbol"), "{error}");
}

#[test]
fn three_parts_of_a_session_find_only_sessions_without_the_others() {
    let args = rawdoc! { "strategyName": "st", "exchangeName": "e", "frameName": "f" };
    let key = key(collection("session-items"), &args).unwrap();
    let expected = rawdoc! {
        "strategyName": "st", "exchangeName": "e", "frameName": "f",
        "symbol": { "$exists": false }, "backtest": { "$exists": false }
    };
    assert_eq!(key, expected);
    let row = rawdoc! { "strategyName": "st", "exchangeName": "e", "frameName": "f" };
    assert!(matches(&row, &key));
    let other = rawdoc! { "strategyName": "st", "exchangeName": "e", "frameName": "f", "symbol": "S" };
    assert!(!matches(&other, &key));
    assert_eq!(identity(&key, ObjectId::from_bytes([1; 12])).iter().count(), 4);
}

#[test]
fn a_row_of_another_key_does_not_match() {
    let key = rawdoc! { "timestamp": 5, "symbol": "S" };
    assert!(matches(&rawdoc! { "symbol": "S", "timestamp": 5.0 }, &key));
    assert!(!matches(&rawdoc! { "symbol": "T", "timestamp": 5 }, &key));
    assert!(!matches(&rawdoc! { "timestamp": 5 }, &key));
}

#[test]
fn an_upsert_sets_what_is_given_and_defaults_only_on_insert() {
    let update = upsert(collection("partial-items"), &rawdoc! { "when": 1_767_323_045_678.0 }, 7).unwrap();
    let expected = rawdoc! {
        "$setOnInsert": { "__v": 0, "createDate": DATE, "payload": {} },
        "$set": { "when": 1_767_323_045_678.0, "updatedDate": DATE }
    };
    assert_eq!(update, expected);
    let update = upsert(collection("risk-items"), &rawdoc! { "when": 1 }, 7).unwrap();
    let positions = update.get_document("$setOnInsert").unwrap().get_array("positions");
    assert!(positions.is_ok_and(RawArrayExt::is_empty));
    let update = upsert(collection("signal-items"), &rawdoc! { "payload": null }, 7).unwrap();
    assert_eq!(update.get_document("$set").unwrap(), &*rawdoc! { "payload": null, "updatedDate": DATE });
}

trait RawArrayExt {
    fn is_empty(&self) -> bool;
}

impl RawArrayExt for mongodb::bson::RawArray {
    fn is_empty(&self) -> bool {
        self.into_iter().next().is_none()
    }
}

#[test]
fn removed_is_what_the_payload_says() {
    let measure = collection("measure-items");
    let update = upsert(measure, &rawdoc! { "payload": { "removed": 1 } }, 7).unwrap();
    assert_eq!(update.get_document("$set").unwrap().get_bool("removed").ok(), Some(true));
    let update = upsert(measure, &rawdoc! { "payload": { "a": 1 } }, 7).unwrap();
    assert_eq!(update.get_document("$setOnInsert").unwrap().get_bool("removed").ok(), Some(false));
    assert_eq!(upsert(measure, &rawdoc! { "payload": null }, 7).unwrap_err().code, Code::InvalidValue);
    let error = upsert(measure, &rawdoc! { "payload": { "removed": "maybe" } }, 7).unwrap_err();
    assert!(error.message.contains("\"removed\""), "{error}");
}

#[test]
fn when_must_be_a_moment() {
    for when in [rawdoc! {}, rawdoc! { "when": null }, rawdoc! { "when": f64::NAN }] {
        let error = upsert(collection("state-items"), &when, 7).unwrap_err();
        assert!(error.code == Code::InvalidValue && error.message.contains("when"), "{error}");
    }
}

#[test]
fn a_candle_keeps_what_is_given_and_names_what_cannot_be_cast() {
    let candles = collection("candle-items");
    let dto = rawdoc! { "symbol": "S", "interval": "7m", "timestamp": "60000", "open": null, "close": "1.5" };
    let key = candle_key(candles, &dto).unwrap();
    assert_eq!(key, rawdoc! { "exchangeName": EXCHANGE, "symbol": "S", "interval": "7m", "timestamp": 60_000 });
    let update = candle(candles, &dto, 7).unwrap();
    let on_insert = rawdoc! { "open": null, "close": 1.5, "__v": 0, "createDate": DATE };
    assert_eq!(update, rawdoc! { "$setOnInsert": on_insert, "$set": { "updatedDate": DATE } });
    assert!(candle(candles, &rawdoc! { "open": "abc" }, 7).unwrap_err().message.contains("\"open\""));
}

#[test]
fn a_request_is_refused_before_its_depth_can_harm_the_stack() {
    let nested = |levels: usize, list: bool| {
        (0..levels).fold(rawdoc! {}, |inner, _| {
            if list {
                rawdoc! { "a": [inner] }
            } else {
                rawdoc! { "a": inner }
            }
        })
    };
    assert!(check_depth(&nested(190, false)).is_ok() && check_depth(&nested(95, true)).is_ok());
    for (levels, list) in [(200, false), (2_000, false), (100, true)] {
        assert_eq!(check_depth(&nested(levels, list)).unwrap_err().code, Code::InvalidValue);
    }
}

#[test]
fn a_row_is_known_again_wherever_the_server_puts_its_id() {
    let row = rawdoc! { "a": 1, "_id": 7, "b": { "c": "x" } };
    assert!(same_row(&row, &rawdoc! { "_id": 7, "a": 1, "b": { "c": "x" } }));
    for other in [
        rawdoc! { "_id": 8, "a": 1, "b": { "c": "x" } },
        rawdoc! { "_id": 7, "a": 2, "b": { "c": "x" } },
        rawdoc! { "_id": 7, "a": 1 },
        rawdoc! { "_id": 7, "a": 1, "b": { "c": "x" }, "d": 1 },
    ] {
        assert!(!same_row(&row, &other), "{other:?}");
    }
}
