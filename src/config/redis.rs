//! What the variables amount to on the Redis side.

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::variables::{Values, invalid, is_on, number, size, text};
use crate::error::Result;
use crate::host::{bare, take_scope};
use crate::pem::Pem;
use crate::secrets::Secrets;

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

/// The user that every server has; its own messages speak of it.
const DEFAULT_USER: &str = "default";

impl Credentials {
    /// What of them must not be shown.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        let user = self.user.as_deref().filter(|user| *user != DEFAULT_USER);
        Secrets::new([self.password.as_str()].into_iter().chain(user))
    }
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

/// What a URL says.
pub(super) struct Target {
    address: Address,
    credentials: Option<Credentials>,
    database: i64,
    tls: bool,
}

/// Reads a URL; an error names the variable and never quotes it.
pub(super) fn parse_url(name: &str, text: &str) -> Result<Target> {
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

/// A name or an address alone. What is refused is not repeated: it may be a URL with a password.
fn host(text: &str) -> Result<&str> {
    let host = bare(text);
    let odd = host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@,?#".contains(c));
    // An address of IPv6 has two colons at least.
    if odd || host.is_empty() || host.matches(':').count() == 1 {
        let what = "it takes a name or an address alone: a port goes into CC_REDIS_PORT, a URL into CC_REDIS_URL";
        return Err(invalid("CC_REDIS_HOST", what));
    }
    Ok(host)
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
        let address = Address::Tcp(host(text(values, "CC_REDIS_HOST"))?.to_owned(), port);
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
        near_max_bytes: is_on(values, "CC_NEAR_CACHE")?.then_some(number(values, "CC_NEAR_CACHE_MAX_BYTES")?),
    })
}
