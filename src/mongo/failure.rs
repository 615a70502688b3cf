//! Errors of the driver as ours: a code, a text that begins with the server's own words, and what the server said.

use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::{Error as DriverError, ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};

use crate::error::{Class, Code, Error};
use crate::secrets::Secrets;

/// What the driver's work comes to.
pub type Outcome<T> = Result<T, Failure>;

/// What the server said of a failure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// Its number.
    pub code: i32,
    /// Its name.
    pub name: String,
    /// The fields of the index that refused a duplicate.
    pub key_pattern: Option<RawDocumentBuf>,
    /// The values that were there already.
    pub key_value: Option<RawDocumentBuf>,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What JavaScript sees.
    pub error: Error,
    /// Becomes properties of the error's cause.
    pub server: Option<Box<Server>>,
    /// The connection failed, or another server is primary now: it may be tried again.
    pub transient: bool,
    /// The server may have got it.
    pub sent: bool,
    /// No server was there for it, or none was heard of while it waited for its answer; another one may take over.
    pub silent: bool,
    /// Which server it was about, where one was chosen.
    pub node: Option<Box<str>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, server: None, transient: false, sent: false, silent: false, node: None }
    }
}

impl From<mongodb::bson::error::Error> for Failure {
    fn from(error: mongodb::bson::error::Error) -> Self {
        Error::new(Code::MongoReply, format!("the server's answer cannot be read: {error}")).into()
    }
}

/// A document within another.
fn inner(document: &RawDocument, name: &str) -> Option<RawDocumentBuf> {
    match document.get(name) {
        Ok(Some(RawBsonRef::Document(inner))) => Some(inner.to_owned()),
        _ => None,
    }
}

fn text<'a>(document: &'a RawDocument, name: &str) -> &'a str {
    document.get_str(name).unwrap_or_default()
}

impl Failure {
    /// What a reply, or one of its write errors, says.
    #[must_use]
    pub fn from_server(reply: &RawDocument) -> Self {
        let server = Server {
            code: crate::mongo::conflict::code_of(reply),
            name: text(reply, "codeName").to_owned(),
            key_pattern: inner(reply, "keyPattern"),
            key_value: inner(reply, "keyValue"),
        };
        let error = Error::new(Code::MongoWrite, text(reply, "errmsg"));
        Self { error, server: Some(Box::new(server)), transient: false, sent: true, silent: false, node: None }
    }

    /// The same failure of a write of which nobody can tell whether it was carried out, or will be.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        let why = std::mem::take(&mut self.error.message);
        let cause = self.error.cause.take().unwrap_or_else(|| why.clone());
        self.error = Error::new(Code::MongoUnknown, format!("outcome unknown: it may be written, now or later: {why}"));
        self.error.cause = Some(cause);
        self
    }

    /// The same failure of something that came before a write, which was not sent then.
    #[must_use]
    pub fn unsent(self) -> Self {
        Self { sent: false, ..self }
    }

    /// Whether the server may have carried out a write that failed so.
    #[must_use]
    pub fn doubtful(&self) -> bool {
        self.sent && !REFUSING.contains(&self.server_code())
    }

    /// Whether the server that holds the rows has not answered: nobody has, or a router that has lost it.
    #[must_use]
    pub fn unanswered(&self) -> bool {
        self.sent && (self.server.is_none() || LOST_BY_ROUTER.contains(&self.server_code()))
    }

    /// The same failure with another error.
    #[must_use]
    pub fn with(self, error: Error) -> Self {
        Self { error, ..self }
    }

    /// Adds what was attempted to the text.
    #[must_use]
    pub fn attempted(mut self, what: &str) -> Self {
        if matches!(
            self.error.code,
            Code::MongoUnavailable | Code::MongoTimeout | Code::MongoWrite | Code::MongoUnknown | Code::MongoReply
        ) {
            self.error.message = format!("{} ({what})", self.error.message);
        }
        self
    }

    /// Where it happened: on one of `servers`.
    #[must_use]
    pub fn place(&self, servers: &str) -> String {
        match &self.node {
            Some(node) if **node != *servers => format!("{node} of {servers}"),
            _ => servers.to_owned(),
        }
    }

    /// The same with words that may be shown.
    #[must_use]
    pub fn without(mut self, secrets: &Secrets) -> Self {
        self.error.message = secrets.mask(&self.error.message);
        self.error.cause = self.error.cause.map(|cause| secrets.mask(&cause));
        self
    }

    /// The server's code, 0 where it did not answer.
    #[must_use]
    pub fn server_code(&self) -> i32 {
        self.server.as_ref().map_or(0, |server| server.code)
    }

    /// As it crosses the boundary.
    #[must_use]
    pub fn to_document(&self) -> RawDocumentBuf {
        let class = match self.error.code.class() {
            Class::Error => "Error",
            Class::TypeError => "TypeError",
            Class::RangeError => "RangeError",
        };
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("code"), self.error.code.as_str());
        document.append(cstr!("class"), class);
        document.append(cstr!("message"), self.error.message.as_str());
        if let Some(cause) = &self.error.cause {
            document.append(cstr!("cause"), cause.as_str());
        }
        if let Some(server) = &self.server {
            let mut said = RawDocumentBuf::new();
            said.append(cstr!("code"), server.code);
            if !server.name.is_empty() {
                said.append(cstr!("codeName"), server.name.as_str());
            }
            if let Some(pattern) = &server.key_pattern {
                said.append(cstr!("keyPattern"), pattern.clone());
            }
            if let Some(value) = &server.key_value {
                said.append(cstr!("keyValue"), value.clone());
            }
            document.append(cstr!("server"), said);
        }
        document
    }
}

impl From<DriverError> for Failure {
    fn from(driver: DriverError) -> Self {
        let transient = driver.contains_label("RetryableWriteError")
            || matches!(*driver.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
            || matches!(&*driver.kind, ErrorKind::Command(command)
                if NOT_PRIMARY.contains(&command.code) || NO_SHARD.contains(&command.code));
        if let Some(reply) =
            driver.server_response().filter(|_| matches!(*driver.kind, ErrorKind::Command(_) | ErrorKind::Write(_)))
        {
            let mut failure = Self::from_server(reply);
            failure.transient = transient;
            if failure.error.message.is_empty() {
                failure.error.message = words(&driver);
            }
            if AUTHENTICATION.contains(&failure.server_code()) {
                failure.error.code = Code::MongoUnavailable;
            }
            return failure;
        }
        let (code, message, cause) = match &*driver.kind {
            ErrorKind::ServerSelection { message, .. } => {
                let (what, topology) = message.split_once(" Topology: ").unwrap_or((message, ""));
                let (what, why) = (what.trim_end_matches('.'), reasons(topology));
                let said = why.as_ref().map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"));
                (Code::MongoUnavailable, said, why)
            }
            ErrorKind::DnsResolve { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::Authentication { .. }
            | ErrorKind::InvalidTlsConfig { .. } => (Code::MongoUnavailable, words(&driver), None),
            ErrorKind::Io(io) => (Code::MongoUnavailable, format!("the connection failed: {io}"), Some(io.to_string())),
            ErrorKind::Shutdown => (Code::Closed, "close() ended the connection".to_owned(), None),
            ErrorKind::InvalidArgument { .. } | ErrorKind::BsonSerialization(_) => {
                (Code::InvalidValue, words(&driver), None)
            }
            _ => (Code::MongoReply, words(&driver), None),
        };
        let mut error = Error::new(code, message);
        error.cause = cause;
        let silent = matches!(&*driver.kind, ErrorKind::ServerSelection { .. });
        Self { error, server: None, transient, sent: false, silent, node: None }
    }
}

/// Codes of servers that are not, or no longer, primary, or that are going down.
const NOT_PRIMARY: [i32; 8] = [10_107, 13_435, 11_600, 11_602, 10_058, 189, 91, 13_436];
/// Those of them that say so before they do anything.
const REFUSING: [i32; 3] = [10_107, 13_435, 10_058];
/// Codes of routers that do not reach the primary of a shard.
const NO_SHARD: [i32; 5] = [6, 7, 89, 133, 9_001];
/// Those of them that come after the command has gone on.
const LOST_BY_ROUTER: [i32; 4] = [6, 7, 89, 9_001];
/// Codes of refused credentials and missing rights to connect.
const AUTHENTICATION: [i32; 2] = [18, 8_000];

/// The driver's words, without its frame around the server's.
fn words(error: &DriverError) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => command.message.clone(),
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.message.clone(),
        kind => kind.to_string(),
    }
}

/// Why the servers of a topology cannot be reached, each that says so, with its address.
fn reasons(topology: &str) -> Option<String> {
    let of_server = |server: &str| {
        let (address, rest) = server.split_once(',')?;
        let (_, words) = rest.split_once("Error: Kind: ")?;
        let words = words.split_once(", labels:").map_or(words, |(words, _)| words);
        let words = words.strip_prefix("I/O error: ").unwrap_or(words);
        let name = NAMES.iter().find(|(beginning, _)| words.starts_with(beginning));
        Some(name.map_or_else(|| format!("{address}: {words}"), |(_, name)| format!("connect {name} {address}")))
    };
    let all: Vec<_> = topology.split("Address: ").skip(1).filter_map(of_server).collect();
    Some(all.join("; ")).filter(|all| !all.is_empty())
}

/// No server took a command while it could have been sent. `topology` are the driver's words for all of them.
#[must_use]
pub fn no_primary(topology: &str) -> Failure {
    let why = reasons(topology);
    let said = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let mut error = Error::new(Code::MongoUnavailable, format!("no server takes commands{said}"));
    error.cause = why;
    Failure { silent: true, ..error.into() }
}

/// The system's words for failures to connect, and their names as Node programs know them.
const NAMES: [(&str, &str); 4] = [
    ("Connection refused", "ECONNREFUSED"),
    ("Connection reset", "ECONNRESET"),
    ("No route to host", "EHOSTUNREACH"),
    ("Network is unreachable", "ENETUNREACH"),
];

/// A reply, unless it says that a write is not as safe as it was to be.
pub fn checked(reply: Document) -> Outcome<Document> {
    match reply.get_document("writeConcernError") {
        Ok(problem) => {
            let labels = reply.get_array("errorLabels").map(Vec::as_slice).unwrap_or_default();
            let transient = labels.iter().any(|label| label.as_str() == Some(RETRYABLE_WRITE_ERROR));
            Err(Failure { transient, ..Failure::from_server(&RawDocumentBuf::try_from(problem)?) })
        }
        Err(_) => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;

    #[test]
    fn a_duplicate_key_keeps_what_the_server_said() {
        let reply = rawdoc! {
            "errmsg": "E11000 duplicate key", "code": 11_000, "codeName": "DuplicateKey",
            "keyPattern": { "a": 1 }, "keyValue": { "a": "x" }
        };
        let failure = Failure::from_server(&reply).attempted("upsert on signal-items");
        assert_eq!(failure.error.message, "E11000 duplicate key (upsert on signal-items)");
        let document = failure.to_document();
        assert_eq!(document.get_str("code").ok(), Some("MONGO_WRITE"));
        let server = document.get_document("server").unwrap();
        assert_eq!(server.get_document("keyValue").unwrap().get_str("a").ok(), Some("x"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let failure = Failure::from(Error::new(Code::MongoUnavailable, "no user trader").because("bad s3cr3t%21"));
        let shown = failure.without(&Secrets::new(["trader", "s3cr3t!"])).error;
        assert_eq!((&*shown.message, shown.cause.as_deref()), ("no user ********", Some("bad ********")));
    }

    #[test]
    fn unreachable_servers_are_named_with_their_reasons() {
        let server = |address: &str, why: &str| format!("{{ Address: {address}, Type: Unknown{why} }}");
        let failed = |words: &str| format!(", Error: Kind: I/O error: {words}, labels: {{}}");
        let servers = [
            server("h:1", &failed("Connection refused (os error 111)")),
            server("h:2", ""),
            server("h:3", &failed("failed to lookup address information: Name or service not known")),
        ];
        let topology = format!("{{ Type: Unknown, Servers: [ {} ] }}", servers.join(", "));
        let told = "connect ECONNREFUSED h:1; h:3: failed to lookup address information: Name or service not known";
        assert_eq!(reasons(&topology).as_deref(), Some(told));
        assert_eq!(reasons("{ Type: Unknown }"), None);
    }

    #[test]
    fn a_failed_cast_says_no_more_than_that() {
        let failure = Failure::from(Error::new(Code::InvalidValue, "Cast failed")).attempted("upsert");
        assert_eq!(failure.error.message, "Cast failed");
    }

    #[test]
    fn of_several_servers_the_one_that_failed_is_named() {
        let failure = Failure { node: Some("b:1".into()), ..Error::new(Code::MongoTimeout, "no answer").into() };
        assert_eq!(failure.place("a:1,b:1"), "b:1 of a:1,b:1");
        assert_eq!(failure.place("b:1"), "b:1");
        assert_eq!(Failure::from(Error::new(Code::MongoTimeout, "")).place("a:1,b:1"), "a:1,b:1");
    }
}
