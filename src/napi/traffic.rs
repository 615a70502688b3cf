//! Bytes between a socket and its lane.

use std::io::ErrorKind;

use super::clock::wall;
use super::socket::name;
use super::state::Core;
use crate::redis::by_peer::PeerId;

/// What a read brought.
pub(super) enum Received {
    /// Bytes.
    Bytes,
    /// The connection is lost.
    Lost(String),
    /// So it is, and the next one will be: calls need not wait for it.
    Hopeless(String),
}

impl Core {
    /// Writes what the socket takes. A failed write is noticed by the next read.
    pub(super) fn write_out(&mut self, at: PeerId) {
        let (peer, node) = (&mut self.peers[at], &mut self.nodes[at]);
        let Some(link) = node.link.as_mut().filter(|link| link.connected) else { return };
        let was_blocked = std::mem::take(&mut node.blocked);
        let failure = loop {
            let bytes = peer.lane.unsent();
            if bytes.is_empty() {
                match link.stream.is_held_up() {
                    Ok(held_up) => {
                        node.blocked = held_up;
                        if was_blocked && !held_up {
                            peer.watchdog.sign();
                        }
                        return;
                    }
                    Err(error) => break error,
                }
            }
            let now = wall();
            match link.stream.write(bytes) {
                Ok(count) => {
                    peer.lane.sent(count, now);
                    node.fresh = true;
                    if was_blocked {
                        peer.watchdog.sign();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    node.blocked = true;
                    return;
                }
                Err(error) => break error,
            }
        };
        // The first reason: after it the socket only says that it is closed.
        let why = || format!("write {} {}", name(&failure), link.endpoint);
        node.failed_write.get_or_insert_with(why);
    }

    /// In the middle of a tick: lets one server begin, each in its turn. To write to all of a cluster would cost as many system calls
    /// more as there are masters, and they share what has come.
    pub(super) fn write_early(&mut self) {
        self.early_last = (self.early_last + 1) % self.peers.count().max(1);
        if let Some(at) = self.peers.at(self.early_last) {
            self.write_out(at);
        }
    }

    /// Reads from a socket that has something, from each in its turn. `None`: nothing is there.
    pub(super) fn read_in_any(&mut self) -> Option<(PeerId, Received)> {
        let count = self.peers.count();
        (1..=count).find_map(|step| {
            let place = (self.read_last + step) % count;
            let at = self.peers.at(place)?;
            let read = self.read_in(at)?;
            self.read_last = place;
            Some((at, read))
        })
    }

    /// Reads from a server's socket. `None`: nothing is there.
    pub(super) fn read_in(&mut self, at: PeerId) -> Option<Received> {
        let (peer, node) = (&mut self.peers[at], &mut self.nodes[at]);
        let link = node.link.as_mut().filter(|link| link.connected)?;
        Some(match link.stream.read(peer.lane.space()) {
            Ok(0) => Received::Lost(
                node.failed_write.take().unwrap_or_else(|| format!("{} closed the connection", link.endpoint)),
            ),
            Ok(count) => {
                peer.lane.filled(count);
                peer.watchdog.sign();
                Received::Bytes
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => match link.stream.failure() {
                None => Received::Lost(format!("read {} {}", name(&error), link.endpoint)),
                Some(failure) => {
                    let words = peer.lane.secrets().mask(&failure.words);
                    let why = format!("TLS with {}: {words}", link.endpoint);
                    if failure.is_final { Received::Hopeless(why) } else { Received::Lost(why) }
                }
            },
        })
    }
}
