//! The clock that the near cache's lease is measured in.

use crate::redis::Nanos;

/// Now: it goes on whatever happens, suspend included.
pub(super) fn wall() -> Nanos {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    // On macOS this clock goes on in suspend.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable, and these clocks exist on the systems that they are named for.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
