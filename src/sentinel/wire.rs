//! The traffic with one sentinel: questions to bytes, bytes to what it says. Pure.

use super::known::{Failure, Master, Other};
use crate::config::{Config, SentinelConfig};
use crate::redis::Nanos;
use crate::redis::batch::{Batch, Item};
use crate::redis::decode::Token;
use crate::redis::encode::push_command;
use crate::redis::lane::{Lane, News};

/// Where sentinels tell of switches.
const CHANNEL: &[u8] = b"+switch-master";

/// More questions than that never wait: who does not answer is given up.
const QUESTIONS: usize = 256;

/// What a sentinel is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Where the master is; for the search of that number.
    Master(u32),
    /// Which other sentinels it knows.
    Others,
    /// Who it is.
    Identity,
    /// To tell of switches.
    Switches,
}

/// What a sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It takes questions.
    Ready,
    /// The master; `None`: it knows none of that name. For which search it was asked, and when that was written.
    Named {
        /// The search.
        search: u32,
        /// Where.
        master: Option<Master>,
        /// When.
        written: Nanos,
    },
    /// The others.
    Others(Vec<Other>),
    /// Who it is.
    Identity(String),
    /// On its own: a master has moved.
    Switched {
        /// The name of the master, which may be another one's.
        name: String,
        /// Where it is now.
        master: Master,
    },
    /// Nothing more on this connection.
    Failed(Failure),
}

/// See the module.
pub struct Wire {
    lane: Lane<Question>,
    config: Config,
    master: String,
    batch: Batch<Question>,
}

impl Wire {
    /// A connection to a sentinel that is about to be made.
    #[must_use]
    pub fn new(config: &Config, sentinels: &SentinelConfig) -> Self {
        let config = Config {
            credentials: sentinels.credentials.clone(),
            database: 0,
            sentinels: None,
            queue_max: QUESTIONS,
            queue_max_bytes: QUESTIONS * 1024,
            ..config.clone()
        };
        Self { lane: Lane::new(&config), config, master: sentinels.master.clone(), batch: Batch::default() }
    }

    /// The socket is connected: the greeting is to be sent.
    pub fn connected(&mut self) {
        self.lane.connected(&self.config, Vec::new(), None);
    }

    /// Puts a question, behind those that were put before.
    pub fn ask(&mut self, question: Question) {
        let name = self.master.as_bytes();
        let words: &[&[u8]] = match question {
            Question::Master(_) => &[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name],
            Question::Others => &[b"SENTINEL", b"SENTINELS", name],
            Question::Identity => &[b"SENTINEL", b"MYID"],
            Question::Switches => &[b"SUBSCRIBE", CHANNEL],
        };
        // Where the queue is full, nothing is lost: who does not answer is given up.
        let _ = self.lane.push(question, |out| push_command(out, words));
    }

    /// What the socket should take next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.lane.unsent()
    }

    /// The socket took that many bytes; `at`: the moment before, by the clock of the lease.
    pub fn sent(&mut self, count: usize, at: Nanos) {
        self.lane.sent(count, at);
    }

    /// Space for the next read. Give the number of bytes read to [`Wire::filled`].
    pub fn space(&mut self) -> &mut [u8] {
        self.lane.space()
    }

    /// That many bytes were read.
    pub const fn filled(&mut self, count: usize) {
        self.lane.filled(count);
    }

    /// What a failure's words are when they are fit to be shown.
    #[must_use]
    pub fn fit_to_show(&self, words: &str) -> String {
        self.lane.secrets().mask(words)
    }

    /// What was said in what was read.
    pub fn decode(&mut self, now: Nanos) -> Vec<Heard> {
        let mut batch = std::mem::take(&mut self.batch);
        let news = self.lane.decode(&mut batch, now);
        let mut heard = Vec::new();
        if let News::Ready(_) = news {
            heard.push(Heard::Ready);
            if self.lane.is_resp3() {
                self.ask(Question::Switches);
            }
        }
        for item in &batch.items {
            heard.extend(match item {
                Item::Push { tokens } => switch(&batch.buffer, &batch.tokens[tokens.clone()]),
                Item::Reply { tag, tokens, written, .. } => {
                    self.answer(*tag, &batch.buffer, &batch.tokens[tokens.clone()], *written)
                }
            });
        }
        heard.extend(match news {
            News::None | News::Ready(_) => None,
            News::Refused(words) => Some(Heard::Failed(Failure::Refused(words))),
            News::Unfit(words) | News::Broken(words) | News::Foreign(words) | News::Hopeless(words) => {
                Some(Heard::Failed(Failure::Away(words)))
            }
        });
        self.batch = batch;
        heard
    }

    fn answer(&self, question: Question, buffer: &[u8], tokens: &[Token], written: Nanos) -> Option<Heard> {
        match (question, tokens) {
            (Question::Master(search), [Token::Error(range)]) => {
                let words = self.fit_to_show(&text(buffer, range));
                // It knows the name, but not the server, or has not agreed with others on it.
                if words.starts_with("IDONTKNOW") {
                    return Some(Heard::Named { search, master: None, written });
                }
                let refuses = ["NOPERM", "NOAUTH"].iter().any(|word| words.starts_with(word));
                Some(Heard::Failed(if refuses { Failure::Refused(words) } else { Failure::Away(words) }))
            }
            (Question::Master(search), [Token::Array(2), Token::Text(host), Token::Text(port)]) => {
                let Ok(port) = text(buffer, port).parse() else {
                    return Some(Heard::Failed(Failure::Away("it names a master without a port".to_owned())));
                };
                let master = Some(Master { host: text(buffer, host), port });
                Some(Heard::Named { search, master, written })
            }
            (Question::Master(search), [Token::Null | Token::Array(0)]) => {
                Some(Heard::Named { search, master: None, written })
            }
            (Question::Master(_), _) => {
                Some(Heard::Failed(Failure::Away("its answer has an unexpected form".to_owned())))
            }
            (Question::Others, [Token::Array(_), rest @ ..]) => Some(Heard::Others(others(buffer, rest))),
            (Question::Identity, [Token::Text(range)]) => Some(Heard::Identity(text(buffer, range))),
            // What a sentinel of an older release, or a user's rights, do not allow is done without.
            (Question::Others | Question::Identity | Question::Switches, _) => None,
        }
    }
}

fn text(buffer: &[u8], range: &std::ops::Range<usize>) -> String {
    String::from_utf8_lossy(&buffer[range.clone()]).into_owned()
}

/// Sentinels, each a map (RESP3) or a flat list (RESP2) of names and values.
fn others(buffer: &[u8], tokens: &[Token]) -> Vec<Other> {
    let heads = |token: &Token| matches!(token, Token::Array(_) | Token::Map(_));
    let entries = tokens.split(heads).filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            let value = |name: &[u8]| {
                entry.chunks_exact(2).find_map(|pair| match pair {
                    [Token::Text(key), Token::Text(value)] if &buffer[key.clone()] == name => Some(text(buffer, value)),
                    _ => None,
                })
            };
            let run = value(b"runid").filter(|run| !run.is_empty());
            Some(Other { host: value(b"ip")?, port: value(b"port")?.parse().ok()?, run })
        })
        .collect()
}

/// `message +switch-master "name oldhost oldport host port"`.
fn switch(buffer: &[u8], tokens: &[Token]) -> Option<Heard> {
    let [Token::Push(_), Token::Text(kind), Token::Text(channel), Token::Text(payload)] = tokens else { return None };
    if &buffer[kind.clone()] != b"message" || &buffer[channel.clone()] != CHANNEL {
        return None;
    }
    let payload = text(buffer, payload);
    let [name, _, _, host, port] = payload.split(' ').collect::<Vec<_>>()[..] else { return None };
    let master = Master { host: host.to_owned(), port: port.parse().ok()? };
    Some(Heard::Switched { name: name.to_owned(), master })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Values, resolve};

    fn wire() -> Wire {
        let url = ("CC_REDIS_URL".to_owned(), "redis+sentinel://s/m".to_owned());
        // The bounds of calls are not those of questions.
        let values: Values = [url, ("CC_REDIS_QUEUE_MAX".to_owned(), "1".to_owned())].into();
        let config = resolve(&values).unwrap();
        Wire::new(&config, config.sentinels.as_ref().unwrap())
    }

    fn hears(wire: &mut Wire, words: &str) -> Vec<Heard> {
        let unsent = wire.unsent().len();
        wire.sent(unsent, 7);
        wire.space()[..words.len()].copy_from_slice(words.as_bytes());
        wire.filled(words.len());
        wire.decode(8)
    }

    fn greeted(words: &str) -> Wire {
        let mut wire = wire();
        wire.connected();
        assert_eq!(hears(&mut wire, words), [Heard::Ready]);
        wire
    }

    fn all() -> [Question; 3] {
        [Question::Master(3), Question::Identity, Question::Others]
    }

    fn expected() -> Vec<Heard> {
        let master = Some(Master { host: "10.0.0.1".to_owned(), port: 6_379 });
        let other = Other { host: "10.0.0.2".to_owned(), port: 26_379, run: Some("abc".to_owned()) };
        vec![
            Heard::Named { search: 3, master, written: 7 },
            Heard::Identity("self".to_owned()),
            Heard::Others(vec![other]),
        ]
    }

    #[test]
    fn in_resp3_switches_are_told_between_the_answers() {
        let mut wire = greeted("%1\r\n$4\r\nrole\r\n$8\r\nsentinel\r\n");
        for question in all() {
            wire.ask(question);
        }
        assert!(wire.unsent().starts_with(b"*2\r\n$9\r\nSUBSCRIBE\r\n$14\r\n+switch-master\r\n"));
        let heard = hears(
            &mut wire,
            ">3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n\
             *2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n\
             >3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$23\r\nm 10.0.0.1 1 10.0.0.2 2\r\n\
             $4\r\nself\r\n\
             *1\r\n%3\r\n$2\r\nip\r\n$8\r\n10.0.0.2\r\n$4\r\nport\r\n$5\r\n26379\r\n$5\r\nrunid\r\n$3\r\nabc\r\n",
        );
        let switched = Master { host: "10.0.0.2".to_owned(), port: 2 };
        let mut expected = expected();
        expected.insert(1, Heard::Switched { name: "m".to_owned(), master: switched });
        assert_eq!(heard, expected);
    }

    #[test]
    fn in_resp2_nothing_is_subscribed_to_and_the_answers_are_understood() {
        let mut wire = greeted("-ERR unknown command 'HELLO'\r\n");
        for question in all() {
            wire.ask(question);
        }
        let heard = hears(
            &mut wire,
            "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n$4\r\nself\r\n\
             *1\r\n*6\r\n$2\r\nip\r\n$8\r\n10.0.0.2\r\n$4\r\nport\r\n$5\r\n26379\r\n$5\r\nrunid\r\n$3\r\nabc\r\n",
        );
        assert_eq!(heard, expected());
    }

    #[test]
    fn what_is_not_allowed_is_done_without_but_for_the_master() {
        let mut wire = greeted("%0\r\n");
        for question in all() {
            wire.ask(question);
        }
        let heard = hears(
            &mut wire,
            "-NOPERM no subscribe\r\n-NOPERM no master\r\n-ERR unknown subcommand 'MYID'\r\n-NOPERM no list\r\n",
        );
        assert_eq!(heard, [Heard::Failed(Failure::Refused("NOPERM no master".to_owned()))]);
    }

    #[test]
    fn a_name_that_it_does_not_know_is_an_answer() {
        for answer in ["_\r\n", "*-1\r\n", "-IDONTKNOW I have not enough information\r\n"] {
            let mut wire = greeted("%0\r\n");
            wire.ask(Question::Master(1));
            let heard = hears(&mut wire, &format!(">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n{answer}"));
            assert_eq!(heard, [Heard::Named { search: 1, master: None, written: 7 }], "{answer}");
        }
    }
}
