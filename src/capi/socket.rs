//! `socket/Socket.h`: making sockets, ending them, addressing. Must not know how anything is done.

// C names.
#![allow(non_camel_case_types)]

use super::raise::{raising, violated};
use crate::socket::{self, Error, Handle, Kind, Socket};
use std::ffi::{c_int, CStr};
use std::sync::Arc;

/// A socket. Compare handles, pass them on, never look inside.
pub type Socket_T = *const Handle;

/// The socket behind a handle that must be live: a violated precondition of `function` otherwise.
#[inline]
pub(super) fn live(function: &'static CStr, socket: Socket_T) -> Arc<Socket> {
    match find(socket) {
        Some(socket) => socket,
        None if socket.is_null() => violated(function, "socket", "is NULL"),
        None => violated(function, "socket", "was freed"),
    }
}

/// The socket behind a handle; `None` for NULL and for one that was freed.
#[inline]
pub(super) fn find(socket: Socket_T) -> Option<Arc<Socket>> {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    unsafe { socket.as_ref() }?.socket()
}

/// Makes a socket: close-on-exec and blocking.
///
/// `domain`: AF_INET, AF_INET6 or AF_UNIX; `type`: SOCK_STREAM or SOCK_DGRAM; `protocol`: 0, IPPROTO_TCP or IPPROTO_UDP. Its
/// time-outs are the process's defaults. To be ended with Socket_free.
///
/// Raises Socket_Failed: another domain, type or protocol (EINVAL), and what socket(2) fails with.
#[no_mangle]
pub extern "C" fn Socket_new(domain: c_int, r#type: c_int, protocol: c_int) -> Socket_T {
    raising(c"Socket_new", || {
        socket::new(domain, r#type, protocol).map(|handle| handle as Socket_T)
    })
}

/// Makes a connected pair of Unix sockets: close-on-exec and blocking. `type`: SOCK_STREAM or SOCK_DGRAM.
///
/// Raises Socket_Failed: another type, NULL (EINVAL), and what socketpair(2) fails with.
///
/// # Safety
/// `a` and `b` are NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketPair_new(r#type: c_int, a: *mut Socket_T, b: *mut Socket_T) {
    raising(c"SocketPair_new", || {
        if a.is_null() || b.is_null() {
            return Err(Error::invalid(
                Kind::Socket,
                "SocketPair_new: the place for a socket is NULL",
            ));
        }
        let (first, second) = socket::pair(r#type)?;
        // SAFETY: not NULL, and the caller's promise.
        unsafe {
            *a = first;
            *b = second;
        }
        Ok(())
    })
}

/// Takes a socket's descriptor over and makes it non-blocking; what it is, is asked of the kernel.
///
/// Raises Socket_Failed when it is no socket; the descriptor is then still the caller's. A negative `fd` aborts.
#[no_mangle]
pub extern "C" fn Socket_new_from_fd(fd: c_int) -> Socket_T {
    raising(c"Socket_new_from_fd", || {
        if fd < 0 {
            violated(c"Socket_new_from_fd", "fd", "is negative");
        }
        // SAFETY: a C program names a descriptor of its own, and gives it up by the contract of this function.
        unsafe { socket::take_over(fd) }.map(|handle| handle as Socket_T)
    })
}

/// Ends a socket: drops its TLS without a close_notify, closes the descriptor, stores NULL. Nothing happens for NULL and for
/// a handle that was freed before.
///
/// # Safety
/// `socket` is NULL or points to a handle.
#[no_mangle]
pub unsafe extern "C" fn Socket_free(socket: *mut Socket_T) {
    raising(c"Socket_free", || {
        if socket.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and the caller's promise.
        let handle = unsafe { std::mem::replace(&mut *socket, std::ptr::null()) };
        // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
        if let Some(handle) = unsafe { handle.as_ref() } {
            handle.end();
        }
        Ok(())
    })
}

/// How many sockets of this process are live.
#[no_mangle]
pub extern "C" fn Socket_debug_live_count() -> c_int {
    socket::live_count()
}

/// The descriptor, which stays the socket's. A NULL or freed `socket` aborts.
#[no_mangle]
pub extern "C" fn Socket_fd(socket: Socket_T) -> c_int {
    raising(c"Socket_fd", || Ok(live(c"Socket_fd", socket).fd()))
}
