//! Unit tests of [`super::Lane`].

use super::*;
use crate::config::{Values, resolve};
use crate::error::Code;
use crate::redis::MILLI;
use crate::redis::encode::{push_command, push_word};

pub(super) fn config(pairs: &[(&str, &str)]) -> Config {
    let values: Values = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    resolve(&values).unwrap()
}

fn get(lane: &mut Lane<u64>, tag: u64) {
    lane.push(tag, |out| push_command(out, &[b"GET", tag.to_string().as_bytes()])).unwrap();
}

pub(super) fn feed(lane: &mut Lane<u64>, bytes: &[u8]) {
    for chunk in bytes.chunks(4096) {
        lane.space()[..chunk.len()].copy_from_slice(chunk);
        lane.filled(chunk.len());
    }
}

/// Connects and answers HELLO.
pub(super) fn up(lane: &mut Lane<u64>, config: &Config) {
    lane.connected(config, Vec::new(), None);
    let hello = lane.unsent().len();
    assert!(hello > 0);
    lane.sent(hello, 0);
    feed(lane, b"%0\r\n");
    assert_eq!(lane.decode(&mut Batch::default(), 0), News::Ready(Err("off".into())));
}

/// The socket takes so many bytes at most of what is offered at once.
pub(super) fn send(lane: &mut Lane<u64>, most: usize) -> Vec<u8> {
    let bytes = lane.unsent();
    let bytes = bytes[..bytes.len().min(most)].to_vec();
    lane.sent(bytes.len(), 0);
    bytes
}

fn send_all(lane: &mut Lane<u64>) -> Vec<u8> {
    send(lane, usize::MAX)
}

pub(super) fn texts(batch: &Batch<u64>) -> Vec<(u64, String)> {
    let text = |item: &Item<u64>| {
        let Item::Reply { tag, tokens, .. } = item else { return None };
        let text = match &batch.tokens[tokens.start] {
            Token::Text(range) | Token::Error(range) => {
                String::from_utf8(batch.buffer[range.clone()].to_vec()).unwrap()
            }
            other => format!("{other:?}"),
        };
        Some((*tag, text))
    };
    batch.items.iter().filter_map(text).collect()
}

#[test]
fn what_a_server_cannot_do_now_is_asked_again_in_its_order() {
    let config = config(&[]);
    for words in
        ["READONLY You can't write against a read only replica.", "LOADING Redis is loading", "MASTERDOWN Link"]
    {
        let mut lane = Lane::new(&config);
        up(&mut lane, &config);
        (1..=3).for_each(|tag| get(&mut lane, tag));
        let all = send_all(&mut lane);
        feed(&mut lane, format!("$1\r\na\r\n-{words}\r\n$1\r\nc\r\n").as_bytes());
        let mut batch = Batch::default();
        assert_eq!(lane.decode(&mut batch, 0), News::Unfit(words.to_owned()));
        assert_eq!(texts(&batch), [(1, "a".to_owned())]);
        lane.lost();
        up(&mut lane, &config);
        assert_eq!(send_all(&mut lane), all[all.len() / 3..], "the one that failed, and what followed it");
        feed(&mut lane, b"$1\r\nb\r\n$1\r\nc\r\n");
        assert_eq!(lane.decode(&mut batch, 0), News::None);
        assert_eq!(texts(&batch), [(2, "b".to_owned()), (3, "c".to_owned())]);
    }
}

#[test]
fn a_connection_that_is_to_end_writes_no_later_calls() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    get(&mut lane, 2);
    let both = lane.unsent().len();
    lane.hold_after(Some(2));
    get(&mut lane, 3);
    assert_eq!(send_all(&mut lane).len(), both);
    feed(&mut lane, b"$1\r\na\r\n");
    lane.decode(&mut Batch::default(), 0);
    assert!(lane.unsent().is_empty());
    lane.hold_after(Some(2));
    assert!(lane.unsent().is_empty(), "the same bound, counted with one call less that waits");
    lane.lost();
    up(&mut lane, &config);
    assert_eq!(send_all(&mut lane).len(), both / 2);
    feed(&mut lane, b"$1\r\nb\r\n");
    lane.decode(&mut Batch::default(), 0);
    lane.hold_after(None);
    assert_eq!(send_all(&mut lane).len(), both / 2, "the third");
}

#[test]
fn nobody_waits_for_a_quiet_command() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.push_quiet(2, |out| push_command(out, &[b"PING"])).unwrap();
    assert_eq!((lane.queue().waiting(), lane.queue().watermark()), (1, (1, 0)));
    send_all(&mut lane);
    assert_eq!(lane.queue().queued_and_in_flight(), (0, 1));
    feed(&mut lane, b"$1\r\na\r\n");
    let mut batch = Batch::default();
    lane.decode(&mut batch, 0);
    assert_eq!((lane.queue().waiting(), lane.queue().watermark()), (0, (1, 1)));
    assert!(lane.is_owed());
    feed(&mut lane, b"+PONG\r\n");
    lane.decode(&mut batch, 0);
    assert_eq!(texts(&batch), [(2, "PONG".to_owned())]);
    assert!(!lane.is_owed());
    // Of what is given up, too, only calls count.
    lane.push_quiet(3, |out| push_command(out, &[b"PING"])).unwrap();
    get(&mut lane, 4);
    get(&mut lane, 5);
    lane.lost();
    lane.abandon(1, gone());
    assert_eq!(rejected(&mut lane, 9), [4]);
    assert_eq!((lane.queue().waiting(), lane.queue().watermark()), (1, (3, 2)));
    lane.push_quiet(6, |out| push_command(out, &[b"PING"])).unwrap();
    lane.stamp(1);
    lane.expire(Nanos::MAX, usize::MAX, &mut Vec::new());
    assert_eq!((lane.queue().waiting(), lane.counters().timeouts), (0, 1));
}

/// Why calls are given up.
pub(super) fn gone() -> Error {
    Error::new(Code::Closed, "gone")
}

/// So many calls that were given up and have not been told so.
fn rejected(lane: &mut Lane<u64>, most: usize) -> Vec<u64> {
    let mut tags = Vec::new();
    lane.take_abandoned(most, &mut tags);
    for (tag, command, why) in &tags {
        assert_eq!((command, &**why), (&format!("GET {tag}"), &gone()));
    }
    tags.into_iter().map(|(tag, ..)| tag).collect()
}

#[test]
fn calls_that_are_given_up_are_told_so_in_slices_and_none_of_them_is_sent_meanwhile() {
    let config = config(&[("CC_REDIS_QUEUE_MAX", "4")]);
    let mut lane = Lane::new(&config);
    (1..=3).for_each(|tag| get(&mut lane, tag));
    lane.abandon(2, gone());
    // One that is given up already is one of so many.
    lane.abandon(2, gone());
    get(&mut lane, 4);
    assert!(lane.push(5, |_| {}).is_err(), "they count until they are told");
    up(&mut lane, &config);
    assert_eq!(lane.unsent(), b"*2\r\n$3\r\nGET\r\n$1\r\n3\r\n*2\r\n$3\r\nGET\r\n$1\r\n4\r\n");
    assert_eq!((lane.queue().waiting(), lane.queue().unanswered()), (4, 2));
    assert_eq!(rejected(&mut lane, 1), [1]);
    assert!(lane.queue().is_abandoning());
    assert_eq!(rejected(&mut lane, 9), [2]);
    assert_eq!((lane.queue().waiting(), lane.queue().is_abandoning()), (2, false));
    get(&mut lane, 5);
}

#[test]
fn calls_that_expire_before_a_byte_of_them_was_sent_are_never_sent() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    (1..=4).for_each(|tag| get(&mut lane, tag));
    lane.stamp(0);
    let one = lane.unsent().len() / 4;
    // The socket takes the first and the beginning of the second.
    lane.sent(one + 5, 0);
    let rest = lane.unsent()[..one - 5].to_vec();
    let mut expired = Vec::new();
    lane.expire(10 * MILLI, 3, &mut expired);
    assert_eq!(expired.len(), 3);
    assert_eq!(lane.unsent(), rest, "what has begun is sent to its end, or it would swallow the next command");
    lane.sent(1, 0);
    assert_eq!(lane.unsent(), &rest[1..]);
    lane.sent(rest.len() - 1, 0);
    assert_eq!(send_all(&mut lane), b"*2\r\n$3\r\nGET\r\n$1\r\n4\r\n");
    feed(&mut lane, b"$1\r\na\r\n$1\r\nb\r\n$1\r\nd\r\n");
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::None);
    assert_eq!(texts(&batch), [(4, "d".to_owned())]);
}

#[test]
fn a_call_that_expires_half_sent_is_not_finished_on_the_next_connection() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.stamp(0);
    lane.sent(5, 0);
    lane.expire(10 * MILLI, usize::MAX, &mut Vec::new());
    get(&mut lane, 2);
    lane.lost();
    up(&mut lane, &config);
    assert_eq!(send_all(&mut lane), b"*2\r\n$3\r\nGET\r\n$1\r\n2\r\n");
    assert_eq!(lane.counters().retried, 0);
}

#[test]
fn an_error_in_the_middle_of_a_command_that_has_expired_ends_the_connection() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.stamp(0);
    lane.sent(5, 0);
    lane.expire(10 * MILLI, usize::MAX, &mut Vec::new());
    feed(&mut lane, b"-ERR Protocol error: invalid bulk length\r\n");
    let mut batch = Batch::default();
    assert!(matches!(lane.decode(&mut batch, 0), News::Broken(_)));
    assert!(texts(&batch).is_empty());
}

#[test]
fn calls_that_have_expired_count_for_the_bounds_until_the_server_has_answered_them() {
    let config = config(&[("CC_REDIS_QUEUE_MAX", "2"), ("CC_REDIS_QUEUE_MAX_BYTES", "1024")]);
    let large = |out: &mut Vec<u8>| push_command(out, &[b"GET", &[b'x'; 900]]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    let expire = |lane: &mut Lane<u64>| {
        lane.stamp(1);
        lane.expire(Nanos::MAX, usize::MAX, &mut Vec::new());
    };
    lane.push(1, large).unwrap();
    expire(&mut lane);
    lane.push(1, large).expect("what was never sent counts for nothing");
    send_all(&mut lane);
    expire(&mut lane);
    let full = lane.push(2, large).unwrap_err();
    assert_eq!(full.code, Code::QueueFull);
    assert!(full.message.contains("CC_REDIS_QUEUE_MAX_BYTES), 1 of them past their deadline"), "{full}");
    get(&mut lane, 2);
    send_all(&mut lane);
    expire(&mut lane);
    let full = lane.push(3, |_| {}).unwrap_err();
    assert!(full.message.contains("2 calls wait (CC_REDIS_QUEUE_MAX), 2 of them past"), "{full}");
    assert_eq!(lane.queue().waiting(), 0);
    feed(&mut lane, b"$1\r\na\r\n");
    lane.decode(&mut Batch::default(), 0);
    get(&mut lane, 3);
    send_all(&mut lane);
    feed(&mut lane, b"$1\r\nb\r\n$1\r\nc\r\n");
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::None);
    assert_eq!(texts(&batch), [(3, "c".to_owned())]);
    lane.push(4, large).expect("all are answered");
    send_all(&mut lane);
    expire(&mut lane);
    lane.lost();
    lane.push(5, large).expect("a connection that is gone owes nothing");
}

#[test]
fn a_server_that_never_answers_fills_no_memory() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    for round in 1..=10_000 {
        get(&mut lane, round);
        lane.stamp(round);
        send_all(&mut lane);
        lane.expire(Nanos::MAX, usize::MAX, &mut Vec::new());
    }
    assert!(lane.is_owed());
    assert!(lane.writes.len() <= 1, "{} writes are remembered", lane.writes.len());
    assert_eq!(lane.queue().held_bytes(), 0);
}

#[test]
fn a_late_reply_is_measured_as_it_was_late() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    for tag in 1..=3 {
        get(&mut lane, tag);
        lane.stamp(tag * MILLI);
        let length = lane.unsent().len();
        lane.sent(length, tag * MILLI);
    }
    lane.expire(12 * MILLI, usize::MAX, &mut Vec::new());
    feed(&mut lane, b"$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    let mut batch = Batch::default();
    lane.decode(&mut batch, 30 * MILLI);
    // The first was given up together with the second, with which it is measured.
    assert_eq!((lane.latency(30 * MILLI).count, lane.latency(30 * MILLI).most), (2, 28 * MILLI));
    let Item::Reply { written, .. } = &batch.items[0] else { panic!("a reply") };
    assert_eq!(*written, 3 * MILLI, "the third, which is still wanted");
}

#[test]
fn round_trips_are_measured_from_the_write() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    let length = lane.unsent().len();
    lane.sent(length, 5 * MILLI);
    feed(&mut lane, b"$1\r\na\r\n");
    lane.decode(&mut Batch::default(), 7 * MILLI);
    assert_eq!(lane.latency(7 * MILLI).most, 2 * MILLI);
}

#[test]
fn nothing_is_written_before_the_handshake_is_through() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    get(&mut lane, 1);
    assert!(lane.unsent().is_empty());
    lane.connected(&config, Vec::new(), None);
    assert!(lane.unsent().starts_with(b"*7\r\n$5\r\nHELLO"));
    send_all(&mut lane);
    feed(&mut lane, b"%0\r\n");
    assert_eq!(lane.decode(&mut Batch::default(), 0), News::Ready(Err("off".into())));
    assert_eq!(lane.unsent(), b"*2\r\n$3\r\nGET\r\n$1\r\n1\r\n");
}

#[test]
fn a_late_reply_takes_the_place_of_its_expired_call_and_nobody_elses() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.stamp(0);
    send_all(&mut lane);
    let mut expired = Vec::new();
    lane.expire(10 * MILLI, usize::MAX, &mut expired);
    assert_eq!(expired, [(1, "GET 1".to_owned())]);
    get(&mut lane, 2);
    send_all(&mut lane);
    feed(&mut lane, b"$3\r\nold\r\n$3\r\nnew\r\n");
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::None);
    assert_eq!(texts(&batch), [(2, "new".to_owned())]);
    assert_eq!(lane.queue().waiting(), 0);
}

#[test]
fn an_expired_call_is_not_sent_again() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.stamp(0);
    get(&mut lane, 2);
    lane.stamp(5 * MILLI);
    send_all(&mut lane);
    lane.expire(11 * MILLI, usize::MAX, &mut Vec::new());
    lane.lost();
    up(&mut lane, &config);
    assert_eq!(lane.unsent(), b"*2\r\n$3\r\nGET\r\n$1\r\n2\r\n");
    assert_eq!(lane.counters().retried, 1);
}

#[test]
fn a_deadline_starts_at_the_flush() {
    let config = config(&[("CC_REDIS_TIMEOUT_MS", "10")]);
    let mut lane = Lane::new(&config);
    get(&mut lane, 1);
    assert_eq!(lane.queue().next_deadline(), None);
    let mut expired = Vec::new();
    lane.expire(Nanos::MAX, usize::MAX, &mut expired);
    assert!(expired.is_empty());
    lane.stamp(100 * MILLI);
    assert_eq!(lane.queue().next_deadline(), Some(110 * MILLI));
}

#[test]
fn the_queue_is_bounded_by_count_and_by_bytes() {
    let config = config(&[("CC_REDIS_QUEUE_MAX", "2"), ("CC_REDIS_QUEUE_MAX_BYTES", "1024")]);
    let mut lane = Lane::new(&config);
    get(&mut lane, 1);
    let large = lane.push(2, |out| push_word(out, &[b'x'; 1024])).unwrap_err();
    assert_eq!(large.code, Code::QueueFull);
    get(&mut lane, 2);
    assert_eq!(lane.push(3, |_| {}).unwrap_err().code, Code::QueueFull);
    up(&mut lane, &config);
    assert_eq!(lane.unsent(), b"*2\r\n$3\r\nGET\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\n2\r\n");
}

#[test]
fn an_error_knows_the_command_that_it_answers() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 7);
    send_all(&mut lane);
    feed(&mut lane, b"-WRONGTYPE Operation\r\n");
    let mut batch = Batch::default();
    lane.decode(&mut batch, 0);
    let Item::Reply { context, .. } = &batch.items[0] else { panic!("a reply") };
    assert_eq!(context.as_deref(), Some("GET 7"));
}

#[test]
fn replies_that_nobody_asked_for_break_the_connection() {
    let config = config(&[]);
    let mut lane = Lane::<u64>::new(&config);
    up(&mut lane, &config);
    feed(&mut lane, b"+OK\r\n");
    assert!(matches!(lane.decode(&mut Batch::default(), 0), News::Broken(_)));
}

#[test]
fn an_error_in_the_middle_of_a_command_is_delivered_and_ends_the_connection() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    lane.sent(5, 0);
    feed(&mut lane, b"-ERR Protocol error: invalid bulk length\r\n");
    let mut batch = Batch::default();
    assert!(matches!(lane.decode(&mut batch, 0), News::Broken(_)));
    assert_eq!(texts(&batch).len(), 1);
}

#[test]
fn push_messages_between_replies_are_not_answers() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    send_all(&mut lane);
    feed(&mut lane, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n$1\r\nv\r\n");
    let mut batch = Batch::default();
    assert_eq!(lane.decode(&mut batch, 0), News::None);
    assert_eq!(texts(&batch), [(1, "v".to_owned())]);
    assert!(matches!(batch.items[0], Item::Push { .. }), "in the order of the stream");
}

#[test]
fn a_reply_knows_when_its_command_was_written_however_late_it_is_read() {
    let config = config(&[]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    for tag in 0..3 {
        get(&mut lane, tag);
    }
    let one = lane.unsent().len() / 3;
    // The second command is written in two pieces, with the first and with the third.
    lane.sent(one + 4, 100);
    lane.sent(2 * one - 4, 200);
    feed(&mut lane, b"$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n");
    let mut batch = Batch::default();
    lane.decode(&mut batch, 0);
    let written = |item: &Item<u64>| match item {
        Item::Reply { written, .. } => *written,
        Item::Push { .. } => 0,
    };
    assert_eq!(batch.items.iter().map(written).collect::<Vec<_>>(), [100, 200, 200]);
}
