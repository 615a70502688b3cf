//! Outcomes to JavaScript values, and to the promises that wait for them.

use std::ops::Range;

use super::engine::Engine;
use super::hooks::Hook;
use super::js::{Js, NapiValue, Outside, Pending};
use crate::error::{Class, Code, Error};
use crate::map::op::{CallId, Op, Outcome, Outcomes};
use crate::map::scan::Page;
use crate::redis::batch::Batch;
use crate::redis::decode::Token;

/// The most calls that one call of a hook settles: arguments live on the stack.
const CHUNK: usize = 1_024;

/// The numbers of calls that are settled together, in the order of their answers. One server answers calls in a row, so that the first
/// number tells all. Servers that share the keys answer in turns, so that there the numbers are told one by one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Calls {
    /// All, while they are in a row.
    run: Range<CallId>,
    /// Each, once they are not.
    each: Vec<CallId>,
}

impl Calls {
    fn push(&mut self, call: CallId) {
        if !self.each.is_empty() {
            self.each.push(call);
        } else if self.run.is_empty() {
            self.run = call..call + 1;
        } else if call == self.run.end {
            self.run.end += 1;
        } else {
            self.each.extend(self.run.clone().chain([call]));
        }
    }
}

impl Engine {
    /// Settles outcomes in one callback from the event loop: all their promises first, then what waits for them runs.
    pub(super) fn deliver(&self, outside: &mut Outside, batch: &Batch<Op>, outcomes: &mut Outcomes) {
        if outcomes.is_empty() || self.is_dead() {
            outcomes.clear();
            return;
        }
        self.arranged(true);
        let env = self.env;
        env.scoped(|| {
            env.as_callback(self.async_context, outside, |outside| {
                if self.settle_all(outside, batch, outcomes).is_err() {
                    // Nothing can be done about it: JavaScript is ending.
                    env.take_exception();
                }
            })
        });
        outcomes.clear();
    }

    fn settle_all(&self, outside: &mut Outside, batch: &Batch<Op>, outcomes: &mut Outcomes) -> Js<()> {
        self.settle_calls(outside, outcomes.drain(..), |outside, _, outcome| self.value(outside, batch, outcome))
    }

    /// Settles calls by their numbers, each with the value that is made of what it comes to.
    pub(super) fn settle_calls<T>(
        &self,
        outside: &mut Outside,
        answers: impl ExactSizeIterator<Item = (CallId, T)>,
        mut value: impl FnMut(&mut Outside, CallId, T) -> Js<NapiValue>,
    ) -> Js<()> {
        let env = self.env;
        let room = answers.len().min(CHUNK);
        let (mut calls, mut values) = (Calls::default(), Vec::with_capacity(room + 1));
        for (call, answer) in answers {
            if values.len() == CHUNK {
                self.settle(outside, &mut calls, &mut values)?;
            }
            let value = value(outside, call, answer).or_else(|Pending| {
                // One answer that cannot be made must not take the others with it.
                env.take_exception();
                self.error(outside, &Error::new(Code::RedisReply, "The answer is too large for JavaScript"))
            })?;
            calls.push(call);
            values.push(value);
        }
        if values.is_empty() { Ok(()) } else { self.settle(outside, &mut calls, &mut values) }
    }

    /// One call of a hook for all of them, because each takes as long as several values. The numbers of the calls stand behind.
    fn settle(&self, outside: &mut Outside, calls: &mut Calls, values: &mut Vec<NapiValue>) -> Js<()> {
        let env = self.env;
        #[allow(clippy::cast_possible_truncation, reason = "JavaScript knows calls modulo 2^32")]
        let number = |call: CallId| env.number((call as u32).into());
        let hook = if calls.each.is_empty() {
            values.push(number(calls.run.start)?);
            Hook::Settle
        } else {
            for call in calls.each.drain(..) {
                values.push(number(call)?);
            }
            Hook::SettleEach
        };
        calls.run = 0..0;
        let settled = env.invoke(outside, env.undefined()?, self.hook(hook)?, values);
        values.clear();
        settled.map(drop)
    }

    /// The JavaScript value of an outcome. A rejection is an error object: no call resolves to one.
    pub(super) fn value(&self, outside: &mut Outside, batch: &Batch<Op>, outcome: Outcome) -> Js<NapiValue> {
        let env = self.env;
        match outcome {
            Outcome::Undefined => env.undefined(),
            Outcome::Null => env.null(),
            Outcome::Boolean(value) => env.boolean(value),
            #[allow(clippy::cast_precision_loss, reason = "a count of keys in memory")]
            Outcome::Number(count) => env.number(count as f64),
            Outcome::Text(range) => self.text_or_error(outside, &batch.buffer[range]),
            Outcome::Bytes(range) => env.buffer(&batch.buffer[range]),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds within 2^53, or far beyond anybody's time")]
            Outcome::Millis(millis) => env.number(millis.map_or(-1.0, |millis| millis as f64)),
            Outcome::Owned(bytes) => self.text_or_error(outside, &bytes),
            Outcome::Keys(page, prefix) => {
                self.list(outside, page.iter().map(|key| env.text(&key[prefix..])), page.len())
            }
            Outcome::Pairs(page, prefix, values) => self.pairs(outside, batch, &page, prefix, values),
            Outcome::Values(values) => {
                let length = values.len();
                let texts = batch.tokens[values].iter().filter_map(|token| match token {
                    Token::Text(range) => Some(env.text(&batch.buffer[range.clone()])),
                    _ => None,
                });
                self.list(outside, texts, length)
            }
            Outcome::Failed(error) => self.error(outside, &error),
        }
    }

    /// Text; longer than a JavaScript string may be, an error.
    pub(super) fn text_or_error(&self, outside: &mut Outside, bytes: &[u8]) -> Js<NapiValue> {
        self.env.text(bytes).or_else(|Pending| {
            self.env.take_exception();
            let message = format!("The value of {} bytes is longer than a JavaScript string may be", bytes.len());
            self.error(outside, &Error::new(Code::RedisReply, message))
        })
    }

    /// Keys and values in turn. A key whose value is gone, or is not a string, is passed over.
    fn pairs(
        &self,
        outside: &mut Outside,
        batch: &Batch<Op>,
        page: &Page,
        prefix: usize,
        values: Range<usize>,
    ) -> Js<NapiValue> {
        let length = page.len() * 2;
        let flat = page.iter().zip(&batch.tokens[values]).filter_map(|(key, token)| match token {
            Token::Text(range) => Some([&key[prefix..], &batch.buffer[range.clone()]]),
            _ => None,
        });
        self.list(outside, flat.flatten().map(|bytes| self.env.text(bytes)), length)
    }

    /// An array of JavaScript's realm.
    pub(super) fn list(
        &self,
        outside: &mut Outside,
        values: impl Iterator<Item = Js<NapiValue>>,
        length: usize,
    ) -> Js<NapiValue> {
        let env = self.env;
        if length <= 2 * CHUNK {
            let values = values.collect::<Js<Vec<_>>>()?;
            return env.invoke(outside, env.undefined()?, self.hook(Hook::List)?, &values);
        }
        let array = env.invoke(outside, env.undefined()?, self.hook(Hook::List)?, &[])?;
        for (index, value) in values.enumerate() {
            env.set_element(array, u32::try_from(index).map_err(|_| Pending)?, value?)?;
        }
        Ok(array)
    }

    /// An error object of JavaScript's realm.
    pub(super) fn error(&self, outside: &mut Outside, error: &Error) -> Js<NapiValue> {
        let env = self.env;
        let class = match error.code.class() {
            Class::Error => "Error",
            Class::TypeError => "TypeError",
            Class::RangeError => "RangeError",
        };
        let cause = match &error.cause {
            Some(text) => env.text(text.as_bytes())?,
            None => env.undefined()?,
        };
        let (code, class) = (env.text(error.code.as_str().as_bytes())?, env.text(class.as_bytes())?);
        let message = env.text(error.message.as_bytes())?;
        let is_final = env.boolean(error.is_final)?;
        env.invoke(outside, env.undefined()?, self.hook(Hook::Error)?, &[code, class, message, cause, is_final])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(numbers: &[CallId]) -> Calls {
        let mut calls = Calls::default();
        for number in numbers {
            calls.push(*number);
        }
        calls
    }

    #[test]
    fn calls_in_a_row_are_told_by_the_first_one_and_others_one_by_one() {
        assert_eq!(calls(&[7]), Calls { run: 7..8, each: vec![] });
        assert_eq!(calls(&[7, 8, 9]), Calls { run: 7..10, each: vec![] });
        for others in [[7, 8, 10, 11], [7, 9, 10, 11], [8, 7, 8, 9], [7, 8, 9, 9]] {
            assert_eq!(calls(&others).each, others);
        }
    }
}
