//! Rows on their way into another store: pages in the order of their keys, and what comes from elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::block::{Candle, Series, moment};
use super::candles::{self, series_number};
use super::error::Outcome;
use super::key;
use super::rows::Rows;
use crate::mongo::failure::Failure;
use crate::mongo::table::CANDLES;
use crate::mongo::transfer::{Fate, Merged, Page, after, id_of, in_place, is_newer, place_of, rows as rows_of, under};
use crate::mongo::wire::Answer;

/// A page of a collection's rows, in the order of their keys. Candles that are rows come first, and then series by series.
pub fn export(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let after = after(body)?;
    let mut page = Page::default();
    // `row` says of a place that it is among the candles that are rows.
    if number == CANDLES && after.is_some_and(|after| matches!(after.get("row"), Ok(None))) {
        return candles_after(store, after, page);
    }
    let (condition, values) = match after {
        Some(after) => ("key > ?", vec![Value::Blob(key::unique(rows.table.collection, after))]),
        None => ("TRUE", Vec::new()),
    };
    let mut place = None;
    rows.table.scan(store, condition, &values, "key", &mut |row| {
        if page.is_full() {
            return Ok(false);
        }
        page.push(&row.document);
        if page.is_full() {
            let mut here = place_of(rows.table.collection, &row.document);
            if number == CANDLES {
                here.append(cstr!("row"), true);
            }
            place = Some(here);
        }
        Ok(true)
    })?;
    if number != CANDLES || place.is_some() {
        return Ok(page.into_answer(place));
    }
    candles_after(store, None, page)
}

fn candles_after(store: &Connection, after: Option<&RawDocument>, mut page: Page) -> Outcome<Answer> {
    let collection = &crate::mongo::table::COLLECTIONS[CANDLES];
    let mut place = None;
    let mut each = |held: candles::Held| {
        if page.is_full() {
            return Ok(false);
        }
        let document = held.document();
        page.push(&document);
        if page.is_full() {
            place = Some(place_of(collection, &document));
        }
        Ok(true)
    };
    let whole = (f64::NEG_INFINITY, f64::INFINITY);
    let mut rest = ("TRUE", Vec::new());
    if let Some(after) = after {
        let text = |name| after.get_str(name).unwrap_or_default().to_owned();
        let series = Series { exchange: text("exchangeName"), symbol: text("symbol"), interval: text("interval") };
        let timestamp = after.get("timestamp").ok().flatten().and_then(key::number).unwrap_or_default();
        // A series that is there keeps its number.
        let number = series_number(store, &series)?.unwrap_or_default();
        let values = [Value::Integer(number)];
        candles::scan(store, ("number = ?", &values), (timestamp + series.step(), whole.1), None, &mut each)?;
        rest = ("number > ?", values.to_vec());
    }
    candles::scan(store, (rest.0, &rest.1), whole, None, &mut each)?;
    Ok(page.into_answer(place))
}

/// Takes rows of another store in. The one of a key whose `updatedDate` is newer wins; of candles, the one that is there.
pub fn merge(store: &Connection, number: usize, body: &RawDocument) -> Outcome<Answer> {
    let rows = Rows::new(store, number);
    let given = rows_of(body)?;
    let mut merged = Merged::new(given.len());
    if number == CANDLES {
        merge_candles(&rows, &given, &mut merged)?;
        return Ok(merged.into_answer());
    }
    for (at, row) in given.into_iter().enumerate() {
        match rows.like(row)? {
            None => {
                let row = with_free_id(&rows, row)?;
                rows.insert(&row)?;
                merged.tell(at, Fate::New, id_of(&row));
            }
            Some(found) => {
                let there = found.document();
                let fate = if is_newer(&there, row) { Fate::Newer } else { Fate::Kept };
                if fate == Fate::Newer {
                    rows.replace(&found, &in_place(&there, row)?)?;
                }
                merged.tell(at, fate, id_of(&there));
            }
        }
    }
    Ok(merged.into_answer())
}

/// The row under its own id, or a new one where another row has that.
fn with_free_id(rows: &Rows<'_>, row: &RawDocument) -> Outcome<RawDocumentBuf> {
    let taken = match row.get("_id") {
        Ok(Some(id)) => rows.by_id(id)?.is_some(),
        _ => false,
    };
    Ok(if taken { under(ObjectId::new(), row)? } else { row.to_owned() })
}

/// Candles of a series, each with its moment, and their places among those that were given.
type Group = (Vec<usize>, Vec<(u64, Candle)>);

fn merge_candles(rows: &Rows<'_>, given: &[&RawDocument], merged: &mut Merged) -> Outcome<()> {
    let mut groups: BTreeMap<Series, Group> = BTreeMap::new();
    for (at, row) in given.iter().enumerate() {
        match Series::fit(row) {
            Some((series, moment, candle)) => {
                let (places, candles) = groups.entry(series).or_default();
                places.push(at);
                candles.push((moment, candle));
            }
            None => {
                if let Some(there) = rows.like(row)? {
                    merged.tell(at, Fate::Kept, id_of(&there.document()));
                } else {
                    let row = with_free_id(rows, row)?;
                    rows.insert(&row)?;
                    merged.tell(at, Fate::New, id_of(&row));
                }
            }
        }
    }
    for (series, (places, mut candles)) in groups {
        let others = rows_beside(rows, &series, &candles)?;
        give_free_ids(rows, &series, &mut candles)?;
        let told = candles::insert_all(rows.store(), &series, &candles, &|moment| others.get(&moment).copied())?;
        for (at, (id, is_new)) in places.into_iter().zip(told) {
            merged.tell(at, if is_new { Fate::New } else { Fate::Kept }, Some(id));
        }
    }
    Ok(())
}

/// Gives candles that are not there yet another id where another candle has theirs.
fn give_free_ids(rows: &Rows<'_>, series: &Series, candles: &mut [(u64, Candle)]) -> Outcome<()> {
    let mut there = HashSet::new();
    if let Some(number) = series_number(rows.store(), series)? {
        let moments = candles.iter().map(|(moment, _)| *moment);
        let bounds = (moments.clone().min().unwrap_or(0), moments.max().unwrap_or(0) + 1);
        candles::walk(rows.store(), number, bounds, &mut |at, _, _| {
            there.insert(candles::moment_of(at));
            Ok(true)
        })?;
    }
    let mut new: Vec<_> =
        candles.iter_mut().filter(|(moment, _)| !there.contains(moment)).map(|(_, new)| new).collect();
    let taken = |id: ObjectId| Ok::<_, Failure>(rows.by_id(RawBsonRef::ObjectId(id))?.is_some());
    for run in new.chunk_by_mut(|a, b| follows(a.id, b.id)) {
        // Ids that follow each other were given by one process in one go, so where both ends are free, all are.
        if taken(run[0].id)? || taken(run[run.len() - 1].id)? {
            for candle in run {
                if taken(candle.id)? {
                    candle.id = ObjectId::new();
                }
            }
        }
    }
    Ok(())
}

/// Whether an id is the next one after another.
fn follows(first: ObjectId, next: ObjectId) -> bool {
    let number = |id: ObjectId| id.bytes().iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    number(first) + 1 == number(next)
}

/// The ids of a series' candles that are rows, by their moments, as far as candles of that chunk could meet them.
fn rows_beside(rows: &Rows<'_>, series: &Series, candles: &[(u64, Candle)]) -> Outcome<HashMap<u64, ObjectId>> {
    let moments = candles.iter().map(|(moment, _)| *moment);
    let (least, most) = (moments.clone().min().unwrap_or(0), moments.max().unwrap_or(0));
    let condition = "exchangeName = ? AND symbol = ? AND \"interval\" = ? AND \"timestamp\" BETWEEN ? AND ?";
    let values = [
        Value::Text(series.exchange.clone()),
        Value::Text(series.symbol.clone()),
        Value::Text(series.interval.clone()),
        Value::Real(series.timestamp(least)),
        Value::Real(series.timestamp(most)),
    ];
    let mut others = HashMap::new();
    rows.table.scan(rows.store(), condition, &values, "\"timestamp\"", &mut |row| {
        let timestamp = row.document.get("timestamp").ok().flatten().and_then(key::number);
        if let Some(moment) = timestamp.and_then(|timestamp| moment(timestamp, series.step())) {
            // One whose id is of another type stays as well.
            others.insert(moment, id_of(&row.document).unwrap_or_else(|| ObjectId::from_bytes([0; 12])));
        }
        Ok(true)
    })?;
    Ok(others)
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
