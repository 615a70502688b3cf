//! Answers from the near cache, and fairness.
//!
//! A promise that is settled already never lets the event loop turn, so a strategy that only hits would starve timers,
//! servers and this very socket. When hits have gone on for [`FAIR`] since the loop last turned, further ones are settled
//! by the loop.

use std::rc::Rc;

use super::clock::wall;
use super::engine::Engine;
use super::js::{Js, NapiValue, Outside};
use super::state::Core;
use crate::map::ids::{Ids, Known, Recall};
use crate::map::op::Outcome;
use crate::near::Trace;
use crate::redis::by_peer::PeerId;
use crate::redis::{MILLI, Nanos};

/// How long hits may be answered at once without a turn of the loop.
const FAIR: Nanos = MILLI;

/// Whether the near cache has answered.
pub(super) enum Hit {
    /// This is the answer.
    Now(NapiValue),
    /// The answer comes with the next turn of the loop; the call counts as queued.
    Queued,
    /// The server must be asked; so much is there of the key.
    Miss(Trace),
}

impl Engine {
    /// Asks the near cache. `ask` says what it makes of what it knows of the key, and of the second one where there is any, at a
    /// moment.
    pub(super) fn hit(
        self: &Rc<Self>,
        outside: &mut Outside,
        key: &[u8],
        second: &[u8],
        ask: impl for<'a> FnOnce(&'a Ids, Nanos) -> Option<Known<'a>>,
    ) -> Js<Hit> {
        self.with_core(outside, |core| {
            // Only what may be a hit is worth a read of the socket; what that brings may take the answer away.
            let (now, peer) = match core.store.ids.recall(key, wall) {
                Recall::Maybe(now, peer) => (now, peer),
                Recall::Nothing(trace) => return Ok(Hit::Miss(trace)),
            };
            if !self.hear(core, peer, second, now) {
                return Ok(Hit::Miss(Trace::default()));
            }
            self.keep_lease(core, peer, key, now);
            let Some(answer) = ask(&core.store.ids, now) else {
                return Ok(Hit::Miss(core.store.ids.recall(key, || now).nothing().unwrap_or_default()));
            };
            let since = self.hits_since.get();
            if since == 0 {
                self.hits_since.set(now);
            }
            if since > 0 && now - since > FAIR {
                let answer = match answer {
                    Known::Text(text) => Outcome::Owned(text.into()),
                    Known::Absent => Outcome::Null,
                    Known::Exists(there) => Outcome::Boolean(there),
                };
                let call = core.store.reserve();
                core.later.push((call, answer));
                return Ok(Hit::Queued);
            }
            // Within the core, so that the text need not be copied: making a string or a constant runs no user code.
            Ok(Hit::Now(match answer {
                Known::Text(text) => self.env.text(text)?,
                Known::Absent => self.env.null()?,
                Known::Exists(there) => self.env.boolean(there)?,
            }))
        })
        .unwrap_or_else(|| Ok(Hit::Miss(Trace::default())))
    }

    /// The text that the near cache knows of a key, or else of the second one, without asking the server.
    pub(super) fn peek(self: &Rc<Self>, outside: &mut Outside, first: &[u8], second: &[u8]) -> Js<Option<NapiValue>> {
        self.with_core(outside, |core| {
            let Recall::Maybe(now, peer) = core.store.ids.recall(first, wall) else { return Ok(None) };
            if !self.hear(core, peer, second, now) {
                return Ok(None);
            }
            match core.store.ids.text(first, second, now) {
                Some(Known::Text(text)) => self.env.text(text).map(Some),
                _ => Ok(None),
            }
        })
        .unwrap_or(Ok(None))
    }

    /// Reads what has arrived from the server that holds a key, and from that of the second one, where there is any: another one has
    /// nothing to say of them. False: see [`Engine::drain_socket`].
    fn hear(self: &Rc<Self>, core: &mut Core, peer: PeerId, second: &[u8], now: Nanos) -> bool {
        if !self.drain_socket(core, peer) {
            return false;
        }
        if second.is_empty() || core.peers.count() == 1 {
            return true;
        }
        match core.store.ids.recall(second, || now) {
            Recall::Maybe(_, other) if other != peer => self.drain_socket(core, other),
            _ => true,
        }
    }

    /// Hits prove nothing; a PING in good time, and questions to sentinels, keep the lease from running out between them. A
    /// cluster's server is asked what it holds instead. `key`: one of its keys.
    fn keep_lease(self: &Rc<Self>, core: &mut Core, peer: PeerId, key: &[u8], now: Nanos) {
        if core.peers.cluster().is_some() {
            if core.store.ids.near().is_some_and(|near| near.wants_attestation(peer, now)) {
                core.store.attest(&mut core.peers, peer, key);
                core.write_out(peer);
                self.watch(core, peer);
            }
            return;
        }
        if core.store.ids.near().is_some_and(|near| near.wants_proof(peer, now)) {
            core.store.prove(&mut core.peers, peer);
            core.write_out(peer);
            self.watch(core, peer);
        }
        if core.store.ids.near().is_some_and(|near| near.wants_attestation(peer, now)) {
            self.look_at_sentinels(core);
            // What is to be told, or resolved, is so in the next turn.
            self.answer_soon();
        }
    }
}
