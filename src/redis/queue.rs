//! Commands that are not answered yet, in their order: bounds, deadlines, and which bytes the socket takes next. Pure.
//!
//! Commands stay in the out-buffer until they are answered. `head` is the first unanswered byte, `sent` the first that
//! the socket has not taken; a lost connection sets `sent` back to `head`, and everything unanswered goes out again in
//! its order. That is allowed because every command that we send is idempotent.
//!
//! A command whose deadline has passed has been given up, so it must not run later: what the socket has not begun to take
//! is taken out. What it has begun is taken to its end, and the reply keeps its place in the order. Such commands stand in
//! front of all others and are only counted, because nothing but their number matters any more.
//!
//! Commands of a slot can be withdrawn, to be sent to another server. What the socket has not begun to take leaves the buffer;
//! what it has begun becomes a *stray*: it is sent to its end, its reply is dropped, and it goes with the connection.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::redis::abandoned::Abandoned;
use crate::redis::encode::describe;
use crate::redis::pending::{Asks, Pending, Withdrawn};
use crate::redis::slot::Slot;
use crate::redis::{MILLI, Nanos};

#[path = "withdraw.rs"]
mod withdraw;

/// A buffer that grew beyond this is given back when it is empty.
const KEEP: usize = 1024 * 1024;
/// What is answered leaves the front of the buffer when there is so much of it.
const ANSWERED: usize = 64 * 1024;

/// Commands that were given up after the socket had begun to take them.
#[derive(Default)]
struct Expired {
    /// How many replies to them are still to come.
    replies: usize,
    /// Bytes of all of them, counted since there was none.
    bytes: usize,
    /// What the socket has not taken yet of the last of them.
    rest: Vec<u8>,
    /// How much of `rest` it has taken meanwhile.
    taken: usize,
}

impl Expired {
    fn rest(&self) -> &[u8] {
        &self.rest[self.taken..]
    }

    fn took(&mut self, count: usize) {
        self.taken += count;
        if self.taken == self.rest.len() {
            self.rest = Vec::new();
            self.taken = 0;
        }
    }
}

/// The command that is answered next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    /// Somebody wants its reply.
    pub(super) wanted: bool,
    /// The socket has taken it whole.
    pub(super) sent: bool,
    /// The slot of its key.
    pub(super) slot: Slot,
}

/// A command that was answered.
pub(super) struct Answered<T> {
    /// Whose reply it is, if anybody still wants it.
    pub(super) tag: Option<T>,
    /// Its length, and that of those before it whose length was not told. `None`: it is told with a later one.
    pub(super) bytes: Option<usize>,
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
    /// In front of all others.
    expired: Expired,
    pending: VecDeque<Pending<T>>,
    /// How many of `pending` are quiet.
    quiet: usize,
    /// Calls that were pushed, quiet commands left out.
    accepted: u64,
    /// How many at the back of `pending` may have no deadline yet.
    unstamped: usize,
    /// How many at the front of `pending` may have deadlines in any order.
    unordered: usize,
    /// How many of `pending` are away, by their slots.
    away: BTreeMap<Slot, usize>,
    /// How many of `pending` are nobody's.
    strays: usize,
    abandoned: Abandoned<T>,
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
            expired: Expired::default(),
            pending: VecDeque::new(),
            quiet: 0,
            accepted: 0,
            unstamped: 0,
            unordered: 0,
            away: BTreeMap::new(),
            strays: 0,
            abandoned: Abandoned::default(),
        }
    }

    /// Calls that are not settled, those included that are given up and yet to be told so.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.unanswered() + self.abandoned.calls()
    }

    /// Calls that wait for an answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pending.len() - self.quiet
    }

    /// Calls so far, and how many of them are settled.
    #[must_use]
    pub fn watermark(&self) -> (u64, u64) {
        (self.accepted, self.accepted - self.waiting() as u64)
    }

    /// Whether nothing is unanswered, neither calls nor what nobody waits for any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.expired.replies == 0
    }

    /// Calls whose command the socket has not taken yet, and calls on the wire.
    #[must_use]
    pub fn queued_and_in_flight(&self) -> (usize, usize) {
        if self.sent == self.head {
            return (self.waiting(), 0);
        }
        let mut end = self.head;
        let on_wire = self.pending.iter().take_while(|pending| {
            end += pending.bytes;
            end <= self.sent
        });
        let in_flight = on_wire.filter(|pending| !pending.quiet).count();
        (self.waiting() - in_flight, in_flight)
    }

    /// Queues a command of a slot that `write` appends to the out-buffer.
    pub(super) fn push(&mut self, tag: T, slot: Slot, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.enqueue(tag, slot, false, write)?;
        self.accepted += 1;
        Ok(())
    }

    /// The same for a command that nobody waits for: it keeps nothing alive.
    pub(super) fn push_quiet(&mut self, tag: T, slot: Slot, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.enqueue(tag, slot, true, write)?;
        self.quiet += 1;
        Ok(())
    }

    fn enqueue(&mut self, tag: T, slot: Slot, quiet: bool, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.commands.len();
        // What nobody wants any more counts until the server has answered it: one that reads and never answers is sent no more
        // than that.
        let waiting = self.waiting() + self.expired.replies + self.strays;
        if waiting >= self.max {
            return Err(self.full(&format!("{waiting} calls wait (CC_REDIS_QUEUE_MAX)")));
        }
        write(&mut self.commands);
        let bytes = self.commands.len() - self.head + self.expired.bytes + self.abandoned.bytes();
        if bytes > self.max_bytes {
            self.commands.truncate(start);
            return Err(self.full(&format!("{bytes} bytes would wait (CC_REDIS_QUEUE_MAX_BYTES)")));
        }
        let bytes = self.commands.len() - start;
        self.pending.push_back(Pending {
            tag: Some(tag),
            bytes,
            deadline: 0,
            quiet,
            away: false,
            asks: Asks::Not,
            slot,
        });
        self.unstamped += 1;
        Ok(())
    }

    /// Takes off the first command.
    fn take_front(&mut self) -> Option<Pending<T>> {
        let pending = self.pending.pop_front()?;
        self.unstamped = self.unstamped.min(self.pending.len());
        self.unordered = self.unordered.saturating_sub(1);
        self.head += pending.bytes;
        self.sent = self.sent.max(self.head);
        self.compact();
        self.quiet -= usize::from(pending.quiet);
        if pending.away {
            self.strays -= usize::from(pending.tag.is_none());
            self.not_away(pending.slot);
        }
        Some(pending)
    }

    fn full(&self, what: &str) -> Error {
        let expired = match self.expired.replies {
            0 => String::new(),
            replies => format!(", {replies} of them past their deadline: the server has not answered them yet"),
        };
        Error::new(Code::QueueFull, format!("The queue to Redis is full: {what}{expired}"))
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
            // What was withdrawn elsewhere may have one.
            if pending.deadline == 0 {
                pending.deadline = deadline;
            }
        }
        self.unstamped = 0;
        true
    }

    /// Writes nothing on this connection beyond the call up to which so many are accepted (see
    /// [`Queue::watermark`]): it ends there, and what was written beyond would be written again on the next.
    pub(super) fn hold_after(&mut self, accepted: Option<u64>) {
        self.barrier = accepted.map(|accepted| {
            let unsettled = accepted.saturating_sub(self.watermark().1);
            let mut left = unsettled.saturating_sub(self.abandoned.calls() as u64);
            let mut barrier = self.head;
            for pending in &self.pending {
                if !pending.quiet {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
                barrier += pending.bytes;
            }
            barrier
        });
    }

    /// What the socket should take next; not always all there is.
    pub(super) fn unsent(&self) -> &[u8] {
        let rest = self.expired.rest();
        if !rest.is_empty() {
            return rest;
        }
        let end = self.commands.len();
        &self.commands[self.sent..self.barrier.map_or(end, |barrier| barrier.clamp(self.sent, end))]
    }

    /// The socket took that many bytes of [`Queue::unsent`].
    pub(super) fn took(&mut self, count: usize) {
        if self.expired.rest().is_empty() {
            self.sent += count;
        } else {
            self.expired.took(count);
        }
    }

    /// Whether the socket has taken bytes of a command that somebody waits for.
    #[must_use]
    pub const fn is_on_wire(&self) -> bool {
        self.sent > self.head
    }

    /// The command that is answered next.
    pub(super) fn front(&self) -> Option<Front> {
        if self.expired.replies > 0 {
            let sent = self.expired.replies > 1 || self.expired.rest().is_empty();
            return Some(Front { wanted: false, sent, slot: Slot::NONE });
        }
        let pending = self.pending.front()?;
        let (wanted, bytes) = match pending.asks {
            Asks::Open => (false, pending.prefix()),
            _ => (pending.tag.is_some(), pending.bytes),
        };
        Some(Front { wanted, sent: self.head + bytes <= self.sent, slot: pending.slot })
    }

    /// The same, its name and key. Nothing of one that was given up.
    pub(super) fn describe_front(&self) -> String {
        match self.pending.front() {
            Some(pending) if self.expired.replies == 0 => {
                describe(&self.commands[self.head..][pending.prefix()..pending.bytes])
            }
            _ => String::new(),
        }
    }

    /// It is answered.
    pub(super) fn answered(&mut self) -> Option<Answered<T>> {
        if self.expired.replies > 0 {
            self.expired.replies -= 1;
            let is_last = self.expired.replies == 0;
            return Some(Answered { tag: None, bytes: is_last.then(|| std::mem::take(&mut self.expired.bytes)) });
        }
        if let Some(first) = self.pending.front_mut()
            && first.asks == Asks::Open
        {
            first.asks = Asks::Answered;
            return Some(Answered { tag: None, bytes: None });
        }
        let Pending { tag, bytes, .. } = self.take_front()?;
        Some(Answered { tag, bytes: Some(bytes) })
    }

    /// Bytes of commands that were given up after the socket had begun to take them, up to the last of them whose reply is
    /// still to come.
    pub(super) const fn expired_bytes(&self) -> usize {
        self.expired.bytes
    }

    /// Whether it has a command of a slot, if only one that nobody wants any more.
    #[cfg(test)]
    pub(crate) fn has_of(&self, slot: Slot) -> bool {
        self.pending.iter().any(|pending| pending.slot == slot)
    }

    /// Bytes of memory that commands take.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.commands.len() - self.head + self.expired.rest.len() + self.abandoned.bytes()
    }

    /// The first deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let first = self.pending.iter().take(self.unordered + 1).map(|pending| pending.deadline);
        first.filter(|&deadline| deadline > 0 && deadline < Nanos::MAX).min()
    }

    /// Takes calls whose deadline has passed, at most so many, each with its command and key for the message. All calls
    /// have the same timeout, so they stand at the front, but for what was withdrawn elsewhere. Those that are left are taken the
    /// next time.
    /// Returns how many calls that were, quiet commands left out.
    pub(super) fn expire(&mut self, now: Nanos, most: usize, tags: &mut Vec<(T, String)>) -> u64 {
        let (mut calls, mut left) = (0, most);
        while left > 0
            && self.pending.front().is_some_and(|first| first.is_due(now))
            && let Some(pending) = self.pending.pop_front()
        {
            self.unstamped = self.unstamped.min(self.pending.len());
            self.unordered = self.unordered.saturating_sub(1);
            self.quiet -= usize::from(pending.quiet);
            calls += u64::from(!pending.quiet);
            let (prefix, end) = (pending.prefix(), self.head + pending.bytes);
            if pending.away {
                self.not_away(pending.slot);
            }
            if let Some(tag) = pending.tag {
                left -= 1;
                tags.push((tag, describe(&self.commands[self.head + prefix..end])));
            }
            if self.sent > self.head {
                // The beginning of a command without its end would swallow the next one.
                if end > self.sent {
                    self.expired.rest = self.commands[self.sent..end].to_vec();
                }
                self.expired.replies += if pending.asks == Asks::Open { 2 } else { 1 };
                self.expired.bytes += pending.bytes;
            }
            self.head = end;
            self.sent = self.sent.max(end);
        }
        self.compact();
        if left > 0 && self.pending.iter().take(self.unordered + 1).any(|pending| pending.is_due(now)) {
            let left = Cell::new(left);
            let which = |pending: &Pending<T>| {
                let take = left.get() > 0 && pending.is_due(now);
                left.set(left.get() - usize::from(take));
                take
            };
            self.extract(which, |Withdrawn { tag, bytes, quiet, .. }| {
                calls += u64::from(!quiet);
                tags.push((tag, describe(&bytes)));
            });
        }
        calls
    }

    /// The connection is gone. How many calls were on the wire.
    pub(super) fn rewind(&mut self) -> usize {
        let (_, in_flight) = self.queued_and_in_flight();
        self.expired = Expired::default();
        self.sent = self.head;
        if !self.away.is_empty() {
            self.forget_strays();
        }
        in_flight
    }

    /// Gives up the first so many calls that are not settled, and what is quiet among them: they will not be answered any
    /// more, for that reason. They are settled by [`Queue::take_abandoned`]. The connection must be down, so that nothing
    /// is on the wire.
    pub(super) fn abandon(&mut self, count: usize, why: Error) {
        let mut left = count.saturating_sub(self.abandoned.calls());
        let (mut commands, mut end) = (0, self.head);
        for pending in &self.pending {
            if !pending.quiet && left == 0 {
                break;
            }
            left -= usize::from(!pending.quiet);
            commands += 1;
            end += pending.bytes;
        }
        let rest = self.pending.split_off(commands);
        let taken = std::mem::replace(&mut self.pending, rest);
        let rest = self.commands.split_off(end);
        let bytes = std::mem::replace(&mut self.commands, rest);
        let head = std::mem::take(&mut self.head);
        self.sent = 0;
        self.barrier = self.barrier.map(|barrier| barrier.saturating_sub(end));
        self.quiet -= taken.iter().filter(|pending| pending.quiet).count();
        self.unstamped = self.unstamped.min(self.pending.len());
        self.unordered = self.unordered.saturating_sub(commands);
        // Strays went with the connection.
        for pending in taken.iter().filter(|pending| pending.away) {
            self.not_away(pending.slot);
        }
        self.abandoned.add(taken, bytes, head, Rc::new(why));
    }

    /// Takes calls that were given up, at most so many, each with its command and key and the reason.
    pub(super) fn take_abandoned(&mut self, most: usize, tags: &mut Vec<(T, String, Rc<Error>)>) {
        self.abandoned.take(most, tags);
    }

    /// Whether calls that were given up are yet to be told so.
    #[must_use]
    pub fn is_abandoning(&self) -> bool {
        self.abandoned.calls() > 0
    }

    fn compact(&mut self) {
        let head = self.head;
        if self.head == self.commands.len() {
            self.commands.clear();
            self.head = 0;
            self.sent = 0;
            if self.commands.capacity() > KEEP {
                self.commands.shrink_to(ANSWERED);
            }
        } else if self.head > ANSWERED && self.head > self.commands.len() / 2 {
            self.commands.drain(..self.head);
            self.sent -= self.head;
            self.head = 0;
        }
        let moved = head - self.head;
        self.barrier = self.barrier.map(|barrier| barrier.saturating_sub(moved));
    }
}
