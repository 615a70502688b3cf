//! The servers below the store.

use std::ops::{Index, IndexMut};

use crate::config::Config;
use crate::error::Result;
use crate::map::backend::Backend;
use crate::map::op::Op;
use crate::map::request::{Request, Route};
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::epoch::Epoch;
use crate::redis::lane::News;
use crate::redis::peer::Peer;
use crate::redis::supervise::State;

/// See the module. Each has a number, by which its connection is found too.
pub struct Peers(ByPeer<Peer<Op>>);

impl Peers {
    /// The server of a configuration. It goes on with the counters of the one before it, which must be down. `seed`: anything
    /// that differs between processes.
    #[must_use]
    pub fn new(config: &Config, seed: u64, before: Option<Self>) -> Self {
        let before = before.and_then(|before| before.0.into_values().next());
        Self(ByPeer::of_first(Peer::new(config, seed, before)))
    }

    /// The server at a place, counted from 0; `None` behind the last one.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<PeerId> {
        self.0.at(place)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer<Op>)> {
        self.0.iter()
    }

    /// What a server has answered since the last time, in its order, for [`Store::absorb`](crate::map::store::Store::absorb); what
    /// else has happened is the result. `batch` is empty, or was absorbed. `now`: when it was read.
    #[inline]
    pub fn answers(&mut self, from: PeerId, batch: &mut Batch<Op>, now: Nanos) -> News {
        self.0[from].decode(batch, now)
    }

    /// Calls that are not settled.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.values().map(|peer| peer.lane.queue().waiting()).sum()
    }

    /// Whether any call is given up and yet to be told so.
    #[must_use]
    pub fn is_abandoning(&self) -> bool {
        self.0.values().any(|peer| peer.lane.queue().is_abandoning())
    }

    /// Commands that could be written, and were not yet offered to a socket.
    #[inline]
    #[must_use]
    pub fn writable(&self) -> usize {
        self.0.values().filter(|peer| peer.lane.is_up()).map(|peer| peer.lane.queue().unflushed()).sum()
    }

    /// Whether any socket may have answers for us.
    #[must_use]
    pub fn expect_replies(&self) -> bool {
        self.0.values().any(|peer| peer.lane.expects_replies())
    }

    /// Whether there is a connection, or an attempt to make one.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.0.values().any(|peer| peer.supervisor.state() != State::Idle)
    }

    /// How many calls each server has accepted so far. They are settled when [`Peers::are_settled`] says so.
    #[must_use]
    pub fn marks(&self) -> ByPeer<u64> {
        self.0.map(|peer| peer.lane.queue().watermark().0)
    }

    /// Whether all calls that were there when the marks were set are settled.
    #[must_use]
    pub fn are_settled(&self, marks: &ByPeer<u64>) -> bool {
        self.0.iter().all(|(id, peer)| marks.get(id).is_none_or(|mark| peer.lane.queue().watermark().1 >= *mark))
    }

    /// Writes nothing on these connections beyond the marks: see [`crate::redis::queue::Queue::hold_after`].
    pub fn hold_after(&mut self, marks: Option<&ByPeer<u64>>) {
        for (id, peer) in self.0.iter_mut() {
            peer.lane.hold_after(marks.and_then(|marks| marks.get(id)).copied());
        }
    }
}

impl Index<PeerId> for Peers {
    type Output = Peer<Op>;

    #[inline]
    fn index(&self, of: PeerId) -> &Peer<Op> {
        &self.0[of]
    }
}

impl IndexMut<PeerId> for Peers {
    #[inline]
    fn index_mut(&mut self, of: PeerId) -> &mut Peer<Op> {
        &mut self.0[of]
    }
}

impl Backend for Peers {
    #[inline]
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        let peer = &mut self.0[PeerId::FIRST];
        if matches!(request, Request::Scan { .. }) && peer.wants_run() {
            // First, so that a scan which has come further than its first page knows whose cursors it has. Without an answer it
            // would only start anew more often; so it is with a full queue.
            let run = Request::Run(PeerId::FIRST);
            if peer.lane.push_quiet(Op::Run(PeerId::FIRST), |out| run.encode(out)).is_ok() {
                peer.asked_run();
            }
        }
        peer.lane.push(op, |out| request.encode(out))
    }

    #[inline]
    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        self.0[PeerId::FIRST].lane.push_quiet(op, |out| request.encode(out))
    }

    #[inline]
    fn epoch(&self, _: Route<'_>) -> Epoch {
        self.0[PeerId::FIRST].epoch()
    }

    fn servers(&self) -> impl Iterator<Item = Epoch> {
        self.0.values().map(Peer::epoch)
    }

    fn told_run(&mut self, from: PeerId, run: Option<String>) {
        self.0[from].told_run(run);
    }

    fn fit_to_show(&self, from: PeerId, words: &str) -> String {
        self.0[from].lane.secrets().mask(words)
    }

    fn name(&self, of: PeerId) -> &str {
        self.0[of].name()
    }
}
