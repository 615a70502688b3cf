//! An update that gives new values to fields that a document has, over its bytes: what most writes of rows are.
//!
//! The general way (`bson/update`) turns the document into values in memory and back, which takes several times as long.

use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};

/// So much is certainly within the bounds of what is stored.
const LEVELS: usize = 100;
/// A level takes its length, its end, and the type and the name of an element.
const LEVEL_BYTES: usize = 7;
/// The same of bytes.
const BYTES: usize = 4 * 1024 * 1024;

/// The elements of a document: the name of each, and all of its bytes, with its type and its name; none where the document is damaged.
fn elements(document: &RawDocument) -> impl Iterator<Item = Option<(&str, &[u8])>> {
    // Behind the document's length.
    let mut end = 4;
    document.iter_elements().map(move |element| {
        let element = element.ok()?;
        let (name, start) = (element.key().as_str(), end);
        // The type, the name and its end, the value.
        end += 1 + name.len() + 1 + element.size();
        Some((name, document.as_bytes().get(start..end)?))
    })
}

/// The document after an update of a row that is there; none where it is more than new values for fields of its own.
///
/// `keeps` says whether a field must not be touched.
#[must_use]
pub fn replaced(before: &RawDocument, update: &RawDocument, keeps: impl Fn(&str) -> bool) -> Option<RawDocumentBuf> {
    let mut set = None;
    for entry in update {
        match entry.ok()? {
            // Of an insert alone.
            (name, RawBsonRef::Document(_)) if name.as_str() == "$setOnInsert" => {}
            (name, RawBsonRef::Document(fields)) if name.as_str() == "$set" && set.is_none() => set = Some(fields),
            _ => return None,
        }
    }
    let set = set?;
    let bytes = before.as_bytes().len() + set.as_bytes().len();
    if bytes > BYTES {
        return None;
    }
    // Values of requests are sound; these cannot be nested too deeply.
    let is_small = set.as_bytes().len() < LEVELS * LEVEL_BYTES;
    if !is_small && !all_shallow(set.iter().map(|entry| entry.ok().map(|(_, value)| value)), LEVELS + 1) {
        return None;
    }
    let new = elements(set).collect::<Option<Vec<_>>>()?;
    if new.iter().any(|(name, _)| name.contains(['.', '$']) || keeps(name)) {
        return None;
    }
    let mut left = new.len();
    let mut after = Vec::with_capacity(bytes);
    after.extend_from_slice(&[0; 4]);
    for element in elements(before) {
        let (name, old) = element?;
        let element = new.iter().find(|(other, _)| *other == name);
        // A name that it has twice is counted twice.
        left = if element.is_some() { left.checked_sub(1)? } else { left };
        after.extend_from_slice(element.map_or(old, |(_, new)| *new));
    }
    after.push(0);
    let length = i32::try_from(after.len()).ok()?;
    after[..4].copy_from_slice(&length.to_le_bytes());
    // What it has not has a place of its own.
    if left == 0 { RawDocumentBuf::from_bytes(after).ok() } else { None }
}

fn is_shallow(value: RawBsonRef<'_>, levels: usize) -> bool {
    match value {
        RawBsonRef::Document(inner) => {
            all_shallow(inner.iter().map(|entry| entry.ok().map(|(_, value)| value)), levels)
        }
        RawBsonRef::Array(inner) => all_shallow(inner.into_iter().map(Result::ok), levels),
        RawBsonRef::JavaScriptCodeWithScope(_) => false,
        _ => true,
    }
}

fn all_shallow<'a>(mut values: impl Iterator<Item = Option<RawBsonRef<'a>>>, levels: usize) -> bool {
    levels > 0 && values.all(|value| value.is_some_and(|value| is_shallow(value, levels - 1)))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, RawBson, rawdoc};
    use proptest::prelude::*;

    use super::*;
    use crate::mongo::document::key_name;
    use crate::store::bson::{UpdateOptions, apply_update};

    #[test]
    fn fields_keep_their_places_and_all_else_is_left_to_the_general_way() {
        let before = rawdoc! { "_id": 1, "a": 1, "b": { "c": 2 }, "d": "text" };
        let after = |update: &RawDocument| replaced(&before, update, |name| name == "_id");
        let expected = rawdoc! { "_id": 1, "a": { "x": [1, 2] }, "b": { "c": 2 }, "d": RawBson::Null };
        let set = rawdoc! { "$setOnInsert": { "e": 1 }, "$set": { "d": RawBson::Null, "a": { "x": [1, 2] } } };
        assert_eq!(after(&set), Some(expected));
        for other in [
            rawdoc! { "$set": { "new": 1 } },
            rawdoc! { "$set": { "b.c": 1 } },
            rawdoc! { "$set": { "_id": 1 } },
            rawdoc! { "$set": { "a": 1 }, "$inc": { "a": 1 } },
            rawdoc! { "$inc": { "a": 1 } },
            rawdoc! { "$setOnInsert": { "a": 1 } },
        ] {
            assert_eq!(after(&other), None, "{other:?}");
        }
        let mut deep = RawBson::Int32(1);
        for _ in 0..=LEVELS {
            deep = RawBson::Document(rawdoc! { "d": deep });
        }
        assert_eq!(after(&rawdoc! { "$set": { "a": deep } }), None);
    }

    fn value() -> impl Strategy<Value = RawBson> {
        prop_oneof![
            any::<i32>().prop_map(RawBson::Int32),
            any::<f64>().prop_map(RawBson::Double),
            "[a-z]{0,4}".prop_map(RawBson::String),
            Just(RawBson::Null),
            any::<bool>().prop_map(|flag| RawBson::Document(rawdoc! { "flag": flag, "list": [1, "two"] })),
        ]
    }

    fn fields() -> impl Strategy<Value = RawDocumentBuf> {
        prop::collection::vec(("[a-e]", value()), 0..5).prop_map(|fields| {
            let mut document = RawDocumentBuf::new();
            for (name, value) in fields {
                if document.get(&name).unwrap().is_none() {
                    document.append(key_name(&name).unwrap(), value);
                }
            }
            document
        })
    }

    proptest! {
        /// Where it has an answer, the general way has the same, byte for byte.
        #[test]
        fn it_makes_what_the_general_way_makes(before in fields(), set in fields()) {
            let mut update = RawDocumentBuf::new();
            update.append(key_name("$set").unwrap(), set);
            if let Some(after) = replaced(&before, &update, |_| false) {
                let options = UpdateOptions { is_insert: false, now: 5 };
                let general = apply_update(Document::try_from(&*before).unwrap(), &update, options).unwrap();
                let general = RawDocumentBuf::try_from(&general).unwrap();
                prop_assert_eq!(after.as_bytes(), general.as_bytes());
            }
        }
    }
}
