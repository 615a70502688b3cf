//! The client: its router, and the cache between it and whoever asks.

use std::collections::VecDeque;
use std::rc::Rc;

use proptest::prelude::*;

use super::nodes::{Command, Event, Held, Refusal};
use super::{KEYS, SLOT_OF, SLOTS, World, peer, slot, text};
use crate::near::{KeyState, Ticket};
use crate::redis::Nanos;
use crate::redis::epoch::Epoch;

/// What becomes of a read.
pub(super) enum Read {
    /// It was answered from memory.
    Told,
    /// It goes out, with its ticket.
    Sent(Option<Ticket>),
}

impl World {
    pub(super) fn connect(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].is_up, true) {
            return;
        }
        self.epochs[node].connected(true);
        self.near.informed(peer(node), self.now);
    }

    pub(super) fn lose(&mut self, node: usize) {
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

    pub(super) fn send(&mut self, command: Command) {
        match command.slot() {
            Some(slot) if self.asked[slot].is_some() => self.held[slot].push_back(command),
            Some(slot) => self.nodes[self.places[slot]].queue.push_back((command, false)),
            None => unreachable!("it has a node of its own"),
        }
    }

    fn refused(&mut self, node: usize, command: Command, why: Refusal) {
        let slot = command.slot().expect("only those are refused");
        self.near.doubted(super::slot(slot));
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
        self.move_on(slot);
    }

    /// The client hears from the map who owns a slot.
    pub(super) fn mapped(&mut self, slot: usize) {
        let before = self.places[slot];
        if before == self.owners[slot] {
            return;
        }
        self.near.doubted(super::slot(slot));
        if self.asked[slot] == Some(before) {
            self.asked[slot] = None;
        }
        self.withdraw(before, slot);
        self.move_on(slot);
    }

    /// A slot's commands go to its owner, but for those that wait for one that was asked for elsewhere.
    fn move_on(&mut self, slot: usize) {
        if std::mem::replace(&mut self.places[slot], self.owners[slot]) != self.owners[slot] {
            self.epochs.iter_mut().for_each(Epoch::owns_other_slots);
        }
        if self.asked[slot].is_none() {
            self.release(slot);
        }
    }

    pub(super) fn attest(&mut self, node: usize, key: usize) {
        let it = &mut self.nodes[node];
        if !it.is_up || std::mem::replace(&mut it.is_proving, true) {
            return;
        }
        let held = Held::default();
        it.queue.push_back((Command::Held(key, Rc::clone(&held)), false));
        it.queue.push_back((Command::Slots(held), false));
    }

    /// Somebody asks for a key.
    pub(super) fn read(&mut self, key: usize, enough: fn(KeyState<'_>) -> bool) -> Result<Read, TestCaseError> {
        let recalled = self.near.recall(KEYS[key], || self.now);
        if let Ok((_, of)) = recalled {
            let node = usize::from(of.number());
            if self.near.wants_attestation(of, self.now) {
                self.attest(node, key);
            }
            let value = self.near.known(KEYS[key], self.now).expect("it was there a moment ago");
            if enough(value) {
                self.check(key, value, node)?;
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

    pub(super) fn receive(&mut self, node: usize, event: Event) -> Result<(), TestCaseError> {
        let by = peer(node);
        match event {
            Event::Got(command, found, written) => {
                self.near.proof(by, written);
                let slot = command.slot();
                let found = found.map(text);
                let (ticket, state) = match command {
                    Command::Get(_, ticket) => (ticket, found.as_deref().map_or(KeyState::Absent, KeyState::Text)),
                    Command::Exists(_, ticket) => (ticket, found.map_or(KeyState::Absent, |_| KeyState::Present)),
                    _ => unreachable!("others are not read"),
                };
                if let Some(ticket) = ticket {
                    if ticket.is_of(self.epochs[node]) {
                        let lasts = matches!(state, KeyState::Text(_)).then_some(Nanos::MAX);
                        self.near.filled(ticket, state, written, lasts);
                    } else {
                        self.near.discard(ticket);
                    }
                }
                self.answered(node, slot);
            }
            Event::Set(command, version, written) => {
                self.near.proof(by, written);
                let slot = command.slot();
                if let Command::Set(key, value, ticket) = command {
                    if version > 0 {
                        self.oracle.acknowledged(key, version);
                    }
                    match ticket {
                        Some(ticket) if ticket.is_of(self.epochs[node]) => self.near.written(ticket, &text(value)),
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
                let (before, flushes) = (self.holders(), self.near.counters().flushes);
                self.near.told(by, written, held.get(), epoch, &own);
                self.check_claim(node, epoch, before, flushes)?;
            }
            Event::Refused(command, why) => self.refused(node, command, why),
            Event::Push(keys) => keys.into_iter().for_each(|key| self.near.invalidated(KEYS[key])),
        }
        Ok(())
    }

    /// A command is answered. If it is what a slot's next owner was asked for once, the rest goes on.
    fn answered(&mut self, node: usize, slot: Option<usize>) {
        let Some(slot) = slot else { return };
        self.oracle.answered(slot, node);
        if self.asked[slot] == Some(node) {
            self.asked[slot] = None;
            self.release(slot);
        }
    }
}
