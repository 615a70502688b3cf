//! Which of the near cache's needs servers have refused, and in which words. Pure.

use std::fmt::Write as _;

use crate::map::needs::Need;
use crate::redis::by_peer::PeerId;

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Of the connections that there are.
    said: Vec<(PeerId, Need, String)>,
    /// Servers that did not announce changes when they were asked last, with a connection or without.
    silent: Vec<PeerId>,
}

impl Refusals {
    /// What a server has said to a need; `None`: it has met it.
    pub fn told(&mut self, by: PeerId, need: Need, words: Option<String>) {
        self.said.retain(|(peer, of, _)| (*peer, *of) != (by, need));
        if need == Need::Tracking {
            self.silent.retain(|peer| *peer != by);
            self.silent.extend(words.is_some().then_some(by));
        }
        self.said.extend(words.map(|words| (by, need, words)));
    }

    /// The connection to a server is lost: what it holds has to be asked anew, and the next one may be told something else.
    pub fn lost(&mut self, peer: PeerId) {
        self.said.retain(|(of, ..)| *of != peer);
    }

    /// A server has left the cluster.
    pub fn left(&mut self, peer: PeerId) {
        self.lost(peer);
        self.silent.retain(|of| *of != peer);
    }

    /// Whether a server has refused to announce changes, and was not seen to announce them since.
    #[must_use]
    pub fn is_any_silent(&self) -> bool {
        !self.silent.is_empty()
    }

    /// Why a server does not announce changes, if any has refused.
    #[must_use]
    pub fn tracking(&self) -> Option<&str> {
        self.said.iter().find(|(_, need, _)| *need == Need::Tracking).map(|(.., words)| words.as_str())
    }

    /// All that servers have refused, each with its command and who said so; `None` where there is nothing.
    #[must_use]
    pub fn all<'n>(&self, name: impl Fn(PeerId) -> &'n str) -> Option<String> {
        let mut text = String::new();
        for (at, (_, need, words)) in self.said.iter().enumerate() {
            let is_same = |other: &&(PeerId, Need, String)| other.1 == *need && other.2 == *words;
            if self.said[..at].iter().any(|other| is_same(&other)) {
                continue;
            }
            let names: Vec<_> = self.said.iter().filter(is_same).map(|(peer, ..)| name(*peer)).collect();
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{words} ({} on {})", need.command(), names.join(", "));
        }
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId::of(3);
    const B: PeerId = PeerId::of(4);

    fn all(refusals: &Refusals) -> Option<String> {
        refusals.all(|peer| if peer == A { "a" } else { "b" })
    }

    #[test]
    fn what_several_refuse_in_the_same_words_is_told_once_with_its_command_and_their_names() {
        let mut refusals = Refusals::default();
        assert_eq!((all(&refusals), refusals.tracking()), (None, None));
        refusals.told(A, Need::Held, Some("NOPERM no".to_owned()));
        refusals.told(B, Need::Slots, Some("NOPERM no".to_owned()));
        refusals.told(B, Need::Held, Some("NOPERM no".to_owned()));
        assert_eq!(all(&refusals).unwrap(), "NOPERM no (EXISTS on a, b); NOPERM no (CLUSTER NODES on b)");
        refusals.told(B, Need::Tracking, Some("ERR what".to_owned()));
        assert_eq!(refusals.tracking(), Some("ERR what"));
        refusals.told(A, Need::Held, None);
        assert_eq!(
            all(&refusals).unwrap(),
            "NOPERM no (CLUSTER NODES on b); NOPERM no (EXISTS on b); ERR what (CLIENT TRACKING on b)"
        );
        refusals.told(B, Need::Tracking, None);
        assert_eq!(refusals.tracking(), None);
        refusals.left(B);
        assert_eq!((all(&refusals), refusals.tracking()), (None, None));
    }

    #[test]
    fn a_lost_connection_takes_what_was_refused_with_it_but_who_was_silent_is_known_until_it_announces_or_leaves() {
        let mut refusals = Refusals::default();
        assert!(!refusals.is_any_silent());
        refusals.told(A, Need::Tracking, Some("ERR what".to_owned()));
        refusals.told(B, Need::Tracking, Some("ERR what".to_owned()));
        refusals.told(B, Need::Held, Some("NOPERM no".to_owned()));
        refusals.lost(B);
        assert_eq!(all(&refusals).unwrap(), "ERR what (CLIENT TRACKING on a)");
        refusals.lost(A);
        assert_eq!((all(&refusals), refusals.tracking()), (None, None));
        refusals.told(A, Need::Tracking, None);
        assert!(refusals.is_any_silent(), "b is");
        refusals.left(B);
        assert!(!refusals.is_any_silent());
    }
}
