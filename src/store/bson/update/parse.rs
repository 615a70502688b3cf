//! The operators of an update, and what they refuse before they have seen a document.

use std::cmp::Ordering;

use mongodb::bson::{Bson, RawArray, RawBsonRef, RawDocument};

use super::super::numbers::{Number, whole};
use super::super::order::{fields, values};
use super::super::refusal::codes::{CONFLICT, DOLLAR_PREFIXED, EMPTY_NAME, FAILED_TO_PARSE, TYPE_MISMATCH};
use super::super::refusal::{Refusal, bad};
use super::lists::{Push, PushSort, Unwanted};
use super::numbers::{Bits, Compute};
use super::shown;
use super::values::owned;

/// What is done at a path.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Where.
    pub(super) path: Vec<String>,
    /// What.
    pub(super) action: Action,
}

/// What an operator does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Set(Bson),
    SetOnInsert(Bson),
    Unset,
    Compute(Compute, Bson),
    /// The value, where it is less than what is there (or greater).
    Least(Bson, bool),
    Rename(Vec<String>),
    /// Now, as a date or as a timestamp.
    Now(bool),
    Push(Push),
    AddToSet(Vec<Bson>),
    /// The first or the last element goes.
    Pop(bool),
    Pull(Unwanted),
    Bit(Bits),
    /// Nothing: the path is spoken for by another change.
    Reserved,
}

impl Change {
    /// Whether a field of the document is changed by it, or within.
    pub(super) fn touches(&self, name: &str) -> bool {
        let begins = |path: &[String]| path.first().is_some_and(|first| first == name);
        begins(&self.path) || matches!(&self.action, Action::Rename(from) if begins(from))
    }

    /// Whether it counts for new documents alone.
    pub(super) fn only_inserts(&self) -> bool {
        matches!(self.action, Action::SetOnInsert(_))
    }
}

/// The changes of an update, in the order in which MongoDB makes them: by path, whatever the operators' order.
pub(super) fn changes(update: &RawDocument) -> Result<Vec<Change>, Refusal> {
    let mut changes: Vec<Change> = Vec::new();
    for (operator, given) in fields(update) {
        let RawBsonRef::Document(given) = given else {
            let message = format!("Modifiers operate on fields but we found another type instead: {operator}");
            return Err(Refusal::of_mongo(FAILED_TO_PARSE, message));
        };
        for (name, value) in fields(given) {
            let from = path(name)?;
            if operator != "$rename" {
                add(&mut changes, Change { action: action(operator, name, value)?, path: from })?;
                continue;
            }
            // A rename is made where it leads to, and speaks for both ends.
            add(&mut changes, Change { path: from.clone(), action: Action::Reserved })?;
            let to = target(name, &from, value)?;
            add(&mut changes, Change { path: to, action: Action::Rename(from) })?;
        }
    }
    changes.retain(|change| !matches!(change.action, Action::Reserved));
    changes.sort_by(|a, b| compare_paths(&a.path, &b.path));
    Ok(changes)
}

fn add(changes: &mut Vec<Change>, change: Change) -> Result<(), Refusal> {
    for known in &*changes {
        let common = known.path.len().min(change.path.len());
        if known.path[..common] == change.path[..common] {
            let (path, at) = (change.path.join("."), change.path[..common].join("."));
            let message = format!("Updating the path '{path}' would create a conflict at '{at}'");
            return Err(Refusal::of_mongo(CONFLICT, message));
        }
    }
    changes.push(change);
    Ok(())
}

/// Part by part: places of arrays by number, names as text.
fn compare_paths(a: &[String], b: &[String]) -> Ordering {
    let part = |(a, b): (&String, &String)| {
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if digits(a) && digits(b) {
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            a.as_bytes().cmp(b.as_bytes())
        }
    };
    let differs = a.iter().zip(b).map(part).find(|order| order.is_ne());
    differs.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// A path that an update may have.
fn path(text: &str) -> Result<Vec<String>, Refusal> {
    if text.is_empty() {
        return Err(Refusal::of_mongo(EMPTY_NAME, "An empty update path is not valid."));
    }
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    for part in &parts {
        if part.is_empty() {
            let message = format!("The update path '{text}' contains an empty field name, which is not allowed.");
            return Err(Refusal::of_mongo(EMPTY_NAME, message));
        }
        if part == "$[]" {
            return Err(Refusal::ours(format!("the embedded store has no $[], so it cannot update '{text}'")));
        }
        if let Some(identifier) = part.strip_prefix("$[") {
            let identifier = identifier.trim_end_matches(']');
            return Err(bad(format!("No array filter found for identifier '{identifier}' in path '{text}'")));
        }
        if part.starts_with('$') && part != "$" {
            let message = format!("The dollar ($) prefixed field '{part}' in '{text}' is not valid for storage.");
            return Err(Refusal::of_mongo(DOLLAR_PREFIXED, message));
        }
    }
    Ok(parts)
}

fn action(operator: &str, name: &str, value: RawBsonRef<'_>) -> Result<Action, Refusal> {
    Ok(match operator {
        "$set" => Action::Set(owned(value)?),
        "$setOnInsert" => Action::SetOnInsert(owned(value)?),
        "$unset" => Action::Unset,
        "$inc" => Action::Compute(Compute::Add, number("increment", name, value)?),
        "$mul" => Action::Compute(Compute::Multiply, number("multiply", name, value)?),
        "$min" => Action::Least(owned(value)?, true),
        "$max" => Action::Least(owned(value)?, false),
        "$currentDate" => Action::Now(is_timestamp(value)?),
        "$push" => Action::Push(push(value)?),
        "$addToSet" => Action::AddToSet(added(value)?),
        "$pop" => Action::Pop(pops_first(value)?),
        "$pull" => Action::Pull(Unwanted::matching(value)?),
        "$pullAll" => match value {
            RawBsonRef::Array(list) => Action::Pull(Unwanted::any_of(list)?),
            value => {
                let kind = shown::kind(&owned(value)?);
                return Err(bad(format!("$pullAll requires an array argument but was given a {kind}")));
            }
        },
        "$bit" => Action::Bit(Bits::parse(name, value)?),
        _ => {
            let message = format!("Unknown modifier: {operator}. Expected a valid update modifier");
            return Err(Refusal::of_mongo(FAILED_TO_PARSE, message));
        }
    })
}

fn number(does: &str, name: &str, value: RawBsonRef<'_>) -> Result<Bson, Refusal> {
    let given = owned(value)?;
    if Number::of(value).is_some() {
        return Ok(given);
    }
    let message = format!("Cannot {does} with non-numeric argument: {}", shown::element(name, &given));
    Err(Refusal::of_mongo(TYPE_MISMATCH, message))
}

/// Where `$rename` leads to.
fn target(name: &str, from: &[String], value: RawBsonRef<'_>) -> Result<Vec<String>, Refusal> {
    let RawBsonRef::String(to) = value else {
        let given = shown::element(name, &owned(value)?);
        return Err(bad(format!("The 'to' field for $rename must be a string: {given}")));
    };
    let target = path(to)?;
    if from == target {
        return Err(bad(format!("The source and target field for $rename must differ: {name}: \"{to}\"")));
    }
    for (which, path) in [("source", from), ("destination", &target[..])] {
        if path.iter().any(|part| part == "$") {
            return Err(bad(format!("The {which} field for $rename may not be dynamic: {}", path.join("."))));
        }
    }
    let common = from.len().min(target.len());
    if from[..common] == target[..common] {
        return Err(bad(format!(
            "The source and target field for $rename must not be on the same path: {name}: \"{to}\""
        )));
    }
    Ok(target)
}

/// Whether `$currentDate` asks for a timestamp.
fn is_timestamp(value: RawBsonRef<'_>) -> Result<bool, Refusal> {
    match value {
        RawBsonRef::Boolean(_) => Ok(false),
        RawBsonRef::Document(given) => {
            let mut kind = None;
            for (name, value) in fields(given) {
                kind = match (name, value) {
                    ("$type", RawBsonRef::String("date")) => Some(false),
                    ("$type", RawBsonRef::String("timestamp")) => Some(true),
                    ("$type", _) => {
                        let message = "The '$type' string field is required to be 'date' or 'timestamp': \
                                       {$currentDate: {field : {$type: 'date'}}}";
                        return Err(bad(message));
                    }
                    (name, _) => return Err(bad(format!("Unrecognized $currentDate option: {name}"))),
                };
            }
            // Without a type it is the date.
            Ok(kind.unwrap_or(false))
        }
        value => {
            let kind = shown::kind(&owned(value)?);
            let message = format!(
                "{kind} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression \
                 ({{$type: 'timestamp/date'}})."
            );
            Err(bad(message))
        }
    }
}

fn owned_values(list: &RawArray) -> Result<Vec<Bson>, Refusal> {
    values(list).map(owned).collect()
}

fn integer(value: RawBsonRef<'_>) -> Option<i64> {
    Number::of(value).and_then(whole)
}

fn push(value: RawBsonRef<'_>) -> Result<Push, Refusal> {
    let clauses = value.as_document().filter(|given| fields(given).any(|(name, _)| name == "$each"));
    let Some(clauses) = clauses else {
        return Ok(Push { values: vec![owned(value)?], slice: None, sort: None, position: None });
    };
    let mut push = Push { values: Vec::new(), slice: None, sort: None, position: None };
    for (name, value) in fields(clauses) {
        let kind = || Ok::<_, Refusal>(shown::kind(&owned(value)?));
        match name {
            "$each" => {
                let RawBsonRef::Array(list) = value else {
                    let message = "The argument to $each in $push must be an array but it was of type:";
                    return Err(bad(format!("{message} {}", kind()?)));
                };
                push.values = owned_values(list)?;
            }
            "$slice" => {
                let Some(slice) = integer(value) else {
                    let message = "The value for $slice must be an integer value but was given type:";
                    return Err(bad(format!("{message} {}", kind()?)));
                };
                push.slice = Some(slice);
            }
            "$position" => {
                let Some(position) = integer(value) else {
                    let message = "The value for $position must be an integer value, not of type:";
                    return Err(bad(format!("{message} {}", kind()?)));
                };
                push.position = Some(position);
            }
            "$sort" => push.sort = Some(push_sort(value)?),
            _ => return Err(bad(format!("Unrecognized clause in $push: {name}"))),
        }
    }
    Ok(push)
}

fn push_sort(value: RawBsonRef<'_>) -> Result<PushSort, Refusal> {
    let descends = |value: RawBsonRef<'_>| match integer(value) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        _ => Err(bad("The $sort element value must be either 1 or -1")),
    };
    if let RawBsonRef::Document(by) = value {
        let mut fields_by = Vec::new();
        for (name, direction) in fields(by) {
            let descends = descends(direction)?;
            if name.is_empty() {
                return Err(bad("The $sort field cannot be empty"));
            }
            let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            if parts.iter().any(String::is_empty) {
                return Err(bad(format!("The $sort field is a dotted field but has an empty part: {name}")));
            }
            fields_by.push((parts, descends));
        }
        if fields_by.is_empty() {
            return Err(bad("The $sort pattern is empty when it should be a set of fields."));
        }
        return Ok(PushSort::By(fields_by));
    }
    if Number::of(value).is_none() {
        let message =
            "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields";
        return Err(bad(message));
    }
    Ok(PushSort::Whole(descends(value)?))
}

fn added(value: RawBsonRef<'_>) -> Result<Vec<Bson>, Refusal> {
    let clauses = value.as_document().filter(|given| fields(given).next().is_some_and(|(name, _)| name == "$each"));
    let Some(clauses) = clauses else { return Ok(vec![owned(value)?]) };
    let mut clauses = fields(clauses);
    let Some((_, RawBsonRef::Array(list))) = clauses.next() else {
        let message = "The argument to $each in $addToSet must be an array";
        return Err(Refusal::of_mongo(TYPE_MISMATCH, message));
    };
    let list = owned_values(list)?;
    match clauses.next() {
        Some((name, _)) => Err(bad(format!("Found unexpected fields after $each in $addToSet: {name}"))),
        None => Ok(list),
    }
}

fn pops_first(value: RawBsonRef<'_>) -> Result<bool, Refusal> {
    match integer(value) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        Some(other) => Err(Refusal::of_mongo(FAILED_TO_PARSE, format!("$pop expects 1 or -1, found: {other}"))),
        None => Err(Refusal::of_mongo(FAILED_TO_PARSE, "$pop expects 1 or -1, and was given no such number")),
    }
}
