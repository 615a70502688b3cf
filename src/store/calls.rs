//! One call after the other, over one connection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::Connection;

use super::error::Outcome;
use super::find::Cursor;
use super::table::table;
use super::{bulk, candle_keys, change, facts, find, maps, transfer};
use crate::error::{Code, Error};
use crate::mongo::document::{self, Millis, get};
use crate::mongo::failure::Failure;
use crate::mongo::table::CANDLES;
use crate::mongo::wire::{Answer, CallId, Op, Request};

/// Cursors that are open, by the number of the call that has opened them.
pub type Cursors = Mutex<HashMap<CallId, Cursor>>;

/// Whether a request changes anything.
#[must_use]
pub const fn writes(op: Op) -> bool {
    matches!(
        op,
        Op::Upsert | Op::SoftRemove | Op::Candle | Op::Candles | Op::Insert | Op::Change | Op::Delete | Op::Merge
    )
}

/// The most candles that are read on the JavaScript thread.
const FEW: i32 = 2_000;

/// The most bytes of candles that are written on the JavaScript thread: some hundred.
const FEW_WRITTEN: usize = 8 * 1024;

/// Whether a request is answered so quickly that the JavaScript thread may wait for it.
#[must_use]
pub fn is_quick(request: &Request) -> bool {
    let few = || matches!(request.body.get("limit"), Ok(Some(RawBsonRef::Int32(limit))) if limit <= FEW);
    // A candle that is in no block yet has no index of its `_id`: all of those are looked through.
    let is_indexed = || request.collection != CANDLES;
    match request.op {
        Op::Find | Op::Upsert | Op::SoftRemove | Op::Candle | Op::Insert => true,
        Op::Change => is_indexed(),
        Op::Range | Op::Window => few(),
        Op::Rows => is_indexed() && find::is_by_id(&request.body),
        Op::Candles => request.body.as_bytes().len() <= FEW_WRITTEN,
        Op::Count | Op::Open | Op::Next | Op::Close | Op::Delete | Op::Ping | Op::Export | Op::Merge | Op::Inspect => {
            false
        }
    }
}

/// A read that is one transaction, so that nothing changes between its statements, where it has more than one that matter.
pub fn read(store: &Connection, request: &Request, cursors: &Cursors) -> Outcome<Answer> {
    if request.op == Op::Find && request.collection != CANDLES {
        return run(store, request, cursors, 0);
    }
    let transaction = store.unchecked_transaction()?;
    let answer = run(&transaction, request, cursors, 0);
    transaction.finish()?;
    answer
}

/// Carries out a request, within a transaction.
pub fn run(store: &Connection, request: &Request, cursors: &Cursors, now: Millis) -> Outcome<Answer> {
    let attempt = |failure: Failure| {
        failure.attempted(&format!("{:?} {} in the store", request.op, table(request.collection).collection.name))
    };
    carry_out(store, request, cursors, now).map_err(attempt)
}

fn carry_out(store: &Connection, request: &Request, cursors: &Cursors, now: Millis) -> Outcome<Answer> {
    let (number, body) = (request.collection, &*request.body);
    // What the codec has made is sound; what comes from another store is walked through.
    if request.op == Op::Merge || !document::is_surely_shallow(body) {
        document::check_depth(body)?;
    }
    match request.op {
        Op::Find => find::find(store, number, body),
        Op::Rows => find::rows_of(store, number, body),
        Op::Count => find::count(store, number, body),
        Op::Open => page(store, cursors, request.call, Cursor::open(store, number, body)?),
        Op::Next => {
            let cursor = take(cursors, cursor_of(body)?);
            let ended = || Error::new(Code::Closed, "close() ended the iteration");
            page(store, cursors, cursor_of(body)?, cursor.ok_or_else(ended)?)
        }
        Op::Close => {
            take(cursors, cursor_of(body)?);
            Ok(Answer::None)
        }
        Op::Range => bulk::range(store, body),
        Op::Window => bulk::window(store, body),
        Op::Upsert => change::upsert(store, number, body, now),
        Op::SoftRemove => change::soft_remove(store, number, body, now),
        Op::Insert => change::insert(store, number, body, now),
        Op::Change => change::change(store, number, body, now),
        Op::Candle => {
            let answer = change::candle(store, number, body, now)?;
            if let (true, Answer::Documents(bytes)) = (candle_keys::are_asked_for(body)?, &answer) {
                candle_keys::note_row(store, RawDocument::from_bytes(bytes)?)?;
            }
            Ok(answer)
        }
        Op::Candles => bulk::insert(store, body, now),
        Op::Delete => find::delete(store, number, body),
        Op::Export => transfer::export(store, number, body),
        Op::Merge => transfer::merge(store, number, body),
        Op::Inspect => facts::inspect(store, number),
        Op::Ping => maps::run(store, &maps::Ask::Ping, now).map(|_| Answer::None),
    }
}

fn page(store: &Connection, cursors: &Cursors, name: CallId, mut cursor: Cursor) -> Outcome<Answer> {
    let answer = cursor.page(store)?;
    if matches!(answer, Answer::Page(_)) {
        cursors.lock().unwrap_or_else(PoisonError::into_inner).insert(name, cursor);
    }
    Ok(answer)
}

fn take(cursors: &Cursors, name: CallId) -> Option<Cursor> {
    cursors.lock().unwrap_or_else(PoisonError::into_inner).remove(&name)
}

fn cursor_of(body: &RawDocument) -> Outcome<CallId> {
    match get(body, "cursor")? {
        Some(RawBsonRef::Int32(number)) => Ok(number.cast_unsigned()),
        _ => Ok(0),
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
