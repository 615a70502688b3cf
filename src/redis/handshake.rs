//! What a new connection says before it carries calls.
//!
//! `HELLO 3` with credentials and a name; on a server that does not know it (older than 6.0, or an ACL that forbids it)
//! `AUTH`, in RESP2. After a lost connection, `CLIENT KILL ID … ADDR …` of the old one: commands that the server still
//! holds for it (it may have been paused) must not run after the same commands have been sent again. For the next time,
//! `CLIENT INFO` tells by which address the server knows us: behind a proxy or a container's port mapping it is not ours.
//! Where sentinels have named the server, it must say that it is a master: HELLO's answer tells, otherwise `ROLE` is asked.
//! Where scans wait to go on, `INFO server` tells whether this is the run of the server that their cursors are of. `SELECT`
//! where the URL names a database. Last, for the near cache, `CLIENT TRACKING`; a server that refuses it is used without.
//! One request at a time; each answer decides about the next.

use std::ops::Range;

use crate::config::Credentials;
use crate::redis::decode::Token;
use crate::redis::encode::push_command;

/// The name by which `CLIENT LIST` shows our connections.
pub const CLIENT_NAME: &[u8] = b"backtest-kit-native";

/// Asks which run of the server this is; see [`run_id`].
pub const ASK_RUN: &[&[u8]] = &[b"INFO", b"server"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Hello,
    Auth,
    AuthPassword,
    Role,
    Kill,
    Info,
    Run,
    Select,
    Track,
    Ready,
}

/// What the answer to a step means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The next request is in the out-buffer.
    Next,
    /// The connection carries calls from now on.
    Ready,
    /// The server refuses the credentials, in its own words.
    Refused(String),
    /// The server cannot serve now (it is loading, for example), in its own words.
    Unfit(String),
    /// It will not, however often it is asked: its own words, and what was asked.
    Hopeless(String),
}

/// A handshake under way. No `Debug`: it holds the password.
pub struct Handshake {
    step: Step,
    credentials: Option<Credentials>,
    database: i64,
    /// Our last connection's id and address, if they are known.
    previous: Option<(i64, String)>,
    /// This connection's id, once the server has told it.
    id: Option<i64>,
    /// Our address: as we know it, and then as the server does. Clients of Unix sockets have none.
    address: Option<String>,
    /// Whether the server must be a master; whether it speaks RESP3.
    needs_master: bool,
    is_resp3: bool,
    /// Whether to ask which run of the server this is, and what it said.
    asks_run: bool,
    run: Option<String>,
    /// Prefixes of the keys whose changes the server is to announce; emptied where it cannot (RESP2).
    prefixes: Vec<String>,
    /// Whether it does, or why not.
    tracking: Result<(), String>,
    out: Vec<u8>,
}

impl Handshake {
    /// Begins; the first request is in the out-buffer.
    #[must_use]
    pub fn new(
        credentials: Option<Credentials>,
        database: i64,
        previous: Option<(i64, String)>,
        prefixes: Vec<String>,
        address: Option<String>,
    ) -> Self {
        let mut handshake = Self {
            step: Step::Hello,
            credentials,
            database,
            previous,
            id: None,
            address,
            needs_master: false,
            is_resp3: false,
            asks_run: false,
            run: None,
            prefixes,
            tracking: Err("off".to_owned()),
            out: Vec::with_capacity(128),
        };
        let mut words: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(credentials) = &handshake.credentials {
            let user = credentials.user.as_deref().unwrap_or("default");
            words.extend_from_slice(&[b"AUTH", user.as_bytes(), credentials.password.as_bytes()]);
        }
        words.extend_from_slice(&[b"SETNAME", CLIENT_NAME]);
        let mut out = std::mem::take(&mut handshake.out);
        push_command(&mut out, &words);
        handshake.out = out;
        handshake
    }

    /// Asks which run of the server this is, too.
    pub const fn ask_run(&mut self) {
        self.asks_run = true;
    }

    /// A server that is no master is unfit.
    pub const fn need_master(&mut self) {
        self.needs_master = true;
    }

    /// Whether the server speaks RESP3.
    #[must_use]
    pub const fn is_resp3(&self) -> bool {
        self.is_resp3
    }

    /// Which run of the server this is, where that was asked for and told.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// Whether nothing was answered yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.step == Step::Hello
    }

    /// Bytes to send.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.out
    }

    /// That many of them were sent.
    pub fn sent(&mut self, count: usize) {
        self.out.drain(..count);
    }

    /// How the server knows this connection: its id and our address.
    #[must_use]
    pub fn client(&self) -> Option<(i64, String)> {
        self.id.zip(self.address.clone())
    }

    /// Whether the server announces changes on this connection, or why not.
    pub const fn tracking(&self) -> &Result<(), String> {
        &self.tracking
    }

    /// Takes the answer to the current step.
    pub fn reply(&mut self, buffer: &[u8], tokens: &[Token]) -> Progress {
        let step = self.step;
        match self.answered(buffer, tokens) {
            Progress::Refused(words) => Progress::Refused(self.shown(step, &words)),
            Progress::Unfit(words) => Progress::Unfit(self.shown(step, &words)),
            Progress::Hopeless(words) => Progress::Hopeless(self.shown(step, &words)),
            progress => progress,
        }
    }

    /// What may be shown of the answer to a step.
    fn shown(&self, step: Step, words: &str) -> String {
        let secrets = self.credentials.as_ref().map(Credentials::secrets).unwrap_or_default();
        match (&self.credentials, step) {
            (Some(credentials), Step::Hello | Step::Auth | Step::AuthPassword) => {
                let user = credentials.user.as_deref().unwrap_or("default");
                let arguments = ["3", "AUTH", user, &credentials.password, "SETNAME"];
                // Both forms of AUTH repeat no more than HELLO does.
                secrets.mask_answer(words, if step == Step::Hello { &arguments } else { &arguments[2..4] })
            }
            _ => secrets.mask(words),
        }
    }

    fn answered(&mut self, buffer: &[u8], tokens: &[Token]) -> Progress {
        let error = match tokens.first() {
            Some(Token::Error(range)) => Some(text(buffer, range)),
            _ => None,
        };
        match (self.step, error) {
            // Whatever the step. A script that is running keeps the server from killing the old connection, and from
            // announcing changes; both are wanted, and neither is refused for good.
            (_, Some(error)) if is_temporary(&error) => Progress::Unfit(error),
            (Step::Hello, None) => {
                self.id = map_number(buffer, tokens, b"id");
                self.is_resp3 = true;
                match map_text(buffer, tokens, b"role") {
                    Some(role) if self.needs_master => self.has_role(&role),
                    _ => self.after_auth(),
                }
            }
            (Step::Hello, Some(error)) => self.hello_refused(error),
            (Step::Auth, Some(error)) if error.contains("wrong number of arguments") => {
                // Before 6.0 there are no users.
                self.auth(Step::AuthPassword);
                Progress::Next
            }
            // A server without a password takes any, as the original's client has it.
            (Step::Auth | Step::AuthPassword, Some(error))
                if error.contains("no password") || error.contains("without any password") =>
            {
                self.after_auth()
            }
            (Step::Auth | Step::AuthPassword, Some(error)) => Progress::Refused(error),
            (Step::Select, Some(error)) if error.starts_with("NOAUTH") => Progress::Refused(error),
            (Step::Select, Some(error)) if is_final(&error) => {
                let words = self.shown(Step::Select, &error);
                Progress::Hopeless(format!("{words}; CC_REDIS_URL asks for database {}", self.database))
            }
            (Step::Select, Some(error)) => Progress::Unfit(error),
            (Step::Auth | Step::AuthPassword, None) => self.after_auth(),
            (Step::Role, None) => match tokens {
                [Token::Array(_), Token::Text(role), ..] => self.has_role(&text(buffer, role)),
                _ => self.kill_previous(),
            },
            // A user may not be allowed to ask. A replica that is taken for a master refuses the first write.
            (Step::Role, Some(_)) => self.kill_previous(),
            // Whatever the answer is (no such client, no permission), nothing more can be done about the old connection.
            (Step::Kill, _) => self.ask_address(),
            (Step::Info, _) => {
                self.address = tokens.first().and_then(|token| address(buffer, token)).or(self.address.take());
                self.ask_for_run()
            }
            (Step::Run, _) => {
                self.run = tokens.first().and_then(|token| run_id(buffer, token));
                self.select()
            }
            (Step::Select, None) => self.track(),
            (Step::Track, error) => {
                self.tracking = error.map_or(Ok(()), |words| Err(self.shown(Step::Track, &words)));
                self.ready()
            }
            (Step::Ready, _) => self.ready(),
        }
    }

    fn hello_refused(&mut self, error: String) -> Progress {
        if error.starts_with("WRONGPASS") {
            return Progress::Refused(error);
        }
        // Protected mode says what is wrong, and hangs up.
        if error.starts_with("DENIED") {
            return Progress::Unfit(error);
        }
        // Unknown command, no such protocol, or not permitted: the old way, which has no push messages.
        self.prefixes.clear();
        self.tracking = Err(self.shown(Step::Hello, &error));
        if self.credentials.is_some() {
            let user = self.credentials.as_ref().and_then(|c| c.user.as_ref());
            self.auth(if user.is_some() { Step::Auth } else { Step::AuthPassword });
            Progress::Next
        } else if error.starts_with("NOAUTH") {
            Progress::Refused(error)
        } else {
            self.after_auth()
        }
    }

    fn auth(&mut self, step: Step) {
        let Some(credentials) = &self.credentials else { return };
        match &credentials.user {
            Some(user) if step == Step::Auth => {
                push_command(&mut self.out, &[b"AUTH", user.as_bytes(), credentials.password.as_bytes()]);
            }
            _ => push_command(&mut self.out, &[b"AUTH", credentials.password.as_bytes()]),
        }
        self.step = step;
    }

    fn after_auth(&mut self) -> Progress {
        if !self.needs_master {
            return self.kill_previous();
        }
        self.step = Step::Role;
        push_command(&mut self.out, &[b"ROLE"]);
        Progress::Next
    }

    fn has_role(&mut self, role: &str) -> Progress {
        if role == "master" {
            return self.kill_previous();
        }
        // HELLO and ROLE have different words for it.
        let role = if role == "slave" { "replica" } else { role };
        Progress::Unfit(format!("the sentinels name it as the master, and it says that it is a {role}"))
    }

    fn kill_previous(&mut self) -> Progress {
        let Some((id, address)) = self.previous.take() else { return self.ask_address() };
        self.step = Step::Kill;
        // The address as well: a server that was restarted, or another one, has given the id to somebody else.
        let id = id.to_string();
        push_command(&mut self.out, &[b"CLIENT", b"KILL", b"ID", id.as_bytes(), b"ADDR", address.as_bytes()]);
        Progress::Next
    }

    fn ask_address(&mut self) -> Progress {
        if self.client().is_none() {
            return self.ask_for_run();
        }
        self.step = Step::Info;
        push_command(&mut self.out, &[b"CLIENT", b"INFO"]);
        Progress::Next
    }

    fn ask_for_run(&mut self) -> Progress {
        if !self.asks_run {
            return self.select();
        }
        self.step = Step::Run;
        push_command(&mut self.out, ASK_RUN);
        Progress::Next
    }

    fn select(&mut self) -> Progress {
        if self.database == 0 {
            return self.track();
        }
        self.step = Step::Select;
        push_command(&mut self.out, &[b"SELECT", self.database.to_string().as_bytes()]);
        Progress::Next
    }

    /// BCAST, because in the default mode with NOLOOP the server forgets after our own write that we know a key.
    fn track(&mut self) -> Progress {
        if self.prefixes.is_empty() {
            return self.ready();
        }
        self.step = Step::Track;
        let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"NOLOOP"];
        for prefix in &self.prefixes {
            words.extend_from_slice(&[b"PREFIX", prefix.as_bytes()]);
        }
        push_command(&mut self.out, &words);
        Progress::Next
    }

    const fn ready(&mut self) -> Progress {
        self.step = Step::Ready;
        Progress::Ready
    }
}

/// Whether the server will answer otherwise soon, or another one will that the same name stands for.
pub(super) fn is_temporary(error: &str) -> bool {
    ["LOADING", "MASTERDOWN", "READONLY", "BUSY ", "TRYAGAIN", "ERR max number of clients"]
        .iter()
        .any(|word| error.starts_with(word))
}

/// Whether a SELECT is refused for good: there is no such database, or it is not this user's to choose.
fn is_final(error: &str) -> bool {
    error.starts_with("NOPERM")
        || ["DB index", "not allowed in cluster mode", "unknown command"].iter().any(|words| error.contains(words))
}

fn text(buffer: &[u8], range: &Range<usize>) -> String {
    String::from_utf8_lossy(&buffer[range.clone()]).into_owned()
}

/// The address in what CLIENT INFO answers: `id=3 addr=127.0.0.1:5000 …`.
fn address(buffer: &[u8], token: &Token) -> Option<String> {
    let Token::Text(range) = token else { return None };
    text(buffer, range).split_ascii_whitespace().find_map(|pair| pair.strip_prefix("addr=").map(str::to_owned))
}

/// Which run of the server it is that has answered [`ASK_RUN`], as it calls itself: another at each start, and another for
/// each server. `None`: it does not say.
#[must_use]
pub fn run_id(buffer: &[u8], token: &Token) -> Option<String> {
    let Token::Text(range) = token else { return None };
    let text = text(buffer, range);
    let id = text.lines().find_map(|line| line.strip_prefix("run_id:"))?.trim_end();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The number under a name in the map (RESP3) or flat list (RESP2) that HELLO answers with.
fn map_number(buffer: &[u8], tokens: &[Token], name: &[u8]) -> Option<i64> {
    tokens.windows(2).find_map(|pair| match pair {
        [Token::Text(key), Token::Number(number)] if &buffer[key.clone()] == name => Some(*number),
        _ => None,
    })
}

/// The text under a name, as above.
fn map_text(buffer: &[u8], tokens: &[Token], name: &[u8]) -> Option<String> {
    tokens.windows(2).find_map(|pair| match pair {
        [Token::Text(key), Token::Text(value)] if &buffer[key.clone()] == name => Some(text(buffer, value)),
        _ => None,
    })
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
