//! The few libuv functions that the driver needs.
//!
//! The node binary exports them, so nothing is linked: they are looked up when the first engine is made. Handles are
//! allocated with the size that this libuv says they have.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use super::os::{Descriptor, program};

/// `uv_loop_t`, opaque.
pub(super) type Loop = c_void;
/// `uv_handle_t`, opaque.
pub(super) type Handle = c_void;

pub(super) const READABLE: c_int = 1;
pub(super) const WRITABLE: c_int = 2;
pub(super) const DISCONNECT: c_int = 4;

// The order of uv_handle_type has not changed since libuv 1.0 (UV_HANDLE_TYPE_MAP in uv.h).
const UV_IDLE: c_int = 6;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;
const UV_TIMER: c_int = 13;

pub(super) type PollCallback = unsafe extern "C" fn(*mut Handle, c_int, c_int);
pub(super) type HandleCallback = unsafe extern "C" fn(*mut Handle);

macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $ret:ty)?;)+) => {
        /// libuv's functions, as the running process exports them.
        #[derive(Clone, Copy)]
        pub(super) struct Uv {
            $($name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)+
        }

        impl Uv {
            /// Looks all of them up. The error names the first that is missing.
            pub(super) fn load() -> Result<Self, &'static str> {
                let this = program().ok_or("the program itself")?;
                $(
                    // SAFETY: the types are those of uv.h; libuv keeps its ABI within major version 1.
                    let $name = unsafe {
                        *this.get::<unsafe extern "C" fn($($arg),*) $(-> $ret)?>(stringify!($name).as_bytes())
                            .map_err(|_| stringify!($name))?
                    };
                )+
                Ok(Self { $($name),+ })
            }
        }
    };
}

functions! {
    uv_handle_size: fn(c_int) -> usize;
    uv_handle_set_data: fn(*mut Handle, *mut c_void);
    uv_hrtime: fn() -> u64;
    uv_backend_timeout: fn(*const Loop) -> c_int;
    uv_ref: fn(*mut Handle);
    uv_unref: fn(*mut Handle);
    uv_close: fn(*mut Handle, Option<HandleCallback>);
    uv_poll_init_socket: fn(*mut Loop, *mut Handle, Descriptor) -> c_int;
    uv_poll_start: fn(*mut Handle, c_int, PollCallback) -> c_int;
    uv_timer_init: fn(*mut Loop, *mut Handle) -> c_int;
    uv_timer_start: fn(*mut Handle, HandleCallback, u64, u64) -> c_int;
    uv_idle_init: fn(*mut Loop, *mut Handle) -> c_int;
    uv_idle_start: fn(*mut Handle, HandleCallback) -> c_int;
    uv_idle_stop: fn(*mut Handle) -> c_int;
    uv_prepare_init: fn(*mut Loop, *mut Handle) -> c_int;
    uv_prepare_start: fn(*mut Handle, HandleCallback) -> c_int;
    uv_update_time: fn(*mut Loop);
}

/// What a handle's data points to: who is called back, and what frees the handle.
struct Owner {
    context: *const c_void,
    layout: Layout,
    /// Runs once the handle is closed, with the context.
    closed: unsafe fn(*const c_void),
}

/// A handle on the heap. It must be closed exactly once, with [`RawHandle::close`]; libuv frees it in its own time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RawHandle(NonNull<Handle>);

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    // SAFETY: every handle of ours carries an Owner from allocate() until here; libuv calls this once, and does not
    // touch the handle afterwards.
    unsafe {
        let owner = Box::from_raw(*handle.cast::<*mut Owner>());
        dealloc(handle.cast(), owner.layout);
        (owner.closed)(owner.context);
    }
}

impl Uv {
    /// The clock of libuv, in nanoseconds. Monotonic, and never stale, unlike `uv_now`.
    pub(super) fn now(&self) -> u64 {
        // SAFETY: uv_hrtime has no preconditions.
        unsafe { (self.uv_hrtime)() }
    }

    /// Whether the loop is about to sleep (rather than look at its descriptors and go on).
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread.
    pub(super) unsafe fn will_sleep(&self, event_loop: *mut Loop) -> bool {
        // SAFETY: passed on.
        unsafe { (self.uv_backend_timeout)(event_loop) != 0 }
    }

    /// Memory for a handle, initialised by `init`.
    fn allocate(
        &self,
        kind: c_int,
        context: *const c_void,
        closed: unsafe fn(*const c_void),
        init: impl FnOnce(*mut Handle) -> c_int,
    ) -> Option<RawHandle> {
        // SAFETY: the size comes from libuv itself, and 16 satisfies the alignment of any handle; the memory is zeroed
        // and handed to libuv's init function before anything else sees it.
        unsafe {
            let layout = Layout::from_size_align((self.uv_handle_size)(kind), 16).ok()?;
            let handle = NonNull::new(alloc_zeroed(layout).cast::<Handle>())?;
            if init(handle.as_ptr()) != 0 {
                dealloc(handle.as_ptr().cast(), layout);
                return None;
            }
            let owner = Box::new(Owner { context, layout, closed });
            (self.uv_handle_set_data)(handle.as_ptr(), Box::into_raw(owner).cast());
            // No handle keeps the process alive unless it is told to.
            (self.uv_unref)(handle.as_ptr());
            Some(RawHandle(handle))
        }
    }

    /// A poll handle on a socket.
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread; `descriptor` stays open until the handle is closed.
    pub(super) unsafe fn poll(
        &self,
        event_loop: *mut Loop,
        descriptor: Descriptor,
        context: *const c_void,
        closed: unsafe fn(*const c_void),
    ) -> Option<RawHandle> {
        // SAFETY: passed on.
        self.allocate(UV_POLL, context, closed, |h| unsafe { (self.uv_poll_init_socket)(event_loop, h, descriptor) })
    }

    /// A timer.
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread.
    pub(super) unsafe fn timer(
        &self,
        event_loop: *mut Loop,
        context: *const c_void,
        closed: unsafe fn(*const c_void),
    ) -> Option<RawHandle> {
        // SAFETY: passed on.
        self.allocate(UV_TIMER, context, closed, |h| unsafe { (self.uv_timer_init)(event_loop, h) })
    }

    /// A prepare handle: called in each turn of the loop, before it looks at its descriptors.
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread.
    pub(super) unsafe fn prepare(
        &self,
        event_loop: *mut Loop,
        context: *const c_void,
        closed: unsafe fn(*const c_void),
    ) -> Option<RawHandle> {
        // SAFETY: passed on.
        self.allocate(UV_PREPARE, context, closed, |h| unsafe { (self.uv_prepare_init)(event_loop, h) })
    }

    /// An idle handle: while it is started, it is called in each turn of the loop, and the loop does not sleep.
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread.
    pub(super) unsafe fn idle(
        &self,
        event_loop: *mut Loop,
        context: *const c_void,
        closed: unsafe fn(*const c_void),
    ) -> Option<RawHandle> {
        // SAFETY: passed on.
        self.allocate(UV_IDLE, context, closed, |h| unsafe { (self.uv_idle_init)(event_loop, h) })
    }

    /// Brings the loop's cached time up to date, so that timers started next count from now.
    ///
    /// # Safety
    /// `event_loop` is alive and belongs to this thread.
    pub(super) unsafe fn update_time(&self, event_loop: *mut Loop) {
        // SAFETY: passed on.
        unsafe { (self.uv_update_time)(event_loop) }
    }
}

/// The context that a handle was made with.
///
/// # Safety
/// `handle` is one of ours, in a callback of it.
pub(super) unsafe fn context(handle: *mut Handle) -> *const c_void {
    // SAFETY: `data` is the first field of uv_handle_t (uv.h documents it as public), and every handle of ours carries
    // an Owner there until it is closed.
    unsafe { (**handle.cast::<*mut Owner>()).context }
}

impl RawHandle {
    /// Whether it is the one that is called back.
    pub(super) fn is(self, handle: *mut Handle) -> bool {
        self.0.as_ptr() == handle
    }

    /// Watches for events; replaces what was watched for before.
    ///
    /// # Safety
    /// A poll handle that is not closed, on its own thread.
    pub(super) unsafe fn watch(self, uv: &Uv, events: c_int, callback: PollCallback) -> bool {
        // SAFETY: passed on.
        unsafe { (uv.uv_poll_start)(self.0.as_ptr(), events, callback) == 0 }
    }

    /// Starts a timer, once, or again.
    ///
    /// # Safety
    /// A timer that is not closed, on its own thread.
    pub(super) unsafe fn start_timer(self, uv: &Uv, millis: u64, callback: HandleCallback) {
        // SAFETY: passed on.
        unsafe { (uv.uv_timer_start)(self.0.as_ptr(), callback, millis, 0) };
    }

    /// Starts a prepare handle.
    ///
    /// # Safety
    /// A prepare handle that is not closed, on its own thread.
    pub(super) unsafe fn start_prepare(self, uv: &Uv, callback: HandleCallback) {
        // SAFETY: passed on.
        unsafe { (uv.uv_prepare_start)(self.0.as_ptr(), callback) };
    }

    /// Starts an idle handle; again does nothing.
    ///
    /// # Safety
    /// An idle handle that is not closed, on its own thread.
    pub(super) unsafe fn start_idle(self, uv: &Uv, callback: HandleCallback) {
        // SAFETY: passed on.
        unsafe { (uv.uv_idle_start)(self.0.as_ptr(), callback) };
    }

    /// Stops an idle handle.
    ///
    /// # Safety
    /// An idle handle that is not closed, on its own thread.
    pub(super) unsafe fn stop_idle(self, uv: &Uv) {
        // SAFETY: passed on.
        unsafe { (uv.uv_idle_stop)(self.0.as_ptr()) };
    }

    /// Whether the handle keeps the loop alive.
    ///
    /// # Safety
    /// Not closed, on its own thread.
    pub(super) unsafe fn keep_alive(self, uv: &Uv, keep: bool) {
        // SAFETY: passed on; both calls are idempotent.
        unsafe {
            if keep {
                (uv.uv_ref)(self.0.as_ptr());
            } else {
                (uv.uv_unref)(self.0.as_ptr());
            }
        }
    }

    /// Closes the handle; a poll handle's descriptor may be closed right after. Its memory goes, and its `closed` function runs, in a later turn of the loop.
    ///
    /// # Safety
    /// Not closed yet, on its own thread.
    pub(super) unsafe fn close(self, uv: &Uv) {
        // SAFETY: passed on.
        unsafe { (uv.uv_close)(self.0.as_ptr(), Some(on_closed)) };
    }
}
