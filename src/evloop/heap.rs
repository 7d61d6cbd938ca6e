//! The timers' priority queue: pure, no clock, no callbacks.
//!
//! A four-way heap of (deadline, order of arming). Each entry is named by a small number, its slot, and the heap knows
//! where each slot's entry is, so that moving and removing one costs O(log n) and a removed one leaves nothing behind.

use crate::clock::Nanos;

/// Children of a node: four keep a level in one or two cache lines and the tree half as deep as two.
const ARITY: usize = 4;
/// The position of a slot that has no entry.
const NOWHERE: u32 = u32::MAX;

/// One armed timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub deadline: Nanos,
    /// Counts armings: equal deadlines come out in this order.
    pub order: u64,
    pub slot: u32,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.deadline, self.order) < (other.deadline, other.order)
    }
}

/// The heap.
#[derive(Default)]
pub struct Heap {
    entries: Vec<Entry>,
    /// By slot: the index in `entries`.
    positions: Vec<u32>,
    next_order: u64,
}

impl Heap {
    /// The earliest entry.
    #[inline]
    pub fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// Everything armed from now on has an order of at least this.
    #[inline]
    pub fn mark(&self) -> u64 {
        self.next_order
    }

    /// Inserts the slot's entry or moves it.
    pub fn set(&mut self, slot: u32, deadline: Nanos) {
        let entry = Entry {
            deadline,
            order: self.next_order,
            slot,
        };
        self.next_order += 1;
        if self.positions.len() <= slot as usize {
            self.positions.resize(slot as usize + 1, NOWHERE);
        }
        match self.positions[slot as usize] {
            NOWHERE => {
                self.entries.push(entry);
                self.rise(self.entries.len() - 1, entry);
            }
            position => self.settle(position as usize, entry),
        }
    }

    /// Removes the slot's entry, if there is one.
    pub fn remove(&mut self, slot: u32) {
        let Some(&position) = self.positions.get(slot as usize) else {
            return;
        };
        if position == NOWHERE {
            return;
        }
        self.positions[slot as usize] = NOWHERE;
        if let Some(last) = self.entries.pop() {
            if (position as usize) < self.entries.len() {
                self.settle(position as usize, last);
            }
        }
    }

    /// Puts `entry` into the hole at `position` and restores the order from there, in whichever direction.
    fn settle(&mut self, position: usize, entry: Entry) {
        if position > 0 && entry.before(&self.entries[(position - 1) / ARITY]) {
            self.rise(position, entry);
        } else {
            self.sink(position, entry);
        }
    }

    fn rise(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.place(position, self.entries[parent]);
            position = parent;
        }
        self.place(position, entry);
    }

    fn sink(&mut self, mut position: usize, entry: Entry) {
        loop {
            let first = position * ARITY + 1;
            let end = (first + ARITY).min(self.entries.len());
            let mut least = entry;
            let mut from = position;
            for child in first..end {
                if self.entries[child].before(&least) {
                    least = self.entries[child];
                    from = child;
                }
            }
            self.place(position, least);
            if from == position {
                return;
            }
            position = from;
        }
    }

    fn place(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        self.positions[entry.slot as usize] = position as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, Nanos),
        Remove(u32),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..40u32, 0..20u64).prop_map(|(slot, deadline)| Step::Set(slot, deadline)),
            2 => (0..40u32).prop_map(Step::Remove),
            2 => Just(Step::Pop),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// The model: a map from slot to (deadline, order) whose least value comes first.
        #[test]
        fn it_agrees_with_a_sorted_map(steps in proptest::collection::vec(step(), 0..200)) {
            let mut heap = Heap::default();
            let mut model: BTreeMap<u32, (Nanos, u64)> = BTreeMap::new();
            let mut order = 0;
            for step in steps {
                match step {
                    Step::Set(slot, deadline) => {
                        heap.set(slot, deadline);
                        model.insert(slot, (deadline, order));
                        order += 1;
                    }
                    Step::Remove(slot) => {
                        heap.remove(slot);
                        model.remove(&slot);
                    }
                    Step::Pop => {
                        if let Some(first) = heap.first().copied() {
                            heap.remove(first.slot);
                            model.remove(&first.slot);
                        }
                    }
                }
                let least = model.iter().min_by_key(|(_, key)| **key);
                let first = heap.first().map(|e| (e.slot, (e.deadline, e.order)));
                prop_assert_eq!(first, least.map(|(slot, key)| (*slot, *key)));
                            }
            let mut drained = Vec::new();
            while let Some(first) = heap.first().copied() {
                heap.remove(first.slot);
                drained.push((first.deadline, first.order));
            }
            let mut expected: Vec<_> = model.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(drained, expected);
        }
    }

    #[test]
    fn cancelled_entries_leave_nothing_behind() {
        let mut heap = Heap::default();
        let rounds = if cfg!(miri) { 100 } else { 100_000 };
        for i in 0..rounds {
            heap.set(i % 10, Nanos::from(rounds - i));
            heap.remove(i % 10);
        }
        assert_eq!(heap.first(), None);
        assert!(heap.entries.capacity() <= 16);
        assert_eq!(heap.positions.len(), 10);
    }
}
