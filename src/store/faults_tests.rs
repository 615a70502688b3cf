//! Disks that fail and stall, locks that are held, files that are others: each has its code, and nothing acknowledged is lost.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::rawdoc;
use rusqlite::Connection;

use super::maps::{self, Ask, Told};
use super::open::{FILE, VERSION};
use super::testing::disk::{Disk, Fault, Replay};
use super::testing::post::client_of;
use super::testing::{Caller, Folder};
use super::work::Work;
use crate::error::Code;
use crate::mongo::wire::Op;

const PATIENCE: Duration = Duration::from_secs(30);

fn set(key: &str) -> Ask {
    Ask::Set(key.as_bytes().to_vec(), b"v".to_vec(), None)
}

fn get(key: &str) -> Ask {
    Ask::Get(key.as_bytes().to_vec(), None)
}

fn there() -> Told {
    Told::Text(b"v".to_vec())
}

fn code(caller: &Caller, ask: Ask) -> Code {
    caller.map(ask).unwrap_err().error.code
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}

/// A disk that fails so: writes have this code while it does, nothing of what was acknowledged is gone, and the next write works.
fn fails(fault: Fault, expected: Code) {
    fails_for(fault, expected, |folder| Caller::new(folder, PATIENCE, false));
    fails_for(fault, expected, |folder| Caller::doing(folder, PATIENCE));
}

fn fails_for(fault: Fault, expected: Code, caller_of: fn(&Path) -> Caller) {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = caller_of(folder.path());
    for _ in 0..3 {
        caller.map(set("a:1")).unwrap();
    }
    disk.fail(Some(fault));
    assert_eq!(code(&caller, set("a:2")), expected);
    let row = || rawdoc! { "k": { "entryId": "e" }, "v": { "payload": 1 } };
    let log = crate::mongo::table::COLLECTIONS.iter().position(|it| it.name == "log-items").unwrap();
    assert_eq!(caller.row(Op::Upsert, log, row()).unwrap_err().error.code, expected);
    assert_eq!(caller.map(get("a:1")).unwrap(), there());
    assert_eq!(caller.map(get("a:2")).unwrap(), Told::Absent);
    assert!(caller.client.thread().state().last_error.is_some());
    disk.fail(None);
    caller.map(set("a:2")).unwrap();
    caller.row(Op::Upsert, log, row()).unwrap();
    caller.end();
    let caller = caller_of(folder.path());
    for key in ["a:1", "a:2"] {
        assert_eq!(caller.map(get(key)).unwrap(), there());
    }
}

#[test]
fn a_full_disk_is_store_full_until_there_is_room_again() {
    fails(Fault::Full, Code::StoreFull);
}

#[test]
fn a_disk_that_does_not_write_is_store_unavailable_until_it_does() {
    fails(Fault::Write, Code::StoreUnavailable);
}

#[test]
fn a_disk_that_does_not_sync_refuses_writes_until_it_does() {
    does_not_sync(|folder| Caller::new(folder, PATIENCE, false));
    does_not_sync(|folder| Caller::doing(folder, PATIENCE));
}

fn does_not_sync(caller_of: fn(&Path) -> Caller) {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = caller_of(folder.path());
    caller.map(set("a:1")).unwrap();
    disk.fail(Some(Fault::Sync));
    // It was acknowledged before the disk failed to sync it.
    caller.map(set("a:2")).unwrap();
    let thread = caller.client.thread();
    until("it was tried to sync", || thread.state().last_error.is_some());
    assert_eq!(code(&caller, set("a:3")), Code::StoreUnavailable);
    disk.fail(None);
    caller.map(set("a:3")).unwrap();
    for key in ["a:1", "a:2", "a:3"] {
        assert_eq!(caller.map(get(key)).unwrap(), there());
    }
}

/// Whatever a power cut leaves now of what is not synced, these are there.
fn survive_power_cuts(disk: &Disk, keys: &[&str]) {
    let (names, events) = disk.take();
    let mut replay = Replay::new(&names, &events);
    replay.go_to(events.len());
    for seed in 0..10 {
        let left = Folder::new();
        replay.cut(&mut fastrand::Rng::with_seed(seed), left.path());
        let after = Caller::new(left.path(), PATIENCE, false);
        for key in keys {
            assert_eq!(after.map(get(key)).unwrap(), there());
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_disk_failed_to_sync_is_synced_without_another_call_once_it_can_be() {
    for caller_of in
        [|folder: &Path| Caller::new(folder, PATIENCE, false), |folder: &Path| Caller::doing(folder, PATIENCE)]
    {
        let folder = Folder::new();
        let disk = Disk::of(folder.path());
        let caller = caller_of(folder.path());
        caller.map(set("a:1")).unwrap();
        disk.fail(Some(Fault::Sync));
        caller.map(set("a:2")).unwrap();
        let thread = caller.client.thread();
        until("it was tried to sync", || thread.state().last_error.is_some());
        assert!(!thread.lets_others_write());
        disk.fail(None);
        until("it was tried again", || thread.state().last_error.is_none());
        assert!(thread.lets_others_write());
        survive_power_cuts(&disk, &["a:1", "a:2"]);
    }
}

#[test]
fn a_mark_fails_while_what_was_acknowledged_cannot_be_synced() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    disk.fail(Some(Fault::Sync));
    caller.map(set("a:2")).unwrap();
    assert_eq!(caller.mark().unwrap_err().error.code, Code::StoreUnavailable);
    assert_eq!(caller.mark().unwrap_err().error.code, Code::StoreUnavailable);
    disk.fail(None);
    caller.mark().unwrap();
    assert_eq!(caller.map(get("a:2")).unwrap(), there());
}

#[test]
fn a_log_whose_sync_has_failed_is_not_relied_on_by_who_opens_the_store_next() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    caller.mark().unwrap();
    disk.fail(Some(Fault::Sync));
    caller.map(set("a:2")).unwrap();
    assert_eq!(caller.mark().unwrap_err().error.code, Code::StoreUnavailable);
    caller.end();
    disk.fail(None);
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:3")).unwrap();
    caller.mark().unwrap();
    survive_power_cuts(&disk, &["a:1", "a:2", "a:3"]);
}

#[test]
fn what_a_disk_has_lost_of_a_log_never_comes_into_the_file_and_what_is_whole_is_there_again() {
    for caller_of in
        [|folder: &Path| Caller::new(folder, PATIENCE, false), |folder: &Path| Caller::doing(folder, PATIENCE)]
    {
        let folder = Folder::new();
        let disk = Disk::of(folder.path());
        let caller = caller_of(folder.path());
        let large = |key: &str| Ask::Set(key.as_bytes().to_vec(), vec![b'v'; 20_000], None);
        caller.map(set("a:1")).unwrap();
        caller.mark().unwrap();
        disk.fail(Some(Fault::SyncAndForget));
        for number in 0..8 {
            caller.send(large(&format!("a:2:{number}")));
        }
        for _ in 0..8 {
            caller.answer();
        }
        let thread = caller.client.thread();
        let lost = |why: &str| why.contains("the disk has lost");
        until("it is noticed", || thread.state().last_error.as_deref().is_some_and(lost));
        disk.fail(None);
        let failure = caller.map(set("a:3")).unwrap_err();
        assert_eq!(failure.error.code, Code::StoreUnavailable);
        assert!(lost(&caller.mark().unwrap_err().error.message));
        caller.end();
        let caller = caller_of(folder.path());
        assert_eq!(caller.map(get("a:1")).unwrap(), there());
        caller.map(set("a:3")).unwrap();
        caller.mark().unwrap();
        caller.end();
        assert_eq!(super::check::check(&other(folder.path())).unwrap(), Vec::<String>::new());
        survive_power_cuts(&disk, &["a:1", "a:3"]);
    }
}

#[test]
fn what_a_process_has_left_whose_disk_did_not_sync_is_synced_by_who_opens_the_store_next() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let killed = super::open::open(&folder.path().join(FILE), super::open::Use::Writer(PATIENCE)).unwrap();
    for key in ["a:1", "a:2", "a:3"] {
        maps::run(&killed, &set(key), 0).unwrap();
    }
    disk.fail(Some(Fault::Sync));
    super::sync::log(&killed).unwrap_err();
    drop(killed);
    disk.fail(None);
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(get("a:1")).unwrap();
    survive_power_cuts(&disk, &["a:1", "a:2", "a:3"]);
}

#[test]
fn a_store_that_was_removed_while_its_disk_failed_to_sync_is_not_made_anew() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    disk.fail(Some(Fault::Sync));
    caller.map(set("a:2")).unwrap();
    until("it was tried to sync", || caller.client.thread().state().last_error.is_some());
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    disk.fail(None);
    until("it was noticed", || caller.client.thread().is_gone());
    assert_eq!(code(&caller, set("a:3")), Code::StoreUnavailable);
    assert!(!folder.path().join(FILE).exists());
}

#[test]
fn a_removed_store_whose_disk_fails_is_not_made_anew_by_its_last_user_either() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let (client, answers) = client_of(folder.path(), 1_000);
    let work = Work::Map(0, set("a:1"));
    client.admit(&work).unwrap();
    client.hand_over(vec![work]);
    answers.map().1.unwrap();
    disk.fail(Some(Fault::Sync));
    until("it was tried to sync", || client.thread().state().last_error.is_some());
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    client.end(None, 1);
    assert_eq!(answers.map().1.unwrap_err().error.code, Code::StoreUnavailable);
    client.thread().wait_for_end();
    assert!(!folder.path().join(FILE).exists());
}

#[test]
fn with_full_sync_a_write_whose_sync_fails_is_refused() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, true);
    caller.map(set("a:1")).unwrap();
    disk.fail(Some(Fault::Sync));
    assert_eq!(code(&caller, set("a:2")), Code::StoreUnavailable);
    disk.fail(None);
    caller.map(set("a:2")).unwrap();
    assert_eq!(caller.map(get("a:2")).unwrap(), there());
}

#[test]
fn a_disk_that_does_not_read_is_store_unavailable_until_it_does() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    caller.end();
    disk.fail(Some(Fault::Read));
    let caller = Caller::new(folder.path(), PATIENCE, false);
    assert_eq!(code(&caller, get("a:1")), Code::StoreUnavailable);
    assert_eq!(code(&caller, set("a:1")), Code::StoreUnavailable);
    disk.fail(None);
    assert_eq!(caller.map(get("a:1")).unwrap(), there());
}

#[test]
fn reads_do_not_wait_for_a_sync_and_with_full_sync_a_write_does() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    until("it was synced", || caller.client.thread().syncs.load(Ordering::Relaxed) > 0);
    let reader = caller.client.take_reader().unwrap();
    disk.hold_syncs(true);
    caller.map(set("a:2")).unwrap();
    disk.wait_for_held();
    assert_eq!(maps::run(&reader, &get("a:2"), 0).unwrap(), there());
    assert!(disk.is_holding());
    disk.hold_syncs(false);
    drop(reader);
    caller.end();
    let caller = Caller::new(folder.path(), PATIENCE, true);
    caller.map(get("a:1")).unwrap();
    disk.hold_syncs(true);
    caller.send(set("a:3"));
    disk.wait_for_held();
    assert!(caller.answer_now().is_none());
    disk.hold_syncs(false);
    caller.answer();
    assert_eq!(caller.map(get("a:3")).unwrap(), there());
}

/// Another process, as far as locks go: another connection.
fn other(folder: &Path) -> Connection {
    Connection::open(folder.join(FILE)).unwrap()
}

#[test]
fn a_lock_that_is_let_go_in_time_only_makes_writes_wait() {
    let folder = Folder::new();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    let reader = caller.client.take_reader().unwrap();
    let lock = other(folder.path());
    lock.execute_batch("BEGIN IMMEDIATE; DELETE FROM maps").unwrap();
    caller.send(set("a:2"));
    // The lock is not let go before a read was answered, and the write was not.
    assert_eq!(maps::run(&reader, &get("a:1"), 0).unwrap(), there());
    assert!(caller.answer_now().is_none());
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(!format!("{:?}", caller.answer()).contains("Err("));
    assert_eq!(caller.map(get("a:2")).unwrap(), there());
}

#[test]
fn what_waits_for_the_lock_is_answered_where_a_sync_fails_meanwhile() {
    let folder = Folder::new();
    let disk = Disk::of(folder.path());
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    let (client, thread) = (&caller.client, caller.client.thread());
    until("it is synced", || thread.syncs.load(Ordering::Relaxed) > 0);
    let lock = other(folder.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let work = vec![Work::Map(1, set("a:2")), Work::Map(2, get("a:1"))];
    for work in &work {
        client.admit(work).unwrap();
    }
    client.hand_over(work);
    disk.fail(Some(Fault::Sync));
    // As if the JavaScript thread had committed something.
    thread.committed(0);
    for _ in 0..2 {
        assert!(format!("{:?}", caller.answer()).contains("StoreUnavailable"));
    }
    assert_eq!((client.waiting(), client.is_writing()), (0, false));
    disk.fail(None);
    lock.execute_batch("ROLLBACK").unwrap();
    caller.map(set("a:2")).unwrap();
    assert_eq!(caller.map(get("a:1")).unwrap(), there());
}

#[test]
fn a_file_that_takes_the_place_of_an_open_one_is_not_written() {
    let folder = Folder::new();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    let file = folder.path().join(FILE);
    let words = "another file, as large as a store might be ".repeat(200);
    std::fs::rename(&file, folder.path().join("aside")).unwrap();
    std::fs::write(&file, &words).unwrap();
    until("it is noticed", || {
        caller.map(set("a:2")).is_err_and(|failure| failure.error.code == Code::StoreUnavailable)
    });
    assert_eq!(code(&caller, get("a:1")), Code::StoreUnavailable);
    caller.end();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), words);
}

#[test]
fn a_process_of_an_older_release_writes_nothing_once_a_newer_one_has_changed_the_layout() {
    let folder = Folder::new();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    caller.map(set("a:1")).unwrap();
    let newer = other(folder.path());
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    assert_eq!(code(&caller, set("a:2")), Code::StoreVersion);
    let count: i64 = newer.query_row("SELECT count(*) FROM maps", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    caller.end();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    assert_eq!(code(&caller, get("a:1")), Code::StoreVersion);
}

#[test]
fn a_file_that_was_damaged_is_store_corrupt_and_the_rest_of_it_is_not_changed() {
    let folder = Folder::new();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    for number in 0..200 {
        caller.map(Ask::Set(format!("a:{number:03}").into_bytes(), vec![b'v'; 2_000], None)).unwrap();
    }
    caller.end();
    other(folder.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let file = folder.path().join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let from = bytes.len() - 40 * 4_096;
    bytes[from..].fill(0xAA);
    std::fs::write(&file, &bytes).unwrap();
    let caller = Caller::new(folder.path(), PATIENCE, false);
    let all = Ask::Page { kind: crate::map::scan::Kind::Values, prefix: b"a:".to_vec(), after: None, limit: 1_000 };
    assert_eq!(code(&caller, all), Code::StoreCorrupt);
    let store = other(folder.path());
    assert!(!super::check::check(&store).unwrap().is_empty());
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn keys_outlive_a_clock_that_is_set_back_and_end_when_it_is_set_forward() {
    let (_folder, store) = super::testing::store();
    let at = |now| move |key: &str| (key.as_bytes().to_vec(), now);
    let there = |(key, now): (Vec<u8>, i64)| maps::run(&store, &Ask::Get(key, None), now).unwrap() != Told::Absent;
    maps::run(&store, &Ask::Set(b"a:1".to_vec(), b"v".to_vec(), Some(10)), 1_000_000).unwrap();
    // Half an hour back: it lives that much longer.
    assert!(there(at(1_000_000 - 1_800_000)("a:1")));
    maps::sweep(&store, 1_000_000 - 1_800_000).unwrap();
    assert!(there(at(1_009_999)("a:1")));
    assert!(!there(at(1_010_000)("a:1")));
    // And forward: it ends, and is not back when the clock is, once it was swept.
    maps::sweep(&store, 1_010_000).unwrap();
    assert!(!there(at(1_000_000)("a:1")));
}
