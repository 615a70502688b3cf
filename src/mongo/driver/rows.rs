//! What a query finds, batch by batch.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream as _;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use crate::mongo::document::part;
use crate::mongo::failure::Outcome;

/// What a query finds. The server's cursor goes with it.
pub(super) struct Rows {
    /// Until the server has no more.
    pub(super) cursor: Option<RawBatchCursor>,
    pub(super) batch: VecDeque<RawDocumentBuf>,
    pub(super) current: RawDocumentBuf,
}

impl Rows {
    /// From the first batch on.
    pub(super) fn new(cursor: RawBatchCursor, batch: Option<RawBatch>) -> Outcome<Self> {
        let mut rows = Self { cursor: None, batch: VecDeque::new(), current: RawDocumentBuf::new() };
        rows.take(cursor, batch)?;
        Ok(rows)
    }

    /// Takes a batch, and the cursor unless the server has no more.
    pub(super) fn take(&mut self, cursor: RawBatchCursor, batch: Option<RawBatch>) -> Outcome<()> {
        let Some(batch) = batch else { return Ok(()) };
        for row in batch.doc_slices()? {
            if let RawBsonRef::Document(row) = row? {
                self.batch.push_back(row.to_owned());
            }
        }
        let ended = matches!(part(batch.as_raw_document(), "cursor")?.get("id"), Ok(Some(RawBsonRef::Int64(0))));
        self.cursor = (!ended).then_some(cursor);
        Ok(())
    }

    /// The row at which `Executor::advance` has arrived.
    pub(super) fn current(&self) -> &RawDocument {
        &self.current
    }

    /// Whether there may be more.
    pub(super) fn has_more(&self) -> bool {
        !self.batch.is_empty() || self.cursor.is_some()
    }
}

/// The next batch of a cursor.
pub(super) async fn next_batch(cursor: &mut RawBatchCursor) -> mongodb::error::Result<Option<RawBatch>> {
    poll_fn(|context| Pin::new(&mut *cursor).poll_next(context)).await.transpose()
}
