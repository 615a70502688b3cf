//! What the store's thread is given, by whom, and what it answers.

use std::sync::Arc;

use rusqlite::Connection;

use super::calls::{self, Cursors, writes};
use super::course::Weight;
use super::error::Outcome;
use super::maps;
use crate::config::store::StoreConfig;
use crate::mongo::wire::{Answer, CallId, Request};

/// An answer, and whose it is.
#[derive(Debug)]
pub enum Answered {
    /// Of a call of a map.
    Map(u64, Outcome<maps::Told>),
    /// Of a request for rows.
    Row(CallId, Outcome<Answer>),
}

/// Where answers go.
pub trait Inbox: Send + Sync {
    /// Takes answers, in their order.
    fn take(&self, answers: Vec<Answered>);
}

/// What the store's thread is to do.
pub enum Work {
    /// A call of a map.
    Map(u64, maps::Ask),
    /// A request for rows.
    Row(Request),
    /// Opens the store, and a connection for the JavaScript thread.
    Attach,
    /// Closes such a connection.
    Detach(Connection),
    /// Says when all before it is done and synced. It fails only where what was acknowledged cannot be synced.
    Mark(u64),
}

impl Work {
    /// Whether it changes anything.
    #[must_use]
    pub const fn writes(&self) -> bool {
        match self {
            Self::Map(_, ask) => ask.writes(),
            Self::Row(request) => writes(request.op),
            Self::Attach | Self::Detach(_) | Self::Mark(_) => false,
        }
    }

    /// What it is to the JavaScript thread.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let is_quick = match self {
            Self::Map(_, ask) => !ask.is_long() && *ask != maps::Ask::Ping,
            Self::Row(request) => calls::is_quick(request),
            Self::Attach | Self::Detach(_) | Self::Mark(_) => false,
        };
        match (is_quick, self.writes()) {
            (false, _) => Weight::Long,
            (true, true) => Weight::Write(self.size()),
            (true, false) => Weight::Read,
        }
    }

    /// How many bytes wait with it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Map(_, ask) => ask.size(),
            Self::Row(request) => request.body.as_bytes().len(),
            Self::Attach | Self::Detach(_) | Self::Mark(_) => 0,
        }
    }
}

/// Who gives the store's thread its work.
pub trait User: Send + Sync {
    /// How it uses the store.
    fn config(&self) -> &StoreConfig;
    /// Its open cursors.
    fn cursors(&self) -> &Cursors;
    /// Whether a connection for the JavaScript thread has still to be opened; asked once.
    fn wants_reader(&self) -> bool;
    /// Leaves a connection for the JavaScript thread.
    fn leave_reader(&self, reader: Connection);
    /// Tells what became of so many bytes of jobs, of which so many were writes.
    fn tell(&self, answers: Vec<Answered>, bytes: usize, writes: usize);
}

/// A piece of work, and whose it is.
pub struct Job {
    /// Who is told.
    pub client: Arc<dyn User>,
    /// What is to be done.
    pub work: Work,
    /// How many bytes of the bound it takes.
    pub size: usize,
}
