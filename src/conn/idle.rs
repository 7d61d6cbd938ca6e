//! The idle time-out: ends a READY connection that has moved no byte for a while.
//!
//! Moving bytes costs one store and no look at the clock: a read or write that gave something raises a flag. A timer
//! looks at the flag sixteen times in each length. Where it was raised, the last byte came since the last look, and the
//! length counts from this look on; so the time-out is never early, and late by a sixteenth of the length at most.

use super::machine::{ErrorKind, Event, State};
use super::Conn;
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use std::rc::Rc;

/// How many looks at the flag make a length.
const LOOKS: Nanos = 16;
/// Short lengths are looked at less often.
const SHORTEST_STEP: Nanos = SECOND / 1000;

/// What a connection with an idle time-out keeps.
pub(super) struct Idle {
    length: Nanos,
    /// No byte has moved since this time, unless the flag is up.
    since: Nanos,
    /// When to look next.
    next: Nanos,
}

impl Idle {
    /// Counts from now on.
    fn restart(&mut self, now: Nanos) {
        self.since = now;
        self.look_later(now);
    }

    fn look_later(&mut self, now: Nanos) {
        let step = (self.length / LOOKS).max(SHORTEST_STEP);
        self.next = self.end().min(now.saturating_add(step));
    }

    fn end(&self) -> Nanos {
        self.since.saturating_add(self.length)
    }

    /// A look at the flag: whether nothing has moved for the whole length.
    fn look(&mut self, moved: bool, now: Nanos) -> bool {
        if moved {
            self.restart(now);
            return false;
        }
        self.look_later(now);
        now >= self.end()
    }
}

impl Conn {
    /// Ends the connection with ETIMEDOUT when no byte moves for so long, from this call, READY or the last byte on, what
    /// comes last; `None`: never. EPERM.
    pub fn set_idle_timeout(self: &Rc<Self>, length: Option<Nanos>) -> Result<(), Errno> {
        self.event_loop().check_process()?;
        let idle = length.map(|length| Idle {
            length,
            since: 0,
            next: 0,
        });
        if idle.is_some() || self.has_idle_timeout() {
            self.seldom().idle.set(idle);
        }
        self.restart_idle();
        Ok(())
    }

    /// A byte of the stream moved.
    #[inline(always)]
    pub fn note_moved(&self) {
        self.moved.set(true);
    }

    /// The next user of the connection has not asked for one.
    pub(super) fn forget_idle(&self) {
        if self.has_idle_timeout() {
            self.seldom().idle.set(None);
            self.drop_timer();
        }
    }

    fn has_idle_timeout(&self) -> bool {
        self.with_idle(|_| ()).is_some()
    }

    /// Looks at the time-out, where there is one. `look` runs nothing else.
    fn with_idle<R>(&self, look: impl FnOnce(&mut Idle) -> R) -> Option<R> {
        let slot = &self.seldom.get()?.idle;
        let mut idle = slot.take()?;
        let result = look(&mut idle);
        slot.set(Some(idle));
        Some(result)
    }

    fn may_be_idle(&self) -> bool {
        self.established.get() && self.state() == State::Ready && !self.is_parked()
    }

    /// It is READY, or has another time-out.
    pub(super) fn restart_idle(self: &Rc<Self>) {
        if self.may_be_idle() {
            self.with_idle(|idle| {
                self.moved.set(false);
                idle.restart(clock::now());
            });
        }
        self.update_timer();
    }

    /// When the flag has to be looked at.
    pub(super) fn next_idle_look(&self) -> Option<Nanos> {
        match self.may_be_idle() {
            true => self.with_idle(|idle| idle.next),
            false => None,
        }
    }

    /// The connection's timer, while it is not establishing.
    pub(super) fn on_idle_timer(self: &Rc<Self>) {
        // Not the loop's time: what was moved in this round, after that was read, is newer.
        match self.with_idle(|idle| idle.look(self.moved.replace(false), clock::now())) {
            Some(true) => self.end_idle(),
            _ => self.update_timer(),
        }
    }

    fn end_idle(self: &Rc<Self>) {
        let length = self.with_idle(|idle| idle.length).unwrap_or(0);
        let text = format!("no byte moved for {} s", length as f64 / SECOND as f64);
        let message = format!("connection to {} failed: {text}", self.endpoint());
        self.set_failure(ErrorKind::Timeout, libc::ETIMEDOUT, message);
        self.direct.set(super::NOT_DIRECT);
        if let Some(transport) = self.transport() {
            transport.fail(Errno(libc::ETIMEDOUT), text);
        }
        self.step(Event::TransportFailed(ErrorKind::Timeout, libc::ETIMEDOUT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = SECOND / 1000;

    fn idle(length: Nanos) -> Idle {
        let mut idle = Idle {
            length,
            since: 0,
            next: 0,
        };
        idle.restart(1000 * MS);
        idle
    }

    #[test]
    fn nothing_moves() {
        let mut idle = idle(160 * MS);
        for look in 1..16 {
            assert_eq!(idle.next, (1000 + 10 * look) * MS);
            assert!(!idle.look(false, idle.next));
        }
        assert_eq!(idle.next, 1160 * MS);
        assert!(idle.look(false, 1160 * MS));
    }

    #[test]
    fn a_byte_counts_from_the_look_that_finds_it() {
        let mut idle = idle(160 * MS);
        assert!(!idle.look(false, 1010 * MS));
        // Moved at 1011, seen at 1020: over at 1180, 9 ms late and never before 1171.
        assert!(!idle.look(true, 1020 * MS));
        while idle.next < 1180 * MS {
            assert!(!idle.look(false, idle.next));
        }
        assert_eq!(idle.next, 1180 * MS);
        assert!(idle.look(false, 1180 * MS));
    }

    #[test]
    fn a_byte_just_before_the_end_is_seen_by_a_late_look() {
        let mut idle = idle(160 * MS);
        assert!(!idle.look(true, 5000 * MS));
        assert!(!idle.look(false, 5159 * MS));
        assert!(idle.look(false, 5160 * MS));
    }

    #[test]
    fn the_shortest_and_the_longest_length_are_no_storm_and_no_overflow() {
        let mut short = idle(1);
        assert_eq!(short.next, 1000 * MS + 1);
        assert!(short.look(false, short.next));
        let mut short = idle(2 * MS);
        assert_eq!(short.next, 1001 * MS);
        assert!(!short.look(true, 1001 * MS));
        assert_eq!(short.next, 1002 * MS);
        let mut long = idle(Nanos::MAX / 4);
        assert!(!long.look(false, Nanos::MAX / 8));
    }
}
