//! Happy Eyeballs (RFC 8305 section 5): which address is tried when. Pure: addresses are numbers in the order to try
//! them, time is a parameter. Knows nothing of limits, of TLS, or of what a winner is used for.
//!
//! - The first attempt starts at once; the next after a failure at once, or beside the waiting ones when the newest of
//!   them has waited for the attempt delay. One late look at the clock starts one attempt, not a burst.
//! - The delay never ends an attempt: a far-away server may take longer than the delay to answer, and ending its attempt
//!   would make it unreachable. Only a winner, a limit of the connection or its close ends one.
//! - At most [`MAX_IN_FLIGHT`] attempts wait at a time. While there are so many, no further one starts until one of them
//!   ends. (To drop the oldest instead would be the delay ending attempts after all.)

#![forbid(unsafe_code)]

use super::machine::{AttemptError, ErrorKind};
use crate::clock::Nanos;
use std::ffi::c_int;

/// How many attempts wait at a time. With the usual delay of 250 ms the limit is felt only when sixteen addresses are
/// silent for four seconds; it is there for answers with hundreds of addresses, each of which would cost a descriptor.
pub const MAX_IN_FLIGHT: usize = 16;

/// RFC 8305 section 5: the delay "MUST NOT under any circumstances be less than 10 milliseconds".
pub const MIN_ATTEMPT_DELAY: Nanos = 10_000_000;

/// The attempts of one connection.
#[derive(Clone, Debug)]
pub struct Race {
    /// How many addresses there are.
    addresses: usize,
    /// The first address that was not tried yet; all before it were.
    next: usize,
    /// The attempts that wait, oldest first.
    in_flight: Vec<usize>,
    delay: Nanos,
    /// When `next` may start; `None`: only after a failure.
    due: Option<Nanos>,
    failures: Failures,
}

/// What is remembered of failed attempts.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// `on_socket` refused one.
    refused: bool,
    /// The last errno that said: out of descriptors, memory or ports.
    shortage: Option<c_int>,
    /// The last other errno.
    other: Option<c_int>,
}

impl Race {
    /// A race over so many addresses; the first is due at once.
    pub fn new(addresses: usize, attempt_delay: Nanos) -> Race {
        Race {
            addresses,
            next: 0,
            in_flight: Vec::with_capacity(addresses.min(2)),
            delay: attempt_delay.max(MIN_ATTEMPT_DELAY),
            due: Some(0),
            failures: Failures::default(),
        }
    }

    /// The address to try now, if there is one; it counts as in flight from here on. Spurious calls are harmless.
    pub fn start_next(&mut self, now: Nanos) -> Option<usize> {
        if self.next_start().is_none_or(|due| due > now) {
            return None;
        }
        let address = self.next;
        self.next += 1;
        self.in_flight.push(address);
        self.due = now.checked_add(self.delay);
        Some(address)
    }

    /// When [`Race::start_next`] has something to give; `None` when only an event can change that. May change with
    /// `start_next`, [`Race::failed`] and [`Race::connected`].
    pub fn next_start(&self) -> Option<Nanos> {
        let possible = self.next < self.addresses && self.in_flight.len() < MAX_IN_FLIGHT;
        self.due.filter(|_| possible)
    }

    /// An attempt failed: the next address is due at once. `false` when no such attempt was in flight.
    pub fn failed(&mut self, address: usize, error: AttemptError) -> bool {
        if !self.remove(address) {
            return false;
        }
        self.failures.add(error);
        self.due = Some(0);
        true
    }

    /// An attempt connected and leaves the race; what is still [`Race::in_flight`] lost. `false` when no such attempt was
    /// in flight: it lost to one that connected in the same instant, or all is over.
    pub fn connected(&mut self, address: usize) -> bool {
        self.remove(address)
    }

    /// Whether every address was tried and every attempt failed.
    pub fn is_lost(&self) -> bool {
        self.in_flight.is_empty() && self.next >= self.addresses
    }

    /// The attempts that wait, oldest first.
    pub fn in_flight(&self) -> &[usize] {
        &self.in_flight
    }

    /// How many addresses were tried.
    pub fn tried(&self) -> usize {
        self.next
    }

    /// What a lost race counts as, and the errno to report:
    ///
    /// - out of descriptors, memory or ports in every attempt: `Resource` with the last of these;
    /// - refused by `on_socket` in every attempt: `Connect` with ECANCELED;
    /// - else `Connect` with the last errno that is neither (it tells about the peer, the others about this process); where
    ///   there is none (refusals and shortages alone), with the last shortage.
    pub fn verdict(&self) -> (ErrorKind, c_int) {
        match self.failures {
            Failures {
                other: Some(errno), ..
            } => (ErrorKind::Connect, errno),
            Failures {
                shortage: Some(errno),
                refused: false,
                ..
            } => (ErrorKind::Resource, errno),
            Failures {
                shortage: Some(errno),
                ..
            } => (ErrorKind::Connect, errno),
            _ => (ErrorKind::Connect, libc::ECANCELED),
        }
    }

    fn remove(&mut self, address: usize) -> bool {
        let position = self.in_flight.iter().position(|&a| a == address);
        if let Some(position) = position {
            // Not swap_remove: the order of starting is the order of closing.
            self.in_flight.remove(position);
        }
        position.is_some()
    }
}

impl Failures {
    fn add(&mut self, error: AttemptError) {
        match error {
            AttemptError::Refused => self.refused = true,
            AttemptError::OutOfPorts => self.shortage = Some(libc::EADDRNOTAVAIL),
            AttemptError::Errno(errno) if is_shortage(errno) => self.shortage = Some(errno),
            AttemptError::Errno(errno) => self.other = Some(errno),
        }
    }
}

/// Whether an errno of making, registering or connecting a socket says that this process or system is out of something.
///
/// Not EADDRNOTAVAIL: it means "no free port" only for an unbound IPv4 socket; `bind` gives it for a wrong `local_addr`, and
/// `connect` where a system has no IPv6 address. Who can tell reports [`AttemptError::OutOfPorts`]. Not EAGAIN: on a Unix
/// socket it is the full backlog of the peer, and Linux's TCP does not give it.
fn is_shortage(errno: c_int) -> bool {
    matches!(
        errno,
        // ENOSPC: the poller is out of watches (/proc/sys/fs/epoll/max_user_watches).
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC
    )
}

#[cfg(test)]
#[path = "race_tests.rs"]
mod tests;
