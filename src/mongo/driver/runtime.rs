//! The one background thread of the process, on which all connections to MongoDB live.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread, while somebody uses it: it ends when the last count is dropped.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<()>,
}

/// Process-wide on purpose: worker threads share the thread, not the connections.
static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());

impl Runtime {
    /// The thread, started if nobody uses it yet.
    pub fn shared() -> io::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = shared.upgrade() {
            return Ok(runtime);
        }
        let tokio = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = Arc::new(Self { handle: tokio.handle().clone(), _stop: stop });
        thread::Builder::new().name("backtest-kit-mongo".to_owned()).spawn(move || {
            // An error means that the other end was dropped, which is how it is told to end.
            let _ = tokio.block_on(stopped);
            // A name that is being resolved must not hold the thread.
            tokio.shutdown_background();
        })?;
        *shared = Arc::downgrade(&runtime);
        Ok(runtime)
    }

    /// Where tasks are started.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}
