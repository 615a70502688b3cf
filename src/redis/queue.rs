//! Commands that are not answered yet, in their order: bounds, deadlines, and which bytes the socket takes next. Pure.
//!
//! Commands stay in the out-buffer until they are answered. `head` is the first unanswered byte, `sent` the first that
//! the socket has not taken; a lost connection sets `sent` back to `head`, and everything unanswered goes out again in
//! its order. That is allowed because every command that we send is idempotent.

use std::collections::VecDeque;

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::redis::encode::describe;
use crate::redis::{MILLI, Nanos};

/// A buffer that grew beyond this is given back when it is empty.
const KEEP: usize = 1024 * 1024;
/// What is answered leaves the front of the buffer when there is so much of it.
const SETTLED: usize = 64 * 1024;

struct Pending<T> {
    /// Whose reply it is; `None` once its deadline has passed. The reply still takes its place in the order.
    tag: Option<T>,
    /// Length of the command.
    bytes: usize,
    /// How much of that the buffer holds: all, or nothing any more.
    held: usize,
    /// 0 until the command was flushed: time before that is JavaScript's, not the server's.
    deadline: Nanos,
    /// Nobody waits for it.
    quiet: bool,
}

/// The command that is answered next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    /// Its deadline has not passed.
    pub(super) wanted: bool,
    /// The socket has taken it whole.
    pub(super) sent: bool,
}

/// Commands that are not answered yet. `T` says whose reply it is.
pub struct Queue<T> {
    max: usize,
    max_bytes: usize,
    timeout: Nanos,
    commands: Vec<u8>,
    head: usize,
    sent: usize,
    /// Nothing is written from here on.
    barrier: Option<usize>,
    pending: VecDeque<Pending<T>>,
    /// How many at the front of `pending` have lost their tag.
    expired: usize,
    /// How many of the others are quiet.
    quiet: usize,
    /// Calls that were pushed, quiet commands left out.
    accepted: u64,
    /// How many at the back of `pending` have no deadline yet.
    unstamped: usize,
}

impl<T> Queue<T> {
    /// An empty queue with the bounds of a configuration.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max: config.queue_max,
            max_bytes: config.queue_max_bytes,
            timeout: config.timeout_ms * MILLI,
            commands: Vec::new(),
            head: 0,
            sent: 0,
            barrier: None,
            pending: VecDeque::new(),
            expired: 0,
            quiet: 0,
            accepted: 0,
            unstamped: 0,
        }
    }

    /// Calls that wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending.len() - self.expired - self.quiet
    }

    /// Calls so far, and how many of them are settled.
    #[must_use]
    pub fn accepted_and_settled(&self) -> (u64, u64) {
        (self.accepted, self.accepted - self.waiting() as u64)
    }

    /// Whether nothing is unanswered, neither calls nor what nobody waits for any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Calls whose command the socket has not taken yet, and calls on the wire.
    #[must_use]
    pub fn queued_and_in_flight(&self) -> (usize, usize) {
        if self.sent == self.head {
            return (self.waiting(), 0);
        }
        let mut end = self.head;
        let on_wire = self.pending.iter().take_while(|pending| {
            end += pending.held;
            end <= self.sent
        });
        let in_flight = on_wire.filter(|pending| pending.tag.is_some() && !pending.quiet).count();
        (self.waiting() - in_flight, in_flight)
    }

    /// Queues a command that `write` appends to the out-buffer.
    pub(super) fn push(&mut self, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.enqueue(tag, false, write)?;
        self.accepted += 1;
        Ok(())
    }

    /// The same for a command that nobody waits for: it keeps nothing alive.
    pub(super) fn push_quiet(&mut self, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.enqueue(tag, true, write)?;
        self.quiet += 1;
        Ok(())
    }

    fn enqueue(&mut self, tag: T, quiet: bool, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.commands.len();
        // Calls whose deadline has passed wait for nothing.
        if self.waiting() >= self.max {
            return Err(queue_full(&format!("{} calls wait (CC_REDIS_QUEUE_MAX)", self.waiting())));
        }
        write(&mut self.commands);
        if self.commands.len() - self.head > self.max_bytes {
            let bytes = self.commands.len() - self.head;
            self.commands.truncate(start);
            return Err(queue_full(&format!("{bytes} bytes would wait (CC_REDIS_QUEUE_MAX_BYTES)")));
        }
        let bytes = self.commands.len() - start;
        self.pending.push_back(Pending { tag: Some(tag), bytes, held: bytes, deadline: 0, quiet });
        self.unstamped += 1;
        Ok(())
    }

    /// Commands that were pushed and not yet offered to the socket.
    #[must_use]
    pub const fn unflushed(&self) -> usize {
        self.unstamped
    }

    /// The flush at the end of a tick: deadlines of what was queued since the last one start here. Whether
    /// there was anything.
    pub(super) fn stamp(&mut self, now: Nanos) -> bool {
        if self.unstamped == 0 {
            return false;
        }
        let deadline = now + self.timeout;
        for pending in self.pending.iter_mut().rev().take(self.unstamped) {
            pending.deadline = deadline;
        }
        self.unstamped = 0;
        true
    }

    /// Writes nothing on this connection beyond the call up to which so many are accepted (see
    /// [`Queue::accepted_and_settled`]): it ends there, and what was written beyond would be written again on the next.
    pub(super) fn hold_after(&mut self, accepted: Option<u64>) {
        self.barrier = accepted.map(|accepted| {
            let mut left = accepted.saturating_sub(self.accepted_and_settled().1);
            let mut barrier = self.head;
            for pending in &self.pending {
                if !pending.quiet && pending.tag.is_some() {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
                barrier += pending.held;
            }
            barrier
        });
    }

    /// What the socket should take next.
    pub(super) fn unsent(&self) -> &[u8] {
        let end = self.commands.len();
        &self.commands[self.sent..self.barrier.map_or(end, |barrier| barrier.clamp(self.sent, end))]
    }

    /// The socket took that many bytes.
    pub(super) const fn took(&mut self, count: usize) {
        self.sent += count;
    }

    /// Whether the socket has taken bytes that are not answered.
    #[must_use]
    pub const fn is_on_wire(&self) -> bool {
        self.sent > self.head
    }

    /// The command that is answered next.
    pub(super) fn front(&self) -> Option<Front> {
        let pending = self.pending.front()?;
        Some(Front { wanted: pending.tag.is_some(), sent: self.head + pending.held <= self.sent })
    }

    /// The same, its name and key.
    pub(super) fn describe_front(&self) -> String {
        let held = self.pending.front().map_or(0, |pending| pending.held);
        describe(&self.commands[self.head..self.head + held])
    }

    /// It is answered. Whose it was, if anybody still wants it, and its length.
    pub(super) fn answered(&mut self) -> Option<(Option<T>, usize)> {
        let Pending { tag, bytes, held, quiet, .. } = self.pending.pop_front()?;
        self.unstamped = self.unstamped.min(self.pending.len());
        self.head += held;
        self.sent = self.sent.max(self.head);
        self.compact();
        if tag.is_some() {
            self.quiet -= usize::from(quiet);
        } else {
            self.expired -= 1;
        }
        Some((tag, bytes))
    }

    /// The first deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.pending.get(self.expired).map(|pending| pending.deadline).filter(|&deadline| deadline > 0)
    }

    /// Takes calls whose deadline has passed, at most so many, each with its command and key for the message. All calls
    /// have the same timeout, so they stand at the front. Those that are left are taken the next time.
    /// Returns how many calls that were, quiet commands left out.
    pub(super) fn expire(&mut self, now: Nanos, most: usize, tags: &mut Vec<(T, String)>) -> u64 {
        let mut start = self.head + self.pending.iter().take(self.expired).map(|pending| pending.held).sum::<usize>();
        let before = self.expired;
        let mut calls = 0;
        while self.expired - before < most
            && let Some(pending) = self.pending.get_mut(self.expired)
        {
            if pending.deadline == 0 || pending.deadline > now {
                break;
            }
            let end = start + pending.held;
            tags.extend(pending.tag.take().map(|tag| (tag, describe(&self.commands[start..end]))));
            start = end;
            self.expired += 1;
            self.quiet -= usize::from(pending.quiet);
            calls += u64::from(!pending.quiet);
        }
        if self.expired > before {
            self.release_expired();
        }
        calls
    }

    /// What was written for calls that nobody waits for is not written again: its bytes need not be held.
    fn release_expired(&mut self) {
        for pending in self.pending.iter_mut().take(self.expired) {
            if self.head + pending.held > self.sent {
                break;
            }
            self.head += std::mem::take(&mut pending.held);
        }
        self.compact();
    }

    /// Forgets commands that nobody waits for. Only while nothing is on the wire.
    pub(super) fn drop_expired(&mut self) {
        let bytes: usize = self.pending.drain(..self.expired).map(|pending| pending.held).sum();
        self.expired = 0;
        self.head += bytes;
        self.sent = self.sent.max(self.head);
        self.compact();
    }

    /// The connection is gone. How many calls were on the wire.
    pub(super) fn rewind(&mut self) -> usize {
        let (_, in_flight) = self.queued_and_in_flight();
        self.drop_expired();
        self.sent = self.head;
        in_flight
    }

    /// Takes the first so many calls, and what is quiet among them, because they will not be answered any more, each with
    /// its command and key. The connection must be down, so that nothing is on the wire and nothing has expired.
    pub(super) fn abandon(&mut self, count: usize, tags: &mut Vec<(T, String)>) {
        let mut start = self.head;
        let mut left = count;
        while self.pending.front().is_some_and(|pending| pending.quiet || left > 0)
            && let Some(pending) = self.pending.pop_front()
        {
            if pending.quiet {
                self.quiet -= 1;
            } else {
                left -= 1;
            }
            let end = start + pending.held;
            tags.extend(pending.tag.map(|tag| (tag, describe(&self.commands[start..end]))));
            start = end;
        }
        self.head = start;
        self.sent = start;
        self.unstamped = self.unstamped.min(self.pending.len());
        self.compact();
    }

    fn compact(&mut self) {
        let head = self.head;
        if self.head == self.commands.len() {
            self.commands.clear();
            self.head = 0;
            self.sent = 0;
            if self.commands.capacity() > KEEP {
                self.commands.shrink_to(SETTLED);
            }
        } else if self.head > SETTLED && self.head > self.commands.len() / 2 {
            self.commands.drain(..self.head);
            self.sent -= self.head;
            self.head = 0;
        }
        let moved = head - self.head;
        self.barrier = self.barrier.map(|barrier| barrier.saturating_sub(moved));
    }
}

fn queue_full(what: &str) -> Error {
    Error::new(Code::QueueFull, format!("The queue to Redis is full: {what}"))
}
