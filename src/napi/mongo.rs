//! The MongoDB side of an engine: requests to the background thread, answers back.
//!
//! Requests of a tick go over together; answers are gathered until the loop wakes, and told in one call. The wake-up is a
//! threadsafe function, which keeps the process alive only while calls wait.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;
use serde_json::{Value as Json, json};

use super::embedded_state::Side;
use super::engine::Engine;
use super::hooks::Hook;
use super::js::{Js, NapiValue, Outside, Pending};
use super::mongo_state::{Answers, Wake};
use super::os::pin;
use crate::config::mongo::MongoConfig;
use crate::error::{Code, Error, Result};
use crate::mongo::driver::executor::Executor;
use crate::mongo::driver::runtime::Runtime;
use crate::mongo::wire::Request;

impl Engine {
    /// Where answers of other threads are gathered; made with the first use.
    pub(super) fn answers(self: &Rc<Self>) -> Result<Arc<Answers>> {
        if let Some(answers) = &self.mongo.borrow().answers {
            return Ok(Arc::clone(answers));
        }
        // The thread runs code of this library, so the library stays loaded when the last worker that used it has ended.
        pin();
        let answers = Arc::new(Answers { gathered: Mutex::default(), wake: Mutex::new(None) });
        let refused = |Pending| Error::new(Code::MongoUnavailable, "the thread cannot be started: Node-API refuses");
        let wake = self.make_wake(&answers).map_err(refused)?;
        *answers.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
        self.mongo.borrow_mut().answers = Some(Arc::clone(&answers));
        Ok(answers)
    }

    /// Takes a configuration into use. No executor may be open.
    pub(super) fn mongo_configure(self: &Rc<Self>, config: MongoConfig) -> Result<()> {
        let failed = |why: String| Error::new(Code::MongoUnavailable, format!("the thread cannot be started: {why}"));
        let answers = self.answers()?;
        let runtime = Runtime::shared().map_err(|error| failed(error.to_string()))?;
        self.mongo.borrow_mut().executor = Some(Executor::new(runtime, config, answers));
        Ok(())
    }

    fn make_wake(self: &Rc<Self>, answers: &Arc<Answers>) -> Js<Wake> {
        let mut function = ptr::null_mut();
        let context = Box::new(Context { engine: Rc::clone(self), answers: Arc::clone(answers) });
        let context = Box::into_raw(context).cast::<c_void>();
        let name = self.env.text(b"backtest-kit-native mongo")?;
        // SAFETY: values of the running call; the context lives until `finalize`.
        unsafe {
            let status = sys::napi_create_threadsafe_function(
                self.env.0,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(finalize),
                context,
                Some(wake_up),
                &raw mut function,
            );
            if status != sys::Status::napi_ok {
                drop(Box::from_raw(context.cast::<Context>()));
                return Err(Pending);
            }
            sys::napi_unref_threadsafe_function(self.env.0, function);
        }
        Ok(Wake(function))
    }

    /// Notes a request of this tick, unless too many wait.
    pub(super) fn mongo_push(self: &Rc<Self>, request: Request) -> Result<()> {
        if self.is_embedded(Side::Rows) {
            return self.store_push(request);
        }
        let mut mongo = self.mongo.borrow_mut();
        let Some(executor) = &mongo.executor else {
            return Err(Error::new(Code::Closed, "the connection to MongoDB is not configured"));
        };
        executor.admit(&request)?;
        mongo.tick.push(request);
        Ok(())
    }

    /// The end of a tick.
    pub(super) fn mongo_flush(self: &Rc<Self>, outside: &mut Outside) {
        self.flush_store(outside);
        self.submit_rows();
    }

    /// Hands the requests of this tick to the thread.
    pub(super) fn submit_rows(&self) {
        let mut mongo = self.mongo.borrow_mut();
        let requests = std::mem::take(&mut mongo.tick);
        if let Some(executor) = mongo.executor.as_ref().filter(|_| !requests.is_empty()) {
            executor.submit(requests);
        }
    }

    /// Whether calls wait, so that the process and the module must be kept.
    pub(super) fn mongo_hold(&self, hold: bool) {
        self.mongo.borrow_mut().rows_wait = hold;
        // Until the end of a tick nothing ends; most calls of the embedded store are over by then.
        if !hold || self.embedded.borrow().tick.is_empty() {
            self.hold_answers();
        }
    }

    /// The same of maps' calls, where the store is embedded.
    pub(super) fn hold_for_maps(&self, hold: bool) {
        self.mongo.borrow_mut().maps_wait = hold;
        self.hold_answers();
    }

    fn hold_answers(&self) {
        let mut mongo = self.mongo.borrow_mut();
        let hold = mongo.rows_wait || mongo.maps_wait;
        if mongo.held == hold {
            return;
        }
        mongo.held = hold;
        let wake = mongo.answers.as_ref().and_then(|a| *a.wake.lock().unwrap_or_else(PoisonError::into_inner));
        drop(mongo);
        if let Some(Wake(function)) = wake {
            // SAFETY: this is the environment's thread, and the function has not been finalized.
            unsafe {
                if hold {
                    sys::napi_ref_threadsafe_function(self.env.0, function);
                } else {
                    sys::napi_unref_threadsafe_function(self.env.0, function);
                }
            }
        }
        self.hold_hooks(hold);
    }

    /// Whether there is an executor.
    pub(super) fn mongo_is_open(&self) -> bool {
        self.mongo.borrow().executor.is_some() || self.is_side_open(Side::Rows)
    }

    /// Closes the connections. Nobody waits any more.
    pub(super) fn mongo_close(self: &Rc<Self>, outside: &mut Outside) {
        self.close_rows(outside);
        self.end_executor();
    }

    fn end_executor(&self) {
        let executor = self.mongo.borrow_mut().executor.take();
        if let Some(executor) = executor {
            executor.close();
        }
    }

    /// The engine ends: nobody is woken any more.
    pub(super) fn mongo_shut_down(&self) {
        self.end_executor();
        let answers = self.mongo.borrow_mut().answers.take();
        let wake = answers.and_then(|a| a.wake.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(Wake(function)) = wake {
            // SAFETY: it was in `wake`, so it has not been finalized; nobody else can reach it now.
            unsafe {
                sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort);
            }
        }
    }

    /// Counters, for `stats()`; null before the first call.
    pub(super) fn mongo_stats(&self) -> Json {
        let mongo = self.mongo.borrow();
        let Some(executor) = &mongo.executor else { return Json::Null };
        let counters = executor.counters();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        json!({
            "requests": read(&counters.requests),
            "answers": read(&counters.answers),
            "errors": read(&counters.errors),
            "timeouts": read(&counters.timeouts),
            "commands": read(&counters.commands),
            "retried": read(&counters.retried),
            "waiting": executor.waiting(),
            "topology": executor.servers_seen(),
        })
    }

    /// The connection's state, for `health()`; null before the first call.
    pub(super) fn mongo_health(&self) -> Json {
        let mongo = self.mongo.borrow();
        let Some(executor) = &mongo.executor else { return Json::Null };
        let state = executor.state();
        let name = match (state.since, state.ready) {
            (0, _) => "connecting",
            (_, true) => "ready",
            (_, false) => "waiting",
        };
        json!({
            "state": name,
            "since": if state.since == 0 { Json::Null } else { state.since.into() },
            "server": executor.servers(),
            "lastError": state.last_error,
            "waiting": executor.waiting(),
            "indexProblems": executor.index_problems(),
            "topology": executor.topology(),
        })
    }

    pub(super) fn mongo_settle(&self, outside: &mut Outside, bytes: &[u8]) -> Js<()> {
        let env = self.env;
        let settle = self.hook(Hook::MongoSettle)?;
        env.invoke(outside, env.undefined()?, settle, &[env.buffer(bytes)?]).map(drop)
    }
}

/// What the threadsafe function is called with.
struct Context {
    engine: Rc<Engine>,
    answers: Arc<Answers>,
}

unsafe extern "C" fn wake_up(env: sys::napi_env, _: NapiValue, context: *mut c_void, _: *mut c_void) {
    if env.is_null() {
        // The environment goes down.
        return;
    }
    // SAFETY: the context lives until `finalize`, which comes after the last call.
    let context = unsafe { &*context.cast::<Context>() };
    let engine = Rc::clone(&context.engine);
    if engine.is_dead() {
        return;
    }
    // A panic must not unwind into Node. What is left of an exception, where JavaScript is ending, is nobody's.
    let told = catch_unwind(AssertUnwindSafe(|| engine.store_turn(&mut Outside::of_callback())));
    if !matches!(told, Ok(Ok(()))) {
        engine.env.take_exception();
    }
}

unsafe extern "C" fn finalize(_: sys::napi_env, context: *mut c_void, _: *mut c_void) {
    // SAFETY: the context that the function was made with; this is its last use.
    let context = unsafe { Box::from_raw(context.cast::<Context>()) };
    context.answers.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
}
