//! A scan over several servers, each of which may be replaced by another run at any time, and between which keys move, in random
//! schedules.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// Keys that each server has from the beginning to the end, and so many more that each run of it has for itself.
const LASTING: usize = 12;
const OWN: usize = 5;

/// One server's present run: a table in an order of its own, in which its cursors count.
struct Server {
    epoch: Epoch,
    runs: usize,
    table: Vec<String>,
    /// Commands that it has not answered.
    unanswered: VecDeque<Command>,
}

impl Server {
    fn new(number: u16) -> Self {
        let (epoch, table) = (Epoch::of(PeerId::of(number)), Vec::new());
        let mut server = Self { epoch, runs: 0, table, unanswered: VecDeque::new() };
        server.table = (0..LASTING).map(|i| format!("{number}:{i}")).collect();
        server.add_own();
        server
    }

    fn add_own(&mut self) {
        let number = self.epoch.peer().number();
        self.table.extend((0..OWN).map(|i| format!("{number}:{}:{i}", self.runs)));
        self.shuffle();
    }

    fn shuffle(&mut self) {
        let seed = self.runs as u64;
        self.table.sort_by_key(|key| xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), seed));
    }

    /// Another process answers from now on; it has its keys from elsewhere, or those that were left.
    fn replace(&mut self, keeps: bool) {
        self.runs += 1;
        self.epoch.connected(false);
        self.table.retain(|key| if keeps { !key.is_empty() } else { key.matches(':').count() == 1 });
        if keeps {
            self.shuffle();
        } else {
            self.add_own();
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Demand,
    Answer(usize),
    /// The connection is lost, and the next one is to the same run.
    Reconnect(usize),
    Replace(usize),
    /// A key goes from one server to another, with its slot.
    Move(usize, usize, usize),
}

struct World {
    scan: Scan,
    servers: Vec<Server>,
    /// Commands about keys that are not answered, by whichever servers have them.
    keyed: VecDeque<Command>,
    waits: bool,
    /// The last answer of a scan that is over.
    over: Option<Answer>,
    given: BTreeMap<String, u32>,
    /// SCANs that begin a part, in their order.
    begun: Vec<PeerId>,
}

impl World {
    fn new(kind: Kind, servers: u16) -> Self {
        let servers = (0..servers).map(Server::new).collect();
        let scan = Scan::new(kind, 2, 5);
        Self {
            scan,
            servers,
            keyed: VecDeque::new(),
            waits: false,
            over: None,
            given: BTreeMap::new(),
            begun: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        for command in step.commands {
            let Command::Scan { of, cursor, .. } = &command else {
                self.keyed.push_back(command);
                continue;
            };
            if cursor == BEGINNING {
                self.begun.push(*of);
            }
            self.servers[usize::from(of.number())].unanswered.push_back(command);
        }
        match step.answer {
            None => return,
            Some(Answer::Keys(page) | Answer::Values(page)) => {
                for key in page.iter() {
                    *self.given.entry(String::from_utf8(key.to_vec()).unwrap()).or_default() += 1;
                }
            }
            end => self.over = end,
        }
        self.waits = false;
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Demand if !self.waits && self.over.is_none() => {
                self.waits = true;
                self.scan.of_servers(self.servers.iter().map(|server| server.epoch));
                let step = self.scan.demand();
                self.take(step);
            }
            Event::Answer(at) => {
                // As the store does it with each reply.
                self.scan.of_servers(self.servers.iter().map(|server| server.epoch));
                let Some(server) = self.servers.get_mut(at) else { return self.answer_keyed() };
                let Some(Command::Scan { cursor, count, .. }) = server.unanswered.pop_front() else { return };
                self.scan.answered_under(server.epoch);
                let step = self.scan.discard().unwrap_or_else(|| {
                    let start: usize = String::from_utf8(cursor).unwrap().parse().unwrap();
                    let end = server.table.len().min(start + count as usize);
                    let next = if end < server.table.len() { end } else { 0 };
                    let page = server.table.get(start..end).unwrap_or_default();
                    let page = page.iter().filter(|key| !key.is_empty()).map(String::as_bytes);
                    self.scan.scanned(next.to_string().as_bytes(), page)
                });
                self.take(step);
            }
            Event::Move(from, to, key) => {
                let key = format!("{from}:{key}");
                let Some(place) = self.servers[from].table.iter().position(|there| *there == key) else { return };
                // Cursors bear that keys come and go: they are places in a table that grows at its end.
                self.servers[from].table[place].clear();
                self.servers[to].table.push(key);
                for at in [from, to] {
                    self.servers[at].epoch.owns_other_slots();
                }
            }
            Event::Reconnect(at) => self.servers[at].epoch.connected(true),
            Event::Replace(at) => self.servers[at].replace(self.scan.kind() == Kind::Clear),
            Event::Demand => {}
        }
    }

    fn answer_keyed(&mut self) {
        let step = match self.keyed.pop_front() {
            None => return,
            Some(Command::Delete(page)) => {
                let tables = self.servers.iter_mut().flat_map(|server| &mut server.table);
                tables.filter(|there| page.iter().any(|key| key == there.as_bytes())).for_each(String::clear);
                self.scan.deleted()
            }
            Some(_) => self.scan.values_arrived(),
        };
        self.take(step);
    }

    fn happen_all(&mut self, events: &[Event]) {
        for event in events {
            self.happen(event);
        }
    }

    fn finish(&mut self) {
        for _ in 0..5_000 {
            self.happen(&Event::Demand);
            (0..=self.servers.len()).for_each(|at| self.happen(&Event::Answer(at)));
        }
    }
}

fn events(servers: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => Just(Event::Demand),
        16 => (0..=servers).prop_map(Event::Answer),
        1 => (0..servers).prop_map(Event::Reconnect),
        1 => (0..servers).prop_map(Event::Replace),
        1 => (0..servers, 0..servers, 0..LASTING).prop_map(|(from, to, key)| Event::Move(from, to, key)),
    ];
    prop::collection::vec(event, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn no_key_of_several_servers_is_passed_over_or_named_twice_whichever_runs_answer_and_whatever_moves(
        kind in prop::sample::select(vec![Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear]),
        events in events(3),
    ) {
        let mut world = World::new(kind, 3);
        world.happen_all(&events);
        world.finish();
        prop_assert!(world.over.is_some(), "it came to its end");
        prop_assert!(world.given.values().all(|&times| times == 1), "{:?}", world.given);
        match kind {
            Kind::Clear => {
                let left: Vec<_> = world.servers.iter().flat_map(|server| &server.table).collect();
                prop_assert!(left.iter().all(|key| key.is_empty()), "a clear is over, and keys are left: {:?}", left);
            }
            Kind::Count => {
                let count = 3 * (LASTING + OWN) as u64;
                let Some(Answer::Count(found)) = world.over else { panic!("{:?}", world.over) };
                // A server that got a key was scanned again, and may have been another run then.
                let has_moved = events.iter().any(|event| matches!(event, Event::Move(..)));
                prop_assert!(if has_moved { found >= count } else { found == count }, "{}", found);
            }
            _ => {
                for (number, key) in (0..3).flat_map(|number| (0..LASTING).map(move |key| (number, key))) {
                    prop_assert!(world.given.contains_key(&format!("{number}:{key}")), "{}:{} was passed over", number, key);
                }
            }
        }
    }
}

#[test]
fn servers_are_asked_one_after_the_other_and_one_that_is_replaced_begins_anew_alone() {
    let [first, second] = [0, 1].map(PeerId::of);
    for kind in [Kind::Keys, Kind::Count] {
        let mut world = World::new(kind, 2);
        let go_on = [Event::Demand, Event::Answer(0), Event::Answer(1), Event::Answer(2)];
        while world.begun.len() < 2 {
            world.happen_all(&go_on);
        }
        world.happen_all(&go_on);
        world.happen(&Event::Replace(1));
        world.happen(&Event::Replace(0));
        world.finish();
        assert_eq!(world.begun, [first, second, second], "{kind:?}");
    }
}
