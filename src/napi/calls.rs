//! The functions that JavaScript calls.
//!
//! Each converts its arguments, calls the layer below, and returns `undefined` when a call was queued, whose number
//! then stands in the flags: JavaScript makes the promise. Anything else is the answer itself. Failures are thrown.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::engine::{Engine, Map};
use super::files::trust_of;
use super::hits::Hit;
use super::js::{Call, Env, Js, Pending, Value};
use super::part::JsPart;
use crate::config;
use crate::error::{Code, Error};
use crate::map::ids::{Ids, Known};
use crate::map::op::Op;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::map::store::Store;
use crate::map::ttl;
use crate::near::Trace;
use crate::redis::Nanos;
use crate::redis::lane::Batch;
use crate::redis::peer::Peer;
use crate::services::context::{self, Matched, Shape, Verb};
use crate::services::context::{Part as _, match_args, match_row};
use crate::services::table::{Entry, MAX_ARGS, to_json};

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
pub(super) type Answer = Result<Option<Value>, Thrown>;

/// Runs a function of an engine: arguments in, answer or exception out. A panic becomes an exception, because it must
/// not unwind into Node.
pub(super) fn enter<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Rc<Engine>, &Call<N>) -> Answer,
) -> Value {
    let env = Env(env);
    let Ok(call) = env.call::<N>(info) else { return ptr::null_mut() };
    // SAFETY: functions are made with a count of their engine, which their finalizer drops.
    let engine = unsafe { super::engine::engine(call.data) };
    let answer = catch_unwind(AssertUnwindSafe(|| body(&engine, &call)))
        .unwrap_or_else(|panic| Err(Error::bug(panic.as_ref()).into()));
    match answer {
        Ok(Some(value)) => value,
        Ok(None) => {
            engine.tell_number();
            ptr::null_mut()
        }
        Err(Thrown::Pending) => ptr::null_mut(),
        Err(Thrown::Error(error)) => {
            if let Ok(error) = engine.error(&error) {
                env.throw(error);
            }
            ptr::null_mut()
        }
    }
}

/// Declares the functions of an engine, and the table by which they are made.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident as $js:literal ($engine:ident, $call:ident: $n:literal) $body:block)+) => {
        $(
            $(#[$doc])*
            unsafe extern "C" fn $name(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
                enter::<$n>(env, info, |$engine, $call| $body)
            }
        )+
        /// The functions by the names that JavaScript calls them by.
        pub(super) const FUNCTIONS: &[(&str, sys::napi_callback)] = &[$(($js, Some($name))),+];
    };
}
pub(super) use functions;

impl Engine {
    /// Runs `body` with the scratch buffer, empty. User code that runs meanwhile and calls us gets another.
    fn with_scratch<T>(&self, body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut scratch = self.scratch.take();
        scratch.clear();
        let result = body(&mut scratch);
        if scratch.capacity() <= 1024 * 1024 {
            self.scratch.set(scratch);
        }
        result
    }

    /// The full key of `get(map, key)` and its like.
    fn push_item_key(&self, call_env: Env, map: Value, key: Value, out: &mut Vec<u8>) -> Result<Rc<Map>, Thrown> {
        let map = self.map(call_env.u32(map)? as usize).ok_or_else(|| bad_handle("map"))?;
        out.extend_from_slice(&map.prefix);
        if !call_env.push_text(key, out)? {
            return Err(bad_handle("key").into());
        }
        Ok(map)
    }

    /// Answers from the near cache, or queues the command.
    fn unless_known(
        self: &Rc<Self>,
        key: &[u8],
        ask: impl for<'a> FnOnce(&'a Ids, Nanos) -> Option<Known<'a>>,
        push: impl FnOnce(&mut Store, &mut Peer<Op>, Trace) -> crate::error::Result<()>,
    ) -> Answer {
        match self.hit(key, ask)? {
            Hit::Now(answer) => return Ok(Some(answer)),
            Hit::Queued => {}
            Hit::Miss(trace) => self.queue(|store, peer| push(store, peer, trace))?,
        }
        Ok(None)
    }

    fn entry(&self, env: Env, noun: Value) -> Result<&Entry, Thrown> {
        Ok(self.entries.get(env.u32(noun)? as usize).ok_or_else(|| bad_handle("noun"))?)
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

impl<const N: usize> Call<N> {
    /// Five arguments from a place on.
    fn parts(&self, from: usize) -> [JsPart; MAX_ARGS] {
        std::array::from_fn(|i| JsPart { env: self.env, value: self.args[from + i] })
    }
}

pub(super) fn bad_handle(what: &str) -> Error {
    Error::new(Code::InvalidContext, format!("not a {what}"))
}

/// The key without its prefix.
fn subkey<'a>(entry: &Entry, key: &'a [u8]) -> &'a [u8] {
    &key[entry.service.prefix.len() + 1..]
}

fn key_empty() -> Error {
    Error::new(Code::KeyEmpty, "Key cannot be empty")
}

pub(super) fn text_of(env: Env, value: Value) -> Result<String, Thrown> {
    let mut bytes = Vec::new();
    env.push_text(value, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn parse_values(text: &str) -> Result<config::Values, Error> {
    serde_json::from_str::<BTreeMap<String, String>>(text)
        .map_err(|error| Error::new(Code::InvalidConfig, format!("configuration: {error}")))
}

/// Redis refuses longer texts by closing the connection, which would cost other calls a repetition.
fn check_length(length: usize) -> Result<(), Error> {
    if length > crate::redis::decode::MAX_TEXT {
        return Err(Error::new(Code::InvalidValue, format!("the value of {length} bytes is longer than 512 MB")));
    }
    Ok(())
}

functions! {
    /// `addMap(name, ttl)`: the number of a map, good until `dropMap(number)`. -1 keeps keys for ever.
    add_map as "addMap" (engine, call: 2) {
        let seconds = ttl::check(call.env.f64(call.args[1])?)?;
        let number = engine.with_scratch(|name| -> Result<usize, Thrown> {
            call.env.push_text(call.args[0], name)?;
            Ok(engine.add_map(name, seconds))
        })?;
        Ok(Some(call.env.number(index_number(number))?))
    }

    /// `dropMap(number)`
    drop_map as "dropMap" (engine, call: 1) {
        engine.drop_map(call.env.u32(call.args[0])? as usize);
        Ok(None)
    }

    /// `checkTtl(seconds, shown)` throws where Redis could not take it.
    check_ttl as "checkTtl" (_engine, call: 2) {
        if ttl::check(call.env.f64(call.args[0])?).is_err() {
            return Err(ttl::refused(&text_of(call.env, call.args[1])?).into());
        }
        Ok(None)
    }

    /// `get(map, key)`
    get as "get" (engine, call: 2) {
        engine.with_scratch(|key| {
            engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            engine.queue(|store, peer| store.get(peer, key))?;
            Ok(None)
        })
    }

    /// `has(map, key)`
    has as "has" (engine, call: 2) {
        engine.with_scratch(|key| {
            engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            engine.queue(|store, peer| store.has(peer, key))?;
            Ok(None)
        })
    }

    /// `delete(map, key)`
    delete as "delete" (engine, call: 2) {
        engine.with_scratch(|key| {
            let map = engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            engine.queue(|store, peer| store.delete(peer, key, map.tracked))?;
            Ok(None)
        })
    }

    /// `set(map, key, value)`: the value is a string or a Buffer.
    set as "set" (engine, call: 3) {
        engine.with_scratch(|bytes| {
            let map = engine.push_item_key(call.env, call.args[0], call.args[1], bytes)?;
            let end = bytes.len();
            if !call.env.push_text(call.args[2], bytes)? && !call.env.push_buffer(call.args[2], bytes)? {
                return Err(bad_handle("value").into());
            }
            check_length(bytes.len() - end)?;
            engine.queue(|store, peer| store.set(peer, &bytes[..end], &bytes[end..], map.ttl, map.tracked))?;
            Ok(None)
        })
    }

    /// `idGet(noun, count, ...args)`
    id_get as "idGet" (engine, call: 7) {
        engine.with_scratch(|keys| {
            let (_, matched) = engine.push_context(call, Verb::Get, keys)?;
            let (first, second) = keys.split_at(matched.first_end);
            engine.unless_known(first, |ids, now| ids.text(first, second, now), |store, peer, trace| match matched.second_end {
                None => store.get_id(peer, first, trace),
                Some(_) => store.get_first(peer, first, second),
            })
        })
    }

    /// `idPeek(noun, count, ...args)`: the id, if the near cache knows it; it asks nobody.
    id_peek as "idPeek" (engine, call: 7) {
        engine.with_scratch(|keys| {
            let (_, matched) = engine.push_context(call, Verb::Get, keys)?;
            let (first, second) = keys.split_at(matched.first_end);
            Ok(engine.peek(first, second)?)
        })
    }

    /// `idHas(noun, count, ...args)`
    id_has as "idHas" (engine, call: 7) {
        engine.with_scratch(|keys| {
            let (_, matched) = engine.push_context(call, Verb::Has, keys)?;
            let (first, second) = keys.split_at(matched.first_end);
            engine.unless_known(first, |ids, now| ids.presence(first, second, now), |store, peer, trace| match matched.second_end {
                None => store.has_id(peer, first, trace),
                Some(_) => store.has_any(peer, first, second),
            })
        })
    }

    /// `idDelete(noun, count, ...args)`
    id_delete as "idDelete" (engine, call: 7) {
        engine.with_scratch(|keys| {
            let (_, matched) = engine.push_context(call, Verb::Delete, keys)?;
            engine.queue(|store, peer| store.delete(peer, &keys[..matched.first_end], true))?;
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
    id_set as "idSet" (engine, call: 7) {
        engine.with_row(call, |key, id| {
            engine.queue(|store, peer| store.set_id(peer, key, id))?;
            Ok(None)
        })
    }

    /// `idRefresh(noun, ...five fields, id)`: the same, but nothing is sent where the near cache knows that the key holds the
    /// id. Only for whoever finds out and writes again where somebody else's news is still under way.
    id_refresh as "idRefresh" (engine, call: 7) {
        engine.with_row(call, |key, id| {
            engine.unless_known(key, |ids, now| ids.unchanged(key, id, now), |store, peer, _| store.set_id(peer, key, id))
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

    /// `openScan(map, kind)`: the number of a scan that has not begun. Kinds are numbered as [`KINDS`].
    open_scan as "openScan" (engine, call: 2) {
        let kind = *KINDS.get(call.env.u32(call.args[1])? as usize).ok_or_else(|| bad_handle("kind of scan"))?;
        let map = engine.map(call.env.u32(call.args[0])? as usize).ok_or_else(|| bad_handle("map"))?;
        let id = engine.queue(|store, _| Ok(store.open_scan(kind, &map.prefix, map.tracked)))?;
        Ok(Some(call.env.number(id.into())?))
    }

    /// `page(scan)`: the next page; `null` at the end; of a count, the number.
    page as "page" (engine, call: 1) {
        let id = call.env.u32(call.args[0])?;
        match engine.queue(|store, peer| store.demand(peer, id))? {
            Demand::Queued => Ok(None),
            Demand::Now(outcome) => Ok(Some(engine.value(&Batch::default(), outcome)?)),
        }
    }

    /// `closeScan(scan)`
    close_scan as "closeScan" (engine, call: 1) {
        let id = call.env.u32(call.args[0])?;
        engine.queue(|store, _| {
            store.close_scan(id);
            Ok(())
        })?;
        Ok(None)
    }

    /// `ping()`
    ping as "ping" (engine, _call: 0) {
        engine.queue(Store::ping)?;
        Ok(None)
    }

    /// `flush()`: the end of a tick.
    flush as "flush" (engine, _call: 0) {
        engine.flush();
        Ok(None)
    }

    /// `configure(json)`: takes variables into use. Nothing may be open.
    configure as "configure" (engine, call: 1) {
        let values = parse_values(&text_of(call.env, call.args[0])?)?;
        // What cannot be used is said at once, whichever server it is about.
        crate::mongo::config::resolve(&values)?;
        let config = config::resolve(&values)?;
        let trust = trust_of(&config)?;
        engine.configure(config, trust);
        Ok(None)
    }

    /// `checkVariable(name, text)` throws where the value cannot be used.
    check_variable as "checkVariable" (_engine, call: 2) {
        config::check(&text_of(call.env, call.args[0])?, &text_of(call.env, call.args[1])?)?;
        Ok(None)
    }

    /// `showConfig(json)`: all variables as JSON, without secrets.
    show_config as "showConfig" (_engine, call: 1) {
        let shown = config::show(&parse_values(&text_of(call.env, call.args[0])?)?);
        Ok(Some(call.env.text(shown.to_string().as_bytes())?))
    }

    /// `configDiffers(json, json)`: whether they amount to something else: 1 for Redis, 2 for MongoDB, 3 for both, 0 for none.
    config_differs as "configDiffers" (_engine, call: 2) {
        let one = parse_values(&text_of(call.env, call.args[0])?)?;
        let other = parse_values(&text_of(call.env, call.args[1])?)?;
        let redis = config::resolve(&one)? != config::resolve(&other)?;
        let mongo = crate::mongo::config::resolve(&one)? != crate::mongo::config::resolve(&other)?;
        Ok(Some(call.env.number(f64::from(u8::from(redis) + 2 * u8::from(mongo)))?))
    }

    /// `clientOptions(json)`: what other clients take, as JSON. It holds secrets.
    client_options as "clientOptions" (_engine, call: 1) {
        let options = crate::clients::options(&parse_values(&text_of(call.env, call.args[0])?)?)?;
        Ok(Some(call.env.text(options.to_string().as_bytes())?))
    }

    /// `isOpen()`: whether configuration may not change.
    is_open as "isOpen" (engine, call: 0) {
        Ok(Some(call.env.boolean(engine.is_open())?))
    }

    /// `close()`: `true` when there was nothing to wait for.
    close as "close" (engine, call: 0) {
        if engine.close() { Ok(Some(call.env.boolean(true)?)) } else { Ok(None) }
    }

    /// `resolved(question, addresses, failure)`: the answer to the lookup hook; `addresses` is joined with commas.
    resolved as "resolved" (engine, call: 3) {
        let question = call.env.u32(call.args[0])?;
        let list = text_of(call.env, call.args[1])?;
        let addresses: Vec<_> = list.split(',').map(str::to_owned).collect();
        engine.resolved(question, &addresses, &text_of(call.env, call.args[2])?);
        Ok(None)
    }

    /// `stats()` as JSON.
    stats as "stats" (engine, call: 0) {
        Ok(Some(call.env.text(engine.stats().to_string().as_bytes())?))
    }

    /// `health()` as JSON.
    health as "health" (engine, call: 0) {
        Ok(Some(call.env.text(engine.health().to_string().as_bytes())?))
    }
}

/// Kinds of scans, by the number that JavaScript uses.
const KINDS: [Kind; 5] = [Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear];

/// Verbs, by the number that JavaScript uses.
const VERBS: [Verb; 3] = [Verb::Has, Verb::Get, Verb::Delete];

fn index_number(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap_or_default())
}

/// JavaScript has let go of a function.
unsafe extern "C" fn finalize(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: the count that the function was made with.
    let engine = unsafe { Rc::from_raw(data.cast::<Engine>().cast_const()) };
    engine.function_gone();
}

fn make_engine(env: Env, call: &Call<2>) -> Js<Result<Value, String>> {
    let engine = match Engine::new(env, call.args[0], call.args[1]) {
        Ok(engine) => engine,
        Err(why) => return Ok(Err(why)),
    };
    let object = env.object()?;
    for (name, callback) in FUNCTIONS.iter().chain(super::mongo_calls::FUNCTIONS) {
        let data = Rc::into_raw(Rc::clone(&engine)).cast_mut().cast::<c_void>();
        let function = env.function(name, *callback, data)?;
        // SAFETY: the finalizer drops the count that the function holds.
        unsafe {
            sys::napi_add_finalizer(env.0, function, data, Some(finalize), ptr::null_mut(), ptr::null_mut());
        }
        engine.function_made();
        let key = std::ffi::CString::new(*name).map_err(|_| Pending)?;
        env.set_named(object, &key, function)?;
    }
    Ok(Ok(object))
}

unsafe extern "C" fn create_engine(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    let env = Env(env);
    let Ok(call) = env.call::<2>(info) else { return ptr::null_mut() };
    match make_engine(env, &call) {
        Ok(Ok(object)) => object,
        Ok(Err(why)) => {
            let why = std::ffi::CString::new(why).unwrap_or_default();
            // SAFETY: the running environment; the text ends with NUL.
            unsafe { sys::napi_throw_error(env.0, ptr::null(), why.as_ptr()) };
            ptr::null_mut()
        }
        Err(Pending) => ptr::null_mut(),
    }
}

unsafe extern "C" fn services(env: sys::napi_env, _: sys::napi_callback_info) -> Value {
    Env(env).text(to_json().to_string().as_bytes()).unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn collections(env: sys::napi_env, _: sys::napi_callback_info) -> Value {
    Env(env).text(crate::mongo::table::to_json().to_string().as_bytes()).unwrap_or(ptr::null_mut())
}

/// Puts the addon's functions on its exports.
pub(super) fn export(env: sys::napi_env, exports: Value) {
    let env = Env(env);
    let functions: [(&str, sys::napi_callback, &std::ffi::CStr); 3] = [
        ("createEngine", Some(create_engine), c"createEngine"),
        ("services", Some(services), c"services"),
        ("collections", Some(collections), c"collections"),
    ];
    for (name, callback, key) in functions {
        if let Ok(function) = env.function(name, callback, ptr::null_mut()) {
            let _ = env.set_named(exports, key, function);
        }
    }
}
