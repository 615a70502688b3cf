//! A command that is not answered yet.

use crate::redis::Nanos;

/// Its bytes stand in a buffer, behind those of the ones before it.
pub(super) struct Pending<T> {
    /// Whose reply it is.
    pub(super) tag: T,
    /// Length of the command.
    pub(super) bytes: usize,
    /// 0 until the command was flushed: time before that is JavaScript's, not the server's.
    pub(super) deadline: Nanos,
    /// Nobody waits for it.
    pub(super) quiet: bool,
}
