//! What is wanted of a server, before it is bytes: so that it can be routed to one of several, or answered by something that
//! is no server.

use crate::cluster::topology::ASK_NODES;
use crate::map::scan::Page;
use crate::redis::by_peer::PeerId;
use crate::redis::encode::{push_command, push_head, push_number, push_word};
use crate::redis::handshake::ASK_RUN;
use crate::redis::slot::Slot;

/// More keys than one slot can have: they are asked for all at once, because there is no cursor in a slot.
const ALL_IN_SLOT: u64 = i32::MAX as u64;

/// Keys of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys<'a> {
    /// One.
    One(&'a [u8]),
    /// Two.
    Two(&'a [u8], &'a [u8]),
    /// Those of a page.
    Page(&'a Page),
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The text of a key.
    Get(&'a [u8]),
    /// How many of the keys are there.
    Exists(Keys<'a>),
    /// The texts of both keys, of which the first that is there is wanted.
    First(&'a [u8], &'a [u8]),
    /// Writes a text.
    Set {
        /// Its key.
        key: &'a [u8],
        /// The text.
        value: &'a [u8],
        /// Seconds until the key expires; `None`: never.
        ttl: Option<u64>,
    },
    /// Writes a text where there is no key.
    Add {
        /// Its key.
        key: &'a [u8],
        /// The text.
        value: &'a [u8],
        /// Milliseconds until the key expires; `None`: never.
        millis: Option<u64>,
    },
    /// Deletes keys.
    Del(Keys<'a>),
    /// The texts of a page's keys, in their order.
    Values(&'a Page),
    /// Some keys of a server that match a pattern, and where to go on.
    Scan {
        /// The server.
        of: PeerId,
        /// Where to go on, as the last answer has it; `0` at the beginning.
        cursor: &'a [u8],
        /// The pattern.
        pattern: &'a [u8],
        /// About how many keys to look at.
        count: u32,
    },
    /// What that master of a cluster tells of itself and the others.
    Marks(PeerId),
    /// All keys of a slot at that master.
    InSlot(PeerId, Slot),
    /// For how many milliseconds a key will be there.
    Pttl(&'a [u8]),
    /// Any answer.
    Ping,
    /// Any answer of that server.
    Proof(PeerId),
    /// What a server says of itself.
    Info,
    /// How that node of a cluster is set up.
    Settings(PeerId),
    /// Which run of that server answers.
    Run(PeerId),
    /// Whether a key is there, at that server of a cluster and nowhere else.
    Held(PeerId, &'a [u8]),
}

/// Where a request can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// Anywhere.
    Anywhere,
    /// Where the keys are. With several servers they may be on several, and then the request is divided.
    Keys(Keys<'a>),
    /// At that server.
    Peer(PeerId),
}

impl Request<'_> {
    /// Appends the bytes that a Redis server reads.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Get(key) => push_keyed(out, b"*2\r\n$3\r\nGET\r\n", key),
            Self::Exists(Keys::One(key)) | Self::Held(_, key) => push_keyed(out, b"*2\r\n$6\r\nEXISTS\r\n", key),
            Self::Exists(keys) => push_keys(out, b"EXISTS", keys),
            Self::First(first, second) => push_keys(out, b"MGET", Keys::Two(first, second)),
            Self::Set { key, value, ttl } => push_set(out, key, value, ttl),
            Self::Add { key, value, millis } => {
                push_head(out, if millis.is_some() { 6 } else { 4 });
                for word in [b"SET", key, value, b"NX"] {
                    push_word(out, word);
                }
                if let Some(millis) = millis {
                    push_word(out, b"PX");
                    push_number_word(out, millis);
                }
            }
            Self::Del(Keys::One(key)) => push_keyed(out, b"*2\r\n$3\r\nDEL\r\n", key),
            Self::Del(keys) => push_keys(out, b"DEL", keys),
            Self::Values(page) => push_keys(out, b"MGET", Keys::Page(page)),
            Self::Scan { cursor, pattern, count, .. } => {
                push_head(out, 6);
                for word in [b"SCAN", cursor, b"MATCH", pattern, b"COUNT"] {
                    push_word(out, word);
                }
                push_number_word(out, count.into());
            }
            Self::Marks(_) => push_command(out, ASK_NODES),
            Self::InSlot(_, slot) => {
                push_head(out, 4);
                for word in [b"CLUSTER".as_slice(), b"GETKEYSINSLOT"] {
                    push_word(out, word);
                }
                push_number_word(out, slot.number().into());
                push_number_word(out, ALL_IN_SLOT);
            }
            Self::Pttl(key) => push_keyed(out, b"*2\r\n$4\r\nPTTL\r\n", key),
            Self::Ping | Self::Proof(_) => push_command(out, &[b"PING"]),
            Self::Settings(_) => push_command(out, &[b"CONFIG", b"GET", b"cluster-*"]),
            Self::Info | Self::Run(_) => push_command(out, ASK_RUN),
        }
    }
}

impl<'a> Request<'a> {
    /// Where it can be answered.
    #[must_use]
    pub const fn route(&self) -> Route<'a> {
        match *self {
            Self::Get(key) | Self::Set { key, .. } | Self::Add { key, .. } | Self::Pttl(key) => {
                Route::Keys(Keys::One(key))
            }
            Self::Exists(keys) | Self::Del(keys) => Route::Keys(keys),
            Self::First(first, second) => Route::Keys(Keys::Two(first, second)),
            Self::Values(page) => Route::Keys(Keys::Page(page)),
            Self::Scan { of: peer, .. }
            | Self::Marks(peer)
            | Self::InSlot(peer, _)
            | Self::Settings(peer)
            | Self::Proof(peer)
            | Self::Run(peer)
            | Self::Held(peer, _) => Route::Peer(peer),
            Self::Ping | Self::Info => Route::Anywhere,
        }
    }
}

#[inline]
fn push_keyed(out: &mut Vec<u8>, command: &[u8], key: &[u8]) {
    out.extend_from_slice(command);
    push_word(out, key);
}

fn push_keys(out: &mut Vec<u8>, command: &[u8], keys: Keys<'_>) {
    match keys {
        Keys::One(key) => push_command(out, &[command, key]),
        Keys::Two(first, second) => push_command(out, &[command, first, second]),
        Keys::Page(page) => {
            push_head(out, page.len() + 1);
            push_word(out, command);
            page.iter().for_each(|key| push_word(out, key));
        }
    }
}

fn push_set(out: &mut Vec<u8>, key: &[u8], value: &[u8], ttl: Option<u64>) {
    out.reserve(key.len() + value.len() + 64);
    out.extend_from_slice(if ttl.is_some() { b"*5\r\n$3\r\nSET\r\n" } else { b"*3\r\n$3\r\nSET\r\n" });
    push_word(out, key);
    push_word(out, value);
    if let Some(seconds) = ttl {
        out.extend_from_slice(b"$2\r\nEX\r\n");
        push_number_word(out, seconds);
    }
}

fn push_number_word(out: &mut Vec<u8>, number: u64) {
    let mut digits = Vec::with_capacity(20);
    push_number(&mut digits, number);
    push_word(out, &digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_bytes_that_the_redis_crate_packs_and_go_where_their_keys_are() {
        let mut page = Page::default();
        for key in ["a", "bb", ""] {
            page.push(key.as_bytes());
        }
        let peer = PeerId::of(3);
        let one = Keys::One(b"k");
        let two = Keys::Two(b"k", b"l");
        let set = |ttl| Request::Set { key: b"k", value: b"v\r\n", ttl };
        for (request, words, route) in [
            (Request::Get(b"k"), "GET k", Route::Keys(one)),
            (Request::Exists(one), "EXISTS k", Route::Keys(one)),
            (Request::Exists(two), "EXISTS k l", Route::Keys(two)),
            (Request::First(b"k", b"l"), "MGET k l", Route::Keys(two)),
            (set(None), "SET k v\r\n", Route::Keys(one)),
            (set(Some(7)), "SET k v\r\n EX 7", Route::Keys(one)),
            (Request::Add { key: b"k", value: b"v", millis: None }, "SET k v NX", Route::Keys(one)),
            (Request::Add { key: b"k", value: b"v", millis: Some(9) }, "SET k v NX PX 9", Route::Keys(one)),
            (Request::Del(one), "DEL k", Route::Keys(one)),
            (Request::Del(Keys::Page(&page)), "DEL a bb ", Route::Keys(Keys::Page(&page))),
            (Request::Values(&page), "MGET a bb ", Route::Keys(Keys::Page(&page))),
            (
                Request::Scan { of: peer, cursor: b"17", pattern: b"m:*", count: 1_000 },
                "SCAN 17 MATCH m:* COUNT 1000",
                Route::Peer(peer),
            ),
            (Request::Pttl(b"k"), "PTTL k", Route::Keys(one)),
            (Request::Ping, "PING", Route::Anywhere),
            (Request::Proof(peer), "PING", Route::Peer(peer)),
            (Request::Settings(peer), "CONFIG GET cluster-*", Route::Peer(peer)),
            (Request::Marks(peer), "CLUSTER NODES", Route::Peer(peer)),
            (Request::InSlot(peer, Slot::of(b"foo")), "CLUSTER GETKEYSINSLOT 12182 2147483647", Route::Peer(peer)),
            (Request::Info, "INFO server", Route::Anywhere),
            (Request::Run(peer), "INFO server", Route::Peer(peer)),
            (Request::Held(peer, b"k"), "EXISTS k", Route::Peer(peer)),
        ] {
            let mut ours = Vec::new();
            request.encode(&mut ours);
            let mut theirs = redis::Cmd::new();
            for word in words.split(' ') {
                theirs.arg(word);
            }
            assert_eq!(ours, theirs.get_packed_command(), "{words}");
            assert_eq!(request.route(), route, "{words}");
        }
    }
}
