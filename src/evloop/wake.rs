//! The descriptor that ends a wait from elsewhere: written by any thread and by signal handlers.

use super::fork;
use crate::errno::Errno;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// An eventfd.
pub(super) struct Wake {
    /// Its number; -1 once it was closed. Others may ring at any time.
    fd: AtomicI32,
    /// How many are ringing.
    ringing: AtomicU32,
}

impl Wake {
    pub(super) fn new() -> Result<Wake, Errno> {
        // SAFETY: takes two numbers, gives a new descriptor or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(Errno::last());
        }
        Ok(Wake {
            fd: AtomicI32::new(fd),
            ringing: AtomicU32::new(0),
        })
    }

    /// Takes the place of an eventfd that a child shares with its parent, and closes the child's descriptor of that one.
    pub(super) fn replace(&self, fresh: Wake) {
        self.close_in_child(fresh.into_raw_fd());
    }

    /// Its number stands for something else.
    pub(super) fn forget(&self) {
        self.fd.store(-1, Ordering::SeqCst);
    }

    /// Closes it now, whoever holds on to it: a resolver thread may, for as long as its lookup takes.
    pub(super) fn close(&self) {
        let old = self.fd.swap(-1, Ordering::SeqCst);
        if old < 0 {
            return;
        }
        // Who rings has counted before it read the number, in the one total order of SeqCst; that lasts a system call.
        while self.ringing.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        // SAFETY: owned since `new` or `replace`, given up above, and used by nobody any more.
        drop(unsafe { OwnedFd::from_raw_fd(old) });
    }

    /// In a child nobody is ringing.
    pub(super) fn note_fork(&self) {
        self.ringing.store(0, Ordering::SeqCst);
    }

    fn close_in_child(&self, next: RawFd) {
        let old = self.fd.swap(next, Ordering::SeqCst);
        if old >= 0 {
            // SAFETY: `self` owned the number and has just given it up.
            fork::close_inherited(unsafe { OwnedFd::from_raw_fd(old) });
        }
    }

    /// Ends the current wait or else the next one. Async-signal-safe, except that it may change `errno`.
    pub(super) fn ring(&self) {
        let one = 1u64;
        self.ringing.fetch_add(1, Ordering::SeqCst);
        // SAFETY: writes eight bytes from `one`. EAGAIN means that the counter is full: it was rung. EBADF: it is closed, and the
        // number is none.
        unsafe { libc::write(self.fd.load(Ordering::SeqCst), (&raw const one).cast(), 8) };
        self.ringing.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.load(Ordering::Relaxed)
    }

    /// Closes it in a child that shares it with its parent and has not replaced it.
    pub(super) fn abandon(&self) {
        self.close_in_child(-1);
    }
}

impl IntoRawFd for Wake {
    fn into_raw_fd(self) -> RawFd {
        self.fd.swap(-1, Ordering::Relaxed)
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let fd = *self.fd.get_mut();
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
