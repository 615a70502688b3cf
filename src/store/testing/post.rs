//! Engines for tests, and their answers one by one.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::config::store::StoreConfig;
use crate::store::client::Client;
use crate::store::error::Outcome;
use crate::store::maps::Told;
use crate::store::work::{Answered, Inbox};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a client's answers come.
pub(crate) struct Post(mpsc::Receiver<Answered>);

struct Letters(Mutex<mpsc::Sender<Answered>>);

impl Inbox for Letters {
    fn take(&self, answers: Vec<Answered>) {
        for answer in answers {
            // Nobody has to read them.
            let _ = self.0.lock().unwrap().send(answer);
        }
    }
}

impl Post {
    /// A new one, and what is put into it.
    pub(crate) fn new() -> (Arc<dyn Inbox>, Self) {
        let (send, answers) = mpsc::channel();
        (Arc::new(Letters(Mutex::new(send))), Self(answers))
    }

    /// The next answer.
    pub(crate) fn next(&self) -> Answered {
        self.0.recv_timeout(PATIENCE).unwrap()
    }

    /// The next answer, which is a map's.
    pub(crate) fn map(&self) -> (u64, Outcome<Told>) {
        match self.next() {
            Answered::Map(call, outcome) => (call, outcome),
            other @ Answered::Row(..) => panic!("{other:?}"),
        }
    }
}

/// A user of a folder's store, who waits so many milliseconds for its lock.
pub(crate) fn client_of(folder: &Path, timeout: u64) -> (Arc<Client>, Post) {
    let (send, post) = Post::new();
    let config = StoreConfig {
        folder: folder.to_owned(),
        timeout: Duration::from_millis(timeout),
        full: false,
        queue_max: 10_000,
        queue_max_bytes: 1 << 24,
    };
    (Client::new(config, send), post)
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it does not come about that {what}");
        std::thread::yield_now();
    }
}
