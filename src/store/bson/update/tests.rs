use mongodb::bson::{DateTime, Timestamp, doc, rawdoc};

use super::*;

const NOW: i64 = 1_767_225_600_000;

fn apply(document: &Document, update: &Document, is_insert: bool) -> Result<Document, Refusal> {
    let update = RawDocumentBuf::try_from(update).unwrap();
    apply_update(document.clone(), &update, UpdateOptions { is_insert, now: NOW })
}

/// Compares the order of fields too.
fn is(document: &Document, update: &Document, expected: &Document) {
    let after = apply(document, update, false).unwrap_or_else(|refusal| panic!("{update}: {refusal}"));
    assert_eq!(after.to_string(), expected.to_string(), "{update}");
}

fn fails(document: &Document, update: &Document, code: i32, words: &str) {
    let refusal = apply(document, update, false).unwrap_err();
    assert!(refusal.code == Some(code) && refusal.message.contains(words), "{update}: {refusal:?}");
}

#[test]
fn fields_keep_their_places_and_new_ones_come_in_the_order_of_their_names() {
    is(
        &doc! { "_id": 1, "b": 1, "a": 2 },
        &doc! { "$set": { "z": 1, "c": 1, "a": 3 }, "$inc": { "n10": 1, "b": 1 } },
        &doc! { "_id": 1, "b": 2, "a": 3, "c": 1, "n10": 1, "z": 1 },
    );
    is(
        &doc! { "_id": 1, "o": {} },
        &doc! { "$set": { "o.10": 1, "o.9": 2 } },
        &doc! { "_id": 1, "o": { "9": 2, "10": 1 } },
    );
}

#[test]
fn names_of_digits_are_numbers_only_where_they_are_places() {
    let update = doc! { "$set": { "o.01": 1, "o.1": 2, "o.0": 3 } };
    is(&doc! { "_id": 1, "o": {} }, &update, &doc! { "_id": 1, "o": { "0": 3, "01": 1, "1": 2 } });
}

#[test]
fn paths_are_made_where_they_lead_to_nothing() {
    is(&doc! { "_id": 1 }, &doc! { "$set": { "a.b.0": 1 } }, &doc! { "_id": 1, "a": { "b": { "0": 1 } } });
    is(
        &doc! { "_id": 1, "a": [1] },
        &doc! { "$set": { "a.3.b": 2 } },
        &doc! { "_id": 1, "a": [1, null, null, { "b": 2 }] },
    );
    fails(
        &doc! { "_id": 1, "a": [1] },
        &doc! { "$set": { "a.x": 1 } },
        28,
        "Cannot create field 'x' in element {a: [ 1 ]}",
    );
    fails(
        &doc! { "_id": 1, "when": 7 },
        &doc! { "$set": { "when.x": 1 } },
        28,
        "Cannot create field 'x' in element {when: 7}",
    );
    fails(&doc! { "_id": 1, "a": [] }, &doc! { "$set": { "a.2000000": 1 } }, 15891, "backfill");
}

#[test]
fn unset_leaves_null_in_arrays_and_pays_no_heed_to_what_is_not_there() {
    is(
        &doc! { "_id": 1, "a": [1, 2], "b": 1 },
        &doc! { "$unset": { "a.0": 1, "b": 1, "c.d": 1, "a.x": 1 } },
        &doc! { "_id": 1, "a": [null, 2] },
    );
}

#[test]
fn numbers_keep_the_wider_type() {
    let of = |value: Bson, operator: &str, by: Bson| {
        let update =
            Document::from_iter([(operator.to_owned(), Bson::Document(Document::from_iter([("n".to_owned(), by)])))]);
        apply(&Document::from_iter([("n".to_owned(), value)]), &update, false)
            .map(|after| after.get("n").unwrap().clone())
    };
    assert_eq!(of(Bson::Int32(1), "$inc", Bson::Int32(2)), Ok(Bson::Int32(3)));
    assert_eq!(of(Bson::Int32(i32::MAX), "$inc", Bson::Int32(1)), Ok(Bson::Int64(2_147_483_648)));
    assert_eq!(of(Bson::Int32(1), "$inc", Bson::Int64(2)), Ok(Bson::Int64(3)));
    assert_eq!(of(Bson::Int64(1), "$mul", Bson::Double(1.5)), Ok(Bson::Double(1.5)));
    assert_eq!(of(Bson::Int32(65536), "$mul", Bson::Int32(65536)), Ok(Bson::Int64(4_294_967_296)));
    assert_eq!(of(Bson::Int64(i64::MAX), "$inc", Bson::Int32(1)).unwrap_err().code, Some(2));
    let minus_zero = of(Bson::Double(-0.0), "$inc", Bson::Int32(0)).unwrap();
    assert!(minus_zero.as_f64().unwrap().is_sign_negative(), "what is equal already is not written");
    let decimal = Bson::Decimal128("1".parse().unwrap());
    assert_eq!(of(Bson::Int32(1), "$inc", decimal).unwrap_err().code, None);
    is(
        &doc! { "_id": 1 },
        &doc! { "$mul": { "a": 5, "b": 1.5, "c": 2_i64 } },
        &doc! { "_id": 1, "a": 0, "b": 0.0, "c": 0_i64 },
    );
    fails(
        &doc! { "_id": 1, "s": "x" },
        &doc! { "$inc": { "s": 1 } },
        14,
        "{_id: 1} has the field 's' of non-numeric type string",
    );
    fails(
        &doc! { "_id": 1 },
        &doc! { "$inc": { "s": "1" } },
        14,
        "Cannot increment with non-numeric argument: {s: \"1\"}",
    );
    is(&doc! { "_id": 1, "n": 6 }, &doc! { "$bit": { "n": { "and": 3, "or": 8 } } }, &doc! { "_id": 1, "n": 10 });
    is(
        &doc! { "_id": 1, "n": 6, "m": "x" },
        &doc! { "$min": { "n": 5.5, "m": 1 } },
        &doc! { "_id": 1, "n": 5.5, "m": 1 },
    );
    is(&doc! { "_id": 1, "n": 6 }, &doc! { "$max": { "n": 6.0, "k": 1 } }, &doc! { "_id": 1, "n": 6, "k": 1 });
}

#[test]
fn lists_grow_are_sorted_and_cut_in_that_order() {
    let row = doc! { "_id": 1, "l": [3, 1] };
    is(&row, &doc! { "$push": { "l": [2] } }, &doc! { "_id": 1, "l": [3, 1, [2]] });
    is(
        &row,
        &doc! { "$push": { "l": { "$each": [2, 0], "$position": 0, "$sort": 1, "$slice": -3 } } },
        &doc! { "_id": 1, "l": [1, 2, 3] },
    );
    is(
        &row,
        &doc! { "$push": { "l": { "$each": [9], "$position": -1, "$slice": 2 } } },
        &doc! { "_id": 1, "l": [3, 9] },
    );
    is(
        &doc! { "_id": 1, "l": [{ "a": { "b": 2 } }, 5] },
        &doc! { "$push": { "l": { "$each": [{ "a": { "b": 1 } }], "$sort": { "a.b": -1 } } } },
        &doc! { "_id": 1, "l": [{ "a": { "b": 2 } }, { "a": { "b": 1 } }, 5] },
    );
    is(&row, &doc! { "$addToSet": { "l": { "$each": [1.0, 4, 4] } } }, &doc! { "_id": 1, "l": [3, 1, 4] });
    is(&row, &doc! { "$pop": { "l": -1 } }, &doc! { "_id": 1, "l": [1] });
    is(&row, &doc! { "$pull": { "l": { "$gt": 2 } } }, &doc! { "_id": 1, "l": [1] });
    is(&row, &doc! { "$pullAll": { "l": [1.0, 7] } }, &doc! { "_id": 1, "l": [3] });
    is(
        &doc! { "_id": 1, "l": [{ "a": 1, "b": 2 }, { "a": 2 }, 1] },
        &doc! { "$pull": { "l": { "a": 1 } } },
        &doc! { "_id": 1, "l": [{ "a": 2 }, 1] },
    );
    fails(
        &doc! { "_id": 1, "when": 7 },
        &doc! { "$push": { "when": 1 } },
        2,
        "The field 'when' must be an array but is of type int",
    );
    fails(&row, &doc! { "$pop": { "l": 2 } }, 9, "$pop expects 1 or -1, found: 2");
    fails(&row, &doc! { "$pull": { "l": { "$not": { "$gt": 1 } } } }, 2, "$not");
}

#[test]
fn a_reference_is_pulled_by_its_parts() {
    let row = doc! { "_id": 1, "l": [{ "$id": 5, "x": 1 }, { "x": 2 }] };
    is(&row, &doc! { "$pull": { "l": { "$id": 5 } } }, &doc! { "_id": 1, "l": [{ "x": 2 }] });
}

#[test]
fn a_field_is_moved_and_its_target_keeps_its_place() {
    is(
        &doc! { "_id": 1, "a": 1, "b": 2, "c": 3 },
        &doc! { "$rename": { "c": "a" } },
        &doc! { "_id": 1, "a": 3, "b": 2 },
    );
    is(&doc! { "_id": 1, "a": 1 }, &doc! { "$rename": { "x": "y" } }, &doc! { "_id": 1, "a": 1 });
    fails(
        &doc! { "_id": 1, "a": [{ "b": 1 }] },
        &doc! { "$rename": { "a.0.b": "c" } },
        2,
        "cannot be an array element",
    );
    fails(&doc! { "_id": 1, "a": 1 }, &doc! { "$rename": { "a": "a.b" } }, 2, "must not be on the same path");
}

#[test]
fn what_only_inserts_set_is_set_for_inserts_alone() {
    let update = doc! { "$setOnInsert": { "a": 1 }, "$set": { "b": 2 } };
    is(&doc! { "_id": 1 }, &update, &doc! { "_id": 1, "b": 2 });
    assert_eq!(apply(&doc! { "_id": 1 }, &update, true).unwrap(), doc! { "_id": 1, "a": 1, "b": 2 });
    assert_eq!(apply(&doc! {}, &doc! { "$setOnInsert": { "_id": 5 } }, true).unwrap(), doc! { "_id": 5 });
}

#[test]
fn now_is_what_it_was_given_as() {
    is(
        &doc! { "_id": 1 },
        &doc! { "$currentDate": { "a": true, "b": { "$type": "timestamp" }, "c": { "$type": "date" } } },
        &doc! {
            "_id": 1, "a": DateTime::from_millis(NOW), "b": Timestamp { time: 1_767_225_600, increment: 1 },
            "c": DateTime::from_millis(NOW)
        },
    );
}

#[test]
fn paths_that_meet_are_a_conflict() {
    let row = doc! { "_id": 1, "payload": {} };
    fails(
        &row,
        &doc! { "$set": { "payload": {}, "payload.a": 1 } },
        40,
        "Updating the path 'payload.a' would create a conflict at 'payload'",
    );
    fails(&row, &doc! { "$set": { "a": 1 }, "$inc": { "a": 1 } }, 40, "at 'a'");
    fails(&row, &doc! { "$rename": { "a": "b" }, "$set": { "a": 1 } }, 40, "at 'a'");
}

#[test]
fn the_id_never_changes() {
    let row = doc! { "_id": 1, "a": 2 };
    for update in [
        doc! { "$set": { "_id": 2 } },
        doc! { "$set": { "_id": 1.0 } },
        doc! { "$unset": { "_id": 1 } },
        doc! { "$inc": { "_id": 1 } },
        doc! { "$rename": { "a": "_id" } },
        doc! { "$rename": { "_id": "b" } },
    ] {
        fails(&row, &update, 66, "would modify the immutable field '_id'");
    }
    is(&row, &doc! { "$set": { "_id": 1, "a": 3 } }, &doc! { "_id": 1, "a": 3 });
}

#[test]
fn paths_that_need_a_position_or_have_empty_names_are_refused() {
    let row = doc! { "_id": 1, "l": [1] };
    fails(&row, &doc! { "$set": { "l.$": 1 } }, 2, "The positional operator did not find the match");
    fails(&row, &doc! { "$set": { "l.$[x]": 1 } }, 2, "No array filter found for identifier 'x'");
    fails(&row, &doc! { "$set": { "l.": 1 } }, 56, "contains an empty field name");
    fails(&row, &doc! { "$set": { "": 1 } }, 56, "An empty update path is not valid");
    fails(&row, &doc! { "$set": { "a.$b": 1 } }, 52, "$b");
    fails(
        &row,
        &doc! { "$rename": { "l.$": "m" }, "$set": { "l": 1 } },
        2,
        "The source field for $rename may not be dynamic",
    );
    // Each path is looked at in its turn, and conflicts before all.
    fails(&row, &doc! { "$set": { "l.$": 1, "_id": 2 } }, 66, "_id");
    fails(&row, &doc! { "$set": { "l.$": 1, "l": 2 } }, 40, "at 'l'");
    assert_eq!(apply(&row, &doc! { "$set": { "l.$[]": 1 } }, false).unwrap_err().code, None);
    fails(&row, &doc! { "$foo": { "a": 1 } }, 9, "Unknown modifier: $foo");
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let set = |levels: usize| {
        let nested = (1..levels).fold(rawdoc! { "a": 1 }, |inner, _| rawdoc! { "a": inner });
        apply_update(
            doc! { "_id": 1 },
            &rawdoc! { "$set": { "b": nested } },
            UpdateOptions { is_insert: false, now: NOW },
        )
    };
    assert!(set(179).is_ok());
    assert_eq!(set(180).unwrap_err().code, Some(15));
    assert_eq!(set(1550).unwrap_err().code, Some(15));
}
