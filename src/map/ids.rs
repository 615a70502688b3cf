//! The near cache as the store uses it: what replies, pushes and our own writes mean for what is known of ids.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::map::needs::Need;
use crate::map::refusals::Refusals;
use crate::near::{KeyState, Near, Ticket, Trace};
use crate::redis::by_peer::PeerId;
use crate::redis::decode::Token;
use crate::redis::epoch::Epoch;
use crate::redis::slot::{Slot, SlotSet};
use crate::redis::{MILLI, Nanos};

/// What the cache answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// This text.
    Text(&'a [u8]),
    /// There is no such key.
    Absent,
    /// Whether there is such a key.
    Exists(bool),
}

/// Whether a read may be answered from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Something is known at this moment, of a key of that server. What its socket holds may take it away yet.
    Maybe(Nanos, PeerId),
    /// Nothing is, and so much is there of the key.
    Nothing(Trace),
}

impl Recall {
    /// What is there of a key that nothing is known of.
    #[must_use]
    pub const fn nothing(self) -> Option<Trace> {
        match self {
            Self::Maybe(..) => None,
            Self::Nothing(trace) => Some(trace),
        }
    }
}

/// A read that is under way.
#[derive(Debug)]
pub struct IdRead {
    ticket: Option<Ticket>,
    expiry: Option<Expiry>,
}

/// A read of a key that a cluster's server holds, and the question for its slots behind it, share this.
pub type Held = Rc<Asked>;

/// See [`Held`].
#[derive(Debug, Default)]
pub struct Asked {
    /// When the read was written, where its answer proves that the server holds the key's slot.
    pub proof: Cell<Option<Nanos>>,
    /// Slots that were refused, or came to another server, since it was asked: what it answers may be older than that.
    doubted: RefCell<SlotSet>,
}

/// A PTTL that travels with a read. The read and its PTTL share it: the answer to the read waits there for the other. Which of
/// them belong together does not depend on the order of replies.
#[derive(Debug, Clone, Default)]
pub struct Expiry(Rc<RefCell<Option<Awaited>>>);

/// The answer to a read whose PTTL is still to come.
#[derive(Debug)]
struct Awaited {
    ticket: Ticket,
    /// There is such a key.
    exists: bool,
    /// What it holds, where that was asked for.
    text: Option<Box<[u8]>>,
    written: Nanos,
}

impl Awaited {
    fn fill(self, near: &mut Near, ends: Option<Nanos>) {
        near.filled(self.ticket, state(self.exists, self.text.as_deref()), self.written, ends);
    }
}

/// What a reply tells of a key.
const fn state(exists: bool, text: Option<&[u8]>) -> KeyState<'_> {
    match text {
        Some(text) => KeyState::Text(text),
        None if exists => KeyState::Present,
        None => KeyState::Absent,
    }
}

/// What is known of ids without asking the server.
pub struct Ids {
    near: Option<Near>,
    /// Servers that a PING, or the question for their slots, is under way to.
    proving: Vec<PeerId>,
    /// Questions for slots that are under way, also those that a lost connection has left for the next one.
    asked: Vec<Held>,
    /// What servers refuse of that which the cache needs.
    pub refusals: Refusals,
}

impl Ids {
    /// `max_bytes`: the bound of the cache; `None` turns it off. `is_of_cluster`: servers share the slots.
    #[must_use]
    pub fn new(max_bytes: Option<u64>, is_of_cluster: bool) -> Self {
        let near = max_bytes.map(if is_of_cluster { Near::of_cluster } else { Near::new });
        Self { near, proving: Vec::new(), asked: Vec::new(), refusals: Refusals::default() }
    }

    /// The cache, if it is on.
    #[must_use]
    pub const fn near(&self) -> Option<&Near> {
        self.near.as_ref()
    }

    /// Goes on with the counters of the cache before it.
    pub fn resume(&mut self, before: &Self) {
        if let (Some(near), Some(before)) = (&mut self.near, &before.near) {
            near.resume_counters(before.counters());
        }
    }

    /// A server's connection is ready; since when it announces changes, or why it does not. True: it is the first to refuse.
    pub fn ready(&mut self, peer: PeerId, tracking: Result<Nanos, String>) -> bool {
        let Some(near) = &mut self.near else { return false };
        match tracking {
            Ok(written) => {
                near.informed(peer, written);
                self.refusals.told(peer, Need::Tracking, None);
                false
            }
            Err(why) => {
                let news = !self.refusals.is_any_silent();
                self.refusals.told(peer, Need::Tracking, Some(why));
                news
            }
        }
    }

    /// The connection to a server is lost.
    pub fn lost(&mut self, peer: PeerId) {
        self.proven(peer);
        self.refusals.lost(peer);
        if let Some(near) = &mut self.near {
            near.lost(peer);
        }
    }

    /// A server has left the cluster.
    pub fn left(&mut self, peer: PeerId) {
        self.lost(peer);
        self.refusals.left(peer);
    }

    /// Whether a read of a key may be answered from memory. `clock` is read only where there is an entry.
    pub fn recall(&self, key: &[u8], clock: impl FnOnce() -> Nanos) -> Recall {
        let Some(near) = &self.near else { return Recall::Nothing(Trace::default()) };
        near.recall(key, clock).map_or_else(Recall::Nothing, |(now, peer)| Recall::Maybe(now, peer))
    }

    /// What a GET of the first key, or else of the second one, would answer, if that is known.
    #[must_use]
    pub fn text(&self, first: &[u8], second: &[u8], now: Nanos) -> Option<Known<'_>> {
        let near = self.near.as_ref()?;
        let of = |key| match near.known(key, now)? {
            KeyState::Text(text) => Some(Known::Text(text)),
            KeyState::Absent => Some(Known::Absent),
            KeyState::Present => None,
        };
        let answer = match of(first)? {
            Known::Absent if !second.is_empty() => of(second)?,
            answer => answer,
        };
        near.hit();
        Some(answer)
    }

    /// What an EXISTS of both keys would answer, if that is known.
    #[must_use]
    pub fn presence(&self, first: &[u8], second: &[u8], now: Nanos) -> Option<Known<'_>> {
        let near = self.near.as_ref()?;
        let of = |key| near.known(key, now).map(|value| value != KeyState::Absent);
        let there = of(first)? || (!second.is_empty() && of(second)?);
        near.hit();
        Some(Known::Exists(there))
    }

    /// The id, if the key holds it by our own write and nothing has touched it since: see [`Near::own_write`].
    #[must_use]
    pub fn unchanged(&self, key: &[u8], id: &[u8], now: Nanos) -> Option<Known<'_>> {
        let near = self.near.as_ref()?;
        let text = near.own_write(key, now).filter(|text| *text == id)?;
        near.skipped();
        Some(Known::Text(text))
    }

    /// The cache, where that server keeps it informed.
    fn informed(&mut self, by: PeerId) -> Option<&mut Near> {
        self.near.as_mut().filter(|near| near.is_informed(by))
    }

    /// A read is about to be queued, of a key of which there is so much; behind it its PTTL, if the result says so. `place`: what
    /// the answers will depend on, and the key's slot.
    pub fn reading(&mut self, key: &[u8], trace: Trace, place: (Epoch, Slot)) -> (IdRead, Option<Expiry>) {
        let (epoch, slot) = place;
        let Some(near) = self.informed(epoch.peer()) else { return (IdRead { ticket: None, expiry: None }, None) };
        let (ticket, asks_expiry) = near.reading(key, slot, trace, epoch);
        let expiry = asks_expiry.then(Expiry::default);
        (IdRead { ticket: Some(ticket), expiry: expiry.clone() }, expiry)
    }

    /// A write of an id is about to be queued. `place`: as for [`Ids::reading`].
    pub fn writing(&mut self, key: &[u8], place: (Epoch, Slot)) -> Option<Ticket> {
        let (near, (epoch, slot)) = (self.near.as_mut()?, place);
        if near.is_informed(epoch.peer()) {
            return Some(near.writing(key, slot, epoch));
        }
        // What is known of it may be another server's word.
        near.forget(key);
        None
    }

    /// Any other write, or a deletion, is about to be queued.
    pub fn forget(&mut self, key: &[u8]) {
        if let Some(near) = &mut self.near {
            near.forget(key);
        }
    }

    /// A GET was answered, under an epoch.
    pub fn got(&mut self, read: IdRead, text: Option<&[u8]>, written: Nanos, epoch: Epoch) {
        self.answered(read, text.is_some(), text, written, epoch);
    }

    /// An EXISTS was answered, under an epoch.
    pub fn exists(&mut self, read: IdRead, there: bool, written: Nanos, epoch: Epoch) {
        self.answered(read, there, None, written, epoch);
    }

    fn answered(&mut self, read: IdRead, exists: bool, text: Option<&[u8]>, written: Nanos, epoch: Epoch) {
        let (Some(ticket), Some(near)) = (read.ticket, &mut self.near) else { return };
        if !ticket.is_of(epoch) {
            return near.discard(ticket);
        }
        match read.expiry {
            // Alone, it has no PTTL: the queue was full.
            Some(Expiry(cell)) if Rc::strong_count(&cell) > 1 => {
                cell.replace(Some(Awaited { ticket, exists, text: text.map(Into::into), written }));
            }
            _ => near.filled(ticket, state(exists, text), written, None),
        }
    }

    /// The PTTL of a read failed: how long the key will be there is not known.
    pub fn without_expiry(&mut self, expiry: &Expiry) {
        if let (Some(awaited), Some(near)) = (expiry.0.take(), &mut self.near) {
            awaited.fill(near, None);
        }
    }

    /// The PTTL of a read was answered: milliseconds, -1 without expiry, -2 without a key.
    pub fn expiry(&mut self, expiry: &Expiry, millis: i64) {
        let (Some(awaited), Some(near)) = (expiry.0.take(), &mut self.near) else { return };
        let ends = match u64::try_from(millis) {
            Ok(millis) => Some(awaited.written.saturating_add(millis.saturating_mul(MILLI))),
            Err(_) if millis == -1 => Some(Nanos::MAX),
            // The key went in between, which is pushed; until then the value is as good as any brief one.
            Err(_) => None,
        };
        awaited.fill(near, ends);
    }

    /// A SET of an id was answered, under an epoch.
    pub fn written(&mut self, ticket: Option<Ticket>, id: &[u8], epoch: Epoch) {
        let (Some(ticket), Some(near)) = (ticket, &mut self.near) else { return };
        if ticket.is_of(epoch) {
            near.written(ticket, id);
        } else {
            near.discard(ticket);
        }
    }

    /// Any reply of a server was read.
    pub fn proof(&mut self, by: PeerId, written: Nanos) {
        if let Some(near) = &mut self.near {
            near.proof(by, written);
        }
    }

    /// See [`Near::attested`].
    pub fn attested(&mut self, peer: PeerId, at: Option<Nanos>) {
        if let Some(near) = &mut self.near {
            near.attested(peer, at);
        }
    }

    /// A cluster's server was asked, at that moment, what it holds. `own`: the slots that are its own, and the epoch by which it
    /// claims them; `None`: it has not told that. See [`Near::told`].
    pub fn told(&mut self, by: PeerId, held: &Held, own: Option<(u64, &SlotSet)>, asked: Nanos) {
        self.proven(by);
        let Some(near) = &mut self.near else { return };
        let Some((epoch, slots)) = own else { return near.untold(by, asked) };
        let doubted = held.doubted.take();
        if doubted.is_empty() {
            return near.told(by, asked, held.proof.get(), epoch, slots);
        }
        let own: SlotSet = slots.iter().filter(|&slot| !doubted.contains(slot)).collect();
        near.told(by, asked, held.proof.get(), epoch, &own);
    }

    /// A cluster's server is about to be asked that.
    pub fn asks(&mut self) -> Held {
        self.asked.retain(|asked| Rc::strong_count(asked) > 1);
        let asked = Held::default();
        self.asked.push(Held::clone(&asked));
        asked
    }

    /// See [`Near::doubted`].
    pub fn doubted(&mut self, slot: Slot) {
        if let Some(near) = &mut self.near {
            near.doubted(slot);
            for asked in &self.asked {
                asked.doubted.borrow_mut().insert(slot);
            }
        }
    }

    /// Whether that should be sent to a server now which is not under way to it yet.
    pub fn proof_sent(&mut self, to: PeerId) -> bool {
        let send = !self.proving.contains(&to);
        if send {
            self.proving.push(to);
        }
        send
    }

    /// It was answered.
    pub fn proven(&mut self, by: PeerId) {
        self.proving.retain(|&peer| peer != by);
    }

    /// A push message: `invalidate` with keys, or with null for all of them.
    pub fn pushed(&mut self, tokens: &[Token], buffer: &[u8]) {
        let Some(near) = &mut self.near else { return };
        let [Token::Push(_), Token::Text(name), rest @ ..] = tokens else { return };
        if &buffer[name.clone()] != b"invalidate" {
            return;
        }
        match rest {
            [Token::Array(_), keys @ ..] => {
                for key in keys {
                    if let Token::Text(range) = key {
                        near.invalidated(&buffer[range.clone()]);
                    }
                }
            }
            // Null, or anything that we do not understand: the safe reading is "everything".
            _ => near.invalidated_all(),
        }
    }
}
