//! The servers as the driver's monitors see them, and what round trips have to do with each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mongodb::event::EventHandler;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use mongodb::{ServerType, TopologyType};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::mongo::topology::{Kind, Member, Role, Topology};
use crate::secrets::Secrets;

/// So long a server's first word is waited for, where something depends on what it is.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// What has come of one server.
#[derive(Debug, Clone, Copy, Default)]
struct Server {
    /// When it was heard of last.
    heard: Option<(Instant, SystemTime)>,
    commands: u64,
    failed: u64,
}

#[derive(Default)]
struct Seen {
    servers: BTreeMap<String, Server>,
    /// The last primary, and how often another one has followed.
    primary: Option<String>,
    elections: u64,
}

impl Seen {
    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.entry(name.to_owned()).or_default()
    }
}

/// See the module.
pub(super) struct Members {
    view: watch::Sender<Topology>,
    seen: Mutex<Seen>,
}

impl Default for Members {
    fn default() -> Self {
        Self { view: watch::Sender::new(Topology::default()), seen: Mutex::default() }
    }
}

impl Members {
    /// Takes what the driver's monitors tell.
    pub(super) fn events(self: &Arc<Self>) -> EventHandler<SdamEvent> {
        let members = Arc::clone(self);
        EventHandler::callback(move |event| match event {
            SdamEvent::TopologyDescriptionChanged(event) => members.take(topology_of(&event.new_description)),
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                members.seen().server(&event.server_address.to_string()).heard =
                    Some((Instant::now(), SystemTime::now()));
            }
            _ => {}
        })
    }

    fn take(&self, topology: Topology) {
        if let Some(primary) = topology.primary() {
            let mut seen = self.seen();
            // Between two primaries there is mostly a time without one.
            let before = seen.primary.replace(primary.to_owned());
            seen.elections += u64::from(before.is_some_and(|before| before != primary));
        }
        self.view.send_replace(topology);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now, and a way to wait for more.
    pub(super) fn watch(&self) -> watch::Receiver<Topology> {
        self.view.subscribe()
    }

    /// Whether another server takes over where one is gone.
    pub(super) fn heal(&self) -> bool {
        self.view.borrow().heals()
    }

    /// Whether they are routers, which ask all shards where a command does not have the shard key.
    pub(super) fn route(&self) -> bool {
        self.view.borrow().kind == Kind::Sharded
    }

    /// The same, by what a server has said: of a client that is new that is waited for, for a moment.
    pub(super) async fn routes(&self) -> bool {
        let mut view = self.watch();
        // Where nobody answers, the command itself says so.
        let _ = timeout(FIRST_WORD, view.wait_for(|topology| topology.kind != Kind::Unknown)).await.is_ok();
        self.route()
    }

    /// Whether anything was heard of a server since then.
    pub(super) fn is_heard_since(&self, server: &str, since: Instant) -> bool {
        self.seen().servers.get(server).and_then(|server| server.heard).is_some_and(|(last, _)| last >= since)
    }

    /// Notes a round trip to a server, and whether an answer came.
    pub(super) fn note(&self, server: &str, answered: bool) {
        let mut seen = self.seen();
        let server = seen.server(server);
        server.commands += 1;
        server.failed += u64::from(!answered);
    }

    /// For `health()`.
    pub(super) fn health(&self, secrets: &Secrets) -> Value {
        let heard = |server: &str| {
            let (_, last) = self.seen().servers.get(server)?.heard?;
            u64::try_from(last.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
        };
        self.view.borrow().to_json(heard, |words| secrets.mask(words))
    }

    /// For `stats()`: the primary, how often it has changed, and the round trips of each server.
    pub(super) fn stats(&self) -> Value {
        let seen = self.seen();
        let one = |(name, server): (&String, &Server)| json!({ "server": name, "commands": server.commands, "failed": server.failed });
        json!({
            "primary": self.view.borrow().primary(),
            "elections": seen.elections,
            "servers": seen.servers.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

fn topology_of(description: &TopologyDescription) -> Topology {
    let mut members: Vec<_> = description
        .servers()
        .iter()
        .map(|(address, server)| Member {
            server: address.to_string(),
            role: role_of(server.server_type()),
            error: server.error().map(|error| error.kind.to_string()),
        })
        .collect();
    members.sort_by(|one, other| one.server.cmp(&other.server));
    let kind = match description.topology_type() {
        // Behind a balancer no server is watched, so nothing is known of it.
        TopologyType::Single | TopologyType::LoadBalanced => Kind::Single,
        TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => Kind::Set,
        TopologyType::Sharded => Kind::Sharded,
        _ => Kind::Unknown,
    };
    Topology { kind, set: description.set_name().cloned(), members, words: description.to_string() }
}

const fn role_of(server: ServerType) -> Role {
    match server {
        ServerType::RsPrimary => Role::Primary,
        ServerType::RsSecondary => Role::Secondary,
        ServerType::RsArbiter => Role::Arbiter,
        ServerType::Mongos | ServerType::LoadBalancer => Role::Router,
        ServerType::Standalone => Role::Standalone,
        ServerType::RsOther | ServerType::RsGhost => Role::Other,
        _ => Role::Unknown,
    }
}
