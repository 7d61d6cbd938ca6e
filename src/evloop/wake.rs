//! The descriptor that ends a wait from elsewhere: written by any thread and by signal handlers.

use super::fork;
use crate::errno::Errno;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// An eventfd: its number, which [`Wake::replace`] changes while others may ring.
pub(super) struct Wake(AtomicI32);

impl Wake {
    pub(super) fn new() -> Result<Wake, Errno> {
        // SAFETY: takes two numbers, gives a new descriptor or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(Errno::last());
        }
        Ok(Wake(AtomicI32::new(fd)))
    }

    /// Takes the place of an eventfd that a child shares with its parent, and closes the child's descriptor of that one.
    pub(super) fn replace(&self, fresh: Wake) {
        self.close_in_child(fresh.into_raw_fd());
    }

    /// Its number stands for something else.
    pub(super) fn forget(&self) {
        self.0.store(-1, Ordering::SeqCst);
    }

    fn close_in_child(&self, next: RawFd) {
        let old = self.0.swap(next, Ordering::SeqCst);
        if old >= 0 {
            // SAFETY: `self` owned the number and has just given it up.
            fork::close_inherited(unsafe { OwnedFd::from_raw_fd(old) });
        }
    }

    /// Ends the current wait or else the next one. Async-signal-safe, except that it may change `errno`.
    pub(super) fn ring(&self) {
        let one = 1u64;
        // SAFETY: writes eight bytes from `one`. EAGAIN, the only failure, means that the counter is full: it was rung.
        unsafe { libc::write(self.raw_fd(), (&raw const one).cast(), 8) };
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.0.load(Ordering::Relaxed)
    }

    /// Closes it in a child that shares it with its parent and has not replaced it.
    pub(super) fn abandon(&self) {
        self.close_in_child(-1);
    }
}

impl IntoRawFd for Wake {
    fn into_raw_fd(self) -> RawFd {
        self.0.swap(-1, Ordering::Relaxed)
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let fd = *self.0.get_mut();
        if fd >= 0 {
            // SAFETY: owned since `new` or `replace`, and given up with this.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Takes what was written, for a poller that is not edge-triggered.
pub(super) fn drain(fd: RawFd) {
    let mut count = 0u64;
    // SAFETY: reads at most eight bytes into `count`; non-blocking, and nothing to read is as good.
    unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
}
