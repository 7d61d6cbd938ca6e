//! The functions of `core/SocketUtil/Time.h`: the monotonic clock. Must not know what is timed.

// C names.
#![allow(non_snake_case)]

use crate::clock;

/// The monotonic clock, in milliseconds.
#[no_mangle]
pub extern "C" fn Socket_get_monotonic_ms() -> i64 {
    i64::try_from(clock::now() / clock::MILLISECOND).unwrap_or(i64::MAX)
}

/// The monotonic clock, in microseconds.
#[no_mangle]
pub extern "C" fn Socket_get_monotonic_us() -> u64 {
    clock::now() / 1_000
}

/// The monotonic clock, in nanoseconds.
#[no_mangle]
pub extern "C" fn Socket_get_monotonic_ns() -> u64 {
    clock::now()
}
