//! `socket/SocketIO.h`: the routing that every call with bytes takes. Must not know how anything is done.

use super::raise::raising;
use super::socket::{find, live_handle, Socket_T};
use super::socket_data::{check, moving, pieces};
use crate::socket::{self, Route};
use libc::{iovec, ssize_t};
use std::ffi::{c_int, c_void};

/// Socket_send with flags of send(2), which a socket with TLS does not know.
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn socket_send_internal(
    socket: Socket_T,
    buf: *const c_void,
    len: usize,
    flags: c_int,
) -> ssize_t {
    moving(c"socket_send_internal", || {
        check(c"socket_send_internal", buf, len);
        let handle = live_handle(c"socket_send_internal", socket);
        // SAFETY: the caller's promise.
        unsafe { socket::send(handle, buf.cast(), len, flags) }
    })
}

/// Socket_recv with flags of recv(2), which a socket with TLS does not know.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn socket_recv_internal(
    socket: Socket_T,
    buf: *mut c_void,
    len: usize,
    flags: c_int,
) -> ssize_t {
    moving(c"socket_recv_internal", || {
        check(c"socket_recv_internal", buf, len);
        let handle = live_handle(c"socket_recv_internal", socket);
        // SAFETY: the caller's promise.
        unsafe { socket::receive(handle, buf.cast(), len, flags) }
    })
}

/// Socket_sendv with flags of send(2), which a socket with TLS does not know.
///
/// # Safety
/// `iov` has `iovcnt` entries, each readable.
#[no_mangle]
pub unsafe extern "C" fn socket_sendv_internal(
    socket: Socket_T,
    iov: *const iovec,
    iovcnt: c_int,
    flags: c_int,
) -> ssize_t {
    moving(c"socket_sendv_internal", || {
        let handle = live_handle(c"socket_sendv_internal", socket);
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"socket_sendv_internal", iov, iovcnt);
            socket::send_pieces(handle, pieces, flags)
        }
    })
}

/// Socket_recvv with flags of recv(2), which a socket with TLS does not know.
///
/// # Safety
/// `iov` has `iovcnt` entries, each writable.
#[no_mangle]
pub unsafe extern "C" fn socket_recvv_internal(
    socket: Socket_T,
    iov: *mut iovec,
    iovcnt: c_int,
    flags: c_int,
) -> ssize_t {
    moving(c"socket_recvv_internal", || {
        let handle = live_handle(c"socket_recvv_internal", socket);
        // SAFETY: the caller's promise.
        unsafe {
            let pieces = pieces(c"socket_recvv_internal", iov, iovcnt);
            socket::receive_pieces(handle, pieces, flags)
        }
    })
}

/// 1 from SocketTLS_enable until disable or shutdown, else 0; 0 for NULL.
#[no_mangle]
pub extern "C" fn socket_is_tls_enabled(socket: Socket_T) -> c_int {
    raising(c"socket_is_tls_enabled", || {
        Ok(find(socket)
            .is_some_and(|socket| socket.route() == Route::Tls)
            .into())
    })
}

/// Whether there is something to read without waiting for the descriptor: before the handshake is complete, whether its last
/// step waits for bytes from the peer; after it, whether decrypted bytes or a complete record are here. 0 without TLS.
#[no_mangle]
pub extern "C" fn socket_tls_want_read(socket: Socket_T) -> c_int {
    raising(c"socket_tls_want_read", || {
        Ok(find(socket)
            .is_some_and(|socket| socket.tls_wants_read())
            .into())
    })
}

/// Whether the last step of a handshake that is not complete waits until it can send. 0 without TLS.
#[no_mangle]
pub extern "C" fn socket_tls_want_write(socket: Socket_T) -> c_int {
    raising(c"socket_tls_want_write", || {
        Ok(find(socket)
            .is_some_and(|socket| socket.tls_wants_write())
            .into())
    })
}
