//! A tick's requests, sorted into jobs: what can share a round trip is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use mongodb::bson::{RawBsonRef, RawDocument, doc};

use super::reads::Lookup;
use super::session::{Outcome, Session, collection};
use super::writes::Upsert;
use crate::mongo::document::{self, get, part};
use crate::mongo::wire::{Answer, Op, Request};

impl Session {
    /// Carries out the requests of a tick; each call gets its answer when it is there.
    pub(super) fn run(self: Arc<Self>, requests: Vec<Request>) {
        let mut lookups: BTreeMap<usize, Vec<Lookup>> = BTreeMap::new();
        let mut upserts: BTreeMap<usize, Vec<Upsert>> = BTreeMap::new();
        for request in requests {
            if let Err(error) = document::check_depth(&request.body) {
                self.answer(request.call, &what(&request), Err(error.into()));
                continue;
            }
            match request.op {
                Op::Find => match Lookup::new(&request) {
                    Ok(lookup) => lookups.entry(request.collection).or_default().push(lookup),
                    Err(failure) => self.answer(request.call, &what(&request), Err(failure)),
                },
                Op::Upsert => match Upsert::new(&request) {
                    Ok(upsert) => upserts.entry(request.collection).or_default().push(upsert),
                    Err(failure) => self.answer(request.call, &what(&request), Err(failure)),
                },
                _ => {
                    let session = Arc::clone(&self);
                    self.spawn(async move {
                        let outcome = session.one(&request).await;
                        session.answer(request.call, &what(&request), outcome);
                    });
                }
            }
        }
        for (number, lookups) in lookups {
            let session = Arc::clone(&self);
            self.spawn(async move { session.look_up(number, lookups).await });
        }
        for (number, upserts) in upserts {
            let session = Arc::clone(&self);
            self.spawn(async move { session.upsert_all(number, upserts).await });
        }
    }

    /// A request that travels alone.
    async fn one(self: &Arc<Self>, request: &Request) -> Outcome<Answer> {
        let (number, body) = (request.collection, &*request.body);
        let collection = collection(number);
        match request.op {
            Op::SoftRemove => self.soft_remove(number, &document::key(collection, part(body, "k")?)?).await,
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
            Op::Ping => self.command((&doc! { "ping": 1 }).try_into()?).await.map(|_| Answer::None),
            Op::Find | Op::Upsert => Ok(Answer::None),
        }
    }
}

fn cursor_of(body: &RawDocument) -> Outcome<u32> {
    match get(body, "cursor")? {
        Some(RawBsonRef::Int32(number)) => Ok(number.cast_unsigned()),
        _ => Ok(0),
    }
}

/// What was attempted, for messages.
fn what(request: &Request) -> String {
    if request.op == Op::Ping {
        "ping".to_owned()
    } else {
        format!("{:?} {}", request.op, collection(request.collection).name)
    }
}
