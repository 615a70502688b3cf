//! What to do when a write was not answered, or was answered by an error.

use crate::error::Code;
use crate::mongo::failure::Failure;

/// Why a write may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The server knows it by its number, and does nothing twice.
    Numbered,
    /// Doing it twice changes nothing more.
    Harmless,
    /// It may not: somebody else may have written in between.
    Never,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Next {
    /// Send the same once more.
    Again,
    /// Look whether it was carried out.
    FindOut(Failure),
    /// Tell the caller.
    Failed(Failure),
}

/// Codes of servers that do not know what became of a numbered command: no longer, or because they know no numbers any more.
const FORGOTTEN: [i32; 3] = [217, 225, 20];

/// A write under way.
#[derive(Debug)]
pub struct Delivery {
    repeat: Repeat,
    /// An earlier one may have been carried out.
    in_doubt: bool,
    /// One of them was sent and never answered.
    unanswered: bool,
}

impl Delivery {
    /// Before it is sent.
    #[must_use]
    pub const fn new(repeat: Repeat) -> Self {
        Self { repeat, in_doubt: false, unanswered: false }
    }

    /// Whether the server may still get it, or carry it out, whatever the caller was told.
    #[must_use]
    pub const fn may_come_late(&self) -> bool {
        self.unanswered
    }

    /// It was sent, or was to be, and failed. `more`: it may be sent once more.
    pub fn failed(&mut self, failure: Failure, more: bool) -> Next {
        self.unanswered |= failure.unanswered();
        let doubtful = failure.doubtful();
        if failure.transient {
            if doubtful && self.repeat == Repeat::Never {
                return Next::FindOut(failure);
            }
            let unknown = self.in_doubt || doubtful;
            if more {
                self.in_doubt = unknown;
                return Next::Again;
            }
            return Next::Failed(if unknown { failure.unknown() } else { failure });
        }
        let answered = failure.server.is_some() && !FORGOTTEN.contains(&failure.server_code());
        if self.in_doubt && !answered {
            return Next::Failed(failure.unknown());
        }
        Next::Failed(if doubtful && failure.error.code == Code::MongoTimeout { late(failure) } else { failure })
    }
}

/// A write that was sent, and not answered before the deadline.
fn late(mut failure: Failure) -> Failure {
    failure.error.message.push_str("; outcome unknown: it may be written, now or later");
    failure
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::error::Error;

    fn lost() -> Failure {
        Failure { transient: true, sent: true, ..Error::new(Code::MongoUnavailable, "reset").into() }
    }

    fn unsent() -> Failure {
        Failure { sent: false, ..lost() }
    }

    fn absent() -> Failure {
        Error::new(Code::MongoUnavailable, "no server").into()
    }

    fn timeout(sent: bool) -> Failure {
        Failure { sent, ..Error::new(Code::MongoTimeout, "no answer").into() }
    }

    fn said(code: i32, transient: bool) -> Failure {
        Failure { transient, ..Failure::from_server(&rawdoc! { "code": code, "errmsg": "words" }) }
    }

    /// The code that the caller is told, after these failures; none where it is to be found out.
    fn told(repeat: Repeat, failures: Vec<Failure>) -> Option<Code> {
        let mut delivery = Delivery::new(repeat);
        let last = failures.len() - 1;
        for (place, failure) in failures.into_iter().enumerate() {
            match (delivery.failed(failure, place == 0), place == last) {
                (Next::Again, false) => {}
                (Next::Failed(failure), true) => return Some(failure.error.code),
                (Next::FindOut(_), true) => return None,
                (next, _) => panic!("{next:?} after {place}"),
            }
        }
        None
    }

    #[test]
    fn what_the_server_says_is_the_outcome_also_of_a_command_that_was_sent_twice() {
        assert_eq!(told(Repeat::Numbered, vec![said(11_000, false)]), Some(Code::MongoWrite));
        assert_eq!(told(Repeat::Numbered, vec![lost(), said(11_000, false)]), Some(Code::MongoWrite));
    }

    #[test]
    fn what_may_have_been_carried_out_and_is_not_answered_is_unknown() {
        for repeat in [Repeat::Numbered, Repeat::Harmless] {
            for last in [
                lost(),
                unsent(),
                absent(),
                timeout(true),
                timeout(false),
                said(217, false),
                said(20, false),
                said(91, true),
            ] {
                assert_eq!(told(repeat, vec![lost(), last]), Some(Code::MongoUnknown));
            }
        }
    }

    #[test]
    fn what_was_never_sent_failed_for_want_of_a_server() {
        for repeat in [Repeat::Numbered, Repeat::Harmless, Repeat::Never] {
            assert_eq!(told(repeat, vec![absent()]), Some(Code::MongoUnavailable));
            assert_eq!(told(repeat, vec![unsent(), unsent()]), Some(Code::MongoUnavailable));
            assert_eq!(told(repeat, vec![unsent(), absent()]), Some(Code::MongoUnavailable));
        }
    }

    #[test]
    fn a_server_that_is_not_primary_has_done_nothing_and_one_that_goes_down_may_have() {
        assert_eq!(told(Repeat::Numbered, vec![said(10_107, true), said(10_107, true)]), Some(Code::MongoWrite));
        assert_eq!(told(Repeat::Numbered, vec![said(10_107, true), said(91, true)]), Some(Code::MongoUnknown));
        assert_eq!(told(Repeat::Never, vec![said(91, true)]), None);
        assert_eq!(told(Repeat::Never, vec![said(10_107, true), said(10_107, true)]), Some(Code::MongoWrite));
    }

    #[test]
    fn what_was_sent_and_not_answered_may_come_late_whatever_came_of_sending_it_again() {
        let late = |failures: Vec<Failure>| {
            let mut delivery = Delivery::new(Repeat::Numbered);
            for failure in failures {
                delivery.failed(failure, true);
            }
            delivery.may_come_late()
        };
        for failures in [
            vec![timeout(true)],
            vec![lost()],
            vec![lost(), said(11_000, false)],
            vec![unsent(), timeout(true)],
            vec![said(89, true)],
        ] {
            assert!(late(failures.clone()), "{failures:?}");
        }
        for failures in
            [vec![], vec![timeout(false)], vec![unsent(), absent()], vec![said(10_107, true), said(11_000, false)]]
        {
            assert!(!late(failures.clone()), "{failures:?}");
        }
    }

    #[test]
    fn as_long_as_there_is_more_time_the_same_is_sent_and_a_doubt_stays() {
        let mut delivery = Delivery::new(Repeat::Numbered);
        for failure in [lost(), unsent(), said(10_107, true), said(91, true), unsent()] {
            assert!(matches!(delivery.failed(failure, true), Next::Again));
        }
        let Next::Failed(failure) = delivery.failed(unsent(), false) else { panic!("no time is left") };
        assert_eq!(failure.error.code, Code::MongoUnknown);
    }

    #[test]
    fn what_may_not_be_repeated_is_found_out() {
        assert_eq!(told(Repeat::Never, vec![lost()]), None);
        assert_eq!(told(Repeat::Never, vec![unsent(), lost()]), None);
    }

    #[test]
    fn a_deadline_says_whether_the_outcome_is_unknown() {
        let message = |sent| match Delivery::new(Repeat::Numbered).failed(timeout(sent), true) {
            Next::Failed(failure) => failure.error.message,
            next => panic!("{next:?}"),
        };
        assert!(message(true).contains("outcome unknown"));
        assert!(!message(false).contains("outcome unknown"));
        assert_eq!(told(Repeat::Never, vec![timeout(true)]), Some(Code::MongoTimeout));
    }
}
