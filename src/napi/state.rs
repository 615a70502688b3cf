//! What an engine does with its configuration, from the first call on.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::link::Connection;
use super::sentinel_link::SentinelLinks;
use crate::config::Config;
use crate::error::Error;
use crate::map::backend::Backend as _;
use crate::map::op::{CallId, Op, Outcomes};
use crate::map::store::Store;
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::first_words::hint;
use crate::redis::lookup::Lookups;
use crate::redis::peer::Peer;
use crate::redis::spin::Spin;
use crate::redis::supervise::{Asked, State};

/// A write of that many commands in the middle of a tick lets the server begin while JavaScript goes on; each further
/// one of the same tick waits for twice as many.
pub(super) const EARLY: usize = 16;

/// So many calls are rejected in one turn at most: an error with its stack costs JavaScript some 10 µs, and others wait.
pub(super) const REJECTED_AT_ONCE: usize = 1_000;

/// What calls are told that `close()` could not finish.
pub(super) const CLOSED: &str = "The connection was closed before an answer came";

/// A batch with the outcomes whose texts are ranges of it.
pub(super) type Parked = (Box<Batch<Op>>, Outcomes);

/// See the module. It is changed within [`super::engine::Engine::with_core`] alone.
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) store: Store,
    /// The server below the store.
    pub(super) peer: Peer<Op>,
    pub(super) spin: Spin,
    pub(super) connection: Connection,
    /// In their order.
    pub(super) closing: VecDeque<Closing>,
    /// Outcomes that no reply brought: deadlines, refusals, `close()`. Settled in the next turn.
    pub(super) later: Outcomes,
    /// How long the loop had been blocked when the attempt began.
    pub(super) stalled_before: Nanos,
    /// When the state last changed, in milliseconds since 1970.
    pub(super) since: u64,
    /// The sentinels, where they say which server is meant.
    pub(super) sentinels: Option<SentinelLinks>,
    /// Names that JavaScript must resolve before something can go on, and was not asked for yet.
    pub(super) names: Vec<String>,
    pub(super) lookups: Lookups,
    /// Replies that were read in the middle of a call, to be settled in the next turn.
    pub(super) parked: Vec<Parked>,
    /// Why the server cannot keep the near cache informed; told the logger once.
    pub(super) notice: Option<String>,
    /// How many unwritten commands of a tick are written early.
    pub(super) early: usize,
    /// Whether the process is kept alive.
    pub(super) busy: bool,
}

/// A `close()` under way.
#[derive(Clone, Copy)]
pub(super) struct Closing {
    /// Whose promise it is.
    pub(super) call: CallId,
    /// It is through when that many commands, counted from the beginning, are settled.
    pub(super) mark: u64,
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn epoch_millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0))
}

impl Core {
    /// Notes a change of state.
    pub(super) fn changed(&mut self) {
        self.since = epoch_millis();
    }

    /// Rejects the first so many calls that are not settled, for that reason. The connection must be down.
    pub(super) fn abandon(&mut self, count: u64, why: Error) {
        self.peer.lane.abandon(usize::try_from(count).unwrap_or(usize::MAX), why);
        self.reject();
    }

    /// Tells calls that were given up so, no more of them than one turn may take: the next ones go on.
    pub(super) fn reject(&mut self) {
        let mut tags = Vec::new();
        self.peer.lane.take_abandoned(REJECTED_AT_ONCE.saturating_sub(self.later.len()), &mut tags);
        for (op, command, why) in tags {
            let message = format!("{} ({command} on {})", why.message, self.peer.name());
            let error = Error { message, ..Error::clone(&why) };
            self.store.fail(&mut self.peer, &op, error, &mut self.later);
        }
    }

    /// Whether answers are there that nobody was told yet.
    pub(super) fn has_answers(&self) -> bool {
        !self.later.is_empty() || !self.parked.is_empty() || self.peer.lane.queue().is_abandoning()
    }

    /// Whether anybody waits for anything.
    pub(super) fn waits(&self) -> bool {
        self.peer.waiting() > 0 || !self.closing.is_empty() || self.has_answers()
    }

    /// Whether configuration may not change: there is a connection, an attempt, or a call that waits.
    pub(super) fn is_open(&self) -> bool {
        self.waits() || self.peer.supervisor.state() != State::Idle
    }

    /// Whether an attempt waits for the server.
    pub(super) fn connects(&self) -> bool {
        self.peer.supervisor.state() == State::Connecting && self.connection.link.is_some()
    }

    /// The name of the server need not be resolved any more; names that sentinels wait for still must.
    pub(super) fn forget_host(&mut self) {
        let sentinels = self.sentinels.as_ref();
        self.names.retain(|name| sentinels.is_some_and(|sentinels| sentinels.wait_for(name)));
    }

    /// Whether sentinels are being asked which server is meant.
    pub(super) fn is_searching(&self) -> bool {
        self.sentinels.as_ref().is_some_and(|sentinels| sentinels.rules.is_searching())
    }

    /// Who would have something of an attempt.
    pub(super) fn asked(&self) -> Asked {
        match self.peer.asked() {
            Asked::Nobody if self.sentinels.as_ref().is_some_and(SentinelLinks::has_names) => Asked::NobodyByName,
            asked => asked,
        }
    }

    /// Why the connection came to nothing, with a hint where the server has not said a word on it.
    pub(super) fn with_hint(&self, why: &str) -> String {
        let is_mute = self.connection.is_mute(&self.peer.lane);
        if is_mute { format!("{why}; {}", hint(self.config.tls.is_some())) } else { why.to_owned() }
    }
}
