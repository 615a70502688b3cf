//! Who keeps an engine alive, and how it ends: the one place where counts of it are given to C and taken back.
//!
//! Each of these owns one count of the engine, as `Rc::into_raw` made it, from its making until its end:
//! a function that JavaScript holds (until its finalizer), a libuv handle (until libuv has closed it, [`released`]), and the
//! hook that waits for our handles when the environment ends (until [`Engine::end_cleanup`]). A callback raises the count for as
//! long as it runs ([`engine`]). The engine refers to JavaScript's hooks weakly while it is idle, so that a module that nobody
//! can reach any more (jest evaluates modules anew for each test file) is collected, and its connection closed with it.

use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::engine::Engine;
use super::js::{Js, Pending};
use super::lifeline::{Cleanup, Handles};
use super::os::Descriptor;
use super::uv::{HandleCallback, RawHandle};

impl Engine {
    /// Adds the hook that waits for our handles when the environment ends.
    pub(super) fn add_cleanup(self: &Rc<Self>) -> Js<()> {
        let owner = Rc::into_raw(Rc::clone(self));
        let mut hook = ptr::null_mut();
        // SAFETY: the hook owns a count of the engine until it has run or was removed.
        let status = unsafe {
            sys::napi_add_async_cleanup_hook(self.env.0, Some(on_cleanup), owner.cast_mut().cast(), &raw mut hook)
        };
        if status != sys::Status::napi_ok {
            // SAFETY: no hook took the count over.
            drop(unsafe { Rc::from_raw(owner) });
            return Err(Pending);
        }
        self.lifeline.cleanup.set(Some(Cleanup { hook, owner: owner.cast() }));
        Ok(())
    }

    /// Makes the handles that live as long as the engine, if there are none. `on_prepare` runs before the loop sleeps.
    pub(super) fn open_handles(self: &Rc<Self>, on_prepare: HandleCallback) {
        let mut handles = self.lifeline.handles.borrow_mut();
        if handles.is_some() || self.is_dead() {
            return;
        }
        let owner = || Rc::into_raw(Rc::clone(self)).cast::<c_void>();
        // SAFETY: the loop is this environment's. Each handle owns a count of the engine, which `released` drops.
        unsafe {
            let timer = self.uv.timer(self.event_loop, owner(), released).expect("libuv makes timers");
            let prepare = self.uv.prepare(self.event_loop, owner(), released).expect("libuv makes prepare handles");
            let idle = self.uv.idle(self.event_loop, owner(), released).expect("libuv makes idle handles");
            prepare.start_prepare(&self.uv, on_prepare);
            *handles = Some(Handles { timer, prepare, idle });
        }
        self.lifeline.open_handles.set(self.lifeline.open_handles.get() + 3);
    }

    /// Notes a handle on a socket; it owns a count of the engine until [`released`].
    pub(super) fn poll_handle(self: &Rc<Self>, descriptor: Descriptor) -> Option<RawHandle> {
        let owner = Rc::into_raw(Rc::clone(self)).cast::<c_void>();
        // SAFETY: the loop is this environment's; the connection closes the handle before the descriptor.
        let handle = unsafe { self.uv.poll(self.event_loop, descriptor, owner, released) };
        if handle.is_some() {
            self.lifeline.open_handles.set(self.lifeline.open_handles.get() + 1);
        } else {
            // SAFETY: no handle took the count over.
            drop(unsafe { Rc::from_raw(owner.cast::<Self>()) });
        }
        handle
    }

    /// A count of the engine, for a function that JavaScript will hold; [`finalize`] takes it back.
    pub(super) fn count_for_function(self: &Rc<Self>) -> *mut c_void {
        Rc::into_raw(Rc::clone(self)).cast_mut().cast()
    }

    /// JavaScript holds a function.
    pub(super) fn function_made(&self) {
        self.lifeline.functions.set(self.lifeline.functions.get() + 1);
    }

    /// JavaScript has let go of a function; with the last one the engine ends.
    fn function_gone(&self) {
        self.lifeline.functions.set(self.lifeline.functions.get() - 1);
        if self.lifeline.functions.get() == 0 {
            self.shut_down();
        }
    }

    /// Ends everything without a word to JavaScript.
    fn shut_down(&self) {
        if self.lifeline.dead.replace(true) {
            return;
        }
        self.store_shut_down();
        self.mongo_shut_down();
        self.with_core_if_free(|core| {
            core.each(|core, at| self.disconnect(core, at));
            self.leave_sentinels(core);
        });
        if let Some(Handles { timer, prepare, idle }) = self.lifeline.handles.borrow_mut().take() {
            // SAFETY: open until here, and closed once: they were taken out.
            unsafe {
                timer.close(&self.uv);
                prepare.close(&self.uv);
                idle.close(&self.uv);
            }
        }
        self.let_go_of_module();
        self.end_cleanup();
    }

    /// Lets the environment go on with its end once the last handle is closed.
    fn end_cleanup(&self) {
        if !self.is_dead() || self.lifeline.open_handles.get() > 0 {
            return;
        }
        let Some(Cleanup { hook, owner }) = self.lifeline.cleanup.take() else { return };
        // SAFETY: the hook was added by create(), is removed once, and owned a count of the engine. Whoever calls this has
        // another, so `self` outlives it.
        unsafe {
            sys::napi_remove_async_cleanup_hook(hook);
            drop(Rc::from_raw(owner.cast::<Self>()));
        }
    }
}

/// The engine of a callback.
///
/// # Safety
/// `context` came from `Rc::into_raw`, and whoever holds it keeps that count until after the callback.
pub(super) unsafe fn engine(context: *const c_void) -> Rc<Engine> {
    let context = context.cast::<Engine>();
    // SAFETY: passed on; the count is raised first, so that the callback's own Rc leaves the holder's alone.
    unsafe {
        Rc::increment_strong_count(context);
        Rc::from_raw(context)
    }
}

/// A libuv handle is closed: its count of the engine goes.
unsafe fn released(context: *const c_void) {
    // SAFETY: the count that the handle was made with.
    let engine = unsafe { Rc::from_raw(context.cast::<Engine>()) };
    engine.lifeline.open_handles.set(engine.lifeline.open_handles.get() - 1);
    engine.end_cleanup();
}

unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the count that the hook was added with, which end_cleanup() drops.
    let engine = unsafe { engine(data.cast_const()) };
    // A worker that is terminated in the middle of a call of ours leaves an exception pending, which the napi crate's own
    // hook, run after this one, cannot bear: it asks for it outside any handle scope (napi 3.16.1).
    engine.env.scoped(|| engine.env.take_exception());
    engine.shut_down();
    engine.end_cleanup();
}

/// The finalizer of a function that holds a count of the engine.
pub(super) unsafe extern "C" fn finalize(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: the count that the function was made with.
    let engine = unsafe { Rc::from_raw(data.cast::<Engine>().cast_const()) };
    engine.function_gone();
}
