//! When what has failed is tried again: soon at first, then less and less often. Pure.

use std::time::{Duration, Instant};

/// How long after a failure the first attempt is made.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause between attempts.
const LONGEST: Duration = Duration::from_secs(5);

/// See the module. The default has nothing to try.
#[derive(Debug, Default)]
pub struct Retry {
    due: Option<Instant>,
    pause: Duration,
}

impl Retry {
    /// Something has failed, or still does: whether another attempt is due. The first time it is noted when that will be.
    pub fn is_due(&mut self, now: Instant) -> bool {
        match self.due {
            None => {
                self.pause = FIRST;
                self.due = Some(now + FIRST);
                false
            }
            Some(due) => now >= due,
        }
    }

    /// An attempt was made, now; the next one comes after a pause that is twice as long.
    pub fn attempted(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        self.due = Some(now + self.pause);
    }

    /// When the next attempt is due; none where nothing has failed.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_begin_anew() {
        let (mut retry, mut now) = (Retry::default(), Instant::now());
        assert_eq!(retry.due(), None);
        assert!(!retry.is_due(now));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let due = retry.due().unwrap();
            pauses.push((due - now).as_millis());
            assert!(!retry.is_due(due.checked_sub(Duration::from_millis(1)).unwrap()));
            assert!(retry.is_due(due));
            retry.attempted(due);
            now = due;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        retry = Retry::default();
        assert!(!retry.is_due(now));
        assert_eq!(retry.due(), Some(now + FIRST));
    }
}
