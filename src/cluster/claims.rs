//! Whose each slot is, as far as all maps and refusals together tell. Pure.

use std::collections::BTreeSet;

use super::topology::Node;
use crate::redis::refusal::Endpoint;
use crate::redis::slot::{SLOTS, Slot};

/// A claim to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    /// The number of the owner; [`NOBODY`]: none is known.
    owner: u16,
    /// The epoch of the claim.
    epoch: u64,
}

const NOBODY: u16 = u16::MAX;

/// See the module.
pub struct Claims {
    slots: Box<[Claim]>,
    /// Owners by their numbers, and how many slots each has.
    owners: Vec<(Endpoint, usize)>,
}

impl Default for Claims {
    fn default() -> Self {
        Self { slots: vec![Claim { owner: NOBODY, epoch: 0 }; SLOTS.into()].into(), owners: Vec::new() }
    }
}

impl Claims {
    /// Who owns a slot.
    #[must_use]
    pub fn owner(&self, slot: Slot) -> Option<&Endpoint> {
        let claim = self.slots.get(usize::from(slot.number()))?;
        self.owners.get(usize::from(claim.owner)).map(|(endpoint, _)| endpoint)
    }

    /// All that own a slot, with how many.
    pub fn owners(&self) -> impl Iterator<Item = &(Endpoint, usize)> {
        self.owners.iter().filter(|(_, slots)| *slots > 0)
    }

    /// How many slots a server owns.
    #[must_use]
    pub fn slots_of(&self, endpoint: &Endpoint) -> usize {
        self.owners.iter().find(|(known, _)| known == endpoint).map_or(0, |(_, slots)| *slots)
    }

    fn number(&mut self, endpoint: &Endpoint) -> u16 {
        let at = self.owners.iter().position(|(known, _)| known == endpoint);
        // A place of somebody who owns nothing is free.
        let at = at.or_else(|| self.owners.iter().position(|(_, slots)| *slots == 0)).unwrap_or_else(|| {
            self.owners.push((endpoint.clone(), 0));
            self.owners.len() - 1
        });
        self.owners[at].0.clone_from(endpoint);
        u16::try_from(at).unwrap_or(NOBODY)
    }

    /// Takes over a claim. Whether the slot has another owner now.
    fn take(&mut self, slot: Slot, owner: u16, epoch: u64) -> bool {
        let claim = &mut self.slots[usize::from(slot.number())];
        let before = std::mem::replace(claim, Claim { owner, epoch });
        if before.owner == owner {
            return false;
        }
        if let Some((_, slots)) = self.owners.get_mut(usize::from(before.owner)) {
            *slots -= 1;
        }
        self.owners[usize::from(owner)].1 += 1;
        true
    }

    /// The owner of a slot says that it is another one's. Its epoch is not told, so that the next map with a newer one counts, and an
    /// older one does not. Whether the slot has another owner now.
    pub fn moved(&mut self, slot: Slot, to: &Endpoint) -> bool {
        let epoch = self.slots[usize::from(slot.number())].epoch;
        let owner = self.number(to);
        self.take(slot, owner, epoch)
    }

    /// A node has told its map; the slots that have another owner now, each with the one before.
    pub fn mapped(&mut self, nodes: &[Node]) -> Vec<(Slot, Option<Endpoint>)> {
        let mut moved = Vec::new();
        // A node's word that a slot is not its own counts whatever the epochs are.
        let teller = nodes.iter().find(|node| node.is_myself);
        let is_given_up = |slot: Slot, owner: Option<&Endpoint>| {
            let of = teller.filter(|teller| teller.endpoint.is_some() && teller.endpoint.as_ref() == owner);
            of.is_some_and(|teller| !teller.ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot)))
        };
        // Nor does a claim count of who is not known any more, or is by another address.
        let listed: BTreeSet<_> = nodes.iter().filter_map(|node| node.endpoint.as_ref()).collect();
        for node in nodes.iter().filter(|node| node.is_master && !node.ranges.is_empty()) {
            let Some(endpoint) = &node.endpoint else { continue };
            let owner = self.number(endpoint);
            for slot in
                node.ranges.iter().flat_map(|(first, last)| (first.number()..=last.number()).filter_map(Slot::new))
            {
                let claim = self.slots[usize::from(slot.number())];
                if claim.owner == owner {
                    self.slots[usize::from(slot.number())].epoch = claim.epoch.max(node.epoch);
                    continue;
                }
                let before = self.owner(slot);
                let is_new = before.is_none_or(|before| !listed.contains(before)) || node.epoch > claim.epoch;
                if is_new || is_given_up(slot, before) {
                    let before = before.cloned();
                    self.take(slot, owner, node.epoch);
                    moved.push((slot, before));
                }
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Endpoint {
        Endpoint { host: "h".to_owned(), port }
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    /// Its port, the epoch of its claims, and their ranges.
    type Master<'a> = (u16, u64, &'a [(u16, u16)]);

    /// A map as the node at a port tells it: ports, epochs and ranges of masters.
    fn map(teller: u16, masters: &[Master<'_>]) -> Vec<Node> {
        let node = |&(port, epoch, ranges): &Master<'_>| Node {
            id: format!("{port:040}"),
            endpoint: Some(at(port)),
            is_myself: port == teller,
            is_master: true,
            epoch,
            ranges: ranges.iter().map(|&(first, last)| (slot(first), slot(last))).collect(),
            leaving: Vec::new(),
            targets: Vec::new(),
            arriving: Vec::new(),
        };
        masters.iter().map(node).collect()
    }

    fn owner(claims: &Claims, number: u16) -> Option<u16> {
        claims.owner(slot(number)).map(|endpoint| endpoint.port)
    }

    #[test]
    fn the_newer_claim_wins_whoever_tells_it_last() {
        let mut claims = Claims::default();
        assert_eq!(owner(&claims, 1), None);
        let old = map(2, &[(1, 5, &[(0, 9)]), (2, 6, &[(10, 19)])]);
        assert_eq!(claims.mapped(&old).len(), 20);
        assert_eq!((owner(&claims, 9), owner(&claims, 10), owner(&claims, 20)), (Some(1), Some(2), None));
        // Node 1 has been replaced by 3; node 1 itself has not heard of it.
        let new = map(2, &[(1, 5, &[]), (2, 6, &[(10, 19)]), (3, 7, &[(0, 9)])]);
        assert_eq!(claims.mapped(&new), (0..10).map(|number| (slot(number), Some(at(1)))).collect::<Vec<_>>());
        assert!(claims.mapped(&map(1, &[(1, 5, &[(0, 9)]), (2, 6, &[(10, 19)]), (3, 0, &[])])).is_empty());
        assert_eq!(owner(&claims, 0), Some(3));
        assert_eq!((claims.slots_of(&at(1)), claims.slots_of(&at(3))), (0, 10));
        assert_eq!(claims.owners().count(), 2);
    }

    #[test]
    fn who_says_that_a_slot_is_not_its_own_is_believed_whatever_the_epochs_are() {
        let mut claims = Claims::default();
        claims.mapped(&map(1, &[(1, 9, &[(0, 9)]), (2, 6, &[])]));
        let given: [Master<'_>; 2] = [(1, 9, &[(0, 4)]), (2, 6, &[(5, 9)])];
        assert!(claims.mapped(&map(2, &given)).is_empty(), "another one's word is not enough");
        assert_eq!(claims.mapped(&map(1, &given)).len(), 5);
        assert_eq!((owner(&claims, 4), owner(&claims, 5)), (Some(1), Some(2)));
    }

    #[test]
    fn a_refusal_stands_against_maps_that_are_no_newer_than_what_it_corrected() {
        let mut claims = Claims::default();
        let old = map(3, &[(1, 5, &[(0, 9)]), (2, 6, &[]), (3, 4, &[])]);
        claims.mapped(&old);
        assert!(claims.moved(slot(3), &at(2)) && !claims.moved(slot(3), &at(2)));
        assert!(claims.mapped(&old).is_empty());
        assert_eq!(owner(&claims, 3), Some(2));
        let back = map(3, &[(1, 8, &[(0, 9)]), (2, 7, &[]), (3, 4, &[])]);
        assert_eq!(claims.mapped(&back), [(slot(3), Some(at(2)))]);
    }

    #[test]
    fn a_node_with_another_address_and_one_that_is_gone_lose_their_claims() {
        let mut claims = Claims::default();
        claims.mapped(&map(2, &[(1, 9, &[(0, 9)]), (2, 6, &[])]));
        assert_eq!(claims.mapped(&map(2, &[(11, 9, &[(0, 9)]), (2, 6, &[])])).len(), 10);
        assert_eq!(owner(&claims, 0), Some(11));
        assert_eq!(claims.mapped(&map(2, &[(2, 6, &[(0, 9)])])).len(), 10);
        assert_eq!((owner(&claims, 0), claims.slots_of(&at(11))), (Some(2), 0));
    }
}
