//! The files and the system's certificates that TLS is told of.

use crate::config::{Address, Config};
use crate::error::Result;
use crate::redis::trust::{System, Trust};

/// What TLS needs to know, where the configuration asks for TLS.
pub(super) fn trust_of(config: &Config) -> Result<Option<Trust>> {
    match (&config.tls, &config.address) {
        (Some(tls), Address::Tcp(host, _)) => Trust::load(tls, host, |path| std::fs::read(path), system).map(Some),
        _ => Ok(None),
    }
}

/// The authorities that the system trusts; where `SSL_CERT_FILE` or `SSL_CERT_DIR` name others, these.
fn system() -> System {
    let found = rustls_native_certs::load_native_certs();
    (found.certs, found.errors.iter().map(ToString::to_string).collect())
}
