//! Values at places that stay theirs until they are removed, at the price of little more than the values. Knows nothing of
//! what they are.

/// By how many places it grows at a time: doubling would leave up to half of it empty.
const STEP: usize = 128;

/// The values.
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The first free place; `slots.len()` when there is none.
    free: usize,
}

enum Slot<T> {
    /// With the next free place.
    Free(usize),
    Used(T),
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots {
            slots: Vec::new(),
            free: 0,
        }
    }
}

impl<T> Slots<T> {
    /// Puts a value at a free place; which one.
    pub(super) fn insert(&mut self, value: T) -> usize {
        let place = self.free;
        match self.slots.get_mut(place) {
            Some(slot) => {
                self.free = match slot {
                    Slot::Free(next) => *next,
                    // Never: a free place is free.
                    Slot::Used(_) => return self.append(value),
                };
                *slot = Slot::Used(value);
                place
            }
            None => self.append(value),
        }
    }

    fn append(&mut self, value: T) -> usize {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(STEP);
        }
        self.slots.push(Slot::Used(value));
        self.free = self.slots.len();
        self.slots.len() - 1
    }

    /// Takes the value at a place, if one is there.
    pub(super) fn remove(&mut self, place: usize) -> Option<T> {
        let slot = self.slots.get_mut(place)?;
        match std::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Used(value) => {
                self.free = place;
                Some(value)
            }
            free @ Slot::Free(_) => {
                *slot = free;
                None
            }
        }
    }

    /// All values that are there.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        })
    }

    /// Takes the last value; the places before it stay.
    pub(super) fn pop(&mut self) -> Option<T> {
        while let Some(slot) = self.slots.pop() {
            if let Slot::Used(value) = slot {
                self.forget_free_places();
                return Some(value);
            }
        }
        self.free = 0;
        None
    }

    /// After places at the end are gone, the list of free ones may name them: it begins anew.
    fn forget_free_places(&mut self) {
        self.free = self.slots.len();
        for place in (0..self.slots.len()).rev() {
            if let Slot::Free(next) = &mut self.slots[place] {
                *next = self.free;
                self.free = place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut slots = Slots::default();
        let places: Vec<usize> = (0..5).map(|n| slots.insert(n)).collect();
        assert_eq!(places, [0, 1, 2, 3, 4]);
        assert_eq!(slots.remove(1), Some(1));
        assert_eq!(slots.remove(3), Some(3));
        assert_eq!(slots.remove(3), None);
        assert_eq!(slots.remove(9), None);
        assert_eq!(
            (slots.insert(6), slots.insert(7), slots.insert(8)),
            (3, 1, 5)
        );
    }

    #[test]
    fn all_come_out_whatever_is_removed_and_added_meanwhile() {
        let mut slots = Slots::default();
        for n in 0..10 {
            slots.insert(n);
        }
        slots.remove(2);
        slots.remove(9);
        assert_eq!(slots.pop(), Some(8));
        assert_eq!(slots.insert(20), 2);
        assert_eq!(slots.insert(21), 8);
        let mut rest: Vec<i32> = std::iter::from_fn(|| slots.pop()).collect();
        rest.sort_unstable();
        assert_eq!(rest, [0, 1, 3, 4, 5, 6, 7, 20, 21]);
        assert_eq!(slots.insert(1), 0);
    }

    #[test]
    fn a_place_costs_no_more_than_what_is_there() {
        assert_eq!(
            size_of::<Slot<std::rc::Rc<dyn Fn()>>>(),
            size_of::<std::rc::Rc<dyn Fn()>>()
        );
    }
}
