//! What an engine has of MongoDB, and how its thread wakes the loop.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;

use crate::mongo::driver::executor::{Executor, Outbox};
use crate::mongo::wire::{Answer, CallId, Request};
use crate::store::error::Outcome;
use crate::store::maps::Told;
use crate::store::work::{Answered, Inbox};

/// What an engine has of MongoDB, from the first call on.
#[derive(Default)]
pub(super) struct Mongo {
    pub(super) executor: Option<Arc<Executor>>,
    /// Requests of this tick.
    pub(super) tick: Vec<Request>,
    pub(super) answers: Option<Arc<Answers>>,
    /// Whether calls for rows wait, and whether calls of maps do.
    pub(super) rows_wait: bool,
    pub(super) maps_wait: bool,
    /// Whether the process is kept alive.
    pub(super) held: bool,
}

/// So many maps' calls are told in one turn of the loop.
const TOLD_AT_ONCE: usize = 2_000;

/// Answers that JavaScript has not been told yet.
#[derive(Default)]
pub(super) struct Gathered {
    /// Of requests for rows.
    pub(super) bytes: Vec<u8>,
    /// Of maps' calls, where the store is embedded.
    pub(super) maps: Vec<(u64, Outcome<Told>)>,
}

/// The same, and who is to be woken for them.
pub(super) struct Answers {
    pub(super) gathered: Mutex<Gathered>,
    /// Wakes the loop; `None` once the environment goes down.
    pub(super) wake: Mutex<Option<Wake>>,
}

#[derive(Clone, Copy)]
pub(super) struct Wake(pub(super) sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called from any thread; it is, only while it stands in `wake`, under its lock.
unsafe impl Send for Wake {}

impl Outbox for Answers {
    fn put(&self, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.add(|gathered| write(&mut gathered.bytes));
    }
}

impl Inbox for Answers {
    fn take(&self, answers: Vec<Answered>) {
        self.add(|gathered| gathered.take(answers));
    }
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.maps.is_empty()
    }

    fn take(&mut self, answers: Vec<Answered>) {
        for answer in answers {
            match answer {
                Answered::Map(call, outcome) => self.maps.push((call, outcome)),
                Answered::Row(call, outcome) => push_row(call, outcome, &mut self.bytes),
            }
        }
    }
}

/// What became of a request for rows, as JavaScript reads it.
pub(super) fn push_row(call: CallId, outcome: Outcome<Answer>, out: &mut Vec<u8>) {
    outcome.unwrap_or_else(|failure| Answer::Failed(Box::new(failure))).push(call, out);
}

impl Answers {
    /// Answers for one turn of the loop, and whether there are more: others wait for the loop too.
    pub(super) fn some(&self) -> (Gathered, bool) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let count = gathered.maps.len().min(TOLD_AT_ONCE);
        let rest = gathered.maps.split_off(count);
        let more = !rest.is_empty();
        (std::mem::replace(&mut *gathered, Gathered { bytes: Vec::new(), maps: rest }), more)
    }

    /// Keeps answers for the loop's next turn. Whether somebody has to see to it that they are told then; else somebody was woken for
    /// what came before them.
    pub(super) fn keep(&self, answers: Vec<Answered>) -> bool {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = gathered.is_empty();
        gathered.take(answers);
        asleep
    }

    fn add(&self, write: impl FnOnce(&mut Gathered)) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = gathered.is_empty();
        write(&mut gathered);
        drop(gathered);
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
