//! The keys of candles' ids in the namespace of the cache service. They are written in the transaction that writes the candle,
//! where a request asks for them: see `CC_CANDLE_IDS`.

use std::sync::LazyLock;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::Connection;

use super::candle_ids::id_of;
use super::error::{Outcome, damaged};
use super::maps;
use crate::mongo::document::get;
use crate::services::context::{Part, Shape, match_row};
use crate::services::table::{Entry, entries};

/// A part of a key, as the cache service takes it from a row.
#[derive(Clone, Copy)]
enum Field<'a> {
    Text(&'a str),
    Number(f64),
    Missing,
}

impl Part for Field<'_> {
    fn shape(&self) -> Shape {
        match self {
            Self::Text(_) => Shape::Text,
            Self::Number(number) => Shape::Number(*number),
            Self::Missing => Shape::Missing("undefined"),
        }
    }

    fn truthy(&self) -> bool {
        true
    }

    fn push_text(&self, out: &mut Vec<u8>) -> crate::error::Result<()> {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Number(number) => out.extend_from_slice(ryu_js::Buffer::new().format(*number).as_bytes()),
            Self::Missing => {}
        }
        Ok(())
    }
}

static CANDLE: LazyLock<Option<Entry>> =
    LazyLock::new(|| entries().into_iter().find(|entry| entry.service.name == "candleCacheService"));

/// Writes the key of a candle's id.
pub fn note(
    store: &Connection,
    (symbol, interval, exchange): (&str, &str, &str),
    timestamp: f64,
    id: ObjectId,
) -> Outcome<()> {
    let entry = CANDLE.as_ref().ok_or_else(|| damaged("there is no service for ids of candles"))?;
    let fields: Vec<_> = entry
        .fields
        .iter()
        .map(|field| match field.name {
            "symbol" => Field::Text(symbol),
            "interval" => Field::Text(interval),
            "exchangeName" => Field::Text(exchange),
            "timestamp" => Field::Number(timestamp),
            _ => Field::Missing,
        })
        .collect();
    let mut key = Vec::new();
    match_row(entry, &fields, &mut key)?;
    maps::run(store, &maps::Ask::SetId(key, id.to_hex().into_bytes()), 0).map(drop)
}

/// The same of a candle's document. One that names no candle has no key.
pub fn note_row(store: &Connection, candle: &RawDocument) -> Outcome<()> {
    let text = |name: &str| candle.get_str(name).ok();
    let timestamp = match candle.get("timestamp") {
        Ok(Some(RawBsonRef::Int32(n))) => Some(f64::from(n)),
        Ok(Some(RawBsonRef::Double(n))) => Some(n),
        _ => None,
    };
    match (text("symbol"), text("interval"), text("exchangeName"), timestamp, id_of(candle)) {
        (Some(symbol), Some(interval), Some(exchange), Some(timestamp), Some(id)) => {
            note(store, (symbol, interval, exchange), timestamp, id)
        }
        _ => Ok(()),
    }
}

/// Whether a request asks for the keys of its candles.
pub fn are_asked_for(request: &RawDocument) -> Outcome<bool> {
    Ok(matches!(get(request, "keys")?, Some(RawBsonRef::Boolean(true))))
}
