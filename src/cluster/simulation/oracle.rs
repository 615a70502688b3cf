//! What is right: see the module above.

use super::{Call, Kind, TICK, TIMEOUT, World};
use crate::redis::MILLI;

impl World {
    pub(super) fn settle(&mut self, tag: u64, text: &str) {
        let number = usize::try_from(tag).unwrap();
        let Call { key, kind, is_given_up, .. } = self.calls[number];
        assert!(!is_given_up, "{tag} is answered after it was given up\n{self:?}");
        self.is_settled(number);
        let before = self.answered[key].replace(number);
        assert!(before < Some(number), "{tag} of {} is answered behind {before:?}\n{self:?}", self.keys[key].1);
        let (kept, rest) = text.split_at(1);
        let (value, epoch) = rest.split_once('@').unwrap();
        let (value, epoch): (u64, u64) = (value.parse().unwrap(), epoch.parse().unwrap());
        if epoch > 0 {
            let newest = self.epochs.insert(self.keys[key].1, epoch).unwrap_or(0);
            assert!(epoch >= newest, "{tag} was carried out under {epoch}, behind {newest}\n{self:?}");
        }
        match (kind, kept) {
            (Kind::Set, "k") if !self.lost.contains(&(tag + 1)) => self.floors[key] = self.floors[key].max(tag + 1),
            (Kind::Set, _) => self.lost_by_redis += 1,
            (Kind::Get, "k") => {
                let floor = self.floors[key];
                assert!(
                    value >= floor || self.lost.contains(&value),
                    "{tag} reads {value}, {floor} was acknowledged\n{self:?}"
                );
            }
            (Kind::Get, _) => {}
        }
    }

    pub(super) fn is_settled(&mut self, number: usize) {
        assert!(!self.calls[number].is_settled, "{number} is settled twice\n{self:?}");
        let waited = self.now - self.calls[number].made;
        assert!(waited <= TIMEOUT + TICK, "{number} has waited for {} ms\n{self:?}", waited / MILLI);
        self.calls[number].is_settled = true;
        self.unsettled -= 1;
    }

    pub(super) fn judge(&self) {
        for slot in self.owners.keys() {
            let there: Vec<_> = self.links.0.iter().filter(|(_, link)| link.lane.queue().has_of(*slot)).collect();
            let there: Vec<_> = there.into_iter().map(|(id, _)| id).collect();
            assert!(there.len() <= 1, "slot {slot} is at {there:?}\n{self:?}");
        }
        let waiting =
            self.links.0.values().map(|link| link.lane.queue().waiting()).sum::<usize>() + self.router.waiting();
        assert_eq!(waiting, self.unsettled, "{self:?}");
    }
}
