//! Writes with numbers: a server that knows them does nothing twice, however often a command is sent.
//!
//! A number counts within a session of the server. These sessions are our own: one has one command at a time, its numbers
//! rise, and none goes back to the driver's pool while the client lives, because the driver would count from 1 again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawDocumentBuf, rawdoc};
use mongodb::{ClientSession, Database};
use tokio::sync::Mutex as AsyncMutex;

use super::connection::Connected;
use super::session::{Outcome, Session, checked};
use super::shared::Shared;
use crate::mongo::delivery::{Delivery, Next, Repeat};
use crate::mongo::failure::Failure;
use crate::mongo::server::{knows_numbers, refuses_numbers};

/// Whether the server knows numbers, and the sessions that nobody uses at this moment.
pub(super) struct Numbers {
    known: Shared<bool>,
    /// `retryWrites=false`, or the server has turned into one that refuses them.
    refused: AtomicBool,
    idle: Mutex<Vec<Counted>>,
    closed: AtomicBool,
}

/// A session, and the number that it used last.
struct Counted {
    session: ClientSession,
    last: i64,
}

impl Numbers {
    pub(super) fn new(wanted: bool) -> Arc<Self> {
        Arc::new(Self {
            known: Shared::default(),
            refused: AtomicBool::new(!wanted),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// From now on writes go without.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Lets all sessions go, and those that are used when their command is through.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Counted>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session in use, for one command. It goes back when the last who holds it lets go: that is the task of its command,
/// also when nobody waits for that any more.
pub(super) struct Numbered {
    counted: Option<Counted>,
    home: Arc<Numbers>,
}

impl Drop for Numbered {
    fn drop(&mut self) {
        if let Some(counted) = self.counted.take().filter(|_| !self.home.closed.load(Ordering::Relaxed)) {
            self.home.idle().push(counted);
        }
    }
}

impl Numbered {
    /// The number of the next command.
    pub(super) fn next(&mut self) -> i64 {
        self.counted.as_mut().map_or(0, |counted| {
            counted.last += 1;
            counted.last
        })
    }

    /// Runs a command that has the number.
    pub(super) async fn run(
        &mut self,
        database: &Database,
        command: RawDocumentBuf,
    ) -> mongodb::error::Result<Document> {
        let command = database.run_raw_command(command);
        match &mut self.counted {
            Some(counted) => command.session(&mut counted.session).await,
            None => command.await,
        }
    }
}

/// What a write has come to.
pub(super) enum Written {
    /// The server's reply, and whether the command was sent twice.
    Reply(Document, bool),
    /// It was sent and not answered, and may not be sent again: whether it was carried out must be found out.
    Unanswered(Failure),
}

impl Session {
    /// Sends a write, and once more where that is safe: with a number where the server knows them, and without one where it
    /// does no harm (`harmless`). Nothing is sent again after a deadline.
    pub(super) async fn write(&self, command: RawDocumentBuf, harmless: bool) -> Outcome<Written> {
        let connected = self.connect().await?;
        if let Some(numbered) = self.numbered(&connected).await? {
            match self.deliver(&connected, command.clone(), Some(numbered), Repeat::Numbered).await {
                Err(failure) if refuses_numbers(failure.server_code(), &failure.error.message) => {
                    connected.numbers.refuse();
                }
                outcome => return outcome,
            }
        }
        let repeat = if harmless { Repeat::Harmless } else { Repeat::Never };
        self.deliver(&connected, command, None, repeat).await
    }

    /// The same for a write that does no harm twice: the reply, and whether it was sent twice.
    pub(super) async fn write_harmless(&self, command: RawDocumentBuf) -> Outcome<(Document, bool)> {
        match self.write(command, true).await? {
            Written::Reply(reply, repeated) => Ok((reply, repeated)),
            Written::Unanswered(failure) => Err(failure.unknown()),
        }
    }

    async fn deliver(
        &self,
        connected: &Connected,
        mut command: RawDocumentBuf,
        numbered: Option<Numbered>,
        repeat: Repeat,
    ) -> Outcome<Written> {
        let mut delivery = Delivery::new(repeat);
        let numbered = numbered.map(|mut numbered| {
            command.append(cstr!("txnNumber"), numbered.next());
            Arc::new(AsyncMutex::new(numbered))
        });
        let mut repeated = false;
        loop {
            let (database, command, numbered) = (connected.database.clone(), command.clone(), numbered.clone());
            let trip = self.within(async move {
                match numbered {
                    Some(numbered) => numbered.lock().await.run(&database, command).await,
                    None => database.run_raw_command(command).await,
                }
            });
            let failure = match trip.await.and_then(checked) {
                Ok(reply) => return Ok(Written::Reply(reply, repeated)),
                Err(failure) => failure,
            };
            match delivery.failed(failure) {
                Next::Again => {
                    self.count_retry();
                    repeated = true;
                }
                Next::FindOut(failure) => return Ok(Written::Unanswered(failure)),
                Next::Failed(failure) => return Err(failure),
            }
        }
    }

    /// A session for a write, where the server knows numbers.
    pub(super) async fn numbered(&self, connected: &Connected) -> Outcome<Option<Numbered>> {
        let numbers = &connected.numbers;
        if numbers.refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let ask = async { Ok(knows_numbers(&self.command(rawdoc! { "hello": 1 }).await?)) };
        if !numbers.known.get_or_make(ask).await? {
            return Ok(None);
        }
        let idle = numbers.idle().pop();
        let counted = if let Some(counted) = idle {
            counted
        } else {
            let client = connected.client.clone();
            let start = async move { client.start_session().causal_consistency(false).await };
            Counted { session: self.bounded(start).await?, last: 0 }
        };
        Ok(Some(Numbered { counted: Some(counted), home: Arc::clone(numbers) }))
    }
}
