//! Whether waiting a moment on the socket after a flush pays.
//!
//! Where the server answers within the window (a local one does in some 25 µs), looking at the socket again and again
//! for that long is faster *and* uses less CPU than going to sleep and being woken. Where it does not, each wait is
//! lost. So a wait that was in vain costs credit, and without credit only every 64th flush tries again.

use crate::redis::Nanos;

const FULL: u32 = 8;
const PROBE_EVERY: u32 = 64;

/// Decides about each wait by how the last ones went.
#[derive(Debug)]
pub struct Spin {
    window: Nanos,
    credit: u32,
    skipped: u32,
}

impl Spin {
    /// `window_us`: the longest wait in microseconds; 0 never waits.
    #[must_use]
    pub const fn new(window_us: u64) -> Self {
        Self { window: window_us * 1_000, credit: FULL, skipped: 0 }
    }

    /// How long to wait on the socket now; 0: not at all.
    pub const fn window(&mut self) -> Nanos {
        if self.credit == 0 {
            self.skipped += 1;
            if self.skipped < PROBE_EVERY {
                return 0;
            }
            self.skipped = 0;
        }
        self.window
    }

    /// How the wait ended.
    pub const fn waited(&mut self, answered: bool) {
        if !answered {
            self.credit = self.credit.saturating_sub(1);
        } else if self.credit < FULL {
            self.credit += if self.credit == 0 { FULL / 2 } else { 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_server_is_hardly_ever_waited_for() {
        let mut spin = Spin::new(30);
        let mut waits = 0;
        for _ in 0..6_400 {
            if spin.window() > 0 {
                waits += 1;
                spin.waited(false);
            }
        }
        assert!((100..=110).contains(&waits), "{waits}");
    }

    #[test]
    fn a_near_server_is_waited_for_again_after_one_good_probe() {
        let mut spin = Spin::new(30);
        for _ in 0..100 {
            if spin.window() > 0 {
                spin.waited(false);
            }
        }
        while spin.window() == 0 {}
        spin.waited(true);
        assert!((0..3).all(|_| spin.window() == 30_000));
    }

    #[test]
    fn zero_turns_it_off() {
        let mut spin = Spin::new(0);
        assert!((0..1_000).all(|_| spin.window() == 0));
    }
}
