//! Recorded answers: `spec/bson.json`. Documents are BSON in base64, because nothing else keeps all types.

use mongodb::bson::Document;
use serde_json::{Value, json};

use super::{Answer, Tally, cases, found, raw, updated};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(DIGITS[usize::try_from(bits >> (18 - 6 * place) & 63).unwrap()]));
        }
    }
    text
}

fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digit = |byte: &u8| u32::try_from(DIGITS.iter().position(|digit| digit == byte).unwrap()).unwrap();
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | digit(byte)) << (6 * (4 - four.len()));
        bytes.extend(bits.to_be_bytes()[1..four.len()].iter());
    }
    bytes
}

fn to_document(text: &Value) -> Document {
    Document::from_reader(to_bytes(text.as_str().unwrap()).as_slice()).unwrap()
}

/// What is written into the file.
#[derive(Default)]
pub(super) struct Golden {
    documents: Vec<Value>,
    finds: Vec<Value>,
    updates: Vec<Value>,
}

impl Golden {
    /// Keeps documents that are asked about; returns their number.
    pub(super) fn documents(&mut self, documents: &[Document]) -> usize {
        self.documents.push(documents.iter().map(|document| to_text(raw(document).as_bytes())).collect());
        self.documents.len() - 1
    }

    pub(super) fn find(&mut self, set: usize, case: &cases::Find, theirs: &Answer<Vec<i32>>) {
        let answer = theirs.as_ref().map_or_else(|code| json!(code), |ids| json!(ids));
        let text = |document: &Document| to_text(raw(document).as_bytes());
        self.finds.push(json!([set, text(&case.filter), text(&case.sort), answer]));
    }

    pub(super) fn update(&mut self, case: &cases::Update, theirs: &Answer<Vec<u8>>) {
        let before = raw(&case.document);
        let answer = match theirs {
            Err(code) => json!(code),
            Ok(after) if after == before.as_bytes() => json!("="),
            Ok(after) => json!(to_text(after)),
        };
        self.updates.push(json!([
            to_text(before.as_bytes()),
            to_text(raw(&case.change).as_bytes()),
            case.is_insert,
            answer
        ]));
    }

    /// One case a line.
    pub(super) fn text(&self) -> String {
        let lines = |cases: &[Value]| cases.iter().map(|case| format!("    {case}")).collect::<Vec<_>>().join(",\n");
        let description = "Answers of mongod 6.0, written by scripts/golden-bson.js: documents in sets; [set, filter, sort, ids or \
                           code of the error]; [document, update, whether it inserts, the document after it (= the same) or code]. \
                           Documents are BSON in base64.";
        format!(
            "{{\n  \"description\": {},\n  \"documents\": [\n{}\n  ],\n  \"finds\": [\n{}\n  ],\n  \"updates\": [\n{}\n  ]\n}}\n",
            json!(description),
            lines(&self.documents),
            lines(&self.finds),
            lines(&self.updates)
        )
    }
}

/// An answer: the code of an error, or what a value says.
fn answer<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Answer<T> {
    value.as_i64().map_or_else(|| Ok(read(value)), |code| Err(i32::try_from(code).unwrap()))
}

#[test]
fn filters_and_sorts_find_what_mongod_has_found() {
    let spec = crate::spec::load("bson");
    let sets: Vec<Vec<Document>> = crate::spec::cases(&spec, "documents")
        .iter()
        .map(|set| set.as_array().unwrap().iter().map(to_document).collect())
        .collect();
    let mut tally = Tally::default();
    for case in crate::spec::cases(&spec, "finds") {
        let documents = &sets[usize::try_from(case[0].as_u64().unwrap()).unwrap()];
        let (filter, sort) = (to_document(&case[1]), to_document(&case[2]));
        let theirs = answer(&case[3], |ids| {
            ids.as_array().unwrap().iter().map(|id| i32::try_from(id.as_i64().unwrap()).unwrap()).collect()
        });
        let ours = found(documents, &filter, &sort);
        tally.count(&ours, &theirs).unwrap_or_else(|dispute| panic!("{filter}\n{sort}\n{dispute}"));
        tally.telling += usize::from(ours.is_ok_and(|ids| !ids.is_empty()));
    }
    tally.check("finds");
}

#[test]
fn updates_make_what_mongod_has_made() {
    let spec = crate::spec::load("bson");
    let mut tally = Tally::default();
    for case in crate::spec::cases(&spec, "updates") {
        let before = to_bytes(case[0].as_str().unwrap());
        let case_of = cases::Update {
            document: to_document(&case[0]),
            change: to_document(&case[1]),
            is_insert: case[2].as_bool().unwrap(),
        };
        let theirs = answer(&case[3], |after| match after.as_str().unwrap() {
            "=" => before.clone(),
            text => to_bytes(text),
        });
        let ours = updated(&case_of);
        tally
            .count(&ours, &theirs)
            .unwrap_or_else(|dispute| panic!("{}\n{}\n{dispute}", case_of.document, case_of.change));
        tally.telling += usize::from(ours.is_ok_and(|after| after != before));
    }
    tally.check("updates");
}
