//! What differs between systems on the event loop's side: `unix.rs` is for Linux and macOS. The store has a place of its own for
//! that ([`crate::store::os`]); nothing else knows which system it is on.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub(super) use system::{Descriptor, IN_PROGRESS, descriptor, give_up_after, interface, pin, program, wall};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_in_nanoseconds() {
        let (before, began) = (wall(), std::time::Instant::now());
        std::thread::sleep(std::time::Duration::from_millis(40));
        let (passed, real) = (wall() - before, began.elapsed().as_nanos());
        // A system's clock may go in steps of 16 ms.
        assert!(passed >= 20_000_000, "{passed}");
        assert!(u128::from(passed) <= real + 20_000_000, "{passed} of {real}");
    }
}
