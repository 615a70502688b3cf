//! What MongoDB does with filters, sorts and updates, over BSON in memory.
//!
//! The judge of all of it is mongod: `golden.rs` holds recorded answers, and asks a server anew where one is named.
//! What a server would answer otherwise than this is refused, never answered wrongly.
//!
//! * [`order`], [`numbers`]: BSON's order.
//! * [`path`]: what a dotted path leads to, through arrays too.
//! * [`filter`], [`node`], [`parse`], [`regex`], [`pcre`]: which documents match.
//! * [`sort`]: in which order they come.
//! * [`update`]: what an update makes of a document.
//! * [`refusal`]: why something is not carried out.

mod filter;
mod node;
mod numbers;
mod order;
mod parse;
mod path;
mod pcre;
mod refusal;
mod regex;
mod sort;
mod update;

#[cfg(test)]
mod judge;

pub use filter::Filter;
pub(crate) use numbers::{Exact, Number, nearest};
pub use order::compare;
pub use refusal::Refusal;
pub use sort::{Sort, SortKey};
pub use update::{UpdateOptions, apply_update};
