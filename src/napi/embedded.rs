//! The embedded store's side of an engine: calls to SQLite on this thread where it answers at once, else to the store's thread.
//!
//! Writes are gathered until the end of the tick, and committed together; what is behind them in the tick waits for that. While
//! a write of this engine waits at the thread, everything goes behind it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use super::bind::{Answer, Thrown};
use super::embedded_state::{Scan, Side};
use super::engine::Engine;
use super::hooks::Hook;
use super::js::{Js, NapiValue, Outside};
use super::mongo_state::{Turn, push_row};
use crate::config::Values;
use crate::config::store::StoreConfig;
use crate::error::{Code, Error, Result};
use crate::map::op::ScanId;
use crate::map::scan::Kind;
use crate::mongo::wire::Request;
use crate::redis::{MILLI, Nanos};
use crate::store::client::Client;
use crate::store::error::Outcome;
use crate::store::here::Here;
use crate::store::maps::{self, Ask, Told};
use crate::store::work::{Answered, Inbox as _, Work};

/// How long answers may be given at once without a turn of the loop.
const FAIR: Nanos = MILLI;
/// So much of a tick is not held back for its end.
const EARLY: usize = 1_000;

/// What variables say of the store; none where there are servers.
pub(super) fn config_of(values: &Values) -> Result<Option<StoreConfig>> {
    let here = std::env::current_dir()
        .map_err(|error| Error::new(Code::StoreUnavailable, format!("there is no working directory: {error}")))?;
    crate::config::store::resolve(values, &here)
}

/// When answers of the JavaScript thread's own work are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// At once.
    Now,
    /// With the loop's next turn, because others have waited for it.
    NextTurn,
    /// When the loop was woken for it, because JavaScript may not run yet.
    Woken,
}

impl Engine {
    /// Whether a side of this engine uses the embedded store.
    pub(super) fn is_embedded(&self, side: Side) -> bool {
        let embedded = self.embedded.borrow();
        if side == Side::Maps { embedded.for_maps } else { embedded.for_rows }
    }

    /// The side has servers.
    pub(super) fn unembed(&self, side: Side) {
        let mut embedded = self.embedded.borrow_mut();
        match side {
            Side::Maps => embedded.for_maps = false,
            Side::Rows => embedded.for_rows = false,
        }
    }

    /// The client of a side; the store is opened for it where it is not.
    fn client(self: &Rc<Self>, side: Side) -> Result<Arc<Client>> {
        let mut embedded = self.embedded.borrow_mut();
        if let Some(client) = embedded.client.clone() {
            embedded.note_open(side);
            return Ok(client);
        }
        let config = embedded.config.clone();
        let config = config.ok_or_else(|| Error::new(Code::Closed, "the store is not configured"))?;
        let client = Client::new(config, self.answers()?);
        embedded.note_open(side);
        embedded.client = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Takes a configuration into use for one side.
    pub(super) fn embed(
        self: &Rc<Self>,
        outside: &mut Outside,
        config: StoreConfig,
        side: Side,
        scan_count: (u32, u32),
    ) -> Result<()> {
        let before = self.with_core(outside, |core| core.store.last_call().wrapping_add(1)).unwrap_or(0);
        let mut embedded = self.embedded.borrow_mut();
        if embedded.client.is_none() {
            embedded.config = Some(config);
        }
        if embedded.next_call == 0 {
            // Numbers go on, so that an old one never means a new call.
            embedded.next_call = before;
        }
        match side {
            Side::Maps => {
                embedded.for_maps = true;
                embedded.scan_count = scan_count;
            }
            Side::Rows => embedded.for_rows = true,
        }
        drop(embedded);
        self.client(side).map(drop)
    }

    /// A call of a map, where the store is embedded. `None` as the answer: it waits.
    pub(super) fn ask_store(self: &Rc<Self>, outside: &mut Outside, ask: Ask) -> Answer {
        self.client(Side::Maps)?;
        let mut embedded = self.embedded.borrow_mut();
        let told = match &ask {
            // Nothing is written where the key holds the id already.
            Ask::Refresh(key, id) => match embedded.at_once(|store| maps::holds(store, key, id)) {
                Some(Ok(true)) => Some(Ok(Told::Text(id.clone()))),
                _ => None,
            },
            ask if ask.writes() || ask.is_long() || *ask == Ask::Ping => None,
            ask => embedded.at_once(|store| maps::run(store, ask, maps::now())),
        };
        drop(embedded);
        match told {
            None => {
                self.wait_for(outside, Work::Map(0, ask), None)?;
                Ok(None)
            }
            Some(outcome) => self.told_now(outside, outcome.map_err(|failure| failure.error)?, None),
        }
    }

    /// A read of rows that is answered at once; none where it has to be a request, because something waits before it, it failed,
    /// or others have been answered at once for long.
    pub(super) fn store_read<T>(&self, read: impl FnOnce(&Connection) -> Outcome<Option<T>>) -> Option<T> {
        if !self.is_embedded(Side::Rows) || self.is_late() {
            return None;
        }
        let mut embedded = self.embedded.borrow_mut();
        let found = embedded.at_once(read)?.ok().flatten();
        if let (Some(_), Some(client)) = (&found, &embedded.client) {
            client.counters.reads.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// An answer that is there: at once, or with the loop's next turn where others have had none for long.
    fn told_now(self: &Rc<Self>, outside: &mut Outside, told: Told, scan: Option<ScanId>) -> Answer {
        if let Some(client) = self.embedded.borrow().client.as_ref() {
            client.counters.reads.fetch_add(1, Ordering::Relaxed);
        }
        if !self.is_late() {
            let told = self.turned(scan, told);
            return Ok(Some(self.told(outside, &told)?));
        }
        let call = self.reserve(scan);
        self.embedded.borrow_mut().late.push(Answered::Map(call, Ok(told)));
        self.hold_for_store();
        Ok(None)
    }

    /// Whether answers have been given at once for so long that the loop must turn before more of them: see `hits_since`.
    fn is_late(&self) -> bool {
        let (since, now) = (self.hits_since.get(), self.uv.now());
        if since == 0 {
            self.hits_since.set(now);
        }
        since > 0 && now.saturating_sub(since) > FAIR
    }

    fn reserve(&self, scan: Option<ScanId>) -> u64 {
        let mut embedded = self.embedded.borrow_mut();
        let call = embedded.next_call;
        embedded.next_call += 1;
        embedded.waiting += 1;
        if let Some(scan) = scan {
            embedded.pages.insert(call, scan);
        }
        call
    }

    /// A call of a map that waits for the end of the tick, or longer.
    fn wait_for(
        self: &Rc<Self>,
        outside: &mut Outside,
        mut work: Work,
        scan: Option<ScanId>,
    ) -> std::result::Result<(), Thrown> {
        let client = self.client(Side::Maps)?;
        client.admit(&work)?;
        let number = self.reserve(scan);
        if let Work::Map(call, _) = &mut work {
            *call = number;
        }
        let mut embedded = self.embedded.borrow_mut();
        embedded.gather(work);
        let many = embedded.tick.len() >= EARLY;
        drop(embedded);
        if many {
            // JavaScript has not made the promise of this very call.
            self.carry_out(outside, Telling::Woken);
        }
        Ok(())
    }

    /// The end of a tick: its work is carried out, or goes over.
    pub(super) fn flush_store(self: &Rc<Self>, outside: &mut Outside) {
        let late = std::mem::take(&mut self.embedded.borrow_mut().late);
        if !late.is_empty() {
            self.tell_next_turn(outside, late);
        }
        if !self.embedded.borrow().tick.is_empty() {
            let telling = if self.is_late() { Telling::NextTurn } else { Telling::Now };
            self.carry_out(outside, telling);
        }
    }

    /// Where the end of the tick did not come, as where `process.nextTick` is a test's own: the same, before the loop sleeps. JavaScript
    /// is told when it may run.
    pub(super) fn store_without_tick_end(self: &Rc<Self>, outside: &mut Outside) {
        let late = std::mem::take(&mut self.embedded.borrow_mut().late);
        if !late.is_empty()
            && let Ok(inbox) = self.answers()
        {
            inbox.take(late);
        }
        if !self.embedded.borrow().tick.is_empty() {
            self.carry_out(outside, Telling::Woken);
        }
    }

    /// Carries out what was gathered, as far as that goes here, and tells what became of it.
    fn carry_out(self: &Rc<Self>, outside: &mut Outside, telling: Telling) {
        let (mut work, answers, client) = {
            let mut embedded = self.embedded.borrow_mut();
            let work = std::mem::take(&mut embedded.tick);
            embedded.gathered = 0;
            let answers = embedded.here().map(|(here, client)| here.carry_out(client, &work));
            (work, answers.unwrap_or_default(), embedded.client.clone())
        };
        // What JavaScript calls while it is told comes into a new tick.
        self.arranged(false);
        let Some(client) = client else { return };
        if answers.len() < work.len() {
            let rest = work.split_off(answers.len());
            client.hand_over(rest);
        }
        client.answered(&work, &answers);
        if !answers.is_empty() {
            match telling {
                Telling::NextTurn => self.tell_next_turn(outside, answers),
                Telling::Woken => {
                    if let Ok(inbox) = self.answers() {
                        inbox.take(answers);
                    }
                }
                Telling::Now => {
                    if self.tell_now(outside, answers).is_err() {
                        self.env.take_exception();
                    }
                }
            }
        }
        self.hold_for_store();
    }

    /// Answers that are told with the loop's next turn. Nobody is woken for them: Node tells what wakes it up to a thousand times before
    /// the loop turns. User code may run meanwhile and make calls, so no call may be under way whose promise is yet to be made.
    fn tell_next_turn(self: &Rc<Self>, outside: &mut Outside, answers: Vec<Answered>) {
        let Ok(inbox) = self.answers() else { return };
        if inbox.keep(answers) && self.turn_again(outside).is_err() {
            self.env.take_exception();
        }
    }

    /// Answers that are there at the end of the tick.
    fn tell_now(self: &Rc<Self>, outside: &mut Outside, answers: Vec<Answered>) -> Js<()> {
        let (mut maps, mut bytes) = (Vec::new(), Vec::new());
        for answer in answers {
            match answer {
                Answered::Map(call, outcome) => maps.push((call, outcome)),
                Answered::Row(call, outcome) => push_row(call, outcome, &mut bytes),
            }
        }
        let rows = self.settle_rows(outside, &bytes);
        rows.and(self.settle_store(outside, maps))
    }

    /// Answers of rows. What cannot be told must keep nothing else back, so no exception is left.
    fn settle_rows(&self, outside: &mut Outside, bytes: &[u8]) -> Js<()> {
        let told = if bytes.is_empty() { Ok(()) } else { self.mongo_settle(outside, bytes) };
        told.inspect_err(|_| {
            self.env.take_exception();
        })
    }

    /// A request for rows, of this tick.
    pub(super) fn store_push(self: &Rc<Self>, request: Request) -> Result<()> {
        let client = self.client(Side::Rows)?;
        let work = Work::Row(request);
        client.admit(&work)?;
        self.embedded.borrow_mut().gather(work);
        Ok(())
    }

    /// The number of a scan that has not begun.
    pub(super) fn open_store_scan(&self, kind: Kind, prefix: &[u8]) -> ScanId {
        let mut embedded = self.embedded.borrow_mut();
        let number = embedded.next_scan;
        embedded.next_scan = number.wrapping_add(1);
        let limit = embedded.scan_count.0;
        embedded.scans.insert(number, Scan { kind, prefix: prefix.to_vec(), next: Some(None), limit });
        number
    }

    /// The next page of a scan.
    pub(super) fn store_page(self: &Rc<Self>, outside: &mut Outside, number: ScanId) -> Answer {
        let asked = {
            let embedded = self.embedded.borrow();
            let Some(scan) = embedded.scans.get(&number) else {
                return Err(Error::new(Code::Closed, "The iteration was ended by close()").into());
            };
            let Scan { kind, prefix, next, limit } = scan;
            next.as_ref().map(|after| Ask::Page {
                kind: *kind,
                prefix: prefix.clone(),
                after: after.clone(),
                limit: *limit,
            })
        };
        let Some(ask) = asked else {
            self.close_store_scan(number);
            return Ok(Some(self.env.null()?));
        };
        let told = if ask.writes() || ask.is_long() {
            None
        } else {
            self.embedded.borrow_mut().at_once(|store| maps::run(store, &ask, maps::now()))
        };
        match told {
            None => {
                self.wait_for(outside, Work::Map(0, ask), Some(number))?;
                Ok(None)
            }
            Some(outcome) => self.told_now(outside, outcome.map_err(|failure| failure.error)?, Some(number)),
        }
    }

    /// Forgets a scan.
    pub(super) fn close_store_scan(&self, number: ScanId) {
        self.embedded.borrow_mut().scans.remove(&number);
    }

    /// A page has come: where the next one begins. A page without keys is the end.
    fn turned(&self, scan: Option<ScanId>, told: Told) -> Told {
        let Some(number) = scan else { return told };
        let mut embedded = self.embedded.borrow_mut();
        let most = embedded.scan_count.1;
        match told {
            Told::Page(texts, next) => {
                if let Some(scan) = embedded.scans.get_mut(&number) {
                    scan.next = next.map(Some);
                    scan.limit = scan.limit.saturating_mul(2).min(most);
                }
                if texts.is_empty() { Told::Absent } else { Told::Page(texts, None) }
            }
            other => {
                embedded.scans.remove(&number);
                other
            }
        }
    }

    /// The number of the call that was queued last, while the store is in use.
    pub(super) fn store_number(&self) -> Option<u64> {
        let embedded = self.embedded.borrow();
        (embedded.maps || embedded.waiting > 0).then(|| embedded.next_call.wrapping_sub(1))
    }

    /// Answers of maps' calls.
    pub(super) fn settle_store(self: &Rc<Self>, outside: &mut Outside, answers: Vec<(u64, Outcome<Told>)>) -> Js<()> {
        if answers.is_empty() {
            return Ok(());
        }
        {
            let mut embedded = self.embedded.borrow_mut();
            embedded.waiting = embedded.waiting.saturating_sub(answers.len());
        }
        self.settle_calls(outside, answers.into_iter(), |outside, call, outcome| {
            let scan = {
                let mut embedded = self.embedded.borrow_mut();
                embedded.closing.retain(|closing| *closing != call);
                embedded.pages.remove(&call)
            };
            match outcome {
                Ok(told) => {
                    let told = self.turned(scan, told);
                    self.told(outside, &told)
                }
                Err(failure) => {
                    if let Some(scan) = scan {
                        self.close_store_scan(scan);
                    }
                    self.error(outside, &failure.error)
                }
            }
        })?;
        self.hold_for_store();
        Ok(())
    }

    /// The loop turns before more answers are told.
    pub(super) fn turn_again(&self, outside: &mut Outside) -> Js<()> {
        self.env.invoke(outside, self.env.undefined()?, self.hook(Hook::Again)?, &[]).map(drop)
    }

    /// More answers, after a turn of the loop.
    pub(super) fn store_turn(self: &Rc<Self>, outside: &mut Outside) -> Js<()> {
        let Ok(answers) = self.answers() else { return Ok(()) };
        let Turn { bytes, maps, more } = answers.turn();
        let rows = self.settle_rows(outside, &bytes);
        let maps = self.settle_store(outside, maps).inspect_err(|_| {
            self.env.take_exception();
        });
        // Nobody is woken for the rest while it is not told.
        let rest = if more { self.turn_again(outside) } else { Ok(()) };
        rows.and(maps).and(rest)
    }

    fn told(&self, outside: &mut Outside, told: &Told) -> Js<NapiValue> {
        let env = self.env;
        match told {
            Told::Nothing => env.undefined(),
            Told::Absent => env.null(),
            Told::Flag(flag) => env.boolean(*flag),
            Told::Text(text) => self.text_or_error(outside, text),
            Told::Bytes(bytes) => env.buffer(bytes),
            #[allow(clippy::cast_precision_loss, reason = "a count of keys on a disk")]
            Told::Number(number) => env.number(*number as f64),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds within 2^53, or far beyond anybody's time")]
            Told::Millis(millis) => env.number(millis.map_or(-1.0, |millis| millis as f64)),
            Told::Page(texts, _) => self.list(outside, texts.iter().map(|text| env.text(text)), texts.len()),
        }
    }

    /// Keeps the process and the module while calls wait.
    pub(super) fn hold_for_store(&self) {
        let waiting = self.embedded.borrow().waiting > 0;
        self.hold_for_maps(waiting);
    }

    /// Whether a side is open, so that its configuration may not change.
    pub(super) fn is_side_open(&self, side: Side) -> bool {
        self.embedded.borrow().is_open(side)
    }

    /// The rows' side is closed; what it has handed over is done all the same.
    pub(super) fn close_rows(self: &Rc<Self>, outside: &mut Outside) {
        self.flush_store(outside);
        self.embedded.borrow_mut().rows = false;
    }

    /// Closes the store, unless its rows are in use. `true`: there was nothing to wait for; else it is closed, and all of this
    /// engine's writes are synced, when the call that was queued is answered.
    pub(super) fn close_store(self: &Rc<Self>, outside: &mut Outside) -> bool {
        self.flush_store(outside);
        let Some(client) = self.embedded.borrow().client.clone() else { return true };
        let call = self.reserve(None);
        self.hold_for_store();
        let mut embedded = self.embedded.borrow_mut();
        embedded.closing.push(call);
        embedded.maps = false;
        embedded.scans.clear();
        embedded.pages.clear();
        if embedded.rows {
            drop(embedded);
            client.mark(call);
        } else {
            embedded.client = None;
            let here = embedded.here.take().map(Here::into_store);
            drop(embedded);
            client.end(here, call);
        }
        false
    }

    /// Whether there is a store to close.
    pub(super) fn has_store(&self) -> bool {
        self.embedded.borrow().client.is_some()
    }

    /// The engine ends: what was handed over is done and synced, as far as it can be waited for.
    pub(super) fn store_shut_down(&self) {
        let (client, here) = {
            let mut embedded = self.embedded.borrow_mut();
            (embedded.client.take(), embedded.here.take())
        };
        if let Some(client) = client {
            client.leave(here.map(Here::into_store));
            client.thread().wait_for_end();
        }
    }

    /// Counters, for `stats()`; null without an embedded store.
    pub(super) fn store_stats(&self) -> Json {
        let embedded = self.embedded.borrow();
        let Some(client) = &embedded.client else { return Json::Null };
        let (thread, counters) = (client.thread(), &client.counters);
        json!({
            "reads": counters.reads.load(Ordering::Relaxed),
            "writes": counters.writes.load(Ordering::Relaxed),
            "calls": counters.calls.load(Ordering::Relaxed),
            "errors": counters.errors.load(Ordering::Relaxed),
            "waiting": client.waiting(),
            "commits": thread.commits.load(Ordering::Relaxed),
            "syncs": thread.syncs.load(Ordering::Relaxed),
            "checkpoints": thread.checkpoints.load(Ordering::Relaxed),
            "logBytes": thread.log_bytes.load(Ordering::Relaxed),
        })
    }

    /// The store's state, for `health()`; null without one.
    pub(super) fn store_health(&self) -> Json {
        let embedded = self.embedded.borrow();
        let Some(client) = &embedded.client else { return Json::Null };
        let state = client.thread().state();
        let name = match (&state.last_error, &state.file) {
            (Some(_), _) => "failing",
            (None, Some(_)) => "ready",
            (None, None) => "opening",
        };
        json!({
            "state": name,
            "path": client.config().folder.to_string_lossy(),
            "lastError": state.last_error,
            "waiting": client.waiting(),
            "sqlite": rusqlite::version(),
        })
    }
}
