//! Asks a server that does not answer in the other language, so that the error can say what is wrong: see
//! [`crate::redis::dialect`].

use std::io::ErrorKind;
use std::rc::Rc;

use super::engine::{Core, Engine};
use super::socket::{Endpoint, Stream};
use crate::config::Address;
use crate::redis::dialect::{question, verdict};
use crate::redis::{MILLI, Nanos};

/// So long is an answer to TLS's greeting awaited before the server is asked whether it speaks plain Redis. A server that
/// was only slow loses one attempt.
const PATIENCE: Nanos = 500 * MILLI;

/// Of so many attempts in a row that fail, one is spent on asking: the others have all the time there is.
const SELDOM: u32 = 4;

/// What a connection carries that is only to find out.
pub(super) struct Question {
    in_tls: bool,
    asked: bool,
    /// Why the connection before it was of no use.
    why: String,
}

impl Question {
    /// Whether only the answer is missing.
    pub(super) const fn is_asked(&self) -> bool {
        self.asked
    }
}

fn may_ask(core: &Core) -> bool {
    core.supervisor.attempts().is_multiple_of(SELDOM)
}

impl Engine {
    /// The connection is lost. If the server has not said a word on it, it may not have understood ours.
    pub(super) fn lost(self: &Rc<Self>, core: &mut Core, why: &str) {
        let unheard =
            core.connection.link.as_ref().is_some_and(|link| core.config.tls.is_none() || link.stream.is_mute());
        if unheard && core.store.lane.is_unanswered() {
            self.ask(core, why);
        } else {
            self.attempt_failed(core, why);
        }
    }

    /// A plain Redis waits for the end of a line that TLS's greeting does not have.
    pub(super) fn ask_if_mute(self: &Rc<Self>, core: &mut Core) {
        let Some(link) = core.connection.link.as_ref().filter(|link| link.connected && link.stream.is_mute()) else {
            return;
        };
        if may_ask(core) && self.now().saturating_sub(link.since) > PATIENCE {
            let why = format!("TLS with {}: no answer within {} ms", link.endpoint, PATIENCE / MILLI);
            self.ask(core, &why);
        }
    }

    /// Asks if it is time to; else, and where it cannot be asked, the attempt has failed.
    fn ask(self: &Rc<Self>, core: &mut Core, why: &str) {
        let endpoint = core.connection.link.as_ref().map(|link| link.endpoint.clone());
        let Some(endpoint @ Endpoint::Tcp(..)) = endpoint.filter(|_| may_ask(core)) else {
            return self.attempt_failed(core, why);
        };
        self.disconnect(core);
        core.store.lane.lost();
        core.store.ids.lost();
        core.last_error = Some(why.to_owned());
        let question = Box::new(Question { in_tls: core.config.tls.is_none(), asked: false, why: why.to_owned() });
        let opened =
            Stream::connect(&endpoint, None).map(|stream| self.open_link(core, stream, endpoint, Some(question)));
        if !matches!(opened, Ok(true)) {
            self.attempt_failed(core, why);
        }
    }

    /// The question can be asked, or is answered.
    pub(super) fn question_polled(self: &Rc<Self>, core: &mut Core) {
        let (Some(link), Address::Tcp(host, _)) = (&mut core.connection.link, &core.config.address) else { return };
        let Some(asking) = &mut link.question else { return };
        if !asking.asked {
            asking.asked = true;
            let words = question(asking.in_tls, host);
            let sent = link.stream.connected().and_then(|()| link.stream.write(&words));
            if sent.is_ok_and(|count| count == words.len()) && (!asking.in_tls || link.stream.finish_writing().is_ok())
            {
                return;
            }
        }
        let mut first = [0; 16];
        let read = link.stream.read(&mut first);
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return;
        }
        let words = verdict(asking.in_tls, &first[..read.unwrap_or(0)]);
        let (endpoint, why) = (link.endpoint.to_string(), std::mem::take(&mut asking.why));
        match words {
            Some(words) => self.hopeless(core, &format!("{endpoint}: {words}")),
            None => self.attempt_failed(core, &why),
        }
    }
}
