//! The map of a cluster as one of its nodes tells it: `CLUSTER NODES`, which has the epochs by which claims to a slot are told
//! apart, and `CLUSTER SLOTS`, which has the addresses that clients are meant to use. Pure.

use std::collections::BTreeMap;

use crate::redis::decode::Token;
use crate::redis::refusal::Endpoint;
use crate::redis::slot::{Slot, SlotSet};

/// More nodes than that no cluster has (Redis recommends at most 1,000).
const MAX_NODES: usize = 4_096;
/// The length of a node's id.
const ID: usize = 40;

/// A node, as a node tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id, which it keeps over restarts.
    pub id: String,
    /// Where it is; `None`: the teller does not know.
    pub endpoint: Option<Endpoint>,
    /// It is the teller.
    pub is_myself: bool,
    /// It is a master.
    pub is_master: bool,
    /// The epoch of its claims.
    pub epoch: u64,
    /// The slots that it owns, as first and last of each range.
    pub ranges: Vec<(Slot, Slot)>,
    /// The slots that it hands over; told of the teller alone.
    pub leaving: Vec<Slot>,
    /// The ids of the nodes that it hands them over to, in the same order.
    pub targets: Vec<String>,
    /// The slots that it takes over; told of the teller alone.
    pub arriving: Vec<Slot>,
}

impl Node {
    /// The slots that it owns and that neither come nor go; of the teller, because of others it is not told.
    #[must_use]
    pub fn settled(&self) -> SlotSet {
        let ranges = self.ranges.iter().filter(|_| self.is_master);
        let slots = ranges.flat_map(|(first, last)| (first.number()..=last.number()).filter_map(Slot::new));
        let mut slots: SlotSet = slots.collect();
        for &slot in self.leaving.iter().chain(&self.arriving) {
            slots.remove(slot);
        }
        slots
    }
}

/// What `CLUSTER NODES` is asked with.
pub const ASK_NODES: &[&[u8]] = &[b"CLUSTER", b"NODES"];
/// What `CLUSTER SLOTS` is asked with.
pub const ASK_SLOTS: &[&[u8]] = &[b"CLUSTER", b"SLOTS"];

/// Reads what `CLUSTER NODES` answers, or says what is wrong with it. `teller`: where it was asked.
/// `endpoints`: see [`endpoints`].
pub fn nodes(text: &str, teller: &Endpoint, endpoints: &BTreeMap<String, Endpoint>) -> Result<Vec<Node>, String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_NODES {
        return Err(format!("a map of {} nodes", lines.len()));
    }
    let mut nodes = Vec::with_capacity(lines.len());
    for line in lines {
        let mut node = node(line).ok_or_else(|| format!("a map with the line {:?}", shortened(line)))?;
        node.endpoint = endpoints.get(&node.id).cloned().or(node.endpoint).map(|at| at.or_host_of(teller));
        nodes.push(node);
    }
    if nodes.iter().filter(|node| node.is_myself).count() != 1 {
        return Err("a map that does not say whose it is".to_owned());
    }
    Ok(nodes)
}

/// The teller's own line of what `CLUSTER NODES` answers, without its address, or what is wrong with it.
pub fn own(text: &str) -> Result<Node, String> {
    let is_own =
        |line: &&str| line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"));
    let line = text.lines().find(is_own).ok_or("a map that does not say whose it is")?;
    node(line).ok_or_else(|| format!("a map with the line {:?}", shortened(line)))
}

fn shortened(line: &str) -> String {
    line.chars().take(120).collect()
}

/// `id ip:port@busport[,hostname[,…]] flags master ping pong epoch link slot …`
fn node(line: &str) -> Option<Node> {
    let mut words = line.split(' ');
    let id = words.next().filter(|id| is_id(id))?;
    let address = words.next()?;
    let flags: Vec<_> = words.next()?.split(',').collect();
    let (_master, _ping, _pong) = (words.next()?, words.next()?, words.next()?);
    let epoch = words.next()?.parse().ok()?;
    let _link = words.next()?;
    let (mut ranges, mut leaving, mut targets, mut arriving) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for word in words.filter(|word| !word.is_empty()) {
        if let Some(mark) = word.strip_prefix('[') {
            let mark = mark.strip_suffix(']')?;
            if let Some((number, target)) = mark.split_once("->-") {
                leaving.push(slot(number)?);
                targets.push(target.to_owned());
            } else {
                arriving.push(slot(mark.split_once("-<-")?.0)?);
            }
        } else {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (slot(first)?, slot(last)?);
            ranges.push((first <= last).then_some((first, last))?);
        }
    }
    // Before 4.0 there is no port of the bus; from 7.0 on a hostname follows it.
    let at = address.split_once(',').map_or(address, |(at, _)| at);
    let at = at.split_once('@').map_or(at, |(at, _)| at);
    let is_known = !flags.contains(&"noaddr") && !flags.contains(&"handshake");
    Some(Node {
        id: id.to_owned(),
        endpoint: is_known.then(|| Endpoint::read(at)).flatten(),
        is_myself: flags.contains(&"myself"),
        is_master: flags.contains(&"master"),
        epoch,
        ranges,
        leaving,
        targets,
        arriving,
    })
}

fn slot(number: &str) -> Option<Slot> {
    number.parse().ok().and_then(Slot::new)
}

fn is_id(id: &str) -> bool {
    id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The addresses that clients are meant to use, by the ids of nodes, as `CLUSTER SLOTS` tells them: names, where nodes announce
/// those. An address that is not told is the one that was asked.
#[must_use]
pub fn endpoints(buffer: &[u8], tokens: &[Token]) -> BTreeMap<String, Endpoint> {
    let text = |range: &std::ops::Range<usize>| std::str::from_utf8(&buffer[range.clone()]).ok();
    let mut found = BTreeMap::new();
    // A node is `[address, port, id, …]`; nothing else there looks like that.
    for window in tokens.windows(4) {
        let [Token::Array(length), address, Token::Number(port), Token::Text(id)] = window else { continue };
        let Some(id) = text(id).filter(|id| *length >= 3 && is_id(id)) else { continue };
        let host = match address {
            Token::Null => "",
            Token::Text(range) => text(range).unwrap_or(""),
            _ => continue,
        };
        if let Some(endpoint) = Endpoint::read(&format!("{host}:{port}")) {
            found.insert(id.to_owned(), endpoint);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::decode::Decoder;

    const A: &str = "86c9e504b68f1c172b45e015d29c7559e158d912";
    const B: &str = "07c37dfeb235213a872192d90877d0cd55635b91";

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port }
    }

    fn slots(numbers: &[u16]) -> Vec<Slot> {
        numbers.iter().map(|&number| Slot::new(number).unwrap()).collect()
    }

    #[test]
    fn a_map_is_read_as_each_release_writes_it() {
        let text = format!(
            "{A} 10.0.0.1:7000@17000,a.example,shard-id=1 myself,master - 0 1426238317239 5 connected 0-5460 5462 [93->-{B}] [77-<-{B}]\n\
             {B} 10.0.0.2:7001@17001 slave,nofailover {A} 0 1426238316232 5 connected\n\
             {} ::1:7002@17002, master,fail? - 1 2 3 disconnected 5463-16383\n\
             {} :0@0 master,noaddr,fail - 1 2 4 disconnected\n",
            A.replace('8', "9"),
            A.replace('8', "7"),
        );
        let nodes = nodes(&text, &at("seed", 1), &BTreeMap::new()).unwrap();
        let first = &nodes[0];
        assert_eq!(first.endpoint, Some(at("10.0.0.1", 7_000)));
        assert_eq!((first.is_myself, first.is_master, first.epoch), (true, true, 5));
        let ranges = slots(&[0, 5_460, 5_462]);
        assert_eq!(first.ranges, [(ranges[0], ranges[1]), (ranges[2], ranges[2])]);
        assert_eq!((&first.leaving, &first.arriving), (&slots(&[93]), &slots(&[77])));
        assert_eq!(first.targets, [B]);
        assert_eq!(own(&text).as_ref(), Ok(first));
        let settled = first.settled();
        assert_eq!(settled.len(), 5_460);
        assert!([0, 5_460, 5_462].iter().all(|&number| settled.contains(Slot::new(number).unwrap())));
        assert!([77, 93, 5_461].iter().all(|&number| !settled.contains(Slot::new(number).unwrap())));
        let replica = nodes[0].clone();
        assert!(Node { is_master: false, ..replica }.settled().is_empty());
        assert!(own(&text.replace("myself,", "")).is_err());
        assert!(!nodes[1].is_master && !nodes[1].is_myself && nodes[1].ranges.is_empty());
        assert_eq!(nodes[2].endpoint, Some(at("::1", 7_002)));
        assert_eq!(nodes[3].endpoint, None);
        assert_eq!(nodes.len(), 4);
    }

    #[test]
    fn a_node_that_does_not_know_its_own_address_is_where_it_was_asked() {
        let text = format!("{A} :7000@17000 myself,master - 0 0 0 connected 0-16383\n");
        let nodes = nodes(&text, &at("seed", 1), &BTreeMap::new()).unwrap();
        assert_eq!(nodes[0].endpoint, Some(at("seed", 7_000)));
    }

    #[test]
    fn clients_use_the_addresses_that_are_meant_for_them() {
        let reply = format!(
            "*2\r\n*4\r\n:0\r\n:5460\r\n*4\r\n$9\r\na.example\r\n:7000\r\n$40\r\n{A}\r\n*2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n\
             *4\r\n$1\r\n?\r\n:7001\r\n$40\r\n{B}\r\n*0\r\n\
             *3\r\n:5461\r\n:16383\r\n*4\r\n_\r\n:7002\r\n$40\r\n{}\r\n%1\r\n$8\r\nhostname\r\n$1\r\nx\r\n",
            A.replace('8', "9"),
        );
        let mut tokens = Vec::new();
        assert!(Decoder::default().advance(reply.as_bytes(), &mut tokens).unwrap());
        let found = endpoints(reply.as_bytes(), &tokens);
        assert_eq!(found.len(), 3);
        assert_eq!((&found[A], &found[B]), (&at("a.example", 7_000), &at("", 7_001)));
        assert_eq!(found[&A.replace('8', "9")], at("", 7_002));
        let text = format!(
            "{A} 10.0.0.1:7000@17000 myself,master - 0 0 0 connected\n{B} 10.0.0.1:1@2 slave {A} 0 0 0 connected"
        );
        let nodes = nodes(&text, &at("seed", 1), &found).unwrap();
        assert_eq!(nodes[0].endpoint, Some(at("a.example", 7_000)));
        assert_eq!(nodes[1].endpoint, Some(at("seed", 7_001)));
    }

    #[test]
    fn what_is_no_map_is_refused_as_a_whole() {
        let good = format!("{A} h:1@2 myself,master - 0 0 0 connected");
        let read = |text: &str| nodes(text, &at("seed", 1), &BTreeMap::new());
        assert!(read(&good).is_ok() && own("a map").is_err() && own(&format!("{good} 7-3")).is_err());
        for bad in [
            String::new(),
            "a map".to_owned(),
            good.replace("myself,", ""),
            format!("{good}\n{good}"),
            format!("{good} 16384"),
            format!("{good} 7-3"),
            format!("{good} 3-x"),
            format!("{good} [3-]"),
            format!("{good} [3->-{B}"),
            good.replace("0 connected", "x connected"),
            good.replace(A, "short"),
            format!("{good}\n{}", format!("{B} h:1@2 master - 0 0 0 connected\n").repeat(MAX_NODES)),
        ] {
            assert!(read(&bad).is_err(), "{}", shortened(&bad));
        }
    }
}
