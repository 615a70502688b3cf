//! A connection with its configuration: how a round trip is bounded, retried and counted.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mongodb::bson::raw::{CStr, cstr};
use mongodb::bson::{Document, RawDocumentBuf, serialize_to_raw_document_buf};
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, DriverInfo};
use mongodb::{Client, Collection, Cursor, Database};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::gate::Gate;
use super::indexes::Indexes;
use super::runtime::Runtime;
use super::shared::Shared;
use crate::error::{Code, Error};
use crate::mongo::config::{MongoConfig, unusable};
use crate::mongo::failure::Failure;
use crate::mongo::table::{self, COLLECTIONS};
use crate::mongo::wire::{Answer, Call, Request, notice};

/// The result of a job.
pub(super) type Outcome<T> = Result<T, Failure>;

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

/// Connections that the driver keeps to a server where the connection string does not say how many.
const POOL: u32 = 10;

struct Connected {
    client: Client,
    database: Database,
    write_concern: Option<RawDocumentBuf>,
    gate: Gate,
}

/// See the module.
pub struct Session {
    runtime: Arc<Runtime>,
    config: MongoConfig,
    connected: Shared<Arc<Connected>>,
    pub(super) indexes: Indexes,
    pub(super) cursors: Mutex<HashMap<Call, Cursor<RawDocumentBuf>>>,
    outbox: Arc<dyn Outbox>,
    state: Mutex<State>,
    counters: Counters,
    waiting: AtomicU32,
    /// Nobody waits any more.
    idle: Notify,
}

impl Session {
    /// A session that connects with its first request.
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
            idle: Notify::new(),
        })
    }

    /// Takes the requests of a tick.
    pub fn submit(self: &Arc<Self>, requests: Vec<Request>) {
        let arrived = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        self.waiting.fetch_add(arrived, Ordering::Relaxed);
        self.counters.requests.fetch_add(arrived.into(), Ordering::Relaxed);
        let session = Arc::clone(self);
        self.runtime.handle().spawn(async move { session.run(requests) });
    }

    /// Closes the connections when nobody waits any more, in the background. Nothing may be submitted any more.
    pub fn close(self: Arc<Self>) {
        let runtime = Arc::clone(&self.runtime);
        runtime.handle().clone().spawn(async move {
            while self.waiting() > 0 {
                self.idle.notified().await;
            }
            self.cursors.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if let Some(connected) = self.connected.get() {
                // A server that does not answer must not hold the thread.
                let _ = timeout(Duration::from_secs(2), connected.client.clone().shutdown().immediate(true)).await;
            }
            drop(runtime);
        });
    }

    /// Runs `job` beside what goes on.
    pub(super) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.runtime.handle().spawn(job);
    }

    /// Tells a call what became of it.
    pub(super) fn answer(&self, call: Call, what: &str, outcome: Outcome<Answer>) {
        count(&self.counters.answers);
        let mut answer = Some(outcome.unwrap_or_else(|failure| {
            count(&self.counters.errors);
            let attempted = format!("{what} on {}", self.config.servers);
            Answer::Failed(Box::new(failure.attempted(&attempted)))
        }));
        self.outbox.put(&mut |out| {
            if let Some(answer) = answer.take() {
                answer.push(call, out);
            }
        });
        if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle.notify_one();
        }
    }

    /// Tells the logger something that an operator should know.
    pub(super) fn notice(&self, text: &str) {
        self.outbox.put(&mut |out| out.extend_from_slice(&notice(text)));
    }

    async fn connect(&self) -> Outcome<Arc<Connected>> {
        if let Some(connected) = self.connected.get() {
            return Ok(connected);
        }
        let attempt = async {
            // The names of `mongodb+srv://` are asked for here.
            let outcome = self.bounded(async { Ok(self.open_client().await) }).await.and_then(|opened| opened);
            if outcome.is_err() {
                self.note(&outcome);
            }
            outcome
        };
        self.connected.get_or_make(attempt).await
    }

    async fn open_client(&self) -> Outcome<Arc<Connected>> {
        let refused = |error: mongodb::error::Error| match *error.kind {
            ErrorKind::DnsResolve { .. } => Failure::from(error),
            _ => Failure::from(unusable(&self.config.uri, &error.kind.to_string())),
        };
        let mut options = ClientOptions::parse(&self.config.uri).await.map_err(refused)?;
        // An unreachable server must be told from one that does not answer before the deadline is over.
        let selection = self.config.timeout.mul_f64(0.9);
        options.server_selection_timeout =
            Some(options.server_selection_timeout.map_or(selection, |given| given.min(selection)));
        options.driver_info = Some(DriverInfo::builder().name("backtest-kit-native").build());
        let name = options.default_database.clone().unwrap_or_else(|| "test".to_owned());
        let concern = options.write_concern.as_ref().map(serialize_to_raw_document_buf);
        let write_concern = concern.transpose()?.filter(|concern| !concern.is_empty());
        let gate = Gate::new(options.max_pool_size.unwrap_or(POOL));
        let client = Client::with_options(options).map_err(refused)?;
        let database = client.database(&name);
        Ok(Arc::new(Connected { client, database, write_concern, gate }))
    }

    /// A collection, for reads.
    pub(super) async fn rows(&self, collection: &table::Collection) -> Outcome<Collection<RawDocumentBuf>> {
        Ok(self.connect().await?.database.collection(collection.name))
    }

    /// One round trip, which ends with the deadline. That counts from when there is a connection for it.
    pub(super) async fn within<T>(&self, trip: impl Future<Output = mongodb::error::Result<T>>) -> Outcome<T> {
        let connected = self.connect().await?;
        let place = connected.gate.enter().await?;
        count(&self.counters.commands);
        let outcome = self.bounded(trip).await;
        connected.gate.leave(&place, &outcome);
        self.note(&outcome);
        outcome
    }

    /// What may be a round trip, or may be there already.
    pub(super) async fn bounded<T>(&self, trip: impl Future<Output = mongodb::error::Result<T>>) -> Outcome<T> {
        if let Ok(outcome) = timeout(self.config.timeout, trip).await {
            return outcome.map_err(Failure::from);
        }
        count(&self.counters.timeouts);
        let message = format!("no answer within {} ms", self.config.timeout.as_millis());
        Err(Error::new(Code::MongoTimeout, message).into())
    }

    fn note<T>(&self, outcome: &Outcome<T>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = match outcome {
            Err(failure)
                if matches!(failure.error.code, Code::MongoUnavailable | Code::MongoTimeout | Code::InvalidConfig) =>
            {
                Some(failure.error.message.clone())
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

    /// A command that may be repeated, sent once more where the connection failed or another server has become primary.
    pub(super) async fn command(&self, command: RawDocumentBuf) -> Outcome<Document> {
        self.command_told(command).await.map(|(reply, _)| reply)
    }

    /// The same, and whether it was sent twice: the reply then says nothing of what the first one did.
    pub(super) async fn command_told(&self, command: RawDocumentBuf) -> Outcome<(Document, bool)> {
        match self.command_once(command.clone()).await {
            Err(failure) if failure.transient => {
                count(&self.counters.retried);
                self.command_once(command).await.map(|reply| (reply, true))
            }
            outcome => outcome.map(|reply| (reply, false)),
        }
    }

    /// A command that is sent at most once.
    pub(super) async fn command_once(&self, command: RawDocumentBuf) -> Outcome<Document> {
        let database = self.connect().await?.database.clone();
        let reply = self.within(async { database.run_raw_command(command).await }).await?;
        match reply.get_document("writeConcernError") {
            Ok(problem) => Err(Failure::from_server(&RawDocumentBuf::try_from(problem)?)),
            Err(_) => Ok(reply),
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

    /// Two first writers met, and one tries again.
    pub(super) fn count_retry(&self) {
        count(&self.counters.retried);
    }

    /// Whether anybody waits for an answer.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counters, for `stats()`.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
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
        self.indexes.problems()
    }
}

/// A collection of the table; numbers come from our own JavaScript.
pub(super) fn collection(number: usize) -> &'static table::Collection {
    COLLECTIONS.get(number).unwrap_or(&COLLECTIONS[0])
}
