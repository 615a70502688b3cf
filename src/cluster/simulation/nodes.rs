//! The nodes: what they hold and know, what happens to them, and how they answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::{KEYS, SHARDS, World, at};
use crate::redis::by_peer::PeerId;
use crate::redis::decode::{Decoder, Token};
use crate::redis::encode::push_word;
use crate::redis::refusal::Endpoint;
use crate::redis::slot::Slot;
use crate::redis::{MILLI, Nanos};

/// What a node knows of the owner of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) owner: usize,
    pub(super) epoch: u64,
}

pub(super) struct Server {
    pub(super) data: HashMap<String, u64>,
    pub(super) view: BTreeMap<Slot, View>,
    pub(super) is_master: bool,
    pub(super) leaving: BTreeMap<Slot, usize>,
    pub(super) arriving: BTreeSet<Slot>,
    /// Not before this moment it reads, refuses connections no more, hears of the others, serves.
    pub(super) hangs: Nanos,
    pub(super) away: Nanos,
    pub(super) is_cut_off: bool,
    pub(super) down: Nanos,
    /// Every so many commands it refuses one.
    pub(super) refuses: Option<u64>,
    pub(super) served: u64,
}

impl World {
    // What happens to the cluster.

    pub(super) fn disturb(&mut self) {
        let node = self.random.usize(0..self.servers.len());
        let for_a_while = self.now + self.random.u64(20..900) * MILLI;
        match self.random.u32(0..12) {
            0 => {
                self.servers[node].hangs = for_a_while;
                self.note(&format!("{node} hangs"));
            }
            1 => {
                self.servers[node].down = self.now + self.random.u64(5..200) * MILLI;
                self.note(&format!("{node} says that the cluster is down"));
            }
            2 => {
                self.servers[node].refuses = self.random.bool().then(|| self.random.u64(2..9));
                self.note(&format!("{node} refuses {:?}", self.servers[node].refuses));
            }
            3 => {
                self.cut = Some((node, for_a_while));
                self.note(&format!("the client is cut off from {node}"));
            }
            4 => {
                for link in self.links.0.values_mut().filter(|link| link.node == node) {
                    link.is_lost = true;
                }
                self.note(&format!("connections to {node} are lost"));
            }
            5 | 6 => self.fail_over(node),
            7 => {
                self.servers[node].is_cut_off = self.random.bool();
                self.note(&format!("{node} is cut off: {}", self.servers[node].is_cut_off));
            }
            _ => self.migrate(),
        }
    }

    /// A master goes, hangs, or is cut off from the others, and its replica takes its place.
    fn fail_over(&mut self, node: usize) {
        let other = node ^ 1;
        let busy =
            self.migration.is_some_and(|(_, from, to)| [node, other].contains(&from) || [node, other].contains(&to));
        let owns = self.owners.values().any(|view| view.owner == node);
        if busy || !owns || !self.servers[node].is_master || !self.is_sound(other) {
            return;
        }
        match self.random.u32(0..3) {
            0 => {
                self.servers[node].away = self.now + self.random.u64(50..3_000) * MILLI;
                for link in self.links.0.values_mut().filter(|link| link.node == node) {
                    link.is_lost = true;
                }
            }
            1 => self.servers[node].hangs = self.now + self.random.u64(50..3_000) * MILLI,
            _ => self.servers[node].is_cut_off = true,
        }
        self.replace(node);
    }

    /// A master's replica takes its place.
    pub(super) fn replace(&mut self, node: usize) {
        let other = node ^ 1;
        self.epoch += 1;
        self.failovers += 1;
        let (epoch, mut losses) = (self.epoch, Vec::new());
        let slots: Vec<Slot> =
            self.owners.iter().filter(|(_, view)| view.owner == node).map(|(&slot, _)| slot).collect();
        for (number, (key, slot)) in self.keys.iter().enumerate() {
            if slots.contains(slot) {
                let held = |at: usize| self.servers[at].data.get(key).copied().unwrap_or(0);
                let (kept, had) = (held(other), held(node));
                losses.push((number, kept, had));
            }
        }
        for (number, kept, had) in losses {
            self.lost.extend(kept + 1..=had);
            self.floors[number] = self.floors[number].min(kept);
        }
        for slot in slots {
            self.own(slot, View { owner: other, epoch });
        }
        self.servers[other].is_master = true;
        self.servers[other].view = self.owners.clone();
        self.note(&format!("{other} replaces {node}"));
    }

    fn own(&mut self, slot: Slot, view: View) {
        self.owners.insert(slot, view);
        self.ever.insert((slot, view.owner));
    }

    /// A slot begins to move to another master.
    pub(super) fn migrate(&mut self) {
        if self.migration.is_some() {
            return;
        }
        let slot = self.keys[self.random.usize(0..KEYS)].1;
        let from = self.owners[&slot].owner;
        let to = (from / 2 + self.random.usize(1..SHARDS)) % SHARDS * 2;
        let owns = |node: usize| self.owners.values().any(|view| view.owner == node);
        // The one of the shard that has an office, or may have it.
        let to = if owns(to + 1) || !self.servers[to].is_master { to + 1 } else { to };
        if !self.servers[to].is_master
            || !self.is_sound(from)
            || !self.is_sound(to)
            || self.servers[from].view[&slot].owner != from
        {
            return;
        }
        self.migrate_to(slot, from, to);
    }

    /// The same for a slot and its masters.
    pub(super) fn migrate_to(&mut self, slot: Slot, from: usize, to: usize) {
        self.servers[to].arriving.insert(slot);
        self.servers[from].leaving.insert(slot, to);
        self.migration = Some((slot, from, to));
        self.note(&format!("{slot} begins to move from {from} to {to}"));
    }

    pub(super) fn move_keys(&mut self) {
        let Some((slot, from, to)) = self.migration else { return };
        if !self.is_sound(from) || !self.is_sound(to) || self.random.u32(0..self.pace) > 0 {
            return;
        }
        let left: Vec<_> =
            self.keys.iter().filter(|(key, of)| *of == slot && self.servers[from].data.contains_key(key)).collect();
        if let Some((key, _)) = left.first() {
            let value = self.servers[from].data.remove(key).unwrap();
            self.servers[to].data.insert(key.clone(), value);
            return;
        }
        // The target is told first; the source goes on to say ASK until it hears of it.
        if self.owners[&slot].owner == to {
            let view = self.owners[&slot];
            self.servers[from].view.insert(slot, view);
            self.servers[from].leaving.remove(&slot);
            self.migration = None;
        } else {
            self.epoch += 1;
            let view = View { owner: to, epoch: self.epoch };
            self.own(slot, view);
            self.servers[to].view.insert(slot, view);
            self.servers[to].arriving.remove(&slot);
            self.note(&format!("{slot} is at {to}"));
        }
    }

    /// Nodes that are not cut off hear of what has changed, one by one; replicas hear of data.
    pub(super) fn gossip(&mut self) {
        let node = self.random.usize(0..self.servers.len());
        if !self.is_sound(node) || self.random.u32(0..6) > 0 {
            return;
        }
        let slots: Vec<Slot> = self.owners.keys().copied().collect();
        for slot in slots {
            let view = self.owners[&slot];
            // A source that has not been told yet goes on.
            if view.epoch > self.servers[node].view[&slot].epoch && !self.servers[node].leaving.contains_key(&slot) {
                self.servers[node].view.insert(slot, view);
            }
        }
        let other = node ^ 1;
        let owns = |at: usize| self.owners.values().any(|view| view.owner == at);
        if owns(other) && !owns(node) {
            // It may be a master that was replaced: what it holds is thrown away.
            self.servers[node].is_master = false;
            if self.now >= self.servers[other].away {
                self.servers[node].data = self.servers[other].data.clone();
            }
        }
    }

    // A node at work.

    fn map(&self, node: usize) -> String {
        let view = &self.servers[node].view;
        let mut text = String::new();
        for other in 0..self.servers.len() {
            let mine: Vec<_> = view.iter().filter(|(_, view)| view.owner == other).collect();
            let myself = if other == node { "myself," } else { "" };
            let is_master = !mine.is_empty() || (other == node && self.servers[node].is_master) || other % 2 == 0;
            let role = if is_master { "master" } else { "slave" };
            let epoch = mine.iter().map(|(_, view)| view.epoch).max().unwrap_or(0);
            let Endpoint { host, port } = at(other);
            write!(text, "{other:040} {host}:{port}@1 {myself}{role} - 0 0 {epoch} connected").unwrap();
            for (slot, _) in mine {
                write!(text, " {slot}").unwrap();
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn serve(&mut self, id: PeerId) {
        let Some(link) = self.links.0.get_mut(&id) else { return };
        let node = link.node;
        let mut input = std::mem::take(&mut link.input);
        let mut out = Vec::new();
        loop {
            let (mut decoder, mut tokens) = (Decoder::default(), Vec::new());
            if !decoder.advance(&input, &mut tokens).unwrap() {
                break;
            }
            let words: Vec<String> = tokens[1..]
                .iter()
                .map(|token| match token {
                    Token::Text(range) => String::from_utf8(input[range.clone()].to_vec()).unwrap(),
                    _ => panic!("a command is text"),
                })
                .collect();
            input.drain(..decoder.position());
            match words[0].as_str() {
                "HELLO" => out.extend_from_slice(b"%1\r\n$2\r\nid\r\n:5\r\n"),
                "CLUSTER" => push_word(&mut out, self.map(node).as_bytes()),
                "ASKING" => {
                    self.links.0.get_mut(&id).unwrap().is_asking = true;
                    out.extend_from_slice(b"+OK\r\n");
                }
                "SET" | "GET" => {
                    let is_asking = std::mem::take(&mut self.links.0.get_mut(&id).unwrap().is_asking);
                    self.carry_out(node, &words, is_asking, &mut out);
                }
                _ => out.extend_from_slice(b"+OK\r\n"),
            }
        }
        let due = self.now + self.latency();
        if let Some(link) = self.links.0.get_mut(&id) {
            link.input = input;
            if !out.is_empty() {
                link.back.push_back((due, out));
            }
        }
    }

    fn carry_out(&mut self, node: usize, words: &[String], is_asking: bool, out: &mut Vec<u8>) {
        let key = &words[1];
        let slot = Slot::of(key.as_bytes());
        // Nobody has ever said that it is there: it was sent there because somebody was asked for another command once.
        assert!(
            is_asking || self.ever.contains(&(slot, node)),
            "{words:?} at {node}, which was never its owner\n{self:?}"
        );
        let owner = self.owners[&slot].owner;
        let source = self.migration.filter(|(of, ..)| *of == slot).map(|(_, from, _)| from);
        let (now, server) = (self.now, &mut self.servers[node]);
        server.served += 1;
        let refusal = if now < server.down {
            Some("CLUSTERDOWN The cluster is down".to_owned())
        } else if server.refuses.is_some_and(|every| server.served % every == 0) {
            Some("TRYAGAIN Multiple keys request during rehashing of slot".to_owned())
        } else if server.view[&slot].owner != node && !(is_asking && server.arriving.contains(&slot)) {
            let Endpoint { host, port } = at(server.view[&slot].owner);
            Some(format!("MOVED {slot} {host}:{port}"))
        } else if let Some(&to) = server.leaving.get(&slot)
            && !server.data.contains_key(key)
        {
            Some(format!("ASK {slot} :{}", at(to).port))
        } else {
            None
        };
        if let Some(words) = refusal {
            out.extend_from_slice(format!("-{words}\r\n").as_bytes());
            return;
        }
        // Who was told to ask in one migration and does so in the next one, of the same slot to the same node, writes what the source's
        // key will overwrite. No client can know.
        let is_late = is_asking && source.is_some_and(|source| self.servers[source].data.contains_key(key));
        // Of who was replaced, or does not own it any more, nothing is kept.
        let is_source = source == Some(node);
        let kept = if (owner == node || is_asking || is_source) && !is_late { 'k' } else { 'd' };
        let server = &mut self.servers[node];
        if words[0] == "SET" {
            server.data.insert(key.clone(), words[2].parse().unwrap());
        }
        let value = server.data.get(key).copied().unwrap_or(0);
        // Who is asked for once has no claim yet.
        let epoch = if is_asking { 0 } else { server.view[&slot].epoch };
        push_word(out, format!("{kept}{value}@{epoch}").as_bytes());
    }
}
