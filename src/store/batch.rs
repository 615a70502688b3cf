//! One transaction, on whichever thread: calls in their order, each with a failure of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rusqlite::Connection;

use super::calls::{self, Cursors};
use super::error::Outcome;
use super::maps;
use super::open::still_ours;
use super::work::{Answered, Work};
use crate::error::{Code, Error};
use crate::mongo::document::Millis;
use crate::mongo::failure::Failure;

/// Whether it is the store that failed, and not the call.
#[must_use]
pub fn is_stores(failure: &Failure) -> bool {
    matches!(
        failure.error.code,
        Code::StoreUnavailable | Code::StoreFull | Code::StoreCorrupt | Code::StoreTimeout | Code::StoreVersion
    )
}

/// Whether somebody else had the lock.
#[must_use]
pub fn is_busy(failure: &Failure) -> bool {
    failure.error.code == Code::StoreTimeout
}

/// The failure of an answer.
#[must_use]
pub fn failure_of(answer: &Answered) -> Option<&Failure> {
    match answer {
        Answered::Map(_, outcome) => outcome.as_ref().err(),
        Answered::Row(_, outcome) => outcome.as_ref().err(),
    }
}

/// What panics has a bug; its caller is told, and no other is affected.
fn caught<T>(call: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Error::bug(panic.as_ref()).into()))
}

/// A read that is a transaction of its own. None: it is no call.
#[must_use]
pub fn read(store: &Connection, work: &Work, cursors: &Cursors) -> Option<Answered> {
    match work {
        Work::Map(call, ask) => Some(Answered::Map(*call, caught(|| maps::run(store, ask, maps::now())))),
        Work::Row(request) => Some(Answered::Row(request.call, caught(|| calls::read(store, request, cursors)))),
        Work::Attach | Work::Detach(_) | Work::Mark(_) => None,
    }
}

fn run(store: &Connection, sql: &str) -> Outcome<()> {
    store.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Takes the lock: a transaction begins.
pub fn lock(store: &Connection) -> Outcome<()> {
    run(store, "BEGIN IMMEDIATE")
}

/// A write transaction that has the lock. One that is not committed is undone.
pub struct Transaction<'a> {
    store: &'a Connection,
    now: Millis,
    /// Only one call comes.
    alone: bool,
    spoilt: bool,
}

impl<'a> Transaction<'a> {
    /// Takes the lock, for one call alone or for several.
    pub fn begin(store: &'a Connection, alone: bool) -> Outcome<Self> {
        lock(store)?;
        Ok(Self::of(store, alone))
    }

    /// The same where it is taken already.
    #[must_use]
    pub fn of(store: &'a Connection, alone: bool) -> Self {
        Self { store, now: maps::now(), alone, spoilt: false }
    }

    /// Before the first call: whether the file has still our layout.
    pub fn check(&self, file: &Path) -> Outcome<()> {
        still_ours(self.store, file)
    }

    /// Carries out a call; None: it is none. The error is that of a failure that has undone the whole transaction.
    pub fn call(&mut self, work: &Work, cursors: &Cursors) -> Outcome<Option<Answered>> {
        // A statement alone undoes itself where it fails, and a call alone is undone with its transaction.
        let guarded = !self.alone && matches!(work, Work::Row(request) if calls::writes(request.op));
        if guarded {
            run(self.store, "SAVEPOINT call")?;
        }
        let answer = match work {
            Work::Map(call, ask) => Answered::Map(*call, caught(|| maps::run(self.store, ask, self.now))),
            Work::Row(request) => {
                let outcome = caught(|| calls::run(self.store, request, cursors, self.now));
                Answered::Row(request.call, outcome)
            }
            Work::Attach | Work::Detach(_) | Work::Mark(_) => return Ok(None),
        };
        let failure = failure_of(&answer);
        if let Some(failure) = failure.filter(|_| self.store.is_autocommit()) {
            return Err(failure.clone());
        }
        self.spoilt |= self.alone && failure.is_some();
        if guarded {
            if failure.is_some() {
                run(self.store, "ROLLBACK TO call")?;
            }
            run(self.store, "RELEASE call")?;
        }
        Ok(Some(answer))
    }

    /// The time of the transaction.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// The end: what was done is in the log. False: nothing was.
    pub fn commit(self) -> Outcome<bool> {
        if !self.spoilt {
            run(self.store, "COMMIT")?;
        }
        Ok(!self.spoilt)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.store.is_autocommit() {
            // Nothing can be done where this fails too: closing the connection undoes it as well.
            let _ = run(self.store, "ROLLBACK");
        }
    }
}
