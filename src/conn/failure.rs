//! Why a connection ended, as C programs read it.

use super::machine::ErrorKind;
use crate::errno::Errno;
use std::ffi::CString;

/// Kind, errno and message of the first fatal cause.
pub struct Failure {
    /// `enum conn_error`
    pub kind: ErrorKind,
    /// The errno or the resolver's status.
    pub code: i32,
    /// One line.
    pub message: CString,
    /// OpenSSL's verify code when the connection failed, -1 for none.
    pub verify_result: i64,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, code: i32, message: String) -> Failure {
        Failure {
            kind,
            code,
            message: crate::log::one_line(message),
            verify_result: -1,
        }
    }
}

/// What to say of a host that cannot be one, with the habits that lead to it.
pub(super) fn impossible_host(host: &str) -> &'static str {
    if host.contains("://") {
        "this is a URL, not a host name: give the name alone, and the port apart"
    } else if host.contains(':') {
        "this is not a possible host name: give the port apart"
    } else {
        "this is not a possible host name"
    }
}

/// The errnos that mean that this process or machine has run out of something.
pub(super) fn is_resource(errno: Errno) -> bool {
    matches!(
        errno.0,
        libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS
    )
}
