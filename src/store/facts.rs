//! What a store's file is, and a copy of it: for the command line, which waits for both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};

use super::check::check;
use super::error::{Outcome, of};
use super::open::{FILE, Use, VERSION, open};
use super::table::table;
use super::{os, place};
use crate::error::{Code, Error};
use crate::mongo::table::CANDLES;
use crate::mongo::wire::Answer;

/// How many rows a collection has, told from indexes: `{ rows, missing: [] }`.
pub fn inspect(store: &Connection, number: usize) -> Outcome<Answer> {
    let mut rows = table(number).count(store)?;
    if number == CANDLES {
        let held = "SELECT (SELECT coalesce(sum(count), 0) FROM candle_ids) + (SELECT count(*) FROM candle_tail)";
        rows += store.query_row(held, [], |row| row.get::<_, i64>(0))?;
    }
    let mut found = RawDocumentBuf::new();
    #[allow(clippy::cast_precision_loss, reason = "a count of rows on a disk")]
    found.append(cstr!("rows"), rows as f64);
    found.append(cstr!("missing"), RawArrayBuf::new());
    Ok(Answer::Documents(found.into_bytes()))
}

fn failed(error: &Error) -> Json {
    json!({ "code": error.code.as_str(), "message": error.message })
}

/// What a store is, as JSON: `{ file, exists, bytes, logBytes, sqlite, version, knownVersion, check, problem }`. `check` is what
/// [`check`] finds, "ok" where nothing is wrong; `problem` is why it cannot be used. It changes nothing, and makes
/// no file.
#[must_use]
pub fn facts(folder: &Path, patience: Duration) -> Json {
    let file = folder.join(FILE);
    let size = |suffix: &str| {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        std::fs::metadata(PathBuf::from(name)).map_or(0, |found| found.len())
    };
    let mut found = json!({
        "file": file.to_string_lossy(), "exists": file.exists(), "bytes": size(""), "logBytes": size("-wal"),
        "sqlite": rusqlite::version(), "version": null, "knownVersion": VERSION, "check": null, "problem": null,
    });
    if let Err(error) = if folder.exists() { place::check(folder) } else { Ok(()) } {
        found["problem"] = failed(&error);
        return found;
    }
    if !file.exists() {
        return found;
    }
    // What is no store, or of another version, is not to be opened by ours, which might refuse it before it is looked at.
    let version =
        Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|store| {
                store.busy_timeout(patience)?;
                store.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))
            });
    found["version"] = version.ok().map_or(Json::Null, Json::from);
    match checked(&file, patience) {
        Ok(words) => found["check"] = Json::from(words),
        Err(failure) => found["problem"] = failed(&failure.error),
    }
    found
}

fn checked(file: &Path, patience: Duration) -> Outcome<String> {
    let store = open(file, Use::Writer(patience))?;
    let wrong = check(&store)?;
    Ok(if wrong.is_empty() { "ok".to_owned() } else { wrong.join("; ") })
}

/// Copies a store, as it is at one moment, into a file that is not there yet, while others go on writing. The copy is whole and
/// on the disk when this returns; how many bytes it has.
pub fn backup(folder: &Path, target: &Path, patience: Duration) -> Result<u64, Error> {
    let unavailable = |path: &Path, what: &dyn std::fmt::Display| {
        Error::new(Code::StoreUnavailable, format!("{}: {what}", path.display()))
    };
    let file = folder.join(FILE);
    if !file.exists() {
        return Err(unavailable(&file, &"there is no store"));
    }
    if target.exists() {
        return Err(unavailable(target, &"it is there already, and a backup takes the place of nothing"));
    }
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // What an attempt that was killed has left.
    remove(&part);
    let folder = target.parent().unwrap_or(target);
    // SQLite would say that a database cannot be opened, and not why. It takes an empty file.
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::File::create_new(&part))
        .map_err(|error| unavailable(target, &format!("it cannot be made: {error}")))?;
    let copied = copy(&file, &part, patience).map_err(|failure| failure.error).and_then(|()| {
        let cannot = |error: std::io::Error| unavailable(target, &error);
        // Windows syncs only what may be written.
        let whole = std::fs::OpenOptions::new().write(true).open(&part).map_err(cannot)?;
        whole.sync_all().map_err(cannot)?;
        // Never in place of a file that has come meanwhile; not every file system has links.
        match std::fs::hard_link(&part, target) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                std::fs::rename(&part, target).map_err(cannot)?;
            }
            linked => linked.map_err(cannot)?,
        }
        if let Some(folder) = target.canonicalize().ok().as_deref().and_then(Path::parent) {
            os::sync_folder(folder).map_err(cannot)?;
        }
        Ok(whole.metadata().map_err(cannot)?.len())
    });
    remove(&part);
    copied
}

/// Takes away a file that is not a backup yet, and what SQLite has beside it, as far as they are there.
fn remove(part: &Path) {
    for tail in ["", "-journal", "-wal", "-shm"] {
        let mut name = part.as_os_str().to_owned();
        name.push(tail);
        let _ = std::fs::remove_file(name);
    }
}

fn copy(file: &Path, part: &Path, patience: Duration) -> Outcome<()> {
    let store = open(file, Use::Writer(patience))?;
    store.execute("VACUUM INTO ?", [part.to_string_lossy()])?;
    drop(store);
    // A copy has another journal mode, which a store's connections do not change.
    let copy = Connection::open(part).map_err(|error| of(&error))?;
    copy.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| of(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::disk::{Disk, Fault};
    use crate::store::testing::store;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_backup_is_a_store_with_what_was_there_and_takes_the_place_of_nothing() {
        let (folder, open_store) = store();
        open_store.execute("INSERT INTO maps VALUES (x'6B', x'76', NULL)", []).unwrap();
        // The folder is made.
        let target = folder.path().join("all/copies").join(FILE);
        let bytes = backup(folder.path(), &target, PATIENCE).unwrap();
        assert_eq!(bytes, std::fs::metadata(&target).unwrap().len());
        let copy = open(&target, Use::Writer(PATIENCE)).unwrap();
        assert_eq!(copy.query_row("SELECT count(*) FROM maps", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        let mode: String = copy.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(backup(folder.path(), &target, PATIENCE).unwrap_err().code, Code::StoreUnavailable);
        let left = std::fs::read_dir(target.parent().unwrap())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("part"))
            .count();
        assert_eq!(left, 0);
        assert_eq!(
            backup(&folder.path().join("none"), &folder.path().join("b"), PATIENCE).unwrap_err().code,
            Code::StoreUnavailable
        );
        let error = backup(folder.path(), &folder.path().join(FILE).join("b"), PATIENCE).unwrap_err();
        assert!(error.message.contains("it cannot be made: "), "{error}");
    }

    #[test]
    fn a_backup_that_fails_leaves_nothing() {
        let (folder, open_store) = store();
        let disk = Disk::of(&folder.path().join("copies"));
        let value = vec![7; 400_000];
        open_store.execute("INSERT INTO maps VALUES (x'6B', ?, NULL)", [value]).unwrap();
        let target = folder.path().join("copies").join(FILE);
        for fault in [Fault::Full, Fault::Write, Fault::Sync] {
            disk.fail(Some(fault));
            backup(folder.path(), &target, PATIENCE).unwrap_err();
            assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 0, "{fault:?}");
        }
        disk.fail(None);
        backup(folder.path(), &target, PATIENCE).unwrap();
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn facts_of_a_store_of_none_and_of_something_else() {
        let (folder, open_store) = store();
        let found = facts(folder.path(), PATIENCE);
        assert_eq!(
            (&found["check"], &found["version"], &found["problem"]),
            (&Json::from("ok"), &Json::from(VERSION), &Json::Null)
        );
        open_store.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let newer = facts(folder.path(), PATIENCE);
        assert_eq!(
            (&newer["version"], &newer["problem"]["code"]),
            (&Json::from(VERSION + 1), &Json::from("STORE_VERSION"))
        );
        let none = facts(&folder.path().join("none"), PATIENCE);
        assert_eq!((&none["exists"], &none["problem"]), (&Json::from(false), &Json::Null));
        assert!(!folder.path().join("none").exists());
        let text = folder.path().join("text");
        std::fs::create_dir(&text).unwrap();
        std::fs::write(text.join(FILE), "this is no database ".repeat(100)).unwrap();
        assert_eq!(facts(&text, PATIENCE)["problem"]["code"], "STORE_CORRUPT");
    }
}
