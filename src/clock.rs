//! The monotonic clock, in nanoseconds. Pure code takes such a value as a parameter and never asks for it.

/// A point on the monotonic clock, or a length of time, in nanoseconds.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// A thousandth of it.
pub const MILLISECOND: Nanos = SECOND / 1000;

/// The clock now.
pub fn now() -> Nanos {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is a valid timespec to write to; CLOCK_MONOTONIC exists on every system we build for.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as Nanos * SECOND + t.tv_nsec as Nanos
}

/// A length of time that a C caller gave in seconds: `None` for "never" (infinity, or too long for the clock); negative
/// and NaN count as 0. Rounded up, so that nothing is early.
pub fn from_seconds(seconds: f64) -> Option<Nanos> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Some(0);
    }
    let nanos = (seconds * SECOND as f64).ceil();
    // A quarter of the range: adding such a length to a point on the clock never overflows.
    (nanos < (u64::MAX / 4) as f64).then_some(nanos as Nanos)
}
