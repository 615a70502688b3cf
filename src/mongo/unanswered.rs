//! What a row says of a write to it that was not answered, where the server knows no numbers.
//!
//! `updatedDate` tells: ours is the time at which the call was made. Clocks of different processes differ, and with them
//! what is taken for newer.

use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::Result;
use crate::mongo::document::{entries, get, part};

/// What kind of write it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It sets all values of a row.
    Upsert,
    /// It makes a row, and leaves one that is there as it is.
    First,
    /// It marks a row as removed.
    Mark,
    /// It changes some values of a row.
    Change,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out, or a newer write has taken its place.
    Done,
    /// There is no row that it could have changed.
    NoRow,
    /// It was not carried out so far.
    Open,
    /// A newer write has changed the row, and whether ours came before it cannot be told.
    Unknown,
}

/// When an update's row was, or would be, written.
fn date_of(fields: &RawDocument) -> Option<DateTime> {
    match fields.get("updatedDate") {
        Ok(Some(RawBsonRef::DateTime(date))) => Some(date),
        _ => None,
    }
}

/// Judges by the row that is there now, where one is. `update` is what was sent: `$set` with our `updatedDate`.
pub fn judge(kind: Kind, update: &RawDocument, row: Option<&RawDocument>) -> Result<Verdict> {
    let set = part(update, "$set")?;
    let Some(row) = row else {
        return Ok(if matches!(kind, Kind::Upsert | Kind::First) { Verdict::Open } else { Verdict::NoRow });
    };
    let (ours, theirs) = (date_of(set), date_of(row));
    // What adds up is not sent again: the first one may still be under way. Nor does the date say that it was carried out:
    // another write of the same millisecond has the same.
    if kind == Kind::Change && adds_up(update) {
        return Ok(Verdict::Unknown);
    }
    if theirs < ours {
        return Ok(Verdict::Open);
    }
    let done = match kind {
        Kind::First | Kind::Mark => true,
        Kind::Upsert => !is_removed_since(set, row)? || holds(set, row, Some("removed"))?,
        // What other operators have done, the row does not show.
        Kind::Change if has_operators(update) => false,
        Kind::Change => holds(set, row, None)?,
    };
    Ok(if done { Verdict::Done } else { Verdict::Unknown })
}

/// Whether somebody may have marked the row as removed and left the values as they were.
fn is_removed_since(set: &RawDocument, row: &RawDocument) -> Result<bool> {
    let removed = |fields| Ok(matches!(get(fields, "removed")?, Some(RawBsonRef::Boolean(true))));
    Ok(removed(row)? && !removed(set)?)
}

/// Operators that count twice where they are carried out twice.
const ADDING: [&str; 6] = ["$inc", "$mul", "$push", "$pop", "$bit", "$rename"];

fn adds_up(update: &RawDocument) -> bool {
    entries(update).any(|entry| entry.is_ok_and(|(name, _)| ADDING.contains(&name)))
}

fn has_operators(update: &RawDocument) -> bool {
    entries(update).any(|entry| !matches!(entry, Ok(("$set" | "$setOnInsert", _))))
}

/// Whether a row has all values that were set, whenever it was written; those that `but` names may differ, also within
/// values.
fn holds(set: &RawDocument, row: &RawDocument, but: Option<&str>) -> Result<bool> {
    for entry in entries(set) {
        let (name, value) = entry?;
        if name == "updatedDate" || Some(name) == but {
            continue;
        }
        let stored = at_path(row, name)?;
        let same = match (value, stored, but) {
            (RawBsonRef::Document(value), Some(RawBsonRef::Document(stored)), Some(but)) => {
                without(value, but)? == without(stored, but)?
            }
            (value, Some(stored), _) => bytes(value) == bytes(stored),
            (_, None, _) => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value of `a.b`, which may also be the name of a field.
fn at_path<'a>(row: &'a RawDocument, path: &str) -> Result<Option<RawBsonRef<'a>>> {
    match path.split_once('.') {
        None => get(row, path),
        Some((first, rest)) => match get(row, first)? {
            Some(RawBsonRef::Document(inner)) => at_path(inner, rest),
            // A list is stored as a document, with places for names.
            Some(RawBsonRef::Array(inner)) => match RawDocument::from_bytes(inner.as_bytes()) {
                Ok(inner) => at_path(inner, rest),
                Err(_) => Ok(None),
            },
            _ => get(row, path),
        },
    }
}

fn without(document: &RawDocument, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let rest = entries(document).filter(|entry| !matches!(entry, Ok((field, _)) if *field == name));
    rest.map(|entry| entry.map(|(field, value)| (field.to_owned(), bytes(value)))).collect()
}

/// Type and bytes of a value: NaN is what it is, and 1 is not 1.0.
fn bytes(value: RawBsonRef<'_>) -> Vec<u8> {
    let mut alone = RawDocumentBuf::new();
    alone.append(cstr!("v"), RawBson::from(value));
    alone.into_bytes()
}

/// The filter of a write that may have been carried out already: it finds only rows that were written before it. Where one
/// is newer, an upsert meets a duplicate key.
pub fn guarded(filter: &RawDocument, update: &RawDocument) -> Result<RawDocumentBuf> {
    let mut guarded = filter.to_owned();
    if let Some(ours) = date_of(part(update, "$set")?) {
        let mut newer = RawDocumentBuf::new();
        newer.append(cstr!("$gte"), ours);
        let mut older = RawDocumentBuf::new();
        // Not `$lt`: a row without a date is older, too.
        older.append(cstr!("$not"), newer);
        guarded.append(cstr!("updatedDate"), older);
    }
    Ok(guarded)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, Document, doc};

    use super::*;
    use crate::mongo::document;
    use crate::mongo::table::COLLECTIONS;

    const OURS: i64 = 1_000;

    fn raw(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).unwrap()
    }

    fn date(millis: i64) -> DateTime {
        DateTime::from_millis(millis)
    }

    fn verdict(kind: Kind, update: &RawDocument, row: &Document) -> Verdict {
        judge(kind, update, Some(&raw(row))).unwrap()
    }

    /// An upsert of the measure collection.
    fn upsert() -> RawDocumentBuf {
        let measure = COLLECTIONS.iter().find(|row| row.name == "measure-items").unwrap();
        document::upsert(measure, &raw(&doc! { "payload": { "a": 1, "n": f64::NAN } }), OURS).unwrap()
    }

    #[test]
    fn an_upsert_whose_values_are_there_with_its_date_is_done() {
        let row = doc! { "payload": { "a": 1, "n": f64::NAN }, "removed": false, "updatedDate": date(OURS) };
        assert_eq!(verdict(Kind::Upsert, &upsert(), &row), Verdict::Done);
    }

    #[test]
    fn an_upsert_over_which_somebody_newer_has_written_is_done() {
        for newer in [OURS, OURS + 1] {
            let row = doc! { "payload": { "b": 1 }, "removed": false, "updatedDate": date(newer) };
            assert_eq!(verdict(Kind::Upsert, &upsert(), &row), Verdict::Done);
        }
    }

    #[test]
    fn an_upsert_is_open_where_the_row_is_older_or_has_no_date_or_is_not_there() {
        for date in [Bson::DateTime(date(OURS - 1)), Bson::Null, Bson::String("1970".to_owned())] {
            let row = doc! { "payload": { "a": 1 }, "removed": false, "updatedDate": date };
            assert_eq!(verdict(Kind::Upsert, &upsert(), &row), Verdict::Open);
        }
        assert_eq!(verdict(Kind::Upsert, &upsert(), &doc! { "payload": {} }), Verdict::Open);
        assert_eq!(judge(Kind::Upsert, &upsert(), None).unwrap(), Verdict::Open);
        assert_eq!(judge(Kind::First, &upsert(), None).unwrap(), Verdict::Open);
    }

    #[test]
    fn of_a_row_that_was_marked_since_the_values_tell() {
        let marked = |payload| doc! { "payload": payload, "removed": true, "updatedDate": date(OURS + 1) };
        let ours = marked(doc! { "a": 1, "n": f64::NAN, "removed": true });
        assert_eq!(verdict(Kind::Upsert, &upsert(), &ours), Verdict::Done);
        let others = marked(doc! { "b": 1, "removed": true });
        assert_eq!(verdict(Kind::Upsert, &upsert(), &others), Verdict::Unknown);
        assert_eq!(verdict(Kind::Upsert, &upsert(), &marked(doc! { "a": 1.0, "removed": true })), Verdict::Unknown);
    }

    #[test]
    fn a_first_write_is_done_by_whoever_wrote_first() {
        let update = raw(&doc! { "$setOnInsert": { "open": 1 }, "$set": { "updatedDate": date(OURS) } });
        assert_eq!(verdict(Kind::First, &update, &doc! { "open": 2, "updatedDate": date(OURS + 1) }), Verdict::Done);
        assert_eq!(verdict(Kind::First, &update, &doc! { "open": 2, "updatedDate": date(OURS - 1) }), Verdict::Open);
    }

    #[test]
    fn a_mark_is_done_where_somebody_newer_has_written() {
        let update = document::soft_remove(true, OURS);
        for removed in [true, false] {
            let row = doc! { "removed": removed, "updatedDate": date(OURS + 1) };
            assert_eq!(verdict(Kind::Mark, &update, &row), Verdict::Done);
        }
        assert_eq!(verdict(Kind::Mark, &update, &doc! { "removed": false, "updatedDate": date(1) }), Verdict::Open);
        assert_eq!(judge(Kind::Mark, &update, None).unwrap(), Verdict::NoRow);
    }

    #[test]
    fn a_change_is_done_only_where_its_values_are_there() {
        let set = doc! { "updatedDate": date(OURS), "when": 5, "payload.x": 1, "payload.list.1": "b" };
        let update = raw(&doc! { "$set": set });
        let row = |when, millis| {
            let payload = doc! { "x": 1, "y": 2, "list": ["a", "b"] };
            doc! { "when": when, "payload": payload, "updatedDate": date(millis) }
        };
        assert_eq!(verdict(Kind::Change, &update, &row(5, OURS)), Verdict::Done);
        assert_eq!(verdict(Kind::Change, &update, &row(5, OURS + 1)), Verdict::Done);
        assert_eq!(verdict(Kind::Change, &update, &row(6, OURS + 1)), Verdict::Unknown);
        assert_eq!(verdict(Kind::Change, &update, &row(6, OURS - 1)), Verdict::Open);
        assert_eq!(judge(Kind::Change, &update, None).unwrap(), Verdict::NoRow);
    }

    #[test]
    fn a_change_by_other_operators_is_never_taken_for_done_and_what_adds_up_is_never_sent_again() {
        let of = |operator: &str, millis| {
            let update = raw(&doc! { "$set": { "updatedDate": date(OURS) }, operator: { "when": 5 } });
            verdict(Kind::Change, &update, &doc! { "when": 9, "updatedDate": date(millis) })
        };
        for millis in [OURS, OURS + 1] {
            assert_eq!(of("$min", millis), Verdict::Unknown);
            assert_eq!(of("$inc", millis), Verdict::Unknown);
        }
        assert_eq!(of("$min", OURS - 1), Verdict::Open);
        for operator in ADDING {
            assert_eq!(of(operator, OURS - 1), Verdict::Unknown, "{operator}");
        }
    }

    #[test]
    fn a_guarded_filter_finds_only_what_is_older() {
        let filter = guarded(&raw(&doc! { "bucket": "b" }), &upsert()).unwrap();
        assert_eq!(filter, raw(&doc! { "bucket": "b", "updatedDate": { "$not": { "$gte": date(OURS) } } }));
    }
}
