//! Scans as a state machine: demands and replies in, commands and pages out.
//!
//! A page costs one round trip: the values of a page (`MGET`) or its deletion (`DEL`) travel with the next `SCAN`. At
//! most one `SCAN` runs ahead of what was asked for, and never an `MGET`: who breaks out of a loop has read no values in
//! vain. Keys are bytes here.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// What a scan makes of the keys that it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pages of keys.
    Keys,
    /// Pages of keys with their values.
    Pairs,
    /// Pages of values.
    Values,
    /// The number of keys.
    Count,
    /// Nothing: it deletes them.
    Clear,
}

/// Keys of one page, in one piece of memory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Page {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Page {
    /// Adds a key.
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// The number of keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// A hash is not hashed again.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 is hashed");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The keys that a scan has seen, by a 64-bit hash each: Redis may name a key twice while its table is resized. With a
/// million keys the chance that two share a hash, so that one is passed over, is 1 in 37 million.
#[derive(Default)]
struct Seen {
    hashes: HashSet<u64, BuildHasherDefault<Identity>>,
    /// Keyed at random, so that nobody can choose keys that collide.
    hasher: RandomState,
}

impl Seen {
    fn is_new(&mut self, key: &[u8]) -> bool {
        self.hashes.insert(self.hasher.hash_one(key))
    }
}

/// A command that a scan wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SCAN cursor MATCH pattern COUNT count`
    Scan {
        /// As Redis gave it.
        cursor: Vec<u8>,
        /// COUNT
        count: u32,
    },
    /// `MGET` of the current page.
    Values,
    /// `DEL` of these keys.
    Delete(Page),
}

/// What a step of a scan leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be sent, in this order, before the answer is given.
    pub commands: Vec<Command>,
    /// The answer to the demand, if it is known now.
    pub answer: Option<Answer>,
}

/// The answer to a demand.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Keys of a page.
    Keys(Page),
    /// A page whose values have just arrived; they stand in the reply.
    Values(Page),
    /// There is nothing more.
    End,
    /// That many keys were found.
    Count(u64),
}

/// One scan.
pub struct Scan {
    kind: Kind,
    count: u32,
    count_max: u32,
    seen: Seen,
    found: u64,
    /// Where the next SCAN goes on; `None` once Redis has said that it was the last.
    cursor: Option<Vec<u8>>,
    scanning: bool,
    /// DELs that are not answered.
    deleting: usize,
    /// A page that nobody has asked for yet.
    ahead: Option<Page>,
    /// The page whose values are on their way.
    current: Option<Page>,
    /// Somebody waits for an answer.
    demanded: bool,
}

impl Scan {
    /// A scan that has not begun: its COUNT starts at `count` and doubles with each SCAN up to `count_max`, so that a
    /// small map costs Redis little and a large one few round trips.
    #[must_use]
    pub fn new(kind: Kind, count: u32, count_max: u32) -> Self {
        Self {
            kind,
            count,
            count_max,
            seen: Seen::default(),
            found: 0,
            cursor: Some(b"0".to_vec()),
            scanning: false,
            deleting: 0,
            ahead: None,
            current: None,
            demanded: false,
        }
    }

    /// What it makes of the keys.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The page that [`Command::Values`] is about.
    #[must_use]
    pub const fn current(&self) -> Option<&Page> {
        self.current.as_ref()
    }

    /// The next page is asked for; of a count or a clear, its end.
    pub fn demand(&mut self) -> Step {
        self.demanded = true;
        self.go_on()
    }

    /// A SCAN was answered. `cursor` is where the next one goes on.
    pub fn scanned<'a>(&mut self, cursor: &[u8], keys: impl Iterator<Item = &'a [u8]>) -> Step {
        self.scanning = false;
        self.cursor = (cursor != b"0").then(|| cursor.to_vec());
        let mut page = Page::default();
        for key in keys {
            // A second DEL of a key does no harm; for the others each key counts once.
            if self.kind == Kind::Clear || self.seen.is_new(key) {
                page.push(key);
            }
        }
        self.found += page.len() as u64;
        self.ahead = (!page.is_empty()).then_some(page);
        self.go_on()
    }

    /// The MGET of the current page was answered.
    pub fn values_arrived(&mut self) -> Step {
        let page = self.current.take().unwrap_or_default();
        self.demanded = false;
        Step { answer: Some(Answer::Values(page)), ..Step::default() }
    }

    /// A DEL was answered.
    pub fn deleted(&mut self) -> Step {
        self.deleting -= 1;
        self.go_on()
    }

    fn go_on(&mut self) -> Step {
        let mut step = Step::default();
        if !self.demanded || self.current.is_some() {
            return step;
        }
        match (self.kind, self.ahead.take()) {
            (Kind::Keys, Some(page)) => {
                self.demanded = false;
                step.answer = Some(Answer::Keys(page));
            }
            (Kind::Pairs | Kind::Values, Some(page)) => {
                self.current = Some(page);
                step.commands.push(Command::Values);
            }
            (Kind::Clear, Some(page)) => {
                self.deleting += 1;
                step.commands.push(Command::Delete(page));
            }
            (Kind::Count, _) | (_, None) => {}
        }
        step.commands.extend(self.next_scan());
        let over = self.cursor.is_none() && !self.scanning;
        if over && self.demanded && self.current.is_none() && self.deleting == 0 {
            self.demanded = false;
            step.answer = Some(if self.kind == Kind::Count { Answer::Count(self.found) } else { Answer::End });
        }
        step
    }

    fn next_scan(&mut self) -> Option<Command> {
        if self.scanning {
            return None;
        }
        let cursor = self.cursor.take()?;
        self.scanning = true;
        let count = self.count;
        self.count = (self.count * 2).min(self.count_max);
        Some(Command::Scan { cursor, count })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Answers a scan's commands from prepared SCAN pages; returns the pages that were answered and the largest number
    /// of round trips that any demand took.
    struct Redis {
        pages: Vec<Vec<&'static str>>,
        deleted: Vec<Vec<u8>>,
        round_trips: usize,
    }

    impl Redis {
        fn answer(&mut self, scan: &mut Scan, mut step: Step) -> (Answer, Vec<Command>) {
            let mut sent = Vec::new();
            while step.answer.is_none() {
                assert!(!step.commands.is_empty(), "a scan that waits for nothing");
                self.round_trips += 1;
                let mut next = Step::default();
                for command in std::mem::take(&mut step.commands) {
                    sent.push(command.clone());
                    let then = self.reply(scan, command);
                    next.commands.extend(then.commands);
                    next.answer = next.answer.or(then.answer);
                }
                step = next;
            }
            // What went out with the answer (a SCAN ahead) is answered before the next demand.
            for command in step.commands {
                sent.push(command.clone());
                let then = self.reply(scan, command);
                assert!(then.answer.is_none() && then.commands.is_empty(), "nothing runs further ahead");
            }
            (step.answer.unwrap(), sent)
        }

        fn reply(&mut self, scan: &mut Scan, command: Command) -> Step {
            match command {
                Command::Scan { cursor, .. } => {
                    let at: usize = String::from_utf8(cursor).unwrap().parse().unwrap();
                    let next = if at + 1 < self.pages.len() { at + 1 } else { 0 };
                    scan.scanned(next.to_string().as_bytes(), self.pages[at].iter().map(|key| key.as_bytes()))
                }
                Command::Values => scan.values_arrived(),
                Command::Delete(page) => {
                    self.deleted.extend(page.iter().map(<[u8]>::to_vec));
                    scan.deleted()
                }
            }
        }
    }

    fn collect(kind: Kind, pages: Vec<Vec<&'static str>>) -> (Vec<String>, Redis) {
        let mut redis = Redis { pages, deleted: Vec::new(), round_trips: 0 };
        let mut scan = Scan::new(kind, 100, 1_000);
        let mut keys = Vec::new();
        loop {
            let step = scan.demand();
            match redis.answer(&mut scan, step).0 {
                Answer::Keys(page) | Answer::Values(page) => {
                    keys.extend(page.iter().map(|key| String::from_utf8(key.to_vec()).unwrap()));
                }
                Answer::End => return (keys, redis),
                Answer::Count(count) => return (vec![count.to_string()], redis),
            }
        }
    }

    #[test]
    fn a_key_that_redis_names_twice_counts_once() {
        let pages = vec![vec!["a", "b"], vec!["a"], vec![], vec!["b", "c"]];
        assert_eq!(collect(Kind::Keys, pages.clone()).0, ["a", "b", "c"]);
        assert_eq!(collect(Kind::Pairs, pages.clone()).0, ["a", "b", "c"]);
        assert_eq!(collect(Kind::Count, pages).0, ["3"]);
    }

    #[test]
    fn the_values_of_a_page_travel_with_the_next_scan() {
        let pages = vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"]];
        // One SCAN to begin with, then one round trip a page.
        assert_eq!(collect(Kind::Pairs, pages.clone()).1.round_trips, 5);
        assert_eq!(collect(Kind::Clear, pages).1.round_trips, 5);
    }

    #[test]
    fn a_clear_deletes_everything_and_ends_after_the_last_deletion() {
        let (_, redis) = collect(Kind::Clear, vec![vec!["a", "b"], vec![], vec!["c"]]);
        assert_eq!(redis.deleted, [b"a", b"b", b"c"]);
    }

    #[test]
    fn the_count_doubles_to_its_bound() {
        let mut scan = Scan::new(Kind::Count, 100, 1_000);
        let mut step = scan.demand();
        let mut counts = Vec::new();
        for _ in 0..6 {
            let Some(Command::Scan { count, .. }) = step.commands.pop() else { panic!("{step:?}") };
            counts.push(count);
            step = scan.scanned(b"1", std::iter::empty());
        }
        assert_eq!(counts, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn nothing_is_asked_before_the_first_demand_and_one_scan_runs_ahead() {
        let mut scan = Scan::new(Kind::Keys, 100, 100);
        let step = scan.demand();
        assert_eq!(step.commands.len(), 1);
        let step = scan.scanned(b"7", [b"a".as_slice()].into_iter());
        assert!(matches!(step.answer, Some(Answer::Keys(_))));
        assert_eq!(step.commands.len(), 1, "the next SCAN goes out with the answer");
        let step = scan.scanned(b"8", [b"b".as_slice()].into_iter());
        assert_eq!(step, Step::default(), "and then it waits");
    }

    proptest! {
        #[test]
        fn every_kind_of_scan_finds_every_key_once(
            pages in prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e", "f"]), 0..5), 1..8)
        ) {
            let mut expected: Vec<_> = pages.concat();
            expected.sort_unstable();
            expected.dedup();
            for kind in [Kind::Keys, Kind::Pairs, Kind::Values] {
                let mut keys = collect(kind, pages.clone()).0;
                keys.sort_unstable();
                prop_assert_eq!(&keys, &expected);
            }
            prop_assert_eq!(collect(Kind::Count, pages.clone()).0, [expected.len().to_string()]);
            let mut deleted = collect(Kind::Clear, pages).1.deleted;
            deleted.sort_unstable();
            deleted.dedup();
            prop_assert_eq!(deleted.len(), expected.len());
        }
    }
}
