//! What `src/shim/` offers, as its `shim.h` declares it: raising, catching, the thread's message. The only place in Rust
//! that knows of `longjmp`; must not know what is raised or why.

use super::except::Except_T;
use crate::errno::Errno;
use crate::socket::Thrown;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::MaybeUninit;

const REASON_SIZE: usize = 1024;

#[repr(C)]
struct Caught {
    kind: *const Except_T,
    file: *const c_char,
    line: c_int,
    reason: [c_char; REASON_SIZE],
}

/// A frame of the exception stack, which only C looks into.
#[repr(C)]
pub struct Frame {
    _private: [u8; 0],
}

extern "C" {
    fn shim_catch(
        run: unsafe extern "C" fn(*mut c_void),
        arg: *mut c_void,
        caught: *mut Caught,
    ) -> c_int;
    /// Does not return: a `longjmp`. The caller's frame and those above it up to C own nothing.
    pub(super) fn shim_raise(
        kind: *const Except_T,
        reason: *const c_char,
        place: *const c_char,
        line: c_int,
    ) -> !;
    fn shim_set_error(text: *const c_char, length: usize, error: c_int, of_tls: c_int);
    fn shim_swap_stack(head: *mut Frame) -> *mut Frame;
}

/// Runs a program's callback so that what it raises is stopped here and comes back as a value. `call` owns nothing
/// (`Copy`), because a raise jumps over its frame; nothing may be borrowed or locked meanwhile.
pub fn catching<R: Copy>(call: impl FnOnce() -> R + Copy) -> Result<R, Thrown> {
    struct Job<F, R> {
        call: F,
        result: MaybeUninit<R>,
    }
    unsafe extern "C" fn run<R: Copy, F: FnOnce() -> R + Copy>(job: *mut c_void) {
        let job = job.cast::<Job<F, R>>();
        // SAFETY: `catching` passes its own job, which lives until `shim_catch` returns.
        unsafe {
            let result = ((*job).call)();
            (*job).result.write(result);
        }
    }
    fn runner<R: Copy, F: FnOnce() -> R + Copy>(_: &F) -> unsafe extern "C" fn(*mut c_void) {
        run::<R, F>
    }
    let mut job = Job {
        call,
        result: MaybeUninit::<R>::uninit(),
    };
    let mut caught = MaybeUninit::<Caught>::uninit();
    // SAFETY: `run` fits the job; the job and the place for what is caught outlive the call. The frames that a raise jumps
    // over (`run` and the closure's) have no destructors: all they hold is Copy.
    let stopped = unsafe {
        shim_catch(
            runner::<R, _>(&call),
            (&raw mut job).cast(),
            caught.as_mut_ptr(),
        )
    };
    if stopped == 0 {
        // SAFETY: the callback returned, and `run` has written its result.
        return Ok(unsafe { job.result.assume_init() });
    }
    // SAFETY: something was caught, and all members were written; the text is NUL-terminated, the file's name static.
    let caught = unsafe { caught.assume_init() };
    // SAFETY: as above.
    let reason = unsafe { CStr::from_ptr(caught.reason.as_ptr()) }.to_owned();
    Err(Thrown {
        kind: caught.kind as usize,
        reason,
        file: caught.file as usize,
        line: caught.line,
    })
}

/// Sets the thread's message and error number (`Socket_GetLastError`, `Socket_geterrno`), and what TLS said last if it is that.
pub fn set_error(text: &str, errno: Errno, of_tls: bool) {
    // SAFETY: readable for its length; copied.
    unsafe { shim_set_error(text.as_ptr().cast(), text.len(), errno.0, of_tls.into()) };
}

/// While it lives the thread has no exception frames: what a callback of the loop's raises is uncaught and aborts, because
/// the frames of the loop must not be jumped over.
pub struct NoFrames(*mut Frame);

impl NoFrames {
    /// From now on.
    #[inline]
    pub fn begin() -> NoFrames {
        // SAFETY: NULL is an empty stack.
        NoFrames(unsafe { shim_swap_stack(std::ptr::null_mut()) })
    }
}

impl Drop for NoFrames {
    fn drop(&mut self) {
        // SAFETY: the head as it was when the scope began: those frames are of callers, who still wait for us.
        unsafe { shim_swap_stack(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::except::{Socket_Closed, Socket_Failed};
    use super::*;
    use crate::socket::{Error, Kind};

    #[test]
    fn what_a_callback_raises_comes_back_as_a_value() {
        assert_eq!(catching(|| 7).unwrap(), 7);
        let thrown = catching(|| {
            // SAFETY: the closure's frame owns nothing.
            unsafe {
                shim_raise(
                    &raw const Socket_Failed,
                    c"no luck".as_ptr(),
                    c"here".as_ptr(),
                    3,
                )
            }
        })
        .map(|never: u8| never)
        .unwrap_err();
        assert_eq!(thrown.kind, &raw const Socket_Failed as usize);
        assert_eq!((thrown.reason.as_c_str(), thrown.line), (c"no luck", 3));
    }

    #[test]
    fn an_error_of_ours_is_raised_with_its_text() {
        use super::super::raise::raising;
        let thrown = catching(|| {
            raising(c"Socket_test", || {
                Err::<(), _>(Error::new(
                    Kind::Closed,
                    Errno(libc::EPIPE),
                    "gone for good",
                ))
            })
        })
        .unwrap_err();
        assert_eq!(Errno::last(), Errno(libc::EPIPE));
        assert_eq!(thrown.kind, &raw const Socket_Closed as usize);
        assert_eq!(thrown.reason.as_c_str(), c"gone for good");
        // SAFETY: the thread's message, NUL-terminated.
        let message = unsafe { CStr::from_ptr(super::super::socket_error::last_text()) };
        assert_eq!(message, c"gone for good");
    }
}
