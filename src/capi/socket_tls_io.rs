//! Of `socket/SocketIO.h`: what those ask who wait for sockets that may have TLS. Must not know what TLS is.

// C names.
#![allow(non_camel_case_types)]

use super::guard::infallible;
use super::socket::{find, Socket_T};
use crate::socket::{tls, Socket};
use std::ffi::c_int;

fn ask(socket: Socket_T, question: impl FnOnce(&Socket) -> bool) -> c_int {
    infallible(0, || {
        c_int::from(find(socket).is_some_and(|socket| question(&socket)))
    })
}

/// 1 from SocketTLS_enable until SocketTLS_disable or SocketTLS_shutdown, else 0; 0 for NULL.
#[no_mangle]
pub extern "C" fn socket_is_tls_enabled(socket: Socket_T) -> c_int {
    ask(socket, tls::is_enabled)
}

/// 1 where TLS wants the socket to be read: the last step of an unfinished handshake waits for that; after it, there are bytes to
/// receive that the kernel knows nothing of (decrypted, or a complete record). Else 0, and without TLS, and for NULL.
#[no_mangle]
pub extern "C" fn socket_tls_want_read(socket: Socket_T) -> c_int {
    ask(socket, tls::wants_read)
}

/// 1 where the last step of an unfinished handshake waits until the socket can be written, else 0.
#[no_mangle]
pub extern "C" fn socket_tls_want_write(socket: Socket_T) -> c_int {
    ask(socket, tls::wants_write)
}
