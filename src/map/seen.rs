//! What a scan has seen. Pure.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// A hash is not hashed again.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 is hashed");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The keys that a scan has seen, by a 64-bit hash each: Redis may name a key twice while its table is resized. With a
/// million keys the chance that two share a hash, so that one is passed over, is 1 in 37 million.
#[derive(Default)]
pub(super) struct Seen {
    /// In the part under way.
    here: HashSet<u64, BuildHasherDefault<Identity>>,
    /// In parts that are over.
    before: HashSet<u64, BuildHasherDefault<Identity>>,
    /// Keyed at random, so that nobody can choose keys that collide.
    hasher: RandomState,
}

impl Seen {
    /// Whether a key was not seen yet; now it is.
    pub(super) fn is_new(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        !self.before.contains(&hash) && self.here.insert(hash)
    }

    /// The next part begins.
    pub(super) fn part_is_over(&mut self) {
        self.before.extend(self.here.drain());
    }

    /// The part under way begins anew, and nobody was told of its keys.
    pub(super) fn forget_part(&mut self) {
        self.here.clear();
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        (self.before.len() + self.here.len()) as u64
    }
}
