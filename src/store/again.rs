//! A log is written once more, over itself, because a sync of it may have failed.
//!
//! Linux counts what a failed sync has left out as written: later syncs bring nothing of it to the disk, say that all is well, and
//! what was left out is forgotten when its memory is needed. A checkpoint relies on both. It syncs the log before it writes to the
//! file, so that a power cut between its writes finds all of them in the log; and it checks nothing of what it copies from there.
//! So the log is read, each frame is checked as SQLite's own recovery does it, and what was read is written to where it stood: it is
//! on its way to the disk again then, and the next sync says what is true. Where a frame is not the one that was committed, the disk
//! has lost it, and the log must not be relied on. Whoever opens a store that nobody has open gets what is whole of it.

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};

use super::error::{Outcome, of};
use super::library::LogFile;
use super::log::Log;
use crate::error::{Code, Error};

/// Bytes in front of all frames, and in front of the page of each.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
/// What a log begins with; its last bit says how numbers are read for checksums.
const MAGIC: u32 = 0x377F_0682;
/// SQLite's layer of files takes so many bytes at a time, and of more than these the wrong ones.
const TOGETHER: usize = 0x1_FFFF;

/// The checksums of a log, from its head on. Pure.
struct Chain {
    is_big: bool,
    page: usize,
    salt: [u8; 8],
    sum: [u32; 2],
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

impl Chain {
    /// Of a log that begins so; none where that is no head of a log.
    fn begin(head: &[u8; HEAD]) -> Option<Self> {
        let (magic, page) = (number(head, 0), number(head, 8) as usize);
        if magic & !1 != MAGIC || !(512..=65_536).contains(&page) {
            return None;
        }
        let salt = *head[16..].first_chunk()?;
        let mut chain = Self { is_big: magic & 1 == 1, page, salt, sum: [0; 2] };
        chain.add(&head[..24]);
        (chain.sum == [number(head, 24), number(head, 28)]).then_some(chain)
    }

    fn add(&mut self, bytes: &[u8]) {
        let read = if self.is_big { u32::from_be_bytes } else { u32::from_le_bytes };
        let [mut first, mut second] = self.sum;
        for word in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            first = first.wrapping_add(read(word[0])).wrapping_add(second);
            second = second.wrapping_add(read(word[1])).wrapping_add(first);
        }
        self.sum = [first, second];
    }

    /// Whether a frame is the next one of this log.
    fn takes(&mut self, frame: &[u8]) -> bool {
        let (head, page) = frame.split_at(FRAME_HEAD);
        self.add(&head[..8]);
        self.add(page);
        head[8..16] == self.salt && self.sum == [number(head, 16), number(head, 20)]
    }
}

fn lost() -> Error {
    let what = "the disk has lost some of what was written last; what is whole is there when everybody has closed the \
                store and it is opened again";
    Error::new(Code::StoreUnavailable, what)
}

/// See the module. It holds the lock for as long as that takes, and does not sync.
pub fn write(store: &Connection) -> Outcome<()> {
    // Nobody appends to the log meanwhile, or begins it anew. What is read for that may be lost already.
    let _lock = Transaction::new_unchecked(store, TransactionBehavior::Immediate).map_err(|error| {
        let error = of(&error);
        if error.code == Code::StoreCorrupt { lost() } else { error }
    })?;
    let failed = |why: ffi::Error| match why.extended_code {
        ffi::SQLITE_IOERR_SHORT_READ => lost(),
        _ => of(&rusqlite::Error::SqliteFailure(why, None)),
    };
    let (Some(log), Some(file)) = (Log::of(store), LogFile::of(store).map_err(failed)?) else {
        return Err(Error::new(Code::StoreUnavailable, "the store's log is of another form").into());
    };
    // Nothing is in it alone.
    if log.may_begin() {
        return Ok(());
    }
    let mut head = [0; HEAD];
    file.read(&mut head, 0).map_err(failed)?;
    let mut chain = Chain::begin(&head).filter(|chain| chain.salt == log.salt()).ok_or_else(lost)?;
    file.write(&head, 0).map_err(failed)?;
    let size = FRAME_HEAD + chain.page;
    let together = TOGETHER / size;
    let mut frames = vec![0; together * size];
    let (mut left, mut at) = (log.frames() as usize, HEAD as u64);
    while left > 0 {
        let some = &mut frames[..left.min(together) * size];
        file.read(some, at).map_err(failed)?;
        if !some.chunks(size).all(|frame| chain.takes(frame)) {
            return Err(lost().into());
        }
        file.write(some, at).map_err(failed)?;
        at += some.len() as u64;
        left -= left.min(together);
    }
    if chain.sum == log.checksum() { Ok(()) } else { Err(lost().into()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek as _, SeekFrom, Write as _};

    use super::*;
    use crate::store::open::FILE;
    use crate::store::testing::{Folder, store};

    fn filled() -> (Folder, Connection) {
        let (folder, store) = store();
        for key in 0..200_u32 {
            let by = (key.to_be_bytes(), vec![key.to_le_bytes()[0]; 3_000]);
            store.execute("INSERT INTO maps (key, value) VALUES (?, ?)", by).unwrap();
        }
        (folder, store)
    }

    fn bytes(folder: &Folder) -> Vec<u8> {
        std::fs::read(folder.path().join(format!("{FILE}-wal"))).unwrap()
    }

    fn put(mut file: &File, bytes: &[u8], at: usize) {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(bytes).unwrap();
    }

    #[test]
    fn a_log_that_is_whole_stays_as_it_is_and_is_gone_on_with() {
        let (folder, store) = filled();
        let before = bytes(&folder);
        assert!(before.len() > 2 * TOGETHER);
        write(&store).unwrap();
        assert_eq!(bytes(&folder), before);
        store.execute("INSERT INTO maps (key, value) VALUES (x'ff', x'01')", []).unwrap();
        write(&store).unwrap();
        let count: i64 = store.query_row("SELECT count(*) FROM maps", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 201);
        // What was written back needs no log.
        store.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        write(&store).unwrap();
        store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        write(&store).unwrap();
    }

    #[test]
    fn a_log_of_which_anything_is_gone_is_not_relied_on() {
        let (folder, store) = filled();
        let path = folder.path().join(format!("{FILE}-wal"));
        let whole = bytes(&folder);
        // No lock of the process lies on the log, so it may be opened.
        let file = File::options().write(true).open(path).unwrap();
        let last = whole.len() - 1;
        for at in [0, 9, 17, 25, HEAD, HEAD + 9, HEAD + 20, HEAD + FRAME_HEAD, whole.len() / 2, last] {
            put(&file, &[!whole[at]], at);
            let failure = write(&store).unwrap_err();
            assert_eq!(failure.error.code, Code::StoreUnavailable, "{at}");
            assert!(failure.error.message.contains("has lost"), "{at}: {failure:?}");
            put(&file, &whole[at..=at], at);
            write(&store).unwrap();
        }
        file.set_len(whole.len() as u64 - 4_120).unwrap();
        assert!(write(&store).unwrap_err().error.message.contains("has lost"));
        put(&file, &whole, 0);
        write(&store).unwrap();
    }
}
