//! What is right: see the module above.

use proptest::prelude::*;

use super::{KEYS, NODES, SLOT_OF, SLOTS, World, text};
use crate::near::{KeyState, LEASE};
use crate::redis::Nanos;

/// What was true of a key, or what a node held that was cut off and did not know it.
#[derive(Debug)]
struct Past {
    value: Option<u64>,
    /// The number of the change by which it came.
    version: u64,
    end: Nanos,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// What is true of each key, and the number of its last change.
    truth: [(Option<u64>, u64); KEYS.len()],
    past: [Vec<Past>; KEYS.len()],
    /// The last write of each key that this client was told of.
    acknowledged: [u64; KEYS.len()],
    /// Which node's answer to a command of each slot was heard last.
    answered: [Option<usize>; SLOTS],
    /// The epoch by which each node has told its slots last.
    claims: [u64; NODES],
}

/// Of the keys that are told, who is said to hold each.
pub(super) type Holders = [Option<usize>; KEYS.len()];

impl Oracle {
    pub(super) fn version(&self, key: usize) -> u64 {
        self.truth[key].1
    }

    /// This is true of a key from now on, if it was not before.
    pub(super) fn became(&mut self, key: usize, value: Option<u64>, now: Nanos) {
        let (before, version) = self.truth[key];
        if value != before {
            self.past[key].push(Past { value: before, version, end: now });
            self.truth[key] = (value, version + 1);
        }
    }

    /// Until then a node holds this of a key that does not know that it was replaced.
    pub(super) fn held_elsewhere(&mut self, key: usize, value: Option<u64>, end: Nanos) {
        let version = self.version(key);
        self.past[key].push(Past { value, version, end });
    }

    /// Until then a key's node that is being replaced goes on to hold what is true. What it has acknowledged may be lost.
    pub(super) fn replaced(&mut self, key: usize, end: Nanos) {
        self.held_elsewhere(key, self.truth[key].0, end);
        self.acknowledged[key] = 0;
    }

    pub(super) fn was_absent_lately(&self, key: usize) -> bool {
        self.past[key].iter().rev().take(2).any(|past| past.value.is_none())
    }

    /// This client was told that its write is carried out.
    pub(super) fn acknowledged(&mut self, key: usize, version: u64) {
        self.acknowledged[key] = self.acknowledged[key].max(version);
    }

    /// A node's answer to a command of a slot was heard.
    pub(super) fn answered(&mut self, slot: usize, node: usize) {
        self.answered[slot] = Some(node);
    }
}

impl World {
    /// This is told of a key, as of that node.
    pub(super) fn check(&self, key: usize, value: KeyState<'_>, of: usize) -> Result<(), TestCaseError> {
        let Oracle { truth, past, acknowledged, answered, .. } = &self.oracle;
        let since = self.now.saturating_sub(LEASE);
        let fits = |held: Option<u64>, version: u64| is_it(value, held) && version >= acknowledged[key];
        let ((held, version), past) = (truth[key], &past[key]);
        let was = past.iter().any(|past| past.end > since && fits(past.value, past.version));
        let last: Vec<_> = past.iter().rev().take(4).collect();
        prop_assert!(was || fits(held, version), "{value:?} of {key} at {}: {held:?}, before {last:?}", self.now);
        let answered = answered[SLOT_OF[key]];
        prop_assert_eq!(answered, Some(of), "{:?} of {} is told as of {}", value, key, of);
        Ok(())
    }

    pub(super) fn holders(&self) -> Holders {
        KEYS.map(|key| self.near.recall(key, || self.now).ok().map(|(_, peer)| usize::from(peer.number())))
    }

    /// A node has told its slots by that epoch. `before`: who held what before that; `flushes`: how often all was forgotten.
    pub(super) fn check_claim(
        &mut self,
        node: usize,
        epoch: u64,
        before: Holders,
        flushes: u64,
    ) -> Result<(), TestCaseError> {
        self.oracle.claims[node] = epoch;
        let is_kept = |of: usize| of != node && self.oracle.claims[of] > epoch;
        if flushes == self.near.counters().flushes {
            for (key, (before, after)) in before.into_iter().zip(self.holders()).enumerate() {
                let is_right = after == before || !before.is_some_and(is_kept);
                prop_assert!(is_right, "{key} is taken from {before:?} by the older claim of {node}");
            }
        }
        Ok(())
    }

    /// After quiet, what is told is true.
    pub(super) fn check_all(&self) -> Result<(), TestCaseError> {
        for (key, name) in KEYS.iter().enumerate() {
            let Some(value) = self.near.known(name, self.now) else { continue };
            let truth = self.oracle.truth[key].0;
            prop_assert!(is_it(value, truth), "after quiet: {value:?} of {key}, the cluster {truth:?}");
        }
        Ok(())
    }
}

fn is_it(told: KeyState<'_>, held: Option<u64>) -> bool {
    match told {
        KeyState::Absent => held.is_none(),
        KeyState::Present => held.is_some(),
        KeyState::Text(bytes) => held.is_some_and(|held| text(held) == bytes),
    }
}
