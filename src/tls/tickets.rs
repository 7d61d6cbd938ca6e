//! What a server gives out to be resumed, and what it must not. OpenSSL makes and keeps the tickets.

use super::queue;
use super::sys::{self, TicketReturn};
use openssl_sys as ffi;
use std::ffi::{c_int, c_uchar, c_void};
use std::ptr;

/// In a ticket: the client's certificate was not in order, and a callback accepted it all the same. OpenSSL resumes
/// without asking the callback, so such a ticket leads to a full handshake, where it is asked again.
const ASK_AGAIN: &[u8] = b"ask again";

/// Marks and sorts out tickets.
///
/// # Safety
/// `ctx` is a live context that nobody else uses yet.
pub(super) unsafe fn install(ctx: *mut ffi::SSL_CTX) {
    // SAFETY: the caller's promise; the callbacks are static and use no argument.
    unsafe {
        sys::SSL_CTX_set_session_ticket_cb(ctx, Some(mark), Some(sort_out), ptr::null_mut());
    }
}

unsafe extern "C" fn mark(ssl: *mut ffi::SSL, _arg: *mut c_void) -> c_int {
    // SAFETY: OpenSSL calls this with a live SSL that is about to issue a ticket for its session; the data is copied.
    unsafe {
        let data = if ffi::SSL_get_verify_result(ssl) == ffi::X509_V_OK as _ {
            &[]
        } else {
            ASK_AGAIN
        };
        let session = ffi::SSL_get_session(ssl);
        sys::SSL_SESSION_set1_ticket_appdata(session, data.as_ptr().cast(), data.len())
    }
}

unsafe extern "C" fn sort_out(
    _ssl: *mut ffi::SSL,
    session: *mut ffi::SSL_SESSION,
    _key_name: *const c_uchar,
    _key_name_len: usize,
    status: c_int,
    _arg: *mut c_void,
) -> TicketReturn {
    let answer = match status {
        sys::SSL_TICKET_SUCCESS => sys::SSL_TICKET_RETURN_USE,
        sys::SSL_TICKET_SUCCESS_RENEW => sys::SSL_TICKET_RETURN_USE_RENEW,
        _ => return sys::SSL_TICKET_RETURN_IGNORE_RENEW,
    };
    let (mut data, mut len) = (ptr::null_mut(), 0);
    // SAFETY: with these two states OpenSSL gives the decrypted session, which stays alive during the call.
    let found = unsafe { sys::SSL_SESSION_get0_ticket_appdata(session, &mut data, &mut len) };
    if found == 1 && len > 0 {
        sys::SSL_TICKET_RETURN_IGNORE_RENEW
    } else {
        answer
    }
}

/// A session whose handshake runs must not be resumed: keeps it out of the server's memory and, under TLS 1.3, sends no
/// ticket. (Under TLS 1.2 a ticket is promised by now: it is marked.)
pub(super) fn forget(ssl: *mut ffi::SSL) {
    queue::with_clean_queue(|| {
        // SAFETY: a live SSL in its handshake, with its context and session.
        unsafe {
            ffi::SSL_set_num_tickets(ssl, 0);
            ffi::SSL_CTX_remove_session(ffi::SSL_get_SSL_CTX(ssl), ffi::SSL_get_session(ssl));
        }
    });
}

/// What a client gets is the key to a session that the server keeps, never the session itself.
pub(super) fn keep_state(ssl: *mut ffi::SSL) {
    // SAFETY: a live SSL before its handshake.
    unsafe { sys::SSL_set_options(ssl, ffi::SSL_OP_NO_TICKET) };
}

/// This session is never resumed and resumes none.
pub(super) fn refuse(ssl: *mut ffi::SSL) {
    unsafe extern "C" fn never(_ssl: *mut ffi::SSL, _forward_secure: c_int) -> c_int {
        1
    }
    // SAFETY: a live SSL before its handshake.
    unsafe {
        sys::SSL_set_options(ssl, ffi::SSL_OP_NO_TICKET);
        // NO_TICKET alone goes on issuing those of TLS 1.3, as keys into the server's memory.
        ffi::SSL_set_num_tickets(ssl, 0);
        sys::SSL_set_not_resumable_session_callback(ssl, Some(never));
    }
}
