//! The functions of the connection and its configuration.

use napi::sys;

use super::bind::{functions, parse_values, text_of};
use super::embedded::config_of;
use super::embedded_state::Side;
use super::files::trust_of;
use super::turn::on_prepare;
use crate::config;
use crate::map::store::Store;
use crate::store::maps::Ask;

functions! {
    /// `ping()`
    ping as "ping" (engine, outside, _call: 0) {
        if engine.is_embedded(Side::Maps) {
            return engine.ask_store(outside, Ask::Ping);
        }
        engine.queue(outside, Store::ping)?;
        Ok(None)
    }

    /// `flush()`: the end of a tick.
    flush as "flush" (engine, outside, _call: 0) {
        engine.flush_store(outside);
        if engine.with_core(outside, |_| ()).is_none() {
            engine.arranged(false);
        } else {
            engine.finish_turn(outside);
        }
        Ok(None)
    }

    /// `configure(json)`: takes variables into use. Nothing may be open.
    configure as "configure" (engine, outside, call: 1) {
        let values = parse_values(&text_of(call.env, call.args[0])?)?;
        // What cannot be used is said at once, whichever server it is about.
        config::mongo::resolve(&values)?;
        let config = config::resolve(&values)?;
        if let Some(store) = config_of(&values)? {
            engine.embed(outside, store, Side::Maps, (config.scan_count, config.scan_count_max))?;
            engine.open_handles(on_prepare);
            return Ok(None);
        }
        engine.unembed(Side::Maps);
        let trust = trust_of(&config)?;
        engine.configure(config, trust);
        engine.open_handles(on_prepare);
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
        let (mut redis, mut mongo) = (
            config::resolve(&one)? != config::resolve(&other)?,
            config::mongo::resolve(&one)? != config::mongo::resolve(&other)?,
        );
        let (before, after) = (config_of(&one)?, config_of(&other)?);
        if before.is_some() || after.is_some() {
            // Where neither is about servers, what is said of servers makes no difference.
            (redis, mongo) = (before != after, before != after);
        }
        Ok(Some(call.env.number(f64::from(u8::from(redis) + 2 * u8::from(mongo)))?))
    }

    /// `clientOptions(json)`: what other clients take, as JSON. It holds secrets.
    client_options as "clientOptions" (_engine, call: 1) {
        let options = crate::clients::options(&parse_values(&text_of(call.env, call.args[0])?)?)?;
        Ok(Some(call.env.text(options.to_string().as_bytes())?))
    }

    /// `isOpen()`: whether configuration may not change.
    is_open as "isOpen" (engine, outside, call: 0) {
        let open = engine.is_side_open(Side::Maps) || engine.with_core(outside, |core| core.is_open()).unwrap_or(false);
        Ok(Some(call.env.boolean(open)?))
    }

    /// `close()`: `true` when there was nothing to wait for.
    close as "close" (engine, outside, call: 0) {
        let idle = if engine.has_store() { engine.close_store(outside) } else { engine.close(outside) };
        if idle { Ok(Some(call.env.boolean(true)?)) } else { Ok(None) }
    }

    /// `resolved(question, addresses, failure)`: the answer to the lookup hook; `addresses` is joined with commas.
    resolved as "resolved" (engine, outside, call: 3) {
        let question = call.env.u32(call.args[0])?;
        let list = text_of(call.env, call.args[1])?;
        let addresses: Vec<_> = list.split(',').map(str::to_owned).collect();
        engine.resolved(outside, question, &addresses, &text_of(call.env, call.args[2])?);
        Ok(None)
    }

    /// `stats()` as JSON.
    stats as "stats" (engine, outside, call: 0) {
        Ok(Some(call.env.text(engine.stats(outside).to_string().as_bytes())?))
    }

    /// `health()` as JSON.
    health as "health" (engine, outside, call: 0) {
        Ok(Some(call.env.text(engine.health(outside).to_string().as_bytes())?))
    }
}
