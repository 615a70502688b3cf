//! What the command line asks of a store's file, without an engine. Both wait; their answers are JSON.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::ptr;
use std::time::Duration;

use napi::sys;
use serde_json::{Value as Json, json};

use super::bind::text_of;
use super::js::{Call, Env, NapiValue};
use crate::error::Error;
use crate::mongo::table::collection;
use crate::mongo::transfer::{self, split};
use crate::store::facts as look;

fn answer<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce([String; N]) -> Json + std::panic::UnwindSafe,
) -> NapiValue {
    let env = Env(env);
    let Ok(call) = env.call::<N>(info) else { return ptr::null_mut() };
    let Call { args, .. } = call;
    let mut texts: [String; N] = std::array::from_fn(|_| String::new());
    for (text, arg) in texts.iter_mut().zip(args) {
        match text_of(env, arg) {
            Ok(given) => *text = given,
            Err(_) => return ptr::null_mut(),
        }
    }
    let told = catch_unwind(|| body(texts)).unwrap_or_else(|panic| problem(&Error::bug(panic.as_ref())));
    env.text(told.to_string().as_bytes()).unwrap_or(ptr::null_mut())
}

/// `rowDigests(collection, rows, whole)`: see [`crate::mongo::transfer::digests`]; null where the rows are none.
pub(super) unsafe extern "C" fn digests(env: sys::napi_env, info: sys::napi_callback_info) -> NapiValue {
    let env = Env(env);
    let Ok(call) = env.call::<3>(info) else { return ptr::null_mut() };
    let (Ok(number), Ok(whole)) = (env.u32(call.args[0]), env.truthy(call.args[2])) else { return ptr::null_mut() };
    let mut bytes = Vec::new();
    if env.push_buffer(call.args[1], &mut bytes).is_err() {
        return ptr::null_mut();
    }
    let told =
        catch_unwind(|| split(&bytes).and_then(|rows| transfer::digests(collection(number as usize), &rows, whole)));
    let value = match told {
        Ok(Ok(digests)) => env.buffer(&digests),
        _ => env.null(),
    };
    value.unwrap_or(ptr::null_mut())
}

fn problem(error: &Error) -> Json {
    json!({ "problem": { "code": error.code.as_str(), "message": error.message } })
}

fn patience(millis: &str) -> Duration {
    Duration::from_millis(millis.parse().unwrap_or(10_000))
}

/// `storeFacts(folder, millis)`: see [`look::facts`].
pub(super) unsafe extern "C" fn facts(env: sys::napi_env, info: sys::napi_callback_info) -> NapiValue {
    answer(env, info, |[folder, millis]: [String; 2]| look::facts(&PathBuf::from(folder), patience(&millis)))
}

/// `storeBackup(folder, file, millis)`: `{ bytes }` or `{ problem }`; see [`look::backup`].
pub(super) unsafe extern "C" fn backup(env: sys::napi_env, info: sys::napi_callback_info) -> NapiValue {
    answer(env, info, |[folder, file, millis]: [String; 3]| {
        match look::backup(&PathBuf::from(folder), &PathBuf::from(file), patience(&millis)) {
            Ok(bytes) => json!({ "bytes": bytes }),
            Err(error) => problem(&error),
        }
    })
}
