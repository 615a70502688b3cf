//! Candles in bulk: chunks in, ranges and windows out.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::block::{Candle, Series, moment, step_of};
use super::candles::{self, series_number};
use super::error::Outcome;
use super::key;
use super::rows::Rows;
use crate::mongo::candle_window::{Found as Columned, Window};
use crate::mongo::candles::{Columns, Given, Place, Range, Written, documents, given};
use crate::mongo::document::{Millis, get};
use crate::mongo::table::CANDLES;
use crate::mongo::wire::Answer;

/// Candles of one series with their moments, and the places that they were given at.
type Group = (Vec<usize>, Vec<(u64, Candle)>);

fn id_of(document: &RawDocument) -> ObjectId {
    match document.get("_id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => id,
        _ => ObjectId::from_bytes([0; 12]),
    }
}

/// A candle of a chunk: what a block holds, or a document that it does not.
enum Sorted {
    Held(Series, u64, Candle),
    Row(RawDocumentBuf),
}

/// Takes a candle in columns; none where it is on no moment of the grid.
fn held(given: &Given<'_>, series: &Series, id: ObjectId, now: Millis) -> Option<(u64, Candle)> {
    let [timestamp, open, high, low, close, volume] = given.numbers;
    let moment = moment(timestamp, step_of(&series.interval)?)?;
    Some((moment, Candle { numbers: [open, high, low, close, volume], created: now, updated: now, id }))
}

/// The candles of a chunk.
fn sorted(chunk: &RawDocument, now: Millis) -> Outcome<Vec<Sorted>> {
    let whole = |document: RawDocumentBuf| match Series::fit(&document) {
        Some((series, moment, candle)) => Sorted::Held(series, moment, candle),
        None => Sorted::Row(document),
    };
    let Some(columns) = given(chunk)? else {
        return Ok(documents(chunk, now)?.into_iter().map(whole).collect());
    };
    columns
        .into_iter()
        .map(|given| {
            given.check()?;
            let id = ObjectId::new();
            let series = Series {
                exchange: given.exchange.to_owned(),
                symbol: given.symbol.to_owned(),
                interval: given.interval.to_owned(),
            };
            Ok(match held(&given, &series, id, now) {
                Some((moment, candle)) => Sorted::Held(series, moment, candle),
                None => whole(given.document(id, now)?),
            })
        })
        .collect()
}

/// Inserts the candles of a chunk that are not there yet; see the same of the driver. What is there stays as it is. A chunk with
/// `check` is only looked at.
pub fn insert(store: &Connection, chunk: &RawDocument, now: Millis) -> Outcome<Answer> {
    let sorted = sorted(chunk, now)?;
    if matches!(get(chunk, "check")?, Some(RawBsonRef::Boolean(true))) {
        return Ok(Answer::None);
    }
    let rows = Rows::new(store, CANDLES);
    let mut told: Vec<(ObjectId, bool)> = vec![(ObjectId::from_bytes([0; 12]), false); sorted.len()];
    let mut groups: BTreeMap<Series, Group> = BTreeMap::new();
    for (place, one) in sorted.into_iter().enumerate() {
        match one {
            Sorted::Held(series, moment, candle) => {
                let (places, candles) = groups.entry(series).or_default();
                places.push(place);
                candles.push((moment, candle));
            }
            Sorted::Row(document) => {
                told[place] = if let Some(there) = rows.like(&document)? {
                    (id_of(&there.document()), false)
                } else {
                    rows.insert(&document)?;
                    (id_of(&document), true)
                };
            }
        }
    }
    for (series, (places, candles)) in groups {
        let moments = candles.iter().map(|(moment, _)| *moment);
        let (least, most) = (moments.clone().min().unwrap_or(0), moments.max().unwrap_or(0));
        let mut others = HashMap::new();
        odd(&rows, &series, (least, most + 1), &mut |timestamp, document| {
            if let Some(moment) = moment(timestamp, series.step()) {
                others.insert(moment, id_of(&document));
            }
        })?;
        let outcomes = candles::insert_all(store, &series, &candles, &|moment| others.get(&moment).copied())?;
        for (place, outcome) in places.into_iter().zip(outcomes) {
            told[place] = outcome;
        }
    }
    let mut written = Written::new(told.len(), now);
    for (id, is_new) in told {
        if is_new { written.stored(id, true) } else { written.there(id, false) }
    }
    Ok(written.into_answer())
}

/// Candles that are rows, of a series and within moments, in the order of their timestamps.
fn odd(
    rows: &Rows<'_>,
    series: &Series,
    moments: (u64, u64),
    each: &mut dyn FnMut(f64, RawDocumentBuf),
) -> Outcome<()> {
    let (from, to) = (series.timestamp(moments.0), series.timestamp(moments.1));
    odd_between(rows, series, (from, to), each)
}

fn odd_between(
    rows: &Rows<'_>,
    series: &Series,
    (from, to): (f64, f64),
    each: &mut dyn FnMut(f64, RawDocumentBuf),
) -> Outcome<()> {
    let condition = "exchangeName = ? AND symbol = ? AND \"interval\" = ? AND \"timestamp\" >= ? AND \"timestamp\" < ?";
    let values = [
        Value::Text(series.exchange.clone()),
        Value::Text(series.symbol.clone()),
        Value::Text(series.interval.clone()),
        Value::Real(from),
        Value::Real(to),
    ];
    rows.table.scan(rows.store(), condition, &values, "\"timestamp\"", &mut |row| {
        if let Some(timestamp) = timestamp_of(&row.document) {
            each(timestamp, row.document);
        }
        Ok(true)
    })
}

fn timestamp_of(document: &RawDocument) -> Option<f64> {
    document.get("timestamp").ok().flatten().and_then(key::number)
}

/// A candle of a window.
enum Stands {
    Held(Candle),
    Row(RawDocumentBuf),
}

/// What stands in a series from one timestamp up to another, in order.
fn between(store: &Connection, series: &Series, (from, to): (f64, f64)) -> Outcome<Vec<(f64, Stands)>> {
    let rows = Rows::new(store, CANDLES);
    let mut all = Vec::new();
    odd_between(&rows, series, (from, to), &mut |timestamp, document| all.push((timestamp, Stands::Row(document))))?;
    let odd = all.len();
    if let Some(number) = series_number(store, series)? {
        let step = series.step();
        candles::walk(
            store,
            number,
            (candles::bound((from / step).ceil()), candles::bound((to / step).ceil())),
            &mut |at, candle, _| {
                all.push((series.timestamp(candles::moment_of(at)), Stands::Held(*candle)));
                Ok(true)
            },
        )?;
    }
    if odd > 0 {
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Ok(all)
}

fn series_of(filter: &RawDocument) -> Series {
    let text = |name| filter.get_str(name).unwrap_or_default().to_owned();
    Series { exchange: text("exchangeName"), symbol: text("symbol"), interval: text("interval") }
}

/// A range of candles in order, or nothing where one is missing.
pub fn range(store: &Connection, body: &RawDocument) -> Outcome<Answer> {
    let range = Range::new(body)?;
    let series = series_of(&range.filter);
    if range.limit == 0 {
        return Ok(Answer::Columns(Vec::new()));
    }
    let mut found: Vec<(f64, Stands)> = Vec::new();
    for (timestamp, stands) in between(store, &series, (range.since, range.end()))? {
        if found.len() >= range.limit as usize {
            break;
        }
        match range.place_at(timestamp, u32::try_from(found.len()).unwrap_or(u32::MAX)) {
            Place::Beside => {}
            Place::Gap => return Ok(Answer::None),
            Place::Next => found.push((timestamp, stands)),
        }
    }
    if found.len() < range.limit as usize {
        return Ok(Answer::None);
    }
    let mut columns = Columns::default();
    let fit = found.iter().all(|(_, stands)| match stands {
        Stands::Held(candle) => {
            columns.add(row_of(candle), candle.id);
            true
        }
        Stands::Row(document) => columns.push(document),
    });
    if fit {
        return Ok(Answer::Columns(columns.into_bytes()));
    }
    let mut bytes = Vec::new();
    for (timestamp, stands) in found {
        match stands {
            Stands::Held(candle) => bytes.extend_from_slice(document_at(&series, timestamp, &candle).as_bytes()),
            Stands::Row(document) => bytes.extend_from_slice(document.as_bytes()),
        }
    }
    Ok(Answer::Documents(bytes))
}

fn document_at(series: &Series, timestamp: f64, candle: &Candle) -> RawDocumentBuf {
    series.document(moment(timestamp, series.step()).unwrap_or_default(), candle)
}

/// Numbers of a candle as answers have them: open, high, low, close, volume, createDate, updatedDate.
#[allow(clippy::cast_precision_loss, reason = "JavaScript's dates are within 2^53")]
fn row_of(candle: &Candle) -> [f64; 7] {
    let [open, high, low, close, volume] = candle.numbers;
    [open, high, low, close, volume, candle.created as f64, candle.updated as f64]
}

/// What is there of a window of candles.
pub fn window(store: &Connection, body: &RawDocument) -> Outcome<Answer> {
    let window = Window::new(body)?;
    let mut found = Columned::default();
    if window.limit > 0 {
        let series = series_of(&window.filter);
        for (timestamp, stands) in between(store, &series, window.bounds())? {
            if !window.asks(timestamp) {
                continue;
            }
            match stands {
                Stands::Held(candle) => found.add(&window, timestamp, row_of(&candle), candle.id),
                Stands::Row(document) => found.push(&window, &document),
            }
        }
    }
    let (count, bytes) = found.into_bytes();
    Ok(Answer::Window(count, bytes))
}
