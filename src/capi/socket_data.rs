//! `socket/Socket.h` and `socket/SocketIO.h`: bytes in and out. Must not know where they go.

use super::raise::{raising_with, violated};
use super::socket::{live_handle, Socket_T};
use crate::errno::Errno;
use crate::socket::{self, Moved, Piece};
use libc::{iovec, ssize_t};
use std::ffi::{c_int, c_void, CStr};

/// The most entries of one vector call.
const IOV_MAX: c_int = 1024;

/// What C is told of a call that moved bytes: how many; 0 with EAGAIN when it would block.
#[inline]
fn told(moved: Option<usize>) -> (ssize_t, Option<Errno>) {
    match moved {
        // A datagram without bytes: errno must not look like that of an earlier call.
        Some(0) => (0, Some(Errno(0))),
        Some(count) => (count as ssize_t, None),
        None => (0, Some(Errno(libc::EAGAIN))),
    }
}

#[inline]
fn moving(function: &'static CStr, body: impl FnOnce() -> Moved) -> ssize_t {
    raising_with(function, || body().map(told))
}

/// The preconditions of a buffer.
#[inline]
fn check(function: &'static CStr, buf: *const c_void, len: usize) {
    if buf.is_null() {
        violated(function, "buf", "is NULL");
    }
    if len == 0 || isize::try_from(len).is_err() {
        violated(function, "len", "is 0, or more than memory can hold");
    }
}

/// The entries of a vector, whose preconditions are checked.
///
/// # Safety
/// `iov` is NULL or has `count` entries, which nobody changes during `'a`.
unsafe fn pieces<'a>(function: &'static CStr, iov: *const iovec, count: c_int) -> &'a [Piece] {
    if iov.is_null() {
        violated(function, "iov", "is NULL");
    }
    if !(1..=IOV_MAX).contains(&count) {
        violated(function, "iovcnt", "is not from 1 to IOV_MAX (1024)");
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { std::slice::from_raw_parts(iov, count as usize) }
}

/// Sends bytes, through TLS where it is enabled: how many were taken, which may be fewer than `len`. 0 with errno EAGAIN when
/// it would block (a non-blocking socket, or the time of Socket_settimeout is over).
///
/// Raises Socket_Closed when the peer is gone (EPIPE, ECONNRESET), Socket_Failed for the rest, EINTR too; on a socket with
/// TLS SocketTLS_HandshakeFailed before the handshake is complete, and SocketTLS_Failed. A NULL `buf` or a `len` of 0 aborts.
/// Never raises SIGPIPE. One thread may send while another receives, without TLS.
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_send(socket: Socket_T, buf: *const c_void, len: usize) -> ssize_t {
    moving(c"Socket_send", || {
        check(c"Socket_send", buf, len);
        // SAFETY: the caller's promise.
        unsafe { socket::send(live_handle(c"Socket_send", socket), buf.cast(), len, 0) }
    })
}

/// Receives bytes, through TLS where it is enabled: how many came. 0 with errno EAGAIN when it would block; on a socket of
/// type SOCK_DGRAM 0 with errno 0 is a datagram without bytes. 0 is never the end of the stream.
///
/// Raises Socket_Closed at the end of the stream (errno 0) and for ECONNRESET, Socket_Failed for the rest, EINTR too; on a
/// socket with TLS SocketTLS_HandshakeFailed before the handshake is complete, and SocketTLS_Failed. A NULL `buf` or a `len`
/// of 0 aborts.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_recv(socket: Socket_T, buf: *mut c_void, len: usize) -> ssize_t {
    moving(c"Socket_recv", || {
        check(c"Socket_recv", buf, len);
        // SAFETY: the caller's promise.
        unsafe { socket::receive(live_handle(c"Socket_recv", socket), buf.cast(), len, 0) }
    })
}

/// As Socket_send, from `iovcnt` (1 to IOV_MAX) pieces of memory in their order.
///
/// Raises SocketCommon_Failed too: an entry with a length and no memory (EINVAL), lengths that are together more than SSIZE_MAX
/// (EOVERFLOW).
///
/// # Safety
/// `iov` has `iovcnt` entries, each readable.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendv(
    socket: Socket_T,
    iov: *const iovec,
    iovcnt: c_int,
) -> ssize_t {
    moving(c"Socket_sendv", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_sendv", iov, iovcnt);
            socket::send_pieces(live_handle(c"Socket_sendv", socket), pieces, 0)
        }
    })
}

/// As Socket_recv, into `iovcnt` (1 to IOV_MAX) pieces of memory in their order. Raises SocketCommon_Failed as Socket_sendv.
///
/// # Safety
/// `iov` has `iovcnt` entries, each writable.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvv(socket: Socket_T, iov: *mut iovec, iovcnt: c_int) -> ssize_t {
    moving(c"Socket_recvv", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_recvv", iov, iovcnt);
            socket::receive_pieces(live_handle(c"Socket_recvv", socket), pieces, 0)
        }
    })
}
