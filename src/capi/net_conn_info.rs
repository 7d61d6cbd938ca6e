//! `net_conn.h`: what a connection tells of itself.
#![allow(non_camel_case_types)]

use super::guard::fallible;
use super::net_conn::{
    conn_error, conn_error_t, conn_state, conn_state_t, conn_timing, look, net_conn, required,
};
use super::tls_types::{conn_certificate, netconn_tls_ocsp, netconn_tls_ocsp_t};
use super::types::c_bool;
use crate::errno::Errno;
use std::ffi::{c_char, c_int, c_long, CStr};

/// The state; CONN_CLOSED for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_state(c: *mut net_conn) -> conn_state_t {
    // SAFETY: as the caller promises.
    unsafe {
        look(
            c,
            "conn_get_state",
            conn_state::CONN_CLOSED as c_int,
            |conn| conn.view.state.get(),
        )
    }
}

/// Why the connection failed, one line that names what was tried: `connect to example.org:443 failed:
/// [2001:db8::1]:443 Network is unreachable; 192.0.2.7:443 Connection refused`. NULL while there is no error. Valid until
/// conn_close.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_error_msg(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_error_msg", std::ptr::null(), |conn| {
            // The text lives in the connection, which its loop owns until the close.
            conn.failure()
                .map_or(std::ptr::null(), |f| f.message.as_ptr())
        })
    }
}

/// The host as given, valid until conn_close; NULL for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_host(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_host", std::ptr::null(), |conn| {
            conn.view.host.get().cast_const()
        })
    }
}

/// The port as given (or its default), valid until conn_close; NULL for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_port(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_port", std::ptr::null(), |conn| {
            conn.view.port.get().cast_const()
        })
    }
}

/// Whether TLS was asked for; false for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_use_tls(c: *mut net_conn) -> c_bool {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_use_tls", 0, |conn| {
            c_bool::from(conn.view.use_tls.get())
        })
    }
}

/// The kind of the failure; CONN_ERR_NONE while there is none, and for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_error(c: *mut net_conn) -> conn_error_t {
    // SAFETY: as the caller promises.
    unsafe {
        look(
            c,
            "conn_get_error",
            conn_error::CONN_ERR_NONE as c_int,
            |conn| conn.failure().map_or(0, |f| f.kind as c_int),
        )
    }
}

/// The errno of the failure, or with CONN_ERR_RESOLVE the resolver's status (EAI_*): see netconn_strerror. EPROTO for TLS
/// and certificates, ECONNRESET for truncation, ETIMEDOUT for every time-out, ECANCELED where on_socket refused or
/// dns_shutdown came. 0 while there is none, and for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_errno(c: *mut net_conn) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_errno", 0, |conn| {
            conn.failure().map_or(0, |f| f.code)
        })
    }
}

/// OpenSSL's verify code of the peer's certificate (0 is X509_V_OK); -1 when none was verified, and for NULL. Stays after a
/// failure.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_verify_result(c: *mut net_conn) -> c_long {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_verify_result", -1, |conn| {
            conn.verify_result() as c_long
        })
    }
}

/// Whether early data (0-RTT) was accepted: the client's early_data by the server, or as a server the client's. False before
/// CONN_READY, when it was sent after the handshake instead, and for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_early_data_accepted(c: *mut net_conn) -> c_bool {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_early_data_accepted", 0, |conn| {
            c_bool::from(conn.early_data_accepted())
        })
    }
}

/// How many bytes came as early data from a client (see netconn_tls_enable_early_data): the first that conn_try_read gives,
/// whether they were read already or not. 0 before CONN_READY, on a client, and for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_early_data_len(c: *mut net_conn) -> usize {
    // SAFETY: as the caller promises.
    unsafe { look(c, "conn_early_data_len", 0, |conn| conn.early_data_len()) }
}

/// The socket, owned by the connection; -1 with errno ENOTCONN when there is none, and for NULL (EINVAL).
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_fd(c: *mut net_conn) -> c_int {
    fallible(|| {
        // SAFETY: as the caller promises.
        let fd = unsafe { required(c, "conn_get_fd") }?.view.fd.get();
        if fd < 0 {
            return Err(Errno(libc::ENOTCONN));
        }
        Ok(fd)
    })
}

/// Writes our end's address to addr and its length to len, which holds the room at addr before (a longer address is
/// cut, as getsockname(2) does).
///
/// Returns 0; -1 with errno ENOTCONN when there is no socket, EINVAL for NULL.
///
/// # Safety
/// The pointers are NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn conn_local_addr(
    c: *mut net_conn,
    addr: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
) -> c_int {
    // SAFETY: as the caller promises.
    fallible(|| unsafe { socket_address(c, addr, len, false) })
}

/// As conn_local_addr, for the peer's address. ENOTCONN also before CONN_READY.
///
/// # Safety
/// The pointers are NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn conn_peer_addr(
    c: *mut net_conn,
    addr: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
) -> c_int {
    // SAFETY: as the caller promises.
    fallible(|| unsafe { socket_address(c, addr, len, true) })
}

/// # Safety
/// The pointers are NULL or valid, `*len` is the room at `addr`.
unsafe fn socket_address(
    c: *mut net_conn,
    addr: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
    peer: bool,
) -> Result<c_int, Errno> {
    // SAFETY: as the caller promises.
    let conn = unsafe {
        let function = if peer {
            "conn_peer_addr"
        } else {
            "conn_local_addr"
        };
        required(c, function)
    }?;
    if addr.is_null() || len.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    let address = conn.socket_address(peer)?;
    // SAFETY: `addr` has room for `*len` bytes, of which no more than the address has are written; the two do not overlap.
    unsafe {
        let room = (*len).min(address.len()) as usize;
        std::ptr::copy_nonoverlapping(address.as_ptr().cast::<u8>(), addr.cast::<u8>(), room);
        *len = address.len();
    }
    Ok(0)
}

/// The protocol agreed on by ALPN (RFC 7301), valid until conn_close; NULL while there is none.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_alpn(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_alpn", std::ptr::null(), |conn| {
            conn.alpn().map_or(std::ptr::null(), CStr::as_ptr)
        })
    }
}

/// "TLSv1.2" or "TLSv1.3" (an older one only where the `SSL_CTX` was made to allow it), valid for ever; NULL while there is
/// none.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_tls_version(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(
            c,
            "conn_get_tls_version",
            std::ptr::null(),
            |conn| match conn.tls_version() {
                Some("TLSv1.3") => c"TLSv1.3".as_ptr(),
                Some("TLSv1.2") => c"TLSv1.2".as_ptr(),
                Some("TLSv1.1") => c"TLSv1.1".as_ptr(),
                Some("TLSv1") => c"TLSv1".as_ptr(),
                _ => std::ptr::null(),
            },
        )
    }
}

/// OpenSSL's name of the cipher suite, valid until conn_close; NULL while there is none.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_cipher(c: *mut net_conn) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_cipher", std::ptr::null(), |conn| {
            conn.cipher().map_or(std::ptr::null(), CStr::as_ptr)
        })
    }
}

/// Whether an earlier TLS session was resumed; false for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_session_reused(c: *mut net_conn) -> c_bool {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_session_reused", 0, |conn| {
            c_bool::from(conn.session_reused())
        })
    }
}

/// How long the phases took; valid until conn_close, changing as phases end. NULL for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_timing(c: *mut net_conn) -> *const conn_timing {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_timing", std::ptr::null(), |conn| {
            conn.timing_address().cast()
        })
    }
}

/// The peer's certificate. The caller sets certificate->size to sizeof(struct conn_certificate) before.
///
/// Returns 0; -1 with errno ENOENT (there is none), EINVAL (NULL, or a size of 0 or larger than this library knows).
///
/// # Safety
/// `c` is NULL or not closed; `certificate` is NULL or valid for the size that it names.
#[no_mangle]
pub unsafe extern "C" fn conn_get_peer_certificate(
    c: *mut net_conn,
    certificate: *mut conn_certificate,
) -> c_int {
    fallible(|| {
        // SAFETY: as the caller promises.
        unsafe {
            let conn = required(c, "conn_get_peer_certificate")?;
            super::tls_types::write_certificate(certificate, || conn.peer_certificate())?;
        }
        Ok(0)
    })
}

/// What the peer's OCSP staple said: NETCONN_TLS_OCSP_NONE, since staples are not asked for.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_ocsp_status(c: *mut net_conn) -> netconn_tls_ocsp_t {
    let _ = c;
    netconn_tls_ocsp::NETCONN_TLS_OCSP_NONE as netconn_tls_ocsp_t
}
