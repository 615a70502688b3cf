//! Where the commands of each slot go. Pure.
//!
//! Each call asks for that, of whatever slot. Slots lie at their servers in long runs, so runs are kept instead of all slots: few
//! bytes, which stay in the processor's nearest cache, where a table of all slots does not.

use crate::redis::by_peer::PeerId;
use crate::redis::slot::{SLOTS, Slot};

/// See the module.
#[derive(Debug)]
pub struct Places {
    /// The first slot of each run, in their order, and where it goes; neighbours go to different places. Behind them is one that
    /// begins where slots end: [`Slot::NONE`] goes nowhere.
    runs: Vec<(u16, Option<PeerId>)>,
}

impl Default for Places {
    /// No slot has a place.
    fn default() -> Self {
        Self { runs: vec![(0, None), (SLOTS, None)] }
    }
}

impl Places {
    /// Where the commands of a slot go; `None`: nowhere now.
    #[inline]
    #[must_use]
    pub fn of(&self, slot: Slot) -> Option<PeerId> {
        self.runs[self.run_of(slot.number())].1
    }

    /// The run that a slot is in.
    #[inline]
    fn run_of(&self, number: u16) -> usize {
        // Never 0: the first one begins with the first slot.
        self.runs.partition_point(|(first, _)| *first <= number) - 1
    }

    /// Whether the commands of any slot go there.
    #[must_use]
    pub fn lead_to(&self, peer: PeerId) -> bool {
        self.runs.iter().any(|(_, place)| *place == Some(peer))
    }

    /// The commands of a slot go there from now on. Where they went.
    pub fn set(&mut self, slot: Slot, place: Option<PeerId>) -> Option<PeerId> {
        let before = self.of(slot);
        if slot == Slot::NONE || before == place {
            return before;
        }
        self.cut(slot.number());
        self.cut(slot.number() + 1);
        let at = self.run_of(slot.number());
        self.runs[at].1 = place;
        for next in [at + 1, at] {
            let is_slots = next > 0 && next < self.runs.len() - 1;
            if is_slots && self.runs[next].1 == self.runs[next - 1].1 {
                self.runs.remove(next);
            }
        }
        before
    }

    /// A run begins with that slot.
    fn cut(&mut self, number: u16) {
        let at = self.run_of(number);
        let (first, place) = self.runs[at];
        if first != number {
            self.runs.insert(at + 1, (number, place));
        }
    }

    /// Sets the place of every slot, by what it was.
    pub fn update(&mut self, of: impl Fn(Slot, Option<PeerId>) -> Option<PeerId>) {
        let mut before = std::mem::take(&mut self.runs).into_iter().peekable();
        let mut place_before = None;
        for slot in Slot::all() {
            if let Some((_, place)) = before.next_if(|(first, _)| *first == slot.number()) {
                place_before = place;
            }
            let place = of(slot, place_before);
            if self.runs.last().is_none_or(|(_, last)| *last != place) {
                self.runs.push((slot.number(), place));
            }
        }
        self.runs.push((SLOTS, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    /// Places are those of a table, in as few runs as there can be.
    fn check(places: &Places, table: &[Option<PeerId>]) {
        for at in Slot::all() {
            assert_eq!(places.of(at), table[usize::from(at.number())], "slot {at}");
        }
        let changes = table.windows(2).filter(|two| two[0] != two[1]).count();
        assert_eq!(places.runs.len(), changes + 2);
        assert_eq!(places.of(Slot::NONE), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn places_are_what_was_set_last(sets in prop::collection::vec(
            (prop_oneof![Just(0), Just(SLOTS - 1), 0..8_u16, 0..SLOTS], prop::option::of(0..3_u16), any::<bool>()), 0..60,
        )) {
            let (mut places, mut table) = (Places::default(), vec![None; SLOTS.into()]);
            for (number, peer, is_all_behind) in sets {
                let place = peer.map(PeerId::of);
                if is_all_behind {
                    places.update(|one, before| if one.number() >= number { place } else { before });
                    table[usize::from(number)..].fill(place);
                } else {
                    prop_assert_eq!(places.set(slot(number), place), table[usize::from(number)]);
                    table[usize::from(number)] = place;
                }
            }
            check(&places, &table);
            for peer in 0..3 {
                prop_assert_eq!(places.lead_to(PeerId::of(peer)), table.contains(&Some(PeerId::of(peer))));
            }
        }
    }

    #[test]
    fn a_command_without_a_key_goes_nowhere_whatever_is_set() {
        let mut places = Places::default();
        places.update(|_, _| Some(PeerId::FIRST));
        assert_eq!(places.set(Slot::NONE, Some(PeerId::FIRST)), None);
        check(&places, &vec![Some(PeerId::FIRST); SLOTS.into()]);
    }
}
