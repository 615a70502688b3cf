//! What was acknowledged comes to the disk: when the log is synced and written back, and whether it can be relied on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::again;
use super::batch::is_busy;
use super::error::Outcome;
use super::owner::{Identity, Owner};
use super::sync;
use super::thread::{LOG, Thread, lock};

/// How long what is acknowledged may wait for the disk.
const SYNC: Duration = Duration::from_millis(100);
/// After a checkpoint that readers kept from its end, so much must come before the next.
const LOG_MORE: u64 = 1024 * 1024;
/// How long a checkpoint waits for readers and writers.
pub(super) const CHECKPOINT: Duration = Duration::from_millis(200);

/// An open store.
pub(super) struct Opened {
    pub(super) store: Connection,
    pub(super) file: PathBuf,
    pub(super) log: PathBuf,
    pub(super) identity: Option<Identity>,
    /// When it was last looked whether its file is still there.
    pub(super) checked: Instant,
    /// How many transactions the thread had seen when it was opened.
    pub(super) commits: u64,
    pub(super) _owner: Arc<Owner>,
}

/// What has failed has left something out of the log, or may have: nobody relies on it until it was written once more.
fn distrust(thread: &Thread, why: String) {
    thread.distrusted.store(true, Ordering::Release);
    lock(&thread.state).last_error = Some(why);
}

/// Brings a log to the disk whose sync has failed, so that it can be relied on again.
pub(super) fn trust(thread: &Thread, store: &Connection) -> Outcome<()> {
    if thread.distrusted.load(Ordering::Acquire) {
        again::write(store)?;
        sync::log(store)?;
        thread.distrusted.store(false, Ordering::Release);
    }
    Ok(())
}

/// The same of the log that is found when a store is opened, where `patience` is how long the lock is waited for. What a killed process
/// has left there is on its way to the disk, unless it was killed because a sync had failed.
pub(super) fn begin(thread: &Thread, store: &Connection, patience: Duration) -> Outcome<()> {
    store.busy_timeout(Duration::ZERO)?;
    let written = again::write(store);
    store.busy_timeout(patience)?;
    match written {
        // Whoever has the lock lives, and so was told himself what has failed.
        Err(failure) if is_busy(&failure) => {}
        other => other?,
    }
    sync::log(store)?;
    trust(thread, store)
}

/// When the log of an open store is synced and written back.
#[derive(Default)]
pub(super) struct Durability {
    due: Option<Instant>,
    /// The log's size after a checkpoint that did not come to its end.
    stuck: u64,
}

impl Durability {
    /// When the log is to be synced.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it is time.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }

    /// The store's thread has committed something.
    pub(super) fn owe(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + SYNC);
    }

    /// What the JavaScript thread has committed is to be synced as well.
    pub(super) fn notice(&mut self, thread: &Thread) {
        if thread.unsynced.load(Ordering::Acquire) {
            self.owe();
        }
    }

    /// What was committed goes to the disk.
    pub(super) fn sync(&mut self, thread: &Thread, opened: Option<&Opened>) {
        // Before it begins: what is committed during it is synced by the next one.
        let theirs = thread.unsynced.swap(false, Ordering::AcqRel);
        let ours = self.due.take().is_some();
        let Some(open) = opened.filter(|_| ours || theirs) else { return };
        thread.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = sync::log(&open.store) {
            // It was acknowledged, so nobody waits for it; it is tried again. The next writes fail until then, because a log that cannot
            // be synced must not be relied on.
            distrust(thread, failure.error.message);
        }
    }

    /// Before the answers of a batch that asked for it go out.
    pub(super) fn sync_now(&mut self, thread: &Thread, open: &Opened) -> Outcome<()> {
        sync::log(&open.store).inspect_err(|failure| distrust(thread, failure.error.message.clone()))?;
        thread.syncs.fetch_add(1, Ordering::Relaxed);
        thread.asked.store(false, Ordering::Release);
        self.due = None;
        Ok(())
    }

    /// Looks how large the log is, and writes it back where that is too large.
    pub(super) fn look_at_log(&mut self, thread: &Thread, opened: Option<&Opened>) {
        let Some(open) = opened else { return };
        let size = measure(thread, open);
        if size > LOG.max(self.stuck + LOG_MORE) {
            // A checkpoint syncs the log itself, but with the lock.
            self.sync(thread, opened);
            // What is copied from a log that may have lost something might damage the file.
            if thread.synced().is_ok() {
                self.checkpoint(thread, open);
            }
        } else if size < self.stuck {
            self.stuck = 0;
        }
    }

    /// Writes the log back to the file, and begins it anew.
    fn checkpoint(&mut self, thread: &Thread, open: &Opened) {
        let done = open
            .store
            .busy_timeout(CHECKPOINT)
            .and_then(|()| open.store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        let size = measure(thread, open);
        if let Err(failure) = &done
            && sync::is_failure(failure)
        {
            // It may be the log's, and the next one would say that all is well. Where it was the file's, the next checkpoint writes all
            // of it again.
            distrust(thread, format!("the store cannot be synced: {failure}"));
        }
        if matches!(done, Ok(0)) {
            thread.checkpoints.fetch_add(1, Ordering::Relaxed);
            self.stuck = 0;
        } else {
            self.stuck = size;
        }
    }
}

/// How many bytes the log has, noted for `stats()`.
fn measure(thread: &Thread, open: &Opened) -> u64 {
    let size = std::fs::metadata(&open.log).map_or(0, |found| found.len());
    thread.log_bytes.store(size, Ordering::Relaxed);
    size
}
