//! A peer's whole life against servers that come and go, hold writes back and answer probes all the while.

use proptest::prelude::*;

use crate::config::{Config, Values, resolve};
use crate::redis::batch::{Batch, Item};
use crate::redis::decode::{Decoder, Token};
use crate::redis::encode::push_command;
use crate::redis::epoch::Epoch;
use crate::redis::lane::News;
use crate::redis::peer::Peer;
use crate::redis::supervise::{Due, State};
use crate::redis::watchdog::Verdict;
use crate::redis::{MILLI, Nanos};

const TICK: Nanos = 10 * MILLI;
/// The watchdog looks every so many ticks.
const LOOK: u64 = 10;

/// What becomes of the server, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Sound,
    /// It answers everything but writes, which it holds back.
    HoldsWrites,
    /// It refuses connections, and ends those that there are.
    Away,
}

struct World {
    peer: Peer<u64>,
    config: Config,
    timeout: Nanos,
    now: Nanos,
    mood: Mood,
    /// Bytes to the server and from it, of the connection there is.
    wire: Option<(Vec<u8>, Vec<u8>)>,
    next: u64,
    /// Of calls under way: since when.
    calls: Vec<(u64, Nanos)>,
    connections: u64,
    attempts: u64,
    rejected: u64,
}

impl World {
    fn new(timeout_ms: u64) -> Self {
        let values: Values = [("CC_REDIS_TIMEOUT_MS".to_owned(), timeout_ms.to_string())].into();
        let config = resolve(&values).unwrap();
        Self {
            peer: Peer::new(&config, Epoch::default(), config.address.clone(), 7, None),
            timeout: config.timeout_ms * MILLI,
            config,
            now: MILLI,
            mood: Mood::Sound,
            wire: None,
            next: 0,
            calls: Vec::new(),
            connections: 0,
            attempts: 0,
            rejected: 0,
        }
    }

    fn call(&mut self, write: bool) {
        let name: &[u8] = if write { b"SET" } else { b"GET" };
        self.peer.lane.push(self.next, |out| push_command(out, &[name, b"k"])).unwrap();
        self.calls.push((self.next, self.now));
        self.next += 1;
        self.peer.lane.stamp(self.now);
    }

    fn attempt(&mut self) {
        self.attempts += 1;
        if self.mood == Mood::Away {
            return self.failed();
        }
        self.connections += 1;
        self.wire = Some((Vec::new(), Vec::new()));
        self.peer.connected(&self.config, Vec::new(), None, false);
        self.peer.progressed(self.now);
    }

    fn failed(&mut self) {
        self.wire = None;
        self.peer.watchdog.reset();
        self.peer.failed("away", self.now);
    }

    fn serve(&mut self) {
        let Some((input, output)) = &mut self.wire else { return };
        let unsent = self.peer.lane.unsent().to_vec();
        input.extend_from_slice(&unsent);
        self.peer.lane.sent(unsent.len(), self.now);
        loop {
            let (mut decoder, mut tokens) = (Decoder::default(), Vec::new());
            if !decoder.advance(input, &mut tokens).unwrap() {
                return;
            }
            let Token::Text(range) = tokens[1].clone() else { panic!("a command is text") };
            match &input[range] {
                b"SET" if self.mood == Mood::HoldsWrites => return,
                b"HELLO" => output.extend_from_slice(b"%0\r\n"),
                _ => output.extend_from_slice(b"+OK\r\n"),
            }
            input.drain(..decoder.position());
        }
    }

    fn read(&mut self) {
        let Some((_, output)) = &mut self.wire else { return };
        let bytes = std::mem::take(output);
        if bytes.is_empty() {
            return;
        }
        self.peer.lane.space()[..bytes.len()].copy_from_slice(&bytes);
        self.peer.lane.filled(bytes.len());
        self.peer.watchdog.sign();
        let mut batch = Batch::default();
        let news = self.peer.decode(&mut batch, self.now);
        assert!(matches!(news, News::None | News::Ready(_)), "{news:?}");
        for item in batch.items {
            let Item::Reply { tag, .. } = item else { panic!("no pushes here") };
            self.calls.retain(|call| call.0 != tag);
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        if self.mood == Mood::Away && self.wire.is_some() {
            self.failed();
        }
        if self.peer.lane.queue().unanswered() > 0 && self.peer.supervisor.wanted(self.now) {
            self.attempt();
        }
        // Twice: the handshake, and what was waiting for it.
        for _ in 0..2 {
            self.serve();
            self.read();
        }
        // Nobody looks while nobody waits.
        if (self.now / TICK).is_multiple_of(LOOK) && self.peer.lane.queue().unanswered() > 0 {
            match self.peer.watchdog.look(self.now, self.peer.owed(false)) {
                Verdict::Probe if self.mood != Mood::Away => self.peer.watchdog.answered(self.now),
                Verdict::Dead => {
                    self.failed();
                    self.peer.supervisor.hurry(self.now);
                }
                _ => {}
            }
        }
        let mut expired = Vec::new();
        self.peer.lane.expire(self.now, usize::MAX, &mut expired);
        self.rejected += expired.len() as u64;
        for (tag, _) in expired {
            self.calls.retain(|call| call.0 != tag);
        }
        if self.peer.supervisor.due(self.now, self.peer.asked(self.peer.lane.queue().unanswered() > 0)) == Due::Attempt
        {
            self.attempt();
        }
        for (tag, since) in &self.calls {
            assert!(self.now <= since + self.timeout + 2 * TICK, "call {tag} is past its deadline");
        }
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis * MILLI / TICK {
            self.tick();
        }
    }
}

#[test]
fn a_write_that_is_held_back_for_a_minute_costs_a_handful_of_connections_and_is_answered_at_its_end() {
    let mut world = World::new(120_000);
    world.call(true);
    world.pass(100);
    assert!(world.calls.is_empty());
    world.mood = Mood::HoldsWrites;
    world.call(true);
    world.pass(60_000);
    assert_eq!(world.calls.len(), 1);
    assert!((4..=6).contains(&world.connections), "{} connections", world.connections);
    world.mood = Mood::Sound;
    world.pass(50);
    assert!(world.calls.is_empty() && world.rejected == 0);
    // The first patience is back.
    world.mood = Mood::HoldsWrites;
    let before = world.connections;
    world.call(true);
    world.pass(2_000);
    assert_eq!(world.connections, before + 1);
}

#[derive(Debug, Clone)]
enum Event {
    Call(bool),
    Pass(u64),
    Turn(Mood),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => any::<bool>().prop_map(Event::Call),
        4 => (10_u64..4_000).prop_map(Event::Pass),
        2 => prop::sample::select(vec![Mood::Sound, Mood::HoldsWrites, Mood::Away]).prop_map(Event::Turn),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn every_call_is_settled_and_then_it_is_quiet_until_the_next_which_connects_at_once(events in events()) {
        let mut world = World::new(10_000);
        for event in events {
            match event {
                Event::Call(write) => world.call(write),
                Event::Pass(millis) => world.pass(millis),
                Event::Turn(mood) => world.mood = mood,
            }
        }
        world.pass(10_100);
        prop_assert!(world.calls.is_empty(), "each was answered or has expired: {:?}", world.calls);
        // Whatever the server does from now on, a few attempts are all.
        let before = world.attempts;
        for mood in [Mood::Away, Mood::HoldsWrites, Mood::Away, Mood::Sound, Mood::Away] {
            world.mood = mood;
            world.pass(20_000);
        }
        prop_assert!(world.attempts - before <= 7, "{} attempts for nobody", world.attempts - before);
        prop_assert!(matches!(world.peer.supervisor.state(), State::Resting | State::Idle), "{:?}", world.peer.supervisor.state());
        prop_assert_eq!(world.peer.supervisor.next(), None);
        world.mood = Mood::Sound;
        world.call(false);
        world.pass(30);
        prop_assert!(world.calls.is_empty(), "the next call connects at once");
    }
}
