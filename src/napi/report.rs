//! What `stats()` and `health()` tell: plain JSON, no I/O.

use serde_json::json;

use super::clock::wall;
use super::engine::Engine;
use super::js::Outside;
use super::sentinel_link::SentinelLinks;
use super::state::Core;
use crate::map::backend::Backend as _;
use crate::map::cluster::Cluster;
use crate::map::op::Op;
use crate::map::peers::Totals;
use crate::redis::Nanos;
use crate::redis::by_peer::PeerId;
use crate::redis::latency::Summary;
use crate::redis::peer::Peer;
use crate::redis::supervise::State;

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
                "queued": 0, "inFlight": 0, "sentinel": null, "cluster": null,
            });
            (redis, serde_json::Value::Null)
        });
        json!({ "redis": redis, "nearCache": near, "mongo": self.mongo_health(), "store": self.store_health() })
    }
}

fn redis_stats(core: Option<&Core>) -> serde_json::Value {
    let totals = core.map(|core| core.peers.totals()).unwrap_or_default();
    let Totals { counters, connects } = totals;
    let (queued, in_flight) = core.map_or((0, 0), |core| core.peers.queued_and_in_flight());
    json!({
        "commands": counters.commands,
        "replies": counters.replies,
        "errors": counters.errors,
        "timeouts": counters.timeouts,
        "retried": counters.retried,
        "connects": connects,
        "losses": counters.losses,
        "flushes": counters.flushes,
        "bytesSent": counters.bytes_sent,
        "bytesReceived": counters.bytes_received,
        "queued": queued,
        "inFlight": in_flight,
        "latency": core.map(|core| latency(core.peers.latency(wall()))),
        "sentinel": core.and_then(|core| core.sentinels.as_ref()).map(SentinelLinks::stats),
        "cluster": core.and_then(|core| core.peers.cluster().map(|cluster| cluster_stats(core, cluster))),
    })
}

fn cluster_stats(core: &Core, cluster: &Cluster) -> serde_json::Value {
    let counters = cluster.router.counters();
    let of = |(_, peer): (PeerId, &Peer<Op>)| {
        let counters = peer.lane.counters();
        json!({
            "server": peer.name(),
            "commands": counters.commands,
            "replies": counters.replies,
            "errors": counters.errors,
            "losses": counters.losses,
            "latency": latency(peer.lane.latency(wall())),
        })
    };
    json!({
        "maps": counters.maps,
        "moved": counters.moved,
        "asked": counters.asked,
        "putOff": counters.put_off,
        "switched": counters.switched,
        "held": cluster.waiting(),
        "nodes": core.peers.iter().map(of).collect::<Vec<_>>(),
    })
}

fn redis_health(core: &Core) -> serde_json::Value {
    let (queued, in_flight) = core.peers.queued_and_in_flight();
    let told = core.peers.iter().min_by_key(|(_, peer)| rank(peer.supervisor.state()));
    json!({
        "state": told.map_or("idle", |(_, peer)| peer.supervisor.state().as_str()),
        "since": told.and_then(|(at, _)| core.nodes.get(at)).map(|node| node.since),
        "server": told.map(|(_, peer)| peer.name()),
        "attempts": told.map_or(0, |(_, peer)| peer.supervisor.attempts()),
        "lastError": core.peers.iter().find_map(|(_, peer)| peer.last_error()),
        "queued": queued,
        "inFlight": in_flight,
        "sentinel": core.sentinels.as_ref().map(SentinelLinks::health),
        "cluster": core.peers.cluster().map(|cluster| cluster_health(core, cluster)),
    })
}

/// The states of a cluster's servers, of which the first tells whether calls can be answered.
const fn rank(state: State) -> u8 {
    match state {
        State::Ready => 0,
        State::Connecting => 1,
        State::Waiting(_) => 2,
        State::Resting => 3,
        State::Idle => 4,
    }
}

fn cluster_health(core: &Core, cluster: &Cluster) -> serde_json::Value {
    let of = |(id, peer): (PeerId, &Peer<Op>)| {
        let (queued, in_flight) = peer.lane.queue().queued_and_in_flight();
        json!({
            "server": peer.name(),
            "slots": cluster.slots_of(id),
            "state": peer.supervisor.state().as_str(),
            "since": core.nodes.get(id).map(|node| node.since),
            "attempts": peer.supervisor.attempts(),
            "lastError": peer.last_error(),
            "queued": queued,
            "inFlight": in_flight,
        })
    };
    let nodes: Vec<_> = core.peers.iter().map(of).collect();
    json!({ "unowned": cluster.unowned(), "nodes": nodes })
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
    let now = wall();
    // Of a cluster's servers one is enough.
    let is_informed = core.peers.iter().any(|(at, _)| near.is_informed(at));
    let is_alive = core.peers.iter().any(|(at, _)| near.is_alive(at, now));
    let state = match (ids.refusals.tracking(), is_informed, is_alive) {
        (_, true, true) => "alive",
        (_, true, false) => "expired",
        (Some(_), false, _) => "refused",
        (None, false, _) => "disconnected",
    };
    let reason = match core.peers.cluster() {
        Some(_) => ids.refusals.all(|peer| core.peers.name(peer)),
        None => ids.refusals.tracking().map(str::to_owned),
    };
    json!({ "state": state, "reason": reason })
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
