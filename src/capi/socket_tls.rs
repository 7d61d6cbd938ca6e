//! `tls/SocketTLS.h`: TLS on a socket, its handshake, its bytes, its end. Must not know how TLS is done.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::netconn_tls::context;
use super::raise::{raising, raising_with, record};
use super::socket::{find, Socket_T};
use super::tls_types::SocketTLSContext_T;
use crate::errno::Errno;
use crate::socket::tls::{self, FileMoved, Progress};
use crate::socket::{Error, Kind, Moved, Socket};
use libc::{off_t, ssize_t};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::Arc;

/// How far a handshake is.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum TLSHandshakeState {
    /// No step was made.
    TLS_HANDSHAKE_NOT_STARTED = 0,
    /// It is under way.
    TLS_HANDSHAKE_IN_PROGRESS = 1,
    /// It waits for the peer: make the next step when the socket can be read.
    TLS_HANDSHAKE_WANT_READ = 2,
    /// It waits for the kernel: make the next step when the socket can be written.
    TLS_HANDSHAKE_WANT_WRITE = 3,
    /// It is complete.
    TLS_HANDSHAKE_COMPLETE = 4,
    /// It failed, or a loop's time was over.
    TLS_HANDSHAKE_ERROR = 5,
}

use TLSHandshakeState::*;

/// The socket of a function that fails for NULL and for a handle that was freed.
fn required(kind: Kind, what: &str, socket: Socket_T) -> Result<Arc<Socket>, Error> {
    find(socket).ok_or_else(|| {
        let why = if socket.is_null() { "NULL" } else { "freed" };
        Error::invalid(kind, format!("{what}: the socket is {why}"))
    })
}

/// Puts TLS on a socket, in the role of the context; the handshake is still to do. The socket may be connected later, before
/// that. Blocking or not stays as it is. From now on Socket_send, Socket_recv and all that stands on them go through TLS.
/// The context may be freed while the socket uses it.
///
/// Raises SocketTLS_Failed: `socket` or `ctx` NULL, TLS is enabled already (EALREADY), a socket without a descriptor (EBADF) or
/// of type SOCK_DGRAM (EOPNOTSUPP), no memory.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_enable(socket: Socket_T, ctx: SocketTLSContext_T) {
    raising(c"SocketTLS_enable", || {
        let socket = required(Kind::Tls, "TLS cannot be enabled", socket)?;
        // SAFETY: NULL, or live, as the program promises.
        let context = unsafe { context(ctx) };
        let context = context.ok_or_else(|| {
            Error::invalid(Kind::Tls, "TLS cannot be enabled: the context is NULL")
        })?;
        tls::enable(&socket, &context)
    })
}

/// Takes TLS off: the socket is plain again. Sends close_notify if the kernel takes it, and waits for the peer's for 1.25
/// seconds at most; what the peer has sent before is dropped, what follows is received as plain bytes. Never raises for what
/// happens to the connection.
///
/// Returns 1 when both sides have ended TLS, else 0; 0 also where TLS was not enabled. Raises SocketTLS_Failed for NULL.
#[no_mangle]
pub extern "C" fn SocketTLS_disable(socket: Socket_T) -> c_int {
    raising(c"SocketTLS_disable", || {
        let socket = required(Kind::Tls, "TLS cannot be disabled", socket)?;
        Ok(c_int::from(tls::disable(&socket)))
    })
}

/// Whom a client expects: announced to the server (SNI), and its certificate must be for this name, which turns verification
/// on for this socket whatever the context says. After SocketTLS_enable, before the handshake. An IPv4 or IPv6 address is looked
/// for as an address, and not announced.
///
/// Raises SocketTLS_Failed: NULL, empty, more than 255 bytes; a label that is not 1 to 63 letters, digits and inner hyphens
/// (no trailing dot, no port, no underscore); TLS is not enabled; a server's context; the handshake has begun.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_set_hostname(socket: Socket_T, hostname: *const c_char) {
    raising(c"SocketTLS_set_hostname", || {
        let socket = required(Kind::Tls, "TLS: the hostname cannot be set", socket)?;
        if hostname.is_null() {
            return Err(Error::invalid(Kind::Tls, "TLS: the hostname is NULL"));
        }
        // SAFETY: not NULL: a C string that the program does not change during the call.
        let name = unsafe { CStr::from_ptr(hostname) };
        let name = name
            .to_str()
            .map_err(|_| Error::invalid(Kind::Tls, "TLS: the hostname is not ASCII"))?;
        tls::set_hostname(&socket, name)
    })
}

/// What C is told of a step: what it waits for comes with EAGAIN.
fn state(progress: Progress) -> (TLSHandshakeState, Option<Errno>) {
    let waits = Some(Errno(libc::EAGAIN));
    match progress {
        Progress::Complete => (TLS_HANDSHAKE_COMPLETE, None),
        Progress::WantsRead => (TLS_HANDSHAKE_WANT_READ, waits),
        Progress::WantsWrite => (TLS_HANDSHAKE_WANT_WRITE, waits),
    }
}

/// One step of the handshake, or all of it on a blocking socket.
///
/// Returns TLS_HANDSHAKE_COMPLETE, also when it was complete before; TLS_HANDSHAKE_WANT_READ or TLS_HANDSHAKE_WANT_WRITE with
/// errno EAGAIN: wait for that and call again.
///
/// Raises SocketTLS_HandshakeFailed: NULL, TLS is not enabled, the protocol or the certificate failed (EPROTO), the connection
/// was lost, a client that verifies has no hostname (EINVAL: set one and call again). All but the last are final: a later step
/// raises it again. What a callback of the context's raises is raised again here.
#[no_mangle]
pub extern "C" fn SocketTLS_handshake(socket: Socket_T) -> TLSHandshakeState {
    raising_with(c"SocketTLS_handshake", || {
        let socket = required(Kind::Handshake, "TLS handshake", socket)?;
        tls::shake(&socket).map(state)
    })
}

fn looping(
    function: &'static CStr,
    socket: Socket_T,
    shake: impl FnOnce(&Socket) -> Result<Result<Progress, Error>, Error>,
) -> TLSHandshakeState {
    raising_with(function, || {
        let socket = required(Kind::Handshake, "TLS handshake", socket)?;
        match shake(&socket)? {
            Ok(progress) => Ok(state(progress)),
            Err(error) => {
                record(&error);
                Ok((TLS_HANDSHAKE_ERROR, Some(error.errno)))
            }
        }
    })
}

/// Shakes hands until that is complete or has failed, waiting in between, also on a non-blocking socket. `timeout_ms` above
/// 0: at most so long; 0: one step, without waiting; below 0: without an end.
///
/// Returns TLS_HANDSHAKE_COMPLETE; TLS_HANDSHAKE_ERROR when it failed or the time was over (errno ETIMEDOUT: it may go on with
/// another call), the message in Socket_GetLastError; with `timeout_ms` 0 also TLS_HANDSHAKE_WANT_READ or
/// TLS_HANDSHAKE_WANT_WRITE.
///
/// Raises SocketTLS_HandshakeFailed only where TLS is not enabled, or the descriptor is none; and again what a callback of the
/// context's raises.
#[no_mangle]
pub extern "C" fn SocketTLS_handshake_loop(
    socket: Socket_T,
    timeout_ms: c_int,
) -> TLSHandshakeState {
    looping(c"SocketTLS_handshake_loop", socket, |socket| {
        tls::shake_within(socket, timeout_ms)
    })
}

/// As SocketTLS_handshake_loop. It goes on as soon as the socket can be read or written, whatever `poll_interval_ms` says.
#[no_mangle]
pub extern "C" fn SocketTLS_handshake_loop_ex(
    socket: Socket_T,
    timeout_ms: c_int,
    poll_interval_ms: c_int,
) -> TLSHandshakeState {
    looping(c"SocketTLS_handshake_loop_ex", socket, |socket| {
        let _ = poll_interval_ms;
        tls::shake_within(socket, timeout_ms)
    })
}

/// As SocketTLS_handshake_loop, with the socket's operation time-out (Socket_timeouts_set); where that is 0, the context's
/// time-out of handshakes, 30000 ms if nothing else was said.
#[no_mangle]
pub extern "C" fn SocketTLS_handshake_auto(socket: Socket_T) -> TLSHandshakeState {
    looping(c"SocketTLS_handshake_auto", socket, tls::shake_by_itself)
}

/// Ends TLS in both directions: sends close_notify, drops what still comes, and waits for the peer's, also on a non-blocking
/// socket, as long as the socket's operation time-out says (0: the context's time-out of shutdowns, 5000 ms if nothing else
/// was said). Then TLS is off, and the socket is plain. The end of the connection counts as the peer's close_notify. An
/// unfinished handshake is dropped without a word.
///
/// Raises SocketTLS_ShutdownFailed: TLS is not enabled (EINVAL), the time was over (ETIMEDOUT), the protocol failed. TLS is off
/// after these, too.
#[no_mangle]
pub extern "C" fn SocketTLS_shutdown(socket: Socket_T) {
    raising(c"SocketTLS_shutdown", || {
        let socket = required(Kind::Shutdown, "TLS shutdown", socket)?;
        tls::shut_down(&socket)
    })
}

/// Sends close_notify without waiting, once: nothing can be sent after it, and receiving may go on.
///
/// Returns 1 when it was sent, now or before; 0 with errno EAGAIN when the kernel cannot take it now: call again; -1 where TLS
/// is not enabled. Raises SocketTLS_ShutdownFailed: the protocol or the connection failed, the handshake is not complete.
#[no_mangle]
pub extern "C" fn SocketTLS_shutdown_send(socket: Socket_T) -> c_int {
    raising_with(c"SocketTLS_shutdown_send", || {
        let Some(socket) = find(socket) else {
            return Ok((-1, None));
        };
        Ok(match tls::shut_down_sending(&socket)? {
            None => (-1, None),
            Some(true) => (1, None),
            Some(false) => (0, Some(Errno(libc::EAGAIN))),
        })
    })
}

/// What C is told of a call that moved bytes.
fn told(moved: Option<usize>) -> (ssize_t, Option<Errno>) {
    match moved {
        Some(count) => (count as ssize_t, None),
        None => (0, Some(Errno(libc::EAGAIN))),
    }
}

fn moving(
    function: &'static CStr,
    what: &str,
    socket: Socket_T,
    (buf, len): (*const c_void, usize),
    body: impl FnOnce(&Socket) -> Moved,
) -> ssize_t {
    raising_with(function, || {
        if len == 0 {
            return Ok((0, None));
        }
        let socket = required(Kind::Tls, what, socket)?;
        if buf.is_null() {
            return Err(Error::invalid(
                Kind::Tls,
                format!("{what}: the buffer is NULL"),
            ));
        }
        body(&socket).map(told)
    })
}

/// Sends bytes through TLS: how many were taken, which may be fewer than `len` (of more than INT_MAX only those count). 0 with
/// errno EAGAIN when it would block: the same bytes have to be offered again, wherever they are then. A `len` of 0 does nothing.
///
/// Raises SocketTLS_Failed: NULL, TLS is not enabled (EINVAL), the handshake is not complete (ENOTCONN), the protocol (EPROTO) or
/// the connection failed; Socket_Closed (EPIPE) after SocketTLS_shutdown_send.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_send(
    socket: Socket_T,
    buf: *const c_void,
    len: usize,
) -> ssize_t {
    let what = "TLS: send";
    moving(c"SocketTLS_send", what, socket, (buf, len), |socket| {
        let len = len.min(c_int::MAX as usize);
        // SAFETY: readable for so many bytes, as the program promises.
        tls::tls_send(socket, unsafe {
            std::slice::from_raw_parts(buf.cast(), len)
        })
    })
}

/// Receives bytes through TLS: how many came. 0 with errno EAGAIN when it would block. A `len` of 0 does nothing.
///
/// Raises Socket_Closed with errno 0 when the peer has ended TLS (close_notify); SocketTLS_Failed: NULL, TLS is not enabled
/// (EINVAL), the handshake is not complete (ENOTCONN), the protocol failed (EPROTO), the connection ended without close_notify
/// (EPROTO: what was received may not be all) or was reset (ECONNRESET).
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_recv(socket: Socket_T, buf: *mut c_void, len: usize) -> ssize_t {
    let what = "TLS: receive";
    moving(
        c"SocketTLS_recv",
        what,
        socket,
        (buf.cast_const(), len),
        |socket| {
            let len = len.min(c_int::MAX as usize);
            // SAFETY: writable for so many bytes, as the program promises.
            tls::tls_receive(socket, unsafe {
                std::slice::from_raw_parts_mut(buf.cast(), len)
            })
        },
    )
}

/// Sends `size` bytes of a file through TLS, from `offset` on; the file's position is neither used nor moved.
///
/// Returns how many were sent: fewer at the end of the file, and where it would block (0 with errno EAGAIN where nothing was
/// sent). -1 when `file_fd` is negative (EBADF), or the file cannot be read there and nothing was sent. A `size` of 0 does
/// nothing. Raises as SocketTLS_send.
#[no_mangle]
pub extern "C" fn SocketTLS_sendfile(
    socket: Socket_T,
    file_fd: c_int,
    offset: off_t,
    size: usize,
) -> ssize_t {
    raising_with(c"SocketTLS_sendfile", || {
        if size == 0 {
            return Ok((0, None));
        }
        if file_fd < 0 {
            return Ok((-1, Some(Errno(libc::EBADF))));
        }
        let socket = required(Kind::Tls, "TLS: sendfile", socket)?;
        let size = size.min(isize::MAX as usize);
        Ok(match tls::tls_send_file(&socket, file_fd, offset, size)? {
            FileMoved::Sent(count) => told(count),
            FileMoved::Unread(errno) => (-1, Some(errno)),
        })
    })
}
