//! A search for the master: whom it has asked, and who is still to be asked. Pure.

use std::collections::VecDeque;

use super::known::{Master, Number};
use crate::redis::Nanos;

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This is the master, by what the sentinels say.
    Master(Master),
    /// None could be asked, or told. Why.
    Nothing(String),
    /// All of them know no master of that name.
    Unknown(String),
    /// All of them refuse us, in their own words.
    Refused(String),
}

/// See the module.
pub(super) struct Search {
    /// Only answers to questions of this search count.
    pub(super) number: u32,
    /// Who is still to be asked, in this order.
    pub(super) left: VecDeque<Number>,
    /// Who was asked and has not answered.
    pub(super) pending: Vec<Number>,
    /// When the next one is asked, whatever the others do.
    pub(super) next: Nanos,
}

impl Search {
    pub(super) const fn new(number: u32, left: VecDeque<Number>) -> Self {
        Self { number, left, pending: Vec::new(), next: 0 }
    }

    pub(super) fn forget(&mut self, number: Number) {
        self.left.retain(|&one| one != number);
        self.pending.retain(|&one| one != number);
    }
}
