//! Sessions whose server is a list of reads. Whole conversations are held with real servers, in `__test__/tls.spec.js`.

use std::collections::VecDeque;

use super::*;
use crate::config::Tls;
use crate::pem::Pem;

/// An authority that signed nothing.
const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUOBj0moZY2hYeqHpstThwxzmTSEIwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzA0NTgyMFoYDzIxMjYxMDMwMDQ1
ODIwWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATX9KtByWkszmZloCa8kELUbZHEEZS3RuxapgLaXS3aTvPcFuPlqCGJqGVlwv39
axcF9HKmO5BnGC9h0yoy1BMao1MwUTAdBgNVHQ4EFgQUTM8x5GxbWrlRLvawcStR
CWAM8XIwHwYDVR0jBBgwFoAUTM8x5GxbWrlRLvawcStRCWAM8XIwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiB4+zM1JZ8JB0HhHq69k0fX5EXpuP1B
zAH5IJgdURPy9wIgBvtfTAK0Oimq0halsnLqH6cjDHPEEflnVNwAgy7B4AU=
-----END CERTIFICATE-----
";

/// Reads come from a list; an empty list would block. At most `room` bytes are taken; as long as there is a `failure`, none.
struct Socket {
    reads: VecDeque<Vec<u8>>,
    written: Vec<u8>,
    room: usize,
    failure: Option<ErrorKind>,
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(mut next) = self.reads.pop_front() else { return Err(ErrorKind::WouldBlock.into()) };
        let rest = next.split_off(next.len().min(space.len()));
        space[..next.len()].copy_from_slice(&next);
        if !rest.is_empty() {
            self.reads.push_front(rest);
        }
        Ok(next.len())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= count;
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn socket(reads: &[&[u8]]) -> Socket {
    Socket {
        reads: reads.iter().map(|bytes| bytes.to_vec()).collect(),
        written: Vec::new(),
        room: usize::MAX,
        failure: None,
    }
}

fn session() -> Session {
    let tls = Tls { authorities: Some(Pem::Text(AUTHORITY.to_owned())), identity: None };
    let unread = |_: &str| unreachable!("it is text");
    Session::new(&Trust::load(&tls, "localhost", unread, || unreachable!("one is named")).unwrap()).unwrap()
}

/// What comes of a server's first words.
fn failure(first: &[u8]) -> Failure {
    let mut session = session();
    let mut socket = socket(&[first]);
    session.flush(&mut socket).unwrap();
    assert!(session.read(&mut socket, &mut [0; 100]).is_err());
    let failure = session.failure().unwrap().clone();
    assert!(session.read(&mut socket, &mut [0; 100]).is_err(), "it stays so");
    failure
}

fn alert(code: u8) -> Failure {
    failure(&[0x15, 3, 3, 0, 2, 2, code])
}

#[test]
fn commands_wait_until_the_server_is_trusted() {
    let mut session = session();
    let mut socket = socket(&[]);
    assert_eq!(session.write(&mut socket, b"AUTH secret").unwrap(), 11);
    assert_eq!(socket.written[..3], [0x16, 3, 1]);
    assert!(!socket.written.windows(6).any(|bytes| bytes == b"secret"));
    let greeting = socket.written.len();
    let many = vec![b'x'; 3 * HELD];
    let accepted = session.write(&mut socket, &many).unwrap();
    assert!(accepted <= HELD, "{accepted}");
    assert_eq!(session.write(&mut socket, &many).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(socket.written.len(), greeting);
    assert_eq!(session.read(&mut socket, &mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!session.heard());
}

#[test]
fn what_the_socket_does_not_take_is_written_later() {
    let mut session = session();
    let mut socket = socket(&[]);
    socket.room = 10;
    assert!(!session.flush(&mut socket).unwrap());
    socket.room = usize::MAX;
    assert!(session.flush(&mut socket).unwrap());
    let length = usize::from(u16::from_be_bytes([socket.written[3], socket.written[4]]));
    assert_eq!(socket.written.len(), 5 + length, "one whole record");
}

#[test]
fn bytes_that_were_taken_are_written_although_the_socket_failed() {
    let mut session = session();
    let mut socket = socket(&[]);
    socket.failure = Some(ErrorKind::ConnectionReset);
    assert_eq!(
        session.write(&mut socket, b"SET k v").unwrap(),
        7,
        "they stand in the session: nobody may write them again"
    );
    let failure = Some(ErrorKind::ConnectionReset);
    assert_eq!(
        session.write(&mut socket, b"GET k").err().map(|error| error.kind()),
        failure,
        "and then it is told, once"
    );
    assert_eq!(session.write(&mut socket, b"GET k").unwrap(), 5);
    assert_eq!(session.flush(&mut socket).err().map(|error| error.kind()), failure);
    socket.failure = None;
    assert!(session.flush(&mut socket).unwrap());
    // Where the session takes nothing more, the failure itself is the answer.
    session.write(&mut socket, &vec![b'x'; HELD]).unwrap();
    socket.failure = failure;
    assert_eq!(session.write(&mut socket, b"x").err().map(|error| error.kind()), Some(ErrorKind::WouldBlock));
}

#[test]
fn a_server_that_ends_is_read_as_the_end() {
    let mut session = session();
    assert_eq!(session.read(&mut socket(&[b""]), &mut [0; 100]).unwrap(), 0);
    assert!(session.failure().is_none());
}

#[test]
fn what_is_no_tls_is_quoted() {
    let refused = failure(b"-ERR unknown command\r\n");
    assert!(refused.is_final && refused.words.contains("plain Redis (\"-ERR unknown command\")"), "{refused:?}");
    let refused = failure(b"HTTP/1.1 400 Bad Request\r\n");
    assert!(refused.is_final && refused.words.contains("does not speak TLS (\"HTTP/1.1 400"), "{refused:?}");
}

#[test]
fn alerts_are_told_by_what_mends_them() {
    for (code, part) in [
        (116, "asks for a certificate of ours"),
        (40, "asks for a certificate of ours"),
        (42, "asks for a certificate of ours"),
        (112, "does not know the name localhost"),
        (70, "the server refuses (ProtocolVersion)"),
    ] {
        let refused = alert(code);
        assert!(refused.is_final && refused.words.contains(part), "{refused:?}");
    }
    // An internal error may be over in a moment.
    assert!(!alert(80).is_final);
}
