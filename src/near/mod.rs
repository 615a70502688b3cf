//! The in-process cache of ids, kept right by Redis itself: coherence rules and storage. Pure: no socket, no clock.
//!
//! Redis tells this connection about every change that another client makes to a key under the tracked prefixes
//! (`CLIENT TRACKING … BCAST NOLOOP`), in the same stream as the replies. With these rules the cache is never wrong for longer
//! than the lease:
//!
//! 1. A read takes a *ticket* before its command is queued; its reply fills the entry only if nothing has *touched* the key
//!    since. An invalidation touches its key.
//! 2. A write of our own, by whatever object, touches the key when it is queued (NOLOOP: nobody will tell us). The reply to
//!    a SET without expiry stores what was written, if nothing else has touched the key since.
//! 3. A lost connection removes all that its server holds, and an invalidation of everything, by whichever server, everything.
//! 4. The cache answers only within the *lease*: for [`LEASE`] after the last proof that the server had told us everything.
//!    Each reply is such a proof. It counts from when its command was written, not from when the reply was read, because
//!    JavaScript may have been busy in between.
//!    Each server has a lease of its own, which is that of the keys that it holds.
//!    A server that lost its office still answers. Where sentinels know who holds it, the lease counts from when a majority of them
//!    was asked, too ([`Near::attested`]). In a cluster it counts from when the server answered a read of a slot of its own and
//!    told its slots ([`Near::told`]).
//! 5. Redis announces an expiry when it deletes the key, which may be minutes late. So an entry whose expiry is unknown
//!    answers for one lease only. A key that is asked for again after that is read together with its `PTTL`, and its entry
//!    ends with the key. Keys that are read once cost no second command.
//! 6. In a cluster an entry is made by the server that has proven to hold the key's slot, and gone as soon as that is not sure any
//!    more: the server does not list the slot, or hands it over; it has refused a command of it; its connection is lost. A key that is
//!    new may be born where its slot is on its way to, and the server that is asked never announces that: so absence ends one lease
//!    after the reply that told it.

#[cfg(test)]
mod cluster_races;
#[cfg(test)]
mod cluster_simulation;
mod entry;
mod fingerprint;
mod homes;
mod index;
mod lease;
mod log;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod races;
#[cfg(test)]
mod simulation;

use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU64;

pub use entry::KeyState;
pub use lease::LEASE;

use crate::redis::Nanos;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::epoch::{Epoch, Origin};
use crate::redis::slot::{Slot, SlotSet};
use entry::Entry;
use fingerprint::{Fingerprint, Fingerprints};
use homes::Homes;
use lease::Lease;
use log::Log;

/// Stands for one read or write that is under way. It is void once something has touched the key.
///
/// It moves with its command, and is not on the heap: an allocation for each read takes longer than the copies.
#[derive(Debug)]
pub struct Ticket {
    key: Fingerprint,
    /// The count of touches when it was made; never 0, so that an `Option` of a ticket is no larger.
    made: NonZeroU64,
    /// What its answer depends on, besides the key.
    origin: Origin,
    /// The key's slot.
    slot: Slot,
}

impl Ticket {
    /// Whether an answer under that epoch is the one that it stands for.
    #[must_use]
    pub fn is_of(&self, epoch: Epoch) -> bool {
        self.origin == epoch.into()
    }
}

/// What the cache found out about a key while it could not answer: the read that follows need not find it out again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The key's hash, if it was computed.
    key: Option<Fingerprint>,
    /// There is an entry, but it has ended because the key's expiry is not known. The read should ask for the expiry.
    brief: bool,
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

/// So many touches are remembered one by one while tickets are under way. With one more, all earlier tickets become void.
const MAX_TOUCHED: usize = 65_536;

/// The cache of one engine.
pub struct Near {
    entries: Log,
    /// Counts touches. A touch is whatever removes an entry, or would if there were one.
    touches: NonZeroU64,
    /// The last touch of each key, while tickets are under way. Touches are noted and not reads, because reads of new keys are
    /// common and touches are rare.
    touched: HashMap<Fingerprint, NonZeroU64>,
    /// Tickets made before this are void.
    void_before: NonZeroU64,
    /// Tickets made since then that are under way. Those of calls that are given up are never taken off: while any is
    /// counted, touches are noted, which makes earlier tickets void at [`MAX_TOUCHED`] of them.
    outstanding: u64,
    fingerprints: Fingerprints,
    leases: ByPeer<Lease>,
    homes: Homes,
    counters: Counters,
    /// A `Cell`, because an answer is still borrowed when it is counted.
    hits: Cell<u64>,
    skipped_writes: Cell<u64>,
}

impl Near {
    /// An empty cache of at most so many bytes, keys and bookkeeping included.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self::of(max_bytes, Homes::of_one())
    }

    /// The same for servers that share the slots.
    #[must_use]
    pub fn of_cluster(max_bytes: u64) -> Self {
        Self::of(max_bytes, Homes::of_cluster())
    }

    fn of(max_bytes: u64, homes: Homes) -> Self {
        Self {
            entries: Log::new(max_bytes),
            touches: NonZeroU64::MIN,
            touched: HashMap::new(),
            void_before: NonZeroU64::MIN,
            outstanding: 0,
            fingerprints: Fingerprints::default(),
            leases: ByPeer::default(),
            homes,
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

    /// A server has answered CLIENT TRACKING, which was written at that moment. From here on it tells us everything.
    pub fn informed(&mut self, by: PeerId, written: Nanos) {
        self.forget_keys_of(by);
        self.lease(by).begin(written);
    }

    /// The connection to a server is lost.
    pub fn lost(&mut self, peer: PeerId) {
        self.lease(peer).end();
        self.forget_keys_of(peer);
    }

    fn lease(&mut self, of: PeerId) -> &mut Lease {
        let is_of_cluster = self.homes.is_of_cluster();
        self.leases.or_insert(of, || Lease::new(is_of_cluster))
    }

    fn forget_keys_of(&mut self, peer: PeerId) {
        if self.homes.is_of_cluster() {
            self.leases.remove(peer);
            // With the last server the memory is given back, too.
            let is_clear = self.homes.lost(peer) && self.leases.values().any(|lease| lease.informed);
            self.forget_all_unless(is_clear);
        } else {
            self.forget_all();
        }
    }

    fn forget_all_unless(&mut self, is_clear: bool) {
        if !is_clear {
            self.forget_all();
        }
    }

    /// A reply of a server was read whose command was written at that moment.
    pub fn proof(&mut self, by: PeerId, written: Nanos) {
        if let Some(lease) = self.leases.get_mut(by) {
            lease.proof(written);
        }
    }

    /// Whether a server tells us of changes at all.
    #[must_use]
    pub fn is_informed(&self, by: PeerId) -> bool {
        self.leases.get(by).is_some_and(|lease| lease.informed)
    }

    /// Whether the cache may answer for the keys of a server.
    #[must_use]
    pub fn is_alive(&self, of: PeerId, now: Nanos) -> bool {
        self.leases.get(of).is_some_and(|lease| lease.holds(now))
    }

    /// Whether a new proof should be asked of a server, so that its lease does not end while there are only hits.
    #[must_use]
    pub fn wants_proof(&self, of: PeerId, now: Nanos) -> bool {
        self.leases.get(of).is_some_and(|lease| lease.wants_proof(now))
    }

    /// Others say by when a server was still the one that writes go to; its lease counts from there, too. `None`: they do not say so.
    /// Where nobody is asked, it is [`Nanos::MAX`], as at first.
    pub fn attested(&mut self, peer: PeerId, at: Option<Nanos>) {
        self.lease(peer).attest(at);
    }

    /// Whether those others, or a cluster's server, should be asked again, so that the lease does not end.
    #[must_use]
    pub fn wants_attestation(&self, of: PeerId, now: Nanos) -> bool {
        self.leases.get(of).is_some_and(|lease| lease.wants_attestation(now))
    }

    /// Whether a cluster's server was never asked on this connection what it holds.
    #[must_use]
    pub fn is_unasked(&self, of: PeerId) -> bool {
        self.homes.is_of_cluster() && self.leases.get(of).is_some_and(Lease::is_unasked)
    }

    /// The key that was last read or written at a cluster's server.
    #[must_use]
    pub fn key_at(&self, peer: PeerId) -> Option<&[u8]> {
        self.leases.get(peer).map(|lease| lease.key.as_slice()).filter(|key| !key.is_empty())
    }

    /// A cluster's server has told, asked at that moment, which slots are its own and stay so, and by which epoch it claims them.
    /// `held`: when a read of a slot of its own was written that it answered right before; `None`: it did not, so this renews nothing.
    pub fn told(&mut self, by: PeerId, asked: Nanos, held: Option<Nanos>, epoch: u64, own: &SlotSet) {
        let Some(lease) = self.leases.get_mut(by).filter(|lease| lease.informed) else { return };
        lease.answered(asked, held);
        let is_clear = self.homes.told(by, epoch, own);
        self.forget_all_unless(is_clear);
    }

    /// It has not told that, asked at that moment.
    pub fn untold(&mut self, by: PeerId, asked: Nanos) {
        self.told(by, asked, None, 0, &SlotSet::default());
    }

    /// A cluster's server has refused a command of a slot, or the slot has come to another one.
    pub fn doubted(&mut self, slot: Slot) {
        if self.homes.is_of_cluster() {
            let is_clear = self.homes.doubt(slot);
            self.forget_all_unless(is_clear);
        }
    }

    /// What is known of a key, if that may be told now. The caller counts the hit: see [`Near::hit`].
    #[must_use]
    pub fn known(&self, key: &[u8], now: Nanos) -> Option<KeyState<'_>> {
        self.tell(self.fingerprints.of(key), || now).map(|(known, ..)| known.state).ok()
    }

    /// Whether anything may be told of a key: the time that `clock` gave, for [`Near::known`], and the server that holds the key; or
    /// what the read that follows needs. The clock is read only where there is an entry, because reading it costs more than all else here.
    pub fn recall(&self, key: &[u8], clock: impl FnOnce() -> Nanos) -> Result<(Nanos, PeerId), Trace> {
        self.tell(self.fingerprints.of(key), clock).map(|(_, now, peer)| (now, peer))
    }

    fn tell(&self, key: Fingerprint, clock: impl FnOnce() -> Nanos) -> Result<(Entry<'_>, Nanos, PeerId), Trace> {
        let known = self.entries.get(key).ok_or(Trace { key: Some(key), brief: false })?;
        let now = clock();
        match self.homes.holder(known.home) {
            Some(peer) if now < known.ends && self.is_alive(peer, now) => Ok((known, now, peer)),
            _ => Err(Trace { key: Some(key), brief: known.brief }),
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

    /// A read of a key of that slot is about to be queued. Its ticket, and whether it should ask for the expiry as well. `epoch`:
    /// what its answer will depend on.
    pub fn reading(&mut self, key: &[u8], slot: Slot, trace: Trace, epoch: Epoch) -> (Ticket, bool) {
        self.counters.misses += 1;
        self.note(key, epoch.peer());
        let key = trace.key.unwrap_or_else(|| self.fingerprints.of(key));
        (self.ticket(key, slot, epoch), trace.brief)
    }

    /// By this key a cluster's server may be asked what it holds.
    fn note(&mut self, key: &[u8], at: PeerId) {
        if self.homes.is_of_cluster()
            && let Some(lease) = self.leases.get_mut(at)
        {
            lease.key.clear();
            lease.key.extend_from_slice(key);
        }
    }

    fn ticket(&mut self, key: Fingerprint, slot: Slot, epoch: Epoch) -> Ticket {
        self.outstanding += 1;
        Ticket { key, made: self.touches, origin: epoch.into(), slot }
    }

    /// The answer came from elsewhere than the ticket says: it fills nothing.
    #[allow(clippy::needless_pass_by_value, reason = "nothing can be done with it any more")]
    pub fn discard(&mut self, ticket: Ticket) {
        self.counters.dropped_fills += 1;
        self.returned(&ticket);
    }

    /// A ticket is not under way any more. Whether it was void.
    fn returned(&mut self, ticket: &Ticket) -> bool {
        if ticket.made < self.void_before {
            return true;
        }
        self.outstanding -= 1;
        ticket.made < self.touches && self.touched.get(&ticket.key).is_some_and(|&at| at > ticket.made)
    }

    fn make_earlier_tickets_void(&mut self) {
        self.touched.clear();
        self.void_before = self.touches;
        self.outstanding = 0;
    }

    /// A key may have changed: its entry is removed, and tickets for it that were made before are void.
    fn touch(&mut self, key: Fingerprint) {
        self.entries.remove(key);
        self.touches = self.touches.saturating_add(1);
        if self.outstanding == 0 {
            self.touched.clear();
        } else if self.touched.len() >= MAX_TOUCHED {
            self.make_earlier_tickets_void();
        } else {
            self.touched.insert(key, self.touches);
        }
    }

    /// The reply to a read, written at that moment. `ends`: when the key expires; `None` where that is not known.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "a ticket fills once")]
    pub fn filled(&mut self, ticket: Ticket, state: KeyState<'_>, written: Nanos, ends: Option<Nanos>) {
        let home = self.homes.at(ticket.slot, ticket.origin.peer());
        let (false, Some(home)) = (self.returned(&ticket), home) else {
            self.counters.dropped_fills += 1;
            return;
        };
        // Absence has no expiry: whoever makes the key is announced, but perhaps in a cluster.
        let is_absent = state == KeyState::Absent;
        let lasts = if self.homes.is_of_cluster() { written + LEASE } else { Nanos::MAX };
        let ends = if is_absent { Some(lasts) } else { ends };
        let read = Entry { state, own: false, ends: ends.unwrap_or(written + LEASE), brief: ends.is_none(), home };
        // An entry that says the same and lasts longer stays. For example, the reply to our own write came first.
        let is_confirmed = |known: Entry<'_>| {
            let same = known.state == state || (state == KeyState::Present && known.state != KeyState::Absent);
            same && !known.brief && known.home == home && (!is_absent || known.ends >= lasts)
        };
        self.counters.fills += u64::from(self.entries.insert(ticket.key, read, is_confirmed));
    }

    /// A write that keeps a key of that slot for ever is about to be queued; its ticket is for [`Near::written`].
    /// `epoch`: what the answer will depend on.
    pub fn writing(&mut self, key: &[u8], slot: Slot, epoch: Epoch) -> Ticket {
        self.note(key, epoch.peer());
        let key = self.fingerprints.of(key);
        self.touch(key);
        self.ticket(key, slot, epoch)
    }

    /// The server has taken a write: the key holds what was written, unless something has touched it since.
    #[allow(clippy::needless_pass_by_value, reason = "a ticket fills once")]
    pub fn written(&mut self, ticket: Ticket, value: &[u8]) {
        let home = self.homes.at(ticket.slot, ticket.origin.peer());
        if let (false, Some(home)) = (self.returned(&ticket), home) {
            let known = Entry { state: KeyState::Text(value), own: true, ends: Nanos::MAX, brief: false, home };
            self.entries.insert(ticket.key, known, |_| false);
            self.counters.fills += 1;
        } else {
            self.counters.dropped_fills += 1;
        }
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
        self.touches = self.touches.saturating_add(1);
        self.make_earlier_tickets_void();
    }

    /// What we ourselves wrote to a key, if nothing that we have heard of has touched it since. Then a refresh with the same
    /// text can be left out. The socket must have been read in this very call. What a read brought does not count, because that
    /// key may expire.
    ///
    /// Only for refreshes, never for a write that somebody relies on: another client may have written, and the announcement
    /// may still be under way, so that our write would be lost. A refresh that was left out wrongly is noticed when the row that
    /// the id leads to does not fit the key, and is then made.
    #[must_use]
    pub fn own_write(&self, key: &[u8], now: Nanos) -> Option<&[u8]> {
        let known = self.entries.get(self.fingerprints.of(key))?;
        match known.state {
            KeyState::Text(text) if known.own && self.is_alive(self.homes.holder(known.home)?, now) => Some(text),
            _ => None,
        }
    }
}
