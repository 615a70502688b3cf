//! Which folders' threads this process has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};

use super::thread::{Thread, lock};
use super::worker::Worker;

/// What this process knows of a folder.
struct Known {
    thread: Weak<Thread>,
    distrusted: Arc<AtomicBool>,
}

static FOLDERS: LazyLock<Mutex<HashMap<PathBuf, Known>>> = LazyLock::new(Mutex::default);

/// The thread of a folder, with one user more.
#[must_use]
pub fn thread_of(folder: &Path) -> Arc<Thread> {
    // One folder may have many names.
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut folders = lock(&FOLDERS);
    // A log whose sync has failed counts as sound for the system from then on, so that must not be forgotten.
    folders.retain(|_, known| known.thread.strong_count() > 0 || known.distrusted.load(Ordering::Acquire));
    let known = folders.get(&name);
    if let Some(thread) = known.and_then(|known| known.thread.upgrade())
        && thread.join()
    {
        return thread;
    }
    let distrusted = known.map(|known| Arc::clone(&known.distrusted)).unwrap_or_default();
    let thread = Arc::new(Thread::new(folder, Arc::clone(&distrusted)));
    folders.insert(name, Known { thread: Arc::downgrade(&thread), distrusted });
    let own = Arc::clone(&thread);
    let started = std::thread::Builder::new().name("bkn-store".to_owned()).spawn(move || Worker::new(own).work());
    if let Err(why) = started {
        thread.not_started(&why);
    }
    thread
}
