//! The coherence rules against simulated nodes of a cluster whose slots move: with marks, all at once, and by failovers, while
//! others write; nodes are cut off and go on answering, connections are lost, and keys that moved are announced late or never.
//!
//! The oracle: what is told of a key was true within the lease, or was within it what a node held that was cut off and had not
//! noticed it yet ([`CUT`]); it is no older than what this client was told that it has written; and after quiet it is true.
//!
//! Of faults planted in the rules the random schedules find these: absence lasts as long as other entries; entries outlast their
//! connection; slots are believed without a read that was answered; epochs of claims are not looked at. That slots which come and go
//! count as settled, and that any reply is proof, is found by the schedule at the end.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const KEYS: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
/// The slot of each.
const SLOT_OF: [usize; 4] = [0, 0, 1, 1];
const SLOTS: usize = 2;
const NODES: usize = 3;
/// How long a node that was cut off goes on serving: `cluster-node-timeout`.
const CUT: Nanos = 1_000 * MILLI;

type Held = Rc<Cell<Option<Nanos>>>;

#[derive(Debug)]
enum Command {
    Get(usize, Option<Ticket>),
    Exists(usize, Option<Ticket>),
    Set(usize, u64, Option<Ticket>),
    Del(usize),
    /// A read that is answered by this node or refused.
    Held(usize, Held),
    /// For its own slots.
    Slots(Held),
}

impl Command {
    /// The slot by which it is routed.
    fn slot(&self) -> Option<usize> {
        match self {
            Self::Get(key, _) | Self::Exists(key, _) | Self::Set(key, ..) | Self::Del(key) => Some(SLOT_OF[*key]),
            Self::Held(..) | Self::Slots(_) => None,
        }
    }
}

/// Why a node does not carry a command out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Moved,
    Ask(usize),
    Down,
}

#[derive(Debug)]
enum Event {
    Got(Command, Option<u64>, Nanos, Epoch),
    /// Its version.
    Set(Command, u64, Nanos, Epoch),
    Done(Command, Nanos),
    Refused(Command, Refusal),
    /// Its epoch, and the slots that stay its own.
    Slots(Held, u64, SlotSet, Nanos),
    Push(Vec<usize>),
}

/// A node, and what is under way between it and us.
#[derive(Debug, Default)]
struct Node {
    copies: [Option<u64>; KEYS.len()],
    owned: [bool; SLOTS],
    leaving: [Option<usize>; SLOTS],
    arriving: [bool; SLOTS],
    epoch: u64,
    /// Since when it is cut off from the others, and what its replica had then.
    cut: Option<(Nanos, [Option<u64>; KEYS.len()])>,
    /// Announcements of keys that moved, which come late.
    late: Vec<usize>,
    is_up: bool,
    queue: VecDeque<(Command, bool)>,
    socket: VecDeque<(Command, bool, Nanos)>,
    stream: VecDeque<Event>,
    is_proving: bool,
}

impl Node {
    fn is_down(&self, now: Nanos) -> bool {
        self.cut.is_some_and(|(since, _)| now >= since + CUT)
    }
}

/// What becomes of a read.
enum Read {
    /// It was answered from memory.
    Told,
    /// It goes out, with its ticket.
    Sent(Option<Ticket>),
}

/// How a key that leaves a node is announced there.
#[derive(Debug, Clone, Copy)]
enum Announced {
    AtOnce,
    Late,
    Never,
}

#[derive(Debug, Clone)]
enum Foreign {
    Set(usize),
    Del(usize),
}

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    Has(usize),
    Write(usize),
    Delete(usize),
    Flush(usize),
    Serve(usize, usize, Vec<Foreign>),
    Receive(usize, usize),
    /// All three, as far as there is anything.
    Round(usize, Vec<Foreign>),
    Millis(u64),
    Lose(usize),
    Connect(usize),
    Mark(usize, usize),
    Move(usize, Announced),
    /// The slot is its target's from here on.
    Settle(usize),
    /// It stays where it is, and what has left comes back.
    Cancel(usize),
    /// It goes to another node at once, without marks.
    Jump(usize, usize, Announced),
    CutOff(usize),
    Replace(usize, usize),
    Heal(usize),
    Announce(usize),
}

struct World {
    near: Near,
    now: Nanos,
    nodes: [Node; NODES],
    owners: [usize; SLOTS],
    /// What is true of each key, and the number of its last change.
    truth: [(Option<u64>, u64); KEYS.len()],
    /// What was, or what a node that was cut off held, with the number of its change and when it ended.
    past: Vec<Vec<(Option<u64>, u64, Nanos)>>,
    acknowledged: [u64; KEYS.len()],
    next: u64,
    // The client's router.
    places: [usize; SLOTS],
    epochs: [Epoch; NODES],
    held: [VecDeque<Command>; SLOTS],
    asked: [Option<usize>; SLOTS],
    served: u64,
}

fn peer(node: usize) -> PeerId {
    PeerId::of(u16::try_from(node).unwrap())
}

fn slot(number: usize) -> Slot {
    Slot::new(u16::try_from(100 * number).unwrap()).unwrap()
}

fn text(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            near: Near::of_cluster(1 << 20),
            now: 10 * LEASE,
            nodes: Default::default(),
            owners: [0, 1],
            truth: [(None, 0); KEYS.len()],
            past: vec![Vec::new(); KEYS.len()],
            acknowledged: [0; KEYS.len()],
            next: 1,
            places: [0, 1],
            epochs: [0, 1, 2].map(|node| Epoch::of(peer(node))),
            held: Default::default(),
            asked: Default::default(),
            served: 0,
        };
        for (slot, &owner) in [0, 1].iter().enumerate() {
            world.nodes[owner].owned[slot] = true;
        }
        for node in 0..NODES {
            world.nodes[node].epoch = node as u64 + 1;
            world.connect(node);
        }
        world
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    // The nodes.

    /// Whether a node carries out a command of a key now.
    fn refusal(&self, node: usize, key: usize, asks: bool) -> Option<Refusal> {
        let slot = SLOT_OF[key];
        let it = &self.nodes[node];
        if it.is_down(self.now) {
            return Some(Refusal::Down);
        }
        if !it.owned[slot] {
            // Where the owner has the key, somebody who asks comes from a move that was called off.
            let is_here = asks && it.arriving[slot] && self.nodes[self.owners[slot]].copies[key].is_none();
            return (!is_here).then_some(Refusal::Moved);
        }
        it.leaving[slot].filter(|_| it.copies[key].is_none()).map(Refusal::Ask)
    }

    /// What the cluster holds of a key.
    fn rightful(&self, key: usize) -> Option<u64> {
        let owner = &self.nodes[self.owners[SLOT_OF[key]]];
        owner.copies[key].or_else(|| self.nodes[owner.leaving[SLOT_OF[key]]?].copies[key])
    }

    /// Something may have changed.
    fn look(&mut self, key: usize) {
        let value = self.rightful(key);
        let (before, version) = self.truth[key];
        if value != before {
            self.past[key].push((before, version, self.now));
            self.truth[key] = (value, version + 1);
        }
    }

    /// A node's copy of a key is changed by a client. The number of the change; `None`: it is not what the cluster holds, because the
    /// node was replaced and has not noticed it.
    fn change(&mut self, node: usize, key: usize, value: Option<u64>) -> Option<u64> {
        self.nodes[node].copies[key] = value;
        self.look(key);
        if self.nodes[node].owned[SLOT_OF[key]] && self.owners[SLOT_OF[key]] != node {
            let (since, _) = self.nodes[node].cut.expect("only who is cut off does not know");
            self.past[key].push((value, self.truth[key].1, since + CUT));
            return None;
        }
        Some(self.truth[key].1)
    }

    fn newest_epoch(&self) -> u64 {
        self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0)
    }

    /// A slot comes to a node, whose claim becomes the newest.
    fn own(&mut self, slot: usize, node: usize) {
        let newest = self.newest_epoch();
        let it = &mut self.nodes[node];
        it.owned[slot] = true;
        it.arriving[slot] = false;
        if it.epoch < newest {
            it.epoch = newest + 1;
        }
        self.owners[slot] = node;
    }

    fn announce(&mut self, node: usize, key: usize, how: Announced) {
        match how {
            Announced::AtOnce if self.nodes[node].is_up => self.nodes[node].stream.push_back(Event::Push(vec![key])),
            Announced::Late => self.nodes[node].late.push(key),
            Announced::AtOnce | Announced::Never => {}
        }
    }

    fn keys_of(slot: usize) -> impl Iterator<Item = usize> {
        (0..KEYS.len()).filter(move |&key| SLOT_OF[key] == slot)
    }

    fn move_key(&mut self, key: usize, how: Announced) {
        let slot = SLOT_OF[key];
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot] else { return };
        let Some(value) = self.nodes[owner].copies[key].take() else { return };
        self.nodes[target].copies[key] = Some(value);
        self.announce(target, key, Announced::AtOnce);
        self.announce(owner, key, how);
    }

    fn settle(&mut self, slot: usize) {
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot] else { return };
        if Self::keys_of(slot).any(|key| self.nodes[owner].copies[key].is_some()) {
            return;
        }
        self.own(slot, target);
        self.nodes[owner].owned[slot] = false;
        self.nodes[owner].leaving[slot] = None;
    }

    fn cancel(&mut self, slot: usize) {
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot].take() else { return };
        self.nodes[target].arriving[slot] = false;
        for key in Self::keys_of(slot) {
            if let Some(value) = self.nodes[target].copies[key].take() {
                self.nodes[owner].copies[key] = Some(value);
                // What nobody had asked the owner for before may be news to it later than to us.
                let was_absent = self.past[key].iter().rev().take(2).any(|(value, ..)| value.is_none());
                self.announce(owner, key, if was_absent { Announced::Late } else { Announced::AtOnce });
            }
        }
    }

    fn is_quiet(&self, slot: usize) -> bool {
        self.nodes[self.owners[slot]].leaving[slot].is_none()
    }

    fn jump(&mut self, slot: usize, to: usize, how: Announced) {
        let from = self.owners[slot];
        for key in Self::keys_of(slot) {
            self.nodes[to].copies[key] = self.nodes[from].copies[key].take();
            self.announce(from, key, how);
        }
        self.nodes[from].owned[slot] = false;
        self.own(slot, to);
    }

    /// Another node takes the place of one that was cut off, with what that had then.
    fn replace(&mut self, node: usize, by: usize) {
        let Some((since, copies)) = self.nodes[node].cut else { return };
        for slot in (0..SLOTS).filter(|&slot| self.owners[slot] == node).collect::<Vec<_>>() {
            self.own(slot, by);
            for key in Self::keys_of(slot) {
                self.nodes[by].copies[key] = copies[key];
                let (before, version) = self.truth[key];
                self.past[key].push((before, version, self.now.max(since + CUT)));
                self.look(key);
                // What was acknowledged since the cut is lost.
                self.acknowledged[key] = 0;
            }
        }
    }

    fn heal(&mut self, node: usize) {
        if self.nodes[node].cut.take().is_none() {
            return;
        }
        for slot in (0..SLOTS).filter(|&slot| self.owners[slot] != node) {
            if std::mem::take(&mut self.nodes[node].owned[slot]) {
                Self::keys_of(slot).for_each(|key| self.nodes[node].copies[key] = None);
            }
        }
    }

    /// Whether a node may begin something with another one.
    fn are_well(&self, nodes: [usize; 2]) -> bool {
        nodes[0] != nodes[1] && nodes.iter().all(|&node| self.nodes[node].cut.is_none())
    }

    fn serve(&mut self, node: usize, count: usize, foreign: &[Foreign]) {
        let mut touched: BTreeMap<usize, bool> = BTreeMap::new();
        let mut foreign = foreign.iter();
        for _ in 0..count {
            if let Some(change) = foreign.next() {
                self.foreign(node, change, &mut touched);
            }
            let Some((command, asks, written)) = self.nodes[node].socket.pop_front() else { break };
            let event = self.execute(node, command, asks, written, &mut touched);
            self.nodes[node].stream.push_back(event);
        }
        for change in foreign {
            self.foreign(node, change, &mut touched);
        }
        let pushed: Vec<_> = touched.iter().filter(|(_, others)| **others).map(|(&key, _)| key).collect();
        if !pushed.is_empty() && self.nodes[node].is_up {
            self.nodes[node].stream.push_back(Event::Push(pushed));
        }
    }

    /// Somebody else's command reaches this node, asked where it must be.
    fn foreign(&mut self, node: usize, change: &Foreign, touched: &mut BTreeMap<usize, bool>) {
        let value = self.fresh();
        let (Foreign::Set(key) | Foreign::Del(key)) = *change;
        let owner = self.owners[SLOT_OF[key]];
        let is_sent_here = owner != node && self.refusal(owner, key, false) == Some(Refusal::Ask(node));
        if self.refusal(node, key, is_sent_here).is_some() {
            return;
        }
        self.change(node, key, matches!(change, Foreign::Set(_)).then_some(value));
        touched.insert(key, true);
    }

    fn execute(
        &mut self,
        node: usize,
        command: Command,
        asks: bool,
        written: Nanos,
        touched: &mut BTreeMap<usize, bool>,
    ) -> Event {
        let epoch = self.epochs[node];
        if let Command::Get(key, _) | Command::Exists(key, _) | Command::Set(key, ..) | Command::Del(key) = command
            && let Some(why) = self.refusal(node, key, asks)
        {
            return Event::Refused(command, why);
        }
        match command {
            Command::Get(key, _) | Command::Exists(key, _) => {
                Event::Got(command, self.nodes[node].copies[key], written, epoch)
            }
            Command::Set(key, value, _) => {
                touched.insert(key, false);
                let version = self.change(node, key, Some(value));
                Event::Set(command, version.unwrap_or(0), written, epoch)
            }
            Command::Del(key) => {
                touched.insert(key, false);
                self.change(node, key, None);
                Event::Done(command, written)
            }
            Command::Held(key, ref held) => {
                let is_held = matches!(self.refusal(node, key, false), None | Some(Refusal::Ask(_)));
                held.set(is_held.then_some(written));
                Event::Done(command, written)
            }
            Command::Slots(held) => {
                let it = &self.nodes[node];
                let settled = |&at: &usize| it.owned[at] && it.leaving[at].is_none() && !it.arriving[at];
                Event::Slots(held, it.epoch, (0..SLOTS).filter(settled).map(slot).collect(), written)
            }
        }
    }

    // The client.

    fn connect(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].is_up, true) {
            return;
        }
        self.epochs[node].connected(true);
        self.near.informed(peer(node), self.now);
    }

    fn lose(&mut self, node: usize) {
        self.near.lost(peer(node));
        let it = &mut self.nodes[node];
        (it.is_up, it.is_proving) = (false, false);
        it.late.clear();
        // What was refused was not answered for us; it goes out again with the rest, and whatever tickets it has.
        let refused = std::mem::take(&mut it.stream).into_iter().filter_map(|event| match event {
            Event::Refused(command, ..) => Some((command, false)),
            _ => None,
        });
        let unanswered = it.socket.drain(..).map(|(command, asks, _)| (command, asks));
        it.queue = refused.chain(unanswered).chain(it.queue.drain(..)).collect::<VecDeque<_>>();
        for slot in 0..SLOTS {
            if self.asked[slot] == Some(node) {
                // It may have been answered, and is asked of the owner anew where it was not.
                self.asked[slot] = None;
                self.withdraw(node, slot);
                self.release(slot);
            }
        }
    }

    /// Takes back what a node has of a slot, whatever it answers: it is older than what is held.
    fn withdraw(&mut self, node: usize, slot: usize) {
        let it = &mut self.nodes[node];
        let is_its = |command: &Command| command.slot() == Some(slot);
        let mut back = Vec::new();
        let stream = std::mem::take(&mut it.stream);
        for event in stream {
            match event {
                Event::Refused(command, _)
                | Event::Got(command, ..)
                | Event::Set(command, ..)
                | Event::Done(command, _)
                    if is_its(&command) =>
                {
                    back.push(command);
                }
                event => it.stream.push_back(event),
            }
        }
        for (command, asks, written) in std::mem::take(&mut it.socket) {
            if is_its(&command) {
                back.push(command);
            } else {
                it.socket.push_back((command, asks, written));
            }
        }
        for (command, asks) in std::mem::take(&mut it.queue) {
            if is_its(&command) {
                back.push(command);
            } else {
                it.queue.push_back((command, asks));
            }
        }
        back.into_iter().rev().for_each(|command| self.held[slot].push_front(command));
    }

    fn release(&mut self, slot: usize) {
        let commands = std::mem::take(&mut self.held[slot]);
        self.nodes[self.places[slot]].queue.extend(commands.into_iter().map(|command| (command, false)));
    }

    fn send(&mut self, command: Command) {
        match command.slot() {
            Some(slot) if self.asked[slot].is_some() => self.held[slot].push_back(command),
            Some(slot) => self.nodes[self.places[slot]].queue.push_back((command, false)),
            None => unreachable!("it has a node of its own"),
        }
    }

    fn refused(&mut self, node: usize, command: Command, why: Refusal) {
        let slot = command.slot().expect("only those are refused");
        self.near.doubted(self::slot(slot));
        if self.asked[slot] == Some(node) {
            self.asked[slot] = None;
        }
        self.withdraw(node, slot);
        self.held[slot].push_front(command);
        if let Refusal::Ask(target) = why {
            let first = self.held[slot].pop_front().expect("it was put there");
            self.asked[slot] = Some(target);
            return self.nodes[target].queue.push_back((first, true));
        }
        if std::mem::replace(&mut self.places[slot], self.owners[slot]) != self.owners[slot] {
            self.epochs.iter_mut().for_each(Epoch::owns_other_slots);
        }
        self.release(slot);
    }

    fn attest(&mut self, node: usize, key: usize) {
        let it = &mut self.nodes[node];
        if !it.is_up || std::mem::replace(&mut it.is_proving, true) {
            return;
        }
        let held = Held::default();
        it.queue.push_back((Command::Held(key, Rc::clone(&held)), false));
        it.queue.push_back((Command::Slots(held), false));
    }

    /// Somebody asks for a key.
    fn read(&mut self, key: usize, enough: fn(KeyState<'_>) -> bool) -> Result<Read, TestCaseError> {
        let recalled = self.near.recall(KEYS[key], || self.now);
        if let Ok((_, of)) = recalled {
            let node = usize::from(of.number());
            if self.near.wants_attestation(of, self.now) {
                self.attest(node, key);
            }
            let value = self.near.known(KEYS[key], self.now).expect("it was there a moment ago");
            if enough(value) {
                self.check(key, value)?;
                self.served += 1;
                return Ok(Read::Told);
            }
        }
        let node = self.places[SLOT_OF[key]];
        let of = peer(node);
        if self.near.is_unasked(of) || self.near.wants_attestation(of, self.now) {
            self.attest(node, key);
        }
        let trace = recalled.err().unwrap_or_default();
        let is_informed = self.near.is_informed(of);
        let ticket = is_informed.then(|| self.near.reading(KEYS[key], slot(SLOT_OF[key]), trace, self.epochs[node]).0);
        Ok(Read::Sent(ticket))
    }

    fn check(&self, key: usize, value: KeyState<'_>) -> Result<(), TestCaseError> {
        let since = self.now.saturating_sub(LEASE);
        let fits = |held: Option<u64>, version: u64| {
            let is_it = match value {
                KeyState::Absent => held.is_none(),
                KeyState::Present => held.is_some(),
                KeyState::Text(bytes) => held.is_some_and(|held| text(held) == bytes),
            };
            is_it && version >= self.acknowledged[key]
        };
        let (held, version) = self.truth[key];
        let was = self.past[key].iter().any(|&(held, version, end)| end > since && fits(held, version));
        let past: Vec<_> = self.past[key].iter().rev().take(4).collect();
        let truth = self.truth[key];
        prop_assert!(was || fits(held, version), "{value:?} of {key} at {}: {truth:?}, before {past:?}", self.now);
        Ok(())
    }

    fn receive(&mut self, node: usize, event: Event) {
        let by = peer(node);
        match event {
            Event::Got(command, found, written, epoch) => {
                self.near.proof(by, written);
                let slot = command.slot();
                let found = found.map(text);
                let (ticket, state) = match command {
                    Command::Get(_, ticket) => (ticket, found.as_deref().map_or(KeyState::Absent, KeyState::Text)),
                    Command::Exists(_, ticket) => (ticket, found.map_or(KeyState::Absent, |_| KeyState::Present)),
                    _ => unreachable!("others are not read"),
                };
                if let Some(ticket) = ticket {
                    if ticket.is_of(epoch) {
                        let lasts = matches!(state, KeyState::Text(_)).then_some(Nanos::MAX);
                        self.near.filled(ticket, state, written, lasts);
                    } else {
                        self.near.discard(ticket);
                    }
                }
                self.answered(node, slot);
            }
            Event::Set(command, version, written, epoch) => {
                self.near.proof(by, written);
                let slot = command.slot();
                if let Command::Set(key, value, ticket) = command {
                    if version > 0 {
                        self.acknowledged[key] = self.acknowledged[key].max(version);
                    }
                    match ticket {
                        Some(ticket) if ticket.is_of(epoch) => self.near.written(ticket, &text(value)),
                        Some(ticket) => self.near.discard(ticket),
                        None => {}
                    }
                }
                self.answered(node, slot);
            }
            Event::Done(command, written) => {
                self.near.proof(by, written);
                self.answered(node, command.slot());
            }
            Event::Slots(held, epoch, own, written) => {
                self.near.proof(by, written);
                self.nodes[node].is_proving = false;
                self.near.told(by, written, held.get(), epoch, &own);
            }
            Event::Refused(command, why) => self.refused(node, command, why),
            Event::Push(keys) => keys.into_iter().for_each(|key| self.near.invalidated(KEYS[key])),
        }
    }

    /// What a slot's next owner was asked for once is answered: the rest goes on.
    fn answered(&mut self, node: usize, slot: Option<usize>) {
        if let Some(slot) = slot
            && self.asked[slot] == Some(node)
        {
            self.asked[slot] = None;
            self.release(slot);
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Read(key) => {
                if let Read::Sent(ticket) = self.read(key, |value| value != KeyState::Present)? {
                    self.send(Command::Get(key, ticket));
                }
            }
            Step::Has(key) => {
                if let Read::Sent(ticket) = self.read(key, |_| true)? {
                    self.send(Command::Exists(key, ticket));
                }
            }
            Step::Write(key) => {
                let value = self.fresh();
                let node = self.places[SLOT_OF[key]];
                let is_informed = self.near.is_informed(peer(node));
                let ticket = if is_informed {
                    Some(self.near.writing(KEYS[key], slot(SLOT_OF[key]), self.epochs[node]))
                } else {
                    self.near.forget(KEYS[key]);
                    None
                };
                self.send(Command::Set(key, value, ticket));
            }
            Step::Delete(key) => {
                self.near.forget(KEYS[key]);
                self.send(Command::Del(key));
            }
            Step::Flush(node) => {
                let now = self.now;
                let Node { queue, socket, is_up: true, .. } = &mut self.nodes[node] else { return Ok(()) };
                socket.extend(queue.drain(..).map(|(command, asks)| (command, asks, now)));
            }
            Step::Serve(node, count, foreign) => self.serve(node, count, &foreign),
            Step::Receive(node, count) => {
                for _ in 0..count {
                    let Some(event) = self.nodes[node].stream.pop_front() else { break };
                    self.receive(node, event);
                }
            }
            Step::Round(node, foreign) => {
                self.run(Step::Flush(node))?;
                self.serve(node, usize::MAX, &foreign);
                self.run(Step::Receive(node, usize::MAX))?;
            }
            Step::Millis(millis) => self.now += millis * MILLI,
            Step::Lose(node) => self.lose(node),
            Step::Connect(node) => self.connect(node),
            Step::Mark(slot, to) => {
                let owner = self.owners[slot];
                if self.are_well([owner, to]) && self.is_quiet(slot) {
                    self.nodes[to].arriving[slot] = true;
                    self.nodes[owner].leaving[slot] = Some(to);
                }
            }
            Step::Move(key, how) => self.move_key(key, how),
            Step::Settle(slot) => self.settle(slot),
            Step::Cancel(slot) => self.cancel(slot),
            Step::Jump(slot, to, how) => {
                if self.are_well([self.owners[slot], to]) && self.is_quiet(slot) {
                    self.jump(slot, to, how);
                }
            }
            Step::CutOff(node) => {
                let is_quiet = (0..SLOTS).all(|slot| self.is_quiet(slot));
                if is_quiet && self.nodes.iter().all(|node| node.cut.is_none()) {
                    self.nodes[node].cut = Some((self.now, self.nodes[node].copies));
                }
            }
            Step::Replace(node, by) if node != by => self.replace(node, by),
            Step::Replace(..) => {}
            Step::Heal(node) => self.heal(node),
            Step::Announce(node) => {
                for key in std::mem::take(&mut self.nodes[node].late) {
                    self.announce(node, key, Announced::AtOnce);
                }
            }
        }
        Ok(())
    }

    /// All is well again, everything arrives, and each node proves what it holds: then what is told is true.
    fn quiesce(&mut self) -> Result<(), TestCaseError> {
        for node in 0..NODES {
            self.heal(node);
            self.connect(node);
            self.run(Step::Announce(node))?;
        }
        for key in 0..KEYS.len() {
            self.move_key(key, Announced::Never);
        }
        (0..SLOTS).for_each(|slot| self.settle(slot));
        for round in 0..6 {
            if round == 4 {
                self.now += LEASE + 1;
                (0..SLOTS).for_each(|slot| self.attest(self.owners[slot], 2 * slot));
            }
            for node in 0..NODES {
                self.run(Step::Round(node, Vec::new()))?;
            }
        }
        for (key, name) in KEYS.iter().enumerate() {
            let Some(value) = self.near.known(name, self.now) else { continue };
            let truth = self.truth[key].0.map(text);
            let truth = truth.as_deref().map_or(KeyState::Absent, KeyState::Text);
            let equal = value == truth || (value == KeyState::Present && truth != KeyState::Absent);
            prop_assert!(equal, "after quiet: {value:?} of {key}, the cluster {truth:?}");
        }
        Ok(())
    }
}

fn foreign() -> impl Strategy<Value = Vec<Foreign>> {
    let key = 0..KEYS.len();
    let change = prop_oneof![4 => key.clone().prop_map(Foreign::Set), 1 => key.prop_map(Foreign::Del)];
    prop::collection::vec(change, 0..3)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, slot, node) = (0..KEYS.len(), 0..SLOTS, 0..NODES);
    let how = prop_oneof![Just(Announced::AtOnce), Just(Announced::Late), Just(Announced::Never)];
    let step = prop_oneof![
        16 => key.clone().prop_map(Step::Read),
        2 => key.clone().prop_map(Step::Has),
        3 => key.clone().prop_map(Step::Write),
        1 => key.clone().prop_map(Step::Delete),
        3 => node.clone().prop_map(Step::Flush),
        3 => (node.clone(), 0_usize..4, foreign()).prop_map(|(node, count, foreign)| Step::Serve(node, count, foreign)),
        3 => (node.clone(), 1_usize..4).prop_map(|(node, count)| Step::Receive(node, count)),
        20 => (node.clone(), foreign()).prop_map(|(node, foreign)| Step::Round(node, foreign)),
        8 => prop_oneof![1_u64..50, 300_u64..1_200].prop_map(Step::Millis),
        1 => node.clone().prop_map(Step::Lose),
        2 => node.clone().prop_map(Step::Connect),
        3 => (slot.clone(), node.clone()).prop_map(|(slot, to)| Step::Mark(slot, to)),
        5 => (key, how.clone()).prop_map(|(key, how)| Step::Move(key, how)),
        2 => slot.clone().prop_map(Step::Settle),
        1 => slot.clone().prop_map(Step::Cancel),
        1 => (slot, node.clone(), how).prop_map(|(slot, to, how)| Step::Jump(slot, to, how)),
        1 => node.clone().prop_map(Step::CutOff),
        2 => (node.clone(), node.clone()).prop_map(|(node, by)| Step::Replace(node, by)),
        1 => node.clone().prop_map(Step::Heal),
        1 => node.prop_map(Step::Announce),
    ];
    prop::collection::vec(step, 0..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60_000))]

    #[test]
    fn nothing_is_told_that_was_not_true_within_the_lease_and_after_quiet_it_is_true(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.run(step)?;
        }
        world.quiesce()?;
    }
}

#[test]
fn the_simulation_serves_from_memory_while_slots_move() {
    let mut world = World::new();
    let round = |node| Step::Round(node, Vec::new());
    let schedule =
        [Step::Write(0), Step::Read(2), round(0), round(1), Step::Read(0), Step::Read(2), round(0), round(1)];
    for step in schedule.into_iter().chain([Step::Read(0), Step::Read(2)]) {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 3);
    for step in [Step::Mark(0, 2), Step::Millis(1_100), Step::Read(0), Step::Read(2), round(0), round(1)] {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 5, "within the lease");
    for step in [Step::Read(0), Step::Read(2)] {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 6, "what is on its way is asked for, and the rest is told");
}
