//! No more round trips at once than the pool has connections.
//!
//! The driver would queue the others itself while their deadlines run, so that thousands of calls of one tick would time out
//! on a healthy server. Here they wait without a deadline, but not for ever: when a round trip fails because no server is
//! there, or at its deadline, and no other was answered meanwhile, all that wait fail at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Code, Error};
use crate::mongo::failure::{Failure, Outcome};

/// Round trips that wait together.
struct Queue {
    places: Arc<Semaphore>,
    /// How many round trips were answered.
    answered: AtomicU64,
    /// Why those that wait have failed.
    verdict: OnceLock<Failure>,
}

impl Queue {
    fn new(size: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(size));
        Arc::new(Self { places, answered: AtomicU64::new(0), verdict: OnceLock::new() })
    }
}

/// See the module.
pub(super) struct Gate {
    size: usize,
    queue: Mutex<Arc<Queue>>,
}

/// Permission for one round trip.
pub(super) struct Place {
    queue: Arc<Queue>,
    _permit: OwnedSemaphorePermit,
    /// What had been answered when it began.
    answered: u64,
}

impl Gate {
    /// For a pool of that size; 0 is one without bound.
    pub(super) fn new(pool: u32) -> Self {
        let size = usize::try_from(pool).ok().filter(|size| *size > 0).unwrap_or(Semaphore::MAX_PERMITS);
        let size = size.min(Semaphore::MAX_PERMITS);
        Self { size, queue: Mutex::new(Queue::new(size)) }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Outcome<Place> {
        let queue = Arc::clone(&self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        if let Ok(permit) = Arc::clone(&queue.places).acquire_owned().await {
            let answered = queue.answered.load(Ordering::Relaxed);
            return Ok(Place { queue, _permit: permit, answered });
        }
        let failure = queue.verdict.get().cloned();
        Err(failure.unwrap_or_else(|| Error::new(Code::MongoUnavailable, "no server is there").into()))
    }

    /// Gives the place to the next one, or fails all that wait where no server is there.
    pub(super) fn leave<T>(&self, place: &Place, outcome: &Outcome<T>) {
        match outcome {
            Err(failure) if is_absence(failure) => {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let alone = place.queue.answered.load(Ordering::Relaxed) == place.answered;
                if alone && Arc::ptr_eq(&queue, &place.queue) {
                    // Those that come later wait in a new queue.
                    *queue = Queue::new(self.size);
                    let _ = place.queue.verdict.set(failure.clone());
                    place.queue.places.close();
                }
            }
            // A lost connection says nothing of the server.
            Err(failure) if failure.transient => {}
            _ => {
                place.queue.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Whether nothing was heard of any server.
fn is_absence(failure: &Failure) -> bool {
    failure.error.code == Code::MongoTimeout || (failure.error.code == Code::MongoUnavailable && !failure.transient)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn absent() -> Outcome<()> {
        Err(Error::new(Code::MongoUnavailable, "away").into())
    }

    fn run(test: impl Future<Output = ()>) {
        Builder::new_current_thread().build().unwrap().block_on(test);
    }

    /// Until everybody stands where they wait: a turn of the scheduler is not all of its tasks.
    async fn settle() {
        for _ in 0..50 {
            yield_now().await;
        }
    }

    /// So many that wait; each leaves with an answer at once.
    fn waiters(gate: &Arc<Gate>, count: usize) -> JoinSet<Result<(), Code>> {
        let mut set = JoinSet::new();
        for _ in 0..count {
            let gate = Arc::clone(gate);
            set.spawn(async move {
                let place = gate.enter().await.map_err(|failure| failure.error.code)?;
                yield_now().await;
                gate.leave(&place, &Ok(()));
                Ok(())
            });
        }
        set
    }

    #[test]
    fn a_queue_behind_a_sound_server_comes_through() {
        run(async {
            let all = waiters(&Arc::new(Gate::new(2)), 1_000).join_all().await;
            assert!(all.iter().all(Result::is_ok));
        });
    }

    #[test]
    fn all_that_wait_are_told_of_an_absent_server_at_once_and_later_ones_try_anew() {
        run(async {
            let gate = Arc::new(Gate::new(2));
            let (first, second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
            let waiting = waiters(&gate, 100);
            settle().await;
            gate.leave(&first, &absent());
            assert_eq!(waiting.join_all().await, vec![Err(Code::MongoUnavailable); 100]);
            let later = waiters(&gate, 100);
            settle().await;
            // It was there before them, so it says nothing to them.
            gate.leave(&second, &absent());
            assert_eq!(later.join_all().await, vec![Ok(()); 100]);
        });
    }

    #[test]
    fn a_round_trip_that_times_out_beside_others_that_are_answered_harms_nobody() {
        run(async {
            let gate = Arc::new(Gate::new(2));
            let (slow, quick) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
            let waiting = waiters(&gate, 10);
            settle().await;
            gate.leave(&quick, &Ok(()));
            drop(quick);
            gate.leave::<()>(&slow, &Err(Error::new(Code::MongoTimeout, "late").into()));
            drop(slow);
            assert_eq!(waiting.join_all().await, vec![Ok(()); 10]);
        });
    }

    #[test]
    fn a_lost_connection_is_no_verdict() {
        run(async {
            let gate = Arc::new(Gate::new(1));
            let place = gate.enter().await.unwrap();
            let waiting = waiters(&gate, 10);
            yield_now().await;
            let lost = Failure { transient: true, ..Error::new(Code::MongoUnavailable, "reset").into() };
            gate.leave::<()>(&place, &Err(lost));
            drop(place);
            assert_eq!(waiting.join_all().await, vec![Ok(()); 10]);
        });
    }
}
