//! A client and its sentinels through failovers, cuts, hangs and refusals, against an oracle that knows what each sentinel thinks.
//!
//! The oracle: (1) the near cache never answers from a master longer than a lease after a majority of the sentinels has come to
//! name another one; (2) where a majority can be asked, a master that lost its office is left; (3) when all is well again, the client
//! is on the master, and its lease is renewed.

use std::collections::VecDeque;

use super::known::{Failure, Master, Number, Other};
use super::roster::{Action, Sentinels};
use super::search::Found;
use super::wire::{Heard, Question};
use crate::config::SentinelConfig;
use crate::near::LEASE;
use crate::redis::{MILLI, Nanos};

const TICK: Nanos = 10 * MILLI;
/// How long the client may stay with a master that lost its office while a majority can be asked.
/// A connection that was begun while a sentinel hung takes that long to be given up.
const LEAVE: Nanos = 10_000 * MILLI;
/// Sentinels leave a new master so much time.
const CALM: Nanos = 3_000 * MILLI;

/// How a sentinel, or a server, is seen by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Sound,
    Refuses,
    Hangs,
}

struct Sentinel {
    mood: Mood,
    /// The port of the master that it names.
    view: u16,
    /// When it learns of the present one; never, where it is cut off from the others.
    learns: Option<Nanos>,
    is_cut: bool,
}

enum Event {
    /// The connection stands or falls.
    Opened,
    /// A question arrives.
    Arrives(Question, Nanos),
    /// An answer, or a message.
    Says(Heard),
}

/// Which server the client is connected to, or is connecting to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Waiting(Nanos),
    Searching,
    Connecting(u16, Nanos),
    Ready(u16),
}

struct World {
    random: fastrand::Rng,
    now: Nanos,
    sentinels: Sentinels,
    nodes: Vec<Sentinel>,
    /// How the servers are seen by the client; their ports are 0, 1, 2.
    servers: [Mood; 3],
    master: u16,
    events: Vec<(Nanos, Number, u32, Event)>,
    /// Of each connection to a sentinel: how often it was opened or closed.
    generations: Vec<u32>,
    client: Client,
    /// When the master last changed.
    failed_over: Nanos,
    /// Since when a majority of the sentinels has named each port without a break.
    named: [Option<Nanos>; 3],
    /// Since when it also could be asked all the while, and the client is on another one.
    astray: Option<Nanos>,
    log: VecDeque<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count: u16 = if random.bool() { 3 } else { 5 };
        let named = random.u16(1..=count);
        let seeds = (0..named).map(|port| ("s".to_owned(), port)).collect();
        let config = SentinelConfig { master: "m".to_owned(), seeds, credentials: None };
        let node = |_| Sentinel { mood: Mood::Sound, view: 0, learns: None, is_cut: false };
        Self {
            random,
            now: 10_000 * MILLI,
            sentinels: Sentinels::new(&config),
            nodes: (0..count).map(node).collect(),
            servers: [Mood::Sound; 3],
            master: 0,
            events: Vec::new(),
            generations: vec![0; 65_536],
            failed_over: 0,
            client: Client::Waiting(0),
            named: [Some(0), None, None],
            astray: None,
            log: VecDeque::new(),
        }
    }

    fn note(&mut self, what: &str) {
        if self.log.len() == 60 {
            self.log.pop_front();
        }
        self.log.push_back(format!("{} ms: {what}", self.now / MILLI));
    }

    fn latency(&mut self) -> Nanos {
        self.random.u64(1..30) * MILLI
    }

    /// The sentinel behind a number of the client's; several numbers may lead to one.
    fn node(&self, number: Number) -> Option<usize> {
        self.sentinels.of(number).map(|known| usize::from(known.port))
    }

    fn disturb(&mut self) {
        let node = self.random.usize(0..self.nodes.len());
        let mood = [Mood::Sound, Mood::Sound, Mood::Refuses, Mood::Hangs][self.random.usize(0..4)];
        match self.random.u32(0..10) {
            0..=3 => {
                self.nodes[node].mood = mood;
                self.note(&format!("sentinel {node} {mood:?}"));
            }
            4..=5 => {
                let server = self.random.usize(0..3);
                self.servers[server] = mood;
                self.note(&format!("server {server} {mood:?}"));
            }
            6 => {
                let is_cut = self.random.bool();
                self.nodes[node].is_cut = is_cut;
                self.note(&format!("sentinel {node} is cut off: {is_cut}"));
            }
            _ => self.fail_over(),
        }
    }

    /// A majority that is not cut off agrees on another master; its members learn of it one by one.
    fn fail_over(&mut self) {
        let voters = self.nodes.iter().filter(|node| !node.is_cut).count();
        if voters <= self.nodes.len() / 2 || self.now < self.failed_over + CALM {
            return;
        }
        self.failed_over = self.now;
        self.master = (self.master + self.random.u16(1..=2)) % 3;
        self.note(&format!("the master is {}", self.master));
        for at in 0..self.nodes.len() {
            self.nodes[at].learns = Some(self.now + self.random.u64(0..800) * MILLI);
        }
    }

    fn think(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if !node.is_cut && node.learns.is_some_and(|when| self.now >= when) {
                node.learns = None;
                if node.view != self.master {
                    node.view = self.master;
                    let heard = Heard::Switched { name: "m".to_owned(), master: master(self.master) };
                    self.tell(at, &heard);
                }
            }
        }
        let majority = self.nodes.len() / 2 + 1;
        for port in 0..3_u16 {
            let count = self.nodes.iter().filter(|node| node.view == port).count();
            let since = &mut self.named[usize::from(port)];
            *since = (count >= majority).then(|| since.unwrap_or(self.now));
        }
    }

    fn tell(&mut self, at: usize, heard: &Heard) {
        if self.nodes[at].mood != Mood::Sound || self.random.u8(0..4) == 0 {
            return;
        }
        let numbers: Vec<_> = self
            .sentinels
            .known()
            .iter()
            .filter(|known| usize::from(known.port) == at)
            .map(|known| known.number)
            .collect();
        for number in numbers {
            let due = self.now + self.latency();
            self.events.push((due, number, self.generations[number as usize], Event::Says(heard.clone())));
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.sentinels.action() {
            let (number, event) = match action {
                Action::Open(number) => {
                    self.generations[number as usize] += 1;
                    (number, Event::Opened)
                }
                Action::Close(number) => {
                    self.generations[number as usize] += 1;
                    continue;
                }
                Action::Ask(number, question) => (number, Event::Arrives(question, self.now)),
            };
            let due = self.now + self.latency();
            self.events.push((due, number, self.generations[number as usize], event));
        }
    }

    fn happen(&mut self) {
        while let Some(at) = self.events.iter().position(|event| event.0 <= self.now) {
            // Of one connection what came first is first in the list.
            let (_, number, generation, event) = self.events.remove(at);
            if generation != self.generations[number as usize] {
                continue;
            }
            let Some(node) = self.node(number) else { continue };
            let mood = self.nodes[node].mood;
            match (event, mood) {
                (_, Mood::Hangs) => {}
                (Event::Says(heard), _) => self.sentinels.heard(number, heard, self.now),
                (_, Mood::Refuses) => {
                    self.sentinels.failed(number, Failure::Away("refused".to_owned()), self.now);
                }
                (Event::Opened, Mood::Sound) => self.sentinels.heard(number, Heard::Ready, self.now),
                (Event::Arrives(question, written), Mood::Sound) => {
                    let answer = self.answer(node, question, written);
                    let due = self.now + self.latency();
                    self.events.extend(answer.map(|heard| (due, number, generation, Event::Says(heard))));
                }
            }
            self.act();
        }
    }

    fn answer(&self, node: usize, question: Question, written: Nanos) -> Option<Heard> {
        Some(match question {
            Question::Master(search) => Heard::Named { search, master: Some(master(self.nodes[node].view)), written },
            Question::Identity => Heard::Identity(format!("run{node}")),
            Question::Others => Heard::Others(
                (0..self.nodes.len())
                    .filter(|&other| other != node)
                    .map(|other| Other {
                        host: "10.0.0.1".to_owned(),
                        port: u16::try_from(other).unwrap(),
                        run: Some(format!("run{other}")),
                    })
                    .collect(),
            ),
            Question::Switches => return None,
        })
    }

    fn fail_attempt(&mut self, pause: Nanos) {
        self.sentinels.give_up();
        self.client = Client::Waiting(self.now + pause);
    }

    fn drive(&mut self) {
        if let Client::Waiting(until) = self.client
            && self.now >= until
        {
            self.client = Client::Searching;
            self.sentinels.seek(self.now);
        }
        self.sentinels.look(true, self.now);
        self.act();
        if let Client::Ready(port) | Client::Connecting(port, _) = self.client {
            match self.servers[usize::from(port)] {
                Mood::Hangs => self.sentinels.doubt(Some(self.now), self.now),
                Mood::Sound => self.sentinels.doubt(None, self.now),
                Mood::Refuses => self.fail_attempt(200 * MILLI),
            }
        }
        match self.sentinels.found() {
            Some(Found::Master(found)) => self.client = Client::Connecting(found.port, self.now),
            Some(_) => self.fail_attempt(200 * MILLI),
            None => {}
        }
        if let Client::Connecting(port, since) = self.client {
            // A server that was never told that it is a replica says that it is a master: it is cut off from the sentinels.
            let is_master = port == self.master || self.random.u8(0..3) == 0;
            match self.servers[usize::from(port)] {
                Mood::Sound if is_master => {
                    self.client = Client::Ready(port);
                    self.sentinels.confirm();
                    self.note(&format!("ready on {port}"));
                }
                Mood::Hangs if self.now - since < 2_400 * MILLI => {}
                _ => self.fail_attempt(200 * MILLI),
            }
        }
        if let Client::Ready(_) | Client::Connecting(..) = self.client
            && let Some(rival) = self.sentinels.rival(self.now.saturating_sub(LEASE))
        {
            self.note(&format!("leaves for {}", rival.port));
            self.fail_attempt(0);
        }
        self.act();
    }

    fn judge(&mut self) {
        let Client::Ready(port) = self.client else {
            self.astray = None;
            return;
        };
        let alive = self.sentinels.attested().is_some_and(|attested| self.now < attested + LEASE);
        for other in (0..3).filter(|&other| other != port && port != self.master) {
            if let Some(since) = self.named[usize::from(other)] {
                assert!(
                    !alive || self.now <= since + LEASE,
                    "answers from {port}, and {other} is the master\n{self:?}"
                );
            }
        }
        let sound = |view| self.nodes.iter().filter(|node| node.mood == Mood::Sound && node.view == view).count();
        let is_led = (0..3).any(|view| view != port && sound(view) > self.nodes.len() / 2);
        let is_astray = is_led && self.sentinels.known().len() >= self.nodes.len();
        self.astray = is_astray.then(|| self.astray.unwrap_or(self.now));
        if let Some(since) = self.astray {
            assert!(self.now < since + LEAVE, "stays on {port}\n{self:?}");
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.think();
        self.happen();
        self.drive();
        self.judge();
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let views: Vec<_> = self.nodes.iter().map(|node| (node.view, node.mood, node.is_cut)).collect();
        writeln!(f, "{:?}, servers {:?}, sentinels {views:?}, master {}", self.client, self.servers, self.master)?;
        writeln!(f, "known {:#?}", self.sentinels.known())?;
        self.log.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn master(port: u16) -> Master {
    Master { host: "m".to_owned(), port }
}

fn play(seed: u64) -> World {
    let mut world = World::new(seed);
    world.note(&format!("seed {seed}"));
    for _ in 0..6_000 {
        if world.random.u32(0..120) == 0 {
            world.disturb();
        }
        world.tick();
    }
    world.note("all is well");
    for node in &mut world.nodes {
        (node.mood, node.is_cut) = (Mood::Sound, false);
        node.learns = Some(world.now);
    }
    world.servers = [Mood::Sound; 3];
    for _ in 0..1_500 {
        world.tick();
    }
    world
}

#[test]
fn whatever_happens_the_lease_holds_and_the_client_finds_the_master_again() {
    let mut switches = 0;
    for seed in 0..1_000 {
        let world = play(seed);
        assert_eq!(world.client, Client::Ready(world.master), "seed {seed}\n{world:?}");
        assert!(
            world.sentinels.attested().is_some_and(|attested| world.now < attested + LEASE),
            "seed {seed}\n{world:?}"
        );
        switches += world.sentinels.counters().switches;
    }
    assert!(switches > 2_000, "{switches}");
}
