//! What an answer depends on besides its command. Pure.

use crate::redis::by_peer::PeerId;

/// See the module. What was learned under one epoch is not mixed with what is told under another.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The server.
    peer: PeerId,
    /// How often another run of the server may have begun.
    run: u16,
    /// How many connections to the server were ready.
    connection: u16,
    /// How often it may have got slots, or given some away.
    slots: u16,
}

impl Epoch {
    /// Before the first connection to a server.
    #[must_use]
    pub fn of(peer: PeerId) -> Self {
        Self { peer, ..Self::default() }
    }

    /// The server.
    #[must_use]
    pub const fn peer(self) -> PeerId {
        self.peer
    }

    /// Whether a cursor of one epoch means the same in the other. It does over a lost connection, if the server is the same
    /// process.
    #[must_use]
    pub fn has_cursors_of(self, other: Self) -> bool {
        self.peer == other.peer && self.run == other.run
    }

    /// Another connection is ready. `is_same_run`: the server is known to be the same process.
    pub fn connected(&mut self, is_same_run: bool) {
        self.run = self.run.wrapping_add((!is_same_run).into());
        self.connection = self.connection.wrapping_add(1);
    }

    /// It may have got slots, or given some away.
    pub const fn owns_other_slots(&mut self) {
        self.slots = self.slots.wrapping_add(1);
    }
}

/// An [`Epoch`] without the run, which does not change while a connection lasts: what a ticket of the near cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    peer: PeerId,
    connection: u16,
    slots: u16,
}

impl Origin {
    /// The server.
    #[must_use]
    pub const fn peer(self) -> PeerId {
        self.peer
    }
}

impl From<Epoch> for Origin {
    fn from(epoch: Epoch) -> Self {
        let Epoch { peer, connection, slots, .. } = epoch;
        Self { peer, connection, slots }
    }
}
