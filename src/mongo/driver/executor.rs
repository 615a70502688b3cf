//! Carries out an engine's requests: who waits, and how a round trip is bounded, retried and counted.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mongodb::Collection;
use mongodb::bson::raw::{CStr, cstr};
use mongodb::bson::{Document, RawDocumentBuf};
use serde_json::Value;
use tokio::sync::Notify;

use super::connection::Connected;
use super::indexes::Indexes;
use super::members::Members;
use super::rows::Rows;
use super::runtime::Runtime;
use super::shared::Shared;
use super::trip::{self, Limits};
use crate::config::mongo::MongoConfig;
use crate::error::{Code, Error, Result};
use crate::mongo::failure::{Outcome, checked};
use crate::mongo::table;
use crate::mongo::wire::{Answer, CallId, Op, Request, notice};
use crate::secrets::Secrets;

/// How often a command is sent at the most, where no other server takes over.
pub(super) const SENDS: u32 = 2;

/// Where answers go.
pub trait Outbox: Send + Sync {
    /// Takes an answer, or a notice, as [`Answer::push`] writes it.
    fn put(&self, write: &mut dyn FnMut(&mut Vec<u8>));
}

/// Whether the server was there.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The last round trip was answered.
    pub ready: bool,
    /// When that last changed, in milliseconds since 1970.
    pub since: u64,
    /// Why the last round trip failed; gone when one is answered.
    pub last_error: Option<String>,
}

/// Counters, for `stats()`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests of calls.
    pub requests: AtomicU64,
    /// Answers to them.
    pub answers: AtomicU64,
    /// Answers that were errors.
    pub errors: AtomicU64,
    /// Round trips given up at their deadline.
    pub timeouts: AtomicU64,
    /// Round trips.
    pub commands: AtomicU64,
    /// Commands sent again after a lost connection, or when two first writers met.
    pub retried: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// See the module.
pub struct Executor {
    runtime: Arc<Runtime>,
    config: MongoConfig,
    connected: Shared<Arc<Connected>>,
    pub(super) indexes: Indexes,
    pub(super) cursors: Mutex<HashMap<CallId, Rows>>,
    outbox: Arc<dyn Outbox>,
    state: Mutex<State>,
    counters: Counters,
    waiting: AtomicU32,
    waiting_bytes: AtomicUsize,
    /// Nobody waits any more.
    idle: Notify,
}

impl Executor {
    /// An executor that connects with its first request.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, config: MongoConfig, outbox: Arc<dyn Outbox>) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            config,
            connected: Shared::default(),
            indexes: Indexes::default(),
            cursors: Mutex::default(),
            outbox,
            state: Mutex::default(),
            counters: Counters::default(),
            waiting: AtomicU32::new(0),
            waiting_bytes: AtomicUsize::new(0),
            idle: Notify::new(),
        })
    }

    /// Admits a request, or refuses it where too many wait. What is admitted must be submitted: it counts until it is
    /// answered.
    pub fn admit(&self, request: &Request) -> Result<()> {
        let bytes = request.body.as_bytes().len();
        // Closing a cursor is not a call that somebody waits for.
        if request.op != Op::Close {
            let full = |what: String| Err(Error::new(Code::QueueFull, format!("The queue to MongoDB is full: {what}")));
            let (waiting, would_wait) = (self.waiting(), self.waiting_bytes.load(Ordering::Relaxed) + bytes);
            if waiting as usize >= self.config.queue_max {
                return full(format!("{waiting} calls wait (CC_MONGO_QUEUE_MAX)"));
            }
            if would_wait > self.config.queue_max_bytes {
                return full(format!("{would_wait} bytes would wait (CC_MONGO_QUEUE_MAX_BYTES)"));
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        count(&self.counters.requests);
        Ok(())
    }

    /// Closes the connections in the background, when nobody waits any more. Commands beyond their deadline are waited for, and
    /// keep the thread until then. Nothing may be submitted any more.
    pub fn close(self: Arc<Self>) {
        let runtime = Arc::clone(&self.runtime);
        runtime.handle().clone().spawn(async move {
            while self.waiting() > 0 {
                self.idle.notified().await;
            }
            self.cursors.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if let Some(connected) = self.connected.get() {
                connected.numbers.close();
                connected.late.clear();
                connected.client.clone().shutdown().await;
            }
            drop(runtime);
        });
    }

    /// Runs a job in the background.
    pub(super) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.runtime.handle().spawn(job);
    }

    /// Tells a call what became of it.
    pub(super) fn answer(&self, call: CallId, bytes: usize, outcome: Outcome<Answer>) {
        count(&self.counters.answers);
        let mut answer = Some(outcome.unwrap_or_else(|failure| {
            count(&self.counters.errors);
            Answer::Failed(Box::new(failure))
        }));
        self.outbox.put(&mut |out| {
            if let Some(answer) = answer.take() {
                answer.push(call, out);
            }
        });
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle.notify_one();
        }
    }

    /// Tells the logger something that an operator should know.
    pub(super) fn notice(&self, text: &str) {
        self.outbox.put(&mut |out| out.extend_from_slice(&notice(text)));
    }

    pub(super) async fn connect(&self) -> Outcome<Arc<Connected>> {
        if let Some(connected) = self.connected.get() {
            return Ok(connected);
        }
        let attempt = async {
            let config = self.config.clone();
            let opened = self.bounded(async { Ok(Connected::new(config).await) }).await;
            let outcome = opened.and_then(|opened| opened);
            if outcome.is_err() {
                self.note(&outcome);
            }
            outcome
        };
        self.connected.get_or_make(attempt).await
    }

    /// A collection, for reads.
    pub(super) async fn rows(&self, collection: &table::Collection) -> Outcome<Collection<RawDocumentBuf>> {
        Ok(self.connect().await?.database.collection(collection.name))
    }

    pub(super) const fn config(&self) -> &MongoConfig {
        &self.config
    }

    /// A round trip to one of the members.
    pub(super) async fn trip<T: Send + 'static>(
        &self,
        trip: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
        limits: Limits,
        members: &Members,
    ) -> Outcome<T> {
        count(&self.counters.commands);
        let outcome = trip::bounded(&self.runtime, limits, members, trip).await;
        self.count_timeout(&outcome);
        self.note(&outcome);
        outcome
    }

    /// Work of the driver that is no round trip, with the deadline of one.
    pub(super) async fn bounded<T: Send + 'static>(
        &self,
        work: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Outcome<T> {
        let limits = Limits { answer: self.config.timeout, send_by: None };
        let outcome = trip::bounded(&self.runtime, limits, &Members::default(), work).await;
        self.count_timeout(&outcome);
        outcome
    }

    fn count_timeout<T>(&self, outcome: &Outcome<T>) {
        if outcome.as_ref().is_err_and(|failure| failure.error.code == Code::MongoTimeout) {
            count(&self.counters.timeouts);
        }
    }

    /// What must not be shown of the server's and the driver's words.
    pub(super) const fn secrets(&self) -> &Secrets {
        &self.config.secrets
    }

    fn note<T>(&self, outcome: &Outcome<T>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = match outcome {
            Err(failure)
                if matches!(failure.error.code, Code::MongoUnavailable | Code::MongoTimeout | Code::InvalidConfig) =>
            {
                Some(self.config.secrets.mask(&failure.error.message))
            }
            _ => None,
        };
        if state.ready == problem.is_some() || state.since == 0 {
            state.ready = problem.is_none();
            state.since = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        }
        state.last_error = problem;
    }

    /// A command that changes no rows, sent again where the connection failed or another server has become primary.
    pub(super) async fn command(&self, command: RawDocumentBuf) -> Outcome<Document> {
        let mut attempts = self.attempts().await?;
        let database = self.connect().await?.database.clone();
        loop {
            let (database, command) = (database.clone(), command.clone());
            let trip = async move { database.run_raw_command(command).await };
            match attempts.send(trip).await.and_then(checked) {
                Err(failure) if failure.transient && attempts.may_repeat(SENDS) => self.count_retry(),
                outcome => return outcome,
            }
        }
    }

    /// A command that writes to a collection, with the write concern of the connection string.
    pub(super) async fn writing(&self, name: &CStr, collection: &table::Collection) -> Outcome<RawDocumentBuf> {
        let mut command = RawDocumentBuf::new();
        command.append(name, collection.name);
        if let Some(concern) = &self.connect().await?.write_concern {
            command.append(cstr!("writeConcern"), concern.clone());
        }
        Ok(command)
    }

    /// Something is sent again.
    pub(super) fn count_retry(&self) {
        count(&self.counters.retried);
    }

    /// How many wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counters, for `stats()`.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The servers as the driver knows them, for `health()`; null before the connection string was read.
    #[must_use]
    pub fn topology(&self) -> Value {
        self.connected.get().map_or(Value::Null, |connected| connected.members.health(self.secrets()))
    }

    /// What round trips had to do with each server, for `stats()`; null before the connection string was read.
    #[must_use]
    pub fn servers_seen(&self) -> Value {
        self.connected.get().map_or(Value::Null, |connected| connected.members.stats())
    }

    /// For `health()`.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it connects to, without credentials.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.config.servers
    }

    /// Indexes that could not be made, and why.
    #[must_use]
    pub fn index_problems(&self) -> Vec<String> {
        self.indexes.problems().values().cloned().collect()
    }
}
