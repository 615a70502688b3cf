//! What a server speaks that does not answer as it should.
//!
//! A plain Redis says nothing to a client that speaks TLS: it waits for the end of a line. One that speaks TLS hangs up on
//! a client that does not, without a word. So where the first words were of no use, the other language is tried on a
//! connection of its own, now and then, and only to say what is wrong.

use std::io::Write as _;

use crate::redis::trust::distrustful;

/// What the first bytes of a server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// There are none.
    Nothing,
    /// A record of TLS.
    Tls,
    /// Redis's protocol.
    Redis,
    /// Neither.
    Other,
}

/// Tells them apart.
#[must_use]
pub fn recognise(first: &[u8]) -> Speaks {
    match first {
        [] => Speaks::Nothing,
        // Alert or handshake, of some version 3.x. Its first byte alone is enough: no text begins with it.
        [0x15 | 0x16] | [0x15 | 0x16, 3, ..] => Speaks::Tls,
        [b'+' | b'-' | b':' | b'$' | b'*' | b'%' | b'_' | b'>', ..] => Speaks::Redis,
        _ => Speaks::Other,
    }
}

/// The first line, as it can be shown.
#[must_use]
pub fn quote(first: &[u8]) -> String {
    let line = first.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    format!("{:?}", String::from_utf8_lossy(line))
}

/// What is asked in the other language: a greeting of TLS, or a `PING`. Neither holds a secret. After TLS's nothing more
/// is written, so that a server that waits for the end of a line knows that none will come.
#[must_use]
pub fn question(in_tls: bool, host: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if in_tls {
        if let Some(mut connection) = distrustful(host) {
            // Writing to memory does not fail.
            let _ = connection.write_tls(&mut out);
        }
    } else {
        let _ = out.write_all(b"*1\r\n$4\r\nPING\r\n");
    }
    out
}

/// What to say of an answer to the question, if it is one in the other language.
#[must_use]
pub fn verdict(asked_in_tls: bool, first: &[u8]) -> Option<String> {
    match (asked_in_tls, recognise(first)) {
        (true, Speaks::Tls) => Some("it speaks TLS; CC_REDIS_URL must be a rediss:// URL".to_owned()),
        (false, Speaks::Redis) => {
            Some("it speaks plain Redis, not TLS; CC_REDIS_URL must be redis://, not rediss://".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_are_told_apart() {
        for (first, speaks) in [
            (&b""[..], Speaks::Nothing),
            (b"\x15\x03\x01\0\x02\x02\x46", Speaks::Tls),
            (b"\x16", Speaks::Tls),
            (b"\x16\x02", Speaks::Other),
            (b"-ERR unknown command", Speaks::Redis),
            (b"+PONG\r\n", Speaks::Redis),
            (b"HTTP/1.1 400 Bad Request\r\n", Speaks::Other),
            (b"\0", Speaks::Other),
        ] {
            assert_eq!(recognise(first), speaks, "{first:?}");
        }
    }

    #[test]
    fn only_an_answer_in_the_other_language_is_a_verdict() {
        assert!(verdict(true, b"\x16\x03\x03").unwrap().contains("rediss://"));
        assert!(verdict(false, b"-NOAUTH Authentication required.\r\n").unwrap().contains("plain"));
        for (asked_in_tls, first) in [(true, &b"-ERR"[..]), (false, b"\x15\x03\x03"), (true, b""), (false, b"")] {
            assert_eq!(verdict(asked_in_tls, first), None);
        }
    }

    #[test]
    fn the_question_in_tls_is_a_greeting_for_names_and_addresses() {
        for host in ["localhost", "::1", "127.0.0.1"] {
            assert_eq!(question(true, host)[..2], [0x16, 3], "{host}");
        }
        assert_eq!(question(false, "localhost"), b"*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn a_quote_is_one_line() {
        assert_eq!(quote(b"-ERR no\r\nmore"), "\"-ERR no\"");
    }
}
