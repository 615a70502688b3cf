//! What one read brought.

use std::ops::Range;

use crate::redis::Nanos;
use crate::redis::decode::Token;
use crate::redis::epoch::Epoch;
use crate::redis::pending::Withdrawn;
use crate::redis::refusal::Refused;

/// One thing that the server said.
pub enum Item<T> {
    /// The reply to a command.
    Reply {
        /// As given to [`super::lane::Lane::push`].
        tag: T,
        /// Its tokens in the batch.
        tokens: Range<usize>,
        /// When the last byte of its command was about to be written.
        written: Nanos,
        /// For an error: the command and its key.
        context: Option<String>,
    },
    /// A message of its own accord.
    Push {
        /// Its tokens in the batch.
        tokens: Range<usize>,
    },
}

/// What was read together, in the order of the stream. Reused from read to read, so that a single reply costs no allocation.
pub struct Batch<T> {
    /// The bytes that texts are ranges of.
    pub buffer: Vec<u8>,
    /// The tokens of all replies.
    pub tokens: Vec<Token>,
    /// Replies and messages, in their order.
    pub items: Vec<Item<T>>,
    /// Whether any of them may be to a command without a slot.
    pub has_slotless: bool,
    /// What the replies depend on.
    pub epoch: Epoch,
    /// Slots of which a cluster's node refused a command; each once.
    pub refused: Vec<Refused>,
    /// The commands that were refused, and all behind them of their slots, in their order. Whoever decodes takes them out.
    pub withdrawn: Vec<Withdrawn<T>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            tokens: Vec::new(),
            items: Vec::new(),
            has_slotless: false,
            epoch: Epoch::default(),
            refused: Vec::new(),
            withdrawn: Vec::new(),
        }
    }
}
