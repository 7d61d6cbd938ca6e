//! What kind of trouble an error number is, and whether it may pass.

use std::ffi::c_int;

/// A class of error numbers. The numbers are `SocketErrorCategory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Category {
    /// The network, or the other end: it may pass.
    Network = 0,
    /// The call was wrong.
    Protocol = 1,
    /// The program may not do this, here.
    Application = 2,
    /// It took too long.
    Timeout = 3,
    /// Something is used up.
    Resource = 4,
    /// None of these.
    Unknown = 5,
}

/// The class of an error number.
pub fn category(errno: c_int) -> Category {
    match errno {
        libc::EAGAIN
        | libc::EALREADY
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::EHOSTUNREACH
        | libc::EINPROGRESS
        | libc::EINTR
        | libc::ENETUNREACH
        | libc::ENOTCONN
        | libc::EPIPE
        | libc::ECONNABORTED
        | libc::ENETDOWN
        | libc::ENETRESET => Category::Network,
        libc::ETIMEDOUT => Category::Timeout,
        libc::EINVAL
        | libc::EAFNOSUPPORT
        | libc::EBADF
        | libc::EFAULT
        | libc::EISCONN
        | libc::ENOTSOCK
        | libc::EOPNOTSUPP
        | libc::EPROTONOSUPPORT
        | libc::EPROTO => Category::Protocol,
        libc::EACCES | libc::EADDRINUSE | libc::EADDRNOTAVAIL | libc::EPERM => {
            Category::Application
        }
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC => {
            Category::Resource
        }
        other if other == libc::EWOULDBLOCK => Category::Network,
        _ => Category::Unknown,
    }
}

/// Whether trying again may help.
pub fn is_retryable(errno: c_int) -> bool {
    matches!(category(errno), Category::Network | Category::Timeout)
}
