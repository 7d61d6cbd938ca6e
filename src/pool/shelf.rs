//! Things on a shelf, under keys: the newest of a key is taken first, the oldest of a key or of all is thrown away first.
//! Knows nothing of the things.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Where a thing lies; later places are larger, none is used twice.
pub(super) type Place = u64;

/// The shelf.
pub(super) struct Shelf<K, T> {
    things: BTreeMap<Place, (Rc<K>, T)>,
    by_key: BTreeMap<Rc<K>, BTreeSet<Place>>,
    next: Place,
}

impl<K: Ord, T> Shelf<K, T> {
    pub(super) fn new() -> Shelf<K, T> {
        Shelf {
            things: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next: 0,
        }
    }

    /// Puts a thing there, as the newest of all.
    pub(super) fn put(&mut self, key: &Rc<K>, thing: T) -> Place {
        let place = self.next;
        self.next += 1;
        self.things.insert(place, (Rc::clone(key), thing));
        let places = self.by_key.entry(Rc::clone(key)).or_default();
        places.insert(place);
        place
    }

    /// Takes what lies there.
    pub(super) fn take(&mut self, place: Place) -> Option<T> {
        let (key, thing) = self.things.remove(&place)?;
        if let Some(places) = self.by_key.get_mut(&key) {
            places.remove(&place);
            if places.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(thing)
    }

    /// Takes the newest thing of a key, with its key.
    pub(super) fn take_newest(&mut self, key: &K) -> Option<(Rc<K>, T)> {
        let place = *self.by_key.get(key)?.last()?;
        let key = Rc::clone(&self.things.get(&place)?.0);
        Some((key, self.take(place)?))
    }

    /// The oldest thing of all.
    pub(super) fn oldest(&self) -> Option<(Place, &T)> {
        let (place, (_, thing)) = self.things.first_key_value()?;
        Some((*place, thing))
    }

    /// What a key has too many, oldest first.
    pub(super) fn surplus_of(&self, key: &K, most: usize) -> Vec<Place> {
        match self.by_key.get(key) {
            Some(places) => surplus(places, most),
            None => Vec::new(),
        }
    }

    /// What all keys have too many, each for itself.
    pub(super) fn surplus(&self, most: usize) -> Vec<Place> {
        let keys = self.by_key.values();
        keys.flat_map(|places| surplus(places, most)).collect()
    }

    /// The places of all keys that are like this.
    pub(super) fn places(&self, like: impl Fn(&K) -> bool) -> Vec<Place> {
        let keys = self.by_key.iter().filter(|(key, _)| like(key));
        keys.flat_map(|(_, places)| places.iter().copied())
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }
}

fn surplus(places: &BTreeSet<Place>, most: usize) -> Vec<Place> {
    let many = places.len().saturating_sub(most);
    places.iter().copied().take(many).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(things: &[(&'static str, u32)]) -> Shelf<&'static str, u32> {
        let mut shelf = Shelf::new();
        for (key, thing) in things {
            shelf.put(&Rc::new(*key), *thing);
        }
        shelf
    }

    #[test]
    fn the_newest_of_a_key_comes_first() {
        let mut shelf = shelf(&[("a", 1), ("b", 2), ("a", 3)]);
        let mut newest = |key| shelf.take_newest(&key).map(|(_, thing)| thing);
        assert_eq!(newest("a"), Some(3));
        assert_eq!(newest("a"), Some(1));
        assert_eq!(newest("a"), None);
        assert_eq!(newest("b"), Some(2));
        assert_eq!(shelf.len(), 0);
        assert!(shelf.by_key.is_empty());
    }

    #[test]
    fn a_thing_in_the_middle_can_be_taken() {
        let mut shelf = shelf(&[("a", 1), ("a", 2), ("a", 3)]);
        assert_eq!(shelf.take(1), Some(2));
        assert_eq!(shelf.take(1), None);
        assert_eq!(shelf.oldest(), Some((0, &1)));
        assert_eq!(shelf.take_newest(&"a").map(|(_, t)| t), Some(3));
        assert_eq!(shelf.take_newest(&"a").map(|(_, t)| t), Some(1));
        assert_eq!(shelf.oldest(), None);
    }

    #[test]
    fn the_oldest_are_too_many() {
        let shelf = shelf(&[("a", 1), ("a", 2), ("b", 3), ("a", 4)]);
        assert_eq!(shelf.surplus_of(&"a", 1), [0, 1]);
        assert_eq!(shelf.surplus_of(&"a", 3), [0; 0]);
        assert_eq!(shelf.surplus_of(&"c", 0), [0; 0]);
        assert_eq!(shelf.surplus(0), [0, 1, 3, 2]);
        assert_eq!(shelf.surplus(1), [0, 1]);
        assert_eq!(shelf.places(|key| *key == "b"), [2]);
    }
}
