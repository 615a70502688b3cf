//! The judge: what mongod answers to random documents, filters, sorts and updates.
//!
//! `spec/bson.json` holds answers that mongod 6.0 has given. With `BKN_BSON_MONGO`, a connection string, a server is asked
//! anew: `BKN_BSON_CASES` times (1,000), from `BKN_BSON_SEED` on; with `BKN_BSON_WRITE` the answers are written there.
//! `node scripts/golden-bson.js` does both with a server of its own.

mod cases;
mod chance;
mod golden;
mod server;

use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, Timestamp};

use super::{Filter, Refusal, Sort, UpdateOptions, apply_update};

/// What a server answers: a value, or the code of its error.
type Answer<T> = Result<T, i32>;

/// How often ours and the server's answers were of which kind.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    /// Both have an answer, the same.
    same: usize,
    /// Both refuse.
    both_refuse: usize,
    /// We refuse what a server answers, and say that it is ours.
    ours_refuses: usize,
    /// Of the same ones, those that found something, or changed something.
    telling: usize,
}

impl Tally {
    /// Counts a case; an error is a dispute.
    fn count<T: PartialEq + std::fmt::Debug>(
        &mut self,
        ours: &Result<T, Refusal>,
        theirs: &Answer<T>,
    ) -> Result<(), String> {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => self.same += 1,
            (Err(Refusal { code: Some(ours), .. }), Err(theirs)) if ours == theirs => self.both_refuse += 1,
            (Err(Refusal { code: None, .. }), Ok(_)) => self.ours_refuses += 1,
            (Err(Refusal { code: None, .. }), Err(_)) => self.both_refuse += 1,
            _ => return Err(format!("ours:   {ours:?}\ntheirs: {theirs:?}")),
        }
        Ok(())
    }

    /// So that nothing passes by being refused, or by being empty.
    fn check(&self, what: &str) {
        println!("{what}: {self:?}");
        let all = self.same + self.both_refuse + self.ours_refuses;
        assert!(self.ours_refuses * 100 <= all * 4, "{what}: too much is refused: {self:?}");
        assert!(self.telling * 100 >= all * 30, "{what}: too little is found or changed: {self:?}");
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// The ids of the documents that match, in the sort's order.
fn found(documents: &[Document], filter: &Document, sort: &Document) -> Result<Vec<i32>, Refusal> {
    let (filter, sort) = (Filter::parse(&raw(filter))?, Sort::parse(&raw(sort))?);
    let mut keyed = Vec::new();
    for document in documents {
        let bytes = raw(document);
        if filter.matches(&bytes) {
            keyed.push((sort.key(&bytes)?, document.get_i32("_id").unwrap()));
        }
    }
    keyed.sort_by(|(a, _), (b, _)| sort.compare(a, b));
    Ok(keyed.into_iter().map(|(_, id)| id).collect())
}

/// The bytes of a document after an update.
fn updated(case: &cases::Update) -> Result<Vec<u8>, Refusal> {
    let document = if case.is_insert {
        Document::from_iter([("_id".to_owned(), case.document.get("_id").unwrap().clone())])
    } else {
        case.document.clone()
    };
    let options = UpdateOptions { is_insert: case.is_insert, now: NOW };
    apply_update(document, &raw(&case.change), options).map(|document| raw(&document).into_bytes())
}

/// Now, in all cases. None of their own dates is later.
const NOW: i64 = 1_767_225_600_123;

/// A server's document, with its clock set to that moment.
fn at_that_moment(document: &Document) -> Document {
    fn set(value: &mut Bson) {
        match value {
            Bson::DateTime(date) if date.timestamp_millis() > NOW => *date = DateTime::from_millis(NOW),
            Bson::Timestamp(stamp) if stamp.time > 1_767_225_600 && stamp.time < u32::MAX => {
                *stamp = Timestamp { time: 1_767_225_600, increment: 1 };
            }
            Bson::Document(inner) => inner.iter_mut().for_each(|(_, value)| set(value)),
            Bson::Array(inner) => inner.iter_mut().for_each(set),
            _ => {}
        }
    }
    let mut document = Bson::Document(document.clone());
    set(&mut document);
    document.as_document().unwrap().clone()
}
