//! The functions of the maps.

use std::rc::Rc;

use napi::sys;

use super::bind::{Thrown, bad_handle, check_length, functions, index_number, text_of};
use super::embedded_state::Side;
use super::engine::Engine;
use super::js::{Env, NapiValue};
use super::maps::Map;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::map::ttl;
use crate::redis::batch::Batch;
use crate::store::maps::Ask;

/// Kinds of scans, by the number that JavaScript uses.
const KINDS: [Kind; 5] = [Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear];

impl Engine {
    /// The full key of `get(map, key)` and its like.
    fn push_item_key(
        &self,
        call_env: Env,
        map: NapiValue,
        key: NapiValue,
        out: &mut Vec<u8>,
    ) -> Result<Rc<Map>, Thrown> {
        let map = self.maps.get(call_env.u32(map)? as usize).ok_or_else(|| bad_handle("map"))?;
        out.extend_from_slice(&map.prefix);
        if !call_env.push_text(key, out)? {
            return Err(bad_handle("key").into());
        }
        Ok(map)
    }
}

functions! {
    /// `addMap(name, ttl)`: the number of a map, good until `dropMap(number)`. -1 keeps keys for ever.
    add_map as "addMap" (engine, call: 2) {
        let seconds = ttl::check(call.env.f64(call.args[1])?)?;
        let number = engine.with_scratch(|name| -> Result<usize, Thrown> {
            call.env.push_text(call.args[0], name)?;
            Ok(engine.maps.add(name, seconds))
        })?;
        Ok(Some(call.env.number(index_number(number))?))
    }

    /// `dropMap(number)`
    drop_map as "dropMap" (engine, call: 1) {
        engine.maps.remove(call.env.u32(call.args[0])? as usize);
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
    get as "get" (engine, outside, call: 2) {
        engine.with_scratch(|key| {
            engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Get(key.clone(), None));
            }
            engine.queue(outside, |store, peers| store.get(peers, key))?;
            Ok(None)
        })
    }

    /// `has(map, key)`
    has as "has" (engine, outside, call: 2) {
        engine.with_scratch(|key| {
            engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Has(key.clone(), None));
            }
            engine.queue(outside, |store, peers| store.has(peers, key))?;
            Ok(None)
        })
    }

    /// `delete(map, key)`
    delete as "delete" (engine, outside, call: 2) {
        engine.with_scratch(|key| {
            let map = engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Delete(key.clone()));
            }
            engine.queue(outside, |store, peers| store.delete(peers, key, map.tracked))?;
            Ok(None)
        })
    }

    /// `set(map, key, value)`: the value is a string or a Buffer.
    set as "set" (engine, outside, call: 3) {
        engine.with_scratch(|bytes| {
            let map = engine.push_item_key(call.env, call.args[0], call.args[1], bytes)?;
            let end = bytes.len();
            if !call.env.push_text(call.args[2], bytes)? && !call.env.push_buffer(call.args[2], bytes)? {
                return Err(bad_handle("value").into());
            }
            check_length(bytes.len() - end)?;
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Set(bytes[..end].to_vec(), bytes[end..].to_vec(), map.ttl));
            }
            engine.queue(outside, |store, peers| store.set(peers, &bytes[..end], &bytes[end..], map.ttl, map.tracked))?;
            Ok(None)
        })
    }

    /// `remaining(map, key)`: milliseconds that a key of the embedded store still lives, -1 for ever; null where there is none.
    remaining as "remaining" (engine, outside, call: 2) {
        engine.with_scratch(|key| {
            engine.push_item_key(call.env, call.args[0], call.args[1], key)?;
            engine.ask_store(outside, Ask::Remaining(key.clone()))
        })
    }

    /// `openScan(map, kind)`: the number of a scan that has not begun. Kinds are numbered as [`KINDS`].
    open_scan as "openScan" (engine, outside, call: 2) {
        let kind = *KINDS.get(call.env.u32(call.args[1])? as usize).ok_or_else(|| bad_handle("kind of scan"))?;
        let map = engine.maps.get(call.env.u32(call.args[0])? as usize).ok_or_else(|| bad_handle("map"))?;
        let id = if engine.is_embedded(Side::Maps) {
            engine.open_store_scan(kind, &map.prefix)
        } else {
            engine.queue(outside, |store, _| Ok(store.open_scan(kind, &map.prefix, map.tracked)))?
        };
        Ok(Some(call.env.number(id.into())?))
    }

    /// `page(scan)`: the next page; `null` at the end; of a count, the number.
    page as "page" (engine, outside, call: 1) {
        let id = call.env.u32(call.args[0])?;
        if engine.is_embedded(Side::Maps) {
            return engine.store_page(outside, id);
        }
        match engine.queue(outside, |store, peers| store.demand(peers, id))? {
            Demand::Queued => Ok(None),
            Demand::Now(outcome) => Ok(Some(engine.value(outside, &Batch::default(), outcome)?)),
        }
    }

    /// `closeScan(scan)`
    close_scan as "closeScan" (engine, outside, call: 1) {
        let id = call.env.u32(call.args[0])?;
        engine.close_store_scan(id);
        engine.with_core(outside, |core| core.store.close_scan(id));
        Ok(None)
    }
}
