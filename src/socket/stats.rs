//! What a socket has moved. Counted without locks or order: the two directions of a plain socket are two threads' affair.

use super::data::Moved;
use crate::clock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Milliseconds of the monotonic clock.
pub fn now_ms() -> i64 {
    (clock::now() / clock::MILLISECOND) as i64
}

/// One direction. On a cache line of its own, so that the two threads do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Side {
    bytes: AtomicU64,
    packets: AtomicU64,
    errors: AtomicU64,
    last: AtomicI64,
}

impl Side {
    /// A call that moved so many bytes.
    #[inline]
    pub(super) fn moved(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.packets.fetch_add(1, Relaxed);
        self.last.store(now_ms(), Relaxed);
    }

    /// A call that failed.
    #[cold]
    pub(super) fn failed(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    /// What came of a call; one that would block counts as none.
    pub(super) fn note(&self, moved: &Moved) {
        match moved {
            Ok(Some(count)) => self.moved(*count),
            Ok(None) => {}
            Err(_) => self.failed(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            bytes: self.bytes.load(Relaxed),
            packets: self.packets.load(Relaxed),
            errors: self.errors.load(Relaxed),
            last: self.last.load(Relaxed),
        }
    }

    fn reset(&self) {
        self.bytes.store(0, Relaxed);
        self.packets.store(0, Relaxed);
        self.errors.store(0, Relaxed);
        self.last.store(0, Relaxed);
    }
}

/// The counters of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Bytes moved.
    pub bytes: u64,
    /// Calls that moved some.
    pub packets: u64,
    /// Calls that failed.
    pub errors: u64,
    /// When bytes moved last, in ms; 0: not yet.
    pub last: i64,
}

/// All that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// Towards the peer.
    pub sent: Counts,
    /// From the peer.
    pub received: Counts,
    /// When the socket was made, in ms.
    pub created: i64,
    /// When it was connected, in ms; 0: not yet.
    pub connected: i64,
}

#[derive(Debug)]
pub(super) struct Stats {
    pub(super) sent: Side,
    pub(super) received: Side,
    created: i64,
    connected: AtomicI64,
}

impl Stats {
    pub(super) fn new() -> Stats {
        Stats {
            sent: Side::default(),
            received: Side::default(),
            created: now_ms(),
            connected: AtomicI64::new(0),
        }
    }

    pub(super) fn connected(&self) {
        self.connected.store(now_ms(), Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            sent: self.sent.counts(),
            received: self.received.counts(),
            created: self.created,
            connected: self.connected.load(Relaxed),
        }
    }

    /// As if it had just been made, but for the time when it was.
    pub(super) fn reset(&self) {
        self.sent.reset();
        self.received.reset();
        self.connected.store(0, Relaxed);
    }
}
