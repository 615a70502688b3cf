//! Redis without I/O: bytes in, bytes out, time as an argument.
//!
//! * [`encode`]: commands to bytes.
//! * [`decode`]: bytes to replies, resumable at any byte.
//! * [`handshake`]: what a new connection says before it carries calls.
//! * [`latency`]: how long the server takes to answer.
//! * [`lane`]: the order of commands and replies, deadlines, what is sent again after a lost connection.
//! * [`supervise`]: when to connect, and when to try again.
//! * [`spin`]: whether waiting a moment on the socket pays.
//! * [`watchdog`]: notices a connection that is dead although the network never said so.

pub mod decode;
pub mod encode;
pub mod handshake;
pub mod lane;
pub mod latency;
pub mod spin;
pub mod supervise;
pub mod watchdog;

/// A moment of a monotonic clock, in nanoseconds.
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const MILLI: Nanos = 1_000_000;
