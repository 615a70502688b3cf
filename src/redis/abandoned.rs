//! Calls that will not be answered any more and are yet to be told so. Pure.
//!
//! To reject a call costs JavaScript some microseconds, and a million may wait: they are told in slices, so that timers and
//! other sockets have their turns. They leave the queue at once, so that none of them is sent meanwhile, and count for its
//! bounds until they are settled.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::error::Error;
use crate::redis::encode::describe;
use crate::redis::pending::Pending;

/// Calls that were given up together.
struct Batch<T> {
    /// Their commands, from `head` on.
    commands: Vec<u8>,
    head: usize,
    pending: VecDeque<Pending<T>>,
    why: Rc<Error>,
}

/// See the module.
pub(super) struct Abandoned<T> {
    batches: VecDeque<Batch<T>>,
    calls: usize,
    bytes: usize,
}

impl<T> Default for Abandoned<T> {
    fn default() -> Self {
        Self { batches: VecDeque::new(), calls: 0, bytes: 0 }
    }
}

impl<T> Abandoned<T> {
    /// How many calls there are.
    pub(super) const fn calls(&self) -> usize {
        self.calls
    }

    /// Bytes of their commands.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds calls, with the buffer that their commands end and where they begin in it. What is quiet among them is
    /// forgotten: nobody waits for it.
    pub(super) fn add(&mut self, pending: VecDeque<Pending<T>>, commands: Vec<u8>, head: usize, why: Rc<Error>) {
        let calls = pending.iter().filter(|pending| !pending.quiet).count();
        if calls > 0 {
            self.calls += calls;
            self.bytes += commands.len() - head;
            self.batches.push_back(Batch { commands, head, pending, why });
        }
    }

    /// Takes calls, the oldest first, at most so many, each with its command and key and the reason.
    pub(super) fn take(&mut self, most: usize, tags: &mut Vec<(T, String, Rc<Error>)>) {
        let mut left = most.min(self.calls);
        while left > 0
            && let Some(batch) = self.batches.front_mut()
        {
            let Some(pending) = batch.pending.pop_front() else {
                self.batches.pop_front();
                continue;
            };
            let (start, end) = (batch.head + pending.prefix(), batch.head + pending.bytes);
            let Pending { tag, bytes, quiet, .. } = pending;
            if let Some(tag) = tag.filter(|_| !quiet) {
                tags.push((tag, describe(&batch.commands[start..end]), Rc::clone(&batch.why)));
                left -= 1;
                self.calls -= 1;
            }
            batch.head = end;
            self.bytes -= bytes;
        }
        if self.calls == 0 {
            *self = Self::default();
        }
    }
}
