//! A call that waits for its answer.

use std::sync::Arc;

use super::executor::Executor;
use crate::error::{Code, Error};
use crate::mongo::failure::{Failure, Outcome};
use crate::mongo::table;
use crate::mongo::wire::{Answer, CallId, Op, Request};

/// It always gets an answer: one that is dropped, because its job panicked, is told so.
pub(super) struct Caller {
    executor: Arc<Executor>,
    call: CallId,
    op: Op,
    collection: usize,
    bytes: usize,
    answered: bool,
}

impl Caller {
    /// Of a request that the executor has admitted.
    pub(super) fn new(executor: &Arc<Executor>, request: &Request) -> Self {
        let Request { call, op, collection, ref body } = *request;
        Self { executor: Arc::clone(executor), call, op, collection, bytes: body.as_bytes().len(), answered: false }
    }

    /// Tells it what became of it.
    pub(super) fn answer(mut self, outcome: Outcome<Answer>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome<Answer>) {
        self.answered = true;
        let told = |failure: Failure| {
            let what = format!("{} on {}", self.attempt(), failure.place(self.executor.servers()));
            failure.without(self.executor.secrets()).attempted(&what)
        };
        self.executor.answer(self.call, self.bytes, outcome.map_err(told));
    }

    /// What was attempted, for messages.
    fn attempt(&self) -> String {
        if self.op == Op::Ping {
            "ping".to_owned()
        } else {
            format!("{:?} {}", self.op, table::collection(self.collection).name)
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use mongodb::bson::{RawDocument, RawDocumentBuf, rawdoc};

    use super::*;
    use crate::config::mongo as config;
    use crate::mongo::driver::executor::Outbox;
    use crate::mongo::driver::runtime::Runtime;

    /// Takes answers, each as the number of its call and its document.
    struct Inbox(Mutex<mpsc::Sender<(CallId, RawDocumentBuf)>>);

    impl Outbox for Inbox {
        fn put(&self, write: &mut dyn FnMut(&mut Vec<u8>)) {
            let mut bytes = Vec::new();
            write(&mut bytes);
            let call = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            let document = RawDocument::from_bytes(&bytes[16..]).map(ToOwned::to_owned).unwrap_or_default();
            self.0.lock().unwrap().send((call, document)).unwrap();
        }
    }

    /// An executor that has no server and needs none.
    fn executor(queue: &str, bytes: &str) -> (Arc<Executor>, mpsc::Receiver<(CallId, RawDocumentBuf)>) {
        let (send, answers) = mpsc::channel();
        let set = [("CC_MONGO_QUEUE_MAX", queue), ("CC_MONGO_QUEUE_MAX_BYTES", bytes)];
        let values = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = config::resolve(&BTreeMap::from(values)).unwrap();
        (Executor::new(Runtime::shared().unwrap(), config, Arc::new(Inbox(Mutex::new(send)))), answers)
    }

    fn request(call: CallId, op: Op) -> Request {
        Request { call, op, collection: 0, body: rawdoc! { "text": "0123456789" } }
    }

    fn caller(executor: &Arc<Executor>, call: CallId) -> Caller {
        let request = request(call, Op::Find);
        executor.admit(&request).unwrap();
        Caller::new(executor, &request)
    }

    #[test]
    fn calls_of_a_job_that_panics_are_told_and_others_are_not_affected() {
        let (executor, answers) = executor("", "");
        let (mine, too, other) = (caller(&executor, 1), caller(&executor, 2), caller(&executor, 3));
        executor.spawn(async move {
            let _callers = [mine, too];
            panic!("a bug, as the test wants it");
        });
        let mut told = [answers.recv().unwrap(), answers.recv().unwrap()];
        told.sort_by_key(|(call, _)| *call);
        assert_eq!(told.each_ref().map(|(call, _)| *call), [1, 2]);
        for (_, failure) in &told {
            assert_eq!(failure.get_str("code").ok(), Some("CLOSED"));
            assert!(failure.get_str("message").unwrap().contains("has a bug: Find candle-items"), "{failure:?}");
        }
        // An answer is counted right behind it.
        let until = Instant::now() + Duration::from_secs(10);
        while executor.waiting() > 1 && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(executor.waiting(), 1);
        executor.spawn(async move { other.answer(Ok(Answer::None)) });
        assert_eq!(answers.recv().unwrap().0, 3);
    }

    #[test]
    fn more_calls_than_the_bound_are_refused_until_one_is_answered() {
        let (executor, _answers) = executor("2", "");
        let (first, _second) = (caller(&executor, 1), caller(&executor, 2));
        let refused = executor.admit(&request(3, Op::Find)).unwrap_err();
        assert_eq!(refused.code, Code::QueueFull);
        assert!(refused.message.contains("CC_MONGO_QUEUE_MAX"), "{refused}");
        assert!(executor.admit(&request(4, Op::Close)).is_ok(), "a cursor is forgotten all the same");
        drop(Caller::new(&executor, &request(4, Op::Close)));
        first.answer(Ok(Answer::None));
        assert!(executor.admit(&request(5, Op::Find)).is_ok());
    }

    #[test]
    fn more_bytes_than_the_bound_are_refused_until_some_are_answered() {
        let (executor, _answers) = executor("", "1024");
        let bytes = request(0, Op::Find).body.as_bytes().len();
        let mut callers: Vec<_> =
            (0..1024 / bytes).map(|call| caller(&executor, u32::try_from(call).unwrap())).collect();
        let refused = executor.admit(&request(99, Op::Find)).unwrap_err();
        assert_eq!(refused.code, Code::QueueFull);
        assert!(refused.message.contains("CC_MONGO_QUEUE_MAX_BYTES"), "{refused}");
        callers.pop().unwrap().answer(Ok(Answer::None));
        assert!(executor.admit(&request(100, Op::Find)).is_ok());
    }
}
