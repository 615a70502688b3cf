//! Candles in blocks: up to 1,024 moments of one exchange, symbol and interval, in columns.
//!
//! A row of MongoDB costs some 250 bytes; here a candle costs its five numbers and a little. Which moments are there is a
//! bitmap; only those have numbers. Ids and dates are runs, because candles that were written together have the same dates
//! and ids that follow each other.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, RawDocument, RawDocumentBuf};

use crate::mongo::candles::whole;
use crate::mongo::cast::number;
use crate::mongo::document::{INTERVALS, Millis};

/// Moments of a block.
pub const SLOTS: u16 = 1_024;
/// The moments that there are of any interval: more than a hundred thousand years of minutes. What is beyond is no moment.
const MOST: f64 = 1e12;
/// Numbers of a candle: open, high, low, close, volume.
pub const NUMBERS: usize = 5;
pub(super) const BITMAP: usize = SLOTS as usize / 8;
/// The first byte of a block: how it is laid out.
pub(super) const LAYOUT: u8 = 1;

/// What names the candles of a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub symbol: String,
    /// The interval; one of [`INTERVALS`].
    pub interval: String,
}

/// Milliseconds of an interval's step; none where it is unknown.
#[must_use]
pub fn step_of(interval: &str) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a day")]
    INTERVALS.iter().find(|(known, _)| *known == interval).map(|(_, step)| *step as f64)
}

/// The moment of a timestamp, counted from 1970; none where it is on no moment of the grid.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: whole, and within bounds")]
pub fn moment(timestamp: f64, step: f64) -> Option<u64> {
    let moment = timestamp / step;
    let fits = moment.fract() == 0.0 && (0.0..MOST).contains(&moment) && !moment.is_sign_negative();
    (fits && (moment * step).to_bits() == timestamp.to_bits()).then_some(moment as u64)
}

impl Series {
    /// Milliseconds from one moment to the next.
    #[must_use]
    pub fn step(&self) -> f64 {
        step_of(&self.interval).unwrap_or(1.0)
    }

    /// The timestamp of a moment.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    pub fn timestamp(&self, moment: u64) -> f64 {
        moment as f64 * self.step()
    }

    /// The document of a candle, exactly as it was written.
    #[must_use]
    pub fn document(&self, moment: u64, candle: &Candle) -> RawDocumentBuf {
        let [open, high, low, close, volume] = candle.numbers;
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), candle.id);
        document.append(cstr!("exchangeName"), self.exchange.as_str());
        document.append(cstr!("interval"), self.interval.as_str());
        document.append(cstr!("symbol"), self.symbol.as_str());
        document.append(cstr!("timestamp"), number(self.timestamp(moment)));
        document.append(cstr!("__v"), 0_i32);
        document.append(cstr!("close"), number(close));
        document.append(cstr!("createDate"), DateTime::from_millis(candle.created));
        document.append(cstr!("high"), number(high));
        document.append(cstr!("low"), number(low));
        document.append(cstr!("open"), number(open));
        document.append(cstr!("updatedDate"), DateTime::from_millis(candle.updated));
        document.append(cstr!("volume"), number(volume));
        document
    }

    /// The series, moment and candle of a document that a block holds exactly; none where it does not.
    #[must_use]
    pub fn fit(document: &RawDocument) -> Option<(Self, u64, Candle)> {
        let (row, id) = whole(document)?;
        let text = |name| document.get_str(name).ok().map(ToOwned::to_owned);
        let series = Self { exchange: text("exchangeName")?, symbol: text("symbol")?, interval: text("interval")? };
        let timestamp = match document.get("timestamp").ok()?? {
            mongodb::bson::RawBsonRef::Int32(n) => f64::from(n),
            mongodb::bson::RawBsonRef::Double(n) => n,
            _ => return None,
        };
        let moment = moment(timestamp, step_of(&series.interval)?)?;
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a date, which came from whole ones")]
        let candle = Candle {
            numbers: [row[0], row[1], row[2], row[3], row[4]],
            created: row[5] as Millis,
            updated: row[6] as Millis,
            id,
        };
        // Whatever the types of its numbers and the size of its dates: only what comes out as it went in.
        (series.document(moment, &candle).as_bytes() == document.as_bytes()).then_some((series, moment, candle))
    }
}

/// A candle of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// Open, high, low, close, volume.
    pub numbers: [f64; NUMBERS],
    /// `createDate`, in milliseconds since 1970.
    pub created: Millis,
    /// `updatedDate`, likewise.
    pub updated: Millis,
    /// `_id`
    pub id: ObjectId,
}

/// Ids that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The first.
    pub first: [u8; 12],
    /// How many.
    pub count: u16,
}

/// The counter of an id: its last three bytes.
fn counter(id: [u8; 12]) -> u32 {
    u32::from_be_bytes([0, id[9], id[10], id[11]])
}

impl Ids {
    /// The id that is so many after the first.
    #[must_use]
    pub fn nth(&self, place: u16) -> [u8; 12] {
        let mut id = self.first;
        let [_, a, b, c] = (counter(id) + u32::from(place)).to_be_bytes();
        id[9..].copy_from_slice(&[a, b, c]);
        id
    }

    /// Whether this id is one of them.
    #[must_use]
    pub fn has(&self, id: [u8; 12]) -> bool {
        id[..9] == self.first[..9]
            && (0..u32::from(self.count)).contains(&counter(id).wrapping_sub(counter(self.first)))
    }

    /// Whether this id is the next one. A counter that begins anew begins another run.
    fn takes(&self, id: [u8; 12]) -> bool {
        id[..9] == self.first[..9]
            && counter(self.first) + u32::from(self.count) < 1 << 24
            && counter(id) == counter(self.first) + u32::from(self.count)
    }
}

/// A block, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// Slots and what stands in them, in their order.
    candles: Vec<(u16, Candle)>,
}

impl Block {
    /// Of candles in the order of their slots.
    #[must_use]
    pub const fn of(candles: Vec<(u16, Candle)>) -> Self {
        Self { candles }
    }

    /// What stands in it, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Candle)> {
        self.candles.iter().map(|(slot, candle)| (*slot, candle))
    }

    /// How many candles.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.candles.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.candles.is_empty()
    }

    /// What stands in a slot.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<&Candle> {
        self.place(slot).ok().map(|at| &self.candles[at].1)
    }

    fn place(&self, slot: u16) -> Result<usize, usize> {
        self.candles.binary_search_by_key(&slot, |(slot, _)| *slot)
    }

    /// Puts a candle into a slot that is empty; `false` where it is not.
    pub fn insert(&mut self, slot: u16, candle: Candle) -> bool {
        let place = self.place(slot);
        if let Err(at) = place {
            self.candles.insert(at, (slot, candle));
        }
        place.is_err()
    }

    /// Adds candles whose slots are empty, in the order of their slots.
    pub fn add(&mut self, candles: Vec<(u16, Candle)>) {
        let follow = match (self.candles.last(), candles.first()) {
            (Some((last, _)), Some((first, _))) => last < first,
            _ => true,
        };
        self.candles.extend(candles);
        if !follow {
            self.candles.sort_by_key(|(slot, _)| *slot);
        }
    }

    /// Takes a candle out.
    pub fn remove(&mut self, slot: u16) -> Option<Candle> {
        self.place(slot).ok().map(|at| self.candles.remove(at).1)
    }

    /// Its ids, as runs.
    #[must_use]
    pub fn ids(&self) -> Vec<Ids> {
        let mut runs: Vec<Ids> = Vec::new();
        for (_, candle) in &self.candles {
            let id = candle.id.bytes();
            match runs.last_mut() {
                Some(run) if run.takes(id) => run.count += 1,
                _ => runs.push(Ids { first: id, count: 1 }),
            }
        }
        runs
    }

    /// As it is stored, for [`super::block_view::View`]: layout, bitmap, columns, runs of ids, runs of dates.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + BITMAP + self.len() * (NUMBERS * 8 + 1) + 64);
        out.push(LAYOUT);
        let mut bitmap = [0_u8; BITMAP];
        for (slot, _) in &self.candles {
            bitmap[usize::from(slot / 8)] |= 1 << (slot % 8);
        }
        out.extend_from_slice(&bitmap);
        for column in 0..NUMBERS {
            for (_, candle) in &self.candles {
                out.extend_from_slice(&candle.numbers[column].to_le_bytes());
            }
        }
        let ids = self.ids();
        out.extend_from_slice(&u16::try_from(ids.len()).unwrap_or(u16::MAX).to_le_bytes());
        for run in ids {
            out.extend_from_slice(&run.first);
            out.extend_from_slice(&run.count.to_le_bytes());
        }
        let mut dates: Vec<(Millis, Millis, u16)> = Vec::new();
        for (_, candle) in &self.candles {
            match dates.last_mut() {
                Some((created, updated, count)) if (*created, *updated) == (candle.created, candle.updated) => {
                    *count += 1;
                }
                _ => dates.push((candle.created, candle.updated, 1)),
            }
        }
        for (created, updated, count) in dates {
            out.extend_from_slice(&created.to_le_bytes());
            out.extend_from_slice(&updated.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mongodb::bson::{RawBson, rawdoc};
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;
    use crate::mongo::candles::collection;
    use crate::mongo::document::new_candle;
    use crate::store::block_view::View;
    use crate::store::error::Outcome;

    fn decode(bytes: &[u8]) -> Outcome<Block> {
        View::of(bytes).map(View::block)
    }

    fn candle(id: u32, number: f64, date: Millis) -> Candle {
        let mut bytes = [9; 12];
        bytes[8..].copy_from_slice(&id.to_be_bytes());
        Candle {
            numbers: [number, 1.0, -0.0, 0.1, f64::MAX],
            created: date,
            updated: date + 1,
            id: ObjectId::from_bytes(bytes),
        }
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_it_was_written(
            steps in prop::collection::vec((0_u16..1_024, any::<u32>(), 0_i64..3, any::<bool>()), 0..200),
            first in prop_oneof![Just(0_u32), Just(0x00FF_FFF0), any::<u32>()],
        ) {
            let (mut block, mut model) = (Block::default(), BTreeMap::new());
            for (place, (slot, id, date, follows)) in steps.into_iter().enumerate() {
                if id % 5 == 0 {
                    prop_assert_eq!(block.remove(slot), model.remove(&slot));
                    continue;
                }
                let id = if follows { first.wrapping_add(u32::try_from(place).unwrap()) } else { id };
                let candle = candle(id, f64::from(id), date);
                prop_assert_eq!(block.insert(slot, candle), !model.contains_key(&slot));
                model.entry(slot).or_insert(candle);
            }
            let read = decode(&block.encode()).unwrap();
            prop_assert_eq!(&read, &block);
            prop_assert_eq!(read.iter().map(|(slot, candle)| (slot, *candle)).collect::<BTreeMap<_, _>>(), model.clone());
            for (slot, candle) in model {
                let id = candle.id.bytes();
                prop_assert!(read.ids().iter().any(|run| run.has(id)));
                prop_assert!(read.get(slot).is_some());
            }
            prop_assert_eq!(read.ids().iter().map(|run| usize::from(run.count)).sum::<usize>(), read.len());
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&bytes);
            let mut laid_out = vec![LAYOUT];
            laid_out.extend(bytes);
            let _ = decode(&laid_out);
        }
    }

    #[test]
    fn a_block_that_ends_too_early_is_damaged() {
        let mut block = Block::default();
        block.insert(3, candle(1, 1.0, 1));
        let bytes = block.encode();
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]).unwrap_err().error.code, Code::StoreCorrupt, "{length}");
        }
    }

    #[test]
    fn a_full_block_of_candles_that_were_written_together_costs_41_bytes_each() {
        let mut block = Block::default();
        for slot in 0..1_024 {
            block.insert(slot, candle(u32::from(slot), 1.0, 5));
        }
        assert!(block.encode().len() <= 1_024 * 41, "{}", block.encode().len());
    }

    #[test]
    fn a_candle_becomes_the_document_that_it_was() {
        for value in [RawBson::Int32(7), RawBson::Double(1.5), RawBson::Double(-0.0), RawBson::Double(f64::INFINITY)] {
            let dto = rawdoc! {
                "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": 1_767_225_600_000.0,
                "open": value.clone(), "high": 2, "low": 1, "close": 1.75, "volume": 0
            };
            let document = new_candle(collection(), &dto, ObjectId::new(), 7).unwrap();
            let (series, moment, candle) = Series::fit(&document).unwrap();
            assert_eq!(series.document(moment, &candle), document);
        }
    }

    #[test]
    fn what_a_block_does_not_hold_exactly_does_not_fit() {
        let fits = |name: &str, value: RawBson| {
            let mut dto = rawdoc! {
                "_id": ObjectId::new(), "exchangeName": "e", "interval": "1m", "symbol": "S", "timestamp": 60_000, "__v": 0,
                "close": 1, "createDate": DateTime::from_millis(1), "high": 1, "low": 1, "open": 1,
                "updatedDate": DateTime::from_millis(1), "volume": 1
            };
            if name == "more" {
                dto.append(cstr!("more"), 1);
            } else {
                let mut changed = RawDocumentBuf::new();
                for (key, old) in dto.iter().flatten() {
                    changed.append(key, if key.as_str() == name { value.clone() } else { RawBson::from(old) });
                }
                dto = changed;
            }
            Series::fit(&dto).is_some()
        };
        assert!(fits("close", RawBson::Int32(1)));
        assert!(fits("createDate", RawBson::DateTime(DateTime::from_millis(-5))));
        for (name, value) in [
            ("close", RawBson::Double(1.0)),
            ("close", RawBson::Int64(1)),
            ("timestamp", RawBson::Int32(60_001)),
            ("timestamp", RawBson::Int32(-60_000)),
            ("timestamp", RawBson::Double(60_000.0)),
            ("timestamp", RawBson::Double(1e300)),
            ("interval", RawBson::String("7m".into())),
            // No double is this number.
            ("createDate", RawBson::DateTime(DateTime::from_millis(9_007_199_254_740_993))),
            ("__v", RawBson::Int32(1)),
            ("more", RawBson::Null),
        ] {
            assert!(!fits(name, value.clone()), "{name}: {value:?}");
        }
    }
}
