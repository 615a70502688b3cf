//! Redis without I/O: bytes in, bytes out, time as an argument.
//!
//! * `abandoned`: calls that are given up and yet to be told so.
//! * [`batch`]: what one read brought.
//! * [`by_peer`]: numbers of servers, and what there is for each of them.
//! * [`encode`]: commands to bytes.
//! * [`epoch`]: what an answer depends on besides its command.
//! * [`first_words`]: what a server speaks, as far as its first bytes tell.
//! * [`decode`]: bytes to replies, resumable at any byte.
//! * [`handshake`]: what a new connection says before it carries calls.
//! * `inbox`: bytes that were read, and the replies in them.
//! * [`latency`]: how long the server takes to answer.
//! * [`lane`]: one connection's traffic: which reply belongs to which command.
//! * [`lookup`]: questions to the resolver that are under way.
//! * [`peer`]: one server: all of this together, but for the socket.
//! * [`pending`]: a command that is not answered yet.
//! * [`queue`]: commands that are not answered yet: bounds, deadlines, what is sent again after a lost connection.
//! * [`refusal`]: what a node of a cluster says where a command is not its own to answer.
//! * [`slot`]: what a cluster divides its keys by.
//! * [`supervise`]: when to connect, and when to try again.
//! * [`trust`]: authorities, our certificate and the server's name, from configuration to what TLS needs.
//! * [`tls`]: TLS between a socket and the lane.
//! * [`spin`]: whether waiting a moment on the socket pays.
//! * [`watchdog`]: notices a connection that is dead although the network never said so.

mod abandoned;
pub mod batch;
pub mod by_peer;
pub mod decode;
pub mod encode;
pub mod epoch;
pub mod first_words;
pub mod handshake;
mod inbox;
pub mod lane;
pub mod latency;
pub mod lookup;
pub mod peer;
pub mod pending;
pub mod queue;
pub mod refusal;
pub mod slot;
pub mod spin;
pub mod supervise;
pub mod tls;
pub mod trust;
pub mod watchdog;

#[cfg(test)]
mod life_simulation;

/// A moment of a monotonic clock, in nanoseconds.
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const MILLI: Nanos = 1_000_000;
