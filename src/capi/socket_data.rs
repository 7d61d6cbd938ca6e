//! `socket/Socket.h` and `socket/SocketIO.h`: bytes in and out. Must not know where they go.

use super::raise::{raising_with, violated};
use super::socket::{live_handle, Socket_T};
use crate::errno::Errno;
use crate::socket::{self, Moved, Patience, Piece, Progress};
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
pub(super) fn moving(function: &'static CStr, body: impl FnOnce() -> Moved) -> ssize_t {
    raising_with(function, || body().map(told))
}

/// What C is told of a loop: how many bytes, and by errno why they are fewer than `wanted`.
pub(super) fn short_of(moved: Progress, wanted: usize) -> (ssize_t, Option<Errno>) {
    let errno = match moved.blocked {
        true => Some(Errno(libc::EAGAIN)),
        false if moved.count < wanted => Some(Errno(0)),
        false => None,
    };
    (moved.count as ssize_t, errno)
}

/// The preconditions of a buffer.
#[inline]
pub(super) fn check(function: &'static CStr, buf: *const c_void, len: usize) {
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
pub(super) unsafe fn pieces<'a>(
    function: &'static CStr,
    iov: *const iovec,
    count: c_int,
) -> &'a [Piece] {
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
/// Raises SocketCommon_Failed too: an entry with a length and no memory, lengths that are together more than SSIZE_MAX
/// (EINVAL).
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

/// Sends all: goes on until every byte is taken or, on a non-blocking socket (or after the time of Socket_settimeout), it would
/// block: how many bytes were taken, with errno EAGAIN when they are fewer than `len`. Signals do not end it.
///
/// Raises as Socket_send.
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendall(
    socket: Socket_T,
    buf: *const c_void,
    len: usize,
) -> ssize_t {
    raising_with(c"Socket_sendall", || {
        check(c"Socket_sendall", buf, len);
        let handle = live_handle(c"Socket_sendall", socket);
        // SAFETY: the caller's promise.
        let moved = unsafe { socket::send_all(handle, buf.cast(), len, Patience::Mode)? };
        Ok(short_of(moved, len))
    })
}

/// Receives until `len` bytes are there or, on a non-blocking socket (or after the time of Socket_settimeout), it would block:
/// how many came, with errno EAGAIN when they are fewer than `len`. Signals do not end it.
///
/// Raises as Socket_recv: Socket_Closed when the peer ends the stream before; what came until then is in `buf`.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvall(socket: Socket_T, buf: *mut c_void, len: usize) -> ssize_t {
    raising_with(c"Socket_recvall", || {
        check(c"Socket_recvall", buf, len);
        let handle = live_handle(c"Socket_recvall", socket);
        // SAFETY: the caller's promise.
        let moved = unsafe { socket::receive_all(handle, buf.cast(), len, Patience::Mode)? };
        Ok(short_of(moved, len))
    })
}

/// As Socket_sendall, from `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as Socket_sendv.
///
/// # Safety
/// `iov` has `iovcnt` entries, each readable.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendvall(
    socket: Socket_T,
    iov: *const iovec,
    iovcnt: c_int,
) -> ssize_t {
    raising_with(c"Socket_sendvall", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_sendvall", iov, iovcnt);
            let wanted = pieces
                .iter()
                .map(|piece| piece.iov_len)
                .fold(0, usize::saturating_add);
            let handle = live_handle(c"Socket_sendvall", socket);
            socket::send_all_pieces(handle, pieces, Patience::Mode)
                .map(|moved| short_of(moved, wanted))
        }
    })
}

/// As Socket_recvall, into `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as Socket_recvv.
///
/// # Safety
/// `iov` has `iovcnt` entries, each writable.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvvall(
    socket: Socket_T,
    iov: *mut iovec,
    iovcnt: c_int,
) -> ssize_t {
    raising_with(c"Socket_recvvall", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_recvvall", iov, iovcnt);
            let wanted = pieces
                .iter()
                .map(|piece| piece.iov_len)
                .fold(0, usize::saturating_add);
            let handle = live_handle(c"Socket_recvvall", socket);
            socket::receive_all_pieces(handle, pieces, Patience::Mode)
                .map(|moved| short_of(moved, wanted))
        }
    })
}

/// As Socket_sendall, waiting for `timeout_ms` milliseconds in all, whatever the socket's mode; 0: one attempt without waiting,
/// below 0: no limit. How many bytes were taken, with errno EAGAIN when the time was over before.
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendall_timeout(
    socket: Socket_T,
    buf: *const c_void,
    len: usize,
    timeout_ms: c_int,
) -> ssize_t {
    raising_with(c"Socket_sendall_timeout", || {
        check(c"Socket_sendall_timeout", buf, len);
        let handle = live_handle(c"Socket_sendall_timeout", socket);
        // SAFETY: the caller's promise.
        let moved =
            unsafe { socket::send_all(handle, buf.cast(), len, Patience::from_ms(timeout_ms))? };
        Ok(short_of(moved, len))
    })
}

/// As Socket_recvall, waiting for `timeout_ms` milliseconds in all, whatever the socket's mode; 0: one attempt without waiting,
/// below 0: no limit. How many bytes came, with errno EAGAIN when the time was over before.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvall_timeout(
    socket: Socket_T,
    buf: *mut c_void,
    len: usize,
    timeout_ms: c_int,
) -> ssize_t {
    raising_with(c"Socket_recvall_timeout", || {
        check(c"Socket_recvall_timeout", buf, len);
        let handle = live_handle(c"Socket_recvall_timeout", socket);
        // SAFETY: the caller's promise.
        let moved =
            unsafe { socket::receive_all(handle, buf.cast(), len, Patience::from_ms(timeout_ms))? };
        Ok(short_of(moved, len))
    })
}

/// As Socket_sendall_timeout, from `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
/// Socket_sendv.
///
/// # Safety
/// `iov` has `iovcnt` entries, each readable.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendv_timeout(
    socket: Socket_T,
    iov: *const iovec,
    iovcnt: c_int,
    timeout_ms: c_int,
) -> ssize_t {
    raising_with(c"Socket_sendv_timeout", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_sendv_timeout", iov, iovcnt);
            let wanted = pieces
                .iter()
                .map(|piece| piece.iov_len)
                .fold(0, usize::saturating_add);
            let handle = live_handle(c"Socket_sendv_timeout", socket);
            socket::send_all_pieces(handle, pieces, Patience::from_ms(timeout_ms))
                .map(|moved| short_of(moved, wanted))
        }
    })
}

/// As Socket_recvall_timeout, into `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
/// Socket_recvv.
///
/// # Safety
/// `iov` has `iovcnt` entries, each writable.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvv_timeout(
    socket: Socket_T,
    iov: *mut iovec,
    iovcnt: c_int,
    timeout_ms: c_int,
) -> ssize_t {
    raising_with(c"Socket_recvv_timeout", || {
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"Socket_recvv_timeout", iov, iovcnt);
            let wanted = pieces
                .iter()
                .map(|piece| piece.iov_len)
                .fold(0, usize::saturating_add);
            let handle = live_handle(c"Socket_recvv_timeout", socket);
            socket::receive_all_pieces(handle, pieces, Patience::from_ms(timeout_ms))
                .map(|moved| short_of(moved, wanted))
        }
    })
}
