//! The error number that C callers see, as a value.
//!
//! Core code carries it in results; only `capi` writes it to the thread's `errno`, as the last act of a failing call.

use std::ffi::c_int;
use std::fmt;
use std::io;

/// An `errno` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub c_int);

impl Errno {
    /// The thread's `errno` as the last failed system call left it.
    pub fn last() -> Errno {
        // SAFETY: __errno_location gives the calling thread's own errno, valid for as long as the thread lives.
        Errno(unsafe { *libc::__errno_location() })
    }

    /// Writes it to the thread's `errno`.
    pub fn set(self) {
        // SAFETY: as in `last`; nothing else holds a reference to the thread's errno.
        unsafe { *libc::__errno_location() = self.0 }
    }

    /// Whether a non-blocking call found nothing to do.
    pub fn would_block(self) -> bool {
        self.0 == libc::EAGAIN || self.0 == libc::EWOULDBLOCK
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(match error.kind() {
            io::ErrorKind::OutOfMemory => libc::ENOMEM,
            io::ErrorKind::InvalidInput => libc::EINVAL,
            io::ErrorKind::NotFound => libc::ENOENT,
            _ => libc::EIO,
        }))
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl fmt::Display for Errno {
    /// The system's text alone ("Connection refused"), as `strerror` gives it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 256];
        // SAFETY: strerror_r (the XSI one, as libc binds it) writes at most `len` bytes, NUL included, into our buffer.
        unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast(), text.len()) };
        let end = text.iter().position(|b| *b == 0).unwrap_or(0);
        f.write_str(&String::from_utf8_lossy(&text[..end]))
    }
}

impl std::error::Error for Errno {}
