//! A scan over the masters of a cluster, each of which may be replaced by another run at any time, and between which slots move, key
//! by key, before it, within it and beyond it, in random schedules.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// Masters at the beginning; one more owns nothing yet, and nobody knows it.
const MASTERS: usize = 3;
/// Keys that each of them has from the beginning to the end, two in a slot, and so many more that each run of it has for itself.
const LASTING: usize = 12;
const OWN: usize = 5;

/// The slot of a lasting key.
fn slot_of(key: &str) -> Option<Slot> {
    let (number, key) = key.split_once(':')?;
    let [number, key]: [u16; 2] = [number.parse().ok()?, key.parse().ok()?];
    Slot::new(number * 100 + key / 2)
}

/// One server's present run: a table in an order of its own, in which its cursors count.
struct Server {
    epoch: Epoch,
    /// What it tells of its slots.
    node: Node,
    runs: usize,
    table: Vec<String>,
    /// Commands that it has not answered.
    unanswered: VecDeque<Command>,
    /// The client has a connection to it.
    is_open: bool,
}

impl Server {
    fn new(number: u16) -> Self {
        let is_master = usize::from(number) < MASTERS;
        let of = |key: u16| Slot::new(number * 100 + key).unwrap();
        let node = Node {
            id: number.to_string(),
            endpoint: None,
            is_myself: true,
            is_master: true,
            epoch: number.into(),
            // One slot stays: that of what each run has for itself.
            ranges: if is_master { (0..7).map(|key| (of(key), of(key))).collect() } else { Vec::new() },
            leaving: Vec::new(),
            targets: Vec::new(),
            arriving: Vec::new(),
        };
        let (epoch, table) = (Epoch::of(PeerId::of(number)), Vec::new());
        let mut server = Self { epoch, node, runs: 0, table, unanswered: VecDeque::new(), is_open: is_master };
        if is_master {
            server.table = (0..LASTING).map(|i| format!("{number}:{i}")).collect();
            server.add_own();
        }
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
        self.table.retain(|key| if keeps { !key.is_empty() } else { slot_of(key).is_some() });
        if keeps {
            self.shuffle();
        } else {
            self.add_own();
        }
    }

    fn owns(&self, slot: Slot) -> bool {
        self.node.ranges.contains(&(slot, slot))
    }
}

#[derive(Debug, Clone)]
enum Event {
    Demand,
    Answer(usize),
    /// The connection is lost, and the next one is to the same run.
    Reconnect(usize),
    Replace(usize),
    /// The slot of a key begins to move to a server.
    Begin(usize, usize, usize),
    /// A key of that slot goes there.
    Carry(usize),
    /// A slot whose keys are all there is the target's; the source hears of it later.
    End(usize),
    Tell(usize),
    /// The client opens a server that it has heard of, or leaves one that has nothing.
    Open,
    Leave,
}

struct Migration {
    slot: Slot,
    from: usize,
    to: usize,
    is_over: bool,
}

struct World {
    scan: Scan,
    servers: Vec<Server>,
    migrations: Vec<Migration>,
    /// Commands about keys that are not answered, by whichever servers have them.
    keyed: VecDeque<Command>,
    waits: bool,
    /// The client has heard of the last server.
    has_heard: bool,
    /// The last answer of a scan that is over.
    over: Option<Answer>,
    given: BTreeMap<String, u32>,
    /// SCANs that begin a part, in their order.
    begun: Vec<PeerId>,
    looks: usize,
}

impl World {
    fn new(kind: Kind) -> Self {
        let mut scan = Scan::new(kind, 2, 5);
        scan.in_cluster();
        Self {
            scan,
            servers: (0..=MASTERS).map(|number| Server::new(u16::try_from(number).unwrap())).collect(),
            migrations: Vec::new(),
            keyed: VecDeque::new(),
            waits: false,
            has_heard: false,
            over: None,
            given: BTreeMap::new(),
            begun: Vec::new(),
            looks: 0,
        }
    }

    fn take(&mut self, step: Step) {
        for command in step.commands {
            let of = match &command {
                Command::Scan { of, cursor, .. } => {
                    if cursor == BEGINNING {
                        self.begun.push(*of);
                    }
                    *of
                }
                Command::Marks(of) => *of,
                Command::InSlot(of, _) => {
                    self.looks += 1;
                    *of
                }
                _ => {
                    self.keyed.push_back(command);
                    continue;
                }
            };
            let server = &mut self.servers[usize::from(of.number())];
            assert!(server.is_open, "{command:?} to nobody");
            server.unanswered.push_back(command);
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

    fn name_servers(&mut self) {
        self.scan.of_servers(self.servers.iter().filter(|server| server.is_open).map(|server| server.epoch));
    }

    /// Whether the last server has slots, or is about to.
    fn is_wanted(&self) -> bool {
        !self.servers[MASTERS].node.ranges.is_empty() || self.migrations.iter().any(|one| one.to == MASTERS)
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Demand if !self.waits && self.over.is_none() => {
                self.waits = true;
                self.name_servers();
                let step = self.scan.demand();
                self.take(step);
            }
            Event::Answer(at) if at <= MASTERS => {
                // As the store does it with each reply.
                self.name_servers();
                let Some(command) = self.servers[at].unanswered.pop_front() else { return };
                self.scan.answered_under(self.servers[at].epoch);
                let step = self.answer(at, command);
                self.take(step);
            }
            Event::Answer(_) => self.answer_keyed(),
            Event::Begin(number, key, to) => {
                self.begin(Slot::new(u16::try_from(number * 100 + key / 2).unwrap()).unwrap(), to);
            }
            Event::Carry(at) => self.carry(at),
            Event::End(at) => self.end(at),
            Event::Tell(at) => {
                if at < self.migrations.len() && self.migrations[at].is_over {
                    let Migration { slot, from, .. } = self.migrations.remove(at);
                    let node = &mut self.servers[from].node;
                    node.ranges.retain(|range| *range != (slot, slot));
                    node.leaving.retain(|leaving| *leaving != slot);
                }
            }
            Event::Open => self.servers[MASTERS].is_open |= self.has_heard && self.is_wanted(),
            Event::Leave => {
                if self.servers[MASTERS].is_open && !self.is_wanted() {
                    self.leave();
                }
            }
            Event::Reconnect(at) => self.servers[at].epoch.connected(true),
            Event::Replace(at) => self.servers[at].replace(self.scan.kind() == Kind::Clear),
            Event::Demand => {}
        }
    }

    fn answer(&mut self, at: usize, command: Command) -> Step {
        let server = &self.servers[at];
        match command {
            Command::Marks(of) => {
                let node = server.node.clone();
                // Who gives a slot away knows to whom.
                self.has_heard |= self.is_wanted();
                let is_opening = self.has_heard && self.is_wanted() && !self.servers[MASTERS].is_open;
                self.scan.told(of, Some(node), is_opening)
            }
            Command::InSlot(_, slot) => {
                let keys = server.table.iter().filter(|key| slot_of(key) == Some(slot));
                self.scan.looked(keys.map(String::as_bytes))
            }
            Command::Scan { cursor, count, .. } => self.scan.discard().unwrap_or_else(|| {
                let start: usize = String::from_utf8(cursor).unwrap().parse().unwrap();
                let end = server.table.len().min(start + count as usize);
                let next = if end < server.table.len() { end } else { 0 };
                let page = server.table.get(start..end).unwrap_or_default();
                let page = page.iter().filter(|key| !key.is_empty()).map(String::as_bytes);
                self.scan.scanned(next.to_string().as_bytes(), page)
            }),
            _ => panic!("{command:?} is about keys"),
        }
    }

    fn begin(&mut self, slot: Slot, to: usize) {
        let Some(from) = self.servers.iter().position(|server| server.owns(slot)) else { return };
        if from == to || self.migrations.iter().any(|one| one.slot == slot) {
            return;
        }
        self.servers[to].node.arriving.push(slot);
        self.servers[from].node.leaving.push(slot);
        self.migrations.push(Migration { slot, from, to, is_over: false });
    }

    fn carry(&mut self, at: usize) {
        let Some(&Migration { slot, from, to, .. }) = self.migrations.get(at) else { return };
        let place = self.servers[from].table.iter().position(|key| slot_of(key) == Some(slot));
        let Some(place) = place else { return };
        // Cursors bear that keys come and go: they are places in a table that grows at its end.
        let key = std::mem::take(&mut self.servers[from].table[place]);
        self.servers[to].table.push(key);
    }

    fn end(&mut self, at: usize) {
        let newest = self.servers.iter().map(|server| server.node.epoch).max().unwrap();
        let Some(one) = self.migrations.get_mut(at) else { return };
        let is_left = self.servers[one.from].table.iter().any(|key| slot_of(key) == Some(one.slot));
        if is_left || one.is_over {
            return;
        }
        one.is_over = true;
        let slot = one.slot;
        let node = &mut self.servers[one.to].node;
        node.arriving.retain(|arriving| *arriving != slot);
        node.ranges.push((slot, slot));
        // Whose claims are the newest keeps its epoch.
        if node.epoch < newest {
            node.epoch = newest + 1;
        }
    }

    fn leave(&mut self) {
        self.servers[MASTERS].is_open = false;
        for command in std::mem::take(&mut self.servers[MASTERS].unanswered) {
            self.name_servers();
            let step = match command {
                Command::Marks(of) => self.scan.told(of, None, false),
                _ => self.scan.left(),
            };
            self.take(step);
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
            (0..=MASTERS + 1).for_each(|at| self.happen(&Event::Answer(at)));
            self.happen(&Event::Open);
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => Just(Event::Demand),
        20 => (0..=MASTERS + 1).prop_map(Event::Answer),
        1 => (0..MASTERS).prop_map(Event::Reconnect),
        1 => (0..MASTERS).prop_map(Event::Replace),
        1 => (0..MASTERS, 0..LASTING, 0..=MASTERS).prop_map(|(of, key, to)| Event::Begin(of, key, to)),
        2 => (0..3_usize).prop_map(Event::Carry),
        2 => (0..3_usize).prop_map(Event::End),
        2 => (0..3_usize).prop_map(Event::Tell),
        1 => Just(Event::Open),
        1 => Just(Event::Leave),
    ];
    prop::collection::vec(event, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn no_key_of_several_servers_is_passed_over_or_named_twice_whichever_runs_answer_and_whatever_moves(
        kind in prop::sample::select(vec![Kind::Keys, Kind::Pairs, Kind::Values, Kind::Count, Kind::Clear]),
        events in events(),
    ) {
        let mut world = World::new(kind);
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
                let count = MASTERS as u64 * (LASTING + OWN) as u64;
                let Some(Answer::Count(found)) = world.over else { panic!("{:?}", world.over) };
                // A server that got a slot was scanned again, and may have been another run then.
                let has_moved = events.iter().any(|event| matches!(event, Event::Begin(..)));
                prop_assert!(if has_moved { found >= count } else { found == count }, "{}", found);
            }
            _ => {
                for (number, key) in (0..MASTERS).flat_map(|number| (0..LASTING).map(move |key| (number, key))) {
                    prop_assert!(world.given.contains_key(&format!("{number}:{key}")), "{}:{} was passed over", number, key);
                }
            }
        }
    }
}

/// Both keys of a slot, of which one goes while a scan is between its source and its target.
fn go_between(from: usize, to: usize, early: &[Event]) -> World {
    let mut world = World::new(Kind::Keys);
    let ends = |world: &World, count: usize| world.begun.len() > count || world.over.is_some();
    let go_on: Vec<_> = [Event::Demand].into_iter().chain((0..MASTERS).map(Event::Answer)).collect();
    world.happen_all(early);
    // The first master is scanned to its end, and the next one has begun.
    while !ends(&world, 1) {
        world.happen_all(&go_on);
    }
    if early.is_empty() {
        world.happen(&Event::Begin(from, 0, to));
    }
    world.happen_all(&[Event::Carry(0), Event::Carry(0)]);
    world
}

#[test]
fn a_slot_that_moves_before_a_scan_begins_and_until_it_is_over_is_looked_at_on_both_sides() {
    // From the one that is scanned later to the one that was scanned already.
    let mut world = go_between(2, 0, &[Event::Begin(2, 0, 0)]);
    world.finish();
    assert_eq!((world.given.len(), world.looks), (MASTERS * (LASTING + OWN), 2));
}

#[test]
fn what_was_to_be_looked_into_at_a_server_that_has_left_is_looked_for_where_it_is() {
    let mut scan = Scan::new(Kind::Keys, 2, 5);
    scan.in_cluster();
    let [stays, leaves] = [0, 1].map(Server::new);
    let both = [stays.epoch, leaves.epoch];
    let told = |scan: &mut Scan, leaving: &[u16]| {
        let marked = |server: &Server| {
            let mut node = server.node.clone();
            node.leaving = leaving.iter().map(|&slot| Slot::new(slot).unwrap()).collect();
            node
        };
        scan.told(both[0].peer(), Some(stays.node.clone()), false);
        scan.told(both[1].peer(), Some(marked(&leaves)), false)
    };
    scan.of_servers(both.into_iter());
    scan.demand();
    told(&mut scan, &[]);
    scan.scanned(b"0", std::iter::empty());
    scan.scanned(b"0", std::iter::empty());
    // Two slots are on their way: the first look is sent, and then its server is gone.
    let step = told(&mut scan, &[100, 101]);
    assert!(matches!(step.commands[..], [Command::InSlot(of, _)] if of == both[1].peer()), "{step:?}");
    scan.of_servers(both[..1].iter().copied());
    let step = scan.left();
    assert_eq!(step.commands, [Command::Marks(both[0].peer())]);
}

#[test]
fn a_slot_that_moves_within_a_scan_is_looked_at_where_it_is() {
    let mut world = go_between(2, 0, &[]);
    world.happen_all(&[Event::End(0), Event::Tell(0)]);
    world.finish();
    assert_eq!(world.given.len(), MASTERS * (LASTING + OWN));
    assert_eq!(world.begun.iter().filter(|id| id.number() == 0).count(), 2, "its claim is a newer one");
}

#[test]
fn a_master_that_owns_nothing_yet_is_asked_for_the_keys_that_it_got() {
    let mut world = go_between(2, MASTERS, &[Event::Begin(2, 0, MASTERS)]);
    world.finish();
    assert_eq!(world.given.len(), MASTERS * (LASTING + OWN));
}

#[test]
fn servers_are_asked_one_after_the_other_and_one_that_is_replaced_begins_anew_alone() {
    let [first, second, third] = [0, 1, 2].map(PeerId::of);
    for kind in [Kind::Keys, Kind::Count] {
        let mut world = World::new(kind);
        let go_on = [Event::Demand, Event::Answer(0), Event::Answer(1), Event::Answer(2), Event::Answer(4)];
        while world.begun.len() < 2 {
            world.happen_all(&go_on);
        }
        world.happen_all(&go_on);
        world.happen(&Event::Replace(1));
        world.happen(&Event::Replace(0));
        world.finish();
        assert_eq!(world.begun, [first, second, second, third], "{kind:?}");
    }
}
