//! The rules, one by one.

use super::known::{Failure, Link, Master, Number, Other};
use super::roster::{Action, Sentinels};
use super::search::Found;
use super::wire::{Heard, Question};
use crate::config::SentinelConfig;
use crate::redis::{MILLI, Nanos};

const SECOND: Nanos = 1_000 * MILLI;

fn seeds(count: u16) -> Sentinels {
    let seeds = (1..=count).map(|port| ("s".to_owned(), port)).collect();
    Sentinels::new(&SentinelConfig { master: "mymaster".to_owned(), seeds, credentials: None })
}

fn master(port: u16) -> Master {
    Master { host: "m".to_owned(), port }
}

fn other(port: u16) -> Other {
    Other { host: "s".to_owned(), port, run: Some(format!("run{port}")) }
}

fn actions(sentinels: &mut Sentinels) -> Vec<Action> {
    std::iter::from_fn(|| sentinels.action()).collect()
}

/// The sentinels whose connection is to be opened, or that are asked for the master.
fn turned_to(sentinels: &mut Sentinels) -> Vec<Number> {
    let turned = |action| match action {
        Action::Open(number) | Action::Ask(number, Question::Master(_)) => Some(number),
        _ => None,
    };
    actions(sentinels).into_iter().filter_map(turned).collect()
}

/// A sentinel answers: its connection is up, it is who it is, it lists no others at first, and names a master.
fn answers(sentinels: &mut Sentinels, number: Number, search: u32, names: Option<u16>, now: Nanos) {
    if sentinels.of(number).unwrap().link != Link::Up {
        sentinels.heard(number, Heard::Ready, now);
    }
    let port = sentinels.of(number).unwrap().port;
    sentinels.heard(number, Heard::Identity(format!("run{port}")), now);
    if sentinels.of(number).is_some_and(|known| known.others.is_none()) {
        sentinels.heard(number, Heard::Others(Vec::new()), now);
    }
    sentinels.heard(number, Heard::Named { search, master: names.map(master), written: now }, now);
}

/// Three sentinels that all name master 1, which is confirmed.
fn agreed(now: Nanos) -> Sentinels {
    let mut sentinels = seeds(3);
    sentinels.seek(now);
    answers(&mut sentinels, 1, 1, Some(1), now);
    assert_eq!(sentinels.found(), Some(Found::Master(master(1))));
    sentinels.confirm();
    sentinels.look(true, now);
    answers(&mut sentinels, 2, 1, Some(1), now);
    answers(&mut sentinels, 3, 1, Some(1), now);
    actions(&mut sentinels);
    sentinels
}

#[test]
fn sentinels_are_asked_in_turn_with_a_short_patience_and_one_answer_is_enough() {
    let mut sentinels = seeds(3);
    sentinels.seek(SECOND);
    assert_eq!(turned_to(&mut sentinels), [1]);
    sentinels.look(true, SECOND + 200 * MILLI);
    assert!(turned_to(&mut sentinels).is_empty());
    sentinels.look(true, SECOND + 300 * MILLI);
    assert_eq!(turned_to(&mut sentinels), [2]);
    answers(&mut sentinels, 2, 1, Some(7), SECOND + 310 * MILLI);
    assert_eq!(sentinels.found(), Some(Found::Master(master(7))));
    assert!(!sentinels.is_searching());
}

#[test]
fn who_cannot_be_reached_is_passed_over_at_once() {
    let mut sentinels = seeds(2);
    sentinels.seek(SECOND);
    assert_eq!(turned_to(&mut sentinels), [1]);
    sentinels.failed(1, Failure::Away("connect ECONNREFUSED".to_owned()), SECOND);
    assert_eq!(turned_to(&mut sentinels), [2]);
    sentinels.failed(2, Failure::Away("connect ECONNREFUSED".to_owned()), SECOND);
    let Some(Found::Nothing(why)) = sentinels.found() else { panic!("nobody was reached") };
    assert_eq!(why, "no sentinel names the master mymaster (s:1: connect ECONNREFUSED; s:2: connect ECONNREFUSED)");
    // And that is not the end: the next attempt asks them all again.
    sentinels.seek(2 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [1]);
}

#[test]
fn the_one_that_answered_last_is_asked_first_unless_its_word_came_to_nothing() {
    let mut sentinels = seeds(3);
    sentinels.seek(SECOND);
    sentinels.failed(1, Failure::Away("away".to_owned()), SECOND);
    answers(&mut sentinels, 2, 1, Some(1), SECOND);
    sentinels.found();
    sentinels.confirm();
    actions(&mut sentinels);
    sentinels.seek(2 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [2], "its word was good");
    answers(&mut sentinels, 2, 2, Some(1), 2 * SECOND);
    sentinels.found();
    actions(&mut sentinels);
    sentinels.seek(3 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [3], "it led nowhere");
}

#[test]
fn only_an_answer_to_a_question_of_this_search_counts() {
    let mut sentinels = agreed(SECOND);
    sentinels.seek(2 * SECOND);
    answers(&mut sentinels, 1, 1, Some(1), 2 * SECOND);
    assert_eq!(sentinels.found(), None);
    answers(&mut sentinels, 1, 2, Some(1), 2 * SECOND);
    assert_eq!(sentinels.found(), Some(Found::Master(master(1))));
}

#[test]
fn a_name_that_all_do_not_know_and_a_refusal_by_all_are_final_and_anything_else_is_not() {
    let mut sentinels = seeds(2);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, None, SECOND);
    answers(&mut sentinels, 2, 1, None, SECOND);
    let Some(Found::Unknown(why)) = sentinels.found() else { panic!("nobody knows it") };
    assert!(why.contains("no master named mymaster: s:1, s:2"), "{why}");

    let mut sentinels = seeds(2);
    sentinels.seek(SECOND);
    for number in [1, 2] {
        sentinels.heard(number, Heard::Failed(Failure::Refused("WRONGPASS no".to_owned())), SECOND);
    }
    let Some(Found::Refused(why)) = sentinels.found() else { panic!("all refuse") };
    assert!(why.starts_with("WRONGPASS no"), "{why}");

    let mut sentinels = seeds(2);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, None, SECOND);
    sentinels.heard(2, Heard::Failed(Failure::Refused("WRONGPASS no".to_owned())), SECOND);
    let Some(Found::Nothing(why)) = sentinels.found() else { panic!("the one may learn, and the other forgive") };
    assert!(why.contains("s:1: it knows no such master; s:2: WRONGPASS no"), "{why}");
}

#[test]
fn the_lease_rests_on_a_majority_and_counts_from_when_the_last_of_it_was_asked() {
    let mut sentinels = seeds(3);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, Some(1), SECOND);
    sentinels.confirm();
    assert_eq!((sentinels.majority(), sentinels.attested()), (2, None));
    sentinels.look(true, 2 * SECOND);
    answers(&mut sentinels, 2, 1, Some(1), 2 * SECOND);
    assert_eq!(sentinels.attested(), Some(SECOND));
    answers(&mut sentinels, 3, 1, Some(1), 3 * SECOND);
    assert_eq!(sentinels.attested(), Some(2 * SECOND));
    answers(&mut sentinels, 3, 1, Some(2), 4 * SECOND);
    answers(&mut sentinels, 2, 1, Some(2), 4 * SECOND);
    assert_eq!(sentinels.attested(), None, "a majority names another one");
}

#[test]
fn whom_the_sentinels_list_counts_for_the_majority_also_after_the_connection_is_lost() {
    let mut sentinels = seeds(1);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, Some(1), SECOND);
    assert_eq!(sentinels.attested(), Some(SECOND), "it is the only one that is known");
    sentinels.heard(1, Heard::Others(vec![other(2), other(3)]), SECOND);
    assert_eq!((sentinels.majority(), sentinels.attested()), (2, None));
    sentinels.failed(1, Failure::Away("lost".to_owned()), SECOND);
    assert_eq!((sentinels.majority(), sentinels.attested()), (2, None));
}

#[test]
fn sentinels_that_others_list_are_opened_and_those_that_nobody_lists_any_more_are_forgotten() {
    let mut sentinels = seeds(1);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, Some(1), SECOND);
    sentinels.heard(1, Heard::Others(vec![other(2), other(3)]), SECOND);
    actions(&mut sentinels);
    sentinels.look(true, SECOND);
    assert_eq!(turned_to(&mut sentinels), [2, 3]);
    answers(&mut sentinels, 2, 1, Some(1), SECOND);
    assert_eq!(sentinels.attested(), Some(SECOND));
    sentinels.failed(3, Failure::Away("gone".to_owned()), SECOND);
    sentinels.heard(1, Heard::Others(vec![other(2)]), SECOND);
    let ports: Vec<_> = sentinels.known().iter().map(|known| known.port).collect();
    assert_eq!(ports, [1, 2]);
}

#[test]
fn one_sentinel_under_two_addresses_has_one_vote() {
    // The configuration has names, the sentinels list addresses.
    let mut sentinels = seeds(2);
    sentinels.seek(SECOND);
    answers(&mut sentinels, 1, 1, Some(1), SECOND);
    sentinels.confirm();
    let listed = |port: u16| Other { host: "10.0.0.1".to_owned(), ..other(port) };
    sentinels.heard(1, Heard::Others(vec![listed(2), listed(3)]), SECOND);
    sentinels.look(true, SECOND);
    assert_eq!(sentinels.known().len(), 4);
    answers(&mut sentinels, 3, 1, Some(1), SECOND);
    assert_eq!(sentinels.known()[2].run.as_deref(), Some("run2"));
    assert_eq!(sentinels.attested(), Some(SECOND));
    sentinels.heard(2, Heard::Ready, SECOND);
    sentinels.heard(2, Heard::Identity("run2".to_owned()), SECOND);
    assert_eq!(sentinels.known().len(), 3, "the address that was listed goes, the configured one stays");

    // Two names of one sentinel in the configuration.
    let mut sentinels = seeds(3);
    sentinels.seek(SECOND);
    for number in [1, 2] {
        sentinels.heard(number, Heard::Ready, SECOND);
        sentinels.heard(number, Heard::Identity("same".to_owned()), SECOND);
        sentinels.heard(number, Heard::Named { search: 1, master: Some(master(1)), written: SECOND }, SECOND);
    }
    assert_eq!(sentinels.attested(), None);
}

#[test]
fn a_sentinel_that_does_not_say_who_it_is_has_no_vote() {
    let mut sentinels = seeds(1);
    sentinels.seek(SECOND);
    sentinels.heard(1, Heard::Ready, SECOND);
    sentinels.heard(1, Heard::Named { search: 1, master: Some(master(1)), written: SECOND }, SECOND);
    assert_eq!(sentinels.found(), Some(Found::Master(master(1))), "but its word is enough to connect");
    assert_eq!(sentinels.attested(), None);
}

#[test]
fn the_master_is_left_for_one_that_a_majority_names_and_one_that_is_silent_for_less() {
    let mut sentinels = agreed(SECOND);
    answers(&mut sentinels, 1, 1, Some(2), 2 * SECOND);
    assert_eq!(sentinels.rival(0), None);
    answers(&mut sentinels, 2, 1, Some(2), 2 * SECOND);
    assert_eq!(sentinels.rival(0), Some(master(2)));
    assert_eq!(sentinels.rival(2 * SECOND + 1), None, "they were asked too long ago");

    let mut silent = seeds(1);
    silent.seek(SECOND);
    silent.heard(1, Heard::Ready, SECOND);
    silent.heard(1, Heard::Identity("run1".to_owned()), SECOND);
    silent.heard(1, Heard::Named { search: 1, master: Some(master(1)), written: SECOND }, SECOND);
    assert_eq!(silent.attested(), None, "nobody knows how many there are");
    silent.heard(1, Heard::Others(Vec::new()), SECOND);
    assert_eq!(silent.attested(), Some(SECOND));

    let mut sentinels = agreed(SECOND);
    sentinels.doubt(Some(2 * SECOND), 2 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [1, 2, 3], "all are asked");
    assert_eq!(sentinels.rival(0), None, "what was said before does not count");
    answers(&mut sentinels, 1, 1, Some(2), 2 * SECOND);
    answers(&mut sentinels, 2, 1, None, 2 * SECOND);
    assert_eq!(sentinels.rival(0), None, "one has not answered yet");
    sentinels.failed(3, Failure::Away("mute".to_owned()), 2 * SECOND);
    assert_eq!(sentinels.rival(0), Some(master(2)));
    answers(&mut sentinels, 2, 1, Some(1), 2 * SECOND);
    assert_eq!(sentinels.rival(0), None, "as many say that it still is");
    sentinels.doubt(None, 2 * SECOND);
    answers(&mut sentinels, 2, 1, None, 2 * SECOND);
    assert_eq!(sentinels.rival(0), None, "it has answered");
}

#[test]
fn where_nobody_waits_a_sentinel_is_not_reached_by_its_name() {
    for (host, waits, reached) in [("s", false, false), ("s", true, true), ("127.0.0.1", false, true)] {
        let seeds = vec![(host.to_owned(), 1)];
        let config = SentinelConfig { master: "mymaster".to_owned(), seeds, credentials: None };
        let mut sentinels = Sentinels::new(&config);
        sentinels.seek(SECOND);
        answers(&mut sentinels, 1, 1, Some(1), SECOND);
        sentinels.failed(1, Failure::Away("gone".to_owned()), SECOND);
        actions(&mut sentinels);
        sentinels.look(waits, 5 * SECOND);
        assert_eq!(turned_to(&mut sentinels) == [1], reached, "{host}, {waits}");
    }
}

#[test]
fn one_word_does_not_stand_against_a_majority() {
    let mut sentinels = agreed(SECOND);
    for number in [2, 3] {
        answers(&mut sentinels, number, 1, Some(2), 2 * SECOND);
    }
    sentinels.seek(2 * SECOND);
    // It was cut off with the old master, and names it for ever.
    answers(&mut sentinels, 1, 2, Some(1), 2 * SECOND + 5 * MILLI);
    assert_eq!(sentinels.found(), Some(Found::Master(master(2))));
    assert_eq!(sentinels.counters().switches, 1);
    // Where the majority's words are old, its word is all there is.
    sentinels.seek(10 * SECOND);
    answers(&mut sentinels, 1, 3, Some(1), 10 * SECOND);
    assert_eq!(sentinels.found(), Some(Found::Master(master(1))));
}

#[test]
fn a_switch_of_this_master_has_all_asked_and_that_of_another_nobody() {
    let mut sentinels = agreed(SECOND);
    let switched = |name: &str| Heard::Switched { name: name.to_owned(), master: master(2) };
    sentinels.heard(1, switched("other"), SECOND);
    assert!(turned_to(&mut sentinels).is_empty());
    assert_eq!(sentinels.attested(), Some(SECOND));
    sentinels.heard(1, switched("mymaster"), SECOND);
    assert_eq!(turned_to(&mut sentinels), [1, 2, 3]);
    assert_eq!(sentinels.rival(0), None, "a majority it is not");
    sentinels.heard(2, switched("mymaster"), SECOND);
    assert_eq!(sentinels.rival(0), Some(master(2)));
    assert_eq!(sentinels.attested(), None);
}

#[test]
fn all_are_asked_again_in_good_time_and_whoever_does_not_answer_is_given_up() {
    let mut sentinels = agreed(SECOND);
    sentinels.look(true, SECOND + 500 * MILLI);
    assert!(turned_to(&mut sentinels).is_empty());
    sentinels.look(true, 2 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [1, 2, 3]);
    answers(&mut sentinels, 1, 1, Some(1), 2 * SECOND);
    answers(&mut sentinels, 2, 1, Some(1), 2 * SECOND);
    sentinels.look(true, 3 * SECOND + 1);
    assert_eq!(sentinels.of(3).unwrap().failure, Some(Failure::Away("it does not answer".to_owned())));
    assert!(actions(&mut sentinels).contains(&Action::Close(3)));
    sentinels.look(true, 4 * SECOND + 2);
    assert!(turned_to(&mut sentinels).contains(&3), "and is opened again");
}

#[test]
fn close_lets_go_of_all_and_the_next_attempt_begins_anew() {
    let mut sentinels = agreed(SECOND);
    sentinels.close();
    assert_eq!(actions(&mut sentinels), [Action::Close(1), Action::Close(2), Action::Close(3)]);
    sentinels.seek(2 * SECOND);
    assert_eq!(turned_to(&mut sentinels), [1]);
}
