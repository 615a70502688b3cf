//! TLS between a socket and the lane. The socket is handed in with each call, so that tests need none.
//!
//! What the socket does not take is kept here: [`Session::flush`] says whether something is left. Commands may be written
//! before the handshake is through; they wait here, and nothing of them is sent to a server whose certificate is not right.

use std::io::{self, ErrorKind, Read, Write};

use rustls::{AlertDescription as Alert, CertificateError as Certificate, ClientConnection, Error};

use crate::redis::first_words::{Speaks, quote, recognise};
use crate::redis::trust::Trust;

/// What the socket has not taken yet is bounded by so many bytes.
const HELD: usize = 64 * 1024;
/// So many bytes of the server's first words are kept, to say what it speaks if it is not TLS.
const FIRST: usize = 64;

/// Why there can be no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people.
    pub words: String,
    /// Trying again does not mend it.
    pub is_final: bool,
}

/// One connection's TLS.
pub struct Session {
    connection: ClientConnection,
    trust: Trust,
    first: Vec<u8>,
    failure: Option<Failure>,
    more: bool,
    /// A failed write that is yet to be told: it took bytes.
    untold: Option<io::Error>,
}

impl Session {
    /// Begins; nothing is sent before the first write or flush.
    pub fn new(trust: &Trust) -> io::Result<Self> {
        let mut connection = trust.connect().map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(HELD));
        Ok(Self { connection, trust: trust.clone(), first: Vec::new(), failure: None, more: false, untold: None })
    }

    /// Whether the server has said anything.
    #[must_use]
    pub const fn heard(&self) -> bool {
        !self.first.is_empty()
    }

    /// Why the connection failed, if that was TLS's doing.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether the last read left something that has already been taken from the socket.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.more
    }

    /// Reads until `space` is full or the socket empty: `WouldBlock` where there is nothing, 0 where the other side has
    /// closed.
    pub fn read(&mut self, socket: &mut (impl Read + Write), space: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        self.more = false;
        let ended = loop {
            if filled == space.len() {
                self.more = true;
                break Ok(());
            }
            match self.connection.reader().read(&mut space[filled..]) {
                // The other side has said that it ends.
                Ok(0) => break Ok(()),
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It ends without saying so.
                Err(_) => break Ok(()),
            }
            if self.failure.is_some() {
                break Err(ErrorKind::InvalidData.into());
            }
            if let Err(error) = self.receive(socket) {
                break Err(error);
            }
        };
        match ended {
            Err(error) if filled == 0 => Err(error),
            _ => Ok(filled),
        }
    }

    /// Takes one read of the socket's in.
    fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        self.connection.read_tls(&mut Noting { socket: &mut *socket, first: &mut self.first })?;
        let result = self.connection.process_new_packets();
        // Its next words of the handshake, or the alert that says what was wrong. A failed write shows in the next read.
        let _ = self.flush(socket);
        result.map(drop).map_err(|error| {
            self.failure = Some(self.explain(&error));
            ErrorKind::InvalidData.into()
        })
    }

    /// Writes what fits; `WouldBlock` where nothing does.
    ///
    /// Bytes that the session has taken count as written, also where the socket fails: they stand in its records, and whoever
    /// wrote them again would send them twice. The next write or flush tells the failure.
    pub fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.untold.take() {
            return Err(error);
        }
        let count = self.connection.writer().write(bytes)?;
        match self.flush(socket) {
            Err(error) if count == 0 => Err(error),
            _ if count == 0 => Err(ErrorKind::WouldBlock.into()),
            outcome => {
                self.untold = outcome.err();
                Ok(count)
            }
        }
    }

    /// Writes what is left. False: the socket does not take it all.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        if let Some(error) = self.untold.take() {
            return Err(error);
        }
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn explain(&self, error: &Error) -> Failure {
        let certain = |words: String| Failure { words, is_final: true };
        if let Error::InvalidMessage(_) = error {
            match recognise(&self.first) {
                Speaks::Redis => {
                    let quoted = quote(&self.first);
                    return certain(format!(
                        "it speaks plain Redis ({quoted}); CC_REDIS_URL must be redis://, not rediss://"
                    ));
                }
                Speaks::Other => return certain(format!("it does not speak TLS ({})", quote(&self.first))),
                Speaks::Nothing | Speaks::Tls => {}
            }
        }
        match error {
            Error::InvalidCertificate(problem) => {
                certain(format!("the server's certificate {}", self.distrust(problem)))
            }
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::PeerIncompatible(why) => certain(format!("we have no TLS in common with the server ({why:?})")),
            other => Failure { words: other.to_string(), is_final: false },
        }
    }

    fn distrust(&self, problem: &Certificate) -> String {
        let name = self.trust.name();
        match problem {
            Certificate::UnknownIssuer if self.trust.own_authorities => {
                "is not trusted: no authority of CC_REDIS_TLS_CA has signed it".to_owned()
            }
            Certificate::UnknownIssuer => {
                "is not trusted: no authority of this system has signed it (CC_REDIS_TLS_CA names others)".to_owned()
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => "has expired".to_owned(),
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "is not valid yet".to_owned(),
            Certificate::NotValidForName => format!("is not for {name}"),
            Certificate::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!("is not for {name}: it has no subjectAltName")
            }
            Certificate::NotValidForNameContext { presented, .. } => {
                format!("is not for {name}, but for {}", presented.join(", "))
            }
            Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "is that of an authority (CA:TRUE); servers need one that an authority has signed".to_owned()
            }
            other => format!("cannot be verified: {other}"),
        }
    }

    fn alert(&self, alert: Alert) -> Failure {
        let (about_us, has_identity) = (concerns_our_certificate(alert), self.trust.has_identity);
        let asks =
            alert == Alert::CertificateRequired || (about_us || alert == Alert::HandshakeFailure) && !has_identity;
        let words = match alert {
            _ if asks && !has_identity => {
                format!("the server asks for a certificate of ours: CC_REDIS_TLS_CERT and CC_REDIS_TLS_KEY ({alert:?})")
            }
            _ if about_us => format!("the server refuses our certificate, CC_REDIS_TLS_CERT ({alert:?})"),
            Alert::UnrecognisedName => format!("the server does not know the name {} ({alert:?})", self.trust.name()),
            _ => format!("the server refuses ({alert:?})"),
        };
        let is_final = asks
            || about_us
            || matches!(alert, Alert::UnrecognisedName | Alert::ProtocolVersion | Alert::HandshakeFailure);
        Failure { words, is_final }
    }
}

const fn concerns_our_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// Keeps the first bytes that come by.
struct Noting<'a, S> {
    socket: &'a mut S,
    first: &'a mut Vec<u8>,
}

impl<S: Read> Read for Noting<'_, S> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(space)?;
        let wanted = FIRST.saturating_sub(self.first.len()).min(count);
        self.first.extend_from_slice(&space[..wanted]);
        Ok(count)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
