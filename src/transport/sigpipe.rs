//! System calls that know no MSG_NOSIGNAL, without SIGPIPE: blocked in the thread, a new pending one taken away, the mask
//! as it was. The host's own SIGPIPE, blocked and pending, ignored or handled, is left as it is.

use crate::errno::Errno;
use std::ffi::c_int;
use std::mem::MaybeUninit;

/// Runs a call that raises SIGPIPE in this thread where it fails with EPIPE.
pub(super) fn without(call: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let only = only_sigpipe();
    let mut old = MaybeUninit::uninit();
    // SAFETY: both are signal sets, the second to be written.
    let old = unsafe {
        if libc::pthread_sigmask(libc::SIG_BLOCK, &only, old.as_mut_ptr()) != 0 {
            // Cannot be; and better no bytes than a dead host.
            return Err(Errno(libc::EAGAIN));
        }
        old.assume_init()
    };
    // SAFETY: a signal set that the kernel has filled.
    let was_blocked = unsafe { libc::sigismember(&old, libc::SIGPIPE) } == 1;
    // Where it was not blocked none can be waiting.
    let was_pending = was_blocked && is_pending();
    let result = call();
    if matches!(result, Err(Errno(libc::EPIPE))) {
        take(&only);
        if was_pending && !is_pending() {
            // The one that was there before and ours are one signal: that one is still to be delivered.
            // SAFETY: raises a signal that is blocked.
            unsafe { libc::raise(libc::SIGPIPE) };
        }
    }
    if !was_blocked {
        // SAFETY: the set that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut()) };
    }
    result
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set, which is whole from then on.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigpending fills the set, which is read only where it has.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0
            && libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1
    }
}

/// Takes one pending SIGPIPE away; the thread's own comes before the process's.
fn take(only: &libc::sigset_t) {
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        // SAFETY: a signal set, no place for details, and a time.
        let taken: c_int = unsafe { libc::sigtimedwait(only, std::ptr::null_mut(), &at_once) };
        if taken >= 0 || Errno::last().0 != libc::EINTR {
            return;
        }
    }
}
