//! Candles in columns, and the grid of a range.
//!
//! A symbol-month of minutes is 44,640 candles. As documents they would be built and read field by field in JavaScript;
//! as columns of numbers they cross the boundary in one piece.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};
use crate::mongo::cast::{key_part, number};
use crate::mongo::document::{INTERVALS, Millis, get, new_candle, part};
use crate::mongo::table::{CANDLES, COLLECTIONS, Collection};
use crate::mongo::wire::Answer;

/// Numbers of a candle in the columns of `createMany`: timestamp, open, high, low, close, volume.
const GIVEN: usize = 6;
/// Numbers of a candle in the columns of an answer: open, high, low, close, volume, createDate, updatedDate.
pub const ANSWERED: usize = 7;
/// The most candles of one range: a year of minutes is half of it.
const LONGEST_RANGE: u32 = 1_000_000;

/// The candles' collection.
#[must_use]
pub fn collection() -> &'static Collection {
    &COLLECTIONS[CANDLES]
}

/// The error of a chunk that our own JavaScript has not made.
#[must_use]
pub fn malformed() -> Error {
    Error::new(Code::InvalidValue, "candleDbService.createMany: the candles are malformed")
}

fn bytes<'a>(body: &'a RawDocument, name: &str) -> Result<Option<&'a [u8]>> {
    match get(body, name)? {
        Some(RawBsonRef::Binary(binary)) => Ok(Some(binary.bytes)),
        _ => Ok(None),
    }
}

/// The documents of a chunk of `createMany`, each with an id of its own. The chunk is `{ rows: [dto, …] }`, or columns:
/// `{ texts: [symbol, interval, exchangeName, …], which: place of each candle's texts, numbers }`.
pub fn documents(chunk: &RawDocument, now: Millis) -> Result<Vec<RawDocumentBuf>> {
    if let Some(given) = Given::of(chunk)? {
        return (0..given.len()).map(|place| given.document(place, ObjectId::new(), now)).collect();
    }
    let Some(RawBsonRef::Array(rows)) = get(chunk, "rows")? else { return Err(malformed()) };
    rows.into_iter()
        .map(|row| match row {
            Ok(RawBsonRef::Document(dto)) => new_candle(collection(), dto, ObjectId::new(), now),
            _ => Err(malformed()),
        })
        .collect()
}

/// The candles of a chunk in columns.
#[derive(Debug)]
pub struct Given<'a> {
    names: Vec<[&'a str; 3]>,
    which: &'a [u8],
    numbers: &'a [[u8; GIVEN * 8]],
}

impl<'a> Given<'a> {
    /// Reads a chunk; none where it is one of dtos.
    pub fn of(chunk: &'a RawDocument) -> Result<Option<Self>> {
        let Some(numbers) = bytes(chunk, "numbers")? else { return Ok(None) };
        let Some(RawBsonRef::Array(given)) = get(chunk, "texts")? else { return Err(malformed()) };
        let texts = given.into_iter().map(|text| match text {
            Ok(RawBsonRef::String(text)) => Ok(text),
            _ => Err(malformed()),
        });
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let (names, rest) = texts.as_chunks::<3>();
        let given = Self {
            names: names.to_vec(),
            which: bytes(chunk, "which")?.unwrap_or_default(),
            numbers: numbers.as_chunks().0,
        };
        let fits = rest.is_empty() && (0..given.len()).all(|place| given.which(place) < names.len());
        if fits { Ok(Some(given)) } else { Err(malformed()) }
    }

    /// How many candles.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// What candles are named by: symbol, interval, exchange.
    #[must_use]
    pub fn names(&self) -> &[[&'a str; 3]] {
        &self.names
    }

    /// Which of the names a candle has.
    #[must_use]
    pub fn which(&self, place: usize) -> usize {
        self.which.as_chunks::<4>().0.get(place).map_or(0, |which| u32::from_le_bytes(*which) as usize)
    }

    /// Timestamp, open, high, low, close and volume of a candle.
    #[must_use]
    pub fn numbers(&self, place: usize) -> [f64; GIVEN] {
        let row = self.numbers[place].as_chunks::<8>().0;
        std::array::from_fn(|column| f64::from_le_bytes(row[column]))
    }

    /// A candle's document.
    pub fn document(&self, place: usize, id: ObjectId, now: Millis) -> Result<RawDocumentBuf> {
        let numbers = self.numbers(place);
        check(&numbers)?;
        let [timestamp, open, high, low, close, volume] = numbers;
        let [symbol, interval, exchange] = self.names[self.which(place)];
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), id);
        document.append(cstr!("exchangeName"), exchange);
        document.append(cstr!("interval"), interval);
        document.append(cstr!("symbol"), symbol);
        document.append(cstr!("timestamp"), number(timestamp));
        document.append(cstr!("__v"), 0_i32);
        document.append(cstr!("close"), number(close));
        document.append(cstr!("createDate"), DateTime::from_millis(now));
        document.append(cstr!("high"), number(high));
        document.append(cstr!("low"), number(low));
        document.append(cstr!("open"), number(open));
        document.append(cstr!("updatedDate"), DateTime::from_millis(now));
        document.append(cstr!("volume"), number(volume));
        Ok(document)
    }
}

/// Refuses a number of a candle that is none, by its field: timestamp, open, high, low, close, volume.
pub fn check(numbers: &[f64; GIVEN]) -> Result<()> {
    const NAMES: [&str; GIVEN] = ["timestamp", "open", "high", "low", "close", "volume"];
    // In the order in which the document has them.
    for column in [0, 4, 2, 3, 1, 5] {
        if numbers[column].is_nan() {
            let name = NAMES[column];
            let message = format!("Cast to Number failed for value \"NaN\" (type number) at path \"{name}\"");
            return Err(Error::new(Code::InvalidValue, message));
        }
    }
    Ok(())
}

/// The key of a stored candle, as bytes that those share which the server takes for equal: whole numbers of any type,
/// and 0 beside -0.
#[must_use]
pub fn identity(document: &RawDocument) -> Vec<u8> {
    let number = |n: f64| (n + 0.0).to_le_bytes();
    let mut bytes = Vec::with_capacity(48);
    for field in collection().key {
        match document.get(field.name) {
            Ok(Some(RawBsonRef::String(text))) => bytes.extend_from_slice(text.as_bytes()),
            Ok(Some(RawBsonRef::Int32(n))) => bytes.extend_from_slice(&number(f64::from(n))),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds of any date are exact")]
            Ok(Some(RawBsonRef::Int64(n))) => bytes.extend_from_slice(&number(n as f64)),
            Ok(Some(RawBsonRef::Double(n))) => bytes.extend_from_slice(&number(n)),
            _ => {}
        }
        bytes.push(0xFF);
    }
    bytes
}

/// What became of the candles of a chunk, in their order.
#[derive(Debug)]
pub struct Written {
    inserted: u32,
    ids: Vec<u8>,
    stored: Vec<u8>,
    now: Millis,
}

impl Written {
    /// Of so many candles, whose documents have `now` as their dates.
    #[must_use]
    pub fn new(count: usize, now: Millis) -> Self {
        Self { inserted: 0, ids: Vec::with_capacity(count * 12), stored: Vec::with_capacity(count), now }
    }

    /// The next one was inserted under that id. `certain`: the server has said so of this very command.
    pub fn stored(&mut self, id: ObjectId, certain: bool) {
        self.inserted += 1;
        self.ids.extend_from_slice(&id.bytes());
        self.stored.push(u8::from(certain));
    }

    /// The next one was there under that id; `own`: from the same command, which was sent twice.
    pub fn there(&mut self, id: ObjectId, own: bool) {
        self.inserted += u32::from(own);
        self.ids.extend_from_slice(&id.bytes());
        self.stored.push(0);
    }

    /// How many are new; then the ids of all, 12 bytes each, whether it is certain that this command stored them, one each,
    /// and the time in their dates, a double.
    #[must_use]
    pub fn into_answer(mut self) -> Answer {
        self.ids.append(&mut self.stored);
        #[allow(clippy::cast_precision_loss, reason = "JavaScript's dates are within 2^53")]
        self.ids.extend_from_slice(&(self.now as f64).to_le_bytes());
        Answer::Written(self.inserted, self.ids)
    }
}

/// A range of candles: what is asked for, and at which moments a candle must stand.
#[derive(Debug)]
pub struct Range {
    /// The filter; on the unique index, in its order.
    pub filter: RawDocumentBuf,
    /// The first moment, in milliseconds since 1970.
    pub since: f64,
    /// Milliseconds from one moment to the next.
    pub step: f64,
    /// How many candles.
    pub limit: u32,
}

/// Where a candle stands in a range.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the one that was expected next.
    Next,
    /// It is on no moment of the grid, or a second one on the same: it does not count.
    Beside,
    /// The one that was expected is missing.
    Gap,
}

impl Range {
    /// Reads `{ k: { symbol, interval, exchangeName, timestamp }, limit }`.
    pub fn new(body: &RawDocument) -> Result<Self> {
        let refuse = |what: String| Error::new(Code::InvalidContext, format!("candleDbService: {what}"));
        let args = part(body, "k")?;
        let Some(RawBsonRef::String(interval)) = get(args, "interval")? else {
            return Err(refuse("interval is not a string".to_owned()));
        };
        let Some((_, step)) = INTERVALS.iter().find(|(known, _)| *known == interval) else {
            let known: Vec<_> = INTERVALS.iter().map(|(known, _)| *known).collect();
            return Err(refuse(format!("interval is {interval:?}; it must be one of {}", known.join(", "))));
        };
        let limit = match get(body, "limit")? {
            Some(RawBsonRef::Int32(limit)) => u32::try_from(limit).ok(),
            _ => None,
        };
        let Some(limit) = limit.filter(|limit| *limit <= LONGEST_RANGE) else {
            return Err(refuse(format!("limit must be a whole number from 0 to {LONGEST_RANGE}")));
        };
        let since = match get(args, "timestamp")? {
            Some(RawBsonRef::Int32(since)) => f64::from(since),
            Some(RawBsonRef::Double(since)) if since.is_finite() => since,
            _ => return Err(refuse("sinceTimestamp is not a finite number".to_owned())),
        };
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a day")]
        let step = *step as f64;
        let mut filter = RawDocumentBuf::new();
        for field in &collection().key[..3] {
            filter.append(field.key, key_part(collection(), field, get(args, field.name)?)?);
        }
        let mut within = RawDocumentBuf::new();
        within.append(cstr!("$gte"), number(since));
        within.append(cstr!("$lt"), number(since + step * f64::from(limit)));
        filter.append(cstr!("timestamp"), within);
        Ok(Self { filter, since, step, limit })
    }

    /// Where a candle stands, when so many of the range were there before it.
    #[must_use]
    pub fn place(&self, candle: &RawDocument, before: u32) -> Place {
        let timestamp = match candle.get("timestamp") {
            Ok(Some(RawBsonRef::Int32(n))) => f64::from(n),
            Ok(Some(RawBsonRef::Double(n))) => n,
            #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
            Ok(Some(RawBsonRef::Int64(n))) => n as f64,
            _ => return Place::Beside,
        };
        self.place_at(timestamp, before)
    }

    /// The moment after the last one.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.since + self.step * f64::from(self.limit)
    }

    /// Where a candle of that timestamp stands, likewise.
    #[must_use]
    pub fn place_at(&self, timestamp: f64, before: u32) -> Place {
        let expected = self.since + self.step * f64::from(before);
        if timestamp < expected {
            Place::Beside
        } else if timestamp > expected {
            // The expected one would have come before it.
            Place::Gap
        } else {
            Place::Next
        }
    }
}

/// The fields of a candle as newer releases store it, in their order.
const LAYOUT: [&str; 13] = [
    "_id",
    "exchangeName",
    "interval",
    "symbol",
    "timestamp",
    "__v",
    "close",
    "createDate",
    "high",
    "low",
    "open",
    "updatedDate",
    "volume",
];

/// The numbers and the id of a candle that is exactly as we write them, field by field; `None`: it is not.
#[must_use]
pub fn whole(candle: &RawDocument) -> Option<([f64; ANSWERED], ObjectId)> {
    let mut row = [0.0; ANSWERED];
    let mut id = None;
    let mut count = 0;
    for entry in candle {
        let (name, value) = entry.ok()?;
        if LAYOUT.get(count) != Some(&name.as_str()) {
            return None;
        }
        let column = match count {
            6 => 3,
            7 => 5,
            8 => 1,
            9 => 2,
            10 => 0,
            11 => 6,
            _ => 4,
        };
        match (count, value) {
            (0, RawBsonRef::ObjectId(value)) => id = Some(value),
            (1..=3, RawBsonRef::String(_))
            | (4, RawBsonRef::Int32(_) | RawBsonRef::Double(_))
            | (5, RawBsonRef::Int32(0)) => {}
            #[allow(clippy::cast_precision_loss, reason = "JavaScript's dates are within 2^53")]
            (7 | 11, RawBsonRef::DateTime(date)) => row[column] = date.timestamp_millis() as f64,
            (6 | 8..=10 | 12, RawBsonRef::Double(number)) => row[column] = number,
            (6 | 8..=10 | 12, RawBsonRef::Int32(number)) => row[column] = f64::from(number),
            _ => return None,
        }
        count += 1;
    }
    id.filter(|_| count == LAYOUT.len()).map(|id| (row, id))
}

/// Candles as columns: numbers, then ids. A candle that is not exactly as we write them ends it, and whole documents go
/// instead.
#[derive(Debug, Default)]
pub struct Columns {
    numbers: Vec<u8>,
    ids: Vec<u8>,
}

impl Columns {
    /// Adds a candle; `false`: it does not fit into columns.
    pub fn push(&mut self, candle: &RawDocument) -> bool {
        let Some((row, id)) = whole(candle) else { return false };
        self.add(row, id);
        true
    }

    /// Adds a candle that is known to fit.
    pub fn add(&mut self, row: [f64; ANSWERED], id: ObjectId) {
        for number in row {
            self.numbers.extend_from_slice(&number.to_le_bytes());
        }
        self.ids.extend_from_slice(&id.bytes());
    }

    /// The numbers of all candles, then their ids.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.numbers.append(&mut self.ids);
        self.numbers
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{RawBson, rawdoc};

    use super::*;

    fn range(interval: &str, limit: i32) -> Result<Range> {
        let key = rawdoc! { "symbol": "S", "interval": interval, "exchangeName": "e", "timestamp": 1_000_000.0 };
        Range::new(&rawdoc! { "k": key, "limit": limit })
    }

    #[test]
    fn a_range_asks_for_exactly_its_moments() {
        let range = range("1m", 3).unwrap();
        let within = rawdoc! { "$gte": 1_000_000, "$lt": 1_180_000 };
        let expected = rawdoc! { "exchangeName": "e", "symbol": "S", "interval": "1m", "timestamp": within };
        assert_eq!(range.filter, expected);
        let place = |timestamp: i32, before| range.place(&rawdoc! { "timestamp": timestamp }, before);
        assert_eq!(place(1_000_000, 0), Place::Next);
        assert_eq!(place(1_060_000, 1), Place::Next);
        assert_eq!(place(1_060_000, 2), Place::Beside);
        assert_eq!(place(1_120_000, 1), Place::Gap);
        assert_eq!(range.place(&rawdoc! { "timestamp": 1_120_000.0 }, 2), Place::Next);
    }

    #[test]
    fn unknown_intervals_and_impossible_limits_are_refused() {
        assert_eq!(range("7m", 1).unwrap_err().code, Code::InvalidContext);
        assert_eq!(range("1m", -1).unwrap_err().code, Code::InvalidContext);
        assert_eq!(range("1m", 1_000_001).unwrap_err().code, Code::InvalidContext);
    }

    #[test]
    fn a_timestamp_is_the_same_whatever_the_type_of_its_number() {
        let of = |timestamp: RawBson| identity(&rawdoc! { "symbol": "S", "timestamp": timestamp });
        assert_eq!(of(RawBson::Int64(1_767_225_600_000)), of(RawBson::Double(1_767_225_600_000.0)));
        assert_eq!(of(RawBson::Int64(5)), of(RawBson::Int32(5)));
        assert_eq!(of(RawBson::Double(-0.0)), of(RawBson::Int32(0)));
        assert_ne!(of(RawBson::Int64(6)), of(RawBson::Int32(5)));
    }

    #[test]
    fn columns_make_the_documents_that_single_writes_make() {
        let mut numbers = Vec::new();
        for number in [1_767_225_600_000.0_f64, 1.5, 2.0, 1.0, 1.75, 0.0] {
            numbers.extend_from_slice(&number.to_le_bytes());
        }
        let numbers = mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: numbers };
        let chunk = rawdoc! { "texts": ["BTCUSDT", "1m", "binance"], "numbers": numbers };
        let dto = rawdoc! {
            "symbol": "BTCUSDT", "interval": "1m", "exchangeName": "binance", "timestamp": 1_767_225_600_000.0,
            "open": 1.5, "high": 2, "low": 1, "close": 1.75, "volume": 0
        };
        let made = documents(&chunk, 7).unwrap().remove(0);
        let single = new_candle(collection(), &dto, ObjectId::new(), 7).unwrap();
        assert_eq!(made.as_bytes()[21..], single.as_bytes()[21..], "all but the id");
        let mut columns = Columns::default();
        assert!(columns.push(&made));
        let bytes = columns.into_bytes();
        assert_eq!(bytes.len(), ANSWERED * 8 + 12);
        let double = |column: usize| f64::from_le_bytes(bytes.as_chunks().0[column]).to_bits();
        assert_eq!((double(0), double(5)), (1.5_f64.to_bits(), 7.0_f64.to_bits()));
    }

    #[test]
    fn candles_of_another_layout_do_not_fit_into_columns() {
        assert!(!Columns::default().push(&rawdoc! { "_id": ObjectId::new(), "interval": "1m" }));
        assert!(!Columns::default().push(&rawdoc! {}));
    }

    #[test]
    fn a_candle_that_is_not_a_number_is_refused_by_its_field() {
        let rows = rawdoc! { "rows": [{ "symbol": "S", "interval": "1m", "timestamp": 1, "open": "abc" }] };
        assert!(documents(&rows, 0).unwrap_err().message.contains("\"open\""));
        assert!(documents(&rawdoc! {}, 0).is_err());
    }
}
