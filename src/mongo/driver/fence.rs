//! Before a write: the server is brought to refuse those that may come late. See [`super::late`].

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};

use super::connection::Connected;
use super::executor::{Executor, SENDS};
use super::late::Write;
use super::numbers::Numbered;
use crate::mongo::failure::{Failure, Outcome, checked};

/// A command that changes nothing, and takes a number like any write. It names no key: a router is to send it to all shards, because
/// the late one may be at any of them.
fn fence(collection: &str, number: i64) -> RawDocumentBuf {
    let mut updates = RawArrayBuf::new();
    updates.push(rawdoc! { "q": { "_id": ObjectId::new() }, "u": { "$set": { "__v": 0 } } });
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("update"), collection);
    command.append(cstr!("updates"), updates);
    // Nothing is written, so there is nothing for other members to confirm.
    command.append(cstr!("writeConcern"), rawdoc! { "w": 1 });
    command.append(cstr!("txnNumber"), number);
    command
}

impl Executor {
    /// Waits until no late write can undo this one.
    pub(super) async fn fence(&self, connected: &Connected, command: &RawDocument) -> Outcome<()> {
        for write in connected.late.beside(command) {
            write.fenced.get_or_make(self.fence_off(connected, &write)).await?;
            connected.late.forget(&write);
        }
        Ok(())
    }

    async fn fence_off(&self, connected: &Connected, write: &Write) -> Outcome<()> {
        let mut attempts = self.attempts().await.map_err(Failure::unsent)?;
        loop {
            write.held.give_up();
            let (held, collection) = (write.held.clone(), write.collection.clone());
            let command = move |session: &mut Numbered| fence(&collection, session.next());
            let trip = held.run(connected.database.clone(), command);
            match attempts.send(trip).await.and_then(checked) {
                Ok(_) => return Ok(()),
                Err(failure) if failure.transient && attempts.may_repeat(SENDS) => self.count_retry(),
                // A server that refuses it for good must not keep all writes from being sent.
                Err(failure) if failure.server.is_some() && !failure.transient => return Ok(()),
                Err(failure) => return Err(failure.unsent()),
            }
        }
    }
}
