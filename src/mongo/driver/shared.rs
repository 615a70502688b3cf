//! Something that is made once, by whoever needs it first, while the others wait.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::mongo::failure::Outcome;

type Attempt<T> = watch::Receiver<Option<Outcome<T>>>;
type Own<T> = watch::Sender<Option<Outcome<T>>>;

/// All that wait for an attempt get its outcome, also a failure: if each tried again, the last of many would wait for as many
/// deadlines. Those that come after a failure try again.
#[derive(Debug)]
pub(super) struct Shared<T> {
    /// The attempt that is under way, or the one that has succeeded.
    attempt: Mutex<Option<Attempt<T>>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { attempt: Mutex::new(None) }
    }
}

impl<T: Clone> Shared<T> {
    /// What has been made, if it has.
    pub(super) fn get(&self) -> Option<T> {
        let attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        attempt.as_ref().and_then(|attempt| attempt.borrow().clone()).and_then(Result::ok)
    }

    /// The same, made by `make` if nobody has.
    pub(super) async fn get_or_make(&self, make: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        loop {
            let (mut attempt, own) = self.join();
            if let Some(own) = own {
                let outcome = make.await;
                if outcome.is_err() {
                    *self.attempt.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                own.send_replace(Some(outcome.clone()));
                return outcome;
            }
            // An error means that whoever made it was dropped.
            if let Ok(outcome) = attempt.wait_for(Option::is_some).await
                && let Some(outcome) = outcome.clone()
            {
                return outcome;
            }
        }
    }

    /// The attempt that counts; with its sender where it is ours.
    fn join(&self) -> (Attempt<T>, Option<Own<T>>) {
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = &*attempt
            && (attempt.borrow().is_some() || attempt.has_changed().is_ok())
        {
            return (attempt.clone(), None);
        }
        let (own, watched) = watch::channel(None);
        *attempt = Some(watched.clone());
        (watched, Some(own))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::runtime::Builder;
    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::error::{Code, Error};

    /// Ten who ask at once; what each gets, and how often it was made.
    async fn ask(shared: &Arc<Shared<u32>>, made: Outcome<u32>) -> (Vec<Option<u32>>, u32) {
        let attempts = Arc::new(AtomicU32::new(0));
        let mut askers = JoinSet::new();
        for _ in 0..10 {
            let (shared, attempts, made) = (Arc::clone(shared), Arc::clone(&attempts), made.clone());
            askers.spawn(async move {
                let attempt = async {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                    made
                };
                shared.get_or_make(attempt).await.ok()
            });
        }
        (askers.join_all().await, attempts.load(Ordering::Relaxed))
    }

    #[test]
    fn one_attempt_serves_all_who_wait_and_a_failure_is_tried_again_only_by_later_ones() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            let shared = Arc::new(Shared::default());
            let failure = Error::new(Code::MongoUnavailable, "away").into();
            assert_eq!(ask(&shared, Err(failure)).await, (vec![None; 10], 1));
            assert_eq!(shared.get(), None);
            assert_eq!(ask(&shared, Ok(7)).await, (vec![Some(7); 10], 1));
            assert_eq!(ask(&shared, Ok(8)).await, (vec![Some(7); 10], 0));
            assert_eq!(shared.get(), Some(7));
        });
    }

    #[test]
    fn an_attempt_that_was_dropped_is_made_by_the_next() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            let shared = Arc::new(Shared::default());
            let maker = Arc::clone(&shared);
            let dropped = tokio::spawn(async move { maker.get_or_make(std::future::pending()).await });
            yield_now().await;
            dropped.abort();
            assert!(dropped.await.is_err());
            assert_eq!(ask(&shared, Ok(1)).await, (vec![Some(1); 10], 1));
        });
    }
}
