//! Unit tests of [`super`]: what is asked of which server, and what its answers mean.

use super::*;
use crate::redis::decode::Decoder;

fn credentials(user: &str) -> Credentials {
    Credentials { user: Some(user.to_owned()), password: "pw".to_owned() }
}

/// Sends what is to be sent and answers with `reply`.
fn step(handshake: &mut Handshake, reply: &str) -> (String, Progress) {
    let sent = String::from_utf8(handshake.unsent().to_vec()).unwrap();
    handshake.sent(sent.len());
    let words: Vec<_> = sent.split("\r\n").filter(|w| !w.starts_with(['*', '$']) && !w.is_empty()).collect();
    let mut tokens = Vec::new();
    assert!(Decoder::default().advance(reply.as_bytes(), &mut tokens).unwrap());
    (words.join(" "), handshake.reply(reply.as_bytes(), &tokens))
}

#[test]
fn a_modern_server_needs_one_round_trip() {
    let mut handshake = Handshake::new(Some(credentials("u")), 0, None, Vec::new(), None);
    let (sent, progress) = step(&mut handshake, "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$2\r\nid\r\n:42\r\n");
    assert_eq!(sent, "HELLO 3 AUTH u pw SETNAME backtest-kit-native");
    assert_eq!(progress, Progress::Ready);
    assert_eq!(handshake.client(), None, "without an address it cannot be told from others");
}

#[test]
fn the_address_is_the_one_that_the_server_sees() {
    for (info, address) in [
        ("=40\r\ntxt:id=42 addr=172.17.0.1:40000 name=b x\r\n", "172.17.0.1:40000"),
        ("$26\r\nid=42 addr=[::1]:40000 x=y\r\n", "[::1]:40000"),
        ("-NOPERM this user has no permissions\r\n", "10.0.0.1:5000"),
    ] {
        let mut handshake = Handshake::new(None, 0, None, Vec::new(), Some("10.0.0.1:5000".to_owned()));
        assert_eq!(step(&mut handshake, "%1\r\n$2\r\nid\r\n:42\r\n").1, Progress::Next);
        let (sent, progress) = step(&mut handshake, info);
        assert_eq!((sent.as_str(), progress), ("CLIENT INFO", Progress::Ready));
        assert_eq!(handshake.client(), Some((42, address.to_owned())));
    }
}

#[test]
fn the_previous_connection_is_killed_before_any_call() {
    let mut handshake = Handshake::new(None, 2, Some((7, "127.0.0.1:5000".to_owned())), Vec::new(), None);
    assert_eq!(step(&mut handshake, "%0\r\n").1, Progress::Next);
    let (sent, progress) = step(&mut handshake, "-ERR No such client\r\n");
    assert_eq!((sent.as_str(), progress), ("CLIENT KILL ID 7 ADDR 127.0.0.1:5000", Progress::Next));
    let (sent, progress) = step(&mut handshake, "+OK\r\n");
    assert_eq!((sent.as_str(), progress), ("SELECT 2", Progress::Ready));
}

#[test]
fn the_run_of_the_server_is_asked_for_where_it_matters() {
    let info = "# Server\r\nredis_version:7.0.15\r\nprocess_id:1\r\nrun_id:0f3c\r\ntcp_port:6379\r\n";
    let nameless = "# Server\r\nredis_version:7.0.15\r\nrun_id:\r\n";
    for (reply, run) in [
        (format!("${}\r\n{info}\r\n", info.len()), Some("0f3c")),
        (format!("={}\r\ntxt:{info}\r\n", info.len() + 4), Some("0f3c")),
        (format!("${}\r\n{nameless}\r\n", nameless.len()), None),
        ("-NOPERM User bot has no permissions to run the 'info' command\r\n".to_owned(), None),
        ("$0\r\n\r\n".to_owned(), None),
    ] {
        let mut handshake = Handshake::new(None, 2, None, Vec::new(), None);
        handshake.ask_run();
        assert_eq!(step(&mut handshake, "%0\r\n").1, Progress::Next);
        let (sent, progress) = step(&mut handshake, &reply);
        assert_eq!((sent.as_str(), progress), ("INFO server", Progress::Next));
        assert_eq!(handshake.run(), run, "{reply}");
        assert_eq!(step(&mut handshake, "+OK\r\n"), ("SELECT 2".to_owned(), Progress::Ready));
    }
}

#[test]
fn a_server_before_version_6_gets_the_password_alone() {
    let mut handshake = Handshake::new(Some(credentials("default")), 0, None, Vec::new(), None);
    assert_eq!(step(&mut handshake, "-ERR unknown command `HELLO`\r\n").1, Progress::Next);
    let (sent, progress) = step(&mut handshake, "-ERR wrong number of arguments for 'auth' command\r\n");
    assert_eq!((sent.as_str(), progress), ("AUTH default pw", Progress::Next));
    let (sent, progress) = step(&mut handshake, "-ERR Client sent AUTH, but no password is set\r\n");
    assert_eq!((sent.as_str(), progress), ("AUTH pw", Progress::Ready));
}

#[test]
fn a_server_that_refuses_tracking_is_used_without() {
    let mut handshake = Handshake::new(None, 0, None, vec!["a:".to_owned(), "b:".to_owned()], None);
    assert_eq!(step(&mut handshake, "%0\r\n").1, Progress::Next);
    let (sent, progress) = step(&mut handshake, "-NOPERM this user has no permissions\r\n");
    assert_eq!(sent, "CLIENT TRACKING ON BCAST NOLOOP PREFIX a: PREFIX b:");
    assert_eq!(progress, Progress::Ready);
    assert_eq!(*handshake.tracking(), Err("NOPERM this user has no permissions".to_owned()));
}

#[test]
fn a_wrong_password_is_told_in_the_servers_words() {
    let mut handshake = Handshake::new(Some(credentials("u")), 0, None, Vec::new(), None);
    let words = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(step(&mut handshake, &format!("-{words}\r\n")).1, Progress::Refused(words.to_owned()));
    let mut handshake = Handshake::new(None, 0, None, Vec::new(), None);
    assert!(matches!(step(&mut handshake, "-NOAUTH HELLO must be called\r\n").1, Progress::Refused(_)));
}

#[test]
fn what_a_server_cannot_do_now_is_no_refusal_at_any_step() {
    let oks = ["%1\r\n$2\r\nid\r\n:42\r\n", ":1\r\n", "$21\r\nid=42 addr=10.0.0.1:5\r\n", "+OK\r\n", "+OK\r\n"];
    for words in ["LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script."] {
        for before in 0..oks.len() {
            let previous = Some((7, "127.0.0.1:5000".to_owned()));
            let address = Some("127.0.0.1:5001".to_owned());
            let mut handshake = Handshake::new(Some(credentials("u")), 2, previous, vec!["a:".to_owned()], address);
            for ok in &oks[..before] {
                assert_eq!(step(&mut handshake, ok).1, Progress::Next);
            }
            let (sent, progress) = step(&mut handshake, &format!("-{words}\r\n"));
            assert_eq!(progress, Progress::Unfit(words.to_owned()), "{sent}");
        }
    }
}

#[test]
fn what_is_said_of_a_database_that_cannot_be_had_names_no_user() {
    let mut handshake = Handshake::new(Some(credentials("trader-7")), 2, None, Vec::new(), None);
    assert_eq!(step(&mut handshake, "%0\r\n").1, Progress::Next);
    let words = "-NOPERM User trader-7 has no permissions to run the 'select' command\r\n";
    let Progress::Hopeless(told) = step(&mut handshake, words).1 else { panic!("it is final") };
    assert!(told.starts_with("NOPERM ") && !told.contains("trader-7"), "{told}");
}

#[test]
fn a_database_that_cannot_be_had_is_final() {
    for (words, is_final) in [
        ("ERR DB index is out of range", true),
        ("ERR SELECT is not allowed in cluster mode", true),
        ("ERR unknown command 'SELECT', with args beginning with: '99' ", true),
        ("NOPERM User bot has no permissions to run the 'select' command", true),
        ("ERR upstream failure", false),
    ] {
        let mut handshake = Handshake::new(None, 99, None, Vec::new(), None);
        assert_eq!(step(&mut handshake, "%0\r\n").1, Progress::Next);
        let (sent, progress) = step(&mut handshake, &format!("-{words}\r\n"));
        assert_eq!(sent, "SELECT 99");
        if is_final {
            assert_eq!(progress, Progress::Hopeless(format!("{words}; CC_REDIS_URL asks for database 99")));
        } else {
            assert_eq!(progress, Progress::Unfit(words.to_owned()));
        }
    }
}

#[test]
fn a_server_that_sentinels_have_named_must_say_that_it_is_a_master() {
    let begin = || {
        let mut handshake = Handshake::new(None, 0, None, Vec::new(), None);
        handshake.need_master();
        handshake
    };
    let replica = Progress::Unfit("the sentinels name it as the master, and it says that it is a replica".to_owned());
    assert_eq!(step(&mut begin(), "%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n").1, Progress::Ready);
    assert_eq!(step(&mut begin(), "%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n").1, replica);
    // Where HELLO does not tell, ROLE does.
    for (hello, role, progress) in [
        ("%0\r\n", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", Progress::Ready),
        ("%0\r\n", "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n", replica.clone()),
        (
            "-ERR unknown command 'HELLO'\r\n",
            "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n",
            replica,
        ),
        ("%0\r\n", "-NOPERM this user has no permissions\r\n", Progress::Ready),
    ] {
        let mut handshake = begin();
        assert_eq!(step(&mut handshake, hello).1, Progress::Next);
        assert_eq!(step(&mut handshake, role), ("ROLE".to_owned(), progress), "{hello}");
    }
    // Without sentinels nobody asks.
    let mut alone = Handshake::new(None, 0, None, Vec::new(), None);
    assert_eq!(step(&mut alone, "%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n").1, Progress::Ready);
}
