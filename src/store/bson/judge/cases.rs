//! Random documents, filters, sorts and updates of all of BSON's types, few of each, so that they meet.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, bson, doc};

use super::chance::Chance;

/// Documents, and what is asked of them.
pub(super) struct Find {
    pub(super) filter: Document,
    pub(super) sort: Document,
}

/// A document and its update.
pub(super) struct Update {
    pub(super) document: Document,
    pub(super) change: Document,
    pub(super) is_insert: bool,
}

fn text(chance: &mut Chance) -> String {
    chance
        .pick(&[
            "",
            "a",
            "A",
            "b",
            "ab",
            "abc",
            "é",
            "aé",
            "\u{1f600}",
            "\u{ffff}",
            "a\nb",
            "a\n",
            "1",
            "0",
            "ſ",
            "b.c",
        ])
        .to_owned()
}

fn number(chance: &mut Chance) -> Bson {
    let decimals = [
        "0",
        "-0",
        "1",
        "1.0",
        "0.1",
        "2",
        "-1",
        "NaN",
        "Infinity",
        "-Infinity",
        "9007199254740993",
        "1E+3",
        "1E-6176",
        "0.1000000000000000055511151231257827",
        "9.999999999999999999999999999999999E+6144",
        "9223372036854775807",
    ];
    match chance.below(10) {
        0..4 => Bson::Int32(*chance.pick(&[&0, &1, &2, &3, &-1, &1000, &i32::MAX])),
        4..6 => Bson::Int64(*chance.pick(&[
            &0,
            &1,
            &2,
            &-1,
            &9_007_199_254_740_992,
            &9_007_199_254_740_993,
            &i64::MAX,
            &i64::MIN,
        ])),
        6..9 => Bson::Double(*chance.pick(&[
            &0.0,
            &-0.0,
            &1.0,
            &2.0,
            &0.1,
            &1.5,
            &-1.5,
            &f64::NAN,
            &f64::INFINITY,
            &f64::NEG_INFINITY,
            &9_007_199_254_740_992.0,
            &9_223_372_036_854_775_808.0,
            &1e300,
            &5e-324,
        ])),
        _ => Bson::Decimal128(chance.pick(&decimals).parse().unwrap()),
    }
}

fn cstring(text: &str) -> CString {
    CString::try_from(text).unwrap()
}

fn pattern(chance: &mut Chance) -> (String, String) {
    let patterns = [
        "a",
        "^a",
        "b$",
        "^a$",
        "A",
        ".",
        "^.$",
        "[a-c]{2}",
        r"^\w+$",
        r"\n",
        "^b",
        "é",
        "^(a|b)",
        "a.b",
        "^[^a]",
        "a?b*",
        r"\bb",
        "ab|1",
        r"\d",
        "^$",
        r"^\x{1f600}$",
        "s",
        "[[:alpha:]]$",
        "(a)|^$",
        r"\W",
        r"[^\w]",
        "a+?b",
        "^a\nb$",
        "a #b\n",
    ];
    let options = ["", "", "i", "m", "s", "x", "im", "ims"];
    (chance.pick(&patterns).to_owned(), chance.pick(&options).to_owned())
}

/// A value of any type.
pub(super) fn value(chance: &mut Chance, depth: usize) -> Bson {
    if depth > 0 && chance.percent(32) {
        return if chance.percent(50) {
            Bson::Array(list(chance, depth - 1))
        } else {
            Bson::Document(embedded(chance, depth - 1))
        };
    }
    match chance.below(40) {
        0..13 => number(chance),
        13..21 => Bson::String(text(chance)),
        21..25 => Bson::Null,
        25..27 => Bson::Boolean(chance.percent(50)),
        27..29 => Bson::DateTime(DateTime::from_millis(*chance.pick(&[&0, &1, &-1, &1_767_225_600_000]))),
        29 => Bson::ObjectId(ObjectId::from_bytes([u8::try_from(chance.below(3)).unwrap(); 12])),
        30 => binary(chance),
        31 => Bson::Timestamp(*chance.pick(&[
            &Timestamp { time: 1, increment: 1 },
            &Timestamp { time: 1, increment: 2 },
            &Timestamp { time: u32::MAX, increment: 0 },
        ])),
        32 => Bson::MinKey,
        33 => Bson::MaxKey,
        34 => {
            let (pattern, options) = pattern(chance);
            Bson::RegularExpression(Regex { pattern: cstring(&pattern), options: cstring(&options) })
        }
        35 => Bson::Symbol(text(chance)),
        36 => Bson::JavaScriptCode(text(chance)),
        37 => Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: text(chance),
            scope: if depth > 0 { embedded(chance, depth - 1) } else { Document::new() },
        }),
        38 => Bson::Undefined,
        _ => pointer(chance),
    }
}

fn binary(chance: &mut Chance) -> Bson {
    let subtypes = [
        BinarySubtype::Generic,
        BinarySubtype::BinaryOld,
        BinarySubtype::Uuid,
        BinarySubtype::Md5,
        BinarySubtype::UserDefined(0x80),
    ];
    let bytes = chance.pick::<[u8]>(&[&[], &[1], &[2], &[1, 2], &[1, 2, 3, 4, 5]]).to_vec();
    Bson::Binary(Binary { subtype: *chance.pick(&subtypes.each_ref()), bytes })
}

/// A reference as drivers of old wrote it; nothing but bytes makes one.
fn pointer(chance: &mut Chance) -> Bson {
    let namespace: &[u8] = chance.pick::<[u8]>(&[b"a", b"ab"]);
    let mut bytes = vec![0x0c, b'p', 0, u8::try_from(namespace.len() + 1).unwrap(), 0, 0, 0];
    bytes.extend(namespace);
    bytes.push(0);
    bytes.extend([u8::try_from(chance.below(2)).unwrap(); 12]);
    let length = i32::try_from(bytes.len() + 5).unwrap().to_le_bytes();
    let document = [&length[..], &bytes, &[0]].concat();
    Document::from_reader(document.as_slice()).unwrap().remove("p").unwrap()
}

fn list(chance: &mut Chance, depth: usize) -> Vec<Bson> {
    (0..chance.below(4)).map(|_| value(chance, depth)).collect()
}

fn embedded(chance: &mut Chance, depth: usize) -> Document {
    let mut document = Document::new();
    for _ in 0..chance.below(4) {
        document.insert(chance.pick(&["a", "b", "c", "b", "c", "0", "1"]), value(chance, depth));
    }
    document
}

/// A document without its `_id`.
pub(super) fn document(chance: &mut Chance) -> Document {
    let mut document = Document::new();
    for _ in 0..=chance.below(4) {
        document.insert(chance.pick(&["a", "a", "b", "b", "c", "0", "ab"]), value(chance, 3));
    }
    document
}

fn path(chance: &mut Chance) -> String {
    let paths = [
        "a", "a", "a", "b", "b", "c", "a.b", "a.b", "b.c", "a.c", "a.0", "b.0", "a.1", "a.b.c", "a.0.b", "a.b.0",
        "a.0.0", "b.1.c", "a.0.b.1", "a.b.c.0", "0", "a.01", "a.b.b", "c.0.0.0", "ab", "b.a.b",
    ];
    chance.pick(&paths).to_owned()
}

/// A value that may well be in a document, at that path or anywhere.
fn met(chance: &mut Chance, documents: &[Document], path: &str) -> Bson {
    if documents.is_empty() || chance.percent(30) {
        return value(chance, 2);
    }
    let mut at = Bson::Document(documents[chance.below(documents.len())].clone());
    for part in path.split('.') {
        // Some way down an array, wherever it leads.
        while let Bson::Array(list) = &at
            && !list.is_empty()
            && chance.percent(70)
        {
            at = list[chance.below(list.len())].clone();
        }
        match &at {
            Bson::Document(inner) => match inner.get(part) {
                Some(next) => at = next.clone(),
                None => break,
            },
            _ => break,
        }
    }
    if let Bson::Array(list) = &at
        && !list.is_empty()
        && chance.percent(50)
    {
        at = list[chance.below(list.len())].clone();
    }
    at
}

/// What a field is asked by operators.
fn condition(chance: &mut Chance, documents: &[Document], path: &str, depth: usize) -> Document {
    let mut asked = Document::new();
    let compared = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"];
    for _ in 0..=usize::from(chance.percent(25)) {
        let some =
            |chance: &mut Chance| Bson::Array((0..chance.below(4)).map(|_| met(chance, documents, path)).collect());
        match chance.below(22) {
            9..11 => {
                asked.insert("$in", some(chance));
            }
            11 => {
                asked.insert("$nin", some(chance));
            }
            12 => {
                asked.insert(
                    "$exists",
                    chance.pick(&[&bson!(true), &bson!(false), &bson!(0), &bson!(1.5), &Bson::Null]).clone(),
                );
            }
            13 => {
                let sizes =
                    [bson!(0), bson!(1), bson!(2), bson!(2.0), bson!(1.5), bson!(-1), Bson::Int64(3), bson!("1")];
                asked.insert("$size", chance.pick(&sizes.each_ref()).clone());
            }
            14 => {
                let all = if depth > 0 && chance.percent(20) {
                    let inner = doc! { "$elemMatch": element(chance, documents, depth - 1) };
                    bson!([inner.clone(), inner])
                } else {
                    some(chance)
                };
                asked.insert("$all", all);
            }
            15 | 16 if depth > 0 => {
                asked.insert("$elemMatch", element(chance, documents, depth - 1));
            }
            17 if depth > 0 => {
                asked.insert("$not", condition(chance, documents, path, depth - 1));
            }
            18 | 19 => {
                let (pattern, options) = pattern(chance);
                asked.insert("$regex", pattern);
                if chance.percent(50) {
                    asked.insert("$options", options);
                }
            }
            20 if chance.percent(10) => {
                asked.insert(chance.pick(&["$foo", "b", "$options", "$ref", "$id"]), met(chance, documents, path));
            }
            _ => {
                asked.insert(chance.pick(&compared), met(chance, documents, path));
            }
        }
    }
    asked
}

fn element(chance: &mut Chance, documents: &[Document], depth: usize) -> Document {
    if chance.percent(50) { filter(chance, documents, depth) } else { condition(chance, documents, "a", depth) }
}

pub(super) fn filter(chance: &mut Chance, documents: &[Document], depth: usize) -> Document {
    let mut filter = Document::new();
    for _ in 0..=usize::from(chance.percent(20)) {
        if depth > 0 && chance.percent(15) {
            let branches = (0..=chance.below(2)).map(|_| Bson::Document(self::filter(chance, documents, depth - 1)));
            let branches = branches.collect::<Vec<_>>();
            filter.insert(chance.pick(&["$and", "$or", "$nor"]), branches);
            continue;
        }
        let path = path(chance);
        let asked = match chance.below(10) {
            0..3 => met(chance, documents, &path),
            _ => Bson::Document(condition(chance, documents, &path, depth)),
        };
        filter.insert(path, asked);
    }
    filter
}

pub(super) fn find(chance: &mut Chance, documents: &[Document]) -> Find {
    let filter = if chance.percent(25) { Document::new() } else { filter(chance, documents, 3) };
    let mut sort = Document::new();
    let sorted = if filter.is_empty() { 1 + chance.below(3) } else { chance.below(3) };
    for _ in 0..sorted {
        sort.insert(path(chance), if chance.percent(50) { 1 } else { -1 });
    }
    sort.insert("_id", 1);
    Find { filter, sort }
}

fn changed(chance: &mut Chance, operator: &str, documents: &[Document], path: &str) -> Bson {
    let some = |chance: &mut Chance| Bson::Array((0..chance.below(4)).map(|_| met(chance, documents, path)).collect());
    match operator {
        "$inc" | "$mul" if chance.percent(95) => number(chance),
        "$rename" if chance.percent(95) => Bson::String(self::path(chance)),
        "$pop" if chance.percent(90) => Bson::Int32(if chance.percent(50) { 1 } else { -1 }),
        "$pullAll" if chance.percent(95) => some(chance),
        "$bit" if chance.percent(95) => {
            let by = if chance.percent(80) { Bson::Int32(5) } else { number(chance) };
            Bson::Document(Document::from_iter([(chance.pick(&["and", "or", "xor"]).to_owned(), by)]))
        }
        "$currentDate" => chance
            .pick(&[
                &bson!(true),
                &bson!(false),
                &bson!({ "$type": "date" }),
                &bson!({ "$type": "timestamp" }),
                &bson!({ "$type": 1 }),
            ])
            .clone(),
        "$addToSet" if chance.percent(50) => {
            let mut each = doc! { "$each": some(chance) };
            if chance.percent(3) {
                each.insert("$slice", 1);
            }
            Bson::Document(each)
        }
        "$push" if chance.percent(70) => {
            let mut each = doc! { "$each": some(chance) };
            if chance.percent(40) {
                each.insert(
                    "$position",
                    chance.pick(&[&bson!(0), &bson!(1), &bson!(-1), &bson!(9), &bson!(-9), &bson!(1.5)]).clone(),
                );
            }
            if chance.percent(40) {
                each.insert("$slice", chance.pick(&[&bson!(0), &bson!(2), &bson!(-2), &bson!(9), &bson!(1.0)]).clone());
            }
            if chance.percent(40) {
                let sorts =
                    [bson!(1), bson!(-1), bson!({ "a": 1 }), bson!({ "b": -1, "c": 1 }), bson!({ "a.b": 1 }), bson!(2)];
                each.insert("$sort", chance.pick(&sorts.each_ref()).clone());
            }
            Bson::Document(each)
        }
        "$pull" if chance.percent(60) => Bson::Document(element(chance, documents, 1)),
        _ => met(chance, documents, path),
    }
}

/// A path that an operator can do something at, mostly.
fn fitting(chance: &mut Chance, operator: &str, document: &Document) -> String {
    for _ in 0..12 {
        // Two names of one place of an array bring mongod 6.0 down.
        let path = path(chance).replace(".01", ".2");
        let parts: Vec<&str> = path.split('.').collect();
        let mut at = document.get(parts[0]);
        let mut is_lost = false;
        for part in &parts[1..] {
            at = match at {
                Some(Bson::Document(inner)) => inner.get(part),
                Some(Bson::Array(inner)) if part.parse::<usize>().is_ok() => inner.get(part.parse::<usize>().unwrap()),
                None => None,
                _ => {
                    is_lost = true;
                    None
                }
            };
        }
        let fits = match (operator, at) {
            _ if is_lost => false,
            ("$inc" | "$mul" | "$bit", Some(value)) => {
                matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_))
            }
            ("$push" | "$addToSet" | "$pop" | "$pull" | "$pullAll", Some(value)) => matches!(value, Bson::Array(_)),
            ("$pop" | "$pull" | "$pullAll" | "$unset" | "$rename" | "$min" | "$max", None) => chance.percent(10),
            _ => true,
        };
        if fits || chance.percent(3) {
            return path;
        }
    }
    path(chance).replace(".01", ".2")
}

pub(super) fn update(chance: &mut Chance) -> Update {
    let document = document(chance);
    let operators = [
        "$set",
        "$set",
        "$set",
        "$unset",
        "$setOnInsert",
        "$inc",
        "$inc",
        "$mul",
        "$min",
        "$max",
        "$rename",
        "$currentDate",
        "$push",
        "$push",
        "$push",
        "$addToSet",
        "$addToSet",
        "$pop",
        "$pull",
        "$pull",
        "$pullAll",
        "$bit",
    ];
    let mut update = Document::new();
    let documents = [document.clone()];
    for _ in 0..=chance.below(3) {
        let operator = chance.pick(&operators);
        let mut fields = Document::new();
        for _ in 0..=usize::from(chance.percent(30)) {
            let mut path = fitting(chance, operator, &document);
            if chance.percent(2) {
                path = chance.pick(&["_id", "d", "10", "9", "a..b", "a.", "a.$", "a.x", "", "a.-1"]).to_owned();
            }
            let value = changed(chance, operator, &documents, &path);
            fields.insert(path, value);
        }
        update.insert(operator, fields);
    }
    Update { document, change: update, is_insert: chance.percent(15) }
}
