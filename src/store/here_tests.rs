//! Writes on the JavaScript thread over real files, beside the store's thread, other engines and other processes' locks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::{RawDocumentBuf, rawdoc};

use super::*;
use crate::error::Code;
use crate::mongo::wire::{Op, Request};
use crate::store::course::{LARGE, MANY};
use crate::store::maps::{Ask, Told};
use crate::store::open::FILE;
use crate::store::testing::Folder;
use crate::store::testing::gate::Gate;
use crate::store::testing::post::{Post, client_of, until};

/// An engine with its connection; the store is open.
fn engine(folder: &Folder) -> (Arc<Client>, Post, Here) {
    let (client, post) = client_of(folder.path(), 30_000);
    hand_over(&client, vec![map(0, Ask::Ping)]);
    post.map().1.unwrap();
    // A machine that is busy with other things must not decide what a test sees.
    let here = Here { long: Duration::from_secs(3_600), ..Here::of(&client).unwrap() };
    (client, post, here)
}

fn map(call: u64, ask: Ask) -> Work {
    Work::Map(call, ask)
}

fn set(call: u64, key: &str, value: &str) -> Work {
    map(call, Ask::Set(key.into(), value.into(), None))
}

fn get(call: u64, key: &str) -> Work {
    map(call, Ask::Get(key.into(), None))
}

fn admit(client: &Client, work: &[Work]) {
    for work in work {
        client.admit(work).unwrap();
    }
}

fn hand_over(client: &Arc<Client>, work: Vec<Work>) {
    admit(client, &work);
    client.hand_over(work);
}

/// A tick, as the boundary carries it out; what was answered at once.
fn tick(client: &Arc<Client>, here: &Here, mut work: Vec<Work>) -> Vec<Answered> {
    admit(client, &work);
    let answers = here.carry_out(client, &work);
    let rest = work.split_off(answers.len());
    if !rest.is_empty() {
        client.hand_over(rest);
    }
    client.answered(&work, &answers);
    answers
}

fn told(answers: Vec<Answered>) -> Vec<Told> {
    let of = |answer| match answer {
        Answered::Map(_, outcome) => outcome.unwrap(),
        other @ Answered::Row(..) => panic!("{other:?}"),
    };
    answers.into_iter().map(of).collect()
}

fn text(text: &str) -> Told {
    Told::Text(text.into())
}

fn other(folder: &Folder) -> Connection {
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    other
}

fn checkpoint(store: &Connection, mode: &str) {
    store.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
}

#[test]
fn a_tick_is_one_commit_in_its_order_and_others_see_it() {
    let folder = Folder::new();
    let (client, _post, here) = engine(&folder);
    let work = vec![
        set(1, "a:1", "v"),
        get(2, "a:1"),
        map(3, Ask::Delete("a:1".into())),
        map(4, Ask::Has("a:1".into(), None)),
        set(5, "a:2", "w"),
    ];
    let commits = client.thread().commits.load(Ordering::Relaxed);
    let answers = told(tick(&client, &here, work));
    assert_eq!(answers, [Told::Nothing, text("v"), Told::Nothing, Told::Flag(false), Told::Nothing]);
    assert_eq!(client.thread().commits.load(Ordering::Relaxed), commits + 1);
    let keys: i64 = other(&folder).query_row("SELECT count(*) FROM maps", [], |row| row.get(0)).unwrap();
    assert_eq!((keys, client.waiting(), client.is_writing()), (1, 0, false));
    let counters = &client.counters;
    assert_eq!([counters.writes.load(Ordering::Relaxed), counters.reads.load(Ordering::Relaxed)], [3, 2]);
    client.leave(Some(here.into_store()));
}

#[test]
fn a_lock_that_somebody_holds_is_not_waited_for_and_what_comes_later_goes_behind() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let other = other(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The loop would stand still for the 30 s of the time limit.
    assert!(tick(&client, &here, vec![set(1, "a:1", "one"), get(2, "a:1")]).is_empty());
    assert!(client.is_writing());
    other.execute_batch("ROLLBACK").unwrap();
    // The lock is free, and still it must not overtake what waits.
    let mut there = 2;
    if tick(&client, &here, vec![set(3, "a:1", "two")]).is_empty() {
        there += 1;
    }
    let answers: Vec<_> = (0..there).map(|_| post.map()).collect();
    assert_eq!(answers[1].1.as_ref().unwrap(), &text("one"));
    assert_eq!(
        told(tick(&client, &here, vec![get(4, "a:1"), set(5, "a:2", "here again")])),
        [text("two"), Told::Nothing]
    );
    client.leave(Some(here.into_store()));
}

#[test]
fn nothing_is_done_here_while_a_write_waits_there() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let other = other(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    hand_over(&client, vec![set(1, "a:1", "there")]);
    for call in 2..5 {
        assert!(tick(&client, &here, vec![get(call, "a:1")]).is_empty());
    }
    other.execute_batch("ROLLBACK").unwrap();
    post.map().1.unwrap();
    for _ in 2..5 {
        assert_eq!(post.map().1.unwrap(), text("there"));
    }
    client.leave(Some(here.into_store()));
}

#[test]
fn the_commit_that_begins_the_log_anew_is_the_threads() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let other = other(&folder);
    for (mode, call) in ["PASSIVE", "RESTART", "TRUNCATE"].into_iter().zip((1..).step_by(3)) {
        assert_eq!(tick(&client, &here, vec![set(call, "a:1", mode)]).len(), 1, "{mode}");
        checkpoint(&other, mode);
        assert!(tick(&client, &here, vec![set(call + 1, "a:2", mode)]).is_empty(), "{mode}");
        post.map().1.unwrap();
        assert_eq!(told(tick(&client, &here, vec![get(call + 2, "a:2")])), [text(mode)]);
    }
    client.leave(Some(here.into_store()));
}

#[test]
fn while_a_sync_stands_still_writes_go_on_here_and_none_of_them_syncs() {
    let folder = Folder::new();
    let gate = Gate::of(folder.path());
    let (client, post, here) = engine(&folder);
    gate.close();
    let mut call = 1;
    // The thread comes to its sync, and stays there.
    until("the thread syncs", || {
        call += 1;
        assert_eq!(tick(&client, &here, vec![set(call, "a:1", "v")]).len(), 1);
        std::thread::sleep(Duration::from_millis(1));
        gate.waiting() > 0
    });
    for _ in 0..1_000 {
        call += 1;
        assert_eq!(tick(&client, &here, vec![set(call, "a:1", &call.to_string())]).len(), 1);
    }
    assert_eq!(gate.waiting(), 1);
    assert_eq!(gate.synced_by_this_thread(), 0, "the loop has waited for a sync");
    gate.open();
    // And where the log is begun anew, the thread waits for it alone.
    checkpoint(&other(&folder), "TRUNCATE");
    gate.close();
    assert!(tick(&client, &here, vec![set(call + 1, "a:1", "after")]).is_empty());
    until("the thread syncs the log's header", || gate.waiting() > 0);
    assert!(tick(&client, &here, vec![set(call + 2, "a:1", "last")]).is_empty());
    gate.open();
    post.map().1.unwrap();
    post.map().1.unwrap();
    assert_eq!(told(tick(&client, &here, vec![get(call + 3, "a:1")])), [text("last")]);
    client.leave(Some(here.into_store()));
}

#[test]
fn what_is_committed_here_is_synced_soon_and_before_a_mark_is_told() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let syncs = || client.thread().syncs.load(Ordering::Relaxed);
    let before = syncs();
    assert_eq!(tick(&client, &here, vec![set(1, "a:1", "v")]).len(), 1);
    until("the thread has synced", || syncs() > before);
    let before = syncs();
    assert_eq!(tick(&client, &here, vec![set(2, "a:1", "w")]).len(), 1);
    client.mark(3);
    post.map().1.unwrap();
    assert_eq!(syncs(), before + 1);
    client.leave(Some(here.into_store()));
}

#[test]
fn with_full_syncs_every_write_is_the_threads() {
    let folder = Folder::new();
    let (send, post) = Post::new();
    let config = crate::config::store::StoreConfig { full: true, ..client_of(folder.path(), 1_000).0.config().clone() };
    let client = Client::new(config, send);
    hand_over(&client, vec![map(0, Ask::Ping)]);
    post.map().1.unwrap();
    let here = Here::of(&client).unwrap();
    assert!(tick(&client, &here, vec![set(1, "a:1", "v")]).is_empty());
    post.map().1.unwrap();
    assert_eq!(told(tick(&client, &here, vec![get(2, "a:1")])), [text("v")]);
    client.leave(Some(here.into_store()));
}

fn insert(call: u32, body: RawDocumentBuf) -> Work {
    Work::Row(Request { call, op: Op::Insert, collection: 4, body })
}

fn risk(name: &str) -> RawDocumentBuf {
    rawdoc! { "dto": { "riskName": name, "exchangeName": "e", "positions": [], "when": 5 } }
}

#[test]
fn a_call_that_fails_is_undone_alone_whether_it_has_company_or_not() {
    let folder = Folder::new();
    let (client, _post, here) = engine(&folder);
    let fine = |answers: &[Answered]| answers.iter().map(|answer| failure_of(answer).is_none()).collect::<Vec<_>>();
    let some = vec![insert(1, risk("r")), insert(2, risk("r")), insert(3, risk("q")), insert(4, rawdoc! { "dto": {} })];
    assert_eq!(fine(&tick(&client, &here, some)), [true, false, true, false]);
    let commits = client.thread().commits.load(Ordering::Relaxed);
    let alone = tick(&client, &here, vec![insert(5, risk("q"))]);
    assert_eq!(failure_of(&alone[0]).unwrap().error.code, Code::MongoWrite);
    assert_eq!(client.thread().commits.load(Ordering::Relaxed), commits);
    assert_eq!(fine(&tick(&client, &here, vec![insert(6, risk("s"))])), [true]);
    client.leave(Some(here.into_store()));
}

#[test]
fn what_would_hold_up_the_loop_goes_to_the_thread_and_the_order_holds() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let count = MANY as u64 + 50;
    let work = (0..count).map(|call| set(call, "a:1", &call.to_string())).collect();
    let here_done = tick(&client, &here, work).len();
    assert_eq!(here_done, MANY);
    (here_done as u64..count).for_each(|_| drop(post.map().1.unwrap()));
    assert_eq!(told(tick(&client, &here, vec![get(count, "a:1")])), [text(&(count - 1).to_string())]);
    let large = "v".repeat(LARGE);
    assert!(tick(&client, &here, vec![set(count + 1, "a:1", &large)]).is_empty());
    post.map().1.unwrap();
    let all = Ask::Page { kind: crate::map::scan::Kind::Clear, prefix: "a:".into(), after: None, limit: 1 };
    assert!(tick(&client, &here, vec![map(count + 2, all), set(count + 3, "a:1", "after")]).is_empty());
    (0..2).for_each(|_| drop(post.map().1.unwrap()));
    assert_eq!(told(tick(&client, &here, vec![get(count + 4, "a:1")])), [text("after")]);
    client.leave(Some(here.into_store()));
}

#[test]
fn a_log_that_grows_by_writes_here_is_written_back() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let checkpoints = || client.thread().checkpoints.load(Ordering::Relaxed);
    let mut call = 1;
    until("the log is written back", || {
        for _ in 0..16 {
            call += 1;
            let value = format!("{call}").repeat(LARGE / 2 / format!("{call}").len());
            if tick(&client, &here, vec![set(call, &format!("a:{}", call % 64), &value)]).is_empty() {
                post.map().1.unwrap();
            }
        }
        checkpoints() > 0
    });
    client.leave(Some(here.into_store()));
}

#[test]
fn keys_that_have_ended_are_swept_while_only_this_thread_writes() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let mut call = 1;
    let ended = Work::Map(1, Ask::Set("a:ended".into(), "v".into(), Some(0)));
    assert_eq!(tick(&client, &here, vec![ended]).len(), 1);
    let other = other(&folder);
    until("it is swept", || {
        call += 1;
        if tick(&client, &here, vec![set(call, "a:1", "v")]).is_empty() {
            post.map().1.unwrap();
        }
        let keys: i64 = other.query_row("SELECT count(*) FROM maps", [], |row| row.get(0)).unwrap();
        keys == 1
    });
    client.leave(Some(here.into_store()));
}

/// One engine of several: each tick reads what the ticks before have written, and writes on.
fn race(folder: &Folder, name: &str, ticks: u64) -> (u64, u64) {
    let (client, post, here) = engine(folder);
    let (mut at_once, mut there) = (0, 0);
    let mut expected = Vec::new();
    for number in 0..ticks {
        let key = format!("{name}:k");
        let mut work =
            vec![get(number * 4 + 1, &key), set(number * 4 + 2, &key, &number.to_string()), get(number * 4 + 3, &key)];
        if number % 7 == 0 {
            // What is long goes to the thread, and what is behind it in the tick.
            let count = Ask::Page { kind: crate::map::scan::Kind::Count, prefix: name.into(), after: None, limit: 1 };
            work.insert(1, map(number * 4 + 4, count));
        }
        let before = if number == 0 { Told::Absent } else { text(&(number - 1).to_string()) };
        for piece in &work {
            let Work::Map(call, ask) = piece else { unreachable!() };
            expected.push(match ask {
                Ask::Get(..) if call % 4 == 1 => before.clone(),
                Ask::Get(..) => text(&number.to_string()),
                Ask::Page { .. } => Told::Number(u64::from(number > 0)),
                _ => Told::Nothing,
            });
        }
        let count = work.len();
        let answers = told(tick(&client, &here, work));
        at_once += answers.len() as u64;
        let waits = count - answers.len();
        there += waits as u64;
        let mut all = answers;
        // Now and then the next tick does not wait for what the thread still does.
        all.extend((0..waits).map(|_| post.map().1.unwrap()));
        assert_eq!(all, expected.split_off(0), "{name}, tick {number}");
    }
    client.leave(Some(here.into_store()));
    (at_once, there)
}

#[test]
fn two_engines_and_a_holder_of_the_lock_keep_their_orders() {
    let folder = Folder::new();
    drop(engine(&folder));
    let done = std::sync::atomic::AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let other = other(&folder);
            other.busy_timeout(Duration::from_secs(30)).unwrap();
            while !done.load(Ordering::Relaxed) {
                other.execute_batch("BEGIN IMMEDIATE").unwrap();
                std::thread::sleep(Duration::from_millis(2));
                other.execute_batch("ROLLBACK").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let engines: Vec<_> = ["one", "two"].map(|name| scope.spawn(|| race(&folder, name, 400))).into();
        let counts: Vec<_> = engines.into_iter().map(|engine| engine.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        holder.join().unwrap();
        counts
    });
    for (here, there) in counts {
        assert!(here > 0 && there > 0, "both ways are gone: {here}, {there}");
    }
}

#[test]
fn writes_that_nobody_waits_for_keep_their_order_although_some_go_to_the_thread() {
    let folder = Folder::new();
    let (client, post, here) = engine(&folder);
    let other = other(&folder);
    let (mut waits, mut number) = (0, 0_u64);
    for round in 0..200 {
        if round % 3 == 0 {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        for step in 0..3 {
            number += 1;
            let work = vec![set(number * 2, "a:1", &number.to_string()), get(number * 2 + 1, "a:1")];
            let answers = told(tick(&client, &here, work));
            waits += 2 - answers.len();
            if let Some(seen) = answers.get(1) {
                assert_eq!(seen, &text(&number.to_string()));
            }
            if step == 1 && round % 3 == 0 {
                other.execute_batch("ROLLBACK").unwrap();
            }
        }
    }
    let mut last = 0;
    for _ in 0..waits {
        let (call, outcome) = post.map();
        assert!(call > last, "answers in their order");
        last = call;
        let expected = if call % 2 == 0 { Told::Nothing } else { text(&(call / 2).to_string()) };
        assert_eq!(outcome.unwrap(), expected);
    }
    assert_eq!(told(tick(&client, &here, vec![get(number * 2 + 2, "a:1")])), [text(&number.to_string())]);
    client.leave(Some(here.into_store()));
}

#[test]
fn a_file_that_is_removed_before_its_first_use_here_is_noticed_at_once() {
    let folder = Folder::new();
    let (client, _post, mut here) = engine(&folder);
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    assert!(here.is_gone(&client));
    client.leave(Some(here.into_store()));
}
