//! Any bytes, in any pieces: the decoder stays within its buffer, does not care where reads end, and agrees with the
//! parser of the redis crate.

#![no_main]

use backtest_kit_native::redis::decode::{Decoder, Token};
use libfuzzer_sys::fuzz_target;
use redis::Value;

/// Everything that the bytes hold: the tokens of whole replies with the end of each, and whether nonsense came after them.
#[derive(Debug, PartialEq)]
struct Decoded {
    replies: Vec<(Vec<Token>, usize)>,
    malformed: bool,
}

/// Decodes, seeing `step` more bytes each time.
fn decode(bytes: &[u8], step: usize) -> Decoded {
    let mut decoded = Decoded { replies: Vec::new(), malformed: false };
    let (mut decoder, mut tokens) = (Decoder::default(), Vec::new());
    let mut seen: usize = 0;
    loop {
        seen = seen.saturating_add(step).min(bytes.len());
        loop {
            match decoder.advance(&bytes[..seen], &mut tokens) {
                Ok(true) => decoded.replies.push((std::mem::take(&mut tokens), decoder.position())),
                Ok(false) => break,
                Err(_) => {
                    decoded.malformed = true;
                    return decoded;
                }
            }
            assert!(decoder.position() <= seen);
        }
        if seen == bytes.len() {
            return decoded;
        }
    }
}

/// Takes one value off the tokens.
fn rebuild(bytes: &[u8], tokens: &mut std::slice::Iter<'_, Token>) -> Value {
    match tokens.next().expect("an aggregate is followed by its elements") {
        Token::Text(range) => Value::BulkString(bytes[range.clone()].to_vec()),
        // An error's own words are compared nowhere: the crate takes them apart.
        Token::Error(_) => Value::SimpleString("error".to_owned()),
        Token::Number(number) => Value::Int(*number),
        Token::Boolean(truth) => Value::Boolean(*truth),
        Token::Null => Value::Nil,
        Token::Array(count) | Token::Push(count) => Value::Array((0..*count).map(|_| rebuild(bytes, tokens)).collect()),
        Token::Map(count) => {
            Value::Map((0..*count).map(|_| (rebuild(bytes, tokens), rebuild(bytes, tokens))).collect())
        }
    }
}

/// The crate's value as far as our tokens tell: all texts are one kind, so are all lists.
fn plain(value: Value) -> Value {
    let all = |list: Vec<Value>| list.into_iter().map(plain).collect();
    match value {
        Value::Okay => Value::BulkString(b"OK".to_vec()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Value::BulkString(text.into_bytes()),
        Value::Array(list) | Value::Set(list) => Value::Array(all(list)),
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(key, value)| (plain(key), plain(value))).collect()),
        Value::ServerError(_) => Value::SimpleString("error".to_owned()),
        other => other,
    }
}

/// Kinds that the crate reads differently on purpose: doubles and big numbers become numbers, attributes are taken for a
/// value's part, push messages have a kind of their own, and text must be UTF-8 where it is not binary.
fn comparable(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && !bytes.iter().any(|byte| b",(|>=".contains(byte))
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else { return };
    let whole = decode(bytes, usize::MAX);
    assert_eq!(whole, decode(bytes, usize::from(step % 16) + 1), "it matters where reads end");

    let mut start = 0;
    for (tokens, end) in &whole.replies {
        for token in tokens {
            if let Token::Text(range) | Token::Error(range) = token {
                assert!(start <= range.start && range.start <= range.end && range.end + 2 <= *end);
            }
        }
        let reply = &bytes[start..*end];
        let mut rest = tokens.iter();
        let ours = rebuild(bytes, &mut rest);
        assert!(rest.next().is_none(), "tokens that belong to nothing");
        if comparable(reply) {
            match redis::parse_redis_value(reply) {
                Ok(theirs) => assert_eq!(plain(theirs), ours),
                Err(error) => assert!(forgiven(reply), "{error:?}"),
            }
        }
        start = *end;
    }
    // The crate is looser (spaces around numbers, any negative length, a lone CR in a line), but what it reads from bytes
    // that are written as servers write them is a reply for us as well.
    if whole.malformed
        && comparable(&bytes[start..])
        && let Ok(value) = redis::parse_redis_value(&bytes[start..])
    {
        let mut canonical = Vec::new();
        write(&value, &mut canonical);
        assert!(!bytes[start..].starts_with(&canonical), "the crate reads {value:?}");
    }
});

/// Replies that we take and the crate does not: it gives up at a depth of 100.
fn forgiven(reply: &[u8]) -> bool {
    reply.iter().filter(|byte| b"*~%".contains(byte)).count() >= 100
}

/// A value as a server writes it.
fn write(value: &Value, out: &mut Vec<u8>) {
    let mut list = |kind: char, items: &[Value]| {
        out.extend_from_slice(format!("{kind}{}\r\n", items.len()).as_bytes());
        items.iter().for_each(|item| write(item, out));
    };
    match value {
        Value::Array(items) => list('*', items),
        Value::Set(items) => list('~', items),
        Value::Map(pairs) => {
            out.extend_from_slice(format!("%{}\r\n", pairs.len()).as_bytes());
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        }
        Value::Okay => out.extend_from_slice(b"+OK\r\n"),
        // The protocol forbids line ends within it.
        Value::SimpleString(text) if !text.contains('\r') => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
        Value::Int(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
        Value::Boolean(truth) => out.extend_from_slice(if *truth { b"#t\r\n" } else { b"#f\r\n" }),
        Value::Nil => out.extend_from_slice(b"_\r\n"),
        Value::BulkString(text) => {
            out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        // Kinds whose bytes the value does not tell are left out: this matches no input.
        _ => out.push(0),
    }
}
