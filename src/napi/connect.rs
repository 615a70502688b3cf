//! Attempts to connect: names, addresses, and how an attempt or a connection ends.

use std::collections::VecDeque;
use std::rc::Rc;

use super::engine::Engine;
use super::hooks::Hook;
use super::js::Outside;
use super::link::{Link, Node};
use super::socket::{Endpoint, Stream, name};
use super::state::{CLOSED, Core};
use super::turn::on_poll;
use super::uv::{DISCONNECT, READABLE, WRITABLE};
use crate::config::Address;
use crate::error::{Code, Error};
use crate::host::{Literal, literal};
use crate::redis::by_peer::PeerId;
use crate::redis::supervise::{Asked, Due, State};
use crate::redis::{MILLI, Nanos};
use crate::services::table::tracked_prefixes;

/// How long one address of several may take to connect before the next one is tried.
const ADDRESS_LIMIT: Nanos = 1_000 * MILLI;

impl Engine {
    fn begin_attempt(&self, node: &mut Node) {
        node.stalled_before = self.stalled.get();
        node.changed();
    }

    /// Starts an attempt that the supervisor has decided on.
    pub(super) fn start_attempt(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        self.begin_attempt(&mut core.nodes[at]);
        if core.sentinels.is_some() {
            self.seek_master(core);
        } else {
            self.connect_to_target(core, at);
        }
    }

    /// Starts an attempt where calls want one now.
    pub(super) fn attempt_if_wanted(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        if core.peers.want(at) && core.peers[at].supervisor.wanted(self.uv.now()) {
            self.start_attempt(core, at);
        }
    }

    /// The attempt goes on: it is known which server is meant.
    pub(super) fn connect_to_target(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        let node = &mut core.nodes[at];
        match core.peers[at].target() {
            Address::Unix(path) => node.endpoints = [Endpoint::Unix(path.clone())].into(),
            Address::Tcp(host, port) => {
                let Some(literal) = literal(host) else {
                    core.names.push(host.clone());
                    return;
                };
                match Endpoint::at(literal, *port) {
                    Ok(endpoint) => node.endpoints = [endpoint].into(),
                    Err(why) => return self.attempt_failed(core, at, &why),
                }
            }
            // Nobody has said yet where it is.
            Address::Master(_) => {}
        }
        self.connect_next(core, at, "no address");
    }

    /// Asks JavaScript to resolve the host names that are waited for.
    pub(super) fn resolve_hosts(self: &Rc<Self>, outside: &mut Outside) {
        loop {
            let asked = self.with_core(outside, |core| {
                while let Some(host) = core.names.pop() {
                    if let Some(question) = core.lookups.ask(&host) {
                        return Some((host, question));
                    }
                }
                None
            });
            let Some((host, question)) = asked.flatten() else { return };
            self.resolve_host(outside, &host, question);
        }
    }

    fn resolve_host(self: &Rc<Self>, outside: &mut Outside, host: &str, question: u32) {
        let env = self.env;
        let put = env.scoped(|| {
            let put = env.as_callback(self.async_context, outside, |outside| {
                let args = [env.text(host.as_bytes())?, env.number(question.into())?];
                env.invoke(outside, env.undefined()?, self.hook(Hook::Lookup)?, &args)
            });
            env.take_exception();
            matches!(put, Some(Ok(_)))
        });
        if put != Some(true) {
            // JavaScript has no stack left, say: nobody will answer.
            self.resolved(outside, question, &[], &format!("getaddrinfo {host}: the resolver could not be asked"));
        }
    }

    /// JavaScript has resolved a name, or could not.
    pub(super) fn resolved(self: &Rc<Self>, outside: &mut Outside, question: u32, addresses: &[String], failure: &str) {
        let taken = self.with_core(outside, |core| self.take_addresses(core, question, addresses, failure));
        if taken == Some(true) {
            self.finish_turn(outside);
        }
    }

    /// False: they are of no use now.
    fn take_addresses(self: &Rc<Self>, core: &mut Core, question: u32, addresses: &[String], failure: &str) -> bool {
        let literals: Vec<_> = addresses.iter().filter_map(|text| literal(text)).collect();
        let Some(name) = core.lookups.answered(question, !literals.is_empty()) else { return false };
        let of_sentinels = self.take_sentinel_addresses(core, &name, &literals, failure);
        let mut of_targets = false;
        core.each(|core, at| of_targets |= self.take_target_addresses(core, at, &name, &literals, failure));
        of_targets || of_sentinels
    }

    fn take_target_addresses(
        self: &Rc<Self>,
        core: &mut Core,
        at: PeerId,
        name: &str,
        literals: &[Literal<'_>],
        failure: &str,
    ) -> bool {
        let port = match core.peers[at].target() {
            Address::Tcp(host, port) if host == name && !core.is_searching() => *port,
            _ => return false,
        };
        let mut endpoints: VecDeque<_> =
            literals.iter().filter_map(|&literal| Endpoint::at(literal, port).ok()).collect();
        // The attempt that asked may have given up. Another one need not begin with the question.
        if core.sentinels.is_none() && !endpoints.is_empty() && core.asked(at) == Asked::Somebody {
            let supervisor = &mut core.peers[at].supervisor;
            supervisor.hurry(self.uv.now());
            if supervisor.due(self.uv.now(), Asked::Somebody) == Due::Attempt {
                self.begin_attempt(&mut core.nodes[at]);
            }
        }
        let supervisor = &core.peers[at].supervisor;
        if supervisor.state() != State::Connecting || core.nodes[at].link.is_some() {
            return false;
        }
        // An address that accepts connections and then keeps silent must not shut out the others for good.
        let others = supervisor.attempts() as usize % endpoints.len().max(1);
        endpoints.rotate_left(others);
        core.forget_host(at);
        core.nodes[at].endpoints = endpoints;
        self.connect_next(core, at, if failure.is_empty() { "no usable address" } else { failure });
        true
    }

    /// Tries the attempt's next address; without one the attempt has failed, for the last reason.
    fn connect_next(self: &Rc<Self>, core: &mut Core, at: PeerId, failure: &str) {
        let mut failure = failure.to_owned();
        while let Some(endpoint) = core.nodes[at].endpoints.pop_front() {
            let trust = core.nodes[at].trust.as_ref();
            match Stream::connect(&endpoint, trust).map(|stream| self.open_link(core, at, stream, endpoint.clone())) {
                Ok(true) => return,
                Ok(false) => failure = format!("connect {endpoint}: the event loop refused the socket"),
                Err(error) => failure = format!("connect {} {endpoint}", name(&error)),
            }
        }
        self.attempt_failed(core, at, &failure);
    }

    /// Leaves an address that does not answer for the next one of the same name.
    pub(super) fn leave_silent_address(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        let Node { link: Some(link), endpoints, .. } = &core.nodes[at] else { return };
        if link.connected || endpoints.is_empty() || self.now().saturating_sub(link.since) < ADDRESS_LIMIT {
            return;
        }
        let failure = format!("connect ETIMEDOUT {}", link.endpoint);
        self.disconnect(core, at);
        self.connect_next(core, at, &failure);
    }

    /// Watches a socket that connects. False: the event loop refuses it.
    fn open_link(self: &Rc<Self>, core: &mut Core, at: PeerId, stream: Stream, endpoint: Endpoint) -> bool {
        let Some(handle) = self.poll_handle(stream.descriptor()) else { return false };
        let link = Link { stream, handle, endpoint, connected: false, since: self.now(), watching: 0 };
        core.nodes[at].link = Some(link);
        self.progressed(core, at);
        self.watch(core, at);
        true
    }

    /// A socket that connects has become writable, or has failed.
    pub(super) fn connected(self: &Rc<Self>, core: &mut Core, at: PeerId, status: i32) {
        let Some(link) = &mut core.nodes[at].link else { return };
        match link.stream.connected() {
            Ok(()) if status >= 0 => {
                link.connected = true;
                link.since = self.now();
                let tracks = core.config.near_max_bytes.is_some();
                let prefixes = if tracks { tracked_prefixes() } else { Vec::new() };
                let local = link.stream.local_address();
                let peer = &mut core.peers[at];
                core.store.scans_answered_under(peer.epoch());
                peer.connected(&core.config, prefixes, local, core.store.has_cursors_of(at));
                self.progressed(core, at);
            }
            result => {
                let why = result.err().map_or_else(|| format!("poll error {status}"), |error| name(&error));
                let failure = format!("connect {why} {}", link.endpoint);
                self.disconnect(core, at);
                self.connect_next(core, at, &failure);
            }
        }
    }

    /// The attempt has come one step further. What blocked the loop before that does not count any more.
    pub(super) fn progressed(&self, core: &mut Core, at: PeerId) {
        core.peers[at].progressed(self.uv.now());
        core.nodes[at].stalled_before = self.stalled.get();
    }

    /// The attempt failed, and so will the next: what waits is rejected now. The next call tries again, so that a server that
    /// is put right is found.
    pub(super) fn hopeless(self: &Rc<Self>, core: &mut Core, at: PeerId, why: &str) {
        self.attempt_failed(core, at, why);
        let error = Error::new(Code::RedisUnavailable, why).finally();
        core.give_up_held(&error);
        core.abandon(at, u64::MAX, error);
    }

    /// The connection is lost.
    pub(super) fn lost(self: &Rc<Self>, core: &mut Core, at: PeerId, why: &str) {
        let why = core.with_hint(at, why);
        self.attempt_failed(core, at, &why);
    }

    /// The attempt, or the connection, came to nothing. What waits goes on waiting until its deadline.
    pub(super) fn attempt_failed(self: &Rc<Self>, core: &mut Core, at: PeerId, why: &str) {
        self.disconnect(core, at);
        core.nodes[at].endpoints.clear();
        core.forget_host(at);
        if let Some(sentinels) = &mut core.sentinels {
            sentinels.rules.give_up();
        }
        core.peers.failed(at, why, self.uv.now(), self.now());
        core.store.ids.lost(at);
        core.nodes[at].changed();
        if let Some(closing) = core.closing.back() {
            let count = core.peers.unsettled(at, &closing.marks);
            core.abandon(at, count, Error::new(Code::Closed, CLOSED));
        }
        self.attempt_if_due(core, at);
    }

    /// Begins the next attempt, or none, where that is due.
    pub(super) fn attempt_if_due(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        let asked = core.asked(at);
        match core.peers[at].supervisor.due(self.uv.now(), asked) {
            Due::Nothing => {}
            Due::Attempt => self.start_attempt(core, at),
            Due::Rest => core.nodes[at].changed(),
        }
    }

    /// Lets go of the socket.
    pub(super) fn disconnect(&self, core: &mut Core, at: PeerId) {
        core.peers[at].watchdog.reset();
        let node = &mut core.nodes[at];
        node.blocked = false;
        node.fresh = false;
        node.failed_write = None;
        self.end_probes(node);
        if let Some(Link { stream, handle, .. }) = node.link.take() {
            // SAFETY: the link owns the handle and is taken out here, so it is closed once, before its descriptor.
            unsafe { handle.close(&self.uv) };
            drop(stream);
        }
    }

    /// Watches the socket for what matters now.
    pub(super) fn watch(&self, core: &mut Core, at: PeerId) {
        let node = &mut core.nodes[at];
        let writing = node.blocked;
        let Some(link) = &mut node.link else { return };
        let events = match (link.connected, writing) {
            (false, _) => WRITABLE | DISCONNECT,
            (true, true) => READABLE | WRITABLE,
            (true, false) => READABLE,
        };
        if link.watching != events {
            // SAFETY: the link's handle is open.
            unsafe { link.handle.watch(&self.uv, events, on_poll) };
            link.watching = events;
        }
    }
}
