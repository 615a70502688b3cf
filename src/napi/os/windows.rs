use std::ffi::{CStr, c_void};
use std::io;
use std::mem;
use std::os::windows::io::{AsRawSocket as _, RawSocket};
use std::ptr;
use std::sync::LazyLock;
use std::time::Duration;

use libloading::os::windows::Library;
use socket2::Socket;
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::NetworkManagement::IpHelper::if_nametoindex;
use windows_sys::Win32::Networking::WinSock::WSAEWOULDBLOCK;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW, GetModuleHandleW,
    GetProcAddress,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::core::w;

use crate::redis::{MILLI, Nanos};

/// What libuv watches: a `SOCKET`, as wide as a pointer.
pub(in crate::napi) type Descriptor = RawSocket;

/// What connecting says that goes on.
pub(in crate::napi) const IN_PROGRESS: i32 = WSAEWOULDBLOCK;

/// A socket as libuv knows it.
pub(in crate::napi) fn descriptor(socket: &Socket) -> Descriptor {
    socket.as_raw_socket()
}

type QueryInterruptTime = unsafe extern "system" fn(*mut u64);

/// Not in every Windows, so it is not linked.
static INTERRUPT_TIME: LazyLock<Option<QueryInterruptTime>> = LazyLock::new(|| {
    // SAFETY: the names end with a zero; the library is loaded in every process and never unloaded; the type is the one that
    // Windows documents for these functions.
    unsafe {
        let library = GetModuleHandleW(w!("kernelbase.dll"));
        if library.is_null() {
            return None;
        }
        [c"QueryInterruptTimePrecise", c"QueryInterruptTime"]
            .into_iter()
            .find_map(|name| GetProcAddress(library, name.as_ptr().cast()))
            .map(|found| mem::transmute::<unsafe extern "system" fn() -> isize, QueryInterruptTime>(found))
    }
});

/// Now, by a clock that goes on whatever happens, suspend included.
pub(in crate::napi) fn wall() -> Nanos {
    let Some(query) = *INTERRUPT_TIME else {
        // SAFETY: it has no preconditions.
        return unsafe { GetTickCount64() } * MILLI;
    };
    let mut time = 0;
    // SAFETY: `time` is writable.
    unsafe { query(&raw mut time) };
    // It counts tenths of microseconds.
    time * 100
}

/// The running program, whose functions can be looked up.
pub(in crate::napi) fn program() -> Option<Library> {
    Library::this().ok()
}

/// Keeps this library loaded until the process ends.
pub(in crate::napi) fn pin() {
    let mut library: HMODULE = ptr::null_mut();
    // SAFETY: the address is of this library; with the flag it is not read as a name.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
            (pin as *const c_void).cast(),
            &raw mut library,
        );
    }
}

/// The number of the network interface of a name; 0 where there is none.
pub(in crate::napi) fn interface(name: &CStr) -> u32 {
    // SAFETY: a text that ends with a zero byte, and lives as long as the call.
    unsafe { if_nametoindex(name.as_ptr().cast()) }
}

/// How long the other machine may be gone before the system ends the connection: Windows has its own limit, which is shorter.
#[allow(clippy::unnecessary_wraps, reason = "other systems can refuse it")]
pub(in crate::napi) fn give_up_after(_: &Socket, _: Duration) -> io::Result<()> {
    Ok(())
}
