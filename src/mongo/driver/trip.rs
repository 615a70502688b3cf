//! A round trip as a task of its own, so that a deadline drops no command of the driver in the middle.
//!
//! The driver's futures must be polled to their end (its README, RUST-937), so each runs in a task, and callers wait for the
//! task. At the deadline, a command that has a connection goes on to its end, although nobody waits for it any more. A command
//! that still queues for a connection has sent nothing and must not send anything later, so its task is aborted. The driver's pool
//! allows that.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::timeout;

use super::runtime::Runtime;
use crate::error::{Code, Error};
use crate::mongo::failure::{Failure, Outcome};

tokio::task_local! {
    static TRIP: Arc<Trip>;
}

#[derive(Default)]
struct Trip {
    /// It has a connection, so that the server may get its command.
    sent: AtomicBool,
    /// Its deadline has passed.
    overdue: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Trip {
    /// It asks for a connection, perhaps once more.
    fn queues(&self) {
        self.sent.store(false, Ordering::Relaxed);
        self.end_if_unsent();
    }

    fn has_connection(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    fn end_if_unsent(&self) {
        let idle = self.overdue.load(Ordering::Relaxed) && !self.is_sent();
        if let Some(task) = self.task.get().filter(|_| idle) {
            task.abort();
        }
    }

    fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The events of the driver's pool. It sends them within the task that asks for a connection.
pub(super) fn pool_events() -> EventHandler<CmapEvent> {
    EventHandler::callback(|event| {
        // An error means that the driver asks for a connection of its own accord.
        let _ = TRIP.try_with(|trip| match event {
            CmapEvent::ConnectionCheckoutStarted(_) => trip.queues(),
            CmapEvent::ConnectionCheckedOut(_) => trip.has_connection(),
            _ => {}
        });
    })
}

/// What `work` of the driver comes to, unless that takes longer than `patience`. It keeps the thread until its end.
pub(super) async fn bounded<T: Send + 'static>(
    runtime: &Arc<Runtime>,
    patience: Duration,
    work: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
) -> Outcome<T> {
    let trip = Arc::new(Trip::default());
    let thread = Arc::clone(runtime);
    let mut task = runtime.handle().spawn(TRIP.scope(Arc::clone(&trip), async move {
        let outcome = work.await;
        drop(thread);
        outcome
    }));
    let _ = trip.task.set(task.abort_handle());
    match timeout(patience, &mut task).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| {
            let failure = Failure::from(error);
            Failure { sent: failure.sent || trip.is_sent(), ..failure }
        }),
        Ok(Err(ended)) => Err(Failure { sent: trip.is_sent(), ..bug(ended).into() }),
        Err(_) => {
            trip.overdue.store(true, Ordering::Relaxed);
            trip.end_if_unsent();
            let sent = trip.is_sent();
            let what = if sent { "no answer" } else { "no connection" };
            let error = Error::new(Code::MongoTimeout, format!("{what} within {} ms", patience.as_millis()));
            Err(Failure { sent, ..error.into() })
        }
    }
}

fn bug(ended: JoinError) -> Error {
    match ended.try_into_panic() {
        Ok(panic) => Error::bug(panic.as_ref()),
        Err(_) => Error::new(Code::Closed, "close() ended the connection"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(20);

    fn run(test: impl Future<Output = ()> + Send + 'static) {
        let (done, over) = std::sync::mpsc::channel();
        let runtime = Runtime::shared().unwrap();
        runtime.handle().spawn(async move {
            test.await;
            done.send(()).unwrap();
        });
        over.recv().unwrap();
    }

    fn runtime() -> Arc<Runtime> {
        Runtime::shared().unwrap()
    }

    /// Tells when it is dropped.
    struct Dropped(Option<oneshot::Sender<()>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    fn dropped() -> (Dropped, oneshot::Receiver<()>) {
        let (send, receive) = oneshot::channel();
        (Dropped(Some(send)), receive)
    }

    #[test]
    fn what_has_a_connection_goes_on_to_its_end_after_the_deadline() {
        run(async {
            let (go, wait) = oneshot::channel::<()>();
            let (ended, end) = oneshot::channel();
            let work = async move {
                TRIP.with(|trip| trip.has_connection());
                wait.await.unwrap();
                let _ = ended.send(());
                Ok(())
            };
            let failure = bounded(&runtime(), PATIENCE, work).await.unwrap_err();
            assert_eq!((failure.error.code, failure.sent), (Code::MongoTimeout, true));
            go.send(()).unwrap();
            end.await.unwrap();
        });
    }

    #[test]
    fn what_has_no_connection_at_its_deadline_never_gets_one() {
        run(async {
            let (guard, gone) = dropped();
            let work = async move {
                let _guard = guard;
                TRIP.with(|trip| trip.queues());
                pending().await
            };
            let failure = bounded::<()>(&runtime(), PATIENCE, work).await.unwrap_err();
            assert_eq!((failure.error.code, failure.sent), (Code::MongoTimeout, false));
            assert!(failure.error.message.contains("no connection"), "{}", failure.error.message);
            gone.await.unwrap();
        });
    }

    #[test]
    fn what_asks_for_another_connection_after_its_deadline_is_ended() {
        run(async {
            let (guard, gone) = dropped();
            let (go, wait) = oneshot::channel::<()>();
            let work = async move {
                let _guard = guard;
                TRIP.with(|trip| trip.has_connection());
                wait.await.unwrap();
                TRIP.with(|trip| trip.queues());
                pending().await
            };
            assert!(bounded::<()>(&runtime(), PATIENCE, work).await.unwrap_err().sent);
            go.send(()).unwrap();
            gone.await.unwrap();
        });
    }

    #[test]
    fn a_panic_is_the_failure_of_its_own_trip() {
        run(async {
            let work = async { panic!("no such thing") };
            let failure = bounded::<()>(&runtime(), PATIENCE, work).await.unwrap_err();
            assert_eq!(failure.error.code, Code::Closed);
            assert!(failure.error.message.contains("no such thing"), "{}", failure.error.message);
            assert_eq!(bounded(&runtime(), PATIENCE, async { Ok(7) }).await.ok(), Some(7));
        });
    }
}
