//! Sockets of sentinels, and what of them `stats()` and `health()` tell.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::io::ErrorKind;

use serde_json::json;

use super::clock::wall;
use super::socket::{Endpoint, Stream, name};
use super::uv::RawHandle;
use crate::config::SentinelConfig;
use crate::host::literal;
use crate::near::LEASE;
use crate::sentinel::known::{Failure, Known, Link, Number};
use crate::sentinel::roster::Sentinels;
use crate::sentinel::wire::{Heard, Wire};

/// So many reads of one sentinel's socket in a turn: some megabytes, where an answer is some kilobytes.
const READS: u32 = 16;

/// The sentinels, and the connections to them.
pub(super) struct SentinelLinks {
    pub(super) rules: Sentinels,
    pub(super) links: Vec<SentinelLink>,
}

/// A connection to a sentinel, from its action on.
pub(super) struct SentinelLink {
    pub(super) number: Number,
    pub(super) wire: Wire,
    /// The name that is being resolved.
    pub(super) lookup: Option<String>,
    pub(super) port: u16,
    /// Addresses that were not tried yet.
    pub(super) endpoints: VecDeque<Endpoint>,
    pub(super) socket: Option<(Stream, RawHandle)>,
    pub(super) connected: bool,
    /// What the socket is watched for.
    pub(super) watching: c_int,
}

impl SentinelLinks {
    /// Not connected to any.
    pub(super) fn new(config: &SentinelConfig) -> Self {
        Self { rules: Sentinels::new(config), links: Vec::new() }
    }

    /// Whether a sentinel's name must be resolved to ask it.
    pub(super) fn has_names(&self) -> bool {
        self.rules.known().iter().any(|known| literal(&known.host).is_none())
    }

    /// Whether a sentinel's connection waits for the addresses of a name.
    pub(super) fn wait_for(&self, name: &str) -> bool {
        self.links.iter().any(|link| link.lookup.as_deref() == Some(name))
    }

    pub(super) fn link(&mut self, number: Number) -> Option<&mut SentinelLink> {
        self.links.iter_mut().find(|link| link.number == number)
    }

    /// For `health()`.
    pub(super) fn health(&self) -> serde_json::Value {
        let rules = &self.rules;
        let of = |known: &Known| {
            let named = known.opinion.as_ref().and_then(|opinion| opinion.master.as_ref());
            json!({
                "server": known.name(),
                "state": match known.link {
                    Link::Down { .. } => "down",
                    Link::Opening { .. } => "connecting",
                    Link::Up => "ready",
                },
                "master": named.map(ToString::to_string),
                "lastError": known.failure.as_ref().map(Failure::words),
            })
        };
        json!({
            "name": rules.name(),
            "master": rules.master().map(ToString::to_string),
            "majority": rules.attested().is_some_and(|attested| wall() < attested + LEASE),
            "sentinels": rules.known().iter().map(of).collect::<Vec<_>>(),
        })
    }

    /// For `stats()`.
    pub(super) fn stats(&self) -> serde_json::Value {
        let counters = self.rules.counters();
        json!({
            "asked": counters.asked,
            "answered": counters.answered,
            "announced": counters.announced,
            "switches": counters.switches,
        })
    }
}

impl SentinelLink {
    /// Writes what the socket takes.
    pub(super) fn write_out(&mut self) -> Result<(), String> {
        let Some((stream, _)) = self.socket.as_mut().filter(|_| self.connected) else { return Ok(()) };
        loop {
            let bytes = self.wire.unsent();
            if bytes.is_empty() {
                return stream.is_held_up().map(drop).map_err(|error| format!("write {}", name(&error)));
            }
            let at = wall();
            match stream.write(bytes) {
                Ok(count) => self.wire.sent(count, at),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("write {}", name(&error))),
            }
        }
    }

    /// Reads what is there. `Ok`: what was said; `Err`: why it ended, and what was said before.
    pub(super) fn read_in(&mut self, heard: &mut Vec<Heard>) -> Result<(), String> {
        let Some((stream, _)) = self.socket.as_mut() else { return Ok(()) };
        for _ in 0..READS {
            match stream.read(self.wire.space()) {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(count) => {
                    self.wire.filled(count);
                    heard.extend(self.wire.decode(wall()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    let tls = stream.failure().map(|failure| format!("TLS: {}", self.wire.fit_to_show(&failure.words)));
                    return Err(tls.unwrap_or_else(|| format!("read {}", name(&error))));
                }
            }
        }
        Ok(())
    }
}
