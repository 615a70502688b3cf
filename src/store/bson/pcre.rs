//! PCRE's patterns, as MongoDB compiles them (UTF-8, classes of ASCII), read into what is matched in linear time.
//!
//! Refused, because no automaton does it, or not in the same way: look-around, back references, recursion, conditions,
//! atomic groups and possessive quantifiers, verbs, `\G`, `\K`, `\R`, `\X`, `\C`, properties (`\p`), a `$` or `\Z` that
//! something follows, and a `^` of option `m` that nothing need follow: those two look at a newline that ends the text.

use std::iter::Peekable;
use std::str::Chars;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

use super::refusal::Refusal;
use super::refusal::codes::INVALID_REGEX;

/// The options that hold at a place of a pattern.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one of PCRE's options")]
pub(super) struct Flags {
    any_case: bool,
    lines: bool,
    dot_is_all: bool,
    extended: bool,
}

impl Flags {
    /// Sets an option by its letter; false where there is no such letter.
    pub(super) fn set(&mut self, letter: char, on: bool) -> bool {
        match letter {
            'i' => self.any_case = on,
            'm' => self.lines = on,
            's' => self.dot_is_all = on,
            'x' => self.extended = on,
            _ => return false,
        }
        true
    }
}

/// How deeply groups may be nested.
const LEVELS: usize = 100;
/// The most that a quantifier counts to.
const MOST: u32 = 65_535;

const DIGIT: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const ALPHA: &[(char, char)] = &[('A', 'Z'), ('a', 'z')];
const SPACE: &[(char, char)] = &[('\t', '\r'), (' ', ' ')];
const HORIZONTAL: &[(char, char)] = &[
    ('\t', '\t'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
];
const VERTICAL: &[(char, char)] = &[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')];

/// A part of a pattern.
struct Part {
    hir: Hir,
    /// Whether it has a `$` in it that may stand before a newline at the text's end.
    ends: bool,
    /// Whether it is a `^` that holds behind each newline.
    line: bool,
    /// Whether a quantifier may follow.
    counts: bool,
}

impl Part {
    fn of(hir: Hir) -> Self {
        Self { hir, ends: false, line: false, counts: true }
    }

    /// What takes no text.
    fn empty() -> Self {
        Self { counts: false, ..Self::of(Hir::empty()) }
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::of_mongo(INVALID_REGEX, format!("Regular expression is invalid: {why}"))
}

fn absent(what: &str) -> Refusal {
    Refusal::ours(format!("regular expressions of the embedded store have no {what}"))
}

/// Reads a whole pattern.
pub(super) fn read(text: &str, flags: Flags) -> Result<Hir, Refusal> {
    if text.starts_with("(*") {
        return Err(absent("verbs like (*UCP)"));
    }
    let mut reader = Reader { rest: text.chars().peekable(), level: 0 };
    let part = reader.alternatives(flags)?;
    if reader.rest.peek().is_some() {
        return Err(invalid("unmatched parentheses"));
    }
    Ok(part.hir)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    level: usize,
}

impl Reader<'_> {
    fn take(&mut self, expected: char) -> bool {
        self.rest.next_if_eq(&expected).is_some()
    }

    fn starts_with(&self, text: &str) -> bool {
        let mut rest = self.rest.clone();
        text.chars().all(|expected| rest.next() == Some(expected))
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.rest.next();
        }
    }

    /// Up to the end of the pattern or of the group.
    fn alternatives(&mut self, mut flags: Flags) -> Result<Part, Refusal> {
        self.level += 1;
        if self.level > LEVELS {
            return Err(absent("groups as deep as that"));
        }
        let mut branches = Vec::new();
        let mut ends = false;
        loop {
            // An option that is set within a branch holds in those behind it too.
            let (hir, has_end) = self.sequence(&mut flags)?;
            branches.push(hir);
            ends |= has_end;
            if !self.take('|') {
                break;
            }
        }
        self.level -= 1;
        Ok(Part { ends, ..Part::of(Hir::alternation(branches)) })
    }

    fn sequence(&mut self, flags: &mut Flags) -> Result<(Hir, bool), Refusal> {
        let mut parts: Vec<Part> = Vec::new();
        while let Some(&next) = self.rest.peek() {
            if next == '|' || next == ')' {
                break;
            }
            if flags.extended && self.blank() {
                continue;
            }
            if let Some((least, most)) = self.quantifier()? {
                let Some(part) = parts.pop().filter(|part| part.counts) else {
                    return Err(invalid("nothing to repeat"));
                };
                parts.push(repeated(part, least, most, !self.take('?'))?);
                if self.rest.peek() == Some(&'+') {
                    return Err(absent("possessive quantifiers"));
                }
                continue;
            }
            parts.push(self.atom(flags)?);
        }
        let ends = parts.last().is_some_and(|part| part.ends);
        let followed = |part: &Part| !matches!(part.hir.kind(), HirKind::Empty);
        for (place, part) in parts.iter().enumerate() {
            let mut behind = parts[place + 1..].iter();
            if part.ends && behind.any(followed) {
                return Err(absent("$ that something follows"));
            }
            let behind = &parts[place + 1..];
            if part.line && behind.iter().all(|part| part.hir.properties().minimum_len() == Some(0)) {
                return Err(absent("^ of option m that nothing need follow"));
            }
        }
        let ends = ends || parts.iter().any(|part| part.ends);
        Ok((Hir::concat(parts.into_iter().map(|part| part.hir).collect()), ends))
    }

    /// Passes white space or a comment of option `x` over.
    fn blank(&mut self) -> bool {
        if self.rest.next_if(|next| matches!(next, '\t'..='\r' | ' ')).is_some() {
            return true;
        }
        if !self.take('#') {
            return false;
        }
        while self.rest.next().is_some_and(|next| next != '\n') {}
        true
    }

    /// A quantifier, if one stands here. A brace that begins none is a brace.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, Refusal> {
        if self.take('*') {
            return Ok(Some((0, None)));
        }
        if self.take('+') {
            return Ok(Some((1, None)));
        }
        if self.take('?') {
            return Ok(Some((0, Some(1))));
        }
        let ahead: String = self.rest.clone().take_while(|next| *next != '}').collect();
        let Some(counts) = ahead.strip_prefix('{').filter(|_| self.rest.clone().any(|next| next == '}')) else {
            return Ok(None);
        };
        let is_count = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        let (least, most) = counts
            .split_once(',')
            .map_or((counts, Some(counts)), |(least, most)| (least, Some(most).filter(|most| !most.is_empty())));
        if !is_count(least) || !most.is_none_or(is_count) {
            return Ok(None);
        }
        self.skip(ahead.chars().count() + 1);
        let number = |text: &str| {
            text.parse().ok().filter(|number| *number <= MOST).ok_or_else(|| invalid("number too big in {} quantifier"))
        };
        let (least, most) = (number(least)?, most.map(number).transpose()?);
        if most.is_some_and(|most| most < least) {
            return Err(invalid("numbers out of order in {} quantifier"));
        }
        Ok(Some((least, most)))
    }

    fn atom(&mut self, flags: &mut Flags) -> Result<Part, Refusal> {
        match self.rest.next().unwrap_or_default() {
            '(' => self.group(flags),
            '[' => Ok(Part::of(class(self.class(*flags)?))),
            '\\' => self.escape(*flags),
            '.' if flags.dot_is_all => Ok(Part::of(class(not(ClassUnicode::empty())))),
            '.' => Ok(Part::of(class(not(of_ranges(&[('\n', '\n')]))))),
            '^' if flags.lines => Ok(Part { line: true, ..Part::of(Hir::look(Look::StartLF)) }),
            '^' => Ok(Part::of(Hir::look(Look::Start))),
            '$' if flags.lines => Ok(Part::of(Hir::look(Look::EndLF))),
            '$' => Ok(at_the_end()),
            other => Ok(literal(other, *flags)),
        }
    }

    fn group(&mut self, flags: &mut Flags) -> Result<Part, Refusal> {
        let mut inner = *flags;
        if self.rest.peek() == Some(&'*') {
            return Err(absent("verbs like (*UCP)"));
        }
        if self.take('?') {
            if self.take('#') {
                return if self.rest.any(|next| next == ')') { Ok(Part::empty()) } else { Err(invalid("missing )")) };
            }
            if self.starts_with("<=") || self.starts_with("<!") || self.starts_with("=") || self.starts_with("!") {
                return Err(absent("look-around"));
            }
            let named = ["P<", "<", "'"].into_iter().find(|start| self.starts_with(start));
            if let Some(start) = named {
                self.skip(start.len());
                let end = if start == "'" { '\'' } else { '>' };
                let mut name = String::new();
                while let Some(next) = self.rest.next_if(|next| *next == '_' || next.is_ascii_alphanumeric()) {
                    name.push(next);
                }
                if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !self.take(end) {
                    return Err(invalid("syntax error in subpattern name"));
                }
            } else {
                let mut on = true;
                loop {
                    match self.rest.next() {
                        Some(':') => break,
                        // Holds up to the end of the group that it stands in.
                        Some(')') => {
                            *flags = inner;
                            return Ok(Part::empty());
                        }
                        Some('-') if on => on = false,
                        Some(letter) if inner.set(letter, on) => {}
                        Some(_) => {
                            return Err(absent("groups but plain and named ones and those with options i, m, s, x"));
                        }
                        None => return Err(invalid("missing )")),
                    }
                }
            }
        }
        let part = self.alternatives(inner)?;
        if self.take(')') { Ok(part) } else { Err(invalid("missing )")) }
    }

    /// What follows a backslash, outside of a class.
    fn escape(&mut self, flags: Flags) -> Result<Part, Refusal> {
        let Some(&letter) = self.rest.peek() else { return Err(invalid("\\ at end of pattern")) };
        let look = |look| Ok(Part::of(Hir::look(look)));
        if let Some(known) = self.known_class() {
            return Ok(Part::of(class(known)));
        }
        match letter {
            'b' | 'B' | 'A' | 'z' | 'Z' | 'N' | 'Q' | 'E' => {
                self.rest.next();
            }
            _ => return Ok(literal(self.character()?, flags)),
        }
        match letter {
            'b' => look(Look::WordAscii),
            'B' => look(Look::WordAsciiNegate),
            'A' => look(Look::Start),
            'z' => look(Look::End),
            'Z' => Ok(at_the_end()),
            'N' => Ok(Part::of(class(not(of_ranges(&[('\n', '\n')]))))),
            'Q' => {
                let mut parts = Vec::new();
                while self.rest.peek().is_some() && !self.starts_with("\\E") {
                    parts.push(literal(self.rest.next().unwrap_or_default(), flags).hir);
                }
                // A quantifier would count for the last character alone.
                self.skip(2);
                Ok(Part { counts: parts.len() == 1, ..Part::of(Hir::concat(parts)) })
            }
            _ => Ok(Part::empty()),
        }
    }

    /// A class that a letter stands for, behind a backslash.
    fn known_class(&mut self) -> Option<ClassUnicode> {
        let letter = *self.rest.peek()?;
        let ranges = match letter.to_ascii_lowercase() {
            'd' => DIGIT,
            'w' => WORD,
            's' => SPACE,
            'h' => HORIZONTAL,
            'v' => VERTICAL,
            _ => return None,
        };
        self.rest.next();
        let known = of_ranges(ranges);
        Some(if letter.is_ascii_uppercase() { not(known) } else { known })
    }

    /// One character, behind a backslash.
    fn character(&mut self) -> Result<char, Refusal> {
        let Some(letter) = self.rest.next() else { return Err(invalid("\\ at end of pattern")) };
        let code = match letter {
            't' => 0x09,
            'n' => 0x0a,
            'r' => 0x0d,
            'f' => 0x0c,
            'e' => 0x1b,
            'a' => 0x07,
            'x' if self.take('{') => {
                let digits: String = std::iter::from_fn(|| self.rest.next_if(char::is_ascii_hexdigit)).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| self.take('}'));
                code.ok_or_else(|| absent("such \\x{…}"))?
            }
            'x' => self.number(2, 16),
            'c' => match self.rest.next() {
                Some(next) if next.is_ascii_graphic() || next == ' ' => u32::from(next.to_ascii_uppercase()) ^ 0x40,
                _ => return Err(invalid("\\c must be followed by an ASCII character")),
            },
            '0' => self.number(2, 8),
            '1'..='9' => return Err(absent("back references")),
            _ if letter.is_ascii_alphanumeric() => return Err(absent(&format!("\\{letter}"))),
            _ => u32::from(letter),
        };
        char::from_u32(code).ok_or_else(|| invalid("character value in \\x{} or \\o{} is too large"))
    }

    /// A number of so many digits at most; none is 0.
    fn number(&mut self, digits: usize, radix: u32) -> u32 {
        let mut number = 0;
        for _ in 0..digits {
            let Some(digit) = self.rest.next_if(|next| next.is_digit(radix)) else { break };
            number = number * radix + digit.to_digit(radix).unwrap_or(0);
        }
        number
    }

    /// A class in brackets, behind its first.
    fn class(&mut self, flags: Flags) -> Result<ClassUnicode, Refusal> {
        let negated = self.take('^');
        // Classes by name are not widened by option i; characters and ranges are.
        let (mut known, mut plain) = (ClassUnicode::empty(), ClassUnicode::empty());
        let mut first = true;
        loop {
            let start = match self.rest.next() {
                None => return Err(invalid("missing terminating ] for character class")),
                Some(']') if !first => break,
                Some('[') if self.is_posix() => {
                    known.union(&self.posix(flags)?);
                    first = false;
                    continue;
                }
                Some('\\') => match self.in_class()? {
                    Member::Class(class) => {
                        known.union(&class);
                        first = false;
                        if self.starts_with("-") && !self.starts_with("-]") {
                            return Err(absent("ranges that begin with a class"));
                        }
                        continue;
                    }
                    Member::Nothing => continue,
                    Member::Character(character) => character,
                },
                Some(character) => character,
            };
            first = false;
            let mut end = start;
            if self.starts_with("-") && !self.starts_with("-]") {
                self.rest.next();
                end = match self.rest.next() {
                    None => return Err(invalid("missing terminating ] for character class")),
                    Some('\\') => match self.in_class()? {
                        Member::Character(character) => character,
                        _ => return Err(absent("ranges that end with a class")),
                    },
                    Some('[') if self.is_posix() => return Err(absent("ranges that end with a class")),
                    Some(character) => character,
                };
                if end < start {
                    return Err(invalid("range out of order in character class"));
                }
            }
            plain.push(ClassUnicodeRange::new(start, end));
        }
        if flags.any_case {
            plain.try_case_fold_simple().map_err(|error| Refusal::ours(error.to_string()))?;
        }
        plain.union(&known);
        Ok(if negated { not(plain) } else { plain })
    }

    /// What follows a backslash in a class.
    fn in_class(&mut self) -> Result<Member, Refusal> {
        if let Some(known) = self.known_class() {
            return Ok(Member::Class(known));
        }
        match self.rest.peek() {
            Some('b') => {
                self.rest.next();
                Ok(Member::Character('\u{8}'))
            }
            Some('E') => {
                self.rest.next();
                Ok(Member::Nothing)
            }
            Some('1'..='7') => {
                char::from_u32(self.number(3, 8)).map(Member::Character).ok_or_else(|| absent("such \\ddd"))
            }
            _ => self.character().map(Member::Character),
        }
    }

    /// Whether a class by name, `[:name:]`, begins here, behind its bracket.
    fn is_posix(&self) -> bool {
        let mut rest = self.rest.clone();
        let Some(kind @ (':' | '.' | '=')) = rest.next() else { return false };
        let mut last = kind;
        rest.take_while(|next| *next != '\\').any(|next| {
            let ended = last == kind && next == ']';
            last = next;
            ended
        })
    }

    fn posix(&mut self, flags: Flags) -> Result<ClassUnicode, Refusal> {
        if !self.take(':') {
            return Err(invalid("POSIX collating elements are not supported"));
        }
        let negated = self.take('^');
        let name: String = std::iter::from_fn(|| self.rest.next_if(char::is_ascii_alphabetic)).collect();
        if !self.starts_with(":]") {
            return Err(absent("such class by name"));
        }
        self.skip(2);
        let ranges: &[(char, char)] = match name.as_str() {
            "alpha" => ALPHA,
            "lower" | "upper" if flags.any_case => ALPHA,
            "lower" => &[('a', 'z')],
            "upper" => &[('A', 'Z')],
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "ascii" => &[('\0', '\x7f')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => DIGIT,
            "graph" => &[('!', '~')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => SPACE,
            "word" => WORD,
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return Err(invalid("unknown POSIX class name")),
        };
        Ok(if negated { not(of_ranges(ranges)) } else { of_ranges(ranges) })
    }
}

/// What a backslash stands for in a class.
enum Member {
    Character(char),
    Class(ClassUnicode),
    Nothing,
}

fn of_ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(start, end)| ClassUnicodeRange::new(*start, *end)))
}

fn not(mut class: ClassUnicode) -> ClassUnicode {
    class.negate();
    class
}

fn class(class: ClassUnicode) -> Hir {
    Hir::class(Class::Unicode(class))
}

/// The end of the text, or a newline that is the last of it.
fn at_the_end() -> Part {
    let newline = Hir::literal(*b"\n");
    let hir = Hir::repetition(Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(newline) });
    Part { ends: true, ..Part::of(Hir::concat(vec![hir, Hir::look(Look::End)])) }
}

fn literal(character: char, flags: Flags) -> Part {
    let mut only = of_ranges(&[(character, character)]);
    if flags.any_case {
        // Fails only where its tables are not compiled in.
        let _ = only.try_case_fold_simple();
    }
    Part::of(class(only))
}

fn repeated(part: Part, min: u32, max: Option<u32>, greedy: bool) -> Result<Part, Refusal> {
    if part.ends {
        return Err(absent("$ that is repeated"));
    }
    if part.line {
        return Err(absent("^ of option m that is repeated"));
    }
    let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(part.hir) });
    Ok(Part { counts: false, ..Part::of(hir) })
}
