//! Bytes that were read and the replies in them, of which the last may not have ended yet.

use crate::redis::decode::{Decoder, Malformed, Token};

/// Free space offered to each read. One read of this size carries some two thousand small replies.
const READ_SPACE: usize = 64 * 1024;
/// Buffers that grew beyond this are given back when they are empty.
const KEEP: usize = 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    input: Vec<u8>,
    filled: usize,
    /// Where the reply that has begun and not ended starts; 0 but while decoding.
    start: usize,
    decoder: Decoder,
    /// Tokens of a reply that has begun and not ended.
    partial: Vec<Token>,
}

impl Inbox {
    /// Space for the next read.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.input.len() - self.filled < READ_SPACE / 4 {
            // Doubling keeps a large reply linear in its size.
            let size = (self.input.len() * 2).max(READ_SPACE);
            self.input.resize(size, 0);
        }
        &mut self.input[self.filled..]
    }

    /// That many bytes were read into it.
    pub(super) const fn filled(&mut self, count: usize) {
        self.filled += count;
    }

    /// What was read; tokens are ranges of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// Decoding begins: `tokens` are those of the reply that had begun.
    pub(super) fn begin(&mut self, tokens: &mut Vec<Token>) {
        tokens.clear();
        std::mem::swap(tokens, &mut self.partial);
    }

    /// Adds the tokens of the next reply. False: it has not ended.
    pub(super) fn advance(&mut self, tokens: &mut Vec<Token>) -> Result<bool, Malformed> {
        self.decoder.advance(&self.input[..self.filled], tokens)
    }

    /// Everything up to here belongs to somebody.
    pub(super) fn placed(&mut self) {
        self.start = self.decoder.position();
    }

    /// Decoding ends. What remains is the beginning of a reply, with the tokens from `first` on. It moves to the front: of a
    /// fresh buffer, while this one goes with the batch whose texts are ranges of it (`needed`); or of this one, where no reply
    /// needs it.
    pub(super) fn end(&mut self, tokens: &mut Vec<Token>, first: usize, needed: Option<&mut Vec<u8>>) {
        let start = std::mem::take(&mut self.start);
        self.partial.extend(tokens.drain(first..).map(|token| shift(token, start)));
        self.decoder.cut(start);
        if let Some(buffer) = needed {
            std::mem::swap(buffer, &mut self.input);
            let tail = &buffer[start..self.filled];
            if self.input.len() < tail.len() + READ_SPACE / 4 {
                self.input.resize((tail.len() * 2).max(READ_SPACE), 0);
            }
            self.input[..tail.len()].copy_from_slice(tail);
            self.filled = tail.len();
        } else {
            self.input.copy_within(start..self.filled, 0);
            self.filled -= start;
        }
        if self.filled == 0 && self.input.len() > KEEP {
            self.input = Vec::new();
        }
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        self.decoder = Decoder::default();
        self.filled = 0;
        self.start = 0;
        self.partial.clear();
        if self.input.len() > KEEP {
            self.input = Vec::new();
        }
    }
}

/// The token with its text `by` bytes further to the front.
fn shift(token: Token, by: usize) -> Token {
    match token {
        Token::Text(range) => Token::Text(range.start - by..range.end - by),
        Token::Error(range) => Token::Error(range.start - by..range.end - by),
        other => other,
    }
}
