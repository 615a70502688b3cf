//! The life of an engine between its turns: flushes, deadlines and alarms, `close()`.

use std::rc::Rc;

use super::connection::CLOSED;
use super::engine::{Closing, Core, EARLY, Engine, REJECTED_AT_ONCE, engine};
use super::socket::Endpoint;
use super::uv;
use crate::error::{Code, Error};
use crate::map::backend::Backend as _;
use crate::map::op::Outcome;
use crate::redis::first_words::hint;
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
/// Why a connection was given up, in `health()` and in errors.
const SILENT: &str = "the connection is dead: Redis answers on another one, but not on this";

impl Core {
    /// Whether answers are there that nobody was told yet.
    fn has_answers(&self) -> bool {
        !self.later.is_empty() || !self.parked.is_empty() || self.peer.lane.queue().is_abandoning()
    }

    /// Whether anybody waits for anything.
    pub(super) fn waits(&self) -> bool {
        self.peer.waiting() > 0 || !self.closing.is_empty() || self.has_answers()
    }

    /// Whether an attempt waits for the server.
    fn connects(&self) -> bool {
        self.peer.supervisor.state() == State::Connecting && self.connection.link.is_some()
    }

    /// Why the connection came to nothing, with a hint where the server has not said a word on it.
    pub(super) fn with_hint(&self, why: &str) -> String {
        let Some(link) = self.connection.link.as_ref().filter(|link| link.connected) else { return why.to_owned() };
        let in_tls = self.config.tls.is_some();
        let is_mute = if in_tls { link.stream.is_mute() } else { self.peer.lane.is_unanswered() };
        if is_mute && matches!(link.endpoint, Endpoint::Tcp(_)) {
            return format!("{why}; {}", hint(in_tls));
        }
        why.to_owned()
    }
}

impl Engine {
    /// The end of a tick: deadlines start, a connection is made if there is none, everything queued is written.
    pub(super) fn flush(self: &Rc<Self>) {
        self.finish_turn();
    }

    /// What each turn ends with, whoever began it.
    pub(super) fn finish_turn(self: &Rc<Self>) {
        if self.is_dead() {
            return;
        }
        {
            let mut slot = self.core.borrow_mut();
            let Some(core) = slot.as_mut() else { return };
            let now = self.now();
            core.peer.lane.stamp(now);
            core.early = EARLY;
            if core.peer.lane.queue().unanswered() > 0 && core.peer.supervisor.wanted(self.uv.now()) {
                self.start_attempt(core);
            }
            Self::write_out(core);
            self.watch(core);
            self.advance_close(core);
            self.set_busy(core);
            self.arm_timer(core, now);
            if core.has_answers() || core.connection.has_more() {
                self.answer_soon();
            }
        }
        self.arranged(false);
        self.look_up();
        self.tell();
    }

    /// What is settled already is told in the loop's next turn.
    pub(super) fn answer_soon(&self) {
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: the handles are open while they stand in `handles`.
            unsafe { handles.idle.start_idle(&self.uv, on_idle) };
        }
    }

    fn answer(self: &Rc<Self>) {
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: as above.
            unsafe { handles.idle.stop_idle(&self.uv) };
        }
        let more = match self.core.borrow_mut().as_mut() {
            Some(core) => {
                core.reject();
                core.connection.has_more()
            }
            None => false,
        };
        if more {
            self.turn();
        }
        self.deliver_parked();
        self.deliver_later();
        self.finish_turn();
    }

    fn set_busy(&self, core: &mut Core) {
        let busy = core.waits();
        if busy == core.busy {
            return;
        }
        core.busy = busy;
        if let Some(handles) = &*self.handles.borrow() {
            // SAFETY: the handles are open while they stand in `handles`.
            unsafe { handles.timer.keep_alive(&self.uv, busy) };
        }
        self.hold_hooks(busy);
    }

    /// The timer is due at the next deadline, the next attempt, or the next heartbeat.
    fn arm_timer(&self, core: &Core, now: Nanos) {
        // The supervisor goes by the clock that never stands still: strategies that work in slices must not hold it up. But
        // what blocks the loop during a step of an attempt does not count against it.
        let connecting = core.peer.supervisor.state() == State::Connecting;
        let stalled = if connecting { core.stalled_before } else { self.stalled.get() };
        let mut due = core.peer.supervisor.next().map(|at| at.saturating_sub(stalled));
        if core.waits() || core.connects() {
            let heartbeat = now + HEARTBEAT;
            let soonest = core.peer.lane.queue().next_deadline().map_or(heartbeat, |at| at.min(heartbeat));
            due = Some(due.map_or(soonest, |at| at.min(soonest)));
        }
        let Some(due) = due else { return };
        let armed = self.timer_due.get();
        // An earlier alarm does no harm: it looks, and is set again.
        if armed > 0 && armed <= due.max(now) + MILLI {
            return;
        }
        let Some(handles) = &*self.handles.borrow() else { return };
        // Never 0: libuv would call it again before it looks at any descriptor.
        let millis = due.saturating_sub(now).div_ceil(MILLI).max(1);
        self.timer_due.set(now + millis * MILLI);
        // SAFETY: the handle is open while it stands in `handles`; the loop is this environment's.
        unsafe {
            self.uv.update_time(self.event_loop);
            handles.timer.start_timer(&self.uv, millis, on_timer);
        }
    }

    fn alarm(self: &Rc<Self>) {
        let now = self.now();
        let late = now.saturating_sub(self.timer_due.replace(0));
        if late > PUNCTUAL {
            self.stalled.set(self.stalled.get() + late);
        }
        // First what has arrived meanwhile: nothing expires whose answer lies in the socket.
        let drained = self.turn();
        {
            let mut slot = self.core.borrow_mut();
            let Some(core) = slot.as_mut() else { return };
            // JavaScript that blocked the loop kept the attempt from going on: that is not the server's time.
            let blocked = self.stalled.get() - core.stalled_before;
            if core.peer.supervisor.overdue(self.uv.now() - blocked) {
                let why = if core.connection.link.is_some() { SLOW } else { UNRESOLVED };
                let why = core.with_hint(why);
                self.attempt_failed(core, &why);
            }
            self.leave_silent_address(core);
            if drained {
                self.look_after(core);
            }
            if drained {
                Self::expire(core, self.now());
            }
            self.attempt_if_due(core);
        }
        self.deliver_later();
        self.finish_turn();
    }

    /// Gives up a connection, or an attempt, that is dead although nobody said so.
    fn look_after(self: &Rc<Self>, core: &mut Core) {
        match core.peer.watchdog.look(self.now(), core.peer.owed(core.connects())) {
            Verdict::Well => self.end_probes(core),
            Verdict::Doubtful => {}
            Verdict::Probe => self.probe(core),
            Verdict::Dead => {
                self.attempt_failed(core, SILENT);
                core.peer.supervisor.hurry(self.uv.now());
            }
        }
    }

    fn expire(core: &mut Core, now: Nanos) {
        let mut tags = Vec::new();
        let up = core.peer.lane.is_up();
        core.peer.lane.expire(now, REJECTED_AT_ONCE, &mut tags);
        let (address, waited) = (core.peer.name().to_owned(), core.config.timeout_ms);
        for (op, command) in tags {
            let error = if let Some(words) = core.peer.unfit() {
                let attempts = core.peer.supervisor.attempts();
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
                let attempts = core.peer.supervisor.attempts();
                let cause = core.peer.last_error().unwrap_or("still connecting").to_owned();
                let message = format!(
                    "Redis at {address} was not available within {waited} ms ({command}; failed attempts: {attempts}; \
                     last: {cause})"
                );
                Error::new(Code::RedisUnavailable, message).because(cause)
            };
            core.store.fail(&mut core.peer, &op, error, &mut core.later);
        }
    }

    /// `close()`: true when there was nothing to wait for; otherwise the next call number is that of the promise.
    pub(super) fn close(self: &Rc<Self>) -> bool {
        let mut slot = self.core.borrow_mut();
        let Some(core) = slot.as_mut() else { return true };
        if core.peer.supervisor.attempts() > 0 && core.peer.supervisor.state() != State::Ready {
            // Nobody can say whether the server comes back: what waits for it is not finished.
            self.disconnect(core);
            core.abandon(u64::MAX, Code::Closed, CLOSED);
        }
        let idle = !core.waits();
        if idle {
            self.disconnect(core);
            Self::closed(core);
        } else {
            let (mark, _) = core.peer.watermark();
            let call = core.store.reserve();
            core.closing.push_back(Closing { call, mark });
            core.peer.lane.hold_after(core.closing.front().map(|closing| closing.mark));
        }
        // No hook may run here: JavaScript has not counted the call yet. It arranges a flush when it does.
        self.set_busy(core);
        idle
    }

    fn advance_close(self: &Rc<Self>, core: &mut Core) {
        let (_, settled) = core.peer.watermark();
        if core.closing.front().is_none_or(|closing| settled < closing.mark) {
            return;
        }
        let over = core.closing.iter().take_while(|closing| closing.mark <= settled).count();
        core.later.extend(core.closing.drain(..over).map(|closing| (closing.call, Outcome::Undefined)));
        self.disconnect(core);
        Self::closed(core);
        core.peer.lane.hold_after(core.closing.front().map(|closing| closing.mark));
        // Calls made since then go out on a new connection.
        if core.peer.lane.queue().unanswered() > 0 && core.peer.supervisor.wanted(self.uv.now()) {
            self.start_attempt(core);
        }
    }

    fn closed(core: &mut Core) {
        core.peer.closed();
        core.store.ids.lost();
        core.changed();
    }
}

pub(super) unsafe extern "C" fn on_timer(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::alarm);
}

unsafe extern "C" fn on_idle(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::answer);
}
