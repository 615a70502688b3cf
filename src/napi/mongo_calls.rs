//! The functions of the MongoDB side that JavaScript calls.

use mongodb::bson::RawDocumentBuf;

use super::bind::{Thrown, bad_handle, functions, parse_values, text_of};
use super::embedded::config_of;
use super::embedded_state::Side;
use super::js::{Env, NapiValue};
use super::turn::on_prepare;
use crate::config;
use crate::error::{Code, Error};
use crate::mongo::wire::{OPS, Request};
use crate::services::table::MAX_ARGS;
use crate::store::ids;
use napi::sys;

fn body_of(env: Env, value: NapiValue) -> Result<RawDocumentBuf, Thrown> {
    let mut bytes = Vec::new();
    if !env.push_buffer(value, &mut bytes)? {
        return Err(bad_handle("document").into());
    }
    let read = RawDocumentBuf::from_bytes(bytes);
    Ok(read.map_err(|error| Error::new(Code::InvalidValue, format!("the value is not valid BSON: {error}")))?)
}

functions! {
    /// `mongoConfigure(json)`: takes variables into use. No executor may be open.
    configure as "mongoConfigure" (engine, outside, call: 1) {
        let values = parse_values(&text_of(call.env, call.args[0])?)?;
        config::resolve(&values)?;
        let servers = config::mongo::resolve(&values)?;
        if let Some(store) = config_of(&values)? {
            engine.embed(outside, store, Side::Rows, (0, 0))?;
        } else {
            engine.unembed(Side::Rows);
            engine.mongo_configure(servers)?;
        }
        engine.open_handles(on_prepare);
        Ok(None)
    }

    /// `mongoPush(call, op, collection, document)`: a request of this tick. Ops are numbered as [`OPS`].
    push as "mongoPush" (engine, call: 4) {
        let env = call.env;
        let op = *OPS.get(env.u32(call.args[1])? as usize).ok_or_else(|| bad_handle("request"))?;
        let collection = env.u32(call.args[2])? as usize;
        let body = body_of(env, call.args[3])?;
        engine.mongo_push(Request { call: env.u32(call.args[0])?, op, collection, body })?;
        Ok(None)
    }

    /// `storeRow(collection, noun, ...context)`: the row of a context of texts, from the embedded store, as a Buffer; see
    /// [`ids::known_row`]. Null where it takes a request.
    store_row as "storeRow" (engine, call: 7) {
        let env = call.env;
        let (number, noun) = (env.u32(call.args[0])? as usize, env.u32(call.args[1])? as usize);
        let mut context = Vec::with_capacity(MAX_ARGS);
        for arg in &call.args[2..] {
            if env.type_of(*arg)? != sys::ValueType::napi_string {
                break;
            }
            context.push(text_of(env, *arg)?);
        }
        let row = engine.store_read(|store| ids::known_row(store, number, noun, &context));
        Ok(Some(row.map_or_else(|| env.null(), |row| env.buffer(&row))?))
    }

    /// `mongoFlush()`: the end of a tick.
    flush as "mongoFlush" (engine, outside, _call: 0) {
        engine.mongo_flush(outside);
        Ok(None)
    }

    /// `mongoGiveWay()`: where the thread that sends requests waits for this one's core, it has its turn now.
    give_way as "mongoGiveWay" (_engine, _call: 0) {
        std::thread::yield_now();
        Ok(None)
    }

    /// `mongoHold(hold)`: whether somebody waits for an answer, so that the process and the module must be kept.
    hold as "mongoHold" (engine, call: 1) {
        engine.mongo_hold(call.env.truthy(call.args[0])?);
        Ok(None)
    }

    /// `mongoIsOpen()`: whether configuration may not change.
    is_open as "mongoIsOpen" (engine, call: 0) {
        Ok(Some(call.env.boolean(engine.mongo_is_open())?))
    }

    /// `storeTurn()`: answers of the embedded store that had to wait for a turn of the loop.
    store_turn as "storeTurn" (engine, outside, _call: 0) {
        engine.store_turn(outside)?;
        Ok(None)
    }

    /// `mongoClose()`: closes the connections; nobody may wait.
    close as "mongoClose" (engine, outside, _call: 0) {
        engine.mongo_close(outside);
        Ok(None)
    }
}
