//! Requests and answers as they cross the boundary: bytes, so that a tick's worth of either is one piece.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawDocument, RawDocumentBuf};

use crate::mongo::failure::Failure;

/// What is asked for. The order is that of `OPS` in js/mongo.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `{ k: key arguments, id? }`: the row of a key.
    Find,
    /// `{ k, v: values, id? }`: writes a row; the answer is its identity.
    Upsert,
    /// `{ k }`: marks a row as removed; the answer is its identity, or nothing.
    SoftRemove,
    /// `{ dto }`: a candle that is there afterwards; the answer is its row.
    Candle,
    /// A chunk of candles; see [`crate::mongo::candles::documents`].
    Candles,
    /// `{ k, limit }`: candles in order, or nothing where one is missing.
    Range,
    /// `{ dto }`: a new row.
    Insert,
    /// `{ id, dto }`: a changed row.
    Change,
    /// `{ filter, sort?, limit?, skip?, fields? }`: rows.
    Rows,
    /// `{ filter }`: `{ n }`
    Count,
    /// `{ filter, sort? }`: the first rows of many, `Page` while there are more.
    Open,
    /// `{ cursor }`: the next ones.
    Next,
    /// `{ cursor }`: no more of them.
    Close,
    /// `{ k, by, fields }`: deletes the rows that are there; the answer is what they were.
    Delete,
    /// Is the server there?
    Ping,
    /// What is there of a window of candles; see [`crate::mongo::candle_window::Window::new`].
    Window,
    /// `{ after? }`: a page of rows in the order of their keys; see [`crate::mongo::transfer::Page`].
    Export,
    /// `{ rows }`: rows of another store; see [`crate::mongo::transfer::Merged`].
    Merge,
    /// What there is to know of a collection, for whoever looks after the servers.
    Inspect,
}

/// All of them, by the number that JavaScript uses.
pub const OPS: [Op; 19] = [
    Op::Find,
    Op::Upsert,
    Op::SoftRemove,
    Op::Candle,
    Op::Candles,
    Op::Range,
    Op::Insert,
    Op::Change,
    Op::Rows,
    Op::Count,
    Op::Open,
    Op::Next,
    Op::Close,
    Op::Delete,
    Op::Ping,
    Op::Window,
    Op::Export,
    Op::Merge,
    Op::Inspect,
];

/// The number by which JavaScript knows a promise.
pub type CallId = u32;

/// A request of a tick.
#[derive(Debug)]
pub struct Request {
    /// Whose promise it is.
    pub call: CallId,
    /// What is asked for.
    pub op: Op,
    /// Of which collection: its place in the table.
    pub collection: usize,
    /// The arguments.
    pub body: RawDocumentBuf,
}

/// What became of it.
#[derive(Debug)]
pub enum Answer {
    /// Nothing: null, or undefined.
    None,
    /// Documents, one after the other.
    Documents(Vec<u8>),
    /// The same, found by the key and not by the id that was given.
    ByKey(Vec<u8>),
    /// Documents, and there are more.
    Page(Vec<u8>),
    /// Candles in columns; see [`crate::mongo::candles::Columns`].
    Columns(Vec<u8>),
    /// How many candles are new; then what is known of all; see [`crate::mongo::candles::Written`].
    Written(u32, Vec<u8>),
    /// How many candles of a window are there; see [`crate::mongo::candle_window::Found::into_bytes`].
    Window(u32, Vec<u8>),
    /// An error.
    Failed(Box<Failure>),
}

impl Answer {
    /// One document.
    #[must_use]
    pub fn document(document: &RawDocument) -> Self {
        Self::Documents(document.as_bytes().to_vec())
    }

    /// Appends it as JavaScript reads it: call, kind, number, length, bytes; the numbers little endian.
    pub fn push(self, call: CallId, out: &mut Vec<u8>) {
        let (kind, number, bytes) = match self {
            Self::None => (0_u32, 0, Vec::new()),
            Self::Documents(bytes) => (1, 0, bytes),
            Self::ByKey(bytes) => (2, 0, bytes),
            Self::Page(bytes) => (3, 0, bytes),
            Self::Columns(bytes) => (4, 0, bytes),
            Self::Written(inserted, ids) => (5, inserted, ids),
            Self::Window(count, bytes) => (7, count, bytes),
            Self::Failed(failure) => (6, 0, failure.to_document().into_bytes()),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for number in [call, kind, number, length] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&bytes);
    }
}

/// A sentence for the logger, as an answer that nobody waits for.
#[must_use]
pub fn notice(text: &str) -> Vec<u8> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("notice"), text);
    let mut out = Vec::new();
    // Calls are numbered from 1.
    Answer::Documents(document.into_bytes()).push(0, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_are_numbered_in_their_order() {
        for (number, op) in OPS.iter().enumerate() {
            assert_eq!(*op as usize, number);
        }
    }

    #[test]
    fn an_answer_says_whose_it_is_and_how_long() {
        let mut out = Vec::new();
        Answer::Written(3, vec![7, 8]).push(9, &mut out);
        assert_eq!(out, [9, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 7, 8]);
    }
}
