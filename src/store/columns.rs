//! Candles in columns, filled on the JavaScript thread: a block as the candle cache holds it, in one piece of 1,024 slots; and a
//! window of any length, as a caller gets it.
//!
//! Of a block there is first the bitmap of the slots that have candles, then open, high, low, close and volume; where rows are
//! asked for, then `createDate`, `updatedDate`, and twelve bytes of id for each slot. js/candles/spot.js reads them.

use std::cell::RefCell;
use std::ops::Range;

use rusqlite::{Connection, params};

use super::block::{BITMAP, Candle, NUMBERS, SLOTS, Series};
use super::block_view::View;
use super::candles;
use super::error::Outcome;
use crate::mongo::document::Millis;

const COLUMN: usize = SLOTS as usize * 8;
const DATES: usize = BITMAP + NUMBERS * COLUMN;
const IDS: usize = DATES + 2 * COLUMN;

/// Bytes of the columns, without and with what rows have besides.
#[must_use]
pub const fn size(rows: bool) -> usize {
    if rows { IDS + SLOTS as usize * 12 } else { DATES }
}

#[allow(clippy::cast_precision_loss, reason = "JavaScript's dates are within 2^53")]
const fn date(millis: Millis) -> [u8; 8] {
    (millis as f64).to_le_bytes()
}

/// Columns that are being filled.
struct Columns<'a> {
    bytes: &'a mut [u8],
    rows: bool,
}

impl Columns<'_> {
    fn column(&mut self, column: usize) -> &mut [[u8; 8]] {
        let from = BITMAP + column * COLUMN;
        self.bytes[from..from + COLUMN].as_chunks_mut::<8>().0
    }

    fn id(&mut self, slot: u16) -> &mut [u8] {
        let from = IDS + usize::from(slot) * 12;
        &mut self.bytes[from..from + 12]
    }

    /// A whole block, of which nothing is here yet.
    fn take(&mut self, view: &View<'_>) {
        self.bytes[..BITMAP].copy_from_slice(view.bitmap());
        let slots: Vec<usize> = view.slots().map(usize::from).collect();
        for column in 0..NUMBERS {
            let (from, to) = (view.column(column), self.column(column));
            if from.len() == to.len() {
                to.copy_from_slice(from);
                continue;
            }
            for (slot, number) in slots.iter().zip(from) {
                to[*slot] = *number;
            }
        }
        if self.rows {
            for ((slot, id), (created, updated)) in view.slots().zip(view.ids()).zip(view.dates()) {
                self.row(slot, created, updated, id);
            }
        }
    }

    fn row(&mut self, slot: u16, created: Millis, updated: Millis, id: [u8; 12]) {
        self.column(NUMBERS)[usize::from(slot)] = date(created);
        self.column(NUMBERS + 1)[usize::from(slot)] = date(updated);
        self.id(slot).copy_from_slice(&id);
    }

    /// A candle of the tail.
    fn put(&mut self, slot: u16, candle: &Candle) {
        self.bytes[usize::from(slot / 8)] |= 1 << (slot % 8);
        for (column, number) in candle.numbers.iter().enumerate() {
            self.column(column)[usize::from(slot)] = number.to_le_bytes();
        }
        if self.rows {
            self.row(slot, candle.created, candle.updated, candle.id.bytes());
        }
    }

    fn count(&self) -> u32 {
        self.bytes[..BITMAP].iter().map(|byte| byte.count_ones()).sum()
    }
}

/// Runs reads in one transaction: between two statements a candle may move from the tail into its block, or become a row.
fn at_one_moment<T>(store: &Connection, read: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    store.prepare_cached("BEGIN")?.execute([])?;
    let found = read();
    let ended = store.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if ended.is_err() && !store.is_autocommit() {
        // Nothing can be done where this fails too.
        let _ = store.execute_batch("ROLLBACK");
    }
    ended?;
    found
}

/// Whether a candle of a stretch of slots is a row of the collection's table, which columns may not hold.
fn has_row(store: &Connection, series: &Series, slots: &Range<u64>) -> Outcome<bool> {
    let sql = "SELECT 1 FROM \"candle-items\" WHERE exchangeName = ? AND symbol = ? AND \"interval\" = ? \
               AND \"timestamp\" >= ? AND \"timestamp\" < ? LIMIT 1";
    let (from, to) = (series.timestamp(slots.start), series.timestamp(slots.end));
    Ok(store.prepare_cached(sql)?.exists(params![series.exchange, series.symbol, series.interval, from, to])?)
}

/// Fills columns, which are of [`size`] and hold nothing, with what stands in a block of a series. How many candles; none where
/// one of them is a row.
pub fn fill(store: &Connection, series: &Series, block: u64, rows: bool, bytes: &mut [u8]) -> Outcome<Option<u32>> {
    let slots = u64::from(SLOTS);
    at_one_moment(store, || {
        if has_row(store, series, &(block * slots..(block + 1) * slots))? {
            return Ok(None);
        }
        let columns = RefCell::new(Columns { bytes, rows });
        candles::look(
            store,
            series,
            block..block + 1,
            |_, view| columns.borrow_mut().take(&view),
            |_, slot, candle| columns.borrow_mut().put(slot, candle),
        )?;
        Ok(Some(columns.into_inner().count()))
    })
}

/// Where a window of slots is written to, a column each: its first slot is the first number.
struct Window<'a> {
    slots: Range<u64>,
    columns: [&'a mut [[u8; 8]]; NUMBERS],
    found: usize,
}

impl Window<'_> {
    /// The part of a block that is within the window, as slots of the block.
    fn part(&self, block: u64) -> Range<usize> {
        let (start, slots) = (block * u64::from(SLOTS), u64::from(SLOTS));
        let within = |slot: u64| usize::try_from(slot.saturating_sub(start).min(slots)).unwrap_or_default();
        within(self.slots.start)..within(self.slots.end)
    }

    /// The place of a slot of a block.
    fn place(&self, block: u64, slot: usize) -> usize {
        usize::try_from(block * u64::from(SLOTS) + slot as u64 - self.slots.start).unwrap_or(usize::MAX)
    }

    fn take(&mut self, block: u64, view: &View<'_>) {
        let part = self.part(block);
        let at = self.place(block, part.start);
        let is_whole = view.len() == usize::from(SLOTS);
        // The places of candles among those of the block, and of the window.
        let places: Vec<(usize, usize)> = if is_whole {
            Vec::new()
        } else {
            let slots = view.slots().map(usize::from).enumerate().filter(|(_, slot)| part.contains(slot));
            slots.map(|(from, slot)| (from, at + slot - part.start)).collect()
        };
        for (column, to) in self.columns.iter_mut().enumerate() {
            let from = view.column(column);
            if is_whole {
                to[at..at + part.len()].copy_from_slice(&from[part.clone()]);
            }
            for (from_place, to_place) in &places {
                to[*to_place] = from[*from_place];
            }
        }
        self.found += if is_whole { part.len() } else { places.len() };
    }

    /// A candle of the tail.
    fn put(&mut self, block: u64, slot: u16, candle: &Candle) {
        let slot = usize::from(slot);
        if !self.part(block).contains(&slot) {
            return;
        }
        let place = self.place(block, slot);
        for (to, number) in self.columns.iter_mut().zip(candle.numbers) {
            to[place] = number.to_le_bytes();
        }
        self.found += 1;
    }
}

/// Copies a window of slots of a series into columns, each as long as the window: open, high, low, close, volume. How many candles
/// were there; none where one of them is a row. Numbers of slots without a candle are left as they were.
pub fn copy(
    store: &Connection,
    series: &Series,
    slots: Range<u64>,
    columns: [&mut [[u8; 8]]; NUMBERS],
) -> Outcome<Option<usize>> {
    let blocks = slots.start / u64::from(SLOTS)..slots.end.div_ceil(u64::from(SLOTS));
    at_one_moment(store, || {
        if has_row(store, series, &slots)? {
            return Ok(None);
        }
        let window = RefCell::new(Window { slots, columns, found: 0 });
        candles::look(
            store,
            series,
            blocks,
            |block, view| window.borrow_mut().take(block, &view),
            |block, slot, candle| window.borrow_mut().put(block, slot, candle),
        )?;
        Ok(Some(window.into_inner().found))
    })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use proptest::prelude::*;

    use super::*;
    use crate::store::block::Series;
    use crate::store::testing::store;

    fn series() -> Series {
        Series { exchange: "e".to_owned(), symbol: "S".to_owned(), interval: "1m".to_owned() }
    }

    #[allow(clippy::cast_precision_loss, reason = "small")]
    fn candle(moment: u64) -> Candle {
        let numbers = std::array::from_fn(|column| moment as f64 + column as f64 / 8.0);
        Candle { numbers, created: 5, updated: 6, id: ObjectId::new() }
    }

    fn written(store: &Connection, moments: impl Iterator<Item = u64>) -> Vec<(u64, Candle)> {
        let given: Vec<_> = moments.map(|moment| (moment, candle(moment))).collect();
        candles::insert_all(store, &series(), &given, &|_| None).unwrap();
        given
    }

    /// Each candle that columns hold, by its moment.
    fn read(store: &Connection, block: u64) -> Vec<(u64, Candle)> {
        let mut bytes = vec![0; size(true)];
        let count = fill(store, &series(), block, true, &mut bytes).unwrap().unwrap();
        let mut numbers = vec![0; size(false)];
        assert_eq!(fill(store, &series(), block, false, &mut numbers).unwrap(), Some(count));
        assert_eq!(numbers, bytes[..size(false)], "without rows the numbers are the same");
        let number = |column: usize, slot: u16| {
            let at = BITMAP + column * COLUMN + usize::from(slot) * 8;
            f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        let all: Vec<_> = (0..SLOTS)
            .filter(|slot| bytes[usize::from(slot / 8)] & (1 << (slot % 8)) != 0)
            .map(|slot| {
                let id = IDS + usize::from(slot) * 12;
                #[allow(clippy::cast_possible_truncation, reason = "whole numbers")]
                let date = |column| number(column, slot) as Millis;
                let candle = Candle {
                    numbers: std::array::from_fn(|column| number(column, slot)),
                    created: date(NUMBERS),
                    updated: date(NUMBERS + 1),
                    id: ObjectId::from_bytes(bytes[id..id + 12].try_into().unwrap()),
                };
                (block * u64::from(SLOTS) + u64::from(slot), candle)
            })
            .collect();
        assert_eq!(all.len(), count as usize);
        all
    }

    #[test]
    fn columns_hold_what_stands_in_a_whole_block_in_one_with_gaps_and_in_the_tail() {
        let (_folder, store) = store();
        let start = 28_000 * u64::from(SLOTS);
        let whole = written(&store, start..start + 1_024);
        let gaps = written(&store, (start + 1_024..start + 2_048).step_by(3));
        let few = written(&store, start + 2_050..start + 2_060);
        let mixed = written(&store, start + 3_072..start + 3_372);
        let single = written(&store, start + 3_500..start + 3_503);
        assert_eq!(read(&store, 28_000), whole);
        assert_eq!(read(&store, 28_001), gaps);
        assert_eq!(read(&store, 28_002), few);
        assert_eq!(read(&store, 28_003), [mixed, single].concat());
        assert_eq!(read(&store, 28_004), []);
        let other = Series { symbol: "T".to_owned(), ..series() };
        assert_eq!(fill(&store, &other, 28_000, false, &mut vec![0; size(false)]).unwrap(), Some(0));
    }

    /// A window in columns: the numbers of each slot, and how many candles were found.
    fn window(store: &Connection, slots: Range<u64>) -> (Vec<[f64; NUMBERS]>, Option<usize>) {
        let limit = usize::try_from(slots.end - slots.start).unwrap();
        let mut columns: [Vec<[u8; 8]>; NUMBERS] = std::array::from_fn(|_| vec![f64::NAN.to_le_bytes(); limit]);
        let found = copy(store, &series(), slots, columns.each_mut().map(Vec::as_mut_slice)).unwrap();
        let numbers = |place: usize| std::array::from_fn(|column| f64::from_le_bytes(columns[column][place]));
        ((0..limit).map(numbers).collect(), found)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_window_is_copied_from_whole_blocks_from_those_with_gaps_and_from_the_tail(
            runs in prop::collection::vec((0_u64..4_000, 1_u64..1_500, 1_usize..4), 1..6),
            from in 0_u64..4_500, limit in 1_u64..4_500,
        ) {
            let (_folder, store) = store();
            let start = 28_000 * u64::from(SLOTS);
            let mut there = std::collections::BTreeSet::new();
            for (first, count, step) in runs {
                let moments: Vec<_> = (first..first + count).step_by(step).map(|slot| start + slot).collect();
                written(&store, moments.iter().copied().filter(|moment| !there.contains(moment)));
                there.extend(moments);
            }
            let slots = start + from..start + from + limit;
            let (numbers, found) = window(&store, slots.clone());
            prop_assert_eq!(found, Some(there.range(slots.clone()).count()));
            for (moment, numbers) in slots.zip(numbers) {
                if there.contains(&moment) {
                    prop_assert_eq!(numbers.map(f64::to_bits), candle(moment).numbers.map(f64::to_bits));
                } else {
                    prop_assert!(numbers.iter().all(|number| number.is_nan()), "nothing is written where no candle is");
                }
            }
        }
    }

    #[test]
    fn a_block_that_has_a_row_beside_it_is_not_told_in_columns() {
        use crate::mongo::table::CANDLES;
        use crate::store::rows::Rows;
        let (_folder, store) = store();
        written(&store, 0..100);
        let mut row = series().document(50, &candle(50));
        row.append(mongodb::bson::raw::cstr!("more"), 1);
        Rows::new(&store, CANDLES).insert(&row).unwrap();
        assert_eq!(fill(&store, &series(), 0, false, &mut vec![0; size(false)]).unwrap(), None);
        assert_eq!(fill(&store, &series(), 1, false, &mut vec![0; size(false)]).unwrap(), Some(0));
        assert_eq!(window(&store, 40..60).1, None);
        assert_eq!(window(&store, 51..60).1, Some(9));
    }
}
