//! Writes of one row that return it, and what became of them where no answer came.

use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawDocumentBuf, rawdoc};

use super::executor::Executor;
use super::numbers::Written;
use super::replies::explain;
use crate::mongo::conflict::Conflict;
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table::Collection;
use crate::mongo::unanswered::{Kind, Verdict, guarded, judge};

/// How often a write that was not answered is sent again, and looked for.
const ROUNDS: u32 = 2;

/// A write of the row that a filter names.
pub(super) struct Modify {
    pub(super) kind: Kind,
    pub(super) filter: RawDocumentBuf,
    pub(super) update: RawDocumentBuf,
    /// Whether the whole row is wanted, not only its id.
    pub(super) whole: bool,
}

/// The row of a reply.
fn row_of(reply: &Document) -> Outcome<Option<RawDocumentBuf>> {
    Ok(reply.get_document("value").ok().map(RawDocumentBuf::try_from).transpose()?)
}

impl Executor {
    /// The row afterwards; none where there is none, and none was to be made.
    pub(super) async fn modify(&self, collection: &Collection, modify: &Modify) -> Outcome<Option<RawDocumentBuf>> {
        let command = self.find_and_modify(collection, modify, modify.filter.clone()).await?;
        match self.write(command, false).await? {
            Written::Reply(reply, _) => row_of(&reply),
            Written::Unanswered(failure) => self.find_out(collection, modify, failure).await,
        }
    }

    async fn find_and_modify(
        &self,
        collection: &Collection,
        modify: &Modify,
        filter: RawDocumentBuf,
    ) -> Outcome<RawDocumentBuf> {
        let mut command = self.writing(cstr!("findAndModify"), collection).await?;
        command.append(cstr!("query"), filter);
        command.append(cstr!("update"), modify.update.clone());
        command.append(cstr!("new"), true);
        command.append(cstr!("upsert"), matches!(modify.kind, Kind::Upsert | Kind::First));
        if !modify.whole {
            command.append(cstr!("fields"), rawdoc! { "_id": 1 });
        }
        Ok(command)
    }

    /// A write was sent and not answered, by a server that knows no numbers: the row tells whether it was carried out. If it
    /// was not, it is sent again so that it leaves alone what is newer.
    pub(super) async fn find_out(
        &self,
        collection: &Collection,
        modify: &Modify,
        mut lost: Failure,
    ) -> Outcome<Option<RawDocumentBuf>> {
        for round in 0..=ROUNDS {
            let row = self.first(collection, modify.filter.clone(), false).await.map_err(Failure::unknown)?;
            match judge(modify.kind, &modify.update, row.as_deref())? {
                Verdict::Done => return Ok(row),
                Verdict::NoRow => return Ok(None),
                Verdict::Unknown => break,
                Verdict::Open if round == ROUNDS => break,
                Verdict::Open => self.count_retry(),
            }
            let filter = guarded(&modify.filter, &modify.update)?;
            let command = self.find_and_modify(collection, modify, filter).await?;
            match self.write(command, false).await.map_err(|failure| explain(collection, failure)) {
                Ok(Written::Reply(reply, _)) => {
                    // Without a row, a newer one has come in between.
                    if let Some(row) = row_of(&reply)? {
                        return Ok(Some(row));
                    }
                }
                Ok(Written::Unanswered(failure)) => lost = failure,
                // The same, of an upsert.
                Err((Conflict::Race, _)) => {}
                Err((_, failure)) if failure.server.is_some() => return Err(failure),
                Err((_, failure)) => return Err(failure.unknown()),
            }
        }
        Err(lost.unknown())
    }
}
