//! The boundary to JavaScript, and the driver that binds a socket to Node's event loop.
//!
//! All unsafe code of the crate is here. The boundary converts and calls; rules live in the layers below.
//!
//! * [`uv`]: the few libuv functions that we need, looked up in the running node binary.
//! * [`socket`]: a non-blocking stream. [`files`]: the files and the system's certificates that TLS is told of.
//! * [`js`]: Node-API calls that return results instead of status codes, and the proof that JavaScript may run.
//! * [`os`]: what differs between systems. [`clock`]: the clock of the near cache's lease.
//! * [`engine`]: one engine for one copy of the JavaScript module; [`state`]: what it does with its configuration; [`maps`],
//!   [`hooks`]: what JavaScript has made of it and handed to it.
//! * [`teardown`], [`lifeline`]: who keeps it alive, and how it ends.
//! * [`link`]: its socket; [`traffic`]: bytes between that and the lane; [`connect`]: attempts; [`turn`]: reading, settling, writing; [`probe`]: second connections that ask
//!   whether the server is there.
//! * [`sentinels`], [`sentinel_link`]: connections to sentinels, where they say which server is meant.
//! * [`cluster`]: servers of a cluster, as they come and go.
//! * [`life`]: what happens to it between turns: deadlines, alarms, `close()`.
//! * [`hits`]: answers from the near cache, and fairness.
//! * [`settle`]: outcomes to JavaScript values, and to the promises that wait for them.
//! * [`report`]: `stats()` and `health()`.
//! * [`mongo`], [`mongo_state`]: requests to MongoDB's thread, and answers back.
//! * [`embedded`], [`embedded_state`]: calls to the embedded store, on this thread or on its own.
//! * [`bind`], [`part`]: how JavaScript calls us; [`map_calls`], [`id_calls`], [`control_calls`], [`mongo_calls`], [`transfer_calls`],
//!   [`candle_calls`]: the functions;
//!   [`calls`]: what the addon exports; [`store_tools`]: what of it needs no engine.
#![allow(unsafe_code, reason = "Node-API and libuv are C interfaces; each block says why it is sound")]

mod bind;
mod calls;
mod candle_calls;
mod clock;
mod cluster;
mod connect;
mod control_calls;
mod embedded;
mod embedded_state;
mod engine;
mod files;
mod hits;
mod hooks;
mod id_calls;
mod js;
mod life;
mod lifeline;
mod link;
mod map_calls;
mod maps;
mod mongo;
mod mongo_calls;
mod mongo_state;
mod os;
mod part;
mod probe;
mod report;
mod sentinel_link;
mod sentinels;
mod settle;
mod socket;
mod state;
mod store_tools;
mod teardown;
mod traffic;
mod transfer_calls;
mod turn;
mod uv;

use napi::bindgen_prelude::{Env, JsValue as _, Object};
use napi_derive::napi;

/// What the addon exports: `createEngine(hooks, flags)`, `services()`, `collections()`, `storeFacts(…)`, `storeBackup(…)`
/// and `rowDigests(…)`.
#[napi(module_exports)]
pub fn init(exports: Object<'_>, env: Env) -> napi::Result<()> {
    calls::export(env.raw(), exports.raw());
    Ok(())
}
