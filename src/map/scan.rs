//! Scans as a state machine: demands and replies in, commands and pages out.
//!
//! A page costs one round trip: the values of a page (`MGET`) or its deletion (`DEL`) travel with the next `SCAN`. At
//! most one `SCAN` runs ahead of what was asked for, and never an `MGET`: who breaks out of a loop has read no values in
//! vain. Keys are bytes here.
//!
//! Each server that holds keys is a part of its own, one after the other. In a cluster keys go from one to another meanwhile: see
//! `moves`.
//!
//! A cursor means something to the run of the server that gave it, and to no other: it follows the order of a table whose
//! hashes are seeded anew at each start. Another run goes on from it all the same and passes over keys without a word. So
//! after a change of a server its part starts anew, and what the scan has shown already it does not show again.

use crate::cluster::topology::Node;
use crate::map::moves::Moves;
use crate::map::seen::Seen;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::epoch::Epoch;
use crate::redis::slot::Slot;

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
    /// That master's own slots and marks.
    Marks(PeerId),
    /// All keys of a slot at a master.
    InSlot(PeerId, Slot),
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
    /// What goes from one part to another; `None`: nothing does.
    moves: Option<Moves>,
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
            moves: None,
            scanning: None,
            deleting: 0,
            ahead: None,
            current: None,
            demanded: false,
        }
    }

    /// Keys go from one server to another meanwhile.
    pub fn in_cluster(&mut self) {
        self.moves.get_or_insert_default();
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
        self.found(keys)
    }

    /// A look into a slot was answered.
    pub fn looked<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) -> Step {
        if let Some(moves) = &mut self.moves {
            moves.looked();
        }
        self.found(keys)
    }

    fn found<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) -> Step {
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
            let begin = || Part { cursor: Some(BEGINNING.to_vec()), epoch, is_there: true };
            self.parts.or_insert(epoch.peer(), begin).is_there = true;
            self.answered_under(epoch);
        }
        // What a server held that holds nothing any more is at others; their next reading tells.
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

    /// The server of the SCAN, or of the look, under way has left.
    pub fn left(&mut self) -> Step {
        self.scanning = None;
        if let Some(moves) = &mut self.moves {
            moves.looked();
        }
        self.go_on()
    }

    /// A master has told its slots and marks; `None`: it has left. `is_opening`: there are masters that could not be asked yet.
    pub fn told(&mut self, of: PeerId, node: Option<Node>, is_opening: bool) -> Step {
        let Some(moves) = &mut self.moves else { return Step::default() };
        for again in moves.told(of, node, is_opening) {
            if let Some(part) = self.parts.get_mut(again) {
                part.cursor = Some(BEGINNING.to_vec());
            }
        }
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
        step.commands.extend(self.next_scan());
        self.follow_moves(&mut step.commands);
        let is_settled = self.moves.as_ref().is_none_or(Moves::is_settled);
        if is_settled && self.are_scanned() && self.demanded && self.current.is_none() && self.deleting == 0 {
            self.demanded = false;
            step.answer = Some(if self.kind == Kind::Count { Answer::Count(self.seen.count()) } else { Answer::End });
        }
        step
    }

    /// Whether all parts were scanned to their ends.
    fn are_scanned(&self) -> bool {
        self.scanning.is_none() && self.parts.values().all(|part| part.cursor.is_none())
    }

    /// Before the first SCAN, and behind the last one: what is asked because keys move.
    fn follow_moves(&mut self, commands: &mut Vec<Command>) {
        let are_scanned = self.are_scanned();
        let Some(moves) = &mut self.moves else { return };
        if !moves.is_quiet() || moves.is_settled() || !(are_scanned || moves.is_new()) {
            return;
        }
        // What was to be looked into at a server that has left is elsewhere: the next reading tells.
        let next = std::iter::from_fn(|| moves.look()).find(|(of, _)| self.parts.get(*of).is_some());
        if let Some((of, slot)) = next {
            self.seen.part_is_over();
            commands.push(Command::InSlot(of, slot));
        } else {
            let all = self.parts.iter().map(|(id, _)| id);
            commands.extend(moves.read(all).iter().map(|&of| Command::Marks(of)));
        }
    }

    fn next_scan(&mut self) -> Option<Command> {
        if self.scanning.is_some() || self.moves.as_ref().is_some_and(|moves| moves.is_new() || !moves.is_quiet()) {
            return None;
        }
        let (of, part) = self.parts.iter_mut().find(|(_, part)| part.cursor.is_some())?;
        let cursor = part.cursor.take()?;
        let asked = if cursor == BEGINNING { Asked::First } else { Asked::Next };
        if asked == Asked::First {
            self.seen.part_is_over();
        }
        self.scanning = Some((of, asked));
        if let Some(moves) = &mut self.moves {
            moves.scans();
        }
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
