//! The coherence rules against a simulated server: random interleavings of clients, replies, pushes, time and faults,
//! held against a simple model. A failing case shrinks to a minimal one; proptest prints its seed.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::redis::MILLI;

/// Bytes of the cache: more than is needed, and so few that there is one segment, which evicts all the time.
const SIZES: [u64; 2] = [1 << 20, 1_200];
const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

/// What a server holds of a key, and since when; versions grow with every change of any key.
#[derive(Debug, Clone, Default)]
struct Cell {
    text: Option<u64>,
    expires: Option<Nanos>,
    version: u64,
    /// Values of the past with the moment when each ended, by any cause.
    past: Vec<(Option<u64>, u64, Nanos)>,
}

#[derive(Debug)]
enum Command {
    Get(usize, Option<Ticket>, bool),
    Exists(usize, Option<Ticket>),
    Set(usize, u64, Option<Ticket>),
    SetExpiring(usize, u64),
    Del(usize),
}

/// What a PTTL that may have travelled along answered.
#[derive(Debug, Clone, Copy)]
enum Ttl {
    NotAsked,
    Never,
    Left(Nanos),
}

#[derive(Debug)]
enum Event {
    Get { ticket: Option<Ticket>, text: Option<u64>, ttl: Ttl, written: Nanos },
    Exists { ticket: Option<Ticket>, there: bool, written: Nanos },
    Set { key: usize, value: u64, ticket: Option<Ticket>, written: Nanos, version: u64 },
    Done { written: Nanos },
    Push(Vec<usize>),
    PushAll,
}

/// One step of a schedule.
#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    Has(usize),
    Write(usize),
    WriteExpiring(usize),
    Delete(usize),
    Clear,
    /// Queued commands go to the socket.
    Flush,
    /// One cycle of the server: so many of our commands, and changes by others in between.
    Serve(usize, Vec<Foreign>),
    /// So many events are read.
    Receive(usize),
    Millis(u64),
    Disconnect,
}

#[derive(Debug, Clone)]
enum Foreign {
    Set(usize),
    SetExpiring(usize, u64),
    Del(usize),
    Expire(usize, u64),
    /// The server notices that a key has expired, on its own.
    Sweep,
    FlushAll,
}

/// What is under way between us and the server.
#[derive(Debug, Default)]
struct Line {
    queue: VecDeque<Command>,
    socket: VecDeque<(Command, Nanos)>,
    stream: VecDeque<Event>,
}

struct World {
    near: Near,
    now: Nanos,
    cells: Vec<Cell>,
    next: u64,
    line: Line,
    /// For each key the version of our latest write that was acknowledged.
    acknowledged: Vec<u64>,
    served: u64,
}

fn text(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

impl World {
    fn new(max_bytes: u64) -> Self {
        let mut near = Near::new(max_bytes);
        let now = 10 * LEASE;
        near.informed(PeerId::FIRST, now);
        Self {
            near,
            now,
            cells: vec![Cell::default(); KEYS.len()],
            next: 1,
            line: Line::default(),
            acknowledged: vec![0; KEYS.len()],
            served: 0,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The view of the key's server: a key past its expiry is not there, announced or not.
    fn current(&self, key: usize) -> Option<u64> {
        let cell = &self.cells[key];
        cell.text.filter(|_| cell.expires.is_none_or(|at| self.now < at))
    }

    fn change(&mut self, key: usize, text: Option<u64>, expires: Option<Nanos>) {
        let version = self.fresh();
        let now = self.now;
        let cell = &mut self.cells[key];
        // A value that expired unannounced ended when it expired.
        match cell.expires {
            Some(at) if at <= now => {
                cell.past.push((cell.text, cell.version, at));
                cell.past.push((None, cell.version, now));
            }
            _ => cell.past.push((cell.text, cell.version, now)),
        }
        *cell = Cell { text, expires, version, past: std::mem::take(&mut cell.past) };
    }

    /// Whether a value was true at the server within the lease, and is not older than our own acknowledged write.
    fn acceptable(&self, key: usize, value: Option<u64>) -> bool {
        let cell = &self.cells[key];
        let since = self.now.saturating_sub(LEASE);
        let live = self.current(key);
        let acknowledged = self.acknowledged[key];
        let now_true = value == live && cell.version >= acknowledged;
        let expired_lately = cell.expires.is_some_and(|at| at > since && at <= self.now) && value == cell.text;
        let was_true =
            cell.past.iter().any(|(past, version, end)| *past == value && *end > since && *version >= acknowledged);
        now_true || (expired_lately && cell.version >= acknowledged) || was_true
    }

    fn check(&self, key: usize, value: KeyState<'_>) -> Result<(), TestCaseError> {
        let fine = match value {
            KeyState::Absent => self.acceptable(key, None),
            KeyState::Text(bytes) => {
                let number = std::str::from_utf8(bytes).unwrap().parse().unwrap();
                self.acceptable(key, Some(number))
            }
            KeyState::Present => {
                let since = self.now.saturating_sub(LEASE);
                let cell = &self.cells[key];
                self.current(key).is_some()
                    || cell.expires.is_some_and(|at| at > since)
                    || cell.past.iter().any(|(past, _, end)| past.is_some() && *end > since)
            }
        };
        prop_assert!(fine, "{value:?} of {key} at {}; server: {:?}", self.now, self.cells[key]);
        Ok(())
    }

    /// What may be told of a key, as the store asks for it: or else a read's ticket, and whether it asks for the expiry.
    fn read(
        &mut self,
        key: usize,
        enough: impl FnOnce(KeyState<'_>) -> bool,
    ) -> Result<Option<(Ticket, bool)>, TestCaseError> {
        let found = self.near.recall(KEYS[key], || self.now);
        let trace = found.err().unwrap_or_default();
        if found.is_ok() {
            let value = self.near.known(KEYS[key], self.now).expect("it was there a moment ago");
            if enough(value) {
                self.check(key, value)?;
                self.served += 1;
                return Ok(None);
            }
        }
        Ok(Some(self.near.reading(KEYS[key], Slot::NONE, trace, Epoch::default())))
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Read(key) => {
                if let Some((ticket, expiry)) = self.read(key, |value| value != KeyState::Present)? {
                    self.line.queue.push_back(Command::Get(key, Some(ticket), expiry));
                }
            }
            Step::Has(key) => {
                if let Some((ticket, _)) = self.read(key, |_| true)? {
                    self.line.queue.push_back(Command::Exists(key, Some(ticket)));
                }
            }
            Step::Write(key) => {
                let value = self.fresh();
                let ticket = self.near.writing(KEYS[key], Slot::NONE, Epoch::default());
                self.line.queue.push_back(Command::Set(key, value, Some(ticket)));
            }
            Step::WriteExpiring(key) => {
                let value = self.fresh();
                self.near.forget(KEYS[key]);
                self.line.queue.push_back(Command::SetExpiring(key, value));
            }
            Step::Delete(key) => {
                self.near.forget(KEYS[key]);
                self.line.queue.push_back(Command::Del(key));
            }
            Step::Clear => {
                for (key, name) in KEYS.iter().enumerate() {
                    self.near.forget(name);
                    self.line.queue.push_back(Command::Del(key));
                }
            }
            Step::Flush => {
                let now = self.now;
                let Line { queue, socket, .. } = &mut self.line;
                socket.extend(queue.drain(..).map(|command| (command, now)));
            }
            Step::Serve(count, foreign) => self.serve(count, foreign),
            Step::Receive(count) => {
                for _ in 0..count {
                    let Some(event) = self.line.stream.pop_front() else { break };
                    self.receive(event);
                }
            }
            Step::Millis(millis) => self.now += millis * MILLI,
            Step::Disconnect => {
                self.near.lost(PeerId::FIRST);
                // What was not answered goes out again, without tickets: they are void.
                let line = &mut self.line;
                let unanswered = line.socket.drain(..).map(|(command, _)| command);
                let mut queue: VecDeque<_> = unanswered.chain(line.queue.drain(..)).collect();
                for command in &mut queue {
                    match command {
                        Command::Get(_, ticket, _) | Command::Exists(_, ticket) | Command::Set(_, _, ticket) => {
                            *ticket = None;
                        }
                        Command::SetExpiring(..) | Command::Del(_) => {}
                    }
                }
                *line = Line { queue, ..Line::default() };
                self.near.informed(PeerId::FIRST, self.now);
            }
        }
        Ok(())
    }

    /// One cycle: replies go out as commands run; pushes for the keys that changed come after them, and only where the
    /// last writer of the key was somebody else.
    fn serve(&mut self, count: usize, foreign: Vec<Foreign>) {
        let mut touched: BTreeMap<usize, bool> = BTreeMap::new();
        let mut everything = false;
        let mut foreign = foreign.into_iter();
        for _ in 0..count {
            if let Some(change) = foreign.next() {
                everything |= self.foreign(&change, &mut touched);
            }
            let Some((command, written)) = self.line.socket.pop_front() else { break };
            let event = self.execute(command, written, &mut touched);
            self.line.stream.push_back(event);
        }
        for change in foreign {
            everything |= self.foreign(&change, &mut touched);
        }
        let pushed: Vec<_> = touched.iter().filter(|(_, others)| **others).map(|(&key, _)| key).collect();
        if everything {
            self.line.stream.push_back(Event::PushAll);
        }
        if !pushed.is_empty() {
            self.line.stream.push_back(Event::Push(pushed));
        }
    }

    /// A change by somebody else.
    fn foreign(&mut self, change: &Foreign, touched: &mut BTreeMap<usize, bool>) -> bool {
        let value = self.fresh();
        match *change {
            Foreign::Set(key) => {
                self.change(key, Some(value), None);
                touched.insert(key, true);
            }
            Foreign::SetExpiring(key, millis) => {
                let at = self.now + millis * MILLI;
                self.change(key, Some(value), Some(at));
                touched.insert(key, true);
            }
            Foreign::Del(key) => {
                if self.current(key).is_some() {
                    self.change(key, None, None);
                    touched.insert(key, true);
                }
            }
            Foreign::Expire(key, millis) => {
                if let Some(text) = self.current(key) {
                    let at = self.now + millis * MILLI;
                    self.change(key, Some(text), Some(at));
                    touched.insert(key, true);
                }
            }
            Foreign::Sweep => {
                for key in 0..KEYS.len() {
                    if self.cells[key].text.is_some() && self.current(key).is_none() {
                        self.change(key, None, None);
                        touched.insert(key, true);
                    }
                }
            }
            Foreign::FlushAll => {
                for key in 0..KEYS.len() {
                    self.change(key, None, None);
                }
                return true;
            }
        }
        false
    }

    fn execute(&mut self, command: Command, written: Nanos, touched: &mut BTreeMap<usize, bool>) -> Event {
        match command {
            Command::Get(key, ticket, expiry) => {
                let ttl = match self.cells[key].expires {
                    _ if !expiry => Ttl::NotAsked,
                    None => Ttl::Never,
                    Some(at) => Ttl::Left(at.saturating_sub(self.now)),
                };
                Event::Get { ticket, text: self.current(key), ttl, written }
            }
            Command::Exists(key, ticket) => Event::Exists { ticket, there: self.current(key).is_some(), written },
            Command::Set(key, value, ticket) => {
                self.change(key, Some(value), None);
                touched.insert(key, false);
                Event::Set { key, value, ticket, written, version: self.cells[key].version }
            }
            Command::SetExpiring(key, value) => {
                let at = self.now + 50 * MILLI;
                self.change(key, Some(value), Some(at));
                touched.insert(key, false);
                Event::Done { written }
            }
            Command::Del(key) => {
                if self.cells[key].text.is_some() {
                    self.change(key, None, None);
                    touched.insert(key, false);
                }
                Event::Done { written }
            }
        }
    }

    fn receive(&mut self, event: Event) {
        let by = PeerId::FIRST;
        match event {
            Event::Get { ticket, text: found, ttl, written } => {
                self.near.proof(by, written);
                let Some(ticket) = ticket else { return };
                let found = found.map(text);
                let value = found.as_deref().map_or(KeyState::Absent, KeyState::Text);
                match ttl {
                    Ttl::NotAsked => self.near.filled(ticket, value, written, None),
                    Ttl::Never => self.near.filled(ticket, value, written, Some(Nanos::MAX)),
                    Ttl::Left(left) => self.near.filled(ticket, value, written, Some(written + left)),
                }
            }
            Event::Exists { ticket, there, written } => {
                self.near.proof(by, written);
                let Some(ticket) = ticket else { return };
                self.near.filled(ticket, if there { KeyState::Present } else { KeyState::Absent }, written, None);
            }
            Event::Set { key, value, ticket, written, version } => {
                self.near.proof(by, written);
                self.acknowledged[key] = self.acknowledged[key].max(version);
                if let Some(ticket) = ticket {
                    self.near.written(ticket, &text(value));
                }
            }
            Event::Done { written } => self.near.proof(by, written),
            Event::Push(keys) => keys.into_iter().for_each(|key| self.near.invalidated(KEYS[key])),
            Event::PushAll => self.near.invalidated_all(),
        }
    }

    /// Everything arrives; then the cache must equal the server, key by key.
    fn quiesce(&mut self) -> Result<(), TestCaseError> {
        for step in [Step::Flush, Step::Serve(1_000, vec![Foreign::Sweep]), Step::Receive(1_000)] {
            self.run(step)?;
        }
        for (key, name) in KEYS.iter().enumerate() {
            let Some(value) = self.near.known(name, self.now) else { continue };
            let truth = self.current(key).map(text);
            let truth = truth.as_deref().map_or(KeyState::Absent, KeyState::Text);
            let equal = value == truth || (value == KeyState::Present && truth != KeyState::Absent);
            prop_assert!(equal, "after quiet: {value:?} of {key}, server {truth:?}");
        }
        Ok(())
    }
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let key = 0..KEYS.len();
    prop_oneof![
        4 => key.clone().prop_map(Foreign::Set),
        1 => (key.clone(), 1_u64..3_000).prop_map(|(key, millis)| Foreign::SetExpiring(key, millis)),
        2 => key.clone().prop_map(Foreign::Del),
        1 => (key, 1_u64..3_000).prop_map(|(key, millis)| Foreign::Expire(key, millis)),
        1 => Just(Foreign::Sweep),
        1 => Just(Foreign::FlushAll),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let serve = (0_usize..6, prop::collection::vec(foreign(), 0..3));
    let step = prop_oneof![
        10 => key.clone().prop_map(Step::Read),
        3 => key.clone().prop_map(Step::Has),
        4 => key.clone().prop_map(Step::Write),
        1 => key.clone().prop_map(Step::WriteExpiring),
        1 => key.prop_map(Step::Delete),
        1 => Just(Step::Clear),
        8 => Just(Step::Flush),
        8 => serve.prop_map(|(count, foreign)| Step::Serve(count, foreign)),
        8 => (1_usize..8).prop_map(Step::Receive),
        3 => prop_oneof![1_u64..50, 500_u64..2_500].prop_map(Step::Millis),
        1 => Just(Step::Disconnect),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn no_value_older_than_the_lease_is_served_and_after_quiet_the_cache_equals_the_server(
        steps in steps(), small in any::<bool>()
    ) {
        let mut world = World::new(SIZES[usize::from(small)]);
        for step in steps {
            world.run(step)?;
        }
        world.quiesce()?;
    }
}

#[test]
fn the_simulation_serves_from_the_cache_at_all() {
    for max_bytes in SIZES {
        let mut world = World::new(max_bytes);
        for key in [0, 1] {
            let answered = [Step::Flush, Step::Serve(1, vec![]), Step::Receive(1)];
            for step in [Step::Read(key)].into_iter().chain(answered).chain([Step::Read(key), Step::Has(key)]) {
                world.run(step).unwrap();
            }
        }
        assert_eq!(world.served, 4, "{max_bytes} bytes");
    }
}
