//! Which collections have their indexes, and which could not be made.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shared::Shared;
use crate::mongo::table::COLLECTIONS;

/// Why indexes could not be made, by the collection and whether it is the unique one.
type Problems = BTreeMap<(&'static str, bool), String>;

/// See the module.
#[derive(Debug)]
pub(super) struct Indexes {
    /// By the collection's number: whether its unique index was made, or cannot be.
    pub(super) ready: [Shared<()>; COLLECTIONS.len()],
    problems: Mutex<Problems>,
}

impl Default for Indexes {
    fn default() -> Self {
        Self { ready: std::array::from_fn(|_| Shared::default()), problems: Mutex::default() }
    }
}

impl Indexes {
    pub(super) fn problems(&self) -> MutexGuard<'_, Problems> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
