//! What `stats()` and `health()` tell: plain JSON, no I/O.

use serde_json::json;

use super::engine::{Core, Engine};
use crate::redis::Nanos;
use crate::redis::latency::Summary;

impl Engine {
    /// Counters, for `stats()`.
    pub(super) fn stats(&self) -> serde_json::Value {
        let mut core = self.core.borrow_mut();
        if let Some(core) = &mut *core {
            // Who has an answer finds it counted.
            core.store.ids.settle();
        }
        let counters = core.as_ref().map(|core| *core.peer.lane.counters()).unwrap_or_default();
        let (queued, in_flight) = core.as_ref().map_or((0, 0), |core| core.peer.lane.queue().queued_and_in_flight());
        json!({ "redis": {
            "commands": counters.commands,
            "replies": counters.replies,
            "errors": counters.errors,
            "timeouts": counters.timeouts,
            "retried": counters.retried,
            "connects": core.as_ref().map_or(0, |core| core.peer.connects()),
            "losses": counters.losses,
            "flushes": counters.flushes,
            "bytesSent": counters.bytes_sent,
            "bytesReceived": counters.bytes_received,
            "queued": queued,
            "inFlight": in_flight,
            "latency": core.as_ref().map(|core| latency(core.peer.lane.latency(Self::wall()))),
        }, "nearCache": core.as_ref().map(near_stats), "mongo": self.mongo_stats() })
    }

    /// The connection's state, for `health()`.
    pub(super) fn health(&self) -> serde_json::Value {
        let core = self.core.borrow();
        let Some(core) = &*core else {
            return json!({ "redis": {
                "state": "idle", "since": null, "server": null, "attempts": 0, "lastError": null,
                "queued": 0, "inFlight": 0,
            }, "nearCache": null, "mongo": self.mongo_health() });
        };
        let (queued, in_flight) = core.peer.lane.queue().queued_and_in_flight();
        json!({ "redis": {
            "state": core.peer.supervisor.state().as_str(),
            "since": core.since,
            "server": core.peer.name(),
            "attempts": core.peer.supervisor.attempts(),
            "lastError": core.peer.last_error(),
            "queued": queued,
            "inFlight": in_flight,
        }, "nearCache": near_health(core), "mongo": self.mongo_health() })
    }
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
    let state = match (ids.refusal(), near.is_informed(), near.is_alive(Engine::wall())) {
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
