//! What a server speaks, as far as its first bytes tell.
//!
//! A plain Redis says nothing to a client that speaks TLS until it has read the end of a line, and one that speaks TLS hangs
//! up on a client that does not, mostly without a word. Such a silence proves nothing, so the error only gives a hint.

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

/// What to look at where a server has not said a word. `in_tls`: what we speak.
#[must_use]
pub const fn hint(in_tls: bool) -> &'static str {
    if in_tls {
        "if the server speaks plain Redis, CC_REDIS_URL must be a redis:// URL, not rediss://"
    } else {
        "if the server speaks TLS, CC_REDIS_URL must be a rediss:// URL, not redis://"
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
    fn a_quote_is_one_line() {
        assert_eq!(quote(b"-ERR no\r\nmore"), "\"-ERR no\"");
    }
}
