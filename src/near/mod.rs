//! The in-process cache of ids, kept right by Redis itself: coherence rules and storage. Pure: no socket, no clock.
//!
//! Redis tells this connection about every foreign change of a key under the tracked prefixes (`CLIENT TRACKING … BCAST
//! NOLOOP`), in the same stream as the replies. From that, these rules make a cache that is never wrong for longer than
//! the lease:
//!
//! 1. A read takes a *ticket* before its command is queued; its reply fills the entry only if nothing has *touched* the key
//!    since. An invalidation touches its key.
//! 2. A write of our own, by whatever object, touches the key when it is queued (NOLOOP: nobody will tell us). The reply to
//!    a SET without expiry stores what was written, if nothing else has touched the key since.
//! 3. A lost connection, or an invalidation of everything, takes everything away.
//! 4. The cache answers only within the *lease*: while the server has proven, less than [`LEASE`] ago, that it had told
//!    us everything. The proof is a reply, and it counts from the moment when its command was written, not when the reply
//!    was read: JavaScript may have been busy in between.
//! 5. Redis pushes an expiry when it deletes the key, which may be minutes late. So an entry whose expiry is unknown
//!    answers for one lease only; a key that is still asked for after that is read together with its `PTTL`, and its
//!    entry ends with the key. Keys that are read once cost no second command.

mod fingerprint;
mod later;
mod log;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod races;
#[cfg(test)]
mod simulation;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::redis::peer::Epoch;
use crate::redis::{MILLI, Nanos};
use fingerprint::{Fingerprint, Fingerprints};
use later::Later;
use log::{Entry, Log};

/// How long the cache answers after the last proof, in nanoseconds. A value that it serves is at most this old.
pub const LEASE: Nanos = 2_000 * MILLI;

/// Stands for one read or write that is under way. It is void once something has touched the key.
///
/// Small, because it is moved along with its command, from the queue to what is remembered: that is half a dozen copies,
/// and those of the commands that have none are as large.
#[derive(Debug)]
pub struct Ticket(Box<Issued>);

/// What a ticket says.
#[derive(Debug)]
struct Issued {
    key: Fingerprint,
    /// The count of touches when it was made.
    made: u64,
    /// Counts tickets that are under way, however they end.
    outstanding: Option<Rc<()>>,
    /// What its answer depends on, besides the key.
    epoch: Epoch,
}

impl Ticket {
    /// The same, for an answer under an epoch.
    #[must_use]
    pub fn under(mut self, epoch: Epoch) -> Self {
        self.0.epoch = epoch;
        self
    }

    /// What the answer depends on.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }
}

/// What the cache holds of a key, for a read that it cannot answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The key, if it was looked for: a first read hashes it once.
    key: Option<Fingerprint>,
    /// There is an entry, which ended because the expiry of the key is not known: the read should ask for that as well.
    brief: bool,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// There is no such key.
    Absent,
    /// It exists; a GET may still find that it holds no string.
    Present,
    /// It holds this text.
    Text(&'a [u8]),
}

/// Counters for `stats()`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Reads answered from memory.
    pub hits: u64,
    /// Reads that went to the server.
    pub misses: u64,
    /// Entries filled by a reply.
    pub fills: u64,
    /// Replies that filled nothing, because something had touched the key meanwhile.
    pub dropped_fills: u64,
    /// Keys that the server took away.
    pub invalidations: u64,
    /// Times that everything was taken away.
    pub flushes: u64,
    /// Refreshes that were not sent: see [`Near::own_write`].
    pub skipped_writes: u64,
}

/// The most touches that are remembered one by one while tickets are under way; beyond, all tickets are void.
const MAX_TOUCHED: usize = 65_536;

/// So many tickets are used again. To allocate and free them, hundreds at a time, costs as much as all else that they do.
const SPARE: usize = 4_096;

/// The cache of one connection.
pub struct Near {
    entries: Log,
    /// Counts touches: whatever takes an entry away, or would if there were one.
    touches: u64,
    /// When a key was last touched, while tickets are under way. First reads of a key are the common case, and most things
    /// never are: so touches are noted, not reads.
    touched: HashMap<Fingerprint, u64>,
    /// Tickets made before this are void.
    void_before: u64,
    outstanding: Rc<()>,
    /// Answers to reads that are not remembered yet: see [`Near::answered`].
    later: Later,
    /// For tickets to come.
    spare: Vec<Ticket>,
    fingerprints: Fingerprints,
    /// Whether the server keeps us informed: from the reply to CLIENT TRACKING until the connection is lost.
    informed: bool,
    /// When the command of the latest reply was written.
    proven: Nanos,
    counters: Counters,
    /// Counted through a shared reference, so that an answer can be borrowed meanwhile.
    hits: Cell<u64>,
    skipped_writes: Cell<u64>,
}

impl Near {
    /// An empty cache of at most so many bytes, keys and bookkeeping included.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            entries: Log::new(max_bytes),
            touches: 0,
            touched: HashMap::new(),
            void_before: 0,
            outstanding: Rc::new(()),
            later: Later::new(),
            spare: Vec::new(),
            fingerprints: Fingerprints::default(),
            informed: false,
            proven: 0,
            counters: Counters::default(),
            hits: Cell::new(0),
            skipped_writes: Cell::new(0),
        }
    }

    /// Counters since the cache was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { hits: self.hits.get(), skipped_writes: self.skipped_writes.get(), ..self.counters }
    }

    /// Takes over the counters of the cache before it.
    pub fn resume_counters(&mut self, counters: Counters) {
        self.counters = counters;
        self.hits.set(counters.hits);
        self.skipped_writes.set(counters.skipped_writes);
    }

    /// Entries, and the bytes that they take.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        (self.entries.len(), self.entries.bytes() as u64)
    }

    /// The reply to CLIENT TRACKING, which was written at that moment: from here on the server tells us everything.
    pub fn informed(&mut self, written: Nanos) {
        self.forget_all();
        self.informed = true;
        self.proven = written;
    }

    /// The connection is lost.
    pub fn lost(&mut self) {
        self.informed = false;
        self.forget_all();
    }

    /// A reply was read whose command was written at that moment.
    pub fn proof(&mut self, written: Nanos) {
        self.proven = self.proven.max(written);
    }

    /// Whether the server tells us of changes at all.
    #[must_use]
    pub const fn is_informed(&self) -> bool {
        self.informed
    }

    /// Whether the cache may answer.
    #[must_use]
    pub const fn is_alive(&self, now: Nanos) -> bool {
        self.informed && now < self.proven + LEASE
    }

    /// Whether a new proof should be asked for, so that the lease does not run out between hits.
    #[must_use]
    pub const fn wants_proof(&self, now: Nanos) -> bool {
        self.informed && now >= self.proven + LEASE / 2
    }

    /// What is known of a key, if that may be told now. To count a hit is up to the caller: see [`Near::hit`].
    #[must_use]
    pub fn known(&self, key: &[u8], now: Nanos) -> Option<Value<'_>> {
        self.tell(self.fingerprints.of(key), || now).map(|(value, _)| value).ok()
    }

    /// The moment if anything may be told of a key then, or what there is of it. From here on [`Near::known`] knows what
    /// was answered before.
    ///
    /// A first read costs little here: the clock is read only where there is an entry, and answers that are to be
    /// remembered later still are, unless there may be one for this key.
    pub fn look_up(&mut self, key: &[u8], clock: impl FnOnce() -> Nanos) -> Result<Nanos, Trace> {
        let key = self.fingerprints.of(key);
        if self.later.has(key) {
            self.settle();
        }
        let now = self.tell(key, clock).map(|(_, now)| now)?;
        self.settle();
        Ok(now)
    }

    fn tell(&self, key: Fingerprint, clock: impl FnOnce() -> Nanos) -> Result<(Value<'_>, Nanos), Trace> {
        let known = self.entries.get(key).ok_or(Trace { key: Some(key), brief: false })?;
        let now = clock();
        if now < known.ends && self.is_alive(now) {
            Ok((known.value, now))
        } else {
            Err(Trace { key: Some(key), brief: known.brief })
        }
    }

    /// Counts a read that was answered from memory.
    pub fn hit(&self) {
        self.hits.set(self.hits.get() + 1);
    }

    /// Counts a refresh that was not sent.
    pub fn skipped(&self) {
        self.skipped_writes.set(self.skipped_writes.get() + 1);
    }

    /// A read of a key is about to be queued. Its ticket, and whether it should ask for the expiry as well.
    pub fn reading(&mut self, key: &[u8], trace: Trace) -> (Ticket, bool) {
        self.counters.misses += 1;
        let key = trace.key.unwrap_or_else(|| self.fingerprints.of(key));
        (self.ticket(key), trace.brief)
    }

    fn ticket(&mut self, key: Fingerprint) -> Ticket {
        let issued = Issued {
            key,
            made: self.touches,
            outstanding: Some(Rc::clone(&self.outstanding)),
            epoch: Epoch::default(),
        };
        match self.spare.pop() {
            Some(Ticket(mut room)) => {
                *room = issued;
                Ticket(room)
            }
            None => Ticket(Box::new(issued)),
        }
    }

    /// A ticket has done its work.
    fn done(&mut self, mut ticket: Ticket) {
        if self.spare.len() < SPARE {
            ticket.0.outstanding = None;
            self.spare.push(ticket);
        }
    }

    /// The answer came from elsewhere than the ticket says: it fills nothing.
    pub fn discard(&mut self, ticket: Ticket) {
        self.counters.dropped_fills += 1;
        self.done(ticket);
    }

    fn is_outstanding(&self) -> bool {
        Rc::strong_count(&self.outstanding) > 1
    }

    /// Something has happened to a key: its entry goes, and the tickets that were made before are void.
    fn touch(&mut self, key: Fingerprint) {
        self.entries.remove(key);
        self.touches += 1;
        if !self.is_outstanding() {
            self.touched.clear();
            return;
        }
        if self.touched.len() >= MAX_TOUCHED {
            self.touched.clear();
            self.void_before = self.touches;
        }
        self.touched.insert(key, self.touches);
    }

    fn is_void(&self, Ticket(ticket): &Ticket) -> bool {
        if ticket.made < self.void_before {
            return true;
        }
        if self.touched.is_empty() {
            return false;
        }
        self.touched.get(&ticket.key).is_some_and(|&at| at > ticket.made)
    }

    /// The reply to a read, written at that moment. It is remembered before anything is told of its key, at the latest by
    /// [`Near::settle`]: that belongs where there is nothing to do but wait for the server. (To remember costs memory that
    /// is in no cache, as much again as the rest of a reply's way; several at a time do not wait for each other's.)
    pub fn answered(&mut self, ticket: Ticket, value: Value<'_>, written: Nanos) {
        if !Later::takes(value) {
            return self.filled(ticket, value, written, None);
        }
        if self.later.is_full() {
            self.settle();
        }
        self.later.push(ticket, value, written);
    }

    /// Remembers what was answered.
    pub fn settle(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let mut answers = self.later.take();
        for (answer, value) in answers.iter() {
            self.fill(&answer.ticket, value, answer.written, None);
        }
        for ticket in answers.drain() {
            self.done(ticket);
        }
        self.later.reuse(answers);
    }

    /// The reply to a read, written at that moment, that is remembered at once. `ends`: when the key expires; `None` where
    /// that is not known.
    pub fn filled(&mut self, ticket: Ticket, value: Value<'_>, written: Nanos, ends: Option<Nanos>) {
        self.settle();
        self.fill(&ticket, value, written, ends);
        self.done(ticket);
    }

    #[inline]
    fn fill(&mut self, ticket: &Ticket, value: Value<'_>, written: Nanos, ends: Option<Nanos>) {
        if self.is_void(ticket) {
            self.counters.dropped_fills += 1;
            return;
        }
        // Absence has no expiry: whoever makes the key is announced.
        let ends = if value == Value::Absent { Some(Nanos::MAX) } else { ends };
        let read = Entry { value, own: false, ends: ends.unwrap_or(written + LEASE), brief: ends.is_none() };
        // A read that brings nothing new, because as much is known for longer, changes nothing. Our own write, say, that
        // was under way when the read was queued.
        let is_confirmed = |known: Entry<'_>| {
            let same = known.value == value || (value == Value::Present && known.value != Value::Absent);
            same && !known.brief
        };
        self.counters.fills += u64::from(self.entries.insert(ticket.0.key, read, is_confirmed));
    }

    /// A write that keeps the key for ever is about to be queued; its ticket is for [`Near::written`].
    pub fn writing(&mut self, key: &[u8]) -> Ticket {
        let key = self.fingerprints.of(key);
        self.touch(key);
        self.ticket(key)
    }

    /// The server has taken a write: the key holds what was written, unless something has touched it since.
    pub fn written(&mut self, ticket: Ticket, value: &[u8]) {
        if self.is_void(&ticket) {
            self.counters.dropped_fills += 1;
        } else {
            let known = Entry { value: Value::Text(value), own: true, ends: Nanos::MAX, brief: false };
            self.entries.insert(ticket.0.key, known, |_| false);
            self.counters.fills += 1;
        }
        self.done(ticket);
    }

    /// A write or deletion that nothing is stored of is about to be queued.
    pub fn forget(&mut self, key: &[u8]) {
        self.touch(self.fingerprints.of(key));
    }

    /// The server says that somebody else has changed a key.
    pub fn invalidated(&mut self, key: &[u8]) {
        self.counters.invalidations += 1;
        self.touch(self.fingerprints.of(key));
    }

    /// The server says that everything has changed.
    pub fn invalidated_all(&mut self) {
        self.forget_all();
    }

    fn forget_all(&mut self) {
        self.counters.flushes += 1;
        self.entries.clear();
        self.touched.clear();
        self.touches += 1;
        self.void_before = self.touches;
    }

    /// What we ourselves wrote to a key, if nothing that we have heard of has touched it since: a refresh with the same can
    /// be left out. The socket must have been read in this very call. What only a read brought does not count: that key may
    /// expire.
    ///
    /// A refresh only, never a write that somebody relies on: another client's write may be done while its announcement is
    /// still under way, and ours would be lost for good. Who refreshes finds out by what the key leads to, and writes again.
    #[must_use]
    pub fn own_write(&self, key: &[u8], now: Nanos) -> Option<&[u8]> {
        match self.entries.get(self.fingerprints.of(key))? {
            Entry { value: Value::Text(text), own: true, .. } if self.is_alive(now) => Some(text),
            _ => None,
        }
    }
}
