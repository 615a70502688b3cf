//! Paths through a document, and what is made where they lead to nothing.

use mongodb::bson::{Bson, DateTime, Document, Timestamp};

use super::super::refusal::codes::{PATH_NOT_VIABLE, TYPE_MISMATCH};
use super::super::refusal::{Refusal, bad};
use super::parse::{Action, Change};
use super::shown;
use super::values::compare_owned;

/// The most places that an array is filled up with null.
const PADDING: usize = 1_500_000;

/// Makes one change. `id` shows the document in messages.
pub(super) fn change(document: &mut Document, change: &Change, id: &str, now: i64) -> Result<(), Refusal> {
    let Change { path, action } = change;
    if let Action::Rename(from) = action {
        return rename(document, from, path, id);
    }
    if matches!(action, Action::Unset) {
        unset(document, path);
        return Ok(());
    }
    let name = path.last().map_or("", String::as_str);
    match find(document, path) {
        Found::There(value) => action.meet(value, (name, id), now),
        Found::Nowhere(place) => match action.begin(now)? {
            Some(value) => place?.make(value),
            // It has nothing to do, but the path must be one that could be made.
            None => place.map(drop),
        },
    }
}

/// What a path leads to.
enum Found<'a> {
    There(&'a mut Bson),
    /// Where it ends before its end, if more could be made there.
    Nowhere(Result<Place<'a>, Refusal>),
}

/// Where something is to be made, and the names that lead to it.
struct Place<'a> {
    within: Container<'a>,
    path: &'a [String],
}

enum Container<'a> {
    Fields(&'a mut Document),
    List(&'a mut Vec<Bson>),
}

/// The place in an array that a part of a path names.
fn index(part: &str) -> Option<usize> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

/// How many parts of a path are there.
fn known_parts(document: &Document, path: &[String]) -> usize {
    let Some((first, rest)) = path.split_first() else { return 0 };
    let mut value = document.get(first);
    let mut known = 0;
    for part in rest.iter().map(Some).chain([None]) {
        let Some(found) = value else { return known };
        known += 1;
        value = match (found, part) {
            (Bson::Document(inner), Some(part)) => inner.get(part),
            (Bson::Array(inner), Some(part)) => index(part).and_then(|index| inner.get(index)),
            _ => None,
        };
    }
    known
}

/// The value at a path that is there.
fn value_at<'a>(document: &'a mut Document, path: &[String]) -> Option<&'a mut Bson> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(document.get_mut(first)?, |value, part| match value {
        Bson::Document(inner) => inner.get_mut(part),
        Bson::Array(inner) => inner.get_mut(index(part)?),
        _ => None,
    })
}

fn find<'a>(document: &'a mut Document, path: &'a [String]) -> Found<'a> {
    let known = known_parts(document, path);
    let (before, rest) = path.split_at(known);
    if known == 0 {
        return Found::Nowhere(Ok(Place { within: Container::Fields(document), path: rest }));
    }
    let Some(value) = value_at(document, before) else {
        return Found::Nowhere(Err(bad(format!("the path '{}' leads to nothing", path.join(".")))));
    };
    let Some(next) = rest.first() else { return Found::There(value) };
    let viable = match value {
        Bson::Document(_) => true,
        Bson::Array(_) => index(next).is_some(),
        _ => false,
    };
    if !viable {
        let element = shown::element(before.last().map_or("", String::as_str), value);
        let message = format!("Cannot create field '{next}' in element {element}");
        return Found::Nowhere(Err(Refusal::of_mongo(PATH_NOT_VIABLE, message)));
    }
    let within = match value {
        Bson::Document(inner) => Container::Fields(inner),
        Bson::Array(inner) => Container::List(inner),
        _ => return Found::Nowhere(Err(bad(format!("the path '{}' leads to nothing", path.join("."))))),
    };
    Found::Nowhere(Ok(Place { within, path: rest }))
}

impl Place<'_> {
    /// Puts a value there, within documents of the names that lead to it.
    fn make(self, value: Bson) -> Result<(), Refusal> {
        let Some((first, rest)) = self.path.split_first() else { return Ok(()) };
        let value = rest.iter().rev().fold(value, |value, name| {
            let mut outer = Document::new();
            outer.insert(name, value);
            Bson::Document(outer)
        });
        match self.within {
            Container::Fields(fields) => {
                fields.insert(first, value);
            }
            Container::List(list) => {
                let place = index(first).unwrap_or(usize::MAX);
                if place.saturating_sub(list.len()) > PADDING {
                    return Err(Refusal::of_mongo(15891, format!("can't backfill more than {PADDING} elements")));
                }
                list.resize(place, Bson::Null);
                list.push(value);
            }
        }
        Ok(())
    }
}

impl Action {
    /// What is made where there is nothing; none where nothing is to be made.
    fn begin(&self, now: i64) -> Result<Option<Bson>, Refusal> {
        Ok(Some(match self {
            Self::Set(value) | Self::SetOnInsert(value) | Self::Least(value, _) => value.clone(),
            Self::Now(is_timestamp) => moment(*is_timestamp, now),
            Self::Compute(compute, number) => compute.begin(number)?,
            Self::Push(push) => {
                let mut list = Vec::new();
                push.apply(&mut list)?;
                Bson::Array(list)
            }
            Self::AddToSet(values) => {
                let mut list = Vec::new();
                super::lists::add_to_set(&mut list, values)?;
                Bson::Array(list)
            }
            Self::Bit(bits) => bits.apply(&Bson::Int32(0)).unwrap_or(Bson::Int32(0)),
            Self::Unset | Self::Pop(_) | Self::Pull(_) | Self::Rename(_) | Self::Reserved => return Ok(None),
        }))
    }

    /// What becomes of a value that is there.
    fn meet(&self, value: &mut Bson, (name, id): (&str, &str), now: i64) -> Result<(), Refusal> {
        match self {
            Self::Set(given) | Self::SetOnInsert(given) => *value = given.clone(),
            Self::Least(given, least) => {
                let order = compare_owned(given, value)?;
                if if *least { order.is_lt() } else { order.is_gt() } {
                    *value = given.clone();
                }
            }
            Self::Now(is_timestamp) => *value = moment(*is_timestamp, now),
            Self::Compute(compute, number) => *value = compute.apply(value, number, (name, id))?,
            Self::Bit(bits) => {
                *value = bits.apply(value).ok_or_else(|| {
                    let kind = shown::kind(value);
                    let message = "Cannot apply $bit to a value of non-integral type.";
                    bad(format!("{message}{id} has the field {name} of non-integer type {kind}"))
                })?;
            }
            Self::Push(push) => push.apply(list(value, |kind| {
                bad(format!("The field '{name}' must be an array but is of type {kind} in document {id}"))
            })?)?,
            Self::AddToSet(values) => {
                let list = list(value, |kind| {
                    bad(format!(
                        "Cannot apply $addToSet to non-array field. Field named '{name}' has non-array type {kind}"
                    ))
                })?;
                super::lists::add_to_set(list, values)?;
            }
            Self::Pop(first) => {
                let list = list(value, |kind| {
                    let message = format!("Path '{name}' contains an element of non-array type '{kind}'");
                    Refusal::of_mongo(TYPE_MISMATCH, message)
                })?;
                if *first && !list.is_empty() {
                    list.remove(0);
                } else {
                    list.pop();
                }
            }
            Self::Pull(unwanted) => {
                unwanted.take_from(list(value, |_| bad("Cannot apply $pull to a non-array value"))?)?;
            }
            Self::Unset | Self::Rename(_) | Self::Reserved => {}
        }
        Ok(())
    }
}

fn list(value: &mut Bson, refuse: impl FnOnce(&'static str) -> Refusal) -> Result<&mut Vec<Bson>, Refusal> {
    match value {
        Bson::Array(list) => Ok(list),
        value => Err(refuse(shown::kind(value))),
    }
}

fn moment(is_timestamp: bool, now: i64) -> Bson {
    if is_timestamp {
        Bson::Timestamp(Timestamp { time: u32::try_from(now.div_euclid(1000)).unwrap_or(0), increment: 1 })
    } else {
        Bson::DateTime(DateTime::from_millis(now))
    }
}

/// Takes a field away; an element of an array becomes null, so that the others keep their places.
fn unset(document: &mut Document, path: &[String]) {
    let Some((last, before)) = path.split_last() else { return };
    if before.is_empty() {
        document.remove(last);
        return;
    }
    match value_at(document, before) {
        Some(Bson::Document(inner)) => {
            inner.remove(last);
        }
        Some(Bson::Array(inner)) => {
            if let Some(element) = index(last).and_then(|index| inner.get_mut(index)) {
                *element = Bson::Null;
            }
        }
        _ => {}
    }
}

/// Moves a field. Neither end may lie within an array.
fn rename(document: &mut Document, from: &[String], to: &[String], id: &str) -> Result<(), Refusal> {
    let known = known_parts(document, from);
    if known < from.len() {
        return match known.checked_sub(1).and_then(|last| value_at(document, &from[..=last])) {
            Some(Bson::Document(_)) | None => Ok(()),
            Some(Bson::Array(_)) if index(&from[known]).is_some() => Ok(()),
            Some(value) => {
                let (part, path) = (&from[known], from.join("."));
                let element = shown::element(&from[known - 1], value);
                let message = format!("cannot use the part ({part} of {path}) to traverse the element ({element})");
                Err(Refusal::of_mongo(PATH_NOT_VIABLE, message))
            }
        };
    }
    let mut within_array = |which: &str, path: &[String], parts: usize| {
        for end in 1..=parts {
            if let Some(Bson::Array(_)) = value_at(document, &path[..end]) {
                let (path, name) = (path.join("."), &path[end - 1]);
                let message = format!(
                    "The {which} field cannot be an array element, '{path}' in doc with {id} has an array field called \
                     '{name}'"
                );
                return Err(bad(message));
            }
        }
        Ok(())
    };
    within_array("source", from, from.len() - 1)?;
    within_array("destination", to, to.len() - 1)?;
    let Some(value) = value_at(document, from).cloned() else { return Ok(()) };
    match find(document, to) {
        Found::There(there) => *there = value,
        Found::Nowhere(place) => place?.make(value)?,
    }
    unset(document, from);
    Ok(())
}
