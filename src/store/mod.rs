//! The store without servers: ids, rows and candles in one SQLite file.
//!
//! * [`open`], [`place`], [`owner`]: the file, where it may lie, and whose it is. [`os`]: what differs between systems.
//! * [`table`], [`key`], [`query`]: rows as SQL has them.
//! * [`block`], [`block_view`], [`candles`], [`bulk`], [`columns`]: candles in columns.
//! * [`candle_ids`], [`candle_keys`]: their ids.
//! * [`rows`], [`find`], [`change`], [`fields`], [`ids`], [`maps`]: what calls do, over one connection.
//! * [`bson`]: what MongoDB does with filters, sorts and updates. Pure.
//! * [`calls`], [`work`], [`client`], [`folders`], [`thread`], [`worker`], [`tell`]: how calls run.
//! * [`durability`], [`sync`], [`again`], [`retry`]: how what they have written comes to the disk.
//! * [`transfer`], [`facts`]: rows on their way into another store; what a file is, and a copy of it.
//! * [`check`]: whether a store is whole.
//! * [`error`]: what SQLite says, as our errors.

pub mod again;
pub mod batch;
pub mod block;
pub mod block_view;
pub mod bson;
pub mod bulk;
pub mod calls;
pub mod candle_ids;
pub mod candle_keys;
pub mod candles;
pub mod change;
pub mod check;
pub mod client;
pub mod columns;
pub mod course;
pub mod durability;
pub mod error;
pub mod facts;
pub mod fields;
pub mod find;
pub mod folders;
pub mod here;
pub mod ids;
pub mod key;
pub mod library;
pub mod log;
pub mod maps;
pub mod open;
pub mod os;
pub mod owner;
pub mod place;
pub mod query;
pub mod retry;
pub mod rows;
pub mod sync;
pub mod table;
pub mod tell;
pub mod thread;
pub mod transfer;
pub mod work;
pub mod worker;

#[cfg(test)]
mod faults_tests;
#[cfg(test)]
mod power_tests;
#[cfg(test)]
pub(crate) mod testing;
