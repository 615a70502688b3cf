//! What the cache knows a key by. Pure.
//!
//! 128 bits of a hash stand for a key, because its text would take a third of the memory. The probability that any two of a
//! million keys have the same hash is 10⁻²⁷, far less than that of a bit that flips in memory unnoticed. Each cache has a
//! seed of its own, so that no two names collide in every process.

use std::hash::{BuildHasher as _, RandomState};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(pub(super) [u64; 2]);

impl Fingerprint {
    /// 32 of its bits.
    pub(super) const fn tag(self) -> u32 {
        (self.0[0] >> 32) as u32
    }
}

/// Makes fingerprints.
#[derive(Debug)]
pub(super) struct Fingerprints {
    seed: u64,
}

impl Default for Fingerprints {
    /// With a seed of its own, from the system's randomness.
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0) }
    }
}

impl Fingerprints {
    pub(super) fn of(&self, key: &[u8]) -> Fingerprint {
        let hash = xxh3_128_with_seed(key, self.seed);
        #[allow(clippy::cast_possible_truncation, reason = "its halves")]
        Fingerprint([hash as u64, (hash >> 64) as u64])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn either_half_alone_tells_a_hundred_thousand_keys_apart() {
        let fingerprints = Fingerprints::default();
        let keys = (0..100_000).map(|number| format!("signal_cache:binance:trend:SYMBOL{number}"));
        let (first, second): (HashSet<u64>, HashSet<u64>) =
            keys.map(|key| fingerprints.of(key.as_bytes()).0).map(|[first, second]| (first, second)).unzip();
        assert_eq!((first.len(), second.len()), (100_000, 100_000));
    }

    #[test]
    fn every_cache_has_a_seed_of_its_own() {
        let of_same_key: HashSet<_> = (0..10).map(|_| Fingerprints::default().of(b"key")).collect();
        assert_eq!(of_same_key.len(), 10);
    }
}
