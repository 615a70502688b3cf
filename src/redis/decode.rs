//! Replies from the bytes that Redis sends (RESP2 and RESP3).
//!
//! A reply becomes a run of flat [`Token`]s: an aggregate is followed by its elements, so that nesting needs neither
//! recursion nor a stack, and decoding goes on at the very byte where the last read ended. Texts stay where they are, as
//! ranges of the read buffer. Tests hold it against `redis::Parser`.

use std::ops::Range;

/// The longest text that Redis sends (its `proto-max-bulk-len` is 512 MB by default).
pub const MAX_TEXT: usize = 512 * 1024 * 1024;
/// The most elements an aggregate may have. Our largest request, a page of a scan, stays far below.
pub const MAX_ELEMENTS: usize = 16 * 1024 * 1024;
/// The longest line (a simple string, an error, a number).
pub const MAX_LINE: usize = 64 * 1024;

/// One piece of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Text (simple, bulk or verbatim string, double, big number), as a range of the buffer.
    Text(Range<usize>),
    /// An error with its text.
    Error(Range<usize>),
    /// A number.
    Number(i64),
    /// A boolean of RESP3.
    Boolean(bool),
    /// No value.
    Null,
    /// An array or set; that many tokens-with-their-elements follow.
    Array(usize),
    /// A map; twice that many follow.
    Map(usize),
    /// A push message: not the answer to a command.
    Push(usize),
}

/// Bytes that are no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protocol error: {0}")]
pub struct Malformed(pub String);

/// The most aggregates in one reply: ours need two, HELLO on a server with many modules some hundreds. It bounds how deep a
/// reply can be nested.
pub const MAX_AGGREGATES: usize = 10_000;

/// Where decoding stands in a buffer that grows at its end.
#[derive(Debug, Default)]
pub struct Decoder {
    position: usize,
    /// How many values the reply that has begun still lacks; 0 between replies.
    lacking: usize,
    aggregates: usize,
}

impl Decoder {
    /// The first byte that is not decoded yet.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Follows the buffer when `count` bytes before the position were cut off its front.
    pub const fn cut(&mut self, count: usize) {
        self.position -= count;
    }

    /// Decodes up to the end of one reply, appending its tokens. `Ok(false)`: more bytes are needed.
    pub fn advance(&mut self, buffer: &[u8], tokens: &mut Vec<Token>) -> Result<bool, Malformed> {
        if self.lacking == 0 {
            if self.position == buffer.len() {
                return Ok(false);
            }
            self.lacking = 1;
            self.aggregates = 0;
        }
        while self.lacking > 0 {
            let Some((token, next, children)) = value(buffer, self.position)? else { return Ok(false) };
            self.position = next;
            self.lacking = self.lacking - 1 + children;
            self.aggregates += usize::from(children > 0);
            if self.aggregates > MAX_AGGREGATES {
                return Err(Malformed("a reply has too many levels".into()));
            }
            if self.lacking > MAX_ELEMENTS {
                return Err(Malformed("a reply has too many elements".into()));
            }
            tokens.push(token);
        }
        Ok(true)
    }
}

/// The range of the line that starts at `start`, and where the next one starts.
fn line(buffer: &[u8], start: usize) -> Result<Option<(Range<usize>, usize)>, Malformed> {
    let rest = &buffer[start..];
    let window = &rest[..rest.len().min(MAX_LINE)];
    // Lines are short (most are a length of a few digits): a byte loop beats a vectorised search here.
    let Some(end) = window.iter().position(|&byte| byte == b'\r') else {
        return if rest.len() >= MAX_LINE { Err(Malformed("a line does not end".into())) } else { Ok(None) };
    };
    match rest.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((start..start + end, start + end + 2))),
        Some(_) => Err(Malformed("a carriage return within a line".into())),
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut value: i64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        let next = if digit > 9 {
            None
        } else if negative {
            value.checked_mul(10).and_then(|v| v.checked_sub(i64::from(digit)))
        } else {
            value.checked_mul(10).and_then(|v| v.checked_add(i64::from(digit)))
        };
        value = next.ok_or_else(|| Malformed("not a number where one must be".into()))?;
    }
    if digits.is_empty() { Err(Malformed("an empty number".into())) } else { Ok(value) }
}

/// A length: `None` is the null of RESP2.
fn length(text: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
    match number(text)? {
        -1 => Ok(None),
        n => usize::try_from(n)
            .ok()
            .filter(|&n| n <= most)
            .map(Some)
            .ok_or_else(|| Malformed(format!("a length of {n}"))),
    }
}

type Value = (Token, usize, usize);

/// One value: its token, where the next one starts, and how many elements follow.
fn value(buffer: &[u8], start: usize) -> Result<Option<Value>, Malformed> {
    let Some(&kind) = buffer.get(start) else { return Ok(None) };
    if !b"+-:$*_#,(=!%~>".contains(&kind) {
        return Err(Malformed(format!("a reply starts with byte {kind:#04x}")));
    }
    let Some((text, next)) = line(buffer, start + 1)? else { return Ok(None) };
    let head = &buffer[text.clone()];
    let leaf = |token| Ok(Some((token, next, 0)));
    match kind {
        b'+' | b',' | b'(' => leaf(Token::Text(text)),
        b'-' => leaf(Token::Error(text)),
        b':' => leaf(Token::Number(number(head)?)),
        b'_' if head.is_empty() => leaf(Token::Null),
        b'_' => Err(Malformed("a null with content".into())),
        b'#' => match head {
            b"t" => leaf(Token::Boolean(true)),
            b"f" => leaf(Token::Boolean(false)),
            _ => Err(Malformed("a boolean that is neither t nor f".into())),
        },
        b'$' | b'=' | b'!' => {
            let Some(length) = length(head, MAX_TEXT)? else {
                return if kind == b'$' { leaf(Token::Null) } else { Err(Malformed("a length of -1".into())) };
            };
            let end = next + length;
            let Some(close) = buffer.get(end..end + 2) else { return Ok(None) };
            if close != b"\r\n" {
                return Err(Malformed("a text does not end where its length says".into()));
            }
            let token = match kind {
                b'!' => Token::Error(next..end),
                // A verbatim string carries its format in front: `txt:`.
                b'=' if length >= 4 && buffer[next + 3] == b':' => Token::Text(next + 4..end),
                b'=' => return Err(Malformed("a verbatim string without a format".into())),
                _ => Token::Text(next..end),
            };
            Ok(Some((token, end + 2, 0)))
        }
        // `*`, `~`, `%`, `>`
        _ => {
            let Some(length) = length(head, MAX_ELEMENTS)? else {
                return if kind == b'*' { leaf(Token::Null) } else { Err(Malformed("a length of -1".into())) };
            };
            Ok(Some(match kind {
                b'%' => (Token::Map(length), next, 2 * length),
                b'>' => (Token::Push(length), next, length),
                _ => (Token::Array(length), next, length),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::Value as Theirs;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Vec<Token>>, Malformed> {
        let mut tokens = Vec::new();
        Ok(Decoder::default().advance(bytes, &mut tokens)?.then_some(tokens))
    }

    /// Rebuilds the redis crate's value from our tokens.
    fn rebuild(bytes: &[u8], tokens: &mut std::slice::Iter<'_, Token>) -> Theirs {
        match tokens.next().unwrap() {
            Token::Text(range) => Theirs::BulkString(bytes[range.clone()].to_vec()),
            Token::Number(n) => Theirs::Int(*n),
            Token::Boolean(b) => Theirs::Boolean(*b),
            Token::Null => Theirs::Nil,
            Token::Array(n) => Theirs::Array((0..*n).map(|_| rebuild(bytes, tokens)).collect()),
            Token::Map(n) => Theirs::Map((0..*n).map(|_| (rebuild(bytes, tokens), rebuild(bytes, tokens))).collect()),
            other => panic!("not generated: {other:?}"),
        }
    }

    fn write(value: &Theirs, out: &mut Vec<u8>) {
        match value {
            Theirs::BulkString(text) => crate::redis::encode::push_word(out, text),
            Theirs::Int(n) => out.extend_from_slice(format!(":{n}\r\n").as_bytes()),
            Theirs::Boolean(b) => out.extend_from_slice(if *b { b"#t\r\n" } else { b"#f\r\n" }),
            Theirs::Nil => out.extend_from_slice(b"_\r\n"),
            Theirs::Array(items) => {
                out.extend_from_slice(format!("*{}\r\n", items.len()).as_bytes());
                for item in items {
                    write(item, out);
                }
            }
            Theirs::Map(pairs) => {
                out.extend_from_slice(format!("%{}\r\n", pairs.len()).as_bytes());
                for (k, v) in pairs {
                    write(k, out);
                    write(v, out);
                }
            }
            other => panic!("not generated: {other:?}"),
        }
    }

    fn values() -> impl Strategy<Value = Theirs> {
        let leaf = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Theirs::BulkString),
            any::<i64>().prop_map(Theirs::Int),
            any::<bool>().prop_map(Theirs::Boolean),
            Just(Theirs::Nil),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Theirs::Array),
                prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Theirs::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn replies_are_what_the_redis_crate_reads(value in values()) {
            let mut bytes = Vec::new();
            write(&value, &mut bytes);
            let tokens = decode(&bytes).unwrap().expect("a whole reply");
            let ours = rebuild(&bytes, &mut tokens.iter());
            prop_assert_eq!(&ours, &value);
            prop_assert_eq!(ours, redis::parse_redis_value(&bytes).unwrap());
        }

        #[test]
        fn decoding_goes_on_at_any_byte(list in prop::collection::vec(values(), 1..5), cut in 1_usize..7) {
            let mut bytes = Vec::new();
            for value in &list {
                write(value, &mut bytes);
            }
            let (mut decoder, mut tokens, mut ends) = (Decoder::default(), Vec::new(), Vec::new());
            let mut seen = 0;
            while seen < bytes.len() {
                seen = (seen + cut).min(bytes.len());
                while decoder.advance(&bytes[..seen], &mut tokens).unwrap() {
                    ends.push(tokens.len());
                }
            }
            prop_assert_eq!(ends.len(), list.len());
            let mut iter = tokens.iter();
            for value in &list {
                prop_assert_eq!(&rebuild(&bytes, &mut iter), value);
            }
        }

        #[test]
        fn any_bytes_are_a_reply_an_error_or_a_wait(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_we_take_for_whole_the_redis_crate_does_not_call_malformed(
            bytes in "[-+:$*_#%~]([0-9]{0,2}|t|f|-1)\r\n([-+:$*_][0-9]{0,1}\r\n){0,4}"
        ) {
            let bytes = bytes.as_bytes();
            let mut decoder = Decoder::default();
            if decoder.advance(bytes, &mut Vec::new()) == Ok(true) {
                let whole = &bytes[..decoder.position()];
                // It reads some numbers more strictly or loosely; a nil or error inside is fine for both.
                if let Err(error) = redis::parse_redis_value(whole) {
                    prop_assert!(error.is_io_error() || !whole.is_empty(), "{error}");
                }
            }
        }
    }

    #[test]
    fn hostile_lengths_are_errors_and_not_waits() {
        for bytes in [
            "*9223372036854775807\r\n",
            "$9223372036854775807\r\n",
            "$99999999999999999999\r\n",
            "$536870913\r\n",
            "=-1\r\n",
            "!-1\r\n",
            "$-2\r\n",
            "*-2\r\n",
            "%-1\r\n",
            ":\r\n",
            ":1x\r\n",
            "_x\r\n",
            "#x\r\n",
            "$1\r\nab\r\n",
            "=3\r\nabc\r\n",
            "x\r\n",
            "+a\rb\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
        ] {
            assert!(decode(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn aggregates_cannot_multiply_beyond_the_bound() {
        let mut bytes = format!("*{MAX_ELEMENTS}\r\n").into_bytes();
        bytes.extend_from_slice(format!("*{MAX_ELEMENTS}\r\n").as_bytes());
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        assert_eq!(decode(&[b'+'; 100]), Ok(None));
        assert!(decode(&vec![b'+'; MAX_LINE + 1]).is_err());
    }

    #[test]
    fn a_reply_of_endless_levels_is_refused_before_its_end() {
        assert!(decode(&b"*1\r\n".repeat(100_000)).is_err());
        assert!(decode(&b"*0\r\n".repeat(100_000)).is_ok());
    }
}
