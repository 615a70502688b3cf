//! One connection's traffic: the handshake, then the commands of a queue and the replies that belong to them. No socket,
//! no clock, no JavaScript: every race is a unit test.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::config::{Config, Credentials};
use crate::error::{Error, Result};
use crate::redis::Nanos;
use crate::redis::batch::{Batch, Item};
use crate::redis::decode::{Malformed, Token};
use crate::redis::first_words::{Speaks, recognise};
use crate::redis::handshake::{Handshake, Progress, is_temporary};
use crate::redis::inbox::Inbox;
use crate::redis::latency::{Latency, Summary};
use crate::redis::pending::Withdrawn;
use crate::redis::queue::{Answered, Front, Queue};
use crate::redis::refusal::{Refusal, Refused};
use crate::redis::slot::{Slot, SlotSet};
use crate::secrets::Secrets;

/// The state of the wire below the calls.
enum Phase {
    Down,
    Greeting(Box<Handshake>, Nanos),
    Up,
}

/// Counters for `stats()`, since the engine began.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counters {
    /// Commands accepted.
    pub commands: u64,
    /// Replies to them.
    pub replies: u64,
    /// Replies that were errors.
    pub errors: u64,
    /// Commands sent again after a lost connection.
    pub retried: u64,
    /// Commands given up at their deadline.
    pub timeouts: u64,
    /// Connections lost or given up.
    pub losses: u64,
    /// Times that queued commands were flushed together.
    pub flushes: u64,
    /// Bytes written to the socket.
    pub bytes_sent: u64,
    /// Bytes read from it.
    pub bytes_received: u64,
}

impl Counters {
    /// Adds those of another connection.
    pub const fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.replies += other.replies;
        self.errors += other.errors;
        self.retried += other.retried;
        self.timeouts += other.timeouts;
        self.losses += other.losses;
        self.flushes += other.flushes;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

/// What decoding found besides replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// The handshake is through: calls may be written. Since when the server announces changes of tracked keys, or why
    /// it does not.
    Ready(std::result::Result<Nanos, String>),
    /// The server refuses the credentials.
    Refused(String),
    /// The server cannot serve now, in its own words: it is loading, say, or has become a replica. What it would not do
    /// is still wanted.
    Unfit(String),
    /// This connection is of no use; the text says why.
    Broken(String),
    /// The server does not speak our protocol, nor will it; the text says what it speaks.
    Foreign(String),
    /// It does, but will not serve us, however often it is asked: its own words, and what was asked.
    Hopeless(String),
}

/// One connection's traffic. `T` says whose reply it is.
pub struct Lane<T> {
    queue: Queue<T>,
    phase: Phase,
    /// Which byte of this connection's commands was written when: the end of each write, and the moment before it.
    writes: VecDeque<(u64, Nanos)>,
    /// Bytes of this connection's commands that were written, and that were answered.
    written: u64,
    answered: u64,
    /// The server's number for the last connection that was ready, and our address then.
    client: Option<(i64, String)>,
    /// Whether the next handshake asks which run of the server it is; which one the last handshake met.
    asks_run: bool,
    run: Option<String>,
    /// Whether the last handshake was in RESP3.
    is_resp3: bool,
    inbox: Inbox,
    counters: Counters,
    latency: Latency,
    secrets: Secrets,
    /// Whether refusals of a cluster's node are told apart from answers.
    is_in_cluster: bool,
    /// Slots of which a command was refused in what is being decoded.
    refused: SlotSet,
}

impl<T> Lane<T> {
    /// An idle lane with the bounds of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            queue: Queue::new(config),
            phase: Phase::Down,
            writes: VecDeque::new(),
            written: 0,
            answered: 0,
            client: None,
            asks_run: false,
            run: None,
            is_resp3: false,
            inbox: Inbox::default(),
            counters: Counters::default(),
            latency: Latency::default(),
            secrets: config.credentials.as_ref().map(Credentials::secrets).unwrap_or_default(),
            is_in_cluster: false,
            refused: SlotSet::default(),
        }
    }

    /// The server is one of a cluster: a command with a slot that it refuses because of who owns the slot is not answered but
    /// withdrawn, with all of its slot behind it; see [`Batch`].
    pub const fn in_cluster(&mut self) {
        self.is_in_cluster = true;
    }

    /// What must not be shown of the server's words. Those of [`News`] are fit to be shown; those of replies are as they came.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Counters since the engine began.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How long the server has taken to answer lately.
    #[must_use]
    pub fn latency(&self, now: Nanos) -> Summary {
        self.latency.summary(now)
    }

    /// Takes over from the lane before it: counters, and the connection that the server may still hold commands of.
    pub fn resume(&mut self, before: Self) {
        self.counters = before.counters;
        self.latency = before.latency;
        self.client = before.client;
    }

    /// What is not answered yet.
    #[must_use]
    pub const fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    /// Queues a command that `write` appends to the out-buffer.
    pub fn push(&mut self, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.push_at(Slot::NONE, tag, write)
    }

    /// The same for a command that nobody waits for: it keeps nothing alive.
    pub fn push_quiet(&mut self, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.push_quiet_at(Slot::NONE, tag, write)
    }

    /// Queues a command of a slot.
    pub fn push_at(&mut self, slot: Slot, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.queue.push(tag, slot, write)?;
        self.counters.commands += 1;
        Ok(())
    }

    /// The same for one that nobody waits for.
    pub fn push_quiet_at(&mut self, slot: Slot, tag: T, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.queue.push_quiet(tag, slot, write)?;
        self.counters.commands += 1;
        Ok(())
    }

    /// Queues a command that another lane gave back. `asks`: the server does not own its slot yet, and is asked for once.
    pub fn push_withdrawn(&mut self, command: Withdrawn<T>, asks: bool) {
        self.queue.push_withdrawn(command, asks);
    }

    /// Gives back all commands of some slots, in their order.
    pub fn withdraw(&mut self, slots: &SlotSet, out: &mut Vec<Withdrawn<T>>) {
        self.queue.withdraw(slots, out);
    }

    /// Gives back all commands, in their order.
    pub fn withdraw_all(&mut self, out: &mut Vec<Withdrawn<T>>) {
        self.queue.withdraw_all(out);
    }

    /// The flush at the end of a tick: deadlines of what was queued since the last one start here.
    pub fn stamp(&mut self, now: Nanos) {
        self.counters.flushes += u64::from(self.queue.stamp(now));
    }

    /// See [`Queue::hold_after`].
    pub fn hold_after(&mut self, accepted: Option<u64>) {
        self.queue.hold_after(accepted);
    }

    /// Whether the server owes an answer, if only to somebody who has given up.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.is_up() && !self.queue.is_empty()
    }

    /// What the socket should take next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        match &self.phase {
            Phase::Down => &[],
            Phase::Greeting(handshake, _) => handshake.unsent(),
            Phase::Up => self.queue.unsent(),
        }
    }

    /// The socket took that many bytes; `at`: the moment before.
    pub fn sent(&mut self, count: usize, at: Nanos) {
        self.counters.bytes_sent += count as u64;
        match &mut self.phase {
            Phase::Down => {}
            Phase::Greeting(handshake, written) => {
                handshake.sent(count);
                *written = at;
            }
            Phase::Up => {
                self.queue.took(count);
                self.written += count as u64;
                self.writes.push_back((self.written, at));
            }
        }
    }

    /// Whether the socket may have bytes for us.
    #[must_use]
    pub fn expects_replies(&self) -> bool {
        match self.phase {
            Phase::Down => false,
            Phase::Greeting(..) => true,
            Phase::Up => self.queue.is_on_wire(),
        }
    }

    /// Whether the server has not answered anything yet on this connection.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(&self.phase, Phase::Greeting(handshake, _) if handshake.is_new())
    }

    /// Whether calls are written.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// Whether the server may say something on its own: the last handshake was in RESP3.
    #[must_use]
    pub const fn is_resp3(&self) -> bool {
        self.is_resp3
    }

    /// Says whether handshakes are to ask which run of the server they meet.
    pub const fn ask_run(&mut self, ask: bool) {
        self.asks_run = ask;
    }

    /// Which run of the server the last handshake has met, where that was asked for and told.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// The socket is connected: the handshake begins.
    /// `prefixes`: keys whose changes the server is to announce.
    /// `local`: our address, if we have one.
    pub fn connected(&mut self, config: &Config, prefixes: Vec<String>, local: Option<String>) {
        let mut handshake =
            Handshake::new(config.credentials.clone(), config.database, self.client.clone(), prefixes, local);
        if self.asks_run {
            handshake.ask_run();
        }
        if config.sentinels.is_some() {
            handshake.need_master();
        }
        self.phase = Phase::Greeting(Box::new(handshake), 0);
    }

    /// Space for the next read. Give the number of bytes read to [`Lane::filled`].
    pub fn space(&mut self) -> &mut [u8] {
        self.inbox.space()
    }

    /// That many bytes were read into [`Lane::space`].
    pub const fn filled(&mut self, count: usize) {
        self.inbox.filled(count);
        self.counters.bytes_received += count as u64;
    }

    /// Decodes what was read, at that moment, into `batch`.
    pub fn decode(&mut self, batch: &mut Batch<T>, now: Nanos) -> News {
        batch.items.clear();
        batch.has_slotless = false;
        self.inbox.begin(&mut batch.tokens);
        let mut news = News::None;
        let mut first = 0;
        loop {
            match self.inbox.advance(&mut batch.tokens) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Malformed(why)) => {
                    let speaks_tls = recognise(self.inbox.bytes()) == Speaks::Tls && self.is_unanswered();
                    news = if speaks_tls {
                        News::Foreign("it speaks TLS; CC_REDIS_URL must be a rediss:// URL".to_owned())
                    } else {
                        News::Broken(format!("protocol error: {why}"))
                    };
                    break;
                }
            }
            let found = self.place(batch, first, now);
            first = batch.tokens.len();
            self.inbox.placed();
            match found {
                News::None => {}
                ready @ News::Ready(_) => news = ready,
                failure => {
                    news = failure;
                    break;
                }
            }
        }
        if !self.refused.is_empty() {
            self.queue.withdraw(&self.refused, &mut batch.withdrawn);
            self.refused.clear();
        }
        let needed = (!batch.items.is_empty()).then_some(&mut batch.buffer);
        self.inbox.end(&mut batch.tokens, first, needed);
        news
    }

    /// Finds whose reply the tokens from `first` on are.
    fn place(&mut self, batch: &mut Batch<T>, first: usize, now: Nanos) -> News {
        if matches!(batch.tokens[first], Token::Push(_)) && !self.is_subscribed(&batch.tokens[first..]) {
            batch.items.push(Item::Push { tokens: first..batch.tokens.len() });
            return News::None;
        }
        if let Phase::Greeting(handshake, written) = &mut self.phase {
            let progress = handshake.reply(self.inbox.bytes(), &batch.tokens[first..]);
            batch.tokens.truncate(first);
            return match progress {
                Progress::Next => News::None,
                Progress::Ready => {
                    self.client = handshake.client();
                    self.run = handshake.run().map(str::to_owned);
                    self.is_resp3 = handshake.is_resp3();
                    let tracking = handshake.tracking().clone().map(|()| *written);
                    self.phase = Phase::Up;
                    News::Ready(tracking)
                }
                Progress::Refused(words) => News::Refused(words),
                Progress::Unfit(words) => News::Unfit(words),
                Progress::Hopeless(words) => News::Hopeless(words),
            };
        }
        let Some(Front { wanted, sent, slot }) = self.queue.front() else {
            return News::Broken("protocol error: a reply that nobody asked for".into());
        };
        let is_error = matches!(batch.tokens[first], Token::Error(_));
        // An error may come before the whole command was sent (it is too long, say); any other answer may not.
        if !sent && !is_error {
            return News::Broken("protocol error: a reply before its command".into());
        }
        // As if the connection had been lost before this reply: the command stays, and whatever follows it stays behind it.
        if let Token::Error(range) = &batch.tokens[first]
            && wanted
            && let words = String::from_utf8_lossy(&self.inbox.bytes()[range.clone()])
            && is_temporary(&words)
            && !(self.is_in_cluster && words.starts_with("TRYAGAIN"))
        {
            return News::Unfit(self.secrets.mask(&words));
        }
        self.counters.replies += 1;
        if self.is_in_cluster && sent && wanted && self.is_refused(batch, slot, first) {
            if let Some((command, bytes)) = self.queue.withdraw_front() {
                self.answered += bytes as u64;
                batch.withdrawn.push(command);
            }
            batch.tokens.truncate(first);
            return News::None;
        }
        let context = is_error.then(|| {
            self.counters.errors += 1;
            self.queue.describe_front()
        });
        let Some(Answered { tag, bytes }) = self.queue.answered() else { return News::None };
        let mut written = 0;
        if let Some(bytes) = bytes {
            self.answered += bytes as u64;
            written = self.written_at();
            self.latency.note(now.saturating_sub(written), now);
        }
        if let Some(tag) = tag {
            batch.has_slotless |= slot == Slot::NONE;
            batch.items.push(Item::Reply { tag, tokens: first..batch.tokens.len(), written, context });
        } else {
            batch.tokens.truncate(first);
        }
        // The rest of that command would be read as the next one.
        if sent { News::None } else { News::Broken("the server answered a command before its end".into()) }
    }

    /// Whether the command of that slot is to be sent elsewhere: it is refused, or stands behind one that was, whose order it keeps.
    fn is_refused(&mut self, batch: &mut Batch<T>, slot: Slot, first: usize) -> bool {
        if self.refused.contains(slot) {
            return true;
        }
        let Token::Error(range) = &batch.tokens[first] else { return false };
        let Some(why) = Refusal::read(&self.inbox.bytes()[range.clone()]) else { return false };
        let is_new = self.refused.insert(slot);
        if is_new {
            batch.refused.push(Refused { slot, why });
        }
        is_new
    }

    /// Whether a push message is what SUBSCRIBE is answered with in RESP3.
    fn is_subscribed(&self, tokens: &[Token]) -> bool {
        matches!(tokens, [Token::Push(_), Token::Text(name), ..] if &self.inbox.bytes()[name.clone()] == b"subscribe")
    }

    /// When the last byte of the command that was just answered was about to be written.
    fn written_at(&mut self) -> Nanos {
        self.forget_writes(self.answered);
        self.writes.front().map_or(0, |write| write.1)
    }

    /// Nobody asks any more when a byte before that one was written.
    fn forget_writes(&mut self, byte: u64) {
        while self.writes.len() > 1 && self.writes[0].0 < byte {
            self.writes.pop_front();
        }
    }

    /// The connection is gone. What is unanswered and still wanted goes out again on the next one.
    pub fn lost(&mut self) {
        if !matches!(self.phase, Phase::Down) {
            self.counters.losses += 1;
        }
        self.counters.retried += self.queue.rewind() as u64;
        self.phase = Phase::Down;
        self.writes.clear();
        self.written = 0;
        self.answered = 0;
        self.inbox.reset();
    }

    /// See [`Queue::expire`].
    pub fn expire(&mut self, now: Nanos, most: usize, tags: &mut Vec<(T, String)>) {
        self.counters.timeouts += self.queue.expire(now, most, tags);
        self.forget_writes(self.answered + self.queue.expired_bytes() as u64);
    }

    /// See [`Queue::abandon`].
    pub fn abandon(&mut self, count: usize, why: Error) {
        self.queue.abandon(count, why);
    }

    /// See [`Queue::take_abandoned`].
    pub fn take_abandoned(&mut self, most: usize, tags: &mut Vec<(T, String, Rc<Error>)>) {
        self.queue.take_abandoned(most, tags);
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "lane_simulation.rs"]
mod simulation;

#[cfg(test)]
#[path = "withdraw_tests.rs"]
mod withdraw_tests;
