//! Where commands go, and what waits until that is known. Pure: it reads no socket and no clock, and knows servers by their numbers
//! and lanes only.

use std::collections::{BTreeMap, VecDeque};

use super::claims::Claims;
use super::places::Places;
use super::topology::Node;
use crate::redis::by_peer::PeerId;
use crate::redis::encode::describe;
use crate::redis::lane::Lane;
use crate::redis::pending::Withdrawn;
use crate::redis::refusal::{Endpoint, Refusal, Refused};
use crate::redis::slot::{SLOTS, Slot, SlotSet};
use crate::redis::{MILLI, Nanos};

/// A slot that is refused again and again is tried again after pauses between these two.
const PAUSE: (Nanos, Nanos) = (10 * MILLI, 200 * MILLI);
/// A refusal so long after the last one of its slot has nothing to do with it.
const FORGET: Nanos = 1_000 * MILLI;
/// Where a node does not tell its map within this, another one is asked as well.
const PATIENCE: Nanos = 200 * MILLI;
/// Between two questions for the map: while something is not where it was thought to be, and while all is well.
const ASK_AGAIN: (Nanos, Nanos) = (100 * MILLI, 10_000 * MILLI);

/// A server that was asked for a command of a slot which is on its way to it will be asked again soon.
const STAY: Nanos = 10_000 * MILLI;

/// The lanes that a router sends commands to.
pub trait Lanes<T> {
    /// That of a server; `None`: there is none yet, or none any more.
    fn lane(&mut self, of: PeerId) -> Option<&mut Lane<T>>;
}

/// Counters for `stats()`, since the engine began.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Slots that a server said were another one's.
    pub moved: u64,
    /// Commands that were asked of the server that their slot was on its way to.
    pub asked: u64,
    /// Refusals that named nobody.
    pub put_off: u64,
    /// Maps that were read.
    pub maps: u64,
    /// Slots that came to another server.
    pub switched: u64,
}

/// A command whose deadline has passed while no server had it.
#[derive(Debug)]
pub struct Late<T> {
    /// Whose it is.
    pub tag: T,
    /// Its slot.
    pub slot: Slot,
    /// Its name and key, for messages.
    pub command: String,
}

impl<T> Late<T> {
    /// What was held.
    #[must_use]
    pub fn of(held: Withdrawn<T>) -> Self {
        Self { command: describe(&held.bytes), tag: held.tag, slot: held.slot }
    }
}

/// A server that is open, or is to be opened.
struct Known {
    id: PeerId,
    endpoint: Endpoint,
    is_open: bool,
    is_up: bool,
    /// Until when it stays open although nothing is sent to it.
    stays: Nanos,
    /// It is on its way to slots, and has keys of them: until then it is open although it owns none. 0: it is not.
    visited: Nanos,
}

/// A slot whose commands are not sent now.
struct Held<T> {
    commands: VecDeque<Withdrawn<T>>,
    /// Servers that may still carry out something of it.
    leaves: Vec<PeerId>,
    /// The server that the first command is to be asked of, and the one that is being asked.
    asks: Option<PeerId>,
    asking: Option<PeerId>,
    /// Nothing is sent before this.
    until: Nanos,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { commands: VecDeque::new(), leaves: Vec::new(), asks: None, asking: None, until: 0 }
    }
}

/// See the module. `T` says whose reply it is.
pub struct Router<T> {
    seeds: Vec<Endpoint>,
    claims: Claims,
    known: Vec<Known>,
    last: u16,
    /// Where the commands of each slot go; `None`: they are held.
    places: Places,
    held: BTreeMap<Slot, Held<T>>,
    /// Calls and bytes that are held.
    calls: usize,
    bytes: usize,
    timeout: Nanos,
    /// Slots that were refused lately: how often, and when last.
    refused: BTreeMap<Slot, (u32, Nanos)>,
    /// Who was asked for the map, and when; when somebody was last asked.
    asked: Option<(PeerId, Nanos)>,
    last_asked: Option<(PeerId, Nanos)>,
    /// Something is not where it was thought to be.
    doubts: bool,
    counters: Counters,
}

impl<T> Router<T> {
    /// Knows the addresses of some nodes, at least one. `timeout`: how long a call may take.
    #[must_use]
    pub fn new(seeds: Vec<Endpoint>, timeout: Nanos) -> Self {
        let mut router = Self {
            seeds: Vec::new(),
            claims: Claims::default(),
            known: Vec::new(),
            last: 0,
            places: Places::default(),
            held: BTreeMap::new(),
            calls: 0,
            bytes: 0,
            timeout,
            refused: BTreeMap::new(),
            asked: None,
            last_asked: None,
            doubts: true,
            counters: Counters::default(),
        };
        for seed in &seeds {
            router.known_at(seed);
        }
        router.seeds = seeds;
        router
    }

    /// Counters since the engine began.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Whose the slots are.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Where the commands of a slot go now; `None`: to [`Router::hold`].
    #[inline]
    #[must_use]
    pub fn place(&self, slot: Slot) -> Option<PeerId> {
        self.places.of(slot)
    }

    /// Takes a command of a slot that has no place now.
    pub fn hold(&mut self, command: Withdrawn<T>) {
        self.counts(&command, true);
        self.held.entry(command.slot).or_default().commands.push_back(command);
    }

    fn counts(&mut self, command: &Withdrawn<T>, more: bool) {
        let (calls, bytes) = (usize::from(!command.quiet), command.bytes.len());
        if more {
            self.calls += calls;
            self.bytes += bytes;
        } else {
            self.calls -= calls;
            self.bytes -= bytes;
        }
    }

    /// Calls that are held.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.calls
    }

    /// Bytes of what is held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether any slot is held.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    // Servers.

    /// The number of the server at an address; a new one, where there is none.
    fn known_at(&mut self, endpoint: &Endpoint) -> PeerId {
        if let Some(known) = self.known.iter().find(|known| known.endpoint == *endpoint) {
            return known.id;
        }
        // Numbers of servers that were left are not used again for as long as possible.
        let id = loop {
            let id = PeerId::of(self.last);
            self.last = self.last.wrapping_add(1);
            if self.known.iter().all(|known| known.id != id) {
                break id;
            }
        };
        self.known.push(Known { id, endpoint: endpoint.clone(), is_open: false, is_up: false, stays: 0, visited: 0 });
        id
    }

    fn known(&self, id: PeerId) -> Option<&Known> {
        self.known.iter().find(|known| known.id == id)
    }

    fn known_mut(&mut self, id: PeerId) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.id == id)
    }

    /// The address of a server.
    #[must_use]
    pub fn endpoint(&self, id: PeerId) -> Option<&Endpoint> {
        self.known(id).map(|known| &known.endpoint)
    }

    fn is_wanted(&self, known: &Known) -> bool {
        let id = Some(known.id);
        self.claims.slots_of(&known.endpoint) > 0
            || known.visited > 0
            || self.held.values().any(|held| held.asks == id || held.asking == id)
            || self.seeds.contains(&known.endpoint) && !self.has_owner_up()
    }

    /// A node that others hand slots over to.
    pub fn visit(&mut self, endpoint: &Endpoint, now: Nanos) {
        let id = self.known_at(endpoint);
        if let Some(known) = self.known_mut(id) {
            known.visited = now + STAY;
        }
    }

    /// Whether others hand slots over to a server.
    #[must_use]
    pub fn is_visited(&self, id: PeerId) -> bool {
        self.known(id).is_some_and(|known| known.visited > 0)
    }

    fn has_owner_up(&self) -> bool {
        self.known.iter().any(|known| known.is_up && self.claims.slots_of(&known.endpoint) > 0)
    }

    /// A server that is wanted and not open; the caller opens it, and says so by [`Router::opened`].
    #[must_use]
    pub fn to_open(&self) -> Option<(PeerId, &Endpoint)> {
        self.known.iter().find(|known| !known.is_open && self.is_wanted(known)).map(|known| (known.id, &known.endpoint))
    }

    /// A server is open: it has a lane, which carries commands as soon as it is connected.
    pub fn opened(&mut self, id: PeerId) {
        let Some(known) = self.known.iter_mut().find(|known| known.id == id) else { return };
        known.is_open = true;
        let endpoint = &known.endpoint;
        let is_its = |slot| self.claims.owner(slot) == Some(endpoint) && !self.held.contains_key(&slot);
        self.places.update(|slot, before| if is_its(slot) { Some(id) } else { before });
    }

    /// A server that is open and not wanted any more; the caller calls [`Router::close`] and closes it.
    #[must_use]
    pub fn to_close(&mut self, lanes: &mut impl Lanes<T>, now: Nanos) -> Option<PeerId> {
        for known in self.known.iter_mut().filter(|known| now >= known.visited) {
            known.visited = 0;
        }
        // What it still has to answer is sent again elsewhere: it may be one that hangs and was replaced.
        let mut is_over = |known: &Known| now >= known.stays || lanes.lane(known.id).is_some_and(|lane| lane.is_owed());
        self.known.iter().find(|known| known.is_open && !self.is_wanted(known) && is_over(known)).map(|known| known.id)
    }

    /// A server is about to be closed: what its lane still has is given back. That has no slot: what had one came back when the slot
    /// was another one's.
    pub fn close(&mut self, id: PeerId, lanes: &mut impl Lanes<T>) -> Vec<Withdrawn<T>> {
        let mut withdrawn = Vec::new();
        if let Some(lane) = lanes.lane(id) {
            lane.withdraw_all(&mut withdrawn);
        }
        debug_assert!(withdrawn.iter().all(|command| command.slot == Slot::NONE), "commands of a slot are left");
        debug_assert!(!self.places.lead_to(id), "commands would go to nobody");
        for held in self.held.values_mut() {
            held.leaves.retain(|&left| left != id);
        }
        self.known.retain(|known| known.id != id);
        self.asked = self.asked.filter(|(asked, _)| *asked != id);
        withdrawn
    }

    /// A server's connection is ready.
    pub fn ready(&mut self, id: PeerId) {
        if let Some(known) = self.known_mut(id) {
            known.is_up = true;
        }
    }

    /// A server's connection is lost, or an attempt to make one has failed.
    pub fn lost(&mut self, id: PeerId, lanes: &mut impl Lanes<T>, now: Nanos) {
        if let Some(known) = self.known_mut(id) {
            known.is_up = false;
        }
        self.asked = self.asked.filter(|(asked, _)| *asked != id);
        self.doubts = true;
        // What it was asked for once is asked of the owner again.
        let asked: SlotSet =
            self.held.iter().filter(|(_, held)| held.leaves.contains(&id)).map(|(&slot, _)| slot).collect();
        let mut withdrawn = Vec::new();
        if let Some(lane) = lanes.lane(id) {
            lane.withdraw(&asked, &mut withdrawn);
        }
        self.take_back(withdrawn);
        self.settle(lanes, now);
    }

    // The map.

    /// Whom to ask for the map now, if anybody; whoever asks says what came of it by [`Router::mapped`] or [`Router::unmapped`].
    /// `is_busy`: somebody makes calls.
    pub fn question(&mut self, now: Nanos, is_busy: bool) -> Option<PeerId> {
        if self.asked.is_some_and(|(_, at)| now < at + PATIENCE) || now < self.next_question(is_busy) {
            return None;
        }
        // One after another, because any of them may be behind.
        let last = self.last_asked.map(|(id, _)| id);
        let place = self.known.iter().position(|known| Some(known.id) == last).map_or(0, |at| at + 1);
        let all = self.known[place.min(self.known.len())..].iter().chain(&self.known);
        let id = all.into_iter().find(|known| known.is_up)?.id;
        self.asked = Some((id, now));
        self.last_asked = self.asked;
        Some(id)
    }

    /// When somebody should be asked for the map.
    fn next_question(&self, is_busy: bool) -> Nanos {
        let Some((_, last)) = self.last_asked else { return 0 };
        let is_uncertain = self.doubts || self.holds() || self.known.iter().any(|known| known.is_open && !known.is_up);
        match (is_busy, is_uncertain) {
            (true, true) => last + ASK_AGAIN.0,
            (true, false) => last + ASK_AGAIN.1,
            (false, _) => Nanos::MAX,
        }
    }

    /// A node has told its map. The slots that came to another server by it.
    pub fn mapped(&mut self, from: PeerId, nodes: &[Node], lanes: &mut impl Lanes<T>, now: Nanos) -> Vec<Slot> {
        self.asked = self.asked.filter(|(asked, _)| *asked != from);
        self.counters.maps += 1;
        self.doubts = false;
        let mut moved: Vec<(PeerId, SlotSet)> = Vec::new();
        let switched = self.claims.mapped(nodes);
        for (slot, before) in &switched {
            let slot = *slot;
            self.counters.switched += u64::from(before.is_some());
            let Some(at) = self.places.set(slot, None) else { continue };
            let of = moved.iter_mut().find(|(id, _)| *id == at);
            if let Some((_, slots)) = of {
                slots.insert(slot);
            } else {
                moved.push((at, [slot].into_iter().collect()));
            }
        }
        let owners: Vec<_> = self.claims.owners().map(|(endpoint, _)| endpoint.clone()).collect();
        for endpoint in owners {
            self.known_at(&endpoint);
        }
        for (from, slots) in moved {
            self.leave(from, &slots, lanes);
        }
        self.find_places();
        self.settle(lanes, now);
        switched.into_iter().filter(|(_, before)| before.is_some()).map(|(slot, _)| slot).collect()
    }

    /// A node was asked for its map and has told none that can be used.
    pub fn unmapped(&mut self, from: PeerId) {
        self.asked = self.asked.filter(|(asked, _)| *asked != from);
    }

    /// Slots that nothing is held of go where their owners are.
    fn find_places(&mut self) {
        let open: Vec<_> = self.known.iter().filter(|known| known.is_open).collect();
        let owner = |slot| {
            let owner = self.claims.owner(slot)?;
            open.iter().find(|known| known.endpoint == *owner).map(|known| known.id)
        };
        self.places.update(|slot, before| match before {
            None if !self.held.contains_key(&slot) => owner(slot),
            before => before,
        });
    }

    /// Slots have left a server: what waits there of them comes back.
    fn leave(&mut self, from: PeerId, slots: &SlotSet, lanes: &mut impl Lanes<T>) {
        let Some(lane) = lanes.lane(from) else { return };
        let mut withdrawn = Vec::new();
        lane.withdraw(slots, &mut withdrawn);
        for slot in slots.iter().filter(|&slot| !lane.queue().is_free_of(slot)) {
            self.held.entry(slot).or_default().leaves.push(from);
        }
        self.take_back(withdrawn);
    }

    /// Commands come back from a lane: they are older than what is held of their slots.
    fn take_back(&mut self, withdrawn: Vec<Withdrawn<T>>) {
        for command in withdrawn.into_iter().rev() {
            self.counts(&command, true);
            self.places.set(command.slot, None);
            self.held.entry(command.slot).or_default().commands.push_front(command);
        }
    }

    /// A server has refused commands of slots; they came back, with all behind them of the same slots. To be called before anything
    /// else after what was read was decoded: until then nobody has them.
    pub fn refused(
        &mut self,
        from: PeerId,
        refused: Vec<Refused>,
        withdrawn: Vec<Withdrawn<T>>,
        lanes: &mut impl Lanes<T>,
        now: Nanos,
    ) {
        let Some(teller) = self.endpoint(from).cloned() else { return self.take_back(withdrawn) };
        for Refused { slot, why } in refused {
            let is_owner = self.claims.owner(slot).is_none_or(|owner| *owner == teller);
            let named = match &why {
                Refusal::Moved(at) | Refusal::Ask(at) => {
                    Some(at.clone().or_host_of(&teller)).filter(|at| *at != teller)
                }
                Refusal::Later => None,
            };
            self.places.set(slot, None);
            let (mut asks, mut until) = (None, 0);
            match (why, named) {
                (Refusal::Ask(_), Some(at)) if is_owner => {
                    self.counters.asked += 1;
                    let id = self.known_at(&at);
                    if let Some(known) = self.known_mut(id) {
                        known.stays = now + STAY;
                    }
                    asks = Some(id);
                }
                (Refusal::Moved(_), Some(at)) if is_owner => {
                    self.counters.moved += 1;
                    self.doubts = true;
                    self.known_at(&at);
                    self.counters.switched += u64::from(self.claims.moved(slot, &at));
                    until = self.pause(slot, 1, now);
                }
                // Who is not thought to be the owner may be behind. The owner is asked.
                _ => {
                    self.counters.put_off += 1;
                    self.doubts = true;
                    until = self.pause(slot, 0, now);
                }
            }
            let held = self.held.entry(slot).or_default();
            (held.asks, held.until) = (asks, until);
            if !held.leaves.contains(&from) {
                held.leaves.push(from);
            }
        }
        self.take_back(withdrawn);
        self.settle(lanes, now);
    }

    /// Until when a slot that was refused waits. The first so many times it does not.
    fn pause(&mut self, slot: Slot, free: u32, now: Nanos) -> Nanos {
        if self.refused.len() > usize::from(SLOTS) / 2 {
            self.refused.retain(|_, (_, last)| now < *last + FORGET);
        }
        let (times, last) = self.refused.entry(slot).or_insert((0, now));
        *times = if now < *last + FORGET { *times + 1 } else { 1 };
        *last = now;
        match times.checked_sub(free + 1) {
            None => 0,
            Some(doublings) => now + (PAUSE.0 << doublings.min(8)).min(PAUSE.1),
        }
    }

    /// Sends what may be sent now. To be called after anything was read, and when [`Router::next_due`] has come.
    pub fn settle(&mut self, lanes: &mut impl Lanes<T>, now: Nanos) {
        let slots: Vec<Slot> = self.held.keys().copied().collect();
        for slot in slots {
            self.settle_slot(slot, lanes, now);
        }
    }

    fn settle_slot(&mut self, slot: Slot, lanes: &mut impl Lanes<T>, now: Nanos) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        held.leaves.retain(|&id| lanes.lane(id).is_some_and(|lane| !lane.queue().is_free_of(slot)));
        if !held.leaves.is_empty() || now < held.until {
            return;
        }
        held.asking = None;
        if let (Some(id), false) = (held.asks, held.commands.is_empty()) {
            let Some(lane) = lanes.lane(id) else { return };
            if let Some(command) = held.commands.pop_front() {
                (held.asks, held.asking) = (None, Some(id));
                held.leaves.push(id);
                self.calls -= usize::from(!command.quiet);
                self.bytes -= command.bytes.len();
                return lane.push_withdrawn(command, true);
            }
        }
        let owner = self.claims.owner(slot);
        let open =
            self.known.iter().find(|known| known.is_open && Some(&known.endpoint) == owner).map(|known| known.id);
        let lane = open.and_then(|id| lanes.lane(id));
        // Nobody waits for where it goes.
        if held.commands.is_empty() || lane.is_some() {
            self.places.set(slot, open);
            let commands = self.held.remove(&slot).map(|held| held.commands).unwrap_or_default();
            for command in commands {
                self.calls -= usize::from(!command.quiet);
                self.bytes -= command.bytes.len();
                if let Some(lane) = open.and_then(|id| lanes.lane(id)) {
                    lane.push_withdrawn(command, false);
                }
            }
        }
    }

    // Time.

    /// The flush at the end of a tick: deadlines of what is held start here.
    pub fn stamp(&mut self, now: Nanos) {
        for command in self.held.values_mut().flat_map(|held| &mut held.commands).filter(|one| one.deadline == 0) {
            command.deadline = now + self.timeout;
        }
    }

    /// Takes held calls whose deadline has passed.
    pub fn expire(&mut self, now: Nanos, late: &mut Vec<Late<T>>) {
        for held in self.held.values_mut() {
            for command in std::mem::take(&mut held.commands) {
                if command.deadline > 0 && command.deadline <= now {
                    self.calls -= usize::from(!command.quiet);
                    self.bytes -= command.bytes.len();
                    late.push(Late::of(command));
                } else {
                    held.commands.push_back(command);
                }
            }
        }
    }

    /// Takes everything that is held: it will not be sent any more.
    pub fn give_up(&mut self) -> impl Iterator<Item = Withdrawn<T>> {
        (self.calls, self.bytes) = (0, 0);
        self.held.values_mut().flat_map(|held| held.commands.drain(..))
    }

    /// A server does not answer, although its connection is there: another one may have its slots by now.
    pub const fn doubt(&mut self) {
        self.doubts = true;
    }

    /// Whether a held command has no deadline yet.
    #[must_use]
    pub fn has_unflushed(&self) -> bool {
        self.held.values().flat_map(|held| &held.commands).any(|command| command.deadline == 0)
    }

    /// When it is to be looked after again, if nothing is read before that.
    #[must_use]
    pub fn next_due(&self, is_busy: bool) -> Option<Nanos> {
        let held = self.held.values().flat_map(|held| {
            let deadlines = held.commands.iter().map(|command| command.deadline).filter(|&deadline| deadline > 0);
            deadlines.chain((held.until > 0 && held.leaves.is_empty()).then_some(held.until))
        });
        let question = match self.asked {
            Some((_, at)) => at + PATIENCE,
            None if self.known.iter().any(|known| known.is_up) => self.next_question(is_busy),
            None => Nanos::MAX,
        };
        held.chain((question < Nanos::MAX).then_some(question)).min()
    }
}
