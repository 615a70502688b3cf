//! What happens, at random.

use proptest::prelude::*;

use super::client::Read;
use super::nodes::{Announced, Command, Foreign, Node};
use super::{KEYS, NODES, SLOT_OF, SLOTS, World, peer, slot};
use crate::near::KeyState;
use crate::redis::MILLI;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Read(usize),
    Has(usize),
    Write(usize),
    Delete(usize),
    Flush(usize),
    Serve(usize, usize, Vec<Foreign>),
    Receive(usize, usize),
    /// All three, as far as there is anything.
    Round(usize, Vec<Foreign>),
    /// For longer than a node that was cut off may be believed, a key is asked for again and again.
    Ask(usize),
    /// Somebody else changes a key, where it is.
    Other(Foreign),
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
    /// The client hears from the map who owns a slot.
    Map(usize),
    /// A key's slot goes to another node, where somebody may change the key, and comes back before anybody has asked: all of it, or
    /// without ever being the other's.
    Detour(usize, usize, Option<Foreign>, bool),
    /// A key is asked for while its slot is on its way to another node, and then goes there itself, where somebody changes it.
    Depart(usize, usize),
    /// What a key's node has said of its slots is heard only when the client has found the slot elsewhere, and perhaps what that one
    /// says of its own, too.
    Late(usize, usize, bool),
}

impl World {
    pub(super) fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
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
                    self.receive(node, event)?;
                }
            }
            Step::Round(node, foreign) => {
                self.run(Step::Flush(node))?;
                self.serve(node, usize::MAX, &foreign);
                self.run(Step::Receive(node, usize::MAX))?;
            }
            Step::Ask(key) => self.ask(key)?,
            Step::Other(change) => self.other(change),
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
            Step::Map(slot) => self.mapped(slot),
            Step::Detour(key, to, change, is_whole) => self.detour(key, to, change, is_whole)?,
            Step::Depart(key, to) => self.depart(key, to)?,
            Step::Late(key, to, is_heard) => self.late(key, to, is_heard)?,
        }
        Ok(())
    }
}

fn change() -> impl Strategy<Value = Foreign> {
    let key = 0..KEYS.len();
    prop_oneof![4 => key.clone().prop_map(Foreign::Set), 1 => key.prop_map(Foreign::Del)]
}

fn changes() -> impl Strategy<Value = Vec<Foreign>> {
    prop::collection::vec(change(), 0..3)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, slot, node) = (0..KEYS.len(), 0..SLOTS, 0..NODES);
    let how = prop_oneof![Just(Announced::AtOnce), Just(Announced::Late), Just(Announced::Never)];
    let step = prop_oneof![
        12 => key.clone().prop_map(Step::Read),
        5 => key.clone().prop_map(Step::Ask),
        6 => change().prop_map(Step::Other),
        2 => key.clone().prop_map(Step::Has),
        3 => key.clone().prop_map(Step::Write),
        1 => key.clone().prop_map(Step::Delete),
        3 => node.clone().prop_map(Step::Flush),
        3 => (node.clone(), 0_usize..4, changes()).prop_map(|(node, count, changes)| Step::Serve(node, count, changes)),
        3 => (node.clone(), 1_usize..4).prop_map(|(node, count)| Step::Receive(node, count)),
        12 => (node.clone(), changes()).prop_map(|(node, changes)| Step::Round(node, changes)),
        5 => prop_oneof![1_u64..50, 300_u64..1_200].prop_map(Step::Millis),
        1 => node.clone().prop_map(Step::Lose),
        2 => node.clone().prop_map(Step::Connect),
        4 => (slot.clone(), node.clone()).prop_map(|(slot, to)| Step::Mark(slot, to)),
        6 => (key.clone(), how.clone()).prop_map(|(key, how)| Step::Move(key, how)),
        2 => slot.clone().prop_map(Step::Settle),
        1 => slot.clone().prop_map(Step::Cancel),
        2 => (slot.clone(), node.clone(), how).prop_map(|(slot, to, how)| Step::Jump(slot, to, how)),
        2 => node.clone().prop_map(Step::CutOff),
        2 => (node.clone(), node.clone()).prop_map(|(node, by)| Step::Replace(node, by)),
        1 => node.clone().prop_map(Step::Heal),
        1 => node.clone().prop_map(Step::Announce),
        2 => slot.prop_map(Step::Map),
        2 => (key.clone(), node.clone(), prop::option::of(change()), any::<bool>())
            .prop_map(|(key, to, change, is_whole)| Step::Detour(key, to, change, is_whole)),
        1 => (key.clone(), node.clone()).prop_map(|(key, to)| Step::Depart(key, to)),
        2 => (key, node, any::<bool>()).prop_map(|(key, to, is_heard)| Step::Late(key, to, is_heard)),
    ];
    prop::collection::vec(step, 0..60)
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
