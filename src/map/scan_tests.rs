//! Unit tests of [`super`].

use proptest::prelude::*;

use super::*;

/// Answers a scan's commands from prepared SCAN pages; returns the pages that were answered and the largest number
/// of round trips that any demand took.
struct Redis {
    pages: Vec<Vec<&'static str>>,
    deleted: Vec<Vec<u8>>,
    round_trips: usize,
}

impl Redis {
    fn answer(&mut self, scan: &mut Scan, mut step: Step) -> (Answer, Vec<Command>) {
        let mut sent = Vec::new();
        while step.answer.is_none() {
            assert!(!step.commands.is_empty(), "a scan that waits for nothing");
            self.round_trips += 1;
            let mut next = Step::default();
            for command in std::mem::take(&mut step.commands) {
                sent.push(command.clone());
                let then = self.reply(scan, command);
                next.commands.extend(then.commands);
                next.answer = next.answer.or(then.answer);
            }
            step = next;
        }
        // What went out with the answer (a SCAN ahead) is answered before the next demand.
        for command in step.commands {
            sent.push(command.clone());
            let then = self.reply(scan, command);
            assert!(then.answer.is_none() && then.commands.is_empty(), "nothing runs further ahead");
        }
        (step.answer.unwrap(), sent)
    }

    fn reply(&mut self, scan: &mut Scan, command: Command) -> Step {
        match command {
            Command::Scan { cursor, .. } => {
                let at: usize = String::from_utf8(cursor).unwrap().parse().unwrap();
                let next = if at + 1 < self.pages.len() { at + 1 } else { 0 };
                scan.scanned(next.to_string().as_bytes(), self.pages[at].iter().map(|key| key.as_bytes()))
            }
            Command::Values => scan.values_arrived(),
            Command::Delete(page) => {
                self.deleted.extend(page.iter().map(<[u8]>::to_vec));
                scan.deleted()
            }
            Command::Marks(_) | Command::InSlot(..) => panic!("there is one server"),
        }
    }
}

fn of_one_server(kind: Kind, count: u32, count_max: u32) -> Scan {
    let mut scan = Scan::new(kind, count, count_max);
    scan.of_servers([Epoch::default()].into_iter());
    scan
}

fn collect(kind: Kind, pages: Vec<Vec<&'static str>>) -> (Vec<String>, Redis) {
    let mut redis = Redis { pages, deleted: Vec::new(), round_trips: 0 };
    let mut scan = of_one_server(kind, 100, 1_000);
    let mut keys = Vec::new();
    loop {
        let step = scan.demand();
        match redis.answer(&mut scan, step).0 {
            Answer::Keys(page) | Answer::Values(page) => {
                keys.extend(page.iter().map(|key| String::from_utf8(key.to_vec()).unwrap()));
            }
            Answer::End => return (keys, redis),
            Answer::Count(count) => return (vec![count.to_string()], redis),
        }
    }
}

#[test]
fn a_key_that_redis_names_twice_counts_once() {
    let pages = vec![vec!["a", "b"], vec!["a"], vec![], vec!["b", "c"]];
    assert_eq!(collect(Kind::Keys, pages.clone()).0, ["a", "b", "c"]);
    assert_eq!(collect(Kind::Pairs, pages.clone()).0, ["a", "b", "c"]);
    assert_eq!(collect(Kind::Count, pages).0, ["3"]);
}

#[test]
fn the_values_of_a_page_travel_with_the_next_scan() {
    let pages = vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"]];
    // One SCAN to begin with, then one round trip a page.
    assert_eq!(collect(Kind::Pairs, pages.clone()).1.round_trips, 5);
    assert_eq!(collect(Kind::Clear, pages).1.round_trips, 5);
}

#[test]
fn a_clear_deletes_everything_and_ends_after_the_last_deletion() {
    let (_, redis) = collect(Kind::Clear, vec![vec!["a", "b"], vec![], vec!["c"]]);
    assert_eq!(redis.deleted, [b"a", b"b", b"c"]);
}

#[test]
fn the_count_doubles_to_its_bound() {
    let mut scan = of_one_server(Kind::Count, 100, 1_000);
    let mut step = scan.demand();
    let mut counts = Vec::new();
    for _ in 0..6 {
        let Some(Command::Scan { count, .. }) = step.commands.pop() else { panic!("{step:?}") };
        counts.push(count);
        step = scan.scanned(b"1", std::iter::empty());
    }
    assert_eq!(counts, [100, 200, 400, 800, 1_000, 1_000]);
}

#[test]
fn nothing_is_asked_before_the_first_demand_and_one_scan_runs_ahead() {
    let mut scan = of_one_server(Kind::Keys, 100, 100);
    let step = scan.demand();
    assert_eq!(step.commands.len(), 1);
    let step = scan.scanned(b"7", [b"a".as_slice()].into_iter());
    assert!(matches!(step.answer, Some(Answer::Keys(_))));
    assert_eq!(step.commands.len(), 1, "the next SCAN goes out with the answer");
    let step = scan.scanned(b"8", [b"b".as_slice()].into_iter());
    assert_eq!(step, Step::default(), "and then it waits");
}

proptest! {
    #[test]
    fn every_kind_of_scan_finds_every_key_once(
        pages in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e", "f"]), 0..5), 1..8)
    ) {
        let mut expected: Vec<_> = pages.concat();
        expected.sort_unstable();
        expected.dedup();
        for kind in [Kind::Keys, Kind::Pairs, Kind::Values] {
            let mut keys = collect(kind, pages.clone()).0;
            keys.sort_unstable();
            prop_assert_eq!(&keys, &expected);
        }
        prop_assert_eq!(collect(Kind::Count, pages.clone()).0, [expected.len().to_string()]);
        let mut deleted = collect(Kind::Clear, pages).1.deleted;
        deleted.sort_unstable();
        deleted.dedup();
        prop_assert_eq!(deleted.len(), expected.len());
    }
}
