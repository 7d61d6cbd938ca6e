//! What the transport needs from OpenSSL and `openssl-sys` does not declare.

use openssl_sys as ffi;
use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};

pub(super) type ReadEx =
    unsafe extern "C" fn(*mut ffi::BIO, *mut c_char, usize, *mut usize) -> c_int;
pub(super) type WriteEx =
    unsafe extern "C" fn(*mut ffi::BIO, *const c_char, usize, *mut usize) -> c_int;

extern "C" {
    pub(super) fn BIO_get_new_index() -> c_int;
    pub(super) fn BIO_meth_set_read_ex(method: *mut ffi::BIO_METHOD, read: Option<ReadEx>)
        -> c_int;
    pub(super) fn BIO_meth_set_write_ex(
        method: *mut ffi::BIO_METHOD,
        write: Option<WriteEx>,
    ) -> c_int;
    pub(super) fn BIO_up_ref(bio: *mut ffi::BIO) -> c_int;

    pub(super) fn ERR_peek_error() -> c_ulong;

    pub(super) fn SSL_has_pending(ssl: *const ffi::SSL) -> c_int;
    pub(super) fn SSL_rstate_string(ssl: *const ffi::SSL) -> *const c_char;
    pub(super) fn SSL_free_buffers(ssl: *mut ffi::SSL) -> c_int;
    pub(super) fn SSL_set_read_ahead(ssl: *mut ffi::SSL, yes: c_int);
}

/// Of `<openssl/bio.h>`: a BIO at the end of a chain, over a file descriptor.
pub(super) const BIO_TYPE_SOURCE_SINK: c_int = 0x0400;
pub(super) const BIO_TYPE_DESCRIPTOR: c_int = 0x0100;
pub(super) const BIO_C_GET_FD: c_int = 105;
pub(super) const BIO_CTRL_WPENDING: c_int = 13;
pub(super) const BIO_FLAGS_RETRY_MASK: c_int = 0x0f;

const SSL_CTRL_CLEAR_MODE: c_int = 78;

/// `SSL_set_mode`, a macro in C.
///
/// # Safety
/// `ssl` is a live `SSL`.
pub(super) unsafe fn set_mode(ssl: *mut ffi::SSL, mode: c_long) {
    // SAFETY: the caller's.
    unsafe {
        ffi::SSL_ctrl(
            ssl,
            ffi::SSL_CTRL_MODE,
            mode,
            std::ptr::null_mut::<c_void>(),
        )
    };
}

/// `SSL_clear_mode`, a macro in C.
///
/// # Safety
/// `ssl` is a live `SSL`.
pub(super) unsafe fn clear_mode(ssl: *mut ffi::SSL, mode: c_long) {
    // SAFETY: the caller's.
    unsafe {
        ffi::SSL_ctrl(
            ssl,
            SSL_CTRL_CLEAR_MODE,
            mode,
            std::ptr::null_mut::<c_void>(),
        )
    };
}
