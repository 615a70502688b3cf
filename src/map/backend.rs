//! What the store of calls needs from below: somewhere to send requests to, and to take the answers from.

use crate::error::Result;
use crate::map::op::Op;
use crate::map::request::{Request, Route};
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::epoch::Epoch;
use crate::redis::lane::News;
use crate::redis::peer::Peer;

/// Takes requests, and gives each op back with what became of its request. One server does it, a router before several could, and
/// so does something that needs no server in the tests (`memory.rs`).
pub trait Backend {
    /// Queues a request that a call waits for.
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()>;

    /// The same for one that nobody waits for: it keeps nothing alive, and without it nothing is wrong.
    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()>;

    /// What was answered since the last time, in its order, for [`Store::absorb`](crate::map::store::Store::absorb); what else
    /// has happened is the result. `batch` is empty, or was absorbed. `now`: when it was read.
    fn answers(&mut self, batch: &mut Batch<Op>, now: Nanos) -> News;

    /// What an answer from there depends on, as it is now.
    fn epoch(&self, route: Route<'_>) -> Epoch;

    /// Which run of the server it is, as [`Request::Run`] was answered, which a backend asks for itself; `None`: it does not say.
    fn told_run(&mut self, _run: Option<String>) {}

    /// Calls that are not settled.
    fn waiting(&self) -> usize;

    /// Calls so far, and how many of them are settled. All calls of one moment are, when as many are settled as there were then.
    fn watermark(&self) -> (u64, u64);

    /// What it says, without what must not be shown of it.
    fn fit_to_show(&self, words: &str) -> String;

    /// Its address, for messages.
    fn name(&self) -> &str;
}

/// One server.
impl Backend for Peer<Op> {
    #[inline]
    fn submit(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        if matches!(request, Request::Scan { .. }) && self.wants_run() {
            // First, so that a scan which has come further than its first page knows whose cursors it has. Without an answer it
            // would only start anew more often; so it is with a full queue.
            if self.submit_quietly(Op::Run, &Request::Run).is_ok() {
                self.asked_run();
            }
        }
        self.lane.push(op, |out| request.encode(out))
    }

    #[inline]
    fn submit_quietly(&mut self, op: Op, request: &Request<'_>) -> Result<()> {
        self.lane.push_quiet(op, |out| request.encode(out))
    }

    #[inline]
    fn answers(&mut self, batch: &mut Batch<Op>, now: Nanos) -> News {
        self.decode(batch, now)
    }

    #[inline]
    fn epoch(&self, _: Route<'_>) -> Epoch {
        Self::epoch(self)
    }

    fn told_run(&mut self, run: Option<String>) {
        Self::told_run(self, run);
    }

    fn waiting(&self) -> usize {
        self.lane.queue().waiting()
    }

    fn watermark(&self) -> (u64, u64) {
        self.lane.queue().watermark()
    }

    fn fit_to_show(&self, words: &str) -> String {
        self.lane.secrets().mask(words)
    }

    fn name(&self) -> &str {
        Self::name(self)
    }
}
