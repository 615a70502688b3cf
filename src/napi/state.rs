//! What an engine does with its configuration, from the first call on.

use std::collections::VecDeque;

use super::link::Node;
use super::sentinel_link::SentinelLinks;
use crate::config::Config;
use crate::error::Error;
use crate::map::op::{CallId, Op, Outcomes};
use crate::map::peers::{Marks, Peers};
use crate::map::store::Store;
use crate::redis::batch::Batch;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::first_words::hint;
use crate::redis::lookup::Lookups;
use crate::redis::peer::Peer;
use crate::redis::spin::Spin;
use crate::redis::supervise::{Asked, State};
use crate::redis::trust::Trust;

/// A write of that many commands in the middle of a tick lets the server begin while JavaScript goes on; each further
/// one of the same tick waits for twice as many.
const EARLY: usize = 16;

/// The same where a cluster's masters share the commands: each has its own write at the end of the tick in any case, and one more for
/// a few of a hundred commands costs more than it saves.
const EARLY_SHARED: usize = 128;

/// How many unwritten commands of a tick are first written early.
pub(super) const fn first_early(is_of_cluster: bool) -> usize {
    if is_of_cluster { EARLY_SHARED } else { EARLY }
}

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
    /// The servers below the store.
    pub(super) peers: Peers,
    /// The connection to each of them.
    pub(super) nodes: ByPeer<Node>,
    /// How TLS is spoken, where it is; of each server under its own name.
    pub(super) trust: Option<Trust>,
    pub(super) spin: Spin,
    /// In their order.
    pub(super) closing: VecDeque<Closing>,
    /// Outcomes that no reply brought: deadlines, refusals, `close()`. Settled in the next turn.
    pub(super) later: Outcomes,
    /// The sentinels, where they say which server is meant.
    pub(super) sentinels: Option<SentinelLinks>,
    /// Names that JavaScript must resolve before something can go on, and was not asked for yet.
    pub(super) names: Vec<String>,
    pub(super) lookups: Lookups,
    /// Replies that were read in the middle of a call, to be settled in the next turn.
    pub(super) parked: Vec<Parked>,
    /// Why the server cannot keep the near cache informed; told the logger once.
    pub(super) notice: Option<String>,
    /// Which server was read last, by its place: the others come first next time.
    pub(super) read_last: usize,
    /// The place of the server that was written to early last.
    pub(super) early_last: usize,
    /// How many unwritten commands of a tick are written early.
    pub(super) early: usize,
    /// Whether the process is kept alive.
    pub(super) busy: bool,
}

/// A `close()` under way.
pub(super) struct Closing {
    /// Whose promise it is.
    pub(super) call: CallId,
    /// It is through when what each server had accepted then is settled.
    pub(super) marks: Marks,
}

impl Core {
    /// Runs `body` for each server.
    pub(super) fn each(&mut self, mut body: impl FnMut(&mut Self, PeerId)) {
        let mut place = 0;
        while let Some(at) = self.peers.at(place) {
            body(self, at);
            place += 1;
        }
    }

    /// Rejects a server's first so many calls that are not settled, for that reason. The connection must be down.
    pub(super) fn abandon(&mut self, at: PeerId, count: u64, why: Error) {
        self.peers[at].lane.abandon(usize::try_from(count).unwrap_or(usize::MAX), why);
        self.reject();
    }

    /// Tells calls that were given up so, no more of them than one turn may take: the next ones go on.
    pub(super) fn reject(&mut self) {
        self.each(|core, at| core.reject_of(at, REJECTED_AT_ONCE.saturating_sub(core.later.len())));
    }

    /// Tells so many of a server's calls.
    pub(super) fn reject_of(&mut self, at: PeerId, most: usize) {
        let mut tags = Vec::new();
        self.peers[at].lane.take_abandoned(most, &mut tags);
        for (op, command, why) in tags {
            let message = format!("{} ({command} on {})", why.message, self.peers[at].name());
            let error = Error { message, ..Error::clone(&why) };
            self.store.fail(&mut self.peers, &op, error, &mut self.later);
        }
    }

    /// Whether answers are there that nobody was told yet.
    pub(super) fn has_answers(&self) -> bool {
        !self.later.is_empty() || !self.parked.is_empty() || self.peers.is_abandoning()
    }

    /// Whether the last read of a socket left something that the event loop will not tell of.
    pub(super) fn has_more(&self) -> bool {
        self.nodes.values().any(Node::has_more)
    }

    /// Whether anybody waits for anything.
    pub(super) fn waits(&self) -> bool {
        self.peers.waiting() > 0 || !self.closing.is_empty() || self.has_answers()
    }

    /// Whether configuration may not change: there is a connection, an attempt, or a call that waits.
    pub(super) fn is_open(&self) -> bool {
        self.waits() || self.peers.is_active()
    }

    /// Whether an attempt waits for the server.
    pub(super) fn connects(&self, at: PeerId) -> bool {
        self.peers[at].supervisor.state() == State::Connecting && self.nodes[at].link.is_some()
    }

    /// The name of a server need not be resolved any more; names that others wait for still must.
    pub(super) fn forget_host(&mut self, of: PeerId) {
        let Self { names, sentinels, peers, nodes, .. } = self;
        names.retain(|name| {
            let is_its =
                |(at, peer): (PeerId, &Peer<Op>)| at != of && peer.is_connecting_to(name) && nodes[at].link.is_none();
            sentinels.as_ref().is_some_and(|sentinels| sentinels.wait_for(name)) || peers.iter().any(is_its)
        });
    }

    /// Whether sentinels are being asked which server is meant.
    pub(super) fn is_searching(&self) -> bool {
        self.sentinels.as_ref().is_some_and(|sentinels| sentinels.rules.is_searching())
    }

    /// Who would have something of an attempt.
    pub(super) fn asked(&self, at: PeerId) -> Asked {
        match self.peers[at].asked(self.peers.want(at)) {
            Asked::Nobody if self.sentinels.as_ref().is_some_and(SentinelLinks::has_names) => Asked::NobodyByName,
            asked => asked,
        }
    }

    /// Why the connection came to nothing, with a hint where the server has not said a word on it.
    pub(super) fn with_hint(&self, at: PeerId, why: &str) -> String {
        let is_mute = self.nodes[at].is_mute(&self.peers[at].lane);
        if is_mute { format!("{why}; {}", hint(self.config.tls.is_some())) } else { why.to_owned() }
    }
}
