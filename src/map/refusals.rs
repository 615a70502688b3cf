//! Which of the near cache's needs servers have refused, and in which words. Pure.

use std::fmt::Write as _;

use crate::map::needs::Need;
use crate::redis::by_peer::PeerId;

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals(Vec<(PeerId, Need, String)>);

impl Refusals {
    /// What a server has said to a need; `None`: it has met it.
    pub fn told(&mut self, by: PeerId, need: Need, words: Option<String>) {
        self.0.retain(|(peer, of, _)| (*peer, *of) != (by, need));
        self.0.extend(words.map(|words| (by, need, words)));
    }

    /// The connection to a server is lost: what it holds has to be asked anew.
    pub fn lost(&mut self, peer: PeerId) {
        self.0.retain(|(of, need, _)| *of != peer || *need == Need::Tracking);
    }

    /// A server has left the cluster.
    pub fn left(&mut self, peer: PeerId) {
        self.0.retain(|(of, ..)| *of != peer);
    }

    /// Why a server does not announce changes, if any has refused.
    #[must_use]
    pub fn tracking(&self) -> Option<&str> {
        self.0.iter().find(|(_, need, _)| *need == Need::Tracking).map(|(.., words)| words.as_str())
    }

    /// All that servers have refused, each with its command and who said so; `None` where there is nothing.
    #[must_use]
    pub fn all<'n>(&self, name: impl Fn(PeerId) -> &'n str) -> Option<String> {
        let mut text = String::new();
        for (at, (_, need, words)) in self.0.iter().enumerate() {
            let is_same = |other: &&(PeerId, Need, String)| other.1 == *need && other.2 == *words;
            if self.0[..at].iter().any(|other| is_same(&other)) {
                continue;
            }
            let names: Vec<_> = self.0.iter().filter(is_same).map(|(peer, ..)| name(*peer)).collect();
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
        refusals.lost(B);
        assert_eq!(all(&refusals).unwrap(), "ERR what (CLIENT TRACKING on b)");
        refusals.left(B);
        assert_eq!((all(&refusals), refusals.tracking()), (None, None));
    }
}
