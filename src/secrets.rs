//! What must not be shown of what a server says: user and password. Pure.
//!
//! A server that does not know a command repeats its arguments in the error, quoted, escaped and shortened in its own way:
//! Redis 7 says `unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'bot' 'hunter2'`, cuts that off after so many
//! bytes, and each argument at its first NUL. To look for the password is not enough then. So the answer to a command that
//! carried secrets ends where it begins to repeat them; and in all that a server or a driver says, what looks like a secret, or
//! like enough of its beginning, is masked.
//!
//! Decisions (is this password wrong, is this server loading?) are made by the words as they came; only what is shown goes
//! through here.

/// What stands in place of a secret wherever it would be shown.
pub const MASK: &str = "********";

/// A secret of so many characters is masked also in the middle of a word, a shorter one only as a word of its own.
const ANYWHERE: usize = 4;
/// The beginning of a secret is masked where it is so long, as a word; behind a quote that much shorter.
const BEGINNING: usize = 8;
const QUOTED_BEGINNING: usize = 3;
/// Between two arguments that are repeated stand at most so many characters.
const BETWEEN: usize = 4;
/// By these words servers begin to repeat arguments.
const REPEATS: [&str; 4] = ["with args", "with arguments:", "args beginning", "args:"];
/// What stands for what was cut off.
const CUT: &str = " …";
/// What stands for words of which nothing can be shown.
const NOTHING: &str = "words that hold a secret";
/// Words that are not shown. No `Debug`: it holds them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    words: Vec<Box<str>>,
}

impl Secrets {
    /// These words; empty ones are none.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<Box<str>> = words.into_iter().filter(|word| !word.is_empty()).map(Into::into).collect();
        // Of two that begin alike the longer one is masked.
        words.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        words.dedup();
        Self { words }
    }

    /// What may be shown of somebody's words.
    #[must_use]
    pub fn mask(&self, said: &str) -> String {
        let mut shown = String::with_capacity(said.len());
        let mut at = 0;
        let mut is_masked = false;
        while let Some(next) = said[at..].chars().next() {
            if let Some(end) = self.words.iter().filter_map(|word| secret_at(said, at, word)).max() {
                shown.push_str(MASK);
                is_masked = true;
                at = end;
            } else {
                shown.push(next);
                at += next.len_utf8();
            }
        }
        // Around the mask itself a secret may come to be that has asterisks.
        let holds_one = |word: &str| {
            word.contains('*') && shown.char_indices().any(|(at, _)| secret_at(&shown, at, word).is_some())
        };
        if is_masked && self.words.iter().any(|word| holds_one(word)) {
            return NOTHING.to_owned();
        }
        shown
    }

    /// What may be shown of the answer to a command that carried secrets. `arguments`: the command's, without its name.
    #[must_use]
    pub fn mask_answer(&self, said: &str, arguments: &[&str]) -> String {
        match repetition(said, arguments) {
            Some(at) => {
                let kept = said[..at]
                    .trim_end_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() && !is_quote(c));
                self.mask(kept) + CUT
            }
            None => self.mask(said),
        }
    }
}

const fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`' | '‘' | '’' | '“' | '”' | '«' | '»')
}

/// Whether neither side of a place belongs to a word that goes on there.
fn is_edge(before: Option<char>, after: Option<char>) -> bool {
    !(before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric))
}

fn edge_at(text: &str, at: usize) -> bool {
    is_edge(text[..at].chars().next_back(), text[at..].chars().next())
}

/// Where a secret, or enough of its beginning, ends that begins at a place.
fn secret_at(text: &str, at: usize, secret: &str) -> Option<usize> {
    let Match { characters, end, is_whole } = matching(&text[at..], secret)?;
    let end = at + end;
    if is_whole && characters >= ANYWHERE {
        return Some(end);
    }
    let is_quoted = text[..at].chars().next_back().is_some_and(is_quote);
    let is_enough = is_whole || characters >= if is_quoted { QUOTED_BEGINNING } else { BEGINNING };
    (is_enough && edge_at(text, at) && edge_at(text, end)).then_some(end)
}

/// How much of a secret a text begins with.
struct Match {
    characters: usize,
    /// In bytes of the text.
    end: usize,
    is_whole: bool,
}

/// As much of a secret as a text begins with, in any form that it may have there. Nothing where not even its first character
/// matches.
fn matching(text: &str, secret: &str) -> Option<Match> {
    let mut ends = vec![];
    let mut characters = secret.chars();
    push_forms(text, 0, characters.next()?, &mut ends);
    let mut found = Match { characters: 1, end: *ends.iter().max()?, is_whole: false };
    loop {
        let Some(character) = characters.next() else { return Some(Match { is_whole: true, ..found }) };
        let mut next = vec![];
        for &end in &ends {
            push_forms(text, end, character, &mut next);
        }
        next.sort_unstable();
        next.dedup();
        let Some(&end) = next.last() else { return Some(found) };
        found = Match { characters: found.characters + 1, end, is_whole: false };
        ends = next;
    }
}

/// Notes where a character ends that begins at a place of a text: as it is, escaped as C, JSON or Rust do it, percent-encoded, as
/// the blank that Redis puts in place of the end of a line, or as what is shown of a character that was cut in two.
fn push_forms(text: &str, at: usize, character: char, ends: &mut Vec<usize>) {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return };
    if first == character {
        ends.push(at + first.len_utf8());
    }
    match first {
        ' ' if character.is_control() => ends.push(at + 1),
        '+' if character == ' ' => ends.push(at + 1),
        char::REPLACEMENT_CHARACTER if !character.is_ascii() => ends.push(at + first.len_utf8()),
        '%' => ends.extend(encoded(rest, "%", character).map(|length| at + length)),
        '\\' => {
            ends.extend(encoded(rest, "\\x", character).map(|length| at + length));
            ends.extend(escaped(&rest[1..], character).map(|length| at + 1 + length));
        }
        _ => {}
    }
}

/// The length of a character's bytes in hexadecimal, each behind that sign.
fn encoded(text: &str, sign: &str, character: char) -> Option<usize> {
    let mut bytes = [0; 4];
    let mut rest = text;
    for byte in character.encode_utf8(&mut bytes).bytes() {
        let digits = rest.strip_prefix(sign)?.get(..2)?;
        if u8::from_str_radix(digits, 16) != Ok(byte) {
            return None;
        }
        rest = &rest[sign.len() + 2..];
    }
    Some(text.len() - rest.len())
}

/// The length of what follows a backslash that stands for a character.
fn escaped(text: &str, character: char) -> Option<usize> {
    let letter = match character {
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        other => other,
    };
    if text.starts_with(letter) {
        return Some(letter.len_utf8());
    }
    let hexadecimal = text.strip_prefix('u')?;
    if let Some(braced) = hexadecimal.strip_prefix('{') {
        let (digits, _) = braced.split_once('}')?;
        return (u32::from_str_radix(digits, 16) == Ok(character.into())).then_some(3 + digits.len());
    }
    let mut units = [0; 2];
    let mut rest = text;
    for unit in character.encode_utf16(&mut units) {
        // Between the halves of a pair stands another backslash.
        let digits = rest.trim_start_matches('\\').strip_prefix('u')?.get(..4)?;
        if u16::from_str_radix(digits, 16) != Ok(*unit) {
            return None;
        }
        rest = &rest[rest.find(digits)? + 4..];
    }
    Some(text.len() - rest.len())
}

/// Where an answer begins to repeat arguments: by words that say so, by a quote with one of them or its beginning in it, or by two
/// that follow each other.
fn repetition(said: &str, arguments: &[&str]) -> Option<usize> {
    let lower = said.to_ascii_lowercase();
    let by_words = REPEATS.iter().filter_map(|words| lower.find(words)).min();
    let begins_one = |at: usize| arguments.iter().any(|argument| is_repeated(said, at, argument));
    let by_quote = said.char_indices().find(|&(at, c)| is_quote(c) && begins_one(at + c.len_utf8())).map(|(at, _)| at);
    let by_order = said.char_indices().map(|(at, _)| at).find(|&at| {
        edge_at(said, at) && arguments.windows(2).any(|pair| follow_each_other(said, at, pair[0], pair[1]))
    });
    by_words.into_iter().chain(by_quote).chain(by_order).min()
}

/// Whether an argument, or its beginning, stands at a place and ends there as what is quoted ends.
fn is_repeated(said: &str, at: usize, argument: &str) -> bool {
    let Some(Match { end, is_whole, .. }) = matching(&said[at..], argument) else { return false };
    let next = said[at + end..].chars().next();
    is_whole && edge_at(said, at + end) || next.is_none_or(|next| is_quote(next) || matches!(next, '.' | '…'))
}

fn follow_each_other(said: &str, at: usize, first: &str, second: &str) -> bool {
    let Some(Match { end, is_whole: true, .. }) = matching(&said[at..], first) else { return false };
    let rest = &said[at + end..];
    let between: usize = rest.chars().take(BETWEEN).take_while(|c| !c.is_alphanumeric()).map(char::len_utf8).sum();
    let starts: Vec<usize> =
        rest.char_indices().map(|(start, _)| start).take_while(|&start| start <= between).collect();
    starts.into_iter().filter(|&start| start > 0).any(|start| {
        matching(&rest[start..], second).is_some_and(|found| edge_at(rest, start) && edge_at(rest, start + found.end))
    })
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
