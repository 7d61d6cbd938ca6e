//! The socket behind a live handle: a descriptor and what is known of it. One thread uses it at a time, but for a plain
//! socket, on which two may send and receive at once: what these touch is the descriptor and counters.

use super::endpoint::Endpoint;
use super::error::Error;
use super::handle::Handle;
use super::limit::Bucket;
use super::readiness::Readiness;
use super::stats::Stats;
use super::timeouts::{self, Timeouts};
use super::tls::Slot;
use crate::errno::Errno;
use crate::evloop::Interest;
use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a socket's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Route {
    /// Straight to the kernel and from it.
    Plain = 0,
    /// Through TLS.
    Tls = 1,
    /// Straight to the kernel; received are first the bytes that a TLS which is gone had read ahead.
    LeftOver = 2,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    handle: Cell<Option<&'static Handle>>,
    /// -1 once it was closed.
    fd: Cell<RawFd>,
    domain: c_int,
    kind: c_int,
    /// A [`Route`].
    route: AtomicU8,
    /// A connect succeeded, or it came from an accept.
    connected: Cell<bool>,
    timeouts: Cell<Timeouts>,
    pub(super) stats: Stats,
    /// Why the last bind, which did not raise, came to nothing.
    unbound: RefCell<Option<Box<(Errno, String)>>>,
    pub(super) local: Endpoint,
    pub(super) peer: Endpoint,
    bucket: Mutex<Bucket>,
    pub(super) tls: Slot,
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
            route: AtomicU8::new(Route::Plain as u8),
            connected: Cell::new(false),
            timeouts: Cell::new(timeouts::defaults()),
            stats: Stats::new(),
            unbound: RefCell::default(),
            local: Endpoint::default(),
            peer: Endpoint::default(),
            bucket: Mutex::default(),
            tls: Slot::default(),
            readiness: Arc::default(),
        }
    }

    /// How the last bind went.
    pub(super) fn note_bind(&self, failure: Option<&Error>) {
        let kept = failure.map(|error| Box::new((error.errno, error.text.to_string())));
        *self.unbound.borrow_mut() = kept;
    }

    /// Why the last bind came to nothing, if it did.
    pub(super) fn bind_failure(&self) -> Option<(Errno, String)> {
        self.unbound.borrow().as_deref().cloned()
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

    /// Where its bytes go.
    #[inline]
    pub fn route(&self) -> Route {
        match self.route.load(Ordering::Relaxed) {
            0 => Route::Plain,
            1 => Route::Tls,
            _ => Route::LeftOver,
        }
    }

    /// From now on its bytes go there.
    pub(super) fn set_route(&self, route: Route) {
        self.route.store(route as u8, Ordering::Relaxed);
    }

    /// Whether a receive gives something at once: bytes that TLS holds, or, before its handshake is complete, whether that
    /// waits for bytes.
    pub fn tls_wants_read(&self) -> bool {
        self.route() == Route::Tls && super::tls::wants_read(self)
    }

    /// Whether a handshake that is not complete waits until it can send.
    pub fn tls_wants_write(&self) -> bool {
        self.route() == Route::Tls && super::tls::wants_write(self)
    }

    pub(super) fn was_connected(&self) -> bool {
        self.connected.get()
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.set(connected);
    }

    /// How long it waits, for what.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts.get()
    }

    /// Changes how long it waits.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.timeouts.set(timeouts);
    }

    pub(super) fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle is let go: the descriptor is closed now, whoever still holds the object.
    pub(super) fn end(&self) {
        self.tls.end();
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
