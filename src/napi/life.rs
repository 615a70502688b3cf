//! The life of an engine between its turns: flushes, deadlines and alarms, `close()`.

use std::rc::Rc;

use super::engine::Engine;
use super::js::Outside;
use super::state::{CLOSED, Closing, Core, REJECTED_AT_ONCE, first_early};
use super::teardown::engine;
use super::uv;
use crate::error::{Code, Error};
use crate::map::op::Outcome;
use crate::redis::by_peer::PeerId;
use crate::redis::supervise::State;
use crate::redis::watchdog::Verdict;
use crate::redis::{MILLI, Nanos};

/// While calls wait, or an attempt does, the timer fires at least this often: its lateness tells how long JavaScript has blocked the loop.
const HEARTBEAT: Nanos = 100 * MILLI;
/// Lateness beyond this is JavaScript's doing and does not count against deadlines.
const PUNCTUAL: Nanos = 20 * MILLI;
/// Why an attempt was given up, in `health()` and in errors.
const SLOW: &str = "connect ETIMEDOUT: neither a connection nor an answer to its greeting within 2.4 seconds";
const UNRESOLVED: &str = "the name was not resolved within 8 seconds";
const UNNAMED: &str = "the sentinels did not name the master within 8 seconds";
/// Why a connection was given up, in `health()` and in errors.
const SILENT: &str = "the connection is dead: Redis answers on another one, but not on this";

impl Engine {
    /// What each turn and each tick ends with, whoever began it: deadlines start, a connection is made if there is none,
    /// everything queued is written.
    pub(super) fn finish_turn(self: &Rc<Self>, outside: &mut Outside) {
        if self.is_dead() {
            return;
        }
        let configured = self.with_core(outside, |core| {
            let now = self.now();
            core.early = first_early(core.peers.cluster().is_some());
            core.peers.stamp(now);
            self.look_at_cluster(core, false);
            core.each(|core, at| {
                self.attempt_if_wanted(core, at);
                core.write_out(at);
                self.watch(core, at);
            });
            self.look_at_sentinels(core);
            self.advance_close(core);
            self.set_busy(core);
            self.arm_timer(core, now);
            if core.has_answers() || core.has_more() {
                self.answer_soon();
            }
        });
        if configured.is_none() {
            return;
        }
        self.arranged(false);
        self.resolve_hosts(outside);
        self.tell(outside);
    }

    /// What is settled already is told in the loop's next turn.
    pub(super) fn answer_soon(&self) {
        if let Some(handles) = &*self.lifeline.handles.borrow() {
            // SAFETY: the handles are open while they stand in `handles`.
            unsafe { handles.idle.start_idle(&self.uv, on_idle) };
        }
    }

    fn answer(self: &Rc<Self>, outside: &mut Outside) {
        if let Some(handles) = &*self.lifeline.handles.borrow() {
            // SAFETY: as above.
            unsafe { handles.idle.stop_idle(&self.uv) };
        }
        let more = self.with_core(outside, |core| {
            core.reject();
            core.has_more()
        });
        if more == Some(true) {
            self.turn(outside);
        }
        self.deliver_parked(outside);
        self.deliver_later(outside);
        self.finish_turn(outside);
    }

    fn set_busy(&self, core: &mut Core) {
        let busy = core.waits();
        if busy == core.busy {
            return;
        }
        core.busy = busy;
        if let Some(handles) = &*self.lifeline.handles.borrow() {
            // SAFETY: the handles are open while they stand in `handles`.
            unsafe { handles.timer.keep_alive(&self.uv, busy) };
        }
        self.hold_hooks(busy);
    }

    /// The timer is due at the next deadline, the next attempt, or the next heartbeat.
    fn arm_timer(&self, core: &Core, now: Nanos) {
        let attempts = core.peers.iter().filter_map(|(at, peer)| {
            // The supervisor goes by the clock that never stands still: strategies that work in slices must not hold it up. But
            // what blocks the loop during a step of an attempt does not count against it.
            let connecting = peer.supervisor.state() == State::Connecting;
            let stalled = if connecting { core.nodes[at].stalled_before } else { self.stalled.get() };
            peer.supervisor.next().map(|due| due.saturating_sub(stalled))
        });
        let mut due = attempts.chain(core.peers.next_look()).min();
        if core.waits() || core.is_searching() || core.peers.iter().any(|(at, _)| core.connects(at)) {
            let deadlines = core.peers.iter().filter_map(|(_, peer)| peer.lane.queue().next_deadline());
            let soonest = deadlines.min().map_or(now + HEARTBEAT, |at| at.min(now + HEARTBEAT));
            due = Some(due.map_or(soonest, |at| at.min(soonest)));
        }
        let Some(due) = due else { return };
        let armed = self.timer_due.get();
        // An earlier alarm does no harm: it looks, and is set again.
        if armed > 0 && armed <= due.max(now) + MILLI {
            return;
        }
        let Some(handles) = &*self.lifeline.handles.borrow() else { return };
        // Never 0: libuv would call it again before it looks at any descriptor.
        let millis = due.saturating_sub(now).div_ceil(MILLI).max(1);
        self.timer_due.set(now + millis * MILLI);
        // SAFETY: the handle is open while it stands in `handles`; the loop is this environment's.
        unsafe {
            self.uv.update_time(self.event_loop);
            handles.timer.start_timer(&self.uv, millis, on_timer);
        }
    }

    fn alarm(self: &Rc<Self>, outside: &mut Outside) {
        let now = self.now();
        let late = now.saturating_sub(self.timer_due.replace(0));
        if late > PUNCTUAL {
            self.stalled.set(self.stalled.get() + late);
        }
        // First what has arrived meanwhile: nothing expires whose answer lies in the socket.
        let drained = self.turn(outside);
        let configured = self.with_core(outside, |core| {
            self.look_at_cluster(core, true);
            if drained {
                Self::expire_held(core, self.now());
            }
            core.each(|core, at| {
                self.give_up_if_overdue(core, at);
                self.leave_silent_address(core, at);
                if drained {
                    self.check_liveness(core, at);
                    Self::expire(core, at, self.now());
                }
                self.attempt_if_due(core, at);
            });
        });
        if configured.is_none() {
            return;
        }
        self.deliver_later(outside);
        self.finish_turn(outside);
    }

    fn give_up_if_overdue(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        // JavaScript that blocked the loop kept the attempt from going on: that is not the server's time.
        let blocked = self.stalled.get() - core.nodes[at].stalled_before;
        if core.peers[at].supervisor.overdue(self.uv.now() - blocked) {
            let why = if core.is_searching() {
                UNNAMED.to_owned()
            } else {
                core.with_hint(at, if core.nodes[at].link.is_some() { SLOW } else { UNRESOLVED })
            };
            self.attempt_failed(core, at, &why);
        }
    }

    /// Gives up a connection, or an attempt, that is dead although nobody said so.
    fn check_liveness(self: &Rc<Self>, core: &mut Core, at: PeerId) {
        let connects = core.connects(at);
        let peer = &mut core.peers[at];
        match peer.watchdog.look(self.now(), peer.owed(connects)) {
            Verdict::Well => {
                self.end_probes(&mut core.nodes[at]);
                self.doubt_master(core, false);
            }
            Verdict::Doubtful => {}
            Verdict::Probe => {
                core.peers.doubt();
                self.probe(core, at);
                self.doubt_master(core, true);
            }
            Verdict::Dead => {
                self.attempt_failed(core, at, SILENT);
                core.peers[at].supervisor.hurry(self.uv.now());
            }
        }
    }

    fn expire(core: &mut Core, at: PeerId, now: Nanos) {
        let mut tags = Vec::new();
        let peer = &mut core.peers[at];
        let up = peer.lane.is_up();
        peer.lane.expire(now, REJECTED_AT_ONCE, &mut tags);
        let (address, waited) = (peer.name().to_owned(), core.config.timeout_ms);
        for (op, command) in tags {
            let peer = &core.peers[at];
            let attempts = peer.supervisor.attempts();
            let error = if let Some(words) = peer.unfit() {
                let message = format!(
                    "{words} ({command} on {address}, tried again for {waited} ms; failed attempts: {attempts})"
                );
                Error::new(Code::RedisUnavailable, message).because(words.to_owned())
            } else if up {
                Error::new(
                    Code::RedisTimeout,
                    format!("Redis at {address} did not answer within {waited} ms ({command})"),
                )
            } else {
                let cause = peer.last_error().unwrap_or("still connecting").to_owned();
                let message = format!(
                    "Redis at {address} was not available within {waited} ms ({command}; failed attempts: {attempts}; \
                     last: {cause})"
                );
                Error::new(Code::RedisUnavailable, message).because(cause)
            };
            core.store.fail(&mut core.peers, &op, error, &mut core.later);
        }
    }

    /// Calls of a cluster that no server has.
    fn expire_held(core: &mut Core, now: Nanos) {
        let waited = core.config.timeout_ms;
        for late in core.peers.expire_held(now) {
            let error = core.peers.why_held(&late, waited);
            core.store.fail(&mut core.peers, &late.tag, error, &mut core.later);
        }
    }

    /// `close()`: true when there was nothing to wait for; otherwise the next call number is that of the promise.
    pub(super) fn close(&self, outside: &mut Outside) -> bool {
        self.with_core(outside, |core| {
            core.each(|core, at| {
                if core.peers[at].is_failing() {
                    // Nobody can say whether the server comes back: what waits for it is not finished.
                    self.disconnect(core, at);
                    self.leave_sentinels(core);
                    core.abandon(at, u64::MAX, Error::new(Code::Closed, CLOSED));
                }
            });
            if core.peers.iter().any(|(_, peer)| peer.is_failing()) {
                // So are those that no server has.
                for (op, command) in core.peers.give_up_held() {
                    let error = Error::new(Code::Closed, format!("{CLOSED} ({command})"));
                    core.store.fail(&mut core.peers, &op, error, &mut core.later);
                }
            }
            let idle = !core.waits();
            if idle {
                self.closed(core);
            } else {
                let call = core.store.reserve();
                core.closing.push_back(Closing { call, marks: core.peers.marks() });
                if let [first] = core.closing.make_contiguous() {
                    core.peers.hold_after(Some(&mut first.marks));
                }
            }
            // No hook may run here: JavaScript has not counted the call yet. It arranges a flush when it does.
            self.set_busy(core);
            idle
        })
        .unwrap_or(true)
    }

    fn advance_close(self: &Rc<Self>, core: &mut Core) {
        let over = core.closing.iter().take_while(|closing| core.peers.are_settled(&closing.marks)).count();
        if over == 0 {
            return;
        }
        core.later.extend(core.closing.drain(..over).map(|closing| (closing.call, Outcome::Undefined)));
        self.closed(core);
        core.peers.hold_after(core.closing.front_mut().map(|closing| &mut closing.marks));
        // Calls made since then go out on new connections.
        core.each(|core, at| self.attempt_if_wanted(core, at));
    }

    fn closed(&self, core: &mut Core) {
        core.each(|core, at| {
            self.disconnect(core, at);
            core.peers.closed(at, self.now());
            core.nodes[at].changed();
            core.store.ids.lost(at);
        });
        self.leave_sentinels(core);
    }
}

unsafe extern "C" fn on_timer(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::alarm);
}

unsafe extern "C" fn on_idle(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::answer);
}
