//! Notices a connection that is dead although the network never said so: half open after a firewall's restart, say. Pure:
//! whoever holds the socket looks at regular times.
//!
//! Silence alone proves nothing. A server that is busy with one long command says nothing either, and to give its
//! connection up and send the command again would keep it busy for ever. So after a while of silence the server is probed
//! on a second connection: one that answers there and not here is alive, and this connection is not. One that answers on
//! neither is waited for. The same holds for a connection that is only being made.
//!
//! A server may also answer probes and hold a command back: it has paused writes, or a proxy in front of it answers for
//! itself. A new connection does not help then, which shows when it falls silent in its turn. So each time that a connection
//! is replaced, and nothing was answered since the last one was, the next has twice the time.

use crate::redis::{MILLI, Nanos};

/// How long a server may owe an answer to a call without a single byte before it is probed.
pub const SILENCE: Nanos = 1_500 * MILLI;

/// How long a step of an attempt may take before the server is probed: the connection, each answer of the handshake. Less
/// is at stake than with calls under way. Over a slow link, too, the step comes before the probe's answer, which takes
/// two round trips and begins later.
pub const SLOW_STEP: Nanos = 400 * MILLI;

/// So often at most the times above are doubled: up to 24 seconds for an answer to a call. A step of an attempt has its own
/// limit before that.
const DOUBLINGS: u32 = 4;

/// After an answer to the probe, what the server has said on the connection itself may still be on its way.
const GRACE: Nanos = 150 * MILLI;

/// Probes follow each other after so long: what was sent into a network that is gone is lost, and its return is to be
/// noticed within a second.
const PROBE_PAUSE: Nanos = 400 * MILLI;

/// Each is waited for so long, beside those that follow it: over a slow link an answer takes several round trips.
pub const PROBE_LIMIT: Nanos = 4_000 * MILLI;

/// What the server owes on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// No answer.
    Nothing,
    /// That an attempt goes on.
    Step,
    /// An answer to a call.
    Answer,
}

/// What a look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No reason to doubt.
    Well,
    /// It is silent; a probe was sent, or answered, a moment ago.
    Doubtful,
    /// It is silent; send a probe, beside those that are younger than [`PROBE_LIMIT`].
    Probe,
    /// The server answers, but not on this connection.
    Dead,
}

/// Measures silence.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// There was a sign of life since the last look.
    alive: bool,
    /// When the silence began: at the first look that found an answer owed and no sign of life before it.
    silent_since: Option<Nanos>,
    /// When the next probe is due.
    due: Nanos,
    /// When a probe was answered.
    answered: Option<Nanos>,
    /// How many connections were replaced since a call was last answered.
    replaced: u32,
}

impl Watchdog {
    /// A sign of life: bytes came (part of a large reply is as good as a whole one), or a socket that was full took more.
    pub const fn sign(&mut self) {
        self.alive = true;
    }

    /// The server has answered a probe.
    pub const fn answered(&mut self, now: Nanos) {
        if self.answered.is_none() {
            self.answered = Some(now);
        }
    }

    /// A call was answered: the next silence is as suspicious as the first.
    pub const fn served(&mut self) {
        self.replaced = 0;
    }

    /// Another connection: nothing is known of it.
    pub fn reset(&mut self) {
        *self = Self { replaced: self.replaced, ..Self::default() };
    }

    /// Looks, after the socket was read to its end.
    pub fn look(&mut self, now: Nanos, owed: Owed) -> Verdict {
        let patience = match owed {
            Owed::Nothing => {
                self.reset();
                return Verdict::Well;
            }
            Owed::Step => SLOW_STEP,
            Owed::Answer => SILENCE,
        };
        if self.alive || self.silent_since.is_none() {
            self.reset();
            self.silent_since = Some(now);
        }
        let silence = now.saturating_sub(self.silent_since.unwrap_or(now));
        if silence < patience << self.replaced.min(DOUBLINGS) {
            return Verdict::Well;
        }
        if let Some(answered) = self.answered {
            if now.saturating_sub(answered) < GRACE {
                return Verdict::Doubtful;
            }
            self.replaced = self.replaced.saturating_add(1);
            return Verdict::Dead;
        }
        if now < self.due {
            return Verdict::Doubtful;
        }
        self.due = now + PROBE_PAUSE;
        Verdict::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Nanos = 100 * MILLI;

    /// What is found at looks ten times a second, of a server that gives signs at some of them and answers at once the
    /// probes that were sent at some of them.
    fn verdicts(signs: impl Fn(u64) -> bool, answers: impl Fn(u64) -> bool) -> Vec<Verdict> {
        let mut watchdog = Watchdog::default();
        let look = |look| {
            if signs(look) {
                watchdog.sign();
            }
            let verdict = watchdog.look(look * LOOK, Owed::Answer);
            if verdict == Verdict::Probe && answers(look) {
                watchdog.answered(look * LOOK);
            }
            verdict
        };
        (0..600).map(look).collect()
    }

    fn dead_at(verdicts: &[Verdict]) -> Option<usize> {
        verdicts.iter().position(|&verdict| verdict == Verdict::Dead)
    }

    #[test]
    fn a_server_that_answers_elsewhere_is_noticed_within_three_seconds() {
        assert!(dead_at(&verdicts(|_| false, |_| true)).unwrap() < 20);
        assert!((50..70).contains(&dead_at(&verdicts(|look| look < 50, |_| true)).unwrap()));
        // A network that comes back after some seconds: the next probe finds the way.
        for back in 20..100 {
            let dead = dead_at(&verdicts(|_| false, |look| look >= back)).unwrap() as u64;
            assert!((back..back + 8).contains(&dead), "back at {back}, noticed at {dead}");
        }
    }

    /// What becomes of an attempt's step that is answered one round trip after its beginning, if at all, while probes are
    /// answered after two: over by the step's answer, or given up, at a moment.
    fn step(round_trip: Nanos, answered: bool) -> Result<Nanos, Nanos> {
        let mut watchdog = Watchdog::default();
        let mut probes = Vec::new();
        for now in (0..100).map(|look| look * LOOK) {
            if answered && now >= round_trip {
                return Ok(now);
            }
            probes.retain(|&sent| now < sent + PROBE_LIMIT);
            if probes.iter().any(|&sent| now >= sent + 2 * round_trip) {
                watchdog.answered(now);
            }
            match watchdog.look(now, Owed::Step) {
                Verdict::Probe => probes.push(now),
                Verdict::Dead => return Err(now),
                Verdict::Well | Verdict::Doubtful => {}
            }
        }
        panic!("neither answered nor given up");
    }

    #[test]
    fn a_step_of_an_attempt_is_given_up_for_a_server_that_answers_elsewhere_and_for_no_slow_link() {
        assert!(step(0, false).unwrap_err() <= 700 * MILLI);
        assert!(step(100 * MILLI, false).unwrap_err() <= 1_000 * MILLI);
        assert!(step(1_500 * MILLI, false).unwrap_err() <= 4_000 * MILLI);
        for round_trip in 0..40 {
            assert!(step(round_trip * 50 * MILLI, true).is_ok(), "{round_trip}");
        }
    }

    #[test]
    fn a_server_that_answers_nowhere_is_waited_for() {
        let verdicts = verdicts(|_| false, |_| false);
        assert_eq!(dead_at(&verdicts), None);
        let probes = verdicts.iter().filter(|&&verdict| verdict == Verdict::Probe).count();
        assert!((120..150).contains(&probes), "{probes} probes in a minute");
    }

    /// When connections to a server that answers probes and no call are given up, each replaced at once; some are answered
    /// a call first.
    fn replacements(millis: u64, served: impl Fn(usize) -> bool) -> Vec<Nanos> {
        let (mut watchdog, mut replaced) = (Watchdog::default(), Vec::new());
        for now in (0..millis * MILLI / LOOK).map(|look| look * LOOK) {
            match watchdog.look(now, Owed::Answer) {
                Verdict::Probe => watchdog.answered(now),
                Verdict::Dead => {
                    replaced.push(now);
                    watchdog.reset();
                    if served(replaced.len()) {
                        watchdog.served();
                    }
                }
                Verdict::Well | Verdict::Doubtful => {}
            }
        }
        replaced
    }

    #[test]
    fn a_server_that_answers_probes_and_no_call_has_twice_the_time_after_each_replacement_up_to_a_bound() {
        let replaced = replacements(600_000, |_| false);
        let lives: Vec<_> = [&[0], &replaced[..]].concat().windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (number, &life) in lives.iter().enumerate() {
            let patience = SILENCE << number.min(4);
            assert!(
                (patience..patience + 500 * MILLI).contains(&life),
                "connection {number} lived {} ms",
                life / MILLI
            );
        }
        assert!(lives.len() < 30, "{} replacements in ten minutes", lives.len());
    }

    #[test]
    fn an_answer_brings_the_first_patience_back() {
        let replaced = replacements(60_000, |number| number % 3 == 0);
        let lives: Vec<_> = replaced.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(lives.len() > 8, "{lives:?}");
        for (number, &life) in lives.iter().enumerate() {
            let patience = SILENCE << ((number + 1) % 3);
            assert!((patience..patience + 500 * MILLI).contains(&life), "{lives:?}");
        }
    }

    #[test]
    fn bytes_that_come_after_the_probes_answer_are_life() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.look(0, Owed::Answer), Verdict::Well);
        assert_eq!(watchdog.look(SILENCE, Owed::Answer), Verdict::Probe);
        watchdog.answered(SILENCE);
        assert_eq!(watchdog.look(SILENCE + LOOK, Owed::Answer), Verdict::Doubtful);
        watchdog.sign();
        assert_eq!(watchdog.look(SILENCE + 2 * LOOK, Owed::Answer), Verdict::Well);
        assert_eq!(watchdog.look(2 * SILENCE, Owed::Answer), Verdict::Well);
    }

    #[test]
    fn a_byte_every_second_is_life() {
        assert!(verdicts(|look| look % 10 == 0, |_| true).iter().all(|&verdict| verdict == Verdict::Well));
    }

    #[test]
    fn a_server_that_owes_nothing_may_be_silent() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.look(0, Owed::Answer), Verdict::Well);
        assert_eq!(watchdog.look(10 * SILENCE, Owed::Nothing), Verdict::Well);
        assert_eq!(watchdog.look(11 * SILENCE, Owed::Answer), Verdict::Well, "the silence begins with the question");
        assert_eq!(watchdog.look(13 * SILENCE, Owed::Answer), Verdict::Probe);
    }
}
