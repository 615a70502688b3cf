//! The coherence rules against simulated nodes of a cluster whose slots move: with marks, all at once, and by failovers, while
//! others write; nodes are cut off and go on answering, connections are lost, and keys that moved are announced late or never.
//!
//! The oracle: (1) what is told of a key was true within the lease, or was within it what a node held that was cut off and had not
//! noticed it yet ([`CUT`]); (2) it is no older than what this client was told that it has written; (3) it is told as of the node
//! that has answered last for its slot, because that one's socket is looked at before a hit; (4) what a node holds by a newer claim
//! is not taken from it by an older one; (5) after quiet, what is told is true.
//!
//! Each of these faults, planted in the rules alone, is found by random schedules, nearly always within 13,000 of them: slots that
//! come and go count as settled; absence lasts as long as other entries; entries outlast their connection; any reply attests; a slot
//! that was refused is kept; epochs of claims are not looked at, neither a holder's new one nor another's older one; tickets do not
//! know their server; slots are believed without a read that was answered. Each is also found by a test that is about it, in
//! `cases`, `homes` or [`super::cluster_races`].

mod cases;
mod client;
mod compound;
mod nodes;
mod oracle;
mod schedules;

use std::collections::VecDeque;

use proptest::prelude::*;

use self::nodes::{Announced, Command, Node};
use self::oracle::Oracle;
use self::schedules::Step;
use super::{LEASE, Near};
use crate::redis::by_peer::PeerId;
use crate::redis::epoch::Epoch;
use crate::redis::slot::Slot;
use crate::redis::{MILLI, Nanos};

const KEYS: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
/// The slot of each.
const SLOT_OF: [usize; 4] = [0, 0, 1, 1];
const SLOTS: usize = 2;
const NODES: usize = 3;
/// How long a node that was cut off goes on serving: `cluster-node-timeout`.
const CUT: Nanos = 1_000 * MILLI;

struct World {
    near: Near,
    now: Nanos,
    nodes: [Node; NODES],
    owners: [usize; SLOTS],
    oracle: Oracle,
    next: u64,
    // The client's router.
    places: [usize; SLOTS],
    epochs: [Epoch; NODES],
    held: [VecDeque<Command>; SLOTS],
    asked: [Option<usize>; SLOTS],
    /// Reads that were answered from memory.
    served: u64,
}

fn peer(node: usize) -> PeerId {
    PeerId::of(u16::try_from(node).unwrap())
}

fn slot(number: usize) -> Slot {
    Slot::new(u16::try_from(100 * number).unwrap()).unwrap()
}

fn keys_of(slot: usize) -> impl Iterator<Item = usize> {
    (0..KEYS.len()).filter(move |&key| SLOT_OF[key] == slot)
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
            oracle: Oracle::default(),
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
        self.check_all()
    }
}
