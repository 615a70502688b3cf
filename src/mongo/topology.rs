//! The servers as the driver knows them: what they are to each other, and which of them takes writes.

use serde_json::{Value, json};

/// What the servers are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// None of them has said it yet.
    #[default]
    Unknown,
    /// One server, which no other replaces.
    Single,
    /// A replica set.
    Set,
    /// Routers of a sharded cluster.
    Sharded,
}

/// What a server says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes of its set.
    Primary,
    /// It follows the primary.
    Secondary,
    /// It votes and has no data.
    Arbiter,
    /// A mongos.
    Router,
    /// A server of no set.
    Standalone,
    /// A member that is starting, recovering or hidden.
    Other,
    /// Nothing is known of it, or it cannot be reached.
    Unknown,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `host:port`
    pub server: String,
    /// What it is.
    pub role: Role,
    /// Why it cannot be reached.
    pub error: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// What they are together.
    pub kind: Kind,
    /// The name of the replica set.
    pub set: Option<String>,
    /// The servers, by their address.
    pub members: Vec<Member>,
    /// The driver's words for all of it.
    pub words: String,
}

impl Topology {
    /// Whether another server takes over where one is gone, so that waiting is worth while.
    #[must_use]
    pub const fn heals(&self) -> bool {
        matches!(self.kind, Kind::Set | Kind::Sharded)
    }

    /// The primary of the set.
    #[must_use]
    pub fn primary(&self) -> Option<&str> {
        let mut primaries = self.members.iter().filter(|member| member.role == Role::Primary);
        primaries.next().map(|member| &*member.server)
    }

    /// Whether another server of the set is primary now, so that what this one has not answered is in vain.
    #[must_use]
    pub fn is_replaced(&self, server: &str) -> bool {
        self.primary().is_some_and(|primary| primary != server)
    }

    /// For `health()`; `heard` is when a server was heard of last, in milliseconds since 1970, `shown` what may be shown of an error.
    #[must_use]
    pub fn to_json(&self, heard: impl Fn(&str) -> Option<u64>, shown: impl Fn(&str) -> String) -> Value {
        let kind = match self.kind {
            Kind::Unknown => "unknown",
            Kind::Single => "single",
            Kind::Set => "replicaSet",
            Kind::Sharded => "sharded",
        };
        let member = |member: &Member| {
            json!({
                "server": member.server,
                "role": member.role.name(),
                "heard": heard(&member.server),
                "lastError": member.error.as_deref().map(&shown),
            })
        };
        json!({
            "kind": kind,
            "set": self.set,
            "primary": self.primary(),
            "members": self.members.iter().map(member).collect::<Vec<_>>(),
        })
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Arbiter => "arbiter",
            Self::Router => "router",
            Self::Standalone => "standalone",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(roles: &[(&str, Role)]) -> Topology {
        let member = |(server, role): &(&str, Role)| Member { server: (*server).to_owned(), role: *role, error: None };
        let members = roles.iter().map(member).collect();
        Topology { kind: Kind::Set, set: Some("rs0".to_owned()), members, words: String::new() }
    }

    #[test]
    fn a_server_is_replaced_when_another_is_primary_and_not_while_there_is_none() {
        let before = set(&[("a:1", Role::Primary), ("b:1", Role::Secondary)]);
        let between = set(&[("a:1", Role::Unknown), ("b:1", Role::Secondary)]);
        let after = set(&[("a:1", Role::Unknown), ("b:1", Role::Primary)]);
        assert_eq!([&before, &between, &after].map(|set| set.is_replaced("a:1")), [false, false, true]);
        assert_eq!([&before, &between, &after].map(Topology::primary), [Some("a:1"), None, Some("b:1")]);
        assert!(!after.is_replaced("b:1"));
    }

    #[test]
    fn only_where_another_server_may_take_over_is_it_worth_waiting() {
        let heals = |kind| Topology { kind, ..Topology::default() }.heals();
        assert_eq!([Kind::Unknown, Kind::Single, Kind::Set, Kind::Sharded].map(heals), [false, false, true, true]);
    }

    #[test]
    fn health_names_the_set_its_primary_and_each_member() {
        let mut found = set(&[("a:1", Role::Primary), ("b:1", Role::Unknown)]);
        found.members[1].error = Some("secret refused".to_owned());
        let shown = found.to_json(|server| (server == "a:1").then_some(5), |words| words.replace("secret", "***"));
        let expected = json!({
            "kind": "replicaSet", "set": "rs0", "primary": "a:1",
            "members": [
                { "server": "a:1", "role": "primary", "heard": 5, "lastError": null },
                { "server": "b:1", "role": "unknown", "heard": null, "lastError": "*** refused" },
            ],
        });
        assert_eq!(shown, expected);
    }
}
