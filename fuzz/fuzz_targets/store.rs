//! Calls of every kind, any answers in any pieces, lost connections and deadlines: no panic, every call settled once at
//! the most, scans name only keys of their map, and everything that is sent is a command.

#![no_main]

use std::collections::HashSet;

use backtest_kit_native::config::{Values, resolve};
use backtest_kit_native::error::{Code, Error};
use backtest_kit_native::map::scan::Kind;
use backtest_kit_native::map::op::{CallId, Op, Outcome};
use backtest_kit_native::map::scans::Demand;
use backtest_kit_native::map::store::Store;
use backtest_kit_native::redis::decode::Token;
use backtest_kit_native::redis::batch::Batch;
use backtest_kit_native::redis::lane::News;
use backtest_kit_native::redis::peer::Peer;
use libfuzzer_sys::fuzz_target;
use redis::Value;

const PREFIX: &[u8] = b"m:";
const KEYS: [&[u8]; 4] = [b"m:a", b"m:b", b"signal_cache:x", b"m:"];
const KINDS: [Kind; 5] = [Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear];

/// A store with a server, and what is known of its calls.
struct World {
    store: Store,
    peer: Peer<Op>,
    now: u64,
    settled: HashSet<CallId>,
    scans: Vec<(u32, bool)>,
    unparsed: Vec<u8>,
}

impl World {
    fn new(tracking: bool) -> Self {
        let config = resolve(&Values::new()).unwrap();
        let mut world = Self {
            store: Store::new(&config, None),
            peer: Peer::new(&config, 7, None),
            now: 1,
            settled: HashSet::new(),
            scans: Vec::new(),
            unparsed: Vec::new(),
        };
        world.connect(tracking);
        world
    }

    /// A connection whose handshake goes well.
    fn connect(&mut self, tracking: bool) {
        let config = resolve(&Values::new()).unwrap();
        self.unparsed.clear();
        let prefixes = if tracking { vec!["signal_cache:".to_owned()] } else { Vec::new() };
        let asks_run = self.store.holds_cursors(self.peer.epoch());
        self.peer.connected(&config, prefixes, Some("127.0.0.1:1".to_owned()), asks_run);
        for _ in 0..7 {
            if self.peer.lane.is_up() {
                return;
            }
            self.send(usize::MAX);
            self.feed(b"%1\r\n$2\r\nid\r\n:5\r\n");
        }
        assert!(self.peer.lane.is_up(), "the handshake does not end");
    }

    fn lost(&mut self) {
        self.peer.lane.lost();
        self.store.ids.lost();
    }

    /// The socket takes so many bytes; what it has taken so far are whole commands and the beginning of one.
    fn send(&mut self, most: usize) {
        self.now += 1;
        let bytes = self.peer.lane.unsent();
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        self.peer.lane.stamp(self.now);
        self.peer.lane.sent(bytes.len(), self.now);
        self.unparsed.extend_from_slice(&bytes);
        while !self.unparsed.is_empty() {
            let Ok((value, length)) = first(&self.unparsed) else { return };
            assert!(matches!(value, Value::Array(words) if !words.is_empty()));
            self.unparsed.drain(..length);
        }
    }

    fn settle(&mut self, outcomes: Vec<(CallId, Outcome)>, batch: &Batch<Op>) {
        for (call, outcome) in outcomes {
            assert!(self.settled.insert(call), "call {call} was settled twice");
            match outcome {
                Outcome::Text(range) => drop(batch.buffer[range].to_vec()),
                Outcome::Keys(page, cut) => {
                    for key in page.iter() {
                        assert!(key.starts_with(PREFIX) && cut == PREFIX.len());
                    }
                }
                Outcome::Pairs(page, _, values) => {
                    assert!(page.iter().all(|key| key.starts_with(PREFIX)));
                    assert_eq!(page.len(), values.len(), "a key without its value");
                    texts(batch, values);
                }
                Outcome::Values(values) => texts(batch, values),
                _ => {}
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.now += 1;
        let space = self.peer.lane.space();
        let count = bytes.len().min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        self.peer.lane.filled(count);
        let (mut batch, mut outcomes) = (Batch::default(), Vec::new());
        let news = self.peer.decode(&mut batch, self.now);
        let epoch = self.peer.epoch();
        if let News::Ready(tracking) = &news {
            self.store.ids.ready(tracking.clone());
        }
        self.store.absorb(&mut self.peer, epoch, &mut batch, &mut outcomes);
        self.settle(outcomes, &batch);
        if !matches!(news, News::None | News::Ready(_)) {
            self.lost();
            self.connect(true);
        }
    }

    fn call(&mut self, what: u8) {
        let key = KEYS[usize::from(what >> 4) % KEYS.len()];
        let tracked = what & 0x80 != 0;
        let (store, peer, now) = (&mut self.store, &mut self.peer, self.now);
        let _ = match what % 11 {
            0 => store.get(peer, key),
            1 => store.has(peer, key),
            2 => store.set(peer, key, b"v", Some(u64::from(what)), tracked),
            3 => store.delete(peer, key, tracked),
            4 => store.get_first(peer, key, b"m:c"),
            5 => store.ids.recall(key, || now).nothing().map_or(Ok(()), |trace| store.get_id(peer, key, trace)),
            6 => store.ids.recall(key, || now).nothing().map_or(Ok(()), |trace| store.has_id(peer, key, trace)),
            7 => store.set_id(peer, key, b"id"),
            8 => {
                store.prove(peer);
                Ok(())
            }
            9 => {
                let kind = usize::from(what >> 4) % KINDS.len();
                self.scans.push((store.open_scan(KINDS[kind], PREFIX, tracked), false));
                Ok(())
            }
            _ => store.ping(peer),
        };
    }

    /// Asks a scan for its next page; one that has an unanswered demand is left alone.
    fn demand(&mut self, at: usize) {
        if self.scans.is_empty() {
            return;
        }
        let at = at % self.scans.len();
        let (scan, _) = self.scans.swap_remove(at);
        if let Ok(Demand::Now(Outcome::Keys(..))) = self.store.demand(&mut self.peer, scan) {
            self.scans.push((scan, false));
        }
    }

    fn expire(&mut self) {
        self.now += 20_000_000_000;
        let (mut late, mut outcomes) = (Vec::new(), Vec::new());
        self.peer.lane.expire(self.now, usize::MAX, &mut late);
        for (op, words) in late {
            self.store.fail(&mut self.peer, &op, Error::new(Code::RedisTimeout, words), &mut outcomes);
        }
        self.settle(outcomes, &Batch::default());
    }
}

fn texts(batch: &Batch<Op>, tokens: std::ops::Range<usize>) {
    for token in &batch.tokens[tokens] {
        if let Token::Text(range) = token {
            drop(batch.buffer[range.clone()].to_vec());
        }
    }
}

/// The first command of the bytes and its length.
fn first(bytes: &[u8]) -> Result<(Value, usize), ()> {
    let mut decoder = backtest_kit_native::redis::decode::Decoder::default();
    match decoder.advance(bytes, &mut Vec::new()) {
        Ok(true) => {
            let value = redis::parse_redis_value(&bytes[..decoder.position()]).expect("a command");
            Ok((value, decoder.position()))
        }
        Ok(false) => Err(()),
        Err(error) => panic!("this is no command: {error}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, mut rest)) = data.split_first() else { return };
    let mut world = World::new(how & 1 != 0);
    // One byte says what happens, the next one how much of it; texts of the server follow.
    while let [action, amount, tail @ ..] = rest {
        rest = tail;
        match action % 8 {
            0 | 1 => world.call(*amount),
            2 => world.demand(usize::from(*amount)),
            3 => world.send(usize::MAX),
            4 => world.send(usize::from(*amount)),
            5 => {
                let (bytes, after) = rest.split_at(rest.len().min(usize::from(*amount)));
                rest = after;
                world.feed(bytes);
            }
            6 => world.expire(),
            _ => {
                world.lost();
                world.connect(amount & 1 != 0);
            }
        }
    }
});
