//! Which server of a cluster a command goes to. Pure: no socket, no clock.
//!
//! 1. **A slot's commands are at one server at a time.** Where it refuses one (`MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`), that one and
//!    all of the slot behind it come back, whatever answers they get: they may be repeated, and a later one must not overtake it. They
//!    go elsewhere, in their order, once the server has answered what it had been sent of them, or its connection is gone; new
//!    ones queue behind them.
//! 2. **Whose word counts.** Each node tells what it knows of all (`CLUSTER NODES`), with the epochs by which nodes settle it between
//!    themselves: a newer claim to a slot wins, and an old map changes nothing, whoever tells it. `MOVED` counts from the server that
//!    the slot was thought to be at.
//! 3. **`ASK` is for one command.** It is sent there behind `ASKING` while the rest of its slot waits; nothing of it is remembered.
//! 4. **A server that owns nothing any more is left**, although it may still answer: what it has not answered is sent again.
//!
//! * [`topology`]: the map as a node tells it.
//! * [`claims`]: whose each slot is, as far as all maps together tell.
//! * [`places`]: where the commands of each slot go now.
//! * [`router`]: where commands go, and what waits until that is known.

pub mod claims;
pub mod places;
pub mod router;
#[cfg(test)]
mod simulation;
pub mod topology;
