//! `core/SocketError.h`: the thread's last message and number. Must not know who set them.

// C names.
#![allow(non_camel_case_types, non_upper_case_globals)]

use std::ffi::{c_char, c_int};

extern "C" {
    // Of the shim: thread-local objects that programs see too.
    fn shim_last_error() -> *const c_char;
    fn shim_last_errno() -> c_int;
}

/// The message of this thread's last error.
pub(super) fn last_text() -> *const c_char {
    // SAFETY: gives the address of a thread's own array, NUL-terminated always.
    unsafe { shim_last_error() }
}

/// What went wrong last on this thread, as one line: the reason of the exception that told it, too. Never NULL; empty before
/// the first error. Valid until the thread's next error.
#[no_mangle]
pub extern "C" fn Socket_GetLastError() -> *const c_char {
    last_text()
}

/// The error number that came with that message; 0 where there was none.
#[no_mangle]
pub extern "C" fn Socket_geterrno() -> c_int {
    // SAFETY: reads a thread's own int.
    unsafe { shim_last_errno() }
}
