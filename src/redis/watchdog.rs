//! Notices a connection that is dead although the network never said so (half open: a cable, a firewall, a machine that is
//! gone). Pure: whoever holds the socket looks at regular times.

use crate::redis::{MILLI, Nanos};

/// How long a server may owe an answer without a single byte before its connection is given up. With the distance of two
/// looks a dead connection is replaced within 3 seconds, so that the default deadline of 10 leaves time to try again.
pub const SILENCE: Nanos = 2_400 * MILLI;

/// Measures silence.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// There was a sign of life since the last look.
    alive: bool,
    /// When the silence began: at the first look that found an answer owed and no sign of life before it.
    silent_since: Option<Nanos>,
}

impl Watchdog {
    /// A sign of life: bytes came (part of a large reply is as good as a whole one), or a socket that was full took more.
    pub const fn sign(&mut self) {
        self.alive = true;
    }

    /// Another connection: nothing is known of it.
    pub const fn reset(&mut self) {
        self.alive = false;
        self.silent_since = None;
    }

    /// Looks, after the socket was read to its end. `owed`: the server owes an answer. True: it is to be given up.
    pub fn look(&mut self, now: Nanos, owed: bool) -> bool {
        if !owed {
            self.reset();
            return false;
        }
        if std::mem::take(&mut self.alive) {
            self.silent_since = Some(now);
        }
        let since = *self.silent_since.get_or_insert(now);
        now.saturating_sub(since) > SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Nanos = 100 * MILLI;

    /// When a connection is given up that is looked at ten times a second; `sign` says at which looks it gave signs.
    fn given_up(sign: impl Fn(u64) -> bool) -> Option<u64> {
        let mut watchdog = Watchdog::default();
        (0..200).find(|&look| {
            if sign(look) {
                watchdog.sign();
            }
            watchdog.look(look * LOOK, true)
        })
    }

    #[test]
    fn silence_is_noticed_within_three_seconds() {
        assert!(given_up(|_| false).unwrap() < 30);
        assert!((50..80).contains(&given_up(|look| look < 50).unwrap()));
    }

    #[test]
    fn a_byte_every_two_seconds_is_life() {
        assert_eq!(given_up(|look| look % 20 == 0), None);
    }

    #[test]
    fn a_server_that_owes_nothing_may_be_silent() {
        let mut watchdog = Watchdog::default();
        assert!(!watchdog.look(0, true));
        assert!(!watchdog.look(10 * SILENCE, false));
        assert!(!watchdog.look(11 * SILENCE, true), "the silence begins with the question");
        assert!(watchdog.look(13 * SILENCE, true));
    }
}
