//! How JavaScript calls functions of an engine: arguments in, an answer or an exception out.
//!
//! Each function converts its arguments, calls the layer below, and returns `undefined` when a call was queued, whose number
//! then stands in the flags: JavaScript makes the promise. Anything else is the answer itself. Failures are thrown.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::engine::Engine;
use super::js::{Call, Env, NapiValue, Outside, Pending};
use super::part::JsPart;
use super::teardown;
use crate::config;
use crate::error::{Code, Error};
use crate::services::table::{Entry, MAX_ARGS};

/// Why a function does not return.
pub(super) enum Thrown {
    /// Our own error.
    Error(Error),
    /// An exception is pending already.
    Pending,
}

impl From<Error> for Thrown {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Pending> for Thrown {
    fn from(Pending: Pending) -> Self {
        Self::Pending
    }
}

/// `None` is `undefined`.
pub(super) type Answer = Result<Option<NapiValue>, Thrown>;

/// Runs a function of an engine: arguments in, answer or exception out. A panic becomes an exception, because it must
/// not unwind into Node.
pub(super) fn enter<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Rc<Engine>, &mut Outside, &Call<N>) -> Answer,
) -> NapiValue {
    let env = Env(env);
    let Ok(call) = env.call::<N>(info) else { return ptr::null_mut() };
    // SAFETY: functions are made with a count of their engine, which their finalizer drops.
    let engine = unsafe { teardown::engine(call.data) };
    let mut outside = Outside::of_callback();
    let answer = catch_unwind(AssertUnwindSafe(|| body(&engine, &mut outside, &call)))
        .unwrap_or_else(|panic| Err(Error::bug(panic.as_ref()).into()));
    match answer {
        Ok(Some(value)) => value,
        Ok(None) => {
            engine.tell_number(&mut outside);
            ptr::null_mut()
        }
        Err(Thrown::Pending) => ptr::null_mut(),
        Err(Thrown::Error(error)) => {
            if let Ok(error) = engine.error(&mut outside, &error) {
                env.throw(error);
            }
            ptr::null_mut()
        }
    }
}

/// Declares the functions of an engine, and the table by which they are made: `(engine, call: places)`, or
/// `(engine, outside, call: places)` for those that need the core, or JavaScript.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident as $js:literal ($($argument:ident),+: $n:literal) $body:block)+) => {
        $(
            $(#[$doc])*
            unsafe extern "C" fn $name(env: sys::napi_env, info: sys::napi_callback_info) -> $crate::napi::js::NapiValue {
                $crate::napi::bind::functions!(@enter env, info, $n, $body, $($argument),+)
            }
        )+
        /// The functions by the names that JavaScript calls them by.
        pub(super) const FUNCTIONS: &[(&str, sys::napi_callback)] = &[$(($js, Some($name))),+];
    };
    (@enter $env:ident, $info:ident, $n:literal, $body:block, $engine:ident, $call:ident) => {
        $crate::napi::bind::enter::<$n>($env, $info, |$engine, _, $call| $body)
    };
    (@enter $env:ident, $info:ident, $n:literal, $body:block, $engine:ident, $outside:ident, $call:ident) => {
        $crate::napi::bind::enter::<$n>($env, $info, |$engine, $outside, $call| $body)
    };
}
pub(super) use functions;

impl Engine {
    /// Runs `body` with the scratch buffer, empty. User code that runs meanwhile and calls us gets another.
    pub(super) fn with_scratch<T>(&self, body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut scratch = self.scratch.take();
        scratch.clear();
        let result = body(&mut scratch);
        if scratch.capacity() <= 1024 * 1024 {
            self.scratch.set(scratch);
        }
        result
    }

    /// The noun of a call.
    pub(super) fn entry(&self, env: Env, noun: NapiValue) -> Result<&Entry, Thrown> {
        Ok(self.entries.get(env.u32(noun)? as usize).ok_or_else(|| bad_handle("noun"))?)
    }
}

impl<const N: usize> Call<N> {
    /// Five arguments from a place on.
    pub(super) fn parts(&self, from: usize) -> [JsPart; MAX_ARGS] {
        std::array::from_fn(|i| JsPart { env: self.env, value: self.args[from + i] })
    }
}

/// What JavaScript handed in is not what it should be.
pub(super) fn bad_handle(what: &str) -> Error {
    Error::new(Code::InvalidContext, format!("not a {what}"))
}

/// A text that JavaScript handed in.
pub(super) fn text_of(env: Env, value: NapiValue) -> Result<String, Thrown> {
    let mut bytes = Vec::new();
    env.push_text(value, &mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Variables, as JSON.
pub(super) fn parse_values(text: &str) -> Result<config::Values, Error> {
    serde_json::from_str::<BTreeMap<String, String>>(text)
        .map_err(|error| Error::new(Code::InvalidConfig, format!("configuration: {error}")))
}

/// Redis refuses longer texts by closing the connection, which would cost other calls a repetition.
pub(super) fn check_length(length: usize) -> Result<(), Error> {
    if length > crate::redis::decode::MAX_TEXT {
        return Err(Error::new(Code::InvalidValue, format!("the value of {length} bytes is longer than 512 MB")));
    }
    Ok(())
}

/// A small number for JavaScript.
pub(super) fn index_number(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap_or_default())
}
