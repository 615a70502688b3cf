//! Configuration: the variables, their bounds and defaults, and what they amount to.
//!
//! Pure: the environment comes in as a map, so that a worker thread's own `process.env` counts and tests need none.

use std::collections::BTreeMap;

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use crate::error::{Code, Error, Result};

/// What stands in place of a secret wherever configuration is shown.
pub const MASK: &str = "********";

/// How a variable's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A URL whose password is never shown.
    Url,
    /// A whole number within bounds, both included.
    Whole(u64, u64),
    /// `on` or `off`.
    Switch,
}

/// One variable: the row that reading, checking, showing and documentation share.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment and in `setConfig`.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// Its value when it is unset or empty; an empty default means "none".
    pub default: &'static str,
}

const fn variable(name: &'static str, kind: Kind, default: &'static str) -> Variable {
    Variable { name, kind, default }
}

/// Every variable that this version reads. Host, port, user and password default to what the original's
/// docker-compose uses, because existing projects rely on it.
pub const VARIABLES: &[Variable] = &[
    variable("CC_REDIS_HOST", Kind::Text, "127.0.0.1"),
    variable("CC_REDIS_PORT", Kind::Whole(1, 65_535), "6379"),
    variable("CC_REDIS_USER", Kind::Text, "default"),
    variable("CC_REDIS_PASSWORD", Kind::Secret, "mysecurepassword"),
    variable("CC_REDIS_URL", Kind::Url, ""),
    variable("CC_REDIS_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_REDIS_SCAN_COUNT", Kind::Whole(1, 100_000), "100"),
    variable("CC_REDIS_SCAN_COUNT_MAX", Kind::Whole(1, 100_000), "1000"),
    variable("CC_REDIS_SPIN_US", Kind::Whole(0, 1_000), "30"),
    variable("CC_REDIS_QUEUE_MAX", Kind::Whole(1, 100_000_000), "1000000"),
    variable("CC_REDIS_QUEUE_MAX_BYTES", Kind::Whole(1_024, 4_294_967_295), "268435456"),
    variable("CC_NEAR_CACHE", Kind::Switch, "on"),
    variable("CC_NEAR_CACHE_MAX_BYTES", Kind::Whole(4_096, 4_294_967_295), "67108864"),
];

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host name or IP address, and port.
    Tcp(String, u16),
    /// Path of a Unix socket.
    Unix(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// What the connection says of itself. No `Debug`: it holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// ACL user; `None` authenticates with the password alone.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

/// Configuration as the engine uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server is.
    pub address: Address,
    /// Sent with the handshake; `None` when a URL without credentials was given.
    pub credentials: Option<Credentials>,
    /// Database number, from the URL's path; 0 by default.
    pub database: i64,
    /// Deadline of one round trip in milliseconds.
    pub timeout_ms: u64,
    /// First COUNT of a scan.
    pub scan_count: u32,
    /// Up to where COUNT grows within one scan.
    pub scan_count_max: u32,
    /// Longest wait on the socket after a flush in microseconds; 0 is off.
    pub spin_us: u64,
    /// Bound of waiting calls.
    pub queue_max: usize,
    /// Bound of their bytes.
    pub queue_max_bytes: usize,
    /// Bound of the near cache in bytes; `None` turns it off.
    pub near_max_bytes: Option<u64>,
}

/// Variables by name; an absent or empty one has its default.
pub type Values = BTreeMap<String, String>;

fn invalid(name: &str, problem: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidConfig, format!("{name}: {problem}"))
}

fn find(name: &str) -> Result<&'static Variable> {
    VARIABLES.iter().find(|v| v.name == name).ok_or_else(|| {
        let known: Vec<_> = VARIABLES.iter().map(|v| v.name).collect();
        invalid(name, format!("no such variable; known are {}", known.join(", ")))
    })
}

/// Checks one variable as `setConfig` was given it. The text of an error shows the value unless it is secret.
pub fn check(name: &str, text: &str) -> Result<()> {
    let variable = find(name)?;
    match variable.kind {
        Kind::Secret if text == MASK => {
            Err(invalid(name, "this is the mask that getConfig() shows in place of the password"))
        }
        Kind::Text | Kind::Secret => Ok(()),
        Kind::Url if text.contains(MASK) => {
            Err(invalid(name, "this holds the mask that getConfig() shows in place of the password"))
        }
        Kind::Url if text.is_empty() => Ok(()),
        Kind::Url => parse_url(name, text).map(drop),
        Kind::Whole(..) => whole(variable, text).map(drop),
        Kind::Switch => switch(variable, text).map(drop),
    }
}

fn switch(variable: &Variable, text: &str) -> Result<bool> {
    match if text.is_empty() { variable.default } else { text } {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(invalid(variable.name, format!("{other:?} is neither \"on\" nor \"off\""))),
    }
}

fn whole(variable: &Variable, text: &str) -> Result<u64> {
    let Kind::Whole(least, most) = variable.kind else { unreachable!("only called for whole numbers") };
    let text = if text.is_empty() { variable.default } else { text };
    // Digits only: parse() would take "+5".
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(n) if digits && (least..=most).contains(&n) => Ok(n),
        _ => Err(invalid(variable.name, format!("{text:?} is not a whole number from {least} to {most}"))),
    }
}

/// The value of a variable, or its default where it is unset or empty (empty counts as unset, as in the original).
fn text<'a>(values: &'a Values, name: &str) -> &'a str {
    match values.get(name) {
        Some(text) if !text.is_empty() => text,
        _ => find(name).map_or("", |v| v.default),
    }
}

fn number(values: &Values, name: &str) -> Result<u64> {
    whole(find(name)?, text(values, name))
}

fn size(values: &Values, name: &str) -> Result<usize> {
    usize::try_from(number(values, name)?).map_err(|_| invalid(name, "too large for this platform"))
}

type Target = (Address, Option<Credentials>, i64);

fn parse_url(name: &str, text: &str) -> Result<Target> {
    if text.starts_with("rediss:") {
        return Err(invalid(name, "TLS (rediss://) is not part of this version"));
    }
    // The parser's own error may quote the URL, password and all; say what is expected instead.
    let info = text.into_connection_info().map_err(|_| {
        invalid(name, "not a URL of the form redis://[user[:password]@]host[:port][/database] or unix:/path/to/socket")
    })?;
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            // The parser keeps the brackets of an IPv6 address.
            Address::Tcp(host.trim_start_matches('[').trim_end_matches(']').to_owned(), *port)
        }
        ConnectionAddr::Unix(path) => Address::Unix(path.to_string_lossy().into_owned()),
        _ => return Err(invalid(name, "this kind of address is not supported")),
    };
    let settings = info.redis_settings();
    let credentials = settings.password().map(|password| Credentials {
        user: settings.username().filter(|user| !user.is_empty()).map(str::to_owned),
        password: password.to_owned(),
    });
    Ok((address, credentials, settings.db()))
}

/// Turns variables into configuration, or says which one cannot be used.
pub fn resolve(values: &Values) -> Result<Config> {
    let url = text(values, "CC_REDIS_URL");
    let (address, credentials, database) = if url.is_empty() {
        let port = u16::try_from(number(values, "CC_REDIS_PORT")?);
        let port = port.map_err(|_| invalid("CC_REDIS_PORT", "above 65535"))?;
        let credentials = Credentials {
            user: Some(text(values, "CC_REDIS_USER").to_owned()),
            password: text(values, "CC_REDIS_PASSWORD").to_owned(),
        };
        (Address::Tcp(text(values, "CC_REDIS_HOST").to_owned(), port), Some(credentials), 0)
    } else {
        parse_url("CC_REDIS_URL", url)?
    };
    let count = |name| u32::try_from(number(values, name)?).map_err(|_| invalid(name, "too large"));
    let (scan_count, scan_count_max) = (count("CC_REDIS_SCAN_COUNT")?, count("CC_REDIS_SCAN_COUNT_MAX")?);
    Ok(Config {
        address,
        credentials,
        database,
        timeout_ms: number(values, "CC_REDIS_TIMEOUT_MS")?,
        scan_count,
        // A first batch above the bound is what somebody asked for explicitly: fixed at that size.
        scan_count_max: scan_count_max.max(scan_count),
        spin_us: number(values, "CC_REDIS_SPIN_US")?,
        queue_max: size(values, "CC_REDIS_QUEUE_MAX")?,
        queue_max_bytes: size(values, "CC_REDIS_QUEUE_MAX_BYTES")?,
        near_max_bytes: switch(find("CC_NEAR_CACHE")?, text(values, "CC_NEAR_CACHE"))?
            .then_some(number(values, "CC_NEAR_CACHE_MAX_BYTES")?),
    })
}

/// All variables as `getConfig()` shows them: numbers as numbers, secrets masked, an unset URL as null.
#[must_use]
pub fn show(values: &Values) -> serde_json::Value {
    let shown = VARIABLES.iter().map(|variable| {
        let text = text(values, variable.name);
        let value = match variable.kind {
            Kind::Text | Kind::Switch => text.into(),
            Kind::Secret => MASK.into(),
            Kind::Url if text.is_empty() => serde_json::Value::Null,
            Kind::Url => mask_url(text).into(),
            // An unusable number is shown as it stands, so that the person who looks can see it.
            Kind::Whole(..) => whole(variable, text).map_or_else(|_| text.into(), Into::into),
        };
        (variable.name.to_owned(), value)
    });
    serde_json::Value::Object(shown.collect())
}

/// Hides the password of a URL: everything between the user's colon and the last `@` before the path; and of a
/// Unix socket's URL, the `pass` parameter.
fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else { return MASK.to_owned() };
    let (authority, tail) = rest.rsplit_once('@').map_or((None, rest), |(before, after)| (Some(before), after));
    let authority = authority.map_or(String::new(), |before| match before.find(':') {
        Some(colon) => format!("{}:{MASK}@", &before[..colon]),
        None => format!("{before}@"),
    });
    let tail = match tail.split_once('?') {
        Some((path, query)) => {
            let masked: Vec<_> = query
                .split('&')
                .map(|pair| if pair.starts_with("pass=") { format!("pass={MASK}") } else { pair.to_owned() })
                .collect();
            format!("{path}?{}", masked.join("&"))
        }
        None => tail.to_owned(),
    };
    format!("{scheme}:{authority}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_unix_socket_is_an_address() {
        let config = resolve(&values(&[("CC_REDIS_URL", "unix:/run/redis.sock")])).unwrap();
        assert_eq!(config.address, Address::Unix("/run/redis.sock".into()));
    }

    #[test]
    fn no_error_and_no_view_shows_a_password() {
        for url in ["redis://u:hunter2@h:99999", "http://u:hunter2@h", "redis://u:hunter2@", "rediss://u:hunter2@h"] {
            assert!(!failing(&[("CC_REDIS_URL", url)]).to_string().contains("hunter2"));
        }
        for url in
            ["redis://u:hunter2@h:1", "redis://:hunter2@h", "unix:/s?user=u&pass=hunter2", "redis://u:hunter2@x@h"]
        {
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
            let config = match resolve(&set) {
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
            };
            let credentials = config.credentials.as_ref();
            let all = serde_json::json!({
                "host": host, "port": port, "unix": unix,
                "user": credentials.and_then(|c| c.user.as_deref()), "password": credentials.map(|c| &c.password),
                "database": config.database, "timeoutMs": config.timeout_ms, "scanCount": config.scan_count,
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
}
