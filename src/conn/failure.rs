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

/// `host:port`, an IPv6 literal in brackets, a Unix path alone.
pub(crate) fn endpoint(host: &str, port: &str) -> String {
    if host.starts_with("unix:") {
        host.to_owned()
    } else if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
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

/// An address as messages show it: `192.0.2.7:443`, `[2001:db8::1]:443`, `unix:/run/x`, `unix:@abstract`.
pub(crate) fn address(addr: &socket2::SockAddr) -> String {
    if let Some(addr) = addr.as_socket() {
        return addr.to_string();
    }
    if let Some(path) = addr.as_pathname() {
        return format!("unix:{}", path.display());
    }
    if let Some(name) = addr.as_abstract_namespace() {
        return format!("unix:@{}", String::from_utf8_lossy(name));
    }
    "unix:".to_owned()
}

/// The errnos that mean that this process or machine has run out of something.
pub(super) fn is_resource(errno: Errno) -> bool {
    matches!(
        errno.0,
        libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS
    )
}
