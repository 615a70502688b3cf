//! The store's thread, as its users see it: it opens the file, writes, syncs, checkpoints and closes, so that the JavaScript thread waits for none of it.
//!
//! There is one for each file and process; it ends with its last user. Work is taken as it has come up, as a batch: its writes
//! are one transaction, each within a savepoint of its own, and answers go out when it is committed. What was committed on the
//! JavaScript thread is synced here too, and the log is written back.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::Outcome;
use super::owner::Identity;
use super::tell::fail;
use super::work::Job;
use crate::error::{Code, Error};

/// The log is written back to the file where it is larger.
pub const LOG: u64 = 16 * 1024 * 1024;
/// How often it is looked whether the file is still there, while the store is in use.
pub const WATCH: Duration = Duration::from_millis(100);
/// How long the end of a process waits for the last sync.
const LAST: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: VecDeque<Job>,
    pub(super) clients: usize,
    /// It takes nothing more.
    pub(super) ended: bool,
    /// It has synced and closed the file.
    pub(super) closed: bool,
}

/// What the thread tells of itself, for `stats()` and `health()`.
#[derive(Debug, Default, Clone)]
pub struct State {
    /// The file, once it is open, and which one it is: device and inode.
    pub file: Option<(PathBuf, Identity)>,
    /// Why it could not be opened, or the last batch failed as a whole.
    pub last_error: Option<String>,
}

/// See the module.
pub struct Thread {
    pub(super) folder: PathBuf,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    pub(super) state: Mutex<State>,
    /// The file is not the one that was opened.
    pub(super) gone: AtomicBool,
    /// The JavaScript thread has committed something since the last sync.
    pub(super) unsynced: AtomicBool,
    /// The log has grown so far that it is to be written back, as the JavaScript thread saw it; and whether that was said since the
    /// last sync, because readers may keep it from being written back.
    pub(super) grown: AtomicBool,
    pub(super) asked: AtomicBool,
    /// The thread waits for the lock.
    pub(super) waits: AtomicBool,
    /// The log could not be synced, so nobody must rely on it; of the folder, whichever thread it has.
    pub(super) distrusted: Arc<AtomicBool>,
    /// Bytes of the log when it was last looked at.
    pub log_bytes: AtomicU64,
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Syncs of the log.
    pub syncs: AtomicU64,
    /// Checkpoints that were complete.
    pub checkpoints: AtomicU64,
}

/// The lock of a mutex; what a panic has left behind it is taken as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Thread {
    /// The handle of a thread that is yet to begin, with one user.
    pub(super) fn new(folder: &Path, distrusted: Arc<AtomicBool>) -> Self {
        Self {
            folder: folder.to_owned(),
            queue: Mutex::new(Queue { clients: 1, ..Queue::default() }),
            wake: Condvar::new(),
            state: Mutex::default(),
            gone: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            grown: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            distrusted,
            log_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
        }
    }

    /// One user more; false where it takes none, because it ends.
    pub(super) fn join(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.clients += usize::from(!queue.ended);
        !queue.ended
    }

    /// It could not be started.
    pub(super) fn not_started(&self, why: &std::io::Error) {
        lock(&self.state).last_error = Some(format!("the store's thread cannot be started: {why}"));
        let mut queue = lock(&self.queue);
        (queue.ended, queue.closed) = (true, true);
    }

    /// Hands jobs over. Where the thread could not be started, they fail at once.
    pub(super) fn push(&self, jobs: Vec<Job>) {
        self.take(lock(&self.queue), jobs);
    }

    /// Hands over the last jobs of a user, which is one less then.
    pub(super) fn push_last(&self, jobs: Vec<Job>) {
        let mut queue = lock(&self.queue);
        queue.clients -= 1;
        self.take(queue, jobs);
    }

    fn take(&self, mut queue: MutexGuard<'_, Queue>, jobs: Vec<Job>) {
        if queue.ended {
            drop(queue);
            let why = lock(&self.state).last_error.clone().unwrap_or_else(|| "the store is closed".to_owned());
            // It has synced what there was before it ended.
            fail(jobs, &Error::new(Code::StoreUnavailable, why).into(), &Ok(()));
            return;
        }
        queue.jobs.extend(jobs);
        drop(queue);
        self.wake.notify_all();
    }

    /// One user less.
    pub(super) fn leave(&self) {
        lock(&self.queue).clients -= 1;
        self.wake.notify_all();
    }

    /// Waits for a moment until the thread has ended, so that everything is synced; for the end of a process.
    pub fn wait_for_end(&self) {
        let queue = lock(&self.queue);
        drop(self.wake.wait_timeout_while(queue, LAST, |queue| queue.clients == 0 && !queue.closed));
    }

    /// Whether the file was replaced or removed while it was open.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The JavaScript thread has committed something, and the log has so many bytes. The thread is woken once for all commits
    /// until the next sync.
    pub fn committed(&self, log: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let grown = log > LOG && !self.asked.swap(true, Ordering::AcqRel);
        if grown {
            self.grown.store(true, Ordering::Release);
        }
        if !self.unsynced.swap(true, Ordering::AcqRel) || grown {
            if self.lets_others_write() {
                lock(&self.state).last_error = None;
            }
            // Under the lock, so that it cannot go to sleep between its look and its wait.
            drop(lock(&self.queue));
            self.wake.notify_all();
        }
    }

    /// Whether others may write: it does not wait for the lock itself, and the log can be relied on.
    #[must_use]
    pub fn lets_others_write(&self) -> bool {
        !self.waits.load(Ordering::Acquire) && !self.distrusted.load(Ordering::Acquire)
    }

    /// Whether what was acknowledged and was to be synced by now is on the disk, as far as a system can tell.
    pub(super) fn synced(&self) -> Outcome<()> {
        if !self.distrusted.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = lock(&self.state).last_error.clone().unwrap_or_default();
        let what =
            format!("what was acknowledged is not on the disk yet; that is tried again while the store is open: {why}");
        Err(Error::new(Code::StoreUnavailable, what).into())
    }

    /// What it tells of itself.
    #[must_use]
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
