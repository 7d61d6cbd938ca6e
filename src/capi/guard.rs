//! The guard around each exported function: no panic reaches C, `errno` is set on a failing return and left alone
//! otherwise.

use crate::errno::Errno;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What a C function of this return type gives back when it fails.
pub trait FailureValue {
    /// NULL, -1, or nothing.
    fn failure() -> Self;
}

impl<T> FailureValue for *mut T {
    fn failure() -> Self {
        std::ptr::null_mut()
    }
}
impl<T> FailureValue for *const T {
    fn failure() -> Self {
        std::ptr::null()
    }
}
impl FailureValue for i32 {
    fn failure() -> Self {
        -1
    }
}
impl FailureValue for isize {
    fn failure() -> Self {
        -1
    }
}

/// Runs the body of a function that can fail.
#[inline]
pub fn fallible<R: FailureValue>(body: impl FnOnce() -> Result<R, Errno>) -> R {
    let before = Errno::last();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => {
            before.set();
            value
        }
        Ok(Err(errno)) => {
            errno.set();
            R::failure()
        }
        Err(_) => {
            // The panic hook has written the message to the log sink.
            Errno(libc::EFAULT).set();
            R::failure()
        }
    }
}

/// Runs the body of a function that cannot fail: `neutral` is what a caught panic gives.
#[inline]
pub fn infallible<R>(neutral: R, body: impl FnOnce() -> R) -> R {
    let before = Errno::last();
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or(neutral);
    before.set();
    result
}

/// A string from C: NUL-terminated UTF-8. `None` for NULL, EINVAL for other bytes.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that nobody changes during `'a`.
pub unsafe fn text<'a>(text: *const std::ffi::c_char) -> Result<Option<&'a str>, Errno> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller promises a NUL-terminated string for 'a.
    let bytes = unsafe { std::ffi::CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|_| Errno(libc::EINVAL))
}

/// A byte slice from C: `(NULL, 0)` is empty, NULL with a length and a length above `isize::MAX` are EINVAL.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that nobody writes during `'a`.
pub unsafe fn bytes<'a>(data: *const std::ffi::c_void, len: usize) -> Result<&'a [u8], Errno> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len > isize::MAX as usize {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: not NULL, `len` is in range, and the caller promises `len` readable bytes for 'a.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// Routes panics of this library to the log sink, once for the process: a caught panic must not speak on the host's
/// terminal. (Each copy of this library has its own Rust runtime, so no other Rust code is affected.)
pub fn quiet_panics() {
    #[cfg(not(test))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                crate::log!(Error, "internal error, please report it: {info}");
            }));
        });
    }
}
