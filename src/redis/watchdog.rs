//! Notices a connection that is dead although the network never said so: half open after a firewall's restart, say. Pure:
//! whoever holds the socket looks at regular times.
//!
//! Silence alone proves nothing. A server that is busy with one long command says nothing either, and to give its
//! connection up and send the command again would keep it busy for ever. So after a while of silence the server is probed
//! on a second connection: one that answers there and not here is alive, and this connection is not. One that answers on
//! neither is waited for.

use crate::redis::{MILLI, Nanos};

/// How long a server may owe an answer without a single byte before it is probed.
pub const SILENCE: Nanos = 1_500 * MILLI;

/// After an answer to the probe, what the server has said on the connection itself may still be on its way.
const GRACE: Nanos = 150 * MILLI;

/// A probe that is not answered for so long is followed by another one; each has twice as long as the one before. It may
/// itself be lost, and on a slow link an answer takes several round trips.
const PROBE: (Nanos, Nanos) = (500 * MILLI, 4_000 * MILLI);

/// What a look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No reason to doubt.
    Well,
    /// It is silent; a probe is under way, or was answered a moment ago.
    Doubtful,
    /// It is silent; send a probe, in place of the last one.
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
    /// When the next probe is due, and how long the one after that will take.
    next_probe: Option<(Nanos, Nanos)>,
    /// When a probe was answered.
    answered: Option<Nanos>,
}

impl Watchdog {
    /// A sign of life: bytes came (part of a large reply is as good as a whole one), or a socket that was full took more.
    pub const fn sign(&mut self) {
        self.alive = true;
    }

    /// The server has answered the probe.
    pub const fn answered(&mut self, now: Nanos) {
        if self.answered.is_none() {
            self.answered = Some(now);
        }
    }

    /// Another connection: nothing is known of it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Looks, after the socket was read to its end. `owed`: the server owes an answer.
    pub fn look(&mut self, now: Nanos, owed: bool) -> Verdict {
        if !owed {
            self.reset();
            return Verdict::Well;
        }
        if self.alive || self.silent_since.is_none() {
            self.reset();
            self.silent_since = Some(now);
        }
        let silence = now.saturating_sub(self.silent_since.unwrap_or(now));
        if silence < SILENCE {
            return Verdict::Well;
        }
        if let Some(answered) = self.answered {
            return if now.saturating_sub(answered) < GRACE { Verdict::Doubtful } else { Verdict::Dead };
        }
        let (due, patience) = self.next_probe.unwrap_or((now, PROBE.0));
        if now < due {
            return Verdict::Doubtful;
        }
        self.next_probe = Some((now + patience, (patience * 2).min(PROBE.1)));
        Verdict::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Nanos = 100 * MILLI;

    /// What is found at looks ten times a second, of a server that gives signs at some of them and answers the probe that
    /// was sent at some of them.
    fn verdicts(signs: impl Fn(u64) -> bool, answers: impl Fn(u64) -> bool) -> Vec<Verdict> {
        let mut watchdog = Watchdog::default();
        let look = |look| {
            if signs(look) {
                watchdog.sign();
            }
            let verdict = watchdog.look(look * LOOK, true);
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
        // A network that comes back after ten seconds: some probe finds the way.
        assert!((100..145).contains(&dead_at(&verdicts(|_| false, |look| look > 100)).unwrap()));
    }

    #[test]
    fn a_server_that_answers_nowhere_is_waited_for() {
        let verdicts = verdicts(|_| false, |_| false);
        assert_eq!(dead_at(&verdicts), None);
        let probes = verdicts.iter().filter(|&&verdict| verdict == Verdict::Probe).count();
        assert!((10..25).contains(&probes), "{probes} probes in a minute");
    }

    #[test]
    fn bytes_that_come_after_the_probes_answer_are_life() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.look(0, true), Verdict::Well);
        assert_eq!(watchdog.look(SILENCE, true), Verdict::Probe);
        watchdog.answered(SILENCE);
        assert_eq!(watchdog.look(SILENCE + LOOK, true), Verdict::Doubtful);
        watchdog.sign();
        assert_eq!(watchdog.look(SILENCE + 2 * LOOK, true), Verdict::Well);
        assert_eq!(watchdog.look(2 * SILENCE, true), Verdict::Well);
    }

    #[test]
    fn a_byte_every_second_is_life() {
        assert!(verdicts(|look| look % 10 == 0, |_| true).iter().all(|&verdict| verdict == Verdict::Well));
    }

    #[test]
    fn a_server_that_owes_nothing_may_be_silent() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.look(0, true), Verdict::Well);
        assert_eq!(watchdog.look(10 * SILENCE, false), Verdict::Well);
        assert_eq!(watchdog.look(11 * SILENCE, true), Verdict::Well, "the silence begins with the question");
        assert_eq!(watchdog.look(13 * SILENCE, true), Verdict::Probe);
    }
}
