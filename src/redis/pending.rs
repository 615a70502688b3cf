//! A command that is not answered yet.

use crate::redis::Nanos;
use crate::redis::slot::Slot;

/// Its bytes stand in a buffer, behind those of the ones before it.
pub(super) struct Pending<T> {
    /// Whose reply it is; `None`: nobody's any more.
    pub(super) tag: Option<T>,
    /// Length of the command.
    pub(super) bytes: usize,
    /// 0 until the command was flushed: time before that is JavaScript's, not the server's. That of nobody's never passes.
    pub(super) deadline: Nanos,
    /// Nobody waits for it.
    pub(super) quiet: bool,
    /// It is not where its slot's commands go: it was sent elsewhere meanwhile, or asks here for once.
    pub(super) away: bool,
    /// Whether [`ASKING`] stands before it.
    pub(super) asks: Asks,
    /// The slot of its key.
    pub(super) slot: Slot,
}

/// What has a node of a cluster answer the next command although its slot is still another node's.
pub(super) const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// Whether [`ASKING`] stands before a command, as part of it, so that neither is sent without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// No.
    Not,
    /// Yes, and its own reply is still to come.
    Open,
    /// Yes, and its own reply was read.
    Answered,
}

impl<T> Pending<T> {
    /// How many of its bytes are [`ASKING`].
    pub(super) fn prefix(&self) -> usize {
        if self.asks == Asks::Not { 0 } else { ASKING.len() }
    }

    /// Whether its deadline has passed.
    pub(super) const fn is_due(&self, now: Nanos) -> bool {
        self.deadline > 0 && self.deadline <= now
    }
}

/// A command that was taken out of a queue before it was answered, to be sent by another one.
#[derive(Debug)]
pub struct Withdrawn<T> {
    /// Whose reply it is.
    pub tag: T,
    /// The slot of its key.
    pub slot: Slot,
    /// The whole command.
    pub bytes: Vec<u8>,
    /// By when it must be answered; 0 until it was flushed.
    pub deadline: Nanos,
    /// Nobody waits for it.
    pub quiet: bool,
}
