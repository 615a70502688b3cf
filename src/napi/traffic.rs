//! Bytes between a socket and its lane.

use std::io::ErrorKind;

use super::clock::wall;
use super::socket::name;
use super::state::Core;

/// What a read brought.
pub(super) enum Received {
    /// Nothing is there.
    Nothing,
    /// Bytes.
    Bytes,
    /// The connection is lost.
    Lost(String),
    /// So it is, and the next one will be: calls need not wait for it.
    Hopeless(String),
}

impl Core {
    /// Writes what the socket takes. A failed write is noticed by the next read.
    pub(super) fn write_out(&mut self) {
        let Some(link) = self.connection.link.as_mut().filter(|link| link.connected) else { return };
        let was_blocked = std::mem::take(&mut self.connection.blocked);
        let failure = loop {
            let bytes = self.peer.lane.unsent();
            if bytes.is_empty() {
                match link.stream.is_held_up() {
                    Ok(held_up) => {
                        self.connection.blocked = held_up;
                        if was_blocked && !held_up {
                            self.peer.watchdog.sign();
                        }
                        return;
                    }
                    Err(error) => break error,
                }
            }
            let at = wall();
            match link.stream.write(bytes) {
                Ok(count) => {
                    self.peer.lane.sent(count, at);
                    self.connection.fresh = true;
                    if was_blocked {
                        self.peer.watchdog.sign();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.connection.blocked = true;
                    return;
                }
                Err(error) => break error,
            }
        };
        // The first reason: after it the socket only says that it is closed.
        let why = || format!("write {} {}", name(&failure), link.endpoint);
        self.connection.failed_write.get_or_insert_with(why);
    }

    pub(super) fn read_in(&mut self) -> Received {
        let Some(link) = self.connection.link.as_mut().filter(|link| link.connected) else { return Received::Nothing };
        match link.stream.read(self.peer.lane.space()) {
            Ok(0) => Received::Lost(
                self.connection
                    .failed_write
                    .take()
                    .unwrap_or_else(|| format!("{} closed the connection", link.endpoint)),
            ),
            Ok(count) => {
                self.peer.lane.filled(count);
                self.peer.watchdog.sign();
                Received::Bytes
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
            Err(error) => match link.stream.failure() {
                None => Received::Lost(format!("read {} {}", name(&error), link.endpoint)),
                Some(failure) => {
                    let words = self.peer.lane.secrets().mask(&failure.words);
                    let why = format!("TLS with {}: {words}", link.endpoint);
                    if failure.is_final { Received::Hopeless(why) } else { Received::Lost(why) }
                }
            },
        }
    }
}
