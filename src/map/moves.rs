//! What has moved between the masters of a cluster while a scan went over them. Pure.
//!
//! The keys of a slot that is on its way go one by one, and a scan that is at the one master while a key is at the other one does not
//! find it. So every master is asked for its own slots and marks before the first page and behind the last one. What was the same
//! all the time was scanned where it was. The rest is looked at again, at its source and then at its target, because
//! keys go that way only; and so on, until two readings agree.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::topology::Node;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::slot::{Slot, SlotSet};

/// A master that has got more slots than that is scanned again, which costs less than to look into each.
const MANY: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The last reading.
    before: Option<ByPeer<Node>>,
    /// The one under way, and who has still to answer.
    reading: ByPeer<Node>,
    unread: Vec<PeerId>,
    /// Slots to be looked into, in this order.
    looks: VecDeque<(PeerId, Slot)>,
    /// The look under way.
    looking: Option<PeerId>,
    /// Slots were looked at since the first reading.
    has_looked: bool,
    /// The last two readings agree.
    is_settled: bool,
}

/// What a slot is to a master that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// It hands the slot over.
    Source,
    /// It owns it.
    Owner,
    /// It takes it over.
    Target,
}

impl Moves {
    /// Whether the first reading is still to begin.
    pub(super) const fn is_new(&self) -> bool {
        self.before.is_none() && self.unread.is_empty()
    }

    /// Whether keys may be scanned: nobody is being asked for anything.
    pub(super) fn is_quiet(&self) -> bool {
        self.unread.is_empty() && self.looking.is_none()
    }

    /// Whether nothing is left to be looked at.
    pub(super) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// A master is scanned, be it again.
    pub(super) const fn scans(&mut self) {
        self.is_settled = false;
    }

    /// Begins a reading: these are to be asked.
    pub(super) fn read(&mut self, all: impl Iterator<Item = PeerId>) -> &[PeerId] {
        self.unread = all.collect();
        self.reading = ByPeer::default();
        &self.unread
    }

    /// Where to look next.
    pub(super) fn look(&mut self) -> Option<(PeerId, Slot)> {
        let next = self.looks.pop_front();
        self.looking = next.map(|(of, _)| of);
        next
    }

    /// It was looked there.
    pub(super) const fn looked(&mut self) {
        self.looking = None;
    }

    /// A master has told its slots and marks; `None`: it has left. With the last one the reading is whole: those that are returned
    /// are to be scanned again. `is_opening`: there are masters that nobody could ask yet.
    pub(super) fn told(&mut self, of: PeerId, node: Option<Node>, is_opening: bool) -> Vec<PeerId> {
        let asked = self.unread.len();
        self.unread.retain(|&unread| unread != of);
        if asked == self.unread.len() {
            return Vec::new();
        }
        if let Some(node) = node {
            self.reading.insert(of, node);
        }
        if !self.unread.is_empty() {
            return Vec::new();
        }
        let now = std::mem::take(&mut self.reading);
        let again = self.before.as_ref().map(|before| self.compare(before, &now));
        self.before = Some(now);
        let Some((again, looks, is_same)) = again else { return Vec::new() };
        self.has_looked = true;
        self.is_settled = is_same && !is_opening;
        self.looks = looks;
        again
    }

    /// What two readings lead to: whom to scan again, where to look again, and whether they agree.
    fn compare(&self, before: &ByPeer<Node>, now: &ByPeer<Node>) -> (Vec<PeerId>, VecDeque<(PeerId, Slot)>, bool) {
        // Whoever gets a slot back that it has given away has a higher epoch by then.
        let is_another = |(id, node): &(PeerId, &Node)| before.get(*id).is_none_or(|then| then.epoch != node.epoch);
        let mut again: Vec<PeerId> = now.iter().filter(is_another).map(|(id, _)| id).collect();
        // What had the same marks all the time was looked at between the two, unless the first of them was before the scan.
        let with_marked = !self.has_looked;
        let of = |id: PeerId| doubtful(before.get(id), now.get(id), with_marked);
        let doubtful: SlotSet = before.iter().chain(now.iter()).flat_map(|(id, _)| of(id)).collect();
        let is_same = again.is_empty() && doubtful.is_empty() && now.len() == before.len();
        let mut looks: Vec<(Role, PeerId, Slot)> = Vec::new();
        let mut settled: BTreeMap<PeerId, Vec<Slot>> = BTreeMap::new();
        for slot in doubtful.iter() {
            let roles: Vec<_> = now.iter().filter_map(|(id, node)| Some((role(node, slot)?, id, slot))).collect();
            match roles[..] {
                [(Role::Owner, id, _)] => settled.entry(id).or_default().push(slot),
                _ => looks.extend(roles),
            }
        }
        for (id, slots) in settled {
            if again.contains(&id) {
                continue;
            }
            if slots.len() > MANY {
                again.push(id);
            } else {
                looks.extend(slots.into_iter().map(|slot| (Role::Owner, id, slot)));
            }
        }
        looks.sort_unstable();
        (again, looks.into_iter().map(|(_, id, slot)| (id, slot)).collect(), is_same)
    }
}

/// What a slot is to a master, by what it tells.
fn role(node: &Node, slot: Slot) -> Option<Role> {
    if node.leaving.contains(&slot) {
        Some(Role::Source)
    } else if node.arriving.contains(&slot) {
        Some(Role::Target)
    } else {
        node.ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot)).then_some(Role::Owner)
    }
}

/// Slots that a master tells otherwise in two readings. `with_marked`: and those that are marked in both.
fn doubtful<'n>(then: Option<&'n Node>, now: Option<&'n Node>, with_marked: bool) -> Vec<Slot> {
    let told = |node: Option<&'n Node>| node.map(|node| (&node.ranges, &node.leaving, &node.arriving));
    let marked = |node: Option<&Node>| node.is_some_and(|node| !node.leaving.is_empty() || !node.arriving.is_empty());
    // Nearly always.
    if told(then) == told(now) && !(with_marked && marked(now)) {
        return Vec::new();
    }
    let is_doubtful = |slot: &Slot| {
        let [then, now] = [then, now].map(|node| node.and_then(|node| role(node, *slot)));
        then != now || with_marked && matches!(now, Some(Role::Source | Role::Target))
    };
    Slot::all().filter(is_doubtful).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::refusal::Endpoint;

    const A: PeerId = PeerId::of(1);
    const B: PeerId = PeerId::of(2);

    fn slots(numbers: &[u16]) -> Vec<Slot> {
        numbers.iter().map(|&number| Slot::new(number).unwrap()).collect()
    }

    /// A master with these slots, and these marks.
    fn node(epoch: u64, range: [u16; 2], leaving: &[u16], arriving: &[u16]) -> Node {
        let range = slots(&range);
        Node {
            id: String::new(),
            endpoint: Some(Endpoint { host: String::new(), port: 1 }),
            is_myself: true,
            is_master: true,
            epoch,
            ranges: vec![(range[0], range[1])],
            leaving: slots(leaving),
            targets: Vec::new(),
            arriving: slots(arriving),
        }
    }

    /// A reading of two masters: who is to be scanned again, and where to look.
    fn read(moves: &mut Moves, [a, b]: [Node; 2]) -> (Vec<PeerId>, Vec<(PeerId, u16)>) {
        assert_eq!(moves.read([A, B].into_iter()), [A, B]);
        assert!(moves.told(A, Some(a), false).is_empty() && !moves.is_quiet());
        let again = moves.told(B, Some(b), false);
        let mut looks = Vec::new();
        while let Some((of, slot)) = moves.look() {
            assert!(!moves.is_quiet());
            moves.looked();
            looks.push((of, slot.number()));
        }
        (again, looks)
    }

    #[test]
    fn two_readings_that_agree_settle_it() {
        let mut moves = Moves::default();
        let same = || [node(1, [0, 99], &[], &[]), node(2, [100, 199], &[], &[])];
        assert!(moves.is_new());
        assert_eq!(read(&mut moves, same()), (vec![], vec![]));
        assert!(!moves.is_new() && !moves.is_settled());
        assert_eq!(read(&mut moves, same()), (vec![], vec![]));
        assert!(moves.is_settled() && moves.is_quiet());
    }

    #[test]
    fn a_slot_that_is_on_its_way_all_the_time_is_looked_at_once_at_its_source_and_then_at_its_target() {
        let mut moves = Moves::default();
        let marked = || [node(1, [0, 99], &[], &[150]), node(2, [100, 199], &[150], &[])];
        assert_eq!(read(&mut moves, marked()), (vec![], vec![]));
        assert_eq!(read(&mut moves, marked()), (vec![], vec![(B, 150), (A, 150)]));
        assert!(!moves.is_settled());
        assert_eq!(read(&mut moves, marked()), (vec![], vec![]));
        assert!(moves.is_settled());
    }

    #[test]
    fn slots_that_have_moved_are_looked_at_where_they_are_and_with_many_or_a_newer_claim_all_of_that_master_is_scanned()
    {
        let begun = || {
            let mut moves = Moves::default();
            read(&mut moves, [node(1, [0, 99], &[], &[]), node(2, [100, 199], &[], &[])]);
            moves
        };
        let few = [node(1, [0, 101], &[], &[]), node(2, [102, 199], &[], &[])];
        assert_eq!(read(&mut begun(), few), (vec![], vec![(A, 100), (A, 101)]));
        let many = [node(1, [0, 150], &[], &[]), node(2, [151, 199], &[], &[])];
        assert_eq!(read(&mut begun(), many), (vec![A], vec![]));
        let newer = [node(3, [0, 100], &[], &[]), node(2, [101, 199], &[], &[])];
        assert_eq!(read(&mut begun(), newer), (vec![A], vec![]));
        // The target knows it already, and the source does not.
        let both = [node(1, [0, 100], &[], &[]), node(2, [100, 199], &[100], &[])];
        assert_eq!(read(&mut begun(), both), (vec![], vec![(B, 100), (A, 100)]));
    }

    #[test]
    fn masters_that_leave_or_come_and_those_that_nobody_could_ask_leave_it_open() {
        let mut moves = Moves::default();
        let [a, b] = [node(1, [0, 99], &[], &[]), node(2, [100, 199], &[], &[])];
        read(&mut moves, [a.clone(), b.clone()]);
        moves.read([A, B].into_iter());
        moves.told(A, Some(a.clone()), false);
        assert!(moves.told(B, None, false).is_empty());
        assert!(!moves.is_settled());
        // What it had, nobody has: it is looked for as soon as somebody does.
        assert_eq!(read(&mut moves, [a.clone(), b.clone()]).0, [B]);
        assert!(!moves.is_settled());
        moves.read([A, B].into_iter());
        moves.told(A, Some(a), true);
        moves.told(B, Some(b), true);
        assert!(!moves.is_settled(), "a master is being opened");
        assert!(moves.told(B, None, false).is_empty(), "it was not asked");
    }
}
