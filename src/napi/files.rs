//! The files and the system's certificates that TLS is told of.

use crate::config::{Address, Config};
use crate::error::Result;
use crate::redis::trust::{System, Trust};

/// What TLS needs to know, where the configuration asks for TLS.
pub(super) fn trust_of(config: &Config) -> Result<Option<Trust>> {
    // Sentinels and the server that they name are each verified under their own names.
    let host = match (&config.address, &config.sentinels) {
        (Address::Tcp(host, _), _) => host,
        (_, Some(sentinels)) => &sentinels.seeds[0].0,
        _ => return Ok(None),
    };
    config.tls.as_ref().map(|tls| Trust::load(tls, host, |path| std::fs::read(path), system)).transpose()
}

/// The authorities that the system trusts; where `SSL_CERT_FILE` or `SSL_CERT_DIR` name others, these.
fn system() -> System {
    let found = rustls_native_certs::load_native_certs();
    (found.certs, found.errors.iter().map(ToString::to_string).collect())
}
