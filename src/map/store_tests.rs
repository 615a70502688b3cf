//! Unit tests of [`super`]: calls in, commands out, replies in, outcomes out.

use super::*;
use crate::config::{Values, resolve};
use crate::map::ids::Known;
use crate::near::LEASE;
use crate::redis::Nanos;
use crate::redis::lane::News;

/// A store whose server announces changes.
fn tracking() -> Store {
    let config = resolve(&Values::new()).unwrap();
    let mut store = Store::new(&config, None);
    store.lane.connected(&config, vec!["signal_cache:".to_owned()], None);
    sent(&mut store);
    answer(&mut store, "%0\r\n");
    assert!(sent(&mut store).starts_with("CLIENT TRACKING ON BCAST NOLOOP"));
    answer(&mut store, "+OK\r\n");
    assert!(store.ids.near().unwrap().is_informed());
    store
}

fn store() -> Store {
    let config = resolve(&Values::new()).unwrap();
    let mut store = Store::new(&config, None);
    store.lane.connected(&config, Vec::new(), None);
    let hello = store.lane.unsent().len();
    store.lane.sent(hello, 0);
    assert!(answer(&mut store, "%0\r\n").is_empty());
    store
}

fn sent(store: &mut Store) -> String {
    let bytes = store.lane.unsent().to_vec();
    store.lane.sent(bytes.len(), 0);
    let text = String::from_utf8(bytes).unwrap();
    text.split("\r\n").filter(|w| !w.starts_with(['*', '$']) && !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Feeds a reply; outcomes as text.
fn answer(store: &mut Store, bytes: &str) -> Vec<(Call, String)> {
    store.lane.space()[..bytes.len()].copy_from_slice(bytes.as_bytes());
    store.lane.filled(bytes.len());
    let (mut batch, mut outcomes) = (Batch::default(), Vec::new());
    match store.lane.decode(&mut batch, 0) {
        News::Ready(tracking) => {
            store.ids.ready(tracking);
        }
        News::None => {}
        news => panic!("{news:?}"),
    }
    store.absorb(&mut batch, &mut outcomes);
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

#[test]
fn a_scan_answers_its_pages_without_the_prefix_and_then_null() {
    let mut store = store();
    let scan = store.open_scan(Kind::Keys, b"m:", false);
    assert!(matches!(store.demand(scan).unwrap(), Demand::Queued));
    assert_eq!(sent(&mut store), "SCAN 0 MATCH m:* COUNT 100");
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
    assert!(answer(&mut store, "*2\r\n$1\r\n9\r\n*1\r\n$3\r\nm:a\r\n").is_empty());
    assert_eq!(sent(&mut store), "");
}

const KEY: &[u8] = b"signal_cache:x:s:B";

fn read(store: &mut Store) -> Result<()> {
    let trace = store.ids.knows(KEY, || Nanos::MAX).expect_err("at the end of time nothing is known");
    store.get_id(KEY, trace)
}

/// What a GET is answered with, asked for as the engine does.
fn known(store: &mut Store) -> Option<String> {
    store.ids.knows(KEY, || 1).ok()?;
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
        |store: &mut Store| store.set(KEY, b"v", None, true),
        |store: &mut Store| store.set(KEY, b"v", Some(5), true),
        |store: &mut Store| store.delete(KEY, true),
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
    store.ids.knows(KEY, || 1).unwrap();
    assert_eq!(store.ids.presence(KEY, b"", 1), Some(Known::Exists(true)));
    assert_eq!(known(&mut store), None);
}

#[test]
fn a_key_that_is_asked_for_by_has_again_is_asked_for_its_expiry_too() {
    let mut store = tracking();
    let has = |store: &mut Store, now| {
        let trace = store.ids.knows(KEY, || now).unwrap_err();
        store.has_id(KEY, trace).unwrap();
        sent(store)
    };
    assert_eq!(has(&mut store, 1), "EXISTS signal_cache:x:s:B");
    answer(&mut store, ":1\r\n");
    assert_eq!(has(&mut store, LEASE), "EXISTS signal_cache:x:s:B PTTL signal_cache:x:s:B");
    answer(&mut store, ":1\r\n:-1\r\n");
    store.ids.proof(10 * LEASE);
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
    store.ids.knows(KEY, || 1).unwrap();
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
