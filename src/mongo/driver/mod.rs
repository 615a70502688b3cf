//! The driver: connection, indexes, and execution of requests, on tokio.
//!
//! * [`runtime`]: the one background thread of the process.
//! * [`executor`], [`connection`]: who waits, and what they wait with; how a round trip is bounded, retried and counted.
//! * [`members`]: the servers as the driver's monitors see them.
//! * [`trip`]: a round trip as a task of its own; [`attempts`]: the same again, while servers change.
//! * [`caller`]: a call that gets an answer whatever happens.
//! * [`shared`], [`gate`]: what is made once for all who wait; as many round trips at once as there are connections.
//! * [`numbers`], [`deliver`]: writes that the server knows again; [`late`], [`fence`]: those that may still come
//!   after they were given up;
//!   [`modify`]: what became of those that it does not know.
//! * [`indexes`], [`indexing`]: the unique index before the first write, the others behind it.
//! * [`run`]: a tick's requests, sorted into jobs.
//! * [`reads`], [`writes`], [`candles`], [`cursors`], [`transfer`], [`inspect`]: the jobs; [`rows`]: what a query finds; [`replies`]: what
//!   replies say of single documents.

mod attempts;
mod caller;
mod candles;
mod connection;
mod cursors;
mod deliver;
pub mod executor;
mod fence;
mod gate;
mod indexes;
mod indexing;
mod inspect;
mod late;
mod members;
mod modify;
mod numbers;
mod reads;
mod replies;
mod rows;
mod run;
pub mod runtime;
mod shared;
mod transfer;
mod trip;
mod writes;
