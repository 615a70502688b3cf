//! The nodes: what they hold and claim, what happens to them, and how they answer.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::{CUT, KEYS, SLOT_OF, SLOTS, World, keys_of, slot};
use crate::near::Ticket;
use crate::redis::Nanos;
use crate::redis::slot::SlotSet;

pub(super) type Held = Rc<Cell<Option<Nanos>>>;

#[derive(Debug)]
pub(super) enum Command {
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
    pub(super) fn slot(&self) -> Option<usize> {
        match self {
            Self::Get(key, _) | Self::Exists(key, _) | Self::Set(key, ..) | Self::Del(key) => Some(SLOT_OF[*key]),
            Self::Held(..) | Self::Slots(_) => None,
        }
    }
}

/// Why a node does not carry a command out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Moved,
    Ask(usize),
    Down,
}

#[derive(Debug)]
pub(super) enum Event {
    Got(Command, Option<u64>, Nanos),
    /// Its version.
    Set(Command, u64, Nanos),
    Done(Command, Nanos),
    Refused(Command, Refusal),
    /// Its epoch, and the slots that stay its own.
    Slots(Held, u64, SlotSet, Nanos),
    Push(Vec<usize>),
}

/// A node, and what is under way between it and us.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) copies: [Option<u64>; KEYS.len()],
    pub(super) owned: [bool; SLOTS],
    pub(super) leaving: [Option<usize>; SLOTS],
    pub(super) arriving: [bool; SLOTS],
    pub(super) epoch: u64,
    /// Since when it is cut off from the others, and what its replica had then.
    pub(super) cut: Option<(Nanos, [Option<u64>; KEYS.len()])>,
    /// Announcements of keys that moved, which come late.
    pub(super) late: Vec<usize>,
    /// Keys that have moved away and were not announced.
    pub(super) unannounced: Vec<usize>,
    pub(super) is_up: bool,
    pub(super) queue: VecDeque<(Command, bool)>,
    pub(super) socket: VecDeque<(Command, bool, Nanos)>,
    pub(super) stream: VecDeque<Event>,
    pub(super) is_proving: bool,
}

impl Node {
    pub(super) fn is_down(&self, now: Nanos) -> bool {
        self.cut.is_some_and(|(since, _)| now >= since + CUT)
    }
}

/// How a key that leaves a node is announced there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Announced {
    AtOnce,
    Late,
    Never,
}

#[derive(Debug, Clone)]
pub(super) enum Foreign {
    Set(usize),
    Del(usize),
}

impl World {
    /// Whether a node carries out a command of a key now.
    pub(super) fn refusal(&self, node: usize, key: usize, asks: bool) -> Option<Refusal> {
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
    pub(super) fn rightful(&self, key: usize) -> Option<u64> {
        let owner = &self.nodes[self.owners[SLOT_OF[key]]];
        owner.copies[key].or_else(|| self.nodes[owner.leaving[SLOT_OF[key]]?].copies[key])
    }

    /// Something may have changed.
    fn look(&mut self, key: usize) {
        let value = self.rightful(key);
        self.oracle.became(key, value, self.now);
    }

    /// A node's copy of a key is changed by a client. The number of the change; `None`: it is not what the cluster holds, because the
    /// node was replaced and has not noticed it.
    fn change(&mut self, node: usize, key: usize, value: Option<u64>) -> Option<u64> {
        self.nodes[node].copies[key] = value;
        self.look(key);
        if self.nodes[node].owned[SLOT_OF[key]] && self.owners[SLOT_OF[key]] != node {
            let (since, _) = self.nodes[node].cut.expect("only who is cut off does not know");
            self.oracle.held_elsewhere(key, value, since + CUT);
            return None;
        }
        Some(self.oracle.version(key))
    }

    fn newest_epoch(&self) -> u64 {
        self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0)
    }

    /// A slot comes to a node, whose claim becomes the newest.
    pub(super) fn own(&mut self, slot: usize, node: usize) {
        let newest = self.newest_epoch();
        let it = &mut self.nodes[node];
        it.owned[slot] = true;
        it.arriving[slot] = false;
        if it.epoch < newest {
            it.epoch = newest + 1;
        }
        self.owners[slot] = node;
    }

    pub(super) fn announce(&mut self, node: usize, key: usize, how: Announced) {
        match how {
            Announced::AtOnce if self.nodes[node].is_up => self.nodes[node].stream.push_back(Event::Push(vec![key])),
            Announced::Late => self.nodes[node].late.push(key),
            Announced::AtOnce | Announced::Never => {}
        }
    }

    pub(super) fn move_key(&mut self, key: usize, how: Announced) {
        let slot = SLOT_OF[key];
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot] else { return };
        let Some(value) = self.nodes[owner].copies[key].take() else { return };
        self.nodes[target].copies[key] = Some(value);
        self.announce(target, key, Announced::AtOnce);
        self.announce(owner, key, how);
        if !matches!(how, Announced::AtOnce) {
            self.nodes[owner].unannounced.push(key);
        }
    }

    pub(super) fn settle(&mut self, slot: usize) {
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot] else { return };
        if keys_of(slot).any(|key| self.nodes[owner].copies[key].is_some()) {
            return;
        }
        self.own(slot, target);
        self.nodes[owner].owned[slot] = false;
        self.nodes[owner].leaving[slot] = None;
    }

    pub(super) fn cancel(&mut self, slot: usize) {
        let owner = self.owners[slot];
        let Some(target) = self.nodes[owner].leaving[slot].take() else { return };
        self.nodes[target].arriving[slot] = false;
        // By the time that a move is called off, what has left for it is announced: nothing else would tell of what ends there.
        for key in std::mem::take(&mut self.nodes[owner].unannounced) {
            self.announce(owner, key, Announced::AtOnce);
        }
        for key in keys_of(slot) {
            if let Some(value) = self.nodes[target].copies[key].take() {
                self.nodes[owner].copies[key] = Some(value);
                // What nobody had asked the owner for before may be news to it later than to us.
                let was_absent = self.oracle.was_absent_lately(key);
                self.announce(owner, key, if was_absent { Announced::Late } else { Announced::AtOnce });
            }
        }
    }

    pub(super) fn is_quiet(&self, slot: usize) -> bool {
        self.nodes[self.owners[slot]].leaving[slot].is_none()
    }

    pub(super) fn jump(&mut self, slot: usize, to: usize, how: Announced) {
        let from = self.owners[slot];
        for key in keys_of(slot) {
            self.nodes[to].copies[key] = self.nodes[from].copies[key].take();
            self.announce(from, key, how);
        }
        self.nodes[from].owned[slot] = false;
        self.own(slot, to);
    }

    /// Another node takes the place of one that was cut off, with what that had then.
    pub(super) fn replace(&mut self, node: usize, by: usize) {
        let Some((since, copies)) = self.nodes[node].cut else { return };
        for slot in (0..SLOTS).filter(|&slot| self.owners[slot] == node).collect::<Vec<_>>() {
            self.own(slot, by);
            for key in keys_of(slot) {
                self.nodes[by].copies[key] = copies[key];
                self.oracle.replaced(key, self.now.max(since + CUT));
                self.look(key);
            }
        }
    }

    pub(super) fn heal(&mut self, node: usize) {
        if self.nodes[node].cut.take().is_none() {
            return;
        }
        for slot in (0..SLOTS).filter(|&slot| self.owners[slot] != node) {
            if std::mem::take(&mut self.nodes[node].owned[slot]) {
                keys_of(slot).for_each(|key| self.nodes[node].copies[key] = None);
            }
        }
    }

    /// Whether a node may begin something with another one.
    pub(super) fn are_well(&self, nodes: [usize; 2]) -> bool {
        nodes[0] != nodes[1] && nodes.iter().all(|&node| self.nodes[node].cut.is_none())
    }

    pub(super) fn serve(&mut self, node: usize, count: usize, foreign: &[Foreign]) {
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
        if let Command::Get(key, _) | Command::Exists(key, _) | Command::Set(key, ..) | Command::Del(key) = command
            && let Some(why) = self.refusal(node, key, asks)
        {
            return Event::Refused(command, why);
        }
        match command {
            Command::Get(key, _) | Command::Exists(key, _) => {
                Event::Got(command, self.nodes[node].copies[key], written)
            }
            Command::Set(key, value, _) => {
                touched.insert(key, false);
                let version = self.change(node, key, Some(value));
                Event::Set(command, version.unwrap_or(0), written)
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
}
