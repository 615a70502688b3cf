//! Which documents a filter finds.

use mongodb::bson::RawDocument;

use super::node::Node;
use super::parse;
use super::refusal::Refusal;

/// A filter, parsed.
#[derive(Debug, Clone)]
pub struct Filter(Node);

impl Filter {
    /// Reads a filter whose values are cast already. What it does not know is refused by name.
    pub fn parse(filter: &RawDocument) -> Result<Self, Refusal> {
        parse::filter(filter).map(Self)
    }

    /// Whether a document matches.
    #[must_use]
    pub fn matches(&self, document: &RawDocument) -> bool {
        self.0.matches(document)
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
