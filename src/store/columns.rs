//! A block of candles as the candle cache holds it: columns of 1,024 slots, filled in one piece on the JavaScript thread.
//!
//! First the bitmap of the slots that have candles, then open, high, low, close and volume; where rows are asked for, then
//! `createDate`, `updatedDate`, and twelve bytes of id for each slot. js/candles/spot.js reads them.

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

/// Fills columns, which are of [`size`] and hold nothing, with what stands in a block of a series. How many candles; none where
/// one of them is a row of the collection's table, which columns may not hold.
pub fn fill(store: &Connection, series: &Series, block: u64, rows: bool, bytes: &mut [u8]) -> Outcome<Option<u32>> {
    // One transaction: between two statements a candle may move from the tail into its block, or become a row.
    store.prepare_cached("BEGIN")?.execute([])?;
    let filled = filled(store, series, block, rows, bytes);
    let ended = store.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if ended.is_err() && !store.is_autocommit() {
        // Nothing can be done where this fails too.
        let _ = store.execute_batch("ROLLBACK");
    }
    ended?;
    filled
}

fn filled(store: &Connection, series: &Series, block: u64, rows: bool, bytes: &mut [u8]) -> Outcome<Option<u32>> {
    let (from, to) = (series.timestamp(block * u64::from(SLOTS)), series.timestamp((block + 1) * u64::from(SLOTS)));
    let sql = "SELECT 1 FROM \"candle-items\" WHERE exchangeName = ? AND symbol = ? AND \"interval\" = ? \
               AND \"timestamp\" >= ? AND \"timestamp\" < ? LIMIT 1";
    let by = params![series.exchange, series.symbol, series.interval, from, to];
    if store.prepare_cached(sql)?.exists(by)? {
        return Ok(None);
    }
    let columns = std::cell::RefCell::new(Columns { bytes, rows });
    candles::look(
        store,
        series,
        block,
        |view| columns.borrow_mut().take(&view),
        |slot, candle| columns.borrow_mut().put(slot, candle),
    )?;
    Ok(Some(columns.into_inner().count()))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;

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
    }
}
