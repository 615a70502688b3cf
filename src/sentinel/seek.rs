//! The steps of a search for the master. Pure.

use super::known::{Failure, Known, Link, Number, Opinion};
use super::roster::Sentinels;
use super::search::Found;
use crate::near::LEASE;
use crate::redis::{MILLI, Nanos};

/// After so long without an answer the next sentinel is asked as well.
const PATIENCE: Nanos = 250 * MILLI;

impl Sentinels {
    /// Asks whoever is to be asked now; ends the search where nobody is left.
    pub(super) fn advance(&mut self, now: Nanos) {
        loop {
            let Some(search) = &mut self.search else { return };
            if !search.pending.is_empty() && now < search.next {
                return;
            }
            let Some(number) = search.left.pop_front() else {
                if search.pending.is_empty() {
                    self.search = None;
                    self.found = Some(self.nothing());
                }
                return;
            };
            search.pending.push(number);
            search.next = now + PATIENCE;
            let Some(at) = self.at(number) else { continue };
            match self.known[at].link {
                Link::Down { .. } => self.open(at, now),
                // It is asked as soon as it is there.
                Link::Opening { .. } => {}
                Link::Up => self.ask(at, now),
            }
        }
    }

    /// A sentinel will not help this search.
    pub(super) fn ended(&mut self, number: Number, now: Nanos) {
        let Some(search) = &mut self.search else { return };
        if let Some(at) = search.pending.iter().position(|&one| one == number) {
            search.pending.swap_remove(at);
            self.advance(now);
        }
    }

    /// A sentinel has answered a question of a search.
    pub(super) fn answered(&mut self, number: Number, search: u32, now: Nanos, wall: Nanos) {
        if self.search.as_ref().is_none_or(|current| current.number != search) {
            return;
        }
        let Some(at) = self.at(number) else { return };
        let Some(Opinion { master: Some(named), .. }) = self.known[at].opinion.clone() else {
            return self.ended(number, now);
        };
        // One word does not stand against that of a majority which was asked within the lease.
        let master = self.chosen(wall.saturating_sub(LEASE)).cloned().unwrap_or(named);
        self.search = None;
        self.told_by = Some(number);
        if self.master.as_ref().is_some_and(|before| *before != master) {
            self.counters.switches += 1;
        }
        self.master = Some(master.clone());
        self.found = Some(Found::Master(master));
    }

    /// Why nobody named a master.
    fn nothing(&self) -> Found {
        let name = self.name();
        let all: Vec<_> = self.known.iter().map(Known::name).collect();
        let failures = || self.known.iter().filter_map(|known| known.failure.as_ref().filter(|_| known.is_down()));
        if let Some(Failure::Refused(words)) = failures().next()
            && failures().filter(|failure| matches!(failure, Failure::Refused(_))).count() == self.known.len()
        {
            return Found::Refused(format!("{words} (sentinels {})", all.join(", ")));
        }
        let knows_none = |opinion: &Option<Opinion>| opinion.as_ref().is_some_and(|opinion| opinion.master.is_none());
        if self.known.iter().all(|known| !known.is_down() && knows_none(&known.opinion)) {
            let what = format!("the sentinels know no master named {name}: {}", all.join(", "));
            return Found::Unknown(format!("{what}; CC_REDIS_URL names it behind them"));
        }
        let why = self.known.iter().map(|known| {
            let words = match &known.failure {
                Some(failure) if known.is_down() => failure.words(),
                _ if knows_none(&known.opinion) => "it knows no such master",
                _ => "it was not asked",
            };
            format!("{}: {words}", known.name())
        });
        Found::Nothing(format!("no sentinel names the master {name} ({})", why.collect::<Vec<_>>().join("; ")))
    }
}
