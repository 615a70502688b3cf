//! What TLS needs to know before it connects: whom to trust, who we are, and whom we mean.
//!
//! Files and the system's store are read by functions that are handed in.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::config::{TLS_VARIABLES, Tls, invalid};
use crate::error::Result;
use crate::host::without_scope;
use crate::pem::Pem;

/// What the system trusts: certificates, and why there are none, or not all.
pub type System = (Vec<CertificateDer<'static>>, Vec<String>);

/// What every connection to one server is made with.
#[derive(Clone)]
pub struct Trust {
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Whether the authorities are those of `CC_REDIS_TLS_CA`, not the system's.
    pub own_authorities: bool,
    /// Whether we have a certificate to show.
    pub has_identity: bool,
}

impl Trust {
    /// Reads what the configuration names. The error is `INVALID_CONFIG`, and says of which variable and file.
    pub fn load(
        tls: &Tls,
        host: &str,
        read: impl Fn(&str) -> io::Result<Vec<u8>>,
        system: impl FnOnce() -> System,
    ) -> Result<Self> {
        let [authorities, certificate, key] = TLS_VARIABLES;
        let name = server_name(host)
            .ok_or_else(|| invalid("CC_REDIS_URL", format!("{host:?} is no name that a certificate can be for")))?;
        let roots = match &tls.authorities {
            Some(pem) => named_roots(authorities, pem, &read)?,
            None => system_roots(system())?,
        };
        let builder = builder()?.with_root_certificates(roots);
        let mut client = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some((chain, private)) => {
                let chain = certificates(certificate, chain, &read)?;
                let private = PrivateKeyDer::from_pem_slice(&bytes(key, private, &read)?).map_err(|_| {
                    invalid(key, format!("{} holds no private key as PEM without a password", private.origin()))
                })?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|why| invalid(key, format!("it cannot be used with {certificate}: {why}")))?
            }
        };
        // Each connection looks at the certificates anew; what that costs is paid once in the life of a connection.
        client.resumption = Resumption::disabled();
        let (own_authorities, has_identity) = (tls.authorities.is_some(), tls.identity.is_some());
        Ok(Self { client: Arc::new(client), name, own_authorities, has_identity })
    }

    /// The same for a server of another name.
    pub fn named(&self, host: &str) -> std::result::Result<Self, String> {
        let name = server_name(host).ok_or_else(|| format!("{host:?} is no name that a certificate can be for"))?;
        Ok(Self { name, ..self.clone() })
    }

    /// Whom the server's certificate must be for.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// The state of a new connection.
    pub fn connect(&self) -> std::result::Result<ClientConnection, rustls::Error> {
        ClientConnection::new(Arc::clone(&self.client), self.name.clone())
    }
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(without_scope(host).to_owned()).ok()
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| invalid("CC_REDIS_URL", why))
}

fn system_roots((certificates, problems): System) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        let why = if problems.is_empty() { "none were found".to_owned() } else { problems.join("; ") };
        let [name, ..] = TLS_VARIABLES;
        return Err(invalid(name, format!("this system has no certificates of authorities ({why}); name some here")));
    }
    Ok(roots)
}

fn named_roots(name: &str, pem: &Pem, read: &impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(name, pem, read)? {
        roots
            .add(certificate)
            .map_err(|why| invalid(name, format!("{} holds a certificate that cannot be used: {why}", pem.origin())))?;
    }
    Ok(roots)
}

fn certificates(
    name: &str,
    pem: &Pem,
    read: &impl Fn(&str) -> io::Result<Vec<u8>>,
) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = bytes(name, pem, read)?;
    match CertificateDer::pem_slice_iter(&bytes).collect::<std::result::Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => Err(invalid(name, format!("{} holds no certificate as PEM", pem.origin()))),
        Ok(found) => Ok(found),
        Err(why) => Err(invalid(name, format!("{} cannot be read as PEM: {}", pem.origin(), problem(&why)))),
    }
}

fn bytes(name: &str, pem: &Pem, read: &impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Vec<u8>> {
    match pem {
        Pem::File(path) => read(path).map_err(|why| invalid(name, pem.unreadable(&why))),
        // Files of variables often hold a text in one line. No other backslash can be in it.
        Pem::Text(text) => Ok(text.replace("\\n", "\n").into_bytes()),
    }
}

/// What is wrong with it. Its own words repeat lines of the text, which may be those of a key.
const fn problem(why: &pem::Error) -> &'static str {
    match why {
        pem::Error::MissingSectionEnd { .. } => "a line -----END …----- is missing",
        pem::Error::IllegalSectionStart { .. } => "-----BEGIN …----- must be a line of its own",
        pem::Error::Base64Decode(_) => "what stands between its first and last line is no base64",
        _ => "it is too long, or not text",
    }
}
