//! What a resolver can answer in place of addresses, and the text of it. Knows no resolver.

use crate::errno::Errno;
use std::ffi::{c_char, c_int, CStr, CString};
use std::sync::OnceLock;

/// The `EAI_*` codes of `<netdb.h>` that this room speaks of; the libc crate lacks them on most systems.
#[cfg(target_os = "linux")]
pub(crate) mod eai {
    use std::ffi::c_int;

    pub(crate) const EAI_NONAME: c_int = -2;
    pub(crate) const EAI_AGAIN: c_int = -3;
    pub(crate) const EAI_FAIL: c_int = -4;
    pub(crate) const EAI_NODATA: c_int = -5;
    pub(crate) const EAI_SERVICE: c_int = -8;
    pub(crate) const EAI_MEMORY: c_int = -10;
    pub(crate) const EAI_SYSTEM: c_int = -11;
    /// Only glibc has it.
    pub(crate) const EAI_CANCELED: c_int = -101;
}

/// As above, for the BSDs and macOS, which agree with each other.
#[cfg(not(target_os = "linux"))]
pub(crate) mod eai {
    use std::ffi::c_int;

    pub(crate) const EAI_AGAIN: c_int = 2;
    pub(crate) const EAI_FAIL: c_int = 4;
    pub(crate) const EAI_MEMORY: c_int = 6;
    pub(crate) const EAI_NODATA: c_int = 7;
    pub(crate) const EAI_NONAME: c_int = 8;
    pub(crate) const EAI_SERVICE: c_int = 9;
    pub(crate) const EAI_SYSTEM: c_int = 11;
    /// They have none: the errno alone tells.
    pub(crate) const EAI_CANCELED: c_int = EAI_SYSTEM;
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// As reported to C: an `EAI_*` code (see `netconn_strerror` for systems where they are positive).
    pub status: c_int,
    /// The errno behind `EAI_SYSTEM`; ECANCELED after `end`; else 0.
    pub errno: Errno,
}

impl ResolveError {
    /// The resolver ended before the answer came.
    pub const ENDED: ResolveError = ResolveError {
        status: eai::EAI_CANCELED,
        errno: Errno(libc::ECANCELED),
    };

    /// A status without an errno behind it.
    pub(crate) const fn new(status: c_int) -> ResolveError {
        ResolveError {
            status,
            errno: Errno(0),
        }
    }

    /// `EAI_SYSTEM` and the errno behind it.
    pub(crate) const fn system(errno: Errno) -> ResolveError {
        ResolveError {
            status: eai::EAI_SYSTEM,
            errno,
        }
    }

    /// The one number that tells this error from every errno: the status where statuses are negative (Linux), else
    /// `-10000 + status`.
    pub fn code(self) -> c_int {
        if self.status < 0 {
            self.status
        } else {
            self.status - POSITIVE_OFFSET
        }
    }
}

impl std::fmt::Display for ResolveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.status == eai::EAI_SYSTEM && self.errno.0 != 0 {
            self.errno.fmt(f)
        } else {
            f.write_str(&status_text(self.code()).to_string_lossy())
        }
    }
}

impl std::error::Error for ResolveError {}

/// Takes the place of the sign where `EAI_*` codes are positive and would be mistaken for an errno.
const POSITIVE_OFFSET: c_int = 10_000;

/// Above the largest errno of any system we build for.
const ERRNOS: usize = 256;

/// The text of an errno (positive), of a resolver status (negative; see [`ResolveError::code`]) or of 0. The text lives
/// as long as the process.
pub fn status_text(code: c_int) -> &'static CStr {
    match code {
        0 => c"Success",
        1.. => errno_text(code),
        _ if code <= -POSITIVE_OFFSET => resolver_text(code + POSITIVE_OFFSET),
        _ => resolver_text(code),
    }
}

fn resolver_text(status: c_int) -> &'static CStr {
    // SAFETY: takes any number.
    let text: *const c_char = unsafe { libc::gai_strerror(status) };
    if text.is_null() {
        return c"Unknown error";
    }
    // SAFETY: not NULL; gai_strerror gives constant texts, or their translations, which stay where they are.
    unsafe { CStr::from_ptr(text) }
}

/// `strerror` may reuse its buffer: each text is made once and kept.
fn errno_text(errno: c_int) -> &'static CStr {
    static TEXTS: [OnceLock<CString>; ERRNOS] = [const { OnceLock::new() }; ERRNOS];
    let text = usize::try_from(errno).ok().and_then(|i| TEXTS.get(i));
    match text {
        Some(text) => {
            text.get_or_init(|| CString::new(Errno(errno).to_string()).unwrap_or_default())
        }
        None => c"Unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_systems() {
        assert_eq!(status_text(0), c"Success");
        assert_eq!(status_text(libc::ECANCELED), c"Operation canceled");
        assert_eq!(status_text(eai::EAI_NONAME), c"Name or service not known");
        assert_eq!(
            status_text(eai::EAI_SERVICE - POSITIVE_OFFSET),
            status_text(eai::EAI_SERVICE)
        );
        assert_eq!(status_text(c_int::MAX), c"Unknown error");
        assert_eq!(status_text(c_int::MIN), c"Unknown error");
        // The same text in the same place each time.
        assert_eq!(
            status_text(libc::EPERM).as_ptr(),
            status_text(libc::EPERM).as_ptr()
        );
    }

    #[test]
    fn a_system_error_shows_its_errno() {
        let error = ResolveError::system(Errno(libc::EMFILE));
        assert_eq!(error.to_string(), "Too many open files");
        assert_eq!(
            ResolveError::new(eai::EAI_FAIL).to_string(),
            "Non-recoverable failure in name resolution"
        );
    }
}
