//! `tls/SocketTLS.h`: what a socket tells of its TLS and of its peer, and a client's session to be resumed later. Safe in
//! every state of every handle. Must not know how TLS is done.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::guard::infallible;
use super::raise::raising;
use super::socket::{find, Socket_T};
use crate::socket::tls::info;
use crate::socket::Socket;
use crate::tls::{CertificateLines, X509};
use libc::time_t;
use std::ffi::{c_char, c_int, c_long, c_uchar, CStr};
use std::fmt::Write;
use std::{mem, ptr, slice};

/// A peer's certificate. Texts are terminated, and cut where they are too long.
#[repr(C)]
pub struct SocketTLS_CertInfo {
    /// In one line: "/O=Shop/CN=shop.example".
    pub subject: [c_char; 256],
    /// In one line.
    pub issuer: [c_char; 256],
    /// Seconds since 1970.
    pub not_before: time_t,
    /// Seconds since 1970.
    pub not_after: time_t,
    /// Of X.509: 1 to 3.
    pub version: c_int,
    /// Upper-case hexadecimal.
    pub serial: [c_char; 64],
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: [c_char; 65],
}

/// Runs the body for a live socket; `none` is the answer for every other handle.
fn about<T: Copy>(socket: Socket_T, none: T, body: impl FnOnce(&Socket) -> T) -> T {
    infallible(none, || match find(socket) {
        Some(socket) => body(&socket),
        None => none,
    })
}

/// Writes as much of a text as there is room for, and terminates it.
fn put(out: &mut [c_char], text: &str) {
    let Some(room) = out.len().checked_sub(1) else {
        return;
    };
    let written = text.len().min(room);
    for (place, byte) in out.iter_mut().zip(text.bytes().take(written)) {
        *place = byte as c_char;
    }
    out[written] = 0;
}

/// A C program's array; empty for NULL.
///
/// # Safety
/// `buf` is NULL or can be written for `size` bytes, and nobody else uses it meanwhile.
unsafe fn array<'a>(buf: *mut c_char, size: usize) -> &'a mut [c_char] {
    match buf.is_null() {
        true => &mut [],
        // SAFETY: not NULL, and the caller's promise; no array is larger than this.
        false => unsafe { slice::from_raw_parts_mut(buf, size.min(isize::MAX as usize)) },
    }
}

/// OpenSSL's name of the cipher, e.g. "TLS_AES_256_GCM_SHA384"; NULL before the handshake has chosen one and without TLS.
/// Static.
#[no_mangle]
pub extern "C" fn SocketTLS_get_cipher(socket: Socket_T) -> *const c_char {
    about(socket, ptr::null(), |socket| {
        info::cipher(socket).map_or(ptr::null(), CStr::as_ptr)
    })
}

/// The protocol's version, "TLSv1.2" or "TLSv1.3"; before the handshake the highest that is offered, NULL without TLS.
/// Static.
#[no_mangle]
pub extern "C" fn SocketTLS_get_version(socket: Socket_T) -> *const c_char {
    about(socket, ptr::null(), |socket| {
        info::version_name(socket).map_or(ptr::null(), CStr::as_ptr)
    })
}

/// The protocol's version as OpenSSL's constant, e.g. TLS1_3_VERSION; 0 before the handshake is complete and without TLS.
#[no_mangle]
pub extern "C" fn SocketTLS_get_protocol_version(socket: Socket_T) -> c_int {
    about(socket, 0, info::version)
}

/// What the verification of the peer gave: X509_V_OK, or why its certificate is not in order (X509_V_ERR_...). With
/// TLS_VERIFY_NONE a handshake succeeds whatever this says. X509_V_ERR_INVALID_CALL for NULL, without TLS, and before the
/// handshake is complete; of a handshake that failed over a certificate, that certificate's fault.
#[no_mangle]
pub extern "C" fn SocketTLS_get_verify_result(socket: Socket_T) -> c_long {
    let none = info::INVALID_CALL;
    about(socket, none, info::verify_result)
}

/// Writes OpenSSL's words for SocketTLS_get_verify_result to `buf`, cut to `size` bytes and terminated: returns `buf`. NULL
/// when the result is X509_V_OK, for a NULL `socket` or `buf`, and for a `size` of 0.
///
/// # Safety
/// `buf` is NULL or can be written for `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_get_verify_error_string(
    socket: Socket_T,
    buf: *mut c_char,
    size: usize,
) -> *const c_char {
    infallible(ptr::null(), || {
        if socket.is_null() || buf.is_null() || size == 0 {
            return ptr::null();
        }
        let code = find(socket).map_or(info::INVALID_CALL, |socket| info::verify_result(&socket));
        if code == 0 {
            return ptr::null();
        }
        // SAFETY: the caller's promise.
        put(unsafe { array(buf, size) }, &info::verify_text(code));
        buf
    })
}

/// Whether the handshake resumed an earlier session: 1 or 0; -1 before it is complete and without TLS.
#[no_mangle]
pub extern "C" fn SocketTLS_is_session_reused(socket: Socket_T) -> c_int {
    about(socket, -1, |socket| {
        info::reused(socket).map_or(-1, c_int::from)
    })
}

/// The application protocol that was agreed on (ALPN), NULL where there is none. Valid as long as the socket.
#[no_mangle]
pub extern "C" fn SocketTLS_get_alpn_selected(socket: Socket_T) -> *const c_char {
    about(socket, ptr::null(), info::alpn)
}

/// Writes a client's session to `buf`, for SocketTLS_session_restore on a later connection to the same peer, and its length
/// to `*len`, which says how much room there is. Under TLS 1.3 a session comes after the handshake: save it when something
/// was received. It holds keys: keep it as you keep those.
///
/// Returns 1; 0 when `buf` is NULL or too small, with the length that is needed in `*len`; -1 when there is nothing to
/// save: without TLS, before the handshake is complete, at a server, no session, one that has expired, one of a peer that
/// only the verify callback accepted; and for a NULL `len`.
///
/// # Safety
/// `len` is NULL or can be written; `buf` is NULL or can be written for `*len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_session_save(
    socket: Socket_T,
    buf: *mut c_uchar,
    len: *mut usize,
) -> c_int {
    about(socket, -1, |socket| {
        let saved = if len.is_null() {
            None
        } else {
            info::save(socket)
        };
        let shown = saved.as_ref().map(|saved| {
            saved.with_bytes(|bytes| {
                // SAFETY: not NULL, and the caller's promise.
                let room = unsafe { mem::replace(&mut *len, bytes.len()) };
                if buf.is_null() || room < bytes.len() {
                    return 0;
                }
                // SAFETY: not NULL, room for these bytes, and the caller's promise; ours are elsewhere.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buf, bytes.len()) };
                1
            })
        });
        shown.flatten().unwrap_or(-1)
    })
}

/// Lets a client's handshake resume a session that SocketTLS_session_save wrote: between SocketTLS_enable and the
/// handshake. Returns 1 when it was accepted, 0 when it was not (damaged, too large, expired, `len` 0, of another peer,
/// made under other settings of a context: whatever decides whom a handshake believes must be equal), -1 without TLS and
/// when the handshake has begun.
///
/// After 0, and where the handshake finds that the session does not fit, a full handshake follows, as it does when the
/// server does not want it; SocketTLS_is_session_reused tells. With TLS 1.3 a session is for one connection; one that is
/// restored again shows an observer that both connections are yours.
///
/// # Safety
/// `buf` is NULL or can be read for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_session_restore(
    socket: Socket_T,
    buf: *const c_uchar,
    len: usize,
) -> c_int {
    about(socket, -1, |socket| {
        if !info::may_restore(socket) {
            return -1;
        }
        if buf.is_null() || len == 0 || len > isize::MAX as usize {
            return 0;
        }
        // SAFETY: not NULL, and the caller's promise.
        let bytes = unsafe { slice::from_raw_parts(buf, len) };
        c_int::from(info::restore_bytes(socket, bytes))
    })
}

/// Tells of the peer's certificate. Returns 1 when `info` was filled; 0 when the peer showed none, before the handshake is
/// complete, and for a NULL `info`; -1 without TLS. What is not filled is zeroed.
///
/// # Safety
/// `info` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_get_peer_cert_info(
    socket: Socket_T,
    info: *mut SocketTLS_CertInfo,
) -> c_int {
    if !info.is_null() {
        // SAFETY: not NULL, and the caller's promise; all zeros is a value of every member.
        unsafe { info.write_bytes(0, 1) };
    }
    about(socket, -1, |socket| {
        let lines = match info::certificate(socket) {
            None => return -1,
            Some(lines) => lines.filter(|_| !info.is_null()),
        };
        let Some(lines) = lines else { return 0 };
        // SAFETY: not NULL, the caller's promise, and just initialised.
        fill(unsafe { &mut *info }, &lines);
        1
    })
}

fn fill(info: &mut SocketTLS_CertInfo, lines: &CertificateLines) {
    put(&mut info.subject, &lines.subject);
    put(&mut info.issuer, &lines.issuer);
    put(&mut info.serial, &lines.serial);
    let mut hex = String::with_capacity(2 * lines.sha256.len());
    for byte in lines.sha256 {
        let _ = write!(hex, "{byte:02x}");
    }
    put(&mut info.fingerprint, &hex);
    info.not_before = seconds(lines.not_before);
    info.not_after = seconds(lines.not_after);
    info.version = lines.version;
}

/// time_t has 32 bits in some places.
fn seconds(time: i64) -> time_t {
    time_t::try_from(time).unwrap_or(time_t::MAX)
}

/// When the peer's certificate expires, in seconds since 1970; (time_t)-1 without TLS, before the handshake is complete, and
/// where the peer showed none.
#[no_mangle]
pub extern "C" fn SocketTLS_get_cert_expiry(socket: Socket_T) -> time_t {
    about(socket, -1, |socket| {
        info::certificate(socket)
            .flatten()
            .map_or(-1, |lines| seconds(lines.not_after))
    })
}

/// Writes the subject of the peer's certificate in one line to `buf`, cut to `size` bytes and terminated. Returns how long
/// the text is that was written; 0 when the peer showed no certificate and before the handshake is complete (`buf` is then
/// the empty string), and where there is no room; -1 without TLS (the empty string, too).
///
/// # Safety
/// `buf` is NULL or can be written for `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_get_cert_subject(
    socket: Socket_T,
    buf: *mut c_char,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let out = unsafe { array(buf, size) };
    put(out, "");
    about(socket, -1, |socket| {
        let Some(lines) = info::certificate(socket) else {
            return -1;
        };
        let subject = lines.map(|lines| lines.subject).unwrap_or_default();
        put(out, &subject);
        let written = subject.len().min(out.len().saturating_sub(1));
        c_int::try_from(written).unwrap_or(c_int::MAX)
    })
}

/// The certificates that the peer showed, its own first; after a resumption perhaps that one alone. Returns 1 with the array
/// in `*chain` and their number in `*count`: array and certificates stay the socket's, and live as long as it. 0 when the
/// peer showed none and before the handshake is complete, -1 without TLS and for NULL; `*chain` is then NULL and `*count` 0.
///
/// # Safety
/// `chain` and `count` are NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_get_peer_cert_chain(
    socket: Socket_T,
    chain: *mut *mut *mut X509,
    count: *mut c_int,
) -> c_int {
    let answer = |array: *mut *mut X509, number: usize| {
        if !chain.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            unsafe { *chain = array };
        }
        if !count.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            unsafe { *count = c_int::try_from(number).unwrap_or(c_int::MAX) };
        }
    };
    answer(ptr::null_mut(), 0);
    if chain.is_null() || count.is_null() {
        return -1;
    }
    about(socket, -1, |socket| match info::chain(socket) {
        None => -1,
        Some(None) => 0,
        Some(Some((array, number))) => {
            answer(array.cast_mut(), number);
            1
        }
    })
}

/// What the peer's OCSP staple says of its certificate: 1 good, 0 revoked, -1 without TLS, where nothing was stapled, and
/// where the status is unknown, -2 for a staple that cannot be read or was not signed by whom it should be. This version asks
/// for no staples: -1 always.
#[no_mangle]
pub extern "C" fn SocketTLS_get_ocsp_response_status(_socket: Socket_T) -> c_int {
    -1
}

/// Until when the peer's OCSP staple is good: returns 1 and writes seconds since 1970; -1 where there is none, and writes
/// (time_t)-1. This version asks for no staples.
///
/// # Safety
/// `next_update` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_get_ocsp_next_update(
    _socket: Socket_T,
    next_update: *mut time_t,
) -> c_int {
    if !next_update.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { *next_update = -1 };
    }
    -1
}

/// Goes on with a renegotiation (TLS 1.2) that waits. No socket of this library renegotiates unless the program clears
/// SSL_OP_NO_RENEGOTIATION on its `SSL`. Returns 0 when there is nothing to do (with TLS 1.3 always, and when the peer has to
/// answer first), 1 when one was done, -1 without TLS and before the handshake is complete.
///
/// Raises SocketTLS_ProtocolError when it fails, and for a fourth one.
#[no_mangle]
pub extern "C" fn SocketTLS_check_renegotiation(socket: Socket_T) -> c_int {
    raising(c"SocketTLS_check_renegotiation", || match find(socket) {
        Some(socket) => info::check_renegotiation(&socket),
        None => Ok(-1),
    })
}

/// Refuses renegotiations from now on. Returns 0, -1 without TLS.
#[no_mangle]
pub extern "C" fn SocketTLS_disable_renegotiation(socket: Socket_T) -> c_int {
    about(socket, -1, |socket| {
        info::forbid_renegotiation(socket).map_or(-1, |()| 0)
    })
}

/// How many renegotiations there were on this connection; -1 without TLS.
#[no_mangle]
pub extern "C" fn SocketTLS_get_renegotiation_count(socket: Socket_T) -> c_int {
    about(socket, -1, |socket| {
        info::renegotiations(socket).unwrap_or(-1)
    })
}
