//! Where a server is, as URLs say it.

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::variables::invalid;
use crate::error::Result;
use crate::host::{bare, take_scope};
use crate::secrets::Secrets;

/// The port of a sentinel whose URL names none.
const SENTINEL_PORT: u16 = 26_379;
/// The port of a cluster's node whose URL names none.
const NODE_PORT: u16 = 6_379;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host name or IP address, IPv6 without brackets and perhaps with a scope, and port.
    Tcp(String, u16),
    /// Path of a Unix socket.
    Unix(String),
    /// The server that the sentinels name as the master of this name.
    Master(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Master(name) => write!(f, "the master {name}"),
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

/// What a URL says.
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) credentials: Option<Credentials>,
    pub(super) database: i64,
    pub(super) tls: bool,
    /// Sentinels, where the address is the name of a master; nodes, where it is that of one of a cluster.
    pub(super) seeds: Vec<(String, u16)>,
    /// A cluster is meant.
    pub(super) is_cluster: bool,
}

/// Reads a URL; an error names the variable and never quotes it.
pub(super) fn parse_url(name: &str, text: &str) -> Result<Target> {
    for (scheme, tls) in [("redis+sentinel:", false), ("rediss+sentinel:", true)] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return parse_sentinel_url(name, rest, tls);
        }
    }
    for (scheme, tls) in [("redis+cluster:", false), ("rediss+cluster:", true)] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return parse_cluster_url(name, rest, tls);
        }
    }
    // The parser knows rediss:// only where it brings a TLS of its own; the rest of the URL is the same.
    let (tls, plain) = match text.strip_prefix("rediss:") {
        Some(rest) => (true, format!("redis:{rest}")),
        None => (false, text.to_owned()),
    };
    if tls && text.contains('#') {
        return Err(invalid(name, "nothing may follow a # in a rediss:// URL; certificates are always verified"));
    }
    if is_socket(text) && !ConnectionAddr::Unix(PathBuf::new()).is_supported() {
        return Err(invalid(name, "there are no Unix sockets on this system; redis://host:port reaches a server here"));
    }
    let (plain, scope) = take_scope(&plain);
    // The parser's own error may quote the URL, password and all; say what is expected instead.
    let info = plain.into_connection_info().map_err(|_| {
        let form = "redis[s]://[user[:password]@]host[:port][/database]";
        let others = "redis[s]+sentinel://…, redis[s]+cluster://… or unix:/path/to/socket";
        invalid(name, format!("not a URL of the form {form}, {others}"))
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
    Ok(Target { address, credentials, database: settings.db(), tls, seeds: Vec::new(), is_cluster: false })
}

/// Whether a URL names a Unix socket.
fn is_socket(text: &str) -> bool {
    ["unix:", "redis+unix:", "valkey+unix:"].iter().any(|scheme| text.starts_with(scheme))
}

/// The rest of a URL behind `redis+sentinel:` or `rediss+sentinel:`, as a target whose address is the master's name.
fn parse_sentinel_url(name: &str, rest: &str, tls: bool) -> Result<Target> {
    let form = "redis[s]+sentinel://[user:password@]host[:26379][,host[:26379]…]/master[/database]";
    let wrong = || invalid(name, format!("not a URL of the form {form}"));
    let rest = rest.strip_prefix("//").ok_or_else(wrong)?;
    if rest.contains(['?', '#']) {
        return Err(wrong());
    }
    let (before, hosts_and_path) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (hosts, path) = hosts_and_path.split_once('/').ok_or_else(wrong)?;
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if !is_master(master) {
        let what = "behind the sentinels it takes the name of the master: letters, digits and .-_";
        return Err(invalid(name, format!("{what}; {form}")));
    }
    let (first, seeds) = parse_hosts(name, before, hosts, SENTINEL_PORT, database).ok_or_else(wrong)?;
    let Target { credentials, database, .. } = first;
    Ok(Target { address: Address::Master(master.to_owned()), credentials, database, tls, seeds, is_cluster: false })
}

/// The rest of a URL behind `redis+cluster:` or `rediss+cluster:`, as a target whose address is that of the first node.
fn parse_cluster_url(name: &str, rest: &str, tls: bool) -> Result<Target> {
    let form = "redis[s]+cluster://[user:password@]host[:6379][,host[:6379]…]";
    let wrong = || invalid(name, format!("not a URL of the form {form}"));
    let rest = rest.strip_prefix("//").filter(|rest| !rest.contains(['?', '#'])).ok_or_else(wrong)?;
    let (before, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (hosts, database) = hosts.split_once('/').unwrap_or((hosts, ""));
    let (first, seeds) = parse_hosts(name, before, hosts, NODE_PORT, database).ok_or_else(wrong)?;
    if first.database != 0 {
        return Err(invalid(name, "a cluster has one database, 0: leave the number out"));
    }
    Ok(Target { tls, seeds, is_cluster: true, ..first })
}

/// Hosts with their ports, joined with commas: what the URL of the first alone would say, and all of them.
fn parse_hosts(
    name: &str,
    before: &str,
    hosts: &str,
    port: u16,
    database: &str,
) -> Option<(Target, Vec<(String, u16)>)> {
    let user = if before.is_empty() { String::new() } else { format!("{before}@") };
    let mut seeds = Vec::new();
    let mut first = None;
    for host in hosts.split(',') {
        let port = if has_port(host) { String::new() } else { format!(":{port}") };
        // A host, what stands before it and what behind are read as in any other URL.
        let target = parse_url(name, &format!("redis://{user}{host}{port}/{database}")).ok()?;
        let Address::Tcp(host, port) = &target.address else { return None };
        let seed = (host.clone(), *port);
        if seed.0.is_empty() {
            return None;
        }
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
        first.get_or_insert(target);
    }
    Some((first?, seeds))
}

/// What Redis takes as the name of a master.
fn is_master(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, after)| after).contains(':')
}
