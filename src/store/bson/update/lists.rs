//! The operators of arrays.

use std::cmp::Ordering;

use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, RawArray, RawBsonRef, RawDocumentBuf};

use super::super::filter::Filter;
use super::super::order::{fields, values};
use super::super::refusal::Refusal;
use super::values::{compare_owned, owned, raw};

/// `$push` with what stands beside `$each`.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) values: Vec<Bson>,
    /// How many are kept: of the first, or where it is negative of the last.
    pub(super) slice: Option<i64>,
    pub(super) sort: Option<PushSort>,
    /// Where they come; negative from the end, none at the end.
    pub(super) position: Option<i64>,
}

/// How an array is sorted.
#[derive(Debug, Clone)]
pub(super) enum PushSort {
    /// By its elements, and whether it descends.
    Whole(bool),
    /// By fields of its documents.
    By(Vec<(Vec<String>, bool)>),
}

impl Push {
    pub(super) fn apply(&self, list: &mut Vec<Bson>) -> Result<(), Refusal> {
        let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
        let place = match self.position {
            None => length,
            Some(place) if place < 0 => length.saturating_add(place).max(0),
            Some(place) => place.min(length),
        };
        let place = usize::try_from(place).unwrap_or(list.len());
        list.splice(place..place, self.values.iter().cloned());
        if let Some(sort) = &self.sort {
            sort.apply(list)?;
        }
        if let Some(slice) = self.slice {
            let kept = usize::try_from(slice.unsigned_abs()).unwrap_or(usize::MAX).min(list.len());
            if slice < 0 {
                list.drain(..list.len() - kept);
            } else {
                list.truncate(kept);
            }
        }
        Ok(())
    }
}

impl PushSort {
    fn apply(&self, list: &mut [Bson]) -> Result<(), Refusal> {
        let mut failed = None;
        list.sort_by(|a, b| {
            self.compare(a, b).unwrap_or_else(|refusal| {
                failed = Some(refusal);
                Ordering::Equal
            })
        });
        failed.map_or(Ok(()), Err)
    }

    fn compare(&self, a: &Bson, b: &Bson) -> Result<Ordering, Refusal> {
        let turned = |order: Ordering, descends: bool| if descends { order.reverse() } else { order };
        match self {
            Self::Whole(descends) => Ok(turned(compare_owned(a, b)?, *descends)),
            Self::By(fields) => {
                for (path, descends) in fields {
                    let order = compare_owned(field(a, path), field(b, path))?;
                    if order.is_ne() {
                        return Ok(turned(order, *descends));
                    }
                }
                Ok(Ordering::Equal)
            }
        }
    }
}

/// The field of an element; null where there is none.
fn field<'a>(element: &'a Bson, path: &[String]) -> &'a Bson {
    const NULL: &Bson = &Bson::Null;
    path.iter()
        .try_fold(element, |value, part| match value {
            Bson::Document(inner) => inner.get(part),
            _ => None,
        })
        .unwrap_or(NULL)
}

/// Appends the values that are not there yet.
pub(super) fn add_to_set(list: &mut Vec<Bson>, values: &[Bson]) -> Result<(), Refusal> {
    for value in values {
        let mut is_there = false;
        for known in &*list {
            is_there = is_there || compare_owned(known, value)?.is_eq();
        }
        if !is_there {
            list.push(value.clone());
        }
    }
    Ok(())
}

/// What is taken out of an array.
#[derive(Debug, Clone)]
pub(super) enum Unwanted {
    /// What is equal to one of these.
    Values(Vec<Bson>),
    /// Documents that match.
    Documents(Filter),
    /// Elements that match a condition of the field of the empty name.
    Elements(Filter),
}

/// Operators that ask a value, not a document. `$not` alone begins neither.
const ASKS_A_VALUE: &[&str] = &[
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$exists",
    "$all",
    "$size",
    "$elemMatch",
    "$regex",
    "$options",
    "$type",
    "$mod",
    "$bitsAllSet",
    "$bitsAllClear",
    "$bitsAnySet",
    "$bitsAnyClear",
    "$geoWithin",
    "$geoIntersects",
    "$near",
    "$nearSphere",
];

impl Unwanted {
    /// What `$pull` names: a value, a condition of values, or a filter of documents.
    pub(super) fn matching(value: RawBsonRef<'_>) -> Result<Self, Refusal> {
        let first = value.as_document().and_then(|given| fields(given).next()).map_or("", |(name, _)| name);
        let asks_a_value = match value {
            RawBsonRef::Document(_) => ASKS_A_VALUE.contains(&first),
            RawBsonRef::RegularExpression(_) => true,
            value => return Ok(Self::Values(vec![owned(value)?])),
        };
        if let (false, RawBsonRef::Document(given)) = (asks_a_value, value) {
            return Filter::parse(given).map(Self::Documents);
        }
        let mut condition = RawDocumentBuf::new();
        condition.append(cstr!(""), value);
        Filter::parse(&condition).map(Self::Elements)
    }

    /// What `$pullAll` names.
    pub(super) fn any_of(list: &RawArray) -> Result<Self, Refusal> {
        values(list).map(owned).collect::<Result<_, _>>().map(Self::Values)
    }

    pub(super) fn take_from(&self, list: &mut Vec<Bson>) -> Result<(), Refusal> {
        let mut kept = Vec::with_capacity(list.len());
        for element in list.drain(..) {
            if !self.is(&element)? {
                kept.push(element);
            }
        }
        *list = kept;
        Ok(())
    }

    fn is(&self, element: &Bson) -> Result<bool, Refusal> {
        match self {
            Self::Values(values) => {
                for value in values {
                    if compare_owned(value, element)?.is_eq() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Documents(filter) => match raw(element)?.as_raw_bson_ref() {
                RawBsonRef::Document(document) => Ok(filter.matches(document)),
                _ => Ok(false),
            },
            Self::Elements(filter) => {
                let mut alone = RawDocumentBuf::new();
                alone.append(cstr!(""), raw(element)?);
                Ok(filter.matches(&alone))
            }
        }
    }
}
