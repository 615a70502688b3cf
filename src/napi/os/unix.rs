use std::ffi::{CStr, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::ptr;
use std::time::Duration;

use libloading::os::unix::Library;
use socket2::Socket;

use crate::redis::Nanos;

/// What libuv watches.
pub(in crate::napi) type Descriptor = RawFd;

/// What connecting says that goes on; std has no kind for it. A Unix socket whose backlog is full says EAGAIN, and is tried again like
/// any failure.
pub(in crate::napi) const IN_PROGRESS: i32 = libc::EINPROGRESS;

/// A socket as libuv knows it.
pub(in crate::napi) fn descriptor(socket: &Socket) -> Descriptor {
    socket.as_raw_fd()
}

/// Now, by a clock that goes on whatever happens, suspend included.
pub(in crate::napi) fn wall() -> Nanos {
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

/// The running program, whose functions can be looked up.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(in crate::napi) fn program() -> Option<Library> {
    Some(Library::this())
}

/// Keeps this library loaded until the process ends.
pub(in crate::napi) fn pin() {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: the address is of this library; the name that is found belongs to the loader and is only read.
    unsafe {
        if libc::dladdr(pin as *const c_void, &raw mut info) != 0 && !info.dli_fname.is_null() {
            libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// The number of the network interface of a name; 0 where there is none.
pub(in crate::napi) fn interface(name: &CStr) -> u32 {
    // SAFETY: a text that ends with a zero byte, and lives as long as the call.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// How long the other machine may be gone before the system ends the connection, where the system can be told.
pub(in crate::napi) fn give_up_after(socket: &Socket, limit: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limit))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, limit);
    Ok(())
}
