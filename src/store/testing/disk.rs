//! A disk for tests: of SQLite's files in one folder it remembers what was written and synced, and in which order, so that the
//! files can be had that a power cut would leave. It can hold back syncs, and fail as disks do.
#![allow(unsafe_code, reason = "SQLite's layer of files is C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, Weak};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What was done to a file, which has a number.
#[derive(Debug)]
pub(crate) enum Event {
    Write {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: usize,
        to: usize,
    },
    /// All events before `covers` that are of this file are on the disk; with `folder`, so are all files' deletions.
    Sync {
        file: usize,
        covers: usize,
        folder: bool,
    },
    /// A sync that failed: the system forgets that some of what is before `covers` was to be written. Later syncs leave it out.
    Failed {
        file: usize,
        covers: usize,
    },
    Delete {
        file: usize,
        durable: bool,
    },
}

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Full,
    Write,
    Sync,
    /// The same, and what was left out is forgotten at once, so that nobody can read it any more.
    SyncAndForget,
    /// A sync that comes right behind another one of its file: of the log, that of a checkpoint.
    SecondSync,
    /// A sync of the file that is no log: once it is made, checkpoints alone have one.
    FileSync,
    Read,
}

#[derive(Default)]
struct State {
    names: Vec<String>,
    events: Vec<Event>,
    fault: Option<Fault>,
    holds_syncs: bool,
    /// Syncs that are held back.
    held: usize,
}

/// See the module. It is one for all files of its folder, while it lives.
pub(crate) struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

impl Disk {
    /// Stands for the disk of a folder, whose files are opened after this.
    pub(crate) fn of(folder: &Path) -> Arc<Self> {
        register();
        let disk = Arc::new(Self { folder: folder.to_owned(), state: Mutex::default(), changed: Condvar::new() });
        let mut disks = DISKS.lock().unwrap();
        disks.retain(|disk| disk.strong_count() > 0);
        disks.push(Arc::downgrade(&disk));
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much has happened.
    pub(crate) fn now(&self) -> usize {
        self.state().events.len()
    }

    /// Fails from now on, or no longer.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Holds syncs back from now on, or lets them go.
    pub(crate) fn hold_syncs(&self, holds: bool) {
        self.state().holds_syncs = holds;
        self.changed.notify_all();
    }

    /// Waits until a sync is held back.
    pub(crate) fn wait_for_held(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.held == 0).unwrap());
    }

    /// Whether a sync is held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.state().held > 0
    }

    /// What has happened, and the names of the files.
    pub(crate) fn take(&self) -> (Vec<String>, Vec<Event>) {
        let mut state = self.state();
        (state.names.clone(), std::mem::take(&mut state.events))
    }

    fn number(&self, name: &str) -> usize {
        let mut state = self.state();
        if let Some(number) = state.names.iter().position(|known| known == name) {
            return number;
        }
        state.names.push(name.to_owned());
        state.names.len() - 1
    }

    fn note(&self, event: Event) {
        self.state().events.push(event);
    }

    fn fails(&self, fault: Fault) -> bool {
        self.state().fault == Some(fault)
    }

    /// Whether a sync of a file fails that begins now.
    fn fails_to_sync(&self, file: usize) -> bool {
        let state = self.state();
        match state.fault {
            Some(Fault::Sync | Fault::SyncAndForget) => true,
            Some(Fault::SecondSync) => {
                matches!(state.events.last(), Some(Event::Sync { file: last, .. }) if *last == file)
            }
            Some(Fault::FileSync) => !state.names[file].contains('-'),
            _ => false,
        }
    }

    /// Whether any sync has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().events.iter().any(|event| matches!(event, Event::Failed { .. }))
    }

    /// What failed syncs have left out of a file is forgotten: it has what stands on the disk, and what is still to be written.
    fn forget(&self, file: usize) {
        let state = self.state();
        let mut replay = Replay::new(&state.names, &state.events);
        replay.go_to(state.events.len());
        let mut stored = replay.files[file].clone();
        for index in std::mem::take(&mut stored.pending) {
            stored.apply(&state.events[index], &mut || Part::Written);
        }
        // It stays the same file, because SQLite has it open.
        std::fs::write(self.folder.join(&state.names[file]), stored.bytes.unwrap_or_default()).unwrap();
    }

    /// Waits while syncs are held back. The answer is how much had happened when it began.
    fn before_sync(&self) -> usize {
        let mut state = self.state();
        let covers = state.events.len();
        if state.holds_syncs {
            state.held += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.holds_syncs).unwrap();
            state.held -= 1;
        }
        covers
    }
}

/// A file of a disk's folder.
#[derive(Default, Clone)]
struct Stored {
    /// What is on the disk; none: there is no such file.
    bytes: Option<Vec<u8>>,
    /// What may be there, or not.
    pending: Vec<usize>,
}

impl Stored {
    fn apply(&mut self, event: &Event, part: &mut dyn FnMut() -> Part) {
        match event {
            Event::Write { at, bytes, .. } => {
                let mut done = 0;
                while done < bytes.len() {
                    let from = at + done;
                    let length = (SECTOR - from % SECTOR).min(bytes.len() - done);
                    let stored = self.bytes.get_or_insert_default();
                    match part() {
                        Part::Lost => {}
                        written => {
                            let end = from + length;
                            // What was never written reads as zeros.
                            let is_new = end > stored.len();
                            stored.resize(stored.len().max(end), 0);
                            if written == Part::Written || !is_new {
                                stored[from..end].copy_from_slice(&bytes[done..done + length]);
                            }
                        }
                    }
                    done += length;
                }
            }
            Event::Truncate { to, .. } => {
                if part() != Part::Lost {
                    self.bytes.get_or_insert_default().resize(*to, 0);
                }
            }
            Event::Delete { .. } => {
                if part() != Part::Lost {
                    self.bytes = None;
                }
            }
            Event::Sync { .. } | Event::Failed { .. } => {}
        }
    }
}

/// What became of a sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Written,
    Lost,
    /// The file is as long as if it were written, but it is not.
    Long,
}

/// The files of a disk as they were, event by event.
pub(crate) struct Replay<'a> {
    names: &'a [String],
    events: &'a [Event],
    files: Vec<Stored>,
    at: usize,
}

impl<'a> Replay<'a> {
    /// Before the first event.
    pub(crate) fn new(names: &'a [String], events: &'a [Event]) -> Self {
        Self { names, events, files: vec![Stored::default(); names.len()], at: 0 }
    }

    /// Goes on to a moment: so many events have happened.
    pub(crate) fn go_to(&mut self, moment: usize) {
        while self.at < moment {
            match &self.events[self.at] {
                Event::Write { file, .. } | Event::Truncate { file, .. } | Event::Delete { file, durable: false } => {
                    self.files[*file].pending.push(self.at);
                }
                Event::Delete { file, durable: true } => self.files[*file] = Stored::default(),
                Event::Failed { file, covers } => {
                    self.files[*file].pending.retain(|index| index >= covers || index % 2 == 0);
                }
                Event::Sync { file, covers, folder } => {
                    if *folder {
                        self.delete(*covers);
                    }
                    let stored = &mut self.files[*file];
                    for index in std::mem::take(&mut stored.pending) {
                        if index < *covers {
                            stored.apply(&self.events[index], &mut || Part::Written);
                        } else {
                            stored.pending.push(index);
                        }
                    }
                }
            }
            self.at += 1;
        }
    }

    /// Files that were deleted by then are gone for good.
    fn delete(&mut self, covers: usize) {
        for stored in &mut self.files {
            let is_gone = |index: &usize| *index < covers && matches!(self.events[*index], Event::Delete { .. });
            if let Some(place) = stored.pending.iter().rposition(is_gone) {
                stored.pending.drain(..=place);
                stored.bytes = None;
            }
        }
    }

    /// What a power cut at this moment may leave: of what was not synced some, in any order, and torn.
    pub(crate) fn cut(&self, chance: &mut fastrand::Rng, into: &Path) {
        std::fs::create_dir_all(into).unwrap();
        for (name, stored) in self.names.iter().zip(&self.files) {
            let mut left = stored.clone();
            let (mode, many) = (chance.u8(0..5), chance.u8(1..100));
            let kept = chance.usize(0..=stored.pending.len());
            for (place, index) in stored.pending.iter().enumerate() {
                left.apply(&self.events[*index], &mut || {
                    let is_written = match mode {
                        0 => false,
                        1 => true,
                        // In the order in which it was written, and then no more.
                        2 => place < kept,
                        _ => chance.u8(0..100) < many,
                    };
                    match (is_written, mode) {
                        (true, _) => Part::Written,
                        (false, 4) => Part::Long,
                        (false, _) => Part::Lost,
                    }
                });
            }
            if let Some(bytes) = left.bytes {
                std::fs::write(into.join(name), bytes).unwrap();
            }
        }
    }
}

/// A file of ours, in front of SQLite's own.
#[repr(C)]
struct File {
    base: sqlite3_file,
    disk: *const Disk,
    number: usize,
    /// Its first sync is one of the folder too.
    folder: AtomicBool,
}

fn real() -> *mut sqlite3_vfs {
    // SAFETY: the name ends with NUL; SQLite's own layer of files is always there.
    unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) }
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the real layer is valid for ever, and ours is never freed. It differs in two functions alone, which hand over to
        // the real ones, and in the size of files, in which ours is followed by the real one.
        unsafe {
            let real = real();
            let size = c_int::try_from(size_of::<File>()).unwrap() + (*real).szOsFile;
            let ours = sqlite3_vfs {
                szOsFile: size,
                pNext: ptr::null_mut(),
                zName: c"bkn-disk".as_ptr(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..*real
            };
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), ffi::SQLITE_OK);
        }
    });
}

/// The disk of a path, and the file's name there.
fn disk_of(name: *const c_char) -> Option<(Arc<Disk>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite's names end with NUL.
    let path = PathBuf::from(unsafe { CStr::from_ptr(name) }.to_str().ok()?);
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = disks.iter().filter_map(Weak::upgrade).find(|disk| Some(&*disk.folder) == path.parent())?;
    Some((disk, path.file_name()?.to_str()?.to_owned()))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for a file of ours and a real one; the real layer's open is always there.
    unsafe {
        let vfs = real();
        let open = (*vfs).xOpen.unwrap();
        let Some((disk, own)) = disk_of(name) else { return open(vfs, name, file, flags, out) };
        let code = open(vfs, name, inner(file), flags, out);
        (*file).pMethods = ptr::null();
        if code == ffi::SQLITE_OK {
            let number = disk.number(&own);
            let base = sqlite3_file { pMethods: &raw const METHODS };
            // As the real layer does it.
            let log = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
            let folder = AtomicBool::new(flags & log != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0);
            file.cast::<File>().write(File { base, disk: Arc::into_raw(disk), number, folder });
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: the real layer's function is called as SQLite calls ours.
    let code = unsafe { (*real()).xDelete.unwrap()(real(), name, sync) };
    if code == ffi::SQLITE_OK
        && let Some((disk, own)) = disk_of(name)
    {
        let file = disk.number(&own);
        disk.note(Event::Delete { file, durable: sync != 0 });
    }
    code
}

/// The real file behind ours.
fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.wrapping_byte_add(size_of::<File>())
}

/// Hands a call over to the real file.
macro_rules! hand_over {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        let inner = inner($file);
        // SAFETY: the file is open, so the real one behind it is, whose methods are all there.
        unsafe { (*(*inner).pMethods).$method.unwrap()(inner $(, $argument)*) }
    }};
}

/// A method that does nothing but that.
macro_rules! handed_over {
    ($name:ident, $method:ident ($($argument:ident: $kind:ty),*) -> $answer:ty) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) -> $answer {
            hand_over!(file, $method $(, $argument)*)
        }
    };
}

handed_over!(size_of_file, xFileSize(size: *mut i64) -> c_int);
handed_over!(lock, xLock(kind: c_int) -> c_int);
handed_over!(unlock, xUnlock(kind: c_int) -> c_int);
handed_over!(check_lock, xCheckReservedLock(out: *mut c_int) -> c_int);
handed_over!(control, xFileControl(op: c_int, arg: *mut c_void) -> c_int);
handed_over!(sector, xSectorSize() -> c_int);
handed_over!(characteristics, xDeviceCharacteristics() -> c_int);
handed_over!(shm_map, xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int);
handed_over!(shm_lock, xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int);
handed_over!(shm_barrier, xShmBarrier() -> ());
handed_over!(shm_unmap, xShmUnmap(delete: c_int) -> c_int);

/// Our part of an open file.
unsafe fn own<'a>(file: *mut sqlite3_file) -> (&'a Disk, &'a File) {
    // SAFETY: the file is open, so `open` has filled it, and it holds its disk until it is closed.
    unsafe {
        let file = &*file.cast::<File>();
        (&*file.disk, file)
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = hand_over!(file, xClose);
    // SAFETY: `open` has filled it, and nobody uses it after this.
    drop(unsafe { Arc::from_raw((*file.cast::<File>()).disk) });
    code
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    let (disk, _) = unsafe { own(file) };
    if disk.fails(Fault::Read) { ffi::SQLITE_IOERR_READ } else { hand_over!(file, xRead, into, count, at) }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    let (disk, own) = unsafe { own(file) };
    if disk.fails(Fault::Full) {
        return ffi::SQLITE_FULL;
    }
    if disk.fails(Fault::Write) {
        return ffi::SQLITE_IOERR_WRITE;
    }
    let code = hand_over!(file, xWrite, from, count, at);
    if code == ffi::SQLITE_OK {
        // SAFETY: so many bytes are there, as the real file has just read them.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(count).unwrap()) };
        disk.note(Event::Write { file: own.number, at: usize::try_from(at).unwrap(), bytes: bytes.to_vec() });
    }
    code
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, to: i64) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    let (disk, own) = unsafe { own(file) };
    let code = hand_over!(file, xTruncate, to);
    if code == ffi::SQLITE_OK {
        disk.note(Event::Truncate { file: own.number, to: usize::try_from(to).unwrap() });
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    let (disk, own) = unsafe { own(file) };
    let covers = disk.before_sync();
    if disk.fails_to_sync(own.number) {
        disk.note(Event::Failed { file: own.number, covers });
        if disk.fails(Fault::SyncAndForget) {
            disk.forget(own.number);
        }
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // The real disk need not hold what this one tells of.
    let folder = own.folder.swap(false, Ordering::Relaxed);
    disk.note(Event::Sync { file: own.number, covers, folder });
    ffi::SQLITE_OK
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size_of_file),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
