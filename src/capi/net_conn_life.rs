//! `net_conn.h`: what may happen to a READY connection later: TLS put on it, its socket taken back, an end for
//! want of bytes.
#![allow(non_camel_case_types)]

use super::guard::{self, fallible};
use super::net_conn::{conn_event_cb, hold, net_conn, prepare, required};
use super::net_conn_options::{self, conn_options};
use crate::conn::options::{self, Options};
use std::ffi::{c_int, c_void};

/// Puts TLS on a CONN_READY plain connection, as STARTTLS asks for (RFC 3207, RFC 9051 section 6.2.1): the connection goes
/// back to CONN_TLS_HANDSHAKE with these callbacks, of which exactly one is called from the loop, as after conn_new. May
/// be called in any callback of the connection.
///
/// options: NULL for the default options; TLS is implied. They count for the handshake: tls_timeout, deadline (from this
/// call on), server_side, tls, server_name, allow_truncation, early_data. A client verifies server_name, else the host that
/// conn_new was given. on_ready, on_error: either may be NULL; they take the place of the earlier ones, and arg that of
/// the earlier argument. Readable and writable callbacks stay, and fire again after the new on_ready.
///
/// What was written before is sent before. Bytes that the peer has sent and conn_try_read has not returned go to TLS:
/// read the peer's whole answer first. Where they are not TLS the handshake fails with CONN_ERR_TLS, EPROTO. As with
/// every establishing that fails, the socket is closed before on_error runs.
///
/// Of conn_get_timing, tls is the length of this handshake, and total grows by it.
///
/// Returns 0; -1 with errno EINVAL (c is NULL; wrong options; a server side without a server's context; a client without
/// server_name on a connection of conn_from_fd or a Unix socket: nothing says whom to expect), EISCONN (TLS already, or
/// in its handshake), ENOTCONN (not CONN_READY), EAGAIN (on_ready of pconn_acquire has not run yet), EPIPE (the write side
/// was shut), EBUSY (the kernel has not yet taken all of the plain connection's early_data: try again later), EPERM (the
/// connection is a parent process's): everything is as it was. The log has the reason of an EINVAL.
///
/// # Safety
/// The pointers are NULL or valid; `c` is not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_start_tls(
    c: *mut net_conn,
    options: *const conn_options,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> c_int {
    fallible(|| {
        guard::quiet_panics();
        // SAFETY: as the caller promises.
        let (conn, options) = unsafe {
            (
                required(c, "conn_start_tls")?,
                net_conn_options::read(options)?.unwrap_or_else(options::defaults),
            )
        };
        conn.upgrade(options, |conn| prepare(conn, on_ready, on_error, arg))?;
        Ok(0)
    })
}

/// Gives the socket of a CONN_READY plain connection back to the program and frees the connection: c is dead, no callback
/// of it runs any more, and nothing is sent or lost: what the peer has sent and conn_try_read has not returned is still to
/// be read from the socket. May be called in any callback.
///
/// Returns the socket, which is the caller's to close: non-blocking, close-on-exec, watched by nobody. -1 with errno
/// EINVAL (c is NULL), ENOTCONN (not CONN_READY), EAGAIN (on_ready of pconn_acquire has not run yet), ENOTSUP (over TLS,
/// or in its handshake: the bytes on the socket are OpenSSL's), EBUSY (the connection has still to send bytes there: the
/// rest of its early_data), EPERM (the connection is a parent process's): the connection is as it was.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_detach(c: *mut net_conn) -> c_int {
    fallible(|| {
        use std::os::fd::IntoRawFd;
        // SAFETY: as the caller promises.
        let conn = unsafe { required(c, "conn_detach") }?;
        Ok(conn.detach()?.into_raw_fd())
    })
}

/// Lets the connection fail when for so many seconds no byte of the program's moves in either direction: CONN_ERROR,
/// CONN_ERR_TIMEOUT, ETIMEDOUT, on_error once from the loop. 0 or less: never (the default). Counts from this call, from
/// CONN_READY (again after conn_start_tls) or from the last byte, what comes last; may be set in any state and callback.
///
/// What counts is what conn_try_read and conn_try_write (and their kin) move, and what the loop sends of it later; bytes
/// that arrive and nobody reads do not. Never early, and at most a sixteenth of the time late (and a millisecond, and what
/// the loop is busy with). Costs no system call and no look at the clock where bytes move, and sixteen wake-ups of the loop
/// in the given time.
///
/// Returns 0, also for NULL; -1 with errno EINVAL (seconds is NaN), EPERM (the connection is a parent process's).
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_set_idle_timeout(c: *mut net_conn, seconds: f64) -> c_int {
    fallible(|| {
        let length = Options::timeout(seconds)?;
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_set_idle_timeout") } {
            conn.set_idle_timeout(length)?;
        }
        Ok(0)
    })
}
