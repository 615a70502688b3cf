use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::*;

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn order(sort: &Document, a: &Document, b: &Document) -> Ordering {
    let sort = Sort::parse(&raw(sort)).unwrap();
    sort.compare(&sort.key(&raw(a)).unwrap(), &sort.key(&raw(b)).unwrap())
}

/// Each comes before those behind it, and the other way round where the sort is turned.
fn ascend(path: &str, documents: &[Document]) {
    for (place, a) in documents.iter().enumerate() {
        for (other, b) in documents.iter().enumerate() {
            let sort = |direction: i32| Document::from_iter([(path.to_owned(), Bson::Int32(direction))]);
            assert_eq!(order(&sort(1), a, b), place.cmp(&other), "{a} {b}");
            assert_eq!(order(&sort(-1), a, b), other.cmp(&place), "{a} {b}");
        }
    }
}

#[test]
fn types_are_ordered_and_missing_is_null() {
    let values = [
        doc! { "a": Bson::MinKey },
        doc! { "a": [] },
        doc! {},
        doc! { "a": f64::NAN },
        doc! { "a": -1 },
        doc! { "a": 2.5 },
    ];
    ascend("a", &values);
    let values =
        [doc! { "a": "Z" }, doc! { "a": "a" }, doc! { "a": "é" }, doc! { "a": { "b": 1 } }, doc! { "a": true }];
    ascend("a", &values);
    assert_eq!(order(&doc! { "a": 1 }, &doc! {}, &doc! { "a": null }), Ordering::Equal);
}

#[test]
fn an_array_counts_as_its_least_or_its_greatest_element() {
    let (a, b) = (doc! { "a": [1, 9] }, doc! { "a": [4, 5] });
    assert_eq!(order(&doc! { "a": 1 }, &a, &b), Ordering::Less);
    assert_eq!(order(&doc! { "a": -1 }, &a, &b), Ordering::Less);
    assert_eq!(
        order(&doc! { "a.b": 1 }, &doc! { "a": [{ "b": 3 }, { "b": 1 }] }, &doc! { "a": { "b": 2 } }),
        Ordering::Less
    );
    assert_eq!(order(&doc! { "a.1": 1 }, &doc! { "a": [9, 1] }, &doc! { "a": [1, 9] }), Ordering::Less);
}

#[test]
fn an_empty_array_within_an_array_counts_as_an_empty_one() {
    ascend("a.1", &[doc! { "a": [[], []] }, doc! {}, doc! { "a": [[], [3]] }]);
}

#[test]
fn fields_of_one_array_are_taken_from_one_element() {
    let (a, b) = (doc! { "a": [{ "b": 1, "c": 9 }, { "b": 2, "c": 0 }] }, doc! { "a": [{ "b": 1, "c": 5 }] });
    assert_eq!(order(&doc! { "a.b": 1, "a.c": 1 }, &a, &b), Ordering::Greater);
}

#[test]
fn two_arrays_and_unclear_directions_are_refused() {
    let sort = Sort::parse(&raw(&doc! { "a": 1, "b": 1 })).unwrap();
    assert_eq!(sort.key(&raw(&doc! { "a": [1], "b": [2] })).unwrap_err().code, Some(BAD_VALUE));
    for (refused, code) in [
        (doc! { "a": 2 }, Some(15975)),
        (doc! { "a": "up" }, Some(15974)),
        (doc! { "": 1 }, Some(40352)),
        (doc! { "a.": 1 }, Some(40353)),
        (doc! { "a..b": 1 }, Some(15998)),
        (doc! { "$a": 1 }, Some(16410)),
        (doc! { "a": { "$meta": "textScore" } }, None),
    ] {
        assert_eq!(Sort::parse(&raw(&refused)).unwrap_err().code, code, "{refused}");
    }
}
