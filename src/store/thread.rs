//! The store's thread: it opens the file, writes, syncs, checkpoints and closes, so that the JavaScript thread waits for none of it.
//!
//! There is one for each file and process; it ends with its last user. Work is taken as it has come up, as a batch: its writes
//! are one transaction, each within a savepoint of its own, and answers go out when it is committed. What was committed on the
//! JavaScript thread is synced here too, and the log is written back.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::batch::{self, Transaction, is_busy};
use super::error::Outcome;
use super::maps;
use super::open::{Use, open, prepare};
use super::owner::{Identity, Owner, claim_file};
use super::place::identity;
use super::retry::Retry;
use super::sync;
use super::work::{Answered, Job, User, Work};
use crate::error::{Code, Error};
use crate::mongo::failure::Failure;

/// How long what is acknowledged may wait for the disk.
const SYNC: Duration = Duration::from_millis(100);
/// The log is written back to the file where it is larger.
pub const LOG: u64 = 16 * 1024 * 1024;
/// After a checkpoint that readers kept from its end, so much must come before the next.
const LOG_MORE: u64 = 1024 * 1024;
/// How long a checkpoint waits for readers and writers.
const CHECKPOINT: Duration = Duration::from_millis(200);
/// How often expired keys are swept, while something is written.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it is looked whether the file is still there, while the store is in use.
pub const WATCH: Duration = Duration::from_millis(100);
/// The most work of one transaction: others want the lock too.
const BATCH: usize = 1_000;
/// How long the lock is left alone before a second attempt to get it; before each further one twice as long.
const SOON: Duration = Duration::from_micros(20);
/// The longest such pause.
const LATER: Duration = Duration::from_millis(1);
/// How long the end of a process waits for the last sync.
const LAST: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    clients: usize,
    /// It takes nothing more.
    ended: bool,
    /// It has synced and closed the file.
    closed: bool,
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
    folder: PathBuf,
    queue: Mutex<Queue>,
    wake: Condvar,
    state: Mutex<State>,
    /// The file is not the one that was opened.
    gone: AtomicBool,
    /// The JavaScript thread has committed something since the last sync.
    unsynced: AtomicBool,
    /// The log has grown so far that it is to be written back, as the JavaScript thread saw it; and whether that was said since the
    /// last sync, because readers may keep it from being written back.
    grown: AtomicBool,
    asked: AtomicBool,
    /// The thread waits for the lock.
    waits: AtomicBool,
    /// The log could not be synced, so nobody must rely on it; of the folder, whichever thread it has.
    distrusted: Arc<AtomicBool>,
    /// Bytes of the log when it was last looked at.
    pub log_bytes: AtomicU64,
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Syncs of the log.
    pub syncs: AtomicU64,
    /// Checkpoints that were complete.
    pub checkpoints: AtomicU64,
}

/// What this process knows of a folder.
struct Known {
    thread: Weak<Thread>,
    distrusted: Arc<AtomicBool>,
}

static FOLDERS: LazyLock<Mutex<HashMap<PathBuf, Known>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Thread {
    /// The thread of a folder, with one user more.
    #[must_use]
    pub fn of(folder: &Path) -> Arc<Self> {
        // One folder may have many names.
        let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut folders = lock(&FOLDERS);
        // A log whose sync has failed counts as sound for the system from then on, so that must not be forgotten.
        folders.retain(|_, known| known.thread.strong_count() > 0 || known.distrusted.load(Ordering::Acquire));
        if let Some(thread) = folders.get(&name).and_then(|known| known.thread.upgrade()) {
            let mut queue = lock(&thread.queue);
            if !queue.ended {
                queue.clients += 1;
                drop(queue);
                return thread;
            }
        }
        let distrusted = folders.get(&name).map(|known| Arc::clone(&known.distrusted)).unwrap_or_default();
        let thread = Arc::new(Self {
            folder: folder.to_owned(),
            queue: Mutex::new(Queue { clients: 1, ..Queue::default() }),
            wake: Condvar::new(),
            state: Mutex::default(),
            gone: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            grown: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            distrusted: Arc::clone(&distrusted),
            log_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
        });
        folders.insert(name, Known { thread: Arc::downgrade(&thread), distrusted });
        let own = Arc::clone(&thread);
        let started = std::thread::Builder::new().name("bkn-store".to_owned()).spawn(move || Worker::new(own).work());
        if let Err(error) = started {
            lock(&thread.state).last_error = Some(format!("the store's thread cannot be started: {error}"));
            let mut queue = lock(&thread.queue);
            (queue.ended, queue.closed) = (true, true);
        }
        thread
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

    /// What it tells of itself.
    #[must_use]
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }
}

/// What one user is told: the answers, and how many bytes and writes they were.
type Share = (Arc<dyn User>, Vec<Answered>, usize, usize);

/// Tells each job of a batch what became of it.
fn tell(jobs: Vec<Job>, mut outcome: impl FnMut(&Job) -> Option<Answered>) {
    let mut answers: Vec<Share> = Vec::new();
    for job in jobs {
        let Some(answer) = outcome(&job) else { continue };
        let writes = usize::from(job.work.writes());
        match answers.iter_mut().find(|(client, ..)| Arc::ptr_eq(client, &job.client)) {
            Some((_, all, bytes, written)) => {
                all.push(answer);
                *bytes += job.size;
                *written += writes;
            }
            None => answers.push((job.client, vec![answer], job.size, writes)),
        }
    }
    for (client, all, bytes, writes) in answers {
        client.tell(all, bytes, writes);
    }
}

/// The answer of a mark; none of what is no mark.
fn marked(job: &Job, outcome: Outcome<()>) -> Option<Answered> {
    match &job.work {
        Work::Mark(call) => Some(Answered::Map(*call, outcome.map(|()| maps::Told::Nothing))),
        _ => None,
    }
}

/// Tells each job that it failed. A mark says only whether what was acknowledged is on the disk: that outcome is its own.
fn fail(jobs: Vec<Job>, failure: &Failure, synced: &Outcome<()>) {
    tell(jobs, |job| match &job.work {
        Work::Map(call, _) => Some(Answered::Map(*call, Err(failure.clone()))),
        Work::Row(request) => Some(Answered::Row(request.call, Err(failure.clone()))),
        Work::Attach | Work::Detach(_) | Work::Mark(_) => marked(job, synced.clone()),
    });
}

/// Writes a log back whose sync has failed, so that it can be relied on again.
fn trust(thread: &Thread, store: &Connection) -> Outcome<()> {
    if thread.distrusted.load(Ordering::Acquire) {
        sync::write_back(store)?;
        thread.distrusted.store(false, Ordering::Release);
    }
    Ok(())
}

/// An open store.
struct Opened {
    store: Connection,
    file: PathBuf,
    log: PathBuf,
    identity: Option<(u64, u64)>,
    checked: Instant,
    _owner: Arc<Owner>,
}

struct Worker {
    thread: Arc<Thread>,
    opened: Option<Opened>,
    /// When the log is to be synced.
    sync_due: Option<Instant>,
    /// When it is tried again to have a log on the disk whose sync has failed.
    retry: Retry,
    swept: Instant,
    /// The log's size after a checkpoint that did not come to its end.
    stuck: u64,
}

impl Worker {
    fn new(thread: Arc<Thread>) -> Self {
        Self { thread, opened: None, sync_due: None, retry: Retry::default(), swept: Instant::now(), stuck: 0 }
    }

    fn work(mut self) {
        while let Some(jobs) = self.next() {
            if !jobs.is_empty() {
                self.batch(jobs);
            }
            self.care();
        }
        self.sync();
        if self.synced().is_err() {
            self.try_again();
        }
        self.close();
        lock(&self.thread.queue).closed = true;
        self.thread.wake.notify_all();
    }

    /// Whether nobody uses it any more, and nothing is left to do.
    fn is_last(&self) -> bool {
        let queue = lock(&self.thread.queue);
        queue.clients == 0 && queue.jobs.is_empty()
    }

    /// Closes the file. Where no other process has it open, SQLite then writes the log back and takes it away, so that whoever copies
    /// the one file has everything.
    fn close(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        // Whoever opens it next may find another file.
        lock(&self.thread.state).file = None;
        // Where it cannot be done, the log stays, and whoever opens the store next reads it.
        let _ = opened.store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    }

    /// The next work; empty where it is time to care for the log, none at the end.
    fn next(&mut self) -> Option<Vec<Job>> {
        let thread = Arc::clone(&self.thread);
        let mut queue = lock(&thread.queue);
        loop {
            if !queue.jobs.is_empty() {
                let count = queue.jobs.len().min(BATCH);
                return Some(queue.jobs.drain(..count).collect());
            }
            if queue.clients == 0 {
                // What comes now starts another thread; this one syncs and closes first.
                queue.ended = true;
                return None;
            }
            self.notice();
            if thread.grown.load(Ordering::Acquire) {
                return Some(Vec::new());
            }
            let Some(due) = [self.sync_due, self.retry.due()].into_iter().flatten().min() else {
                queue = thread.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Some(Vec::new());
            }
            queue = thread.wake.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the JavaScript thread has committed is to be synced as well.
    fn notice(&mut self) {
        if self.sync_due.is_none() && self.thread.unsynced.load(Ordering::Acquire) {
            self.sync_due = Some(Instant::now() + SYNC);
        }
    }

    /// What is to be done for the log, and for keys that have ended, where it is time.
    fn care(&mut self) {
        self.notice();
        let is_due = self.sync_due.is_some_and(|due| Instant::now() >= due);
        if is_due {
            self.thread.asked.store(false, Ordering::Release);
            self.sync();
        }
        let grown = self.thread.grown.swap(false, Ordering::AcqRel);
        if is_due || grown {
            self.look_at_log();
        }
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            // Where it cannot be done, it is done later: what has ended is invisible all the same.
            let _ = self.sweep();
        }
        // Last, because each of these may find that a sync fails.
        if self.synced().is_ok() || self.thread.is_gone() {
            self.retry = Retry::default();
        } else if self.retry.is_due(Instant::now()) {
            self.try_again();
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let patience = jobs.iter().map(|job| job.client.config().timeout).max().unwrap_or_default();
        if let Err(failure) = self.ready(patience) {
            lock(&self.thread.state).last_error = Some(failure.error.message.clone());
            if jobs.iter().any(|job| matches!(job.work, Work::Mark(_))) {
                // A file that may not be used any more can be synced all the same.
                self.sync();
            }
            fail(jobs, &failure, &self.synced());
            return;
        }
        let (mut rest, mut marks) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in jobs {
            self.attach(&*job.client);
            match job.work {
                Work::Attach => {}
                Work::Detach(reader) => drop(reader),
                Work::Map(..) | Work::Row(_) => rest.push(job),
                Work::Mark(_) => marks.push(job),
            }
        }
        if rest.iter().any(|job| job.work.writes()) {
            self.write(rest, patience);
        } else if !rest.is_empty() {
            self.read(rest);
        }
        if !marks.is_empty() {
            self.sync();
        }
        let synced = self.synced();
        if !marks.is_empty() && synced.is_ok() && self.is_last() {
            self.close();
        }
        tell(marks, |job| marked(job, synced.clone()));
    }

    /// Whether what was acknowledged and was to be synced by now is on the disk, as far as a system can tell.
    fn synced(&self) -> Outcome<()> {
        if !self.thread.distrusted.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = lock(&self.thread.state).last_error.clone().unwrap_or_default();
        let what =
            format!("what was acknowledged is not on the disk yet; that is tried again while the store is open: {why}");
        Err(Error::new(Code::StoreUnavailable, what).into())
    }

    /// Tries again to have on the disk what a failed sync has left out; nobody who waits for the lock is kept by it for long.
    fn try_again(&mut self) {
        let failure = self.ready(CHECKPOINT).err();
        lock(&self.thread.state).last_error = failure.map(|failure| failure.error.message);
        self.retry.attempted(Instant::now());
    }

    /// Opens the store where it is not, and looks whether its file is still there.
    fn ready(&mut self, patience: Duration) -> Outcome<()> {
        let gone =
            "the file of the store was replaced or removed while it was open; what was written since may be lost";
        let gone = || Failure::from(Error::new(Code::StoreUnavailable, gone));
        // It is never made anew.
        if self.thread.is_gone() {
            return Err(gone());
        }
        if let Some(opened) = &mut self.opened {
            if opened.checked.elapsed() >= WATCH {
                opened.checked = Instant::now();
                if identity(&opened.file) != opened.identity {
                    self.thread.gone.store(true, Ordering::Release);
                    return Err(gone());
                }
            }
            opened.store.busy_timeout(patience)?;
            trust(&self.thread, &opened.store)?;
            return Ok(());
        }
        // It may have been closed because a sync has failed.
        let before = lock(&self.thread.state).file.clone();
        if before.is_some_and(|(file, known)| identity(&file) != Some(known)) {
            self.thread.gone.store(true, Ordering::Release);
            return Err(gone());
        }
        let file = prepare(&self.thread.folder)?;
        let (found, owner) = claim_file(&file)?;
        let store = open(&file, Use::Writer(patience))?;
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        // What a killed process has left is synced before anybody relies on it.
        sync::log(&store)?;
        trust(&self.thread, &store)?;
        *lock(&self.thread.state) = State { file: Some((file.clone(), found)), last_error: None };
        let checked = Instant::now();
        self.opened = Some(Opened { store, file, log: log.into(), identity: Some(found), checked, _owner: owner });
        Ok(())
    }

    fn attach(&self, client: &dyn User) {
        // Without one, its reads are made here, and say what is wrong.
        if let Some(opened) = &self.opened
            && client.wants_reader()
            && let Ok(reader) = open(&opened.file, Use::Here)
        {
            client.leave_reader(reader);
        }
    }

    /// Reads, each a transaction of its own.
    fn read(&mut self, jobs: Vec<Job>) {
        // A sync that has failed while the lock was waited for has closed it.
        let Some(Opened { store, .. }) = &self.opened else { return fail(jobs, &self.why_closed(), &Ok(())) };
        tell(jobs, |job| batch::read(store, &job.work, job.client.cursors()));
    }

    /// One transaction, and the answers when it is committed.
    fn write(&mut self, jobs: Vec<Job>, patience: Duration) {
        let full = jobs.iter().any(|job| job.client.config().full);
        let outcome = self.wait_for_lock(patience).and_then(|()| self.transaction(&jobs));
        self.thread.waits.store(false, Ordering::Release);
        let outcome = outcome.and_then(|answers| {
            if full {
                let Some(opened) = &self.opened else { return Ok(answers) };
                sync::log(&opened.store).inspect_err(|_| self.thread.distrusted.store(true, Ordering::Release))?;
                self.thread.syncs.fetch_add(1, Ordering::Relaxed);
                self.thread.asked.store(false, Ordering::Release);
                self.sync_due = None;
            }
            Ok(answers)
        });
        match outcome {
            Ok(answers) => {
                lock(&self.thread.state).last_error = None;
                let mut answers = answers.into_iter();
                tell(jobs, |_| answers.next().flatten());
                if !full && self.sync_due.is_none() {
                    self.sync_due = Some(Instant::now() + SYNC);
                }
                self.look_at_log();
            }
            Err(failure) => {
                lock(&self.thread.state).last_error = Some(failure.error.message.clone());
                // A lock that is not to be had is nothing to those that only read.
                let (writes, reads): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.work.writes());
                fail(writes, &failure, &Ok(()));
                self.read(reads);
            }
        }
    }

    /// Gets the lock; it is then held by the connection's open transaction.
    ///
    /// SQLite's own way to wait sleeps up to 100 ms at a time, and keeps the thread from syncing meanwhile.
    fn wait_for_lock(&mut self, patience: Duration) -> Outcome<()> {
        let (until, mut pause) = (Instant::now() + patience, SOON);
        loop {
            let Some(Opened { store, .. }) = &self.opened else { return Err(self.why_closed()) };
            store.busy_timeout(Duration::ZERO)?;
            let taken = batch::lock(store);
            store.busy_timeout(patience)?;
            match taken {
                Err(failure) if is_busy(&failure) && Instant::now() < until => {}
                other => return other,
            }
            self.thread.waits.store(true, Ordering::Release);
            std::thread::sleep(pause);
            pause = (pause * 2).min(LATER);
            self.notice();
            if self.sync_due.is_some_and(|due| Instant::now() >= due) {
                self.sync();
            }
        }
    }

    /// Why the file was closed again.
    fn why_closed(&self) -> Failure {
        let why = lock(&self.thread.state).last_error.clone().unwrap_or_default();
        Error::new(Code::StoreUnavailable, why).into()
    }

    fn transaction(&self, jobs: &[Job]) -> Outcome<Vec<Option<Answered>>> {
        let Some(Opened { store, file, .. }) = &self.opened else { return Err(self.why_closed()) };
        let mut transaction = Transaction::of(store, jobs.len() == 1);
        transaction.check(file)?;
        let calls = jobs.iter().map(|job| transaction.call(&job.work, job.client.cursors()));
        let answers = calls.collect::<Outcome<Vec<_>>>()?;
        if transaction.commit()? {
            self.thread.commits.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answers)
    }

    /// Takes away keys that have ended, some at a time.
    fn sweep(&self) -> Outcome<()> {
        let Some(Opened { store, file, .. }) = &self.opened else { return Ok(()) };
        store.busy_timeout(Duration::ZERO)?;
        let mut more = maps::have_ended(store, maps::now())?;
        // The rest has time until nobody waits.
        while more && lock(&self.thread.queue).jobs.is_empty() {
            let transaction = Transaction::begin(store, false)?;
            transaction.check(file)?;
            more = maps::sweep(store, transaction.now())?;
            transaction.commit()?;
            self.thread.unsynced.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn look_at_log(&mut self) {
        let Some(opened) = &self.opened else { return };
        let size = std::fs::metadata(&opened.log).map_or(0, |found| found.len());
        self.thread.log_bytes.store(size, Ordering::Relaxed);
        if size > LOG.max(self.stuck + LOG_MORE) {
            self.checkpoint();
        } else if size < self.stuck {
            self.stuck = 0;
        }
    }

    /// Writes the log back to the file, and begins it anew.
    fn checkpoint(&mut self) {
        // It syncs the log itself, but with the lock.
        self.sync();
        let Some(opened) = &self.opened else { return };
        let done = opened
            .store
            .busy_timeout(CHECKPOINT)
            .and_then(|()| opened.store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        let size = std::fs::metadata(&opened.log).map_or(0, |found| found.len());
        self.thread.log_bytes.store(size, Ordering::Relaxed);
        if let Err(failure) = &done
            && sync::is_failure(failure)
        {
            // It was the log's, and the next one would say that all is well.
            self.thread.distrusted.store(true, Ordering::Release);
            lock(&self.thread.state).last_error = Some(format!("the store's log cannot be synced: {failure}"));
        }
        if matches!(done, Ok(0)) {
            self.thread.checkpoints.fetch_add(1, Ordering::Relaxed);
            self.stuck = 0;
        } else {
            self.stuck = size;
        }
    }

    /// What was committed goes to the disk.
    fn sync(&mut self) {
        // Before it begins: what is committed during it is synced by the next one.
        let theirs = self.thread.unsynced.swap(false, Ordering::AcqRel);
        let ours = self.sync_due.take().is_some();
        let Some(opened) = self.opened.as_ref().filter(|_| ours || theirs) else { return };
        self.thread.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = sync::log(&opened.store) {
            // It was acknowledged, so nobody waits for it; it is tried again. The next writes fail until then, because a log that cannot
            // be synced must not be relied on.
            self.thread.distrusted.store(true, Ordering::Release);
            lock(&self.thread.state).last_error = Some(failure.error.message);
            self.opened = None;
        }
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
