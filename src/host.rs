//! Hosts as people write them: names, addresses, IPv6 in brackets, and IPv6 with a scope, `fe80::1%eth0`: an address that
//! means something on one network interface only.

use std::net::{IpAddr, Ipv6Addr};

/// An address that is written out, so that no resolver is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal<'a> {
    /// The address.
    pub ip: IpAddr,
    /// The name or number of the interface that it is meant on; IPv6 only.
    pub scope: Option<&'a str>,
}

/// The address that a host is, or `None` for a name.
#[must_use]
pub fn literal(host: &str) -> Option<Literal<'_>> {
    match host.split_once('%') {
        None => host.parse().ok().map(|ip| Literal { ip, scope: None }),
        Some((_, "")) => None,
        Some((ip, scope)) => ip.parse().ok().map(|ip: Ipv6Addr| Literal { ip: ip.into(), scope: Some(scope) }),
    }
}

/// A host without the brackets that URLs put around IPv6.
#[must_use]
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// A host as certificates name it: without the scope, which means something on this machine only.
#[must_use]
pub fn without_scope(host: &str) -> &str {
    match host.split_once('%') {
        Some((ip, _)) if literal(host).is_some() => ip,
        _ => host,
    }
}

/// Takes the scope out of a URL's host, because parsers of URLs know none: the URL without it, and the scope. In URLs it is
/// written `[fe80::1%25eth0]` (RFC 6874); a bare `%`, as everywhere else, is understood too.
#[must_use]
pub fn take_scope(url: &str) -> (String, Option<&str>) {
    let found = || {
        let start = url.find("://")? + 3;
        let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
        // What stands before an @ is a user and a password.
        let host = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
        let close = host + url[host..end].find(']').filter(|_| url[host..end].starts_with('['))?;
        let percent = host + url[host..close].find('%')?;
        let written = &url[percent + 1..close];
        let scope = written.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(written);
        (!scope.is_empty()).then(|| (format!("{}{}", &url[..percent], &url[close..]), scope))
    };
    found().map_or_else(|| (url.to_owned(), None), |(url, scope)| (url, Some(scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names_and_keep_their_scope() {
        for (host, ip, scope) in [
            ("127.0.0.1", "127.0.0.1", None),
            ("::1", "::1", None),
            ("fe80::1%eth0", "fe80::1", Some("eth0")),
            ("fe80::1%4", "fe80::1", Some("4")),
            ("fe80::1%br-lan.7", "fe80::1", Some("br-lan.7")),
        ] {
            assert_eq!(literal(host), Some(Literal { ip: ip.parse().unwrap(), scope }), "{host}");
        }
        for name in ["localhost", "redis.internal", "", "fe80::1%", "127.0.0.1%lo", "name%eth0", "[::1]", "::1:x"] {
            assert_eq!(literal(name), None, "{name}");
        }
    }

    #[test]
    fn brackets_go_and_nothing_else_does() {
        for (host, bared) in
            [("[::1]", "::1"), ("[fe80::1%eth0]", "fe80::1%eth0"), ("::1", "::1"), ("[::1", "[::1"), ("a", "a")]
        {
            assert_eq!(bare(host), bared);
        }
    }

    #[test]
    fn certificates_name_no_scope() {
        for (host, named) in [("fe80::1%eth0", "fe80::1"), ("::1", "::1"), ("redis", "redis"), ("re%dis", "re%dis")] {
            assert_eq!(without_scope(host), named);
        }
    }

    #[test]
    fn a_scope_is_taken_out_of_the_host_of_a_url_and_from_nowhere_else() {
        for (url, without, scope) in [
            ("redis://[fe80::1%25eth0]:6379/3", "redis://[fe80::1]:6379/3", Some("eth0")),
            ("rediss://u:p%40%5B@[fe80::1%eth0]", "rediss://u:p%40%5B@[fe80::1]", Some("eth0")),
            ("redis://[fe80::1%4]:1", "redis://[fe80::1]:1", Some("4")),
            // An interface of the number 25, not the escape of a percent sign.
            ("redis://[fe80::1%25]", "redis://[fe80::1]", Some("25")),
            ("redis://[fe80::1%2525]", "redis://[fe80::1]", Some("25")),
        ] {
            assert_eq!(take_scope(url), (without.to_owned(), scope), "{url}");
        }
        for url in [
            "redis://u:p%25@host",
            "redis://u:[p%25]@host",
            "redis://[::1]:6379",
            "redis://[fe80::1%]",
            "redis://host/[a%25b]",
            "unix:/run/[a%25b].sock",
            "redis://[fe80::1%25eth0",
            "",
        ] {
            assert_eq!(take_scope(url), (url.to_owned(), None), "{url}");
        }
    }
}
