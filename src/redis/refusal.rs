//! What a node of a cluster says where a command is not its own to answer. Pure.

use crate::redis::slot::Slot;

/// A node's address, as a node tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Name or address, IPv6 without brackets; empty: that of the node which tells it.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`. IPv6 has no brackets there; an unknown host is empty, or `?`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port > 0)?;
        let host = if host == "?" { "" } else { host };
        let is_host = host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_graphic());
        is_host.then(|| Self { host: host.to_owned(), port })
    }

    /// The same, where an empty host is that of another one.
    #[must_use]
    pub fn or_host_of(mut self, other: &Self) -> Self {
        if self.host.is_empty() {
            self.host.clone_from(&other.host);
        }
        self
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a node has not carried out a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The slot is another node's.
    Moved(Endpoint),
    /// The key is already at the node that the slot is on its way to.
    Ask(Endpoint),
    /// It will carry it out, or say more, soon: keys are on their way, nobody owns the slot, or the cluster does not serve.
    Later,
}

impl Refusal {
    /// Reads an error; `None`: it is an answer.
    #[must_use]
    pub fn read(words: &[u8]) -> Option<Self> {
        // The first letter tells all other errors apart.
        if !matches!(words.first(), Some(b'M' | b'A' | b'T' | b'C')) {
            return None;
        }
        let words = std::str::from_utf8(words).ok()?;
        let mut parts = words.split(' ');
        let endpoint = |mut parts: std::str::Split<'_, char>| {
            parts.next()?.parse().ok().and_then(Slot::new)?;
            Endpoint::read(parts.next()?)
        };
        match parts.next()? {
            // Who cannot say where to is asked again: the map tells meanwhile.
            "MOVED" => Some(endpoint(parts).map_or(Self::Later, Self::Moved)),
            "ASK" => Some(endpoint(parts).map_or(Self::Later, Self::Ask)),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

/// A slot of which a command was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The slot.
    pub slot: Slot,
    /// Why.
    pub why: Refusal,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port }
    }

    #[test]
    fn refusals_are_told_from_answers_and_say_where_to() {
        for (words, refusal) in [
            ("MOVED 3999 127.0.0.1:6381", Some(Refusal::Moved(at("127.0.0.1", 6_381)))),
            ("MOVED 0 ::1:7000", Some(Refusal::Moved(at("::1", 7_000)))),
            ("MOVED 16383 node.example:1", Some(Refusal::Moved(at("node.example", 1)))),
            ("MOVED 1 :6379", Some(Refusal::Moved(at("", 6_379)))),
            ("MOVED 1 ?:6379", Some(Refusal::Moved(at("", 6_379)))),
            ("ASK 3999 127.0.0.1:6381", Some(Refusal::Ask(at("127.0.0.1", 6_381)))),
            ("MOVED 16384 127.0.0.1:6381", Some(Refusal::Later)),
            ("MOVED 1 127.0.0.1:0", Some(Refusal::Later)),
            ("MOVED 1 127.0.0.1", Some(Refusal::Later)),
            ("MOVED", Some(Refusal::Later)),
            ("ASK 1 a b:77777", Some(Refusal::Later)),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Some(Refusal::Later)),
            ("CLUSTERDOWN Hash slot not served", Some(Refusal::Later)),
            ("CLUSTERDOWN The cluster is down", Some(Refusal::Later)),
            ("MASTERDOWN Link with MASTER is down", None),
            ("CROSSSLOT Keys in request don't hash to the same slot", None),
            ("WRONGTYPE Operation against a key", None),
            ("ERR MOVED 1 127.0.0.1:6381", None),
            ("", None),
        ] {
            assert_eq!(Refusal::read(words.as_bytes()), refusal, "{words}");
        }
        assert_eq!(Refusal::read(b"MOVED 1 \xff:1"), None);
        let long = format!("MOVED 1 {}:1", "a".repeat(300));
        assert_eq!(Refusal::read(long.as_bytes()), Some(Refusal::Later));
    }

    #[test]
    fn an_empty_host_is_that_of_who_tells_it() {
        assert_eq!(at("", 2).or_host_of(&at("a", 1)), at("a", 2));
        assert_eq!(at("b", 2).or_host_of(&at("a", 1)), at("b", 2));
        assert_eq!((at("::1", 2).to_string(), at("b", 2).to_string()), ("[::1]:2".to_owned(), "b:2".to_owned()));
    }
}
