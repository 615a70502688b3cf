//! Scans over servers that change under them, in random schedules: connections are lost at any byte, and the next one is to
//! the same run of the server, to one that was restarted with its data, or to another server altogether.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::config::resolve;
use crate::map::rig::Rig;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::redis::batch::Batch;
use crate::redis::decode::Decoder;
use crate::redis::decode::Token;

/// Keys that every server has, from the beginning to the end.
const LASTING: u32 = 40;
/// So many more that each run has for itself.
const OWN: u32 = 15;

/// One run of a server: a table in an order of its own, in which its cursors count.
struct Server {
    run: u32,
    /// Whether it says which run it is.
    tells: bool,
    table: Vec<String>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Server {
    fn new(run: u32, tells: bool) -> Self {
        let mut table: Vec<_> = (0..LASTING).map(|i| format!("m:{i}")).collect();
        table.extend((0..OWN).map(|i| format!("m:{run}:{i}")));
        // Some order that is another one for each run.
        table.sort_by_key(|key| xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), run.into()));
        Self { run, tells, table, input: Vec::new(), output: Vec::new() }
    }

    fn say(&mut self, reply: &str) {
        self.output.extend_from_slice(reply.as_bytes());
    }

    fn list(words: impl ExactSizeIterator<Item = Option<String>>) -> String {
        let text = |word: Option<String>| word.map_or("_\r\n".to_owned(), |w| format!("${}\r\n{w}\r\n", w.len()));
        format!("*{}\r\n", words.len()) + &words.map(text).collect::<String>()
    }

    fn serve(&mut self) {
        loop {
            let (mut decoder, mut tokens) = (Decoder::default(), Vec::new());
            if !decoder.advance(&self.input, &mut tokens).unwrap() {
                return;
            }
            let word = |token: &Token| match token {
                Token::Text(range) => Some(String::from_utf8(self.input[range.clone()].to_vec()).unwrap()),
                _ => None,
            };
            let words: Vec<_> = tokens.iter().filter_map(word).collect();
            self.input.drain(..decoder.position());
            match words[0].as_str() {
                "HELLO" => self.say("%0\r\n"),
                "INFO" if self.tells => {
                    let text = format!("# Server\r\nrun_id:{}\r\n", self.run);
                    self.say(&format!("${}\r\n{text}\r\n", text.len()));
                }
                "INFO" => self.say("-NOPERM no\r\n"),
                "SCAN" => {
                    let (start, count): (usize, usize) = (words[1].parse().unwrap(), words[5].parse().unwrap());
                    let end = self.table.len().min(start.saturating_add(count));
                    let page = self.table.get(start..end).unwrap_or_default().to_vec();
                    let cursor = if end < self.table.len() { end } else { 0 }.to_string();
                    let page = Self::list(page.into_iter().map(Some));
                    self.say(&format!("*2\r\n${}\r\n{cursor}\r\n{page}", cursor.len()));
                }
                "MGET" => {
                    let there: BTreeSet<_> = self.table.iter().cloned().collect();
                    let values = words[1..].iter().map(|key| there.contains(key).then(|| format!("of {key}")));
                    let values = Self::list(values.collect::<Vec<_>>().into_iter());
                    self.say(&values);
                }
                "DEL" => {
                    // Redis's cursors bear deletions; to leave the place empty does the same here.
                    for key in self.table.iter_mut().filter(|key| words[1..].contains(key)) {
                        *key = "gone".to_owned();
                    }
                    self.say(":1\r\n");
                }
                other => panic!("{other}"),
            }
        }
    }

    fn holds(&self) -> usize {
        self.table.iter().filter(|key| key.starts_with("m:")).count()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Demand,
    Send(usize),
    Serve,
    Receive(usize),
    /// The connection is lost; the next one is to the same run, or to another one that says which it is or not.
    Lose(Option<bool>),
    Connect,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Demand),
        6 => (1_usize..90).prop_map(Event::Send),
        6 => Just(Event::Serve),
        8 => (1_usize..400).prop_map(Event::Receive),
        1 => prop_oneof![Just(None), any::<bool>().prop_map(Some)].prop_map(Event::Lose),
        4 => Just(Event::Connect),
    ];
    prop::collection::vec(event, 0..400)
}

/// A scan of one kind, its store and its server.
struct World {
    kind: Kind,
    config: Config,
    store: Rig,
    server: Server,
    connected: bool,
    scan: ScanId,
    waits: bool,
    over: bool,
    /// How often each key or value was given out.
    given: BTreeMap<String, u32>,
    counted: Option<u64>,
}

impl World {
    fn new(kind: Kind, tells: bool) -> Self {
        let config = resolve(
            &[("CC_REDIS_SCAN_COUNT", "3"), ("CC_REDIS_SCAN_COUNT_MAX", "7")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        )
        .unwrap();
        let mut store = Rig::new(&config);
        let scan = store.open_scan(kind, b"m:", false);
        let server = Server::new(1, tells);
        let (given, counted) = (BTreeMap::new(), None);
        Self { kind, config, store, server, connected: false, scan, waits: false, over: false, given, counted }
    }

    fn give(&mut self, outcome: Outcome, batch: &Batch<Op>) {
        self.waits = false;
        let mut give = |text: &[u8]| *self.given.entry(String::from_utf8(text.to_vec()).unwrap()).or_default() += 1;
        match outcome {
            Outcome::Keys(page, _) | Outcome::Pairs(page, ..) => page.iter().for_each(give),
            Outcome::Values(values) => {
                for token in &batch.tokens[values] {
                    if let Token::Text(range) = token {
                        give(batch.buffer[range.clone()].strip_prefix(b"of ").unwrap());
                    }
                }
            }
            Outcome::Number(count) => (self.counted, self.over) = (Some(count), true),
            Outcome::Null => self.over = true,
            Outcome::Undefined => {
                self.over = true;
                assert_eq!(self.server.holds(), 0, "a clear is over, and keys are left");
            }
            other => panic!("{other:?}"),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Demand if !self.waits && !self.over => match self.store.demand(self.scan).unwrap() {
                Demand::Queued => self.waits = true,
                Demand::Now(outcome) => self.give(outcome, &Batch::default()),
            },
            Event::Send(most) if self.connected => {
                let bytes = self.store.peer().lane.unsent();
                let bytes = bytes[..bytes.len().min(most)].to_vec();
                self.store.peer().lane.sent(bytes.len(), 0);
                self.server.input.extend_from_slice(&bytes);
            }
            Event::Serve => self.server.serve(),
            Event::Receive(most) if self.connected => {
                let count = most.min(self.server.output.len());
                let bytes: Vec<_> = self.server.output.drain(..count).collect();
                let (batch, outcomes) = self.store.read(&bytes, 0);
                for (_, outcome) in outcomes {
                    self.give(outcome, &batch);
                }
            }
            Event::Lose(next) if self.connected => {
                self.connected = false;
                self.store.peer().lane.lost();
                self.server.input.clear();
                self.server.output.clear();
                if let Some(tells) = next {
                    self.server = Server::new(self.server.run + 1, tells);
                }
            }
            Event::Connect if !self.connected => {
                self.connected = true;
                self.store.connected(&self.config, Vec::new());
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn no_key_is_passed_over_or_named_twice_whatever_server_answers(
        kind in prop::sample::select(vec![Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear]),
        tells in any::<bool>(),
        events in events(),
    ) {
        let mut world = World::new(kind, tells);
        let finish = (0..2_000).flat_map(|_| {
            [Event::Demand, Event::Connect, Event::Send(9_999), Event::Serve, Event::Receive(9_999)]
        });
        for event in events.into_iter().chain(finish) {
            world.happen(&event);
            if world.over {
                break;
            }
        }
        prop_assert!(world.over, "it came to its end");
        prop_assert!(world.given.values().all(|&times| times == 1), "{:?}", world.given);
        match world.kind {
            Kind::Clear => {}
            Kind::Count => prop_assert_eq!(world.counted, Some(u64::from(LASTING + OWN))),
            _ => {
                for key in 0..LASTING {
                    prop_assert!(world.given.contains_key(&format!("m:{key}")), "m:{} was passed over", key);
                }
            }
        }
    }
}
