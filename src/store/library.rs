//! SQLite as a library: what is said to it before its first use, and what it tells of a connection.
#![allow(unsafe_code, reason = "these calls of SQLite have no safe form in rusqlite")]

use std::ptr;
use std::sync::Once;

use rusqlite::{Connection, ffi};

/// Counting its memory costs SQLite a lock for every piece that it takes and gives back, and nobody asks for the count.
pub fn prepare() {
    static ONCE: Once = Once::new();
    // SAFETY: where SQLite is in use already, it refuses and changes nothing.
    ONCE.call_once(|| unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0);
    });
}

/// A number that changes with every commit; none where it cannot be had. Within a transaction it is that of what the transaction sees.
/// After a commit of this connection it stays the same until a transaction sees what others have committed.
#[must_use]
pub fn data_version(store: &Connection) -> Option<u32> {
    let mut version = 0_u32;
    // SAFETY: the connection is open and used by this thread alone; SQLite writes an unsigned number of 32 bits.
    let code = unsafe {
        ffi::sqlite3_file_control(
            store.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_DATA_VERSION,
            ptr::from_mut(&mut version).cast(),
        )
    };
    (code == ffi::SQLITE_OK).then_some(version)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::open::{FILE, Use, open};
    use crate::store::testing::store;

    #[test]
    fn the_version_tells_whether_others_have_committed_since() {
        let (folder, store) = store();
        let other = open(&folder.path().join(FILE), Use::Writer(Duration::ZERO)).unwrap();
        let set =
            |store: &Connection| store.execute("REPLACE INTO maps (key, value) VALUES (x'01', x'01')", []).unwrap();
        let seen = || {
            store.execute_batch("BEGIN IMMEDIATE").unwrap();
            let version = data_version(&store).unwrap();
            store.execute_batch("COMMIT").unwrap();
            version
        };
        set(&store);
        let after = data_version(&store).unwrap();
        assert_eq!(seen(), after);
        set(&other);
        assert_ne!(seen(), after);
    }
}
