//! Commands as the bytes that Redis reads (RESP arrays of bulk strings).
//!
//! The redis crate packs commands too, but only out of a `Cmd` that copies its arguments first; these few lines append
//! to the buffer that is written to the socket. A test holds both to the same bytes.

/// Appends a decimal number.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the head of a command with that many words, its name included.
pub fn push_head(out: &mut Vec<u8>, words: usize) {
    out.push(b'*');
    push_number(out, words as u64);
    out.extend_from_slice(b"\r\n");
}

/// Appends one word.
pub fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'$');
    push_number(out, word.len() as u64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole command.
pub fn push_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    push_head(out, words.len());
    for word in words {
        push_word(out, word);
    }
}

/// The name of a command and its first argument, for messages: read back from the bytes that were sent, so that
/// nothing has to be remembered for the rare error. Long or binary keys are shortened and shown as they can be.
#[must_use]
pub fn describe(command: &[u8]) -> String {
    fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let length: usize = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()?;
        let word = rest.get(end + 2..end + 2 + length)?;
        *rest = rest.get(end + 4 + length..)?;
        Some(word)
    }
    let mut text = String::new();
    let Some(head) = command.windows(2).position(|pair| pair == b"\r\n") else { return text };
    let mut rest = &command[head + 2..];
    if let Some(name) = word(&mut rest) {
        text.push_str(&String::from_utf8_lossy(name));
    }
    if let Some(key) = word(&mut rest) {
        let shown: String = String::from_utf8_lossy(&key[..key.len().min(200)]).chars().take(120).collect();
        text.push(' ');
        text.push_str(&shown);
        if shown.len() < key.len() && key.len() > 120 {
            text.push('…');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn commands_are_the_bytes_that_the_redis_crate_packs(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8)
        ) {
            let mut ours = Vec::new();
            push_command(&mut ours, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let mut theirs = redis::Cmd::new();
            for word in &words {
                theirs.arg(word.as_slice());
            }
            prop_assert_eq!(ours, theirs.get_packed_command());
        }

        #[test]
        fn describing_any_bytes_does_not_fail(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = describe(&bytes);
        }
    }

    #[test]
    fn a_command_is_described_by_name_and_key() {
        let mut out = Vec::new();
        push_command(&mut out, &[b"GET", b"signal_cache:a"]);
        assert_eq!(describe(&out), "GET signal_cache:a");
    }
}
