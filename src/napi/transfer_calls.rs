//! The functions that move keys between stores: whole keys, values as bytes.

use napi::sys;

use super::bind::{bad_handle, check_length, functions};
use super::embedded_state::Side;
use crate::error::{Code, Error};
use crate::map::needs::{self, Need};
use crate::map::peers::Peers;
use crate::map::scan::Kind;
use crate::map::store::Store;
use crate::redis::by_peer::PeerId;
use crate::store::maps::Ask;

functions! {
    /// `openKeys()`: the number of a scan over all keys, whosever they are; see `page`.
    open_keys as "openKeys" (engine, outside, call: 0) {
        let id = if engine.is_embedded(Side::Maps) {
            engine.open_store_scan(Kind::Keys, b"")
        } else {
            engine.queue(outside, |store, _| Ok(store.open_scan(Kind::Keys, b"", false)))?
        };
        Ok(Some(call.env.number(id.into())?))
    }

    /// `keyBytes(key)`: its value as a Buffer; null where there is none, or where it is no text of Redis's.
    key_bytes as "keyBytes" (engine, outside, call: 1) {
        engine.with_scratch(|key| {
            if !call.env.push_text(call.args[0], key)? {
                return Err(bad_handle("key").into());
            }
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Bytes(key.clone()));
            }
            engine.queue(outside, |store, peers| store.bytes(peers, key))?;
            Ok(None)
        })
    }

    /// `keyRemaining(key)`: milliseconds that it still lives, -1 for ever; null where there is none.
    key_remaining as "keyRemaining" (engine, outside, call: 1) {
        engine.with_scratch(|key| {
            if !call.env.push_text(call.args[0], key)? {
                return Err(bad_handle("key").into());
            }
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Remaining(key.clone()));
            }
            engine.queue(outside, |store, peers| store.remaining(peers, key))?;
            Ok(None)
        })
    }

    /// `keyAdd(key, value, millis)`: writes a key that is not there; the value is a Buffer, -1 keeps it for ever. Whether it was
    /// written.
    key_add as "keyAdd" (engine, outside, call: 3) {
        engine.with_scratch(|bytes| {
            if !call.env.push_text(call.args[0], bytes)? {
                return Err(bad_handle("key").into());
            }
            let end = bytes.len();
            if !call.env.push_buffer(call.args[1], bytes)? {
                return Err(bad_handle("value").into());
            }
            check_length(bytes.len() - end)?;
            let millis = call.env.f64(call.args[2])?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds, at least one")]
            let millis = (millis >= 1.0).then_some(millis as u64);
            if engine.is_embedded(Side::Maps) {
                return engine.ask_store(outside, Ask::Add(bytes[..end].to_vec(), bytes[end..].to_vec(), millis));
            }
            engine.queue(outside, |store, peers| store.add(peers, &bytes[..end], &bytes[end..], millis))?;
            Ok(None)
        })
    }

    /// `serverInfo()`: what Redis says of itself, as `INFO server` has it; null of the embedded store.
    server_info as "serverInfo" (engine, outside, call: 0) {
        if engine.is_embedded(Side::Maps) {
            return Ok(Some(call.env.null()?));
        }
        engine.queue(outside, Store::info)?;
        Ok(None)
    }

    /// `clusterSettings(server)`: how that node of the cluster, by its address in `health()`, is set up, as a list of names and
    /// values in turn.
    cluster_settings as "clusterSettings" (engine, outside, call: 1) {
        engine.with_scratch(|server| {
            if !call.env.push_text(call.args[0], server)? {
                return Err(bad_handle("server").into());
            }
            engine.queue(outside, |store, peers| {
                let of = named(peers, server)?;
                store.settings(peers, of)
            })?;
            Ok(None)
        })
    }

    /// `clusterNeeds()`: what each master of a cluster is asked beside the calls, as JSON: each command, and what comes of it where it is
    /// refused.
    cluster_needs as "clusterNeeds" (_engine, call: 0) {
        Ok(Some(call.env.text(needs::to_json().to_string().as_bytes())?))
    }

    /// `clusterTry(server, command, key)`: whether that node allows one of these commands, by that key; rejects with its refusal.
    cluster_try as "clusterTry" (engine, outside, call: 3) {
        engine.with_scratch(|words| {
            let mut ends = [0; 2];
            for (at, end) in [0, 1].into_iter().zip(&mut ends) {
                if !call.env.push_text(call.args[at], words)? {
                    return Err(bad_handle("server or command").into());
                }
                *end = words.len();
            }
            if !call.env.push_text(call.args[2], words)? {
                return Err(bad_handle("key").into());
            }
            let [server, command] = ends;
            engine.queue(outside, |store, peers| {
                let of = named(peers, &words[..server])?;
                let request = Need::request(&words[server..command], of, &words[command..]);
                store.try_out(peers, &request.ok_or_else(|| bad_handle("command"))?)
            })?;
            Ok(None)
        })
    }
}

/// The node of a cluster by its address in `health()`.
fn named(peers: &Peers, server: &[u8]) -> Result<PeerId, Error> {
    let server = String::from_utf8_lossy(server);
    peers.named(&server).ok_or_else(|| {
        Error::new(Code::RedisUnavailable, format!("{server} is no node of the cluster, or has left it"))
    })
}
