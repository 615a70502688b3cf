//! Syncs that stand still for as long as a test wants: a layer over SQLite's own file system.
#![allow(unsafe_code, reason = "a file system layer of SQLite is a table of C functions")]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, OnceLock};
use std::thread::ThreadId;

use rusqlite::ffi;

type Sync = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
    synced_by: Vec<ThreadId>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

/// The syncs of all files of a folder that are opened from now on.
pub(crate) struct Gate(Arc<Inner>);

static GATES: Mutex<Vec<(PathBuf, Arc<Inner>)>> = Mutex::new(Vec::new());
/// Files that are open, by their addresses.
static FILES: LazyLock<Mutex<HashMap<usize, Arc<Inner>>>> = LazyLock::new(Mutex::default);
/// The layer below, as an address.
static BELOW: OnceLock<usize> = OnceLock::new();
/// Its way to sync a file.
static SYNC: OnceLock<Sync> = OnceLock::new();

fn register() {
    BELOW.get_or_init(|| {
        // SAFETY: SQLite's own layer is there for ever; so is our copy of it, which differs by its name and by how it opens.
        unsafe {
            let below = ffi::sqlite3_vfs_find(std::ptr::null());
            let own = Box::new(ffi::sqlite3_vfs { zName: c"gate".as_ptr(), xOpen: Some(open), ..*below });
            assert_eq!(ffi::sqlite3_vfs_register(Box::into_raw(own), 1), ffi::SQLITE_OK);
            below as usize
        }
    });
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let below = *BELOW.get().expect("it was registered") as *mut ffi::sqlite3_vfs;
    // SAFETY: passed on; afterwards the file is open, and its table of functions is replaced by a copy that lives for ever.
    unsafe {
        let code = (*below).xOpen.expect("layers open")(below, name, file, flags, out);
        FILES.lock().unwrap().remove(&(file as usize));
        if code != ffi::SQLITE_OK || name.is_null() {
            return code;
        }
        let path = PathBuf::from(CStr::from_ptr(name.cast::<c_char>()).to_string_lossy().into_owned());
        let gate =
            GATES.lock().unwrap().iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, gate)| Arc::clone(gate));
        if let Some(gate) = gate {
            let methods = *(*file).pMethods;
            SYNC.get_or_init(|| methods.xSync.expect("files sync"));
            (*file).pMethods = Box::into_raw(Box::new(ffi::sqlite3_io_methods { xSync: Some(sync), ..methods }));
            FILES.lock().unwrap().insert(file as usize, gate);
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let gate = FILES.lock().unwrap().get(&(file as usize)).cloned();
    if let Some(gate) = gate {
        let mut state = gate.state.lock().unwrap();
        state.synced_by.push(std::thread::current().id());
        state.waiting += 1;
        state = gate.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
    }
    // SAFETY: passed on.
    unsafe { SYNC.get().expect("a file was opened")(file, flags) }
}

impl Gate {
    /// Open at first.
    pub(crate) fn of(folder: &Path) -> Self {
        register();
        let inner = Arc::<Inner>::default();
        GATES.lock().unwrap().push((folder.to_owned(), Arc::clone(&inner)));
        Self(inner)
    }

    /// Syncs that begin from now on stand still.
    pub(crate) fn close(&self) {
        self.0.state.lock().unwrap().closed = true;
    }

    /// They go on.
    pub(crate) fn open(&self) {
        self.0.state.lock().unwrap().closed = false;
        self.0.changed.notify_all();
    }

    /// How many syncs are under way.
    pub(crate) fn waiting(&self) -> usize {
        self.0.state.lock().unwrap().waiting
    }

    /// How often this very thread has synced.
    pub(crate) fn synced_by_this_thread(&self) -> usize {
        let own = std::thread::current().id();
        self.0.state.lock().unwrap().synced_by.iter().filter(|thread| **thread == own).count()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
