//! Opening: what the file must be, and how its connections are set.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{Outcome, of};
use super::table::TABLES;
use super::{os, place};
use crate::error::{Code, Error};

/// The first SQLite whose log cannot lose what was committed when it is begun anew.
const LEAST_SQLITE: i32 = 3_051_003;
const _: () = assert!(rusqlite::ffi::SQLITE_VERSION_NUMBER >= LEAST_SQLITE, "the bundled SQLite is too old");

/// The file of a store's folder.
pub const FILE: &str = "store.sqlite";
/// `bkn1` marks a file as a store.
pub const APPLICATION: i32 = 0x626B_6E31;
/// The layout that this version reads and writes.
pub const VERSION: i32 = 1;
/// Prepared statements that a connection keeps: each collection has some.
const STATEMENTS: usize = 256;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The store's thread: it writes, and waits that long for the lock.
    Writer(Duration),
    /// The JavaScript thread: it never waits.
    Here,
}

fn refuse(code: Code, path: &Path, what: &str) -> Error {
    Error::new(code, format!("{}: {what}", path.display()))
}

/// Makes the folder where it is not there, and says where the file is. Refuses file systems on which locks do not work.
pub fn prepare(folder: &Path) -> Result<PathBuf, Error> {
    let cannot =
        |what: &str, error: &std::io::Error| refuse(Code::StoreUnavailable, folder, &format!("{what}: {error}"));
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => refuse(Code::StoreUnavailable, folder, "this is a file, and no folder"),
        _ => cannot("the folder cannot be made", &error),
    })?;
    let folder = os::canonical(folder).map_err(|error| cannot("the folder cannot be used", &error))?;
    place::check(&folder)?;
    Ok(folder.join(FILE))
}

/// Opens the file, and makes it where it is not there and this is the writer.
pub fn open(file: &Path, purpose: Use) -> Outcome<Connection> {
    if rusqlite::version_number() < LEAST_SQLITE {
        let what = format!("SQLite {} is older than 3.51.3", rusqlite::version());
        return Err(Error::new(Code::StoreUnavailable, what).into());
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if matches!(purpose, Use::Writer(_)) {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let named = |error: &rusqlite::Error| {
        let error = of(error);
        refuse(error.code, file, &error.message)
    };
    let mut store = Connection::open_with_flags(file, flags).map_err(|error| named(&error))?;
    set(&store, purpose).map_err(|error| named(&error))?;
    check(&mut store, file, purpose)?;
    Ok(store)
}

fn set(store: &Connection, purpose: Use) -> rusqlite::Result<()> {
    store.set_prepared_statement_cache_capacity(STATEMENTS);
    store.busy_timeout(match purpose {
        Use::Writer(patience) => patience,
        Use::Here => Duration::ZERO,
    })?;
    // The store's thread alone checkpoints, when it has time for it.
    store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    store.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    store.pragma_update(None, "wal_autocheckpoint", 0)?;
    store.pragma_update(None, "synchronous", "NORMAL")?;
    store.pragma_update(None, "cache_size", -16_384)?;
    store.pragma_update(None, "temp_store", "MEMORY")?;
    if os::FULL_SYNC {
        // What is synced is on the disk, and not in its cache.
        store.pragma_update(None, "fullfsync", true)?;
        store.pragma_update(None, "checkpoint_fullfsync", true)?;
    }
    Ok(())
}

fn number(store: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    store.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Whether the file is a store of ours, and of a version that we know. A file without tables becomes one.
fn check(store: &mut Connection, file: &Path, purpose: Use) -> Outcome<()> {
    if let Err(what) = known(store, file)? {
        return Err(what.into());
    }
    if number(store, "user_version")? == 0 && matches!(purpose, Use::Writer(_)) {
        // The journal's mode cannot change within a transaction, and a file that is no store must not be changed.
        let mode: String = store.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            let what = format!("the file system does not take SQLite's log (its journal mode stays {mode:?})");
            return Err(refuse(Code::StoreUnavailable, file, &what).into());
        }
        create(store)?;
    }
    Ok(())
}

/// Whether it is a store, or nothing yet.
fn known(store: &Connection, file: &Path) -> Outcome<Result<(), Error>> {
    let (application, version) = (number(store, "application_id")?, number(store, "user_version")?);
    let tables: i64 = store.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version > VERSION && application == APPLICATION {
        return Ok(Err(newer(file, version)));
    }
    let fits =
        if application == APPLICATION { version == VERSION } else { application == 0 && version == 0 && tables == 0 };
    Ok(if fits { Ok(()) } else { Err(refuse(Code::StoreCorrupt, file, "this is another SQLite file, and no store")) })
}

fn newer(file: &Path, version: i32) -> Error {
    let what =
        format!("it is of version {version}; this release knows versions up to {VERSION}, so a newer one is needed");
    refuse(Code::StoreVersion, file, &what)
}

/// Within a transaction: whether a newer release has changed the layout since the file was opened.
pub fn still_ours(store: &Connection, file: &Path) -> Outcome<()> {
    let version: i32 = store.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    if version > VERSION { Err(newer(file, version).into()) } else { Ok(()) }
}

fn create(store: &mut Connection) -> Outcome<()> {
    let transaction = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have been first.
    if number(&transaction, "user_version")? == 0 {
        transaction.execute_batch(super::maps::CREATE)?;
        transaction.execute_batch(super::candles::CREATE)?;
        for table in TABLES.iter() {
            transaction.execute_batch(&table.create())?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Folder;

    fn writer(file: &Path) -> Outcome<Connection> {
        open(file, Use::Writer(Duration::from_millis(50)))
    }

    fn refused(file: &Path) -> Error {
        writer(file).map(|_| ()).unwrap_err().error
    }

    #[test]
    fn a_new_file_is_a_store_and_opens_again() {
        let folder = Folder::new();
        let file = prepare(&folder.path().join("dump/native")).unwrap();
        drop(writer(&file).unwrap());
        let store = writer(&file).unwrap();
        assert_eq!(number(&store, "application_id").unwrap(), APPLICATION);
        let tables: i64 =
            store.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap();
        assert!(tables > 17);
        assert_eq!(store.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    }

    #[test]
    fn another_file_is_refused_and_not_changed() {
        let folder = Folder::new();
        let text = folder.path().join("notes");
        let words = "no database, but long enough to be one ".repeat(50);
        std::fs::write(&text, &words).unwrap();
        assert_eq!(refused(&text).code, Code::StoreCorrupt);
        assert_eq!(std::fs::read_to_string(&text).unwrap(), words);
        let other = folder.path().join("other");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a); PRAGMA application_id = 7").unwrap();
        let before = std::fs::read(&other).unwrap();
        let error = refused(&other);
        assert_eq!(error.code, Code::StoreCorrupt);
        assert!(error.message.contains("other"), "{error}");
        assert_eq!(std::fs::read(&other).unwrap(), before);
    }

    #[test]
    fn a_newer_store_is_refused_at_opening_and_within_a_transaction() {
        let folder = Folder::new();
        let file = folder.path().join(FILE);
        let store = writer(&file).unwrap();
        assert!(still_ours(&store, &file).is_ok());
        writer(&file).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert_eq!(still_ours(&store, &file).unwrap_err().error.code, Code::StoreVersion);
        assert_eq!(refused(&file).code, Code::StoreVersion);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = Folder::new();
        std::fs::write(folder.path().join("taken"), "a file").unwrap();
        let error = prepare(&folder.path().join("taken/within")).unwrap_err();
        assert_eq!(error.code, Code::StoreUnavailable);
        assert!(error.message.contains("taken/within"), "{error}");
        let error = prepare(&folder.path().join("taken")).unwrap_err();
        assert!(error.message.ends_with("taken: this is a file, and no folder"), "{error}");
    }
}
