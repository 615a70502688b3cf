//! Answers to reads that are yet to be remembered. Pure.

use std::ops::Range;

use super::fingerprint::Fingerprint;
use super::{Ticket, Value};
use crate::redis::Nanos;

/// So many answers wait at most.
const MOST: usize = 256;
/// The longest text of one. A longer one is remembered at once: it costs more than what waiting saves.
const LONGEST: usize = 1_024;
/// Words of the filter. With all that may wait, one key in 64 is taken for one of them, and looked for more closely.
const WORDS: usize = 256;

/// The reply to a read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ticket: Ticket,
    /// When its command was written.
    pub(super) written: Nanos,
    exists: bool,
    text: Option<Range<usize>>,
}

/// Answers in their order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    list: Vec<Answer>,
    texts: Vec<u8>,
}

impl Answers {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Answer, Value<'_>)> {
        self.list.iter().map(|answer| {
            let value = match &answer.text {
                Some(range) => Value::Text(&self.texts[range.clone()]),
                None if answer.exists => Value::Present,
                None => Value::Absent,
            };
            (answer, value)
        })
    }

    /// Their tickets; nothing else is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Ticket> {
        self.texts.clear();
        self.list.drain(..).map(|answer| answer.ticket)
    }
}

/// Answers that wait.
#[derive(Debug)]
pub(super) struct Later {
    answers: Answers,
    /// A bit for each key that may be among them: first reads, of which hardly one asks for what has just been answered,
    /// look at this alone.
    filter: Box<[u64; WORDS]>,
}

const fn place(Fingerprint([bits, _]): Fingerprint) -> (usize, u64) {
    ((bits >> 6) as usize % WORDS, 1 << (bits % 64))
}

impl Later {
    pub(super) fn new() -> Self {
        Self { answers: Answers::default(), filter: Box::new([0; WORDS]) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.answers.list.is_empty()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.answers.list.len() >= MOST
    }

    /// Whether such an answer may wait.
    pub(super) const fn takes(value: Value<'_>) -> bool {
        !matches!(value, Value::Text(text) if text.len() > LONGEST)
    }

    pub(super) fn push(&mut self, ticket: Ticket, value: Value<'_>, written: Nanos) {
        let Answers { list, texts } = &mut self.answers;
        let text = if let Value::Text(text) = value {
            let start = texts.len();
            texts.extend_from_slice(text);
            Some(start..texts.len())
        } else {
            None
        };
        let (word, bit) = place(ticket.0.key);
        self.filter[word] |= bit;
        list.push(Answer { ticket, written, exists: value != Value::Absent, text });
    }

    /// Whether there is an answer for a key.
    pub(super) fn has(&self, key: Fingerprint) -> bool {
        let (word, bit) = place(key);
        self.filter[word] & bit != 0 && self.answers.list.iter().any(|answer| answer.ticket.0.key == key)
    }

    /// All that wait; none does any more.
    pub(super) fn take(&mut self) -> Answers {
        for answer in &self.answers.list {
            self.filter[place(answer.ticket.0.key).0] = 0;
        }
        std::mem::take(&mut self.answers)
    }

    /// Uses the memory of answers that are done again.
    pub(super) fn reuse(&mut self, answers: Answers) {
        self.answers = answers;
    }
}
