//! The guard around each exported function of the Socket family: no panic reaches C, an error becomes `errno`, the thread's
//! message and a raise. The raise starts in a frame that owns nothing: by then everything of Rust's is gone.

use super::except::{object, Except_T};
use super::shim;
use crate::errno::Errno;
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What is raised, as plain pointers.
#[derive(Clone, Copy)]
struct Raise {
    kind: *const Except_T,
    reason: *const c_char,
    place: *const c_char,
    line: c_int,
}

/// Runs the body of the exported function of this name; on success `errno` is as before.
///
/// An error does not return: it jumps to the program's handler.
#[inline]
pub fn raising<T: Copy>(function: &'static CStr, body: impl FnOnce() -> Result<T, Error>) -> T {
    raising_with(function, || body().map(|value| (value, None)))
}

/// As [`raising`], for functions that say something by `errno` when they succeed; `None` leaves it as before.
#[inline]
pub fn raising_with<T: Copy>(
    function: &'static CStr,
    body: impl FnOnce() -> Result<(T, Option<Errno>), Error>,
) -> T {
    match prepare(function, body) {
        Ok(value) => value,
        // SAFETY: this frame and the exported function's hold nothing that has a destructor (`T` is Copy, `body` was
        // consumed), and the texts are static, the thread's, or (`reason`) copied before the jump.
        Err(raise) => unsafe {
            shim::shim_raise(raise.kind, raise.reason, raise.place, raise.line)
        },
    }
}

/// As [`raising`], with a place of the program's own as the one where it was raised; NULL for none.
///
/// # Safety
/// `file` is NULL or a NUL-terminated string of static storage.
#[inline]
pub unsafe fn raising_at<T: Copy>(
    function: &'static CStr,
    file: *const c_char,
    line: c_int,
    body: impl FnOnce() -> Result<T, Error>,
) -> T {
    match prepare(function, || body().map(|value| (value, None))) {
        Ok(value) => value,
        // SAFETY: as in `raising_with`.
        Err(raise) => unsafe {
            if file.is_null() {
                shim::shim_raise(raise.kind, raise.reason, raise.place, raise.line)
            }
            shim::shim_raise(raise.kind, raise.reason, file, line)
        },
    }
}

#[inline]
fn prepare<T: Copy>(
    function: &'static CStr,
    body: impl FnOnce() -> Result<(T, Option<Errno>), Error>,
) -> Result<T, Raise> {
    let before = Errno::last();
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok((value, errno))) => {
            errno.unwrap_or(before).set();
            return Ok(value);
        }
        Ok(Err(error)) => error,
        Err(_) => Error {
            kind: Kind::Socket,
            errno: Errno(libc::EFAULT),
            text: "an internal error, which the log tells of".into(),
        },
    };
    Err(note(function, error))
}

/// Keeps the message for `Socket_GetLastError`, and says what to raise.
#[cold]
fn note(function: &'static CStr, error: Error) -> Raise {
    let kind = object(&error.kind);
    let (mut place, mut line) = (function.as_ptr(), 0);
    if let Kind::Thrown(thrown) = &error.kind {
        (place, line) = (thrown.file as *const c_char, thrown.line);
    }
    record(&error);
    let errno = error.errno;
    drop(error);
    errno.set();
    Raise {
        kind,
        reason: super::socket_error::last_text(),
        place,
        line,
    }
}

/// As far as an error goes that is returned and not raised: message and number for `Socket_GetLastError` and
/// `Socket_geterrno`.
pub fn record(error: &Error) {
    let text = match &error.kind {
        Kind::Thrown(thrown) => thrown.reason.to_string_lossy(),
        _ if error.text.is_empty() => static_reason(&error.kind),
        _ => error.text.as_ref().into(),
    };
    let of_tls = matches!(
        error.kind,
        Kind::Tls | Kind::Handshake | Kind::Verify | Kind::Protocol | Kind::Shutdown
    );
    shim::set_error(&text, error.errno, of_tls);
}

fn static_reason(kind: &Kind) -> std::borrow::Cow<'static, str> {
    let object = object(kind);
    // SAFETY: the family's objects are static, and so are their texts; one that a program gave is alive while it waits for
    // our answer.
    unsafe {
        if object.is_null() || (*object).reason.is_null() {
            return "".into();
        }
        CStr::from_ptr((*object).reason).to_string_lossy()
    }
}

/// A precondition, (P) in the documentation: a violation is a fault of the program that no exception could mend. Says so and
/// aborts.
#[cold]
pub fn violated(function: &CStr, argument: &str, what: &str) -> ! {
    let text = format!(
        "netconn: {}: {argument} {what}\n",
        function.to_string_lossy()
    );
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: readable for its length. One write, so that lines of several threads do not mix.
    unsafe { libc::write(2, text.as_ptr().cast(), text.as_bytes().len()) };
    std::process::abort();
}
