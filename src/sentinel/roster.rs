//! All sentinels, and what their words amount to. Pure.

use std::collections::VecDeque;

use super::known::{Failure, Known, Link, Master, Number, Opinion, Other};
use super::search::{Found, Search};
use super::wire::{Heard, Question};
use crate::config::SentinelConfig;
use crate::host::literal;
use crate::redis::{MILLI, Nanos};

/// A sentinel that failed is tried again after so long, while there are calls.
const PAUSE: Nanos = 1_000 * MILLI;

/// What is to be done at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to a sentinel, of which there is none.
    Open(Number),
    /// Put a question to one whose connection is up.
    Ask(Number, Question),
    /// Close its connection.
    Close(Number),
}

/// Counters for `stats()`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Questions for the master.
    pub asked: u64,
    /// Answers to them.
    pub answered: u64,
    /// Switches that sentinels told of on their own.
    pub announced: u64,
    /// Times that another master was found than before.
    pub switches: u64,
}

/// See [`crate::sentinel`].
pub struct Sentinels {
    name: String,
    pub(super) known: Vec<Known>,
    seeds: usize,
    last_number: Number,
    /// Whom the next search asks first.
    first: usize,
    pub(super) search: Option<Search>,
    searches: u32,
    /// The master that was found last, and by whose word; and whether it has proven to be one.
    pub(super) master: Option<Master>,
    pub(super) told_by: Option<Number>,
    confirmed: bool,
    /// Since when, by the clock of the lease, the master does not answer.
    doubted: Option<Nanos>,
    actions: VecDeque<Action>,
    /// A sentinel has told of a switch.
    news: bool,
    pub(super) found: Option<Found>,
    pub(super) counters: Counters,
}

impl Sentinels {
    /// Those that the configuration names.
    #[must_use]
    pub fn new(config: &SentinelConfig) -> Self {
        let mut sentinels = Self {
            name: config.master.clone(),
            known: Vec::new(),
            seeds: config.seeds.len(),
            last_number: 0,
            first: 0,
            search: None,
            searches: 0,
            master: None,
            told_by: None,
            confirmed: false,
            doubted: None,
            actions: VecDeque::new(),
            news: false,
            found: None,
            counters: Counters::default(),
        };
        for (host, port) in &config.seeds {
            sentinels.add(host, *port, true, None);
        }
        sentinels
    }

    /// The name of the master.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The master that was found last.
    #[must_use]
    pub const fn master(&self) -> Option<&Master> {
        self.master.as_ref()
    }

    /// All that are known.
    #[must_use]
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// One of them, unless it was forgotten.
    #[must_use]
    pub fn of(&self, number: Number) -> Option<&Known> {
        self.known.iter().find(|known| known.number == number)
    }

    /// Counters since the configuration was taken into use.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What is to be done next.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What the search came to, once.
    pub const fn found(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// Whether a sentinel has told of a switch since the last time: whoever pauses between two attempts need not wait.
    pub const fn has_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// Whether a search is under way.
    #[must_use]
    pub const fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    fn add(&mut self, host: &str, port: u16, is_seed: bool, run: Option<String>) {
        self.last_number += 1;
        self.known.push(Known::new(self.last_number, host.to_owned(), port, is_seed, run));
    }

    pub(super) fn at(&self, number: Number) -> Option<usize> {
        self.known.iter().position(|known| known.number == number)
    }

    /// An attempt to connect begins: the master is searched for.
    pub fn seek(&mut self, now: Nanos) {
        if !self.confirmed
            && let Some(at) = self.told_by.take().and_then(|number| self.at(number))
        {
            self.first = at + 1;
        }
        self.confirmed = false;
        self.doubted = None;
        self.searches = self.searches.wrapping_add(1);
        let count = self.known.len();
        let order = (0..count).map(|place| self.known[(self.first + place) % count].number);
        self.search = Some(Search::new(self.searches, order.collect()));
        self.found = None;
        self.advance(now);
    }

    /// The server that was found says that it is the master.
    pub fn confirm(&mut self) {
        self.confirmed = true;
        if let Some(at) = self.told_by.and_then(|number| self.at(number)) {
            self.first = at;
        }
    }

    /// The attempt was given up.
    pub fn give_up(&mut self) {
        self.search = None;
        self.found = None;
    }

    /// `close()`, or the end: no connection is kept.
    pub fn close(&mut self) {
        self.give_up();
        self.actions.clear();
        self.doubted = None;
        for known in &mut self.known {
            if !known.is_down() {
                self.actions.push_back(Action::Close(known.number));
            }
            known.link = Link::Down { again: 0 };
            known.forget();
        }
    }

    /// Time has passed, and calls are made: whoever is overdue is given up, whoever is to be asked again is asked. `waits`: somebody
    /// waits for an answer. Where nobody does, no name is resolved: that cannot be taken back, and keeps the process.
    pub fn look(&mut self, waits: bool, now: Nanos) {
        let overdue: Vec<_> = self.known.iter().filter_map(|known| Some((known.number, known.overdue(now)?))).collect();
        for (number, why) in overdue {
            self.failed(number, Failure::Away(why.to_owned()), now);
        }
        self.advance(now);
        if self.search.is_some() {
            return;
        }
        for at in 0..self.known.len() {
            match self.known[at].link {
                Link::Down { again }
                    if now >= again && self.master.is_some() && (waits || literal(&self.known[at].host).is_some()) =>
                {
                    self.open(at, now);
                }
                Link::Up if self.known[at].is_due(now) => self.ask(at, now),
                _ => {}
            }
        }
    }

    pub(super) fn open(&mut self, at: usize, now: Nanos) {
        let known = &mut self.known[at];
        known.opens(now);
        self.actions.push_back(Action::Open(known.number));
    }

    pub(super) fn ask(&mut self, at: usize, now: Nanos) {
        let number = self.known[at].number;
        self.known[at].asked(now);
        self.counters.asked += 1;
        self.actions.push_back(Action::Ask(number, Question::Master(self.searches)));
        if self.known[at].wants_list(now) {
            self.actions.push_back(Action::Ask(number, Question::Identity));
            self.actions.push_back(Action::Ask(number, Question::Others));
        }
    }

    /// The connection to one has come one step further: its name is resolved.
    pub fn progressed(&mut self, number: Number, now: Nanos) {
        if let Some(at) = self.at(number) {
            self.known[at].progressed(now);
        }
    }

    /// A sentinel could not be reached, or its connection is lost.
    pub fn failed(&mut self, number: Number, why: Failure, now: Nanos) {
        let Some(at) = self.at(number) else { return };
        let known = &mut self.known[at];
        if known.is_down() {
            return;
        }
        known.link = Link::Down { again: now + PAUSE };
        known.failure = Some(why);
        known.forget();
        self.actions.push_back(Action::Close(number));
        self.ended(number, now);
    }

    /// What one said, whose question was written at that moment by the clock of the lease.
    pub fn heard(&mut self, number: Number, heard: Heard, now: Nanos) {
        let Some(at) = self.at(number) else { return };
        match heard {
            Heard::Ready => {
                self.known[at].link = Link::Up;
                self.known[at].failure = None;
                self.ask(at, now);
            }
            Heard::Named { search, master, written } => self.named(at, search, master, written, now),
            Heard::Others(others) => self.listed(at, &others),
            Heard::Identity(run) => self.identified(at, run),
            Heard::Switched { name, master } => {
                if name == self.name {
                    self.switched(at, master, now);
                }
            }
            Heard::Failed(why) => self.failed(number, why, now),
        }
    }

    fn named(&mut self, at: usize, search: u32, master: Option<Master>, written: Nanos, now: Nanos) {
        self.counters.answered += 1;
        let known = &mut self.known[at];
        known.answered(Opinion { master, written }, now);
        let number = known.number;
        self.answered(number, search, now, written);
    }

    /// A switch that one tells of on its own counts as its opinion, but not as proof of its attention: nobody knows when it was
    /// said. All are asked.
    fn switched(&mut self, at: usize, master: Master, now: Nanos) {
        self.counters.announced += 1;
        self.news = true;
        let opinion = &mut self.known[at].opinion;
        let written = opinion.as_ref().map_or(0, |opinion| opinion.written);
        *opinion = Some(Opinion { master: Some(master), written });
        for at in 0..self.known.len() {
            if self.known[at].link == Link::Up {
                self.ask(at, now);
            }
        }
    }

    fn identified(&mut self, at: usize, run: String) {
        // A sentinel that was found under another address, too, is one sentinel.
        let number = self.known[at].number;
        let is_same = |known: &Known| known.run.as_deref() == Some(run.as_str()) && known.number != number;
        let other = self.known.iter().position(is_same);
        self.known[at].run = Some(run);
        if let Some(other) = other
            && let Some(double) = [at, other].into_iter().find(|&double| !self.known[double].is_seed)
        {
            self.forget(double);
        }
    }

    fn listed(&mut self, at: usize, others: &[Other]) {
        self.known[at].others = Some(others.to_vec());
        self.known[at].count = others.len() + 1;
        for other in others {
            let is_known = |known: &Known| {
                (known.host == other.host && known.port == other.port)
                    || (known.run.is_some() && known.run == other.run)
            };
            if let Some(known) = self.known.iter_mut().find(|known| is_known(known)) {
                // Of one that cannot be reached, others may say who it is.
                if known.run.is_none() {
                    known.run.clone_from(&other.run);
                }
            } else {
                self.add(&other.host, other.port, false, other.run.clone());
            }
        }
        // Who is gone for all that answer is gone.
        let is_listed = |known: &Known| {
            self.known.iter().filter_map(|one| one.others.as_ref()).flatten().any(|other| {
                (known.host == other.host && known.port == other.port)
                    || (known.run.is_some() && known.run == other.run)
            })
        };
        let gone: Vec<_> = self
            .known
            .iter()
            .filter(|known| !known.is_seed && known.link != Link::Up && !is_listed(known))
            .map(|known| known.number)
            .collect();
        for number in gone {
            if let Some(at) = self.at(number) {
                self.forget(at);
            }
        }
    }

    fn forget(&mut self, at: usize) {
        let known = self.known.remove(at);
        if self.first > at {
            self.first -= 1;
        }
        if !known.is_down() {
            self.actions.push_back(Action::Close(known.number));
        }
        if let Some(search) = &mut self.search {
            search.forget(known.number);
        }
    }

    /// Each sentinel once, with what it names and by when it was asked. One whose identity is not known has no vote, because it may
    /// be another one's second address.
    fn votes(&self) -> impl Iterator<Item = (&Master, Nanos)> {
        self.known.iter().enumerate().filter_map(|(at, known)| {
            let run = known.run.as_ref()?;
            let Opinion { master, written } = known.opinion.as_ref()?;
            // Of two addresses of one sentinel the first counts.
            let is_double =
                self.known[..at].iter().any(|other| other.opinion.is_some() && other.run.as_ref() == Some(run));
            (!is_double).then_some((master.as_ref()?, *written))
        })
    }

    /// So many of all known sentinels are a majority.
    #[must_use]
    pub fn majority(&self) -> usize {
        let told = self.known.iter().map(|known| known.count).max();
        told.unwrap_or(0).max(self.seeds) / 2 + 1
    }

    /// By when a majority was asked that names the master; `None` where none does.
    #[must_use]
    pub fn attested(&self) -> Option<Nanos> {
        let master = self.master.as_ref()?;
        // How many there are is known from their own lists alone.
        if self.known.iter().all(|known| known.run.is_none() || known.count == 0) {
            return None;
        }
        let mut times: Vec<_> =
            self.votes().filter(|(named, _)| *named == master).map(|(_, written)| written).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times.get(self.majority() - 1).copied()
    }

    /// How many say so that were asked since a moment, for each master that is named.
    fn counts(&self, since: Nanos) -> Vec<(&Master, usize)> {
        let mut counts: Vec<(&Master, usize)> = Vec::new();
        for (master, _) in self.votes().filter(|(_, written)| *written >= since) {
            match counts.iter_mut().find(|(named, _)| *named == master) {
                Some((_, count)) => *count += 1,
                None => counts.push((master, 1)),
            }
        }
        counts
    }

    /// What a majority names that was asked since a moment.
    pub(super) fn chosen(&self, since: Nanos) -> Option<&Master> {
        let majority = self.majority();
        self.counts(since).into_iter().find(|(_, count)| *count >= majority).map(|(master, _)| master)
    }

    /// The server does not answer (since a moment by the clock of the lease), or does: where it does not, all are asked about it.
    pub fn doubt(&mut self, doubted: Option<Nanos>, now: Nanos) {
        let begins = self.doubted.is_none() && doubted.is_some();
        self.doubted = match (self.doubted, doubted) {
            (Some(since), Some(_)) => Some(since),
            (_, doubted) => doubted,
        };
        if begins {
            for at in 0..self.known.len() {
                if self.known[at].link == Link::Up {
                    self.ask(at, now);
                }
            }
        }
    }

    /// Another master than the one that was found, where that one is to be left for it. `since`: older answers do not count.
    #[must_use]
    pub fn rival(&self, since: Nanos) -> Option<Master> {
        let master = self.master.as_ref()?;
        let since = self.doubted.map_or(since, |doubted| doubted.max(since));
        if let Some(chosen) = self.chosen(since) {
            return (chosen != master).then(|| chosen.clone());
        }
        self.doubted?;
        // One that lags behind is often the first to answer. Whoever is mute is given up soon.
        let owes = |known: &Known| known.opinion.as_ref().is_none_or(|opinion| opinion.written < since);
        if self.known.iter().any(|known| known.link == Link::Up && owes(known)) {
            return None;
        }
        let counts = self.counts(since);
        let ours = counts.iter().find(|(named, _)| *named == master).map_or(0, |(_, count)| *count);
        let (rival, most) = counts.into_iter().filter(|(named, _)| *named != master).max_by_key(|(_, count)| *count)?;
        (most > ours).then(|| rival.clone())
    }
}
