//! Configuration of the MongoDB side.

use std::time::Duration;

use mongodb::options::{ConnectionString, HostInfo};

use crate::config::{CANDLE_VARIABLES, Values, invalid, number, size, text};
use crate::error::{Error, Result};

const URI: &str = "CC_MONGO_CONNECTION_STRING";

/// Where the servers are, and how long they are waited for. No `Debug`: the URI may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoConfig {
    /// The connection string.
    pub uri: String,
    /// Deadline of one round trip.
    pub timeout: Duration,
    /// The hosts, as messages name them.
    pub servers: String,
    /// Bound of waiting calls.
    pub queue_max: usize,
    /// Bound of their bytes.
    pub queue_max_bytes: usize,
}

/// Turns variables into configuration, or says which one cannot be used.
pub fn resolve(values: &Values) -> Result<MongoConfig> {
    let uri = text(values, URI);
    for name in CANDLE_VARIABLES {
        crate::config::check(name, text(values, name))?;
    }
    Ok(MongoConfig {
        servers: servers(&parse(URI, uri)?.host_info),
        uri: uri.to_owned(),
        timeout: Duration::from_millis(number(values, "CC_MONGO_TIMEOUT_MS")?),
        queue_max: size(values, "CC_MONGO_QUEUE_MAX")?,
        queue_max_bytes: size(values, "CC_MONGO_QUEUE_MAX_BYTES")?,
    })
}

/// Whether a connection string can be used.
pub fn check(name: &str, uri: &str) -> Result<()> {
    parse(name, uri).map(drop)
}

fn parse(name: &str, uri: &str) -> Result<ConnectionString> {
    // The parser's own error may quote parts of the URI, so only what does not is passed on.
    ConnectionString::parse(uri).map_err(|error| {
        let why = error.kind.to_string();
        let why = if quotes_secret(uri, &why) { "" } else { &why };
        let form = "not a connection string of the form mongodb://[user:password@]host[:port][/database][?options]";
        if why.is_empty() { invalid(name, form) } else { invalid(name, format!("{form}: {why}")) }
    })
}

/// The error for a connection string, or what it names, that the driver cannot use. The reason is left out where it might
/// quote a password.
#[must_use]
pub fn unusable(uri: &str, why: &str) -> Error {
    let why = if quotes_secret(uri, why) { "the driver cannot use it" } else { why };
    invalid(URI, why)
}

/// Whether a text quotes the password of a URI.
fn quotes_secret(uri: &str, text: &str) -> bool {
    let secret = uri.rsplit_once('@').and_then(|(user, _)| user.rsplit_once(':')).map(|(_, secret)| secret);
    secret.is_some_and(|secret| !secret.is_empty() && text.contains(secret))
}

fn servers(hosts: &HostInfo) -> String {
    match hosts {
        HostInfo::HostIdentifiers(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        HostInfo::DnsRecord(name) => name.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn resolved(uri: &str) -> Result<MongoConfig> {
        resolve(&Values::from([(URI.to_owned(), uri.to_owned())]))
    }

    #[test]
    fn the_default_is_that_of_the_original() {
        let config = resolve(&Values::new()).unwrap();
        assert_eq!(config.servers, "localhost:27017");
        assert_eq!(config.timeout, Duration::from_secs(10));
        assert_eq!((config.queue_max, config.queue_max_bytes), (1_000_000, 268_435_456));
    }

    #[test]
    fn servers_are_named_without_credentials() {
        assert_eq!(resolved("mongodb://u:secret@a:1,b:2/db").unwrap().servers, "a:1,b:2");
        assert_eq!(resolved("mongodb+srv://u:secret@cluster.example.com/db").unwrap().servers, "cluster.example.com");
    }

    #[test]
    fn a_variable_of_the_candles_that_cannot_be_used_is_refused_by_its_name() {
        for (name, text) in [
            ("CC_CANDLE_CACHE_MAX_BYTES", "a lot"),
            ("CC_CANDLE_ABSENCE_MS", "1001"),
            ("CC_CANDLE_ABSENCE_MS", "-1"),
            ("CC_CANDLE_IDS", "yes"),
        ] {
            let Err(error) = resolve(&Values::from([(name.to_owned(), text.to_owned())])) else {
                panic!("{name}={text} was accepted")
            };
            assert_eq!(error.code, Code::InvalidConfig);
            assert!(error.message.starts_with(name), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_a_password() {
        for uri in [
            "nonsense",
            "http://x",
            "mongodb://",
            "mongodb://u:secret@h:99999999/db",
            "mongodb://u:se:cret@h/db",
            "mongodb://h/?w=-1",
        ] {
            let Err(error) = resolved(uri) else { panic!("{uri} was accepted") };
            assert_eq!(error.code, Code::InvalidConfig, "{uri}");
            assert!(error.message.starts_with(URI) && !error.message.contains("cret"), "{error}");
        }
    }
}
