//! Numbers of servers, and what there is for each of them. Pure.

use std::ops::{Index, IndexMut};

/// Stands for a server of an engine. It is not used again for another one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u16);

impl PeerId {
    /// The only server, where there is one.
    pub const FIRST: Self = Self(0);
    /// None: what a server answers that is not known yet.
    pub const NOBODY: Self = Self(u16::MAX);

    /// The server of a number.
    #[must_use]
    pub const fn of(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// One thing for each server: few, so that looking through them takes no time.
#[derive(Debug)]
pub struct ByPeer<V>(Vec<(PeerId, V)>);

impl<V> Default for ByPeer<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> ByPeer<V> {
    /// That of a server, which is made where there was none.
    pub fn or_insert(&mut self, of: PeerId, make: impl FnOnce() -> V) -> &mut V {
        let place = self.0.iter().position(|(id, _)| *id == of).unwrap_or_else(|| {
            self.0.push((of, make()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// That of the only server.
    #[must_use]
    pub fn of_first(value: V) -> Self {
        Self(vec![(PeerId::FIRST, value)])
    }

    /// The server at a place, counted from 0; `None` behind the last one.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<PeerId> {
        self.0.get(place).map(|(id, _)| *id)
    }

    /// That of a server.
    #[inline]
    #[must_use]
    pub fn get(&self, of: PeerId) -> Option<&V> {
        self.0.iter().find(|(id, _)| *id == of).map(|(_, value)| value)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, of: PeerId) -> Option<&mut V> {
        self.0.iter_mut().find(|(id, _)| *id == of).map(|(_, value)| value)
    }

    /// Puts in that of another server.
    pub fn insert(&mut self, of: PeerId, value: V) {
        self.0.push((of, value));
    }

    /// Takes out that of a server.
    pub fn remove(&mut self, of: PeerId) -> Option<V> {
        let place = self.0.iter().position(|(id, _)| *id == of)?;
        Some(self.0.remove(place).1)
    }

    /// All, with their servers.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &V)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    /// All.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All, with their servers, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut V)> {
        self.0.iter_mut().map(|(id, value)| (*id, value))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps those that are to stay.
    pub fn retain(&mut self, stays: impl Fn(&V) -> bool) {
        self.0.retain(|(_, value)| stays(value));
    }

    /// All, taken out.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }

    /// Something of each.
    #[must_use]
    pub fn map<W>(&self, of: impl Fn(&V) -> W) -> ByPeer<W> {
        ByPeer(self.0.iter().map(|(id, value)| (*id, of(value))).collect())
    }
}

/// Of a server that is there.
impl<V> Index<PeerId> for ByPeer<V> {
    type Output = V;

    #[inline]
    fn index(&self, of: PeerId) -> &V {
        self.get(of).expect("the server is there")
    }
}

impl<V> IndexMut<PeerId> for ByPeer<V> {
    #[inline]
    fn index_mut(&mut self, of: PeerId) -> &mut V {
        self.get_mut(of).expect("the server is there")
    }
}
