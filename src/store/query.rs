//! What of a filter SQL can answer: equality and ranges of key fields and dates. It leaves out only rows that the filter does not
//! find; what it leaves in is looked at as a document.
//!
//! The ends of ranges are always included, because a column has no number but doubles, and rows that are odd are looked at whatever
//! is asked for: see [`Table::odd`].

use mongodb::bson::{RawBsonRef, RawDocument};
use rusqlite::types::Value;

use super::key;
use super::table::Table;

/// The most values of one `IN`.
const LISTED: usize = 200;

/// A condition on a column.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    column: &'static str,
    operator: &'static str,
    values: Vec<Value>,
}

/// What must hold of every row that a filter finds.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Plan {
    terms: Vec<Term>,
}

/// A value that a column is compared with; none where the comparison is not the column's.
fn comparable(value: RawBsonRef<'_>) -> Option<Value> {
    match value {
        RawBsonRef::String(_) | RawBsonRef::Boolean(_) | RawBsonRef::Int32(_) => Some(key::column(Some(value))),
        RawBsonRef::Double(number) if !number.is_nan() => Some(key::column(Some(value))),
        _ => None,
    }
}

/// An `_id` as its column holds it.
fn id(value: RawBsonRef<'_>) -> Option<Value> {
    matches!(value, RawBsonRef::ObjectId(_)).then(|| Value::Blob(key::of(Some(value))))
}

/// A date as its column holds it.
fn date(value: RawBsonRef<'_>) -> Option<Value> {
    match value {
        RawBsonRef::DateTime(date) => Some(Value::Integer(date.timestamp_millis())),
        _ => None,
    }
}

impl Plan {
    /// Of a filter whose values are cast.
    #[must_use]
    pub fn of(table: &Table, filter: &RawDocument) -> Self {
        let mut plan = Self::default();
        plan.read(table, filter);
        plan
    }

    fn read(&mut self, table: &Table, filter: &RawDocument) {
        for (name, value) in filter.iter().flatten() {
            match (name.as_str(), value) {
                ("$and", RawBsonRef::Array(branches)) => {
                    for branch in branches.into_iter().flatten() {
                        if let RawBsonRef::Document(branch) = branch {
                            self.read(table, branch);
                        }
                    }
                }
                ("_id", value) => self.condition("id", value, id),
                ("createDate", value) => self.condition("created", value, date),
                ("updatedDate", value) => self.condition("updated", value, date),
                (name, value) => {
                    if let Some(column) = table.columns.iter().find(|column| **column == name) {
                        self.condition(column, value, comparable);
                    }
                }
            }
        }
    }

    fn condition(&mut self, column: &'static str, value: RawBsonRef<'_>, of: fn(RawBsonRef<'_>) -> Option<Value>) {
        let RawBsonRef::Document(operators) = value else {
            self.terms.extend(of(value).map(|value| Term { column, operator: "=", values: vec![value] }));
            return;
        };
        for (name, value) in operators.iter().flatten() {
            let operator = match name.as_str() {
                "$eq" => "=",
                "$gt" | "$gte" => ">=",
                "$lt" | "$lte" => "<=",
                "$in" => "IN",
                _ => continue,
            };
            let values: Option<Vec<_>> = match value {
                RawBsonRef::Array(values) if operator == "IN" => {
                    values.into_iter().map(|value| of(value.ok()?)).collect()
                }
                value => of(value).map(|value| vec![value]),
            };
            if let Some(values) = values.filter(|values| !values.is_empty() && values.len() <= LISTED) {
                self.terms.push(Term { column, operator, values });
            }
        }
    }

    /// The condition of a `SELECT`, and its values; of these columns alone where some are named.
    #[must_use]
    pub fn sql(&self, only: Option<&[&str]>) -> (String, Vec<Value>) {
        let terms: Vec<_> =
            self.terms.iter().filter(|term| only.is_none_or(|only| only.contains(&term.column))).collect();
        if terms.is_empty() {
            return ("TRUE".to_owned(), Vec::new());
        }
        let text = |term: &&Term| {
            let marks = vec!["?"; term.values.len()].join(", ");
            if term.operator == "IN" {
                format!("\"{}\" IN ({marks})", term.column)
            } else {
                format!("\"{}\" {} {marks}", term.column, term.operator)
            }
        };
        let condition = terms.iter().map(text).collect::<Vec<_>>().join(" AND ");
        (condition, terms.into_iter().flat_map(|term| term.values.clone()).collect())
    }

    /// Whether SQL leaves out anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The ids that a row must have one of, each of twelve bytes; none where any may be.
    #[must_use]
    pub fn ids(&self) -> Option<Vec<[u8; 12]>> {
        let term = self.terms.iter().find(|term| term.column == "id" && matches!(term.operator, "=" | "IN"))?;
        let bytes = |value: &Value| match value {
            Value::Blob(tagged) => tagged.get(1..)?.try_into().ok(),
            _ => None,
        };
        Some(term.values.iter().filter_map(bytes).collect())
    }

    /// The least and the most that a column's number may be, both included.
    #[must_use]
    pub fn bounds(&self, column: &str) -> (f64, f64) {
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        for term in self.terms.iter().filter(|term| term.column == column) {
            let numbers = term.values.iter().filter_map(|value| match value {
                Value::Real(number) => Some(*number),
                _ => None,
            });
            let (low, high) =
                numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| (low.min(n), high.max(n)));
            match term.operator {
                // Text, or a flag: no number is equal to it.
                "=" | "IN" => (least, most) = (least.max(low), most.min(high)),
                ">=" if low.is_finite() => least = least.max(low),
                "<=" if high.is_finite() => most = most.min(high),
                _ => {}
            }
        }
        (least, most)
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::store::table::table;

    #[test]
    fn equality_and_ranges_of_key_fields_become_sql_and_nothing_else_does() {
        let filter = rawdoc! {
            "symbol": "S", "timestamp": { "$gte": 5, "$lt": 9.5 }, "open": 1, "interval": { "$in": ["1m", "1h"] },
            "exchangeName": { "$ne": "e" }, "$and": [{ "symbol": { "$gt": "A" } }], "$or": [{ "symbol": "T" }],
        };
        let (condition, values) = Plan::of(table(0), &filter).sql(None);
        let expected = "\"symbol\" = ? AND \"timestamp\" >= ? AND \"timestamp\" <= ? AND \"interval\" IN (?, ?) AND \"symbol\" >= ?";
        assert_eq!(condition, expected);
        assert_eq!(values.len(), 6);
        assert_eq!(Plan::of(table(0), &filter).bounds("timestamp"), (5.0, 9.5));
        let named = Plan::of(table(0), &filter).sql(Some(&["interval"])).0;
        assert_eq!(named, "\"interval\" IN (?, ?)");
    }

    #[test]
    fn what_finds_absent_fields_too_is_left_to_the_documents() {
        use mongodb::bson::RawBson;
        for filter in [
            rawdoc! { "symbol": RawBson::Null },
            rawdoc! { "symbol": { "$in": ["S", RawBson::Null] } },
            rawdoc! { "symbol": { "$exists": false } },
            rawdoc! { "symbol": { "$not": { "$gt": "S" } } },
            rawdoc! { "timestamp": f64::NAN },
        ] {
            assert_eq!(Plan::of(table(0), &filter), Plan::default(), "{filter:?}");
        }
    }
}
