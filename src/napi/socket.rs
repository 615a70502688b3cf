//! A non-blocking stream, plain or with TLS. It connects, reads and writes without ever waiting; waiting is the event
//! loop's.

use std::ffi::CString;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::os::{self, Descriptor, IN_PROGRESS};
use crate::host::Literal;
use crate::redis::tls::{Failure, Session};
use crate::redis::trust::Trust;

/// Where to connect to, with names resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// An IP address and port, and the interface where it matters.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

impl Endpoint {
    /// An address and port. The error says that there is no such interface now.
    pub(super) fn at(Literal { ip, scope }: Literal<'_>, port: u16) -> Result<Self, String> {
        let address = match (ip, scope) {
            (IpAddr::V6(ip), Some(scope)) => {
                let id = interface(scope).ok_or_else(|| format!("there is no network interface {scope:?}"))?;
                SocketAddrV6::new(ip, port, 0, id).into()
            }
            _ => SocketAddr::new(ip, port),
        };
        Ok(Self::Tcp(address))
    }
}

/// The number of a network interface, of which its name or number is given.
fn interface(scope: &str) -> Option<u32> {
    if let Ok(number) = scope.parse() {
        return Some(number);
    }
    let name = CString::new(scope).ok()?;
    let number = os::interface(&name);
    (number > 0).then_some(number)
}

/// A stream that is connecting or connected.
pub(super) struct Stream {
    socket: Socket,
    tls: Option<Box<Session>>,
}

impl Stream {
    /// Begins to connect. Whether that worked shows when the socket becomes writable.
    /// With `trust` it speaks TLS.
    pub(super) fn connect(endpoint: &Endpoint, trust: Option<&Trust>) -> io::Result<Self> {
        let (domain, protocol, address) = match endpoint {
            Endpoint::Tcp(address) => (Domain::for_address(*address), Some(Protocol::TCP), SockAddr::from(*address)),
            Endpoint::Unix(path) => (Domain::UNIX, None, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, protocol)?;
        socket.set_nonblocking(true)?;
        if protocol.is_some() {
            // Commands are written in batches already; waiting for more to fill a packet only adds latency.
            socket.set_tcp_nodelay(true)?;
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(10)))?;
            // A machine that is gone is given up by the system in the end. Not sooner: a server that reads nothing because it
            // is busy or stopped looks the same once its buffers are full, and it is waited for.
            os::give_up_after(&socket, Duration::from_secs(60))?;
        }
        match socket.connect(&address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) => return Err(error),
        }
        let tls = trust.map(Session::new).transpose()?.map(Box::new);
        Ok(Self { socket, tls })
    }

    /// For the event loop.
    pub(super) fn descriptor(&self) -> Descriptor {
        os::descriptor(&self.socket)
    }

    /// How connecting ended, once the socket is writable.
    pub(super) fn connected(&self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Our end, as the server lists it: `ip:port`; nothing for a Unix socket, whose clients have no addresses.
    pub(super) fn local_address(&self) -> Option<String> {
        self.socket.local_addr().ok()?.as_socket().map(|address| address.to_string())
    }

    /// Reads what is there; `WouldBlock` where there is nothing, 0 where the other side has closed.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Patient(&mut self.socket).read(space),
            Some(tls) => tls.read(&mut Patient(&mut self.socket), space),
        }
    }

    /// Writes what fits; `WouldBlock` where nothing does. What it says it has taken must not be written again, whatever comes
    /// after.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Patient(&mut self.socket).write(bytes),
            Some(tls) => tls.write(&mut Patient(&mut self.socket), bytes),
        }
    }

    /// Whether something that was written waits for the socket to take it. The error is that of a write, this one or the one
    /// before.
    pub(super) fn is_held_up(&mut self) -> io::Result<bool> {
        self.tls.as_mut().map_or(Ok(false), |tls| tls.flush(&mut Patient(&mut self.socket)).map(|whole| !whole))
    }

    /// Whether the last read left something that the event loop will not tell of.
    pub(super) fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_more())
    }

    /// What TLS has to say of a failed read.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.tls.as_ref()?.failure()
    }

    /// Whether the server has not answered TLS's greeting.
    pub(super) fn is_mute(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.heard())
    }
}

/// A signal in the middle of a call is no failure.
struct Patient<'a>(&'a mut Socket);

impl Read for Patient<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        retry(|| self.0.read(space))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| self.0.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| self.0.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The name of a failure as Node programs know it: `ECONNREFUSED`, or the system's own words.
pub(super) fn name(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let name = match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::NotFound => "ENOENT",
        Kind::PermissionDenied => "EACCES",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::BrokenPipe => "EPIPE",
        _ => return error.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::host::literal;

    #[test]
    fn a_scope_is_an_interface_of_this_machine_by_name_or_number() {
        let lo = if cfg!(target_os = "linux") { "lo" } else { "lo0" };
        let at = |host: &str| Endpoint::at(literal(host).unwrap(), 1);
        let by_name = at(&format!("fe80::1%{lo}")).unwrap();
        let Endpoint::Tcp(SocketAddr::V6(address)) = by_name else { panic!("an IPv6 address") };
        assert!(address.scope_id() > 0);
        assert_eq!(at(&format!("fe80::1%{}", address.scope_id())).unwrap(), by_name);
        assert_eq!(at("fe80::1%nowhere").unwrap_err(), "there is no network interface \"nowhere\"");
    }

    #[test]
    fn it_connects_reads_and_writes_without_waiting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut stream = Stream::connect(&Endpoint::Tcp(listener.local_addr().unwrap()), None).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.connected().unwrap();
        let mut space = [0; 8];
        assert_eq!(stream.read(&mut space).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(stream.write(b"ping").unwrap(), 4);
        peer.read_exact(&mut space[..4]).unwrap();
        peer.write_all(b"pong").unwrap();
        drop(peer);
        let mut read = 0;
        while read < 4 {
            read += stream.read(&mut space[read..]).unwrap_or(0);
        }
        assert_eq!(&space[..4], b"pong");
    }

    #[test]
    fn an_endpoint_reads_as_people_write_it() {
        assert_eq!(Endpoint::at(literal("::1").unwrap(), 1).unwrap().to_string(), "[::1]:1");
        assert_eq!(Endpoint::Unix("/run/r.sock".into()).to_string(), "/run/r.sock");
    }
}
