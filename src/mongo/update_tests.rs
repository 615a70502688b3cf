use mongodb::bson::rawdoc;

use super::*;
use crate::mongo::table::COLLECTIONS;

const DATE: DateTime = DateTime::from_millis(7);

fn collection(name: &str) -> &'static Collection {
    COLLECTIONS.iter().find(|collection| collection.name == name).unwrap()
}

/// The update of an interval's row; its `$set` without `updatedDate`, which every one has.
fn interval(dto: &RawDocument) -> std::result::Result<Document, String> {
    let update = change(collection("interval-items"), dto, 7).map_err(|error| {
        assert_eq!(error.code, Code::InvalidValue);
        error.message
    })?;
    let mut update = Document::try_from(update).unwrap();
    let set = update.get_document_mut("$set").unwrap();
    assert_eq!(set.remove("updatedDate"), Some(Bson::DateTime(DATE)));
    if set.is_empty() {
        update.remove("$set");
    }
    Ok(update)
}

fn is(dto: &RawDocument, expected: &RawDocument) {
    assert_eq!(interval(dto).unwrap(), Document::try_from(expected.to_owned()).unwrap());
}

fn fails(dto: &RawDocument, word: &str) {
    let message = interval(dto).unwrap_err();
    assert!(message.contains(word), "{message}");
}

#[test]
fn a_change_takes_known_fields_only_and_no_required_one_away() {
    is(
        &rawdoc! { "when": "6", "unknown": 1, "createDate": DATE, "updatedDate": "x" },
        &rawdoc! { "$set": { "when": 6 } },
    );
    for field in ["bucket", "payload", "removed", "when"] {
        let name = key_name(field).unwrap();
        let mut missing = RawDocumentBuf::new();
        missing.append(&name, RawBson::Null);
        fails(&missing, field);
        fails(&rawdoc! { "$set": missing.clone() }, field);
        fails(&rawdoc! { "$setOnInsert": missing.clone() }, field);
        fails(&rawdoc! { "$unset": missing }, field);
    }
    assert!(change(collection("candle-items"), &rawdoc! { "interval": "7m" }, 7).is_err());
    is(&rawdoc! { "bucket": "", "__v": "3" }, &rawdoc! { "$set": { "bucket": "", "__v": 3 } });
}

#[test]
fn fields_beside_operators_are_set_and_win_over_those_within() {
    is(
        &rawdoc! { "$set": { "when": 8, "payload.a": 1 }, "when": 9, "bucket": 5, "$inc": { "payload.n": 1 } },
        &rawdoc! { "$set": { "when": 9, "payload.a": 1, "bucket": "5" }, "$inc": { "payload.n": 1 } },
    );
    is(&rawdoc! { "$set": null }, &rawdoc! {});
}

#[test]
fn a_path_is_cast_by_the_field_that_it_begins_in() {
    is(
        &rawdoc! { "payload.a.0.b": "5", "bucket.x": 5 },
        &rawdoc! { "$set": { "payload.a.0.b": "5", "bucket.x": "5" } },
    );
    fails(&rawdoc! { "when.x": "noon" }, "when.x");
    fails(&rawdoc! { "when.x": null }, "when");
    is(&rawdoc! { "payload.x": null, "unknown.x": 1, "createDate.x": 1 }, &rawdoc! { "$set": { "payload.x": null } });
}

#[test]
fn values_of_operators_are_cast_by_their_field() {
    is(&rawdoc! { "$inc": { "when": "2", "payload.n": 1.5 } }, &rawdoc! { "$inc": { "when": 2, "payload.n": 1.5 } });
    is(&rawdoc! { "$mul": { "when": "2" } }, &rawdoc! { "$mul": { "when": 2 } });
    is(&rawdoc! { "$min": { "when": null } }, &rawdoc! { "$min": { "when": null } });
    is(&rawdoc! { "$bit": { "when": { "or": "8" } } }, &rawdoc! { "$bit": { "when": { "or": 8 } } });
    is(&rawdoc! { "$pop": { "payload.l": "-1" } }, &rawdoc! { "$pop": { "payload.l": -1 } });
    is(&rawdoc! { "$rename": { "payload.a": 5 } }, &rawdoc! { "$rename": { "payload.a": "5" } });
    is(&rawdoc! { "$unset": { "payload.a": "x", "unknown": 1 } }, &rawdoc! { "$unset": { "payload.a": "x" } });
    is(&rawdoc! { "$push": { "payload.l": [1] } }, &rawdoc! { "$push": { "payload.l": [1] } });
    fails(&rawdoc! { "$inc": { "payload.n": null } }, "$inc");
    fails(&rawdoc! { "$pop": { "payload.n": null } }, "$pop");
    fails(&rawdoc! { "$rename": { "payload.n": null } }, "$rename");
    fails(&rawdoc! { "$inc": { "when": "x" } }, "when");
    fails(&rawdoc! { "$push": { "when": { "$each": [1] } } }, "when");
    fails(&rawdoc! { "$rename": { "payload.a": { "b": 1 } } }, "payload.a");
    is(&rawdoc! { "$inc": { "unknown": 1, "createDate": 1 } }, &rawdoc! {});
}

#[test]
fn conditions_and_computed_objects_are_cast_value_by_value() {
    is(&rawdoc! { "$min": { "when": { "a": { "b": "5" } } } }, &rawdoc! { "$min": { "when": { "a": { "b": 5 } } } });
    is(
        &rawdoc! { "$pull": { "payload.l": { "a.b": 1, "c": 2, "a.d": { "$gt": 3 }, "a.e": 4 } } },
        &rawdoc! { "$pull": { "payload.l": { "c": 2, "a.d": { "$gt": 3 }, "a": { "e": 4, "b": 1 } } } },
    );
    fails(&rawdoc! { "$pull": { "payload.l": { "a": 1, "a.b": 1 } } }, "a.b");
}

#[test]
fn what_is_added_to_or_taken_from_a_list_is_validated() {
    let risk = |dto: &RawDocument| change(collection("risk-items"), dto, 7).map_err(|error| error.message);
    for refused in [
        rawdoc! { "$push": { "positions": null } },
        rawdoc! { "$push": { "positions.0": null } },
        rawdoc! { "$addToSet": { "positions": { "$each": [1, null] } } },
        rawdoc! { "$pull": { "positions": null } },
        rawdoc! { "$pull": { "positions": { "$in": [null] } } },
        rawdoc! { "$pullAll": { "positions": null } },
    ] {
        assert!(risk(&refused).unwrap_err().contains("Path `positions` is required."), "{refused:?}");
    }
    for taken in [
        rawdoc! { "$push": { "positions": { "$each": [], "$slice": 1 } } },
        rawdoc! { "$pull": { "positions": { "a": null } } },
        rawdoc! { "$pullAll": { "positions": [null] } },
    ] {
        assert!(risk(&taken).is_ok(), "{taken:?}");
    }
}

#[test]
fn a_date_of_now_stands_instead_of_ours() {
    let update = |dto: &RawDocument| change(collection("interval-items"), dto, 7).unwrap();
    let now = rawdoc! { "$currentDate": { "updatedDate": true } };
    assert_eq!(update(&now), now);
    let kind = rawdoc! { "$currentDate": { "updatedDate": { "$type": "date" } } };
    assert_eq!(update(&kind), kind);
    is(
        &rawdoc! { "$currentDate": { "payload.at": 1, "unknown": true } },
        &rawdoc! { "$currentDate": { "payload.at": true } },
    );
    let unknown = rawdoc! { "$currentDate": { "unknown": { "$type": "date" } } };
    is(&unknown, &unknown);
    fails(&rawdoc! { "$currentDate": { "payload.at": null } }, "payload.at");
    fails(&rawdoc! { "$currentDate": { "payload.at": {} } }, "payload.at");
}

#[test]
fn what_is_no_operator_is_refused_by_name() {
    fails(&rawdoc! { "$foo": { "when": 1 } }, "$foo");
    fails(&rawdoc! { "$pushAll": { "payload.l": [1] }, "when": 1 }, "$pushAll");
    fails(&rawdoc! { "$set": { "$inc": { "when": 1 } } }, "$inc");
    fails(&rawdoc! { "$push": { "$each": [1] } }, "$each");
    for value in [RawBson::Int32(5), RawBson::Null, RawBson::Array(mongodb::bson::RawArrayBuf::new())] {
        fails(&rawdoc! { "$inc": value }, "$inc");
    }
    fails(&rawdoc! { "$set": 5 }, "$set");
}
