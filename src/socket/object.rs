//! The socket behind a live handle: a descriptor and what is known of it. One thread uses it at a time, but for a plain
//! socket, on which two may send and receive at once: what these touch is the descriptor and counters.

use super::handle::Handle;
use super::readiness::Readiness;
use crate::evloop::Interest;
use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A socket.
#[derive(Debug)]
pub struct Socket {
    handle: Cell<Option<&'static Handle>>,
    /// -1 once it was closed.
    fd: Cell<RawFd>,
    domain: c_int,
    kind: c_int,
    readiness: Arc<Readiness>,
}

// SAFETY: the family's rule is that one thread uses a socket at a time, handed on by the program with an order of its own; two
// threads that send and receive on a plain socket change atomics only (the rest of the cells they read).
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Socket {
    /// Over an open socket.
    pub(super) fn new(fd: OwnedFd, domain: c_int, kind: c_int) -> Socket {
        Socket {
            handle: Cell::new(None),
            fd: Cell::new(fd.into_raw_fd()),
            domain,
            kind,
            readiness: Arc::default(),
        }
    }

    /// The descriptor, owned by the socket; -1 once it was closed.
    #[inline]
    pub fn fd(&self) -> RawFd {
        self.fd.get()
    }

    /// AF_INET, AF_INET6 or AF_UNIX.
    pub fn domain(&self) -> c_int {
        self.domain
    }

    /// SOCK_STREAM or SOCK_DGRAM.
    pub fn kind(&self) -> c_int {
        self.kind
    }

    /// What poll sets have to know of it: whoever uses TLS on it says so here ([`Readiness::note`]), after each call that may
    /// have changed it.
    pub fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// What an unfinished handshake's last step wanted; `None` where there is none.
    pub fn tls_handshake_pending(&self) -> Option<Interest> {
        self.readiness.handshake()
    }

    /// Whether bytes can be read that the kernel does not have any more: decrypted, a complete record, or left behind by TLS
    /// that was dropped.
    pub fn has_buffered(&self) -> bool {
        self.readiness.is_buffered()
    }

    /// Its own handle, for callbacks; `None` before it has one.
    pub fn handle(&self) -> Option<&'static Handle> {
        self.handle.get()
    }

    pub(super) fn set_handle(&self, handle: &'static Handle) {
        self.handle.set(Some(handle));
    }

    /// The handle is let go: the descriptor is closed now, whoever still holds the object.
    pub(super) fn end(&self) {
        self.readiness.end();
        let fd = self.fd.replace(-1);
        if fd >= 0 {
            // SAFETY: the socket owned the descriptor and has just given it up.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end();
    }
}
