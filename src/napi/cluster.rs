//! Servers of a cluster on the event loop: they are opened and closed as its map says. See [`crate::cluster`].

use std::rc::Rc;

use super::clock::wall;
use super::engine::Engine;
use super::link::Node;
use super::state::Core;
use crate::error::{Code, Error};
use crate::redis::by_peer::PeerId;

/// What calls are told of a node that was left with them.
const LEFT: &str = "the node has left the cluster, and this has no key by which another one could be asked";

impl Engine {
    /// Something may have happened: opens and closes servers, and asks for the map where that is due. `thoroughly`: time has
    /// passed, too.
    pub(super) fn look_at_cluster(self: &Rc<Self>, core: &mut Core, thoroughly: bool) {
        if core.peers.cluster().is_none() {
            return;
        }
        if core.peers.is_stirred() || thoroughly {
            self.open_and_close(core);
        }
        core.peers.look(self.now());
        Self::attest(core);
    }

    /// Servers that calls wait for are asked what they hold, where it is time to: what is answered may then be kept. Where nothing is
    /// asked, hits ask.
    fn attest(core: &mut Core) {
        if core.store.ids.near().is_none() {
            return;
        }
        let now = wall();
        core.each(|core, at| {
            let is_asked = core.peers[at].lane.queue().waiting() > 0;
            if is_asked && core.store.ids.near().is_some_and(|near| near.wants_attestation(at, now)) {
                core.store.attest_again(&mut core.peers, at);
            }
        });
    }

    fn open_and_close(self: &Rc<Self>, core: &mut Core) {
        while let Some((id, host)) = core.peers.open_next(&core.config) {
            let trust = core.trust.as_ref().map(|trust| trust.named(&host)).transpose();
            let (trust, unusable) = trust.map_or_else(|why| (None, Some(why)), |trust| (trust, None));
            core.nodes.insert(id, Node::new(trust));
            if let Some(why) = unusable {
                self.attempt_failed(core, id, &why);
            }
        }
        while let Some(id) = core.peers.to_close(self.now()) {
            self.leave(core, id);
        }
    }

    fn leave(&self, core: &mut Core, id: PeerId) {
        self.disconnect(core, id);
        core.forget_host(id);
        core.store.ids.left(id);
        let name = core.peers[id].name().to_owned();
        core.peers[id].lane.lost();
        core.reject_of(id, usize::MAX);
        let left = core.peers.close(id);
        core.nodes.remove(id);
        for op in left {
            let error = Error::new(Code::RedisUnavailable, format!("{LEFT} ({name})"));
            core.store.server_left(&mut core.peers, &op, error, &mut core.later);
        }
    }
}

impl Core {
    /// Rejects the calls that no server has, where none can be reached at all.
    pub(super) fn give_up_held(&mut self, why: &Error) {
        if self.peers.iter().any(|(_, peer)| peer.lane.is_up()) {
            return;
        }
        for (op, command) in self.peers.give_up_held() {
            let error = Error { message: format!("{} ({command})", why.message), ..why.clone() };
            self.store.fail(&mut self.peers, &op, error, &mut self.later);
        }
    }
}
