//! The store on the JavaScript thread: a connection that waits for nobody, neither for a lock nor for a sync.
//!
//! What it cannot do at once it leaves to the store's thread, in the order of the work.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::batch::{self, Transaction, failure_of, is_stores};
use super::client::Client;
use super::course::{Course, LONG};
use super::error::Outcome;
use super::library;
use super::log::Log;
use super::os::identity;
use super::owner::Identity;
use super::thread::{LOG, WATCH};
use super::work::{Answered, User as _, Work};

/// See the module.
pub struct Here {
    store: Connection,
    file: PathBuf,
    identity: Identity,
    /// When it was looked at the file last.
    checked: Option<Instant>,
    /// The state of the file after the last commit here: as long as nobody else changes it, its layout is ours.
    ours: Cell<Option<u32>>,
    /// How long it goes on in one tick.
    long: Duration,
}

impl Here {
    /// The connection that the store's thread has opened for it, once that is there.
    #[must_use]
    pub fn of(client: &Client) -> Option<Self> {
        let (store, (file, identity)) = (client.take_reader()?, client.thread().state().file?);
        Some(Self { store, file, identity, checked: None, ours: Cell::new(None), long: LONG })
    }

    /// The connection, for who closes it.
    #[must_use]
    pub fn into_store(self) -> Connection {
        self.store
    }

    /// Whether the file is another one than it was, or gone; the store's thread says what that means.
    pub fn is_gone(&mut self, client: &Client) -> bool {
        if client.thread().is_gone() {
            return true;
        }
        if self.checked.is_some_and(|checked| checked.elapsed() < WATCH) {
            return false;
        }
        self.checked = Some(Instant::now());
        identity(&self.file) != Some(self.identity)
    }

    /// A read; none where the store's thread must make it, because it waits for something, or says what is wrong.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Outcome<T>) -> Option<Outcome<T>> {
        let outcome = read(&self.store);
        let passed_on = matches!(&outcome, Err(failure) if is_stores(failure));
        (!passed_on).then_some(outcome)
    }

    /// Carries out a tick's work from its front, as far as that goes here: one answer for each piece that was done. Writes among
    /// them are committed.
    #[must_use]
    pub fn carry_out(&self, client: &Client, work: &[Work]) -> Vec<Answered> {
        let began = Instant::now();
        let mut course = Course::new(client.is_writing(), !client.config().full && client.thread().lets_others_write());
        let mut answers = Vec::with_capacity(work.len());
        for (at, piece) in work.iter().enumerate() {
            if !course.takes(piece.weight(), began.elapsed() < self.long) {
                break;
            }
            if piece.writes() {
                let written = self.write(client, &work[at..], course, began);
                answers.extend(written.unwrap_or_default());
                break;
            }
            // Nothing before it has to be committed.
            match batch::read(&self.store, piece, client.cursors()) {
                Some(answer) if !failure_of(&answer).is_some_and(is_stores) => answers.push(answer),
                _ => break,
            }
        }
        answers
    }

    /// One transaction, whose first piece of work has been taken. None: nothing of it was done.
    fn write(&self, client: &Client, work: &[Work], mut course: Course, began: Instant) -> Option<Vec<Answered>> {
        let mut transaction = Transaction::begin(&self.store, work.len() == 1).ok()?;
        // Whoever begins the log waits for a sync; and one that has grown too far must be written back first.
        if Log::of(&self.store).is_none_or(|log| log.may_begin() || log.bytes() > 2 * LOG) {
            return None;
        }
        let state = library::data_version(&self.store);
        if state.is_none() || state != self.ours.get() {
            transaction.check(&self.file).ok()?;
        }
        let mut answers = Vec::with_capacity(work.len());
        for (at, piece) in work.iter().enumerate() {
            if at > 0 && !course.takes(piece.weight(), began.elapsed() < self.long) {
                break;
            }
            let answer = transaction.call(piece, client.cursors()).ok()??;
            if failure_of(&answer).is_some_and(is_stores) {
                return None;
            }
            answers.push(answer);
        }
        if transaction.commit().ok()? {
            self.ours.set(library::data_version(&self.store));
            client.thread().committed(Log::of(&self.store).map_or(0, Log::bytes));
        }
        Some(answers)
    }
}

#[cfg(test)]
#[path = "here_tests.rs"]
mod tests;
