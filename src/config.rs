//! Configuration: the variables, their bounds and defaults, and what they amount to.
//!
//! Pure: the environment comes in as a map, so that a worker thread's own `process.env` counts and tests need none.

use std::collections::BTreeMap;

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use crate::error::{Code, Error, Result};
use crate::host::{bare, take_scope};
use crate::pem::Pem;

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
    /// The path of a PEM file, or PEM text. Only what is certainly a path is shown.
    Pem,
    /// A connection string of MongoDB, whose password is never shown.
    MongoUrl,
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
    variable("CC_REDIS_TLS_CA", Kind::Pem, ""),
    variable("CC_REDIS_TLS_CERT", Kind::Pem, ""),
    variable("CC_REDIS_TLS_KEY", Kind::Pem, ""),
    variable("CC_REDIS_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_REDIS_SCAN_COUNT", Kind::Whole(1, 100_000), "100"),
    variable("CC_REDIS_SCAN_COUNT_MAX", Kind::Whole(1, 100_000), "1000"),
    variable("CC_REDIS_SPIN_US", Kind::Whole(0, 1_000), "60"),
    variable("CC_REDIS_QUEUE_MAX", Kind::Whole(1, 100_000_000), "1000000"),
    variable("CC_REDIS_QUEUE_MAX_BYTES", Kind::Whole(1_024, 4_294_967_295), "268435456"),
    variable("CC_NEAR_CACHE", Kind::Switch, "on"),
    variable("CC_NEAR_CACHE_MAX_BYTES", Kind::Whole(4_096, 4_294_967_295), "67108864"),
    variable("CC_MONGO_CONNECTION_STRING", Kind::MongoUrl, "mongodb://localhost:27017/backtest-pro?wtimeoutMS=15000"),
    variable("CC_MONGO_TIMEOUT_MS", Kind::Whole(1, 86_400_000), "10000"),
    variable("CC_MONGO_QUEUE_MAX", Kind::Whole(1, 100_000_000), "1000000"),
    variable("CC_MONGO_QUEUE_MAX_BYTES", Kind::Whole(1_024, 4_294_967_295), "268435456"),
    variable("CC_CANDLE_CACHE_MAX_BYTES", Kind::Whole(0, 4_294_967_295), "134217728"),
    variable("CC_CANDLE_ABSENCE_MS", Kind::Whole(0, 1_000), "1000"),
    variable("CC_CANDLE_IDS", Kind::Switch, "off"),
];

/// Variables that JavaScript uses, as [`show`] gives them.
pub const CANDLE_VARIABLES: [&str; 3] = ["CC_CANDLE_CACHE_MAX_BYTES", "CC_CANDLE_ABSENCE_MS", "CC_CANDLE_IDS"];

/// In [`Values`] beside the variables: the defaults are those of `setup()`.
pub const SETUP: &str = "setup";

/// What differs then: the defaults of the package whose `setup()` it replaces, no credentials and a database of its own.
const SETUP_DEFAULTS: [(&str, &str); 3] = [
    ("CC_REDIS_USER", ""),
    ("CC_REDIS_PASSWORD", ""),
    ("CC_MONGO_CONNECTION_STRING", "mongodb://localhost:27017/backtest-kit?wtimeoutMS=15000"),
];

/// Authorities, our certificate, its key.
pub const TLS_VARIABLES: [&str; 3] = ["CC_REDIS_TLS_CA", "CC_REDIS_TLS_CERT", "CC_REDIS_TLS_KEY"];

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host name or IP address, IPv6 without brackets and perhaps with a scope, and port.
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

/// How TLS is spoken. No `Debug`: it may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that sign the server's certificate; `None`: those that this system trusts.
    pub authorities: Option<Pem>,
    /// Our certificate and its key, where the server asks for one.
    pub identity: Option<(Pem, Pem)>,
}

/// Configuration as the engine uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server is.
    pub address: Address,
    /// How TLS is spoken, where it is.
    pub tls: Option<Tls>,
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

/// `INVALID_CONFIG`, naming the variable.
pub fn invalid(name: &str, problem: impl std::fmt::Display) -> Error {
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
        Kind::Pem if text == MASK => Err(invalid(name, "this is the mask that getConfig() shows in place of PEM text")),
        Kind::Text | Kind::Secret | Kind::Pem => Ok(()),
        Kind::Url | Kind::MongoUrl if text.contains(MASK) => {
            Err(invalid(name, "this holds the mask that getConfig() shows in place of the password"))
        }
        Kind::Url | Kind::MongoUrl if text.is_empty() => Ok(()),
        Kind::Url => parse_url(name, text).map(drop),
        Kind::MongoUrl => crate::mongo::config::check(name, text),
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
pub(crate) fn text<'a>(values: &'a Values, name: &str) -> &'a str {
    match values.get(name) {
        Some(text) if !text.is_empty() => text,
        _ => default_of(values, name),
    }
}

fn default_of(values: &Values, name: &str) -> &'static str {
    let setup = SETUP_DEFAULTS.iter().find(|(variable, _)| values.contains_key(SETUP) && *variable == name);
    setup.map_or_else(|| find(name).map_or("", |variable| variable.default), |(_, default)| default)
}

pub(crate) fn number(values: &Values, name: &str) -> Result<u64> {
    whole(find(name)?, text(values, name))
}

pub(crate) fn size(values: &Values, name: &str) -> Result<usize> {
    usize::try_from(number(values, name)?).map_err(|_| invalid(name, "too large for this platform"))
}

/// What a URL says.
struct Target {
    address: Address,
    credentials: Option<Credentials>,
    database: i64,
    tls: bool,
}

fn parse_url(name: &str, text: &str) -> Result<Target> {
    // The parser knows rediss:// only where it brings a TLS of its own; the rest of the URL is the same.
    let (tls, plain) = match text.strip_prefix("rediss:") {
        Some(rest) => (true, format!("redis:{rest}")),
        None => (false, text.to_owned()),
    };
    if tls && text.contains('#') {
        return Err(invalid(name, "nothing may follow a # in a rediss:// URL; certificates are always verified"));
    }
    let (plain, scope) = take_scope(&plain);
    // The parser's own error may quote the URL, password and all; say what is expected instead.
    let info = plain.into_connection_info().map_err(|_| {
        let form = "redis[s]://[user[:password]@]host[:port][/database] or unix:/path/to/socket";
        invalid(name, format!("not a URL of the form {form}"))
    })?;
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            // The parser keeps the brackets of an IPv6 address.
            let host = bare(host);
            Address::Tcp(scope.map_or_else(|| host.to_owned(), |scope| format!("{host}%{scope}")), *port)
        }
        ConnectionAddr::Unix(path) => Address::Unix(path.to_string_lossy().into_owned()),
        _ => return Err(invalid(name, "this kind of address is not supported")),
    };
    let settings = info.redis_settings();
    let credentials = settings.password().map(|password| Credentials {
        user: settings.username().filter(|user| !user.is_empty()).map(str::to_owned),
        password: password.to_owned(),
    });
    Ok(Target { address, credentials, database: settings.db(), tls })
}

/// The variables of TLS. Without a URL that asks for TLS they would be of no effect, which nobody who sets them wants.
fn tls(values: &Values, wanted: bool) -> Result<Option<Tls>> {
    let pem = |name| {
        let text = text(values, name);
        (!text.is_empty()).then(|| Pem::of(text))
    };
    let [authorities, certificate, key] = TLS_VARIABLES.map(pem);
    if !wanted {
        let set = [&authorities, &certificate, &key].into_iter().zip(TLS_VARIABLES).find(|(pem, _)| pem.is_some());
        return set
            .map_or(Ok(None), |(_, name)| Err(invalid(name, "it needs TLS: CC_REDIS_URL must be a rediss:// URL")));
    }
    let [_, certificate_name, key_name] = TLS_VARIABLES;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => return Err(invalid(key_name, format!("{certificate_name} needs its key"))),
        (None, Some(_)) => return Err(invalid(certificate_name, format!("{key_name} needs its certificate"))),
        (None, None) => None,
    };
    Ok(Some(Tls { authorities, identity }))
}

/// Turns variables into configuration, or says which one cannot be used.
pub fn resolve(values: &Values) -> Result<Config> {
    let url = text(values, "CC_REDIS_URL");
    let Target { address, credentials, database, tls: speaks_tls } = if url.is_empty() {
        let port = u16::try_from(number(values, "CC_REDIS_PORT")?);
        let port = port.map_err(|_| invalid("CC_REDIS_PORT", "above 65535"))?;
        let given = |name| Some(text(values, name).to_owned()).filter(|text| !text.is_empty());
        // Without a password there is nothing to say; without a user it is `AUTH password`.
        let credentials =
            given("CC_REDIS_PASSWORD").map(|password| Credentials { user: given("CC_REDIS_USER"), password });
        let address = Address::Tcp(bare(text(values, "CC_REDIS_HOST")).to_owned(), port);
        Target { address, credentials, database: 0, tls: false }
    } else {
        parse_url("CC_REDIS_URL", url)?
    };
    let count = |name| u32::try_from(number(values, name)?).map_err(|_| invalid(name, "too large"));
    let (scan_count, scan_count_max) = (count("CC_REDIS_SCAN_COUNT")?, count("CC_REDIS_SCAN_COUNT_MAX")?);
    Ok(Config {
        address,
        tls: tls(values, speaks_tls)?,
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

/// All variables as `getConfig()` shows them: numbers as numbers, secrets masked, an unset URL or file as null.
#[must_use]
pub fn show(values: &Values) -> serde_json::Value {
    let shown = VARIABLES.iter().map(|variable| {
        let text = text(values, variable.name);
        let value = match variable.kind {
            Kind::Secret if text.is_empty() => "".into(),
            Kind::Secret => MASK.into(),
            Kind::Url | Kind::Pem if text.is_empty() => serde_json::Value::Null,
            Kind::Pem if Pem::of(text).shown().is_none() => MASK.into(),
            Kind::Text | Kind::Switch | Kind::Pem => text.into(),
            Kind::Url | Kind::MongoUrl => mask_url(text).into(),
            // An unusable number is shown as it stands, so that the person who looks can see it.
            Kind::Whole(..) => whole(variable, text).map_or_else(|_| text.into(), Into::into),
        };
        (variable.name.to_owned(), value)
    });
    serde_json::Value::Object(shown.collect())
}

/// Parameters of URLs that are secrets: of a Unix socket's URL, and of MongoDB's connection strings.
const SECRET_PARAMETERS: [&str; 3] = ["pass", "tlsCertificateKeyFilePassword", "authMechanismProperties"];

/// Hides the password of a URL: everything between the user's colon and the last `@` before the path; and secret
/// parameters.
fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else { return MASK.to_owned() };
    // In a Unix socket's URL a parameter may hold an `@`; in others, what stands before one may be a password with a `?`.
    let (rest, query) = match rest.split_once('?') {
        Some((path, query)) if scheme.contains("unix") || !query.contains('@') => (path, Some(query)),
        _ => (rest, None),
    };
    let (authority, tail) = rest.rsplit_once('@').map_or((None, rest), |(before, after)| (Some(before), after));
    let authority = authority.map_or(String::new(), |before| match before.find(':') {
        Some(colon) => format!("{}:{MASK}@", &before[..colon]),
        None => format!("{before}@"),
    });
    let query = match query {
        Some(query) => {
            let masked: Vec<_> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, _)) if SECRET_PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) => {
                        format!("{name}={MASK}")
                    }
                    _ => pair.to_owned(),
                })
                .collect();
            format!("?{}", masked.join("&"))
        }
        None => String::new(),
    };
    format!("{scheme}:{authority}{tail}{query}")
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
