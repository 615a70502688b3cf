//! The servers below the store.

use std::ops::{Index, IndexMut};

use crate::cluster::router::Late;
use crate::config::{Address, Config, Credentials};
use crate::error::{Code, Error, Result};
use crate::map::backend::Backend;
use crate::map::cluster::Cluster;
use crate::map::op::Op;
use crate::map::request::Request;
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::epoch::Epoch;
use crate::redis::lane::{Counters, News};
use crate::redis::latency::Summary;
use crate::redis::peer::Peer;
use crate::redis::slot::Slot;
use crate::redis::supervise::State;
use crate::secrets::Secrets;

/// See the module. Each has a number, by which its connection is found too. Without a cluster there is exactly one.
pub struct Peers {
    all: ByPeer<Peer<Op>>,
    /// Which of them is asked what, where they share the keys.
    cluster: Option<Box<Cluster>>,
    /// Counters of those that were closed.
    gone: Totals,
    secrets: Secrets,
    random: fastrand::Rng,
}

/// What is to be settled before a `close()` is over: see [`Peers::marks`].
#[derive(Debug)]
pub struct Marks {
    /// How many calls each server had accepted.
    accepted: ByPeer<u64>,
    /// How many of a cluster's calls waited for an earlier `close()`.
    later: usize,
}

impl Marks {
    /// How many calls a server had accepted.
    #[must_use]
    pub fn of(&self, id: PeerId) -> Option<u64> {
        self.accepted.get(id).copied()
    }
}

/// Counters of several servers together.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Of their commands.
    pub counters: Counters,
    /// How many connections were ready.
    pub connects: u32,
}

impl Totals {
    fn add(&mut self, peer: &Peer<Op>) {
        self.counters.add(peer.lane.counters());
        self.connects += peer.connects();
    }
}

impl Peers {
    /// Those of a configuration: one server, or none yet, where a cluster has to be asked for them. They go on with the counters of
    /// those before them, which must be down. `seed`: anything that differs between processes.
    #[must_use]
    pub fn new(config: &Config, seed: u64, before: Option<Self>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let secrets = config.credentials.as_ref().map(Credentials::secrets).unwrap_or_default();
        if let Some(cluster) = &config.cluster {
            let gone = before.map(|before| before.totals()).unwrap_or_default();
            let cluster = Some(Box::new(Cluster::new(config, cluster)));
            return Self { all: ByPeer::default(), cluster, gone, secrets, random };
        }
        let (gone, before) = match before {
            Some(Self { cluster: None, all, gone, .. }) => (gone, all.into_values().next()),
            before => (before.map(|before| before.totals()).unwrap_or_default(), None),
        };
        let peer = Peer::new(config, Epoch::of(PeerId::FIRST), config.address.clone(), random.u64(..), before);
        Self { all: ByPeer::of_first(peer), cluster: None, gone, secrets, random }
    }

    /// What a cluster's servers are asked by.
    #[must_use]
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_deref()
    }

    /// The server at a place, counted from 0; `None` behind the last one.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<PeerId> {
        self.all.at(place)
    }

    /// The server of a name, as messages have it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<PeerId> {
        self.all.iter().find(|(_, peer)| peer.name() == name).map(|(id, _)| id)
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer<Op>)> {
        self.all.iter()
    }

    /// A server, if it is there.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<&Peer<Op>> {
        self.all.get(id)
    }

    /// Counters since the engine began.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.gone;
        self.all.values().for_each(|peer| totals.add(peer));
        totals
    }

    /// What a server has answered since the last time, in its order, for [`Store::absorb`](crate::map::store::Store::absorb); what
    /// else has happened is the result. `batch` is empty, or was absorbed. `read`: when it was read, by the clock of what was
    /// written; `now`: by that of deadlines.
    #[inline]
    pub fn answers(&mut self, from: PeerId, batch: &mut Batch<Op>, read: Nanos, now: Nanos) -> News {
        let news = self.all[from].decode(batch, read);
        if let Some(cluster) = &mut self.cluster {
            if matches!(news, News::Ready(_)) {
                cluster.router.ready(from);
                cluster.is_stirred = true;
            }
            cluster.take_from(&mut self.all, from, batch, now);
        }
        news
    }

    /// The connection to a server is lost, or an attempt to make one came to nothing.
    pub fn failed(&mut self, id: PeerId, why: &str, at: Nanos, now: Nanos) {
        self.all[id].failed(why, at);
        if let Some(cluster) = &mut self.cluster {
            cluster.lost(&mut self.all, id, now);
        }
    }

    /// `close()`: as before the first call.
    pub fn closed(&mut self, id: PeerId, now: Nanos) {
        self.all[id].closed();
        if let Some(cluster) = &mut self.cluster {
            cluster.lost(&mut self.all, id, now);
        }
    }

    /// Whether servers may have to be opened or closed.
    #[must_use]
    pub fn is_stirred(&mut self) -> bool {
        self.cluster.as_mut().is_some_and(|cluster| std::mem::take(&mut cluster.is_stirred))
    }

    /// A server that does not answer, although its connection is there: others may know more of who has its slots now.
    pub fn doubt(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.router.doubt();
        }
    }

    /// Opens a server of the cluster that is wanted, if there is any: its number and its host.
    pub fn open_next(&mut self, config: &Config) -> Option<(PeerId, String)> {
        let cluster = self.cluster.as_mut()?;
        let (id, endpoint) = cluster.router.to_open()?;
        let host = endpoint.host.clone();
        let target = Address::Tcp(host.clone(), endpoint.port);
        let mut peer = Peer::new(config, Epoch::of(id), target, self.random.u64(..), None);
        peer.lane.in_cluster();
        self.all.insert(id, peer);
        cluster.router.opened(id);
        cluster.is_stirred = true;
        Some((id, host))
    }

    /// A server that is not wanted any more, if there is any.
    pub fn to_close(&mut self, now: Nanos) -> Option<PeerId> {
        self.cluster.as_mut()?.router.to_close(&mut self.all, now)
    }

    /// Takes a server out; its connection must be down. What it was asked that has no key is given back: nobody answers that.
    pub fn close(&mut self, id: PeerId) -> Vec<Op> {
        let Some(cluster) = &mut self.cluster else { return Vec::new() };
        let left = cluster.close(&mut self.all, id);
        if let Some(peer) = self.all.remove(id) {
            self.gone.add(&peer);
        }
        left.into_iter().map(|command| command.tag).collect()
    }

    /// Time has passed: what may be sent now is, and a node is asked for its map where that is due.
    pub fn look(&mut self, now: Nanos) {
        let is_busy = self.waiting() > 0;
        if let Some(cluster) = &mut self.cluster {
            cluster.router.settle(&mut self.all, now);
            cluster.ask(&mut self.all, now, is_busy);
        }
    }

    /// When to look again, if nothing else happens.
    #[must_use]
    pub fn next_look(&self) -> Option<Nanos> {
        self.cluster.as_ref()?.router.next_due(self.waiting() > 0)
    }

    /// The flush at the end of a tick: deadlines of what was queued since the last one start here.
    pub fn stamp(&mut self, now: Nanos) {
        for (_, peer) in self.all.iter_mut() {
            peer.lane.stamp(now);
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.stamp(now);
        }
    }

    /// Takes calls that no server has, and whose deadline has passed.
    pub fn expire_held(&mut self, now: Nanos) -> Vec<Late<Op>> {
        self.cluster.as_mut().map(|cluster| cluster.expire(now)).unwrap_or_default()
    }

    /// Why a call that no server had was not answered in time.
    #[must_use]
    pub fn why_held(&self, Late { slot, command, .. }: &Late<Op>, waited: u64) -> Error {
        let reached = self.all.values().filter(|peer| peer.lane.is_up()).count();
        let nodes = self.all.iter().count();
        let last = self.all.values().find_map(Peer::last_error);
        let last =
            self.cluster.as_ref().and_then(|cluster| cluster.trouble()).or(last).unwrap_or("the slot has no owner");
        let last = self.secrets.mask(last);
        let message = format!(
            "No node of the cluster served slot {slot} within {waited} ms ({command}; {reached} of {nodes} nodes reached; last: {last})"
        );
        Error::new(Code::RedisUnavailable, message).because(last)
    }

    /// Takes all calls that no server has.
    pub fn give_up_held(&mut self) -> Vec<(Op, String)> {
        self.cluster.as_mut().map(|cluster| cluster.give_up()).unwrap_or_default()
    }

    /// Whether calls want a connection to a server.
    #[must_use]
    pub fn want(&self, id: PeerId) -> bool {
        let peer = &self.all[id];
        // What no server has may be any one's to answer.
        let is_anybodys = || self.cluster.is_some() && peer.supervisor.state() != State::Ready && self.waiting() > 0;
        peer.lane.queue().unanswered() > 0 || is_anybodys()
    }

    /// Calls that are not settled.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let held = self.cluster.as_ref().map_or(0, |cluster| cluster.waiting());
        held + self.all.values().map(|peer| peer.lane.queue().waiting()).sum::<usize>()
    }

    /// Calls whose command no socket has taken yet, and calls on the wire.
    #[must_use]
    pub fn queued_and_in_flight(&self) -> (usize, usize) {
        let held = self.cluster.as_ref().map_or(0, |cluster| cluster.waiting());
        let of = |peer: &Peer<Op>| peer.lane.queue().queued_and_in_flight();
        let (queued, in_flight): (Vec<_>, Vec<_>) = self.all.values().map(of).unzip();
        (held + queued.iter().sum::<usize>(), in_flight.iter().sum())
    }

    /// How long servers have taken to answer lately: that of the one that was asked most.
    #[must_use]
    pub fn latency(&self, now: Nanos) -> Summary {
        let all = self.all.values().map(|peer| peer.lane.latency(now));
        all.max_by_key(|summary| summary.count).unwrap_or_default()
    }

    /// Whether any call is given up and yet to be told so.
    #[must_use]
    pub fn is_abandoning(&self) -> bool {
        self.all.values().any(|peer| peer.lane.queue().is_abandoning())
    }

    /// Commands that could be written, and were not yet offered to a socket; of a cluster, all that came in this tick.
    #[inline]
    #[must_use]
    pub fn writable(&self) -> usize {
        if let Some(cluster) = &self.cluster {
            return cluster.fresh();
        }
        let peer = &self.all[PeerId::FIRST];
        if peer.lane.is_up() { peer.lane.queue().unflushed() } else { 0 }
    }

    /// Whether anything was queued since the end of the last tick.
    #[must_use]
    pub fn has_unflushed(&self) -> bool {
        self.all.values().any(|peer| peer.lane.queue().unflushed() > 0)
            || self.cluster.as_ref().is_some_and(|cluster| cluster.has_unflushed())
    }

    /// Whether any socket may have answers for us.
    #[must_use]
    pub fn expect_replies(&self) -> bool {
        self.all.values().any(|peer| peer.lane.expects_replies())
    }

    /// Whether there is a connection, or an attempt to make one.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.all.values().any(|peer| peer.supervisor.state() != State::Idle)
    }

    /// What is to be settled before a `close()` that begins now is over. With a cluster, calls from here on wait until then: they
    /// may go from one server to another.
    pub fn marks(&mut self) -> Marks {
        let later = self.cluster.as_mut().map_or(0, |cluster| cluster.hold_new());
        Marks { accepted: self.all.map(|peer| peer.lane.queue().watermark().0), later }
    }

    /// Whether all calls that were there when the marks were set are settled.
    #[must_use]
    pub fn are_settled(&self, marks: &Marks) -> bool {
        if let Some(cluster) = &self.cluster {
            return marks.later == 0 && self.waiting() == cluster.waiting_for_close();
        }
        let is_settled =
            |(id, peer): (PeerId, &Peer<Op>)| marks.of(id).is_none_or(|mark| peer.lane.queue().watermark().1 >= mark);
        self.all.iter().all(is_settled)
    }

    /// How many of a server's calls are to be settled before then.
    #[must_use]
    pub fn unsettled(&self, id: PeerId, marks: &Marks) -> u64 {
        if self.cluster.is_some() {
            return u64::MAX;
        }
        let (_, settled) = self.all[id].lane.queue().watermark();
        marks.of(id).map_or(0, |mark| mark.saturating_sub(settled))
    }

    /// Writes nothing on these connections beyond the marks of the first `close()`; where there is none any more, everything:
    /// see [`crate::redis::queue::Queue::hold_after`].
    pub fn hold_after(&mut self, marks: Option<&mut Marks>) {
        let Some(cluster) = &mut self.cluster else {
            for (id, peer) in self.all.iter_mut() {
                peer.lane.hold_after(marks.as_ref().and_then(|marks| marks.of(id)));
            }
            return;
        };
        cluster.release_new();
        if let Some(marks) = marks {
            cluster.hold_new();
            marks.later = 0;
        }
    }
}

impl Index<PeerId> for Peers {
    type Output = Peer<Op>;

    #[inline]
    fn index(&self, of: PeerId) -> &Peer<Op> {
        &self.all[of]
    }
}

impl IndexMut<PeerId> for Peers {
    #[inline]
    fn index_mut(&mut self, of: PeerId) -> &mut Peer<Op> {
        &mut self.all[of]
    }
}

impl Backend for Peers {
    #[inline]
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        if let Request::Scan { of, .. } = *request
            && let Some(peer) = self.all.get_mut(of)
            && peer.wants_run()
        {
            // First, so that a scan which has come further than its first page knows whose cursors it has. Without an answer it
            // would only start anew more often; so it is with a full queue.
            let run = Request::Run(of);
            if peer.lane.push_quiet(Op::Run(of), |out| run.encode(out)).is_ok() {
                peer.asked_run();
            }
        }
        match &mut self.cluster {
            None => self.all[PeerId::FIRST].lane.push(op, |out| request.encode(out)),
            Some(cluster) => cluster.submit(&mut self.all, op, request, false),
        }
    }

    #[inline]
    fn submit_at(&mut self, slot: Slot, op: Op, request: &Request<'_>) -> Result<()> {
        match &mut self.cluster {
            None => self.all[PeerId::FIRST].lane.push(op, |out| request.encode(out)),
            Some(cluster) => cluster.push(&mut self.all, slot, op, false, |out| request.encode(out)),
        }
    }

    #[inline]
    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        match &mut self.cluster {
            None => self.all[PeerId::FIRST].lane.push_quiet(op, |out| request.encode(out)),
            Some(cluster) => cluster.submit(&mut self.all, op, request, true),
        }
    }

    #[inline]
    fn place(&self, key: &[u8]) -> (Epoch, Slot) {
        match &self.cluster {
            None => (self.all[PeerId::FIRST].epoch(), Slot::NONE),
            Some(cluster) => {
                let slot = Slot::of(key);
                let at = cluster.router.place(slot).and_then(|at| self.all.get(at));
                (at.map_or_else(|| Epoch::of(PeerId::NOBODY), Peer::epoch), slot)
            }
        }
    }

    #[inline]
    fn doubted(&mut self) -> Vec<Slot> {
        self.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.doubted)).unwrap_or_default()
    }

    fn servers(&self) -> impl Iterator<Item = Epoch> {
        let of_cluster = |id| self.cluster.as_ref().is_none_or(|cluster| cluster.may_have_keys(id));
        self.all.iter().filter(move |(id, _)| of_cluster(*id)).map(|(_, peer)| peer.epoch())
    }

    fn shares_keys(&self) -> bool {
        self.cluster.is_some()
    }

    fn is_opening(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.router.to_open().is_some())
    }

    fn told_run(&mut self, from: PeerId, run: Option<String>) {
        if let Some(peer) = self.all.get_mut(from) {
            peer.told_run(run);
        }
    }

    fn fit_to_show(&self, _: PeerId, words: &str) -> String {
        self.secrets.mask(words)
    }

    fn name(&self, of: PeerId) -> &str {
        self.all.get(of).map_or("a node that has left the cluster", Peer::name)
    }
}
