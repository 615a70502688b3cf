//! Which server holds which slots, as far as it has proven that, and so which entries may be told. Pure.
//!
//! An entry does not name its server but its [`Home`]: the slot of its key, with a number that becomes another one when it is not
//! sure any more that the slot's holder is still the same. So all that is known of a slot is gone at once, and no entry is looked
//! at for that. Without a cluster there is one home, the only server's.

use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::slot::{SLOTS, Slot, SlotSet};

/// A slot, and one of four numbers of its holder's times there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home(u16);

const _: () = assert!(SLOTS.is_power_of_two() && u16::MAX / SLOTS == 3);

impl Home {
    /// That of a number.
    pub(super) const fn of(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub(super) const fn number(self) -> u16 {
        self.0
    }
}

/// Who holds a slot, and what entries of it have as their home now.
#[derive(Debug, Clone, Copy)]
struct Holder {
    peer: PeerId,
    home: Home,
}

/// What a server has proven to hold.
#[derive(Debug, Default)]
struct Held {
    slots: SlotSet,
    /// The epoch of its claims. Slots that come to a server have it raised, also those that come back.
    epoch: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Homes {
    /// Of each slot; one, without a cluster.
    holders: Box<[Holder]>,
    held: ByPeer<Held>,
}

impl Homes {
    /// Those of one server, which holds everything.
    pub(super) fn of_one() -> Self {
        Self { holders: Box::new([Holder { peer: PeerId::FIRST, home: Home(0) }]), held: ByPeer::default() }
    }

    /// Those of a cluster, of which nothing is proven yet.
    pub(super) fn of_cluster() -> Self {
        let holders = (0..SLOTS).map(|slot| Holder { peer: PeerId::NOBODY, home: Home(slot) }).collect();
        Self { holders, held: ByPeer::default() }
    }

    /// Whether servers share the slots.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.holders.len() > 1
    }

    fn place(&self, number: u16) -> usize {
        // One for all, or as many as there are slots.
        number as usize & (self.holders.len() - 1)
    }

    /// The home that an entry of a slot has which that server's answer makes; `None`: the server has not proven that it holds it.
    #[inline]
    pub(super) fn at(&self, slot: Slot, of: PeerId) -> Option<Home> {
        let holder = self.holders[self.place(slot.number())];
        (holder.peer == of).then_some(holder.home)
    }

    /// Who holds the slot of an entry, all the time since the entry was made.
    #[inline]
    pub(super) fn holder(&self, home: Home) -> Option<PeerId> {
        let holder = self.holders[self.place(home.0)];
        (holder.home == home).then_some(holder.peer)
    }

    /// A server has told the slots that are its own, and stay so. A slot that another one holds by a newer epoch stays that one's.
    /// False: entries of long ago might look as if they were new, so all must be forgotten.
    #[must_use]
    pub(super) fn told(&mut self, by: PeerId, epoch: u64, own: &SlotSet) -> bool {
        let before = self.held.or_insert(by, Held::default);
        if before.epoch == epoch && before.slots == *own {
            return true;
        }
        let is_new = before.epoch != epoch;
        before.epoch = epoch;
        let before = std::mem::take(&mut before.slots);
        let mut is_clear = true;
        for slot in before.iter().filter(|&slot| is_new || !own.contains(slot)) {
            is_clear &= self.leave(slot);
        }
        let mut slots = SlotSet::default();
        for slot in own.iter() {
            let holder = self.holders[self.place(slot.number())].peer;
            if holder != by && holder != PeerId::NOBODY {
                if self.held.get(holder).is_some_and(|other| other.epoch > epoch) {
                    continue;
                }
                is_clear &= self.doubt(slot);
            }
            let place = self.place(slot.number());
            self.holders[place].peer = by;
            slots.insert(slot);
        }
        self.held.or_insert(by, Held::default).slots = slots;
        is_clear
    }

    /// Nothing is proven of a server any more. The result is as that of [`Homes::told`].
    #[must_use]
    pub(super) fn lost(&mut self, peer: PeerId) -> bool {
        let Some(held) = self.held.remove(peer) else { return true };
        let mut is_clear = true;
        for slot in held.slots.iter() {
            is_clear &= self.leave(slot);
        }
        is_clear
    }

    /// Nothing is proven of a slot any more. The result is as above.
    #[must_use]
    pub(super) fn doubt(&mut self, slot: Slot) -> bool {
        let holder = self.holders[self.place(slot.number())].peer;
        let Some(held) = self.held.get_mut(holder) else { return true };
        held.slots.remove(slot);
        self.leave(slot)
    }

    /// Nobody holds a slot that somebody held.
    fn leave(&mut self, slot: Slot) -> bool {
        let place = self.place(slot.number());
        let home = self.holders[place].home.0.wrapping_add(SLOTS);
        self.holders[place] = Holder { peer: PeerId::NOBODY, home: Home(home) };
        home >= SLOTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId::of(3);
    const B: PeerId = PeerId::of(4);

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    fn slots(numbers: &[u16]) -> SlotSet {
        numbers.iter().map(|&number| slot(number)).collect()
    }

    #[test]
    fn the_only_server_holds_everything_and_in_a_cluster_nobody_does_before_it_is_proven() {
        let one = Homes::of_one();
        for of in [slot(0), slot(SLOTS - 1), Slot::NONE] {
            assert_eq!(one.at(of, PeerId::FIRST).and_then(|home| one.holder(home)), Some(PeerId::FIRST));
        }
        let mut homes = Homes::of_cluster();
        assert_eq!(homes.at(slot(7), A), None);
        assert!(homes.told(A, 1, &slots(&[7, SLOTS - 1])));
        for number in [7, SLOTS - 1] {
            let home = homes.at(slot(number), A).unwrap();
            assert_eq!((homes.holder(home), homes.at(slot(number), B)), (Some(A), None));
        }
        assert_eq!(homes.at(slot(8), A), None);
    }

    #[test]
    fn what_was_known_of_a_slot_is_gone_when_it_goes_is_doubted_or_its_server_is_lost_and_does_not_come_back() {
        let ways: [fn(&mut Homes) -> bool; 4] = [
            |homes| homes.told(A, 1, &slots(&[8])),
            |homes| homes.doubt(slot(7)),
            |homes| homes.lost(A),
            |homes| homes.told(B, 2, &slots(&[7])),
        ];
        for way in ways {
            let mut homes = Homes::of_cluster();
            assert!(homes.told(A, 1, &slots(&[7, 8])));
            let home = homes.at(slot(7), A).unwrap();
            assert!(way(&mut homes));
            assert_eq!((homes.holder(home), homes.at(slot(7), A)), (None, None));
            assert!(homes.told(A, 3, &slots(&[7, 8])));
            assert_eq!(homes.holder(home), None);
            assert_eq!(homes.at(slot(7), A).and_then(|home| homes.holder(home)), Some(A));
        }
    }

    #[test]
    fn a_slot_that_went_and_came_back_unseen_has_raised_the_epoch() {
        let mut homes = Homes::of_cluster();
        assert!(homes.told(A, 1, &slots(&[7])));
        let home = homes.at(slot(7), A).unwrap();
        assert!(homes.told(A, 1, &slots(&[7])));
        assert_eq!(homes.holder(home), Some(A));
        assert!(homes.told(A, 2, &slots(&[7])));
        assert_eq!(homes.holder(home), None);
    }

    #[test]
    fn of_two_that_claim_a_slot_the_newer_claim_counts_as_long_as_its_server_is_there() {
        let mut homes = Homes::of_cluster();
        assert!(homes.told(B, 2, &slots(&[7])));
        assert!(homes.told(A, 1, &slots(&[7, 8])));
        assert_eq!((homes.at(slot(7), A), homes.at(slot(8), A).is_some()), (None, true));
        assert!(homes.at(slot(7), B).is_some());
        assert!(homes.lost(B));
        assert!(homes.told(A, 1, &slots(&[7, 8])));
        assert!(homes.at(slot(7), A).is_some());
    }

    #[test]
    fn all_must_be_forgotten_when_the_numbers_of_a_slot_begin_anew() {
        let mut homes = Homes::of_cluster();
        for round in 0..8 {
            assert!(homes.told(A, 1, &slots(&[7])));
            assert_eq!(homes.doubt(slot(7)), round % 4 != 3, "{round}");
        }
    }
}
