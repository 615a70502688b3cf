//! Commands that leave a queue before they are answered, to be sent to another server. Pure.
//!
//! A server of a cluster carries out what it was sent, or refuses it; that cannot be taken back. So what the socket has begun to take
//! keeps its place as a stray, and nothing of its slot is sent elsewhere before the server has answered it
//! ([`Queue::is_free_of`]) or the connection is gone.

use super::{Pending, Queue, Withdrawn};
use crate::redis::Nanos;
use crate::redis::pending::{ASKING, Asks};
use crate::redis::slot::{Slot, SlotSet};

impl<T> Queue<T> {
    /// Queues a command that was withdrawn elsewhere. It was accepted there, so no bound holds, and its deadline stays. `asks`: the
    /// server is asked for this command alone, although its slot is another one's.
    pub(in crate::redis) fn push_withdrawn(&mut self, command: Withdrawn<T>, asks: bool) {
        let Withdrawn { tag, slot, bytes, deadline, quiet } = command;
        let start = self.commands.len();
        if asks {
            self.commands.extend_from_slice(ASKING);
            self.is_away(slot);
        }
        self.commands.extend_from_slice(&bytes);
        let bytes = self.commands.len() - start;
        let is_asking = if asks { Asks::Open } else { Asks::Not };
        self.pending.push_back(Pending { tag: Some(tag), bytes, deadline, quiet, away: asks, asks: is_asking, slot });
        self.quiet += usize::from(quiet);
        self.accepted += u64::from(!quiet);
        self.unstamped += 1;
        self.unordered = self.pending.len();
    }

    fn is_away(&mut self, slot: Slot) {
        *self.away.entry(slot).or_default() += 1;
    }

    pub(super) fn not_away(&mut self, slot: Slot) {
        if let Some(count) = self.away.get_mut(&slot) {
            *count -= 1;
            if *count == 0 {
                self.away.remove(&slot);
            }
        }
    }

    /// Whether the server has nothing more to carry out of a slot that is on its way elsewhere, or was asked here for once.
    #[must_use]
    pub fn is_free_of(&self, slot: Slot) -> bool {
        // Nobody knows any more which slots those are of.
        self.expired.replies == 0 && !self.away.contains_key(&slot)
    }

    /// Takes out the commands that `which` names, in their order. What the socket has not begun to take is not sent any more; the
    /// rest become strays.
    pub(super) fn extract(&mut self, which: impl Fn(&Pending<T>) -> bool, mut take: impl FnMut(Withdrawn<T>)) {
        let stamped = self.pending.len() - self.unstamped;
        let (mut start, mut to) = (self.head, self.head);
        let (mut cut_before_barrier, mut unordered) = (0, self.unordered);
        for (at, mut pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            let (from, end) = (start, start + pending.bytes);
            start = end;
            if which(&pending)
                && let Some(tag) = pending.tag.take()
            {
                let bytes = self.commands[from + pending.prefix()..end].to_vec();
                let Pending { slot, deadline, quiet, .. } = pending;
                take(Withdrawn { tag, slot, bytes, deadline, quiet });
                if from >= self.sent {
                    self.quiet -= usize::from(quiet);
                    self.unstamped -= usize::from(at >= stamped);
                    if pending.away {
                        self.not_away(slot);
                    }
                    if self.barrier.is_some_and(|barrier| from < barrier) {
                        cut_before_barrier += pending.bytes;
                    }
                    continue;
                }
                self.strays += 1;
                self.quiet += usize::from(!quiet);
                if !pending.away {
                    self.is_away(slot);
                }
                (pending.quiet, pending.away, pending.deadline) = (true, true, Nanos::MAX);
                // What is behind it may have to be given up before it.
                unordered = self.pending.len() + 1;
            }
            if to != from {
                self.commands.copy_within(from..end, to);
            }
            to += pending.bytes;
            self.pending.push_back(pending);
        }
        self.commands.truncate(to);
        self.barrier = self.barrier.map(|barrier| barrier - cut_before_barrier);
        self.unordered = unordered.max(self.unordered).min(self.pending.len());
        self.compact();
    }

    /// The connection is gone, and what was on it with it.
    pub(super) fn forget_strays(&mut self) {
        for pending in self.pending.iter_mut().filter(|pending| pending.asks == Asks::Answered) {
            pending.asks = Asks::Open;
        }
        let mut start = self.head;
        for pending in std::mem::take(&mut self.pending) {
            if pending.tag.is_some() {
                start += pending.bytes;
                self.pending.push_back(pending);
            } else {
                self.commands.drain(start..start + pending.bytes);
                self.quiet -= 1;
                self.not_away(pending.slot);
            }
        }
        self.strays = 0;
        self.unstamped = self.unstamped.min(self.pending.len());
        self.unordered = self.unordered.min(self.pending.len());
        self.compact();
    }

    /// Takes out all commands of some slots, in their order, to be sent elsewhere.
    pub(in crate::redis) fn withdraw(&mut self, slots: &SlotSet, out: &mut Vec<Withdrawn<T>>) {
        if slots.is_empty() {
            return;
        }
        self.withdraw_which(|pending| slots.contains(pending.slot), out);
    }

    /// Takes out all commands.
    pub(in crate::redis) fn withdraw_all(&mut self, out: &mut Vec<Withdrawn<T>>) {
        self.withdraw_which(|_| true, out);
    }

    fn withdraw_which(&mut self, which: impl Fn(&Pending<T>) -> bool, out: &mut Vec<Withdrawn<T>>) {
        let before = out.len();
        self.extract(which, |command| out.push(command));
        self.accepted -= out[before..].iter().filter(|command| !command.quiet).count() as u64;
    }

    /// Takes out the command that was just answered, because it is to be sent elsewhere, and how many bytes were sent of it.
    pub(in crate::redis) fn withdraw_front(&mut self) -> Option<(Withdrawn<T>, usize)> {
        let first = self.pending.front()?;
        let bytes = self.commands[self.head..][first.prefix()..first.bytes].to_vec();
        let Pending { tag, deadline, quiet, slot, bytes: length, .. } = self.take_front()?;
        self.accepted -= u64::from(!quiet);
        tag.map(|tag| (Withdrawn { tag, slot, bytes, deadline, quiet }, length))
    }
}
