//! Socket options as raw values, and the descriptor's mode.

use crate::errno::Errno;
use std::ffi::c_int;
use std::os::fd::RawFd;

/// Any option whose type is plain memory, for which all bytes are valid.
pub(super) fn get<T: Copy>(
    fd: RawFd,
    level: c_int,
    name: c_int,
    mut value: T,
) -> Result<(T, usize), Errno> {
    let mut len = std::mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for `len` bytes.
    let result = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut len) };
    match result {
        0 => Ok((value, len as usize)),
        _ => Err(Errno::last()),
    }
}

pub(super) fn set<T: Copy>(fd: RawFd, level: c_int, name: c_int, value: &T) -> Result<(), Errno> {
    set_bytes(
        fd,
        level,
        name,
        (&raw const *value).cast(),
        std::mem::size_of::<T>(),
    )
}

fn set_bytes(
    fd: RawFd,
    level: c_int,
    name: c_int,
    value: *const libc::c_void,
    len: usize,
) -> Result<(), Errno> {
    // SAFETY: the callers pass a place and its size; the kernel only reads.
    match unsafe { libc::setsockopt(fd, level, name, value, len as libc::socklen_t) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

pub(super) fn get_int(fd: RawFd, level: c_int, name: c_int) -> Result<c_int, Errno> {
    get(fd, level, name, 0).map(|(value, _)| value)
}

pub(super) fn set_int(fd: RawFd, level: c_int, name: c_int, value: c_int) -> Result<(), Errno> {
    set(fd, level, name, &value)
}

/// An option that is a short text.
pub(super) fn set_text(fd: RawFd, level: c_int, name: c_int, text: &[u8]) -> Result<(), Errno> {
    set_bytes(fd, level, name, text.as_ptr().cast(), text.len())
}

/// Whether O_NONBLOCK is on.
pub(super) fn is_nonblocking(fd: RawFd) -> Result<bool, Errno> {
    flags(fd).map(|flags| flags & libc::O_NONBLOCK != 0)
}

/// Turns O_NONBLOCK on or off; what it was.
pub(super) fn set_nonblocking(fd: RawFd, on: bool) -> Result<bool, Errno> {
    let before = flags(fd)?;
    let wanted = match on {
        true => before | libc::O_NONBLOCK,
        false => before & !libc::O_NONBLOCK,
    };
    // SAFETY: no memory is involved.
    if wanted != before && unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) } < 0 {
        return Err(Errno::last());
    }
    Ok(before & libc::O_NONBLOCK != 0)
}

fn flags(fd: RawFd) -> Result<c_int, Errno> {
    // SAFETY: no memory is involved.
    match unsafe { libc::fcntl(fd, libc::F_GETFL) } {
        -1 => Err(Errno::last()),
        flags => Ok(flags),
    }
}

/// Has it closed, or not, in a program that is executed.
pub(super) fn set_cloexec(fd: RawFd, on: bool) -> Result<(), Errno> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: no memory is involved.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// Whether it is closed in a program that is executed.
pub(super) fn is_cloexec(fd: RawFd) -> Result<bool, Errno> {
    // SAFETY: no memory is involved.
    match unsafe { libc::fcntl(fd, libc::F_GETFD) } {
        -1 => Err(Errno::last()),
        flags => Ok(flags & libc::FD_CLOEXEC != 0),
    }
}

/// While it lives a descriptor does not block; then its mode is as it was.
pub(super) struct NonBlocking {
    fd: RawFd,
    before: bool,
}

impl NonBlocking {
    pub(super) fn begin(fd: RawFd) -> Result<NonBlocking, Errno> {
        let before = set_nonblocking(fd, true)?;
        Ok(NonBlocking { fd, before })
    }
}

impl Drop for NonBlocking {
    fn drop(&mut self) {
        if !self.before {
            let _ = set_nonblocking(self.fd, false);
        }
    }
}
