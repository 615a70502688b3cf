//! What `stats()` and `health()` tell: plain JSON, no I/O.

use serde_json::json;

use super::clock::wall;
use super::engine::Engine;
use super::js::Outside;
use super::sentinel_link::SentinelLinks;
use super::state::Core;
use crate::map::op::Op;
use crate::redis::Nanos;
use crate::redis::by_peer::PeerId;
use crate::redis::latency::Summary;
use crate::redis::peer::Peer;

impl Engine {
    /// Counters, for `stats()`.
    pub(super) fn stats(&self, outside: &mut Outside) -> serde_json::Value {
        let found = self.with_core(outside, |core| (redis_stats(Some(core)), near_stats(core)));
        let (redis, near) = found.map_or_else(|| (redis_stats(None), None), |(redis, near)| (redis, Some(near)));
        json!({ "redis": redis, "nearCache": near, "mongo": self.mongo_stats(), "store": self.store_stats() })
    }

    /// The connection's state, for `health()`.
    pub(super) fn health(&self, outside: &mut Outside) -> serde_json::Value {
        let found = self.with_core(outside, |core| (redis_health(core), near_health(core)));
        let (redis, near) = found.unwrap_or_else(|| {
            let redis = json!({
                "state": "idle", "since": null, "server": null, "attempts": 0, "lastError": null,
                "queued": 0, "inFlight": 0, "sentinel": null,
            });
            (redis, serde_json::Value::Null)
        });
        json!({ "redis": redis, "nearCache": near, "mongo": self.mongo_health(), "store": self.store_health() })
    }
}

/// The one that is told of.
fn server(core: &Core) -> &Peer<Op> {
    &core.peers[PeerId::FIRST]
}

fn redis_stats(core: Option<&Core>) -> serde_json::Value {
    let counters = core.map(|core| *server(core).lane.counters()).unwrap_or_default();
    let (queued, in_flight) = core.map_or((0, 0), |core| server(core).lane.queue().queued_and_in_flight());
    json!({
        "commands": counters.commands,
        "replies": counters.replies,
        "errors": counters.errors,
        "timeouts": counters.timeouts,
        "retried": counters.retried,
        "connects": core.map_or(0, |core| server(core).connects()),
        "losses": counters.losses,
        "flushes": counters.flushes,
        "bytesSent": counters.bytes_sent,
        "bytesReceived": counters.bytes_received,
        "queued": queued,
        "inFlight": in_flight,
        "latency": core.map(|core| latency(server(core).lane.latency(wall()))),
        "sentinel": core.and_then(|core| core.sentinels.as_ref()).map(SentinelLinks::stats),
    })
}

fn redis_health(core: &Core) -> serde_json::Value {
    let (queued, in_flight) = server(core).lane.queue().queued_and_in_flight();
    json!({
        "state": server(core).supervisor.state().as_str(),
        "since": core.nodes[PeerId::FIRST].since,
        "server": server(core).name(),
        "attempts": server(core).supervisor.attempts(),
        "lastError": server(core).last_error(),
        "queued": queued,
        "inFlight": in_flight,
        "sentinel": core.sentinels.as_ref().map(SentinelLinks::health),
    })
}

/// Round trips in microseconds.
fn latency(summary: Summary) -> serde_json::Value {
    let micros = |nanos: Nanos| nanos.div_ceil(1_000);
    json!({
        "count": summary.count,
        "p50": micros(summary.p50),
        "p99": micros(summary.p99),
        "max": micros(summary.most),
    })
}

/// The state of the near cache, and why it is off where the server refused it.
fn near_health(core: &Core) -> serde_json::Value {
    let ids = &core.store.ids;
    let Some(near) = ids.near() else { return json!({ "state": "off", "reason": null }) };
    let state = match (ids.refusal(), near.is_informed(PeerId::FIRST), near.is_alive(PeerId::FIRST, wall())) {
        (Some(_), _, _) => "refused",
        (None, false, _) => "disconnected",
        (None, true, false) => "expired",
        (None, true, true) => "alive",
    };
    json!({ "state": state, "reason": ids.refusal() })
}

fn near_stats(core: &Core) -> serde_json::Value {
    let Some(near) = core.store.ids.near() else { return serde_json::Value::Null };
    let counters = near.counters();
    let (entries, bytes) = near.size();
    json!({
        "hits": counters.hits,
        "misses": counters.misses,
        "fills": counters.fills,
        "droppedFills": counters.dropped_fills,
        "invalidations": counters.invalidations,
        "flushes": counters.flushes,
        "skippedWrites": counters.skipped_writes,
        "entries": entries,
        "bytes": bytes,
    })
}
