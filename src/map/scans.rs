//! The scans of a store: who waits for which page, and what a step sends.

use std::ops::Range;

use crate::error::{Code, Error, Result};
use crate::map::backend::Backend;
use crate::map::op::{Op, Outcome, Outcomes, ScanId};
use crate::map::request::{Keys, Request};
use crate::map::running::Running;
use crate::map::scan::{Answer, Command, Kind, Scan, Step};
use crate::map::store::Store;
use crate::redis::by_peer::PeerId;
use crate::redis::epoch::Epoch;

/// What a demand for a page leads to.
pub enum Demand {
    /// The call waits.
    Queued,
    /// The answer is there already.
    Now(Outcome),
}

impl Store {
    /// A scan over the keys that begin with `prefix`. Nothing is sent before its first demand.
    /// `tracked`: its keys may stand in the near cache.
    pub fn open_scan(&mut self, kind: Kind, prefix: &[u8], tracked: bool) -> ScanId {
        let id = self.next_scan;
        self.next_scan = self.next_scan.wrapping_add(1);
        let scan = Scan::new(kind, self.scan_count, self.scan_count_max);
        self.scans.insert(id, Running::new(scan, prefix, tracked));
        id
    }

    /// Forgets a scan; replies on their way are dropped.
    pub fn close_scan(&mut self, id: ScanId) {
        self.scans.remove(&id);
    }

    /// Tells scans under which epoch a server answers now: what holds a cursor of another run of it begins anew.
    pub fn scans_answered_under(&mut self, epoch: Epoch) {
        self.scans.values_mut().for_each(|running| running.scan.answered_under(epoch));
    }

    /// Whether any scan depends on the run of a server that has answered it so far.
    #[must_use]
    pub fn has_cursors_of(&self, peer: PeerId) -> bool {
        self.scans.values().any(|running| running.scan.is_bound(peer))
    }

    /// The next page of a scan. Each scan has one caller at a time.
    pub fn demand(&mut self, to: &mut impl Backend, id: ScanId) -> Result<Demand> {
        let Some(running) = self.scans.get_mut(&id) else {
            return Err(Error::new(Code::Closed, "The iteration was ended by close()"));
        };
        if let Some(error) = running.failed.take() {
            self.scans.remove(&id);
            return Err(error);
        }
        if to.shares_keys() {
            running.scan.in_cluster();
        }
        running.scan.of_servers(to.servers());
        let call = self.next_call;
        running.caller = Some(call);
        if !running.scan.has_servers() {
            // Whoever answers this, the servers are known then.
            if let Err(error) = to.submit(Op::Begun(id), &Request::Exists(Keys::One(&running.prefix))) {
                self.scans.remove(&id);
                return Err(error);
            }
            self.next_call += 1;
            return Ok(Demand::Queued);
        }
        let step = running.scan.demand();
        let mut outcomes = Vec::new();
        self.carry_out(to, id, step, &(0..0), &mut outcomes);
        match outcomes.pop() {
            Some((_, Outcome::Failed(error))) => Err(error),
            Some((_, outcome)) => Ok(Demand::Now(outcome)),
            None => {
                self.next_call += 1;
                Ok(Demand::Queued)
            }
        }
    }

    /// Sends what a step wants to be sent and settles what it answers.
    pub(super) fn carry_out(
        &mut self,
        to: &mut impl Backend,
        id: ScanId,
        step: Step,
        values: &Range<usize>,
        outcomes: &mut Outcomes,
    ) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        for command in step.commands {
            let queued = match command {
                Command::Scan { of, cursor, count } => {
                    to.submit(Op::Scan(id), &Request::Scan { of, cursor: &cursor, pattern: &running.pattern, count })
                }
                Command::Marks(of) => to.submit(Op::Marks(id, of), &Request::Marks(of)),
                Command::InSlot(of, slot) => to.submit(Op::InSlot(id), &Request::InSlot(of, slot)),
                Command::Values => {
                    let page = running.scan.current().expect("values are of the current page");
                    to.submit(Op::Values(id), &Request::Values(page))
                }
                Command::Delete(page) => {
                    if running.tracked {
                        page.iter().for_each(|key| self.ids.forget(key));
                    }
                    to.submit(Op::Deleted(id), &Request::Del(Keys::Page(&page)))
                }
            };
            if let Err(error) = queued {
                self.fail_scan(id, error, outcomes);
                return;
            }
        }
        let Some(answer) = step.answer else {
            // All servers have left. As at the beginning.
            if !running.scan.has_servers()
                && running.caller.is_some()
                && let Err(error) = to.submit(Op::Begun(id), &Request::Exists(Keys::One(&running.prefix)))
            {
                self.fail_scan(id, error, outcomes);
            }
            return;
        };
        let (kind, prefix) = (running.scan.kind(), running.prefix.len());
        let Some(call) = running.caller.take() else { return };
        let outcome = match answer {
            Answer::Keys(page) => Outcome::Keys(page, prefix),
            Answer::Values(page) if kind == Kind::Pairs => Outcome::Pairs(page, prefix, values.clone()),
            Answer::Values(_) => Outcome::Values(values.clone()),
            Answer::Count(count) => Outcome::Number(count),
            Answer::End if kind == Kind::Clear => Outcome::Undefined,
            Answer::End => Outcome::Null,
        };
        if matches!(outcome, Outcome::Null | Outcome::Undefined | Outcome::Number(_)) {
            self.scans.remove(&id);
        }
        outcomes.push((call, outcome));
    }

    /// A server was left, and will not answer any more: what a scan asked it for is there to be found at others.
    pub fn server_left(&mut self, to: &mut impl Backend, op: &Op, why: Error, outcomes: &mut Outcomes) {
        if let Op::Scan(id) | Op::InSlot(id) | Op::Marks(id, _) = op
            && let Some(running) = self.scans.get_mut(id)
        {
            running.scan.of_servers(to.servers());
            let step = match op {
                Op::Marks(_, of) => running.scan.told(*of, None, to.is_opening()),
                _ => running.scan.left(),
            };
            self.carry_out(to, *id, step, &(0..0), outcomes);
        } else {
            self.fail(to, op, why, outcomes);
        }
    }

    /// Ends a scan with an error: whoever waits gets it, or else whoever asks next.
    pub(super) fn fail_scan(&mut self, id: ScanId, error: Error, outcomes: &mut Outcomes) {
        let Some(running) = self.scans.get_mut(&id) else { return };
        if let Some(call) = running.caller.take() {
            self.scans.remove(&id);
            outcomes.push((call, Outcome::Failed(error)));
        } else {
            running.failed = Some(error);
        }
    }
}
