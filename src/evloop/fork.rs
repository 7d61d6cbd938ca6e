//! How the loop learns that it is in a child of `fork`, at the price of one load where it matters.
//!
//! A handler of `pthread_atfork` counts. It is registered with the first loop, so a program that only links the
//! library is left alone. `vfork` and `posix_spawn` do not run it and need not: their child only execs.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Once;

/// How often this process is a child, times [`ONE`].
static FORKS: AtomicU64 = AtomicU64::new(0);

/// One fork: the low half stays 0, so that a descriptor's number fits beside it.
const ONE: u64 = 1 << 32;

/// How often this process is a child: differs from the value at a loop's making in a child alone.
#[inline]
pub fn generation() -> u32 {
    (mark() >> 32) as u32
}

/// The same in the high half of a word whose low half is 0: what was mixed with it gives a small number again in the same
/// process alone, so that one comparison sees both a descriptor and the process that it is for.
#[inline(always)]
pub fn mark() -> u64 {
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

/// Whether the number of an eventfd, epoll set or timer of the parent's still stands for it. A daemon closes all descriptors
/// behind our back and opens others, some of them through us. As far as it can be told: such descriptors belong to no file,
/// and so have no file type.
pub(super) fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: zeros are a valid stat to fill; any number is safe as a descriptor.
    let untyped = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == 0
    };
    untyped && !super::registry::uses(fd)
}

/// Closes an eventfd, epoll set or timer of the parent's, where it still [`is_inherited`]: our descriptor of it alone; what is
/// shared with the parent lives on with the parent's.
pub(super) fn close_inherited(fd: OwnedFd) {
    if !is_inherited(fd.as_raw_fd()) {
        let _ = fd.into_raw_fd();
    }
}

extern "C" fn before() {
    super::registry::lock_for_fork();
}

extern "C" fn after_in_parent() {
    super::registry::unlock_in_parent();
}

extern "C" fn after_in_child() {
    // No other thread is there.
    FORKS.store(mark().wrapping_add(ONE), Ordering::Relaxed);
    super::registry::unlock_in_child();
}
