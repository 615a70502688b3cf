//! Syncing the log of a store without a transaction and without a lock.
//!
//! SQLite syncs at commits or at checkpoints. A commit that syncs makes everybody behind it wait for the disk, and would need a
//! page that changes. So the log's own file handle is asked for, and synced as SQLite itself would.
#![allow(unsafe_code, reason = "SQLite's file handle has no safe form in rusqlite")]

use std::ffi::c_int;
use std::ptr;

use rusqlite::{Connection, ffi};

use super::error::Outcome;
use super::os::FULL_SYNC;
use crate::error::{Code, Error};

/// Syncs what this connection's process has written to the log. It must be the connection's own thread.
pub fn log(store: &Connection) -> Outcome<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open and used by this thread alone; the pager hands out its log's file, which lives as long as
    // the connection, and whose methods are those of SQLite's own file system layer.
    let code = unsafe {
        let found = ffi::sqlite3_file_control(
            store.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_JOURNAL_POINTER,
            ptr::from_mut(&mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()).and_then(|methods| methods.xSync) {
            _ if found != ffi::SQLITE_OK => found,
            None => ffi::SQLITE_OK,
            Some(sync) => sync(file, flags()),
        }
    };
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    let why = ffi::Error::new(code);
    Err(Error::new(Code::StoreUnavailable, format!("the store's log cannot be synced: {why}")).into())
}

/// Writes the log back to the file, and empties it: what a failed sync has left out, no later sync of the log brings to the disk, and
/// of a log that is left, recovery would put older pages in the place of newer ones.
pub fn write_back(store: &Connection) -> Outcome<()> {
    let busy: i64 = store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return log(store);
    }
    let what = "the store's log could not be synced, and others keep it from being written back";
    Err(Error::new(Code::StoreUnavailable, what).into())
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
