//! A call that waits for its answer.

use std::sync::Arc;

use super::session::{Outcome, Session, collection};
use crate::error::{Code, Error};
use crate::mongo::wire::{Answer, Call, Op, Request};

/// It gets an answer whatever happens: one that is dropped, because the job that worked for it panicked, is told so.
pub(super) struct Caller {
    session: Arc<Session>,
    call: Call,
    op: Op,
    collection: usize,
    bytes: usize,
    answered: bool,
}

impl Caller {
    /// Of a request that the session has admitted.
    pub(super) fn new(session: &Arc<Session>, request: &Request) -> Self {
        let Request { call, op, collection, ref body } = *request;
        Self { session: Arc::clone(session), call, op, collection, bytes: body.as_bytes().len(), answered: false }
    }

    /// Tells it what became of it.
    pub(super) fn answer(mut self, outcome: Outcome<Answer>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome<Answer>) {
        self.answered = true;
        self.session.answer(self.call, self.bytes, outcome.map_err(|failure| failure.attempted(&self.attempt())));
    }

    /// What was attempted, for messages.
    fn attempt(&self) -> String {
        let what = if self.op == Op::Ping {
            "ping".to_owned()
        } else {
            format!("{:?} {}", self.op, collection(self.collection).name)
        };
        format!("{what} on {}", self.session.servers())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.answered {
            let what = format!("backtest-kit-native has a bug: {} was given up", self.attempt());
            self.tell(Err(Error::new(Code::Closed, what).into()));
        }
    }
}
