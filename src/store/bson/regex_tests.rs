use super::*;

/// Whether each of these texts matches.
fn found(pattern: &str, options: &str, texts: &[&str]) -> Vec<bool> {
    let pattern = Pattern::new(pattern, options).unwrap_or_else(|refusal| panic!("{pattern}: {refusal}"));
    texts.iter().map(|text| pattern.matches(RawBsonRef::String(text))).collect()
}

fn all(pattern: &str, options: &str, texts: &[&str]) {
    assert_eq!(found(pattern, options, texts), vec![true; texts.len()], "{pattern} {texts:?}");
}

fn none(pattern: &str, options: &str, texts: &[&str]) {
    assert_eq!(found(pattern, options, texts), vec![false; texts.len()], "{pattern} {texts:?}");
}

#[test]
fn classes_are_those_of_ascii() {
    all(r"^\d\w\s$", "", &["1a ", "0_\t"]);
    none(r"^\d$", "", &["٣"]);
    none(r"^\w$", "", &["é", "\u{17f}"]);
    none(r"^[\w-]$", "i", &["\u{17f}", "\u{212a}"]);
    all(r"^[k-]$", "i", &["K", "k", "\u{212a}", "-"]);
    all(r"^[[:upper:]]$", "i", &["a", "A"]);
    none(r"^[[:upper:]]$", "", &["a"]);
    all(r"\bfoo\b", "", &["éfooé", "a foo"]);
}

#[test]
fn a_dollar_stands_before_the_last_newline_too() {
    all("a$", "", &["a", "ba", "a\n"]);
    none("a$", "", &["a\n\n", "ab"]);
    all("^a(?:b|$)", "", &["a\n", "a", "abc"]);
    all(r"a\Z", "", &["a\n"]);
    none(r"a\z", "", &["a\n"]);
    all("a$", "m", &["a\nb"]);
    all("^b", "m", &["a\nb"]);
    none("^b", "", &["a\nb"]);
    all("a.b", "s", &["a\nb"]);
    none("a.b", "", &["a\nb"]);
}

#[test]
fn braces_brackets_and_escapes_that_begin_nothing_stand_for_themselves() {
    all(r"^a{,2}$", "", &["a{,2}"]);
    all(r"^x{2,}y{1}$", "", &["xxxy"]);
    all(r"^[]a]+$", "", &["]a"]);
    all(r"^\/\-\.$", "", &["/-."]);
    all(r"^\Qa.b\Ec$", "", &["a.bc"]);
    all(r"^\x41\x{e9}\t\0$", "", &["Aé\t\0"]);
    all("^ a b #c\n d $", "x", &["abd"]);
    all("a(?i)b|C", "", &["aB", "c"]);
    all("(?<n>a)(?P<m>b)(?'o'c)(?#no)(?i:D)", "", &["abcd"]);
}

#[test]
fn what_no_automaton_does_is_refused_by_name() {
    for (pattern, word) in [
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "back references"),
        ("a++", "possessive"),
        ("(?>a)", "groups"),
        (r"\p{L}", r"\p"),
        (r"a\Gb", r"\G"),
        ("a$b", "$"),
        ("(a$)*", "$"),
        ("(*UCP)a", "verbs"),
    ] {
        let refusal = Pattern::new(pattern, "").unwrap_err();
        assert!(refusal.code.is_none() && refusal.message.contains(word), "{pattern}: {refusal}");
    }
    assert!(Pattern::new("^a?", "m").is_err());
}

#[test]
fn what_mongodb_refuses_has_its_code() {
    for pattern in ["(", ")", "[a", "*a", "a**", "a{2,1}", "[b-a]", "\\", "a{70000}", "[[:foo:]]"] {
        assert_eq!(Pattern::new(pattern, "").unwrap_err().code, Some(INVALID_REGEX), "{pattern}");
    }
    assert_eq!(Pattern::new("a", "g").unwrap_err().code, Some(51108));
    let deep = format!("{}{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Pattern::new(&deep, "").is_err());
}

#[test]
fn what_is_costly_for_others_is_linear() {
    none("^(a+)+$", "", &[&format!("{}b", "a".repeat(30_000))]);
}
