//! Regular expressions of filters: their options, and what they match.

use mongodb::bson::RawBsonRef;
use regex_automata::meta;

use super::pcre;
use super::refusal::Refusal;
use super::refusal::codes::INVALID_REGEX;

/// The longest pattern, in bytes.
const LONGEST: usize = 32_764;

/// A regular expression, compiled.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    options: String,
    regex: meta::Regex,
}

impl Pattern {
    /// The pattern of a value of that type.
    pub(super) fn of(value: RawBsonRef<'_>) -> Result<Self, Refusal> {
        let RawBsonRef::RegularExpression(given) = value else {
            return Err(Refusal::ours("a regular expression was expected"));
        };
        Self::new(given.pattern.as_str(), given.options.as_str())
    }

    /// A pattern with its options: `i`, `m`, `s`, `x`, and `u`, which changes nothing.
    pub(super) fn new(text: &str, options: &str) -> Result<Self, Refusal> {
        let mut flags = pcre::Flags::default();
        for option in options.chars() {
            match option {
                'u' => {}
                _ if flags.set(option, true) => {}
                _ => {
                    let message = format!("invalid flag in regex options: {option}");
                    return Err(Refusal::of_mongo(51108, message));
                }
            }
        }
        if text.contains('\0') || options.contains('\0') {
            return Err(Refusal::of_mongo(51109, "Regular expression cannot contain an embedded null byte"));
        }
        if text.len() > LONGEST {
            return Err(Refusal::of_mongo(INVALID_REGEX, "Regular expression is too long"));
        }
        let hir = pcre::read(text, flags)?;
        let regex = meta::Regex::builder()
            .build_from_hir(&hir)
            .map_err(|error| Refusal::ours(format!("the regular expression {text} cannot be compiled: {error}")))?;
        Ok(Self { text: text.to_owned(), options: options.to_owned(), regex })
    }

    /// Whether a value is text that matches, or this very expression.
    pub(super) fn matches(&self, value: RawBsonRef<'_>) -> bool {
        match value {
            RawBsonRef::String(text) | RawBsonRef::Symbol(text) => self.regex.is_match(text),
            RawBsonRef::RegularExpression(other) => {
                self.text == other.pattern.as_str() && self.options == other.options.as_str()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "regex_tests.rs"]
mod tests;
