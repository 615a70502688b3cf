//! Calls in, commands out, replies in, outcomes out: the operations of maps over one lane.
//!
//! Every call that waits has a number, counted from 0; JavaScript counts along. An outcome names the call that it
//! settles. Texts in outcomes are ranges of the batch that they were read in.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::map::ids::{Ids, Read};
use crate::map::pattern::all_under;
use crate::map::scan::{Answer, Command, Kind, Page, Scan, Step};
use crate::near::{Ticket, Trace};
use crate::redis::Nanos;
use crate::redis::decode::Token;
use crate::redis::encode::{push_command, push_head, push_number, push_word};
use crate::redis::handshake::{ASK_RUN, run_id};
use crate::redis::lane::{Batch, Item, Lane};

/// The number of a waiting call.
pub type Call = u64;
/// The number of a scan.
pub type ScanId = u32;

/// Whose reply it is, and what to make of it.
#[derive(Debug)]
pub enum Op {
    /// GET: text or null.
    Get(Call),
    /// EXISTS: whether any of its keys is there.
    Has(Call),
    /// SET, DEL: nothing.
    Done(Call),
    /// GET of an id, whose reply may fill the near cache.
    GetId(Call, Read),
    /// EXISTS of an id, likewise.
    HasId(Call, Read),
    /// The PTTL that travels with the read before it.
    Expiry,
    /// A PING that proves that the server still tells us everything.
    Proof,
    /// An INFO that tells which run of the server answers.
    Run,
    /// SET of an id: the id, as stored.
    Stored(Call, Box<[u8]>, Option<Ticket>),
    /// MGET: the first value that is there.
    First(Call),
    /// A SCAN.
    Scan(ScanId),
    /// The MGET of a scan's page.
    Values(ScanId),
    /// The DEL of a scan's page.
    Deleted(ScanId),
}

/// What a call comes to.
#[derive(Debug)]
pub enum Outcome {
    /// `undefined`
    Undefined,
    /// `null`
    Null,
    /// A boolean.
    Boolean(bool),
    /// Text in the batch.
    Text(Range<usize>),
    /// Text of its own.
    Owned(Box<[u8]>),
    /// A number.
    Number(u64),
    /// Keys of a page; the first so many bytes of each are the map's prefix.
    Keys(Page, usize),
    /// Keys of a page with their values, which are tokens of the batch.
    Pairs(Page, usize, Range<usize>),
    /// Values of a page: tokens of the batch.
    Values(Range<usize>),
    /// A rejection.
    Failed(Error),
}

/// A scan and who waits for it.
struct Running {
    scan: Scan,
    /// Its keys may stand in the near cache.
    tracked: bool,
    pattern: Vec<u8>,
    prefix: Vec<u8>,
    caller: Option<Call>,
    /// Why it cannot go on, until the next demand asks.
    failed: Option<Error>,
}

/// Which run of the server the scans' cursors are of.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    /// It was not asked for on this connection.
    Unasked,
    /// The question is queued, or under way.
    Asked,
    /// The server does not tell, or not us: an ACL may forbid it.
    Untold,
    /// This one.
    Known(String),
}

/// What a demand for a page leads to.
pub enum Demand {
    /// The call waits.
    Queued,
    /// The answer is there already.
    Now(Outcome),
}

/// The operations of maps over one lane.
pub struct Store {
    /// The lane below.
    pub lane: Lane<Op>,
    /// What is known of ids without asking.
    pub ids: Ids,
    server: String,
    next_call: Call,
    scans: HashMap<ScanId, Running>,
    run: Run,
    next_scan: ScanId,
    scan_count: u32,
    scan_count_max: u32,
}

impl Store {
    /// A store for a configuration. It goes on with the counters of the store before it, which must be down; of calls and
    /// scans too, so that an old number never means a new thing.
    #[must_use]
    pub fn new(config: &Config, before: Option<Self>) -> Self {
        let (mut lane, mut ids) = (Lane::new(config), Ids::new(config.near_max_bytes));
        let (next_call, next_scan) = before.map_or((0, 0), |store| {
            lane.resume(store.lane);
            ids.resume(&store.ids);
            (store.next_call, store.next_scan)
        });
        Self {
            lane,
            ids,
            server: config.address.to_string(),
            next_call,
            scans: HashMap::new(),
            run: Run::Unasked,
            next_scan,
            scan_count: config.scan_count,
            scan_count_max: config.scan_count_max,
        }
    }

    /// The socket is connected: see [`Lane::connected`].
    pub fn connected(&mut self, config: &Config, prefixes: Vec<String>, local: Option<String>) {
        self.lane.ask_run(self.scans.values().any(|running| running.scan.is_bound()));
        self.lane.connected(config, prefixes, local);
    }

    /// The handshake is through; `tracking` as in [`crate::redis::lane::News::Ready`]. Nothing of the queue is on the wire
    /// yet. True: the server has just refused to announce changes.
    pub fn ready(&mut self, tracking: std::result::Result<Nanos, String>) -> bool {
        let now = self.lane.run();
        // Where nothing is known, it may be another server.
        let is_same = matches!((&self.run, now), (Run::Known(before), Some(now)) if before == now);
        if !is_same {
            self.scans.values_mut().for_each(|running| running.scan.restart());
        }
        // A question that is still queued only answers the same once more.
        self.run = now.map_or(Run::Unasked, |now| Run::Known(now.to_owned()));
        self.ids.ready(tracking)
    }

    /// The number of the call that was queued last.
    #[must_use]
    pub const fn last_call(&self) -> Call {
        self.next_call.wrapping_sub(1)
    }

    /// Numbers a call that waits for something other than a reply.
    pub const fn reserve(&mut self) -> Call {
        self.next_call += 1;
        self.next_call - 1
    }

    fn call(&mut self, op: impl FnOnce(Call) -> Op, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let call = self.next_call;
        self.lane.push(op(call), write)?;
        self.next_call += 1;
        Ok(())
    }

    /// `GET key`
    pub fn get(&mut self, key: &[u8]) -> Result<()> {
        self.call(Op::Get, |out| {
            out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
            push_word(out, key);
        })
    }

    /// `MGET first second`: the first value that is there.
    pub fn get_first(&mut self, first: &[u8], second: &[u8]) -> Result<()> {
        self.call(Op::First, |out| push_command(out, &[b"MGET", first, second]))
    }

    /// `EXISTS key`
    pub fn has(&mut self, key: &[u8]) -> Result<()> {
        self.call(Op::Has, |out| {
            out.extend_from_slice(b"*2\r\n$6\r\nEXISTS\r\n");
            push_word(out, key);
        })
    }

    /// `EXISTS first second`: whether any is there.
    pub fn has_any(&mut self, first: &[u8], second: &[u8]) -> Result<()> {
        self.call(Op::Has, |out| push_command(out, &[b"EXISTS", first, second]))
    }

    /// `GET key` of an id.
    pub fn get_id(&mut self, key: &[u8], trace: Trace) -> Result<()> {
        self.read_id(key, trace, Op::GetId, b"*2\r\n$3\r\nGET\r\n")
    }

    /// `EXISTS key` of an id.
    pub fn has_id(&mut self, key: &[u8], trace: Trace) -> Result<()> {
        self.read_id(key, trace, Op::HasId, b"*2\r\n$6\r\nEXISTS\r\n")
    }

    fn read_id(&mut self, key: &[u8], trace: Trace, op: fn(Call, Read) -> Op, command: &[u8]) -> Result<()> {
        let read = self.ids.reading(key, trace);
        let expiry = read.asks_expiry();
        self.call(
            |call| op(call, read),
            |out| {
                out.extend_from_slice(command);
                push_word(out, key);
            },
        )?;
        if expiry {
            // Without an answer the entry just ends early; so it is with a full queue.
            let _ = self.lane.push_quiet(Op::Expiry, |out| push_command(out, &[b"PTTL", key]));
        }
        Ok(())
    }

    /// `PING`, to renew the lease.
    pub fn prove(&mut self) {
        if self.ids.proof_sent() && self.lane.push_quiet(Op::Proof, |out| push_command(out, &[b"PING"])).is_err() {
            self.ids.proven();
        }
    }

    /// `SET key value [EX seconds]`. `tracked`: the key may stand in the near cache.
    pub fn set(&mut self, key: &[u8], value: &[u8], ttl: Option<u64>, tracked: bool) -> Result<()> {
        if tracked {
            self.ids.forget(key);
        }
        self.call(Op::Done, |out| push_set(out, key, value, ttl))
    }

    /// `SET key id`; the outcome is the id.
    pub fn set_id(&mut self, key: &[u8], id: &[u8]) -> Result<()> {
        let ticket = self.ids.writing(key);
        self.call(|call| Op::Stored(call, id.into(), ticket), |out| push_set(out, key, id, None))
    }

    /// `DEL key`. `tracked`: the key may stand in the near cache.
    pub fn delete(&mut self, key: &[u8], tracked: bool) -> Result<()> {
        if tracked {
            self.ids.forget(key);
        }
        self.call(Op::Done, |out| {
            out.extend_from_slice(b"*2\r\n$3\r\nDEL\r\n");
            push_word(out, key);
        })
    }

    /// `PING`: the outcome is nothing.
    pub fn ping(&mut self) -> Result<()> {
        self.call(Op::Done, |out| push_command(out, &[b"PING"]))
    }

    /// A scan over the keys that begin with `prefix`. Nothing is sent before its first demand.
    /// `tracked`: its keys may stand in the near cache.
    pub fn open_scan(&mut self, kind: Kind, prefix: &[u8], tracked: bool) -> ScanId {
        let id = self.next_scan;
        self.next_scan = self.next_scan.wrapping_add(1);
        let scan = Scan::new(kind, self.scan_count, self.scan_count_max);
        let pattern = all_under(prefix);
        self.scans.insert(id, Running { scan, tracked, pattern, prefix: prefix.to_vec(), caller: None, failed: None });
        id
    }

    /// Forgets a scan; replies on their way are dropped.
    pub fn close_scan(&mut self, id: ScanId) {
        self.scans.remove(&id);
    }

    /// The next page of a scan. Each scan has one caller at a time.
    pub fn demand(&mut self, id: ScanId) -> Result<Demand> {
        let Some(running) = self.scans.get_mut(&id) else {
            return Err(Error::new(Code::Closed, "The iteration was ended by close()"));
        };
        if let Some(error) = running.failed.take() {
            self.scans.remove(&id);
            return Err(error);
        }
        let step = running.scan.demand();
        let call = self.next_call;
        running.caller = Some(call);
        let mut outcomes = Vec::new();
        self.carry_out(id, step, &(0..0), &mut outcomes);
        match outcomes.pop() {
            Some((_, Outcome::Failed(error))) => Err(error),
            Some((_, outcome)) => Ok(Demand::Now(outcome)),
            None => {
                self.next_call += 1;
                Ok(Demand::Queued)
            }
        }
    }

    /// Sends what a step wants to be sent and settles what it answers.
    fn carry_out(&mut self, id: ScanId, step: Step, values: &Range<usize>, outcomes: &mut Vec<(Call, Outcome)>) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        for command in step.commands {
            let pushed = match command {
                Command::Scan { cursor, count } => {
                    // First, so that a scan which has come further than its first page knows whose cursors it has. Without
                    // an answer it would only start anew more often; so it is with a full queue.
                    if self.run == Run::Unasked
                        && self.lane.push_quiet(Op::Run, |out| push_command(out, ASK_RUN)).is_ok()
                    {
                        self.run = Run::Asked;
                    }
                    self.lane.push(Op::Scan(id), |out| {
                        push_head(out, 6);
                        for word in [b"SCAN", cursor.as_slice(), b"MATCH", &running.pattern, b"COUNT"] {
                            push_word(out, word);
                        }
                        let mut digits = Vec::with_capacity(8);
                        push_number(&mut digits, count.into());
                        push_word(out, &digits);
                    })
                }
                Command::Values => self.lane.push(Op::Values(id), |out| {
                    push_keys(out, b"MGET", running.scan.current().expect("values are of the current page"));
                }),
                Command::Delete(page) => {
                    if running.tracked {
                        page.iter().for_each(|key| self.ids.forget(key));
                    }
                    self.lane.push(Op::Deleted(id), |out| push_keys(out, b"DEL", &page))
                }
            };
            if let Err(error) = pushed {
                self.fail_scan(id, error, outcomes);
                return;
            }
        }
        let Some(answer) = step.answer else { return };
        let (kind, prefix) = (running.scan.kind(), running.prefix.len());
        let Some(call) = running.caller.take() else { return };
        let outcome = match answer {
            Answer::Keys(page) => Outcome::Keys(page, prefix),
            Answer::Values(page) if kind == Kind::Pairs => Outcome::Pairs(page, prefix, values.clone()),
            Answer::Values(_) => Outcome::Values(values.clone()),
            Answer::Count(count) => Outcome::Number(count),
            Answer::End if kind == Kind::Clear => Outcome::Undefined,
            Answer::End => Outcome::Null,
        };
        if matches!(outcome, Outcome::Null | Outcome::Undefined | Outcome::Number(_)) {
            self.scans.remove(&id);
        }
        outcomes.push((call, outcome));
    }

    /// Ends a scan with an error: whoever waits gets it, or else whoever asks next.
    fn fail_scan(&mut self, id: ScanId, error: Error, outcomes: &mut Vec<(Call, Outcome)>) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        if let Some(call) = running.caller.take() {
            self.scans.remove(&id);
            outcomes.push((call, Outcome::Failed(error)));
        } else {
            running.failed = Some(error);
        }
    }

    /// Settles one call, or fails one scan, with an error.
    pub fn fail(&mut self, op: &Op, error: Error, outcomes: &mut Vec<(Call, Outcome)>) {
        match op {
            Op::GetId(call, _) | Op::HasId(call, _) => {
                self.ids.failed(op);
                outcomes.push((*call, Outcome::Failed(error)));
            }
            Op::Get(call) | Op::Has(call) | Op::Done(call) | Op::Stored(call, ..) | Op::First(call) => {
                outcomes.push((*call, Outcome::Failed(error)));
            }
            Op::Expiry | Op::Proof => self.ids.failed(op),
            Op::Run => self.run = Run::Untold,
            Op::Scan(id) | Op::Values(id) | Op::Deleted(id) => self.fail_scan(*id, error, outcomes),
        }
    }

    /// Turns the replies of a batch into outcomes. Commands that scans want next are queued.
    pub fn absorb(&mut self, batch: &mut Batch<Op>, outcomes: &mut Vec<(Call, Outcome)>) {
        let mut items = std::mem::take(&mut batch.items);
        for item in items.drain(..) {
            self.take(item, batch, outcomes);
        }
        batch.items = items;
    }

    fn take(&mut self, item: Item<Op>, batch: &Batch<Op>, outcomes: &mut Vec<(Call, Outcome)>) {
        let (tag, range, written, context) = match item {
            Item::Reply { tag, tokens, written, context } => (tag, tokens, written, context),
            Item::Push { tokens } => return self.ids.pushed(&batch.tokens[tokens], &batch.buffer),
        };
        self.ids.proof(written);
        if !matches!(tag, Op::Expiry) {
            self.ids.without_expiry();
        }
        let tokens = &batch.tokens[range.clone()];
        if let Op::Scan(id) = tag
            && let Some(step) = self.scans.get_mut(&id).and_then(|running| running.scan.discard())
        {
            return self.carry_out(id, step, &(0..0), outcomes);
        }
        if let Token::Error(range) = &tokens[0] {
            let words = String::from_utf8_lossy(&batch.buffer[range.clone()]);
            let error = self.reply_error(&words, context.as_deref().unwrap_or_default());
            self.fail(&tag, error, outcomes);
            return;
        }
        let outcome = match (tag, tokens) {
            (Op::Get(call), [Token::Text(range)]) => (call, Outcome::Text(range.clone())),
            (Op::Get(call), [Token::Null]) => (call, Outcome::Null),
            (Op::Has(call), [Token::Number(count)]) => (call, Outcome::Boolean(*count > 0)),
            (Op::Done(call), [_]) => (call, Outcome::Undefined),
            (Op::GetId(call, read), [Token::Text(range)]) => {
                self.ids.got(read, Some(&batch.buffer[range.clone()]), written);
                (call, Outcome::Text(range.clone()))
            }
            (Op::GetId(call, read), [Token::Null]) => {
                self.ids.got(read, None, written);
                (call, Outcome::Null)
            }
            (Op::HasId(call, read), [Token::Number(count)]) => {
                self.ids.exists(read, *count > 0, written);
                (call, Outcome::Boolean(*count > 0))
            }
            (Op::Expiry, [Token::Number(millis)]) => return self.ids.expiry(*millis),
            (Op::Proof, [_]) => return self.ids.proven(),
            (Op::Run, [token]) => {
                self.run = run_id(&batch.buffer, token).map_or(Run::Untold, Run::Known);
                return;
            }
            (Op::Stored(call, id, ticket), [_]) => {
                self.ids.written(ticket, &id);
                (call, Outcome::Owned(id))
            }
            (Op::First(call), [Token::Array(_), values @ ..]) => {
                let first = values.iter().find_map(|token| match token {
                    Token::Text(range) => Some(Outcome::Text(range.clone())),
                    _ => None,
                });
                (call, first.unwrap_or(Outcome::Null))
            }
            (Op::Scan(id), [Token::Array(2), Token::Text(cursor), Token::Array(_), keys @ ..]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                // Whatever a server or a proxy in between answers: only keys of this map are listed, let alone deleted.
                let keys = keys.iter().filter_map(|token| match token {
                    Token::Text(range) => Some(&batch.buffer[range.clone()]),
                    _ => None,
                });
                let keys = keys.filter(|key| key.starts_with(&running.prefix));
                let step = running.scan.scanned(&batch.buffer[cursor.clone()], keys);
                return self.carry_out(id, step, &(0..0), outcomes);
            }
            (Op::Values(id), [Token::Array(_), values @ ..]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                // A key's place in the page is its value's place in the reply, so the two must be of one length.
                if running.scan.current().map(Page::len) == Some(values.len()) {
                    let step = running.scan.values_arrived();
                    return self.carry_out(id, step, &(range.start + 1..range.end), outcomes);
                }
                return self.fail_scan(id, self.unexpected("MGET"), outcomes);
            }
            (Op::Deleted(id), [_]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                let step = running.scan.deleted();
                return self.carry_out(id, step, &(0..0), outcomes);
            }
            (op, _) => return self.fail(&op, self.unexpected("the command"), outcomes),
        };
        outcomes.push(outcome);
    }

    fn unexpected(&self, what: &str) -> Error {
        Error::new(Code::RedisReply, format!("The answer to {what} has an unexpected form (server {})", self.server))
    }

    /// The server's words come first, so that code which looks for `WRONGTYPE` at the start finds it.
    fn reply_error(&self, words: &str, context: &str) -> Error {
        let code = if words.starts_with("NOAUTH") || words.starts_with("WRONGPASS") {
            Code::RedisAuth
        } else {
            Code::RedisReply
        };
        Error::new(code, format!("{} ({context} on {})", self.lane.secrets().mask(words), self.server))
    }
}

fn push_set(out: &mut Vec<u8>, key: &[u8], value: &[u8], ttl: Option<u64>) {
    out.reserve(key.len() + value.len() + 64);
    out.extend_from_slice(if ttl.is_some() { b"*5\r\n$3\r\nSET\r\n" } else { b"*3\r\n$3\r\nSET\r\n" });
    push_word(out, key);
    push_word(out, value);
    if let Some(seconds) = ttl {
        out.extend_from_slice(b"$2\r\nEX\r\n");
        let mut digits = Vec::with_capacity(20);
        push_number(&mut digits, seconds);
        push_word(out, &digits);
    }
}

fn push_keys(out: &mut Vec<u8>, command: &[u8], page: &Page) {
    push_head(out, page.len() + 1);
    push_word(out, command);
    page.iter().for_each(|key| push_word(out, key));
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "scan_simulation.rs"]
mod scan_simulation;
