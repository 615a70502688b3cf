//! What the near cache and scans ask of a server beside the calls themselves: its user may lack the right to it. Pure.

use serde_json::{Value, json};

use crate::map::request::Request;
use crate::redis::by_peer::PeerId;
use crate::redis::slot::Slot;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// That it announces changes.
    Tracking,
    /// In a cluster: an answer of a key that it holds.
    Held,
    /// In a cluster: its slots.
    Slots,
    /// In a cluster: all keys of a slot.
    InSlot,
}

impl Need {
    /// Those that a node of a cluster may be asked for at any time.
    const OF_CLUSTER: [Self; 3] = [Self::Held, Self::Slots, Self::InSlot];

    /// The command that asks for it.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Tracking => "CLIENT TRACKING",
            Self::Held => "EXISTS",
            Self::Slots => "CLUSTER NODES",
            Self::InSlot => "CLUSTER GETKEYSINSLOT",
        }
    }

    /// What comes of it where that is refused.
    const fn without(self) -> &'static str {
        match self {
            Self::Tracking | Self::Held => "ids are not kept in memory",
            Self::Slots => "ids are not kept in memory, and scans fail",
            Self::InSlot => "scans fail while slots move",
        }
    }

    /// That of a cluster which a command asks for, as a request to a node. `key`: one that this user may read, wherever it is.
    #[must_use]
    pub fn request<'a>(command: &[u8], of: PeerId, key: &'a [u8]) -> Option<Request<'a>> {
        match Self::OF_CLUSTER.into_iter().find(|need| need.command().as_bytes() == command)? {
            Self::Tracking => None,
            Self::Held => Some(Request::Held(of, key)),
            Self::Slots => Some(Request::Marks(of)),
            Self::InSlot => Some(Request::InSlot(of, Slot::of(key))),
        }
    }
}

/// Those of a cluster as JSON, for the program that tries them out.
#[must_use]
pub fn to_json() -> Value {
    let need = |need: &Need| json!({ "command": need.command(), "without": need.without() });
    Need::OF_CLUSTER.iter().map(need).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_a_clusters_needs_is_asked_for_by_its_own_command() {
        let told = to_json();
        let commands: Vec<_> = told.as_array().unwrap().iter().map(|need| need["command"].as_str().unwrap()).collect();
        assert_eq!(commands.len(), Need::OF_CLUSTER.len());
        for command in commands {
            let mut bytes = Vec::new();
            Need::request(command.as_bytes(), PeerId::FIRST, b"k").unwrap().encode(&mut bytes);
            let text = String::from_utf8(bytes).unwrap();
            let words: Vec<_> = text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect();
            assert!(words.join(" ").starts_with(command), "{command}: {words:?}");
        }
        assert_eq!(Need::request(b"CLIENT TRACKING", PeerId::FIRST, b"k"), None);
    }
}
