//! The BIO between OpenSSL and the socket.
//!
//! Incoming bytes go straight from the kernel into OpenSSL's own read-ahead buffer, so that one `recv` feeds several
//! records. Outgoing records are always accepted whole: sent at once when nothing is queued, kept otherwise. So OpenSSL
//! never holds half a record, a write can be repeated with any buffer or not at all, and a dead socket never hides the
//! records that had arrived before it died. (Where the descriptor is somebody else's, both are different: [`super::lent`].)
//!
//! OpenSSL's callbacks run C code that may come back to the transport, so all state is in cells and nothing is borrowed
//! while OpenSSL runs. Knows nothing of sessions.

use super::lent::Lent;
use super::socket;
use super::sys;
use super::unsent::Unsent;
use super::{buffers, Failure};
use crate::errno::Errno;
use once_cell::sync::OnceCell;
use openssl_sys as ffi;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

/// While so many bytes wait for the kernel, OpenSSL gets nothing more to read: what it reads may oblige it to answer
/// (KeyUpdate, renegotiation), and a peer that never reads must not make us store answers without end.
const MOST_QUEUED: usize = 64 * 1024;

/// After so many `recv`s one call into OpenSSL gets no more, and the loop sees to the others: a peer that sends records
/// without data (KeyUpdate, tickets) as fast as they are read would otherwise keep the call from ever coming back. A
/// record takes two, a flight of the handshake a few.
const MOST_RECEIVES: u32 = 8;

/// What becomes of a record that the kernel does not take whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// It is kept here, and sent when the kernel is ready.
    Queued,
    /// OpenSSL keeps it, and offers the rest again. The descriptor is lent: see [`super::lent`].
    Refused,
}

/// The receiving side has not ended, and has ended by FIN: where an errno would stand.
const OPEN: c_int = 0;
const ENDED: c_int = -1;

/// How the receiving side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// It has not.
    Open,
    /// FIN.
    Ended,
    /// The kernel's error.
    Failed(Errno),
}

/// The two ends of the BIO: the socket's state and the bytes on their way out.
pub(super) struct Wire {
    fd: Cell<RawFd>,
    /// An errno; [`OPEN`] and [`ENDED`] are none.
    inbound: Cell<c_int>,
    /// The last `recv` gave OpenSSL bytes, and it has not asked in vain since.
    fed: Cell<bool>,
    /// The kernel has no more bytes at this moment.
    drained: Cell<bool>,
    /// OpenSSL asked for more than the last `recv` gave, and the kernel was not asked again.
    guessed: Cell<bool>,
    /// OpenSSL asked for bytes and got none because too many wait to be sent.
    throttled: Cell<bool>,
    /// How many `recv`s this call into OpenSSL has had.
    receives: Cell<u32>,
    /// Collect records, to send them together.
    corked: Cell<bool>,
    /// Nothing more may go out (close_notify was written, or the socket is dead): swallow what OpenSSL still writes.
    mute: Cell<bool>,
    /// An errno; 0: none.
    send_error: Cell<c_int>,
    /// Where the descriptor is somebody else's.
    lent: Option<Box<Lent>>,
    queue: Cell<Vec<u8>>,
    /// How much of `queue` was sent.
    sent: Cell<usize>,
    /// Bytes of `queue` not sent.
    queued: Cell<usize>,
    // The stream's own, kept where there is room for them:
    /// FIN follows the queued bytes.
    pub(super) fin_due: Cell<bool>,
    /// The last write waits for the peer (renegotiation).
    pub(super) write_wants_read: Cell<bool>,
}

impl Wire {
    fn new(fd: RawFd, sending: Sending) -> Wire {
        Wire {
            fd: Cell::new(fd),
            lent: (sending == Sending::Refused).then(|| Box::new(Lent::new())),
            inbound: Cell::new(OPEN),
            fed: Cell::new(false),
            fin_due: Cell::new(false),
            write_wants_read: Cell::new(false),
            drained: Cell::new(false),
            guessed: Cell::new(false),
            throttled: Cell::new(false),
            receives: Cell::new(0),
            corked: Cell::new(false),
            mute: Cell::new(false),
            send_error: Cell::new(0),
            queue: Cell::new(Vec::new()),
            sent: Cell::new(0),
            queued: Cell::new(0),
        }
    }

    /// A new call into OpenSSL begins: the kernel may have more bytes than the last call saw.
    #[inline]
    pub(super) fn refresh(&self) {
        self.drained.set(false);
        self.guessed.set(false);
        self.throttled.set(false);
        self.receives.set(0);
    }
    pub(super) fn inbound(&self) -> Inbound {
        match self.inbound.get() {
            OPEN => Inbound::Open,
            ENDED => Inbound::Ended,
            errno => Inbound::Failed(Errno(errno)),
        }
    }
    fn end_inbound(&self, how: Inbound) {
        self.inbound.set(match how {
            Inbound::Open => OPEN,
            Inbound::Ended => ENDED,
            Inbound::Failed(errno) => errno.0,
        });
    }
    #[inline]
    pub(super) fn fed(&self) -> bool {
        self.fed.get()
    }
    pub(super) fn set_fed(&self, fed: bool) {
        self.fed.set(fed);
    }
    /// Whether "no more" was concluded from a short `recv` alone.
    #[inline]
    pub(super) fn guessed(&self) -> bool {
        self.guessed.get()
    }
    /// Whether the kernel has no more bytes at this moment.
    #[inline]
    pub(super) fn drained(&self) -> bool {
        self.drained.get()
    }
    /// Whether this call into OpenSSL has asked the kernel.
    #[inline]
    pub(super) fn asked(&self) -> bool {
        self.receives.get() > 0
    }
    pub(super) fn throttled(&self) -> bool {
        self.throttled.get()
    }
    #[inline]
    pub(super) fn queued(&self) -> usize {
        self.queued.get()
    }
    #[inline]
    pub(super) fn send_error(&self) -> Option<Errno> {
        match self.send_error.get() {
            0 => None,
            errno => Some(Errno(errno)),
        }
    }
    /// From now on records are collected until [`Wire::uncork`].
    pub(super) fn cork(&self) {
        self.corked.set(true);
    }
    /// Sends what was collected.
    pub(super) fn uncork(&self) {
        self.corked.set(false);
        self.flush();
    }
    /// Drops what was not sent and what OpenSSL writes from now on.
    pub(super) fn silence(&self) {
        self.mute();
        self.drop_queue();
    }
    /// What OpenSSL writes from now on is dropped.
    pub(super) fn mute(&self) {
        self.mute.set(true);
    }

    /// Bytes for OpenSSL: `None` when there are none now, or no more ever.
    ///
    /// # Safety
    /// `buf` points to `len` writable bytes, with `len` above 0.
    #[inline]
    unsafe fn receive(&self, buf: *mut u8, len: usize) -> Option<usize> {
        if let Some(lent) = &self.lent {
            // SAFETY: the caller's promise.
            return unsafe { self.receive_lent(lent, buf, len) };
        }
        if self.drained.get() || self.inbound.get() != OPEN {
            self.guessed.set(self.drained.get());
            self.fed.set(false);
            return None;
        }
        if self.queued.get() >= MOST_QUEUED {
            self.fed.set(false);
            self.throttled.set(true);
            return None;
        }
        let receives = self.receives.get();
        if receives >= MOST_RECEIVES {
            // The kernel tells of the rest again.
            self.fed.set(false);
            return None;
        }
        self.receives.set(receives + 1);
        // SAFETY: the caller's promise.
        match unsafe { socket::receive(self.fd.get(), buf, len) } {
            Ok(received) if received.count > 0 => {
                self.drained.set(received.drained);
                self.fed.set(true);
                return Some(received.count);
            }
            Ok(_) => self.end_inbound(Inbound::Ended),
            Err(errno) if errno.would_block() => self.drained.set(true),
            Err(errno) => self.end_inbound(Inbound::Failed(errno)),
        }
        self.fed.set(false);
        None
    }

    /// As [`Wire::receive`], where the kernel may be asked as often as OpenSSL wants.
    ///
    /// # Safety
    /// As [`Wire::receive`].
    #[inline]
    unsafe fn receive_lent(&self, lent: &Lent, buf: *mut u8, len: usize) -> Option<usize> {
        if self.inbound.get() != OPEN {
            return None;
        }
        // SAFETY: the caller's promise.
        match unsafe { lent.receive(self.fd.get(), buf, len) } {
            Ok(count) if count > 0 => return Some(count),
            Ok(_) => self.end_inbound(Inbound::Ended),
            Err(errno) if errno.would_block() => {}
            Err(errno) => self.end_inbound(Inbound::Failed(errno)),
        }
        None
    }

    /// How much of a record is taken; `None`: nothing now.
    #[inline]
    fn offer(&self, record: &[u8]) -> Option<usize> {
        match &self.lent {
            Some(lent) if !self.mute.get() => match lent.send(self.fd.get(), record) {
                Ok(count) => return Some(count),
                Err(errno) if errno.would_block() => return None,
                Err(errno) => self.fail_sending(errno),
            },
            Some(_) => {}
            None => self.accept(record),
        }
        Some(record.len())
    }

    /// Takes a whole record.
    #[inline]
    fn accept(&self, record: &[u8]) {
        if self.mute.get() {
            return;
        }
        let mut rest = record;
        if self.queued.get() == 0 && !self.corked.get() {
            match socket::send(self.fd.get(), record) {
                Ok(count) if count == record.len() => return,
                Ok(count) => rest = &record[count..],
                Err(errno) if errno.would_block() => {}
                Err(errno) => {
                    self.fail_sending(errno);
                    return;
                }
            }
        }
        self.enqueue(rest);
    }

    #[cold]
    fn enqueue(&self, bytes: &[u8]) {
        let mut queue = self.queue.take();
        if queue.capacity() == 0 {
            queue = buffers::take();
        }
        let appended = buffers::append(&mut queue, bytes);
        self.queue.set(queue);
        if appended {
            self.queued.set(self.queued.get() + bytes.len());
        } else {
            // A record that is lost is the end of the stream.
            self.fail_sending(Errno(libc::ENOMEM));
        }
    }

    #[cold]
    fn fail_sending(&self, errno: Errno) {
        self.send_error.set(errno.0);
        self.mute.set(true);
        self.drop_queue();
    }

    fn drop_queue(&self) {
        buffers::give(self.queue.take());
        self.sent.set(0);
        self.queued.set(0);
    }

    /// Sends what the kernel takes; an error is kept for [`Wire::send_error`].
    #[inline]
    pub(super) fn flush(&self) {
        if self.queued.get() > 0 {
            self.flush_queue();
        }
    }

    fn flush_queue(&self) {
        let queue = self.queue.take();
        let mut sent = self.sent.get();
        let mut failed = None;
        while let Some(rest) = queue.get(sent..).filter(|rest| !rest.is_empty()) {
            match socket::send(self.fd.get(), rest) {
                Ok(count) => sent += count,
                Err(errno) => {
                    failed = (!errno.would_block()).then_some(errno);
                    break;
                }
            }
        }
        self.sent.set(sent);
        self.queued.set(queue.len().saturating_sub(sent));
        self.queue.set(queue);
        match failed {
            Some(errno) => self.fail_sending(errno),
            None if self.queued.get() == 0 => self.drop_queue(),
            None => {}
        }
    }

    /// Gives the descriptor away, with the bytes that are still to be sent.
    pub(super) fn give_away(&self, fd: RawFd) -> Unsent {
        self.fd.set(-1);
        self.queued.set(0);
        // SAFETY: the transport owns `fd`, gives it up with this call, and this BIO forgot it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Unsent::new(fd, self.queue.take(), self.sent.take())
    }

    /// How the receiving side ended, as far as the kernel has nothing to be read before that.
    pub(super) fn look_for_the_end(&self) -> Inbound {
        let ahead = self.lent.as_ref().is_some_and(|lent| !lent.is_empty());
        if self.inbound.get() == OPEN && !ahead {
            self.end_inbound(match socket::look(self.fd.get()) {
                Ok(0) => Inbound::Ended,
                Err(errno) if !errno.would_block() => Inbound::Failed(errno),
                _ => Inbound::Open,
            });
        }
        self.inbound()
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.get()
    }

    /// What there is only where the descriptor is somebody else's.
    #[inline]
    pub(super) fn lent(&self) -> Option<&Lent> {
        self.lent.as_deref()
    }

    /// The descriptor is being closed.
    pub(super) fn forget_fd(&self) {
        self.fd.set(-1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        buffers::give(self.queue.take());
    }
}

/// A reference to a BIO over a `Wire`. The `Wire` may die before OpenSSL drops its own references: the BIO is then dead
/// and answers each call with an error.
pub(super) struct WireBio {
    bio: *mut ffi::BIO,
    // In an `Rc` for its fixed address, to which the BIO points.
    wire: Rc<Wire>,
}

impl WireBio {
    pub(super) fn new(fd: RawFd, sending: Sending) -> Result<WireBio, Failure> {
        let method = method().ok_or_else(Failure::out_of_memory)?;
        let wire = Rc::new(Wire::new(fd, sending));
        // SAFETY: `method` lives as long as the process. The wire is on the heap, so its address is good until `drop`,
        // which takes it out of the BIO again.
        unsafe {
            let bio = ffi::BIO_new(method);
            if bio.is_null() {
                return Err(Failure::out_of_memory());
            }
            ffi::BIO_set_data(bio, Rc::as_ptr(&wire).cast_mut().cast());
            ffi::BIO_set_init(bio, 1);
            Ok(WireBio { bio, wire })
        }
    }

    /// Puts this BIO under `ssl`, for both directions.
    ///
    /// # Safety
    /// `ssl` is a live `SSL`.
    pub(super) unsafe fn attach(&self, ssl: *mut ffi::SSL) {
        // SAFETY: the BIO is live; SSL_set_bio takes over one reference for both directions, which is the one added
        // here.
        unsafe {
            sys::BIO_up_ref(self.bio);
            ffi::SSL_set_bio(ssl, self.bio, self.bio);
        }
    }
}

impl std::ops::Deref for WireBio {
    type Target = Wire;
    #[inline]
    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl Drop for WireBio {
    fn drop(&mut self) {
        // SAFETY: the reference is ours. Without data the callbacks do not touch the wire, which dies after this.
        unsafe {
            ffi::BIO_set_data(self.bio, std::ptr::null_mut());
            ffi::BIO_free_all(self.bio);
        }
    }
}

struct Method(*mut ffi::BIO_METHOD);
// SAFETY: the method is written before the cell publishes it and only read afterwards.
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

/// The one method of the process, made at the first use and never freed: a BIO may outlive whatever made it.
fn method() -> Option<*const ffi::BIO_METHOD> {
    static METHOD: OnceCell<Method> = OnceCell::new();
    let make = || {
        // SAFETY: plain constructors; the name is static; a method that could not be filled is freed before anybody
        // sees it.
        unsafe {
            let index = sys::BIO_get_new_index();
            if index == -1 {
                return Err(());
            }
            let kind = index | sys::BIO_TYPE_SOURCE_SINK | sys::BIO_TYPE_DESCRIPTOR;
            let method = ffi::BIO_meth_new(kind, c"netconn stream".as_ptr());
            if method.is_null() {
                return Err(());
            }
            if sys::BIO_meth_set_read_ex(method, Some(on_read)) != 1
                || sys::BIO_meth_set_write_ex(method, Some(on_write)) != 1
                || ffi::BIO_meth_set_ctrl__fixed_rust(method, Some(on_ctrl)) != 1
            {
                ffi::BIO_meth_free(method);
                return Err(());
            }
            Ok(Method(method))
        }
    };
    METHOD
        .get_or_try_init(make)
        .ok()
        .map(|method| method.0.cast_const())
}

/// # Safety
/// `bio` is a BIO of our method, and its wire (if it still has one) outlives the use of the result.
#[inline]
unsafe fn wire<'a>(bio: *mut ffi::BIO) -> Option<&'a Wire> {
    // SAFETY: the data is NULL or a `Wire` that `WireBio` keeps alive; shared references to it are all there is.
    unsafe { ffi::BIO_get_data(bio).cast::<Wire>().as_ref() }
}

/// `BIO_read_ex`. No error is "retry" but the ones marked so; OpenSSL is never told of an end of the stream, which it
/// would take for a failure of the protocol: the wire remembers it.
unsafe extern "C" fn on_read(
    bio: *mut ffi::BIO,
    buf: *mut c_char,
    len: usize,
    count: *mut usize,
) -> c_int {
    let read = || {
        // SAFETY: OpenSSL calls this with a BIO of our method, in use and thus alive.
        let wire = unsafe { wire(bio) };
        let received = match wire {
            // SAFETY: OpenSSL gives `len` writable bytes.
            Some(wire) if len > 0 => unsafe { wire.receive(buf.cast(), len) },
            _ => None,
        };
        if let Some(received) = received {
            // SAFETY: OpenSSL gives a place for the count.
            unsafe { *count = received };
            return 1;
        }
        // SAFETY: the BIO is alive.
        unsafe {
            ffi::BIO_clear_flags(bio, sys::BIO_FLAGS_RETRY_MASK);
            if wire.is_some_and(|wire| wire.inbound() == Inbound::Open) {
                ffi::BIO_set_retry_read(bio);
            }
        }
        -1
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(-1)
}

/// `BIO_write_ex`: takes all, or what the kernel takes of a lent descriptor. What goes wrong is the wire's to remember and
/// the transport's to tell.
unsafe extern "C" fn on_write(
    bio: *mut ffi::BIO,
    buf: *const c_char,
    len: usize,
    count: *mut usize,
) -> c_int {
    let write = || {
        // SAFETY: as in `on_read`.
        let Some(wire) = (unsafe { wire(bio) }) else {
            return -1;
        };
        let record = match len {
            0 => &[][..],
            // SAFETY: OpenSSL gives `len` readable bytes.
            _ => unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) },
        };
        let Some(taken) = wire.offer(record) else {
            // SAFETY: the BIO is alive.
            unsafe {
                ffi::BIO_clear_flags(bio, sys::BIO_FLAGS_RETRY_MASK);
                ffi::BIO_set_retry_write(bio);
            }
            return -1;
        };
        // SAFETY: OpenSSL gives a place for the count.
        unsafe { *count = taken };
        1
    };
    catch_unwind(AssertUnwindSafe(write)).unwrap_or(-1)
}

unsafe extern "C" fn on_ctrl(
    bio: *mut ffi::BIO,
    command: c_int,
    _number: c_long,
    pointer: *mut c_void,
) -> c_long {
    // OpenSSL asks several times a record for what only a kernel-TLS socket has: the answer has to be cheap.
    match command {
        // The queue is flushed by the transport, which knows when the kernel is ready.
        ffi::BIO_CTRL_FLUSH => 1,
        sys::BIO_C_GET_FD => {
            // SAFETY: as in `on_read`.
            let fd = unsafe { wire(bio) }.map_or(-1, |wire| wire.fd.get());
            if !pointer.is_null() {
                // SAFETY: BIO_get_fd passes NULL or a place for an int.
                unsafe { *pointer.cast::<c_int>() = fd };
            }
            c_long::from(fd)
        }
        // SAFETY: as in `on_read`.
        sys::BIO_CTRL_WPENDING => unsafe { wire(bio) }.map_or(0, |wire| wire.queued() as c_long),
        // Among them BIO_CTRL_GET_CLOSE: the descriptor is the transport's (BIO_NOCLOSE).
        _ => 0,
    }
}
