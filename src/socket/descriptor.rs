//! What is asked of a descriptor, whosever it is.

use crate::errno::Errno;
use std::ffi::c_int;
use std::os::fd::RawFd;

/// Has calls on it return at once where they would wait, or wait.
pub(super) fn set_nonblocking(fd: RawFd, on: bool) -> Result<(), Errno> {
    change_flags(fd, libc::F_GETFL, libc::F_SETFL, libc::O_NONBLOCK, on)
}

/// Has it closed, or not, in a program that is executed.
pub(super) fn set_cloexec(fd: RawFd, on: bool) -> Result<(), Errno> {
    change_flags(fd, libc::F_GETFD, libc::F_SETFD, libc::FD_CLOEXEC, on)
}

/// Whether it is closed in a program that is executed.
pub(super) fn is_cloexec(fd: RawFd) -> Result<bool, Errno> {
    Ok(flags(fd, libc::F_GETFD)? & libc::FD_CLOEXEC != 0)
}

fn flags(fd: RawFd, get: c_int) -> Result<c_int, Errno> {
    // SAFETY: asks for numbers; any number is safe as a descriptor.
    match unsafe { libc::fcntl(fd, get) } {
        flags if flags < 0 => Err(Errno::last()),
        flags => Ok(flags),
    }
}

fn change_flags(fd: RawFd, get: c_int, set: c_int, flag: c_int, on: bool) -> Result<(), Errno> {
    let before = flags(fd, get)?;
    let after = if on { before | flag } else { before & !flag };
    // SAFETY: takes a number; any number is safe as a descriptor.
    if after != before && unsafe { libc::fcntl(fd, set, after) } < 0 {
        return Err(Errno::last());
    }
    Ok(())
}
