//! When and how often a connection is tried again, made of what a program says: what is out of range is replaced. Pure.

use crate::backoff::Backoff;

/// As a program says it. The members of the public struct, in its units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// Milliseconds.
    pub initial_delay_ms: i32,
    /// Milliseconds.
    pub max_delay_ms: i32,
    /// Each wait is so many times the one before.
    pub multiplier: f64,
    /// The share that chance adds or takes.
    pub jitter: f64,
    /// 0 for any number.
    pub max_attempts: i32,
    /// Failures in a row.
    pub circuit_failure_threshold: i32,
    /// Milliseconds.
    pub circuit_reset_timeout_ms: i32,
    /// Milliseconds; 0 for never.
    pub health_check_interval_ms: i32,
    /// Milliseconds.
    pub health_check_timeout_ms: i32,
}

/// What holds where a program says nothing.
pub const DEFAULTS: Said = Said {
    initial_delay_ms: 100,
    max_delay_ms: 30_000,
    multiplier: 2.0,
    jitter: 0.25,
    max_attempts: 10,
    circuit_failure_threshold: 5,
    circuit_reset_timeout_ms: 60_000,
    health_check_interval_ms: 30_000,
    health_check_timeout_ms: 5000,
};
/// A circuit that is open stays so for this long at least.
const MIN_CIRCUIT_RESET_MS: i32 = 1000;
/// A health check may take this long at least.
const MIN_HEALTH_TIMEOUT_MS: i32 = 100;

/// A policy whose members are all in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    pub(super) backoff: Backoff,
    /// 0 for any number.
    pub(super) max_attempts: u32,
    pub(super) circuit_threshold: u32,
    pub(super) circuit_reset_ms: u32,
    /// 0 for never.
    pub(super) health_interval_ms: u32,
    pub(super) health_timeout_ms: u32,
}

/// The value where it is at least so much, else the default.
fn at_least(least: i32, value: i32, default: i32) -> u32 {
    let value = if value < least { default } else { value };
    value.unsigned_abs()
}

impl Policy {
    /// In range.
    pub fn new(said: &Said) -> Policy {
        let d = DEFAULTS;
        let initial_ms = at_least(1, said.initial_delay_ms, d.initial_delay_ms);
        let least = i32::try_from(initial_ms).unwrap_or(i32::MAX);
        let max_ms = at_least(least, said.max_delay_ms, d.max_delay_ms);
        Policy {
            backoff: Backoff {
                initial_ms,
                // The default can be less than what the program has asked for as the first.
                max_ms: max_ms.max(initial_ms),
                // NaN is not in range either.
                multiplier: Some(said.multiplier)
                    .filter(|m| *m >= 1.0)
                    .unwrap_or(d.multiplier),
                jitter: Some(said.jitter)
                    .filter(|j| (0.0..=1.0).contains(j))
                    .unwrap_or(d.jitter),
            },
            max_attempts: at_least(0, said.max_attempts, d.max_attempts),
            circuit_threshold: at_least(
                1,
                said.circuit_failure_threshold,
                d.circuit_failure_threshold,
            ),
            circuit_reset_ms: at_least(
                MIN_CIRCUIT_RESET_MS,
                said.circuit_reset_timeout_ms,
                d.circuit_reset_timeout_ms,
            ),
            health_interval_ms: at_least(
                0,
                said.health_check_interval_ms,
                d.health_check_interval_ms,
            ),
            health_timeout_ms: at_least(
                MIN_HEALTH_TIMEOUT_MS,
                said.health_check_timeout_ms,
                d.health_check_timeout_ms,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_range_holds() {
        let said = Said {
            initial_delay_ms: 1,
            max_delay_ms: 1,
            multiplier: 1.0,
            jitter: 1.0,
            max_attempts: 0,
            circuit_failure_threshold: 1,
            circuit_reset_timeout_ms: 1000,
            health_check_interval_ms: 0,
            health_check_timeout_ms: 100,
        };
        let policy = Policy::new(&said);
        assert_eq!((policy.backoff.initial_ms, policy.backoff.max_ms), (1, 1));
        assert_eq!(
            (policy.backoff.multiplier, policy.backoff.jitter),
            (1.0, 1.0)
        );
        assert_eq!((policy.max_attempts, policy.circuit_threshold), (0, 1));
        assert_eq!(
            (policy.circuit_reset_ms, policy.health_timeout_ms),
            (1000, 100)
        );
        assert_eq!(policy.health_interval_ms, 0);
    }

    #[test]
    fn what_is_not_becomes_the_default() {
        let said = Said {
            initial_delay_ms: 0,
            max_delay_ms: 99,
            multiplier: f64::NAN,
            jitter: 1.5,
            max_attempts: -1,
            circuit_failure_threshold: 0,
            circuit_reset_timeout_ms: 999,
            health_check_interval_ms: -1,
            health_check_timeout_ms: 99,
        };
        assert_eq!(Policy::new(&said), Policy::new(&DEFAULTS));
        let late = Said {
            initial_delay_ms: 40_000,
            max_delay_ms: 1,
            ..DEFAULTS
        };
        assert_eq!(Policy::new(&late).backoff.max_ms, 40_000);
    }
}
