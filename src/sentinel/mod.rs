//! Which server is the master, as Redis Sentinel says it: whom to ask, whose word counts, and until when. Pure: no socket, no
//! clock.
//!
//! 1. **At every connection** the sentinels are asked anew, in turn, the one that answered last first. One answer is enough to
//!    connect; the server itself then must say that it is a master (see [`crate::redis::handshake`]). Where that came to nothing,
//!    the next attempt begins with another sentinel, so that one with an old view cannot lead to the old address for ever.
//! 2. **Connections to all sentinels are kept open** while there is one to the master. Each is asked again in good time while
//!    somebody makes calls, and told of switches by the sentinel itself. Nothing is asked while nobody calls.
//! 3. **The lease of the near cache** ([`roster::Sentinels::attested`]) rests on a majority of all known sentinels that name this master,
//!    by when each was asked: a master that is cut off still answers, and so do the sentinels that are cut off with it.
//! 4. **The master is left** ([`roster::Sentinels::rival`]) where a majority names another, although it may still answer; where it does not
//!    answer, more sentinels than name this one are enough.
//!
//! * [`known`]: one sentinel, and what is known of it.
//! * [`search`]: whom a search has asked, and what it comes to; `seek`: its steps.
//! * [`roster`]: all of them, and what their words amount to.
//! * [`wire`]: the traffic with one sentinel.

pub mod known;
pub mod roster;
pub mod search;
mod seek;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
pub mod wire;
