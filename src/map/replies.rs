//! Replies in, outcomes out.

use std::ops::Range;

use crate::cluster::topology::own;
use crate::error::{Code, Error};
use crate::map::backend::Backend;
use crate::map::needs::Need;
use crate::map::op::{Op, Outcome, Outcomes, ScanId};
use crate::map::scan::{Page, Step};
use crate::map::store::Store;
use crate::redis::batch::{Batch, Item};
use crate::redis::by_peer::PeerId;
use crate::redis::decode::Token;
use crate::redis::handshake::run_id;
use crate::redis::slot::SlotSet;

impl Store {
    /// Turns the answers of a backend into outcomes. Requests that scans want next are queued.
    pub fn absorb(&mut self, from: &mut impl Backend, batch: &mut Batch<Op>, outcomes: &mut Outcomes) {
        // First: an answer that is in the batch may be older than what raised the doubt.
        for slot in from.doubted() {
            self.ids.doubted(slot);
        }
        let mut items = std::mem::take(&mut batch.items);
        for item in items.drain(..) {
            let item = match item {
                Item::Reply { tag: Op::Part(part), tokens, written, context } => {
                    self.ids.proof(batch.epoch.peer(), written);
                    let joined = part.answered(&batch.tokens[tokens], written, context, &batch.buffer);
                    let Some(joined) = joined else { continue };
                    joined.put(batch)
                }
                Item::Reply { tag: Op::Held(held), tokens, written, .. } => {
                    let peer = batch.epoch.peer();
                    self.ids.proof(peer, written);
                    let answer = held_answer(&batch.buffer, &batch.tokens[tokens]);
                    held.proof.set(answer.is_ok().then_some(written));
                    // That the key is elsewhere says nothing of what this one may be asked.
                    let why = answer.err().filter(|words| !words.starts_with("MOVED "));
                    let why = why.map(|words| from.fit_to_show(peer, &words));
                    self.ids.refusals.told(peer, Need::Held, why);
                    continue;
                }
                Item::Reply { tag: Op::Slots(peer, held), tokens, written, .. } => {
                    self.ids.proof(peer, written);
                    let own = own_slots(&batch.buffer, &batch.tokens[tokens.start]);
                    let (own, why) = match own {
                        Ok(own) => (Some(own), None),
                        Err(words) => (None, Some(from.fit_to_show(peer, &words))),
                    };
                    self.ids.told(peer, &held, own.as_ref().map(|(epoch, slots)| (*epoch, slots)), written);
                    self.ids.refusals.told(peer, Need::Slots, why);
                    continue;
                }
                item => item,
            };
            self.take(from, item, batch, outcomes);
        }
        batch.items = items;
    }

    fn take(&mut self, from: &mut impl Backend, item: Item<Op>, batch: &Batch<Op>, outcomes: &mut Outcomes) {
        let (tag, range, written, context) = match item {
            Item::Reply { tag, tokens, written, context } => (tag, tokens, written, context),
            Item::Push { tokens } => return self.ids.pushed(&batch.tokens[tokens], &batch.buffer),
        };
        let epoch = batch.epoch;
        self.ids.proof(epoch.peer(), written);
        let tokens = &batch.tokens[range.clone()];
        if let Op::Scan(id) | Op::Values(id) | Op::Deleted(id) | Op::Marks(id, _) | Op::InSlot(id) = tag
            && let Some(running) = self.scans.get_mut(&id)
        {
            running.scan.answered_under(epoch);
            running.scan.of_servers(from.servers());
            if matches!(tag, Op::Scan(_))
                && let Some(step) = running.scan.discard()
            {
                return self.carry_out(from, id, step, &(0..0), outcomes);
            }
        }
        if let Token::Error(range) = &tokens[0] {
            let words = String::from_utf8_lossy(&batch.buffer[range.clone()]);
            let error = reply_error(from, epoch.peer(), &words, context.as_deref().unwrap_or_default());
            self.fail(from, &tag, error, outcomes);
            return;
        }
        let outcome = match (tag, tokens) {
            (Op::Get(call), [Token::Text(range)]) => (call, Outcome::Text(range.clone())),
            (Op::Bytes(call), [Token::Text(range)]) => (call, Outcome::Bytes(range.clone())),
            (Op::Get(call) | Op::Bytes(call), [Token::Null]) => (call, Outcome::Null),
            (Op::Remaining(call), [Token::Number(millis)]) => match u64::try_from(*millis) {
                Ok(millis) => (call, Outcome::Millis(Some(millis))),
                Err(_) if *millis == -1 => (call, Outcome::Millis(None)),
                Err(_) => (call, Outcome::Null),
            },
            (Op::Has(call), [Token::Number(count)]) => (call, Outcome::Boolean(*count > 0)),
            (Op::Done(call), [_, ..]) => (call, Outcome::Undefined),
            (Op::GetId(call, read), [Token::Text(range)]) => {
                self.ids.got(read, Some(&batch.buffer[range.clone()]), written, epoch);
                (call, Outcome::Text(range.clone()))
            }
            (Op::GetId(call, read), [Token::Null]) => {
                self.ids.got(read, None, written, epoch);
                (call, Outcome::Null)
            }
            (Op::HasId(call, read), [Token::Number(count)]) => {
                self.ids.exists(read, *count > 0, written, epoch);
                (call, Outcome::Boolean(*count > 0))
            }
            (Op::Expiry(expiry), [Token::Number(millis)]) => return self.ids.expiry(&expiry, *millis),
            (Op::Proof(peer), [_]) => return self.ids.proven(peer),
            (Op::Begun(id), [_]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                running.scan.of_servers(from.servers());
                let step = if running.caller.is_some() { running.scan.demand() } else { Step::default() };
                return self.carry_out(from, id, step, &(0..0), outcomes);
            }
            (Op::Marks(id, of), [Token::Text(text)]) => {
                let text = String::from_utf8_lossy(&batch.buffer[text.clone()]);
                return self.told_slots(from, id, of, &text, outcomes);
            }
            (Op::Run(peer), [token]) => return from.told_run(peer, run_id(&batch.buffer, token)),
            (Op::Stored(call, id, ticket), [_]) => {
                self.ids.written(ticket, &id, epoch);
                (call, Outcome::Owned(id))
            }
            (Op::Settings(call), [Token::Map(_) | Token::Array(_), ..]) => {
                (call, Outcome::Values(range.start + 1..range.end))
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
                let step = running.scan.scanned(&batch.buffer[cursor.clone()], keys_of(batch, keys, &running.prefix));
                return self.carry_out(from, id, step, &(0..0), outcomes);
            }
            (Op::InSlot(id), [Token::Array(_), keys @ ..]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                let step = running.scan.looked(keys_of(batch, keys, &running.prefix));
                return self.carry_out(from, id, step, &(0..0), outcomes);
            }
            (Op::Values(id), [Token::Array(_), ..]) => {
                return self.got_values(from, id, epoch.peer(), &(range.start + 1..range.end), outcomes);
            }
            (Op::Deleted(id), [_]) => {
                let Some(running) = self.scans.get_mut(&id) else { return };
                let step = running.scan.deleted();
                return self.carry_out(from, id, step, &(0..0), outcomes);
            }
            (op, _) => {
                let error = unexpected(from, epoch.peer(), "the command");
                return self.fail(from, &op, error, outcomes);
            }
        };
        outcomes.push(outcome);
    }
}

impl Store {
    /// A master has told its slots, for a scan.
    fn told_slots(&mut self, from: &mut impl Backend, id: ScanId, of: PeerId, text: &str, outcomes: &mut Outcomes) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        match own(text) {
            Ok(node) => {
                let step = running.scan.told(of, Some(node), from.is_opening());
                self.carry_out(from, id, step, &(0..0), outcomes);
            }
            Err(why) => {
                let error = Error::new(Code::RedisReply, format!("{why} (CLUSTER NODES on {})", from.name(of)));
                self.fail_scan(id, error, outcomes);
            }
        }
    }

    /// The values of a scan's page have come: these tokens.
    fn got_values(
        &mut self,
        from: &mut impl Backend,
        id: ScanId,
        of: PeerId,
        values: &Range<usize>,
        outcomes: &mut Outcomes,
    ) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        // A key's place in the page is its value's place in the reply, so the two must be of one length.
        if running.scan.current().map(Page::len) == Some(values.len()) {
            let step = running.scan.values_arrived();
            self.carry_out(from, id, step, values, outcomes);
        } else {
            self.fail_scan(id, unexpected(from, of, "MGET"), outcomes);
        }
    }
}

/// Keys of an answer. Whatever a server or a proxy in between answers: only keys of this map are listed, let alone deleted.
fn keys_of<'b>(batch: &'b Batch<Op>, tokens: &'b [Token], prefix: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let keys = tokens.iter().filter_map(|token| match token {
        Token::Text(range) => Some(&batch.buffer[range.clone()]),
        _ => None,
    });
    keys.filter(move |key| key.starts_with(prefix))
}

/// Whether a cluster's node that was asked whether a key is there owns its slot, and serves it; or why not, in its words.
fn held_answer(buffer: &[u8], answer: &[Token]) -> Result<(), String> {
    match answer {
        [Token::Number(_)] => Ok(()),
        // Only the owner says that a key has gone ahead, and only while the cluster serves.
        [Token::Error(range)] if buffer[range.clone()].starts_with(b"ASK ") => Ok(()),
        [Token::Error(range)] => Err(String::from_utf8_lossy(&buffer[range.clone()]).into_owned()),
        _ => Err("an answer that is no number".to_owned()),
    }
}

/// The slots that a cluster's node says are its own and neither come nor go, and the epoch by which it claims them; or why it does not.
fn own_slots(buffer: &[u8], answer: &Token) -> Result<(u64, SlotSet), String> {
    match answer {
        Token::Text(range) => {
            let node = own(&String::from_utf8_lossy(&buffer[range.clone()]))?;
            Ok((node.epoch, node.settled()))
        }
        Token::Error(range) => Err(String::from_utf8_lossy(&buffer[range.clone()]).into_owned()),
        _ => Err("an answer that is no text".to_owned()),
    }
}

fn unexpected(from: &impl Backend, peer: PeerId, what: &str) -> Error {
    Error::new(Code::RedisReply, format!("The answer to {what} has an unexpected form (server {})", from.name(peer)))
}

/// The server's words come first, so that code which looks for `WRONGTYPE` at the start finds it.
fn reply_error(from: &impl Backend, peer: PeerId, words: &str, context: &str) -> Error {
    let code =
        if words.starts_with("NOAUTH") || words.starts_with("WRONGPASS") { Code::RedisAuth } else { Code::RedisReply };
    Error::new(code, format!("{} ({context} on {})", from.fit_to_show(peer, words), from.name(peer)))
}
