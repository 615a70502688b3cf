//! A round trip as a task of its own, so that a deadline drops no command of the driver in the middle.
//!
//! The driver's futures must be polled to their end (its README, RUST-937), so each runs in a task, and callers wait for the
//! task. At the deadline, a command that has a connection goes on to its end, although nobody waits for it any more. A command
//! that still queues for a connection has sent nothing and must not send anything later, so its task is aborted. The driver's pool
//! allows that.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::sleep_until;

use super::members::Members;
use super::runtime::Runtime;
use crate::error::{Code, Error};
use crate::mongo::failure::{Failure, Outcome, no_primary};
use crate::mongo::topology::Topology;

tokio::task_local! {
    static TRIP: Arc<Trip>;
}

/// How long a round trip may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Until its answer; from when a server was chosen, where servers replace each other.
    pub(super) answer: Duration,
    /// Where servers replace each other, it is not sent later than this; none where they are not waited for.
    pub(super) send_by: Option<Instant>,
}

impl Limits {
    /// When it must be sent, where another server takes over.
    fn send_by(self, topology: &Topology) -> Option<Instant> {
        self.send_by.filter(|_| topology.heals())
    }
}

/// A server that was chosen.
#[derive(Debug, Clone)]
struct Chosen {
    server: String,
    since: Instant,
}

#[derive(Debug, Default)]
struct Progress {
    chosen: Option<Chosen>,
    /// It has a connection, so that the server may get its command.
    sent: bool,
    /// Nobody waits for it any more.
    overdue: bool,
}

#[derive(Default)]
struct Trip {
    progress: Mutex<Progress>,
    task: OnceLock<AbortHandle>,
}

impl Trip {
    /// It asks a server for a connection, perhaps once more.
    fn queues(&self, server: String) {
        let mut progress = self.progress();
        progress.sent = false;
        progress.chosen = Some(Chosen { server, since: Instant::now() });
        self.end_if_unsent(&progress);
    }

    fn has_connection(&self) {
        self.progress().sent = true;
    }

    /// Nobody waits for it any more. Whether it was sent.
    fn give_up(&self) -> bool {
        let mut progress = self.progress();
        progress.overdue = true;
        self.end_if_unsent(&progress);
        progress.sent
    }

    fn end_if_unsent(&self, progress: &Progress) {
        let idle = progress.overdue && !progress.sent;
        if let Some(task) = self.task.get().filter(|_| idle) {
            task.abort();
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it is given up, unless something changes.
    fn end(&self, start: Instant, limits: Limits, topology: &Topology) -> Instant {
        let progress = self.progress();
        match (&progress.chosen, limits.send_by(topology)) {
            (Some(chosen), Some(_)) if progress.sent => chosen.since + limits.answer,
            (Some(chosen), Some(send_by)) => send_by.min(chosen.since + limits.answer),
            (None, Some(send_by)) => send_by,
            (_, None) => start + limits.answer,
        }
    }

    /// Why it is given up now; none where it need not be.
    fn verdict(&self, start: Instant, limits: Limits, topology: &Topology, members: &Members) -> Option<Failure> {
        let chosen = self.progress().chosen.clone();
        if let Some(Chosen { server, .. }) = chosen.as_ref().filter(|chosen| topology.is_replaced(&chosen.server)) {
            let sent = self.give_up();
            let error = Error::new(Code::MongoUnavailable, format!("{server} is not primary any more"));
            return Some(Failure { sent, transient: true, ..error.into() });
        }
        if Instant::now() < self.end(start, limits, topology) {
            return None;
        }
        let (sent, heals) = (self.give_up(), limits.send_by(topology).is_some());
        let silent = match &chosen {
            None if heals => return Some(no_primary(&topology.words)),
            // A server that is only busy answers its monitor.
            Some(chosen) if sent => heals && !members.is_heard_since(&chosen.server, chosen.since),
            _ => heals,
        };
        let what = if sent { "no answer" } else { "no connection" };
        let error = Error::new(Code::MongoTimeout, format!("{what} within {} ms", limits.answer.as_millis()));
        Some(Failure { sent, silent, ..error.into() })
    }
}

/// The events of the driver's pool. It sends them within the task that asks for a connection.
pub(super) fn pool_events() -> EventHandler<CmapEvent> {
    EventHandler::callback(|event| {
        // An error means that the driver asks for a connection of its own accord.
        let _ = TRIP.try_with(|trip| match event {
            CmapEvent::ConnectionCheckoutStarted(event) => trip.queues(event.address.to_string()),
            CmapEvent::ConnectionCheckedOut(_) => trip.has_connection(),
            _ => {}
        });
    })
}

/// What `work` of the driver comes to, unless that takes longer than it may, or its server is replaced meanwhile. It keeps the
/// thread until its end.
pub(super) async fn bounded<T: Send + 'static>(
    runtime: &Arc<Runtime>,
    limits: Limits,
    members: &Members,
    work: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
) -> Outcome<T> {
    let (trip, start) = (Arc::new(Trip::default()), Instant::now());
    let thread = Arc::clone(runtime);
    let mut task = runtime.handle().spawn(TRIP.scope(Arc::clone(&trip), async move {
        let outcome = work.await;
        drop(thread);
        outcome
    }));
    let _ = trip.task.set(task.abort_handle());
    let mut watch = members.watch();
    let outcome = loop {
        let end = trip.end(start, limits, &watch.borrow_and_update());
        // A server that is chosen meanwhile has longer than this.
        let mut nap = pin!(sleep_until(end.min(Instant::now() + limits.answer).into()));
        let over = {
            let mut news = pin!(watch.changed());
            poll_fn(|context| match Pin::new(&mut task).poll(context) {
                Poll::Ready(over) => Poll::Ready(Some(over)),
                Poll::Pending if nap.as_mut().poll(context).is_ready() => Poll::Ready(None),
                Poll::Pending => news.as_mut().poll(context).map(|_| None),
            })
            .await
        };
        match over {
            Some(Ok(outcome)) => {
                break outcome.map_err(|error| {
                    let failure = Failure::from(error);
                    Failure { sent: failure.sent || trip.progress().sent, ..failure }
                });
            }
            Some(Err(ended)) => break Err(Failure { sent: trip.progress().sent, ..bug(ended).into() }),
            None => {
                let verdict = trip.verdict(start, limits, &watch.borrow(), members);
                if let Some(failure) = verdict {
                    break Err(failure);
                }
            }
        }
    };
    let server = trip.progress().chosen.take().map(|chosen| chosen.server);
    if let Some(server) = &server {
        members.note(server, outcome.as_ref().err().is_none_or(|failure| failure.server.is_some()));
    }
    outcome.map_err(|failure| Failure { node: server.map(String::into_boxed_str), ..failure })
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

    async fn bounded_by_patience<T: Send + 'static>(
        work: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Outcome<T> {
        let limits = Limits { answer: PATIENCE, send_by: None };
        bounded(&Runtime::shared().unwrap(), limits, &Members::default(), work).await
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
            let failure = bounded_by_patience(work).await.unwrap_err();
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
                TRIP.with(|trip| trip.queues("h:1".to_owned()));
                pending().await
            };
            let failure = bounded_by_patience::<()>(work).await.unwrap_err();
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
                TRIP.with(|trip| trip.queues("h:1".to_owned()));
                pending().await
            };
            assert!(bounded_by_patience::<()>(work).await.unwrap_err().sent);
            go.send(()).unwrap();
            gone.await.unwrap();
        });
    }

    #[test]
    fn a_panic_is_the_failure_of_its_own_trip() {
        run(async {
            let work = async { panic!("no such thing") };
            let failure = bounded_by_patience::<()>(work).await.unwrap_err();
            assert_eq!(failure.error.code, Code::Closed);
            assert!(failure.error.message.contains("no such thing"), "{}", failure.error.message);
            assert_eq!(bounded_by_patience(async { Ok(7) }).await.ok(), Some(7));
        });
    }
}
