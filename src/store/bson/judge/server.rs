//! Asking a server.

use std::fmt::Write as _;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::{Client, Database};

use super::chance::Chance;
use super::{Answer, Tally, at_that_moment, cases, found, golden, raw, updated};

/// Documents that are asked about together, and how often.
const DOCUMENTS: usize = 14;
const ASKED: usize = 40;

struct Server {
    tokio: tokio::runtime::Runtime,
    database: Database,
}

impl Server {
    fn connect(url: &str) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = tokio.block_on(Client::with_uri_str(url)).unwrap();
        let database = client.database(&format!("bson-{}", std::process::id()));
        Self { tokio, database }
    }

    fn run(&self, command: &Document) -> Answer<Document> {
        let answer = self.tokio.block_on(async { self.database.run_raw_command(raw(command)).await });
        match answer {
            Ok(answer) => match answer.get_array("writeErrors") {
                Ok(errors) => Err(errors[0].as_document().unwrap().get_i32("code").unwrap()),
                Err(_) => Ok(answer),
            },
            Err(error) => match *error.kind {
                ErrorKind::Command(error) => Err(error.code),
                other => panic!("{other:?}: {command}"),
            },
        }
    }

    /// Replaces what is in the collection.
    fn fill(&self, documents: &[Document]) {
        self.run(&doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] }).unwrap();
        self.run(&doc! { "insert": "c", "documents": documents }).unwrap();
    }

    fn find(&self, case: &cases::Find) -> Answer<Vec<i32>> {
        let command = doc! { "find": "c", "filter": &case.filter, "sort": &case.sort, "batchSize": 1000 };
        let answer = self.run(&command)?;
        let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
        Ok(batch.iter().map(|row| row.as_document().unwrap().get_i32("_id").unwrap()).collect())
    }

    fn update(&self, case: &cases::Update) -> Answer<Vec<u8>> {
        let id = case.document.get("_id").unwrap();
        let command = doc! { "findAndModify": "c", "query": { "_id": id }, "update": &case.change, "new": true, "upsert": case.is_insert };
        let answer = self.run(&command)?;
        Ok(raw(&at_that_moment(answer.get_document("value").unwrap())).into_bytes())
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// Collects what is disputed, and fails at the end.
#[derive(Default)]
struct Disputes(usize, String);

impl Disputes {
    fn add(&mut self, case: &str, dispute: &str) {
        self.0 += 1;
        if self.0 <= 20 {
            let _ = writeln!(self.1, "{case}\n{dispute}\n");
        }
    }
}

#[test]
fn a_server_that_is_named_answers_as_we_do() {
    let Ok(url) = std::env::var("BKN_BSON_MONGO") else { return };
    let seed = number("BKN_BSON_SEED", 1);
    let count = usize::try_from(number("BKN_BSON_CASES", 1000)).unwrap();
    let server = Server::connect(&url);
    let mut chance = Chance::new(seed);
    let (mut finds, mut updates) = (Tally::default(), Tally::default());
    let mut disputes = Disputes::default();
    let mut written = golden::Golden::default();
    while finds.same + finds.both_refuse + finds.ours_refuses + disputes.0 < count / 2 {
        let documents: Vec<Document> = (0..DOCUMENTS)
            .map(|id| {
                let mut document = Document::from_iter([("_id".to_owned(), Bson::Int32(i32::try_from(id).unwrap()))]);
                document.extend(cases::document(&mut chance));
                document
            })
            .collect();
        server.fill(&documents);
        let set = written.documents(&documents);
        for _ in 0..ASKED {
            let case = cases::find(&mut chance, &documents);
            let theirs = server.find(&case);
            let ours = found(&documents, &case.filter, &case.sort);
            match finds.count(&ours, &theirs) {
                Ok(()) => finds.telling += usize::from(ours.is_ok_and(|ids| !ids.is_empty())),
                Err(dispute) => {
                    let mut shown = format!("filter: {}\nsort: {}", case.filter, case.sort);
                    let ours = ours.clone().unwrap_or_default();
                    let theirs = theirs.clone().unwrap_or_default();
                    let differs = ours
                        .iter()
                        .find(|id| !theirs.contains(id))
                        .or_else(|| theirs.iter().find(|id| !ours.contains(id)));
                    let rows = documents.iter().filter(|row| {
                        let id = row.get_i32("_id").unwrap();
                        differs.map_or(ours.contains(&id) || theirs.contains(&id), |differs| id == *differs)
                    });
                    for row in rows {
                        let _ = write!(shown, "\n  {row}");
                    }
                    disputes.add(&shown, &dispute);
                }
            }
            written.find(set, &case, &theirs);
        }
    }
    while updates.same + updates.both_refuse + updates.ours_refuses + disputes.0 < count / 2 {
        let mut batch: Vec<_> = (0..100).map(|_| cases::update(&mut chance)).collect();
        for (id, case) in batch.iter_mut().enumerate() {
            let mut document = Document::from_iter([("_id".to_owned(), Bson::Int32(i32::try_from(id).unwrap()))]);
            document.extend(std::mem::take(&mut case.document));
            case.document = document;
        }
        let there: Vec<_> = batch.iter().filter(|case| !case.is_insert).map(|case| case.document.clone()).collect();
        server.fill(&there);
        for case in &batch {
            let theirs = server.update(case);
            let ours = updated(case);
            if updates.count(&ours, &theirs).is_ok() {
                updates.telling += usize::from(ours.is_ok_and(|after| after != raw(&case.document).into_bytes()));
            } else {
                let shown = |bytes: &[u8]| Document::from_reader(bytes).unwrap().to_string();
                let dispute = format!(
                    "ours:   {:?}\ntheirs: {:?}",
                    ours.map(|bytes| shown(&bytes)),
                    theirs.as_ref().map(|bytes| shown(bytes))
                );
                let insert = if case.is_insert { " (insert)" } else { "" };
                disputes.add(&format!("document: {}{insert}\nupdate: {}", case.document, case.change), &dispute);
            }
            written.update(case, &theirs);
        }
    }
    server.tokio.block_on(async { server.database.drop().await }).unwrap();
    println!("seed {seed}: finds {finds:?}, updates {updates:?}, {} disputed", disputes.0);
    assert!(disputes.0 == 0, "{} disputed\n\n{}", disputes.0, disputes.1);
    finds.check("finds");
    updates.check("updates");
    if let Ok(file) = std::env::var("BKN_BSON_WRITE") {
        std::fs::write(file, written.text()).unwrap();
    }
}
