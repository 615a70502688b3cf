//! The store's thread: it opens the file, writes, syncs, checkpoints and closes, so that the JavaScript thread waits for none of it.
//!
//! There is one for each file and process; it ends with its last user. Work is taken as it has come up, as a batch: its writes
//! are one transaction, each within a savepoint of its own, and answers go out when it is committed.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::calls;
use super::error::Outcome;
use super::maps;
use super::open::{Use, open, prepare, still_ours};
use super::owner::{Owner, claim_file};
use super::place::identity;
use super::sync;
use super::work::{Answered, Job, User, Work};
use crate::error::{Code, Error};
use crate::mongo::failure::Failure;

/// How long what is acknowledged may wait for the disk.
const SYNC: Duration = Duration::from_millis(100);
/// The log is written back to the file where it is larger.
const LOG: u64 = 16 * 1024 * 1024;
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
    /// The file, once it is open.
    pub file: Option<PathBuf>,
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
    /// Bytes of the log when it was last looked at.
    pub log_bytes: AtomicU64,
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Syncs of the log.
    pub syncs: AtomicU64,
    /// Checkpoints that were complete.
    pub checkpoints: AtomicU64,
}

static THREADS: LazyLock<Mutex<HashMap<PathBuf, Weak<Thread>>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Thread {
    /// The thread of a folder, with one user more.
    #[must_use]
    pub fn of(folder: &Path) -> Arc<Self> {
        // One folder may have many names.
        let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut threads = lock(&THREADS);
        threads.retain(|_, thread| thread.strong_count() > 0);
        if let Some(thread) = threads.get(&name).and_then(Weak::upgrade) {
            let mut queue = lock(&thread.queue);
            if !queue.ended {
                queue.clients += 1;
                drop(queue);
                return thread;
            }
        }
        let thread = Arc::new(Self {
            folder: folder.to_owned(),
            queue: Mutex::new(Queue { clients: 1, ..Queue::default() }),
            wake: Condvar::new(),
            state: Mutex::default(),
            gone: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
        });
        threads.insert(name, Arc::downgrade(&thread));
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
        let mut queue = lock(&self.queue);
        if queue.ended {
            drop(queue);
            let why = lock(&self.state).last_error.clone().unwrap_or_else(|| "the store is closed".to_owned());
            fail(jobs, &Error::new(Code::StoreUnavailable, why).into());
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

/// The answer of a mark.
fn done(job: &Job) -> Option<Answered> {
    match &job.work {
        Work::Mark(call) => Some(Answered::Map(*call, Ok(maps::Told::Nothing))),
        _ => None,
    }
}

fn failed(job: &Job, failure: &Failure) -> Option<Answered> {
    match &job.work {
        Work::Map(call, _) => Some(Answered::Map(*call, Err(failure.clone()))),
        Work::Row(request) => Some(Answered::Row(request.call, Err(failure.clone()))),
        Work::Attach | Work::Detach(_) | Work::Mark(_) => done(job),
    }
}

fn fail(jobs: Vec<Job>, failure: &Failure) {
    tell(jobs, |job| failed(job, failure));
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
    swept: Instant,
    /// The log's size after a checkpoint that did not come to its end.
    stuck: u64,
}

impl Worker {
    fn new(thread: Arc<Thread>) -> Self {
        Self { thread, opened: None, sync_due: None, swept: Instant::now(), stuck: 0 }
    }

    fn work(mut self) {
        while let Some(jobs) = self.next() {
            if jobs.is_empty() {
                self.sync();
                continue;
            }
            self.batch(jobs);
        }
        self.sync();
        self.opened = None;
        lock(&self.thread.queue).closed = true;
        self.thread.wake.notify_all();
    }

    /// The next work; empty where it is time to sync, none at the end.
    fn next(&self) -> Option<Vec<Job>> {
        let mut queue = lock(&self.thread.queue);
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
            let Some(due) = self.sync_due else {
                queue = self.thread.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Some(Vec::new());
            }
            queue = self.thread.wake.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let patience = jobs.iter().map(|job| job.client.config().timeout).max().unwrap_or_default();
        if let Err(failure) = self.ready(patience) {
            lock(&self.thread.state).last_error = Some(failure.error.message.clone());
            fail(jobs, &failure);
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
            self.write(rest);
        } else if !rest.is_empty() {
            self.read(rest);
        }
        if !marks.is_empty() || self.sync_due.is_some_and(|due| Instant::now() >= due) {
            self.sync();
        }
        tell(marks, done);
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
            return Ok(());
        }
        let file = prepare(&self.thread.folder)?;
        let (found, owner) = claim_file(&file)?;
        let store = open(&file, Use::Writer(patience))?;
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        // What a killed process has left is synced before anybody relies on it.
        sync::log(&store)?;
        *lock(&self.thread.state) = State { file: Some(file.clone()), last_error: None };
        let checked = Instant::now();
        self.opened = Some(Opened { store, file, log: log.into(), identity: Some(found), checked, _owner: owner });
        Ok(())
    }

    fn attach(&self, client: &dyn User) {
        // Without one, its reads are made here, and say what is wrong.
        if let Some(opened) = &self.opened
            && client.wants_reader()
            && let Ok(reader) = open(&opened.file, Use::Reader)
        {
            client.leave_reader(reader);
        }
    }

    /// Reads, each a transaction of its own.
    fn read(&mut self, jobs: Vec<Job>) {
        let Some(Opened { store, .. }) = &self.opened else { return };
        tell(jobs, |job| match &job.work {
            Work::Map(call, ask) => Some(Answered::Map(*call, caught(|| maps::run(store, ask, maps::now())))),
            Work::Row(request) => {
                let answer = caught(|| calls::read(store, request, job.client.cursors()));
                Some(Answered::Row(request.call, answer))
            }
            Work::Attach | Work::Detach(_) | Work::Mark(_) => None,
        });
    }

    /// One transaction, and the answers when it is committed.
    fn write(&mut self, jobs: Vec<Job>) {
        let full = jobs.iter().any(|job| job.client.config().full);
        let outcome = self.transaction(&jobs);
        let outcome = outcome.and_then(|answers| {
            if full {
                let Some(opened) = &self.opened else { return Ok(answers) };
                sync::log(&opened.store)?;
                self.thread.syncs.fetch_add(1, Ordering::Relaxed);
                self.sync_due = None;
            }
            Ok(answers)
        });
        match outcome {
            Ok(answers) => {
                lock(&self.thread.state).last_error = None;
                let mut answers = answers.into_iter();
                tell(jobs, |_| answers.next().flatten());
                self.after_commit();
            }
            Err(failure) => {
                lock(&self.thread.state).last_error = Some(failure.error.message.clone());
                // A lock that is not to be had is nothing to those that only read.
                let (writes, reads): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.work.writes());
                fail(writes, &failure);
                self.read(reads);
            }
        }
    }

    fn transaction(&mut self, jobs: &[Job]) -> Outcome<Vec<Option<Answered>>> {
        let Some(Opened { store, file, .. }) = &self.opened else { return Ok(Vec::new()) };
        let run = |sql: &str| -> Outcome<()> {
            store.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        run("BEGIN IMMEDIATE")?;
        let outcome = (|| {
            still_ours(store, file)?;
            let now = maps::now();
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                answers.push(one(store, job, now, &run)?);
            }
            if self.swept.elapsed() >= SWEEP {
                self.swept = Instant::now();
                maps::sweep(store, now)?;
            }
            run("COMMIT")?;
            Ok(answers)
        })();
        if outcome.is_err() && !store.is_autocommit() {
            // Nothing can be done where this fails too: closing the connection rolls back as well.
            let _ = run("ROLLBACK");
        }
        outcome
    }

    fn after_commit(&mut self) {
        self.thread.commits.fetch_add(1, Ordering::Relaxed);
        if self.sync_due.is_none() {
            self.sync_due = Some(Instant::now() + SYNC);
        }
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
        let Some(opened) = &self.opened else { return };
        let done = opened
            .store
            .busy_timeout(CHECKPOINT)
            .and_then(|()| opened.store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        let size = std::fs::metadata(&opened.log).map_or(0, |found| found.len());
        self.thread.log_bytes.store(size, Ordering::Relaxed);
        if matches!(done, Ok(0)) {
            self.thread.checkpoints.fetch_add(1, Ordering::Relaxed);
            self.stuck = 0;
        } else {
            self.stuck = size;
        }
    }

    /// What was committed goes to the disk.
    fn sync(&mut self) {
        if self.sync_due.take().is_none() {
            return;
        }
        let Some(opened) = &self.opened else { return };
        self.thread.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = sync::log(&opened.store) {
            // It was acknowledged, so nobody waits for it; the next writes say so, because a log that cannot be synced must not
            // be relied on.
            lock(&self.thread.state).last_error = Some(failure.error.message);
            self.opened = None;
        }
    }
}

/// What panics has a bug; its caller is told, and no other is affected.
fn caught<T>(call: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Error::bug(panic.as_ref()).into()))
}

/// One call of a transaction. Its failure is its own, unless the transaction has gone with it.
fn one(store: &Connection, job: &Job, now: i64, run: &dyn Fn(&str) -> Outcome<()>) -> Outcome<Option<Answered>> {
    // A statement alone undoes itself where it fails.
    let guarded = matches!(&job.work, Work::Row(request) if calls::writes(request.op));
    if guarded {
        run("SAVEPOINT call")?;
    }
    let (answer, failure) = match &job.work {
        Work::Map(call, ask) => {
            let outcome = caught(|| maps::run(store, ask, now));
            let failure = outcome.as_ref().err().cloned();
            (Some(Answered::Map(*call, outcome)), failure)
        }
        Work::Row(request) => {
            let outcome = caught(|| calls::run(store, request, job.client.cursors(), now));
            let failure = outcome.as_ref().err().cloned();
            (Some(Answered::Row(request.call, outcome)), failure)
        }
        Work::Attach | Work::Detach(_) | Work::Mark(_) => (None, None),
    };
    if let Some(failure) = failure.filter(|_| store.is_autocommit()) {
        return Err(failure);
    }
    if guarded {
        if matches!(&answer, Some(Answered::Row(_, Err(_)))) {
            run("ROLLBACK TO call")?;
        }
        run("RELEASE call")?;
    }
    Ok(answer)
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
