//! How the loop learns that it is in a child of `fork`, at the price of one load where it matters.
//!
//! A handler of `pthread_atfork` counts. It is registered with the first loop, so a program that only links the
//! library is left alone. `vfork` and `posix_spawn` do not run it and need not: their child only execs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

static FORKS: AtomicU32 = AtomicU32::new(0);

/// One fork, in [`generation`]: the low bits stay 0, so that a descriptor's number fits beside it.
const ONE: u32 = 1 << 24;

/// How often this process is a child, times 2^24, without its sign bit: differs from the value at a loop's making in a
/// child alone (and would be equal again after 128 forks of forks).
#[inline]
pub fn generation() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Registers the handlers, once in the process.
pub(super) fn watch_for_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three handlers are functions of this library without arguments; where the library is unloaded, the C library
        // forgets handlers registered from it. They do what is allowed there: the first two lock and unlock, the last
        // touches atomics, memory that its lock protects, and `sigaction`. It fails for lack of memory alone, and then
        // forks go unnoticed.
        unsafe {
            libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child));
        }
    });
}

extern "C" fn before() {
    super::registry::lock_for_fork();
}

extern "C" fn after_in_parent() {
    super::registry::unlock_in_parent();
}

extern "C" fn after_in_child() {
    // No other thread is there.
    let next = generation().wrapping_add(ONE) & !(1 << 31);
    FORKS.store(next, Ordering::Relaxed);
    super::registry::unlock_in_child();
}
