//! What the log is like at this moment: whether the next commit would begin it anew.
//!
//! The commit that begins the log writes its header, and SQLite syncs that before anything follows: an old header before new
//! frames could make old frames valid again after a power cut. Who must not wait for a sync leaves that commit to others. The
//! numbers are read from the index of the log, which all connections share in memory; its form is documented, and does not change
//! (<https://www.sqlite.org/walformat.html>).
#![allow(unsafe_code, reason = "SQLite's shared memory has no safe form in rusqlite")]

use std::ffi::c_void;
use std::ptr;

use rusqlite::{Connection, ffi};

/// Bytes of the index that SQLite maps at a time.
const REGION: i32 = 32_768;
/// The version that stands in front of every index of this form.
const FORM: u32 = 3_007_000;
/// Where that stands, counted in words of four bytes.
const FORM_AT: usize = 0;
/// Where the number of the log's frames stands.
const FRAMES_AT: usize = 4;
/// Where the checksum over all of them stands, in two words, and behind it what marks them as those of this log, in two more.
const CHECKSUM_AT: usize = 6;
const SALT_AT: usize = 8;
/// Where it stands how many of them have been written back.
const BACK_AT: usize = 24;
/// Bytes of a frame, with the page that it holds.
const FRAME: u64 = 4_096 + 24;

/// The log as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    frames: u32,
    back: u32,
    checksum: [u32; 2],
    salt: [u32; 2],
}

impl Log {
    /// Of an open connection; none where its index is not of the form that is known. Within a write transaction it holds until
    /// its end: only who has the lock changes the number of frames.
    #[must_use]
    pub fn of(store: &Connection) -> Option<Self> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the connection is open and used by this thread alone. SQLite hands out the handle of its file, whose methods are
        // those of its own file system layer; where the index is there already, it hands out where it is mapped, and the mapping
        // stays until the connection is closed. Others change it meanwhile, so it is read word by word.
        unsafe {
            let found = ffi::sqlite3_file_control(
                store.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_FILE_POINTER,
                ptr::from_mut(&mut file).cast(),
            );
            if found != ffi::SQLITE_OK {
                return None;
            }
            let methods = file.as_ref()?.pMethods.as_ref().filter(|methods| methods.iVersion >= 2)?;
            let mut index: *mut c_void = ptr::null_mut();
            if methods.xShmMap?(file, 0, REGION, 0, ptr::from_mut(&mut index).cast()) != ffi::SQLITE_OK
                || index.is_null()
            {
                return None;
            }
            let word = |at: usize| index.cast::<u32>().add(at).read_volatile();
            (word(FORM_AT) == FORM).then(|| Self {
                frames: word(FRAMES_AT),
                back: word(BACK_AT),
                checksum: [word(CHECKSUM_AT), word(CHECKSUM_AT + 1)],
                salt: [word(SALT_AT), word(SALT_AT + 1)],
            })
        }
    }

    /// Whether a commit may begin it anew: it is empty, or all of it has been written back.
    #[must_use]
    pub const fn may_begin(self) -> bool {
        self.back >= self.frames
    }

    /// How many frames it has.
    #[must_use]
    pub const fn frames(self) -> u32 {
        self.frames
    }

    /// The checksum over all of its frames.
    #[must_use]
    pub const fn checksum(self) -> [u32; 2] {
        self.checksum
    }

    /// What marks frames as those of this log, as it stands in the file.
    #[must_use]
    pub fn salt(self) -> [u8; 8] {
        let [first, second] = self.salt.map(u32::to_ne_bytes);
        let mut salt = [0; 8];
        salt[..4].copy_from_slice(&first);
        salt[4..].copy_from_slice(&second);
        salt
    }

    /// Its size in bytes, of what counts; the file may be larger.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.frames) * FRAME
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::open::{FILE, Use, open};
    use crate::store::testing::store;

    fn checkpoint(store: &Connection, mode: &str) -> (i64, i64, i64) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        store.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    }

    fn begun(store: &Connection) -> Log {
        store.execute_batch("BEGIN IMMEDIATE").unwrap();
        let log = Log::of(store).unwrap();
        store.execute_batch("COMMIT").unwrap();
        log
    }

    #[test]
    fn a_log_that_was_written_back_may_begin_anew_whether_it_was_cut_off_or_not() {
        let (folder, store) = store();
        let other = open(&folder.path().join(FILE), Use::Writer(Duration::ZERO)).unwrap();
        let set = |key: &str| store.execute("REPLACE INTO maps (key, value) VALUES (?, x'01')", [key]).unwrap();
        assert!(!begun(&store).may_begin(), "what creates the store is in the log");
        for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
            let before = begun(&store);
            set(mode);
            let after = begun(&store);
            assert!(!after.may_begin());
            assert!(after.bytes() > before.bytes());
            let (busy, frames, back) = checkpoint(&other, mode);
            assert_eq!((busy, frames), (0, back), "{mode}");
            assert!(begun(&store).may_begin(), "{mode}");
            set(mode);
        }
        // Readers of an older state keep a part of the log from being written back.
        other.execute_batch("BEGIN; SELECT count(*) FROM maps").unwrap();
        set("more");
        checkpoint(&store, "PASSIVE");
        assert!(!begun(&store).may_begin());
    }

    #[test]
    fn the_size_is_that_of_the_file_as_long_as_it_grows() {
        let (folder, store) = store();
        store.execute("INSERT INTO maps (key, value) VALUES (x'01', zeroblob(100000))", []).unwrap();
        let file = std::fs::metadata(folder.path().join(format!("{FILE}-wal"))).unwrap().len();
        assert_eq!(Log::of(&store).unwrap().bytes() + 32, file);
    }
}
