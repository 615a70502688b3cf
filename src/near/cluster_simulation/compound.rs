//! Steps that are made of several, in an order that chance alone finds rarely.

use proptest::prelude::*;

use super::nodes::{Announced, Foreign, Refusal};
use super::schedules::Step;
use super::{CUT, SLOT_OF, World, keys_of};
use crate::near::LEASE;

impl World {
    /// See [`Step::Ask`].
    pub(super) fn ask(&mut self, key: usize) -> Result<(), TestCaseError> {
        for _ in 0..=4 * (CUT + LEASE) / LEASE {
            self.ask_once(key)?;
            self.now += LEASE / 4;
        }
        self.run(Step::Read(key))
    }

    fn ask_once(&mut self, key: usize) -> Result<(), TestCaseError> {
        self.run(Step::Read(key))?;
        self.run(Step::Round(self.places[SLOT_OF[key]], Vec::new()))
    }

    /// See [`Step::Other`].
    pub(super) fn other(&mut self, change: Foreign) {
        let (Foreign::Set(key) | Foreign::Del(key)) = change;
        let owner = self.owners[SLOT_OF[key]];
        let asked = self.refusal(owner, key, false);
        let node = if let Some(Refusal::Ask(target)) = asked { target } else { owner };
        self.serve(node, 0, &[change]);
    }

    /// See [`Step::Detour`].
    pub(super) fn detour(
        &mut self,
        key: usize,
        to: usize,
        change: Option<Foreign>,
        is_whole: bool,
    ) -> Result<(), TestCaseError> {
        let (slot, from) = (SLOT_OF[key], self.owners[SLOT_OF[key]]);
        self.run(Step::Mark(slot, to))?;
        if self.nodes[from].leaving[slot] != Some(to) {
            return Ok(());
        }
        keys_of(slot).for_each(|key| self.move_key(key, Announced::Never));
        if let Some(change) = change {
            self.other(change);
        }
        if is_whole {
            self.settle(slot);
            self.jump(slot, from, Announced::Never);
        } else {
            self.cancel(slot);
        }
        Ok(())
    }

    /// See [`Step::Depart`].
    pub(super) fn depart(&mut self, key: usize, to: usize) -> Result<(), TestCaseError> {
        self.run(Step::Mark(SLOT_OF[key], to))?;
        self.ask_once(key)?;
        self.ask_once(key)?;
        self.move_key(key, Announced::Never);
        self.other(Foreign::Set(key));
        self.ask(key)
    }

    /// See [`Step::Late`].
    pub(super) fn late(&mut self, key: usize, to: usize, is_heard: bool) -> Result<(), TestCaseError> {
        let (slot, from) = (SLOT_OF[key], self.owners[SLOT_OF[key]]);
        self.run(Step::Read(key))?;
        self.attest(from, key);
        self.run(Step::Flush(from))?;
        self.serve(from, usize::MAX, &[]);
        self.run(Step::Jump(slot, to, Announced::Never))?;
        self.mapped(slot);
        if is_heard {
            self.attest(to, key);
            self.run(Step::Round(to, Vec::new()))?;
            self.run(Step::Read(key))?;
        }
        self.run(Step::Round(to, Vec::new()))?;
        self.run(Step::Receive(from, usize::MAX))?;
        self.run(Step::Round(to, Vec::new()))?;
        self.run(Step::Read(key))
    }
}
