//! For tests: a store and the servers below it.

use std::ops::{Deref, DerefMut};

use crate::config::Config;
use crate::error::Result;
use crate::map::op::{Op, Outcomes, ScanId};
use crate::map::peers::Peers;
use crate::map::scans::Demand;
use crate::map::store::Store;
use crate::near::Trace;
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::by_peer::PeerId;
use crate::redis::lane::News;
use crate::redis::peer::Peer;

pub(super) struct Rig {
    pub(super) store: Store,
    pub(super) peers: Peers,
}

impl Deref for Rig {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)+) => {
        $(pub(super) fn $name(&mut self, $($arg: $type),*) -> Result<()> {
            self.store.$name(&mut self.peers, $($arg),*)
        })+
    };
}

impl Rig {
    pub(super) fn new(config: &Config) -> Self {
        Self { store: Store::new(config, None), peers: Peers::new(config, 7, None) }
    }

    /// The one server.
    pub(super) fn peer(&mut self) -> &mut Peer<Op> {
        &mut self.peers[PeerId::FIRST]
    }

    forward! {
        get(key: &[u8]);
        get_first(first: &[u8], second: &[u8]);
        get_id(key: &[u8], trace: Trace);
        has_id(key: &[u8], trace: Trace);
        set(key: &[u8], value: &[u8], ttl: Option<u64>, tracked: bool);
        set_id(key: &[u8], id: &[u8]);
        delete(key: &[u8], tracked: bool);
    }

    pub(super) fn demand(&mut self, id: ScanId) -> Result<Demand> {
        self.store.demand(&mut self.peers, id)
    }

    pub(super) fn connected(&mut self, config: &Config, prefixes: Vec<String>) {
        let epoch = self.peer().epoch();
        self.store.scans_answered_under(epoch);
        let asks_run = self.store.has_cursors_of(PeerId::FIRST);
        self.peer().connected(config, prefixes, None, asks_run);
    }

    /// What was read, at that moment.
    pub(super) fn read(&mut self, bytes: &[u8], now: Nanos) -> (Batch<Op>, Outcomes) {
        self.peer().lane.space()[..bytes.len()].copy_from_slice(bytes);
        self.peer().lane.filled(bytes.len());
        let (mut batch, mut outcomes) = (Batch::default(), Vec::new());
        match self.peers.answers(PeerId::FIRST, &mut batch, now, now) {
            News::Ready(tracking) => {
                self.store.ids.ready(PeerId::FIRST, tracking);
            }
            News::None => {}
            news => panic!("{news:?}"),
        }
        self.store.absorb(&mut self.peers, &mut batch, &mut outcomes);
        (batch, outcomes)
    }

    pub(super) fn lost(&mut self) {
        self.peer().lane.lost();
        self.store.ids.lost(PeerId::FIRST);
    }
}
