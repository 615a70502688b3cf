//! Syncing the log of a store without a transaction and without a lock.
//!
//! SQLite syncs at commits or at checkpoints. A commit that syncs makes everybody behind it wait for the disk, and would need a
//! page that changes. So the log's own file handle is asked for, and synced as SQLite itself would.

use std::ffi::c_int;

use rusqlite::{Connection, ffi};

use super::error::Outcome;
use super::library::LogFile;
use super::os::FULL_SYNC;
use crate::error::{Code, Error};

/// Syncs what this connection's process has written to the log. It must be the connection's own thread.
pub fn log(store: &Connection) -> Outcome<()> {
    let synced = LogFile::of(store).and_then(|file| file.map_or(Ok(()), |file| file.sync(flags())));
    let failed = |why| Error::new(Code::StoreUnavailable, format!("the store's log cannot be synced: {why}"));
    synced.map_err(|why| failed(why).into())
}

/// Whether a failure is that of a sync.
#[must_use]
pub fn is_failure(failure: &rusqlite::Error) -> bool {
    let code = failure.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

const fn flags() -> c_int {
    if FULL_SYNC { ffi::SQLITE_SYNC_FULL } else { ffi::SQLITE_SYNC_NORMAL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    #[test]
    fn a_log_is_synced_whether_it_has_something_or_not() {
        let (_folder, store) = store();
        log(&store).unwrap();
        store.execute("INSERT INTO maps (key, value) VALUES (x'01', x'02')", []).unwrap();
        log(&store).unwrap();
    }
}
