//! The ten operations of a map over a lane. Pure: replies come in as batches, outcomes go out as values.
//!
//! * [`ids`]: the near cache as the store uses it.
//! * [`ttl`]: which times to live Redis can take.
//! * [`pattern`]: the `MATCH` pattern that finds exactly one map's keys.
//! * [`scan`]: the steps of keys, iterate, values, size and clear.
//! * [`store`]: calls in, commands out, replies in, outcomes out.

pub mod ids;
pub mod pattern;
pub mod scan;
pub mod store;
pub mod ttl;
