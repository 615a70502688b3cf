//! The cache services as data, and the rules that turn a call into a Redis key. Pure.
//!
//! * [`table`]: the seventeen services, their nouns and call forms. Everything else reads it: the JavaScript
//!   classes, the TypeScript declarations, the tests.
//! * [`context`]: which form a call or a row fits, and the key that it asks for.

pub mod context;
pub mod table;
