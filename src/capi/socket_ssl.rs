//! Of `socket/SocketIO.h`: the `SSL` of a socket, for programs that call OpenSSL themselves. Must not know what they do.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types)]

use super::guard::infallible;
use super::raise::{raising, raising_with};
use super::socket::{find, Socket_T};
use super::tls_types::SSL;
use crate::errno::Errno;
use crate::socket::{tls, Error, Kind};
use crate::tls::result_errno;
use std::ffi::c_int;
use std::ptr;

/// OpenSSL's object of a socket with TLS, which stays the socket's and lives as long as its TLS; NULL without TLS, and for NULL.
/// Bytes that are sent and received through it are not counted, and after a write that would block the same function has to
/// go on.
#[no_mangle]
pub extern "C" fn socket_get_ssl(socket: Socket_T) -> *mut SSL {
    infallible(ptr::null_mut(), || {
        find(socket).map_or(ptr::null_mut(), |socket| tls::ssl(&socket))
    })
}

/// As socket_get_ssl, for a socket whose handshake is complete.
///
/// Raises Socket_Failed without TLS and for NULL (EINVAL), SocketTLS_HandshakeFailed before (ENOTCONN).
#[no_mangle]
pub extern "C" fn socket_validate_tls_ready(socket: Socket_T) -> *mut SSL {
    raising(c"socket_validate_tls_ready", || {
        let socket = find(socket);
        let ssl = socket
            .as_ref()
            .map_or(ptr::null_mut(), |socket| tls::ssl(socket));
        match socket {
            Some(socket) if !ssl.is_null() => match tls::is_ready(&socket) {
                true => Ok(ssl),
                false => Err(Error::new(
                    Kind::Handshake,
                    Errno(libc::ENOTCONN),
                    "TLS: the handshake is not complete",
                )),
            },
            _ => Err(Error::invalid(Kind::Socket, "the socket has no TLS")),
        }
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
