//! Where the record of a key is: the near cache's index. Pure.
//!
//! Slots lie in one array, each at the place that its tag names or at the next one that was free. So the same line of memory
//! tells that a key is not there and takes its slot later. This matters for first reads: hardly any of the array is in a
//! processor cache, and each further line would cost as much as all else that is done to remember a key.

use std::cell::Cell;

/// What the index holds of a record: enough to grow, and mostly enough to see that a key is not there.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// A quarter of the key.
    tag: u32,
    /// Where the record begins, as told to [`Slot::new`], and whether it was asked for; [`FREE`] where there is none.
    at: Cell<u32>,
}

const ASKED_FOR: u32 = 1 << 31;
const FREE: u32 = u32::MAX;
/// Positions are less than this.
pub(super) const POSITIONS: usize = (ASKED_FOR - 1) as usize;
/// Slots of the first array.
const LEAST: usize = 64;

impl Slot {
    /// A slot for a record that begins there and was not asked for.
    pub(super) const fn new(tag: u32, position: u32) -> Self {
        Self { tag, at: Cell::new(position) }
    }

    pub(super) const fn position(&self) -> u32 {
        self.at.get() & !ASKED_FOR
    }

    pub(super) const fn is_asked_for(&self) -> bool {
        self.at.get() & ASKED_FOR != 0
    }

    pub(super) fn ask_for(&self) {
        // Most are already, and then their memory need not be written back.
        if !self.is_asked_for() {
            self.at.set(self.at.get() | ASKED_FOR);
        }
    }

    const fn is_free(&self) -> bool {
        self.at.get() == FREE
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    len: usize,
}

impl Index {
    /// How many slots are taken.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory.
    pub(super) const fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    /// Whether it must grow before it takes another slot. A fuller one would be searched for longer.
    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.slots.len() / 5 * 4
    }

    /// How many more bytes it has once it has grown.
    pub(super) fn growth(&self) -> usize {
        self.slots.len().max(LEAST) * size_of::<Slot>()
    }

    /// Makes room for twice as many slots.
    pub(super) fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(LEAST);
        let old = std::mem::replace(&mut self.slots, vec![Slot::new(0, FREE); room]);
        for slot in old.into_iter().filter(|slot| !slot.is_free()) {
            if let Err(place) = self.find(slot.tag, |_| false) {
                self.slots[place] = slot;
            }
        }
    }

    /// The place of the slot with that tag of which `is_it` is true, or else where a new one goes, if the index is not full.
    #[inline]
    pub(super) fn find(&self, tag: u32, is_it: impl Fn(&Slot) -> bool) -> Result<usize, usize> {
        let mask = self.mask();
        let mut place = tag as usize & mask;
        while let Some(slot) = self.slots.get(place).filter(|slot| !slot.is_free()) {
            if slot.tag == tag && is_it(slot) {
                return Ok(place);
            }
            place = (place + 1) & mask;
        }
        Err(place)
    }

    /// The slot at a place where one is.
    #[inline]
    pub(super) fn slot(&self, place: usize) -> &Slot {
        &self.slots[place]
    }

    /// Takes a place where no slot is.
    #[inline]
    pub(super) fn insert(&mut self, place: usize, slot: Slot) {
        self.slots[place] = slot;
        self.len += 1;
    }

    /// Puts a slot of the same tag where one is, which is returned.
    pub(super) fn replace(&mut self, place: usize, slot: Slot) -> Slot {
        std::mem::replace(&mut self.slots[place], slot)
    }

    /// Takes the slot at a place away. Others that had to go further because of it move back.
    pub(super) fn remove(&mut self, place: usize) -> Slot {
        let mask = self.mask();
        let (mut hole, mut next) = (place, place);
        let removed = self.slots[place].clone();
        loop {
            next = (next + 1) & mask;
            let slot = &self.slots[next];
            if slot.is_free() {
                break;
            }
            let from_its_own = next.wrapping_sub(slot.tag as usize) & mask;
            if from_its_own >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = slot.clone();
                hole = next;
            }
        }
        self.slots[hole] = Slot::new(0, FREE);
        self.len -= 1;
        removed
    }

    /// All slots.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.is_free())
    }

    const fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_has_what_a_map_has_whatever_is_inserted_and_removed(
            // Few tags, next to each other and around the end of the array: slots are in each other's way.
            steps in prop::collection::vec((any::<bool>(), 0..400u32, prop::sample::select(vec![0u32, 1, 2, 40, 62, 63])), 0..600)
        ) {
            let (mut index, mut model) = (Index::default(), BTreeSet::new());
            for (removes, position, tag) in steps {
                let tag = tag | position << 20;
                if index.is_full() {
                    let before = index.bytes();
                    let growth = index.growth();
                    index.grow();
                    prop_assert_eq!(index.bytes(), before + growth);
                }
                let is_it = |slot: &Slot| slot.position() == position;
                match (index.find(tag, is_it), removes) {
                    (Ok(place), true) => {
                        prop_assert_eq!(index.remove(place).position(), position);
                        model.remove(&(tag, position));
                    }
                    (Ok(place), false) => index.slot(place).ask_for(),
                    (Err(_), true) => prop_assert!(!model.contains(&(tag, position))),
                    (Err(place), false) => {
                        index.insert(place, Slot::new(tag, position));
                        model.insert((tag, position));
                    }
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for &(tag, position) in &model {
                prop_assert!(index.find(tag, |slot| slot.position() == position).is_ok());
            }
            prop_assert_eq!(index.iter().count(), model.len());
        }
    }
}
