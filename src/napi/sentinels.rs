//! Connections to sentinels on the event loop: see [`crate::sentinel`].

use std::collections::VecDeque;
use std::ffi::c_int;
use std::rc::Rc;

use super::clock::wall;
use super::engine::Engine;
use super::sentinel_link::SentinelLink;
use super::socket::{Endpoint, Stream, name};
use super::state::Core;
use super::teardown::engine;
use super::uv::{self, DISCONNECT, READABLE, WRITABLE};
use crate::error::{Code, Error};
use crate::host::{Literal, literal};
use crate::near::LEASE;
use crate::redis::by_peer::PeerId;
use crate::redis::supervise::State;
use crate::sentinel::known::{Failure, Number};
use crate::sentinel::roster::Action;
use crate::sentinel::search::Found;
use crate::sentinel::wire::Wire;

/// With sentinels there is one server: the one that they name.
const MASTER: PeerId = PeerId::FIRST;

impl Engine {
    /// An attempt to connect begins with the question which server is the master.
    pub(super) fn seek_master(self: &Rc<Self>, core: &mut Core) {
        let Some(sentinels) = &mut core.sentinels else { return };
        sentinels.rules.seek(self.now());
        self.tend_sentinels(core);
    }

    /// Time has passed, and there may be calls.
    pub(super) fn look_at_sentinels(self: &Rc<Self>, core: &mut Core) {
        if core.sentinels.is_none() || core.peers[MASTER].supervisor.state() == State::Idle {
            return;
        }
        let waits = core.waits();
        let Some(sentinels) = &mut core.sentinels else { return };
        sentinels.rules.look(waits, self.now());
        self.tend_sentinels(core);
    }

    /// The server does not answer, or does.
    pub(super) fn doubt_master(self: &Rc<Self>, core: &mut Core, doubted: bool) {
        let Some(sentinels) = &mut core.sentinels else { return };
        sentinels.rules.doubt(doubted.then(wall), self.now());
        self.tend_sentinels(core);
    }

    /// Carries out what the sentinels' rules want, and draws the conclusions.
    fn tend_sentinels(self: &Rc<Self>, core: &mut Core) {
        while let Some(action) = core.sentinels.as_mut().and_then(|sentinels| sentinels.rules.action()) {
            match action {
                Action::Open(number) => self.open_sentinel(core, number),
                Action::Close(number) => self.close_sentinel(core, number),
                Action::Ask(number, question) => {
                    if let Some(link) = core.sentinels.as_mut().and_then(|sentinels| sentinels.link(number)) {
                        link.wire.ask(question);
                    }
                }
            }
        }
        self.write_to_sentinels(core);
        let Some(sentinels) = &mut core.sentinels else { return };
        core.store.ids.attested(MASTER, sentinels.rules.attested());
        match sentinels.rules.found() {
            None => {}
            Some(Found::Master(master)) => {
                let (host, name) = (master.host.clone(), sentinels.rules.name().to_owned());
                core.peers[MASTER].move_to(master.address(), &name);
                let named = core.nodes[MASTER].trust.as_ref().map(|trust| trust.named(&host)).transpose();
                match named {
                    Ok(trust) => {
                        core.nodes[MASTER].trust = trust;
                        return self.connect_to_target(core, MASTER);
                    }
                    Err(why) => return self.attempt_failed(core, MASTER, &why),
                }
            }
            Some(Found::Nothing(why)) => return self.attempt_failed(core, MASTER, &why),
            Some(Found::Unknown(why)) => return self.hopeless(core, MASTER, &why),
            Some(Found::Refused(why)) => {
                let why = format!("{why}; CC_REDIS_SENTINEL_USER and CC_REDIS_SENTINEL_PASSWORD are for sentinels");
                self.attempt_failed(core, MASTER, &why);
                core.abandon(MASTER, u64::MAX, Error::new(Code::RedisAuth, why));
                return;
            }
        }
        let has_news = sentinels.rules.has_news();
        if has_news && matches!(core.peers[MASTER].supervisor.state(), State::Waiting(_)) {
            core.peers[MASTER].supervisor.hurry(self.uv.now());
            return self.attempt_if_due(core, MASTER);
        }
        if !sentinels.rules.is_searching()
            && matches!(core.peers[MASTER].supervisor.state(), State::Ready | State::Connecting)
            && let Some(rival) = sentinels.rules.rival(wall().saturating_sub(LEASE))
        {
            let name = sentinels.rules.name();
            let why = format!(
                "the sentinels name {rival} as the master {name} now, no longer {}",
                core.peers[MASTER].target()
            );
            self.attempt_failed(core, MASTER, &why);
            core.peers[MASTER].supervisor.hurry(self.uv.now());
            self.attempt_if_due(core, MASTER);
        }
    }

    fn write_to_sentinels(&self, core: &mut Core) {
        let Some(sentinels) = &mut core.sentinels else { return };
        for link in &mut sentinels.links {
            // Why a write failed is told by the next read.
            let _ = link.write_out();
            self.watch_sentinel(link);
        }
    }

    /// Watches a sentinel's socket for what matters now.
    fn watch_sentinel(&self, link: &mut SentinelLink) {
        let Some((_, handle)) = &link.socket else { return };
        let events = match (link.connected, link.wire.unsent().is_empty()) {
            (false, _) => WRITABLE | DISCONNECT,
            (true, false) => READABLE | WRITABLE,
            (true, true) => READABLE,
        };
        if link.watching != events {
            // SAFETY: the link's handle is open.
            unsafe { handle.watch(&self.uv, events, on_sentinel) };
            link.watching = events;
        }
    }

    fn open_sentinel(self: &Rc<Self>, core: &mut Core, number: Number) {
        let (Some(sentinels), Some(config)) = (&mut core.sentinels, &core.config.sentinels) else { return };
        let Some(known) = sentinels.rules.of(number) else { return };
        let (host, port) = (known.host.clone(), known.port);
        let mut link = SentinelLink {
            number,
            wire: Wire::new(&core.config, config),
            lookup: None,
            port,
            endpoints: VecDeque::new(),
            socket: None,
            connected: false,
            watching: 0,
        };
        if let Some(literal) = literal(&host) {
            link.endpoints.extend(Endpoint::at(literal, port));
        } else {
            link.lookup = Some(host.clone());
            core.names.push(host);
        }
        let waits = link.lookup.is_some();
        sentinels.links.push(link);
        if !waits {
            self.connect_sentinel(core, number, "it has no address that can be used here");
        }
    }

    /// A name was resolved, or not. True: a sentinel waited for it.
    pub(super) fn take_sentinel_addresses(
        self: &Rc<Self>,
        core: &mut Core,
        name: &str,
        literals: &[Literal<'_>],
        failure: &str,
    ) -> bool {
        let Some(sentinels) = &mut core.sentinels else { return false };
        let mut numbers = Vec::new();
        for link in sentinels.links.iter_mut().filter(|link| link.lookup.as_deref() == Some(name)) {
            link.lookup = None;
            link.endpoints.extend(literals.iter().filter_map(|&literal| Endpoint::at(literal, link.port).ok()));
            numbers.push(link.number);
        }
        for &number in &numbers {
            self.connect_sentinel(core, number, if failure.is_empty() { "no usable address" } else { failure });
        }
        if !numbers.is_empty() {
            self.tend_sentinels(core);
        }
        !numbers.is_empty()
    }

    /// Tries a sentinel's next address; without one it has failed, for the last reason.
    fn connect_sentinel(self: &Rc<Self>, core: &mut Core, number: Number, why: &str) {
        let mut why = why.to_owned();
        let trust = core.nodes[MASTER].trust.clone();
        loop {
            let Some(sentinels) = &mut core.sentinels else { return };
            let Some(host) = sentinels.rules.of(number).map(|known| known.host.clone()) else { return };
            let Some(link) = sentinels.link(number) else { return };
            let Some(endpoint) = link.endpoints.pop_front() else {
                return sentinels.rules.failed(number, Failure::Away(why), self.now());
            };
            let stream = match trust.as_ref().map(|trust| trust.named(&host)).transpose() {
                Ok(trust) => Stream::connect(&endpoint, trust.as_ref()).map_err(|error| name(&error)),
                Err(unusable) => Err(unusable),
            };
            let watched = stream.and_then(|stream| match self.poll_handle(stream.descriptor()) {
                Some(handle) => Ok((stream, handle)),
                None => Err("the event loop refused the socket".to_owned()),
            });
            match watched {
                Ok(socket) => {
                    link.socket = Some(socket);
                    link.connected = false;
                    link.watching = 0;
                    self.watch_sentinel(link);
                    return sentinels.rules.progressed(number, self.now());
                }
                Err(words) => why = format!("connect {words} {endpoint}"),
            }
        }
    }

    fn close_sentinel(&self, core: &mut Core, number: Number) {
        let Some(sentinels) = &mut core.sentinels else { return };
        if let Some(at) = sentinels.links.iter().position(|link| link.number == number) {
            let link = sentinels.links.swap_remove(at);
            self.close_socket(link);
        }
    }

    fn close_socket(&self, mut link: SentinelLink) {
        if let Some((stream, handle)) = link.socket.take() {
            // SAFETY: the link owns the handle and is taken out here, so it is closed once, before its descriptor.
            unsafe { handle.close(&self.uv) };
            drop(stream);
        }
    }

    /// Lets go of all sentinels.
    pub(super) fn leave_sentinels(&self, core: &mut Core) {
        let Some(sentinels) = &mut core.sentinels else { return };
        sentinels.rules.close();
        while sentinels.rules.action().is_some() {}
        for link in std::mem::take(&mut sentinels.links) {
            self.close_socket(link);
        }
        core.forget_host(MASTER);
        core.store.ids.attested(MASTER, None);
    }

    fn sentinel_polled(self: &Rc<Self>, core: &mut Core, status: c_int, handle: *mut uv::Handle) {
        let Some(sentinels) = &mut core.sentinels else { return };
        let is_its = |link: &&mut SentinelLink| link.socket.as_ref().is_some_and(|(_, own)| own.is(handle));
        let Some(link) = sentinels.links.iter_mut().find(is_its) else { return };
        let number = link.number;
        if status < 0 {
            // libuv has stopped watching. What went wrong is told by the socket.
            link.watching = 0;
        }
        if !link.connected {
            let connected = link.socket.as_ref().map_or(Ok(()), |(stream, _)| stream.connected());
            if let (Ok(()), 0..) = (&connected, status) {
                link.connected = true;
                link.wire.connected();
                sentinels.rules.progressed(number, self.now());
            } else {
                let words = connected.err().map_or_else(|| format!("poll error {status}"), |error| name(&error));
                if let Some((stream, handle)) = link.socket.take() {
                    // SAFETY: the link owns the handle, which is taken out here.
                    unsafe { handle.close(&self.uv) };
                    drop(stream);
                }
                self.connect_sentinel(core, number, &format!("connect {words}"));
            }
            return self.tend_sentinels(core);
        }
        let mut heard = Vec::new();
        let ended = link.read_in(&mut heard).err();
        let ended = ended.or_else(|| (status < 0).then(|| format!("poll error {status}")));
        for heard in heard {
            sentinels.rules.heard(number, heard, self.now());
        }
        if let Some(why) = ended {
            sentinels.rules.failed(number, Failure::Away(why), self.now());
        }
        self.tend_sentinels(core);
    }
}

unsafe extern "C" fn on_sentinel(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine, outside| {
        engine.with_core(outside, |core| engine.sentinel_polled(core, status, handle));
        engine.finish_turn(outside);
    });
}
