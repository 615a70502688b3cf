//! What is there of a window of candles: columns that the candle cache keeps.
//!
//! Unlike a range it is no failure that candles are missing, and one that does not fit into columns is named, so that who
//! asks knows to ask for its document.

use std::collections::HashSet;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use crate::error::{Code, Error, Result};
use crate::mongo::candles::{ANSWERED, Range, collection, whole};
use crate::mongo::cast::number;
use crate::mongo::document::get;

/// Numbers of a candle without its dates: open, high, low, close, volume.
const NUMBERS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// The numbers fit into columns.
const NUMBERS_FIT: u8 = 1;
/// The whole row does: it is exactly as we write it.
const ROW_FITS: u8 = 2;
/// The offset of a row whose moment cannot be told: nothing of the window can be relied on.
const NOWHERE: u32 = u32::MAX;

/// What is asked for.
#[derive(Debug)]
pub struct Window {
    /// The filter; on the unique index, in its order.
    pub filter: RawDocumentBuf,
    /// The fields; empty: all.
    pub fields: RawDocumentBuf,
    /// The most rows.
    pub limit: u32,
    rows: bool,
    since: f64,
    step: f64,
    /// How many moments the window has.
    moments: u32,
    /// Those that are asked for, where not all are.
    slots: Option<HashSet<u32>>,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So many steps after the first.
    At(u32),
    /// The same, in a type that columns do not keep.
    Odd(u32),
    /// Between the moments of the grid: no candle of this interval.
    Beside,
    /// It cannot be told.
    Unknown,
}

impl Window {
    /// Reads `{ k: { symbol, interval, exchangeName, timestamp }, limit, rows?, slots? }`. `slots` are the offsets of the
    /// moments that are asked for, four bytes each; without them, all `limit` are. `rows`: with ids and dates.
    pub fn new(body: &RawDocument) -> Result<Self> {
        let range = Range::new(body)?;
        let rows = matches!(get(body, "rows")?, Some(RawBsonRef::Boolean(true)));
        let mut filter = range.filter;
        let mut limit = range.limit;
        let mut some = None;
        if let Some(RawBsonRef::Binary(slots)) = get(body, "slots")? {
            let mut moments = RawArrayBuf::new();
            limit = 0;
            let mut asked = HashSet::new();
            for slot in slots.bytes.chunks_exact(4) {
                let slot = slot.try_into().map_or(NOWHERE, u32::from_le_bytes);
                if slot >= range.limit {
                    return Err(Error::new(Code::InvalidContext, "candles: a slot is outside of its window"));
                }
                moments.push(number(range.since + range.step * f64::from(slot)));
                asked.insert(slot);
                limit += 1;
            }
            some = Some(asked);
            let mut named = RawDocumentBuf::new();
            for field in &collection().key[..3] {
                if let Some(value) = get(&filter, field.name)? {
                    named.append(field.key, RawBson::from(value));
                }
            }
            named.append(cstr!("timestamp"), rawdoc! { "$in": moments });
            filter = named;
        }
        let fields = if rows {
            RawDocumentBuf::new()
        } else {
            rawdoc! { "_id": 0, "timestamp": 1, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1 }
        };
        let moments = range.limit;
        Ok(Self { filter, fields, limit, rows, since: range.since, step: range.step, moments, slots: some })
    }

    /// The first timestamp that is asked for, and the one after the last.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        (self.since, self.since + self.step * f64::from(self.moments))
    }

    /// Whether a timestamp within the bounds is asked for.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a range has at most a million moments")]
    pub fn asks(&self, timestamp: f64) -> bool {
        let Some(slots) = &self.slots else { return true };
        let steps = (timestamp - self.since) / self.step;
        steps.fract() == 0.0 && slots.contains(&(steps as u32))
    }

    fn moment(&self, candle: &RawDocument) -> Moment {
        match candle.get("timestamp") {
            Ok(Some(RawBsonRef::Int32(n))) => self.moment_of(f64::from(n), false),
            Ok(Some(RawBsonRef::Double(n))) => self.moment_of(n, n == 0.0 && n.is_sign_negative()),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds of any date are exact")]
            Ok(Some(RawBsonRef::Int64(n))) => self.moment_of(n as f64, true),
            _ => Moment::Unknown,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a range has at most a million moments")]
    fn moment_of(&self, timestamp: f64, odd: bool) -> Moment {
        let steps = (timestamp - self.since) / self.step;
        if !steps.is_finite() {
            return Moment::Unknown;
        }
        if steps < 0.0 || steps.fract() != 0.0 {
            return Moment::Beside;
        }
        if odd { Moment::Odd(steps as u32) } else { Moment::At(steps as u32) }
    }
}

/// What was found, in columns.
#[derive(Debug, Default)]
pub struct Found {
    numbers: Vec<u8>,
    offsets: Vec<u32>,
    fits: Vec<u8>,
    ids: Vec<u8>,
}

impl Found {
    /// Adds a row. Rows come in the order of their moments; of two at the same moment neither is the one.
    pub fn push(&mut self, window: &Window, candle: &RawDocument) {
        let whole = || whole(candle).filter(|_| window.rows);
        self.put(window, window.moment(candle), || numbers(candle), whole);
    }

    /// Adds a candle that is exactly as we write them, likewise.
    pub fn add(&mut self, window: &Window, timestamp: f64, row: [f64; ANSWERED], id: ObjectId) {
        let numbers = || Some(std::array::from_fn(|column| row[column]));
        self.put(window, window.moment_of(timestamp, false), numbers, || Some((row, id)).filter(|_| window.rows));
    }

    fn put(
        &mut self,
        window: &Window,
        moment: Moment,
        numbers: impl FnOnce() -> Option<[f64; NUMBERS.len()]>,
        whole: impl FnOnce() -> Option<([f64; ANSWERED], ObjectId)>,
    ) {
        let (offset, odd) = match moment {
            Moment::At(offset) => (offset, false),
            Moment::Odd(offset) => (offset, true),
            Moment::Beside => return,
            Moment::Unknown => (NOWHERE, true),
        };
        if let (Some(last), Some(fit)) = (self.offsets.last(), self.fits.last_mut())
            && *last == offset
        {
            *fit = 0;
            return;
        }
        let mut row = [0.0; ANSWERED];
        let mut fits = 0;
        let mut id = [0; 12];
        if let Some(numbers) = numbers().filter(|_| !odd) {
            row[..NUMBERS.len()].copy_from_slice(&numbers);
            fits = NUMBERS_FIT;
            if let Some((all, own)) = whole() {
                (row, id) = (all, own.bytes());
                fits |= ROW_FITS;
            }
        }
        for number in &row[..if window.rows { ANSWERED } else { NUMBERS.len() }] {
            self.numbers.extend_from_slice(&number.to_le_bytes());
        }
        self.offsets.push(offset);
        self.fits.push(fits);
        if window.rows {
            self.ids.extend_from_slice(&id);
        }
    }

    /// How many rows, and their bytes: all numbers, then all offsets (four bytes each), ids where they were asked for (12
    /// each), and what fits (one each).
    #[must_use]
    pub fn into_bytes(self) -> (u32, Vec<u8>) {
        let count = u32::try_from(self.offsets.len()).unwrap_or(NOWHERE);
        let mut bytes = self.numbers;
        bytes.extend(self.offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        bytes.extend(self.ids);
        bytes.extend(self.fits);
        (count, bytes)
    }
}

/// The numbers of a candle, in whatever order its fields stand.
fn numbers(candle: &RawDocument) -> Option<[f64; 5]> {
    let mut numbers = [0.0; 5];
    for (number, name) in numbers.iter_mut().zip(NUMBERS) {
        *number = match candle.get(name) {
            Ok(Some(RawBsonRef::Double(n))) => n,
            Ok(Some(RawBsonRef::Int32(n))) => f64::from(n),
            _ => return None,
        };
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Binary, DateTime, spec::BinarySubtype};

    use super::*;

    fn body(limit: i32) -> RawDocumentBuf {
        let key = rawdoc! { "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": 1_200_000.0 };
        rawdoc! { "k": key, "limit": limit, "rows": true }
    }

    fn candle(timestamp: impl Into<RawBson>) -> RawDocumentBuf {
        rawdoc! {
            "_id": ObjectId::from_bytes([7; 12]), "exchangeName": "e", "interval": "1m", "symbol": "S",
            "timestamp": timestamp.into(), "__v": 0, "close": 4.5, "createDate": DateTime::from_millis(10),
            "high": 3, "low": 2.5, "open": 1.5, "updatedDate": DateTime::from_millis(11), "volume": 0
        }
    }

    fn found(rows: &[RawDocumentBuf]) -> (Vec<u32>, Vec<u8>) {
        let window = Window::new(&body(3)).unwrap();
        let mut found = Found::default();
        for row in rows {
            found.push(&window, row);
        }
        (found.offsets, found.fits)
    }

    #[test]
    fn a_window_asks_for_all_its_moments_or_for_those_that_are_named() {
        let window = Window::new(&body(3)).unwrap();
        let within = rawdoc! { "$gte": 1_200_000, "$lt": 1_380_000 };
        assert_eq!(
            window.filter,
            rawdoc! { "exchangeName": "e", "symbol": "S", "interval": "1m", "timestamp": within }
        );
        let mut named = body(3);
        let bytes = [0_u32, 2].iter().flat_map(|slot| slot.to_le_bytes()).collect();
        named.append(cstr!("slots"), Binary { subtype: BinarySubtype::Generic, bytes });
        let window = Window::new(&named).unwrap();
        let within = rawdoc! { "$in": [1_200_000, 1_320_000] };
        assert_eq!(
            window.filter,
            rawdoc! { "exchangeName": "e", "symbol": "S", "interval": "1m", "timestamp": within }
        );
        assert_eq!(window.limit, 2);
        let mut outside = body(3);
        outside.append(cstr!("slots"), Binary { subtype: BinarySubtype::Generic, bytes: 3_u32.to_le_bytes().to_vec() });
        assert_eq!(Window::new(&outside).unwrap_err().code, Code::InvalidContext);
    }

    #[test]
    fn rows_stand_at_their_offsets_and_gaps_are_no_failure() {
        assert_eq!(found(&[candle(1_200_000), candle(1_320_000.0)]), (vec![0, 2], vec![3, 3]));
        assert_eq!(found(&[candle(1_230_000)]), (vec![], vec![]), "between two moments");
    }

    #[test]
    fn what_does_not_fit_is_named_and_of_two_at_one_moment_neither_fits() {
        assert_eq!(found(&[candle(1_200_000_i64)]), (vec![0], vec![0]));
        assert_eq!(found(&[candle(1_200_000), candle(1_200_000.0)]), (vec![0], vec![0]));
        assert_eq!(found(&[candle("noon")]), (vec![NOWHERE], vec![0]));
        assert_eq!(found(&[candle(1_200_000), candle("noon")]), (vec![0, NOWHERE], vec![3, 0]));
        let mut text = candle(1_200_000);
        text.append(cstr!("extra"), 1);
        assert_eq!(found(&[text]), (vec![0], vec![1]), "the numbers fit, the row does not");
        let other = rawdoc! { "timestamp": 1_260_000, "open": "1", "high": 1, "low": 1, "close": 1, "volume": 1 };
        assert_eq!(found(&[other]), (vec![1], vec![0]));
        let older = rawdoc! { "timestamp": 1_260_000, "volume": 1, "open": 1, "high": 1, "low": 1, "close": 1 };
        assert_eq!(found(&[older]), (vec![1], vec![1]), "any order of fields");
    }

    #[test]
    fn the_bytes_are_numbers_offsets_ids_and_what_fits() {
        let window = Window::new(&body(3)).unwrap();
        let mut found = Found::default();
        found.push(&window, &candle(1_260_000));
        let (count, bytes) = found.into_bytes();
        let mut expected: Vec<u8> =
            [1.5, 3.0, 2.5, 4.5, 0.0, 10.0, 11.0_f64].iter().flat_map(|n| n.to_le_bytes()).collect();
        expected.extend(1_u32.to_le_bytes());
        expected.extend([7; 12]);
        expected.push(3);
        assert_eq!((count, bytes), (1, expected));
    }
}
