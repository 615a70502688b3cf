//! Requests of several keys, one command for each: a cluster's node carries out no other. Their answers are joined to the one
//! that a server would give. `T` says whose it is. Pure.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::redis::Nanos;
use crate::redis::batch::{Batch, Item};
use crate::redis::decode::Token;

/// What one of the commands was answered with.
#[derive(Debug, Clone)]
enum Answer {
    Text(Box<[u8]>),
    Null,
    Number(i64),
    Error(Box<[u8]>, String),
}

/// See the module. Its commands share it.
#[derive(Debug)]
pub(super) struct Join<T> {
    /// Whose answer it is; taken when it is told.
    op: RefCell<Option<T>>,
    /// Whether the answer is a list, and not a sum.
    is_list: bool,
    answers: RefCell<Vec<Option<Answer>>>,
    left: Cell<usize>,
    /// When the first of them was written.
    written: Cell<Nanos>,
}

/// One of the commands.
#[derive(Debug)]
pub struct Part<T> {
    join: Rc<Join<T>>,
    place: usize,
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { join: Rc::clone(&self.join), place: self.place }
    }
}

impl<T> Part<T> {
    /// The commands of a request of so many keys. `is_list`: it is answered with a list, and not with a number.
    pub fn all(op: T, keys: usize, is_list: bool) -> impl Iterator<Item = Self> {
        let join = Rc::new(Join {
            op: RefCell::new(Some(op)),
            is_list,
            answers: RefCell::new(vec![None; keys]),
            left: Cell::new(keys),
            written: Cell::new(Nanos::MAX),
        });
        (0..keys).map(move |place| Self { join: Rc::clone(&join), place })
    }

    /// It was not, or will not be, answered: so the whole is not. Whose that was; `None`: it was told already.
    #[must_use]
    pub fn failed(&self) -> Option<T> {
        self.join.op.take()
    }

    /// It was answered. With the last one the whole is: it is put behind what is in the batch.
    pub fn answered(
        &self,
        tokens: &[Token],
        written: Nanos,
        context: Option<String>,
        batch_buffer: &[u8],
    ) -> Option<Joined<T>> {
        let answer = match tokens {
            [Token::Text(range)] => Answer::Text(batch_buffer[range.clone()].into()),
            [Token::Number(number)] => Answer::Number(*number),
            [Token::Error(range)] => {
                let words = &batch_buffer[range.clone()];
                // MGET takes what is no text for nothing.
                if self.join.is_list && words.starts_with(b"WRONGTYPE") {
                    Answer::Null
                } else {
                    Answer::Error(words.into(), context.unwrap_or_default())
                }
            }
            _ => Answer::Null,
        };
        self.join.answers.borrow_mut()[self.place] = Some(answer);
        self.join.written.set(self.join.written.get().min(written));
        self.join.left.set(self.join.left.get() - 1);
        if self.join.left.get() > 0 {
            return None;
        }
        let op = self.join.op.take()?;
        let answers = self.join.answers.take().into_iter().flatten().collect();
        Some(Joined { op, is_list: self.join.is_list, answers, written: self.join.written.get() })
    }
}

/// A whole answer.
pub struct Joined<T> {
    op: T,
    is_list: bool,
    answers: Vec<Answer>,
    written: Nanos,
}

impl<T> Joined<T> {
    /// As if a server had given it, behind what it has said before.
    pub fn put(self, batch: &mut Batch<T>) -> Item<T> {
        let first = batch.tokens.len();
        let text = |batch: &mut Batch<T>, text: &[u8]| {
            let start = batch.buffer.len();
            batch.buffer.extend_from_slice(text);
            start..batch.buffer.len()
        };
        let mut context = None;
        let mut sum = 0;
        if self.is_list {
            batch.tokens.push(Token::Array(self.answers.len()));
        }
        for answer in self.answers {
            match answer {
                Answer::Error(words, of) => {
                    let words = text(batch, &words);
                    batch.tokens.truncate(first);
                    batch.tokens.push(Token::Error(words));
                    context = Some(of);
                    break;
                }
                Answer::Text(words) if self.is_list => {
                    let words = text(batch, &words);
                    batch.tokens.push(Token::Text(words));
                }
                Answer::Number(number) if !self.is_list => sum += number,
                _ => batch.tokens.push(Token::Null),
            }
        }
        if !self.is_list && context.is_none() {
            batch.tokens.truncate(first);
            batch.tokens.push(Token::Number(sum));
        }
        Item::Reply { tag: self.op, tokens: first..batch.tokens.len(), written: self.written, context }
    }
}
