//! What the variables amount to on the MongoDB side.

use std::time::Duration;

use mongodb::options::{ConnectionString, HostInfo, ReadPreference};

use super::variables::{Values, invalid, is_on, number, size, text};
use crate::error::{Error, Result};
use crate::secrets::Secrets;

const URI: &str = "CC_MONGO_CONNECTION_STRING";

/// Where the servers are, and how long they are waited for. No `Debug`: the URI may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoConfig {
    /// The connection string.
    pub uri: String,
    /// Deadline of one round trip.
    pub timeout: Duration,
    /// How long a replica set or sharded cluster may have no server that takes commands; 0: no longer than the one above.
    pub failover: Duration,
    /// The hosts, as messages name them.
    pub servers: String,
    /// Bound of waiting calls.
    pub queue_max: usize,
    /// Bound of their bytes.
    pub queue_max_bytes: usize,
    /// What must not be shown of the server's and the driver's words.
    pub secrets: Secrets,
}

/// Turns variables into configuration, or says which one cannot be used.
pub fn resolve(values: &Values) -> Result<MongoConfig> {
    let uri = text(values, URI);
    // JavaScript uses these; here they are only checked.
    for name in ["CC_CANDLE_CACHE_MAX_BYTES", "CC_CANDLE_ABSENCE_MS"] {
        number(values, name)?;
    }
    is_on(values, "CC_CANDLE_IDS")?;
    let parsed = parse(URI, uri)?;
    Ok(MongoConfig {
        servers: servers(&parsed.host_info),
        secrets: secrets_of(uri, &parsed),
        uri: uri.to_owned(),
        timeout: Duration::from_millis(number(values, "CC_MONGO_TIMEOUT_MS")?),
        failover: Duration::from_millis(number(values, "CC_MONGO_FAILOVER_MS")?),
        queue_max: size(values, "CC_MONGO_QUEUE_MAX")?,
        queue_max_bytes: size(values, "CC_MONGO_QUEUE_MAX_BYTES")?,
    })
}

/// A secondary may lack what was written a moment ago. All calls count on finding it: a row that is read after it was written, an
/// id that is held against its row, a candle that is not written anew.
fn reads_its_writes(name: &str, parsed: &ConnectionString) -> Result<()> {
    let preference = match &parsed.read_preference {
        None | Some(ReadPreference::Primary) => return Ok(()),
        Some(ReadPreference::PrimaryPreferred { .. }) => "primaryPreferred",
        Some(ReadPreference::Secondary { .. }) => "secondary",
        Some(ReadPreference::SecondaryPreferred { .. }) => "secondaryPreferred",
        Some(_) => "nearest",
    };
    let why = "would have rows read from servers that may lack what was just written; leave it out, or say primary";
    Err(invalid(name, format!("readPreference={preference} {why}")))
}

/// Whether a connection string can be used.
pub fn check(name: &str, uri: &str) -> Result<()> {
    parse(name, uri).map(drop)
}

fn parse(name: &str, uri: &str) -> Result<ConnectionString> {
    // The parser's own error may quote parts of the URI: what could be a secret of them is masked.
    let parsed = ConnectionString::parse(uri).map_err(|error| {
        let why = Secrets::new(suspects(uri).iter().map(String::as_str)).mask(&error.kind.to_string());
        let form = "not a connection string of the form mongodb://[user:password@]host[:port][/database][?options]";
        invalid(name, format!("{form}: {why}"))
    })?;
    reads_its_writes(name, &parsed)?;
    Ok(parsed)
}

/// The error for a connection string, or what it names, that the driver cannot use.
#[must_use]
pub fn unusable(secrets: &Secrets, why: &str) -> Error {
    invalid(URI, secrets.mask(why))
}

/// Options of a connection string whose value is a secret, or holds some.
const SECRET_OPTIONS: [&str; 4] =
    ["tlscertificatekeyfilepassword", "authmechanismproperties", "proxyusername", "proxypassword"];

/// The secrets of a connection string that can be used.
fn secrets_of(uri: &str, parsed: &ConnectionString) -> Secrets {
    let credential = parsed.credential.as_ref();
    let login = credential.into_iter().flat_map(|credential| [&credential.username, &credential.password]);
    let options = option_secrets(uri);
    Secrets::new(login.flatten().chain(&options).map(String::as_str))
}

/// Values of secret options, as they stand there and as they are meant.
fn option_secrets(uri: &str) -> Vec<String> {
    let options = uri.split_once('?').map_or("", |(_, options)| options).split('&');
    let values = options
        .filter_map(|option| option.split_once('='))
        .filter(|(name, _)| SECRET_OPTIONS.iter().any(|secret| secret.eq_ignore_ascii_case(name)));
    // A list of properties may hold one.
    let parts = values
        .flat_map(|(_, value)| value.split(',').chain([value]))
        .flat_map(|part| part.split_once(':').map(|(_, secret)| secret).into_iter().chain([part]));
    parts.flat_map(|part| [part.to_owned(), decoded(part)]).collect()
}

/// What may be a secret of a connection string that cannot be used, or a piece of one: characters that would have to be encoded
/// make the parser take it apart elsewhere than it was meant.
fn suspects(uri: &str) -> Vec<String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let mut found = option_secrets(uri);
    let login = if let Some((login, _)) = rest.rsplit_once('@') {
        login
    } else {
        // Somebody has forgotten the host: what stands there for a port is none.
        let hosts = rest.split(['/', '?']).next().unwrap_or_default().split(',');
        let mut ports = hosts.filter_map(|host| host.split_once(':').map(|(_, port)| (host, port)));
        ports.find(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit())).map_or("", |(host, _)| host)
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    for word in [user, password] {
        let pieces = word.split(|c: char| c.is_ascii_punctuation() && !matches!(c, '-' | '_' | '.' | '~'));
        found.extend([word].into_iter().chain(pieces).flat_map(|piece| [piece.to_owned(), decoded(piece)]));
    }
    // The parser makes the names of hosts and options small.
    let small: Vec<_> = found.iter().map(|word| word.to_lowercase()).collect();
    found.extend(small);
    found
}

/// What a percent-encoded text stands for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
        assert_eq!((config.timeout, config.failover), (Duration::from_secs(10), Duration::from_secs(20)));
        assert_eq!((config.queue_max, config.queue_max_bytes), (1_000_000, 268_435_456));
    }

    #[test]
    fn reads_go_to_the_primary_alone() {
        assert!(resolved("mongodb://a,b/db?replicaSet=rs0&readPreference=primary").is_ok());
        for other in ["primaryPreferred", "secondary", "secondaryPreferred", "nearest"] {
            let message = refused(&format!("mongodb://a,b/db?readPreference={other}"));
            assert!(message.contains(&format!("readPreference={other}")), "{message}");
        }
    }

    #[test]
    fn servers_are_named_without_credentials() {
        assert_eq!(resolved("mongodb://u:secret@a:1,b:2/db").unwrap().servers, "a:1,b:2");
        assert_eq!(resolved("mongodb+srv://u:secret@cluster.example.com/db").unwrap().servers, "cluster.example.com");
    }

    /// Why a connection string is refused, which must not quote it where it could be a secret.
    fn refused(uri: &str) -> String {
        let Err(error) = resolved(uri) else { panic!("{uri} was accepted") };
        assert_eq!(error.code, Code::InvalidConfig, "{uri}");
        assert!(error.message.starts_with(URI), "{error}");
        error.message
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
    fn what_cannot_be_used_is_refused_without_user_and_password() {
        for uri in [
            "mongodb://trader:secret@h:99999999/db",
            "mongodb://trader:se:cret@h/db",
            "mongodb://trader:12?se=cret@h/db",
            "mongodb://trader:1234?secret@h/db",
            "mongodb://trader:1234?seCRET@h/db",
            "mongodb://trader:se?cret@h/db",
            "mongodb://trader:se/cret@h/db",
            "mongodb://trader:se@cret@h/db",
            "mongodb://trader:se%cret@h/db",
            "mongodb://trader:[secret@h/db",
            "mongodb://trader:secret",
            "mongodb://trader:s,secret@h:x",
            "mongodb://h/?authMechanismProperties=secret",
            "mongodb://h/?proxyPassword=secret",
            "mongodb+srv://trader:secret@h.example.com:1/db",
        ] {
            let shown = refused(uri).to_lowercase();
            assert!(!shown.contains("cret") && !shown.contains("trader"), "{uri}: {shown}");
        }
        // Of what is no secret, it is said what is wrong with it.
        assert!(refused("mongodb://h:99999999/db").contains("the port must be an integer"));
        assert!(refused("mongodb://u:secret@h/?tlsca=x").contains("tlsca is an invalid option"));
        assert!(refused("mongodb://h/?w=-1").contains("option cannot be a negative integer"));
        for uri in ["nonsense", "http://x", "mongodb://"] {
            refused(uri);
        }
    }

    #[test]
    fn secrets_are_those_of_the_login_and_of_options() {
        let config = resolved("mongodb://tr%40der:p%C3%A4ss@h/?authMechanismProperties=A:tok,B:ken");
        let Ok(config) = config else { panic!("it can be used") };
        assert_eq!(
            config.secrets.mask("h tr@der tr%40der päss p%c3%a4ss tok ken"),
            format!("h{}", " ********".repeat(6))
        );
    }
}
