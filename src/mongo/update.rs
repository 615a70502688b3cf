//! The update of `BaseCRUD.update`, as mongoose makes it of a dto: fields and operators, cast by the schema.
//!
//! Fields that stand beside operators are `$set`. A path is cast by the field that it begins in. Fields that the schema
//! does not have, and `createDate`, which never changes, are left out; what is no operator is an error.

use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, DateTime, Document, RawArray, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};
use crate::mongo::cast::cast_as;
use crate::mongo::crud::Problems;
use crate::mongo::document::{Millis, entries, get, key_name, malformed};
use crate::mongo::table::{Collection, Field, Type};

/// What an operator does with its values, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value that is stored.
    Store,
    /// A value that is added to a list, or `{ $each: [...] }`.
    Add,
    /// A value that is taken from a list, or a condition.
    Take,
    /// A value that the field is computed with, or an object with such values.
    Compute,
    /// The field goes; the value says nothing.
    Unset,
    /// A number of its own, whatever the field holds.
    Number,
    /// Another name for the field.
    Rename,
    /// True, or `{ $type }`.
    Now,
}

const OPERATORS: &[(&str, Kind)] = &[
    ("$set", Kind::Store),
    ("$setOnInsert", Kind::Store),
    ("$push", Kind::Add),
    ("$addToSet", Kind::Add),
    ("$pull", Kind::Take),
    ("$pullAll", Kind::Take),
    ("$inc", Kind::Compute),
    ("$mul", Kind::Compute),
    ("$min", Kind::Compute),
    ("$max", Kind::Compute),
    ("$bit", Kind::Compute),
    ("$unset", Kind::Unset),
    ("$pop", Kind::Number),
    ("$rename", Kind::Rename),
    ("$currentDate", Kind::Now),
];

fn refuse(collection: &Collection, what: &str) -> Error {
    Error::new(Code::InvalidValue, format!("{}: {what}", collection.name))
}

/// One operator with what it is to do, by path.
struct Operation<'a> {
    name: &'static str,
    kind: Kind,
    values: Vec<(&'a str, RawBsonRef<'a>)>,
}

/// The operators of a dto. Fields that stand beside them are `$set`'s, and win over the same ones within it.
fn operations<'a>(collection: &Collection, dto: &'a RawDocument) -> Result<Vec<Operation<'a>>> {
    let mut all = vec![Operation { name: "$set", kind: Kind::Store, values: Vec::new() }];
    let mut beside = Vec::new();
    for entry in entries(dto) {
        let (name, value) = entry?;
        if !name.starts_with('$') {
            beside.push((name, value));
            continue;
        }
        let Some((name, kind)) = OPERATORS.iter().find(|(known, _)| *known == name).copied() else {
            let known: Vec<_> = OPERATORS.iter().map(|(known, _)| *known).collect();
            return Err(refuse(
                collection,
                &format!("{name} is no operator of an update; known are {}", known.join(", ")),
            ));
        };
        let values = match value {
            RawBsonRef::Document(values) => entries(values).collect::<Result<Vec<_>>>()?,
            RawBsonRef::Null if name == "$set" => Vec::new(),
            _ => return Err(refuse(collection, &format!("{name} takes an object with fields"))),
        };
        if name == "$set" {
            all[0].values = values;
        } else {
            all.push(Operation { name, kind, values });
        }
    }
    for (name, value) in beside {
        match all[0].values.iter_mut().find(|(given, _)| *given == name) {
            Some(given) => given.1 = value,
            None => all[0].values.push((name, value)),
        }
    }
    Ok(all)
}

/// The update of a dto.
pub fn change(collection: &Collection, dto: &RawDocument, now: Millis) -> Result<RawDocumentBuf> {
    let mut update = RawDocumentBuf::new();
    let mut problems = Problems::default();
    let operations = operations(collection, dto)?;
    let timed = operations.iter().any(|it| {
        it.kind == Kind::Now && it.values.iter().any(|(path, value)| *path == "updatedDate" && truthy(*value))
    });
    for Operation { name, kind, values } in operations {
        let mut changes = RawDocumentBuf::new();
        if name == "$set" && !timed {
            changes.append(cstr!("updatedDate"), DateTime::from_millis(now));
        }
        for (path, value) in values {
            let root = path.split('.').next().unwrap_or(path);
            if root.starts_with('$') {
                return Err(refuse(collection, &format!("{name} cannot hold {path}")));
            }
            let Some(field) = collection.field(root) else {
                // The original's one way around its schemas.
                if let (Kind::Now, RawBsonRef::Document(_)) = (kind, value) {
                    changes.append(key_name(path)?, moment(collection, path, value)?);
                }
                continue;
            };
            if root == "createDate" || (name == "$set" && path == "updatedDate") {
                continue;
            }
            let change = cast_change(collection, field, kind, (name, path), value)?;
            check(collection, field, kind, path, change.as_raw_bson_ref(), &mut problems)?;
            changes.append(key_name(path)?, change);
        }
        if !changes.is_empty() {
            update.append(key_name(name)?, changes);
        }
    }
    problems.into_result("Validation failed")?;
    Ok(update)
}

/// What an operator does to a path, with its values cast by the path's field.
fn cast_change(
    collection: &Collection,
    field: &Field,
    kind: Kind,
    (name, path): (&str, &str),
    value: RawBsonRef<'_>,
) -> Result<RawBson> {
    let none = matches!(value, RawBsonRef::Null | RawBsonRef::Undefined);
    if none && (matches!(kind, Kind::Number | Kind::Rename) || name == "$inc") {
        return Err(refuse(collection, &format!("{name} of {path} is null or undefined")));
    }
    match (kind, value) {
        (Kind::Unset, value) => Ok(RawBson::from(value)),
        (Kind::Number, value) => cast_as(collection, path, Type::Number, value),
        (Kind::Rename, value) => cast_as(collection, path, Type::Text, value),
        (Kind::Now, value) => moment(collection, path, value),
        (Kind::Take | Kind::Compute, RawBsonRef::Document(values)) => {
            let mut cast = RawDocumentBuf::new();
            for (name, value) in tree(collection, field, path, values)? {
                cast.append(key_name(&name)?, RawBson::try_from(value).map_err(|error| malformed(&error))?);
            }
            Ok(RawBson::Document(cast))
        }
        (_, value) => cast_as(collection, path, field.kind, value),
    }
}

/// An object with values or conditions, each cast as the field is. A value under a name with dots moves into objects of
/// these names, as in the original.
fn tree(collection: &Collection, field: &Field, path: &str, values: &RawDocument) -> Result<Document> {
    let mut cast = Document::new();
    let mut dotted = Vec::new();
    for entry in entries(values) {
        let (name, value) = entry?;
        if let RawBsonRef::Document(inner) = value {
            cast.insert(name, tree(collection, field, path, inner)?);
            continue;
        }
        let value = cast_as(collection, path, field.kind, value)?;
        let value = Bson::try_from(value).map_err(|error| malformed(&error))?;
        if name.contains('.') {
            dotted.push((name, value));
        } else {
            cast.insert(name, value);
        }
    }
    for (name, value) in dotted.into_iter().rev() {
        nest(&mut cast, name, value).ok_or_else(|| refuse(collection, &format!("{path} cannot hold {name}")))?;
    }
    Ok(cast)
}

/// `nest(o, "a.b", v)` makes `{ a: { b: v } }` of `o`; none where `o.a` is no object.
fn nest(within: &mut Document, name: &str, value: Bson) -> Option<()> {
    match name.split_once('.') {
        None => {
            within.insert(name, value);
            Some(())
        }
        Some((first, rest)) => {
            let inner = within.entry(first.to_owned()).or_insert_with(|| Bson::Document(Document::new()));
            nest(inner.as_document_mut()?, rest, value)
        }
    }
}

/// JavaScript's truth.
fn truthy(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Boolean(flag) => flag,
        RawBsonRef::Null | RawBsonRef::Undefined => false,
        RawBsonRef::String(text) => !text.is_empty(),
        RawBsonRef::Int32(number) => number != 0,
        RawBsonRef::Int64(number) => number != 0,
        RawBsonRef::Double(number) => number != 0.0 && !number.is_nan(),
        _ => true,
    }
}

/// What `$currentDate` takes.
fn moment(collection: &Collection, path: &str, value: RawBsonRef<'_>) -> Result<RawBson> {
    match value {
        RawBsonRef::Document(given) => {
            let Some(kind) = get(given, "$type")? else {
                return Err(refuse(collection, &format!("$currentDate of {path} has no $type")));
            };
            let mut cast = RawDocumentBuf::new();
            cast.append(cstr!("$type"), RawBson::from(kind));
            Ok(RawBson::Document(cast))
        }
        RawBsonRef::Null | RawBsonRef::Undefined | RawBsonRef::Array(_) => {
            Err(refuse(collection, &format!("$currentDate of {path} is neither true nor an object")))
        }
        value => Ok(RawBson::Boolean(truthy(value))),
    }
}

/// Runs the validators that the original runs on updates.
fn check(
    collection: &Collection,
    field: &Field,
    kind: Kind,
    path: &str,
    change: RawBsonRef<'_>,
    problems: &mut Problems,
) -> Result<()> {
    let mut check = |value| problems.check(collection, field, path, value);
    // Nothing is known of what is within a payload.
    let whole = path == field.name || field.kind != Type::Any;
    match kind {
        Kind::Store if whole => check(Some(change)),
        Kind::Unset if whole => check(None),
        Kind::Take if whole => match list_of(change, "$in")? {
            Some(values) => each(values, check)?,
            None => check(Some(change)),
        },
        Kind::Add => match list_of(change, "$each")? {
            Some(values) => each(values, check)?,
            None => check(Some(change)),
        },
        _ => {}
    }
    Ok(())
}

/// The list under a name of a document.
fn list_of<'a>(value: RawBsonRef<'a>, name: &str) -> Result<Option<&'a RawArray>> {
    let RawBsonRef::Document(document) = value else { return Ok(None) };
    match get(document, name)? {
        Some(RawBsonRef::Array(values)) => Ok(Some(values)),
        _ => Ok(None),
    }
}

fn each<'a>(values: &'a RawArray, mut check: impl FnMut(Option<RawBsonRef<'a>>)) -> Result<()> {
    for value in values {
        check(Some(value.map_err(|error| malformed(&error))?));
    }
    Ok(())
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
