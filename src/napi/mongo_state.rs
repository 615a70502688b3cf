//! What an engine has of MongoDB, and how its thread wakes the loop.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;

use crate::mongo::driver::executor::{Executor, Outbox};
use crate::mongo::wire::Request;

/// What an engine has of MongoDB, from the first call on.
#[derive(Default)]
pub(super) struct Mongo {
    pub(super) executor: Option<Arc<Executor>>,
    /// Requests of this tick.
    pub(super) tick: Vec<Request>,
    pub(super) answers: Option<Arc<Answers>>,
    /// Whether the process is kept alive.
    pub(super) held: bool,
}

/// Answers that JavaScript has not been told yet.
pub(super) struct Answers {
    pub(super) bytes: Mutex<Vec<u8>>,
    /// Wakes the loop; `None` once the environment goes down.
    pub(super) wake: Mutex<Option<Wake>>,
}

#[derive(Clone, Copy)]
pub(super) struct Wake(pub(super) sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called from any thread; it is, only while it stands in `wake`, under its lock.
unsafe impl Send for Wake {}

impl Outbox for Answers {
    fn put(&self, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = bytes.is_empty();
        write(&mut bytes);
        drop(bytes);
        if asleep {
            let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Wake(function)) = *wake {
                // SAFETY: it stands in `wake`, so it has not been finalized.
                let status = unsafe {
                    sys::napi_call_threadsafe_function(
                        function,
                        ptr::null_mut(),
                        sys::ThreadsafeFunctionCallMode::nonblocking,
                    )
                };
                if status != sys::Status::napi_ok {
                    *wake = None;
                }
            }
        }
    }
}
