//! The driver: connection, indexes, and execution of requests, on tokio.
//!
//! * [`runtime`]: the one background thread of the process.
//! * [`session`], [`connection`]: who waits, and what they wait with; how a round trip is bounded, retried and counted.
//! * [`trip`]: a round trip as a task of its own.
//! * [`caller`]: a call that gets an answer whatever happens.
//! * [`shared`], [`gate`]: what is made once for all who wait; as many round trips at once as there are connections.
//! * [`numbers`]: writes that the server knows again; [`modify`]: what became of those that it does not.
//! * [`indexes`]: the unique index before the first write, the others behind it.
//! * [`run`]: a tick's requests, sorted into jobs.
//! * [`reads`], [`writes`], [`candles`], [`cursors`]: the jobs.

mod caller;
mod candles;
mod connection;
mod cursors;
mod gate;
mod indexes;
mod modify;
mod numbers;
mod reads;
mod run;
pub mod runtime;
pub mod session;
mod shared;
mod trip;
mod writes;
