//! A candle's id by what names it, for the cache service: a second table of ids would only cost.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;

use super::error::Outcome;
use super::rows::{Found, Rows};
use crate::mongo::cast::number;
use crate::mongo::document::key_name;
use crate::mongo::table::CANDLES;

/// What names a candle, in the order of the calls: symbol, interval, exchange, timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The symbol.
    pub symbol: String,
    /// The interval.
    pub interval: String,
    /// The exchange.
    pub exchange: String,
    /// The timestamp, as text.
    pub timestamp: String,
}

impl Named {
    /// Bytes that it takes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.symbol.len() + self.interval.len() + self.exchange.len() + self.timestamp.len()
    }

    fn document(&self) -> Option<RawDocumentBuf> {
        let timestamp = self.timestamp.trim().parse::<f64>().ok()?;
        let mut document = RawDocumentBuf::new();
        for (name, text) in [("exchangeName", &self.exchange), ("symbol", &self.symbol), ("interval", &self.interval)] {
            document.append(key_name(name).ok()?, text.as_str());
        }
        document.append(mongodb::bson::raw::cstr!("timestamp"), number(timestamp));
        Some(document)
    }
}

/// The id of the candle that is named.
pub fn find(store: &Connection, named: &Named) -> Outcome<Option<ObjectId>> {
    let Some(key) = named.document() else { return Ok(None) };
    Ok(Rows::new(store, CANDLES).like(&key)?.and_then(|found| match found {
        Found::Candle(held) => Some(held.candle.id),
        Found::Row(row) => id_of(&row.document),
    }))
}

/// The `_id` of a candle's document, where it is one that a cache can name.
#[must_use]
pub fn id_of(document: &RawDocument) -> Option<ObjectId> {
    match document.get("_id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => Some(id),
        _ => None,
    }
}
