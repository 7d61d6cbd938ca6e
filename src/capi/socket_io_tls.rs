//! `socket/SocketIO.h`: the `SSL` of a socket, for programs that call OpenSSL themselves. Must not know how TLS is done.

use super::raise::{raising, raising_with};
use super::socket::{find, Socket_T};
use super::tls_types::SSL;
use crate::errno::Errno;
use crate::socket::{tls, Error, Kind};
use crate::tls::result_errno;
use std::ffi::c_int;

/// The socket's `SSL`, which stays the socket's and goes with its TLS; NULL without TLS, for NULL and for a socket that was
/// freed. What is done to it behind the library's back is the program's affair: let the library move the bytes.
#[no_mangle]
pub extern "C" fn socket_get_ssl(socket: Socket_T) -> *mut SSL {
    raising(c"socket_get_ssl", || {
        Ok(find(socket).map_or(std::ptr::null_mut(), |socket| tls::handed::ssl(&socket)))
    })
}

/// As socket_get_ssl, when bytes can be moved.
///
/// Raises Socket_Failed: no TLS (EINVAL); SocketTLS_HandshakeFailed: the handshake is not complete (ENOTCONN).
#[no_mangle]
pub extern "C" fn socket_validate_tls_ready(socket: Socket_T) -> *mut SSL {
    raising(c"socket_validate_tls_ready", || match find(socket) {
        Some(socket) => tls::handed::ready_ssl(&socket),
        None => Err(Error::invalid(
            Kind::Socket,
            "socket_validate_tls_ready: the socket is NULL or was freed",
        )),
    })
}

/// What `ret`, which a call of OpenSSL with `ssl` has just returned on this thread, means as errno: 0 for a success, and with
/// errno EAGAIN for a call that waits for the socket; -1 with errno EPROTO (TLS failed), ECONNRESET (the peer ended TLS or the
/// connection), EINVAL (`ssl` is NULL), or the system's number. `socket` is not looked at.
///
/// # Safety
/// `ssl` is NULL or alive, and used by nobody else meanwhile.
#[no_mangle]
pub unsafe extern "C" fn socket_handle_ssl_error(
    socket: Socket_T,
    ssl: *mut SSL,
    ret: c_int,
) -> c_int {
    let _ = socket;
    let before = Errno::last();
    raising_with(c"socket_handle_ssl_error", || {
        if ssl.is_null() {
            return Ok((-1, Some(Errno(libc::EINVAL))));
        }
        // SAFETY: not NULL, and the caller's promise.
        Ok(match unsafe { result_errno(ssl, ret, before) } {
            None => (0, None),
            Some(errno) if errno.would_block() => (0, Some(errno)),
            Some(errno) => (-1, Some(errno)),
        })
    })
}
