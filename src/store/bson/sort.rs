//! In which order documents come: by the key that an index of these fields would hold of a document, and of several
//! (where a path leads through an array) by the one that comes first in this very order.

use std::cmp::Ordering;

use mongodb::bson::{RawBson, RawBsonRef, RawDocument};

use super::numbers::{Number, whole};
use super::order::{compare, fields, values};
use super::path::field;
use super::refusal::codes::BAD_VALUE;
use super::refusal::{Refusal, check_levels};

/// A sort, parsed. Documents that compare as equal keep the order that they had: use a stable sort.
#[derive(Debug, Clone)]
pub struct Sort {
    /// Paths, and whether each descends.
    by: Vec<(String, bool)>,
}

/// What a document is sorted by: one value for each field of the sort.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey(Vec<RawBson>);

/// The most fields of a sort.
const FIELDS: usize = 32;

impl Sort {
    /// Reads `{ path: 1 or -1, … }`; an empty one leaves everything where it is.
    pub fn parse(sort: &RawDocument) -> Result<Self, Refusal> {
        check_levels(sort)?;
        let mut by: Vec<(String, bool)> = Vec::new();
        for (path, direction) in fields(sort) {
            let descends = match (Number::of(direction), direction) {
                (Some(number), _) => match whole(number) {
                    Some(1) => false,
                    Some(-1) => true,
                    _ => {
                        let message = "$sort key ordering must be 1 (for ascending) or -1 (for descending)";
                        return Err(Refusal::of_mongo(15975, message));
                    }
                },
                (None, RawBsonRef::Document(_)) => {
                    return Err(Refusal::ours(format!("the embedded store sorts {path} by 1 or -1 alone")));
                }
                _ => return Err(Refusal::of_mongo(15974, format!("Illegal key in $sort specification: {path}"))),
            };
            check_path(path)?;
            by.push((path.to_owned(), descends));
        }
        if by.len() > FIELDS {
            return Err(Refusal::of_mongo(13103, format!("too many compound keys: a sort has {FIELDS} at most")));
        }
        Ok(Self { by })
    }

    /// What a document is sorted by. Refused where two fields of the sort lead through different arrays.
    pub fn key(&self, document: &RawDocument) -> Result<SortKey, Refusal> {
        let parts = self.by.iter().map(|(path, _)| Part::Open(path, None)).collect();
        let mut first: Option<Vec<RawBsonRef<'_>>> = None;
        self.expand(document, parts, &mut first)?;
        Ok(SortKey(first.unwrap_or_default().into_iter().map(RawBson::from).collect()))
    }

    /// The order of two documents, by their keys.
    #[must_use]
    pub fn compare(&self, a: &SortKey, b: &SortKey) -> Ordering {
        self.order(a.0.iter().map(RawBson::as_raw_bson_ref), b.0.iter().map(RawBson::as_raw_bson_ref))
    }

    fn order<'a, 'b>(
        &self,
        a: impl Iterator<Item = RawBsonRef<'a>>,
        b: impl Iterator<Item = RawBsonRef<'b>>,
    ) -> Ordering {
        for ((a, b), (_, descends)) in a.zip(b).zip(&self.by) {
            let order = compare(a, b);
            if order.is_ne() {
                return if *descends { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }

    /// Goes on through a document, one array at a time, and keeps the key that comes first.
    fn expand<'a>(
        &self,
        document: &'a RawDocument,
        mut parts: Vec<Part<'a>>,
        first: &mut Option<Vec<RawBsonRef<'a>>>,
    ) -> Result<(), Refusal> {
        let mut through: Option<&'a mongodb::bson::RawArray> = None;
        // An array that is an element of another, at a place that the path names, is a value as a whole.
        let mut whole = false;
        let mut there = vec![false; parts.len()];
        for (part, there) in parts.iter_mut().zip(&mut there) {
            let Part::Open(path, place) = *part else { continue };
            let name = path.split('.').next().unwrap_or(path);
            let (value, rest) = match (field(document, name), place) {
                (Some(_), Some(_)) => {
                    let message = format!(
                        "Ambiguous field name found in array (do not use numeric field names in embedded elements in an \
                         array), field: '{name}'"
                    );
                    return Err(Refusal::of_mongo(16746, message));
                }
                (Some(_), None) => along(document, path),
                (None, Some(place)) => {
                    whole |= place.is_list;
                    (place.value, place.rest)
                }
                (None, None) => (None, ""),
            };
            match value {
                None => *part = Part::Closed(RawBsonRef::Null),
                Some(RawBsonRef::Array(array)) => {
                    if through.is_some_and(|known| !std::ptr::eq(known.as_bytes(), array.as_bytes())) {
                        return Err(Refusal::of_mongo(BAD_VALUE, "cannot sort with keys that are parallel arrays"));
                    }
                    through = Some(array);
                    *there = true;
                    *part = Part::Open(rest, None);
                }
                Some(value) => *part = Part::Closed(value),
            }
        }
        let Some(array) = through else {
            let key: Vec<_> = parts.iter().map(Part::value).collect();
            if first.as_ref().is_none_or(|known| self.order(key.iter().copied(), known.iter().copied()).is_lt()) {
                *first = Some(key);
            }
            return Ok(());
        };
        let as_document = RawDocument::from_bytes(array.as_bytes()).map_err(|error| Refusal::malformed(&error))?;
        for (part, there) in parts.iter_mut().zip(&there) {
            let Part::Open(path, place) = part else { continue };
            if !there || path.is_empty() {
                continue;
            }
            let name = path.split('.').next().unwrap_or(path);
            *place = field(as_document, name).map(|at| {
                let (value, rest) = along(as_document, path);
                Place { is_list: matches!(at, RawBsonRef::Array(_)), value, rest }
            });
        }
        let mut elements: Vec<_> = values(array).collect();
        if elements.is_empty() {
            whole = false;
            elements.push(RawBsonRef::Undefined);
        }
        for element in elements {
            let inner = parts.iter().zip(&there).map(|(part, there)| match part {
                Part::Open("", _) if *there => Part::Closed(if whole { RawBsonRef::Array(array) } else { element }),
                part => *part,
            });
            let document = element.as_document().unwrap_or(empty());
            self.expand(document, inner.collect(), first)?;
        }
        Ok(())
    }
}

/// Refuses a path that no sort may have.
fn check_path(path: &str) -> Result<(), Refusal> {
    if path.is_empty() {
        return Err(Refusal::of_mongo(40352, "FieldPath cannot be constructed with empty string"));
    }
    if path.ends_with('.') {
        return Err(Refusal::of_mongo(40353, "FieldPath must not end with a '.'."));
    }
    for name in path.split('.') {
        if name.is_empty() {
            return Err(Refusal::of_mongo(15998, "FieldPath field names may not be empty strings."));
        }
        if name.starts_with('$') {
            return Err(Refusal::of_mongo(16410, "FieldPath field names may not start with '$'."));
        }
    }
    Ok(())
}

/// How far a field of the sort has come.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// The rest of its path, and what stands at the place that its first part names, if it names one.
    Open(&'a str, Option<Place<'a>>),
    /// Its value.
    Closed(RawBsonRef<'a>),
}

impl<'a> Part<'a> {
    fn value(&self) -> RawBsonRef<'a> {
        match self {
            Self::Closed(value) => *value,
            Self::Open(..) => RawBsonRef::Null,
        }
    }
}

/// What a path that names a place in an array leads to.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Whether an array is at that place.
    is_list: bool,
    /// The value at the path's end, or an array on the way.
    value: Option<RawBsonRef<'a>>,
    /// The path behind it.
    rest: &'a str,
}

/// The value at a path's end, or the first array on the way, and what is left of the path.
fn along<'a>(document: &'a RawDocument, path: &'a str) -> (Option<RawBsonRef<'a>>, &'a str) {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match field(document, name) {
        Some(value @ RawBsonRef::Array(_)) => (Some(value), rest),
        value if rest.is_empty() => (value, rest),
        Some(RawBsonRef::Document(inner)) => along(inner, rest),
        _ => (None, rest),
    }
}

fn empty() -> &'static RawDocument {
    static EMPTY: [u8; 5] = [5, 0, 0, 0, 0];
    #[allow(clippy::expect_used, reason = "these are the bytes of an empty document")]
    RawDocument::from_bytes(&EMPTY).expect("an empty document")
}

#[cfg(test)]
#[path = "sort_tests.rs"]
mod tests;
