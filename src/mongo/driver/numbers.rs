//! Writes with numbers: a server that knows them does nothing twice, however often a command is sent.
//!
//! A number counts within a session. These sessions are our own: each has one command at a time, and its numbers rise. None
//! goes back to the driver's pool while the client lives, because the driver would count from 1 again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::{ClientSession, Database};

use super::shared::Shared;
use crate::mongo::failure::Failure;

/// Whether the server knows numbers, and the sessions that nobody uses at this moment.
pub(super) struct Numbers {
    pub(super) known: Shared<bool>,
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

    /// Whether writes go without.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// A session that nobody uses at this moment.
    pub(super) fn take(self: &Arc<Self>) -> Option<Numbered> {
        let counted = self.idle().pop()?;
        Some(Numbered { counted: Some(counted), home: Arc::clone(self) })
    }

    /// A new session, which counts from 1.
    pub(super) fn first(self: &Arc<Self>, session: ClientSession) -> Numbered {
        Numbered { counted: Some(Counted { session, last: 0 }), home: Arc::clone(self) }
    }

    /// Ends all sessions; those in use end when their command does.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Counted>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session in use, for one command. It goes back when it is dropped last, which is by the task of its command, also when
/// nobody waits for that any more.
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
