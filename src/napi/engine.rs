//! One engine: the calls of one copy of the JavaScript module, on the event loop of its thread.
//!
//! Everything here runs on that thread, so there are no locks; but user code may run whenever JavaScript is called
//! (promise hooks, `then` getters, ticks), and may call back into the engine. Hence the one rule of this file and its
//! neighbours: the core is not borrowed while JavaScript is called. The compiler holds it: whatever calls JavaScript takes an
//! [`Outside`], and [`Engine::with_core`] holds that for as long as its closure runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::embedded_state::Embedded;
use super::hooks::Hook;
use super::js::{Env, Js, NapiValue, Outside, Pending};
use super::lifeline::Lifeline;
use super::link::Node;
use super::maps::Maps;
use super::mongo_state::Mongo;
use super::sentinel_link::SentinelLinks;
use super::state::{Core, first_early};
use super::uv::{Loop, Uv};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::map::op::Op;
use crate::map::peers::Peers;
use crate::map::store::Store;
use crate::redis::Nanos;
use crate::redis::batch::Batch;
use crate::redis::by_peer::{ByPeer, PeerId};
use crate::redis::spin::Spin;
use crate::redis::trust::Trust;
use crate::services::table::{Entry, entries};

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
    core: RefCell<Option<Core>>,
    pub(super) lifeline: Lifeline,
    /// How long the loop was blocked so far. The lane's clock leaves it out.
    pub(super) stalled: Cell<Nanos>,
    /// When the timer is due by the lane's clock; 0 when it is not set.
    pub(super) timer_due: Cell<Nanos>,
    /// When the near cache first answered since the loop last turned; 0: it has not.
    pub(super) hits_since: Cell<Nanos>,
    pub(super) maps: Maps,
    pub(super) entries: Vec<Entry>,
    /// Reused for keys and values, so that a call allocates nothing.
    pub(super) scratch: Cell<Vec<u8>>,
    pub(super) batch: Cell<Option<Box<Batch<Op>>>>,
    pub(super) mongo: RefCell<Mongo>,
    pub(super) embedded: RefCell<Embedded>,
}

impl Engine {
    /// Makes an engine for a module's hooks.
    pub(super) fn new(env: Env, hooks: NapiValue, flags: NapiValue) -> std::result::Result<Rc<Self>, String> {
        let uv = Uv::load().map_err(|missing| {
            format!("backtest-kit-native needs Node.js: this runtime does not export libuv's {missing}")
        })?;
        Self::create(env, uv, hooks, flags).map_err(|Pending| "the engine could not be created".to_owned())
    }

    /// The caller adds the cleanup hook.
    fn create(env: Env, uv: Uv, hooks: NapiValue, flags: NapiValue) -> Js<Rc<Self>> {
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
            lifeline: Lifeline::default(),
            stalled: Cell::new(0),
            timer_due: Cell::new(0),
            hits_since: Cell::new(0),
            maps: Maps::default(),
            entries: entries(),
            scratch: Cell::new(Vec::with_capacity(4_096)),
            batch: Cell::new(None),
            mongo: RefCell::default(),
            embedded: RefCell::default(),
        });
        engine.hold_hooks(false);
        Ok(engine)
    }

    /// Runs `body` with the core, if there is one. Nothing that it does can call JavaScript, because all that does needs
    /// `outside` as well.
    #[inline]
    pub(super) fn with_core<T>(&self, _outside: &mut Outside, body: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.core.borrow_mut().as_mut().map(body)
    }

    /// The same where nobody can say what is going on: after a panic, and when JavaScript lets go of the last function. `None`
    /// also where the core is borrowed.
    pub(super) fn with_core_if_free<T>(&self, body: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.core.try_borrow_mut().ok()?.as_mut().map(body)
    }

    /// The time that deadlines are measured in: it stands still while JavaScript blocks the loop.
    pub(super) fn now(&self) -> Nanos {
        self.uv.now() - self.stalled.get()
    }

    /// Whether nothing may be done any more: the environment is going down, or the module is gone.
    pub(super) fn is_dead(&self) -> bool {
        self.lifeline.dead.get()
    }

    /// Says whether a flush is arranged, so that JavaScript need not arrange another.
    pub(super) fn arranged(&self, arranged: bool) {
        // SAFETY: `flags_reference` keeps the array alive; it has two elements, and only this thread uses it.
        unsafe { *self.flags = u32::from(arranged) };
    }

    /// Tells JavaScript the number of the call that was queued last.
    pub(super) fn tell_number(&self, outside: &mut Outside) {
        let last = self.store_number().or_else(|| self.with_core(outside, |core| core.store.last_call()));
        if let Some(last) = last {
            #[allow(clippy::cast_possible_truncation, reason = "JavaScript knows calls modulo 2^32")]
            let number = last as u32;
            // SAFETY: as above; it has two elements.
            unsafe { *self.flags.add(1) = number };
        }
    }

    /// One of the hooks, while the module is there.
    pub(super) fn hook(&self, hook: Hook) -> Js<NapiValue> {
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

    /// Deletes what the environment holds for us.
    pub(super) fn let_go_of_module(&self) {
        // SAFETY: made by create() and deleted once, while the environment is alive.
        unsafe {
            sys::napi_delete_reference(self.env.0, self.hooks);
            sys::napi_delete_reference(self.env.0, self.flags_reference);
            sys::napi_async_destroy(self.env.0, self.async_context);
        }
    }

    /// Takes a configuration into use. Nothing may be open.
    pub(super) fn configure(&self, config: Config, trust: Option<Trust>) {
        let mut slot = self.core.borrow_mut();
        let before = slot.take();
        let busy = before.as_ref().is_some_and(|core| core.busy);
        let mut store = Store::new(&config, before.as_ref().map(|core| &core.store));
        if config.sentinels.is_some() {
            store.ids.attested(PeerId::FIRST, None);
        }
        let (peers, lookups) = before.map_or_else(Default::default, |core| (Some(core.peers), core.lookups));
        let seed = self.uv.now() ^ (ptr::from_ref(self) as u64).rotate_left(32);
        *slot = Some(Core {
            spin: Spin::new(config.spin_us),
            store,
            peers: Peers::new(&config, seed, peers),
            nodes: if config.cluster.is_some() {
                ByPeer::default()
            } else {
                ByPeer::of_first(Node::new(trust.clone()))
            },
            trust,
            closing: VecDeque::new(),
            later: Vec::new(),
            sentinels: config.sentinels.as_ref().map(SentinelLinks::new),
            names: Vec::new(),
            lookups,
            parked: Vec::new(),
            notice: None,
            read_last: 0,
            early_last: 0,
            early: first_early(config.cluster.is_some()),
            busy,
            config,
        });
    }

    /// Queues a call. The error is the caller's to throw.
    #[inline]
    pub(super) fn queue<T>(
        &self,
        outside: &mut Outside,
        push: impl FnOnce(&mut Store, &mut Peers) -> Result<T>,
    ) -> Result<T> {
        let queued = self.with_core(outside, |core| {
            let queued = push(&mut core.store, &mut core.peers)?;
            if core.peers.writable() >= core.early {
                core.early *= 2;
                core.write_early();
            }
            Ok(queued)
        });
        queued.unwrap_or_else(|| Err(Error::new(Code::InvalidConfig, "the engine is not configured")))
    }
}
