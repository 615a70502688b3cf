//! The engine's socket: attempts to connect, and turns of reading, settling and writing.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::io::ErrorKind;
use std::rc::Rc;

use super::engine::{Core, Engine, Hook, engine};
use super::probe::Probe;
use super::socket::{Endpoint, Stream, name};
use super::uv::{self, DISCONNECT, READABLE, RawHandle, WRITABLE};
use crate::config::Address;
use crate::error::Code;
use crate::host::literal;
use crate::map::backend::Backend as _;
use crate::map::op::{Op, Outcomes};
use crate::redis::lane::{Batch, News};
use crate::redis::lookup::Use;
use crate::redis::supervise::{Asked, Due, State};
use crate::redis::trust::Trust;
use crate::redis::{MILLI, Nanos};
use crate::services::table::tracked_prefixes;

/// What calls are told that `close()` could not finish.
pub(super) const CLOSED: &str = "The connection was closed before an answer came";

/// How long one address of several may take to connect before the next one is tried.
const ADDRESS_LIMIT: Nanos = 1_000 * MILLI;

/// So many reads are made in the middle of a call: some 4 MB.
const LOOKS: u32 = 64;

/// How long one turn may go on before the loop's other descriptors and timers have theirs.
const TURN: Nanos = MILLI;

/// The socket and what is known of where to connect it.
#[derive(Default)]
pub(super) struct Connection {
    /// How TLS is spoken, where it is.
    pub(super) trust: Option<Trust>,
    pub(super) link: Option<Link>,
    /// Ask a silent server whether it answers at all; the oldest first.
    pub(super) probes: VecDeque<Probe>,
    /// Addresses that this attempt has not tried yet.
    endpoints: VecDeque<Endpoint>,
    /// The socket would not take more when it was last written to.
    blocked: bool,
    /// Something was written since the loop last looked at the socket.
    fresh: bool,
    /// Why the last write failed. The socket tells it once, and then only that the connection has ended.
    failed_write: Option<String>,
}

impl Connection {
    /// Not connected.
    pub(super) fn new(trust: Option<Trust>) -> Self {
        Self { trust, ..Self::default() }
    }

    /// Where it goes to.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.link.as_ref().map(|link| link.endpoint.clone())
    }

    /// Whether the socket's last read left something that the event loop will not tell of.
    pub(super) fn has_more(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.stream.has_more())
    }
}

pub(super) struct Link {
    pub(super) stream: Stream,
    handle: RawHandle,
    pub(super) endpoint: Endpoint,
    /// It carries the handshake and calls.
    pub(super) connected: bool,
    /// Since when it is connected, or connects.
    pub(super) since: Nanos,
    watching: c_int,
}

/// What a read brought.
enum Read {
    /// Nothing is there.
    Nothing,
    /// Bytes.
    Bytes,
    /// The connection is lost.
    Lost(String),
    /// So it is, and the next one will be: calls need not wait for it.
    Hopeless(String),
}

impl Engine {
    fn begin_attempt(&self, core: &mut Core) {
        core.stalled_before = self.stalled.get();
        core.changed();
    }

    /// Starts an attempt that the supervisor has decided on.
    pub(super) fn start_attempt(self: &Rc<Self>, core: &mut Core) {
        self.begin_attempt(core);
        match core.peer.target() {
            Address::Unix(path) => core.connection.endpoints = [Endpoint::Unix(path.clone())].into(),
            Address::Tcp(host, port) => {
                let Some(literal) = literal(host) else {
                    core.lookup = true;
                    return;
                };
                match Endpoint::at(literal, *port) {
                    Ok(endpoint) => core.connection.endpoints = [endpoint].into(),
                    Err(why) => return self.attempt_failed(core, &why),
                }
            }
        }
        self.connect_next(core, "no address");
    }

    /// Asks JavaScript to resolve the host name, if an attempt waits for that.
    pub(super) fn look_up(self: &Rc<Self>) {
        let (host, question) = {
            let mut slot = self.core.borrow_mut();
            let Some(core) = slot.as_mut().filter(|core| core.lookup) else { return };
            core.lookup = false;
            let Address::Tcp(host, _) = core.peer.target() else { return };
            let Some(question) = core.lookups.ask(host) else { return };
            (host.clone(), question)
        };
        let env = self.env;
        let put = env.scoped(|| {
            let put = env.as_callback(self.async_context, || {
                let args = [env.text(host.as_bytes())?, env.number(question.into())?];
                env.invoke(env.undefined()?, self.hook(Hook::Lookup)?, &args)
            });
            env.take_exception();
            matches!(put, Some(Ok(_)))
        });
        if put != Some(true) {
            // JavaScript has no stack left, say: nobody will answer.
            self.resolved(question, &[], &format!("getaddrinfo {host}: the resolver could not be asked"));
        }
    }

    /// Tells the logger why there is no near cache, once.
    pub(super) fn tell(&self) {
        let notice = match self.core.borrow_mut().as_mut() {
            Some(core) => core.notice.take(),
            None => None,
        };
        let Some(notice) = notice else { return };
        let env = self.env;
        env.scoped(|| {
            env.as_callback(self.async_context, || {
                env.invoke(env.undefined()?, self.hook(Hook::Notice)?, &[env.text(notice.as_bytes())?])
            });
            env.take_exception()
        });
    }

    /// JavaScript has resolved a name, or could not.
    pub(super) fn resolved(self: &Rc<Self>, question: u32, addresses: &[String], failure: &str) {
        {
            let mut slot = self.core.borrow_mut();
            let Some(core) = slot.as_mut() else { return };
            let (name, port) = match core.peer.target() {
                Address::Tcp(host, port) => (host.as_str(), *port),
                Address::Unix(_) => ("", 0),
            };
            let endpoint = |text: &String| Endpoint::at(literal(text)?, port).ok();
            let mut endpoints: VecDeque<_> = addresses.iter().filter_map(endpoint).collect();
            if core.lookups.answered(question, !endpoints.is_empty(), name) == Use::Ignore {
                return;
            }
            // The attempt that asked may have given up. Another one need not begin with the question.
            if !endpoints.is_empty() && core.peer.asked() == Asked::Somebody {
                core.peer.supervisor.hurry(self.uv.now());
                if core.peer.supervisor.due(self.uv.now(), Asked::Somebody) == Due::Attempt {
                    self.begin_attempt(core);
                }
            }
            if core.peer.supervisor.state() != State::Connecting || core.connection.link.is_some() {
                return;
            }
            core.lookup = false;
            // An address that accepts connections and then keeps silent must not shut out the others for good.
            let others = core.peer.supervisor.attempts() as usize % endpoints.len().max(1);
            endpoints.rotate_left(others);
            core.connection.endpoints = endpoints;
            self.connect_next(core, if failure.is_empty() { "no usable address" } else { failure });
        }
        self.finish_turn();
    }

    /// Tries the attempt's next address; without one the attempt has failed, for the last reason.
    fn connect_next(self: &Rc<Self>, core: &mut Core, failure: &str) {
        let mut failure = failure.to_owned();
        while let Some(endpoint) = core.connection.endpoints.pop_front() {
            let trust = core.connection.trust.as_ref();
            match Stream::connect(&endpoint, trust).map(|stream| self.open_link(core, stream, endpoint.clone())) {
                Ok(true) => return,
                Ok(false) => failure = format!("connect {endpoint}: the event loop refused the socket"),
                Err(error) => failure = format!("connect {} {endpoint}", name(&error)),
            }
        }
        self.attempt_failed(core, &failure);
    }

    /// Leaves an address that does not answer for the next one of the same name.
    pub(super) fn leave_silent_address(self: &Rc<Self>, core: &mut Core) {
        let Connection { link: Some(link), endpoints, .. } = &core.connection else { return };
        if link.connected || endpoints.is_empty() || self.now().saturating_sub(link.since) < ADDRESS_LIMIT {
            return;
        }
        let failure = format!("connect ETIMEDOUT {}", link.endpoint);
        self.disconnect(core);
        self.connect_next(core, &failure);
    }

    /// Watches a socket that connects. False: the event loop refuses it.
    fn open_link(self: &Rc<Self>, core: &mut Core, stream: Stream, endpoint: Endpoint) -> bool {
        let Some(handle) = self.poll_handle(stream.descriptor()) else { return false };
        let link = Link { stream, handle, endpoint, connected: false, since: self.now(), watching: 0 };
        core.connection.link = Some(link);
        self.progressed(core);
        self.watch(core);
        true
    }

    /// The attempt has come one step further. What blocked the loop before that does not count any more.
    fn progressed(&self, core: &mut Core) {
        core.peer.progressed(self.uv.now());
        core.stalled_before = self.stalled.get();
    }

    /// The attempt failed, and so will the next: what waits is rejected now. The next call tries again, so that a server that
    /// is put right is found.
    pub(super) fn hopeless(self: &Rc<Self>, core: &mut Core, why: &str) {
        self.attempt_failed(core, why);
        core.abandon(u64::MAX, Code::RedisUnavailable, why);
    }

    /// The connection is lost.
    fn lost(self: &Rc<Self>, core: &mut Core, why: &str) {
        let why = core.with_hint(why);
        self.attempt_failed(core, &why);
    }

    /// The attempt, or the connection, came to nothing. What waits goes on waiting until its deadline.
    pub(super) fn attempt_failed(self: &Rc<Self>, core: &mut Core, why: &str) {
        self.disconnect(core);
        core.connection.endpoints.clear();
        core.lookup = false;
        core.peer.failed(why, self.uv.now());
        core.store.ids.lost();
        core.changed();
        if let Some(closing) = core.closing.back().copied() {
            let (_, settled) = core.peer.watermark();
            core.abandon(closing.mark.saturating_sub(settled), Code::Closed, CLOSED);
        }
        self.attempt_if_due(core);
    }

    /// Begins the next attempt, or none, where that is due.
    pub(super) fn attempt_if_due(self: &Rc<Self>, core: &mut Core) {
        match core.peer.supervisor.due(self.uv.now(), core.peer.asked()) {
            Due::Nothing => {}
            Due::Attempt => self.start_attempt(core),
            Due::Rest => core.changed(),
        }
    }

    /// Lets go of the socket.
    pub(super) fn disconnect(&self, core: &mut Core) {
        core.connection.blocked = false;
        core.connection.fresh = false;
        core.connection.failed_write = None;
        core.peer.watchdog.reset();
        self.end_probes(core);
        if let Some(Link { stream, handle, .. }) = core.connection.link.take() {
            // SAFETY: the link owns the handle and is taken out here, so it is closed once, before its descriptor.
            unsafe { handle.close(&self.uv) };
            drop(stream);
        }
    }

    /// Watches the socket for what matters now.
    pub(super) fn watch(&self, core: &mut Core) {
        let writing = core.connection.blocked;
        let Some(link) = &mut core.connection.link else { return };
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

    /// Writes what the socket takes. A failed write is noticed by the next read.
    pub(super) fn write_out(core: &mut Core) {
        let Some(link) = core.connection.link.as_mut().filter(|link| link.connected) else { return };
        let was_blocked = std::mem::take(&mut core.connection.blocked);
        let failure = loop {
            let bytes = core.peer.lane.unsent();
            if bytes.is_empty() {
                match link.stream.is_held_up() {
                    Ok(held_up) => {
                        core.connection.blocked = held_up;
                        if was_blocked && !held_up {
                            core.peer.watchdog.sign();
                        }
                        return;
                    }
                    Err(error) => break error,
                }
            }
            let at = Self::wall();
            match link.stream.write(bytes) {
                Ok(count) => {
                    core.peer.lane.sent(count, at);
                    core.connection.fresh = true;
                    if was_blocked {
                        core.peer.watchdog.sign();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    core.connection.blocked = true;
                    return;
                }
                Err(error) => break error,
            }
        };
        // The first reason: after it the socket only says that it is closed.
        let why = || format!("write {} {}", name(&failure), link.endpoint);
        core.connection.failed_write.get_or_insert_with(why);
    }

    fn read_in(core: &mut Core) -> Read {
        let Some(link) = core.connection.link.as_mut().filter(|link| link.connected) else { return Read::Nothing };
        match link.stream.read(core.peer.lane.space()) {
            Ok(0) => Read::Lost(
                core.connection
                    .failed_write
                    .take()
                    .unwrap_or_else(|| format!("{} closed the connection", link.endpoint)),
            ),
            Ok(count) => {
                core.peer.lane.filled(count);
                core.peer.watchdog.sign();
                Read::Bytes
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Nothing,
            Err(error) => match link.stream.failure() {
                None => Read::Lost(format!("read {} {}", name(&error), link.endpoint)),
                Some(failure) => {
                    let words = core.peer.lane.secrets().mask(&failure.words);
                    let why = format!("TLS with {}: {words}", link.endpoint);
                    if failure.is_final { Read::Hopeless(why) } else { Read::Lost(why) }
                }
            },
        }
    }

    /// Reads; waits a moment on the socket where that pays.
    fn read_or_wait(&self, core: &mut Core) -> Read {
        let mut read = Self::read_in(core);
        if !matches!(read, Read::Nothing) || !core.peer.lane.expects_replies() {
            return read;
        }
        let window = core.spin.window();
        if window == 0 {
            return read;
        }
        let until = self.uv.now() + window;
        while matches!(read, Read::Nothing) && self.uv.now() < until {
            std::hint::spin_loop();
            read = Self::read_in(core);
        }
        core.spin.waited(!matches!(read, Read::Nothing));
        read
    }

    /// Reads all that has arrived, in the middle of a call: invalidations are seen before the near cache answers. No user
    /// code may run here, so replies are parked until the next turn. False: more comes than is read in one call, so that
    /// nobody knows what the near cache should know.
    pub(super) fn look(self: &Rc<Self>, core: &mut Core) -> bool {
        for _ in 0..LOOKS {
            match Self::read_in(core) {
                Read::Nothing => return true,
                Read::Lost(why) | Read::Hopeless(why) => {
                    self.lost(core, &why);
                    self.answer_soon();
                    return true;
                }
                Read::Bytes => {
                    let (mut batch, mut outcomes) = (Box::<Batch<_>>::default(), Vec::new());
                    self.decode(core, &mut batch, &mut outcomes);
                    outcomes.append(&mut core.later);
                    if !outcomes.is_empty() {
                        core.parked.push((batch, outcomes));
                    }
                    self.answer_soon();
                }
            }
        }
        false
    }

    /// Settles what was read in the middle of a call.
    pub(super) fn deliver_parked(&self) {
        let parked = match self.core.borrow_mut().as_mut() {
            Some(core) => std::mem::take(&mut core.parked),
            None => return,
        };
        for (batch, mut outcomes) in parked {
            self.deliver(&batch, &mut outcomes);
        }
    }

    /// Reads, settles, lets JavaScript run, writes what it asked for, and again, for about a millisecond.
    /// True when the socket was read to its end.
    pub(super) fn turn(self: &Rc<Self>) -> bool {
        let until = self.uv.now() + TURN;
        let mut batch = self.batch.take().unwrap_or_default();
        let mut outcomes = Vec::new();
        let mut drained = false;
        self.deliver_parked();
        while !self.is_dead() {
            {
                let mut slot = self.core.borrow_mut();
                let Some(core) = slot.as_mut() else { break };
                core.peer.lane.stamp(self.now());
                Self::write_out(core);
                // While the server works.
                core.store.ids.settle();
                core.connection.fresh = false;
                match self.read_or_wait(core) {
                    Read::Nothing => {
                        drained = true;
                        break;
                    }
                    Read::Bytes => self.decode(core, &mut batch, &mut outcomes),
                    Read::Lost(why) => self.lost(core, &why),
                    Read::Hopeless(why) => self.hopeless(core, &why),
                }
                outcomes.append(&mut core.later);
            }
            // What was read in the middle of a call came before this.
            self.deliver_parked();
            self.deliver(&batch, &mut outcomes);
            if self.uv.now() > until {
                break;
            }
        }
        self.batch.set(Some(batch));
        drained
    }

    fn decode(self: &Rc<Self>, core: &mut Core, batch: &mut Batch<Op>, outcomes: &mut Outcomes) {
        if !core.peer.lane.is_up() {
            self.progressed(core);
        }
        let news = core.peer.decode(batch, Self::wall());
        // Before what follows in the batch: it is the first that may fill the near cache.
        if let News::Ready(tracking) = &news
            && core.store.ids.ready(tracking.clone())
        {
            core.notice = core.store.ids.refusal().map(str::to_owned);
        }
        let epoch = core.peer.epoch();
        core.store.absorb(&mut core.peer, epoch, batch, outcomes);
        match news {
            News::None => {}
            News::Ready(_) => core.changed(),
            News::Refused(words) => {
                self.attempt_failed(core, &words);
                core.abandon(u64::MAX, Code::RedisAuth, &words);
            }
            News::Unfit(words) => {
                // A name may stand for another server by now; an attempt resolves it anew.
                self.attempt_failed(core, &words);
                core.peer.is_unfit(words);
            }
            News::Hopeless(why) => self.hopeless(core, &why),
            News::Broken(why) => self.attempt_failed(core, &why),
            News::Foreign(why) => {
                let endpoint =
                    core.connection.link.as_ref().map_or_else(String::new, |link| format!("{}: ", link.endpoint));
                self.hopeless(core, &format!("{endpoint}{why}"));
            }
        }
    }

    /// Settles what no reply brought.
    pub(super) fn deliver_later(&self) {
        let mut outcomes = match self.core.borrow_mut().as_mut() {
            Some(core) => std::mem::take(&mut core.later),
            None => return,
        };
        if !outcomes.is_empty() {
            self.deliver(&Batch::default(), &mut outcomes);
        }
    }

    /// Before the loop sleeps: writes what no tick wrote, and waits a moment for answers to what was just written.
    pub(super) fn before_sleep(self: &Rc<Self>) {
        self.hits_since.set(0);
        let (unwritten, fresh) = match &*self.core.borrow() {
            Some(core) => {
                (core.peer.lane.queue().unflushed() > 0, core.connection.fresh && core.peer.lane.expects_replies())
            }
            None => return,
        };
        if unwritten {
            self.flush();
        }
        // SAFETY: the loop of this environment, in a callback of it.
        if fresh && unsafe { self.uv.will_sleep(self.event_loop) } {
            self.turn();
            self.finish_turn();
        }
    }

    fn polled(self: &Rc<Self>, status: c_int) {
        {
            let mut slot = self.core.borrow_mut();
            let Some(core) = slot.as_mut() else { return };
            let Some(link) = &mut core.connection.link else { return };
            if status < 0 {
                // libuv has stopped watching. What went wrong, and what came before that, is told by reading.
                link.watching = 0;
            }
            if !link.connected {
                match link.stream.connected() {
                    Ok(()) if status >= 0 => {
                        link.connected = true;
                        link.since = self.now();
                        let tracks = core.config.near_max_bytes.is_some();
                        let prefixes = if tracks { tracked_prefixes() } else { Vec::new() };
                        let local = link.stream.local_address();
                        let asks_run = core.store.holds_cursors(core.peer.epoch());
                        core.peer.connected(&core.config, prefixes, local, asks_run);
                        self.progressed(core);
                    }
                    result => {
                        let why = result.err().map_or_else(|| format!("poll error {status}"), |error| name(&error));
                        let failure = format!("connect {why} {}", link.endpoint);
                        self.disconnect(core);
                        self.connect_next(core, &failure);
                    }
                }
            }
        }
        let drained = self.turn();
        if status < 0 && drained {
            self.unexplained(status);
        }
        self.finish_turn();
    }

    /// A socket that is said to be broken, and has nothing to read that says so, must not be watched again.
    fn unexplained(self: &Rc<Self>, status: c_int) {
        let mut slot = self.core.borrow_mut();
        let Some(core) = slot.as_mut() else { return };
        if core.connection.link.as_ref().is_some_and(|link| link.connected && link.watching == 0) {
            self.attempt_failed(core, &format!("poll error {status}"));
        }
    }
}

unsafe extern "C" fn on_poll(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine| engine.polled(status));
}
