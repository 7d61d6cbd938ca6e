//! `socket/Socket.h`: Unix domain sockets. Must not know how anything is done.

use super::except::Except_T;
use super::raise::{raising, raising_with};
use super::socket::{live, Socket_T};
use super::socket_common::{given, status};
use super::socket_common_base::{base, SocketBase_T};
use crate::errno::Errno;
use crate::socket::{self, Connected, Error, Kind, Socket};
use std::ffi::{c_char, c_int, CStr};

/// The bytes of a path from C.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string that nobody changes during `'a`.
unsafe fn bytes<'a>(path: *const c_char) -> Result<&'a [u8], Error> {
    if path.is_null() {
        return Err(Error::invalid(Kind::Socket, "the path is NULL"));
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { CStr::from_ptr(path) }.to_bytes())
}

/// Binds a Unix socket to a path, or with "@name" to a name of Linux's abstract namespace. The file of a socket that is in the
/// way is removed first, any other file is not.
///
/// Raises Socket_Failed: a path that is NULL, empty or has a component `..` (EINVAL), one of more than 107 bytes
/// (ENAMETOOLONG), and what bind(2) fails with, EADDRINUSE too.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_bind_unix(socket: Socket_T, path: *const c_char) {
    raising(c"Socket_bind_unix", || {
        let socket = live(c"Socket_bind_unix", socket);
        // SAFETY: the caller's promise.
        socket::bind_unix(&socket, unsafe { bytes(path)? })
    })
}

fn connected(outcome: Connected) -> ((), Option<Errno>) {
    let errno = match outcome {
        Connected::Pending => libc::EINPROGRESS,
        _ => 0,
    };
    ((), Some(Errno(errno)))
}

/// Connects a Unix socket to a path, or with "@name" to a name of the abstract namespace; waits as the socket's mode says.
///
/// Raises Socket_Failed as Socket_bind_unix for the path, and, unlike Socket_connect, for all that connect(2) fails with: ENOENT,
/// ECONNREFUSED, EAGAIN when a socket that does not block meets a full queue.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_unix(socket: Socket_T, path: *const c_char) {
    raising_with(c"Socket_connect_unix", || {
        let socket = live(c"Socket_connect_unix", socket);
        // SAFETY: the caller's promise.
        socket::connect_unix(&socket, unsafe { bytes(path)? }, None).map(connected)
    })
}

/// As Socket_connect_unix, waiting for a listener whose queue is full for `timeout_ms` milliseconds at most (ETIMEDOUT),
/// whatever the socket's mode, which is as before afterwards; below 0: no limit.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_unix_timeout(
    socket: Socket_T,
    path: *const c_char,
    timeout_ms: c_int,
) {
    raising_with(c"Socket_connect_unix_timeout", || {
        let socket = live(c"Socket_connect_unix_timeout", socket);
        // SAFETY: the caller's promise.
        let path = unsafe { bytes(path)? };
        socket::connect_unix(&socket, path, Some(timeout_ms)).map(connected)
    })
}

/// A new Unix socket that listens on a path, as Socket_new, Socket_bind_unix and Socket_listen; to be ended with Socket_free.
///
/// Raises Socket_Failed as these.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_listen_unix(path: *const c_char, backlog: c_int) -> Socket_T {
    raising(c"Socket_listen_unix", || {
        // SAFETY: the caller's promise.
        let path = unsafe { bytes(path)? };
        let made = socket::made(libc::AF_UNIX, |socket| {
            socket::bind_unix(socket, path)?;
            socket::listen(socket, backlog)
        })?;
        Ok(made as Socket_T)
    })
}

/// A number of the peer's credentials; -1 where there are none.
fn credential(
    function: &'static CStr,
    socket: Socket_T,
    of: impl FnOnce(libc::ucred) -> c_int,
) -> c_int {
    raising(function, || {
        let socket: std::sync::Arc<Socket> = live(function, socket);
        Ok(socket.peer_credentials().map_or(-1, of))
    })
}

/// The process at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known.
#[no_mangle]
pub extern "C" fn Socket_getpeerpid(socket: Socket_T) -> c_int {
    credential(c"Socket_getpeerpid", socket, |peer| peer.pid)
}

/// The user at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known.
#[no_mangle]
pub extern "C" fn Socket_getpeeruid(socket: Socket_T) -> c_int {
    credential(c"Socket_getpeeruid", socket, |peer| peer.uid as c_int)
}

/// The group at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known.
#[no_mangle]
pub extern "C" fn Socket_getpeergid(socket: Socket_T) -> c_int {
    credential(c"Socket_getpeergid", socket, |peer| peer.gid as c_int)
}

/// As the exception that the program named.
fn as_given<T>(x: Except_T, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|error| Error {
        kind: given(x),
        ..error
    })
}

/// As Socket_bind_unix, for the record under a socket of another kind. Raises `x`; a NULL `base` aborts.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn SocketUnix_bind(base: SocketBase_T, path: *const c_char, x: Except_T) {
    raising(c"SocketUnix_bind", || {
        let base = self::base(c"SocketUnix_bind", base);
        // SAFETY: the caller's promise.
        let bound = unsafe { bytes(path) }.and_then(|path| socket::bind_path(base.fd(), path));
        base.refresh_local();
        as_given(x, bound)
    })
}

/// As Socket_connect_unix, for the record under a socket of another kind. Raises `x`; a NULL `base` aborts.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn SocketUnix_connect(base: SocketBase_T, path: *const c_char, x: Except_T) {
    raising(c"SocketUnix_connect", || {
        let base = self::base(c"SocketUnix_connect", base);
        // SAFETY: the caller's promise.
        let bytes = unsafe { bytes(path) };
        as_given(
            x,
            bytes.and_then(|path| socket::connect_path(base.fd(), path)),
        )
    })
}

/// Whether the `len` bytes of a path can be that of a Unix socket, as Socket_bind_unix sees it: 0, or -1 with errno.
///
/// # Safety
/// `path` is NULL or readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketUnix_validate_unix_path(path: *const c_char, len: usize) -> c_int {
    status(c"SocketUnix_validate_unix_path", || {
        if path.is_null() {
            return Err(Error::invalid(Kind::Socket, "the path is NULL"));
        }
        // SAFETY: not NULL, and the caller's promise.
        let path = unsafe { std::slice::from_raw_parts(path.cast::<u8>(), len) };
        socket::check_path(path).map(|()| 0)
    })
}
