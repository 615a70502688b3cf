//! What a dotted path of a filter leads to.
//!
//! Where it meets an array, it goes on in each embedded document of it; a part of digits is also a place in it. An array
//! at its end stands for its elements, and for itself.

use mongodb::bson::{RawArray, RawBsonRef, RawDocument};

use super::order::{fields, values};

/// A path, by its parts.
#[derive(Debug, Clone)]
pub(crate) struct Path(Vec<String>);

/// What becomes of an array at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// It stands for its elements and for itself.
    Each,
    /// It stands for itself.
    Whole,
}

/// Is told of each value that a path leads to, of a missing one by none, until it answers yes.
pub(crate) type Visit<'v, 'd> = dyn FnMut(Option<RawBsonRef<'d>>) -> bool + 'v;

impl Path {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    /// Whether any of the values that the path leads to is what is looked for.
    pub(crate) fn any<'d>(&self, document: &'d RawDocument, leaf: Leaf, visit: &mut Visit<'_, 'd>) -> bool {
        in_document(document, &self.0, leaf, visit)
    }
}

/// The field of a document, the first one of that name.
pub(crate) fn field<'d>(document: &'d RawDocument, name: &str) -> Option<RawBsonRef<'d>> {
    fields(document).find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn in_document<'d>(document: &'d RawDocument, parts: &[String], leaf: Leaf, visit: &mut Visit<'_, 'd>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return visit(None) };
    match field(document, first) {
        Some(RawBsonRef::Array(array)) => in_array(array, rest, leaf, visit),
        value if rest.is_empty() => visit(value),
        Some(RawBsonRef::Document(inner)) => in_document(inner, rest, leaf, visit),
        _ => visit(None),
    }
}

fn in_array<'d>(array: &'d RawArray, rest: &[String], leaf: Leaf, visit: &mut Visit<'_, 'd>) -> bool {
    // A dot at the path's end says no more than none.
    let Some((first, behind)) = rest.split_first().filter(|_| !matches!(rest, [only] if only.is_empty())) else {
        let each = leaf == Leaf::Each && values(array).any(|element| visit(Some(element)));
        return each || visit(Some(RawBsonRef::Array(array)));
    };
    values(array).enumerate().any(|(place, element)| {
        if let RawBsonRef::Document(inner) = element
            && in_document(inner, rest, leaf, visit)
        {
            return true;
        }
        if *first != place.to_string() {
            return false;
        }
        match element {
            // An array at a place that the path ends with stands for itself alone.
            element if behind.is_empty() => visit(Some(element)),
            RawBsonRef::Document(inner) => in_document(inner, behind, leaf, visit),
            RawBsonRef::Array(inner) => in_array(inner, behind, leaf, visit),
            _ => false,
        }
    })
}
