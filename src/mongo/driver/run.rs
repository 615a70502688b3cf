//! A tick's requests, sorted into jobs: what can share a round trip is one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mongodb::bson::{RawBsonRef, RawDocument, rawdoc};

use super::caller::Caller;
use super::executor::Executor;
use super::reads::Lookup;
use super::writes::Upsert;
use crate::mongo::document::{self, get, part};
use crate::mongo::failure::Outcome;
use crate::mongo::table::collection;
use crate::mongo::wire::{Answer, CallId, Op, Request};

/// A tick's requests that travel together, by collection.
#[derive(Default)]
struct Together {
    lookups: BTreeMap<usize, Vec<Lookup>>,
    upserts: BTreeMap<usize, Vec<Upsert>>,
}

impl Executor {
    /// Takes the requests of a tick, which were admitted; each call gets its answer when it is there.
    pub fn submit(self: &Arc<Self>, requests: Vec<Request>) {
        let executor = Arc::clone(self);
        let calls: Vec<_> = requests.into_iter().map(|request| (Caller::new(self, &request), request)).collect();
        self.spawn(async move { executor.run(calls) });
    }

    fn run(self: Arc<Self>, calls: Vec<(Caller, Request)>) {
        let mut together = Together::default();
        for (caller, request) in calls {
            // What goes wrong with one must not take the others along; its caller is told when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| self.sort(&mut together, caller, request)));
        }
        for (number, lookups) in together.lookups {
            let executor = Arc::clone(&self);
            self.spawn(async move { executor.find_rows(number, lookups).await });
        }
        for (number, upserts) in together.upserts {
            let executor = Arc::clone(&self);
            self.spawn(async move { executor.upsert_all(number, upserts).await });
        }
    }

    fn sort(self: &Arc<Self>, together: &mut Together, caller: Caller, request: Request) {
        if let Err(error) = document::check_depth(&request.body) {
            caller.answer(Err(error.into()));
            return;
        }
        match request.op {
            Op::Find => {
                together.lookups.entry(request.collection).or_default().extend(Lookup::read(caller, &request));
            }
            Op::Upsert => {
                together.upserts.entry(request.collection).or_default().extend(Upsert::read(caller, &request));
            }
            _ => {
                let executor = Arc::clone(self);
                self.spawn(async move { caller.answer(executor.one(&request).await) });
            }
        }
    }

    /// A request that travels alone.
    async fn one(self: &Arc<Self>, request: &Request) -> Outcome<Answer> {
        let (number, body) = (request.collection, &*request.body);
        let collection = collection(number);
        match request.op {
            Op::SoftRemove => self.soft_remove(number, document::key(collection, part(body, "k")?)?).await,
            Op::Candle => self.candle(number, part(body, "dto")?).await,
            Op::Candles => self.candles(body).await,
            Op::Range => self.range(body).await,
            Op::Window => self.window(body).await,
            Op::Insert => self.insert(number, part(body, "dto")?).await,
            Op::Change => self.change(number, body).await,
            Op::Rows => self.rows_of(collection, body).await,
            Op::Count => self.count(collection, body).await,
            Op::Open => self.open(collection, request.call, body).await,
            Op::Next => self.next_page(cursor_of(body)?).await,
            Op::Close => {
                self.close_cursor(cursor_of(body)?);
                Ok(Answer::None)
            }
            Op::Delete => self.delete(collection, body).await,
            Op::Export => self.export(collection, body).await,
            Op::Merge => self.merge(number, body).await,
            Op::Inspect => self.inspect(collection).await,
            Op::Ping => self.command(rawdoc! { "ping": 1 }).await.map(|_| Answer::None),
            Op::Find | Op::Upsert => Ok(Answer::None),
        }
    }
}

fn cursor_of(body: &RawDocument) -> Outcome<CallId> {
    match get(body, "cursor")? {
        Some(RawBsonRef::Int32(number)) => Ok(number.cast_unsigned()),
        _ => Ok(0),
    }
}
