//! What the variables amount to on the Redis side.

use super::cluster::ClusterConfig;
use super::sentinel::{self, SentinelConfig};
use super::url::{Address, Credentials, Target, parse_url};
use super::variables::{Values, invalid, is_on, number, size, text};
use crate::error::Result;
use crate::host::bare;
use crate::pem::Pem;

/// Authorities, our certificate, its key.
pub const TLS_VARIABLES: [&str; 3] = ["CC_REDIS_TLS_CA", "CC_REDIS_TLS_CERT", "CC_REDIS_TLS_KEY"];

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
    /// Whom to ask for it, where sentinels know.
    pub sentinels: Option<SentinelConfig>,
    /// Whom to ask for the nodes, where a cluster is meant; the address is that of the first.
    pub cluster: Option<ClusterConfig>,
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
    let Target { address, credentials, database, tls: speaks_tls, seeds, is_cluster } = if url.is_empty() {
        let port = u16::try_from(number(values, "CC_REDIS_PORT")?);
        let port = port.map_err(|_| invalid("CC_REDIS_PORT", "above 65535"))?;
        let given = |name| Some(text(values, name).to_owned()).filter(|text| !text.is_empty());
        // Without a password there is nothing to say; without a user it is `AUTH password`.
        let credentials =
            given("CC_REDIS_PASSWORD").map(|password| Credentials { user: given("CC_REDIS_USER"), password });
        let address = Address::Tcp(host(text(values, "CC_REDIS_HOST"))?.to_owned(), port);
        Target { address, credentials, database: 0, tls: false, seeds: Vec::new(), is_cluster: false }
    } else {
        parse_url("CC_REDIS_URL", url)?
    };
    let count = |name| u32::try_from(number(values, name)?).map_err(|_| invalid(name, "too large"));
    let (scan_count, scan_count_max) = (count("CC_REDIS_SCAN_COUNT")?, count("CC_REDIS_SCAN_COUNT_MAX")?);
    Ok(Config {
        cluster: is_cluster.then(|| ClusterConfig { seeds: seeds.clone() }),
        sentinels: sentinel::resolve(values, &address, seeds)?,
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
