//! Rows of a collection, wherever they are: candles have places of their own besides their table.

use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::block::Series;
use super::candles::{self, Held};
use super::error::Outcome;
use super::key;
use super::query::Plan;
use super::table::{Row, Table, table};
use crate::mongo::table::CANDLES;

/// A row that was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is in the collection's table.
    Row(Row),
    /// It is a candle of a block or of the tail.
    Candle(Held),
}

/// Where a row is, for who comes back to it. Rows come in this order where no other is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// Among the candles.
    Candle(i64),
    /// In the table.
    Row(i64),
}

impl Found {
    /// Its document.
    #[must_use]
    pub fn document(&self) -> RawDocumentBuf {
        match self {
            Self::Row(row) => row.document.clone(),
            Self::Candle(held) => held.document(),
        }
    }

    /// The same, when nothing else is wanted any more.
    #[must_use]
    pub fn into_document(self) -> RawDocumentBuf {
        match self {
            Self::Row(row) => row.document,
            Self::Candle(held) => held.document(),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn spot(&self) -> Spot {
        match self {
            Self::Row(row) => Spot::Row(row.place),
            Self::Candle(held) => Spot::Candle(held.at),
        }
    }
}

/// The rows of one collection.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    store: &'a Connection,
    /// Its table.
    pub table: &'static Table,
    has_blocks: bool,
}

impl<'a> Rows<'a> {
    /// Of a collection by its number.
    #[must_use]
    pub fn new(store: &'a Connection, number: usize) -> Self {
        Self { store, table: table(number), has_blocks: number == CANDLES }
    }

    /// The connection.
    #[must_use]
    pub const fn store(&self) -> &'a Connection {
        self.store
    }

    /// The row that a key names, as [`crate::mongo::document::key`] makes it. Null is what absent is to a unique key, and not to
    /// who asks for what is absent.
    pub fn by_key(&self, asked: &RawDocument) -> Outcome<Option<Found>> {
        let found = self.named(asked, &key::asked(self.table.collection, asked))?;
        let absent = |row: &RawDocument| {
            let mut absent = asked.iter().flatten().filter(|(_, value)| matches!(value, RawBsonRef::Document(_)));
            absent.all(|(name, _)| matches!(row.get(name.as_str()), Ok(None)))
        };
        Ok(found.filter(|found| !matches!(found, Found::Row(row) if !absent(&row.document))))
    }

    /// The same, and what the maps hold for ever under a key, where one is given and it was looked at.
    pub fn by_key_noted(&self, asked: &RawDocument, noted: Option<&[u8]>) -> Outcome<Option<(Found, Option<Vec<u8>>)>> {
        match noted {
            // Such a key is all text, and nothing in it is absent.
            Some(noted) if !self.has_blocks => {
                let found = self.table.by_key_noted(self.store, &key::asked(self.table.collection, asked), noted)?;
                Ok(found.map(|(row, noted)| (Found::Row(row), noted)))
            }
            _ => Ok(self.by_key(asked)?.map(|found| (found, None))),
        }
    }

    /// The row that has the same key as a document.
    pub fn like(&self, document: &RawDocument) -> Outcome<Option<Found>> {
        self.named(document, &key::unique(self.table.collection, document))
    }

    fn named(&self, fields: &RawDocument, key: &[u8]) -> Outcome<Option<Found>> {
        if let Some(row) = self.table.by_key(self.store, key)? {
            return Ok(Some(Found::Row(row)));
        }
        if self.has_blocks {
            return Ok(candles::by_key(self.store, fields)?.map(Found::Candle));
        }
        Ok(None)
    }

    /// The row of an `_id`.
    pub fn by_id(&self, id: RawBsonRef<'_>) -> Outcome<Option<Found>> {
        if let Some(row) = self.table.by_id(self.store, id)? {
            return Ok(Some(Found::Row(row)));
        }
        match id {
            RawBsonRef::ObjectId(id) if self.has_blocks => {
                Ok(candles::by_id(self.store, id.bytes())?.map(Found::Candle))
            }
            _ => Ok(None),
        }
    }

    /// The row at a spot, if it is still there.
    pub fn at(&self, spot: Spot) -> Outcome<Option<Found>> {
        match spot {
            Spot::Candle(at) => Ok(candles::at(self.store, at)?.map(Found::Candle)),
            Spot::Row(place) => {
                Ok(self.table.at(self.store, place)?.map(|document| Found::Row(Row { place, document })))
            }
        }
    }

    /// Adds a row whose key and id are free.
    pub fn insert(&self, document: &RawDocument) -> Outcome<()> {
        if self.has_blocks
            && let Some((series, moment, candle)) = Series::fit(document)
        {
            return candles::insert(self.store, &series, moment, &candle);
        }
        self.table.insert(self.store, document).map(drop)
    }

    /// Puts a document in place of what was found. Its key and id are free, or those of what was found.
    pub fn replace(&self, found: &Found, document: &RawDocument) -> Outcome<()> {
        match found {
            Found::Row(row) => self.table.replace(self.store, row.place, document),
            Found::Candle(held) => {
                match Series::fit(document) {
                    Some((series, _, candle)) if series == held.series && candle.id == held.candle.id => {
                        let same = key::unique(self.table.collection, document)
                            == key::unique(self.table.collection, &held.document());
                        if same {
                            return candles::replace(self.store, held, &candle);
                        }
                    }
                    _ => {}
                }
                candles::remove(self.store, held)?;
                self.insert(document)
            }
        }
    }

    /// Takes a row away.
    pub fn remove(&self, found: &Found) -> Outcome<()> {
        match found {
            Found::Row(row) => self.table.delete(self.store, row.place),
            Found::Candle(held) => candles::remove(self.store, held),
        }
    }

    /// Goes through the rows that a plan leaves, from after a spot on, until `each` says `false`.
    pub fn scan(&self, plan: &Plan, after: Option<Spot>, each: &mut dyn FnMut(Found) -> Outcome<bool>) -> Outcome<()> {
        let mut goes_on = true;
        let in_table = matches!(after, Some(Spot::Row(_)));
        if self.has_blocks
            && !in_table
            && let Some(ids) = plan.ids()
        {
            let found = ids.into_iter().filter_map(|id| candles::by_id(self.store, id).transpose());
            let mut found = found.collect::<Outcome<Vec<_>>>()?;
            found.retain(|held| after.is_none_or(|after| Spot::Candle(held.at) > after));
            found.sort_by_key(|held| held.at);
            found.dedup_by_key(|held| held.at);
            for held in found {
                if !each(Found::Candle(held))? {
                    return Ok(());
                }
            }
        } else if self.has_blocks && !in_table {
            let (condition, values) = plan.sql(Some(&["exchangeName", "symbol", "interval"]));
            let from = match after {
                Some(Spot::Candle(at)) => Some(at),
                _ => None,
            };
            candles::scan(self.store, (&condition, &values), plan.bounds("timestamp"), from, &mut |held| {
                goes_on = each(Found::Candle(held))?;
                Ok(goes_on)
            })?;
        }
        if !goes_on {
            return Ok(());
        }
        let (mut condition, mut values) = self.condition(plan)?;
        if let Some(Spot::Row(place)) = after {
            condition.push_str(" AND n > ?");
            values.push(place.into());
        }
        self.table.scan(self.store, &condition, &values, "n", &mut |row| each(Found::Row(row)))
    }

    /// What must hold of the rows in the table.
    fn condition(&self, plan: &Plan) -> Outcome<(String, Vec<Value>)> {
        let (mut condition, values) = plan.sql(None);
        if !plan.is_empty() && self.table.has_odd(self.store)? {
            condition = format!("(({condition}) OR odd)");
        }
        Ok((condition, values))
    }

    /// The same in the order of a date, the newest first or last; see [`Rows::sorts_by_date`].
    pub fn scan_by_date(
        &self,
        plan: &Plan,
        (column, falling): (&str, bool),
        each: &mut dyn FnMut(Found) -> Outcome<bool>,
    ) -> Outcome<()> {
        let (condition, values) = self.condition(plan)?;
        let order = format!("{column}{}, n", if falling { " DESC" } else { "" });
        self.table.scan(self.store, &condition, &values, &order, &mut |row| each(Found::Row(row)))
    }

    /// Whether SQL knows the order of its dates: all rows are in its table, and none has something else for a date.
    pub fn sorts_by_date(&self) -> Outcome<bool> {
        Ok(!self.has_blocks && !self.table.has_odd(self.store)?)
    }
}
