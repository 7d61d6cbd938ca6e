//! The timers of one connection: a table with one slot for each kind, and nothing else. The earliest slot is when the
//! machine wants to be woken. Knows no clock and no state.

#![forbid(unsafe_code)]

use crate::clock::Nanos;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The limit of the running phase: the lookup, all attempts together, or the handshake. Phases follow each other, so
    /// one slot serves them all.
    Phase = 0,
    /// Everything until READY.
    Deadline = 1,
    /// When the next address is to be tried beside those that are still waiting.
    NextAttempt = 2,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    at: [Option<Nanos>; 3],
}

impl Timers {
    /// Sets a timer to a point on the clock, or takes it off.
    pub(super) fn set(&mut self, timer: Timer, at: Option<Nanos>) {
        self.at[timer as usize] = at;
    }

    /// Sets a timer to `length` from now; `None` takes it off. A point that the clock never reaches is no timer either.
    pub(super) fn set_after(&mut self, timer: Timer, now: Nanos, length: Option<Nanos>) {
        self.set(timer, length.and_then(|length| now.checked_add(length)));
    }

    /// Whether a timer is set.
    pub(super) fn is_armed(&self, timer: Timer) -> bool {
        self.at[timer as usize].is_some()
    }

    /// Whether a timer is set and its time has come.
    pub(super) fn is_due(&self, timer: Timer, now: Nanos) -> bool {
        self.at[timer as usize].is_some_and(|at| at <= now)
    }

    /// The earliest.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.at.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wins_and_an_empty_table_has_none() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Phase, Some(30));
        timers.set(Timer::Deadline, Some(20));
        timers.set(Timer::NextAttempt, Some(10));
        assert_eq!(timers.next(), Some(10));
        timers.set(Timer::NextAttempt, None);
        assert_eq!(timers.next(), Some(20));
        timers.set(Timer::Phase, None);
        timers.set(Timer::Deadline, None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn due_from_its_time_on_and_never_early() {
        let mut timers = Timers::default();
        timers.set_after(Timer::Phase, 5, Some(10));
        assert!(timers.is_armed(Timer::Phase));
        assert!(!timers.is_armed(Timer::Deadline));
        assert!(!timers.is_due(Timer::Phase, 14));
        assert!(timers.is_due(Timer::Phase, 15));
        assert!(timers.is_due(Timer::Phase, 16));
        assert!(!timers.is_due(Timer::Deadline, 16));
    }

    #[test]
    fn a_length_without_end_is_no_timer() {
        let mut timers = Timers::default();
        timers.set_after(Timer::Phase, 5, None);
        timers.set_after(Timer::Deadline, 5, Some(Nanos::MAX));
        assert_eq!(timers.next(), None);
    }
}
