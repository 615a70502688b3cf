//! Unit tests of [`super`]: calls in, commands out, replies in, outcomes out.

use super::*;
use crate::config::{Values, resolve};
use crate::error::Code;
use crate::map::ids::{Known, Recall};
use crate::map::rig::Rig;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::near::LEASE;
use crate::redis::Nanos;
use crate::redis::by_peer::PeerId;
use crate::redis::epoch::Epoch;
use crate::redis::slot::Slot;

/// A store whose server announces changes.
fn tracking() -> Rig {
    let config = resolve(&Values::new()).unwrap();
    let mut store = Rig::new(&config);
    store.peer().lane.connected(&config, vec!["signal_cache:".to_owned()], None);
    sent(&mut store);
    answer(&mut store, "%0\r\n");
    assert!(sent(&mut store).starts_with("CLIENT TRACKING ON BCAST NOLOOP"));
    answer(&mut store, "+OK\r\n");
    assert!(store.ids.near().unwrap().is_informed(PeerId::FIRST));
    store
}

fn store() -> Rig {
    let config = resolve(&Values::new()).unwrap();
    let mut store = Rig::new(&config);
    store.peer().lane.connected(&config, Vec::new(), None);
    let hello = store.peer().lane.unsent().len();
    store.peer().lane.sent(hello, 0);
    assert!(answer(&mut store, "%0\r\n").is_empty());
    store
}

fn sent(store: &mut Rig) -> String {
    let bytes = store.peer().lane.unsent().to_vec();
    store.peer().lane.sent(bytes.len(), 0);
    let text = String::from_utf8(bytes).unwrap();
    text.split("\r\n").filter(|w| !w.starts_with(['*', '$']) && !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Feeds a reply; outcomes as text.
fn answer(store: &mut Rig, bytes: &str) -> Vec<(CallId, String)> {
    let (batch, outcomes) = store.read(bytes.as_bytes(), 0);
    let text = |outcome| match outcome {
        Outcome::Text(range) => String::from_utf8(batch.buffer[range].to_vec()).unwrap(),
        Outcome::Keys(page, cut) => {
            page.iter().map(|k| String::from_utf8(k[cut..].to_vec()).unwrap()).collect::<Vec<_>>().join(",")
        }
        Outcome::Failed(error) => format!("{}: {error}", error.code.as_str()),
        other => format!("{other:?}"),
    };
    outcomes.into_iter().map(|(call, outcome)| (call, text(outcome))).collect()
}

#[test]
fn set_with_a_time_to_live_is_one_command() {
    let mut store = store();
    store.set(b"m:k", b"v", Some(7), false).unwrap();
    assert_eq!(sent(&mut store), "SET m:k v EX 7");
}

#[test]
fn the_first_value_that_is_there_wins() {
    let mut store = store();
    store.get_first(b"a", b"b").unwrap();
    store.get_first(b"a", b"b").unwrap();
    assert_eq!(sent(&mut store), "MGET a b MGET a b");
    let outcomes = answer(&mut store, "*2\r\n_\r\n$1\r\nv\r\n*2\r\n_\r\n_\r\n");
    assert_eq!(outcomes, [(0, "v".to_owned()), (1, "Null".to_owned())]);
}

#[test]
fn an_error_begins_with_the_servers_words_and_names_key_and_server() {
    let mut store = store();
    store.get(b"m:k").unwrap();
    sent(&mut store);
    let outcomes = answer(&mut store, "-WRONGTYPE Operation against a key\r\n");
    assert_eq!(outcomes[0].1, "REDIS_REPLY: WRONGTYPE Operation against a key (GET m:k on 127.0.0.1:6379)");
}

/// What INFO says of a run.
fn info(run: &str) -> String {
    let text = format!("# Server\r\nrun_id:{run}\r\n");
    format!("${}\r\n{text}\r\n", text.len())
}

#[test]
fn a_scan_answers_its_pages_without_the_prefix_and_then_null() {
    let mut store = store();
    let scan = store.open_scan(Kind::Keys, b"m:", false);
    assert!(matches!(store.demand(scan).unwrap(), Demand::Queued));
    assert_eq!(sent(&mut store), "INFO server SCAN 0 MATCH m:* COUNT 100");
    assert!(answer(&mut store, &info("1")).is_empty());
    let page = answer(&mut store, "*2\r\n$1\r\n0\r\n*2\r\n$3\r\nm:a\r\n$3\r\nm:b\r\n");
    assert_eq!(page, [(0, "a,b".to_owned())]);
    assert!(matches!(store.demand(scan).unwrap(), Demand::Now(Outcome::Null)));
    assert!(store.scans.is_empty());
}

#[test]
fn an_error_ahead_of_demand_is_kept_for_the_next_one() {
    let mut store = store();
    let scan = store.open_scan(Kind::Keys, b"m:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    answer(&mut store, &info("1"));
    answer(&mut store, "*2\r\n$1\r\n9\r\n*1\r\n$3\r\nm:a\r\n");
    assert_eq!(sent(&mut store), "SCAN 9 MATCH m:* COUNT 200");
    assert!(answer(&mut store, "-ERR no\r\n").is_empty());
    assert_eq!(store.demand(scan).err().unwrap().code, Code::RedisReply);
}

#[test]
fn keys_of_others_are_passed_over_even_if_the_server_names_them() {
    let mut store = store();
    let scan = store.open_scan(Kind::Keys, b"map:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    answer(&mut store, &info("1"));
    let page = answer(&mut store, "*2\r\n$1\r\n0\r\n*3\r\n$1\r\nm\r\n$5\r\nother\r\n$5\r\nmap:a\r\n");
    assert_eq!(page, [(0, "a".to_owned())]);
}

#[test]
fn replies_to_a_closed_scan_are_dropped() {
    let mut store = store();
    let scan = store.open_scan(Kind::Clear, b"m:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    store.close_scan(scan);
    answer(&mut store, &info("1"));
    assert!(answer(&mut store, "*2\r\n$1\r\n9\r\n*1\r\n$3\r\nm:a\r\n").is_empty());
    assert_eq!(sent(&mut store), "");
}

/// Loses the connection and makes another, whose handshake is answered with these replies; what it asked.
fn reconnect(store: &mut Rig, replies: &[&str]) -> String {
    let config = resolve(&Values::new()).unwrap();
    store.lost();
    store.connected(&config, Vec::new());
    let mut asked = Vec::new();
    for reply in replies {
        asked.push(sent(store));
        assert!(answer(store, reply).is_empty());
    }
    assert!(store.peer().lane.is_up());
    asked.join(", ").split("HELLO").last().unwrap().to_owned()
}

/// A scan that has seen a first page with `m:a` of a server that says this of its run, and whose second SCAN is under way.
fn second_page(kind: Kind, run: &str) -> (Rig, ScanId) {
    let mut store = store();
    let scan = store.open_scan(kind, b"m:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    answer(&mut store, run);
    let first = answer(&mut store, "*2\r\n$1\r\n9\r\n*1\r\n$3\r\nm:a\r\n");
    assert_eq!(first.len(), usize::from(kind == Kind::Keys));
    assert!(sent(&mut store).starts_with("SCAN 9 MATCH m:* COUNT 200"));
    (store, scan)
}

#[test]
fn a_scan_goes_on_where_it_was_on_the_same_run_of_the_server_and_starts_anew_on_any_other() {
    let (one, two, nothing) = (info("1"), info("2"), "-NOPERM no\r\n");
    for (before, now, goes_on) in [
        (one.as_str(), one.as_str(), true),
        (&one, &two, false),
        (&one, nothing, false),
        (nothing, &one, false),
        (nothing, nothing, false),
    ] {
        let (mut store, scan) = second_page(Kind::Keys, before);
        assert!(reconnect(&mut store, &["%0\r\n", now]).ends_with(", INFO server"));
        assert!(matches!(store.demand(scan).unwrap(), Demand::Queued));
        assert_eq!(sent(&mut store), "SCAN 9 MATCH m:* COUNT 200", "it is sent again");
        // The other server takes the cursor for one of its own, and says that this was all.
        let answered = answer(&mut store, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nm:b\r\n");
        if goes_on {
            assert_eq!(answered, [(1, "b".to_owned())]);
            continue;
        }
        assert!(answered.is_empty(), "{answered:?}");
        if now == nothing {
            assert_eq!(sent(&mut store), "INFO server SCAN 0 MATCH m:* COUNT 400");
            answer(&mut store, nothing);
        } else {
            assert_eq!(sent(&mut store), "SCAN 0 MATCH m:* COUNT 400");
        }
        let answered = answer(&mut store, "*2\r\n$1\r\n0\r\n*3\r\n$3\r\nm:a\r\n$3\r\nm:b\r\n$3\r\nm:c\r\n");
        assert_eq!(answered, [(1, "b,c".to_owned())], "each key once");
        assert!(matches!(store.demand(scan).unwrap(), Demand::Now(Outcome::Null)));
    }
}

#[test]
fn a_cursor_that_another_server_refuses_costs_the_scan_nothing() {
    let (mut store, _) = second_page(Kind::Count, &info("1"));
    reconnect(&mut store, &["%0\r\n", &info("2")]);
    sent(&mut store);
    assert!(answer(&mut store, "-ERR invalid cursor\r\n").is_empty());
    assert_eq!(sent(&mut store), "SCAN 0 MATCH m:* COUNT 400");
    let counted = answer(&mut store, "*2\r\n$1\r\n0\r\n*2\r\n$3\r\nm:b\r\n$3\r\nm:c\r\n");
    assert_eq!(counted, [(0, "Number(2)".to_owned())], "the first server's key is nobody's any more");
}

#[test]
fn a_clear_is_not_over_when_its_last_deletion_goes_to_another_server() {
    let mut store = store();
    let scan = store.open_scan(Kind::Clear, b"m:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    answer(&mut store, &info("1"));
    answer(&mut store, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nm:a\r\n");
    assert_eq!(sent(&mut store), "DEL m:a");
    reconnect(&mut store, &["%0\r\n", &info("2")]);
    assert_eq!(sent(&mut store), "DEL m:a");
    assert!(answer(&mut store, ":0\r\n").is_empty());
    assert_eq!(sent(&mut store), "SCAN 0 MATCH m:* COUNT 200");
    answer(&mut store, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nm:b\r\n");
    assert_eq!(sent(&mut store), "DEL m:b");
    assert_eq!(answer(&mut store, ":1\r\n"), [(0, "Undefined".to_owned())]);
}

#[test]
fn a_connection_that_no_scan_depends_on_is_not_asked_for_its_run() {
    let mut store = store();
    let scan = store.open_scan(Kind::Keys, b"m:", false);
    store.demand(scan).unwrap();
    sent(&mut store);
    // The first SCAN is right for any server, and the question travels in front of it again.
    assert!(!reconnect(&mut store, &["%0\r\n"]).contains("INFO"));
    assert_eq!(sent(&mut store), "INFO server SCAN 0 MATCH m:* COUNT 100");
    answer(&mut store, &info("2"));
    assert_eq!(answer(&mut store, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nm:a\r\n"), [(0, "a".to_owned())]);
    // One question serves all scans of a connection.
    let scan = store.open_scan(Kind::Count, b"m:", false);
    store.demand(scan).unwrap();
    assert_eq!(sent(&mut store), "SCAN 0 MATCH m:* COUNT 100");
}

const KEY: &[u8] = b"signal_cache:x:s:B";

fn read(store: &mut Rig) -> Result<()> {
    let trace = store.ids.recall(KEY, || Nanos::MAX).nothing().expect("at the end of time nothing is known");
    store.get_id(KEY, trace)
}

/// What a GET is answered with, asked for as the engine does.
fn known(store: &mut Rig) -> Option<String> {
    if store.ids.recall(KEY, || 1) != Recall::Maybe(1, PeerId::FIRST) {
        return None;
    }
    match store.ids.text(KEY, b"", 1)? {
        Known::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
        Known::Absent => Some("absent".to_owned()),
        Known::Exists(_) => panic!("no text"),
    }
}

#[test]
fn a_read_fills_the_near_cache_and_a_push_empties_it() {
    let mut store = tracking();
    read(&mut store).unwrap();
    assert_eq!(sent(&mut store), "GET signal_cache:x:s:B");
    answer(&mut store, "$2\r\nid\r\n");
    assert_eq!(known(&mut store).as_deref(), Some("id"));
    answer(&mut store, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$18\r\nsignal_cache:x:s:B\r\n");
    assert_eq!(known(&mut store), None);
}

#[test]
fn a_push_is_applied_in_the_order_of_the_stream() {
    let mut store = tracking();
    read(&mut store).unwrap();
    sent(&mut store);
    // The push stands before the reply: the reply is older news.
    answer(&mut store, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$18\r\nsignal_cache:x:s:B\r\n$3\r\nold\r\n");
    assert_eq!(known(&mut store), None);
}

#[test]
fn a_push_behind_the_reply_in_one_batch_is_the_last_word() {
    for push in ["*1\r\n$18\r\nsignal_cache:x:s:B\r\n", "_\r\n"] {
        let mut store = tracking();
        read(&mut store).unwrap();
        sent(&mut store);
        answer(&mut store, &format!("$3\r\nold\r\n>2\r\n$10\r\ninvalidate\r\n{push}"));
        assert_eq!(known(&mut store), None);
    }
}

#[test]
fn a_null_push_empties_everything() {
    let mut store = tracking();
    read(&mut store).unwrap();
    sent(&mut store);
    answer(&mut store, "_\r\n");
    assert_eq!(known(&mut store).as_deref(), Some("absent"));
    answer(&mut store, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    assert_eq!(known(&mut store), None);
}

#[test]
fn writes_and_deletions_by_any_object_on_the_connection_count() {
    for write in [
        |store: &mut Rig| store.set(KEY, b"v", None, true),
        |store: &mut Rig| store.set(KEY, b"v", Some(5), true),
        |store: &mut Rig| store.delete(KEY, true),
    ] {
        let mut store = tracking();
        store.set_id(KEY, b"id").unwrap();
        sent(&mut store);
        answer(&mut store, "+OK\r\n");
        assert_eq!(known(&mut store).as_deref(), Some("id"));
        write(&mut store).unwrap();
        assert_eq!(known(&mut store), None);
    }
}

#[test]
fn a_clear_counts_for_every_key_when_its_deletion_is_queued() {
    let mut store = tracking();
    let scan = store.open_scan(Kind::Clear, b"signal_cache:", true);
    store.demand(scan).unwrap();
    read(&mut store).unwrap();
    sent(&mut store);
    answer(&mut store, &info("1"));
    answer(&mut store, "*2\r\n$1\r\n0\r\n*1\r\n$18\r\nsignal_cache:x:s:B\r\n$2\r\nid\r\n");
    assert_eq!(known(&mut store), None, "the GET was answered before the DEL");
}

#[test]
fn a_key_that_is_asked_for_again_is_read_with_its_expiry() {
    let mut store = tracking();
    read(&mut store).unwrap();
    sent(&mut store);
    answer(&mut store, "$2\r\nid\r\n");
    read(&mut store).unwrap();
    assert_eq!(sent(&mut store), "GET signal_cache:x:s:B PTTL signal_cache:x:s:B");
    assert_eq!(answer(&mut store, "$2\r\nid\r\n").len(), 1, "the caller does not wait for the expiry");
    assert!(answer(&mut store, ":-1\r\n").is_empty());
    assert_eq!(known(&mut store).as_deref(), Some("id"));
    read(&mut store).unwrap();
    assert_eq!(sent(&mut store), "GET signal_cache:x:s:B", "it is known now");
}

#[test]
fn where_pttl_is_forbidden_entries_stay_brief() {
    let mut store = tracking();
    read(&mut store).unwrap();
    sent(&mut store);
    answer(&mut store, "$2\r\nid\r\n");
    read(&mut store).unwrap();
    sent(&mut store);
    assert_eq!(answer(&mut store, "$2\r\nid\r\n-NOPERM no\r\n"), [(1, "id".to_owned())]);
    assert_eq!(store.ids.text(KEY, b"", LEASE - 1), Some(Known::Text(b"id")));
    read(&mut store).unwrap();
    assert_eq!(sent(&mut store), "GET signal_cache:x:s:B PTTL signal_cache:x:s:B", "it is still not known");
}

#[test]
fn a_nil_of_mget_is_not_absence() {
    let mut store = tracking();
    store.get_first(KEY, b"signal_cache:other").unwrap();
    sent(&mut store);
    answer(&mut store, "*2\r\n_\r\n_\r\n");
    assert_eq!(known(&mut store), None);
}

#[test]
fn existence_answers_has_and_not_get() {
    let mut store = tracking();
    store.has_id(KEY, Trace::default()).unwrap();
    sent(&mut store);
    answer(&mut store, ":1\r\n");
    assert_eq!(store.ids.recall(KEY, || 1), Recall::Maybe(1, PeerId::FIRST));
    assert_eq!(store.ids.presence(KEY, b"", 1), Some(Known::Exists(true)));
    assert_eq!(known(&mut store), None);
}

#[test]
fn a_key_that_is_asked_for_by_has_again_is_asked_for_its_expiry_too() {
    let mut store = tracking();
    let has = |store: &mut Rig, now| {
        let trace = store.ids.recall(KEY, || now).nothing().unwrap();
        store.has_id(KEY, trace).unwrap();
        sent(store)
    };
    assert_eq!(has(&mut store, 1), "EXISTS signal_cache:x:s:B");
    answer(&mut store, ":1\r\n");
    assert_eq!(has(&mut store, LEASE), "EXISTS signal_cache:x:s:B PTTL signal_cache:x:s:B");
    answer(&mut store, ":1\r\n:-1\r\n");
    store.ids.proof(PeerId::FIRST, 10 * LEASE);
    assert_eq!(store.ids.presence(KEY, b"", 10 * LEASE), Some(Known::Exists(true)));
}

#[test]
fn of_two_keys_the_second_is_known_as_soon_as_it_is_answered() {
    let mut store = tracking();
    let second = b"signal_cache:x:s:C";
    for key in [KEY, second] {
        store.get_id(key, Trace::default()).unwrap();
    }
    sent(&mut store);
    answer(&mut store, "_\r\n$1\r\nC\r\n");
    assert_eq!(store.ids.recall(KEY, || 1), Recall::Maybe(1, PeerId::FIRST));
    assert_eq!(store.ids.text(KEY, second, 1), Some(Known::Text(b"C")));
}

#[test]
fn an_error_fills_nothing() {
    let mut store = tracking();
    read(&mut store).unwrap();
    sent(&mut store);
    answer(&mut store, "-WRONGTYPE Operation\r\n");
    assert_eq!(known(&mut store), None);
}

#[test]
fn an_answer_of_another_epoch_than_its_ticket_fills_nothing() {
    let mut store = tracking();
    let (before, now) = (Epoch::default(), store.peer().epoch());
    assert_ne!(before, now, "a connection has become ready");
    for (epoch, fills) in [(before, 0), (now, 1)] {
        let (read, _) = store.ids.reading(KEY, Trace::default(), (now, Slot::NONE));
        store.ids.got(read, Some(b"id"), 1, epoch);
        let ticket = store.ids.writing(b"signal_cache:w", (now, Slot::NONE));
        store.ids.written(ticket, b"id", epoch);
        assert_eq!(store.ids.recall(KEY, || 1) == Recall::Maybe(1, PeerId::FIRST), fills > 0);
        let counters = store.ids.near().unwrap().counters();
        assert_eq!((counters.fills, counters.dropped_fills), (2 * fills, 2));
    }
}
