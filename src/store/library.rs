//! SQLite as a library: what it tells of a connection.
#![allow(unsafe_code, reason = "these calls of SQLite have no safe form in rusqlite")]

use std::ptr;

use rusqlite::{Connection, ffi};

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
    fn sqlite_is_built_with_what_cargos_configuration_says_and_nothing_that_nobody_uses() {
        let (_folder, store) = store();
        let mut statement = store.prepare("PRAGMA compile_options").unwrap();
        let options = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let options = options.collect::<rusqlite::Result<Vec<_>>>().unwrap();
        for wanted in ["DEFAULT_MEMSTATUS=0", "THREADSAFE=2", "DQS=0", "OMIT_SHARED_CACHE", "OMIT_LOAD_EXTENSION"] {
            assert!(options.iter().any(|option| option == wanted), "{wanted}: {options:?}");
        }
        // A lock for each page that is asked of the cache, and a check of each call's arguments.
        for unwanted in ["ENABLE_MEMORY_MANAGEMENT", "ENABLE_API_ARMOR", "ENABLE_FTS5", "ENABLE_STAT4"] {
            assert!(!options.iter().any(|option| option == unwanted), "{unwanted}: {options:?}");
        }
    }

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
