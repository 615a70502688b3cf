//! The work of the store's thread: batches, their transactions, the lock, the file and its end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;

use super::batch::{self, Transaction, is_busy};
use super::durability::{CHECKPOINT, Durability, Opened, begin, trust};
use super::error::Outcome;
use super::maps;
use super::open::{Use, open, prepare};
use super::os::identity;
use super::owner::claim_file;
use super::retry::Retry;
use super::tell::{fail, marked, tell};
use super::thread::{State, Thread, WATCH, lock};
use super::work::{Answered, Job, User, Work};
use crate::error::{Code, Error};
use crate::mongo::failure::Failure;

/// How often expired keys are swept, while something is written.
const SWEEP: Duration = Duration::from_secs(1);
/// The most work of one transaction: others want the lock too.
const BATCH: usize = 1_000;
/// How long the lock is left alone before a second attempt to get it; before each further one twice as long.
const SOON: Duration = Duration::from_micros(20);
/// The longest such pause.
const LATER: Duration = Duration::from_millis(1);

/// The failure of all that concerns a file that was replaced or removed.
fn gone() -> Failure {
    let what = "the file of the store was replaced or removed while it was open; what was written since may be lost";
    Error::new(Code::StoreUnavailable, what).into()
}

/// What runs on the store's thread.
pub(super) struct Worker {
    thread: Arc<Thread>,
    opened: Option<Opened>,
    durability: Durability,
    /// When it is tried again to have a log on the disk whose sync has failed.
    retry: Retry,
    swept: Instant,
}

impl Worker {
    /// For a thread that has just begun.
    pub(super) fn new(thread: Arc<Thread>) -> Self {
        Self { thread, opened: None, durability: Durability::default(), retry: Retry::default(), swept: Instant::now() }
    }

    /// Works until nobody uses it any more.
    pub(super) fn work(mut self) {
        while let Some(jobs) = self.next() {
            if !jobs.is_empty() {
                self.batch(jobs);
            }
            self.care();
        }
        self.sync();
        if self.thread.synced().is_err() {
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
    /// the one file has everything; but not a log that may have lost something.
    fn close(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        // Whoever opens it next may find another file.
        lock(&self.thread.state).file = None;
        if self.thread.gone.swap(false, Ordering::AcqRel) {
            // Its log is as lost as the file, so nothing of it is left to be synced.
            self.thread.distrusted.store(false, Ordering::Release);
        } else if self.thread.synced().is_ok() {
            // Where it cannot be done, the log stays, and whoever opens the store next reads it.
            let _ = opened.store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
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
            self.durability.notice(&thread);
            if thread.grown.load(Ordering::Acquire) {
                return Some(Vec::new());
            }
            let Some(due) = [self.durability.due(), self.retry.due()].into_iter().flatten().min() else {
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

    /// What is to be done for the log, and for keys that have ended, where it is time.
    fn care(&mut self) {
        self.durability.notice(&self.thread);
        let is_due = self.durability.is_due();
        if is_due {
            self.thread.asked.store(false, Ordering::Release);
            self.sync();
        }
        let grown = self.thread.grown.swap(false, Ordering::AcqRel);
        if is_due || grown {
            self.durability.look_at_log(&self.thread, self.opened.as_ref());
        }
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            // Where it cannot be done, it is done later: what has ended is invisible all the same.
            let _ = self.sweep();
        }
        // Last, because each of these may find that a sync fails.
        if self.thread.synced().is_ok() || self.thread.is_gone() {
            self.retry = Retry::default();
        } else if self.retry.is_due(Instant::now()) {
            self.try_again();
        }
    }

    /// Tries again to have on the disk what a failed sync has left out; nobody who waits for the lock is kept by it for long.
    fn try_again(&mut self) {
        let failure = self.ready(CHECKPOINT, false).err();
        lock(&self.thread.state).last_error = failure.map(|failure| failure.error.message);
        self.retry.attempted(Instant::now());
    }

    fn sync(&mut self) {
        self.durability.sync(&self.thread, self.opened.as_ref());
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let patience = jobs.iter().map(|job| job.client.config().timeout).max().unwrap_or_default();
        let is_marked = jobs.iter().any(|job| matches!(job.work, Work::Mark(_)));
        // Nobody asks again after a mark, so it is not for the next look to notice.
        if let Err(failure) = self.ready(patience, is_marked) {
            lock(&self.thread.state).last_error = Some(failure.error.message.clone());
            if is_marked {
                // A file that may not be used any more can be synced all the same.
                self.sync();
            }
            let kept = self.kept();
            if is_marked && self.thread.is_gone() && self.is_last() {
                self.close();
            }
            fail(jobs, &failure, &kept);
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
        let kept = self.kept();
        if !marks.is_empty() && kept.is_ok() && self.is_last() {
            self.close();
        }
        tell(marks, |job| marked(job, kept.clone()));
    }

    /// Looks whether the file is still there: now, or where it was not looked for long. One that is not is never made anew.
    fn look(&mut self, now: bool) -> Outcome<()> {
        if let Some(opened) = &mut self.opened
            && (now || opened.checked.elapsed() >= WATCH)
        {
            opened.checked = Instant::now();
            if identity(&opened.file) != opened.identity {
                self.thread.gone.store(true, Ordering::Release);
            }
        }
        if self.thread.is_gone() { Err(gone()) } else { Ok(()) }
    }

    /// Whether what this process has acknowledged is there, as far as a system can tell: on the disk, in the file of that name.
    fn kept(&self) -> Outcome<()> {
        let written = |opened: &Opened| self.thread.commits.load(Ordering::Relaxed) > opened.commits;
        let is_lost = self.thread.is_gone() && self.opened.as_ref().is_some_and(written);
        if is_lost { Err(gone()) } else { self.thread.synced() }
    }

    /// Looks whether the file is still there, as [`Self::look`] does, and opens the store where it is not open.
    fn ready(&mut self, patience: Duration, look_now: bool) -> Outcome<()> {
        self.look(look_now)?;
        if let Some(opened) = &mut self.opened {
            opened.store.busy_timeout(patience)?;
            trust(&self.thread, &opened.store)?;
            return Ok(());
        }
        let file = prepare(&self.thread.folder)?;
        let (found, owner) = claim_file(&file)?;
        let store = open(&file, Use::Writer(patience))?;
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        // What a killed process has left is synced before anybody relies on it.
        begin(&self.thread, &store, patience)?;
        *lock(&self.thread.state) = State { file: Some((file.clone(), found)), last_error: None };
        let (checked, commits) = (Instant::now(), self.thread.commits.load(Ordering::Relaxed));
        let identity = Some(found);
        self.opened = Some(Opened { store, file, log: log.into(), identity, checked, commits, _owner: owner });
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

    /// The open store.
    fn opened(&self) -> Outcome<&Opened> {
        let closed = || Error::new(Code::StoreUnavailable, "the store is closed").into();
        self.opened.as_ref().ok_or_else(closed)
    }

    /// Reads, each a transaction of its own.
    fn read(&self, jobs: Vec<Job>) {
        // A sync may have failed while the lock was waited for.
        match self.thread.synced().and_then(|()| self.opened()) {
            Ok(Opened { store, .. }) => tell(jobs, |job| batch::read(store, &job.work, job.client.cursors())),
            Err(failure) => fail(jobs, &failure, &Ok(())),
        }
    }

    /// One transaction, and the answers when it is committed.
    fn write(&mut self, jobs: Vec<Job>, patience: Duration) {
        let full = jobs.iter().any(|job| job.client.config().full);
        let outcome = self.wait_for_lock(patience).and_then(|()| self.transaction(&jobs));
        self.thread.waits.store(false, Ordering::Release);
        let outcome = outcome.and_then(|answers| {
            if let Some(opened) = self.opened.as_ref().filter(|_| full) {
                self.durability.sync_now(&self.thread, opened)?;
            }
            Ok(answers)
        });
        match outcome {
            Ok(answers) => {
                lock(&self.thread.state).last_error = None;
                let mut answers = answers.into_iter();
                tell(jobs, |_| answers.next().flatten());
                if !full {
                    self.durability.owe();
                }
                self.durability.look_at_log(&self.thread, self.opened.as_ref());
            }
            Err(failure) => {
                // Why a log must not be relied on is told until it can be.
                if self.thread.synced().is_ok() {
                    lock(&self.thread.state).last_error = Some(failure.error.message.clone());
                }
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
            let Opened { store, .. } = self.opened()?;
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
            self.durability.notice(&self.thread);
            if self.durability.is_due() {
                self.sync();
                self.thread.synced()?;
            }
        }
    }

    fn transaction(&self, jobs: &[Job]) -> Outcome<Vec<Option<Answered>>> {
        let Opened { store, file, .. } = self.opened()?;
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
}
