//! Unit tests of [`super`]: pauses, attempts for nobody, limits of a step.

use super::*;

fn waiting(supervisor: &Supervisor) -> Nanos {
    match supervisor.state() {
        State::Waiting(at) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pauses_grow_to_the_longest_and_stay_there() {
    let mut supervisor = Supervisor::new(7);
    let mut now = 0;
    assert!(supervisor.wanted(now));
    let mut pauses = Vec::new();
    for _ in 0..50 {
        supervisor.failed(now);
        let at = waiting(&supervisor);
        pauses.push(at - now);
        assert_eq!(supervisor.due(at - 1, Asked::Somebody), Due::Nothing);
        now = at;
        assert_eq!(supervisor.due(now, Asked::Somebody), Due::Attempt);
    }
    assert!(pauses[0] <= 40 * MILLI);
    assert!(pauses.iter().all(|&pause| (10 * MILLI..=500 * MILLI).contains(&pause)));
    assert!(pauses[10..].iter().all(|&pause| pause >= 250 * MILLI));
}

#[test]
fn a_lost_connection_is_tried_again_at_once_and_then_with_pauses() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    supervisor.ready();
    supervisor.answered();
    supervisor.failed(1_000);
    assert_eq!(supervisor.due(1_000, Asked::Somebody), Due::Attempt);
    supervisor.failed(1_000);
    assert_eq!(supervisor.due(1_000, Asked::Somebody), Due::Nothing);
}

#[test]
fn a_server_that_shakes_hands_and_hangs_up_is_not_tried_without_pauses() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    for attempt in 1..20 {
        supervisor.ready();
        supervisor.failed(0);
        assert_eq!(supervisor.attempts(), attempt);
        let at = waiting(&supervisor);
        assert!(at >= 10 * MILLI);
        assert_eq!(supervisor.due(at, Asked::Somebody), Due::Attempt);
    }
}

#[test]
fn a_call_after_a_long_silence_does_not_wait_for_the_schedule() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    supervisor.failed(0);
    assert!(!supervisor.wanted(10 * MILLI));
    assert!(supervisor.wanted(501 * MILLI));
    assert!(!supervisor.wanted(501 * MILLI), "one attempt at a time");
}

#[test]
fn a_server_that_answers_elsewhere_is_tried_again_at_once() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    for now in 0..20 {
        supervisor.failed(now);
        assert_eq!(supervisor.due(now, Asked::Somebody), Due::Nothing);
        supervisor.hurry(now);
        assert_eq!(supervisor.due(now, Asked::Somebody), Due::Attempt);
    }
    supervisor.hurry(20);
    assert_eq!(supervisor.state(), State::Connecting, "one attempt at a time");
}

/// A supervisor whose server is away, and how many attempts it makes in so many milliseconds while nobody waits.
fn unasked(supervisor: &mut Supervisor, now: &mut Nanos, millis: u64) -> u32 {
    let end = *now + millis * MILLI;
    let mut attempts = 0;
    while *now < end {
        if supervisor.due(*now, Asked::Nobody) == Due::Attempt {
            attempts += 1;
            supervisor.failed(*now);
        }
        *now += MILLI;
    }
    attempts
}

#[test]
fn it_is_quiet_after_a_few_attempts_that_nobody_waits_for_and_the_next_call_connects_at_once() {
    let mut supervisor = Supervisor::new(7);
    let mut now = 0;
    for _ in 0..3 {
        assert!(supervisor.wanted(now), "at once");
        supervisor.failed(now);
        assert_eq!(unasked(&mut supervisor, &mut now, 10_000), UNASKED);
        assert_eq!(supervisor.state(), State::Resting);
        assert_eq!(supervisor.next(), None, "no timer");
        assert_eq!(unasked(&mut supervisor, &mut now, 3_600_000), 0);
        supervisor.hurry(now);
        assert_eq!(supervisor.due(now, Asked::Nobody), Due::Nothing, "whatever else is heard of the server");
    }
    assert!(supervisor.attempts() > 3 * UNASKED, "the failures are counted on");
}

#[test]
fn attempts_go_on_for_ever_while_somebody_waits_and_each_who_waits_gives_it_a_few_more() {
    let mut supervisor = Supervisor::new(7);
    let mut now = 0;
    supervisor.wanted(now);
    supervisor.failed(now);
    for _ in 0..1_000 {
        now = waiting(&supervisor);
        assert_eq!(supervisor.due(now, Asked::Somebody), Due::Attempt);
        supervisor.failed(now);
    }
    assert_eq!(unasked(&mut supervisor, &mut now, 10_000), UNASKED);
}

#[test]
fn callers_who_ask_again_and_again_are_paced_though_nobody_waits_between_two_of_them() {
    // A server that refuses rejects each call at once, so that at no pause's end anybody waits.
    let mut supervisor = Supervisor::new(7);
    let (mut now, mut attempts) = (0, 0);
    while now < 10_000 * MILLI {
        if supervisor.wanted(now) || supervisor.due(now, Asked::Somebody) == Due::Attempt {
            attempts += 1;
            supervisor.failed(now);
        }
        now += MILLI;
    }
    assert!((18..45).contains(&attempts), "{attempts} attempts in ten seconds");
}

#[test]
fn nobody_asks_the_resolver_for_nobody() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    supervisor.ready();
    supervisor.answered();
    supervisor.failed(0);
    assert_eq!(supervisor.due(0, Asked::NobodyByName), Due::Rest);
    assert!(supervisor.wanted(1));
    supervisor.failed(1);
    let at = waiting(&supervisor);
    assert_eq!(supervisor.due(at - 1, Asked::NobodyByName), Due::Nothing, "the pause holds for whoever asks now");
    assert!(!supervisor.wanted(at - 1));
    assert_eq!(supervisor.due(at, Asked::NobodyByName), Due::Rest);
}

#[test]
fn a_server_that_ends_idle_connections_is_left_alone_after_a_while() {
    let mut supervisor = Supervisor::new(7);
    let (mut now, mut connections) = (0, 0);
    supervisor.wanted(now);
    supervisor.ready();
    supervisor.answered();
    for _ in 0..1_000 {
        // Redis's `timeout`: five minutes without a command.
        now += 300_000 * MILLI;
        if supervisor.state() == State::Ready {
            supervisor.failed(now);
        }
        now += 1_000 * MILLI;
        if supervisor.due(now, Asked::Nobody) == Due::Attempt {
            connections += 1;
            supervisor.ready();
        }
    }
    assert_eq!((connections, supervisor.state()), (UNASKED, State::Resting));
}

#[test]
fn an_attempt_that_hangs_is_given_up() {
    let mut supervisor = Supervisor::new(7);
    supervisor.wanted(0);
    assert!(!supervisor.overdue(LOOKUP_LIMIT));
    assert!(supervisor.overdue(supervisor.next().unwrap()));
    // However many steps there are, each has its time.
    for step in 1..10 {
        supervisor.progressed(step * STEP_LIMIT);
        assert!(!supervisor.overdue((step + 1) * STEP_LIMIT));
        assert!(supervisor.overdue(supervisor.next().unwrap()));
    }
}
