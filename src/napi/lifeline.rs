//! What keeps an engine alive, and what it still has to close: see [`super::teardown`].

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use napi::sys;

use super::uv::RawHandle;

/// Handles that live as long as the engine.
pub(super) struct Handles {
    pub(super) timer: RawHandle,
    pub(super) prepare: RawHandle,
    pub(super) idle: RawHandle,
}

/// The hook that waits for our handles when the environment ends.
pub(super) struct Cleanup {
    pub(super) hook: sys::napi_async_cleanup_hook_handle,
    /// The count of the engine that the hook owns, as `Rc::into_raw` gave it: a pointer from a reference must not be made
    /// into an Rc.
    pub(super) owner: *const c_void,
}

/// Counts of one engine.
#[derive(Default)]
pub(super) struct Lifeline {
    pub(super) handles: RefCell<Option<Handles>>,
    pub(super) open_handles: Cell<usize>,
    /// Functions that JavaScript holds.
    pub(super) functions: Cell<usize>,
    pub(super) dead: Cell<bool>,
    pub(super) cleanup: Cell<Option<Cleanup>>,
}
