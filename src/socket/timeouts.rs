//! How long sockets wait: each has its own three, which begin as the process's.

use crate::clock::{Nanos, MILLISECOND};
use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

/// Milliseconds; 0 is "no limit" for names and operations, and "do not wait" for connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: c_int,
    /// Until a name is resolved.
    pub dns: c_int,
    /// For what else waits.
    pub operation: c_int,
}

static DEFAULTS: Mutex<Timeouts> = Mutex::new(Timeouts {
    connect: 30_000,
    dns: 5_000,
    operation: 0,
});

/// Milliseconds as a length of time; nothing and less is no limit.
pub(super) fn limit(ms: c_int) -> Option<Nanos> {
    (ms > 0).then(|| ms as Nanos * MILLISECOND)
}

/// What new sockets begin with.
pub fn defaults() -> Timeouts {
    *DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes what new sockets begin with.
pub fn set_defaults(timeouts: Timeouts) {
    *DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner) = timeouts.clamped();
}

impl Timeouts {
    /// Negative times are 0.
    pub fn clamped(self) -> Timeouts {
        Timeouts {
            connect: self.connect.max(0),
            dns: self.dns.max(0),
            operation: self.operation.max(0),
        }
    }
}
