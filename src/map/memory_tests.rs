//! The operations of maps and ids over a backend that is no server, held against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::resolve;
use crate::map::ids::{Known, Recall};
use crate::map::memory::Memory;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::near::LEASE;
use crate::redis::batch::Batch;
use crate::redis::by_peer::PeerId;
use crate::redis::decode::Token;
use crate::redis::lane::News;
use crate::redis::{MILLI, Nanos};

/// Two maps, of which the name of one begins as that of the other, with a sign that patterns give a meaning to.
const PREFIXES: [&[u8]; 2] = [b"m*:", b"m*:n:"];
const KEYS: [&[u8]; 6] = [b"m*:a", b"m*:b", b"m*:n:a", b"m*:n:b", b"m*:n:c", b"mm:a"];
const SECOND: Nanos = 1_000 * MILLI;

#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    GetFirst(usize, usize),
    Has(usize),
    HasAny(usize, usize),
    Set(usize, u8, Option<u64>),
    Delete(usize),
    GetId(usize),
    HasId(usize),
    SetId(usize, u8),
    Scan(Kind, usize),
    /// Somebody else writes or deletes.
    Change(usize, Option<u8>),
    /// Time goes by.
    Wait(Nanos),
    /// Answers are taken.
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len();
    let kind = prop::sample::select(vec![Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear]);
    let step = prop_oneof![
        1 => key().prop_map(Step::Get),
        1 => (key(), key()).prop_map(|(one, other)| Step::GetFirst(one, other)),
        1 => key().prop_map(Step::Has),
        1 => (key(), key()).prop_map(|(one, other)| Step::HasAny(one, other)),
        3 => (key(), any::<u8>(), prop::option::of(1..4u64)).prop_map(|(key, text, ttl)| Step::Set(key, text, ttl)),
        1 => key().prop_map(Step::Delete),
        3 => key().prop_map(Step::GetId),
        2 => key().prop_map(Step::HasId),
        1 => key().prop_map(|key| Step::SetId(key, 0)),
        1 => (kind, 0..PREFIXES.len()).prop_map(|(kind, prefix)| Step::Scan(kind, prefix)),
        1 => (key(), prop::option::of(any::<u8>())).prop_map(|(key, text)| Step::Change(key, text)),
        2 => (1..5_000u64).prop_map(|millis| Step::Wait(millis * MILLI)),
        4 => Just(Step::Take),
    ];
    prop::collection::vec(step, 0..120)
}

/// A store over a memory, and what it must say.
struct World {
    store: Store,
    memory: Memory,
    /// Texts of the keys, and when they end.
    model: BTreeMap<usize, (String, Nanos)>,
    /// What calls under way must come to.
    expected: BTreeMap<CallId, String>,
    /// Answers of the near cache.
    hits: u32,
}

impl World {
    fn new() -> Self {
        let few = [("CC_REDIS_SCAN_COUNT", "1"), ("CC_REDIS_SCAN_COUNT_MAX", "2")];
        let config = resolve(&few.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap();
        let mut world = Self {
            store: Store::new(&config, None),
            memory: Memory::new(1_000),
            model: BTreeMap::new(),
            expected: BTreeMap::new(),
            hits: 0,
        };
        world.take();
        world
    }

    fn text(&self, key: usize) -> String {
        self.model.get(&key).map_or_else(|| "Null".to_owned(), |(text, _)| text.clone())
    }

    fn has(&self, key: usize) -> bool {
        self.model.contains_key(&key)
    }

    /// The last call must come to that.
    fn expect(&mut self, what: &impl ToString) {
        self.expected.insert(self.store.last_call(), what.to_string());
    }

    /// Takes answers; those of scans are the result.
    fn take(&mut self) -> Vec<String> {
        let (mut batch, mut outcomes) = (Batch::default(), Vec::new());
        match self.memory.answers(&mut batch, self.memory.now) {
            News::Ready(tracking) => {
                self.store.ids.ready(PeerId::FIRST, tracking);
            }
            news => assert_eq!(news, News::None),
        }
        self.store.absorb(&mut self.memory, &mut batch, &mut outcomes);
        let mut others = Vec::new();
        for (call, outcome) in outcomes {
            let shown = show(&batch, outcome);
            match self.expected.remove(&call) {
                Some(expected) => assert_eq!(shown, expected, "call {call}"),
                None => others.push(shown),
            }
        }
        others
    }

    /// Asks the near cache as the boundary does.
    fn known(&mut self, key: usize, reads_text: bool) -> std::result::Result<String, Trace> {
        let now = self.memory.now;
        if let Recall::Nothing(trace) = self.store.ids.recall(KEYS[key], || now) {
            return Err(trace);
        }
        assert!(self.take().is_empty());
        let ids = &self.store.ids;
        let known = if reads_text { ids.text(KEYS[key], b"", now) } else { ids.presence(KEYS[key], b"", now) };
        self.hits += u32::from(known.is_some());
        match known {
            Some(Known::Text(text)) => Ok(String::from_utf8(text.to_vec()).unwrap()),
            Some(Known::Absent) => Ok("Null".to_owned()),
            Some(Known::Exists(there)) => Ok(there.to_string()),
            None => Err(self.store.ids.recall(KEYS[key], || now).nothing().unwrap_or_default()),
        }
    }

    fn scan(&mut self, kind: Kind, prefix: usize) {
        let prefix = PREFIXES[prefix];
        let under: Vec<_> = (0..KEYS.len()).filter(|&key| self.has(key) && KEYS[key].starts_with(prefix)).collect();
        let subkey = |key: usize| String::from_utf8(KEYS[key][prefix.len()..].to_vec()).unwrap();
        let mut expected: Vec<_> = match kind {
            Kind::Keys => under.iter().map(|&key| subkey(key)).collect(),
            Kind::Pairs => under.iter().map(|&key| subkey(key) + "=" + &self.text(key)).collect(),
            Kind::Values => under.iter().map(|&key| self.text(key)).collect(),
            Kind::Count => vec![under.len().to_string()],
            Kind::Clear => vec!["Undefined".to_owned()],
        };
        let (mut found, id) = (Vec::new(), self.store.open_scan(kind, prefix, true));
        loop {
            let shown = match self.store.demand(&mut self.memory, id).unwrap() {
                Demand::Now(outcome) => vec![show(&Batch::default(), outcome)],
                Demand::Queued => std::iter::repeat_with(|| self.take()).find(|shown| !shown.is_empty()).unwrap(),
            };
            if shown == ["Null"] {
                break;
            }
            found.extend(shown.iter().flat_map(|page| page.split(',').map(str::to_owned)));
            if matches!(kind, Kind::Count | Kind::Clear) {
                break;
            }
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{kind:?}");
        if kind == Kind::Clear {
            self.model.retain(|key, _| !under.contains(key));
        }
    }

    fn happen(&mut self, step: &Step) {
        let Self { store, memory, .. } = self;
        match *step {
            Step::Get(key) => {
                store.get(memory, KEYS[key]).unwrap();
                self.expect(&self.text(key));
            }
            Step::GetFirst(one, other) => {
                store.get_first(memory, KEYS[one], KEYS[other]).unwrap();
                self.expect(&self.text(if self.has(one) { one } else { other }));
            }
            Step::Has(key) => {
                store.has(memory, KEYS[key]).unwrap();
                self.expect(&self.has(key));
            }
            Step::HasAny(one, other) => {
                store.has_any(memory, KEYS[one], KEYS[other]).unwrap();
                self.expect(&(self.has(one) || self.has(other)));
            }
            Step::Set(key, text, ttl) => {
                let text = text.to_string();
                store.set(memory, KEYS[key], text.as_bytes(), ttl, true).unwrap();
                let ends = ttl.map_or(Nanos::MAX, |seconds| memory.now + seconds * SECOND);
                self.model.insert(key, (text, ends));
                self.expect(&"Undefined");
            }
            Step::Delete(key) => {
                store.delete(memory, KEYS[key], true).unwrap();
                self.model.remove(&key);
                self.expect(&"Undefined");
            }
            Step::GetId(key) => match self.known(key, true) {
                Ok(known) => assert_eq!(known, self.text(key), "from memory"),
                Err(trace) => {
                    self.store.get_id(&mut self.memory, KEYS[key], trace).unwrap();
                    self.expect(&self.text(key));
                }
            },
            Step::HasId(key) => match self.known(key, false) {
                Ok(known) => assert_eq!(known, self.has(key).to_string(), "from memory"),
                Err(trace) => {
                    self.store.has_id(&mut self.memory, KEYS[key], trace).unwrap();
                    self.expect(&self.has(key));
                }
            },
            Step::SetId(key, text) => {
                let text = text.to_string();
                store.set_id(memory, KEYS[key], text.as_bytes()).unwrap();
                self.model.insert(key, (text.clone(), Nanos::MAX));
                self.expect(&text);
            }
            Step::Scan(kind, prefix) => {
                assert!(self.take().is_empty());
                self.scan(kind, prefix);
            }
            Step::Change(key, text) => {
                let text = text.map(|text| text.to_string());
                memory.change(KEYS[key], text.as_ref().map(String::as_bytes));
                match text {
                    Some(text) => drop(self.model.insert(key, (text, Nanos::MAX))),
                    None => drop(self.model.remove(&key)),
                }
            }
            Step::Wait(time) => {
                memory.now += time;
                let now = memory.now;
                self.model.retain(|_, (_, ends)| *ends > now);
            }
            Step::Take => assert!(self.take().is_empty()),
        }
    }
}

/// An outcome as text.
fn show(batch: &Batch<Op>, outcome: Outcome) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let token = |token: &Token| match token {
        Token::Text(range) => text(&batch.buffer[range.clone()]),
        other => format!("{other:?}"),
    };
    match outcome {
        Outcome::Text(range) => text(&batch.buffer[range]),
        Outcome::Owned(bytes) => text(&bytes),
        Outcome::Boolean(value) => value.to_string(),
        Outcome::Number(number) => number.to_string(),
        Outcome::Keys(page, prefix) => page.iter().map(|key| text(&key[prefix..])).collect::<Vec<_>>().join(","),
        Outcome::Values(values) => batch.tokens[values].iter().map(token).collect::<Vec<_>>().join(","),
        Outcome::Pairs(page, prefix, values) => {
            let pairs = page.iter().zip(&batch.tokens[values]);
            pairs.map(|(key, value)| text(&key[prefix..]) + "=" + &token(value)).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn every_operation_says_what_a_map_would_say(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.happen(step);
        }
        prop_assert!(world.take().is_empty());
        prop_assert!(world.expected.is_empty(), "{:?} were never answered", world.expected);
        prop_assert_eq!(world.memory.waiting(), 0);
    }
}

#[test]
fn the_near_cache_answers_over_it_and_asks_for_the_expiry_of_a_key_that_is_read_again() {
    let mut world = World::new();
    world.happen(&Step::Set(0, 7, Some(60)));
    world.happen(&Step::Take);
    for (read, hits) in [(1, 0), (2, 1)] {
        world.happen(&Step::GetId(0));
        world.happen(&Step::Take);
        assert_eq!(world.hits, hits, "read {read}");
    }
    world.happen(&Step::Wait(LEASE));
    world.happen(&Step::GetId(0));
    world.happen(&Step::Take);
    world.happen(&Step::Wait(LEASE));
    world.happen(&Step::Has(1));
    world.happen(&Step::Take);
    world.happen(&Step::GetId(0));
    assert_eq!(world.hits, 2, "its end is known, and any answer renews the lease");
}

#[test]
fn a_call_that_the_backend_refuses_is_the_callers_to_know_and_disturbs_no_other() {
    let mut world = World::new();
    world.memory = Memory::new(1);
    world.take();
    world.happen(&Step::Get(0));
    let refused = world.store.get(&mut world.memory, KEYS[1]).unwrap_err();
    assert_eq!(refused.code, crate::error::Code::QueueFull);
    world.happen(&Step::Take);
    world.happen(&Step::Get(1));
    world.happen(&Step::Take);
    assert!(world.expected.is_empty());
}

#[test]
fn a_read_whose_pttl_found_no_place_is_remembered_for_one_lease() {
    let mut world = World::new();
    world.happen(&Step::GetId(0));
    world.happen(&Step::Take);
    world.happen(&Step::Change(0, Some(1)));
    world.happen(&Step::GetId(0));
    world.happen(&Step::Take);
    world.happen(&Step::Wait(LEASE));
    let trace = world.known(0, true).unwrap_err();
    world.memory = Memory::new(1);
    world.memory.change(KEYS[0], Some(b"1"));
    world.take();
    world.store.get_id(&mut world.memory, KEYS[0], trace).unwrap();
    world.expect(&"1");
    world.happen(&Step::Take);
    world.happen(&Step::GetId(0));
    assert_eq!((world.hits, world.expected.len()), (1, 0));
}
