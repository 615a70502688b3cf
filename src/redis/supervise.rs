//! When to connect, and when to try again: the life of a connection as a state machine without sockets or a clock.

use crate::redis::{MILLI, Nanos};

/// First and longest pause between two attempts. Short, because a trader's strategy waits; jitter keeps many
/// processes from returning in step.
const PAUSE: (Nanos, Nanos) = (20 * MILLI, 500 * MILLI);

/// So many attempts are made while nobody waits, which takes a second or two: whoever asks after a short outage finds a
/// connection. After them it is quiet, because nobody knows for how long the server stays away, or refuses us.
const UNASKED: u32 = 6;

/// How long an attempt may wait for the name's addresses. A resolver that asks a second server does so after 5 seconds.
pub const LOOKUP_LIMIT: Nanos = 8_000 * MILLI;

/// How long it may wait for each of its further steps: the connection, and every answer of the handshake.
pub const STEP_LIMIT: Nanos = 2_400 * MILLI;

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection and nobody who asked for one.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// It carries calls.
    Ready,
    /// The last attempt failed or the connection was lost; the next attempt is due at that moment.
    Waiting(Nanos),
    /// The last attempts failed and nobody waits: nothing is done until somebody asks.
    Resting,
}

/// What is to be done when time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// An attempt starts now.
    Attempt,
    /// It is quiet from now on, until somebody asks.
    Rest,
}

/// Who would have something of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A call waits.
    Somebody,
    /// Nobody now.
    Nobody,
    /// Nobody now, and the attempt would begin with a question to the resolver, which cannot be taken back and keeps the
    /// process from ending.
    NobodyByName,
}

impl State {
    /// Its name in `health()`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Waiting(_) => "waiting",
            Self::Resting => "resting",
        }
    }
}

/// Decides when the next attempt starts.
#[derive(Debug)]
pub struct Supervisor {
    state: State,
    /// Failed attempts since the connection was last ready.
    attempts: u32,
    /// Attempts since a call last waited, or was answered.
    unasked: u32,
    last_attempt: Nanos,
    /// When the attempt's present step began, and how long it may take.
    step: (Nanos, Nanos),
    /// A command was answered since the connection was last ready.
    served: bool,
    random: fastrand::Rng,
}

impl Supervisor {
    /// `seed`: anything that differs between processes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: State::Idle,
            attempts: 0,
            unasked: 0,
            last_attempt: 0,
            step: (0, 0),
            served: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Where the connection is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Failed attempts since the connection was last ready.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A call wants a connection. True: start an attempt now. Where it is quiet, and after a silence longer than the longest
    /// pause, it starts at once, whatever the schedule says.
    pub fn wanted(&mut self, now: Nanos) -> bool {
        self.unasked = 0;
        let start = match self.state {
            State::Idle | State::Resting => true,
            State::Waiting(_) => now.saturating_sub(self.last_attempt) > PAUSE.1,
            State::Connecting | State::Ready => false,
        };
        if start {
            self.start(now);
        }
        start
    }

    /// Time has passed. The pauses hold also for those that ask: it is quiet only after the last one.
    pub fn due(&mut self, now: Nanos, asked: Asked) -> Due {
        if !matches!(self.state, State::Waiting(at) if now >= at) {
            return Due::Nothing;
        }
        self.unasked = if asked == Asked::Somebody { 0 } else { self.unasked + 1 };
        if asked == Asked::NobodyByName || self.unasked > UNASKED {
            self.state = State::Resting;
            return Due::Rest;
        }
        self.start(now);
        Due::Attempt
    }

    /// The attempt under way has come one step further.
    pub const fn progressed(&mut self, now: Nanos) {
        self.step = (now, STEP_LIMIT);
    }

    /// Whether a step of the attempt under way has taken too long.
    #[must_use]
    pub fn overdue(&self, now: Nanos) -> bool {
        self.state == State::Connecting && now.saturating_sub(self.step.0) > self.step.1
    }

    /// When to look again, if nothing else happens.
    #[must_use]
    pub const fn next(&self) -> Option<Nanos> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Connecting => Some(self.step.0 + self.step.1 + MILLI),
            State::Idle | State::Ready | State::Resting => None,
        }
    }

    const fn start(&mut self, now: Nanos) {
        self.last_attempt = now;
        self.step = (now, LOOKUP_LIMIT);
        self.state = State::Connecting;
    }

    /// The handshake is through.
    pub const fn ready(&mut self) {
        self.state = State::Ready;
        self.served = false;
    }

    /// A command was answered: only now has the attempt succeeded. A server that shakes hands and hangs up is none.
    pub const fn answered(&mut self) {
        self.served = true;
        self.attempts = 0;
        self.unasked = 0;
    }

    /// An attempt failed, or the connection was lost.
    pub fn failed(&mut self, now: Nanos) {
        let was_ready = self.state == State::Ready && self.served;
        if !was_ready {
            self.attempts = self.attempts.saturating_add(1);
        }
        let pause = if was_ready {
            // A connection that worked a moment ago: the first attempt comes at once.
            0
        } else {
            let longest = (PAUSE.0 << self.attempts.min(10)).min(PAUSE.1);
            longest / 2 + self.random.u64(..=longest / 2)
        };
        self.state = State::Waiting(now + pause);
    }

    /// The server has just answered on another connection: the next attempt comes at once.
    pub const fn hurry(&mut self, now: Nanos) {
        if matches!(self.state, State::Waiting(_)) {
            self.state = State::Waiting(now);
        }
    }

    /// `close()`: as before the first call.
    pub const fn closed(&mut self) {
        self.state = State::Idle;
        self.attempts = 0;
        self.unasked = 0;
    }
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
