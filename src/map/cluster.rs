//! Several servers that share the keys: which request goes to which, and what becomes of those that come back. Pure.

use std::collections::BTreeMap;

use crate::cluster::router::{Lanes, Late, Router};
use crate::cluster::topology::{ASK_NODES, ASK_SLOTS, Node, endpoints, nodes, own};
use crate::config::{ClusterConfig, Config};
use crate::error::{Code, Error, Result};
use crate::map::join::Part;
use crate::map::op::{Op, Told};
use crate::map::request::{Keys, Request, Route};
use crate::redis::batch::{Batch, Item};
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::decode::Token;
use crate::redis::encode::{describe, push_command};
use crate::redis::lane::Lane;
use crate::redis::peer::Peer;
use crate::redis::pending::Withdrawn;
use crate::redis::refusal::Endpoint;
use crate::redis::slot::{SLOTS, Slot};
use crate::redis::{MILLI, Nanos};

impl Lanes<Op> for ByPeer<Peer<Op>> {
    fn lane(&mut self, of: PeerId) -> Option<&mut Lane<Op>> {
        self.get_mut(of).map(|peer| &mut peer.lane)
    }
}

/// See the module.
pub struct Cluster {
    /// Which server owns which slot, and what waits until that is known.
    pub router: Router<Op>,
    /// Something has happened by which servers may have to be opened or closed.
    pub(super) is_stirred: bool,
    max: usize,
    /// At least so many more calls may be queued: to count those that wait takes a look at every server.
    room: usize,
    /// Commands that servers were given since the end of the last tick.
    fresh: usize,
    max_bytes: usize,
    timeout: Nanos,
    /// Why the last map could not be used.
    trouble: Option<String>,
    /// What CLUSTER SLOTS told, until CLUSTER NODES does.
    endpoints: BTreeMap<String, Endpoint>,
    /// What each server has told of itself for a scan, when it was last taken for a map.
    own: ByPeer<Node>,
    /// Slots that were refused, or came to another server, since the store took them.
    pub(super) doubted: Vec<Slot>,
    /// Calls made since a `close()` began: they go out when it is over. `None`: none is under way.
    after_close: Option<Vec<Withdrawn<Op>>>,
}

impl Cluster {
    /// Nothing is known but what the configuration says.
    pub(super) fn new(config: &Config, cluster: &ClusterConfig) -> Self {
        let seeds = cluster.seeds.iter().map(|(host, port)| Endpoint { host: host.clone(), port: *port }).collect();
        Self {
            router: Router::new(seeds, config.timeout_ms * MILLI),
            is_stirred: true,
            max: config.queue_max,
            room: 0,
            fresh: 0,
            max_bytes: config.queue_max_bytes,
            timeout: config.timeout_ms * MILLI,
            trouble: None,
            endpoints: BTreeMap::new(),
            own: ByPeer::default(),
            doubted: Vec::new(),
            after_close: None,
        }
    }

    /// Calls that no server has.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.router.waiting() + self.waiting_for_close()
    }

    /// Those of them that wait until a `close()` is over.
    pub(super) fn waiting_for_close(&self) -> usize {
        self.after_close.iter().flatten().filter(|command| !command.quiet).count()
    }

    /// Commands that servers were given since the end of the last tick.
    pub(super) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// Whether anything waits that has no deadline yet.
    pub(super) fn has_unflushed(&self) -> bool {
        self.router.has_unflushed() || self.after_close.iter().flatten().any(|command| command.deadline == 0)
    }

    /// How many slots a server owns, as far as is known.
    #[must_use]
    pub fn slots_of(&self, id: PeerId) -> usize {
        self.router.endpoint(id).map_or(0, |endpoint| self.router.claims().slots_of(endpoint))
    }

    /// Whether keys may be at a server: it owns slots, or is about to.
    pub(super) fn may_have_keys(&self, id: PeerId) -> bool {
        self.slots_of(id) > 0 || self.router.is_visited(id)
    }

    /// How many slots have no owner, as far as is known.
    #[must_use]
    pub fn unowned(&self) -> usize {
        usize::from(SLOTS) - self.router.claims().owners().map(|(_, slots)| slots).sum::<usize>()
    }

    /// Queues a request, divided by its keys.
    pub(super) fn submit(
        &mut self,
        peers: &mut ByPeer<Peer<Op>>,
        op: Op,
        request: &Request<'_>,
        quiet: bool,
    ) -> Result<()> {
        match (request.route(), *request) {
            (Route::Keys(Keys::One(key)), _) => self.push(peers, Slot::of(key), op, quiet, |out| request.encode(out)),
            (Route::Keys(keys), Request::Exists(_)) => {
                self.divide(peers, op, keys, false, |key| Request::Exists(Keys::One(key)))
            }
            (Route::Keys(keys), Request::Del(_)) => {
                self.divide(peers, op, keys, false, |key| Request::Del(Keys::One(key)))
            }
            (Route::Keys(keys), _) => self.divide(peers, op, keys, true, Request::Get),
            (Route::Peer(peer), _) => {
                let Some(peer) = peers.get_mut(peer) else {
                    return Err(Error::new(Code::RedisUnavailable, "The node has left the cluster"));
                };
                let write = |out: &mut Vec<u8>| request.encode(out);
                if quiet { peer.lane.push_quiet(op, write) } else { peer.lane.push(op, write) }
            }
            (Route::Anywhere, _) => {
                let write = |out: &mut Vec<u8>| request.encode(out);
                let up = peers.iter().find(|(_, peer)| peer.lane.is_up()).map(|(id, _)| id);
                match up.and_then(|id| peers.get_mut(id)) {
                    Some(peer) if quiet => peer.lane.push_quiet(op, write),
                    Some(peer) => peer.lane.push(op, write),
                    // Until one is there it waits as a command of any slot does.
                    None => self.push(peers, Slot::of(b""), op, quiet, write),
                }
            }
        }
    }

    /// One command for each key.
    fn divide<'k>(
        &mut self,
        peers: &mut ByPeer<Peer<Op>>,
        op: Op,
        keys: Keys<'k>,
        is_list: bool,
        of_one: impl Fn(&'k [u8]) -> Request<'k>,
    ) -> Result<()> {
        let keys: Vec<&[u8]> = match keys {
            Keys::One(key) => vec![key],
            Keys::Two(first, second) => vec![first, second],
            Keys::Page(page) => page.iter().collect(),
        };
        for (part, key) in Part::all(op, keys.len(), is_list).zip(keys) {
            let request = of_one(key);
            let queued = self.push(peers, Slot::of(key), Op::Part(part.clone()), false, |out| request.encode(out));
            if queued.is_err() {
                // Those before it are under way, and nobody is told what they are answered with.
                drop(part.failed());
                return queued;
            }
        }
        Ok(())
    }

    /// Queues a command of a slot.
    #[inline]
    pub(super) fn push(
        &mut self,
        peers: &mut ByPeer<Peer<Op>>,
        slot: Slot,
        op: Op,
        quiet: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        if self.room == 0 {
            let waiting = self.waiting() + peers.values().map(|peer| peer.lane.queue().waiting()).sum::<usize>();
            self.room = self.max.saturating_sub(waiting);
            if self.room == 0 {
                let why = format!("The queue to Redis is full: {waiting} calls wait (CC_REDIS_QUEUE_MAX)");
                return Err(Error::new(Code::QueueFull, why));
            }
        }
        self.room -= 1;
        let place = if self.after_close.is_none() { self.router.place(slot) } else { None };
        if let Some(peer) = place.and_then(|at| peers.get_mut(at)) {
            self.fresh += 1;
            return if quiet { peer.lane.push_quiet_at(slot, op, write) } else { peer.lane.push_at(slot, op, write) };
        }
        let mut bytes = Vec::new();
        write(&mut bytes);
        let held = self.router.bytes() + bytes.len();
        if held > self.max_bytes {
            let why = format!("The queue to Redis is full: {held} bytes would wait (CC_REDIS_QUEUE_MAX_BYTES)");
            return Err(Error::new(Code::QueueFull, why));
        }
        let command = Withdrawn { tag: op, slot, bytes, deadline: 0, quiet };
        match &mut self.after_close {
            Some(later) => later.push(command),
            None => self.router.hold(command),
        }
        Ok(())
    }

    /// Takes what a node has told of the cluster out of a batch, and what it refused.
    pub(super) fn take_from(&mut self, peers: &mut ByPeer<Peer<Op>>, from: PeerId, batch: &mut Batch<Op>, now: Nanos) {
        let before = self.router.counters().switched;
        let Batch { buffer, tokens, items, has_slotless, refused, withdrawn, .. } = batch;
        // First: until the router has what was refused, nothing of its slots may go anywhere.
        if !refused.is_empty() {
            let (refused, withdrawn) = (std::mem::take(refused), std::mem::take(withdrawn));
            self.doubted.extend(refused.iter().map(|refused| refused.slot));
            self.router.refused(from, refused, withdrawn, peers, now);
            self.is_stirred = true;
        }
        // Nearly every batch has answers of keys alone.
        if *has_slotless {
            items.retain(|item| {
                let Item::Reply { tag, tokens: range, .. } = item else { return true };
                let tokens = &tokens[range.clone()];
                match tag {
                    Op::Map(Told::Addresses) => self.endpoints = endpoints(buffer, tokens),
                    Op::Map(Told::Nodes) => self.take_map(peers, from, buffer, &tokens[0], now),
                    Op::Marks(..) if self.is_news(from, buffer, &tokens[0]) => {
                        self.take_map(peers, from, buffer, &tokens[0], now);
                    }
                    _ => {}
                }
                !matches!(tag, Op::Map(_))
            });
        }
        self.router.settle(peers, now);
        if self.router.counters().switched != before {
            peers.iter_mut().for_each(|(_, peer)| peer.owns_other_slots());
        }
    }

    /// Whether what a server tells for a scan may say more of the cluster than is known: to read all of it takes a while.
    fn is_news(&mut self, from: PeerId, buffer: &[u8], answer: &Token) -> bool {
        let Token::Text(range) = answer else { return false };
        let Ok(node) = own(&String::from_utf8_lossy(&buffer[range.clone()])) else { return false };
        let is_same = self.own.get(from) == Some(&node) && node.leaving.is_empty();
        if let Some(last) = self.own.get_mut(from) {
            *last = node;
        } else {
            self.own.insert(from, node);
        }
        !is_same
    }

    fn take_map(&mut self, peers: &mut ByPeer<Peer<Op>>, from: PeerId, buffer: &[u8], answer: &Token, now: Nanos) {
        let told = match answer {
            Token::Text(range) => {
                std::str::from_utf8(&buffer[range.clone()]).map_err(|_| "a map that is no text".to_owned())
            }
            Token::Error(range) => Err(String::from_utf8_lossy(&buffer[range.clone()]).into_owned()),
            _ => Err("no map".to_owned()),
        };
        self.is_stirred = true;
        let teller = self.router.endpoint(from).cloned();
        let found = told.and_then(|text| {
            let teller = teller.ok_or("a map of nobody")?;
            nodes(text, &teller, &self.endpoints)
        });
        match found {
            Ok(nodes) => {
                self.trouble = None;
                self.doubted.extend(self.router.mapped(from, &nodes, peers, now));
                // Who gets slots has keys before it owns any.
                let targets = nodes.iter().find(|node| node.is_myself).map_or(&[][..], |node| &node.targets);
                for node in nodes.iter().filter(|node| targets.contains(&node.id)) {
                    if let Some(endpoint) = &node.endpoint {
                        self.router.visit(endpoint, now);
                    }
                }
            }
            Err(why) => {
                self.trouble = Some(why);
                self.router.unmapped(from);
            }
        }
    }

    /// A server is about to be taken out: what it was asked that has no slot.
    pub(super) fn close(&mut self, peers: &mut ByPeer<Peer<Op>>, id: PeerId) -> Vec<Withdrawn<Op>> {
        self.own.remove(id);
        self.router.close(id, peers)
    }

    /// The connection to a server is lost, or was ended.
    pub(super) fn lost(&mut self, peers: &mut ByPeer<Peer<Op>>, id: PeerId, now: Nanos) {
        self.router.lost(id, peers, now);
        self.is_stirred = true;
    }

    /// Asks a node for its map, where that is due.
    pub(super) fn ask(&mut self, peers: &mut ByPeer<Peer<Op>>, now: Nanos, is_busy: bool) {
        let Some(id) = self.router.question(now, is_busy) else { return };
        let Some(peer) = peers.get_mut(id) else { return self.router.unmapped(id) };
        for (which, words) in [(Told::Addresses, ASK_SLOTS), (Told::Nodes, ASK_NODES)] {
            if peer.lane.push_quiet(Op::Map(which), |out| push_command(out, words)).is_err() {
                self.router.unmapped(id);
            }
        }
    }

    /// `close()` begins: calls from here on wait until it is over. How many wait already, for an earlier one.
    pub(super) fn hold_new(&mut self) -> usize {
        self.after_close.get_or_insert_default().len()
    }

    /// It is over.
    pub(super) fn release_new(&mut self) {
        for command in self.after_close.take().into_iter().flatten() {
            self.router.hold(command);
        }
    }

    /// The flush at the end of a tick: deadlines of what no server has start here.
    pub(super) fn stamp(&mut self, now: Nanos) {
        self.fresh = 0;
        self.router.stamp(now);
        for command in self.after_close.iter_mut().flatten().filter(|command| command.deadline == 0) {
            command.deadline = now + self.timeout;
        }
    }

    /// Takes calls that no server has and whose deadline has passed.
    pub(super) fn expire(&mut self, now: Nanos) -> Vec<Late<Op>> {
        let mut late = Vec::new();
        self.router.expire(now, &mut late);
        let is_over = |command: &mut Withdrawn<Op>| command.deadline > 0 && command.deadline <= now;
        let over = self.after_close.iter_mut().flat_map(|later| later.extract_if(.., is_over));
        late.extend(over.map(Late::of));
        late
    }

    /// Takes all calls that no server has, but for those that were made after `close()`, each with its command and key.
    pub(super) fn give_up(&mut self) -> Vec<(Op, String)> {
        self.router.give_up().map(|command| (command.tag, describe(&command.bytes))).collect()
    }

    /// What went wrong with the last map, if anything.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
