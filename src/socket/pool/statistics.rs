//! What happened in a pool so far, and how it is now.

use super::super::Error;
use super::{Connection, Pool};
use crate::clock::{self, Nanos, MILLISECOND};

/// Idle connections are looked for so often.
pub(super) const CLEANUP_INTERVAL: Nanos = 60 * clock::SECOND;

/// Since the pool was made, or since they were reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    pub(super) since: Nanos,
    pub(super) added: u64,
    pub(super) removed: u64,
    /// Asked for with `get`, and found.
    pub(super) asked: u64,
    pub(super) found: u64,
    /// Refused by the program's callback.
    pub(super) refused: u64,
    pub(super) checks: u64,
    pub(super) failed_checks: u64,
    pub(super) idle_cleanups: u64,
}

impl Counters {
    pub(super) fn new() -> Counters {
        Counters {
            since: clock::now(),
            added: 0,
            removed: 0,
            asked: 0,
            found: 0,
            refused: 0,
            checks: 0,
            failed_checks: 0,
            idle_cleanups: 0,
        }
    }
}

/// What happened, and how it is.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Connections that were added.
    pub added: u64,
    /// Connections that were taken out.
    pub removed: u64,
    /// How often a connection was asked for and found.
    pub reused: u64,
    /// How often one was looked at.
    pub health_checks: u64,
    /// How often that found something wrong.
    pub health_failures: u64,
    /// How often the program was not content with one.
    pub validation_failures: u64,
    /// How often idle ones were looked for.
    pub idle_cleanups: u64,
    /// Connections now.
    pub active: usize,
    /// Those of them that have been idle for longer than the pool allows.
    pub idle: usize,
    /// How many there may be.
    pub max: usize,
    /// Found ones as a share of found and added ones.
    pub reuse_rate: f64,
    /// Seconds since the connections of now were added, on average.
    pub average_age: f64,
    /// Added and taken out, a second.
    pub churn_rate: f64,
}

fn as_seconds(time: Nanos) -> f64 {
    time as f64 / clock::SECOND as f64
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

impl Pool {
    /// What happened so far, and how it is now.
    pub fn statistics(&self) -> Statistics {
        let state = self.lock();
        let now = clock::now();
        let counters = &state.counters;
        let present = || state.by_age.values();
        let ages: f64 = present()
            .map(|connection| as_seconds(now.saturating_sub(connection.added())))
            .sum();
        let active = state.by_age.len();
        let time = as_seconds(now.saturating_sub(counters.since));
        let changes = counters.added + counters.removed;
        Statistics {
            added: counters.added,
            removed: counters.removed,
            reused: counters.found,
            health_checks: counters.checks,
            health_failures: counters.failed_checks,
            validation_failures: counters.refused,
            idle_cleanups: counters.idle_cleanups,
            active,
            idle: idle(present(), now, state.idle_timeout),
            max: state.max,
            reuse_rate: share(counters.found, counters.found + counters.added),
            average_age: if active == 0 {
                0.0
            } else {
                ages / active as f64
            },
            churn_rate: if time > 0.0 {
                changes as f64 / time
            } else {
                0.0
            },
        }
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.lock().counters = Counters::new();
    }

    /// How many connections have been idle for longer than the pool allows.
    pub fn idle_count(&self) -> usize {
        let state = self.lock();
        idle(state.by_age.values(), clock::now(), state.idle_timeout)
    }

    /// How often what was asked for was found, as a share.
    pub fn hit_rate(&self) -> f64 {
        let state = self.lock();
        share(state.counters.found, state.counters.asked)
    }

    /// How long a connection may be idle, in seconds; 0 and below: for ever.
    pub fn set_idle_timeout(&self, timeout: i64) {
        let mut state = self.lock();
        state.idle_timeout = super::seconds(timeout);
        state.next_idle_cleanup = clock::now().saturating_add(CLEANUP_INTERVAL);
    }

    /// How long a connection may be idle, in seconds; 0: for ever.
    pub fn idle_timeout(&self) -> i64 {
        let timeout = self.lock().idle_timeout / clock::SECOND;
        i64::try_from(timeout).unwrap_or(i64::MAX)
    }

    /// In how many milliseconds idle connections should be looked for; -1: never.
    pub fn idle_cleanup_due(&self) -> i64 {
        let state = self.lock();
        if state.idle_timeout == 0 {
            return -1;
        }
        let left = state.next_idle_cleanup.saturating_sub(clock::now());
        i64::try_from(left.div_ceil(MILLISECOND)).unwrap_or(i64::MAX)
    }

    /// Takes out, and ends, what has been idle for longer than the pool allows; how many connections that were.
    pub fn run_idle_cleanup(&self) -> Result<usize, Error> {
        let timeout = {
            let mut state = self.lock();
            state.next_idle_cleanup = clock::now().saturating_add(CLEANUP_INTERVAL);
            if state.idle_timeout == 0 {
                return Ok(0);
            }
            state.counters.idle_cleanups += 1;
            state.idle_timeout
        };
        self.end_idle(timeout)
    }
}

fn idle<'a>(
    connections: impl Iterator<Item = &'a &'static Connection>,
    now: Nanos,
    timeout: Nanos,
) -> usize {
    if timeout == 0 {
        return 0;
    }
    connections
        .filter(|connection| now.saturating_sub(connection.used()) >= timeout)
        .count()
}
