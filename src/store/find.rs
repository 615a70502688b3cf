//! Reads of rows: by key, lists, counts, pages.

use std::collections::VecDeque;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;

use super::bson::{Filter, Refusal, Sort, SortKey};
use super::error::Outcome;
use super::ids;
use super::query::Plan;
use super::rows::{Found, Rows, Spot};
use crate::error::Code;
use crate::mongo::cast;
use crate::mongo::document::{self, get, part};
use crate::mongo::failure::Failure;
use crate::mongo::filter;
use crate::mongo::wire::Answer;

/// The most rows of a page.
const PAGE: usize = 1_000;
/// A page that is as large as this is sent, whatever it holds.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A filter or a sort that is not carried out: as MongoDB refuses it, or as one that only we do not take.
fn refused(refusal: Refusal) -> Failure {
    refusal.into_failure(Code::MongoReply)
}

/// What a query asks for.
struct Query {
    filter: Filter,
    plan: Plan,
    sort: RawDocumentBuf,
    skip: usize,
    /// None: all.
    limit: Option<usize>,
    fields: RawDocumentBuf,
}

impl Query {
    /// Reads `{ k?, by?, filter, sort?, limit?, skip?, fields? }`. `by` names the parts of the key `k` that the filter has.
    fn new(rows: &Rows<'_>, body: &RawDocument) -> Outcome<Self> {
        let collection = rows.table.collection;
        let whole = |name| match get(body, name)? {
            Some(RawBsonRef::Int32(number)) => Ok::<_, Failure>(usize::try_from(number.unsigned_abs()).unwrap_or(0)),
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit beyond 2^64 is none")]
            Some(RawBsonRef::Double(number)) => Ok(number.abs() as usize),
            _ => Ok(0),
        };
        let filter = filter::of_request(collection, body)?;
        Ok(Self {
            plan: Plan::of(rows.table, &filter),
            filter: Filter::parse(&filter).map_err(refused)?,
            sort: filter::sort(collection, get(body, "sort")?.unwrap_or(RawBsonRef::Null))?,
            skip: whole("skip")?,
            limit: Some(whole("limit")?).filter(|limit| *limit > 0),
            fields: part(body, "fields")?.to_owned(),
        })
    }

    /// The date that alone it is sorted by, as a column.
    fn date(&self) -> Option<(&'static str, bool)> {
        let mut fields = self.sort.iter().flatten();
        let (name, direction) = fields.next()?;
        let column = match name.as_str() {
            "createDate" => "created",
            "updatedDate" => "updated",
            _ => return None,
        };
        fields.next().is_none().then_some((column, matches!(direction, RawBsonRef::Int32(n) if n < 0)))
    }

    /// The rows in their order, `skip` and `limit` applied.
    fn run(&self, rows: &Rows<'_>, each: &mut dyn FnMut(Found) -> Outcome<bool>) -> Outcome<()> {
        let (mut skip, mut left) = (self.skip, self.limit.unwrap_or(usize::MAX));
        let mut take = |found: Found| {
            if skip > 0 {
                skip -= 1;
                return Ok(true);
            }
            left -= 1;
            Ok(each(found)? && left > 0)
        };
        let mut matching = |found: Found| {
            if self.filter.matches(&found.document()) { take(found) } else { Ok(true) }
        };
        if self.sort.is_empty() {
            return rows.scan(&self.plan, None, &mut matching);
        }
        if let Some(date) = self.date()
            && rows.sorts_by_date()?
        {
            return rows.scan_by_date(&self.plan, date, &mut matching);
        }
        for spot in self.sorted(rows)? {
            // Nothing comes in between: a read is one transaction.
            if let Some(found) = rows.at(spot)?
                && !take(found)?
            {
                break;
            }
        }
        Ok(())
    }

    /// Where the rows are, in their order: all, or as many as `skip` and `limit` may need.
    fn sorted(&self, rows: &Rows<'_>) -> Outcome<Vec<Spot>> {
        let sort = Sort::parse(&self.sort).map_err(refused)?;
        let needed = self.limit.map(|limit| limit.saturating_add(self.skip));
        let mut found: Vec<(SortKey, Spot)> = Vec::new();
        rows.scan(&self.plan, None, &mut |row| {
            let document = row.document();
            if self.filter.matches(&document) {
                found.push((sort.key(&document).map_err(refused)?, row.spot()));
                if let Some(needed) =
                    needed.filter(|needed| found.len() > needed.saturating_mul(2).saturating_add(PAGE))
                {
                    // The sort is stable, so those that are cut off would not have come to the front again.
                    found.sort_by(|a, b| sort.compare(&a.0, &b.0));
                    found.truncate(needed);
                }
            }
            Ok(true)
        })?;
        found.sort_by(|a, b| sort.compare(&a.0, &b.0));
        Ok(found.into_iter().map(|(_, spot)| spot).collect())
    }
}

/// The fields of a row that are asked for, and its `_id`.
fn projected(document: RawDocumentBuf, fields: &RawDocument) -> RawDocumentBuf {
    if fields.is_empty() {
        return document;
    }
    let mut some = RawDocumentBuf::new();
    for (name, value) in document.iter().flatten() {
        if name.as_str() == "_id" || fields.get(name.as_str()).is_ok_and(|field| field.is_some()) {
            some.append(name, RawBson::from(value));
        }
    }
    some
}

/// The row of a key. An id that somebody has remembered of it is right or wrong; so is one that is noted.
pub fn find(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let key = document::key(rows.table.collection, part(body, "k")?)?;
    let id = get(body, "id")?.and_then(cast::object_id);
    let noted = ids::key_of(body, &key)?;
    let Some((found, noted)) = rows.by_key_noted(&key, noted.as_deref())? else { return Ok(Answer::None) };
    let row = found.into_document();
    let is_own = matches!(row.get("_id"), Ok(Some(RawBsonRef::ObjectId(own))) if Some(own) == id);
    let is_known = is_own || ids::is_of(&row, noted.as_deref());
    Ok(if is_known { Answer::Documents(row.into_bytes()) } else { Answer::ByKey(row.into_bytes()) })
}

/// Rows of a filter.
pub fn rows_of(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let query = Query::new(&rows, body)?;
    let mut bytes = Vec::new();
    query.run(&rows, &mut |found| {
        bytes.extend_from_slice(projected(found.into_document(), &query.fields).as_bytes());
        Ok(true)
    })?;
    Ok(Answer::Documents(bytes))
}

/// Whether a request for rows is one for the row of an id, which is quickly answered.
#[must_use]
pub fn is_by_id(body: &RawDocument) -> bool {
    let filter = part(body, "filter").ok();
    let mut fields = filter.iter().flat_map(|filter| filter.iter());
    matches!(fields.next(), Some(Ok((name, RawBsonRef::String(_) | RawBsonRef::ObjectId(_)))) if name.as_str() == "_id")
        && fields.next().is_none()
        && !matches!(body.get("by"), Ok(Some(_)))
}

/// How many rows a filter finds.
pub fn count(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let query = Query::new(&rows, body)?;
    let mut count = 0_u32;
    rows.scan(&query.plan, None, &mut |found| {
        count += u32::from(query.filter.matches(&found.document()));
        Ok(true)
    })?;
    let mut answer = RawDocumentBuf::new();
    answer.append(cstr!("n"), f64::from(count));
    Ok(Answer::document(&answer))
}

/// Takes away the rows that a filter finds; the answer is what they were.
pub fn delete(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let query = Query::new(&rows, body)?;
    let mut all = Vec::new();
    query.run(&rows, &mut |found| {
        all.push(found);
        Ok(true)
    })?;
    let mut bytes = Vec::new();
    for found in all {
        // A candle's place may be another one than it was found in, once others of its block are gone.
        let there = rows.at(found.spot())?;
        if let Some(there) = there {
            rows.remove(&there)?;
        }
        bytes.extend_from_slice(projected(found.into_document(), &query.fields).as_bytes());
    }
    Ok(Answer::Documents(bytes))
}

/// A query whose rows come page by page.
pub struct Cursor {
    number: usize,
    filter: Filter,
    plan: Plan,
    fields: RawDocumentBuf,
    /// In a sort's order: where the rows are that are still to come.
    sorted: Option<VecDeque<Spot>>,
    after: Option<Spot>,
}

impl Cursor {
    /// Before the first page.
    pub fn open(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Self> {
        let rows = Rows::new(store, number);
        let query = Query::new(&rows, body)?;
        let sorted = if query.sort.is_empty() { None } else { Some(query.sorted(&rows)?.into()) };
        Ok(Self { number, filter: query.filter, plan: query.plan, fields: query.fields, sorted, after: None })
    }

    /// The next page; `Page` where there may be more. A row that is gone meanwhile, or that the filter does not find any more,
    /// is passed over.
    pub fn page(&mut self, store: &Connection) -> Outcome<Answer> {
        let rows = Rows::new(store, self.number);
        let (mut bytes, mut count, mut full) = (Vec::new(), 0, false);
        if let Some(sorted) = &mut self.sorted {
            while let Some(spot) = sorted.pop_front() {
                if let Some(found) = rows.at(spot)? {
                    let document = found.into_document();
                    if self.filter.matches(&document) {
                        bytes.extend_from_slice(projected(document, &self.fields).as_bytes());
                        count += 1;
                    }
                }
                if count >= PAGE || bytes.len() >= PAGE_BYTES {
                    full = !sorted.is_empty();
                    break;
                }
            }
        } else {
            let mut last = self.after;
            rows.scan(&self.plan, self.after, &mut |found| {
                // One more than a page is looked for, so that the last page knows that it is the last.
                let document = found.document();
                if !self.filter.matches(&document) {
                    return Ok(true);
                }
                if count >= PAGE || bytes.len() >= PAGE_BYTES {
                    full = true;
                    return Ok(false);
                }
                last = Some(found.spot());
                bytes.extend_from_slice(projected(document, &self.fields).as_bytes());
                count += 1;
                Ok(true)
            })?;
            self.after = last;
        }
        Ok(if full { Answer::Page(bytes) } else { Answer::Documents(bytes) })
    }
}
