//! A block of candles as it is stored, read without taking it apart.
//!
//! Whoever looks for one candle, or copies all of them into columns, needs no list of them. What a block says of itself is
//! checked once, so that reading it cannot fail.

use mongodb::bson::oid::ObjectId;

use super::block::{BITMAP, Block, Candle, Ids, LAYOUT, NUMBERS, SLOTS};
use super::error::{Outcome, damaged};
use crate::mongo::document::Millis;

/// Bytes of a run of ids: the first, and how many.
const ID_RUN: usize = 12 + 2;
/// Bytes of a run of dates: created, updated, how many.
const DATE_RUN: usize = 8 + 8 + 2;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    bitmap: &'a [u8],
    /// How many candles.
    count: usize,
    /// A column after the other.
    numbers: &'a [u8],
    ids: &'a [[u8; ID_RUN]],
    dates: &'a [[u8; DATE_RUN]],
}

/// The last two bytes of a run: how many.
fn length<const N: usize>(run: &[u8; N]) -> u16 {
    u16::from_le_bytes([run[N - 2], run[N - 1]])
}

fn ids_of(run: &[u8; ID_RUN]) -> Ids {
    let mut first = [0; 12];
    first.copy_from_slice(&run[..12]);
    Ids { first, count: length(run) }
}

fn dates_of(run: &[u8; DATE_RUN]) -> (Millis, Millis) {
    let (numbers, _) = run.as_chunks::<8>();
    (Millis::from_le_bytes(numbers[0]), Millis::from_le_bytes(numbers[1]))
}

impl<'a> View<'a> {
    /// Of what [`super::block::Block::encode`] has written.
    pub fn of(bytes: &'a [u8]) -> Outcome<Self> {
        let short = || damaged("a block of candles ends too early");
        let (layout, bytes) = bytes.split_first().ok_or_else(short)?;
        if *layout != LAYOUT {
            return Err(damaged("a block of candles is of another layout"));
        }
        let (bitmap, bytes) = bytes.split_at_checked(BITMAP).ok_or_else(short)?;
        let count = bitmap.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
        let (numbers, bytes) = bytes.split_at_checked(count * NUMBERS * 8).ok_or_else(short)?;
        let (runs, bytes) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
        let runs = usize::from(u16::from_le_bytes(*runs));
        let (ids, bytes) = bytes.split_at_checked(runs * ID_RUN).ok_or_else(short)?;
        let (ids, _) = ids.as_chunks::<ID_RUN>();
        let (dates, rest) = bytes.as_chunks::<DATE_RUN>();
        if !rest.is_empty() {
            return Err(short());
        }
        if ids.iter().map(|run| usize::from(length(run))).sum::<usize>() != count {
            return Err(damaged("a block has not as many ids as candles"));
        }
        if dates.iter().map(|run| usize::from(length(run))).sum::<usize>() != count {
            return Err(damaged("a block has not as many dates as candles"));
        }
        Ok(Self { bitmap, count, numbers, ids, dates })
    }

    /// How many candles.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Which slots have candles: the lowest bit of the first byte is that of the first slot.
    #[must_use]
    pub const fn bitmap(&self) -> &'a [u8] {
        self.bitmap
    }

    /// The numbers of a column, of its candles in their order.
    #[must_use]
    pub fn column(&self, column: usize) -> &'a [[u8; 8]] {
        let bytes = self.count * 8;
        self.numbers[column * bytes..(column + 1) * bytes].as_chunks::<8>().0
    }

    /// The slots that have candles, in their order.
    pub fn slots(&self) -> impl Iterator<Item = u16> + use<'a> {
        let bitmap = self.bitmap;
        (0..SLOTS).filter(move |slot| bitmap[usize::from(slot / 8)] & (1 << (slot % 8)) != 0)
    }

    /// The ids, in the order of the candles.
    pub fn ids(&self) -> impl Iterator<Item = [u8; 12]> + use<'a> {
        self.ids.iter().map(ids_of).flat_map(|run| (0..run.count).map(move |place| run.nth(place)))
    }

    /// The runs of ids.
    pub fn id_runs(&self) -> impl Iterator<Item = Ids> + use<'a> {
        self.ids.iter().map(ids_of)
    }

    /// When each was created and updated, in the order of the candles.
    pub fn dates(&self) -> impl Iterator<Item = (Millis, Millis)> + use<'a> {
        self.dates.iter().flat_map(|run| std::iter::repeat_n(dates_of(run), usize::from(length(run))))
    }

    /// The place of a slot's candle among the candles, where there is one.
    fn place(&self, slot: u16) -> Option<usize> {
        let (byte, bit) = (usize::from(slot / 8), 1_u8 << (slot % 8));
        if self.bitmap.get(byte)? & bit == 0 {
            return None;
        }
        let before: u32 = self.bitmap[..byte].iter().map(|byte| byte.count_ones()).sum();
        Some((before + (self.bitmap[byte] & (bit - 1)).count_ones()) as usize)
    }

    /// The id of a slot's candle.
    #[must_use]
    pub fn id(&self, slot: u16) -> Option<ObjectId> {
        let mut place = self.place(slot)?;
        for run in self.id_runs() {
            match u16::try_from(place) {
                Ok(within) if within < run.count => return Some(ObjectId::from_bytes(run.nth(within))),
                _ => place -= usize::from(run.count),
            }
        }
        None
    }

    /// What stands in a slot.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<Candle> {
        let place = self.place(slot)?;
        let mut before = 0;
        let run = self.dates.iter().find(|run| {
            before += usize::from(length(run));
            before > place
        })?;
        let (created, updated) = dates_of(run);
        let numbers = std::array::from_fn(|column| f64::from_le_bytes(self.column(column)[place]));
        Some(Candle { numbers, created, updated, id: self.id(slot)? })
    }

    /// The slot that has an id.
    #[must_use]
    pub fn slot_of(&self, id: [u8; 12]) -> Option<u16> {
        self.slots().zip(self.ids()).find(|(_, own)| *own == id).map(|(slot, _)| slot)
    }

    /// All that stands in it, by slot.
    pub fn candles(self) -> impl Iterator<Item = (u16, Candle)> + use<'a> {
        let columns: [_; NUMBERS] = std::array::from_fn(|column| self.column(column));
        let others = self.ids().zip(self.dates());
        self.slots().zip(others).enumerate().map(move |(place, (slot, (id, (created, updated))))| {
            let numbers = std::array::from_fn(|column: usize| f64::from_le_bytes(columns[column][place]));
            (slot, Candle { numbers, created, updated, id: ObjectId::from_bytes(id) })
        })
    }

    /// The block, taken apart.
    #[must_use]
    pub fn block(self) -> Block {
        // More come into it, mostly.
        let mut candles = Vec::with_capacity(usize::from(SLOTS));
        candles.extend(self.candles());
        Block::of(candles)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_candle_of_a_block_is_found_by_its_slot_and_by_its_id(
            all in prop::collection::btree_map(0_u16..1_024, (any::<u8>(), 0_i64..3), 0..80),
        ) {
            let mut block = Block::default();
            for (place, (slot, (prefix, date))) in all.iter().enumerate() {
                // Ids that follow each other, and others between them.
                let mut id = [prefix / 200; 12];
                id[11] = u8::try_from(place).unwrap();
                let numbers = [f64::from(*slot), 1.0, -0.0, f64::MAX, f64::from(*prefix)];
                block.insert(*slot, Candle { numbers, created: *date, updated: -date, id: ObjectId::from_bytes(id) });
            }
            let bytes = block.encode();
            let view = View::of(&bytes).unwrap();
            prop_assert_eq!(view.len(), block.len());
            prop_assert_eq!(view.id_runs().collect::<Vec<_>>(), block.ids());
            for slot in 0..SLOTS {
                let expected = block.get(slot).copied();
                prop_assert_eq!(view.get(slot), expected);
                prop_assert_eq!(view.id(slot), expected.map(|candle| candle.id));
                if let Some(candle) = expected {
                    prop_assert_eq!(view.slot_of(candle.id.bytes()), Some(slot));
                }
            }
            prop_assert_eq!(view.slot_of([7; 12]), None);
        }
    }
}
