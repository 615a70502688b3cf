//! What the cache holds for a key, how it is found, and what that weighs.

use std::hash::{Hash, Hasher};

use quick_cache::{Equivalent, Weighter};

use super::Value;
use crate::redis::Nanos;

/// A key with its hash, so that neither its insertion nor a growing table hashes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) hash: u64,
    pub(super) bytes: Box<[u8]>,
}

/// The same, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct HashedRef<'a> {
    pub(super) hash: u64,
    pub(super) key: &'a [u8],
}

impl HashedRef<'_> {
    pub(super) fn to_owned(self) -> Hashed {
        Hashed { hash: self.hash, bytes: self.key.into() }
    }
}

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for HashedRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Hashed> for HashedRef<'_> {
    fn equivalent(&self, key: &Hashed) -> bool {
        self.hash == key.hash && *self.key == *key.bytes
    }
}

/// A hasher for keys that bring their hash along.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys bring their hash along");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) value: Value,
    /// Our own write brought it, not a read.
    pub(super) own: bool,
    /// When it may no longer be told.
    pub(super) ends: Nanos,
    /// It ends early because the expiry of the key is not known.
    pub(super) brief: bool,
}

/// Weighs entries in bytes.
#[derive(Debug, Clone)]
pub(super) struct Weight;

/// The entry itself, two allocations, and a slot in the cache's tables: measured at 150,000 entries.
const OVERHEAD: u64 = 128;

impl Weighter<Hashed, Known> for Weight {
    fn weight(&self, key: &Hashed, known: &Known) -> u64 {
        let text = match &known.value {
            Value::Text(text) if text.spilled() => text.len() as u64,
            Value::Text(_) | Value::Absent | Value::Present => 0,
        };
        OVERHEAD + key.bytes.len() as u64 + text
    }
}
