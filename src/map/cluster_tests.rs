//! Unit tests of [`super`]: calls in, commands to a node out, its answers in, outcomes out.

use crate::config::{Config, Values, resolve};
use crate::map::backend::Backend as _;
use crate::map::ids::Recall;
use crate::map::op::{CallId, Outcome};
use crate::map::rig::Rig;
use crate::map::scan::Kind;
use crate::map::scans::Demand;
use crate::near::{LEASE, Trace};
use crate::redis::Nanos;
use crate::redis::by_peer::PeerId;
use crate::redis::epoch::Epoch;
use crate::redis::slot::Slot;

fn config() -> Config {
    let url = ("CC_REDIS_URL".to_owned(), "redis+cluster://h:7000".to_owned());
    resolve(&Values::from([url])).unwrap()
}

/// A store whose only node is connected, and has not told its map.
fn rig() -> Rig {
    let config = config();
    let mut rig = Rig::new(&config);
    assert_eq!(rig.peers.open_next(&config), Some((PeerId::FIRST, "h".to_owned())));
    rig.connected(&config, Vec::new());
    sent(&mut rig);
    assert!(answer(&mut rig, "%0\r\n").is_empty());
    rig
}

/// The node tells that all slots are its own.
fn tell_map(rig: &mut Rig) {
    rig.peers.look(0);
    assert_eq!(sent(rig), "CLUSTER SLOTS CLUSTER NODES");
    assert!(answer(rig, &format!("*0\r\n{}", own("0-16383"))).is_empty());
}

/// What the node answers to CLUSTER NODES, with these slots and marks.
fn own(slots: &str) -> String {
    let map = format!("{} h:7000@17000 myself,master - 0 0 1 connected {slots}\n", "a1".repeat(20));
    format!("${}\r\n{map}\r\n", map.len())
}

/// The same with a node that announces changes, and its map.
fn tracking() -> Rig {
    let config = config();
    let mut rig = Rig::new(&config);
    rig.peers.open_next(&config).unwrap();
    rig.connected(&config, vec!["signal_cache:".to_owned()]);
    sent(&mut rig);
    assert!(answer(&mut rig, "%0\r\n").is_empty());
    assert!(sent(&mut rig).starts_with("CLIENT TRACKING ON BCAST NOLOOP"));
    assert!(answer(&mut rig, "+OK\r\n").is_empty());
    tell_map(&mut rig);
    rig
}

/// What the node has refused of that which the near cache needs.
fn refused(rig: &Rig) -> Option<String> {
    rig.ids.refusals.all(|peer| rig.peers.name(peer))
}

/// An id's key.
const ID: &[u8] = b"signal_cache:x";
/// When everything is sent: long after the machine was started.
const SENT: Nanos = 10 * LEASE;
const NOW: Nanos = SENT + 1;

fn is_known(rig: &Rig) -> bool {
    rig.ids.recall(ID, || NOW) == Recall::Maybe(NOW, PeerId::FIRST)
}

/// The id is read, after the node has said whether it holds its slot, and which slots are its own.
fn read_id(rig: &mut Rig, held: &str, slots: &str) {
    rig.get_id(ID, Trace::default()).unwrap();
    assert_eq!(sent(rig), "EXISTS signal_cache:x CLUSTER NODES GET signal_cache:x");
    assert_eq!(answer(rig, &format!("{held}\r\n{}$1\r\nv\r\n", own(slots))).len(), 1);
}

fn sent(rig: &mut Rig) -> String {
    let lane = &mut rig.peer().lane;
    let bytes = lane.unsent().to_vec();
    lane.sent(bytes.len(), SENT);
    let text = String::from_utf8(bytes).unwrap();
    text.split("\r\n").filter(|word| !word.starts_with(['*', '$']) && !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn answer(rig: &mut Rig, bytes: &str) -> Vec<(CallId, String)> {
    let (batch, outcomes) = rig.read(bytes.as_bytes(), 0);
    let text = |outcome| match outcome {
        Outcome::Text(range) => String::from_utf8(batch.buffer[range].to_vec()).unwrap(),
        Outcome::Pairs(page, cut, values) => {
            let keys = page.iter().map(|key| String::from_utf8_lossy(&key[cut..]).into_owned());
            let pairs = keys.zip(&batch.tokens[values]).map(|(key, value)| format!("{key}={value:?}"));
            pairs.collect::<Vec<_>>().join(" ").replace("Text", "").replace("Null", "-")
        }
        Outcome::Failed(error) => format!("{}: {error}", error.code.as_str()),
        other => format!("{other:?}"),
    };
    outcomes.into_iter().map(|(call, outcome)| (call, text(outcome))).collect()
}

#[test]
fn what_is_called_before_the_map_is_known_goes_out_with_it_a_command_for_each_key() {
    let mut rig = rig();
    rig.get_first(b"a", b"b").unwrap();
    rig.get(b"c").unwrap();
    assert_eq!((sent(&mut rig).as_str(), rig.peers.waiting()), ("", 3));
    tell_map(&mut rig);
    // Slots are taken one after the other; each has its order.
    let mut words: Vec<_> = sent(&mut rig).split(' ').filter(|word| *word != "GET").map(str::to_owned).collect();
    let replies: String =
        words.iter().map(|key| if key == "a" { "_\r\n".to_owned() } else { format!("$2\r\nv{key}\r\n") }).collect();
    words.sort_unstable();
    assert_eq!(words, ["a", "b", "c"]);
    let mut outcomes = answer(&mut rig, &replies);
    outcomes.sort_unstable();
    assert_eq!(outcomes, [(0, "vb".to_owned()), (1, "vc".to_owned())]);
    assert_eq!(rig.peers.waiting(), 0);
}

#[test]
fn answers_are_joined_to_the_one_that_a_server_would_give() {
    let mut rig = rig();
    tell_map(&mut rig);
    let two = |rig: &mut Rig, replies: &str| {
        rig.get_first(b"a", b"b").unwrap();
        assert_eq!(sent(rig), "GET a GET b");
        answer(rig, replies)
    };
    assert_eq!(two(&mut rig, "$1\r\nx\r\n$1\r\ny\r\n"), [(0, "x".to_owned())]);
    assert_eq!(two(&mut rig, "_\r\n_\r\n"), [(1, "Null".to_owned())]);
    assert_eq!(two(&mut rig, "-WRONGTYPE no text\r\n$1\r\ny\r\n"), [(2, "y".to_owned())], "as MGET has it");
    let [(3, error)] = &two(&mut rig, "$1\r\nx\r\n-NOPERM no\r\n")[..] else { panic!("one outcome") };
    assert_eq!(error, "REDIS_REPLY: NOPERM no (GET b on h:7000)");
    let Rig { store, peers } = &mut rig;
    store.has_any(peers, b"a", b"b").unwrap();
    assert_eq!(sent(&mut rig), "EXISTS a EXISTS b");
    assert_eq!(answer(&mut rig, ":0\r\n:1\r\n"), [(4, "Boolean(true)".to_owned())]);
}

#[test]
fn a_call_of_two_keys_whose_one_command_is_given_up_is_told_so_once() {
    let mut rig = rig();
    tell_map(&mut rig);
    rig.get_first(b"a", b"b").unwrap();
    rig.peer().lane.stamp(0);
    sent(&mut rig);
    assert!(answer(&mut rig, "$1\r\nx\r\n").is_empty());
    let mut tags = Vec::new();
    rig.peer().lane.expire(u64::MAX, 9, &mut tags);
    let (op, _) = tags.pop().unwrap();
    let mut outcomes = Vec::new();
    let Rig { store, peers } = &mut rig;
    for _ in 0..2 {
        store.fail(peers, &op, crate::error::Error::new(crate::error::Code::RedisTimeout, "late"), &mut outcomes);
    }
    assert!(matches!(outcomes[..], [(0, Outcome::Failed(_))]), "{outcomes:?}");
}

#[test]
fn a_scan_waits_for_the_map_and_reads_the_values_of_a_page_one_by_one() {
    let mut rig = rig();
    let scan = rig.open_scan(Kind::Pairs, b"m:", false);
    assert!(matches!(rig.demand(scan), Ok(Demand::Queued)));
    assert_eq!(sent(&mut rig), "");
    tell_map(&mut rig);
    assert_eq!(sent(&mut rig), "EXISTS m:");
    assert!(answer(&mut rig, ":0\r\n").is_empty());
    assert_eq!(sent(&mut rig), "CLUSTER NODES");
    assert!(answer(&mut rig, &own("0-16383")).is_empty());
    assert_eq!(sent(&mut rig), "INFO server SCAN 0 MATCH m:* COUNT 100");
    assert!(answer(&mut rig, "$8\r\nrun_id:1\r\n*2\r\n$1\r\n0\r\n*2\r\n$3\r\nm:a\r\n$3\r\nm:b\r\n").is_empty());
    assert_eq!(sent(&mut rig), "GET m:a GET m:b CLUSTER NODES");
    let outcomes = answer(&mut rig, "_\r\n$1\r\nv\r\n");
    assert!(matches!(&outcomes[..], [(0, pairs)] if pairs.starts_with("a=- b=(")), "{outcomes:?}");
    assert!(answer(&mut rig, &own("0-16383")).is_empty());
    assert!(matches!(rig.demand(scan), Ok(Demand::Now(Outcome::Null))), "nothing has moved");
}

#[test]
fn calls_made_after_close_began_wait_until_it_is_over_and_so_do_those_of_the_next() {
    let mut rig = rig();
    tell_map(&mut rig);
    rig.get(b"a").unwrap();
    let mut first = rig.peers.marks();
    rig.peers.hold_after(Some(&mut first));
    rig.get(b"b").unwrap();
    let mut second = rig.peers.marks();
    rig.get(b"c").unwrap();
    assert_eq!(sent(&mut rig), "GET a");
    assert!(!rig.peers.are_settled(&first));
    answer(&mut rig, "_\r\n");
    assert_eq!([&first, &second].map(|marks| rig.peers.are_settled(marks)), [true, false]);
    rig.peers.hold_after(Some(&mut second));
    rig.peers.look(0);
    let (mut words, replies) = (sent(&mut rig), "_\r\n_\r\n");
    words = words.replace("GET c GET b", "GET b GET c");
    assert_eq!(words, "GET b GET c", "both were called before this one goes on");
    rig.get(b"d").unwrap();
    answer(&mut rig, replies);
    assert!(rig.peers.are_settled(&second));
    rig.peers.hold_after(None);
    rig.peers.look(0);
    assert_eq!(sent(&mut rig), "GET d");
}

#[test]
fn a_held_call_that_is_given_up_names_its_slot_however_long_its_key_is() {
    let mut rig = rig();
    let key = "k".repeat(300);
    rig.get(key.as_bytes()).unwrap();
    rig.peers.stamp(0);
    let late = rig.peers.expire_held(u64::MAX);
    let slot = Slot::of(key.as_bytes());
    let message = rig.peers.why_held(&late[0], 7).to_string();
    assert!(
        message.starts_with(&format!("No node of the cluster served slot {slot} within 7 ms (GET kkk")),
        "{message}"
    );
    assert!(message.contains("k…; 1 of 1 nodes reached"), "{message}");
}

#[test]
fn an_id_is_known_where_its_server_has_proven_that_it_holds_the_slot() {
    let slot = Slot::of(ID).number();
    let (before, behind) = (format!("0-{}", slot - 1), format!("{}-16383", slot + 1));
    let is_leaving = format!("0-16383 [{slot}->-{}]", "b2".repeat(20));
    let is_other_leaving = format!("0-16383 [{}->-{}]", slot + 1, "b2".repeat(20));
    for (held, slots, expected) in [
        (":1", "0-16383", true),
        (":0", "0-16383", true),
        (":1", &is_other_leaving, true),
        (":1", &is_leaving, false),
        (":1", &format!("{before} {behind}"), false),
        ("-ASK 1 h:7001", "0-16383", true),
        ("-MOVED 1 h:7001", "0-16383", false),
        ("-CLUSTERDOWN The cluster is down", "0-16383", false),
        ("-NOPERM no", "0-16383", false),
    ] {
        let mut rig = tracking();
        read_id(&mut rig, held, slots);
        assert_eq!(is_known(&rig), expected, "{held} {slots}");
        rig.get_id(ID, Trace::default()).unwrap();
        assert_eq!(sent(&mut rig), "GET signal_cache:x", "it is not asked at once again");
    }
}

#[test]
fn a_server_that_may_not_tell_its_slots_is_asked_again_later_and_everything_else_works() {
    let mut rig = tracking();
    rig.get_id(ID, Trace::default()).unwrap();
    sent(&mut rig);
    assert_eq!(answer(&mut rig, ":1\r\n-NOPERM no\r\n$1\r\nv\r\n"), [(0, "v".to_owned())]);
    assert!(!is_known(&rig));
    assert_eq!(refused(&rig).as_deref(), Some("NOPERM no (CLUSTER NODES on h:7000)"));
    let near = rig.ids.near().unwrap();
    assert_eq!([NOW, SENT + LEASE].map(|at| near.wants_attestation(PeerId::FIRST, at)), [false, true]);
    let Rig { store, peers } = &mut rig;
    store.attest_again(peers, PeerId::FIRST);
    store.attest_again(peers, PeerId::FIRST);
    assert_eq!(sent(&mut rig), "EXISTS signal_cache:x CLUSTER NODES", "once at a time, by the key that was read last");
    assert!(answer(&mut rig, &format!("-ERR what\r\n{}", own("0-16383"))).is_empty());
    assert_eq!(refused(&rig).as_deref(), Some("ERR what (EXISTS on h:7000)"));
    for (answered, expected) in
        [("-MOVED 1 h:7001", None), ("-CLUSTERDOWN no", Some("CLUSTERDOWN no (EXISTS on h:7000)")), (":1", None)]
    {
        let Rig { store, peers } = &mut rig;
        store.attest_again(peers, PeerId::FIRST);
        sent(&mut rig);
        assert!(answer(&mut rig, &format!("{answered}\r\n{}", own("0-16383"))).is_empty());
        assert_eq!(refused(&rig).as_deref(), expected, "{answered}");
    }
    rig.get_id(ID, Trace::default()).unwrap();
    sent(&mut rig);
    answer(&mut rig, "$1\r\nv\r\n");
    assert!(is_known(&rig));
}

#[test]
fn what_is_known_of_a_slot_goes_when_a_command_of_it_is_refused_or_a_map_gives_it_to_another() {
    let two = |own: &str, other: &str| {
        let line = |id: &str, port: u16, flags: &str, epoch: u16, slots: &str| {
            format!("{} h:{port}@1{port} {flags} - 0 0 {epoch} connected {slots}\n", id.repeat(20))
        };
        let map = line("a1", 7_000, "myself,master", 1, own) + &line("b2", 7_001, "master", 9, other);
        format!("*0\r\n${}\r\n{map}\r\n", map.len())
    };
    let mut rig = tracking();
    read_id(&mut rig, ":1", "0-16383");
    assert!(is_known(&rig));
    rig.get(ID).unwrap();
    sent(&mut rig);
    let slot = Slot::of(ID).number();
    answer(&mut rig, &format!("-ASK {slot} h:7001\r\n"));
    assert!(!is_known(&rig));

    let mut rig = tracking();
    read_id(&mut rig, ":1", "0-16383");
    rig.get(b"other").unwrap();
    rig.peers.doubt();
    rig.peers.look(u64::MAX / 2);
    assert_eq!(sent(&mut rig), "GET other CLUSTER SLOTS CLUSTER NODES");
    answer(&mut rig, "_\r\n");
    answer(&mut rig, &two(&format!("0-{}", slot - 1), &format!("{slot}-16383")));
    assert!(!is_known(&rig));
}

#[test]
fn what_a_server_says_of_its_slots_does_not_bring_back_one_that_it_was_asked_for_before_it_refused_it() {
    let mut rig = tracking();
    read_id(&mut rig, ":1", "0-16383");
    let Rig { store, peers } = &mut rig;
    store.attest_again(peers, PeerId::FIRST);
    rig.get_id(ID, Trace::default()).unwrap();
    rig.get(ID).unwrap();
    assert_eq!(sent(&mut rig), "EXISTS signal_cache:x CLUSTER NODES GET signal_cache:x GET signal_cache:x");
    // It has told its slots and the key, then it has handed the slot over; all of it is read at once.
    let slot = Slot::of(ID).number();
    answer(&mut rig, &format!(":1\r\n{}$1\r\nv\r\n-ASK {slot} h:7001\r\n", own("0-16383")));
    assert!(!is_known(&rig));
}

#[test]
fn a_write_makes_an_id_forgotten_also_where_the_server_that_it_goes_to_announces_nothing() {
    let mut rig = tracking();
    read_id(&mut rig, ":1", "0-16383");
    assert!(is_known(&rig));
    let elsewhere = (Epoch::of(PeerId::of(7)), Slot::of(ID));
    assert!(rig.ids.writing(ID, elsewhere).is_none());
    assert!(!is_known(&rig));
}

#[test]
fn a_server_that_is_lost_is_asked_anew_on_its_next_connection() {
    let config = config();
    let mut rig = tracking();
    read_id(&mut rig, ":1", "0-16383");
    assert!(is_known(&rig));
    rig.lost();
    assert!(!is_known(&rig));
    rig.connected(&config, vec!["signal_cache:".to_owned()]);
    sent(&mut rig);
    answer(&mut rig, "%0\r\n");
    sent(&mut rig);
    answer(&mut rig, "+OK\r\n");
    read_id(&mut rig, ":1", "0-16383");
    assert!(is_known(&rig));
}
