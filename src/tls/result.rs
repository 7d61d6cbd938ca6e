//! What an OpenSSL call of the program's has returned, as errno.

use crate::errno::Errno;
use openssl_sys as ffi;
use std::ffi::c_int;

/// `None` for a success, EAGAIN for what has to wait; `before`: errno as the call left it. The thread's error queue stays as it
/// is.
///
/// # Safety
/// `ssl` is alive and used by nobody else meanwhile; `result` is what its last call returned, on this thread.
pub unsafe fn result_errno(ssl: *mut ffi::SSL, result: c_int, before: Errno) -> Option<Errno> {
    // SAFETY: the caller's promise.
    Some(match unsafe { ffi::SSL_get_error(ssl, result) } {
        ffi::SSL_ERROR_NONE => return None,
        ffi::SSL_ERROR_WANT_READ
        | ffi::SSL_ERROR_WANT_WRITE
        | ffi::SSL_ERROR_WANT_CONNECT
        | ffi::SSL_ERROR_WANT_ACCEPT
        | ffi::SSL_ERROR_WANT_X509_LOOKUP => Errno(libc::EAGAIN),
        ffi::SSL_ERROR_ZERO_RETURN => Errno(libc::ECONNRESET),
        ffi::SSL_ERROR_SYSCALL if before.0 == 0 || before.would_block() => Errno(libc::ECONNRESET),
        ffi::SSL_ERROR_SYSCALL => before,
        _ => Errno(libc::EPROTO),
    })
}
