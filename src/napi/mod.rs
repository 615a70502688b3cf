//! The boundary to JavaScript, and the driver that binds a socket to Node's event loop.
//!
//! All unsafe code of the crate is here. The boundary converts and calls; rules live in the layers below.
//!
//! * [`uv`]: the few libuv functions that we need, looked up in the running node binary.
//! * [`socket`]: a non-blocking stream.
//! * [`js`]: Node-API calls that return results instead of status codes.
//! * [`engine`]: one engine for one copy of the JavaScript module, and who keeps it alive.
//! * [`life`]: what happens to it between turns: flushes, deadlines, alarms, `close()`.
//! * [`connection`]: its socket: connecting, reading, writing.
//! * [`files`]: the files and the system's certificates that TLS is told of.
//! * [`hits`]: answers from the near cache, and fairness.
//! * [`settle`]: outcomes to JavaScript values, and to the promises that wait for them.
//! * [`report`]: `stats()` and `health()`.
//! * [`mongo`]: requests to MongoDB's thread, and answers back.
//! * [`calls`], [`mongo_calls`]: the functions that JavaScript calls.
#![allow(unsafe_code, reason = "Node-API and libuv are C interfaces; each block says why it is sound")]

mod calls;
mod connection;
mod engine;
mod files;
mod hits;
mod js;
mod life;
mod mongo;
mod mongo_calls;
mod part;
mod probe;
mod report;
mod settle;
mod socket;
mod uv;

use napi::bindgen_prelude::{Env, JsValue as _, Object};
use napi_derive::napi;

/// What the addon exports: `createEngine(hooks, flags)`, `services()` and `collections()`.
#[napi(module_exports)]
pub fn init(exports: Object<'_>, env: Env) -> napi::Result<()> {
    calls::export(env.raw(), exports.raw());
    Ok(())
}
