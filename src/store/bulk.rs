//! Candles in bulk: chunks in, ranges and windows out.

use std::collections::HashMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::block::{Candle, Series, moment, step_of};
use super::candles::{self, series_number};
use super::error::Outcome;
use super::key;
use super::rows::{Found, Rows};
use super::{candle_ids, candle_keys};
use crate::mongo::candle_window::{Found as Columned, Window};
use crate::mongo::candles::{Columns, Given, Place, Range, Written, check, documents, malformed};
use crate::mongo::document::{Millis, get};
use crate::mongo::table::CANDLES;
use crate::mongo::wire::Answer;

/// Candles of one series that fit into blocks, and where each stands in its chunk.
#[derive(Default)]
struct Group {
    places: Vec<usize>,
    candles: Vec<(u64, Candle)>,
}

impl Group {
    fn add(&mut self, place: usize, moment: u64, candle: Candle) {
        self.places.push(place);
        self.candles.push((moment, candle));
    }
}

/// The candles of a chunk: what blocks hold, by its series, and documents that they do not, each with its place.
#[derive(Default)]
struct Sorted {
    count: usize,
    groups: Vec<(Series, Group)>,
    rows: Vec<(usize, RawDocumentBuf)>,
}

impl Sorted {
    fn group(&mut self, series: Series) -> &mut Group {
        // A chunk has few series, and mostly one.
        let found = self.groups.iter().position(|(known, _)| *known == series);
        let at = found.unwrap_or_else(|| {
            self.groups.push((series, Group::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }

    fn document(&mut self, place: usize, document: RawDocumentBuf) {
        match Series::fit(&document) {
            Some((series, moment, candle)) => self.group(series).add(place, moment, candle),
            None => self.rows.push((place, document)),
        }
    }

    fn of(chunk: &RawDocument, now: Millis) -> Outcome<Self> {
        let mut sorted = Self::default();
        let Some(columns) = Given::of(chunk)? else {
            for (place, document) in documents(chunk, now)?.into_iter().enumerate() {
                sorted.document(place, document);
            }
            sorted.count = sorted.rows.len() + sorted.groups.iter().map(|(_, group)| group.places.len()).sum::<usize>();
            return Ok(sorted);
        };
        sorted.count = columns.len();
        let mut groups = Vec::with_capacity(columns.names().len());
        for [symbol, interval, exchange] in columns.names() {
            let series = Series {
                exchange: (*exchange).to_owned(),
                symbol: (*symbol).to_owned(),
                interval: (*interval).to_owned(),
            };
            groups.push((step_of(interval), series, Group::default()));
        }
        for place in 0..columns.len() {
            let which = columns.which(place);
            let numbers = columns.numbers(place);
            check(&numbers)?;
            let [timestamp, open, high, low, close, volume] = numbers;
            let id = ObjectId::new();
            let (step, _, group) = groups.get_mut(which).ok_or_else(malformed)?;
            match step.and_then(|step| moment(timestamp, step)) {
                Some(moment) => {
                    let numbers = [open, high, low, close, volume];
                    group.add(place, moment, Candle { numbers, created: now, updated: now, id });
                }
                None => sorted.document(place, columns.document(place, id, now)?),
            }
        }
        for (_, series, group) in groups {
            if !group.places.is_empty() {
                let known = sorted.group(series);
                known.places.extend(group.places);
                known.candles.extend(group.candles);
            }
        }
        Ok(sorted)
    }
}

/// Inserts the candles of a chunk that are not there yet; see the same of the driver. What is there stays as it is. A chunk with
/// `check` is only looked at; with `keys`, the keys of its ids are written too.
pub fn insert(store: &Connection, chunk: &RawDocument, now: Millis) -> Outcome<Answer> {
    let sorted = Sorted::of(chunk, now)?;
    if matches!(get(chunk, "check")?, Some(RawBsonRef::Boolean(true))) {
        return Ok(Answer::None);
    }
    let keys = candle_keys::are_asked_for(chunk)?;
    let rows = Rows::new(store, CANDLES);
    let none = ObjectId::from_bytes([0; 12]);
    let mut told: Vec<(ObjectId, bool)> = vec![(none, false); sorted.count];
    for (place, document) in sorted.rows {
        let there = rows.like(&document)?.map(Found::into_document);
        if there.is_none() {
            rows.insert(&document)?;
        }
        let stands = there.as_ref().unwrap_or(&document);
        told[place] = (candle_ids::id_of(stands).unwrap_or(none), there.is_none());
        if keys {
            candle_keys::note_row(store, stands)?;
        }
    }
    for (series, Group { places, candles }) in sorted.groups {
        let moments = candles.iter().map(|(moment, _)| *moment);
        let (least, most) = (moments.clone().min().unwrap_or(0), moments.max().unwrap_or(0));
        let mut others = HashMap::new();
        let bounds = (series.timestamp(least), series.timestamp(most + 1));
        odd_between(&rows, &series, bounds, &mut |timestamp, document| {
            if let Some(moment) = moment(timestamp, series.step()) {
                others.insert(moment, candle_ids::id_of(&document).unwrap_or(none));
            }
        })?;
        let outcomes = candles::insert_all(store, &series, &candles, &|moment| others.get(&moment).copied())?;
        for ((place, (moment, _)), outcome) in places.into_iter().zip(&candles).zip(outcomes) {
            told[place] = outcome;
            if keys {
                let names = (series.symbol.as_str(), series.interval.as_str(), series.exchange.as_str());
                candle_keys::note(store, names, series.timestamp(*moment), outcome.0)?;
            }
        }
    }
    let mut written = Written::new(told.len(), now);
    for (id, is_new) in told {
        if is_new { written.stored(id, true) } else { written.there(id, false) }
    }
    Ok(written.into_answer())
}

/// Candles that are rows, of a series and within timestamps, in their order.
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
