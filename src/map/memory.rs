//! For tests: a backend that is no server. It carries requests out itself, in a map, and so shows that the store needs no more
//! from below than [`Backend`] says.

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};
use crate::map::backend::Backend;
use crate::map::op::Op;
use crate::map::request::{Keys, Request};
use crate::redis::batch::{Batch, Item};
use crate::redis::by_peer::PeerId;
use crate::redis::decode::Token;
use crate::redis::epoch::Epoch;
use crate::redis::lane::News;
use crate::redis::slot::Slot;
use crate::redis::{MILLI, Nanos};

/// A text, and when it ends.
type Entry = (Vec<u8>, Option<Nanos>);

/// See the module.
pub(super) struct Memory {
    /// The time, which the test sets.
    pub(super) now: Nanos,
    entries: BTreeMap<Vec<u8>, Entry>,
    /// What was carried out and not taken yet.
    answered: Batch<Op>,
    /// Calls among it.
    waiting: usize,
    most: usize,
    begun: bool,
}

impl Memory {
    /// An empty one, in which so many calls may wait.
    pub(super) fn new(most: usize) -> Self {
        let (entries, answered) = (BTreeMap::new(), Batch::default());
        Self { now: 1, entries, answered, waiting: 0, most, begun: false }
    }

    /// Somebody else writes a text, or deletes a key; the store is told.
    pub(super) fn change(&mut self, key: &[u8], text: Option<&[u8]>) {
        match text {
            Some(text) => drop(self.entries.insert(key.to_vec(), (text.to_vec(), None))),
            None => drop(self.entries.remove(key)),
        }
        self.announce(key);
    }

    fn announce(&mut self, key: &[u8]) {
        let first = self.answered.tokens.len();
        self.answered.tokens.push(Token::Push(2));
        self.say(Some(b"invalidate"));
        self.answered.tokens.push(Token::Array(1));
        self.say(Some(key));
        self.answered.items.push(Item::Push { tokens: first..self.answered.tokens.len() });
    }

    /// Deletes what has ended.
    fn expire(&mut self) {
        let now = self.now;
        let ended = |(_, (_, ends)): &(&Vec<u8>, &Entry)| ends.is_some_and(|ends| ends <= now);
        let ended: Vec<_> = self.entries.iter().filter(ended).map(|(key, _)| key.clone()).collect();
        for key in ended {
            self.change(&key, None);
        }
    }

    fn say(&mut self, text: Option<&[u8]>) {
        let start = self.answered.buffer.len();
        self.answered.buffer.extend_from_slice(text.unwrap_or_default());
        let token = text.map_or(Token::Null, |_| Token::Text(start..self.answered.buffer.len()));
        self.answered.tokens.push(token);
    }

    fn say_text_of(&mut self, key: &[u8]) {
        let text = self.entries.get(key).map(|(text, _)| text.clone());
        self.say(text.as_deref());
    }

    fn say_number(&mut self, number: usize) {
        self.answered.tokens.push(Token::Number(number.try_into().unwrap()));
    }

    fn carry_out(&mut self, op: Op, request: &Request<'_>) {
        self.expire();
        let first = self.answered.tokens.len();
        match *request {
            Request::Get(key) => self.say_text_of(key),
            Request::Exists(keys) => {
                let count = list(keys).iter().filter(|key| self.entries.contains_key(**key)).count();
                self.say_number(count);
            }
            Request::First(one, other) => {
                self.answered.tokens.push(Token::Array(2));
                self.say_text_of(one);
                self.say_text_of(other);
            }
            Request::Set { key, value, ttl } => {
                let ends = ttl.map(|seconds| self.now + seconds * 1_000 * MILLI);
                self.entries.insert(key.to_vec(), (value.to_vec(), ends));
                self.say(Some(b"OK"));
            }
            Request::Add { key, .. } if self.entries.contains_key(key) => self.say(None),
            Request::Add { key, value, millis } => {
                let ends = millis.map(|millis| self.now + millis * MILLI);
                self.entries.insert(key.to_vec(), (value.to_vec(), ends));
                self.say(Some(b"OK"));
            }
            Request::Del(keys) => {
                let count = list(keys).iter().filter(|key| self.entries.remove(**key).is_some()).count();
                self.say_number(count);
            }
            Request::Values(page) => {
                self.answered.tokens.push(Token::Array(page.len()));
                page.iter().for_each(|key| self.say_text_of(key));
            }
            Request::Scan { cursor, pattern, count, .. } => self.scan(cursor, pattern, count as usize),
            Request::Pttl(key) => {
                let millis = match self.entries.get(key) {
                    None => -2,
                    Some((_, None)) => -1,
                    Some((_, Some(ends))) => ((ends - self.now) / MILLI).try_into().unwrap(),
                };
                self.answered.tokens.push(Token::Number(millis));
            }
            Request::Held(..) | Request::Marks(_) | Request::InSlot(..) => panic!("it is no cluster"),
            Request::Settings(_) => self.answered.tokens.push(Token::Map(0)),
            Request::Ping | Request::Proof(_) => self.say(Some(b"PONG")),
            Request::Info | Request::Run(_) => self.say(Some(b"run_id:memory")),
        }
        let tokens = first..self.answered.tokens.len();
        self.answered.items.push(Item::Reply { tag: op, tokens, written: self.now, context: None });
    }

    /// Keys in their order; a cursor is the last key before a page, behind an `=`.
    fn scan(&mut self, cursor: &[u8], pattern: &[u8], count: usize) {
        let prefix: Vec<_> =
            pattern.strip_suffix(b"*").unwrap().iter().copied().filter(|&byte| byte != b'\\').collect();
        let after = cursor.strip_prefix(b"=").unwrap_or_default();
        let page: Vec<_> = self.entries.keys().filter(|key| key.as_slice() > after).take(count).cloned().collect();
        let cursor = if page.len() < count { b"0".to_vec() } else { [b"=", page[count - 1].as_slice()].concat() };
        let found: Vec<_> = page.iter().filter(|key| key.starts_with(&prefix)).collect();
        self.answered.tokens.push(Token::Array(2));
        self.say(Some(&cursor));
        self.answered.tokens.push(Token::Array(found.len()));
        for key in found {
            self.say(Some(key));
        }
    }

    /// What was carried out since the last time.
    pub(super) fn answers(&mut self, batch: &mut Batch<Op>, now: Nanos) -> News {
        self.expire();
        self.waiting = 0;
        *batch = std::mem::take(&mut self.answered);
        if std::mem::replace(&mut self.begun, true) { News::None } else { News::Ready(Ok(now)) }
    }

    /// Calls that are not settled.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    fn full(&self) -> Result<()> {
        if self.waiting < self.most { Ok(()) } else { Err(Error::new(Code::QueueFull, "so many calls wait")) }
    }
}

fn list(keys: Keys<'_>) -> Vec<&[u8]> {
    match keys {
        Keys::One(key) => vec![key],
        Keys::Two(one, other) => vec![one, other],
        Keys::Page(page) => page.iter().collect(),
    }
}

impl Backend for Memory {
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        self.full()?;
        self.waiting += 1;
        self.carry_out(op, request);
        Ok(())
    }

    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        self.full()?;
        self.carry_out(op, request);
        Ok(())
    }

    fn place(&self, _: &[u8]) -> (Epoch, Slot) {
        (Epoch::default(), Slot::NONE)
    }

    fn servers(&self) -> impl Iterator<Item = Epoch> {
        [Epoch::default()].into_iter()
    }

    fn fit_to_show(&self, _: PeerId, words: &str) -> String {
        words.to_owned()
    }

    fn name(&self, _: PeerId) -> &'static str {
        "memory"
    }
}
