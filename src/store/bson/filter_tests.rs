use mongodb::bson::{Bson, Document, RawDocumentBuf, Regex, doc, rawdoc};

use super::*;

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn matches(filter: &Document, document: &Document) -> bool {
    Filter::parse(&raw(filter)).unwrap_or_else(|refusal| panic!("{filter}: {refusal}")).matches(&raw(document))
}

fn finds(filter: &Document, documents: &[Document]) {
    for document in documents {
        assert!(matches(filter, document), "{filter} should find {document}");
    }
}

fn passes_over(filter: &Document, documents: &[Document]) {
    for document in documents {
        assert!(!matches(filter, document), "{filter} should not find {document}");
    }
}

fn refusal(filter: &Document) -> Refusal {
    Filter::parse(&raw(filter)).unwrap_err()
}

#[test]
fn null_is_equal_to_what_is_missing() {
    for filter in [doc! { "a": null }, doc! { "a": { "$in": [null] } }, doc! { "a": { "$lte": null } }] {
        finds(&filter, &[doc! {}, doc! { "a": null }, doc! { "a": [1, null] }, doc! { "a": Bson::Undefined }]);
        passes_over(&filter, &[doc! { "a": 0 }, doc! { "a": [] }]);
    }
    passes_over(&doc! { "a": { "$lt": null } }, &[doc! {}, doc! { "a": null }]);
    finds(&doc! { "a.b": null }, &[doc! {}, doc! { "a": 1 }, doc! { "a": {} }, doc! { "a": [{ "b": 1 }, {}] }]);
    passes_over(&doc! { "a.b": null }, &[doc! { "a": [] }, doc! { "a": [1] }]);
}

#[test]
fn ranges_stay_within_their_bracket_of_types() {
    finds(&doc! { "a": { "$gt": 1 } }, &[doc! { "a": 2.5 }, doc! { "a": 2_i64 }, doc! { "a": [0, 2] }]);
    let others = [doc! { "a": "2" }, doc! { "a": true }, doc! {}, doc! { "a": { "b": 2 } }, doc! { "a": f64::NAN }];
    passes_over(&doc! { "a": { "$gt": 1 } }, &others);
    finds(&doc! { "a": { "$gte": f64::NAN } }, &[doc! { "a": f64::NAN }]);
    passes_over(&doc! { "a": { "$gt": f64::NAN } }, &[doc! { "a": 1 }, doc! { "a": f64::NAN }]);
    finds(&doc! { "a": { "$gt": Bson::MinKey } }, &[doc! { "a": 1 }, doc! {}]);
    finds(&doc! { "a": { "$lt": Bson::MaxKey } }, &[doc! { "a": "x" }]);
    passes_over(&doc! { "a": { "$gt": Bson::MinKey } }, &[doc! { "a": Bson::MinKey }]);
}

#[test]
fn paths_lead_through_arrays_by_place_and_by_each_document() {
    let row = doc! { "a": [{ "b": 1, "0": 7 }, { "b": [2, 3] }, [4, { "b": 5 }]] };
    for filter in
        [doc! { "a.b": 1 }, doc! { "a.b": 3 }, doc! { "a.b": [2, 3] }, doc! { "a.1.b": 2 }, doc! { "a.0.b": 1 }]
    {
        finds(&filter, std::slice::from_ref(&row));
    }
    finds(&doc! { "a.0": 7 }, std::slice::from_ref(&row));
    finds(&doc! { "a.2.0": 4 }, std::slice::from_ref(&row));
    finds(&doc! { "a.2": [4, { "b": 5 }] }, std::slice::from_ref(&row));
    // An array at a place is no list of what is in it, and one within another is not looked into.
    passes_over(&doc! { "a.2": 4 }, std::slice::from_ref(&row));
    passes_over(&doc! { "a.b": 5 }, std::slice::from_ref(&row));
    passes_over(&doc! { "a.01.b": 2 }, &[row]);
}

#[test]
fn documents_are_equal_in_their_order_alone() {
    finds(&doc! { "a": { "x": 1, "y": 2 } }, &[doc! { "a": { "x": 1.0, "y": 2_i64 } }]);
    passes_over(&doc! { "a": { "x": 1, "y": 2 } }, &[doc! { "a": { "y": 2, "x": 1 } }, doc! { "a": { "x": 1 } }]);
}

#[test]
fn elements_match_at_once_or_one_by_one() {
    finds(&doc! { "a": { "$gt": 3, "$lt": 2 } }, &[doc! { "a": [1, 5] }]);
    passes_over(&doc! { "a": { "$elemMatch": { "$gt": 3, "$lt": 2 } } }, &[doc! { "a": [1, 5] }, doc! { "a": 1 }]);
    finds(&doc! { "a": { "$elemMatch": { "b": 1, "c": 2 } } }, &[doc! { "a": [{ "b": 1 }, { "c": 2, "b": 1 }] }]);
    passes_over(&doc! { "a": { "$elemMatch": { "b": 1, "c": 2 } } }, &[doc! { "a": [{ "b": 1 }, { "c": 2 }] }]);
    finds(&doc! { "a": { "$elemMatch": { "0": 1 } } }, &[doc! { "a": [[1]] }]);
    finds(&doc! { "a": { "$all": [1, 2] } }, &[doc! { "a": [2, 1, 3] }]);
    passes_over(&doc! { "a": { "$all": [] } }, &[doc! { "a": [] }]);
    finds(&doc! { "a": { "$size": 2 } }, &[doc! { "a": [1, 2] }]);
    passes_over(&doc! { "a": { "$size": 2 } }, &[doc! { "a": [[1, 2]] }, doc! { "a": "xy" }]);
}

#[test]
fn what_is_not_includes_what_is_missing() {
    let others = [doc! {}, doc! { "a": 2 }, doc! { "a": "1" }];
    for filter in
        [doc! { "a": { "$ne": 1 } }, doc! { "a": { "$nin": [1] } }, doc! { "a": { "$not": { "$gte": 1, "$lt": 2 } } }]
    {
        finds(&filter, &others);
        passes_over(&filter, &[doc! { "a": 1 }, doc! { "a": [0, 1] }]);
    }
    finds(&doc! { "$nor": [{ "a": 1 }, { "a": 3 }] }, &others);
    finds(&doc! { "a": { "$exists": false } }, &[doc! {}]);
    passes_over(&doc! { "a": { "$exists": true } }, &[doc! {}]);
}

#[test]
fn patterns_match_text_and_their_own_likeness() {
    let pattern = Regex { pattern: "^b".try_into().unwrap(), options: "i".try_into().unwrap() };
    for filter in [
        doc! { "a": pattern.clone() },
        doc! { "a": { "$regex": "^b", "$options": "i" } },
        doc! { "a": { "$in": [1, pattern.clone()] } },
    ] {
        finds(&filter, &[doc! { "a": "BTC" }, doc! { "a": ["x", "btc"] }, doc! { "a": pattern.clone() }]);
        passes_over(&filter, &[doc! { "a": "xb" }, doc! { "a": 5 }]);
    }
    passes_over(&doc! { "a": { "$eq": pattern.clone() } }, &[doc! { "a": "BTC" }]);
    finds(&doc! { "a": { "$not": pattern } }, &[doc! { "a": "xb" }, doc! {}]);
}

#[test]
fn an_operator_that_needs_a_server_is_refused_by_name() {
    for filter in [
        doc! { "$where": "1" },
        doc! { "$expr": { "$eq": [1, 1] } },
        doc! { "$text": { "$search": "x" } },
        doc! { "$and": [{ "$jsonSchema": {} }] },
        doc! { "a": { "$type": 1 } },
        doc! { "a": { "$mod": [2, 0] } },
        doc! { "a": { "$not": { "$near": 1 } } },
        doc! { "a": { "$elemMatch": { "$where": "1" } } },
    ] {
        let refusal = refusal(&filter);
        let name = refusal.message.split(' ').next().unwrap_or_default();
        assert!(
            refusal.code.is_none() && name.starts_with('$') && filter.to_string().contains(name),
            "{filter}: {refusal}"
        );
    }
}

#[test]
fn what_mongodb_refuses_is_refused_in_its_words() {
    for (filter, words) in [
        (doc! { "$or": [] }, "$and/$or/$nor must be a nonempty array"),
        (doc! { "$foo": 1 }, "unknown top level operator: $foo"),
        (doc! { "a": { "$foo": 1 } }, "unknown operator: $foo"),
        (doc! { "a": { "$gt": 1, "b": 2 } }, "unknown operator: b"),
        (doc! { "a": { "$not": 5 } }, "$not needs a regex or a document"),
        (doc! { "a": { "$in": 5 } }, "$in needs an array"),
        (doc! { "a": { "$in": [{ "$gt": 1 }] } }, "cannot nest $ under $in"),
        (doc! { "a": { "$options": "i" } }, "$options needs a $regex"),
        (doc! { "a": { "$size": -1 } }, "Failed to parse $size"),
    ] {
        let refusal = refusal(&filter);
        assert!(refusal.code == Some(2) && refusal.message.contains(words), "{filter}: {refusal}");
    }
}

#[test]
fn a_filter_that_is_nested_too_deeply_is_refused_and_holds_the_stack() {
    type Wrap = fn(RawDocumentBuf) -> RawDocumentBuf;
    let kinds: [Wrap; 3] = [
        |inner| rawdoc! { "$and": [inner] },
        |inner| rawdoc! { "a": inner },
        |inner| rawdoc! { "a": { "$elemMatch": inner } },
    ];
    for of in kinds {
        let nested = |levels: usize| (0..levels).fold(rawdoc! { "a": 1 }, |inner, _| of(inner));
        assert_eq!(Filter::parse(&nested(1550)).unwrap_err().code, Some(15));
        assert!(Filter::parse(&nested(90)).is_ok());
    }
}
