//! What `BaseCRUD.create` stores, and what the original's schemas demand of rows that `create` and `update` write.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};
use crate::mongo::cast::cast;
use crate::mongo::document::{INTERVALS, Millis, default_of, entries, get};
use crate::mongo::table::{COMMON, Collection, Field};

/// What is wrong with a row; the error names all of it.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Looks at what a field would hold: every field of a schema is required, and a candle's interval is one of a list.
    /// Text may be empty.
    pub fn check(&mut self, collection: &Collection, field: &Field, path: &str, value: Option<RawBsonRef<'_>>) {
        let name = field.name;
        match value {
            None | Some(RawBsonRef::Null | RawBsonRef::Undefined) if !COMMON.iter().any(|it| it.name == name) => {
                self.0.push(format!("{path}: Path `{name}` is required."));
            }
            Some(RawBsonRef::String(text))
                if name == "interval"
                    && collection.key.iter().any(|it| it.name == name)
                    && !INTERVALS.iter().any(|(known, _)| *known == text) =>
            {
                self.0.push(format!("{path}: `{text}` is not a valid enum value for path `{name}`."));
            }
            _ => {}
        }
    }

    /// The error, which begins with `what`.
    pub fn into_result(self, what: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::InvalidValue, format!("{what}: {}", self.0.join(", "))))
    }
}

/// The document of `BaseCRUD.create`: the dto's fields in the order of the schema, then defaults that are made anew for
/// each document, `_id`, and what the dto does not name of dates and `__v`. A date of creation that it names is kept.
pub fn insert(collection: &Collection, dto: &RawDocument, id: ObjectId, now: Millis) -> Result<RawDocumentBuf> {
    for entry in entries(dto) {
        let (name, _) = entry?;
        if name.split_once('.').is_some_and(|(root, _)| collection.field(root).is_some()) {
            let message = format!("{}: create takes whole fields; {name} is within one", collection.name);
            return Err(Error::new(Code::InvalidValue, message));
        }
    }
    let mut document = RawDocumentBuf::new();
    let mut made = Vec::new();
    for field in collection.fields() {
        match (get(dto, field.name)?, default_of(field)) {
            (Some(value), _) => document.append(field.key, cast(collection, field, value)?),
            (None, Some(plain @ RawBson::Boolean(_))) => document.append(field.key, plain),
            (None, Some(default)) => made.push((field, default)),
            (None, None) => {}
        }
    }
    let named = |field: &Field| get(dto, field.name)?.map(|value| cast(collection, field, value)).transpose();
    let [own_id, created, updated, version] = [&COMMON[0], &COMMON[1], &COMMON[2], &COMMON[3]].map(named);
    let (own_id, created, updated, version) = (own_id?, created?, updated?, version?);
    let date = match created {
        Some(RawBson::DateTime(date)) => date,
        _ => DateTime::from_millis(now),
    };
    let rest = [
        (cstr!("createDate"), RawBson::DateTime(date), created.is_some()),
        (cstr!("updatedDate"), RawBson::DateTime(date), updated.is_some()),
        (cstr!("__v"), RawBson::Int32(0), version.is_some()),
    ];
    for (name, value, _) in rest.iter().filter(|(_, _, named)| *named) {
        document.append(*name, value.clone());
    }
    for (field, default) in made {
        document.append(field.key, default);
    }
    let mut problems = Problems::default();
    // The last field first, as in the original's messages.
    for field in collection.fields().rev() {
        problems.check(collection, field, field.name, get(&document, field.name)?);
    }
    problems.into_result(&format!("{} validation failed", collection.name))?;
    document.append(cstr!("_id"), own_id.unwrap_or(RawBson::ObjectId(id)));
    for (name, value, _) in rest.into_iter().filter(|(_, _, named)| !named) {
        document.append(name, value);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;
    use crate::mongo::table::COLLECTIONS;

    fn collection(name: &str) -> &'static Collection {
        COLLECTIONS.iter().find(|collection| collection.name == name).unwrap()
    }

    const DATE: DateTime = DateTime::from_millis(7);

    #[test]
    fn a_new_row_is_validated_and_in_the_originals_order() {
        let risk = collection("risk-items");
        let error = insert(risk, &rawdoc! {}, ObjectId::new(), 7).unwrap_err();
        let expected = "risk-items validation failed: when: Path `when` is required., exchangeName: Path `exchangeName` \
                        is required., riskName: Path `riskName` is required.";
        assert_eq!(error.message, expected);
        let id = ObjectId::new();
        let dto = rawdoc! { "riskName": "", "exchangeName": "e", "when": "5", "unknown": 1 };
        let expected = rawdoc! {
            "riskName": "", "exchangeName": "e", "when": 5, "positions": [], "_id": id, "createDate": DATE,
            "updatedDate": DATE, "__v": 0
        };
        assert_eq!(insert(risk, &dto, id, 7).unwrap(), expected);
    }

    #[test]
    fn what_is_null_is_missing_and_a_default_is_not() {
        let measure = collection("measure-items");
        let of = |payload: RawBson, removed: RawBson| {
            let dto = rawdoc! { "bucket": "b", "entryKey": "k", "payload": payload, "removed": removed };
            insert(measure, &dto, ObjectId::new(), 7).map_err(|error| error.message)
        };
        assert!(of(RawBson::Int32(0), RawBson::Boolean(true)).is_ok());
        assert!(
            of(RawBson::Null, RawBson::Boolean(true)).unwrap_err().contains("payload: Path `payload` is required.")
        );
        assert!(of(RawBson::Int32(0), RawBson::Null).unwrap_err().contains("removed: Path `removed` is required."));
        let bare = rawdoc! { "bucket": "b", "entryKey": "k" };
        let error = insert(measure, &bare, ObjectId::new(), 7).unwrap_err();
        assert!(error.message.contains("payload") && !error.message.contains("removed"), "{error}");
        let within = rawdoc! { "bucket": "b", "entryKey": "k", "payload.a": 1 };
        assert!(insert(measure, &within, ObjectId::new(), 7).unwrap_err().message.contains("payload.a"));
    }

    #[test]
    fn a_date_of_creation_that_is_given_is_kept_and_stands_in_its_place() {
        let id = ObjectId::new();
        let given = DateTime::from_millis(5);
        let dto = rawdoc! { "riskName": "r", "exchangeName": "e", "when": 1, "createDate": "5000000", "__v": 3 };
        let expected = rawdoc! {
            "riskName": "r", "exchangeName": "e", "when": 1, "createDate": DateTime::from_millis(5_000_000), "__v": 0,
            "positions": [], "_id": id, "updatedDate": DateTime::from_millis(5_000_000)
        };
        assert_eq!(insert(collection("risk-items"), &dto, id, 7).unwrap(), expected);
        let dto = rawdoc! { "riskName": "r", "exchangeName": "e", "when": 1, "updatedDate": given, "createDate": null };
        let row = insert(collection("risk-items"), &dto, id, 7).unwrap();
        assert_eq!(row.get_datetime("updatedDate").ok(), Some(DATE));
        let error = insert(collection("risk-items"), &rawdoc! { "createDate": "soon" }, id, 7).unwrap_err();
        assert!(error.message.contains("\"createDate\""), "{error}");
    }
}
