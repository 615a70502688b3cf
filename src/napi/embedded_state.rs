//! What an engine has of the embedded store.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::config::store::StoreConfig;
use crate::map::op::ScanId;
use crate::map::scan::Kind;
use crate::store::client::Client;
use crate::store::error::Outcome;
use crate::store::here::Here;
use crate::store::work::{Answered, Work};

/// A scan of a map.
pub(super) struct Scan {
    pub(super) kind: Kind,
    pub(super) prefix: Vec<u8>,
    /// Where the next page begins: after that key, or at the first one; none at the end.
    #[allow(clippy::option_option, reason = "the first page comes after no key")]
    pub(super) next: Option<Option<Vec<u8>>>,
    pub(super) limit: u32,
}

/// What an engine has of the embedded store, while it is configured.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "two facts of each of two sides")]
pub(super) struct Embedded {
    /// The configuration in use; it outlives `close()`, because calls that are made in its middle open the store anew.
    pub(super) config: Option<StoreConfig>,
    /// Which side of the engine uses it.
    pub(super) for_maps: bool,
    pub(super) for_rows: bool,
    /// While one side is open.
    pub(super) client: Option<Arc<Client>>,
    pub(super) here: Option<Here>,
    /// Which side is open.
    pub(super) maps: bool,
    pub(super) rows: bool,
    pub(super) scan_count: (u32, u32),
    /// What waits for the end of the tick, and how many writes are among it.
    pub(super) tick: Vec<Work>,
    pub(super) gathered: usize,
    /// Answers that are there and told with the loop's next turn; JavaScript is asked for it at the end of the tick, when it has made
    /// the promises.
    pub(super) late: Vec<Answered>,
    pub(super) next_call: u64,
    pub(super) scans: HashMap<ScanId, Scan>,
    pub(super) next_scan: ScanId,
    /// Calls that wait for the page of a scan.
    pub(super) pages: HashMap<u64, ScanId>,
    /// Calls of maps that wait, and those of them that are `close()`'s.
    pub(super) waiting: usize,
    pub(super) closing: Vec<u64>,
}

/// One side of an engine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Maps,
    Rows,
}

impl Embedded {
    /// Whether a side is open, or calls of it wait.
    pub(super) fn is_open(&self, side: Side) -> bool {
        if side == Side::Maps { self.maps || self.waiting > self.closing.len() } else { self.rows }
    }

    /// A side is in use.
    pub(super) const fn note_open(&mut self, side: Side) {
        match side {
            Side::Maps => self.maps = true,
            Side::Rows => self.rows = true,
        }
    }

    /// Notes a piece of work of this tick.
    pub(super) fn gather(&mut self, work: Work) {
        self.gathered += usize::from(work.writes());
        self.tick.push(work);
    }

    /// This thread's connection, where there is one that may be used.
    pub(super) fn here(&mut self) -> Option<(&Here, &Arc<Client>)> {
        let client = self.client.as_ref()?;
        if self.here.is_none() {
            self.here = Here::of(client);
        }
        if self.here.as_mut()?.is_gone(client) {
            // The thread says what is wrong.
            self.here = None;
        }
        self.here.as_ref().map(|here| (here, client))
    }

    /// Carries out a read here and now; none where it must wait.
    pub(super) fn at_once<T>(&mut self, read: impl FnOnce(&Connection) -> Outcome<T>) -> Option<Outcome<T>> {
        if self.gathered > 0 {
            return None;
        }
        let (here, client) = self.here()?;
        if client.is_writing() { None } else { here.read(read) }
    }
}
