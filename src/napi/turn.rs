//! Turns: reading, settling, letting JavaScript run, writing what it asked for.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::clock::wall;
use super::engine::Engine;
use super::hooks::Hook;
use super::js::Outside;
use super::state::Core;
use super::teardown::engine;
use super::traffic::Received;
use super::uv;
use crate::error::{Code, Error};
use crate::map::op::{Op, Outcomes};
use crate::redis::batch::Batch;
use crate::redis::by_peer::PeerId;
use crate::redis::lane::News;
use crate::redis::{MILLI, Nanos};

/// So many reads are made in the middle of a call: some 4 MB.
const READS_IN_A_CALL: u32 = 64;

/// How long one turn may go on before the loop's other descriptors and timers have theirs.
const TURN: Nanos = MILLI;

impl Engine {
    /// Runs a callback of the event loop. A panic must not unwind into libuv, nor end a process that others depend on: what
    /// waits is rejected, and the next call begins with a new connection.
    pub(super) fn guarded(self: &Rc<Self>, body: impl FnOnce(&Rc<Self>, &mut Outside)) {
        if self.is_dead() {
            return;
        }
        let mut outside = Outside::of_callback();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(self, &mut outside))) {
            let why = Error::bug(panic.as_ref());
            self.with_core_if_free(|core| {
                core.each(|core, at| {
                    self.attempt_failed(core, at, &why.message);
                    core.abandon(at, u64::MAX, why.clone());
                });
            });
            self.finish_turn(&mut outside);
        }
    }

    /// Tells the logger why there is no near cache, once.
    pub(super) fn tell(&self, outside: &mut Outside) {
        let Some(notice) = self.with_core(outside, |core| core.notice.take()).flatten() else { return };
        let env = self.env;
        env.scoped(|| {
            env.as_callback(self.async_context, outside, |outside| {
                env.invoke(outside, env.undefined()?, self.hook(Hook::Notice)?, &[env.text(notice.as_bytes())?])
            });
            env.take_exception()
        });
    }

    /// Reads; waits a moment on the sockets where that pays.
    fn read_or_wait(&self, core: &mut Core) -> Option<(PeerId, Received)> {
        let mut read = core.read_in_any();
        if read.is_some() || !core.peers.expect_replies() {
            return read;
        }
        let window = core.spin.window();
        if window == 0 {
            return read;
        }
        let until = self.uv.now() + window;
        while read.is_none() && self.uv.now() < until {
            std::hint::spin_loop();
            read = core.read_in_any();
        }
        core.spin.waited(read.is_some());
        read
    }

    /// Reads all that has arrived from a server, in the middle of a call: invalidations are seen before the near cache answers.
    /// No user code may run here, so replies are parked until the next turn. False: more comes than is read in one call, so
    /// that nobody knows what the near cache should know.
    pub(super) fn drain_socket(self: &Rc<Self>, core: &mut Core, at: PeerId) -> bool {
        for _ in 0..READS_IN_A_CALL {
            match core.read_in(at) {
                None => return true,
                Some(Received::Lost(why) | Received::Hopeless(why)) => {
                    self.lost(core, at, &why);
                    self.answer_soon();
                }
                Some(Received::Bytes) => {
                    let (mut batch, mut outcomes) = (Box::<Batch<_>>::default(), Vec::new());
                    self.decode(core, at, &mut batch, &mut outcomes);
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
    pub(super) fn deliver_parked(&self, outside: &mut Outside) {
        for (batch, mut outcomes) in
            self.with_core(outside, |core| std::mem::take(&mut core.parked)).unwrap_or_default()
        {
            self.deliver(outside, &batch, &mut outcomes);
        }
    }

    /// Reads, settles, lets JavaScript run, writes what it asked for, and again, for about a millisecond.
    /// True when the sockets were read to their end.
    pub(super) fn turn(self: &Rc<Self>, outside: &mut Outside) -> bool {
        let until = self.uv.now() + TURN;
        let mut batch = self.batch.take().unwrap_or_default();
        let mut outcomes = Vec::new();
        let mut drained = false;
        self.deliver_parked(outside);
        while !self.is_dead() {
            let read = self.with_core(outside, |core| {
                let now = self.now();
                core.peers.stamp(now);
                core.each(|core, at| {
                    core.write_out(at);
                    core.nodes[at].fresh = false;
                });
                match self.read_or_wait(core) {
                    None => return false,
                    Some((at, Received::Bytes)) => self.decode(core, at, &mut batch, &mut outcomes),
                    Some((at, Received::Lost(why))) => self.lost(core, at, &why),
                    Some((at, Received::Hopeless(why))) => self.hopeless(core, at, &why),
                }
                outcomes.append(&mut core.later);
                true
            });
            match read {
                None => break,
                Some(false) => {
                    drained = true;
                    break;
                }
                Some(true) => {}
            }
            // What was read in the middle of a call came before this.
            self.deliver_parked(outside);
            self.deliver(outside, &batch, &mut outcomes);
            if self.uv.now() > until {
                break;
            }
        }
        self.batch.set(Some(batch));
        drained
    }

    fn decode(self: &Rc<Self>, core: &mut Core, at: PeerId, batch: &mut Batch<Op>, outcomes: &mut Outcomes) {
        if !core.peers[at].lane.is_up() {
            self.progressed(core, at);
        }
        let news = core.peers.answers(at, batch, wall(), self.now());
        // Before what follows in the batch: it is the first that may fill the near cache.
        if let News::Ready(tracking) = &news
            && core.store.ids.ready(at, tracking.clone())
        {
            core.notice = core.store.ids.refusals.tracking().map(str::to_owned);
        }
        core.store.absorb(&mut core.peers, batch, outcomes);
        match news {
            News::None => {}
            News::Ready(_) => {
                core.nodes[at].changed();
                if let Some(sentinels) = &mut core.sentinels {
                    sentinels.rules.confirm();
                }
            }
            News::Refused(words) => {
                self.attempt_failed(core, at, &words);
                let error = Error::new(Code::RedisAuth, words);
                core.give_up_held(&error);
                core.abandon(at, u64::MAX, error);
            }
            News::Unfit(words) => {
                // A name may stand for another server by now; an attempt resolves it anew.
                self.attempt_failed(core, at, &words);
                core.peers[at].is_unfit(words);
            }
            News::Hopeless(why) => self.hopeless(core, at, &why),
            News::Broken(why) => self.attempt_failed(core, at, &why),
            News::Foreign(why) => {
                let endpoint =
                    core.nodes[at].link.as_ref().map_or_else(String::new, |link| format!("{}: ", link.endpoint));
                self.hopeless(core, at, &format!("{endpoint}{why}"));
            }
        }
    }

    /// Settles what no reply brought.
    pub(super) fn deliver_later(&self, outside: &mut Outside) {
        let mut outcomes = self.with_core(outside, |core| std::mem::take(&mut core.later)).unwrap_or_default();
        if !outcomes.is_empty() {
            self.deliver(outside, &Batch::default(), &mut outcomes);
        }
    }

    /// Before the loop sleeps: writes what no tick wrote, and waits a moment for answers to what was just written.
    pub(super) fn before_sleep(self: &Rc<Self>, outside: &mut Outside) {
        self.hits_since.set(0);
        self.store_without_tick_end(outside);
        self.submit_rows();
        let state = self.with_core(outside, |core| {
            let unwritten = core.peers.has_unflushed();
            let fresh = core.peers.iter().any(|(at, peer)| core.nodes[at].fresh && peer.lane.expects_replies());
            (unwritten, fresh)
        });
        let Some((unwritten, fresh)) = state else { return };
        if unwritten {
            self.finish_turn(outside);
        }
        // SAFETY: the loop of this environment, in a callback of it.
        if fresh && unsafe { self.uv.will_sleep(self.event_loop) } {
            self.turn(outside);
            self.finish_turn(outside);
        }
    }

    fn polled(self: &Rc<Self>, outside: &mut Outside, status: c_int, handle: *mut uv::Handle) {
        let found = self.with_core(outside, |core| {
            let (at, _) = core.nodes.iter().find(|(_, node)| node.is_watched_by(handle))?;
            let link = core.nodes[at].link.as_mut()?;
            if status < 0 {
                // libuv has stopped watching. What went wrong, and what came before that, is told by reading.
                link.watching = 0;
            }
            if !link.connected {
                self.connected(core, at, status);
            }
            Some(at)
        });
        let Some(at) = found.flatten() else { return };
        let drained = self.turn(outside);
        if status < 0 && drained {
            self.with_core(outside, |core| self.unexplained(core, at, status));
        }
        self.finish_turn(outside);
    }

    /// A socket that is said to be broken, and has nothing to read that says so, must not be watched again.
    fn unexplained(self: &Rc<Self>, core: &mut Core, at: PeerId, status: c_int) {
        let link = core.nodes.get(at).and_then(|node| node.link.as_ref());
        if link.is_some_and(|link| link.connected && link.watching == 0) {
            self.attempt_failed(core, at, &format!("poll error {status}"));
        }
    }
}

/// The callback of a connection's socket.
pub(super) unsafe extern "C" fn on_poll(handle: *mut uv::Handle, status: c_int, _events: c_int) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(|engine, outside| engine.polled(outside, status, handle));
}

/// The callback of the handle that is called before the loop sleeps.
pub(super) unsafe extern "C" fn on_prepare(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::before_sleep);
}
