//! One engine: the calls of one copy of the JavaScript module, on the event loop of its thread.
//!
//! Everything here runs on that thread, so there are no locks; but user code may run whenever JavaScript is called
//! (promise hooks, `then` getters, ticks), and may call back into the engine. Hence the one rule of this file and its
//! neighbours: no borrow of the core is held while JavaScript is called.
//!
//! Who keeps whom alive: the functions that JavaScript holds own the engine, and so does every libuv handle that is not
//! closed yet. The engine refers to JavaScript's hooks weakly while it is idle, so that a module that nobody can reach
//! any more (jest evaluates modules anew for each test file) is collected, and its connection closed with it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::time::SystemTime;

use napi::sys;

use super::connection::Connection;
use super::js::{Env, Js, Pending, Value};
use super::mongo::Mongo;
use super::uv::{self, Loop, RawHandle, Uv};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::map::op::{CallId, Op, Outcomes};
use crate::map::store::Store;
use crate::redis::Nanos;
use crate::redis::lane::Batch;
use crate::redis::lookup::Lookups;
use crate::redis::peer::Peer;
use crate::redis::spin::Spin;
use crate::redis::trust::Trust;
use crate::services::table::{Entry, entries, is_tracked};

/// A write of that many commands in the middle of a tick lets the server begin while JavaScript goes on; each further
/// one of the same tick waits for twice as many.
pub(super) const EARLY: usize = 16;

/// So many calls are rejected in one turn at most: an error with its stack costs JavaScript some 10 µs, and others wait.
pub(super) const REJECTED_AT_ONCE: usize = 1_000;

/// Places in the array of hooks that JavaScript hands in.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    /// `settle(firstCall, ...values)`
    Settle = 0,
    /// `error(code, constructor, message, cause)` makes an error of JavaScript's realm.
    Error = 1,
    /// `list(...values)` makes an array of JavaScript's realm.
    List = 2,
    /// `lookup(host, question)` resolves a name and calls `resolved`.
    Lookup = 3,
    /// `notice(text)` tells the logger something that an operator should know.
    Notice = 4,
    /// `mongoSettle(answers)`: what MongoDB's side has answered.
    MongoSettle = 5,
}

/// A namespace of keys with its time to live.
pub(super) struct Map {
    /// `connectionKey:`
    pub(super) prefix: Box<[u8]>,
    /// Seconds; `None` keeps keys for ever.
    pub(super) ttl: Option<u64>,
    /// Its keys may stand in the near cache.
    pub(super) tracked: bool,
}

/// A batch with the outcomes whose texts are ranges of it.
type Parked = (Box<Batch<Op>>, Outcomes);

/// What an engine does with its configuration, from the first call on.
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) store: Store,
    /// The server below the store.
    pub(super) peer: Peer<Op>,
    pub(super) spin: Spin,
    pub(super) connection: Connection,
    /// In their order.
    pub(super) closing: VecDeque<Closing>,
    /// Outcomes that no reply brought: deadlines, refusals, `close()`. Settled in the next turn.
    pub(super) later: Outcomes,
    /// How long the loop had been blocked when the attempt began.
    pub(super) stalled_before: Nanos,
    /// When the state last changed, in milliseconds since 1970.
    pub(super) since: u64,
    /// A name must be resolved by JavaScript before the attempt can go on, and was not asked for yet.
    pub(super) lookup: bool,
    pub(super) lookups: Lookups,
    /// Replies that were read in the middle of a call, to be settled in the next turn.
    pub(super) parked: Vec<Parked>,
    /// Why the server cannot keep the near cache informed; told the logger once.
    pub(super) notice: Option<String>,
    /// How many unwritten commands of a tick are written early.
    pub(super) early: usize,
    /// Whether the process is kept alive.
    pub(super) busy: bool,
}

/// A `close()` under way.
#[derive(Clone, Copy)]
pub(super) struct Closing {
    /// Whose promise it is.
    pub(super) call: CallId,
    /// It is through when that many commands, counted from the beginning, are settled.
    pub(super) mark: u64,
}

/// Handles that live as long as the engine.
pub(super) struct Handles {
    pub(super) timer: RawHandle,
    prepare: RawHandle,
    pub(super) idle: RawHandle,
}

/// The hook that waits for our handles when the environment ends.
struct Cleanup {
    hook: sys::napi_async_cleanup_hook_handle,
    /// The count of the engine that the hook owns, as `Rc::into_raw` gave it: a pointer from a reference must not be made
    /// into an Rc.
    owner: *const Engine,
}

/// See the module.
pub(super) struct Engine {
    pub(super) env: Env,
    pub(super) uv: Uv,
    pub(super) event_loop: *mut Loop,
    hooks: sys::napi_ref,
    /// Keeps `flags` alive.
    flags_reference: sys::napi_ref,
    /// Shared with JavaScript: [0] is 1 while a flush is arranged, [1] the number of the call queued last.
    flags: *mut u32,
    pub(super) async_context: sys::napi_async_context,
    pub(super) core: RefCell<Option<Core>>,
    pub(super) handles: RefCell<Option<Handles>>,
    open_handles: Cell<usize>,
    functions: Cell<usize>,
    dead: Cell<bool>,
    cleanup: Cell<Option<Cleanup>>,
    /// How long the loop was blocked so far. The lane's clock leaves it out.
    pub(super) stalled: Cell<Nanos>,
    /// When the timer is due by the lane's clock; 0 when it is not set.
    pub(super) timer_due: Cell<Nanos>,
    /// When the near cache first answered since the loop last turned; 0: it has not.
    pub(super) hits_since: Cell<Nanos>,
    maps: RefCell<Vec<Option<Rc<Map>>>>,
    free_maps: RefCell<Vec<usize>>,
    pub(super) entries: Vec<Entry>,
    /// Reused for keys and values, so that a call allocates nothing.
    pub(super) scratch: Cell<Vec<u8>>,
    pub(super) batch: Cell<Option<Box<Batch<Op>>>>,
    pub(super) mongo: RefCell<Mongo>,
}

fn epoch_millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0))
}

impl Core {
    /// Notes a change of state.
    pub(super) fn changed(&mut self) {
        self.since = epoch_millis();
    }

    /// Rejects the first so many calls that are not settled, for that reason. The connection must be down.
    pub(super) fn abandon(&mut self, count: u64, code: Code, why: &str) {
        self.peer.lane.abandon(usize::try_from(count).unwrap_or(usize::MAX), Error::new(code, why));
        self.reject();
    }

    /// Tells calls that were given up so, no more of them than one turn may take: the next ones go on.
    pub(super) fn reject(&mut self) {
        let mut tags = Vec::new();
        self.peer.lane.take_abandoned(REJECTED_AT_ONCE.saturating_sub(self.later.len()), &mut tags);
        for (op, command, why) in tags {
            let error = Error::new(why.code, format!("{} ({command} on {})", why.message, self.peer.name()));
            self.store.fail(&mut self.peer, &op, error, &mut self.later);
        }
    }
}

impl Engine {
    /// Makes an engine for a module's hooks.
    pub(super) fn new(env: Env, hooks: Value, flags: Value) -> std::result::Result<Rc<Self>, String> {
        let uv = Uv::load().map_err(|missing| {
            format!("backtest-kit-native needs Node.js: this runtime does not export libuv's {missing}")
        })?;
        Self::create(env, uv, hooks, flags).map_err(|Pending| "the engine could not be created".to_owned())
    }

    fn create(env: Env, uv: Uv, hooks: Value, flags: Value) -> Js<Rc<Self>> {
        let mut event_loop = ptr::null_mut();
        let mut async_context = ptr::null_mut();
        let mut data = ptr::null_mut();
        let name = env.text(b"backtest-kit-native")?;
        // SAFETY: values of the running call; each result is checked.
        unsafe {
            if sys::napi_get_uv_event_loop(env.0, &raw mut event_loop) != sys::Status::napi_ok
                || sys::napi_async_init(env.0, ptr::null_mut(), name, &raw mut async_context) != sys::Status::napi_ok
                || sys::napi_get_typedarray_info(
                    env.0,
                    flags,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    &raw mut data,
                    ptr::null_mut(),
                    ptr::null_mut(),
                ) != sys::Status::napi_ok
            {
                return Err(Pending);
            }
        }
        let engine = Rc::new(Self {
            env,
            uv,
            event_loop: event_loop.cast(),
            hooks: env.reference(hooks)?,
            flags_reference: env.reference(flags)?,
            flags: data.cast(),
            async_context,
            core: RefCell::new(None),
            handles: RefCell::new(None),
            open_handles: Cell::new(0),
            functions: Cell::new(0),
            dead: Cell::new(false),
            cleanup: Cell::new(None),
            stalled: Cell::new(0),
            timer_due: Cell::new(0),
            hits_since: Cell::new(0),
            maps: RefCell::new(Vec::new()),
            free_maps: RefCell::new(Vec::new()),
            entries: entries(),
            scratch: Cell::new(Vec::with_capacity(4_096)),
            batch: Cell::new(None),
            mongo: RefCell::default(),
        });
        engine.hold_hooks(false);
        let owner = Rc::into_raw(Rc::clone(&engine));
        let mut hook = ptr::null_mut();
        // SAFETY: the hook owns a count of the engine until it has run or was removed.
        let status = unsafe {
            sys::napi_add_async_cleanup_hook(env.0, Some(on_cleanup), owner.cast_mut().cast(), &raw mut hook)
        };
        if status != sys::Status::napi_ok {
            // SAFETY: no hook took the count over.
            drop(unsafe { Rc::from_raw(owner) });
            return Err(Pending);
        }
        engine.cleanup.set(Some(Cleanup { hook, owner }));
        Ok(engine)
    }

    /// The time that deadlines are measured in: it stands still while JavaScript blocks the loop.
    pub(super) fn now(&self) -> Nanos {
        self.uv.now() - self.stalled.get()
    }

    /// The time that the near cache's lease is measured in: it goes on whatever happens, suspend included.
    pub(super) fn wall() -> Nanos {
        #[cfg(target_os = "linux")]
        const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
        // On macOS this clock goes on in suspend.
        #[cfg(not(target_os = "linux"))]
        const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is writable, and these clocks exist on the systems that they are named for.
        unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }

    /// Whether nothing may be done any more: the environment is going down, or the module is gone.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Says whether a flush is arranged, so that JavaScript need not arrange another.
    pub(super) fn arranged(&self, arranged: bool) {
        // SAFETY: `flags_reference` keeps the array alive; it has two elements, and only this thread uses it.
        unsafe { *self.flags = u32::from(arranged) };
    }

    /// Tells JavaScript the number of the call that was queued last.
    pub(super) fn tell_number(&self) {
        if let Some(core) = &*self.core.borrow() {
            #[allow(clippy::cast_possible_truncation, reason = "JavaScript knows calls modulo 2^32")]
            let number = core.store.last_call() as u32;
            // SAFETY: as above; it has two elements.
            unsafe { *self.flags.add(1) = number };
        }
    }

    /// One of the hooks, while the module is there.
    pub(super) fn hook(&self, hook: Hook) -> Js<Value> {
        let hooks = self.env.referenced(self.hooks)?;
        if hooks.is_null() { Err(Pending) } else { self.env.element(hooks, hook as u32) }
    }

    /// A strong hold keeps the module alive, which calls that wait need; a weak one lets it be collected.
    pub(super) fn hold_hooks(&self, strongly: bool) {
        let mut count = 0;
        // SAFETY: a reference of this environment, which is alive.
        unsafe {
            if strongly {
                sys::napi_reference_ref(self.env.0, self.hooks, &raw mut count);
            } else {
                sys::napi_reference_unref(self.env.0, self.hooks, &raw mut count);
            }
        }
    }

    /// Notes a map; its number is good until [`Engine::drop_map`].
    pub(super) fn add_map(&self, name: &[u8], ttl: Option<u64>) -> usize {
        let prefix: Box<[u8]> = [name, b":"].concat().into();
        let map = Rc::new(Map { tracked: is_tracked(&prefix), prefix, ttl });
        let mut maps = self.maps.borrow_mut();
        if let Some(free) = self.free_maps.borrow_mut().pop() {
            maps[free] = Some(map);
            return free;
        }
        maps.push(Some(map));
        maps.len() - 1
    }

    /// A map by its number.
    pub(super) fn map(&self, number: usize) -> Option<Rc<Map>> {
        self.maps.borrow().get(number).cloned().flatten()
    }

    /// JavaScript has let go of a map; its number is given to the next one.
    pub(super) fn drop_map(&self, number: usize) {
        if self.maps.borrow_mut().get_mut(number).and_then(Option::take).is_some() {
            self.free_maps.borrow_mut().push(number);
        }
    }

    /// Takes a configuration into use. Nothing may be open.
    pub(super) fn configure(self: &Rc<Self>, config: Config, trust: Option<Trust>) {
        let mut slot = self.core.borrow_mut();
        let before = slot.take();
        let busy = before.as_ref().is_some_and(|core| core.busy);
        let store = Store::new(&config, before.as_ref().map(|core| &core.store));
        let (peer, lookups) = before.map_or_else(Default::default, |core| (Some(core.peer), core.lookups));
        let seed = self.uv.now() ^ (ptr::from_ref(self) as u64).rotate_left(32);
        *slot = Some(Core {
            spin: Spin::new(config.spin_us),
            store,
            peer: Peer::new(&config, seed, peer),
            connection: Connection::new(trust),
            closing: VecDeque::new(),
            later: Vec::new(),
            stalled_before: 0,
            since: epoch_millis(),
            lookup: false,
            lookups,
            parked: Vec::new(),
            notice: None,
            early: EARLY,
            busy,
            config,
        });
        drop(slot);
        self.open_handles();
    }

    fn open_handles(self: &Rc<Self>) {
        let mut handles = self.handles.borrow_mut();
        if handles.is_some() || self.dead.get() {
            return;
        }
        let owner = || Rc::into_raw(Rc::clone(self)).cast::<c_void>();
        // SAFETY: the loop is this environment's. Each handle owns a count of the engine, which `released` drops.
        unsafe {
            let timer = self.uv.timer(self.event_loop, owner(), released).expect("libuv makes timers");
            let prepare = self.uv.prepare(self.event_loop, owner(), released).expect("libuv makes prepare handles");
            let idle = self.uv.idle(self.event_loop, owner(), released).expect("libuv makes idle handles");
            prepare.start_prepare(&self.uv, on_prepare);
            *handles = Some(Handles { timer, prepare, idle });
        }
        self.open_handles.set(self.open_handles.get() + 3);
    }

    /// Notes a handle on a socket; it owns a count of the engine until [`released`].
    pub(super) fn poll_handle(self: &Rc<Self>, descriptor: i32) -> Option<RawHandle> {
        let owner = Rc::into_raw(Rc::clone(self)).cast::<c_void>();
        // SAFETY: the loop is this environment's; the connection closes the handle before the descriptor.
        let handle = unsafe { self.uv.poll(self.event_loop, descriptor, owner, released) };
        if handle.is_some() {
            self.open_handles.set(self.open_handles.get() + 1);
        } else {
            // SAFETY: no handle took the count over.
            drop(unsafe { Rc::from_raw(owner.cast::<Self>()) });
        }
        handle
    }

    /// Queues a call. The error is the caller's to throw.
    pub(super) fn queue<T>(&self, push: impl FnOnce(&mut Store, &mut Peer<Op>) -> Result<T>) -> Result<T> {
        let mut slot = self.core.borrow_mut();
        let core = slot.as_mut().ok_or_else(|| Error::new(Code::InvalidConfig, "the engine is not configured"))?;
        let queued = push(&mut core.store, &mut core.peer)?;
        if core.peer.lane.is_up() && core.peer.lane.queue().unflushed() >= core.early {
            core.early *= 2;
            Self::write_out(core);
        }
        Ok(queued)
    }

    /// Whether configuration may not change: there is a connection, an attempt, or a call that waits.
    pub(super) fn is_open(&self) -> bool {
        self.core
            .borrow()
            .as_ref()
            .is_some_and(|core| core.waits() || core.peer.supervisor.state() != crate::redis::supervise::State::Idle)
    }

    /// Counts a function that JavaScript holds.
    pub(super) fn function_made(&self) {
        self.functions.set(self.functions.get() + 1);
    }

    /// JavaScript has let go of a function; with the last one the engine ends.
    pub(super) fn function_gone(&self) {
        self.functions.set(self.functions.get() - 1);
        if self.functions.get() == 0 {
            self.shut_down();
        }
    }

    /// Runs a callback of the event loop. A panic must not unwind into libuv, nor end a process that others depend on: what
    /// waits is rejected, and the next call begins with a new connection.
    pub(super) fn guarded(self: &Rc<Self>, body: impl FnOnce(&Rc<Self>)) {
        if self.dead.get() {
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(self))) {
            let why = Error::bug(panic.as_ref()).message;
            if let Ok(mut slot) = self.core.try_borrow_mut()
                && let Some(core) = slot.as_mut()
            {
                self.attempt_failed(core, &why);
                core.abandon(u64::MAX, Code::Closed, &why);
            }
            self.finish_turn();
        }
    }

    /// Ends everything without a word to JavaScript.
    fn shut_down(&self) {
        if self.dead.replace(true) {
            return;
        }
        self.mongo_shut_down();
        if let Ok(mut slot) = self.core.try_borrow_mut()
            && let Some(core) = slot.as_mut()
        {
            self.disconnect(core);
        }
        if let Some(Handles { timer, prepare, idle }) = self.handles.borrow_mut().take() {
            // SAFETY: open until here, and closed once: they were taken out.
            unsafe {
                timer.close(&self.uv);
                prepare.close(&self.uv);
                idle.close(&self.uv);
            }
        }
        // SAFETY: made by create() and deleted once, while the environment is alive.
        unsafe {
            sys::napi_delete_reference(self.env.0, self.hooks);
            sys::napi_delete_reference(self.env.0, self.flags_reference);
            sys::napi_async_destroy(self.env.0, self.async_context);
        }
        self.end_cleanup();
    }

    /// Lets the environment go on with its end once the last handle is closed.
    fn end_cleanup(&self) {
        if !self.dead.get() || self.open_handles.get() > 0 {
            return;
        }
        let Some(Cleanup { hook, owner }) = self.cleanup.take() else { return };
        // SAFETY: the hook was added by create(), is removed once, and owned a count of the engine. Whoever calls this has
        // another, so `self` outlives it.
        unsafe {
            sys::napi_remove_async_cleanup_hook(hook);
            drop(Rc::from_raw(owner));
        }
    }
}

/// The engine of a callback.
///
/// # Safety
/// `context` came from `Rc::into_raw`, and whoever holds it keeps that count until after the callback.
pub(super) unsafe fn engine(context: *const c_void) -> Rc<Engine> {
    let context = context.cast::<Engine>();
    // SAFETY: passed on; the count is raised first, so that the callback's own Rc leaves the holder's alone.
    unsafe {
        Rc::increment_strong_count(context);
        Rc::from_raw(context)
    }
}

/// A libuv handle is closed: its count of the engine goes.
unsafe fn released(context: *const c_void) {
    // SAFETY: the count that the handle was made with.
    let engine = unsafe { Rc::from_raw(context.cast::<Engine>()) };
    engine.open_handles.set(engine.open_handles.get() - 1);
    engine.end_cleanup();
}

unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the count that the hook was added with, which end_cleanup() drops.
    let engine = unsafe { engine(data.cast_const()) };
    // A worker that is terminated in the middle of a call of ours leaves an exception pending, which the napi crate's own
    // hook, run after this one, cannot bear: it asks for it outside any handle scope (napi 3.16.1).
    engine.env.scoped(|| engine.env.take_exception());
    engine.shut_down();
    engine.end_cleanup();
}

unsafe extern "C" fn on_prepare(handle: *mut uv::Handle) {
    // SAFETY: a handle of ours, in its callback.
    let engine = unsafe { engine(uv::context(handle)) };
    engine.guarded(Engine::before_sleep);
}
