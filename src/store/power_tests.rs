//! Power cuts at random moments: what a disk may have lost is never more than what was promised.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::rawdoc;
use rusqlite::Connection;

use super::check::check;
use super::find;
use super::maps::{self, Ask, Told};
use super::open::{FILE, Use, open};
use super::testing::disk::{Disk, Event, Fault, Replay};
use super::testing::{Caller, Folder};
use crate::mongo::table::{CANDLES, COLLECTIONS};
use crate::mongo::wire::{Answer, Op};

const PATIENCE: Duration = Duration::from_secs(30);
/// Keys that are written again and again.
const KEYS: u32 = 31;
/// Candles of one write.
const CHUNK: u32 = 3;

/// An acknowledged write: what had happened on the disk by then, and how many writes there were.
struct Acknowledged {
    at: usize,
    writes: u32,
}

fn name(write: u32) -> String {
    format!("k{}", write % KEYS)
}

fn number(collection: &str) -> usize {
    COLLECTIONS.iter().position(|it| it.name == collection).unwrap()
}

/// Of three writes one is a key, one a row and one a few candles, each with the write's number in it.
fn send(caller: &Caller, write: u32, size: usize) {
    match write % 3 {
        0 => {
            let mut value = write.to_string().into_bytes();
            // Pages that do not change are not written.
            value.resize(value.len().max(size), b'a' + u8::try_from(write % 26).unwrap());
            caller.send(Ask::Set(format!("m:{}", name(write)).into_bytes(), value, None));
        }
        1 => {
            let body = rawdoc! { "k": { "entryId": name(write) }, "v": { "payload": i64::from(write) } };
            caller.send_row(Op::Upsert, number("log-items"), body);
        }
        _ => {
            let candle = |place: u32| {
                rawdoc! {
                    "symbol": "S", "interval": "1m", "exchangeName": "e", "timestamp": f64::from(write * CHUNK + place) * 60_000.0,
                    "open": f64::from(write), "high": 2, "low": 1, "close": 1, "volume": 1
                }
            };
            let rows: mongodb::bson::RawArrayBuf =
                (0..CHUNK).map(|place| mongodb::bson::RawBson::Document(candle(place))).collect();
            caller.send_row(Op::Candles, CANDLES, rawdoc! { "rows": rows });
        }
    }
}

/// What stands in a store: keys, rows and candles with the numbers of their writes.
#[derive(Debug, Default, PartialEq)]
struct Standing {
    maps: BTreeMap<String, u32>,
    rows: BTreeMap<String, u32>,
    candles: BTreeMap<u32, u32>,
}

impl Standing {
    /// After the first so many writes.
    fn after(writes: u32) -> Self {
        let mut all = Self::default();
        for write in 0..writes {
            match write % 3 {
                0 => drop(all.maps.insert(name(write), write)),
                1 => drop(all.rows.insert(name(write), write)),
                _ => all.candles.extend((0..CHUNK).map(|place| (write * CHUNK + place, write))),
            }
        }
        all
    }

    /// In a file.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of our own")]
    fn of(store: &Connection) -> Self {
        let mut all = Self::default();
        let page = Ask::Page { kind: crate::map::scan::Kind::Pairs, prefix: b"m:".to_vec(), after: None, limit: 1_000 };
        let Told::Page(texts, _) = maps::run(store, &page, 0).unwrap() else { panic!("no page") };
        for pair in texts.chunks(2) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            all.maps.insert(text(&pair[0]), text(&pair[1]).trim_end_matches(char::is_alphabetic).parse().unwrap());
        }
        let documents = |collection| {
            let answer = find::rows_of(store, collection, &rawdoc! { "filter": {} }).unwrap();
            let Answer::Documents(bytes) = answer else { panic!("no documents") };
            let (mut rest, mut all) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
                all.push(mongodb::bson::Document::from_reader(&rest[..length]).unwrap());
                rest = &rest[length..];
            }
            all
        };
        for row in documents(number("log-items")) {
            let write = row.get_i64("payload").unwrap_or_else(|_| row.get_i32("payload").unwrap().into());
            all.rows.insert(row.get_str("entryId").unwrap().to_owned(), write as u32);
        }
        for row in documents(CANDLES) {
            let number = |name: &str| row.get_f64(name).unwrap_or_else(|_| f64::from(row.get_i32(name).unwrap()));
            all.candles.insert((number("timestamp") / 60_000.0) as u32, number("open") as u32);
        }
        all
    }

    /// How many writes there must have been.
    fn writes(&self) -> u32 {
        self.maps.values().chain(self.rows.values()).chain(self.candles.values()).max().map_or(0, |last| last + 1)
    }
}

/// How many writes were acknowledged before a moment.
fn count(acknowledged: &[Acknowledged], before: usize) -> u32 {
    acknowledged[..acknowledged.partition_point(|one| one.at <= before)].last().map_or(0, |last| last.writes)
}

/// Of each moment, how many writes had to outlive it: all that were acknowledged before a sync of the log began that had ended, or
/// with `full` all that were acknowledged. A sync that comes after a failed one tells nothing until the log was written once more, from its
/// head on.
fn promised(names: &[String], events: &[Event], acknowledged: &[Acknowledged], full: bool) -> Vec<u32> {
    let log = names.iter().position(|name| name.ends_with("-wal"));
    let (mut all, mut least, mut tells) = (Vec::with_capacity(events.len() + 1), 0, true);
    for moment in 0..=events.len() {
        match moment.checked_sub(1).map(|last| &events[last]) {
            Some(Event::Failed { file, .. }) if Some(*file) == log => tells = false,
            Some(Event::Write { file, at: 0, .. }) if Some(*file) == log => tells = true,
            Some(Event::Sync { file, covers, .. }) if Some(*file) == log && tells => {
                least = least.max(count(acknowledged, *covers));
            }
            _ => {}
        }
        all.push(if full { count(acknowledged, moment) } else { least });
    }
    all
}

/// Cuts the power so often, and looks at each file that is left.
fn judge(disk: &Disk, acknowledged: &[Acknowledged], full: bool, cuts: usize, seed: u64) {
    let (names, events) = disk.take();
    let promised = promised(&names, &events, acknowledged, full);
    assert!(*promised.last().unwrap() > 0, "nothing was synced");
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut moments: Vec<_> = (0..cuts).map(|_| chance.usize(0..=events.len())).collect();
    moments.sort_unstable();
    let mut replay = Replay::new(&names, &events);
    let mut lost = 0;
    for moment in moments {
        let promised = promised[moment];
        replay.go_to(moment);
        let folder = Folder::new();
        replay.cut(&mut chance, folder.path());
        let store = reopened(folder.path(), moment);
        let standing = Standing::of(&store);
        let writes = standing.writes();
        assert!(writes >= promised, "moment {moment}: {writes} writes are there, {promised} had to be");
        assert_eq!(standing, Standing::after(writes), "moment {moment}: all writes up to one are there, and no others");
        lost += u32::from(writes < count(acknowledged, moment));
    }
    // A disk that loses nothing would prove nothing.
    assert_eq!(lost > 0, !full, "{lost} cuts took what was acknowledged");
}

fn reopened(folder: &Path, moment: usize) -> Connection {
    let file = folder.join(FILE);
    let store =
        open(&file, Use::Writer(Duration::ZERO)).unwrap_or_else(|failure| panic!("moment {moment}: {failure:?}"));
    let lines: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(lines, "ok", "moment {moment}");
    assert_eq!(check(&store).unwrap(), Vec::<String>::new(), "moment {moment}");
    store
}

/// Who writes: the store's thread, the same with a sync before each answer, or the JavaScript thread wherever it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Thread,
    Full,
    Here,
}

impl Writer {
    fn caller(self, folder: &Path) -> Caller {
        match self {
            Self::Here => Caller::doing(folder, PATIENCE),
            other => Caller::new(folder, PATIENCE, other == Self::Full),
        }
    }
}

/// Writes, with pauses in which the log is synced, checkpoints by others, and the store closed and opened in between.
fn write(folder: &Folder, disk: &Disk, writes: u32, by: Writer, chance: &mut fastrand::Rng) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut caller = by.caller(folder.path());
    let mut done_here = 0;
    let mut write = 0;
    while write < writes {
        let together = chance.u32(1..=8).min(writes - write);
        for _ in 0..together {
            send(&caller, write, 0);
            write += 1;
        }
        for _ in 0..together {
            let answer = caller.answer();
            assert!(!format!("{answer:?}").contains("Err("), "{answer:?}");
            acknowledged.push(Acknowledged { at: disk.now(), writes: u32::try_from(acknowledged.len()).unwrap() + 1 });
        }
        match chance.u8(0..40) {
            0 => std::thread::sleep(Duration::from_millis(chance.u64(0..150))),
            1 => {
                let other = open(&folder.path().join(FILE), Use::Writer(PATIENCE)).unwrap();
                let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][chance.usize(0..4)];
                other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
            }
            2 => {
                done_here += caller.end();
                caller = by.caller(folder.path());
            }
            _ => {}
        }
    }
    done_here += caller.end();
    assert_eq!(done_here > 0, by == Writer::Here, "{done_here} writes were done by the caller itself");
    acknowledged
}

fn at_random_moments(writer: Writer, seed: u64) {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let acknowledged = write(&folder, &disk, 700, writer, &mut fastrand::Rng::with_seed(seed));
    judge(&disk, &acknowledged, writer == Writer::Full, 400, seed);
}

#[test]
fn a_power_cut_takes_no_more_than_what_was_committed_since_the_last_sync_of_the_log() {
    at_random_moments(Writer::Thread, 1);
}

#[test]
fn a_power_cut_takes_no_more_where_the_javascript_thread_commits() {
    at_random_moments(Writer::Here, 6);
}

#[test]
fn with_full_sync_a_power_cut_takes_nothing_that_was_acknowledged() {
    at_random_moments(Writer::Full, 2);
}

#[test]
fn a_power_cut_in_the_middle_of_a_checkpoint_takes_no_more_either() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    let mut acknowledged = Vec::new();
    // Some 16 MiB of log make a checkpoint.
    for write in 0..200 {
        send(&caller, write, 300_000);
        caller.answer();
        acknowledged.push(Acknowledged { at: disk.now(), writes: write + 1 });
        if write % 60 == 59 {
            std::thread::sleep(Duration::from_millis(120));
        }
    }
    assert!(caller.client.thread().checkpoints.load(Ordering::Relaxed) > 0);
    caller.end();
    judge(&disk, &acknowledged, false, 60, 3);
}

/// Writes until a checkpoint has failed because one of its syncs has, and then until there was one that has not.
fn with_a_failing_checkpoint(fault: Fault, seed: u64) {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    let mut acknowledged = Vec::new();
    for write in 0.. {
        send(&caller, write, 300_000);
        let answer = caller.answer();
        assert!(!format!("{answer:?}").contains("Err("), "{answer:?}");
        acknowledged.push(Acknowledged { at: disk.now(), writes: write + 1 });
        // Not before the file is made.
        disk.fail((!disk.has_failed()).then_some(fault));
        if caller.client.thread().checkpoints.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    assert!(disk.has_failed());
    caller.end();
    judge(&disk, &acknowledged, false, 80, seed);
}

#[test]
fn a_power_cut_takes_no_more_where_a_checkpoint_cannot_sync_the_log() {
    with_a_failing_checkpoint(Fault::SecondSync, 7);
}

#[test]
fn a_power_cut_takes_no_more_where_a_checkpoint_cannot_sync_the_file() {
    with_a_failing_checkpoint(Fault::FileSync, 8);
}

/// Writes, while every twentieth sync or so fails once.
fn with_failing_syncs(full: bool, seed: u64) {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, full);
    let failed = |answer| format!("{answer:?}").contains("Err(");
    let mut acknowledged = Vec::new();
    for write in 0..60 {
        let fails = write % 20 == 10;
        disk.fail((fails && full).then_some(Fault::Sync));
        send(&caller, write, 0);
        assert_eq!(failed(caller.answer()), fails && full);
        if fails && full {
            // It may be there, or not; it is written once more.
            disk.fail(None);
            send(&caller, write, 0);
            assert!(!failed(caller.answer()));
        }
        acknowledged.push(Acknowledged { at: disk.now(), writes: write + 1 });
        if fails && !full {
            // The sync fails behind the acknowledgement, and works again before the next write.
            disk.fail(Some(Fault::Sync));
            while caller.client.thread().state().last_error.is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            disk.fail(None);
        }
    }
    caller.end();
    judge(&disk, &acknowledged, full, 200, seed);
}

#[test]
fn what_a_failed_sync_has_left_out_is_written_once_more() {
    with_failing_syncs(false, 4);
}

#[test]
fn with_full_sync_what_follows_a_failed_sync_is_as_safe_as_before() {
    with_failing_syncs(true, 5);
}
