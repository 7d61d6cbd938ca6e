//! `core/SocketError.h`: the thread's last message and number, and what numbers mean. Must not know who set them.

// C names.
#![allow(non_camel_case_types, non_snake_case, dead_code)]

use crate::socket::errno_class;
use std::ffi::{c_char, c_int};

extern "C" {
    // Of the shim: thread-local objects that programs see too.
    fn shim_last_error() -> *const c_char;
    fn shim_last_errno() -> c_int;
}

/// An error number of those that programs ask for most.
#[repr(C)]
pub enum SocketErrorCode {
    /// None.
    SOCKET_ERROR_NONE = 0,
    /// EINVAL.
    SOCKET_ERROR_EINVAL,
    /// EACCES.
    SOCKET_ERROR_EACCES,
    /// EADDRINUSE.
    SOCKET_ERROR_EADDRINUSE,
    /// EADDRNOTAVAIL.
    SOCKET_ERROR_EADDRNOTAVAIL,
    /// EAFNOSUPPORT.
    SOCKET_ERROR_EAFNOSUPPORT,
    /// EAGAIN.
    SOCKET_ERROR_EAGAIN,
    /// EALREADY.
    SOCKET_ERROR_EALREADY,
    /// EBADF.
    SOCKET_ERROR_EBADF,
    /// ECONNREFUSED.
    SOCKET_ERROR_ECONNREFUSED,
    /// ECONNRESET.
    SOCKET_ERROR_ECONNRESET,
    /// EFAULT.
    SOCKET_ERROR_EFAULT,
    /// EHOSTUNREACH.
    SOCKET_ERROR_EHOSTUNREACH,
    /// EINPROGRESS.
    SOCKET_ERROR_EINPROGRESS,
    /// EINTR.
    SOCKET_ERROR_EINTR,
    /// EISCONN.
    SOCKET_ERROR_EISCONN,
    /// EMFILE.
    SOCKET_ERROR_EMFILE,
    /// ENETUNREACH.
    SOCKET_ERROR_ENETUNREACH,
    /// ENOBUFS.
    SOCKET_ERROR_ENOBUFS,
    /// ENOMEM.
    SOCKET_ERROR_ENOMEM,
    /// ENOTCONN.
    SOCKET_ERROR_ENOTCONN,
    /// ENOTSOCK.
    SOCKET_ERROR_ENOTSOCK,
    /// EOPNOTSUPP.
    SOCKET_ERROR_EOPNOTSUPP,
    /// EPIPE.
    SOCKET_ERROR_EPIPE,
    /// EPROTONOSUPPORT.
    SOCKET_ERROR_EPROTONOSUPPORT,
    /// ETIMEDOUT.
    SOCKET_ERROR_ETIMEDOUT,
    /// EWOULDBLOCK, where it is not EAGAIN.
    SOCKET_ERROR_EWOULDBLOCK,
    /// Another number.
    SOCKET_ERROR_UNKNOWN,
}

/// A `SocketErrorCode` as an integer.
pub type SocketErrorCode_t = c_int;

/// What kind of trouble an error number is.
#[repr(C)]
pub enum SocketErrorCategory {
    /// The network, or the other end: it may pass.
    SOCKET_ERROR_CATEGORY_NETWORK = 0,
    /// The call was wrong.
    SOCKET_ERROR_CATEGORY_PROTOCOL,
    /// The program may not do this, here.
    SOCKET_ERROR_CATEGORY_APPLICATION,
    /// It took too long.
    SOCKET_ERROR_CATEGORY_TIMEOUT,
    /// Something is used up.
    SOCKET_ERROR_CATEGORY_RESOURCE,
    /// None of these.
    SOCKET_ERROR_CATEGORY_UNKNOWN,
    /// How many there are.
    SOCKET_ERROR_CATEGORY_COUNT,
}

/// A `SocketErrorCategory` as an integer.
pub type SocketErrorCategory_t = c_int;

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

/// That number as one of the codes above.
#[no_mangle]
pub extern "C" fn Socket_geterrorcode() -> SocketErrorCode_t {
    use SocketErrorCode::*;
    let code = match Socket_geterrno() {
        0 => SOCKET_ERROR_NONE,
        libc::EINVAL => SOCKET_ERROR_EINVAL,
        libc::EACCES => SOCKET_ERROR_EACCES,
        libc::EADDRINUSE => SOCKET_ERROR_EADDRINUSE,
        libc::EADDRNOTAVAIL => SOCKET_ERROR_EADDRNOTAVAIL,
        libc::EAFNOSUPPORT => SOCKET_ERROR_EAFNOSUPPORT,
        libc::EAGAIN => SOCKET_ERROR_EAGAIN,
        libc::EALREADY => SOCKET_ERROR_EALREADY,
        libc::EBADF => SOCKET_ERROR_EBADF,
        libc::ECONNREFUSED => SOCKET_ERROR_ECONNREFUSED,
        libc::ECONNRESET => SOCKET_ERROR_ECONNRESET,
        libc::EFAULT => SOCKET_ERROR_EFAULT,
        libc::EHOSTUNREACH => SOCKET_ERROR_EHOSTUNREACH,
        libc::EINPROGRESS => SOCKET_ERROR_EINPROGRESS,
        libc::EINTR => SOCKET_ERROR_EINTR,
        libc::EISCONN => SOCKET_ERROR_EISCONN,
        libc::EMFILE => SOCKET_ERROR_EMFILE,
        libc::ENETUNREACH => SOCKET_ERROR_ENETUNREACH,
        libc::ENOBUFS => SOCKET_ERROR_ENOBUFS,
        libc::ENOMEM => SOCKET_ERROR_ENOMEM,
        libc::ENOTCONN => SOCKET_ERROR_ENOTCONN,
        libc::ENOTSOCK => SOCKET_ERROR_ENOTSOCK,
        libc::EOPNOTSUPP => SOCKET_ERROR_EOPNOTSUPP,
        libc::EPIPE => SOCKET_ERROR_EPIPE,
        libc::EPROTONOSUPPORT => SOCKET_ERROR_EPROTONOSUPPORT,
        libc::ETIMEDOUT => SOCKET_ERROR_ETIMEDOUT,
        other if other == libc::EWOULDBLOCK => SOCKET_ERROR_EWOULDBLOCK,
        _ => SOCKET_ERROR_UNKNOWN,
    };
    code as SocketErrorCode_t
}

/// What kind of trouble an error number is; UNKNOWN for 0, too.
#[no_mangle]
pub extern "C" fn SocketError_categorize_errno(err: c_int) -> SocketErrorCategory_t {
    errno_class::category(err) as SocketErrorCategory_t
}

/// "NETWORK", "PROTOCOL", "APPLICATION", "TIMEOUT", "RESOURCE" or "UNKNOWN", which is that of any other number, too.
#[no_mangle]
pub extern "C" fn SocketError_category_name(category: SocketErrorCategory_t) -> *const c_char {
    let name = match category {
        0 => c"NETWORK",
        1 => c"PROTOCOL",
        2 => c"APPLICATION",
        3 => c"TIMEOUT",
        4 => c"RESOURCE",
        _ => c"UNKNOWN",
    };
    name.as_ptr()
}

/// 1 when trying again may help after this error number, else 0.
#[no_mangle]
pub extern "C" fn SocketError_is_retryable_errno(err: c_int) -> c_int {
    errno_class::is_retryable(err).into()
}
