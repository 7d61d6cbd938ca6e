//! `socket/Socket.h`: options, time-outs, state. Must not know how anything is done.

// C names.
#![allow(non_camel_case_types, non_snake_case)]

use super::raise::{raising, violated};
use super::socket::{live, Socket_T};
use super::socket_config::{SocketTimeouts_Extended_T, SocketTimeouts_T};
use crate::socket::{self, errno_class, Error, Kind, Timeouts};
use std::ffi::{c_char, c_int, c_uint, CStr};

/// Makes the socket non-blocking; there is no way back.
///
/// Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setnonblocking(socket: Socket_T) {
    raising(c"Socket_setnonblocking", || {
        live(c"Socket_setnonblocking", socket).set_nonblocking()
    })
}

/// SO_REUSEADDR, which Socket_bind turns on by itself.
///
/// Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setreuseaddr(socket: Socket_T) {
    raising(c"Socket_setreuseaddr", || {
        live(c"Socket_setreuseaddr", socket).set_reuse_address()
    })
}

/// SO_REUSEPORT: several sockets may bind to one port.
///
/// Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setreuseport(socket: Socket_T) {
    raising(c"Socket_setreuseport", || {
        live(c"Socket_setreuseport", socket).set_reuse_port()
    })
}

/// Whether the descriptor is closed when the process executes another program; it is, unless turned off here.
///
/// Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setcloexec(socket: Socket_T, enable: c_int) {
    raising(c"Socket_setcloexec", || {
        live(c"Socket_setcloexec", socket).set_close_on_exec(enable != 0)
    })
}

/// How long a call on a blocking socket waits, in seconds, before it says that it would block (SO_RCVTIMEO and SO_SNDTIMEO); 0:
/// for ever.
///
/// Raises Socket_Failed: a negative time (EINVAL).
#[no_mangle]
pub extern "C" fn Socket_settimeout(socket: Socket_T, timeout_sec: c_int) {
    raising(c"Socket_settimeout", || {
        live(c"Socket_settimeout", socket).set_kernel_timeout(timeout_sec)
    })
}

/// What Socket_settimeout has set, in seconds; 0: none. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_gettimeout(socket: Socket_T) -> c_int {
    raising(c"Socket_gettimeout", || {
        live(c"Socket_gettimeout", socket).kernel_timeout()
    })
}

/// TCP keepalive on: after `idle` seconds (1 to 31536000; Linux takes up to 32767) without traffic the peer is probed, every
/// `interval` seconds (1 to 3600), and given up after `count` probes (1 to 32).
///
/// Raises Socket_Failed: a value out of range (EINVAL), a socket that is not TCP.
#[no_mangle]
pub extern "C" fn Socket_setkeepalive(
    socket: Socket_T,
    idle: c_int,
    interval: c_int,
    count: c_int,
) {
    raising(c"Socket_setkeepalive", || {
        live(c"Socket_setkeepalive", socket).set_keepalive([idle, interval, count])
    })
}

/// What Socket_setkeepalive has set; zeros while keepalive is off. A NULL pointer is left out. Raises Socket_Failed.
///
/// # Safety
/// Each pointer is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_getkeepalive(
    socket: Socket_T,
    idle: *mut c_int,
    interval: *mut c_int,
    count: *mut c_int,
) {
    raising(c"Socket_getkeepalive", || {
        let values = live(c"Socket_getkeepalive", socket).keepalive()?;
        for (place, value) in [idle, interval, count].into_iter().zip(values) {
            // SAFETY: the caller's promise.
            if let Some(place) = unsafe { place.as_mut() } {
                *place = value;
            }
        }
        Ok(())
    })
}

/// TCP_NODELAY: small pieces are sent at once. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setnodelay(socket: Socket_T, enable: c_int) {
    raising(c"Socket_setnodelay", || {
        live(c"Socket_setnodelay", socket).set_nodelay(enable != 0)
    })
}

/// TCP_NODELAY: 1 or 0. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_getnodelay(socket: Socket_T) -> c_int {
    raising(c"Socket_getnodelay", || {
        live(c"Socket_getnodelay", socket)
            .nodelay()
            .map(c_int::from)
    })
}

/// TCP_CORK: 1 holds segments that are not full back, 0 sends them. 0, or -1 with errno.
#[no_mangle]
pub extern "C" fn Socket_cork(socket: Socket_T, enable: c_int) -> c_int {
    returning(c"Socket_cork", || {
        let socket = live(c"Socket_cork", socket);
        socket.cork(enable != 0).map(|()| 0)
    })
}

/// For functions that return -1 where others raise.
fn returning(function: &'static CStr, body: impl FnOnce() -> Result<c_int, Error>) -> c_int {
    super::raise::raising_with(function, || {
        Ok(match body() {
            Ok(value) => (value, None),
            Err(error) => {
                super::raise::record(&error);
                (-1, Some(error.errno))
            }
        })
    })
}

/// The size of the kernel's buffer for what was received, 512 to 1048576 bytes; Linux doubles it for its own needs.
///
/// Raises Socket_Failed: a size out of range (EINVAL).
#[no_mangle]
pub extern "C" fn Socket_setrcvbuf(socket: Socket_T, size: c_int) {
    raising(c"Socket_setrcvbuf", || {
        live(c"Socket_setrcvbuf", socket).set_buffer(libc::SO_RCVBUF, size)
    })
}

/// The size of the kernel's buffer for what is to be sent, as Socket_setrcvbuf.
#[no_mangle]
pub extern "C" fn Socket_setsndbuf(socket: Socket_T, size: c_int) {
    raising(c"Socket_setsndbuf", || {
        live(c"Socket_setsndbuf", socket).set_buffer(libc::SO_SNDBUF, size)
    })
}

/// The size of the kernel's buffer for what was received, as the kernel tells it. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_getrcvbuf(socket: Socket_T) -> c_int {
    raising(c"Socket_getrcvbuf", || {
        live(c"Socket_getrcvbuf", socket).buffer(libc::SO_RCVBUF)
    })
}

/// The size of the kernel's buffer for what is to be sent, as the kernel tells it. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_getsndbuf(socket: Socket_T) -> c_int {
    raising(c"Socket_getsndbuf", || {
        live(c"Socket_getsndbuf", socket).buffer(libc::SO_SNDBUF)
    })
}

/// The congestion control of a TCP socket, by its name in Linux ("cubic", "reno").
///
/// Raises Socket_Failed: a name that is NULL, empty or longer than 63 bytes (EINVAL), one that this system does not have.
///
/// # Safety
/// `algorithm` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_setcongestion(socket: Socket_T, algorithm: *const c_char) {
    raising(c"Socket_setcongestion", || {
        let socket = live(c"Socket_setcongestion", socket);
        if algorithm.is_null() {
            let text = "Socket_setcongestion: the name is NULL";
            return Err(Error::invalid(Kind::Socket, text));
        }
        // SAFETY: not NULL, and the caller's promise.
        socket.set_congestion(unsafe { CStr::from_ptr(algorithm) }.to_bytes())
    })
}

/// The name of the congestion control into `algorithm`, which has room for `len` bytes, cut where that is too little: 0, or -1
/// with errno.
///
/// # Safety
/// `algorithm` is NULL or can be written for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_getcongestion(
    socket: Socket_T,
    algorithm: *mut c_char,
    len: usize,
) -> c_int {
    returning(c"Socket_getcongestion", || {
        let socket = live(c"Socket_getcongestion", socket);
        if algorithm.is_null() || len == 0 {
            let text = "Socket_getcongestion: there is no room for the name";
            return Err(Error::invalid(Kind::Socket, text));
        }
        let failed = |errno| Error::system(Kind::Socket, "TCP_CONGESTION", errno);
        let name = socket.congestion().map_err(failed)?;
        let fits = name.len().min(len);
        // SAFETY: room for `len` bytes, the caller promises; the last that is written becomes the NUL.
        unsafe {
            std::ptr::copy_nonoverlapping(name.as_ptr().cast(), algorithm, fits);
            *algorithm.add(fits - 1) = 0;
        }
        Ok(0)
    })
}

/// TCP Fast Open: a listener takes data with the first packet. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_setfastopen(socket: Socket_T, enable: c_int) {
    raising(c"Socket_setfastopen", || {
        live(c"Socket_setfastopen", socket).set_fast_open(enable != 0)
    })
}

/// TCP Fast Open: 1 or 0; -1 where there is none, as on a socket that is not TCP.
#[no_mangle]
pub extern "C" fn Socket_getfastopen(socket: Socket_T) -> c_int {
    raising(c"Socket_getfastopen", || {
        let on = live(c"Socket_getfastopen", socket).fast_open();
        Ok(on.map_or(-1, c_int::from))
    })
}

/// How long bytes may stay without the peer's acknowledgement, in milliseconds (TCP_USER_TIMEOUT). 0 aborts.
///
/// Raises Socket_Failed: more than INT_MAX (EINVAL), a socket that is not TCP.
#[no_mangle]
pub extern "C" fn Socket_setusertimeout(socket: Socket_T, timeout_ms: c_uint) {
    raising(c"Socket_setusertimeout", || {
        if timeout_ms == 0 {
            violated(c"Socket_setusertimeout", "timeout_ms", "is 0");
        }
        live(c"Socket_setusertimeout", socket).set_user_timeout(timeout_ms)
    })
}

/// What Socket_setusertimeout has set; 0 where there is none.
#[no_mangle]
pub extern "C" fn Socket_getusertimeout(socket: Socket_T) -> c_uint {
    raising(c"Socket_getusertimeout", || {
        Ok(live(c"Socket_getusertimeout", socket).user_timeout())
    })
}

/// A listener hears of a connection when its first bytes are there, or after this many seconds (0 to 3600; 0: off). Linux rounds
/// it up. Raises Socket_Failed: a time out of range (EINVAL).
#[no_mangle]
pub extern "C" fn Socket_setdeferaccept(socket: Socket_T, timeout_sec: c_int) {
    raising(c"Socket_setdeferaccept", || {
        live(c"Socket_setdeferaccept", socket).set_defer_accept(timeout_sec)
    })
}

/// What Socket_setdeferaccept has set, as the kernel tells it. Raises Socket_Failed.
#[no_mangle]
pub extern "C" fn Socket_getdeferaccept(socket: Socket_T) -> c_int {
    raising(c"Socket_getdeferaccept", || {
        live(c"Socket_getdeferaccept", socket).defer_accept()
    })
}

/// Ends one direction of the connection, or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Of the transport: TLS says no goodbye.
///
/// Raises Socket_Failed: another `how` (EINVAL), a socket that is not connected (ENOTCONN).
#[no_mangle]
pub extern "C" fn Socket_shutdown(socket: Socket_T, how: c_int) {
    raising(c"Socket_shutdown", || {
        live(c"Socket_shutdown", socket).shut(how)
    })
}

impl From<Timeouts> for SocketTimeouts_T {
    fn from(timeouts: Timeouts) -> SocketTimeouts_T {
        SocketTimeouts_T {
            connect_timeout_ms: timeouts.connect,
            dns_timeout_ms: timeouts.dns,
            operation_timeout_ms: timeouts.operation,
        }
    }
}

impl From<SocketTimeouts_T> for Timeouts {
    fn from(timeouts: SocketTimeouts_T) -> Timeouts {
        let given = Timeouts {
            connect: timeouts.connect_timeout_ms,
            dns: timeouts.dns_timeout_ms,
            operation: timeouts.operation_timeout_ms,
        };
        given.clamped()
    }
}

/// How long the socket waits; nothing happens for a NULL `timeouts`.
///
/// # Safety
/// `timeouts` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_get(socket: Socket_T, timeouts: *mut SocketTimeouts_T) {
    raising(c"Socket_timeouts_get", || {
        let socket = live(c"Socket_timeouts_get", socket);
        // SAFETY: the caller's promise.
        if let Some(place) = unsafe { timeouts.as_mut() } {
            *place = socket.timeouts().into();
        }
        Ok(())
    })
}

/// Changes how long the socket waits; a negative time is 0. NULL: as the process's defaults are now.
///
/// # Safety
/// `timeouts` is NULL or can be read.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_set(socket: Socket_T, timeouts: *const SocketTimeouts_T) {
    raising(c"Socket_timeouts_set", || {
        let socket = live(c"Socket_timeouts_set", socket);
        // SAFETY: the caller's promise.
        let given = unsafe { timeouts.as_ref() };
        socket.set_timeouts(given.map_or_else(socket::defaults, |given| (*given).into()));
        Ok(())
    })
}

/// What new sockets begin with: 30000 ms to connect, 5000 ms for a name, no limit for the rest, until changed. Any thread.
///
/// # Safety
/// `timeouts` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_getdefaults(timeouts: *mut SocketTimeouts_T) {
    raising(c"Socket_timeouts_getdefaults", || {
        // SAFETY: the caller's promise.
        if let Some(place) = unsafe { timeouts.as_mut() } {
            *place = socket::defaults().into();
        }
        Ok(())
    })
}

/// Changes what new sockets of the process begin with; a negative time is 0, NULL is ignored. Any thread.
///
/// # Safety
/// `timeouts` is NULL or can be read.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_setdefaults(timeouts: *const SocketTimeouts_T) {
    raising(c"Socket_timeouts_setdefaults", || {
        // SAFETY: the caller's promise.
        if let Some(given) = unsafe { timeouts.as_ref() } {
            socket::set_defaults((*given).into());
        }
        Ok(())
    })
}

/// Changes how long the socket waits: a member that is 0 leaves what is set, a negative one sets 0. tls_timeout_ms is the time
/// for operations where that member is 0; request_timeout_ms has no effect on a socket.
///
/// # Safety
/// `timeouts` is NULL (nothing happens) or can be read.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_set_extended(
    socket: Socket_T,
    timeouts: *const SocketTimeouts_Extended_T,
) {
    raising(c"Socket_timeouts_set_extended", || {
        let socket = live(c"Socket_timeouts_set_extended", socket);
        // SAFETY: the caller's promise.
        let Some(given) = (unsafe { timeouts.as_ref() }) else {
            return Ok(());
        };
        let mut set = socket.timeouts();
        let operation = match given.operation_timeout_ms {
            0 => given.tls_timeout_ms,
            ms => ms,
        };
        for (place, given) in [
            (&mut set.dns, given.dns_timeout_ms),
            (&mut set.connect, given.connect_timeout_ms),
            (&mut set.operation, operation),
        ] {
            if given != 0 {
                *place = given;
            }
        }
        socket.set_timeouts(set.clamped());
        Ok(())
    })
}

/// How long the socket waits; tls_timeout_ms is the time for operations, request_timeout_ms is 0. Nothing happens for a NULL
/// `timeouts`.
///
/// # Safety
/// `timeouts` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_timeouts_get_extended(
    socket: Socket_T,
    timeouts: *mut SocketTimeouts_Extended_T,
) {
    raising(c"Socket_timeouts_get_extended", || {
        let set = live(c"Socket_timeouts_get_extended", socket).timeouts();
        // SAFETY: the caller's promise.
        if let Some(place) = unsafe { timeouts.as_mut() } {
            *place = SocketTimeouts_Extended_T {
                dns_timeout_ms: set.dns,
                connect_timeout_ms: set.connect,
                tls_timeout_ms: set.operation,
                request_timeout_ms: 0,
                operation_timeout_ms: set.operation,
            };
        }
        Ok(())
    })
}

/// 1 when what failed with this error number may succeed when tried again: trouble of the network, and time-outs; else 0.
#[no_mangle]
pub extern "C" fn Socket_error_is_retryable(error: c_int) -> c_int {
    errno_class::is_retryable(error).into()
}

/// Makes this process ignore SIGPIPE; this library never raises it. 0, or -1 with errno.
#[no_mangle]
pub extern "C" fn Socket_ignore_sigpipe() -> c_int {
    returning(c"Socket_ignore_sigpipe", || {
        let failed = |errno| Error::system(Kind::Socket, "SIGPIPE", errno);
        socket::ignore_sigpipe().map(|()| 0).map_err(failed)
    })
}
