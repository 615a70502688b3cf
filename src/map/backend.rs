//! What the store of calls needs from below: somewhere to send requests to.

use crate::error::Result;
use crate::map::op::Op;
use crate::map::request::Request;
use crate::redis::by_peer::PeerId;
use crate::redis::epoch::Epoch;
use crate::redis::slot::Slot;

/// Takes requests. It gives each op back with what became of its request, in a batch for
/// [`Store::absorb`](crate::map::store::Store::absorb). Servers do it ([`Peers`](crate::map::peers::Peers)), and so does something
/// that needs none in the tests (`memory.rs`).
pub trait Backend {
    /// Queues a request that a call waits for.
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()>;

    /// The same for a request of one key, whose slot is known from [`Backend::place`]: to find it takes longer than to look up a server.
    fn submit_at(&mut self, _slot: Slot, op: Op, request: &Request<'_>) -> Result<()> {
        self.submit(op, request)
    }

    /// As [`Backend::submit`], for one that nobody waits for: it keeps nothing alive, and without it nothing is wrong.
    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()>;

    /// What an answer about a key depends on, as it is now, and the key's slot where there are any.
    fn place(&self, key: &[u8]) -> (Epoch, Slot);

    /// Slots that may not be where they were, since the last time this was asked: what is known of their keys may be over.
    fn doubted(&mut self) -> Vec<Slot> {
        Vec::new()
    }

    /// The same of each server that holds keys.
    fn servers(&self) -> impl Iterator<Item = Epoch>;

    /// Whether servers share the keys, so that keys go from one to another.
    fn shares_keys(&self) -> bool {
        false
    }

    /// Whether there are servers that keys may be at and that nothing can be asked of yet.
    fn is_opening(&self) -> bool {
        false
    }

    /// Which run of a server it is, as [`Request::Run`] was answered, which a backend asks for itself; `None`: it does not say.
    fn told_run(&mut self, _from: PeerId, _run: Option<String>) {}

    /// What a server says, without what must not be shown of it.
    fn fit_to_show(&self, from: PeerId, words: &str) -> String;

    /// The address of a server, for messages.
    fn name(&self, of: PeerId) -> &str;
}
