//! Scans as a state machine: demands and replies in, commands and pages out.
//!
//! A page costs one round trip: the values of a page (`MGET`) or its deletion (`DEL`) travel with the next `SCAN`. At
//! most one `SCAN` runs ahead of what was asked for, and never an `MGET`: who breaks out of a loop has read no values in
//! vain. Keys are bytes here.
//!
//! Each server that holds keys is a part of its own, one after the other.
//!
//! A cursor means something to the run of the server that gave it, and to no other: it follows the order of a table whose
//! hashes are seeded anew at each start. Another run goes on from it all the same and passes over keys without a word. So
//! after a change of a server its part starts anew, and what the scan has shown already it does not show again.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::epoch::Epoch;

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
    /// In the part under way.
    here: HashSet<u64, BuildHasherDefault<Identity>>,
    /// In parts that are over.
    before: HashSet<u64, BuildHasherDefault<Identity>>,
    /// Keyed at random, so that nobody can choose keys that collide.
    hasher: RandomState,
}

impl Seen {
    fn is_new(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        !self.before.contains(&hash) && self.here.insert(hash)
    }

    /// The next part begins.
    fn part_is_over(&mut self) {
        self.before.extend(self.here.drain());
    }

    /// The part under way begins anew, and nobody was told of its keys.
    fn forget_part(&mut self) {
        self.here.clear();
    }

    fn count(&self) -> u64 {
        (self.before.len() + self.here.len()) as u64
    }
}

/// A command that a scan wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SCAN cursor MATCH pattern COUNT count`
    Scan {
        /// The server.
        of: PeerId,
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

/// Which SCAN is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The first one, which is right for any server.
    First,
    /// One that goes on from a cursor.
    Next,
    /// One that goes on from a cursor of another run; whatever its answer is, it means nothing.
    Stale,
}

/// Where a scan begins.
const BEGINNING: &[u8] = b"0";

/// What there is of one server's part.
struct Part {
    /// Where the next SCAN goes on; `None` once the server has said that it was the last.
    cursor: Option<Vec<u8>>,
    /// What the cursor depends on.
    epoch: Epoch,
    /// The same when its first SCAN was asked for: the server may have got slots since.
    begun: Epoch,
    /// Its server was named among those that hold keys.
    is_there: bool,
}

/// One scan.
pub struct Scan {
    kind: Kind,
    count: u32,
    count_max: u32,
    seen: Seen,
    parts: ByPeer<Part>,
    /// The SCAN under way, and whose it is.
    scanning: Option<(PeerId, Asked)>,
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
            parts: ByPeer::default(),
            scanning: None,
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
        if let Some((of, _)) = self.scanning.take()
            && let Some(part) = self.parts.get_mut(of)
        {
            part.cursor = (cursor != BEGINNING).then(|| cursor.to_vec());
        }
        let mut page = Page::default();
        for key in keys {
            // A second DEL of a key does no harm; for the others each key counts once.
            if self.kind == Kind::Clear || self.seen.is_new(key) {
                page.push(key);
            }
        }
        self.ahead = (!page.is_empty()).then_some(page);
        self.go_on()
    }

    /// Whether it depends on the run of a server that has answered it so far.
    #[must_use]
    pub fn is_bound(&self, to: PeerId) -> bool {
        let cursor = self.parts.get(to).and_then(|part| part.cursor.as_deref());
        let has_cursor = cursor.is_some_and(|cursor| cursor != BEGINNING);
        // A clear is not over while deletions are under way, which the next server may get in place of the last one.
        has_cursor || self.deleting > 0 || self.is_scanning(to, &[Asked::Next, Asked::Stale])
    }

    fn is_scanning(&self, of: PeerId, how: &[Asked]) -> bool {
        self.scanning.is_some_and(|(peer, asked)| peer == of && how.contains(&asked))
    }

    /// Before each of its steps: what a server's answers depend on now. One that is not known yet is another part. Where
    /// another run of it answers than the one that gave the cursor, its part starts anew. Unanswered commands are sent again.
    pub fn answered_under(&mut self, epoch: Epoch) {
        let peer = epoch.peer();
        let Some(part) = self.parts.get_mut(peer) else { return };
        let before = std::mem::replace(&mut part.epoch, epoch);
        if !epoch.has_cursors_of(before) && self.is_bound(peer) {
            self.restart(peer);
        }
    }

    /// Before each of its steps: the servers that hold keys now, with what their answers depend on.
    pub fn of_servers(&mut self, servers: impl Iterator<Item = Epoch>) {
        let mut there = 0;
        for epoch in servers {
            there += 1;
            let begin = || Part { cursor: Some(BEGINNING.to_vec()), epoch, begun: epoch, is_there: true };
            self.parts.or_insert(epoch.peer(), begin).is_there = true;
            self.answered_under(epoch);
        }
        // What a server held that holds nothing any more is at others, which have got it since they were begun with.
        if there < self.parts.len() {
            self.parts.retain(|part| part.is_there);
        }
        self.parts.iter_mut().for_each(|(_, part)| part.is_there = false);
    }

    /// Whether any server is known.
    #[must_use]
    pub fn has_servers(&self) -> bool {
        self.parts.at(0).is_some()
    }

    /// The server of the SCAN under way has left.
    pub fn left(&mut self) -> Step {
        self.scanning = None;
        self.go_on()
    }

    fn restart(&mut self, of: PeerId) {
        if self.is_scanning(of, &[Asked::Next, Asked::Stale]) {
            self.scanning = Some((of, Asked::Stale));
        } else if !self.is_scanning(of, &[Asked::First]) {
            self.parts[of].cursor = Some(BEGINNING.to_vec());
        }
        if self.kind == Kind::Count {
            // Nobody was shown anything: only what is there now counts.
            self.seen.forget_part();
        }
    }

    /// A SCAN was answered, be it with an error, that a cursor of another run was sent with: the next one is the first.
    /// `None`: it was another one.
    pub fn discard(&mut self) -> Option<Step> {
        let (of, _) = self.scanning.take_if(|(_, asked)| *asked == Asked::Stale)?;
        if let Some(part) = self.parts.get_mut(of) {
            part.cursor = Some(BEGINNING.to_vec());
        }
        Some(self.go_on())
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
        if self.scanning.is_none() && self.parts.iter().all(|(_, part)| part.cursor.is_none()) {
            self.scan_again_what_has_moved();
        }
        step.commands.extend(self.next_scan());
        let over = self.scanning.is_none() && self.parts.values().all(|part| part.cursor.is_none());
        if over && self.demanded && self.current.is_none() && self.deleting == 0 {
            self.demanded = false;
            step.answer = Some(if self.kind == Kind::Count { Answer::Count(self.seen.count()) } else { Answer::End });
        }
        step
    }

    /// All servers were scanned. Those that have got slots since they were begun with are scanned again.
    fn scan_again_what_has_moved(&mut self) {
        for (_, part) in self.parts.iter_mut().filter(|(_, part)| !part.epoch.has_slots_of(part.begun)) {
            part.cursor = Some(BEGINNING.to_vec());
        }
    }

    fn next_scan(&mut self) -> Option<Command> {
        if self.scanning.is_some() {
            return None;
        }
        let (of, part) = self.parts.iter_mut().find(|(_, part)| part.cursor.is_some())?;
        let cursor = part.cursor.take()?;
        let asked = if cursor == BEGINNING { Asked::First } else { Asked::Next };
        if asked == Asked::First {
            part.begun = part.epoch;
            self.seen.part_is_over();
        }
        self.scanning = Some((of, asked));
        let count = self.count;
        self.count = (self.count * 2).min(self.count_max);
        Some(Command::Scan { of, cursor, count })
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "scan_parts_tests.rs"]
mod parts_tests;
