//! One sentinel, and what is known of it. Pure.

use crate::config::Address;
use crate::host::literal;
use crate::redis::{MILLI, Nanos};

/// So often a sentinel is asked for the master while calls are made. Twice in a lease, so that it need not run out.
const ASK_EVERY: Nanos = 900 * MILLI;

/// So long an answer may take. Sentinels answer at once, or are busy or gone.
const ANSWER_LIMIT: Nanos = 1_000 * MILLI;

/// How long a sentinel's name may take to resolve, and then its connection.
const LOOKUP_LIMIT: Nanos = 7_000 * MILLI;
const OPEN_LIMIT: Nanos = 1_500 * MILLI;

/// So often each is asked for the list of the others.
const LIST_EVERY: Nanos = 30_000 * MILLI;

/// Another sentinel, as one lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its address, or its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The id that it gave itself.
    pub run: Option<String>,
}

/// Tells sentinels apart for as long as they are known.
pub type Number = u32;

/// Where a sentinel says that the master is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its address, or its name where the sentinels announce names.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Master {
    /// The same as an address to connect to.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Tcp(self.host.clone(), self.port)
    }
}

impl std::fmt::Display for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address().fmt(f)
    }
}

/// The connection to a sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// There is none; not before that moment is it tried again.
    Down {
        /// When.
        again: Nanos,
    },
    /// It is being made. The present step began, and may take so long.
    Opening {
        /// When it began.
        since: Nanos,
        /// How long it may take.
        limit: Nanos,
    },
    /// It takes questions.
    Up,
}

/// Why a sentinel tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached, or does not answer.
    Away(String),
    /// It refuses us, in its own words.
    Refused(String),
}

impl Failure {
    /// The words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Away(words) | Self::Refused(words) => words,
        }
    }
}

/// What a sentinel said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The master; `None`: it knows none of that name.
    pub master: Option<Master>,
    /// When it was asked, by the clock of the lease.
    pub written: Nanos,
}

/// See the module.
#[derive(Debug)]
pub struct Known {
    /// Its number.
    pub number: Number,
    /// Where it is.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The configuration names it.
    pub is_seed: bool,
    /// Who it is, whatever its address: the id that it gave itself.
    pub run: Option<String>,
    /// The connection.
    pub link: Link,
    /// Why there is none, or why the last attempt failed.
    pub failure: Option<Failure>,
    /// What it said last, also on an earlier connection.
    pub opinion: Option<Opinion>,
    /// The others, as it listed them on this connection.
    pub(super) others: Option<Vec<Other>>,
    /// How many sentinels there are by what it said last, itself included, also on an earlier connection; 0: it has not said.
    pub(super) count: usize,
    /// How many answers about the master it owes, and since when the first of them.
    pub(super) owed: u32,
    pub(super) asking: Option<Nanos>,
    /// When it was last asked for the master, and for the list of the others.
    pub(super) asked_at: Nanos,
    pub(super) listed_at: Option<Nanos>,
}

impl Known {
    pub(super) const fn new(number: Number, host: String, port: u16, is_seed: bool, run: Option<String>) -> Self {
        Self {
            number,
            host,
            port,
            is_seed,
            run,
            link: Link::Down { again: 0 },
            failure: None,
            opinion: None,
            others: None,
            count: 0,
            owed: 0,
            asking: None,
            asked_at: 0,
            listed_at: None,
        }
    }

    /// Its address as text.
    #[must_use]
    pub fn name(&self) -> String {
        Address::Tcp(self.host.clone(), self.port).to_string()
    }

    /// Whether there is no connection, nor one that is being made.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self.link, Link::Down { .. })
    }

    pub(super) fn opens(&mut self, now: Nanos) {
        let limit = if literal(&self.host).is_some() { OPEN_LIMIT } else { LOOKUP_LIMIT };
        self.link = Link::Opening { since: now, limit };
    }

    pub(super) const fn progressed(&mut self, now: Nanos) {
        if let Link::Opening { .. } = self.link {
            self.link = Link::Opening { since: now, limit: OPEN_LIMIT };
        }
    }

    /// Forgets what belongs to a connection.
    pub(super) fn forget(&mut self) {
        self.others = None;
        self.owed = 0;
        self.asking = None;
        self.listed_at = None;
    }

    pub(super) fn asked(&mut self, now: Nanos) {
        self.asked_at = now;
        self.owed += 1;
        self.asking.get_or_insert(now);
    }

    pub(super) fn answered(&mut self, opinion: Opinion, now: Nanos) {
        self.owed = self.owed.saturating_sub(1);
        self.asking = (self.owed > 0).then_some(now);
        self.opinion = Some(opinion);
    }

    /// Whether it has taken too long, and over what.
    pub(super) fn overdue(&self, now: Nanos) -> Option<&'static str> {
        match (self.link, self.asking) {
            (Link::Opening { since, limit }, _) if now.saturating_sub(since) > limit => Some("connect ETIMEDOUT"),
            (Link::Up, Some(since)) if now.saturating_sub(since) > ANSWER_LIMIT => Some("it does not answer"),
            _ => None,
        }
    }

    /// Whether the list of the others should be asked for now, which the caller then does.
    pub(super) fn wants_list(&mut self, now: Nanos) -> bool {
        let wants = self.listed_at.is_none_or(|at| now.saturating_sub(at) >= LIST_EVERY);
        if wants {
            self.listed_at = Some(now);
        }
        wants
    }

    /// Whether it should be asked again.
    pub(super) const fn is_due(&self, now: Nanos) -> bool {
        self.asking.is_none() && now.saturating_sub(self.asked_at) >= ASK_EVERY
    }
}
