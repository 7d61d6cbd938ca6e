//! What a `Connection_T` points to: a slot of a pool. As with sockets the memory is never given back, so a handle that is out
//! of date reads as a slot that is free, or as what took its place; it never leads anywhere else.

use super::super::fork::Locked;
use super::super::{reconnect, Buf, Handle};
use super::Key;
use crate::clock::{self, Nanos};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A slot, and the connection that is in it. Read without the pool's lock.
#[derive(Debug)]
pub struct Connection {
    /// Which connection of the pool it is, counted from 1; 0: none, the slot is free.
    serial: AtomicU64,
    socket: AtomicPtr<Handle>,
    /// Which of the handle's sockets it is.
    life: AtomicU64,
    data: AtomicPtr<c_void>,
    inbuf: AtomicPtr<Buf>,
    outbuf: AtomicPtr<Buf>,
    client: AtomicPtr<reconnect::Handle>,
    /// By the monotonic clock.
    added: AtomicU64,
    used: AtomicU64,
    /// Seconds since 1970.
    created_at: AtomicI64,
    last_activity: AtomicI64,
}

static SPARE: Mutex<Vec<&'static Connection>> = Mutex::new(Vec::new());

/// For the time of a `fork`.
pub(in crate::socket) fn locked() -> Box<dyn Locked> {
    Box::new(SPARE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Seconds since 1970.
fn wall_clock() -> i64 {
    // SAFETY: NULL: the time is only returned.
    unsafe { libc::time(ptr::null_mut()) }
}

impl Connection {
    /// A free slot without buffers.
    pub(super) fn new() -> &'static Connection {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| {
            Box::leak(Box::new(Connection {
                serial: AtomicU64::new(0),
                socket: AtomicPtr::new(ptr::null_mut()),
                life: AtomicU64::new(0),
                data: AtomicPtr::new(ptr::null_mut()),
                inbuf: AtomicPtr::new(ptr::null_mut()),
                outbuf: AtomicPtr::new(ptr::null_mut()),
                client: AtomicPtr::new(ptr::null_mut()),
                added: AtomicU64::new(0),
                used: AtomicU64::new(0),
                created_at: AtomicI64::new(0),
                last_activity: AtomicI64::new(0),
            }))
        })
    }

    /// Its pool is gone: it may be another pool's.
    pub(super) fn give_back(&'static self) {
        self.vacate();
        self.set_buffers(ptr::null_mut(), ptr::null_mut());
        SPARE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self);
    }

    pub(super) fn has_buffers(&self) -> bool {
        !self.inbuf().is_null()
    }

    pub(super) fn set_buffers(&self, inbuf: *mut Buf, outbuf: *mut Buf) {
        self.inbuf.store(inbuf, Ordering::Release);
        self.outbuf.store(outbuf, Ordering::Release);
    }

    /// A socket moves in.
    pub(super) fn occupy(&self, serial: u64, socket: &'static Handle) {
        self.data.store(ptr::null_mut(), Ordering::Release);
        self.exchange(socket);
        self.created_at.store(wall_clock(), Ordering::Release);
        self.added.store(clock::now(), Ordering::Release);
        self.touch();
        self.serial.store(serial, Ordering::Release);
    }

    /// The socket is another one now.
    pub(super) fn exchange(&self, socket: &'static Handle) {
        self.life.store(socket.life(), Ordering::Release);
        self.socket
            .store(ptr::from_ref(socket).cast_mut(), Ordering::Release);
    }

    /// What makes it again when it breaks; NULL: nothing.
    pub(super) fn set_client(&self, client: *const reconnect::Handle) {
        self.client.store(client.cast_mut(), Ordering::Release);
    }

    /// The socket moves out. The buffers are still as they were.
    pub(super) fn vacate(&self) {
        self.serial.store(0, Ordering::Release);
        self.socket.store(ptr::null_mut(), Ordering::Release);
        self.data.store(ptr::null_mut(), Ordering::Release);
        self.set_client(ptr::null());
    }

    /// Something happened on it now.
    pub(super) fn touch(&self) {
        self.used.store(clock::now(), Ordering::Release);
        self.last_activity.store(wall_clock(), Ordering::Release);
    }

    /// Empties the buffers, and overwrites what was in them.
    ///
    /// # Safety
    /// The arena is alive, and no other thread uses the buffers.
    pub(super) unsafe fn wipe(&self) {
        for buffer in [self.inbuf(), self.outbuf()] {
            // SAFETY: NULL, or a buffer of the arena's, which is alive; the caller's promise.
            if let Some(buffer) = unsafe { buffer.as_mut() } {
                buffer.secureclear();
            }
        }
    }

    /// Which connection of the pool it is; 0: none, the slot is free.
    pub(super) fn serial(&self) -> u64 {
        self.serial.load(Ordering::Acquire)
    }

    /// Since when nothing has happened on it, by the monotonic clock.
    pub(super) fn used(&self) -> Nanos {
        self.used.load(Ordering::Acquire)
    }

    /// When it was added, by the monotonic clock.
    pub(super) fn added(&self) -> Nanos {
        self.added.load(Ordering::Acquire)
    }

    /// Whether a socket is in it.
    pub fn is_active(&self) -> bool {
        self.serial() != 0
    }

    /// The socket's handle; NULL when the slot is free, and when the program has freed the socket and the handle is another's.
    pub fn socket(&self) -> *const Handle {
        self.handle().map_or(ptr::null(), ptr::from_ref)
    }

    /// As [`Connection::socket`].
    pub(super) fn handle(&self) -> Option<&'static Handle> {
        // SAFETY: NULL, or a handle, which is never given back.
        let handle = unsafe { self.socket.load(Ordering::Acquire).as_ref() }?;
        (handle.life() == self.life.load(Ordering::Acquire)).then_some(handle)
    }

    /// By what its pool finds it.
    pub(super) fn key(&self) -> Key {
        let socket = self.socket.load(Ordering::Acquire);
        (socket as usize, self.life.load(Ordering::Acquire))
    }

    /// For bytes that came.
    pub fn inbuf(&self) -> *mut Buf {
        self.inbuf.load(Ordering::Acquire)
    }

    /// For bytes that are to go.
    pub fn outbuf(&self) -> *mut Buf {
        self.outbuf.load(Ordering::Acquire)
    }

    /// What the program keeps with it.
    pub fn data(&self) -> *mut c_void {
        self.data.load(Ordering::Acquire)
    }

    /// Keeps this with it; in a free slot there is nothing to keep it with.
    pub fn set_data(&self, data: *mut c_void) {
        if self.is_active() {
            self.data.store(data, Ordering::Release);
        }
    }

    /// What makes it again when it breaks; NULL: nothing.
    pub fn client(&self) -> *const reconnect::Handle {
        self.client.load(Ordering::Acquire)
    }

    /// When something happened on it last, in seconds since 1970.
    pub fn last_activity(&self) -> i64 {
        self.last_activity.load(Ordering::Acquire)
    }

    /// When it was added, in seconds since 1970.
    pub fn created_at(&self) -> i64 {
        self.created_at.load(Ordering::Acquire)
    }
}
