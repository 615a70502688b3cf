//! The parts of a filter, and whether they hold.

use std::cmp::Ordering;

use mongodb::bson::spec::ElementType;
use mongodb::bson::{RawBson, RawBsonRef, RawDocument};

use super::numbers::Number;
use super::order::{bracket, compare, values};
use super::path::{Leaf, Path};
use super::regex::Pattern;

/// A part of a filter.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// All of them.
    And(Vec<Node>),
    /// Any of them.
    Or(Vec<Node>),
    /// Not that.
    Not(Box<Node>),
    /// Nothing.
    Never,
    /// A value that a path leads to.
    At(Path, Test),
}

/// What a value is asked.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// How it compares with another.
    Compare(Comparison, RawBson),
    /// Whether it is one of these, or matches one of these patterns.
    In(Vec<RawBson>, Vec<Pattern>),
    /// Whether it is there.
    Exists,
    /// Whether it is an array of that length.
    Size(u64),
    /// Whether it is an array with a document that matches.
    SomeDocument(Box<Node>),
    /// Whether it is an array with an element that matches.
    SomeElement(Box<Node>),
    /// Whether it is text that matches.
    Matches(Pattern),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Node {
    /// Whether a document matches.
    pub(super) fn matches(&self, document: &RawDocument) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(document)),
            Self::Or(any) => any.iter().any(|one| one.matches(document)),
            Self::Not(inner) => !inner.matches(document),
            Self::Never => false,
            Self::At(path, test) => path.any(document, test.leaf(), &mut |value| test.holds(value)),
        }
    }

    /// Whether one element of an array is what is asked for. Paths do not count: it has none.
    fn is(&self, element: RawBsonRef<'_>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.is(element)),
            Self::Or(any) => any.iter().any(|one| one.is(element)),
            Self::Not(inner) => !inner.is(element),
            Self::Never => false,
            Self::At(_, test) => test.holds(Some(element)),
        }
    }
}

impl Test {
    fn leaf(&self) -> Leaf {
        match self {
            Self::Size(_) | Self::SomeDocument(_) | Self::SomeElement(_) => Leaf::Whole,
            _ => Leaf::Each,
        }
    }

    /// Whether it holds for a value; none is a missing one.
    fn holds(&self, value: Option<RawBsonRef<'_>>) -> bool {
        match (self, value) {
            (Self::Compare(comparison, with), value) => comparison.holds(value, with.as_raw_bson_ref()),
            // Undefined and null are one for a server of version 6.
            (Self::In(among, _), None | Some(RawBsonRef::Undefined)) => {
                among.iter().any(|one| matches!(one, RawBson::Null))
            }
            (Self::In(among, patterns), Some(value)) => {
                among.iter().any(|one| compare(value, one.as_raw_bson_ref()).is_eq())
                    || patterns.iter().any(|pattern| pattern.matches(value))
            }
            (Self::Exists, value) => value.is_some(),
            (Self::Size(size), Some(RawBsonRef::Array(array))) => values(array).count() as u64 == *size,
            (Self::SomeDocument(node), Some(RawBsonRef::Array(array))) => values(array).any(|element| match element {
                RawBsonRef::Document(inner) => node.matches(inner),
                // An array counts as a document whose names are its places.
                RawBsonRef::Array(inner) => {
                    RawDocument::from_bytes(inner.as_bytes()).is_ok_and(|inner| node.matches(inner))
                }
                _ => false,
            }),
            (Self::SomeElement(node), Some(RawBsonRef::Array(array))) => values(array).any(|element| node.is(element)),
            (Self::Matches(pattern), Some(value)) => pattern.matches(value),
            _ => false,
        }
    }
}

impl Comparison {
    fn holds(self, value: Option<RawBsonRef<'_>>, with: RawBsonRef<'_>) -> bool {
        let or_equal = matches!(self, Self::Equal | Self::LessOrEqual | Self::GreaterOrEqual);
        // What is missing stands where undefined does.
        let value = value.unwrap_or(RawBsonRef::Undefined);
        let is = |kind: ElementType| with.element_type() == kind;
        if bracket(value.element_type()) != bracket(with.element_type()) {
            return match value {
                RawBsonRef::Undefined if is(ElementType::Null) => or_equal,
                // Values are compared within their bracket, but everything is beyond the ends of the order.
                _ if is(ElementType::MinKey) => matches!(self, Self::Greater | Self::GreaterOrEqual),
                _ if is(ElementType::MaxKey) => matches!(self, Self::Less | Self::LessOrEqual),
                _ => false,
            };
        }
        // NaN has a place in the order, but is neither less nor greater than anything.
        if let (Some(a), Some(b)) = (Number::of(value), Number::of(with))
            && (a.is_nan() || b.is_nan())
        {
            return or_equal && a.is_nan() && b.is_nan();
        }
        match compare(value, with) {
            Ordering::Equal => or_equal,
            Ordering::Less => matches!(self, Self::Less | Self::LessOrEqual),
            Ordering::Greater => matches!(self, Self::Greater | Self::GreaterOrEqual),
        }
    }
}
