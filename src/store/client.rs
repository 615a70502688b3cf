//! Who uses a store: one engine, with what waits for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::batch::failure_of;
use super::calls::Cursors;
use super::folders::thread_of;
use super::thread::Thread;
use super::work::{Answered, Inbox, Job, User, Work};
use crate::config::store::StoreConfig;
use crate::error::{Code, Error, Result};
use crate::mongo::wire::Op;

/// Counters, for `stats()`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Reads that were answered on the JavaScript thread.
    pub reads: AtomicU64,
    /// Writes that were committed there.
    pub writes: AtomicU64,
    /// Calls that the store's thread has answered.
    pub calls: AtomicU64,
    /// Answers that were errors.
    pub errors: AtomicU64,
}

/// The connection for the JavaScript thread.
enum Reader {
    /// It has still to be opened.
    Wanted,
    /// It is being opened, or was taken, or could not be opened.
    Asked,
    There(Connection),
    /// Nobody wants it any more.
    Gone,
}

/// See the module.
pub struct Client {
    config: StoreConfig,
    thread: Arc<Thread>,
    inbox: Arc<dyn Inbox>,
    /// Its open cursors.
    pub cursors: Cursors,
    reader: Mutex<Reader>,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    writing: AtomicUsize,
    /// Counters, for `stats()`.
    pub counters: Counters,
}

impl Client {
    /// A new one; the store is opened in the background.
    #[must_use]
    pub fn new(config: StoreConfig, inbox: Arc<dyn Inbox>) -> Arc<Self> {
        let client = Arc::new(Self {
            thread: thread_of(&config.folder),
            config,
            inbox,
            cursors: Cursors::default(),
            reader: Mutex::new(Reader::Wanted),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            writing: AtomicUsize::new(0),
            counters: Counters::default(),
        });
        client.hand_over(vec![Work::Attach]);
        client
    }

    /// How it uses the store.
    #[must_use]
    pub const fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The thread.
    #[must_use]
    pub const fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }

    /// How many calls wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether a write of this client waits at the thread, so that everything has to go behind it.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Acquire) > 0
    }

    /// Lets work in, or refuses it where too much waits. What is let in must be carried out or handed over: it counts until it is
    /// answered.
    pub fn admit(&self, work: &Work) -> Result<()> {
        let size = work.size();
        // To forget a cursor is no call of anybody's.
        if !matches!(work, Work::Row(request) if request.op == Op::Close) {
            let full =
                |what: String| Err(Error::new(Code::QueueFull, format!("The queue to the store is full: {what}")));
            let (waiting, would_wait) = (self.waiting(), self.waiting_bytes.load(Ordering::Acquire) + size);
            if waiting >= self.config.queue_max {
                return full(format!("{waiting} calls wait (CC_MONGO_QUEUE_MAX, CC_REDIS_QUEUE_MAX)"));
            }
            if would_wait > self.config.queue_max_bytes {
                return full(format!(
                    "{would_wait} bytes would wait (CC_MONGO_QUEUE_MAX_BYTES, CC_REDIS_QUEUE_MAX_BYTES)"
                ));
            }
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.waiting_bytes.fetch_add(size, Ordering::AcqRel);
        Ok(())
    }

    /// Hands over what was let in.
    pub fn hand_over(self: &Arc<Self>, work: Vec<Work>) {
        let writes = work.iter().filter(|work| work.writes()).count();
        self.writing.fetch_add(writes, Ordering::AcqRel);
        self.thread.push(work.into_iter().map(|work| self.job(work)).collect());
    }

    fn job(self: &Arc<Self>, work: Work) -> Job {
        Job { client: Arc::<Self>::clone(self), size: work.size(), work }
    }

    /// Says under this number when all that was handed over is done and synced, or why what was acknowledged is not.
    pub fn mark(self: &Arc<Self>, call: u64) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.hand_over(vec![Work::Mark(call)]);
    }

    /// Calls were answered on the JavaScript thread, after they had been let in.
    pub fn answered(&self, work: &[Work], answers: &[Answered]) {
        let (mut bytes, mut writes) = (0, 0);
        for work in work {
            bytes += work.size();
            writes += u64::from(work.writes());
        }
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.waiting.fetch_sub(work.len(), Ordering::AcqRel);
        self.counters.writes.fetch_add(writes, Ordering::Relaxed);
        self.counters.reads.fetch_add(work.len() as u64 - writes, Ordering::Relaxed);
        self.counters.errors.fetch_add(errors(answers), Ordering::Relaxed);
    }

    /// What the thread has opened for the JavaScript thread, once.
    #[must_use]
    pub fn take_reader(&self) -> Option<Connection> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *reader, Reader::Asked) {
            Reader::There(store) => Some(store),
            other => {
                *reader = other;
                None
            }
        }
    }

    /// No connection is opened for it any more; the one that it has, if it has not been taken.
    fn give_up_reader(&self) -> Option<Connection> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *reader, Reader::Gone) {
            Reader::There(store) => Some(store),
            _ => None,
        }
    }

    /// Lets the store go as [`Self::leave`] does, and says under this number when that is through: everything is synced, and the
    /// file is closed where nobody else in this process uses it; or why it is not synced.
    pub fn end(self: &Arc<Self>, reader: Option<Connection>, call: u64) {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let reader = self.give_up_reader().or(reader).map(Work::Detach);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.thread.push_last(reader.into_iter().chain([Work::Mark(call)]).map(|work| self.job(work)).collect());
    }

    /// Hands a connection back, and lets the store go. What waits is answered all the same.
    pub fn leave(self: &Arc<Self>, reader: Option<Connection>) {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(reader) = self.give_up_reader().or(reader) {
            self.hand_over(vec![Work::Detach(reader)]);
        }
        self.thread.leave();
    }
}

fn errors(answers: &[Answered]) -> u64 {
    answers.iter().filter(|answer| failure_of(answer).is_some()).count() as u64
}

impl User for Client {
    fn config(&self) -> &StoreConfig {
        &self.config
    }

    fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    fn wants_reader(&self) -> bool {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = matches!(*reader, Reader::Wanted);
        if wanted {
            *reader = Reader::Asked;
        }
        wanted
    }

    fn leave_reader(&self, reader: Connection) {
        let mut place = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has left meanwhile would keep the file open.
        if !matches!(*place, Reader::Gone) {
            *place = Reader::There(reader);
        }
    }

    fn tell(&self, answers: Vec<Answered>, bytes: usize, writes: usize) {
        let count = answers.len();
        self.counters.calls.fetch_add(count as u64, Ordering::Relaxed);
        self.counters.errors.fetch_add(errors(&answers), Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.writing.fetch_sub(writes, Ordering::AcqRel);
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        self.inbox.take(answers);
    }
}
