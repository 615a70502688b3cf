//! Which way the work of a tick goes: it is carried out on the JavaScript thread, or handed over to the store's. Pure.
//!
//! The order of an engine's work holds on both ways: what is behind something that was handed over is handed over too, and so is
//! every write while a write of this engine waits there. The JavaScript thread takes no more than it can do in about a
//! millisecond.

use std::time::Duration;

/// What a piece of work is to the JavaScript thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A read that is answered in some microseconds.
    Read,
    /// Such a write, of so many bytes.
    Write(usize),
    /// What may take long, read or write.
    Long,
}

/// The most writes of one transaction on the JavaScript thread.
pub const MANY: usize = 256;
/// The most bytes of one write there, and of all of a transaction: some hundred microseconds of copying.
pub const LARGE: usize = 64 * 1024;
/// The same of all writes of one transaction.
pub const LARGE_ALTOGETHER: usize = 256 * 1024;
/// When a transaction takes no more.
pub const LONG: Duration = Duration::from_millis(1);

/// One tick's way.
#[derive(Debug, Clone)]
pub struct Course {
    may_write: bool,
    over: bool,
    writes: usize,
    bytes: usize,
}

impl Course {
    /// At the end of a tick. `behind`: writes of this engine wait at the store's thread. `may_write`: writes are allowed here
    /// otherwise.
    #[must_use]
    pub const fn new(behind: bool, may_write: bool) -> Self {
        Self { may_write, over: behind, writes: 0, bytes: 0 }
    }

    /// Whether the next piece of work is carried out here; what is behind one that is not, is not either. `in_time`: this has not
    /// been going on for longer than [`LONG`].
    pub const fn takes(&mut self, weight: Weight, in_time: bool) -> bool {
        let fits = match weight {
            Weight::Long => false,
            Weight::Read => true,
            Weight::Write(bytes) => {
                self.writes += 1;
                self.bytes += bytes;
                self.may_write && bytes <= LARGE && self.writes <= MANY && self.bytes <= LARGE_ALTOGETHER
            }
        };
        self.over |= !fits || !in_time;
        !self.over
    }
}

#[cfg(test)]
#[path = "course_simulation.rs"]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_something_that_went_to_the_thread_goes_there_too() {
        let mut course = Course::new(false, true);
        assert!(course.takes(Weight::Write(1), true));
        assert!(course.takes(Weight::Read, true));
        assert!(!course.takes(Weight::Long, true));
        assert!(!course.takes(Weight::Read, true));
        assert!(!course.takes(Weight::Write(1), true));
    }

    #[test]
    fn nothing_is_carried_out_here_while_writes_wait_there() {
        let mut course = Course::new(true, true);
        assert!(!course.takes(Weight::Read, true));
        assert!(!course.takes(Weight::Write(1), true));
    }

    #[test]
    fn where_writes_are_not_allowed_reads_before_them_are() {
        let mut course = Course::new(false, false);
        assert!(course.takes(Weight::Read, true));
        assert!(!course.takes(Weight::Write(1), true));
        assert!(!course.takes(Weight::Read, true));
    }

    #[test]
    fn what_is_too_much_for_the_loop_goes_to_the_thread() {
        assert!(!Course::new(false, true).takes(Weight::Write(LARGE + 1), true));
        assert!(!Course::new(false, true).takes(Weight::Read, false));
        let count = |bytes: usize, in_time: bool| {
            let mut course = Course::new(false, true);
            (0..).take_while(|_| course.takes(Weight::Write(bytes), in_time)).take(MANY * 2).count()
        };
        assert_eq!(count(1, true), MANY);
        assert_eq!(count(LARGE, true), LARGE_ALTOGETHER / LARGE);
        assert_eq!(count(1, false), 0);
    }
}
