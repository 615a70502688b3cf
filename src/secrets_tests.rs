//! Unit tests and properties of [`super::Secrets`].

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::config::Credentials;

fn secrets(user: &str, password: &str) -> Secrets {
    Credentials { user: Some(user.to_owned()), password: password.to_owned() }.secrets()
}

/// The bytes of a C string: to its first NUL, so many at most.
fn shortened(text: &str, most: usize) -> &[u8] {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end.min(most)]
}

/// What a server answers to a command that it does not know: each argument between these, until there are 128 bytes.
fn unknown(command: &str, quote: &str, arguments: &[&str], before: &str, after: &str) -> String {
    let mut repeated = Vec::new();
    for argument in arguments {
        if repeated.len() >= 128 {
            break;
        }
        let room = 128 - repeated.len();
        repeated.extend_from_slice(before.as_bytes());
        repeated.extend_from_slice(shortened(argument, room));
        repeated.extend_from_slice(after.as_bytes());
    }
    for byte in &mut repeated {
        // "Make sure there are no newlines in the string, otherwise invalid protocol is emitted."
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    let repeated = String::from_utf8_lossy(&repeated);
    format!("ERR unknown command {quote}{command}{quote}, with args beginning with: {repeated}")
}

fn redis_6(command: &str, arguments: &[&str]) -> String {
    unknown(command, "`", arguments, "`", "`, ")
}

fn redis_7(command: &str, arguments: &[&str]) -> String {
    unknown(command, "'", arguments, "'", "' ")
}

const NAME: &str = "backtest-kit-native";

#[test]
fn what_servers_repeat_is_cut_off() {
    let (user, password) = ("trader", "s3cr3t and more");
    let secrets = secrets(user, password);
    let hello = ["3", "AUTH", user, password, "SETNAME", NAME];
    for said in [redis_6("HELLO", &hello), redis_7("HELLO", &hello)] {
        let shown = secrets.mask_answer(&said, &hello);
        assert!(["ERR unknown command `HELLO` …", "ERR unknown command 'HELLO' …"].contains(&&*shown), "{shown}");
    }
    for said in [redis_6("AUTH", &[user, password]), redis_7("AUTH", &[user, password])] {
        let shown = secrets.mask_answer(&said, &[user, password]);
        assert!(["ERR unknown command `AUTH` …", "ERR unknown command 'AUTH' …"].contains(&&*shown), "{shown}");
    }
    for (said, shown) in [
        ("ERR unknown command 'HELLO 3 AUTH trader s3cr3t and more'", "ERR unknown command 'HELLO …"),
        ("ERR I do not know HELLO(3, AUTH, trader)", "ERR I do not know HELLO …"),
        ("ERR Syntax error in HELLO option 'trad'", "ERR Syntax error in HELLO option …"),
        ("ERR Syntax error in HELLO option \"s\"", "ERR Syntax error in HELLO option …"),
        ("ERR no such user: trader", "ERR no such user: ********"),
        ("ERR bad request, args: 3 AUTH", "ERR bad request …"),
        ("ERR invalid: trader s3cr", "ERR invalid …"),
    ] {
        assert_eq!(secrets.mask_answer(said, &hello), shown);
    }
}

/// What Redis itself says in answer to HELLO and AUTH.
const OWN_WORDS: [&str; 10] = [
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option \
     can be used to authenticate the client and select the RESP protocol version at the same time",
    "NOAUTH Authentication required.",
    "NOPROTO unsupported protocol version",
    "NOPERM this user has no permissions to run the 'hello' command",
    "LOADING Redis is loading the dataset in memory",
    "ERR max number of clients reached",
    "ERR invalid password",
    "ERR wrong number of arguments for 'auth' command",
    "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. \
     In this mode connections are only accepted from the loopback interface. If you want to connect from external computers \
     to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET \
     protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however \
     MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. \
     2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the \
     protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, \
     restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You \
     only need to do one of the above things in order for the server to start accepting connections from the outside.",
];

#[test]
fn a_servers_own_words_stay() {
    for (user, password) in [
        ("default", "mysecurepassword"),
        ("trader", "s3cr3t"),
        ("redis", "denied"),
        ("bot-7", "p@ss w0rd!"),
        ("t", "x"),
    ] {
        let secrets = secrets(user, password);
        let hello = ["3", "AUTH", user, password, "SETNAME", NAME];
        for said in OWN_WORDS {
            assert_eq!((secrets.mask(said), secrets.mask_answer(said, &[user, password])), (said.into(), said.into()));
            assert_eq!(secrets.mask_answer(said, &hello), said);
        }
        let own = "ERR unknown command 'GET', with args beginning with: 'ns:k' ";
        assert_eq!(secrets.mask(own), own, "a user's own command may be repeated");
    }
}

#[test]
fn users_are_masked_and_the_one_that_every_server_has_is_not() {
    let said = "NOPERM User trader has no permissions to run the 'client|tracking' command";
    let shown = "NOPERM User ******** has no permissions to run the 'client|tracking' command";
    assert_eq!(secrets("trader", "pw").mask(said), shown);
    let said = "NOPERM User default has no permissions to run the 'hello' command";
    assert_eq!(secrets("default", "pw").mask(said), said);
}

#[test]
fn a_secret_is_masked_in_every_form() {
    let secrets = secrets("", "pä\"ss\n%1");
    for said in [
        "x pä\"ss\n%1 y",
        "x pä\\\"ss\\n%1 y",
        "x p\\xc3\\xa4\\\"ss\\n%1 y",
        "x p\\u00e4\\\"ss\\n%1 y",
        "x p\\u{e4}\\\"ss\\u{a}%1 y",
        "x p%C3%A4%22ss%0A%251 y",
        "x p%c3%a4%22ss%0a%251 y",
        "x pä\"ss %1 y",
    ] {
        assert_eq!(secrets.mask(said), "x ******** y", "{said}");
    }
    assert_eq!(Secrets::new(["a😀bc"]).mask("x a\\ud83d\\ude00bc y"), "x ******** y");
}

#[test]
fn short_secrets_are_masked_as_words_and_long_ones_anywhere() {
    assert_eq!(Secrets::new(["ab"]).mask("ab about 'ab' cab ab."), "******** about '********' cab ********.");
    assert_eq!(Secrets::new(["abcd"]).mask("xabcdy"), "x********y");
    assert_eq!(Secrets::new(["abcd", "abcdef"]).mask("abcdefg abcdg"), "********g ********g");
    assert_eq!(Secrets::new([""]).mask("all of it"), "all of it");
}

#[test]
fn beginnings_of_secrets_are_masked_where_they_are_long_enough() {
    let secrets = Secrets::new(["correct-horse-battery"]);
    assert_eq!(secrets.mask("got correct-horse and"), "got ******** and");
    assert_eq!(secrets.mask("got 'cor' and"), "got '********' and");
    assert_eq!(secrets.mask("that is correct"), "that is correct");
    assert_eq!(secrets.mask("correct-horsemanship"), "correct-horsemanship");
    // Of a character that was cut in two, this is shown.
    assert_eq!(Secrets::new(["geheimnisvöll"]).mask("got 'geheimnisv\u{fffd}'"), "got '********'");
}

#[test]
fn a_secret_that_the_mask_would_complete_is_not_shown() {
    assert_eq!(Secrets::new(["a***", "zzzz"]).mask("azzzz"), NOTHING);
    assert_eq!(Secrets::new(["a***", "zzzz"]).mask("a zzzz"), "a ********");
}

/// A secret in one of the forms that it may have in a message.
fn encoded_as(secret: &str, form: u8) -> String {
    match form {
        0 => secret.to_owned(),
        1 => secret.escape_debug().to_string(),
        2 => secret.escape_default().to_string(),
        3 => {
            let quoted = serde_json::to_string(secret).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        }
        4 => secret.replace(['\r', '\n'], " "),
        5 => secret.bytes().fold(String::new(), |mut out, byte| {
            let _ =
                if byte.is_ascii_alphanumeric() { write!(out, "{}", byte as char) } else { write!(out, "%{byte:02X}") };
            out
        }),
        // sdscatrepr of Redis.
        _ => secret.bytes().fold(String::new(), |mut out, byte| {
            let _ = match byte {
                b'\\' | b'"' => write!(out, "\\{}", byte as char),
                b' '..=b'~' => write!(out, "{}", byte as char),
                _ => write!(out, "\\x{byte:02x}"),
            };
            out
        }),
    }
}

/// Whether nothing is shown of an answer beyond that place.
fn is_cut(secrets: &Secrets, said: &str, arguments: &[&str], head: usize) -> bool {
    let shown = secrets.mask_answer(said, arguments);
    (0..=head).any(|end| said.is_char_boundary(end) && shown == secrets.mask(&said[..end]) + CUT)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_form_of_a_secret_is_left(
        before in ".{0,20}", after in ".{0,20}", secret in "[^*]{4,20}", other in "[^*]{0,12}", form in 0_u8..7
    ) {
        let said = format!("{before}{}{after}", encoded_as(&secret, form));
        let shown = Secrets::new([&*secret, &*other]).mask(&said);
        for form in 0..7 {
            let encoded = encoded_as(&secret, form);
            prop_assert!(!shown.contains(&encoded), "{encoded:?} in {shown:?}");
        }
    }

    #[test]
    fn nothing_is_left_of_what_a_server_repeats(
        user in "[^\r\n]{1,40}|[a-z]{1,200}", password in ".{1,40}|[a-z]{1,200}", most in 1_usize..30, hello: bool
    ) {
        let all = ["3", "AUTH", user.as_str(), password.as_str(), "SETNAME", NAME];
        let (command, arguments) = if hello { ("HELLO", &all[..]) } else { ("AUTH", &all[2..4]) };
        let secrets = secrets(&user, &password);
        // Of any length that a version may shorten arguments to.
        let short: Vec<String> =
            arguments.iter().map(|argument| String::from_utf8_lossy(shortened(argument, most)).into_owned()).collect();
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        for said in [redis_6(command, arguments), redis_6(command, &short), redis_7(command, arguments), redis_7(command, &short)] {
            let head = said.find(", with args").unwrap();
            prop_assert!(is_cut(&secrets, &said, arguments, head), "{}", secrets.mask_answer(&said, arguments));
        }
    }

    #[test]
    fn nothing_is_left_of_what_a_server_repeats_without_saying_so(
        user in "[a-zA-Z0-9._-]{1,40}", password in "[!-~]{1,40}", most in 1_usize..30, hello: bool, quotes in 0_usize..4
    ) {
        let all = ["3", "AUTH", user.as_str(), password.as_str(), "SETNAME", NAME];
        let (command, arguments) = if hello { ("HELLO", &all[..]) } else { ("AUTH", &all[2..4]) };
        let quote = ["'", "`", "\"", ""][quotes];
        // Nothing tells two words from any others, unless the first of them is there as a whole.
        let most = if quote.is_empty() { 40 } else { most };
        let repeated: Vec<_> = arguments.iter().map(|argument| {
            format!("{quote}{}{quote}", String::from_utf8_lossy(shortened(argument, most)))
        }).collect();
        let head = format!("ERR we have no {command}: ");
        let said = head.clone() + &repeated.join(" ");
        let secrets = secrets(&user, &password);
        prop_assert!(is_cut(&secrets, &said, arguments, head.len()), "{}", secrets.mask_answer(&said, arguments));
    }

    #[test]
    fn what_holds_no_secret_stays(said in "[a-m ':,.]{0,80}", secret in "[n-z]{1,12}") {
        prop_assert_eq!(Secrets::new([&*secret]).mask(&said), said);
    }

    #[test]
    fn any_words_can_be_masked(said in ".{0,60}", one in ".{0,8}", two in "[%\\\\'\"u{}0-9a-f\u{fffd}]{0,8}") {
        let secrets = Secrets::new([&*one, &*two]);
        let shown = secrets.mask(&said);
        let _ = secrets.mask_answer(&said, &[&*one, &*two]);
        prop_assert!(shown == said || shown.contains(MASK) || shown == NOTHING);
    }
}
