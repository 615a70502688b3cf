//! Unit tests of what a [`super::Lane`] gives back.

use super::tests::{config, feed, gone, send, texts, up};
use super::*;
use crate::redis::MILLI;
use crate::redis::encode::push_command;
use crate::redis::refusal::Endpoint;

const TIMEOUT: Nanos = 20 * MILLI;

fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

fn slots(numbers: &[u16]) -> SlotSet {
    numbers.iter().map(|&number| slot(number)).collect()
}

fn bytes(tag: u64) -> Vec<u8> {
    let mut out = Vec::new();
    push_command(&mut out, &[b"GET", tag.to_string().as_bytes()]);
    out
}

/// A command whose slot is the tens of its tag.
fn get(lane: &mut Lane<u64>, tag: u64) {
    let slot = slot(u16::try_from(tag / 10).unwrap());
    lane.push_at(slot, tag, |out| out.extend_from_slice(&bytes(tag))).unwrap();
}

fn node() -> (Config, Lane<u64>) {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "20")]);
    let mut lane = Lane::new(&config);
    lane.in_cluster();
    up(&mut lane, &config);
    (config, lane)
}

fn tags(withdrawn: &[Withdrawn<u64>]) -> Vec<u64> {
    for command in withdrawn {
        assert_eq!(command.bytes, bytes(command.tag));
    }
    withdrawn.iter().map(|command| command.tag).collect()
}

/// Replies, refusals, and what was withdrawn.
type Decoded = (Vec<(u64, String)>, Vec<Refused>, Vec<Withdrawn<u64>>);

fn decode(lane: &mut Lane<u64>, words: &str) -> Decoded {
    feed(lane, words.as_bytes());
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::None);
    (texts(&batch), batch.refused, batch.withdrawn)
}

fn at(port: u16) -> Endpoint {
    Endpoint { host: "h".to_owned(), port }
}

#[test]
fn a_refused_command_comes_back_with_all_of_its_slot_behind_it_and_others_are_answered() {
    let (_, mut lane) = node();
    for tag in [10, 20, 11, 30, 21, 12] {
        get(&mut lane, tag);
    }
    let half = bytes(10).len() * 4 + 5;
    send(&mut lane, half);
    // 13 and 22 were never sent; of 21 the beginning was.
    get(&mut lane, 13);
    get(&mut lane, 22);
    let (answers, refused, withdrawn) = decode(&mut lane, "-MOVED 1 h:2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_eq!(answers, [(20, "b".to_owned())]);
    assert_eq!(refused, [Refused { slot: slot(1), why: Refusal::Moved(at(2)) }]);
    assert_eq!(tags(&withdrawn), [10, 11, 12, 13], "whatever they were answered");
    assert!(lane.queue().is_free_of(slot(1)), "nothing of it is on the wire");
    assert_eq!((lane.queue().waiting(), lane.queue().watermark()), (3, (4, 1)));
    let rest: Vec<u8> = [bytes(21)[5..].to_vec(), bytes(22)].concat();
    assert_eq!(send(&mut lane, usize::MAX), rest);
    let (answers, ..) = decode(&mut lane, "$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n");
    let expected = [(30, "d"), (21, "e"), (22, "f")];
    assert_eq!(answers, expected.map(|(tag, text)| (tag, text.to_owned())));
    assert!(lane.queue().is_empty());
}

#[test]
fn what_is_on_the_wire_is_answered_to_nobody_and_its_slot_is_not_free_until_then() {
    let (_, mut lane) = node();
    for tag in [10, 20, 11] {
        get(&mut lane, tag);
    }
    send(&mut lane, bytes(10).len() * 2 + 3);
    let mut withdrawn = Vec::new();
    lane.withdraw(&slots(&[1]), &mut withdrawn);
    assert_eq!(tags(&withdrawn), [10, 11]);
    assert!(!lane.queue().is_free_of(slot(1)) && lane.queue().is_free_of(slot(2)));
    assert_eq!(lane.queue().waiting(), 1);
    assert_eq!(send(&mut lane, usize::MAX), bytes(11)[3..], "the end of what had begun");
    let (answers, refused, withdrawn) = decode(&mut lane, "-MOVED 1 h:2\r\n$1\r\nb\r\n");
    assert_eq!((answers, refused.len(), withdrawn.len()), (vec![(20, "b".to_owned())], 0, 0));
    assert!(!lane.queue().is_free_of(slot(1)) && lane.is_owed());
    decode(&mut lane, "$1\r\nc\r\n");
    assert!(lane.queue().is_free_of(slot(1)) && lane.queue().is_empty());
}

#[test]
fn a_lost_connection_frees_the_slot_and_sends_nothing_of_it_again() {
    let (config, mut lane) = node();
    for tag in [10, 20, 11, 21] {
        get(&mut lane, tag);
    }
    send(&mut lane, usize::MAX);
    lane.withdraw(&slots(&[1]), &mut Vec::new());
    lane.lost();
    assert!(lane.queue().is_free_of(slot(1)));
    up(&mut lane, &config);
    assert_eq!(send(&mut lane, usize::MAX), [bytes(20), bytes(21)].concat());
    assert_eq!(decode(&mut lane, "$1\r\na\r\n$1\r\nb\r\n").0.len(), 2);
    assert_eq!(lane.queue().held_bytes(), 0);
}

#[test]
fn what_another_lane_gave_back_keeps_its_deadline_and_passes_the_bounds() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "20"), ("CC_REDIS_QUEUE_MAX", "2")]);
    let (mut from, mut to) = (Lane::new(&config), Lane::new(&config));
    get(&mut from, 10);
    from.stamp(1);
    get(&mut to, 11);
    get(&mut to, 12);
    to.stamp(5 * MILLI);
    let mut withdrawn = Vec::new();
    from.withdraw(&slots(&[1]), &mut withdrawn);
    assert_eq!((from.queue().waiting(), from.queue().watermark()), (0, (0, 0)));
    assert_eq!(withdrawn[0].deadline, TIMEOUT + 1);
    to.push_withdrawn(withdrawn.pop().unwrap(), false);
    assert_eq!((to.queue().waiting(), to.queue().watermark()), (3, (3, 0)));
    assert!(to.push_at(slot(1), 13, |_| {}).is_err());
    to.stamp(7 * MILLI);
    assert_eq!(to.queue().next_deadline(), Some(TIMEOUT + 1), "although others stand before it");
    let mut expired = Vec::new();
    to.expire(TIMEOUT + 1, usize::MAX, &mut expired);
    assert_eq!(expired, [(10, "GET 10".to_owned())]);
    assert_eq!(to.queue().next_deadline(), Some(TIMEOUT + 5 * MILLI));
    up(&mut to, &config);
    assert_eq!(send(&mut to, usize::MAX), [bytes(11), bytes(12)].concat(), "what was given up is not sent");
}

#[test]
fn what_was_not_flushed_where_it_came_from_is_stamped_where_it_goes() {
    let (_, mut from) = node();
    let (_, mut to) = node();
    get(&mut from, 10);
    let mut withdrawn = Vec::new();
    from.withdraw_all(&mut withdrawn);
    assert_eq!(withdrawn[0].deadline, 0);
    to.push_withdrawn(withdrawn.pop().unwrap(), false);
    assert_eq!(to.queue().unflushed(), 1);
    to.stamp(3);
    assert_eq!(to.queue().next_deadline(), Some(3 + TIMEOUT));
}

#[test]
fn a_call_on_the_wire_that_is_given_up_behind_younger_ones_keeps_its_place() {
    let (_, mut lane) = node();
    get(&mut lane, 10);
    lane.stamp(5 * MILLI);
    let command = Withdrawn { tag: 11, slot: slot(1), bytes: bytes(11), deadline: TIMEOUT, quiet: false };
    lane.push_withdrawn(command, false);
    get(&mut lane, 12);
    lane.stamp(6 * MILLI);
    send(&mut lane, usize::MAX);
    let mut expired = Vec::new();
    lane.expire(TIMEOUT, usize::MAX, &mut expired);
    assert_eq!(expired, [(11, "GET 11".to_owned())]);
    assert_eq!((lane.queue().waiting(), lane.queue().watermark()), (2, (3, 1)));
    assert!(!lane.queue().is_free_of(slot(1)));
    let (answers, ..) = decode(&mut lane, "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_eq!(answers, [(10, "a".to_owned()), (12, "c".to_owned())]);
}

#[test]
fn what_stands_behind_a_command_that_nobody_wants_any_more_has_its_deadline_all_the_same() {
    let (_, mut lane) = node();
    for tag in [10, 20, 21] {
        get(&mut lane, tag);
        lane.stamp(1);
    }
    send(&mut lane, bytes(10).len() * 2);
    lane.withdraw(&slots(&[1]), &mut Vec::new());
    assert_eq!(lane.queue().next_deadline(), Some(1 + TIMEOUT));
    let mut expired = Vec::new();
    lane.expire(1 + TIMEOUT, usize::MAX, &mut expired);
    assert_eq!(expired.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [20, 21]);
    assert_eq!((lane.queue().waiting(), lane.queue().next_deadline()), (0, None));
    assert_eq!(decode(&mut lane, "$1\r\na\r\n$1\r\nb\r\n").0, []);
    assert!(lane.queue().is_empty());
}

#[test]
fn an_asked_command_goes_with_its_asking_over_every_end() {
    let asking = "*1\r\n$6\r\nASKING\r\n".as_bytes();
    let command = |tag| Withdrawn { tag, slot: slot(1), bytes: bytes(tag), deadline: 5, quiet: false };
    let (config, mut lane) = node();
    lane.push_withdrawn(command(10), true);
    get(&mut lane, 20);
    assert!(!lane.queue().is_free_of(slot(1)));
    assert_eq!(send(&mut lane, asking.len() + 2).len(), asking.len() + 2);
    // Its own answer may come before the command was sent to its end.
    assert_eq!(decode(&mut lane, "+OK\r\n").0, []);
    lane.lost();
    up(&mut lane, &config);
    let all = send(&mut lane, usize::MAX);
    assert_eq!(all, [asking, &bytes(10), &bytes(20)].concat(), "both again");
    let (answers, ..) = decode(&mut lane, "+OK\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(answers, [(10, "a".to_owned()), (20, "b".to_owned())]);
    assert!(lane.queue().is_free_of(slot(1)));

    // Refused there, it comes back without.
    lane.push_withdrawn(command(11), true);
    send(&mut lane, usize::MAX);
    let (_, refused, withdrawn) = decode(&mut lane, "+OK\r\n-MOVED 1 h:3\r\n");
    assert_eq!(refused, [Refused { slot: slot(1), why: Refusal::Moved(at(3)) }]);
    assert_eq!(tags(&withdrawn), [11]);

    // Given up, it owes two answers.
    lane.push_withdrawn(command(12), true);
    get(&mut lane, 21);
    send(&mut lane, asking.len());
    let mut expired = Vec::new();
    lane.expire(5, usize::MAX, &mut expired);
    assert_eq!(expired, [(12, "GET 12".to_owned())]);
    assert!(!lane.queue().is_free_of(slot(1)) && !lane.queue().is_free_of(slot(2)), "nobody knows what of");
    assert_eq!(send(&mut lane, usize::MAX), bytes(12), "its end, although nobody wants it");
    assert_eq!(send(&mut lane, usize::MAX), bytes(21));
    let (answers, ..) = decode(&mut lane, "+OK\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(answers, [(21, "b".to_owned())]);
    assert!(lane.queue().is_free_of(slot(1)));

    // With the connection down, the reason is told without its asking.
    lane.push_withdrawn(command(13), true);
    lane.lost();
    lane.abandon(usize::MAX, gone());
    let mut told = Vec::new();
    lane.take_abandoned(usize::MAX, &mut told);
    assert_eq!((told[0].0, told[0].1.as_str()), (13, "GET 13"));
    assert!(lane.queue().is_free_of(slot(1)) && lane.queue().is_empty());
}

#[test]
fn each_refusal_and_each_slot_is_told_once_and_failures_of_the_whole_server_are_not_refusals() {
    let (_, mut lane) = node();
    for tag in [10, 20, 30, 11, 21] {
        get(&mut lane, tag);
    }
    lane.push(99, |out| push_command(out, &[b"PING"])).unwrap();
    send(&mut lane, usize::MAX);
    let words = "-ASK 1 h:2\r\n-TRYAGAIN x\r\n-CLUSTERDOWN x\r\n-MOVED 1 h:3\r\n$1\r\na\r\n-MOVED 1 h:4\r\n";
    let (answers, refused, withdrawn) = decode(&mut lane, words);
    assert_eq!(answers, [(99, "MOVED 1 h:4".to_owned())], "what has no slot is answered");
    let whys: Vec<_> = refused.into_iter().map(|Refused { slot, why }| (slot.number(), why)).collect();
    assert_eq!(whys, [(1, Refusal::Ask(at(2))), (2, Refusal::Later), (3, Refusal::Later)]);
    assert_eq!(tags(&withdrawn), [10, 20, 30, 11, 21]);

    for tag in [10, 20] {
        get(&mut lane, tag);
    }
    send(&mut lane, usize::MAX);
    feed(&mut lane, b"-MOVED 1 h:2\r\n-LOADING Redis is loading\r\n");
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::Unfit("LOADING Redis is loading".to_owned()));
    assert_eq!((tags(&batch.withdrawn), lane.queue().waiting()), (vec![10], 1));
}

#[test]
fn outside_a_cluster_a_refusal_is_an_answer() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 10);
    send(&mut lane, usize::MAX);
    let (answers, refused, _) = decode(&mut lane, "-MOVED 1 h:2\r\n");
    assert_eq!((answers, refused.len()), (vec![(10, "MOVED 1 h:2".to_owned())], 0));
}
