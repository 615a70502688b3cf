//! Filters, read into what is asked of a document.

use mongodb::bson::{RawArray, RawBson, RawBsonRef, RawDocument};

use super::node::{Comparison, Node, Test};
use super::numbers::{Number, whole};
use super::order::{fields, values};
use super::path::Path;
use super::refusal::{Refusal, bad, check_levels};
use super::regex::Pattern;

/// What conditions may be asked of a field.
const KNOWN: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $not, $exists, $all, $size, $elemMatch, $regex";

/// Operators of MongoDB that are not carried out here, wherever they stand.
const ABSENT: &[&str] = &[
    "$where",
    "$expr",
    "$text",
    "$jsonSchema",
    "$comment",
    "$alwaysTrue",
    "$alwaysFalse",
    "$sampleRate",
    "$type",
    "$mod",
    "$bitsAllSet",
    "$bitsAllClear",
    "$bitsAnySet",
    "$bitsAnyClear",
    "$geoWithin",
    "$geoIntersects",
    "$geoNear",
    "$near",
    "$nearSphere",
    "$within",
    "$maxDistance",
    "$minDistance",
];

/// An operator that is not known here.
fn unknown(name: &str, what: &str) -> Refusal {
    if ABSENT.contains(&name) || name.starts_with("$_internal") {
        return Refusal::ours(format!("{name} needs a server; the embedded store knows $and, $or, $nor, {KNOWN}"));
    }
    bad(format!("unknown {what}: {name}"))
}

/// The filter of a document.
pub(super) fn filter(filter: &RawDocument) -> Result<Node, Refusal> {
    check_levels(filter)?;
    document(filter)
}

fn document(filter: &RawDocument) -> Result<Node, Refusal> {
    let mut all = Vec::new();
    for (name, value) in fields(filter) {
        all.push(match name {
            "$and" => Node::And(branches(name, value)?),
            "$or" => Node::Or(branches(name, value)?),
            "$nor" => Node::Not(Box::new(Node::Or(branches(name, value)?))),
            // The parts of a reference to another document are fields.
            "$ref" | "$id" | "$db" => equality(name, value)?,
            _ if name.starts_with('$') => return Err(unknown(name, "top level operator")),
            _ => condition(name, value)?,
        });
    }
    Ok(Node::And(all))
}

fn branches(name: &str, value: RawBsonRef<'_>) -> Result<Vec<Node>, Refusal> {
    let RawBsonRef::Array(list) = value else { return Err(bad(format!("{name} must be an array"))) };
    let mut branches = Vec::new();
    for branch in values(list) {
        let RawBsonRef::Document(branch) = branch else {
            return Err(bad("$or/$and/$nor entries need to be full objects"));
        };
        branches.push(document(branch)?);
    }
    if branches.is_empty() { Err(bad("$and/$or/$nor must be a nonempty array")) } else { Ok(branches) }
}

/// What a field is asked: operators, a pattern, or to be equal.
fn condition(name: &str, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    match value {
        RawBsonRef::Document(asked) if is_operators(asked, false) => operators(name, asked),
        RawBsonRef::RegularExpression(_) => Ok(at(name, Test::Matches(Pattern::of(value)?))),
        value => equality(name, value),
    }
}

fn at(name: &str, test: Test) -> Node {
    Node::At(Path::new(name), test)
}

fn equality(name: &str, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    comparison(name, Comparison::Equal, value)
}

fn comparison(name: &str, comparison: Comparison, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    match value {
        RawBsonRef::Undefined => Err(bad("cannot compare to undefined")),
        RawBsonRef::RegularExpression(_) if comparison != Comparison::Equal => {
            Err(bad(format!("Can't have RegEx as arg to predicate over field '{name}'.")))
        }
        value => Ok(at(name, Test::Compare(comparison, RawBson::from(value)))),
    }
}

/// Whether a document asks by operators. One that refers to another document (`$ref`, `$id`) is a value.
fn is_operators(document: &RawDocument, part_of_a_reference: bool) -> bool {
    let has = |name: &str| fields(document).any(|(known, _)| known == name);
    let has_text = |name: &str| fields(document).any(|(known, value)| known == name && value.as_str().is_some());
    let refers = if part_of_a_reference {
        has_text("$ref") || has("$id") || has_text("$db")
    } else {
        has_text("$ref") && has("$id")
    };
    fields(document).next().is_some_and(|(name, _)| name.starts_with('$')) && !refers
}

fn operators(name: &str, asked: &RawDocument) -> Result<Node, Refusal> {
    let mut all = Vec::new();
    for (operator, value) in fields(asked) {
        all.push(match operator {
            "$eq" => equality(name, value)?,
            "$ne" => match value {
                RawBsonRef::RegularExpression(_) => return Err(bad("Can't have regex as arg to $ne.")),
                value => not(equality(name, value)?),
            },
            "$gt" => comparison(name, Comparison::Greater, value)?,
            "$gte" => comparison(name, Comparison::GreaterOrEqual, value)?,
            "$lt" => comparison(name, Comparison::Less, value)?,
            "$lte" => comparison(name, Comparison::LessOrEqual, value)?,
            "$in" => at(name, among(operator, value)?),
            "$nin" => not(at(name, among(operator, value)?)),
            "$not" => not(negated(name, value)?),
            "$exists" if is_true(value) => at(name, Test::Exists),
            "$exists" => not(at(name, Test::Exists)),
            "$size" => at(name, Test::Size(size(value)?)),
            "$all" => every(name, value)?,
            "$elemMatch" => element(name, value)?,
            "$regex" => at(name, Test::Matches(pattern(asked)?)),
            "$options" if fields(asked).any(|(known, _)| known == "$regex") => continue,
            "$options" => return Err(bad("$options needs a $regex")),
            _ => return Err(unknown(operator, "operator")),
        });
    }
    Ok(Node::And(all))
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn negated(name: &str, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    match value {
        RawBsonRef::RegularExpression(_) => condition(name, value),
        RawBsonRef::Document(asked) if asked.is_empty() => Err(bad("$not cannot be empty")),
        RawBsonRef::Document(asked) => operators(name, asked),
        _ => Err(bad("$not needs a regex or a document")),
    }
}

fn list<'a>(operator: &str, value: RawBsonRef<'a>) -> Result<&'a RawArray, Refusal> {
    value.as_array().ok_or_else(|| bad(format!("{operator} needs an array")))
}

fn among(operator: &str, value: RawBsonRef<'_>) -> Result<Test, Refusal> {
    let (mut among, mut patterns) = (Vec::new(), Vec::new());
    for one in values(list(operator, value)?) {
        match one {
            RawBsonRef::Undefined => return Err(bad("InMatchExpression equality cannot be undefined")),
            RawBsonRef::Document(inner) if is_operators(inner, false) => {
                return Err(bad(format!("cannot nest $ under {operator}")));
            }
            RawBsonRef::RegularExpression(_) => patterns.push(Pattern::of(one)?),
            one => among.push(RawBson::from(one)),
        }
    }
    Ok(Test::In(among, patterns))
}

/// What counts as true.
fn is_true(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Boolean(flag) => flag,
        RawBsonRef::Null | RawBsonRef::Undefined => false,
        value => Number::of(value).is_none_or(|number| number.cmp(Number::Int(0)).is_ne()),
    }
}

fn size(value: RawBsonRef<'_>) -> Result<u64, Refusal> {
    let Some(number) = Number::of(value) else {
        return Err(bad("Failed to parse $size. Expected a number"));
    };
    let whole = whole(number).ok_or_else(|| bad("Failed to parse $size. Expected an integer"))?;
    u64::try_from(whole).map_err(|_| bad("Failed to parse $size. Expected a non-negative number"))
}

/// `$all`: each of these is there.
fn every(name: &str, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    let first = |value: RawBsonRef<'_>| {
        value.as_document().and_then(|inner| fields(inner).next()).is_some_and(|(name, _)| name == "$elemMatch")
    };
    let list = list("$all", value)?;
    let by_elements = values(list).next().is_some_and(first);
    let mut all = Vec::new();
    for one in values(list) {
        all.push(match one {
            RawBsonRef::Document(inner) if by_elements && first(one) => operators(name, inner)?,
            _ if by_elements => return Err(bad("$all/$elemMatch has to be consistent")),
            RawBsonRef::Document(inner) if is_operators(inner, false) => {
                return Err(bad("no $ expressions in $all"));
            }
            RawBsonRef::RegularExpression(_) => condition(name, one)?,
            one => equality(name, one)?,
        });
    }
    Ok(if all.is_empty() { Node::Never } else { Node::And(all) })
}

/// `$elemMatch`: some element that is all of this at once.
fn element(name: &str, value: RawBsonRef<'_>) -> Result<Node, Refusal> {
    let RawBsonRef::Document(asked) = value else { return Err(bad("$elemMatch needs an Object")) };
    let starts_a_filter = fields(asked).next().is_some_and(|(name, _)| {
        matches!(
            name,
            "$ref"
                | "$id"
                | "$db"
                | "$and"
                | "$or"
                | "$nor"
                | "$where"
                | "$expr"
                | "$text"
                | "$comment"
                | "$jsonSchema"
        )
    });
    let test = if is_operators(asked, true) && !starts_a_filter {
        Test::SomeElement(Box::new(operators("", asked)?))
    } else {
        Test::SomeDocument(Box::new(document(asked)?))
    };
    Ok(at(name, test))
}

/// `$regex`, with the `$options` beside it.
fn pattern(asked: &RawDocument) -> Result<Pattern, Refusal> {
    let both = || Refusal::of_mongo(51075, "options set in both $regex and $options");
    let mut pattern = "";
    let mut options = "";
    for (name, value) in fields(asked) {
        match (name, value) {
            ("$regex", RawBsonRef::String(text)) => pattern = text,
            ("$regex", RawBsonRef::RegularExpression(given)) => {
                pattern = given.pattern.as_str();
                if !given.options.is_empty() {
                    if !options.is_empty() {
                        return Err(both());
                    }
                    options = given.options.as_str();
                }
            }
            ("$regex", _) => return Err(bad("$regex has to be a string")),
            ("$options", RawBsonRef::String(text)) => {
                if !options.is_empty() {
                    return Err(both());
                }
                options = text;
            }
            ("$options", _) => return Err(bad("$options has to be a string")),
            _ => {}
        }
    }
    Pattern::new(pattern, options)
}
