//! The functions of the cache services.

use std::rc::Rc;

use napi::sys;

use super::bind::{Answer, Thrown, bad_handle, check_length, functions, index_number, text_of};
use super::embedded_state::Side;
use super::engine::Engine;
use super::hits::Hit;
use super::js::{Call, Outside};
use super::part::JsPart;
use crate::error::{Code, Error};
use crate::map::ids::{Ids, Known};
use crate::map::peers::Peers;
use crate::map::store::Store;
use crate::near::Trace;
use crate::redis::Nanos;
use crate::services::context::{self, Matched, Part as _, Shape, Verb, match_args, match_row};
use crate::services::table::Entry;
use crate::store::candle_ids::Named;
use crate::store::maps::Ask;

/// Verbs, by the number that JavaScript uses.
const VERBS: [Verb; 3] = [Verb::Has, Verb::Get, Verb::Delete];

impl Engine {
    /// Answers from the near cache, or queues the command. `second`: the other key that the answer is made of; empty, where there is none.
    fn unless_known(
        self: &Rc<Self>,
        outside: &mut Outside,
        key: &[u8],
        second: &[u8],
        ask: impl for<'a> FnOnce(&'a Ids, Nanos) -> Option<Known<'a>>,
        push: impl FnOnce(&mut Store, &mut Peers, Trace) -> crate::error::Result<()>,
    ) -> Answer {
        match self.hit(outside, key, second, ask)? {
            Hit::Now(answer) => return Ok(Some(answer)),
            Hit::Queued => {}
            Hit::Miss(trace) => self.queue(outside, |store, peers| push(store, peers, trace))?,
        }
        Ok(None)
    }

    /// The keys of a call with arguments `(noun, count, ...five places)`.
    fn push_context<const N: usize>(
        &self,
        call: &Call<N>,
        verb: Verb,
        out: &mut Vec<u8>,
    ) -> Result<(&Entry, Matched), Thrown> {
        let entry = self.entry(call.env, call.args[0])?;
        let count = call.env.u32(call.args[1])? as usize;
        let parts = call.parts(2);
        Ok((entry, match_args(entry, verb, count, &parts, out)?))
    }

    /// Runs `body` with what a call with arguments `(noun, count, ...five places)` names, and its keys; the second one is empty
    /// where its form has none.
    #[inline]
    fn with_context(
        self: &Rc<Self>,
        call: &Call<7>,
        verb: Verb,
        body: impl FnOnce(&Entry, Matched, &[u8], &[u8]) -> Answer,
    ) -> Answer {
        self.with_scratch(|keys| {
            let (entry, matched) = self.push_context(call, verb, keys)?;
            let (first, second) = keys.split_at(matched.first_end);
            body(entry, matched, first, second)
        })
    }

    /// Runs `body` with the key and the id that a row is stored by.
    fn with_row(self: &Rc<Self>, call: &Call<7>, body: impl FnOnce(&[u8], &[u8]) -> Answer) -> Answer {
        self.with_scratch(|bytes| {
            let (entry, _, end) = self.push_row(call, bytes)?;
            if subkey(entry, &bytes[..end]).is_empty() {
                return Err(key_empty().into());
            }
            check_length(bytes.len() - end)?;
            let (key, id) = bytes.split_at(end);
            body(key, id)
        })
    }

    /// The key and then the id of a row, from `(noun, ...five fields, id)`; the form's index, and where the key ends.
    fn push_row(&self, call: &Call<7>, out: &mut Vec<u8>) -> Result<(&Entry, usize, usize), Thrown> {
        let env = call.env;
        let entry = self.entry(env, call.args[0])?;
        let form = match_row(entry, &call.parts(1), out)?;
        let end = out.len();
        let id = JsPart { env, value: call.args[6] };
        match id.shape() {
            Shape::Text | Shape::Number(_) | Shape::Scalar => id.push_text(out)?,
            Shape::Missing(what) => return Err(context::no_id(entry, &format!("id and _id are {what}")).into()),
            Shape::Other(what) => return Err(context::no_id(entry, &format!("it is {what}")).into()),
        }
        if out.len() == end {
            return Err(context::no_id(entry, "it is empty").into());
        }
        Ok((entry, form, end))
    }
}

/// The candle that a call names, where it names one: the store finds its id without a key.
fn candle_of(entry: &Entry, matched: Matched, call: &Call<7>) -> Result<Option<Named>, Thrown> {
    if entry.noun.name != "Candle" || matched.form != 0 {
        return Ok(None);
    }
    let text = |place: usize| {
        let mut bytes = Vec::new();
        JsPart { env: call.env, value: call.args[2 + place] }.push_text(&mut bytes)?;
        Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Some(Named { symbol: text(0)?, interval: text(1)?, exchange: text(2)?, timestamp: text(3)? }))
}

/// The key without its prefix.
fn subkey<'a>(entry: &Entry, key: &'a [u8]) -> &'a [u8] {
    &key[entry.service.prefix.len() + 1..]
}

/// The second key of a call, where it has one.
fn other(second: &[u8]) -> Option<Vec<u8>> {
    (!second.is_empty()).then(|| second.to_vec())
}

fn key_empty() -> Error {
    Error::new(Code::KeyEmpty, "Key cannot be empty")
}

functions! {
    /// `idGet(noun, count, ...args)`
    id_get as "idGet" (engine, outside, call: 7) {
        engine.with_context(call, Verb::Get, |entry, matched, first, second| {
            if engine.is_embedded(Side::Maps) {
                let ask = match candle_of(entry, matched, call)? {
                    Some(candle) => Ask::CandleId(first.to_vec(), candle),
                    None => Ask::Get(first.to_vec(), other(second)),
                };
                return engine.ask_store(outside, ask);
            }
            engine.unless_known(outside, first, second, |ids, now| ids.text(first, second, now), |store, peers, trace| match second {
                [] => store.get_id(peers, first, trace),
                _ => store.get_first(peers, first, second),
            })
        })
    }

    /// `idPeek(noun, count, ...args)`: the id, if the near cache knows it; it asks nobody.
    id_peek as "idPeek" (engine, outside, call: 7) {
        engine.with_context(call, Verb::Get, |_, _, first, second| Ok(engine.peek(outside, first, second)?))
    }

    /// `idHas(noun, count, ...args)`
    id_has as "idHas" (engine, outside, call: 7) {
        engine.with_context(call, Verb::Has, |entry, matched, first, second| {
            if engine.is_embedded(Side::Maps) {
                let ask = match candle_of(entry, matched, call)? {
                    Some(candle) => Ask::HasCandle(first.to_vec(), candle),
                    None => Ask::Has(first.to_vec(), other(second)),
                };
                return engine.ask_store(outside, ask);
            }
            engine.unless_known(outside, first, second, |ids, now| ids.presence(first, second, now), |store, peers, trace| match second {
                [] => store.has_id(peers, first, trace),
                _ => store.has_any(peers, first, second),
            })
        })
    }

    /// `idDelete(noun, count, ...args)`
    id_delete as "idDelete" (engine, outside, call: 7) {
        engine.with_scratch(|keys| {
            let (_, matched) = engine.push_context(call, Verb::Delete, keys)?;
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Delete(keys[..matched.first_end].to_vec()));
            }
            engine.queue(outside, |store, peers| store.delete(peers, &keys[..matched.first_end], true))?;
            Ok(None)
        })
    }

    /// `idKeys(noun, count, ...args, verb)`: `[form, key, secondKey?]`, for log entries and overridden methods. It sends
    /// nothing. Verbs are numbered as [`VERBS`].
    id_keys as "idKeys" (engine, call: 8) {
        engine.with_scratch(|keys| {
            let verb = *VERBS.get(call.env.u32(call.args[7])? as usize).ok_or_else(|| bad_handle("verb"))?;
            let (entry, matched) = engine.push_context(call, verb, keys)?;
            let env = call.env;
            let list = env.array(2)?;
            env.set_element(list, 0, env.number(index_number(matched.form))?)?;
            env.set_element(list, 1, env.text(subkey(entry, &keys[..matched.first_end]))?)?;
            if let Some(end) = matched.second_end {
                env.set_element(list, 2, env.text(subkey(entry, &keys[matched.first_end..end]))?)?;
            }
            Ok(Some(list))
        })
    }

    /// `idSet(noun, ...five fields, id)`: stores a row's id; the outcome is the id.
    id_set as "idSet" (engine, outside, call: 7) {
        engine.with_row(call, |key, id| {
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::SetId(key.to_vec(), id.to_vec()));
            }
            engine.queue(outside, |store, peers| store.set_id(peers, key, id))?;
            Ok(None)
        })
    }

    /// `idRefresh(noun, ...five fields, id)`: the same, but nothing is sent where the near cache knows that the key holds the
    /// id. Only for whoever finds out and writes again where somebody else's news is still under way.
    id_refresh as "idRefresh" (engine, outside, call: 7) {
        engine.with_row(call, |key, id| {
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Refresh(key.to_vec(), id.to_vec()));
            }
            engine.unless_known(outside, key, &[], |ids, now| ids.unchanged(key, id, now), |store, peers, _| store.set_id(peers, key, id))
        })
    }

    /// `noRow(noun, what)` throws the error for something that is no row.
    no_row as "noRow" (engine, call: 2) {
        Err(context::no_row(engine.entry(call.env, call.args[0])?, &text_of(call.env, call.args[1])?).into())
    }

    /// `rowKey(noun, ...five fields, id)`: `[form, key, id]`, for log entries. It writes nothing.
    row_key as "rowKey" (engine, call: 7) {
        engine.with_scratch(|bytes| {
            let (entry, form, end) = engine.push_row(call, bytes)?;
            let env = call.env;
            let list = env.array(3)?;
            env.set_element(list, 0, env.number(index_number(form))?)?;
            env.set_element(list, 1, env.text(subkey(entry, &bytes[..end]))?)?;
            env.set_element(list, 2, env.text(&bytes[end..])?)?;
            Ok(Some(list))
        })
    }
}
