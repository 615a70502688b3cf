//! What one place among the round trips is used for: a command, and the same again while servers change.
//!
//! Where servers replace each other, an election takes longer than a round trip may. So a command that no server has taken, or
//! whose server is gone, is sent again until `CC_MONGO_FAILOVER_MS` is over; each time, the answer may take as long as ever.
//! Elsewhere it is sent twice at the most.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::connection::Connected;
use super::executor::Executor;
use super::gate::Place;
use super::trip::Limits;
use crate::mongo::failure::{Failure, Outcome};

/// Between two sends, but for the first repetition, which mostly finds another server.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Attempts<'a> {
    executor: &'a Executor,
    connected: Arc<Connected>,
    place: Place,
    since: Instant,
    sends: u32,
    /// What the last one came to.
    last: Option<Outcome<()>>,
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        if let Some(outcome) = self.last.take() {
            self.connected.gate.leave(&self.place, &outcome);
        }
    }
}

impl Executor {
    /// Waits for a place.
    pub(super) async fn attempts(&self) -> Outcome<Attempts<'_>> {
        let connected = self.connect().await?;
        let place = connected.gate.enter().await?;
        Ok(Attempts { executor: self, connected, place, since: Instant::now(), sends: 0, last: None })
    }

    /// One round trip.
    pub(super) async fn once<T: Send + 'static>(
        &self,
        trip: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Outcome<T> {
        self.attempts().await?.send(trip).await
    }

    /// A round trip that changes nothing, and that is made anew while servers change. Elsewhere the driver does so once.
    pub(super) async fn read<T: Send + 'static, F>(&self, mut trip: impl FnMut() -> F) -> Outcome<T>
    where
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let mut attempts = self.attempts().await?;
        loop {
            match attempts.send(trip()).await {
                Err(failure) if failure.transient && attempts.may_repeat(1) => self.count_retry(),
                outcome => return outcome,
            }
        }
    }
}

impl Attempts<'_> {
    /// One round trip, which ends with its deadline.
    pub(super) async fn send<T: Send + 'static>(
        &mut self,
        trip: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Outcome<T> {
        if self.sends > 1 {
            sleep(PAUSE).await;
        }
        self.sends += 1;
        let (config, failover) = (self.executor.config(), self.failover());
        let limits = Limits { answer: config.timeout, send_by: failover.map(|failover| self.since + failover) };
        let outcome = self.executor.trip(trip, limits, &self.connected.members).await;
        self.last = Some(outcome.as_ref().map(|_| ()).map_err(Clone::clone));
        outcome.map_err(|failure| {
            let transient = failure.transient || (failure.silent && self.heals());
            Failure { transient, ..failure }
        })
    }

    /// Whether the same may be sent again, where it is sent `most` times on a server that nothing replaces.
    pub(super) fn may_repeat(&self, most: u32) -> bool {
        match self.failover() {
            Some(failover) if self.heals() => self.since.elapsed() < failover,
            _ => self.sends < most,
        }
    }

    fn failover(&self) -> Option<Duration> {
        Some(self.executor.config().failover).filter(|failover| !failover.is_zero())
    }

    fn heals(&self) -> bool {
        self.failover().is_some() && self.connected.members.heal()
    }
}
