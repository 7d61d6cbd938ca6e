//! What sockets of every kind share, for programs that do by themselves what `Socket_T` does for others: names and addresses
//! as text, options of descriptors, I/O vectors, binding.
//!
//! A function that fails says as what it failed by the [`Kind`] that it is given.
//!
//! - [`base`]: the record under a socket: a descriptor and its own address
//! - [`names`]: ports, host names, addresses as text, networks
//! - [`resolve`]: names to addresses and back
//! - [`bind`]: binding to one address or the first of several
//! - [`vectors`]: I/O vectors and how far they were used up

pub mod base;
pub mod bind;
pub mod names;
pub mod resolve;
pub mod vectors;

use super::descriptor;
use super::error::{Error, Kind};
use crate::errno::Errno;
use std::ffi::{c_int, c_short};
use std::os::fd::RawFd;

/// An option of a descriptor whose value is a number.
pub fn int_option(fd: RawFd, level: c_int, name: c_int, kind: Kind) -> Result<c_int, Error> {
    let mut value: c_int = 0;
    get_option(fd, level, name, &mut value, kind)?;
    Ok(value)
}

/// An option of a descriptor whose value is a length of time.
pub fn time_option(
    fd: RawFd,
    level: c_int,
    name: c_int,
    kind: Kind,
) -> Result<libc::timeval, Error> {
    let mut value = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    get_option(fd, level, name, &mut value, kind)?;
    Ok(value)
}

/// `T`: integers alone, for which any bytes are valid.
fn get_option<T: Copy>(
    fd: RawFd,
    level: c_int,
    name: c_int,
    value: &mut T,
    kind: Kind,
) -> Result<(), Error> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for the `len` bytes.
    match unsafe { libc::getsockopt(fd, level, name, std::ptr::from_mut(value).cast(), &mut len) } {
        0 => Ok(()),
        _ => Err(Error::system(
            kind,
            format_args!("getsockopt of descriptor {fd} (level {level}, option {name})"),
            Errno::last(),
        )),
    }
}

/// `T`: as [`get_option`].
fn set_option<T>(
    fd: RawFd,
    level: c_int,
    name: c_int,
    value: &T,
    what: &str,
    kind: Kind,
) -> Result<(), Error> {
    // SAFETY: `value` has so many bytes.
    let set = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(Error::system(
            kind,
            format_args!("{what} of descriptor {fd}"),
            Errno::last(),
        )),
    }
}

/// Sets or clears close-on-exec.
pub fn change_cloexec(fd: RawFd, on: bool, kind: Kind) -> Result<(), Error> {
    descriptor::set_cloexec(fd, on).map_err(|errno| cloexec(fd, errno, kind))
}

/// Whether close-on-exec is set.
pub fn has_cloexec(fd: RawFd, kind: Kind) -> Result<bool, Error> {
    descriptor::is_cloexec(fd).map_err(|errno| cloexec(fd, errno, kind))
}

fn cloexec(fd: RawFd, errno: Errno, kind: Kind) -> Error {
    let what = format_args!("close-on-exec of descriptor {fd}");
    Error::system(kind, what, errno)
}

/// The longest wait, in milliseconds.
const LONGEST: c_int = c_int::MAX / 2;

/// Waits for these events of poll(2): whether they came in time. `Errno` for a descriptor with an error (EIO), one whose other
/// end is gone (EPIPE) and for none (EBADF). Below 0 waits for as long as it takes.
pub fn wait_for(fd: RawFd, events: c_short, timeout_ms: c_int) -> Result<bool, Errno> {
    let deadline = u64::try_from(timeout_ms.min(LONGEST))
        .ok()
        .map(|ms| crate::clock::now() + ms * super::timers::MILLI);
    loop {
        let timeout = deadline.map_or(-1, |at| {
            let left = at.saturating_sub(crate::clock::now());
            c_int::try_from(left.div_ceil(super::timers::MILLI)).unwrap_or(LONGEST)
        });
        let mut polled = libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // SAFETY: one entry, alive during the call.
        match unsafe { libc::poll(&mut polled, 1, timeout) } {
            0 => return Ok(false),
            1.. => {
                let trouble = [
                    (libc::POLLNVAL, libc::EBADF),
                    (libc::POLLERR, libc::EIO),
                    (libc::POLLHUP, libc::EPIPE),
                ];
                let found = trouble.iter().find(|(bit, _)| polled.revents & bit != 0);
                return found.map_or(Ok(true), |(_, errno)| Err(Errno(*errno)));
            }
            _ => match Errno::last() {
                Errno(libc::EINTR) => {}
                errno => return Err(errno),
            },
        }
    }
}
