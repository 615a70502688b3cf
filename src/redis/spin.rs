//! Whether waiting a moment on the socket after a flush pays.
//!
//! Where the server answers within the window (a local one does in some 15 to 45 µs), looking at the socket again and
//! again for that long is more than twice as fast as going to sleep and being woken, and uses less CPU. Where it does not,
//! each wait is lost. So a wait that was in vain costs credit, and without credit only a flush now and then tries again:
//! the 64th, and with each one that is in vain twice as many go by until the next.

use crate::redis::Nanos;

const FULL: u32 = 8;
const FIRST_GAP: u32 = 64;
const LAST_GAP: u32 = 4_096;

/// Decides about each wait by how the last ones went.
#[derive(Debug)]
pub struct Spin {
    window: Nanos,
    credit: u32,
    skipped: u32,
    /// How many flushes without credit go by until one tries.
    gap: u32,
}

impl Spin {
    /// `window_us`: the longest wait in microseconds; 0 never waits.
    #[must_use]
    pub const fn new(window_us: u64) -> Self {
        Self { window: window_us * 1_000, credit: FULL, skipped: 0, gap: FIRST_GAP }
    }

    /// How long to wait on the socket now; 0: not at all.
    pub const fn window(&mut self) -> Nanos {
        if self.credit == 0 {
            self.skipped += 1;
            if self.skipped < self.gap {
                return 0;
            }
            self.skipped = 0;
        }
        self.window
    }

    /// How the wait ended.
    pub const fn waited(&mut self, answered: bool) {
        if answered {
            self.gap = FIRST_GAP;
            if self.credit < FULL {
                self.credit += if self.credit == 0 { FULL / 2 } else { 1 };
            }
        } else if self.credit > 0 {
            self.credit -= 1;
        } else if self.gap < LAST_GAP {
            self.gap *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many flushes are waited after, all in vain.
    fn in_vain(spin: &mut Spin, flushes: u32) -> u32 {
        let mut waits = 0;
        for _ in 0..flushes {
            if spin.window() > 0 {
                waits += 1;
                spin.waited(false);
            }
        }
        waits
    }

    #[test]
    fn a_far_server_is_hardly_ever_waited_for() {
        let waits = in_vain(&mut Spin::new(30), 100_000);
        assert_eq!(waits, 8 + 6 + 23, "with credit, while the gap doubles, and then every 4,096th");
    }

    #[test]
    fn a_near_server_is_waited_for_again_after_one_good_probe() {
        let mut spin = Spin::new(30);
        in_vain(&mut spin, 100);
        while spin.window() == 0 {}
        spin.waited(true);
        assert!((0..3).all(|_| spin.window() == 30_000));
    }

    #[test]
    fn after_one_good_probe_the_next_ones_come_soon_again() {
        let mut spin = Spin::new(30);
        in_vain(&mut spin, 50_000);
        while spin.window() == 0 {}
        spin.waited(true);
        // Half of the credit, and then the 64th and the 128th flush.
        assert_eq!(in_vain(&mut spin, FULL / 2 + FIRST_GAP + 2 * FIRST_GAP), FULL / 2 + 2);
    }

    #[test]
    fn zero_turns_it_off() {
        let mut spin = Spin::new(0);
        assert!((0..1_000).all(|_| spin.window() == 0));
    }
}
