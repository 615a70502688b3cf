//! The maps that JavaScript has made, by number.

use std::cell::RefCell;
use std::rc::Rc;

use crate::services::table::is_tracked;

/// A namespace of keys with its time to live.
pub(super) struct Map {
    /// `connectionKey:`
    pub(super) prefix: Box<[u8]>,
    /// Seconds; `None` keeps keys for ever.
    pub(super) ttl: Option<u64>,
    /// Its keys may stand in the near cache.
    pub(super) tracked: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Maps {
    maps: RefCell<Vec<Option<Rc<Map>>>>,
    free: RefCell<Vec<usize>>,
}

impl Maps {
    /// Notes a map; its number is good until [`Maps::remove`].
    pub(super) fn add(&self, name: &[u8], ttl: Option<u64>) -> usize {
        let prefix: Box<[u8]> = [name, b":"].concat().into();
        let map = Rc::new(Map { tracked: is_tracked(&prefix), prefix, ttl });
        let mut maps = self.maps.borrow_mut();
        if let Some(free) = self.free.borrow_mut().pop() {
            maps[free] = Some(map);
            return free;
        }
        maps.push(Some(map));
        maps.len() - 1
    }

    /// A map by its number.
    pub(super) fn get(&self, number: usize) -> Option<Rc<Map>> {
        self.maps.borrow().get(number).cloned().flatten()
    }

    /// JavaScript has let go of a map; its number is given to the next one.
    pub(super) fn remove(&self, number: usize) {
        if self.maps.borrow_mut().get_mut(number).and_then(Option::take).is_some() {
            self.free.borrow_mut().push(number);
        }
    }
}
