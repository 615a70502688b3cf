//! The connection to one server: its socket, and what is known of where to connect it.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::time::SystemTime;

use super::socket::{Endpoint, Stream};
use super::uv::{self, RawHandle};
use crate::redis::Nanos;
use crate::redis::lane::Lane;
use crate::redis::trust::Trust;

/// What the event loop has of one server: the socket, and what is known of where to connect it.
pub(super) struct Node {
    /// How TLS is spoken, where it is.
    pub(super) trust: Option<Trust>,
    pub(super) link: Option<Link>,
    /// Ask a silent server whether it answers at all; the oldest first.
    pub(super) probes: VecDeque<Probe>,
    /// Addresses that this attempt has not tried yet.
    pub(super) endpoints: VecDeque<Endpoint>,
    /// The socket would not take more when it was last written to.
    pub(super) blocked: bool,
    /// Something was written since the loop last looked at the socket.
    pub(super) fresh: bool,
    /// Why the last write failed. The socket tells it once, and then only that the connection has ended.
    pub(super) failed_write: Option<String>,
    /// How long the loop had been blocked when the attempt, or its present step, began.
    pub(super) stalled_before: Nanos,
    /// When the state last changed, in milliseconds since 1970.
    pub(super) since: u64,
}

impl Node {
    /// Not connected.
    pub(super) fn new(trust: Option<Trust>) -> Self {
        Self {
            trust,
            link: None,
            probes: VecDeque::new(),
            endpoints: VecDeque::new(),
            blocked: false,
            fresh: false,
            failed_write: None,
            stalled_before: 0,
            since: epoch_millis(),
        }
    }

    /// Notes a change of state.
    pub(super) fn changed(&mut self) {
        self.since = epoch_millis();
    }

    /// Whether its socket is the one that is called back.
    pub(super) fn is_watched_by(&self, handle: *mut uv::Handle) -> bool {
        self.link.as_ref().is_some_and(|link| link.handle.is(handle))
    }

    /// Where it goes to.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.link.as_ref().map(|link| link.endpoint.clone())
    }

    /// Whether the server has not said a word on this connection, as one may that speaks the other of TLS and plain Redis.
    pub(super) fn is_mute<T>(&self, lane: &Lane<T>) -> bool {
        let Some(link) = self.link.as_ref().filter(|link| link.connected) else { return false };
        let is_mute = if self.trust.is_some() { link.stream.is_mute() } else { lane.is_unanswered() };
        is_mute && matches!(link.endpoint, Endpoint::Tcp(_))
    }

    /// Whether the socket's last read left something that the event loop will not tell of.
    pub(super) fn has_more(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.stream.has_more())
    }
}

/// The wall clock, in milliseconds since 1970.
fn epoch_millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0))
}

/// A probe under way: see [`super::probe`].
pub(super) struct Probe {
    pub(super) stream: Stream,
    pub(super) handle: RawHandle,
    pub(super) sent: Nanos,
    pub(super) asked: bool,
}

/// A socket that connects, or is connected.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) handle: RawHandle,
    pub(super) endpoint: Endpoint,
    /// It carries the handshake and calls.
    pub(super) connected: bool,
    /// Since when it is connected, or connects.
    pub(super) since: Nanos,
    /// What it is watched for.
    pub(super) watching: c_int,
}
