//! The MongoDB services: documents, filters and batches as pure rules, and the driver that carries them out.
//!
//! * [`table`]: the seventeen collections, one row each.
//! * [`cast`]: JavaScript's values to what a field stores.
//! * [`document`]: the documents and updates that are written.
//! * [`crud`], [`update`]: those of `BaseCRUD`, and what schemas demand of them.
//! * [`filter`]: filters and sorts as users give them.
//! * [`candles`]: candles in columns, and the grid of a range.
//! * [`candle_window`]: what is there of a window of candles, for the cache of them.
//! * [`batch`]: what travels together.
//! * [`conflict`]: what a duplicate key means.
//! * [`delivery`], [`unanswered`], [`server`]: what follows when a write is not answered.
//! * [`transfer`]: rows on their way from one store into another.
//! * [`topology`]: the servers as the driver knows them.
//! * [`wire`]: requests and answers as they cross the boundary.
//! * [`failure`]: errors of the driver as ours.
//! * [`driver`]: connection, indexes and execution, on a thread of their own. The only part with I/O.

pub mod batch;
pub mod candle_window;
pub mod candles;
pub mod cast;
pub mod conflict;
pub mod crud;
pub mod delivery;
pub mod document;
pub mod driver;
pub mod failure;
pub mod filter;
pub mod server;
pub mod table;
pub mod topology;
pub mod transfer;
pub mod unanswered;
pub mod update;
pub mod wire;
