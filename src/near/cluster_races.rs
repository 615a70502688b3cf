//! The races of servers that share the slots, each by name. Every test fails when its rule is taken out.

use super::lease::ASK_AGAIN;
use super::*;

const KEY: &[u8] = b"signal_cache:x:s:B";
const OTHER: &[u8] = b"signal_cache:x:s:C";
const SLOT: Slot = slot(7);
const OTHER_SLOT: Slot = slot(8);
/// Long after the machine was started.
const T: Nanos = 10 * LEASE;
const A: PeerId = PeerId::of(3);
const B: PeerId = PeerId::of(4);

const fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

const fn text(text: &str) -> KeyState<'_> {
    KeyState::Text(text.as_bytes())
}

fn slots(all: &[Slot]) -> SlotSet {
    all.iter().copied().collect()
}

/// A server has answered a read of its own at that moment, and told these slots by that epoch.
fn tell(near: &mut Near, by: PeerId, at: Nanos, epoch: u64, own: &[Slot]) {
    near.proof(by, at);
    near.told(by, at, Some(at), epoch, &slots(own));
}

/// One server has proven to hold the first slot, another one the second.
fn near() -> Near {
    let mut near = Near::of_cluster(1 << 20);
    for (peer, epoch, slot) in [(A, 1, SLOT), (B, 2, OTHER_SLOT)] {
        near.informed(peer, T + 1);
        tell(&mut near, peer, T + 1, epoch, &[slot]);
    }
    near
}

/// A read that was answered at once.
fn read(near: &mut Near, key: &[u8], slot: Slot, by: PeerId, state: KeyState<'_>, at: Nanos) {
    let (ticket, _) = near.reading(key, slot, Trace::default(), Epoch::of(by));
    near.filled(ticket, state, at, Some(Nanos::MAX));
}

/// Both keys are known.
fn filled() -> Near {
    let mut near = near();
    read(&mut near, KEY, SLOT, A, text("a"), T + 1);
    read(&mut near, OTHER, OTHER_SLOT, B, text("b"), T + 1);
    assert_eq!(near.recall(KEY, || T + 2), Ok((T + 2, A)), "and whose it is");
    assert_eq!(near.recall(OTHER, || T + 2), Ok((T + 2, B)));
    near
}

/// What is known of both.
fn known(near: &Near, at: Nanos) -> [bool; 2] {
    [KEY, OTHER].map(|key| near.known(key, at).is_some())
}

#[test]
fn nothing_is_kept_of_a_server_that_has_not_proven_what_it_holds() {
    let mut near = Near::of_cluster(1 << 20);
    near.informed(A, T + 1);
    assert!(near.is_unasked(A) && near.wants_attestation(A, T + 1));
    read(&mut near, KEY, SLOT, A, text("a"), T + 1);
    let ticket = near.writing(OTHER, SLOT, Epoch::of(A));
    near.written(ticket, b"b");
    tell(&mut near, A, T + 2, 1, &[SLOT]);
    assert_eq!(known(&near, T + 3), [false, false]);
    assert_eq!((near.counters().fills, near.counters().dropped_fills), (0, 2));
    read(&mut near, KEY, SLOT, A, text("a"), T + 2);
    assert_eq!(known(&near, T + 3), [true, false]);
    read(&mut near, OTHER, OTHER_SLOT, A, text("b"), T + 2);
    assert_eq!(known(&near, T + 3), [true, false], "it has not told that slot");
    assert!(!near.is_unasked(A) && !near.wants_attestation(A, T + 3));
}

#[test]
fn a_server_that_answers_and_does_not_prove_what_it_holds_renews_nothing() {
    let mut near = filled();
    let later = T + LEASE + 1;
    assert_eq!(known(&near, T + LEASE), [true, true]);
    for peer in [A, B] {
        near.proof(peer, later);
    }
    assert_eq!(known(&near, later), [false, false], "PONG says nothing of slots");
    near.told(A, later, None, 1, &slots(&[SLOT]));
    tell(&mut near, B, later, 2, &[OTHER_SLOT]);
    assert_eq!(known(&near, later), [false, true], "nor do slots without a read that was answered");
    assert!(!near.wants_attestation(A, later) && near.wants_attestation(A, later + ASK_AGAIN), "it is asked again");
}

#[test]
fn in_the_first_moments_of_a_machine_nothing_is_told_either_that_is_not_proven() {
    let mut near = Near::of_cluster(1 << 20);
    near.informed(A, 1);
    assert!(near.is_unasked(A) && near.wants_attestation(A, 1));
    near.told(A, 1, None, 1, &slots(&[SLOT]));
    read(&mut near, KEY, SLOT, A, text("a"), 1);
    assert_eq!((near.size().0, near.known(KEY, 2)), (1, None), "it did not answer for what it holds");
    tell(&mut near, A, 2, 1, &[SLOT]);
    assert_eq!(near.known(KEY, 3), Some(text("a")));
}

#[test]
fn what_a_server_does_not_list_any_more_goes_and_all_else_stays() {
    let ways: [fn(&mut Near); 5] = [
        |near| tell(near, A, T + 3, 1, &[]),
        |near| tell(near, B, T + 3, 9, &[SLOT, OTHER_SLOT]),
        |near| near.doubted(SLOT),
        |near| near.untold(A, T + 3),
        |near| near.lost(A),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let mut near = filled();
        if number == 1 {
            tell(&mut near, B, T + 2, 9, &[OTHER_SLOT]);
            read(&mut near, OTHER, OTHER_SLOT, B, text("b"), T + 2);
        }
        way(&mut near);
        assert_eq!(known(&near, T + 4), [false, true], "{number}");
        if !near.is_informed(A) {
            near.informed(A, T + 5);
        }
        tell(&mut near, A, T + 5, 10, &[SLOT]);
        assert_eq!(known(&near, T + 6), [false, true], "{number}: it does not come back");
    }
}

#[test]
fn absence_ends_one_lease_after_the_reply_that_told_it() {
    let mut near = near();
    let absent = KeyState::Absent;
    read(&mut near, KEY, SLOT, A, absent, T + 1);
    tell(&mut near, A, T + LEASE, 1, &[SLOT]);
    assert_eq!((near.known(KEY, T + LEASE), near.known(KEY, T + LEASE + 1)), (Some(absent), None));
    let trace = near.recall(KEY, || T + LEASE + 1).unwrap_err();
    assert!(!near.reading(KEY, SLOT, trace, Epoch::of(A)).1, "it has no expiry to ask for");
    read(&mut near, KEY, SLOT, A, absent, T + LEASE);
    assert_eq!(near.known(KEY, T + LEASE + 1), Some(absent), "another reply tells it again");
    read(&mut near, KEY, SLOT, A, absent, T + 5);
    assert_eq!(near.known(KEY, T + LEASE + 6), Some(absent), "an older one takes nothing away");
}

#[test]
fn a_server_that_falls_silent_takes_the_answers_of_its_own_keys_alone() {
    let mut near = filled();
    tell(&mut near, B, T + LEASE, 2, &[OTHER_SLOT]);
    assert_eq!(known(&near, T + LEASE + 1), [false, true]);
    assert_eq!([A, B].map(|peer| near.wants_attestation(peer, T + LEASE + 1)), [true, false]);
    let ticket = near.writing(OTHER, OTHER_SLOT, Epoch::of(B));
    near.written(ticket, b"b");
    assert_eq!(near.own_write(OTHER, T + LEASE + 1), Some(b"b".as_slice()));
    near.doubted(OTHER_SLOT);
    assert_eq!(near.own_write(OTHER, T + LEASE + 1), None);
}

#[test]
fn a_reply_of_another_server_than_the_one_that_holds_the_slot_fills_nothing() {
    let mut near = filled();
    read(&mut near, KEY, SLOT, B, text("b"), T + 2);
    assert_eq!(near.known(KEY, T + 3), Some(text("a")));
    let mut epoch = Epoch::of(A);
    let (ticket, _) = near.reading(KEY, SLOT, Trace::default(), epoch);
    assert!(ticket.is_of(epoch) && !ticket.is_of(Epoch::of(B)));
    epoch.owns_other_slots();
    assert!(!ticket.is_of(epoch), "slots have moved since");
    let mut epoch = Epoch::of(A);
    epoch.connected(true);
    assert!(!ticket.is_of(epoch), "it was sent again on another connection");
}

#[test]
fn everything_goes_when_a_server_says_so_and_when_the_last_one_is_lost() {
    let mut near = filled();
    near.invalidated_all();
    assert_eq!((known(&near, T + 2), near.size().0), ([false, false], 0));
    let mut near = filled();
    near.lost(B);
    assert_eq!((known(&near, T + 2), near.size().0), ([true, false], 2));
    near.lost(A);
    assert_eq!(near.size(), (0, 0));
}

#[test]
fn a_slot_that_comes_and_goes_many_times_brings_nothing_back() {
    let mut near = near();
    for round in 0..9 {
        let key = format!("signal_cache:{round}");
        read(&mut near, key.as_bytes(), SLOT, A, text("a"), T + 1);
        near.doubted(SLOT);
        tell(&mut near, A, T + 2, 1, &[SLOT]);
        let back = (0..=round).filter(|old| near.known(format!("signal_cache:{old}").as_bytes(), T + 3).is_some());
        assert_eq!(back.count(), 0, "{round}");
    }
}

#[test]
fn the_key_that_was_read_last_is_kept_to_ask_by() {
    let mut near = near();
    assert_eq!(near.key_at(A), None);
    let _tickets = [KEY, OTHER].map(|key| near.reading(key, SLOT, Trace::default(), Epoch::of(A)));
    assert_eq!((near.key_at(A), near.key_at(B)), (Some(OTHER), None));
    near.lost(A);
    assert_eq!(near.key_at(A), None);
}
