//! The ten operations of a map over a backend. Pure: replies come in as batches, outcomes go out as values.
//!
//! * [`request`]: what is wanted of a server, and where it can be answered.
//! * [`backend`]: what the store needs from below; [`peers`]: servers as that.
//! * [`cluster`]: servers that share the keys; `join`: requests of several keys there.
//! * [`op`]: whose reply it is, and what a call comes to.
//! * [`ids`]: the near cache as the store uses it.
//! * [`ttl`]: which times to live Redis can take.
//! * [`pattern`]: the `MATCH` pattern that finds exactly one map's keys.
//! * [`scan`]: the steps of keys, iterate, values, size and clear; `moves`: keys that change their server meanwhile; `seen`: what was
//!   named already.
//! * [`store`]: calls in, requests out.
//! * `running`, [`scans`]: a scan under way, and all of a store.
//! * [`needs`]: what the near cache and scans ask beside the calls; [`refusals`]: what servers refuse of it.
//! * `replies`: replies in, outcomes out.

pub mod backend;
pub mod cluster;
pub mod ids;
mod join;
mod moves;
pub mod needs;
pub mod op;
pub mod pattern;
pub mod peers;
pub mod refusals;
mod replies;
pub mod request;
mod running;
pub mod scan;
pub mod scans;
mod seen;
pub mod store;
pub mod ttl;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod rig;
