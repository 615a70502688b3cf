//! One server: its lane, when to connect to it, whether it is there, and what is known of it. Pure.

use crate::config::{Address, Config};
use crate::host::literal;
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::epoch::Epoch;
use crate::redis::lane::{Lane, News};
use crate::redis::supervise::{Asked, State, Supervisor};
use crate::redis::watchdog::{Owed, Watchdog};

/// Which run of the server answers.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    /// It was not asked for on this connection.
    Unasked,
    /// The question is queued, or under way.
    Asked,
    /// The server does not tell, or not us: an ACL may forbid it.
    Untold,
    /// This one.
    Known(String),
}

/// See the module. `T` says whose reply it is.
pub struct Peer<T> {
    /// Its traffic.
    pub lane: Lane<T>,
    /// When to connect.
    pub supervisor: Supervisor,
    /// Whether it is silent.
    pub watchdog: Watchdog,
    target: Address,
    /// The same as text.
    name: String,
    epoch: Epoch,
    connects: u32,
    run: Run,
    last_error: Option<String>,
    unfit: Option<String>,
}

impl<T> Peer<T> {
    /// A server at an address, of which nothing was answered under an epoch yet. It goes on with the counters of the one before it,
    /// which must be down. `seed`: anything that differs between processes.
    #[must_use]
    pub fn new(config: &Config, epoch: Epoch, target: Address, seed: u64, before: Option<Self>) -> Self {
        let mut lane = Lane::new(config);
        let (epoch, connects) = before.map_or((epoch, 0), |peer| {
            lane.resume(peer.lane);
            (peer.epoch, peer.connects)
        });
        Self {
            lane,
            supervisor: Supervisor::new(seed),
            watchdog: Watchdog::default(),
            name: target.to_string(),
            target,
            epoch,
            connects,
            run: Run::Unasked,
            last_error: None,
            unfit: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn target(&self) -> &Address {
        &self.target
    }

    /// The same as text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another server is meant from now on: the one that the sentinels name. The connection must be down.
    pub fn move_to(&mut self, target: Address, master: &str) {
        self.name = format!("{master}/{target}");
        self.target = target;
    }

    /// What its answers depend on now.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many connections were ready since the engine began.
    #[must_use]
    pub const fn connects(&self) -> u32 {
        self.connects
    }

    /// See [`Epoch::owns_other_slots`].
    pub const fn owns_other_slots(&mut self) {
        self.epoch.owns_other_slots();
    }

    /// Why the last attempt failed or the last connection was lost; gone when it is ready again.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// In the server's words, why it would not do what waits; until it answers again.
    #[must_use]
    pub fn unfit(&self) -> Option<&str> {
        self.unfit.as_deref()
    }

    /// The socket is connected: see [`Lane::connected`]. `asks_run`: cursors wait to go on.
    pub fn connected(&mut self, config: &Config, prefixes: Vec<String>, local: Option<String>, asks_run: bool) {
        self.lane.ask_run(asks_run);
        self.lane.connected(config, prefixes, local);
    }

    /// The attempt has come one step further.
    pub const fn progressed(&mut self, now: Nanos) {
        self.watchdog.sign();
        self.supervisor.progressed(now);
    }

    /// See [`Lane::decode`]. What it says of the server is noted, but for failures: what is to be done about them is up to
    /// the caller.
    pub fn decode(&mut self, batch: &mut Batch<T>, now: Nanos) -> News {
        let replies = self.lane.counters().replies;
        let news = self.lane.decode(batch, now);
        if self.lane.counters().replies > replies {
            self.supervisor.answered();
            self.watchdog.served();
            self.unfit = None;
        }
        if let News::Ready(_) = news {
            self.ready();
        }
        batch.epoch = self.epoch;
        news
    }

    fn ready(&mut self) {
        let now = self.lane.run();
        // Where nothing is known, it may be another run.
        let is_same = matches!((&self.run, now), (Run::Known(before), Some(now)) if before == now);
        self.epoch.connected(is_same);
        self.connects = self.connects.wrapping_add(1);
        // A question that is still queued only answers the same once more.
        self.run = now.map_or(Run::Unasked, |now| Run::Known(now.to_owned()));
        self.supervisor.ready();
        self.last_error = None;
    }

    /// Whether it should be asked which run it is, before the first cursor of this connection.
    #[must_use]
    pub fn wants_run(&self) -> bool {
        self.run == Run::Unasked
    }

    /// It is being asked.
    pub fn asked_run(&mut self) {
        self.run = Run::Asked;
    }

    /// It has answered; `None`: it does not say.
    pub fn told_run(&mut self, run: Option<String>) {
        self.run = run.map_or(Run::Untold, Run::Known);
    }

    /// The attempt, or the connection, came to nothing. What waits goes out again on the next one.
    pub fn failed(&mut self, why: &str, now: Nanos) {
        self.lane.lost();
        self.last_error = Some(why.to_owned());
        self.unfit = None;
        self.supervisor.failed(now);
    }

    /// It cannot do now what waits, in its own words.
    pub fn is_unfit(&mut self, words: String) {
        self.unfit = Some(words);
    }

    /// `close()`: as before the first call.
    pub fn closed(&mut self) {
        self.lane.lost();
        self.supervisor.closed();
        self.watchdog = Watchdog::default();
        self.last_error = None;
        self.unfit = None;
    }

    /// Who would have something of an attempt. `is_wanted`: calls want the connection.
    #[must_use]
    pub fn asked(&self, is_wanted: bool) -> Asked {
        if is_wanted {
            return Asked::Somebody;
        }
        match &self.target {
            Address::Tcp(host, _) if literal(host).is_none() => Asked::NobodyByName,
            _ => Asked::Nobody,
        }
    }

    /// Whether an attempt to connect to a host of that name is under way.
    #[must_use]
    pub fn is_connecting_to(&self, name: &str) -> bool {
        let is_its = matches!(&self.target, Address::Tcp(host, _) if host == name);
        is_its && self.supervisor.state() == State::Connecting
    }

    /// Whether attempts to connect have failed, and none has succeeded since.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.supervisor.attempts() > 0 && !matches!(self.supervisor.state(), State::Ready)
    }

    /// What it owes. `connects`: an attempt waits for it.
    #[must_use]
    pub fn owed(&self, connects: bool) -> Owed {
        if self.lane.is_owed() {
            Owed::Answer
        } else if connects {
            Owed::Step
        } else {
            Owed::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Values, resolve};

    fn new_peer() -> Peer<u64> {
        let config = resolve(&Values::new()).unwrap();
        Peer::new(&config, Epoch::default(), config.address.clone(), 7, None)
    }

    /// A peer whose server has answered HELLO, and INFO where that was asked.
    fn connect(peer: &mut Peer<u64>, run: Option<&str>) -> Epoch {
        let config = resolve(&Values::new()).unwrap();
        peer.connected(&config, Vec::new(), None, run.is_some());
        let info = run.map(|run| format!("run_id:{run}")).unwrap_or_default();
        let info = if run.is_some() { format!("${}\r\n{info}\r\n", info.len()) } else { info };
        for words in ["%0\r\n", info.as_str()] {
            let asked = peer.lane.unsent().len();
            peer.lane.sent(asked, 0);
            peer.lane.space()[..words.len()].copy_from_slice(words.as_bytes());
            peer.lane.filled(words.len());
            peer.decode(&mut Batch::default(), 0);
        }
        assert!(peer.lane.is_up());
        peer.epoch()
    }

    #[test]
    fn each_connection_is_an_epoch_and_cursors_outlast_it_where_the_run_is_known_to_be_the_same() {
        let mut peer = new_peer();
        let mut epochs = vec![peer.epoch()];
        for run in [None, Some("a"), Some("a"), Some("b"), None, None] {
            let before = peer.epoch();
            epochs.push(connect(&mut peer, run));
            let is_same = epochs.len() == 4;
            assert_eq!(peer.epoch().has_cursors_of(before), is_same, "{run:?}");
            peer.failed("lost", 0);
        }
        assert!(epochs.iter().enumerate().all(|(at, epoch)| !epochs[..at].contains(epoch)));
        assert_eq!(peer.connects(), 6);
    }

    #[test]
    fn a_run_that_was_told_in_the_middle_of_a_connection_holds_for_the_next() {
        let mut peer = new_peer();
        let first = connect(&mut peer, None);
        assert!(peer.wants_run());
        peer.asked_run();
        assert!(!peer.wants_run());
        peer.told_run(Some("a".to_owned()));
        assert_eq!(peer.epoch(), first);
        peer.failed("lost", 0);
        assert!(connect(&mut peer, Some("a")).has_cursors_of(first));
        peer.failed("lost", 0);
        assert!(!connect(&mut peer, None).has_cursors_of(first), "a server that does not say may be another one");
    }
}
