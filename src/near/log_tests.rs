//! Unit tests and a simulation of [`super::log::Log`].

use std::collections::HashMap;

use proptest::prelude::*;

use super::entry::{Entry, KeyState};
use super::fingerprint::Fingerprint;
use super::homes::Home;
use super::log::Log;

fn key(number: usize) -> Fingerprint {
    let hash = xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes());
    Fingerprint([hash, number as u64])
}

const K: Fingerprint = Fingerprint([7 << 32, 7]);

const fn holding(state: KeyState<'_>) -> Entry<'_> {
    Entry { state, own: false, ends: 1 << 40, brief: false, home: Home::of(7) }
}

fn put(log: &mut Log, key: Fingerprint, text: &[u8]) {
    log.insert(key, holding(KeyState::Text(text)), |_| false);
}

fn has(log: &Log, number: usize) -> bool {
    log.peek(key(number)).is_some()
}

#[test]
fn an_entry_comes_back_as_it_was() {
    let mut log = Log::new(1 << 20);
    let states =
        [KeyState::Absent, KeyState::Present, KeyState::Text(b""), KeyState::Text(b"665f1b2c3d4e5f6071829304")];
    let mut expected = Vec::new();
    for state in states {
        for (own, brief) in [(false, false), (true, false), (false, true)] {
            for ends in [0, 1234, 1 << 40, (1 << 60) - 1] {
                expected.push(Entry { state, own, ends, brief, home: Home::of(u16::MAX - 1) });
            }
        }
    }
    for (number, &entry) in expected.iter().enumerate() {
        log.insert(key(number), entry, |_| false);
    }
    for (number, &entry) in expected.iter().enumerate() {
        assert_eq!(log.get(key(number)), Some(entry));
    }
    log.insert(K, Entry { ends: u64::MAX, ..expected[0] }, |_| false);
    assert_eq!(log.get(K).unwrap().ends, (1 << 60) - 1, "for ever is 36 years");
}

#[test]
fn keys_of_one_tag_are_kept_apart() {
    let key = |number: usize| Fingerprint([(42 << 32) + number as u64 % 5, number as u64]);
    let text = |number: usize| number.to_string().into_bytes();
    let mut log = Log::new(1 << 20);
    for number in 0..50 {
        put(&mut log, key(number), &text(number));
    }
    for number in (0..50).step_by(2) {
        log.remove(key(number));
    }
    for number in 0..50 {
        let expected = (number % 2 == 1).then(|| text(number));
        assert_eq!(log.get(key(number)), expected.as_deref().map(|text| holding(KeyState::Text(text))));
    }
}

#[test]
fn what_is_asked_for_stays_and_the_rest_goes_oldest_first() {
    let mut log = Log::new(256 * 1024);
    let mut last = 0;
    for number in 0..100_000 {
        put(&mut log, key(number), b"665f1b2c3d4e5f6071829304");
        // Ten keys are asked for again and again.
        for favourite in 0..10.min(number) {
            assert!(log.get(key(favourite)).is_some(), "{favourite} went at {number}");
        }
        last = number;
    }
    assert!(log.len() > 2_000, "{} entries", log.len());
    let newest = (0..=last).rev().take_while(|&number| has(&log, number)).count();
    assert!(newest + 10 >= log.len(), "{newest} of {} are the newest", log.len());
}

#[test]
fn many_favourites_do_not_keep_new_entries_out() {
    let mut log = Log::new(64 * 1024);
    for number in 0..10_000 {
        put(&mut log, key(number), b"665f1b2c3d4e5f6071829304");
        assert!(log.get(key(number)).is_some(), "all are asked for");
    }
    assert!(log.len() > 400 && log.bytes() <= 64 * 1024, "{} entries in {} bytes", log.len(), log.bytes());
}

#[test]
fn what_is_too_large_is_forgotten() {
    let mut log = Log::new(1 << 20);
    put(&mut log, K, b"small");
    put(&mut log, K, &vec![b'x'; 70_000]);
    assert_eq!(log.get(K), None);
    assert_eq!(log.len(), 0);
    put(&mut log, K, &vec![b'x'; 60_000]);
    assert_eq!(log.len(), 1);
}

#[test]
fn segments_whose_records_are_gone_are_given_back() {
    let mut log = Log::new(64 << 20);
    for round in 0..100 {
        for number in 0..10_000 {
            put(&mut log, key(number), format!("{round}").as_bytes());
        }
    }
    assert_eq!(log.len(), 10_000);
    assert!(log.bytes() < 2 << 20, "{} bytes for a few hundred thousand", log.bytes());
    for number in 0..10_000 {
        log.remove(key(number));
    }
    assert_eq!(log.len(), 0);
    put(&mut log, K, b"v");
    log.clear();
    assert_eq!((log.len(), log.bytes()), (0, 0));
    assert_eq!(log.get(K), None);
}

#[test]
fn one_key_that_changes_all_the_time_takes_no_more_room_than_one() {
    let mut log = Log::new(64 << 20);
    for round in 0..100_000 {
        put(&mut log, K, format!("{round}").as_bytes());
        if round % 3 == 0 {
            log.remove(K);
        }
        assert!(log.bytes() < 2 * 64 * 1024, "{} bytes after {round}", log.bytes());
    }
}

/// Where neither the index nor the log may grow, in any proportion of the two.
#[test]
fn every_bound_holds_and_what_is_found_is_right() {
    for bound in (0..6_000).step_by(97).chain([8_192, 10_000, 20_000, 66_000, 70_001]) {
        for (length, every) in [(0, 1), (0, 0), (24, 1), (24, 3), (24, 0), (460, 1), (486, 3), (5_000, 1)] {
            let mut log = Log::new(bound);
            let text = |number: usize| [b'a' + u8::try_from(number % 26).unwrap()].repeat(length);
            for number in 0..2_000 {
                put(&mut log, key(number), &text(number));
                // None, a third or all of them are asked for.
                for back in (number.saturating_sub(5)..=number).filter(|&back| every > 0 && back % every == 0) {
                    let found = log.get(key(back));
                    assert!(found.is_none_or(|entry| entry == holding(KeyState::Text(&text(back)))), "{back}");
                }
                if number % 7 == 0 {
                    log.remove(key(number / 2));
                    assert!(!has(&log, number / 2));
                }
                assert!(log.bytes() as u64 <= bound, "{} of {bound} bytes", log.bytes());
            }
        }
    }
}

#[test]
fn what_stays_is_left_as_it_was() {
    let mut log = Log::new(1 << 20);
    put(&mut log, K, b"first");
    let bytes = log.bytes();
    let known = |entry: Entry<'_>| entry.state == KeyState::Text(b"first");
    assert!(!log.insert(K, holding(KeyState::Absent), known), "nothing was remembered");
    assert_eq!((log.get(K).unwrap().state, log.bytes()), (KeyState::Text(b"first"), bytes));
    assert!(log.insert(K, holding(KeyState::Absent), |_| false));
    assert_eq!(log.get(K).unwrap().state, KeyState::Absent);
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, usize),
    Remove(usize),
    Get(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..200usize;
    prop_oneof![
        10 => (number.clone(), 0..100usize).prop_map(|(number, length)| Step::Insert(number, length)),
        3 => number.clone().prop_map(Step::Remove),
        10 => number.prop_map(Step::Get),
        1 => (0..20usize).prop_map(|die| if die == 0 { Step::Clear } else { Step::Get(die) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is done, a key has what was last remembered of it or nothing; and all of it where there is room enough.
    #[test]
    fn it_is_a_map_that_may_forget(
        steps in prop::collection::vec(step(), 1..400),
        max_bytes in prop_oneof![Just(4_096u64), 4_096..40_000u64, Just(1 << 24)],
        // Few tags, so that keys stand behind each other.
        tags in prop_oneof![1..8u64, Just(u64::MAX)],
    ) {
        let key = |number: usize| Fingerprint([(key(number).0[0].rotate_left(32) % tags) << 32, number as u64]);
        let mut log = Log::new(max_bytes);
        let mut model = HashMap::new();
        for step in steps {
            match step {
                Step::Insert(number, length) => {
                    let text = number.to_string().repeat(length).into_bytes();
                    log.insert(key(number), holding(KeyState::Text(&text)), |_| false);
                    model.insert(number, text);
                }
                Step::Remove(number) => {
                    log.remove(key(number));
                    model.remove(&number);
                }
                Step::Get(number) => {
                    let found = log.get(key(number));
                    let expected = model.get(&number).map(|text| holding(KeyState::Text(text)));
                    prop_assert!(found == expected || found.is_none() && max_bytes < 1 << 24);
                }
                Step::Clear => {
                    log.clear();
                    model.clear();
                }
            }
            prop_assert!(log.bytes() as u64 <= max_bytes);
        }
        let mut entries = 0;
        for (name, entry) in log.iter() {
            entries += 1;
            let number = (0..200).find(|&number| key(number) == name).unwrap();
            prop_assert_eq!(Some(entry), model.get(&number).map(|text| holding(KeyState::Text(text))));
        }
        prop_assert_eq!(entries, log.len());
        prop_assert!(max_bytes < 1 << 24 || entries == model.len());
    }
}
