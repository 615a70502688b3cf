//! A simulation of [`super::Lane`]: random schedules of calls, a slow socket, a server, deadlines and lost connections, held
//! against a model that knows of each byte whose it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::tests::{config, feed, gone, send, texts};
use super::*;
use crate::redis::MILLI;
use crate::redis::decode::Decoder;
use crate::redis::encode::{push_command, push_word};

const TIMEOUT: Nanos = 20 * MILLI;

type Check = std::result::Result<(), TestCaseError>;

#[derive(Debug, Clone)]
enum Step {
    Call,
    /// A command that nobody waits for.
    Quiet,
    Stamp,
    /// The socket takes so many bytes.
    Send(usize),
    Serve,
    Receive(usize),
    Lose,
    Connect,
    /// So many milliseconds pass, and then at most so many calls expire.
    Tick(u64, usize),
    /// The first so many calls are given up, if the connection is down.
    Abandon(usize),
    /// At most so many of them are told so.
    Reject(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = prop_oneof![1_usize..4, Just(usize::MAX)];
    let step = prop_oneof![
        6 => Just(Step::Call),
        1 => Just(Step::Quiet),
        3 => Just(Step::Stamp),
        6 => (1_usize..300).prop_map(Step::Send),
        4 => Just(Step::Serve),
        6 => (1_usize..40).prop_map(Step::Receive),
        1 => Just(Step::Lose),
        3 => Just(Step::Connect),
        2 => (1_u64..8, few.clone()).prop_map(|(millis, most)| Step::Tick(millis, most)),
        1 => few.clone().prop_map(Step::Abandon),
        1 => few.prop_map(Step::Reject),
    ];
    prop::collection::vec(step, 0..300)
}

/// A server that answers `GET n` with `n`, as a byte stream in each direction.
#[derive(Default)]
struct Server {
    input: Vec<u8>,
    output: Vec<u8>,
    /// In the order in which they were carried out.
    served: Vec<u64>,
}

impl Server {
    fn serve(&mut self) {
        loop {
            let mut tokens = Vec::new();
            let mut decoder = Decoder::default();
            if !decoder.advance(&self.input, &mut tokens).unwrap() {
                return;
            }
            let Token::Text(range) = tokens[1].clone() else { panic!("a command is text") };
            if &self.input[range] == b"HELLO" {
                self.output.extend_from_slice(b"%1\r\n$2\r\nid\r\n:5\r\n");
            } else if tokens.len() == 3 {
                let Token::Text(range) = tokens[2].clone() else { panic!("a key is text") };
                let key = std::str::from_utf8(&self.input[range]).unwrap();
                let number: u64 = key.parse().unwrap();
                self.served.push(number);
                push_word(&mut self.output, number.to_string().as_bytes());
            } else {
                self.output.extend_from_slice(b"+OK\r\n");
            }
            self.input.drain(..decoder.position());
        }
    }
}

/// Commands of different lengths.
fn command(tag: u64) -> Vec<u8> {
    let width = usize::try_from(tag % 7).unwrap() * 30;
    let mut out = Vec::new();
    push_command(&mut out, &[b"GET", format!("{tag:0width$}").as_bytes()]);
    out
}

/// A command that is not settled.
struct Waiting {
    tag: u64,
    quiet: bool,
    deadline: Option<Nanos>,
}

/// A command whose first byte the socket has taken and whose reply was not read.
struct Owed {
    tag: u64,
    given_up: bool,
}

struct World {
    config: Config,
    lane: Lane<u64>,
    server: Server,
    connected: bool,
    now: Nanos,
    next: u64,
    /// In their order.
    waiting: VecDeque<Waiting>,
    /// Given up and not told so.
    abandoned: VecDeque<u64>,
    /// What this connection is yet to take, and how much it has taken of the first of them.
    line: VecDeque<u64>,
    taken: usize,
    owed: VecDeque<Owed>,
    /// Bytes of what was given up while there is any such reply to come.
    owed_bytes: usize,
    /// What must not be carried out any more.
    over: BTreeSet<u64>,
    /// Calls that were accepted, and how often each was settled.
    calls: BTreeMap<u64, u32>,
    refused: u32,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            lane: Lane::new(&config),
            config,
            server: Server::default(),
            connected: false,
            now: 0,
            next: 0,
            waiting: VecDeque::new(),
            abandoned: VecDeque::new(),
            line: VecDeque::new(),
            taken: 0,
            owed: VecDeque::new(),
            owed_bytes: 0,
            over: BTreeSet::new(),
            calls: BTreeMap::new(),
            refused: 0,
        }
    }

    fn settle(&mut self, tag: u64) {
        if let Some(times) = self.calls.get_mut(&tag) {
            *times += 1;
        }
    }

    fn waits(&self) -> usize {
        self.waiting.iter().filter(|waiting| !waiting.quiet).count() + self.abandoned.len()
    }

    fn given_up(&self) -> usize {
        self.owed.iter().filter(|owed| owed.given_up).count()
    }

    fn bytes(&self) -> usize {
        let waiting = self.waiting.iter().map(|waiting| waiting.tag);
        let commands = waiting.chain(self.abandoned.iter().copied());
        commands.map(|tag| command(tag).len()).sum::<usize>() + self.owed_bytes
    }

    fn call(&mut self, quiet: bool) -> Check {
        let (tag, bytes) = (self.next, command(self.next));
        self.next += 1;
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&bytes);
        let pushed = if quiet { self.lane.push_quiet(tag, write) } else { self.lane.push(tag, write) };
        let fits = self.waits() + self.given_up() < self.config.queue_max
            && self.bytes() + bytes.len() <= self.config.queue_max_bytes;
        prop_assert_eq!(pushed.is_ok(), fits, "{:?}", pushed);
        if fits {
            self.waiting.push_back(Waiting { tag, quiet, deadline: None });
            self.line.push_back(tag);
            if !quiet {
                self.calls.insert(tag, 0);
            }
        } else {
            self.refused += 1;
        }
        Ok(())
    }

    fn send(&mut self, count: usize) -> Check {
        if !self.lane.is_up() {
            let bytes = send(&mut self.lane, count);
            self.server.input.extend_from_slice(&bytes);
            return Ok(());
        }
        let mut expected: Vec<u8> = self.line.iter().flat_map(|&tag| command(tag)).collect();
        expected.drain(..self.taken);
        prop_assert_eq!(self.lane.unsent().is_empty(), expected.is_empty());
        let bytes = send(&mut self.lane, count);
        prop_assert_eq!(&bytes[..], &expected[..bytes.len()], "just what is still wanted, and ends of what has begun");
        self.server.input.extend_from_slice(&bytes);
        let mut left = bytes.len();
        while left > 0 {
            let tag = self.line[0];
            if self.taken == 0 {
                self.owed.push_back(Owed { tag, given_up: false });
            }
            let took = left.min(command(tag).len() - self.taken);
            (self.taken, left) = (self.taken + took, left - took);
            if self.taken == command(tag).len() {
                self.line.pop_front();
                self.taken = 0;
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> Check {
        let before = self.server.served.len();
        self.server.serve();
        for tag in &self.server.served[before..] {
            prop_assert!(!self.over.contains(tag), "{tag} was carried out after it had been given up");
        }
        Ok(())
    }

    fn receive(&mut self, count: usize) -> Check {
        let count = count.min(self.server.output.len());
        let bytes: Vec<u8> = self.server.output.drain(..count).collect();
        feed(&mut self.lane, &bytes);
        let (mut batch, replies) = (Batch::default(), self.lane.counters().replies);
        let news = self.lane.decode(&mut batch, 0);
        prop_assert!(matches!(news, News::None | News::Ready(_)), "{news:?}");
        let mut expected = Vec::new();
        for _ in replies..self.lane.counters().replies {
            let Owed { tag, given_up } = self.owed.pop_front().unwrap();
            if self.given_up() == 0 {
                self.owed_bytes = 0;
            }
            if !given_up {
                expected.push((tag, tag.to_string()));
                self.waiting.retain(|waiting| waiting.tag != tag);
                self.settle(tag);
            }
        }
        prop_assert_eq!(texts(&batch), expected);
        Ok(())
    }

    fn lose(&mut self) {
        self.lane.lost();
        self.connected = false;
        self.server = Server::default();
        let owed = std::mem::take(&mut self.owed);
        self.over.extend(owed.iter().filter(|owed| owed.given_up).map(|owed| owed.tag));
        self.owed_bytes = 0;
        self.line = self.waiting.iter().map(|waiting| waiting.tag).collect();
        self.taken = 0;
    }

    fn tick(&mut self, millis: u64, most: usize) -> Check {
        self.now += millis * MILLI;
        let now = self.now;
        let mut expired = Vec::new();
        self.lane.expire(now, most, &mut expired);
        let due = self.waiting.iter().take_while(|waiting| waiting.deadline.is_some_and(|at| at <= now)).count();
        let due: Vec<_> = self.waiting.drain(..due.min(most)).map(|waiting| waiting.tag).collect();
        prop_assert_eq!(expired.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), &due[..]);
        for tag in due {
            self.settle(tag);
            if let Some(owed) = self.owed.iter_mut().find(|owed| owed.tag == tag) {
                owed.given_up = true;
                self.owed_bytes += command(tag).len();
            } else {
                self.line.retain(|&one| one != tag);
                self.over.insert(tag);
            }
        }
        Ok(())
    }

    fn abandon(&mut self, count: usize) {
        self.lane.abandon(count, gone());
        let mut left = count.saturating_sub(self.abandoned.len());
        while self.waiting.front().is_some_and(|first| first.quiet || left > 0)
            && let Some(first) = self.waiting.pop_front()
        {
            self.over.insert(first.tag);
            if !first.quiet {
                left -= 1;
                self.abandoned.push_back(first.tag);
            }
        }
        self.line = self.waiting.iter().map(|waiting| waiting.tag).collect();
    }

    fn reject(&mut self, most: usize) -> Check {
        let mut tags = Vec::new();
        self.lane.take_abandoned(most, &mut tags);
        let expected: Vec<_> = self.abandoned.drain(..most.min(self.abandoned.len())).collect();
        prop_assert_eq!(tags.iter().map(|(tag, ..)| *tag).collect::<Vec<_>>(), &expected[..]);
        prop_assert!(tags.iter().all(|(.., why)| **why == gone()));
        for tag in expected {
            self.settle(tag);
        }
        Ok(())
    }

    fn run(&mut self, step: &Step) -> Check {
        match *step {
            Step::Call => self.call(false)?,
            Step::Quiet => self.call(true)?,
            Step::Stamp => {
                self.lane.stamp(self.now);
                let deadline = self.now + TIMEOUT;
                self.waiting.iter_mut().for_each(|waiting| {
                    waiting.deadline.get_or_insert(deadline);
                });
            }
            Step::Send(count) if self.connected => self.send(count)?,
            Step::Serve => self.serve()?,
            Step::Receive(count) if self.connected => self.receive(count)?,
            Step::Lose if self.connected => self.lose(),
            Step::Connect if !self.connected => {
                self.lane.connected(&self.config, Vec::new(), None);
                self.connected = true;
            }
            Step::Tick(millis, most) => self.tick(millis, most)?,
            Step::Abandon(count) if !self.connected => self.abandon(count),
            Step::Reject(most) => self.reject(most)?,
            Step::Send(_) | Step::Receive(_) | Step::Lose | Step::Connect | Step::Abandon(_) => {}
        }
        let queue = self.lane.queue();
        prop_assert_eq!(queue.waiting(), self.waits());
        prop_assert_eq!(queue.is_abandoning(), !self.abandoned.is_empty());
        prop_assert_eq!(queue.is_empty(), self.waiting.is_empty() && self.owed.is_empty());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    /// Whatever happens on the wire, each call is answered once, with its own answer, or given up; what was given up before
    /// a byte of it was sent is never carried out; and what is bounded stays within its bounds.
    #[test]
    fn every_call_gets_its_own_answer_or_its_deadline(steps in steps(), small in any::<bool>()) {
        let bounds: &[_] = if small { &[("CC_REDIS_QUEUE_MAX", "9"), ("CC_REDIS_QUEUE_MAX_BYTES", "1024")] } else { &[] };
        let mut world = World::new(config(&[&[("CC_REDIS_TIMEOUT_MS", "20")], bounds].concat()));
        for step in steps {
            // Where bytes are bounded, commands that are forgotten without a word would make the model a second queue.
            let step = if small && matches!(step, Step::Quiet) { Step::Call } else { step };
            world.run(&step)?;
        }
        world.run(&Step::Connect)?;
        world.run(&Step::Reject(usize::MAX))?;
        for _ in 0..10_000 {
            if world.lane.queue().is_empty() && world.lane.is_up() {
                break;
            }
            for step in [Step::Send(500), Step::Serve, Step::Receive(500)] {
                world.run(&step)?;
            }
        }
        prop_assert!(world.calls.values().all(|&times| times == 1), "every call is settled, and only once");
        prop_assert_eq!(world.lane.queue().held_bytes(), 0);
    }
}

#[test]
fn the_simulation_fills_the_queue_and_cuts_commands_at_all() {
    let mut world = World::new(config(&[("CC_REDIS_TIMEOUT_MS", "20"), ("CC_REDIS_QUEUE_MAX", "9")]));
    for step in [Step::Connect, Step::Send(500), Step::Serve, Step::Receive(500)] {
        world.run(&step).unwrap();
    }
    (0..9).for_each(|_| world.run(&Step::Call).unwrap());
    for step in [Step::Stamp, Step::Send(30), Step::Tick(20, usize::MAX)] {
        world.run(&step).unwrap();
    }
    assert_eq!((world.given_up(), world.taken > 0, world.over.len()), (2, true, 7));
    (0..9).for_each(|_| world.run(&Step::Call).unwrap());
    assert_eq!(world.refused, 2);
}
