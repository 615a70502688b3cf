//! Where candles are: in blocks, in the tail, or as rows.
//!
//! A candle that is exactly as we write them is in a block, or in the tail until there are enough of a block. One that is not,
//! because somebody has changed it or written it otherwise, is a row of the collection's own table. It is in one of the
//! three and never in two: whoever writes looks for it first, in the same transaction.
//!
//! A place, `at`, is the number of a series and a moment: 24 and 40 bits. Without its last ten bits it is the place of a block.

use std::collections::HashSet;
use std::ops::Range;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::block::{Block, Candle, Ids, NUMBERS, SLOTS, Series, moment, step_of};
use super::block_view::View;
use super::error::{Outcome, damaged};
use super::key;
use crate::mongo::document::Millis;

/// The tables of candles, besides that of rows.
pub const CREATE: &str = "
    CREATE TABLE candle_series (
        number INTEGER PRIMARY KEY, exchangeName TEXT NOT NULL, symbol TEXT NOT NULL, interval TEXT NOT NULL,
        UNIQUE (exchangeName, symbol, interval)
    );
    CREATE TABLE candle_blocks (at INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE candle_tail (at INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE candle_ids (first BLOB PRIMARY KEY, count INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
";

/// So many candles of a block wait in the tail: to write a block for each would write 41 KiB a candle, and to write one for each 64
/// makes a month of single candles more than 200 MB of log. It divides a block, so that nothing of a whole one waits.
const TAIL: i64 = 256;
/// Bits of a moment within a place.
const MOMENT: u32 = 40;
/// Bits of a slot within a place.
const SLOT: u32 = SLOTS.trailing_zeros();
/// Bytes of a candle in the tail: numbers, when it was created, id. When it was updated follows only where that is another date,
/// because each page that the tail takes more is a page more of log.
const RECORD: usize = ID + 12;
/// Where the id begins.
const ID: usize = NUMBERS * 8 + 8;

/// The place of a moment of a series.
fn place(series: i64, moment: u64) -> i64 {
    series << MOMENT | moment.cast_signed()
}

/// The moment of a place.
#[must_use]
pub const fn moment_of(at: i64) -> u64 {
    at.cast_unsigned() & ((1 << MOMENT) - 1)
}

/// The slot of a place within its block.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ten bits")]
const fn slot_of(at: i64) -> u16 {
    (at & ((1 << SLOT) - 1)) as u16
}

/// A candle of a block or of the tail.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its place.
    pub at: i64,
    /// What names its series.
    pub series: Series,
    /// The candle.
    pub candle: Candle,
    /// Whether it is in the tail.
    pub in_tail: bool,
}

impl Held {
    /// Its document.
    #[must_use]
    pub fn document(&self) -> RawDocumentBuf {
        self.series.document(moment_of(self.at), &self.candle)
    }
}

/// The number of a series; none where there is none.
pub fn series_number(store: &Connection, series: &Series) -> Outcome<Option<i64>> {
    let sql = "SELECT number FROM candle_series WHERE exchangeName = ? AND symbol = ? AND interval = ?";
    let by = params![series.exchange, series.symbol, series.interval];
    Ok(store.prepare_cached(sql)?.query_row(by, |row| row.get(0)).optional()?)
}

fn series_made(store: &Connection, series: &Series) -> Outcome<i64> {
    if let Some(number) = series_number(store, series)? {
        return Ok(number);
    }
    let sql = "INSERT INTO candle_series (exchangeName, symbol, interval) VALUES (?, ?, ?)";
    store.prepare_cached(sql)?.execute(params![series.exchange, series.symbol, series.interval])?;
    Ok(store.last_insert_rowid())
}

/// What a series is named by.
fn series_named(store: &Connection, number: i64) -> Outcome<Series> {
    let sql = "SELECT exchangeName, symbol, interval FROM candle_series WHERE number = ?";
    let series = store.prepare_cached(sql)?.query_row(params![number], |row| {
        Ok(Series { exchange: row.get(0)?, symbol: row.get(1)?, interval: row.get(2)? })
    });
    series.optional()?.ok_or_else(|| damaged("candles are of no series"))
}

/// Looks into the block of a place of a block; none where there is none.
fn with_block<T>(store: &Connection, at: i64, look: impl FnOnce(View<'_>) -> T) -> Outcome<Option<T>> {
    let mut statement = store.prepare_cached("SELECT data FROM candle_blocks WHERE at = ?")?;
    let mut rows = statement.query(params![at])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let bytes = row.get_ref(0)?.as_blob().map_err(|_| damaged("a block of candles is no blob"))?;
    Ok(Some(look(View::of(bytes)?)))
}

/// The block of a place of a block; empty where there is none.
fn block(store: &Connection, at: i64) -> Outcome<Block> {
    fn whole(view: View<'_>) -> Block {
        view.block()
    }
    Ok(with_block(store, at, whole)?.unwrap_or_default())
}

/// Looks at all that stands in blocks of a series, where there is anything: at each block, then at each candle of the tail. They are
/// named by their block, a candle also by its slot.
pub fn look(
    store: &Connection,
    series: &Series,
    blocks: Range<u64>,
    mut whole: impl FnMut(u64, View<'_>),
    mut single: impl FnMut(u64, u16, &Candle),
) -> Outcome<()> {
    let Some(number) = series_number(store, series)? else { return Ok(()) };
    for block in blocks.clone() {
        with_block(store, place(number, block << SLOT) >> SLOT, |view| whole(block, view))?;
    }
    let (from, to) = (place(number, blocks.start << SLOT), place(number, blocks.end << SLOT));
    tail_of(store, from, to, &mut |at, candle| {
        single(moment_of(at) >> SLOT, slot_of(at), &candle);
        Ok(())
    })
}

/// Puts a block in place of what was there, whose ids are given.
fn save(store: &Connection, at: i64, before: &[Ids], block: &Block) -> Outcome<()> {
    if block.is_empty() {
        store.prepare_cached("DELETE FROM candle_blocks WHERE at = ?")?.execute(params![at])?;
    } else {
        let sql =
            "INSERT INTO candle_blocks (at, data) VALUES (?, ?) ON CONFLICT (at) DO UPDATE SET data = excluded.data";
        store.prepare_cached(sql)?.execute(params![at, block.encode()])?;
    }
    let (before, after): (HashSet<_>, HashSet<_>) =
        (before.iter().copied().collect(), block.ids().into_iter().collect());
    for run in before.difference(&after) {
        store.prepare_cached("DELETE FROM candle_ids WHERE first = ?")?.execute(params![run.first])?;
    }
    for run in after.difference(&before) {
        let sql = "INSERT INTO candle_ids (first, count, at) VALUES (?, ?, ?)";
        store.prepare_cached(sql)?.execute(params![run.first, run.count, at])?;
    }
    Ok(())
}

fn record(candle: &Candle) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD + 8);
    bytes.extend(candle.numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend_from_slice(&candle.created.to_le_bytes());
    bytes.extend_from_slice(&candle.id.bytes());
    if candle.updated != candle.created {
        bytes.extend_from_slice(&candle.updated.to_le_bytes());
    }
    bytes
}

fn recorded(bytes: &[u8]) -> Outcome<Candle> {
    let wrong = || damaged("a candle of the tail has another length");
    let (numbers, rest) = bytes.split_first_chunk::<{ NUMBERS * 8 }>().ok_or_else(wrong)?;
    let (created, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    let (id, rest) = rest.split_first_chunk::<12>().ok_or_else(wrong)?;
    let created = Millis::from_le_bytes(*created);
    let updated = match rest.split_first_chunk::<8>() {
        None if rest.is_empty() => created,
        Some((updated, [])) => Millis::from_le_bytes(*updated),
        _ => return Err(wrong()),
    };
    let numbers = numbers.as_chunks::<8>().0;
    let numbers = std::array::from_fn(|column| f64::from_le_bytes(numbers[column]));
    Ok(Candle { numbers, created, updated, id: ObjectId::from_bytes(*id) })
}

fn in_tail(store: &Connection, at: i64) -> Outcome<Option<Candle>> {
    let mut statement = store.prepare_cached("SELECT data FROM candle_tail WHERE at = ?")?;
    let found: Option<Vec<u8>> = statement.query_row(params![at], |row| row.get(0)).optional()?;
    found.map(|bytes| recorded(&bytes)).transpose()
}

fn put_tail(store: &Connection, at: i64, candle: &Candle) -> Outcome<()> {
    let sql = "INSERT INTO candle_tail (at, data) VALUES (?, ?) ON CONFLICT (at) DO UPDATE SET data = excluded.data";
    store.prepare_cached(sql)?.execute(params![at, record(candle)])?;
    Ok(())
}

fn drop_tail(store: &Connection, from: i64, to: i64) -> Outcome<()> {
    store.prepare_cached("DELETE FROM candle_tail WHERE at >= ? AND at < ?")?.execute(params![from, to])?;
    Ok(())
}

/// The candle at a place.
pub fn at(store: &Connection, place: i64) -> Outcome<Option<Held>> {
    let tail = in_tail(store, place)?;
    let in_tail = tail.is_some();
    let candle = match tail {
        Some(candle) => Some(candle),
        None => with_block(store, place >> SLOT, |block| block.get(slot_of(place)))?.flatten(),
    };
    let Some(candle) = candle else { return Ok(None) };
    Ok(Some(Held { at: place, series: series_named(store, place >> MOMENT)?, candle, in_tail }))
}

/// The candle that a key names; a key that no block could hold names none.
pub fn by_key(store: &Connection, key: &RawDocument) -> Outcome<Option<Held>> {
    let text = |name: &str| key.get_str(name).ok().map(ToOwned::to_owned);
    let (Some(exchange), Some(symbol), Some(interval)) = (text("exchangeName"), text("symbol"), text("interval"))
    else {
        return Ok(None);
    };
    let Some(timestamp) = key.get("timestamp").ok().flatten().and_then(key::number) else { return Ok(None) };
    let series = Series { exchange, symbol, interval };
    let Some(moment) = step_of(&series.interval).and_then(|step| moment(timestamp, step)) else { return Ok(None) };
    match series_number(store, &series)? {
        Some(number) => at(store, place(number, moment)),
        None => Ok(None),
    }
}

/// The candle of an `_id`.
pub fn by_id(store: &Connection, id: [u8; 12]) -> Outcome<Option<Held>> {
    let sql = "SELECT first, count, at FROM candle_ids WHERE first <= ? ORDER BY first DESC LIMIT 1";
    let found = store
        .prepare_cached(sql)?
        .query_row(params![id], |row| Ok((Ids { first: row.get(0)?, count: row.get(1)? }, row.get::<_, i64>(2)?)));
    if let Some((run, place)) = found.optional()?
        && run.has(id)
    {
        let slot = with_block(store, place, |block| block.slot_of(id))?.flatten();
        let slot = slot.ok_or_else(|| damaged("an id is not in its block"))?;
        return at(store, place << SLOT | i64::from(slot));
    }
    // The tail has few, and no index: it would double what a single candle writes.
    let mut statement = store.prepare_cached("SELECT at FROM candle_tail WHERE substr(data, ?, 12) = ?")?;
    let first = i64::try_from(ID + 1).unwrap_or_default();
    let place: Option<i64> = statement.query_row(params![first, id], |row| row.get(0)).optional()?;
    place.map_or(Ok(None), |place| at(store, place))
}

/// Adds a candle whose place is free, as its key is.
pub fn insert(store: &Connection, series: &Series, moment: u64, candle: &Candle) -> Outcome<()> {
    let at = place(series_made(store, series)?, moment);
    put_tail(store, at, candle)?;
    let (from, to) = block_bounds(at);
    let sql = "SELECT count(*) FROM candle_tail WHERE at >= ? AND at < ?";
    let waiting: i64 = store.prepare_cached(sql)?.query_row(params![from, to], |row| row.get(0))?;
    if waiting >= TAIL { Standing::of(store, at >> SLOT)?.merge(store, at >> SLOT, Vec::new()) } else { Ok(()) }
}

/// The places of the block that a place is in.
const fn block_bounds(at: i64) -> (i64, i64) {
    let block = at >> SLOT;
    (block << SLOT, (block + 1) << SLOT)
}

fn tail_of(store: &Connection, from: i64, to: i64, each: &mut dyn FnMut(i64, Candle) -> Outcome<()>) -> Outcome<()> {
    let mut statement =
        store.prepare_cached("SELECT at, data FROM candle_tail WHERE at >= ? AND at < ? ORDER BY at")?;
    let mut rows = statement.query(params![from, to])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(|_| damaged("a candle of the tail is no blob"))?;
        each(row.get(0)?, recorded(bytes)?)?;
    }
    Ok(())
}

/// Puts a candle in place of one of the same id and moment.
pub fn replace(store: &Connection, held: &Held, candle: &Candle) -> Outcome<()> {
    if held.in_tail {
        return put_tail(store, held.at, candle);
    }
    let at = held.at >> SLOT;
    let mut whole = block(store, at)?;
    let before = whole.ids();
    whole.remove(slot_of(held.at));
    whole.insert(slot_of(held.at), *candle);
    save(store, at, &before, &whole)
}

/// Takes a candle away.
pub fn remove(store: &Connection, held: &Held) -> Outcome<()> {
    if held.in_tail {
        return drop_tail(store, held.at, held.at + 1);
    }
    let at = held.at >> SLOT;
    let mut whole = block(store, at)?;
    let before = whole.ids();
    whole.remove(slot_of(held.at));
    save(store, at, &before, &whole)
}

/// Candles of one series that are written together: those that have a place already keep it, the first of two wins.
/// `rows` says the id of a candle that is a row. The answer is, for each, the id that stands there and whether it is new.
pub fn insert_all(
    store: &Connection,
    series: &Series,
    given: &[(u64, Candle)],
    rows: &dyn Fn(u64) -> Option<ObjectId>,
) -> Outcome<Vec<(ObjectId, bool)>> {
    let number = series_made(store, series)?;
    let mut told = vec![(ObjectId::from_bytes([0; 12]), false); given.len()];
    let mut order: Vec<usize> = (0..given.len()).collect();
    // They mostly come in their order, and the first of two stays the first.
    order.sort_by_key(|index| given[*index].0);
    for group in order.chunk_by(|a, b| given[*a].0 >> SLOT == given[*b].0 >> SLOT) {
        let at = place(number, given[group[0]].0) >> SLOT;
        let from = at << SLOT;
        let standing = Standing::of(store, at)?;
        let waiting = standing.tail.len();
        let mut new = Vec::with_capacity(group.len());
        for index in group {
            let (moment, candle) = &given[*index];
            let slot = slot_of(moment.cast_signed());
            let stands = new.last().filter(|(last, _): &&(u16, Candle)| *last == slot).map(|(_, candle)| candle.id);
            told[*index] = if let Some(id) = stands.or_else(|| standing.id(slot)).or_else(|| rows(*moment)) {
                (id, false)
            } else {
                new.push((slot, *candle));
                (candle.id, true)
            };
        }
        if new.len() + waiting >= usize::try_from(TAIL).unwrap_or(usize::MAX) {
            standing.merge(store, at, new)?;
        } else {
            for (slot, candle) in new {
                put_tail(store, from | i64::from(slot), &candle)?;
            }
        }
    }
    Ok(told)
}

/// What stands in a block before more is written: the block as it is stored, and what waits in the tail, by slot.
struct Standing {
    block: Block,
    tail: Vec<(u16, Candle)>,
    taken: [bool; SLOTS as usize],
}

impl Standing {
    fn of(store: &Connection, at: i64) -> Outcome<Self> {
        let mut tail = Vec::new();
        tail_of(store, at << SLOT, (at + 1) << SLOT, &mut |place, candle| {
            tail.push((slot_of(place), candle));
            Ok(())
        })?;
        let block = block(store, at)?;
        let mut taken = [false; SLOTS as usize];
        for slot in tail.iter().map(|(slot, _)| *slot).chain(block.iter().map(|(slot, _)| slot)) {
            taken[usize::from(slot)] = true;
        }
        Ok(Self { block, tail, taken })
    }

    /// The id of what stands in a slot.
    fn id(&self, slot: u16) -> Option<ObjectId> {
        if !self.taken[usize::from(slot)] {
            return None;
        }
        let in_tail = self.tail.iter().find(|(place, _)| *place == slot).map(|(_, candle)| candle.id);
        in_tail.or_else(|| self.block.get(slot).map(|candle| candle.id))
    }

    /// Makes one block of all, and of what is new.
    fn merge(self, store: &Connection, at: i64, new: Vec<(u16, Candle)>) -> Outcome<()> {
        let Self { mut block, tail, .. } = self;
        let before = block.ids();
        let waited = !tail.is_empty();
        block.add(tail);
        block.add(new);
        if waited {
            drop_tail(store, at << SLOT, (at + 1) << SLOT)?;
        }
        save(store, at, &before, &block)
    }
}

/// Goes through the candles of a series from one moment up to another, in their order, until `each` says `false`.
pub fn walk(
    store: &Connection,
    number: i64,
    moments: (u64, u64),
    each: &mut dyn FnMut(i64, &Candle, bool) -> Outcome<bool>,
) -> Outcome<bool> {
    let (from, to) = (place(number, moments.0), place(number, moments.1));
    let mut tail = Vec::new();
    tail_of(store, from, to, &mut |at, candle| {
        tail.push((at, candle));
        Ok(())
    })?;
    let mut tail = tail.into_iter().peekable();
    let mut statement =
        store.prepare_cached("SELECT at, data FROM candle_blocks WHERE at >= ? AND at <= ? ORDER BY at")?;
    let mut rows = statement.query(params![from >> SLOT, (to - 1) >> SLOT])?;
    while let Some(row) = rows.next()? {
        let first: i64 = row.get::<_, i64>(0)? << SLOT;
        let bytes = row.get_ref(1)?.as_blob().map_err(|_| damaged("a block of candles is no blob"))?;
        for (slot, candle) in View::of(bytes)?.candles() {
            let at = first | i64::from(slot);
            if !(from..to).contains(&at) {
                continue;
            }
            while let Some((before, candle)) = tail.next_if(|(before, _)| *before < at) {
                if !each(before, &candle, true)? {
                    return Ok(false);
                }
            }
            if !each(at, &candle, false)? {
                return Ok(false);
            }
        }
    }
    for (at, candle) in tail {
        if !each(at, &candle, true)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Goes through all candles of the series where `condition` holds, whose timestamps are within bounds (both included), from
/// after a place on, until `each` says `false`.
pub fn scan(
    store: &Connection,
    (condition, values): (&str, &[rusqlite::types::Value]),
    (least, most): (f64, f64),
    after: Option<i64>,
    each: &mut dyn FnMut(Held) -> Outcome<bool>,
) -> Outcome<()> {
    let sql =
        format!("SELECT number, exchangeName, symbol, interval FROM candle_series WHERE {condition} ORDER BY number");
    let all = store
        .prepare_cached(&sql)?
        .query_map(rusqlite::params_from_iter(values), |row| {
            Ok((row.get::<_, i64>(0)?, Series { exchange: row.get(1)?, symbol: row.get(2)?, interval: row.get(3)? }))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (number, series) in all {
        let step = series.step();
        let mut from = bound((least / step).ceil());
        let to = bound((most / step).floor() + 1.0);
        if let Some(after) = after {
            match (after >> MOMENT).cmp(&number) {
                std::cmp::Ordering::Greater => continue,
                std::cmp::Ordering::Equal => from = from.max(moment_of(after) + 1),
                std::cmp::Ordering::Less => {}
            }
        }
        let whole = from >= to
            || walk(store, number, (from, to), &mut |at, candle, in_tail| {
                each(Held { at, series: series.clone(), candle: *candle, in_tail })
            })?;
        if !whole {
            break;
        }
    }
    Ok(())
}

/// A moment within what a place can hold.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub fn bound(moment: f64) -> u64 {
    const MOST: u64 = (1 << MOMENT) - 1;
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    let most = MOST as f64;
    if moment.is_nan() { 0 } else { moment.clamp(0.0, most) as u64 }
}
