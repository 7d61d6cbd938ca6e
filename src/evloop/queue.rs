//! A first-in, first-out queue that can be marked: what was pushed before the mark can be told from what came later,
//! also when somebody else takes entries meanwhile. This is how a round leaves what is added in it to a later round,
//! with rounds nested in it.

use std::collections::{TryReserveError, VecDeque};

/// The queue.
pub(super) struct Queue<T> {
    items: VecDeque<T>,
    /// How many were ever taken.
    taken: u64,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Queue<T> {
        Queue {
            items: VecDeque::new(),
            taken: 0,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push_back(item);
    }

    /// Room for one more, or an error instead of an abort.
    pub(super) fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.items.try_reserve(1)
    }

    /// The point between what is in the queue now and what will be pushed.
    #[inline]
    pub(super) fn mark(&self) -> u64 {
        self.taken + self.items.len() as u64
    }

    /// The oldest entry, if it was pushed before `mark`.
    pub(super) fn take_before(&mut self, mark: u64) -> Option<T> {
        if self.taken >= mark {
            return None;
        }
        let item = self.items.pop_front()?;
        self.taken += 1;
        Some(item)
    }

    /// Everything, for the end.
    pub(super) fn take_all(&mut self) -> VecDeque<T> {
        self.taken += self.items.len() as u64;
        std::mem::take(&mut self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_after_the_mark_stay() {
        let mut queue = Queue::new();
        queue.push(1);
        queue.push(2);
        let mark = queue.mark();
        queue.push(3);
        assert_eq!(queue.take_before(mark), Some(1));
        assert_eq!(queue.take_before(mark), Some(2));
        assert_eq!(queue.take_before(mark), None);
        assert_eq!(queue.take_before(queue.mark()), Some(3));
    }

    #[test]
    fn a_mark_holds_while_a_nested_reader_takes_entries() {
        let mut queue = Queue::new();
        queue.push(1);
        queue.push(2);
        let outer = queue.mark();
        assert_eq!(queue.take_before(outer), Some(1));
        let nested = queue.mark();
        assert_eq!(queue.take_before(nested), Some(2));
        queue.push(3);
        assert_eq!(queue.take_before(outer), None);
    }
}
