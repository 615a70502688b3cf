//! The thread over real files: order, transactions, several of them.

use mongodb::bson::rawdoc;
use rusqlite::Connection;

use super::*;
use crate::mongo::wire::{Op, Request};
use crate::store::client::Client;
use crate::store::maps::{Ask, Told};
use crate::store::open::FILE;
use crate::store::testing::Folder;
use crate::store::testing::post::client_of;
use crate::store::work::{Answered, Work};

fn ask(client: &Arc<Client>, call: u64, ask: Ask) {
    let work = Work::Map(call, ask);
    client.admit(&work).unwrap();
    client.hand_over(vec![work]);
}

fn set(key: &str) -> Ask {
    Ask::Set(key.as_bytes().to_vec(), b"v".to_vec(), None)
}

#[test]
fn a_read_behind_a_write_sees_it_and_answers_come_in_order() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 1_000);
    let work =
        [set("a:1"), Ask::Get(b"a:1".to_vec(), None), Ask::Delete(b"a:1".to_vec()), Ask::Has(b"a:1".to_vec(), None)];
    let work: Vec<_> = work.into_iter().zip(0..).map(|(ask, call)| Work::Map(call, ask)).collect();
    for work in &work {
        client.admit(work).unwrap();
    }
    client.hand_over(work);
    let told: Vec<_> = (0..4).map(|_| answers.map()).map(|(call, outcome)| (call, outcome.unwrap())).collect();
    assert_eq!(told, [(0, Told::Nothing), (1, Told::Text(b"v".to_vec())), (2, Told::Nothing), (3, Told::Flag(false))]);
    assert!(!client.is_writing());
    assert_eq!(client.waiting(), 0);
    client.leave(None);
}

#[test]
fn a_lock_that_is_held_for_long_fails_writes_by_its_deadline_and_no_reads() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 200);
    ask(&client, 0, set("a:1"));
    answers.map().1.unwrap();
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let work = [set("a:2"), Ask::Get(b"a:1".to_vec(), None)].into_iter().zip(1..);
    let work: Vec<_> = work.map(|(ask, call)| Work::Map(call, ask)).collect();
    for work in &work {
        client.admit(work).unwrap();
    }
    client.hand_over(work);
    let (first, second) = (answers.map(), answers.map());
    assert_eq!((first.0, first.1.unwrap_err().error.code), (1, Code::StoreTimeout));
    assert_eq!((second.0, second.1.unwrap()), (2, Told::Text(b"v".to_vec())));
    other.execute_batch("COMMIT").unwrap();
    ask(&client, 3, set("a:2"));
    answers.map().1.unwrap();
    client.leave(None);
}

#[test]
fn a_call_that_fails_takes_no_other_of_its_transaction_along() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 1_000);
    let row = |call, body| Work::Row(Request { call, op: Op::Insert, collection: 4, body });
    let dto = |name: &str| rawdoc! { "dto": { "riskName": name, "exchangeName": "e", "positions": [], "when": 5 } };
    let work = vec![row(1, dto("r")), row(2, dto("r")), row(3, dto("q")), row(4, rawdoc! { "dto": {} })];
    for work in &work {
        client.admit(work).unwrap();
    }
    client.hand_over(work);
    let mut told = Vec::new();
    for _ in 0..4 {
        let Answered::Row(call, outcome) = answers.next() else { panic!("a map's answer") };
        told.push((call, outcome.map_err(|failure| failure.error.code).is_ok()));
    }
    assert_eq!(told, [(1, true), (2, false), (3, true), (4, false)]);
    assert_eq!(client.thread().commits.load(Ordering::Relaxed), 1);
    client.leave(None);
}

#[test]
fn a_file_that_was_removed_is_never_made_anew() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 1_000);
    ask(&client, 0, set("a:1"));
    answers.map().1.unwrap();
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    std::thread::sleep(WATCH);
    for call in 1..3 {
        ask(&client, call, set("a:2"));
        assert_eq!(answers.map().1.unwrap_err().error.code, Code::StoreUnavailable);
    }
    assert!(!folder.path().join(FILE).exists());
    client.leave(None);
}

#[test]
fn a_mark_says_at_once_that_the_file_of_what_was_acknowledged_is_gone() {
    for replaced in [false, true] {
        let folder = Folder::new();
        let file = folder.path().join(FILE);
        let (client, answers) = client_of(folder.path(), 1_000);
        ask(&client, 0, set("a:1"));
        answers.map().1.unwrap();
        std::fs::rename(&file, folder.path().join("elsewhere")).unwrap();
        if replaced {
            std::fs::write(&file, b"another one").unwrap();
        }
        client.end(None, 1);
        assert_eq!(answers.map().1.unwrap_err().error.code, Code::StoreUnavailable);
        client.thread().wait_for_end();
        assert_eq!(std::fs::read(&file).ok(), replaced.then(|| b"another one".to_vec()));
    }
}

#[test]
fn a_mark_of_a_store_that_nobody_wrote_to_minds_no_file_that_is_gone() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 1_000);
    ask(&client, 0, Ask::Has(b"a:1".to_vec(), None));
    answers.map().1.unwrap();
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    client.end(None, 1);
    assert_eq!(answers.map().1.unwrap(), Told::Nothing);
}

#[test]
fn a_mark_says_that_all_before_it_is_synced_whatever_became_of_it() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 1_000);
    ask(&client, 0, set("a:1"));
    client.mark(1);
    answers.map().1.unwrap();
    assert_eq!(answers.map().1.unwrap(), Told::Nothing);
    assert!(client.thread().syncs.load(Ordering::Relaxed) >= 1);
    client.leave(None);
    std::fs::write(folder.path().join("taken"), "a file").unwrap();
    let (broken, answers) = client_of(&folder.path().join("taken"), 1_000);
    ask(&broken, 0, set("a:1"));
    broken.mark(1);
    assert_eq!(answers.map().1.unwrap_err().error.code, Code::StoreUnavailable);
    assert_eq!(answers.map().1.unwrap(), Told::Nothing);
    broken.leave(None);
}

#[test]
fn the_thread_ends_with_its_last_user_and_another_begins_anew() {
    let folder = Folder::new();
    let (first, answers) = client_of(folder.path(), 1_000);
    ask(&first, 0, set("a:1"));
    answers.map().1.unwrap();
    let (second, others) = client_of(folder.path(), 1_000);
    assert!(Arc::ptr_eq(first.thread(), second.thread()));
    first.leave(None);
    second.leave(None);
    second.thread().wait_for_end();
    assert!(lock(&second.thread().queue).ended);
    let (third, answers) = client_of(folder.path(), 1_000);
    ask(&third, 0, Ask::Get(b"a:1".to_vec(), None));
    assert_eq!(answers.map().1.unwrap(), Told::Text(b"v".to_vec()));
    third.leave(None);
    drop(others);
}

#[test]
fn a_log_that_has_grown_is_written_back() {
    let folder = Folder::new();
    let (client, answers) = client_of(folder.path(), 5_000);
    for call in 0..80 {
        // A page that does not change is not written.
        let large = vec![u8::try_from(call).unwrap(); 512 * 1024];
        ask(&client, call, Ask::Set(format!("a:{}", call % 8).into_bytes(), large, None));
        answers.map().1.unwrap();
        assert!(client.thread().log_bytes.load(Ordering::Relaxed) < 2 * LOG);
    }
    assert!(client.thread().checkpoints.load(Ordering::Relaxed) >= 1);
    client.leave(None);
}
