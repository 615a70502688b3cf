//! Whose reply it is, and what a call comes to.

use std::ops::Range;

use crate::error::Error;
use crate::map::ids::{Expiry, Held, IdRead};
use crate::map::join::Part;
use crate::map::scan::Page;
use crate::near::Ticket;
use crate::redis::by_peer::PeerId;

/// The number of a waiting call.
pub type CallId = u64;
/// The number of a scan.
pub type ScanId = u32;

/// Whose reply it is, and what to make of it.
#[derive(Debug)]
pub enum Op {
    /// GET: text or null.
    Get(CallId),
    /// GET, SET NX: bytes or null.
    Bytes(CallId),
    /// PTTL: milliseconds, -1 for ever, or null.
    Remaining(CallId),
    /// EXISTS: whether any of its keys is there.
    Has(CallId),
    /// SET, DEL: nothing.
    Done(CallId),
    /// GET of an id, whose reply may fill the near cache.
    GetId(CallId, IdRead),
    /// EXISTS of an id, likewise.
    HasId(CallId, IdRead),
    /// The PTTL that travels with a read.
    Expiry(Expiry),
    /// A PING that proves that that server still tells us everything.
    Proof(PeerId),
    /// An EXISTS of a key that a cluster's server holds, if it answers.
    Held(Held),
    /// A CLUSTER NODES behind it, for the slots that are that server's own.
    Slots(PeerId, Held),
    /// An INFO that tells which run of that server answers.
    Run(PeerId),
    /// SET of an id: the id, as stored.
    Stored(CallId, Box<[u8]>, Option<Ticket>),
    /// CONFIG GET: names and values.
    Settings(CallId),
    /// MGET: the first value that is there.
    First(CallId),
    /// One of the commands that a request of several keys was divided into.
    Part(Part<Self>),
    /// What a node of a cluster tells of all; it never reaches the store.
    Map(Told),
    /// Any answer of a cluster: from here on it is known which servers a scan is about.
    Begun(ScanId),
    /// What a master tells of its slots, for a scan.
    Marks(ScanId, PeerId),
    /// All keys of a slot, for a scan.
    InSlot(ScanId),
    /// A SCAN.
    Scan(ScanId),
    /// The MGET of a scan's page.
    Values(ScanId),
    /// The DEL of a scan's page.
    Deleted(ScanId),
}

/// What a node of a cluster was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The addresses that clients are meant to use.
    Addresses,
    /// The nodes with their slots.
    Nodes,
}

/// What a call comes to.
#[derive(Debug)]
pub enum Outcome {
    /// `undefined`
    Undefined,
    /// `null`
    Null,
    /// A boolean.
    Boolean(bool),
    /// Text in the batch.
    Text(Range<usize>),
    /// Bytes in the batch.
    Bytes(Range<usize>),
    /// Milliseconds; `None`: for ever.
    Millis(Option<u64>),
    /// Text of its own.
    Owned(Box<[u8]>),
    /// A number.
    Number(u64),
    /// Keys of a page; the first so many bytes of each are the map's prefix.
    Keys(Page, usize),
    /// Keys of a page with their values, which are tokens of the batch.
    Pairs(Page, usize, Range<usize>),
    /// Values of a page: tokens of the batch.
    Values(Range<usize>),
    /// A rejection.
    Failed(Error),
}

/// Outcomes, each with its call.
pub type Outcomes = Vec<(CallId, Outcome)>;
