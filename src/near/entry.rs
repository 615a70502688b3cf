//! What the cache knows of a key. Pure.

use super::homes::Home;
use crate::redis::Nanos;

/// The state of a key at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState<'a> {
    /// There is no such key.
    Absent,
    /// It exists; a GET may still find that it holds no string.
    Present,
    /// It holds this text.
    Text(&'a [u8]),
}

/// The state of a key, and for how long it may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) state: KeyState<'a>,
    /// Our own write brought it, not a read.
    pub(super) own: bool,
    /// When it may no longer be told.
    pub(super) ends: Nanos,
    /// It ends early because the expiry of the key is not known.
    pub(super) brief: bool,
    /// Where the key was when this was true.
    pub(super) home: Home,
}
