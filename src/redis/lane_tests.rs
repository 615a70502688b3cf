//! Unit tests and a simulation of [`super::Lane`].

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::{Values, resolve};
use crate::error::Code;
use crate::redis::MILLI;
use crate::redis::encode::{push_command, push_word};

fn config(pairs: &[(&str, &str)]) -> Config {
    let values: Values = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    resolve(&values).unwrap()
}

fn get(lane: &mut Lane<u64>, tag: u64) {
    lane.push(tag, |out| push_command(out, &[b"GET", tag.to_string().as_bytes()])).unwrap();
}

fn feed(lane: &mut Lane<u64>, bytes: &[u8]) {
    for chunk in bytes.chunks(4096) {
        lane.space()[..chunk.len()].copy_from_slice(chunk);
        lane.filled(chunk.len());
    }
}

/// Connects and answers HELLO.
fn up(lane: &mut Lane<u64>, config: &Config) {
    lane.connected(config, Vec::new(), None);
    let hello = lane.unsent().len();
    assert!(hello > 0);
    lane.sent(hello, 0);
    feed(lane, b"%0\r\n");
    assert_eq!(lane.decode(&mut Batch::default(), 0), News::Ready(Err("off".into())));
}

fn send_all(lane: &mut Lane<u64>) -> Vec<u8> {
    let bytes = lane.unsent().to_vec();
    lane.sent(bytes.len(), 0);
    bytes
}

fn texts(batch: &Batch<u64>) -> Vec<(u64, String)> {
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
    assert_eq!((lane.queue().waiting(), lane.queue().accepted_and_settled()), (1, (1, 0)));
    send_all(&mut lane);
    assert_eq!(lane.queue().queued_and_in_flight(), (0, 1));
    feed(&mut lane, b"$1\r\na\r\n");
    let mut batch = Batch::default();
    lane.decode(&mut batch, 0);
    assert_eq!((lane.queue().waiting(), lane.queue().accepted_and_settled()), (0, (1, 1)));
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
    let mut tags = Vec::new();
    lane.abandon(1, &mut tags);
    assert_eq!(tags.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [3, 4]);
    assert_eq!((lane.queue().waiting(), lane.queue().accepted_and_settled()), (1, (3, 2)));
    lane.push_quiet(6, |out| push_command(out, &[b"PING"])).unwrap();
    lane.stamp(1);
    lane.expire(Nanos::MAX, usize::MAX, &mut tags);
    assert_eq!((lane.queue().waiting(), lane.counters().timeouts), (0, 1));
}

#[test]
fn calls_that_have_expired_leave_their_place_in_the_queue() {
    let config = config(&[("CC_REDIS_QUEUE_MAX", "2")]);
    let mut lane = Lane::new(&config);
    up(&mut lane, &config);
    get(&mut lane, 1);
    get(&mut lane, 2);
    assert!(lane.push(3, |out| push_command(out, &[b"PING"])).is_err());
    lane.stamp(1);
    send_all(&mut lane);
    lane.expire(Nanos::MAX, usize::MAX, &mut Vec::new());
    get(&mut lane, 4);
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

#[derive(Debug, Clone)]
enum Step {
    Call,
    Stamp,
    Send(usize),
    Serve,
    Receive(usize),
    Lose,
    Connect,
    Tick(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Call),
        3 => Just(Step::Stamp),
        6 => (1_usize..60).prop_map(Step::Send),
        4 => Just(Step::Serve),
        6 => (1_usize..40).prop_map(Step::Receive),
        1 => Just(Step::Lose),
        3 => Just(Step::Connect),
        1 => (1_u64..8).prop_map(Step::Tick),
    ];
    prop::collection::vec(step, 0..300)
}

/// A server that answers `GET n` with `n`, as a byte stream in each direction.
#[derive(Default)]
struct Server {
    input: Vec<u8>,
    output: Vec<u8>,
    served: BTreeMap<u64, u32>,
}

impl Server {
    fn serve(&mut self) {
        loop {
            let mut tokens = Vec::new();
            let mut decoder = Decoder::default();
            if !decoder.advance(&self.input, &mut tokens).unwrap() {
                return;
            }
            let Token::Text(range) = tokens[1].clone() else { panic!("a command is text") };
            if &self.input[range] == b"HELLO" {
                self.output.extend_from_slice(b"%1\r\n$2\r\nid\r\n:5\r\n");
            } else if tokens.len() == 3 {
                let Token::Text(range) = tokens[2].clone() else { panic!("a key is text") };
                let key = self.input[range].to_vec();
                *self.served.entry(String::from_utf8(key.clone()).unwrap().parse().unwrap()).or_default() += 1;
                push_word(&mut self.output, &key);
            } else {
                self.output.extend_from_slice(b"+OK\r\n");
            }
            self.input.drain(..decoder.position());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// Whatever happens on the wire, each call is answered once, with its own answer, or given up at its deadline.
    #[test]
    fn every_call_gets_its_own_answer_or_its_deadline(steps in steps()) {
        let config = config(&[("CC_REDIS_TIMEOUT_MS", "20")]);
        let mut lane = Lane::new(&config);
        let (mut server, mut connected, mut now, mut next) = (Server::default(), false, 0, 0_u64);
        let mut done: BTreeMap<u64, u32> = BTreeMap::new();
        let mut batch = Batch::default();
        let finish = [Step::Stamp, Step::Connect].into_iter().chain((0..2_000).flat_map(|_| {
            [Step::Send(500), Step::Serve, Step::Receive(500)]
        }));
        for step in steps.into_iter().chain(finish) {
            match step {
                Step::Call => {
                    get(&mut lane, next);
                    next += 1;
                }
                Step::Stamp => lane.stamp(now),
                Step::Send(count) if connected => {
                    let bytes = lane.unsent();
                    let bytes = bytes[..bytes.len().min(count)].to_vec();
                    lane.sent(bytes.len(), 0);
                    server.input.extend_from_slice(&bytes);
                }
                Step::Serve => server.serve(),
                Step::Receive(count) if connected => {
                    let count = count.min(server.output.len());
                    let bytes: Vec<u8> = server.output.drain(..count).collect();
                    feed(&mut lane, &bytes);
                    let news = lane.decode(&mut batch, 0);
                    prop_assert!(matches!(news, News::None | News::Ready(_)), "{news:?}");
                    for (tag, text) in texts(&batch) {
                        prop_assert_eq!(tag.to_string(), text);
                        *done.entry(tag).or_default() += 1;
                    }
                }
                Step::Lose if connected => {
                    lane.lost();
                    connected = false;
                    server = Server { served: std::mem::take(&mut server.served), ..Server::default() };
                }
                Step::Connect if !connected => {
                    lane.connected(&config, Vec::new(), None);
                    connected = true;
                }
                Step::Tick(millis) => {
                    now += millis * MILLI;
                    let mut expired = Vec::new();
                    lane.expire(now, usize::MAX, &mut expired);
                    for (tag, command) in expired {
                        prop_assert_eq!(command, format!("GET {tag}"));
                        *done.entry(tag).or_default() += 1;
                    }
                }
                Step::Send(_) | Step::Receive(_) | Step::Lose | Step::Connect => {}
            }
            if lane.queue().waiting() == 0 && done.len() as u64 == next && matches!(step, Step::Receive(500)) {
                break;
            }
        }
        prop_assert_eq!(done.len() as u64, next, "every call is settled");
        prop_assert!(done.values().all(|&times| times == 1), "and only once");
        prop_assert_eq!(lane.queue().waiting(), 0);
    }
}
