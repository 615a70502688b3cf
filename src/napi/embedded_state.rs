//! What an engine has of the embedded store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use crate::config::store::StoreConfig;
use crate::error::Code;
use crate::map::op::ScanId;
use crate::map::scan::Kind;
use crate::mongo::failure::Failure;
use crate::store::client::Client;
use crate::store::error::Outcome;
use crate::store::place::identity;
use crate::store::thread::WATCH;
use crate::store::work::Work;

/// A scan of a map.
pub(super) struct Scan {
    pub(super) kind: Kind,
    pub(super) prefix: Vec<u8>,
    /// Where the next page begins: after that key, or at the first one; none at the end.
    #[allow(clippy::option_option, reason = "the first page comes after no key")]
    pub(super) next: Option<Option<Vec<u8>>>,
    pub(super) limit: u32,
}

/// A connection of this thread, and the file that it is of.
pub(super) struct Reader {
    pub(super) store: Connection,
    file: PathBuf,
    identity: Option<(u64, u64)>,
    checked: Instant,
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
    pub(super) reader: Option<Reader>,
    /// Which side is open.
    pub(super) maps: bool,
    pub(super) rows: bool,
    pub(super) scan_count: (u32, u32),
    /// What waits for the end of the tick.
    pub(super) tick: Vec<Work>,
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

    /// Whether the file is another one than it was, or gone.
    fn is_gone(&mut self) -> bool {
        let Some(reader) = &mut self.reader else { return false };
        if reader.checked.elapsed() < WATCH {
            return false;
        }
        reader.checked = Instant::now();
        identity(&reader.file) != reader.identity
    }

    /// Carries out a read here and now; none where it must go to the thread.
    pub(super) fn at_once<T>(&mut self, read: impl FnOnce(&Connection, &Client) -> Outcome<T>) -> Option<Outcome<T>> {
        let client = self.client.clone()?;
        if client.is_writing() {
            return None;
        }
        if self.reader.is_none() {
            let (store, file) = (client.take_reader()?, client.thread().state().file?);
            self.reader = Some(Reader { store, identity: identity(&file), file, checked: Instant::now() });
        }
        if client.thread().is_gone() || self.is_gone() {
            // The thread says what is wrong.
            self.reader = None;
            return None;
        }
        let outcome = read(&self.reader.as_ref()?.store, &client);
        // Whatever it is that SQLite could not do here, the thread waits for it, or says what it is.
        let passed_on = matches!(&outcome, Err(failure) if is_stores(failure));
        (!passed_on).then_some(outcome)
    }
}

/// Whether it is the store that failed, and not the call.
pub(super) fn is_stores(failure: &Failure) -> bool {
    matches!(
        failure.error.code,
        Code::StoreUnavailable | Code::StoreFull | Code::StoreCorrupt | Code::StoreTimeout | Code::StoreVersion
    )
}
