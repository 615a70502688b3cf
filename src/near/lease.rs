//! For how long what is known of one server's keys may be told. Pure.

use crate::redis::{MILLI, Nanos};

/// How long the cache answers after the last proof, in nanoseconds. A value that it serves is at most this old.
pub const LEASE: Nanos = 2_000 * MILLI;

/// A cluster's server that could not prove what it holds is asked again after this.
pub(super) const ASK_AGAIN: Nanos = LEASE / 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Lease {
    /// Until when it lasts; 0, before which no moment is, while any of what it rests on is missing. Every hit looks at this alone.
    until: Nanos,
    /// Whether the server keeps us informed: from the reply to CLIENT TRACKING until the connection is lost.
    pub(super) informed: bool,
    /// When the command of the latest reply was written.
    proven: Nanos,
    /// By when others said that the server is the one that writes go to; in a cluster, by when it was sure to hold its slots.
    /// `None`: that was never so, or is not any more.
    attested: Option<Nanos>,
    /// When a cluster's server was last asked for that.
    asked: Option<Nanos>,
    /// The key that was last read or written there, in a cluster.
    pub(super) key: Vec<u8>,
}

impl Lease {
    /// Without sentinels or a cluster nobody need say more than the server itself.
    pub(super) const fn new(is_of_cluster: bool) -> Self {
        let attested = if is_of_cluster { None } else { Some(Nanos::MAX) };
        Self { until: 0, informed: false, proven: 0, attested, asked: None, key: Vec::new() }
    }

    #[inline]
    pub(super) const fn holds(&self, now: Nanos) -> bool {
        now < self.until
    }

    /// From here on the server tells us everything; it was asked to at that moment.
    pub(super) fn begin(&mut self, written: Nanos) {
        (self.informed, self.proven) = (true, written);
        self.renew();
    }

    pub(super) fn end(&mut self) {
        self.informed = false;
        self.renew();
    }

    /// A reply was read whose command was written at that moment.
    #[inline]
    pub(super) fn proof(&mut self, written: Nanos) {
        self.proven = self.proven.max(written);
        self.renew();
    }

    pub(super) fn attest(&mut self, at: Option<Nanos>) {
        self.attested = at;
        self.renew();
    }

    /// A cluster's server was asked at that moment what it holds. `held`: by when it was sure to hold it.
    pub(super) fn answered(&mut self, asked: Nanos, held: Option<Nanos>) {
        self.asked = Some(asked);
        self.attest(self.attested.max(held));
    }

    #[inline]
    fn renew(&mut self) {
        self.until = match self.attested {
            Some(attested) if self.informed => self.proven.min(attested) + LEASE,
            _ => 0,
        };
    }

    /// Whether the server should be asked for a proof.
    pub(super) const fn wants_proof(&self, now: Nanos) -> bool {
        self.informed && now >= self.proven + LEASE / 2
    }

    /// Whether it is time to ask for more than the server's own word.
    pub(super) fn wants_attestation(&self, now: Nanos) -> bool {
        self.attested.is_none_or(|attested| now >= attested.saturating_add(LEASE / 2))
            && self.asked.is_none_or(|asked| now >= asked + ASK_AGAIN)
    }

    /// Whether a cluster's server was never asked on this connection.
    pub(super) const fn is_unasked(&self) -> bool {
        self.informed && self.attested.is_none() && self.asked.is_none()
    }
}
