//! What an engine has of MongoDB, and how its thread wakes the loop.

use std::collections::VecDeque;
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

/// What is told in one turn of the loop, so that others have theirs: so many calls of maps, and so many requests for rows or bytes of
/// their answers, of which JavaScript makes rows meanwhile.
const MAPS_AT_ONCE: usize = 500;
const ROWS_AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 128 * 1024;

/// Answers of requests for rows, as many as are told in one turn.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    count: usize,
}

/// Answers that JavaScript has not been told yet.
#[derive(Default)]
pub(super) struct Gathered {
    rows: VecDeque<Rows>,
    maps: Vec<(u64, Outcome<Told>)>,
}

/// Answers for one turn of the loop.
pub(super) struct Turn {
    /// Of requests for rows.
    pub(super) bytes: Vec<u8>,
    /// Of maps' calls, where the store is embedded.
    pub(super) maps: Vec<(u64, Outcome<Told>)>,
    /// Whether there are more.
    pub(super) more: bool,
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
        self.add(|gathered| gathered.row(write));
    }
}

impl Inbox for Answers {
    fn take(&self, answers: Vec<Answered>) {
        self.add(|gathered| gathered.take(answers));
    }
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.maps.is_empty()
    }

    /// Takes an answer of a request for rows, which is written where it is told.
    fn row(&mut self, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let has_room = |rows: &Rows| rows.count < ROWS_AT_ONCE && rows.bytes.len() < BYTES_AT_ONCE;
        if !self.rows.back().is_some_and(has_room) {
            self.rows.push_back(Rows::default());
        }
        if let Some(rows) = self.rows.back_mut() {
            write(&mut rows.bytes);
            rows.count += 1;
        }
    }

    fn take(&mut self, answers: Vec<Answered>) {
        for answer in answers {
            match answer {
                Answered::Map(call, outcome) => self.maps.push((call, outcome)),
                Answered::Row(call, outcome) => {
                    let mut outcome = Some(outcome);
                    self.row(&mut |out| {
                        if let Some(outcome) = outcome.take() {
                            push_row(call, outcome, out);
                        }
                    });
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let bytes = self.rows.pop_front().unwrap_or_default().bytes;
        let rest = self.maps.split_off(self.maps.len().min(MAPS_AT_ONCE));
        let maps = std::mem::replace(&mut self.maps, rest);
        Turn { bytes, maps, more: !self.is_empty() }
    }
}

/// What became of a request for rows, as JavaScript reads it.
pub(super) fn push_row(call: CallId, outcome: Outcome<Answer>, out: &mut Vec<u8>) {
    outcome.unwrap_or_else(|failure| Answer::Failed(Box::new(failure))).push(call, out);
}

impl Answers {
    /// Answers for one turn of the loop.
    pub(super) fn turn(&self) -> Turn {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner).turn()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_together_is_told_turn_by_turn_in_its_order() {
        let mut gathered = Gathered::default();
        let count = 3 * ROWS_AT_ONCE + 1;
        for number in 0..count {
            gathered.take(vec![
                Answered::Row(u32::try_from(number).unwrap(), Ok(Answer::None)),
                Answered::Map(number as u64, Ok(Told::Nothing)),
            ]);
        }
        let (mut rows, mut maps, mut turns) = (Vec::new(), Vec::new(), 0);
        loop {
            let turn = gathered.turn();
            turns += 1;
            assert!(turn.bytes.len() <= ROWS_AT_ONCE * 16 && turn.maps.len() <= MAPS_AT_ONCE);
            let calls = turn.bytes.chunks(16).map(|head| u32::from_le_bytes(head[..4].try_into().unwrap()) as usize);
            rows.extend(calls);
            maps.extend(turn.maps.into_iter().map(|(call, _)| usize::try_from(call).unwrap()));
            assert_eq!(turn.more, rows.len() < count);
            if !turn.more {
                break;
            }
        }
        assert_eq!(turns, 4);
        assert_eq!((rows, maps), ((0..count).collect(), (0..count).collect()));
        assert!(gathered.is_empty());
    }

    #[test]
    fn large_answers_are_told_in_more_turns() {
        let mut gathered = Gathered::default();
        for _ in 0..3 {
            gathered.row(&mut |out| out.resize(out.len() + BYTES_AT_ONCE, 0));
        }
        for left in (0..3).rev() {
            assert_eq!(gathered.turn().more, left > 0);
        }
    }
}
