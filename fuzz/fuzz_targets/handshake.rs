//! Any answers of a server to a handshake: it comes to an end, and everything it sends is a command.

#![no_main]

use backtest_kit_native::config::Credentials;
use backtest_kit_native::redis::decode::Decoder;
use backtest_kit_native::redis::handshake::{Handshake, Progress};
use libfuzzer_sys::fuzz_target;
use redis::Value;

/// Hello, auth with a user, auth without one, kill, info, run, select, track: more steps there are not.
const STEPS: usize = 8;

/// What is to be sent is one whole command, which is then sent in two pieces.
fn send(handshake: &mut Handshake) {
    let bytes = handshake.unsent().to_vec();
    match redis::parse_redis_value(&bytes) {
        Ok(Value::Array(words)) => assert!(words.iter().all(|word| matches!(word, Value::BulkString(_)))),
        other => panic!("not a command: {other:?}"),
    }
    handshake.sent(bytes.len() / 2);
    assert_eq!(handshake.unsent(), &bytes[bytes.len() / 2..]);
    handshake.sent(bytes.len() - bytes.len() / 2);
    assert!(handshake.unsent().is_empty());
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let credentials = (how & 1 != 0).then(|| Credentials {
        user: (how & 2 != 0).then(|| "user\r\n".to_owned()),
        password: "pass word\r\n$1".to_owned(),
    });
    let database = if how & 4 != 0 { 7 } else { 0 };
    let previous = (how & 8 != 0).then(|| (i64::from(how), "127.0.0.1:1".to_owned()));
    let address = (how & 32 != 0).then(|| "127.0.0.1:2".to_owned());
    let prefixes = if how & 16 != 0 { vec!["a:".to_owned(), "b:".to_owned()] } else { Vec::new() };

    let mut handshake = Handshake::new(credentials, database, previous, prefixes, address);
    if how & 64 != 0 {
        handshake.ask_run();
    }
    let (mut decoder, mut tokens) = (Decoder::default(), Vec::new());
    for step in 0.. {
        assert!(step < STEPS, "a handshake without an end");
        send(&mut handshake);
        tokens.clear();
        if !matches!(decoder.advance(bytes, &mut tokens), Ok(true)) {
            return;
        }
        match handshake.reply(bytes, &tokens) {
            Progress::Next => assert!(!handshake.unsent().is_empty(), "it waits for an answer to nothing"),
            Progress::Ready => {
                assert!(handshake.unsent().is_empty());
                return;
            }
            Progress::Refused(_) | Progress::Unfit(_) | Progress::Hopeless(_) => return,
        }
    }
});
