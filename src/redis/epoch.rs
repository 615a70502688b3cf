//! What an answer depends on besides its command. Pure.

/// See the module. What was learned under one epoch is not mixed with what is told under another.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// How many connections to the server were ready.
    connection: u32,
    /// How often another run of the server may have begun.
    run: u32,
}

impl Epoch {
    /// How many connections were ready.
    #[must_use]
    pub const fn connection(self) -> u32 {
        self.connection
    }

    /// Whether a cursor of one epoch means the same in the other. It does over a lost connection, if the server is the same
    /// process.
    #[must_use]
    pub const fn has_cursors_of(self, other: Self) -> bool {
        self.run == other.run
    }

    /// Another connection is ready. `is_same_run`: the server is known to be the same process.
    pub fn connected(&mut self, is_same_run: bool) {
        self.run = self.run.wrapping_add((!is_same_run).into());
        self.connection = self.connection.wrapping_add(1);
    }
}
