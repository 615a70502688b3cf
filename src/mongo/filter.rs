//! Filters and sorts as users give them, cast as the original's schemas cast them.

use mongodb::bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};
use crate::mongo::cast::{cast_as, key_part};
use crate::mongo::document::{entries, get, key_name, part};
use crate::mongo::table::{Collection, Type};

/// A filter with its values cast by the fields that they are compared with. Unknown fields stay as they are.
pub fn filter(collection: &Collection, given: &RawDocument) -> Result<RawDocumentBuf> {
    let mut filter = RawDocumentBuf::new();
    append(collection, given, &mut filter)?;
    Ok(filter)
}

/// The filter of a request: the parts of the key `k` that `by` names, then `filter`. A part that is missing, or is no
/// value of its field, is an error and never a filter of something else.
pub fn of_request(collection: &Collection, body: &RawDocument) -> Result<RawDocumentBuf> {
    let mut filter = RawDocumentBuf::new();
    if let Some(RawBsonRef::Array(names)) = get(body, "by")? {
        let args = part(body, "k")?;
        for name in names {
            let Ok(RawBsonRef::String(name)) = name else { continue };
            if let Some(field) = collection.field(name) {
                filter.append(field.key, key_part(collection, field, get(args, name)?)?);
            }
        }
    }
    append(collection, part(body, "filter")?, &mut filter)?;
    Ok(filter)
}

/// How deeply a request nests is checked where it arrives.
fn append(collection: &Collection, given: &RawDocument, filter: &mut RawDocumentBuf) -> Result<()> {
    for entry in entries(given) {
        let (name, value) = entry?;
        let cast = match (name, value) {
            ("$and" | "$or" | "$nor", RawBsonRef::Array(branches)) => {
                let mut list = RawArrayBuf::new();
                for branch in branches {
                    match branch.map_err(|error| Error::new(Code::InvalidValue, error.to_string()))? {
                        RawBsonRef::Document(branch) => {
                            list.push(RawBson::Document(self::filter(collection, branch)?));
                        }
                        other => list.push(RawBson::from(other)),
                    }
                }
                RawBson::Array(list)
            }
            _ => match collection.field(name) {
                Some(field) => condition(collection, field.name, field.kind, value)?,
                None => RawBson::from(value),
            },
        };
        filter.append(key_name(name)?, cast);
    }
    Ok(())
}

/// What a field is compared with: a value, or operators.
fn condition(collection: &Collection, path: &str, kind: Type, value: RawBsonRef<'_>) -> Result<RawBson> {
    match value {
        RawBsonRef::Document(operators) if is_operators(operators) => {
            let mut cast = RawDocumentBuf::new();
            for entry in entries(operators) {
                let (name, value) = entry?;
                let value = match (name, value) {
                    ("$in" | "$nin" | "$all", RawBsonRef::Array(values)) => list(collection, path, kind, values)?,
                    // One value is a list of one.
                    ("$in" | "$nin" | "$all", value) => {
                        let mut only = RawArrayBuf::new();
                        only.push(one(collection, path, kind, value)?);
                        RawBson::Array(only)
                    }
                    ("$mod", RawBsonRef::Array(values)) => list(collection, path, Type::Number, values)?,
                    ("$exists", value) => cast_as(collection, path, Type::Flag, value)?,
                    ("$regex", _) if !has_patterns(kind) => {
                        let message = format!("{}: {path} is no text, so $regex cannot find it", collection.name);
                        return Err(Error::new(Code::InvalidValue, message));
                    }
                    ("$not", value) => condition(collection, path, kind, value)?,
                    ("$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte", value) => one(collection, path, kind, value)?,
                    (_, value) => RawBson::from(value),
                };
                cast.append(key_name(name)?, value);
            }
            Ok(RawBson::Document(cast))
        }
        // An array stands for $in, unless the field may hold one.
        RawBsonRef::Array(values) if kind != Type::Any => {
            let mut within = RawDocumentBuf::new();
            within.append(key_name("$in")?, list(collection, path, kind, values)?);
            Ok(RawBson::Document(within))
        }
        value => one(collection, path, kind, value),
    }
}

/// Whether values may be compared with regular expressions.
const fn has_patterns(kind: Type) -> bool {
    matches!(kind, Type::Text | Type::Any)
}

fn one(collection: &Collection, path: &str, kind: Type, value: RawBsonRef<'_>) -> Result<RawBson> {
    match value {
        RawBsonRef::RegularExpression(_) if has_patterns(kind) => Ok(RawBson::from(value)),
        _ => cast_as(collection, path, kind, value),
    }
}

fn list(collection: &Collection, path: &str, kind: Type, values: &mongodb::bson::RawArray) -> Result<RawBson> {
    let mut cast = RawArrayBuf::new();
    for value in values {
        let value = value.map_err(|error| Error::new(Code::InvalidValue, error.to_string()))?;
        cast.push(one(collection, path, kind, value)?);
    }
    Ok(RawBson::Array(cast))
}

fn is_operators(document: &RawDocument) -> bool {
    entries(document).next().is_some_and(|entry| entry.is_ok_and(|(name, _)| name.starts_with('$')))
}

/// A sort: each field with its direction, as 1, -1, `asc`, `ascending`, `desc` or `descending`; or text like `-when name`.
pub fn sort(collection: &Collection, given: RawBsonRef<'_>) -> Result<RawDocumentBuf> {
    let refuse = |what: &str| {
        Error::new(Code::InvalidValue, format!("{}: sort is {what}; it takes {{ field: 1 or -1 }}", collection.name))
    };
    let mut sort = RawDocumentBuf::new();
    match given {
        RawBsonRef::Null => {}
        RawBsonRef::String(text) => {
            for word in text.split_whitespace() {
                let (name, direction) = word.strip_prefix('-').map_or((word, 1_i32), |name| (name, -1));
                sort.append(key_name(name)?, direction);
            }
        }
        RawBsonRef::Document(fields) => {
            for entry in entries(fields) {
                let (name, value) = entry?;
                let direction = match value {
                    RawBsonRef::Int32(1) | RawBsonRef::String("asc" | "ascending" | "1") => RawBson::Int32(1),
                    RawBsonRef::Int32(-1) | RawBsonRef::String("desc" | "descending" | "-1") => RawBson::Int32(-1),
                    // { $meta: "textScore" }
                    RawBsonRef::Document(_) => RawBson::from(value),
                    _ => return Err(refuse(&format!("without a direction for {name}"))),
                };
                sort.append(key_name(name)?, direction);
            }
        }
        _ => return Err(refuse("neither an object nor text")),
    }
    Ok(sort)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::mongo::table::COLLECTIONS;

    fn risk() -> &'static Collection {
        COLLECTIONS.iter().find(|collection| collection.name == "risk-items").unwrap()
    }

    #[test]
    fn values_are_cast_by_their_field_and_unknown_fields_stay() {
        let given = rawdoc! { "riskName": 5, "when": { "$gte": "7", "$in": ["1", 2] }, "other": { "$gt": "3" }, "$or": [{ "when": "9" }] };
        let cast = filter(risk(), &given).unwrap();
        let expected = rawdoc! {
            "riskName": "5", "when": { "$gte": 7, "$in": [1, 2] }, "other": { "$gt": "3" }, "$or": [{ "when": 9 }]
        };
        assert_eq!(cast, expected);
    }

    #[test]
    fn operators_take_what_mongoose_takes() {
        let cast = |given: RawDocumentBuf| filter(risk(), &given).map_err(|error| error.code);
        let pattern = mongodb::bson::Regex { pattern: key_name("1").unwrap(), options: key_name("").unwrap() };
        let by_name = rawdoc! { "riskName": RawBson::RegularExpression(pattern.clone()) };
        assert_eq!(cast(by_name.clone()), Ok(by_name));
        assert_eq!(cast(rawdoc! { "when": { "$in": "1" } }), Ok(rawdoc! { "when": { "$in": [1] } }));
        assert_eq!(
            cast(rawdoc! { "when": { "$nin": RawBson::Null } }),
            Ok(rawdoc! { "when": { "$nin": [RawBson::Null] } })
        );
        assert_eq!(cast(rawdoc! { "when": { "$mod": ["2", "0"] } }), Ok(rawdoc! { "when": { "$mod": [2, 0] } }));
        assert_eq!(cast(rawdoc! { "when": { "$exists": "false" } }), Ok(rawdoc! { "when": { "$exists": false } }));
        assert_eq!(cast(rawdoc! { "riskName": { "$regex": "x" } }), Ok(rawdoc! { "riskName": { "$regex": "x" } }));
        for given in [
            rawdoc! { "when": { "$regex": "1" } },
            rawdoc! { "when": RawBson::RegularExpression(pattern.clone()) },
            rawdoc! { "when": { "$exists": "maybe" } },
            rawdoc! { "when": { "$mod": ["x", 0] } },
        ] {
            assert_eq!(cast(given), Err(Code::InvalidValue));
        }
    }

    #[test]
    fn the_parts_of_a_key_are_values_and_never_operators() {
        let asked = |key: RawDocumentBuf| {
            of_request(risk(), &rawdoc! { "k": key, "by": ["riskName"], "filter": { "when": "5" } })
        };
        assert_eq!(asked(rawdoc! { "riskName": 7 }).unwrap(), rawdoc! { "riskName": "7", "when": 5 });
        assert_eq!(asked(rawdoc! { "riskName": { "$ne": "x" } }).unwrap_err().code, Code::InvalidValue);
        assert_eq!(asked(rawdoc! { "riskName": ["a", "b"] }).unwrap_err().code, Code::InvalidValue);
        for missing in [rawdoc! {}, rawdoc! { "riskName": RawBson::Null }] {
            assert_eq!(asked(missing).unwrap_err().code, Code::InvalidContext);
        }
    }

    #[test]
    fn a_value_that_cannot_be_cast_names_its_field() {
        let error = filter(risk(), &rawdoc! { "_id": "garbage" }).unwrap_err();
        assert!(error.message.contains("path \"_id\""), "{error}");
        assert_eq!(error.code, Code::InvalidValue);
    }

    #[test]
    fn sorts_are_taken_in_every_form() {
        let sorted = |given: RawBson| sort(risk(), given.as_raw_bson_ref()).unwrap();
        let expected = rawdoc! { "when": -1, "riskName": 1 };
        assert_eq!(sorted(RawBson::String("-when riskName".into())), expected);
        assert_eq!(sorted(RawBson::Document(rawdoc! { "when": "desc", "riskName": "asc" })), expected);
        assert!(sort(risk(), RawBsonRef::Boolean(true)).is_err());
    }
}
