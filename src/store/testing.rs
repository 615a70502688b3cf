//! Stores for tests: each in a folder of its own, which goes with it.

pub(crate) mod disk;
pub(crate) mod gate;
pub(crate) mod post;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use rusqlite::Connection;

use super::client::Client;
use super::error::Outcome;
use super::here::Here;
use super::maps::{Ask, Told};
use super::open::{FILE, Use, open};
use super::work::{Answered, Inbox, Work};
use crate::config::store::StoreConfig;
use crate::mongo::wire::{Answer, Op, Request};

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("bkn-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new store, open for writing.
pub(crate) fn store() -> (Folder, Connection) {
    let folder = Folder::new();
    let store = open(&folder.path().join(FILE), Use::Writer(Duration::from_secs(5))).unwrap();
    (folder, store)
}

struct Post(Mutex<mpsc::Sender<Answered>>);

impl Inbox for Post {
    fn take(&self, answers: Vec<Answered>) {
        for answer in answers {
            // At the end nobody waits any more.
            drop(self.0.lock().unwrap().send(answer));
        }
    }
}

/// Who calls a store, and waits for its answers. It lets the store go at its end.
pub(crate) struct Caller {
    pub(crate) client: Arc<Client>,
    inbox: Arc<Post>,
    answers: mpsc::Receiver<Answered>,
    next: Cell<u32>,
    /// Whether it does what it can itself, as the JavaScript thread does.
    does: bool,
    here: RefCell<Option<Here>>,
}

impl Caller {
    /// Of a folder; a call waits so long for the lock.
    pub(crate) fn new(folder: &Path, timeout: Duration, full: bool) -> Self {
        let (send, answers) = mpsc::channel();
        let config =
            StoreConfig { folder: folder.to_owned(), timeout, full, queue_max: 10_000, queue_max_bytes: 1 << 28 };
        let inbox = Arc::new(Post(Mutex::new(send)));
        let client = Client::new(config, Arc::<Post>::clone(&inbox));
        Self { client, inbox, answers, next: Cell::new(0), does: false, here: RefCell::default() }
    }

    /// The same, which does what it can itself, as the JavaScript thread does.
    pub(crate) fn doing(folder: &Path, timeout: Duration) -> Self {
        let mut caller = Self::new(folder, timeout, false);
        caller.does = true;
        caller
    }

    fn hand_over(&self, work: Work) {
        self.client.admit(&work).unwrap();
        let mut work = vec![work];
        let mut here = self.here.borrow_mut();
        if self.does && here.is_none() {
            *here = Here::of(&self.client);
        }
        let answers = here.as_ref().map(|here| here.carry_out(&self.client, &work)).unwrap_or_default();
        let rest = work.split_off(answers.len());
        if !rest.is_empty() {
            self.client.hand_over(rest);
        }
        self.client.answered(&work, &answers);
        self.inbox.take(answers);
    }

    fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// Hands a call over.
    pub(crate) fn send(&self, ask: Ask) {
        self.hand_over(Work::Map(self.number().into(), ask));
    }

    /// The same of a request for rows.
    pub(crate) fn send_row(&self, op: Op, collection: usize, body: RawDocumentBuf) {
        self.hand_over(Work::Row(Request { call: self.number(), op, collection, body }));
    }

    /// The next answer.
    pub(crate) fn answer(&self) -> Answered {
        self.answers.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// The next answer, if it is there.
    pub(crate) fn answer_now(&self) -> Option<Answered> {
        self.answers.try_recv().ok()
    }

    /// Calls, and waits.
    pub(crate) fn map(&self, ask: Ask) -> Outcome<Told> {
        self.send(ask);
        match self.answer() {
            Answered::Map(_, outcome) => outcome,
            other @ Answered::Row(..) => panic!("{other:?}"),
        }
    }

    /// Waits until what was acknowledged is synced, or cannot be.
    pub(crate) fn mark(&self) -> Outcome<()> {
        self.client.mark(self.number().into());
        match self.answer() {
            Answered::Map(_, outcome) => outcome.map(drop),
            other @ Answered::Row(..) => panic!("{other:?}"),
        }
    }

    /// The same of a request for rows.
    pub(crate) fn row(&self, op: Op, collection: usize, body: RawDocumentBuf) -> Outcome<Answer> {
        self.send_row(op, collection, body);
        match self.answer() {
            Answered::Row(_, outcome) => outcome,
            other @ Answered::Map(..) => panic!("{other:?}"),
        }
    }

    /// Lets the store go, and waits until its file is closed; how many writes it has done itself.
    pub(crate) fn end(self) -> u64 {
        let client = Arc::clone(&self.client);
        drop(self);
        client.thread().wait_for_end();
        client.counters.writes.load(Ordering::Relaxed)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.client.leave(self.here.take().map(Here::into_store));
    }
}
