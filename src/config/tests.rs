//! What variables amount to, and what is refused.

use std::path::Path;

use super::*;
use crate::error::{Code, Error};
use crate::pem::Pem;
use crate::secrets::MASK;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn failing(pairs: &[(&str, &str)]) -> Error {
    match resolve(&values(pairs)) {
        Ok(_) => panic!("{pairs:?} was accepted"),
        Err(error) => error,
    }
}

#[test]
fn defaults_are_those_of_the_original() {
    let config = resolve(&Values::new()).unwrap();
    assert_eq!(config.address, Address::Tcp("127.0.0.1".into(), 6379));
    let credentials = config.credentials.unwrap();
    assert_eq!(credentials.user.as_deref(), Some("default"));
    assert_eq!(credentials.password, "mysecurepassword");
    assert_eq!((config.timeout_ms, config.scan_count, config.scan_count_max), (10_000, 100, 1_000));
}

#[test]
fn after_setup_there_are_no_credentials_unless_they_are_given() {
    let credentials = |pairs: &[(&str, &str)]| {
        let mut set = values(pairs);
        set.insert(SETUP.to_owned(), String::new());
        resolve(&set).unwrap().credentials.map(|given| (given.user, given.password))
    };
    assert_eq!(credentials(&[]), None);
    assert_eq!(credentials(&[("CC_REDIS_USER", "bot")]), None);
    assert_eq!(credentials(&[("CC_REDIS_PASSWORD", "pw")]), Some((None, "pw".to_owned())));
    let both = [("CC_REDIS_USER", "bot"), ("CC_REDIS_PASSWORD", "pw")];
    assert_eq!(credentials(&both), Some((Some("bot".to_owned()), "pw".to_owned())));
}

#[test]
fn after_setup_its_defaults_are_shown_and_no_other_differs() {
    let shown = show(&values(&[(SETUP, "")]));
    let before = show(&Values::new());
    for (name, value) in before.as_object().unwrap() {
        let expected = match name.as_str() {
            "CC_REDIS_USER" | "CC_REDIS_PASSWORD" => "".into(),
            "CC_MONGO_CONNECTION_STRING" => "mongodb://localhost:27017/backtest-kit?wtimeoutMS=15000".into(),
            _ => value.clone(),
        };
        assert_eq!(shown[name], expected, "{name}");
    }
    assert!(check(SETUP, "1").is_err(), "it is no variable");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = resolve(&values(&[("CC_REDIS_HOST", ""), ("CC_REDIS_PORT", "")])).unwrap();
    assert_eq!(config.address.to_string(), "127.0.0.1:6379");
}

#[test]
fn an_unusable_number_names_its_variable() {
    for port in ["abc", "0", "65536", "-1", "6379.5", "+5", " 6379"] {
        let error = failing(&[("CC_REDIS_PORT", port)]);
        assert_eq!(error.code, Code::InvalidConfig);
        assert!(error.message.starts_with("CC_REDIS_PORT: "), "{}", error.message);
    }
}

#[test]
fn a_url_wins_and_without_credentials_sends_none() {
    let config = resolve(&values(&[("CC_REDIS_URL", "redis://example:7000/3"), ("CC_REDIS_PORT", "1")])).unwrap();
    assert_eq!(config.address, Address::Tcp("example".into(), 7000));
    assert!(config.credentials.is_none());
    assert_eq!(config.database, 3);
}

#[test]
fn credentials_of_a_url_are_percent_decoded() {
    let config = resolve(&values(&[("CC_REDIS_URL", "redis://us%40er:p%3Aa%2Fss@[::1]:7000")])).unwrap();
    let credentials = config.credentials.unwrap();
    assert_eq!((credentials.user.as_deref(), credentials.password.as_str()), (Some("us@er"), "p:a/ss"));
    assert_eq!(config.address, Address::Tcp("::1".into(), 7000));
    assert_eq!(config.address.to_string(), "[::1]:7000");
}

#[test]
fn a_host_may_stand_in_brackets_and_have_a_scope() {
    for (variable, text, host) in [
        ("CC_REDIS_HOST", "[::1]", "::1"),
        ("CC_REDIS_HOST", "[fe80::1%eth0]", "fe80::1%eth0"),
        ("CC_REDIS_HOST", "fe80::1%eth0", "fe80::1%eth0"),
        ("CC_REDIS_URL", "redis://u:p@[fe80::1%25eth0]:6379/2", "fe80::1%eth0"),
        ("CC_REDIS_URL", "rediss://[fe80::1%eth0]:6379", "fe80::1%eth0"),
    ] {
        let config = resolve(&values(&[(variable, text)])).unwrap();
        assert_eq!(config.address, Address::Tcp(host.into(), 6379), "{text}");
        assert_eq!(config.address.to_string(), format!("[{host}]:6379"));
    }
    failing(&[("CC_REDIS_URL", "redis://[127.0.0.1%25lo]")]);
}

#[test]
fn a_host_is_a_name_or_an_address_alone_and_what_is_refused_is_not_repeated() {
    for text in ["localhost:6379", "redis://u:secret@h", "http://x", "a b", "a,b", "[]", "h\n", "user:secret@h"] {
        let error = failing(&[("CC_REDIS_HOST", text)]);
        assert!(error.message.starts_with("CC_REDIS_HOST: it takes a name"), "{}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}

#[test]
fn a_unix_socket_is_an_address() {
    let config = resolve(&values(&[("CC_REDIS_URL", "unix:/run/redis.sock")])).unwrap();
    assert_eq!(config.address, Address::Unix("/run/redis.sock".into()));
}

#[test]
fn no_error_and_no_view_shows_a_password() {
    for url in
        ["redis://u:hunter2@h:99999", "http://u:hunter2@h", "redis://u:hunter2@", "rediss://u:hunter2@h#insecure"]
    {
        assert!(!failing(&[("CC_REDIS_URL", url)]).to_string().contains("hunter2"));
    }
    for url in [
        "redis://u:hunter2@h:1",
        "redis://:hunter2@h",
        "unix:/s?user=u&pass=hunter2",
        "unix:/s?user=u&pass=a@hunter2",
        "unix:/s?PASS=hunter2@b",
        "redis://u:hunter2?@h",
        "redis://u:?hunter2@h",
        "redis://u:hunter2@x@h",
    ] {
        let shown = show(&values(&[("CC_REDIS_URL", url), ("CC_REDIS_PASSWORD", "hunter2")])).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(MASK));
    }
}

#[test]
fn a_masked_value_is_refused() {
    assert!(check("CC_REDIS_PASSWORD", MASK).is_err());
    assert!(check("CC_REDIS_URL", "redis://u:********@h").is_err());
    assert!(check("CC_REDIS_PASSWORD", "other").is_ok());
}

#[test]
fn a_url_of_sentinels_names_them_the_master_and_what_is_told_to_it() {
    let url = ("CC_REDIS_URL", "redis+sentinel://bot:p%40%2Cw@one,[::1]:5000,two:7,one:26379/my-master.1/3");
    let config = resolve(&values(&[url])).unwrap();
    assert_eq!(config.address, Address::Master("my-master.1".to_owned()));
    let credentials = config.credentials.unwrap();
    assert_eq!((credentials.user.as_deref(), credentials.password.as_str()), (Some("bot"), "p@,w"));
    assert_eq!((config.database, config.tls.is_some()), (3, false));
    let sentinels = config.sentinels.unwrap();
    let seeds: Vec<_> = sentinels.seeds.iter().map(|(host, port)| (host.as_str(), *port)).collect();
    assert_eq!(seeds, [("one", 26_379), ("::1", 5_000), ("two", 7)]);
    assert!(sentinels.master == "my-master.1" && sentinels.credentials.is_none());

    let secure = ("CC_REDIS_URL", "rediss+sentinel://one/m");
    let own = [secure, ("CC_REDIS_SENTINEL_USER", "watch"), ("CC_REDIS_SENTINEL_PASSWORD", "pw")];
    let config = resolve(&values(&own)).unwrap();
    assert!(config.tls.is_some() && config.credentials.is_none() && config.database == 0);
    let credentials = config.sentinels.unwrap().credentials.unwrap();
    assert_eq!((credentials.user.as_deref(), credentials.password.as_str()), (Some("watch"), "pw"));
}

#[test]
fn a_url_of_sentinels_that_cannot_be_used_is_refused_and_not_repeated() {
    for url in [
        "redis+sentinel://u:hunter2@one:26379",
        "redis+sentinel://u:hunter2@one:26379/",
        "redis+sentinel://u:hunter2@one:26379/my master",
        "redis+sentinel://u:hunter2@one:26379/m/x",
        "redis+sentinel://u:hunter2@one:x/m",
        "redis+sentinel://u:hunter2@,/m",
        "redis+sentinel://u:hunter2@/m",
        "redis+sentinel:u:hunter2@one/m",
        "redis+sentinel://u:hunter2@one/m?x=1",
    ] {
        let error = failing(&[("CC_REDIS_URL", url)]);
        assert!(error.message.starts_with("CC_REDIS_URL: "), "{}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
        assert!(!show(&values(&[("CC_REDIS_URL", url)])).to_string().contains("hunter2"), "{url}");
    }
}

#[test]
fn a_url_of_a_cluster_names_some_of_its_nodes() {
    let config = resolve(&values(&[("CC_REDIS_URL", "redis+cluster://bot:p%40w@one,[::1]:7000,one:6379")])).unwrap();
    let seeds = config.cluster.unwrap().seeds;
    assert_eq!(seeds, [("one".to_owned(), 6_379), ("::1".to_owned(), 7_000)]);
    let credentials = config.credentials.unwrap();
    assert_eq!((credentials.user.as_deref(), credentials.password.as_str()), (Some("bot"), "p@w"));
    assert!(config.tls.is_none() && config.sentinels.is_none() && config.near_max_bytes.is_some());
    let secure = resolve(&values(&[("CC_REDIS_URL", "rediss+cluster://one:7000/0")])).unwrap();
    assert!(secure.tls.is_some() && secure.cluster.is_some() && secure.credentials.is_none());
}

#[test]
fn a_url_of_a_cluster_that_cannot_be_used_is_refused_and_not_repeated() {
    for url in [
        "redis+cluster://u:hunter2@",
        "redis+cluster://u:hunter2@one,",
        "redis+cluster://u:hunter2@one:x",
        "redis+cluster://u:hunter2@one/3",
        "redis+cluster://u:hunter2@one/m",
        "redis+cluster:u:hunter2@one",
        "redis+cluster://u:hunter2@one?x=1",
    ] {
        let error = failing(&[("CC_REDIS_URL", url)]);
        assert!(error.message.contains("CC_REDIS_URL") && !error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_variables_of_sentinels_must_fit_each_other_and_the_url() {
    let url = ("CC_REDIS_URL", "redis+sentinel://one/m");
    for (set, named) in [
        (&[url, ("CC_REDIS_SENTINEL_USER", "u")][..], "CC_REDIS_SENTINEL_PASSWORD"),
        (&[("CC_REDIS_SENTINEL_PASSWORD", "p")], "CC_REDIS_SENTINEL_PASSWORD"),
        (&[("CC_REDIS_URL", "redis://one"), ("CC_REDIS_SENTINEL_USER", "u")], "CC_REDIS_SENTINEL_USER"),
    ] {
        let error = failing(set);
        assert!(error.message.starts_with(&format!("{named}: ")), "{}", error.message);
    }
}

#[test]
fn tls_is_what_a_rediss_url_asks_for() {
    let url = ("CC_REDIS_URL", "rediss://u:p%40@example:7000/3");
    let config = resolve(&values(&[url, ("CC_REDIS_TLS_CA", "/ca.pem")])).unwrap();
    assert_eq!((config.address.to_string().as_str(), config.database), ("example:7000", 3));
    let tls = config.tls.unwrap();
    assert!(tls.authorities == Some(Pem::File("/ca.pem".into())) && tls.identity.is_none());
    assert!(resolve(&values(&[("CC_REDIS_URL", "redis://example")])).unwrap().tls.is_none());
}

#[test]
fn the_variables_of_tls_must_fit_each_other_and_the_url() {
    let url = ("CC_REDIS_URL", "rediss://example");
    for (set, named) in [
        (&[url, ("CC_REDIS_TLS_CERT", "c")][..], "CC_REDIS_TLS_KEY"),
        (&[url, ("CC_REDIS_TLS_KEY", "k")], "CC_REDIS_TLS_CERT"),
        (&[("CC_REDIS_TLS_CA", "a")], "CC_REDIS_TLS_CA"),
        (&[("CC_REDIS_URL", "redis://example"), ("CC_REDIS_TLS_CERT", "c")], "CC_REDIS_TLS_CERT"),
        (&[("CC_REDIS_URL", "unix:/s"), ("CC_REDIS_TLS_KEY", "k")], "CC_REDIS_TLS_KEY"),
    ] {
        let error = failing(set);
        assert!(error.message.starts_with(&format!("{named}: ")), "{}", error.message);
    }
}

#[test]
fn pem_text_is_not_shown_and_its_mask_is_refused() {
    let pem = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
    let shown = show(&values(&[("CC_REDIS_TLS_KEY", pem), ("CC_REDIS_TLS_CERT", "/cert.pem")]));
    assert_eq!((&shown["CC_REDIS_TLS_KEY"], &shown["CC_REDIS_TLS_CERT"]), (&MASK.into(), &"/cert.pem".into()));
    assert!(shown["CC_REDIS_TLS_CA"].is_null());
    let headless = "MC4CAQAwBQYDK2VwBCIEIJ2D0qf1bRcN0m3s9b7y0j5n8Qe1o3aK7sQ5cV9u1x2w";
    assert_eq!(show(&values(&[("CC_REDIS_TLS_KEY", headless)]))["CC_REDIS_TLS_KEY"], MASK);
    assert!(check("CC_REDIS_TLS_KEY", MASK).is_err());
}

#[test]
fn an_unknown_variable_is_refused_by_name() {
    assert!(check("CC_REDIS_PROT", "1").unwrap_err().message.starts_with("CC_REDIS_PROT: no such variable"));
}

#[test]
fn golden_variables() {
    let spec = crate::spec::load("config");
    for case in crate::spec::cases(&spec, "cases") {
        let name = case["name"].as_str().unwrap();
        let variables = case["variables"].as_object().unwrap();
        let set: Values = variables.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
        let others = mongo::resolve(&set).and_then(|_| store::resolve(&set, Path::new("/")));
        let config = match others.and_then(|_| resolve(&set)) {
            Ok(config) => config,
            Err(error) => {
                assert_eq!(case["code"], error.code.as_str(), "{name}: {error}");
                assert!(error.message.starts_with(case["variable"].as_str().unwrap()), "{name}: {error}");
                continue;
            }
        };
        assert!(case["code"].is_null(), "{name} was accepted");
        let (host, port, unix) = match &config.address {
            Address::Tcp(host, port) => (Some(host.as_str()), Some(*port), None),
            Address::Unix(path) => (None, None, Some(path.as_str())),
            Address::Master(_) => (None, None, None),
        };
        let credentials = config.credentials.as_ref();
        let all = serde_json::json!({
            "host": host, "port": port, "unix": unix,
            "user": credentials.and_then(|c| c.user.as_deref()), "password": credentials.map(|c| &c.password),
            "database": config.database, "tls": config.tls.is_some(), "timeoutMs": config.timeout_ms, "scanCount": config.scan_count,
            "scanCountMax": config.scan_count_max, "spinUs": config.spin_us, "queueMax": config.queue_max,
            "queueMaxBytes": config.queue_max_bytes, "nearMaxBytes": config.near_max_bytes,
        });
        for (key, value) in case["config"].as_object().unwrap() {
            assert_eq!(&all[key], value, "{name}: {key}");
        }
        for (key, value) in case["shown"].as_object().into_iter().flatten() {
            assert_eq!(&show(&set)[key], value, "{name}: {key}");
        }
    }
}
