//! The races that other clients' caches lose, each by name. Every test fails when its rule is taken out.

use super::*;

const KEY: &[u8] = b"signal_cache:x:s:B";

fn near() -> Near {
    let mut near = Near::new(1 << 20);
    near.informed(PeerId::FIRST, 0);
    near
}

const fn text(text: &str) -> KeyState<'_> {
    KeyState::Text(text.as_bytes())
}

/// A write of our own that was answered.
fn write(near: &mut Near, value: &str) {
    let ticket = near.writing(KEY, Slot::NONE, Epoch::default());
    near.written(ticket, value.as_bytes());
}

#[test]
fn an_invalidation_overtakes_the_reply_to_a_read() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.invalidated(KEY);
    near.filled(ticket, text("old"), 0, None);
    assert_eq!(near.known(KEY, 1), None);
    assert_eq!(near.counters().dropped_fills, 1);
}

#[test]
fn more_touches_than_are_remembered_make_every_earlier_read_void() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.invalidated(KEY);
    for other in 0..=MAX_TOUCHED {
        near.invalidated(format!("signal_cache:{other}").as_bytes());
    }
    near.filled(ticket, text("old"), 0, None);
    assert_eq!(near.known(KEY, 1), None);
}

#[test]
fn a_call_that_is_given_up_has_touches_noted_up_to_the_bound_and_no_longer() {
    let mut near = near();
    let _given_up = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    let mut most = 0;
    for other in 0..=MAX_TOUCHED {
        near.invalidated(format!("signal_cache:{other}").as_bytes());
        most = near.touched.len().max(most);
    }
    near.invalidated(KEY);
    assert_eq!((most, near.touched.len()), (MAX_TOUCHED, 0));
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.invalidated(KEY);
    near.filled(ticket, text("old"), 0, None);
    assert_eq!(near.known(KEY, 1), None, "later tickets are judged as ever");
}

#[test]
fn a_read_from_before_tracking_began_fills_nothing() {
    let mut near = Near::new(1 << 20);
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.informed(PeerId::FIRST, 0);
    near.filled(ticket, text("unwatched"), 0, None);
    assert_eq!(near.known(KEY, 1), None);
}

#[test]
fn a_write_of_our_own_between_a_read_and_its_reply() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    let write = near.writing(KEY, Slot::NONE, Epoch::default());
    near.filled(ticket, text("old"), 0, None);
    assert_eq!(near.known(KEY, 1), None);
    near.written(write, b"new");
    assert_eq!(near.known(KEY, 1), Some(text("new")));
}

#[test]
fn a_value_is_not_served_while_our_write_of_the_key_is_under_way() {
    let mut near = near();
    write(&mut near, "old");
    let _ticket = near.writing(KEY, Slot::NONE, Epoch::default());
    assert_eq!(near.known(KEY, 1), None);
}

#[test]
fn of_two_writes_under_way_only_the_last_is_stored() {
    let mut near = near();
    let (first, second) =
        (near.writing(KEY, Slot::NONE, Epoch::default()), near.writing(KEY, Slot::NONE, Epoch::default()));
    near.written(first, b"first");
    assert_eq!(near.known(KEY, 1), None);
    near.written(second, b"second");
    assert_eq!(near.known(KEY, 1), Some(text("second")));
}

#[test]
fn somebody_else_writes_between_our_write_and_its_reply() {
    let mut near = near();
    let ticket = near.writing(KEY, Slot::NONE, Epoch::default());
    near.invalidated(KEY);
    near.written(ticket, b"ours");
    assert_eq!(near.known(KEY, 1), None);
}

#[test]
fn a_deletion_or_clear_makes_earlier_reads_void() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.forget(KEY);
    near.filled(ticket, text("deleted"), 0, None);
    assert_eq!(near.known(KEY, 1), None);
}

#[test]
fn a_lost_connection_takes_entries_and_tickets() {
    let mut near = near();
    write(&mut near, "v");
    let other: &[u8] = b"signal_cache:other";
    let (ticket, _) = near.reading(other, Slot::NONE, Trace::default(), Epoch::default());
    near.lost(PeerId::FIRST);
    assert_eq!(near.known(KEY, 1), None);
    near.informed(PeerId::FIRST, 5);
    assert_eq!(near.known(KEY, 6), None);
    near.filled(ticket, text("from before"), 6, None);
    assert_eq!(near.known(other, 6), None);
}

#[test]
fn an_invalidation_of_everything_takes_entries_and_tickets() {
    let mut near = near();
    write(&mut near, "v");
    let other: &[u8] = b"signal_cache:other";
    let (ticket, _) = near.reading(other, Slot::NONE, Trace::default(), Epoch::default());
    near.invalidated_all();
    near.filled(ticket, text("flushed"), 0, None);
    assert_eq!((near.known(KEY, 1), near.known(other, 1)), (None, None));
}

#[test]
fn the_lease_ends_and_a_new_proof_brings_the_entries_back() {
    let mut near = near();
    write(&mut near, "v");
    assert!(near.known(KEY, LEASE - 1).is_some());
    assert!(near.known(KEY, LEASE).is_none());
    near.proof(PeerId::FIRST, LEASE);
    assert!(near.known(KEY, LEASE).is_some());
}

#[test]
fn a_reply_that_was_read_late_does_not_renew_the_lease_on_old_news() {
    let mut near = near();
    write(&mut near, "v");
    // JavaScript was blocked for three leases: the reply to a command of back then lay in the socket all the time.
    near.proof(PeerId::FIRST, 10);
    assert!(near.known(KEY, 3 * LEASE).is_none());
}

#[test]
fn a_server_that_answers_and_that_nobody_vouches_for_proves_nothing() {
    let mut near = near();
    near.attested(PeerId::FIRST, None);
    write(&mut near, "a");
    assert_eq!(near.known(KEY, 2), None, "not in the first moments of a machine either");
    let later = 10 * LEASE;
    near.proof(PeerId::FIRST, later);
    assert_eq!(near.known(KEY, later), None);
    assert!(near.wants_attestation(PeerId::FIRST, later));
    near.attested(PeerId::FIRST, Some(later));
    assert_eq!(near.known(KEY, later), Some(text("a")));
    assert!(!near.wants_attestation(PeerId::FIRST, later));
    near.proof(PeerId::FIRST, later + LEASE);
    assert_eq!(near.known(KEY, later + LEASE), None, "the older of the two counts");
    near.attested(PeerId::FIRST, None);
    assert_eq!(near.known(KEY, later), None, "and they may take their word back");
}

#[test]
fn proofs_do_not_go_back() {
    let mut near = near();
    write(&mut near, "v");
    near.proof(PeerId::FIRST, LEASE);
    near.proof(PeerId::FIRST, 10);
    assert!(near.known(KEY, LEASE + 1).is_some());
}

#[test]
fn a_value_whose_expiry_is_unknown_is_served_for_one_lease_only() {
    let mut near = near();
    let (ticket, expiry) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    assert!(!expiry, "a key that is read once costs no second command");
    near.filled(ticket, text("v"), 10, None);
    near.proof(PeerId::FIRST, LEASE);
    assert!(near.known(KEY, LEASE + 9).is_some());
    assert!(near.known(KEY, LEASE + 10).is_none());
    let trace = near.recall(KEY, || LEASE + 10).unwrap_err();
    assert!(near.reading(KEY, Slot::NONE, trace, Epoch::default()).1, "and is then read with its expiry");
}

#[test]
fn an_entry_ends_with_its_key() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.filled(ticket, text("v"), 0, Some(500));
    assert!(near.known(KEY, 499).is_some());
    assert!(near.known(KEY, 500).is_none());
}

#[test]
fn only_a_write_of_our_own_that_nothing_has_touched_need_not_be_refreshed() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.filled(ticket, text("v"), 0, Some(Nanos::MAX));
    assert_ne!(near.own_write(KEY, 1), Some(b"v".as_slice()), "what a read brought does not count");
    write(&mut near, "v");
    assert_eq!(near.own_write(KEY, 1), Some(b"v".as_slice()));
    assert_ne!(near.own_write(KEY, 1), Some(b"w".as_slice()), "another value");
    assert_ne!(near.own_write(KEY, LEASE), Some(b"v".as_slice()), "the lease is over");
    near.invalidated(KEY);
    assert_ne!(near.own_write(KEY, 1), Some(b"v".as_slice()), "somebody has touched it");
    let _ticket = near.writing(KEY, Slot::NONE, Epoch::default());
    assert_ne!(near.own_write(KEY, 1), Some(b"v".as_slice()), "a write is under way");
}

#[test]
fn existence_is_not_a_value() {
    let mut near = near();
    let (ticket, _) = near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default());
    near.filled(ticket, KeyState::Present, 0, None);
    assert_eq!(near.known(KEY, 1), Some(KeyState::Present));
}

#[test]
fn memory_is_bounded_in_bytes() {
    let mut near = Near::new(10_000);
    near.informed(PeerId::FIRST, 0);
    for number in 0..1_000 {
        let key = format!("signal_cache:{number}");
        let ticket = near.writing(key.as_bytes(), Slot::NONE, Epoch::default());
        near.written(ticket, &[b'x'; 100]);
    }
    let (entries, bytes) = near.size();
    assert!(bytes <= 10_000 && entries > 10, "{entries} entries, {bytes} bytes");
}

#[test]
fn of_two_reads_of_a_key_the_one_that_brings_its_expiry_stays_known() {
    for brief_first in [true, false] {
        let mut near = near();
        let [first, second] = [(); 2].map(|()| near.reading(KEY, Slot::NONE, Trace::default(), Epoch::default()).0);
        let ends = |is_first| (is_first != brief_first).then_some(Nanos::MAX);
        near.filled(first, text("v"), 0, ends(true));
        near.filled(second, text("v"), 0, ends(false));
        assert_eq!(near.known(KEY, 1), Some(text("v")));
        near.proof(PeerId::FIRST, LEASE);
        assert_eq!(near.known(KEY, LEASE + 1), Some(text("v")), "brief one first: {brief_first}");
    }
}
