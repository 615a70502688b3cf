//! SQLite as a library: what it tells of a connection.
#![allow(unsafe_code, reason = "these calls of SQLite have no safe form in rusqlite")]

use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr;

use rusqlite::{Connection, ffi};

/// The log's file, as SQLite's own layer of files has it open for a connection.
pub struct LogFile<'a> {
    file: *mut ffi::sqlite3_file,
    methods: &'a ffi::sqlite3_io_methods,
    /// A connection is used by one thread alone, and so is this.
    _store: PhantomData<&'a Connection>,
}

/// What SQLite's codes say.
fn checked(code: c_int) -> Result<(), ffi::Error> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(ffi::Error::new(code)) }
}

impl<'a> LogFile<'a> {
    /// Of a connection; none where it has opened no log yet.
    pub fn of(store: &'a Connection) -> Result<Option<Self>, ffi::Error> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the connection is open and used by this thread alone; the pager hands out its log's file, which lives as long as
        // the connection, and whose methods are those of SQLite's own file system layer.
        unsafe {
            checked(ffi::sqlite3_file_control(
                store.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_JOURNAL_POINTER,
                ptr::from_mut(&mut file).cast(),
            ))?;
            let methods = file.as_ref().and_then(|file| file.pMethods.as_ref());
            Ok(methods.map(|methods| Self { file, methods, _store: PhantomData }))
        }
    }

    /// Fills a buffer from a place on. What is behind the file's end is zeros, and a failure.
    pub fn read(&self, into: &mut [u8], at: u64) -> Result<(), ffi::Error> {
        let Some(read) = self.methods.xRead else { return Err(ffi::Error::new(ffi::SQLITE_IOERR_READ)) };
        // SAFETY: the file is open, see `of`, and the buffer has room for so many bytes.
        checked(unsafe { read(self.file, into.as_mut_ptr().cast(), length(into)?, place(at)?) })
    }

    /// Writes bytes at a place.
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<(), ffi::Error> {
        let Some(write) = self.methods.xWrite else { return Err(ffi::Error::new(ffi::SQLITE_IOERR_WRITE)) };
        // SAFETY: the file is open, see `of`, and so many bytes are there.
        checked(unsafe { write(self.file, bytes.as_ptr().cast(), length(bytes)?, place(at)?) })
    }

    /// Brings what was written to the disk.
    pub fn sync(&self, flags: c_int) -> Result<(), ffi::Error> {
        let Some(sync) = self.methods.xSync else { return Ok(()) };
        // SAFETY: the file is open, see `of`.
        checked(unsafe { sync(self.file, flags) })
    }
}

fn length(bytes: &[u8]) -> Result<c_int, ffi::Error> {
    c_int::try_from(bytes.len()).map_err(|_| ffi::Error::new(ffi::SQLITE_TOOBIG))
}

fn place(at: u64) -> Result<i64, ffi::Error> {
    i64::try_from(at).map_err(|_| ffi::Error::new(ffi::SQLITE_TOOBIG))
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
