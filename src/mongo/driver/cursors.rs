//! Cursors that JavaScript iterates over, page by page.

use std::sync::PoisonError;

use mongodb::bson::RawDocument;

use super::executor::Executor;
use super::reads::Query;
use super::rows::Rows;
use crate::error::{Code, Error};
use crate::mongo::failure::Outcome;
use crate::mongo::table::Collection;
use crate::mongo::wire::{Answer, CallId};

/// The most rows of a page.
const ROWS: usize = 1_000;
/// A page that is as large as this is sent, whatever it holds.
const BYTES: usize = 4 * 1024 * 1024;

impl Executor {
    /// The first page of a query; `cursor` names the cursor from then on.
    pub(super) async fn open(&self, collection: &Collection, cursor: CallId, body: &RawDocument) -> Outcome<Answer> {
        let rows = self.query(collection, Query::new(collection, body)?).await?;
        self.page(cursor, rows).await
    }

    /// The next page.
    pub(super) async fn next_page(&self, cursor: CallId) -> Outcome<Answer> {
        let rows = self.cursors.lock().unwrap_or_else(PoisonError::into_inner).remove(&cursor);
        match rows {
            Some(rows) => self.page(cursor, rows).await,
            None => Err(Error::new(Code::Closed, "close() ended the iteration").into()),
        }
    }

    /// Forgets a cursor; the driver tells the server.
    pub(super) fn close_cursor(&self, cursor: CallId) {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).remove(&cursor);
    }

    async fn page(&self, cursor: CallId, mut rows: Rows) -> Outcome<Answer> {
        let mut bytes = Vec::new();
        for _ in 0..ROWS {
            if !self.advance(&mut rows).await? {
                return Ok(Answer::Documents(bytes));
            }
            bytes.extend_from_slice(rows.current().as_bytes());
            if bytes.len() >= BYTES {
                break;
            }
        }
        if rows.has_more() {
            self.cursors.lock().unwrap_or_else(PoisonError::into_inner).insert(cursor, rows);
            return Ok(Answer::Page(bytes));
        }
        Ok(Answer::Documents(bytes))
    }
}
