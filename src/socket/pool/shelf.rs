//! Things that are kept by peer: the newest few of each, and not too many in all, where the oldest go first.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

/// Of one peer: servers send two tickets, and a client may open a few connections at once.
const MAX_PER_PEER: usize = 4;
/// Of all.
const MAX: usize = 1000;

/// A thing, and when it was put here.
pub(super) type Dated<T> = (u64, T);

/// The newest of each peer is at the end.
pub(super) struct Shelf<T> {
    by_peer: HashMap<SocketAddr, VecDeque<Dated<T>>>,
    by_age: BTreeMap<u64, SocketAddr>,
    next: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf {
            by_peer: HashMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Shelf<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    /// Puts one here; what has to go for it.
    pub(super) fn put(&mut self, peer: SocketAddr, thing: T) -> Vec<Dated<T>> {
        let age = self.next;
        self.next += 1;
        self.put_back(peer, VecDeque::from([(age, thing)]))
    }

    /// Takes all of a peer.
    pub(super) fn take(&mut self, peer: &SocketAddr) -> VecDeque<Dated<T>> {
        let taken = self.by_peer.remove(peer).unwrap_or_default();
        for (age, _) in &taken {
            self.by_age.remove(age);
        }
        taken
    }

    /// Puts back what was taken, in its place; what has to go, as others may have come meanwhile.
    pub(super) fn put_back(
        &mut self,
        peer: SocketAddr,
        things: VecDeque<Dated<T>>,
    ) -> Vec<Dated<T>> {
        let mut out = Vec::new();
        if things.is_empty() {
            return out;
        }
        let queue = self.by_peer.entry(peer).or_default();
        for (age, _) in &things {
            self.by_age.insert(*age, peer);
        }
        queue.extend(things);
        queue.make_contiguous().sort_by_key(|(age, _)| *age);
        while queue.len() > MAX_PER_PEER {
            out.extend(queue.pop_front());
        }
        for (age, _) in &out {
            self.by_age.remove(age);
        }
        while self.by_age.len() > MAX {
            out.extend(self.remove_oldest());
        }
        out
    }

    fn remove_oldest(&mut self) -> Option<Dated<T>> {
        let (_, peer) = self.by_age.pop_first()?;
        let queue = self.by_peer.get_mut(&peer)?;
        let oldest = queue.pop_front();
        if queue.is_empty() {
            self.by_peer.remove(&peer);
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 443))
    }

    fn things(taken: &VecDeque<Dated<usize>>) -> Vec<usize> {
        taken.iter().map(|(_, thing)| *thing).collect()
    }

    fn check(shelf: &Shelf<usize>) {
        let kept: usize = shelf.by_peer.values().map(VecDeque::len).sum();
        assert_eq!(kept, shelf.by_age.len());
        assert!(shelf.by_peer.values().all(|queue| !queue.is_empty()));
        assert_eq!(shelf.is_empty(), kept == 0);
    }

    #[test]
    fn the_newest_of_a_peer_stay() {
        let mut shelf = Shelf::default();
        for thing in 0..10 {
            let out = shelf.put(peer(1), thing);
            assert_eq!(out.len(), usize::from(thing >= MAX_PER_PEER));
            check(&shelf);
        }
        assert!(shelf.take(&peer(2)).is_empty());
        assert_eq!(things(&shelf.take(&peer(1))), [6, 7, 8, 9]);
        check(&shelf);
        assert!(shelf.is_empty());
    }

    #[test]
    fn the_oldest_of_all_go() {
        let mut shelf = Shelf::default();
        for thing in 0..MAX {
            assert!(shelf.put(peer(thing), thing).is_empty());
        }
        let first = shelf.take(&peer(0));
        assert!(shelf.put_back(peer(0), first).is_empty());
        let out = shelf.put(peer(5), 7777);
        assert_eq!(out, [(0, 0)]);
        check(&shelf);
        assert_eq!(things(&shelf.take(&peer(5))), [5, 7777]);
        check(&shelf);
    }

    #[test]
    fn what_comes_back_is_older_than_what_came_meanwhile() {
        let mut shelf = Shelf::default();
        for thing in 0..3 {
            shelf.put(peer(1), thing);
        }
        let taken = shelf.take(&peer(1));
        for thing in 3..6 {
            shelf.put(peer(1), thing);
        }
        let out = shelf.put_back(peer(1), taken);
        assert_eq!(out.len(), 2);
        check(&shelf);
        assert_eq!(things(&shelf.take(&peer(1))), [2, 3, 4, 5]);
        check(&shelf);
    }
}
