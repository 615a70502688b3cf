//! Writes that were sent and not answered. The server may get them, or carry them out, long after they were given up, and then
//! they would undo what was written since and acknowledged.
//!
//! Numbers of a session rise, and a server refuses any below the highest that it has seen. So the next write to that collection
//! waits for a command that changes nothing and has the next number of the late one's session. Once that is answered, the late one
//! was carried out before it, or never will be. A number is remembered by the server for as long as the session lives; where
//! numbers are not known, there is nothing to do.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use mongodb::Database;
use mongodb::bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::Error as DriverError;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::numbers::Numbered;
use super::shared::Shared;

/// The session of a write, and how its command is given up in the driver, so that the session can be used again.
#[derive(Clone)]
pub(super) struct Held {
    session: Arc<AsyncMutex<Numbered>>,
    stop: Arc<Notify>,
}

impl Held {
    pub(super) fn new(session: Numbered) -> Self {
        Self { session: Arc::new(AsyncMutex::new(session)), stop: Arc::default() }
    }

    /// Runs a command in the session, until it ends or is given up. `command` gets what hands out numbers.
    ///
    /// The driver's future is dropped then, while it waits for an answer. It takes no harm: it closes the connection.
    pub(super) async fn run(
        self,
        database: Database,
        command: impl FnOnce(&mut Numbered) -> RawDocumentBuf,
    ) -> mongodb::error::Result<Document> {
        let mut stopped = pin!(self.stop.notified());
        let mut run = pin!(async {
            let mut session = self.session.lock().await;
            let command = command(&mut session);
            session.run(&database, command).await
        });
        poll_fn(|context| match run.as_mut().poll(context) {
            Poll::Pending => stopped.as_mut().poll(context).map(|()| Err(DriverError::custom("given up"))),
            ready @ Poll::Ready(_) => ready,
        })
        .await
    }

    /// Ends what still waits for an answer in the session.
    pub(super) fn give_up(&self) {
        self.stop.notify_waiters();
    }
}

/// A write that may still come.
pub(super) struct Write {
    pub(super) collection: String,
    pub(super) held: Held,
    /// It cannot come any more.
    pub(super) fenced: Shared<()>,
}

/// All that may still come.
#[derive(Default)]
pub(super) struct Late {
    writes: Mutex<Vec<Arc<Write>>>,
}

/// The collection that a command is about.
fn collection_of(command: &RawDocument) -> &str {
    match command.iter().next() {
        Some(Ok((_, RawBsonRef::String(name)))) => name,
        _ => "",
    }
}

impl Late {
    /// Notes a write that was not answered.
    pub(super) fn add(&self, command: &RawDocument, held: Held) {
        let write = Write { collection: collection_of(command).to_owned(), held, fenced: Shared::default() };
        self.lock().push(Arc::new(write));
    }

    /// Forgets all, and lets go of their sessions.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// What may still come to the collection of a command.
    pub(super) fn beside(&self, command: &RawDocument) -> Vec<Arc<Write>> {
        let collection = collection_of(command);
        self.lock().iter().filter(|write| write.collection == collection).cloned().collect()
    }

    /// It cannot come any more.
    pub(super) fn forget(&self, write: &Arc<Write>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, write));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Write>>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
