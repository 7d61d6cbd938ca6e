//! The descriptor that ends a wait from elsewhere: written by any thread and by signal handlers.

use crate::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd.
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn new() -> Result<Wake, Errno> {
        // SAFETY: takes two numbers, gives a new descriptor or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(Errno::last());
        }
        // SAFETY: `fd` was just opened here and nobody else owns it.
        Ok(Wake(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Ends the current wait or else the next one. Async-signal-safe, except that it may change `errno`.
    pub(super) fn ring(&self) {
        let one = 1u64;
        // SAFETY: writes eight bytes from `one`. EAGAIN, the only failure, means that the counter is full: it was rung.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Takes what was written, for a poller that is not edge-triggered.
pub(super) fn drain(fd: RawFd) {
    let mut count = 0u64;
    // SAFETY: reads at most eight bytes into `count`; non-blocking, and nothing to read is as good.
    unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
}
