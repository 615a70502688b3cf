//! The driver: connection, indexes, and execution of requests, on tokio.
//!
//! * [`runtime`]: the one background thread of the process.
//! * [`session`]: a connection with its configuration; how a round trip is bounded, retried and counted.
//! * [`shared`], [`gate`]: what is made once for all who wait; as many round trips at once as there are connections.
//! * [`indexes`]: the unique index before the first write, the others behind it.
//! * [`run`]: a tick's requests, sorted into jobs.
//! * [`reads`], [`writes`], [`candles`], [`cursors`]: the jobs.

mod candles;
mod cursors;
mod gate;
mod indexes;
mod reads;
mod run;
pub mod runtime;
pub mod session;
mod shared;
mod writes;
