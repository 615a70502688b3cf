//! Calls in, requests out, replies in, outcomes out: the operations of maps over a backend.
//!
//! Every call that waits has a number, counted from 0; JavaScript counts along. An outcome names the call that it
//! settles. Texts in outcomes are ranges of the batch that they were read in.

use std::collections::HashMap;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::map::backend::Backend;
use crate::map::ids::{Held, IdRead, Ids};
use crate::map::op::{CallId, Op, Outcome, Outcomes, ScanId};
use crate::map::request::{Keys, Request};
use crate::map::running::Running;
use crate::near::Trace;
use crate::redis::by_peer::PeerId;
use crate::redis::slot::Slot;

/// The operations of maps. Each takes the backend that its requests go to, which is the same all the time.
pub struct Store {
    /// What is known of ids without asking.
    pub ids: Ids,
    pub(super) next_call: CallId,
    pub(super) scans: HashMap<ScanId, Running>,
    pub(super) next_scan: ScanId,
    pub(super) scan_count: u32,
    pub(super) scan_count_max: u32,
}

impl Store {
    /// A store for a configuration. It goes on with the counters of the store before it; of calls and scans too, so that an
    /// old number never means a new thing.
    #[must_use]
    pub fn new(config: &Config, before: Option<&Self>) -> Self {
        let mut ids = Ids::new(config.near_max_bytes, config.cluster.is_some());
        let (next_call, next_scan) = before.map_or((0, 0), |store| {
            ids.resume(&store.ids);
            (store.next_call, store.next_scan)
        });
        Self {
            ids,
            next_call,
            scans: HashMap::new(),
            next_scan,
            scan_count: config.scan_count,
            scan_count_max: config.scan_count_max,
        }
    }

    /// The number of the call that was queued last.
    #[must_use]
    pub const fn last_call(&self) -> CallId {
        self.next_call.wrapping_sub(1)
    }

    /// Numbers a call that waits for something other than a reply.
    pub const fn reserve(&mut self) -> CallId {
        self.next_call += 1;
        self.next_call - 1
    }

    #[inline]
    fn call(&mut self, to: &mut impl Backend, op: impl FnOnce(CallId) -> Op, request: &Request<'_>) -> Result<()> {
        to.submit(op(self.next_call), request)?;
        self.next_call += 1;
        Ok(())
    }

    /// The same for a request of one key of that slot.
    #[inline]
    fn call_at(
        &mut self,
        to: &mut impl Backend,
        slot: Slot,
        op: impl FnOnce(CallId) -> Op,
        request: &Request<'_>,
    ) -> Result<()> {
        to.submit_at(slot, op(self.next_call), request)?;
        self.next_call += 1;
        Ok(())
    }

    /// The text of a key.
    pub fn get(&mut self, to: &mut impl Backend, key: &[u8]) -> Result<()> {
        self.call(to, Op::Get, &Request::Get(key))
    }

    /// The text of the first key that is there.
    pub fn get_first(&mut self, to: &mut impl Backend, first: &[u8], second: &[u8]) -> Result<()> {
        self.call(to, Op::First, &Request::First(first, second))
    }

    /// Whether a key is there.
    pub fn has(&mut self, to: &mut impl Backend, key: &[u8]) -> Result<()> {
        self.call(to, Op::Has, &Request::Exists(Keys::One(key)))
    }

    /// Whether any of two keys is there.
    pub fn has_any(&mut self, to: &mut impl Backend, first: &[u8], second: &[u8]) -> Result<()> {
        self.call(to, Op::Has, &Request::Exists(Keys::Two(first, second)))
    }

    /// The text of an id's key.
    pub fn get_id(&mut self, to: &mut impl Backend, key: &[u8], trace: Trace) -> Result<()> {
        self.read_id(to, key, trace, Op::GetId, &Request::Get(key))
    }

    /// Whether an id's key is there.
    pub fn has_id(&mut self, to: &mut impl Backend, key: &[u8], trace: Trace) -> Result<()> {
        self.read_id(to, key, trace, Op::HasId, &Request::Exists(Keys::One(key)))
    }

    fn read_id(
        &mut self,
        to: &mut impl Backend,
        key: &[u8],
        trace: Trace,
        op: fn(CallId, IdRead) -> Op,
        request: &Request<'_>,
    ) -> Result<()> {
        let place = to.place(key);
        self.attest_first(to, place.0.peer(), key);
        let (read, expiry) = self.ids.reading(key, trace, place);
        self.call_at(to, place.1, |call| op(call, read), request)?;
        if let Some(expiry) = expiry {
            // Without an answer the entry just ends early; so it is with a full queue.
            let _ = to.submit_quietly(Op::Expiry(expiry), &Request::Pttl(key));
        }
        Ok(())
    }

    /// Any answer of a server, to renew its lease.
    pub fn prove(&mut self, to: &mut impl Backend, peer: PeerId) {
        if self.ids.proof_sent(peer) && to.submit_quietly(Op::Proof(peer), &Request::Proof(peer)).is_err() {
            self.ids.proven(peer);
        }
    }

    /// Asks a cluster's server whether it still holds its slots: by a read of a key of its own, which a server that was cut off
    /// refuses, and then for what it says of itself.
    pub fn attest(&mut self, to: &mut impl Backend, peer: PeerId, key: &[u8]) {
        if !self.ids.proof_sent(peer) {
            return;
        }
        let held = self.ids.asks();
        let read = to.submit_quietly(Op::Held(Held::clone(&held)), &Request::Held(peer, key));
        if read.and_then(|()| to.submit_quietly(Op::Slots(peer, held), &Request::Marks(peer))).is_err() {
            self.ids.proven(peer);
        }
    }

    /// The same where it was never asked: in front, so that what the next answer tells is already kept.
    fn attest_first(&mut self, to: &mut impl Backend, peer: PeerId, key: &[u8]) {
        if self.ids.near().is_some_and(|near| near.is_unasked(peer)) {
            self.attest(to, peer, key);
        }
    }

    /// The same, by a key that was read or written there lately.
    pub fn attest_again(&mut self, to: &mut impl Backend, peer: PeerId) {
        let key = self.ids.near().and_then(|near| near.key_at(peer)).map(<[u8]>::to_vec);
        if let Some(key) = key {
            self.attest(to, peer, &key);
        }
    }

    /// Writes a text. `ttl`: seconds until the key expires. `tracked`: the key may stand in the near cache.
    pub fn set(
        &mut self,
        to: &mut impl Backend,
        key: &[u8],
        value: &[u8],
        ttl: Option<u64>,
        tracked: bool,
    ) -> Result<()> {
        if tracked {
            self.ids.forget(key);
        }
        self.call(to, Op::Done, &Request::Set { key, value, ttl })
    }

    /// Writes an id; the outcome is the id.
    pub fn set_id(&mut self, to: &mut impl Backend, key: &[u8], id: &[u8]) -> Result<()> {
        let request = Request::Set { key, value: id, ttl: None };
        let place = to.place(key);
        self.attest_first(to, place.0.peer(), key);
        let ticket = self.ids.writing(key, place);
        self.call_at(to, place.1, |call| Op::Stored(call, id.into(), ticket), &request)
    }

    /// Deletes a key. `tracked`: it may stand in the near cache.
    pub fn delete(&mut self, to: &mut impl Backend, key: &[u8], tracked: bool) -> Result<()> {
        if tracked {
            self.ids.forget(key);
        }
        self.call(to, Op::Done, &Request::Del(Keys::One(key)))
    }

    /// The bytes of a key.
    pub fn bytes(&mut self, to: &mut impl Backend, key: &[u8]) -> Result<()> {
        self.call(to, Op::Bytes, &Request::Get(key))
    }

    /// For how many milliseconds a key will be there.
    pub fn remaining(&mut self, to: &mut impl Backend, key: &[u8]) -> Result<()> {
        self.call(to, Op::Remaining, &Request::Pttl(key))
    }

    /// Writes bytes where there is no key, for so many milliseconds or for ever; the outcome is null where there was one.
    pub fn add(&mut self, to: &mut impl Backend, key: &[u8], value: &[u8], millis: Option<u64>) -> Result<()> {
        self.call(to, Op::Bytes, &Request::Add { key, value, millis })
    }

    /// What the server says of itself.
    pub fn info(&mut self, to: &mut impl Backend) -> Result<()> {
        self.call(to, Op::Get, &Request::Info)
    }

    /// How a node of a cluster is set up: names and values in turn.
    pub fn settings(&mut self, to: &mut impl Backend, of: PeerId) -> Result<()> {
        self.call(to, Op::Settings, &Request::Settings(of))
    }

    /// Whether a request may be made: the outcome is nothing, or the refusal.
    pub fn try_out(&mut self, to: &mut impl Backend, request: &Request<'_>) -> Result<()> {
        self.call(to, Op::Done, request)
    }

    /// Any answer: the outcome is nothing.
    pub fn ping(&mut self, to: &mut impl Backend) -> Result<()> {
        self.call(to, Op::Done, &Request::Ping)
    }

    /// Settles one call, or fails one scan, with an error.
    pub fn fail(&mut self, from: &mut impl Backend, op: &Op, error: Error, outcomes: &mut Outcomes) {
        match op {
            Op::Get(call)
            | Op::Bytes(call)
            | Op::Remaining(call)
            | Op::Has(call)
            | Op::Done(call)
            | Op::GetId(call, _)
            | Op::HasId(call, _)
            | Op::Stored(call, ..)
            | Op::Settings(call)
            | Op::First(call) => outcomes.push((*call, Outcome::Failed(error))),
            // Where PTTL is forbidden, entries stay brief.
            Op::Expiry(expiry) => self.ids.without_expiry(expiry),
            // It proves the same whatever it says.
            Op::Proof(peer) | Op::Slots(peer, _) => self.ids.proven(*peer),
            Op::Run(peer) => from.told_run(*peer, None),
            Op::Map(_) | Op::Held(_) => {}
            Op::Part(part) => {
                if let Some(op) = part.failed() {
                    self.fail(from, &op, error, outcomes);
                }
            }
            Op::Begun(id) | Op::Marks(id, _) | Op::InSlot(id) | Op::Scan(id) | Op::Values(id) | Op::Deleted(id) => {
                self.fail_scan(*id, error, outcomes);
            }
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "memory_tests.rs"]
mod memory_tests;

#[cfg(test)]
#[path = "scan_simulation.rs"]
mod scan_simulation;
