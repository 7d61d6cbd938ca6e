//! What sockets of every kind share, for programs that do by themselves what `Socket_T` does for others: names and addresses
//! as text, options of descriptors, I/O vectors, binding.
//!
//! A function that fails says as what it failed by the [`Kind`] that it is given.
//!
//! - [`base`]: the record under a socket: a descriptor and its own address
//! - [`names`]: ports, host names, addresses as text, networks
//! - [`resolve`]: names to addresses and back
//! - [`bind`]: binding to one address or the first of several
//! - [`process`]: the process's own resolver and its time-out
//! - [`vectors`]: I/O vectors and how far they were used up

pub mod base;
pub mod bind;
pub mod names;
pub mod process;
pub mod resolve;
pub mod vectors;

use super::error::{Error, Kind};
use super::option;
use super::wait::{wait, Deadline};
use crate::errno::Errno;
use std::ffi::{c_int, c_short};
use std::os::fd::RawFd;

/// An option of a descriptor whose value is a number.
pub fn int_option(fd: RawFd, level: c_int, name: c_int, kind: Kind) -> Result<c_int, Error> {
    get_option(fd, level, name, 0, kind)
}

/// An option of a descriptor whose value is a length of time.
pub fn time_option(
    fd: RawFd,
    level: c_int,
    name: c_int,
    kind: Kind,
) -> Result<libc::timeval, Error> {
    let none = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    get_option(fd, level, name, none, kind)
}

fn get_option<T: Copy>(
    fd: RawFd,
    level: c_int,
    name: c_int,
    before: T,
    kind: Kind,
) -> Result<T, Error> {
    let got = option::get(fd, level, name, before).map(|(value, _)| value);
    got.map_err(|errno| {
        let what = format_args!("getsockopt of descriptor {fd} (level {level}, option {name})");
        Error::system(kind, what, errno)
    })
}

/// Sets or clears close-on-exec.
pub fn change_cloexec(fd: RawFd, on: bool, kind: Kind) -> Result<(), Error> {
    option::set_cloexec(fd, on).map_err(|errno| cloexec(fd, errno, kind))
}

/// Whether close-on-exec is set.
pub fn has_cloexec(fd: RawFd, kind: Kind) -> Result<bool, Error> {
    option::is_cloexec(fd).map_err(|errno| cloexec(fd, errno, kind))
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
    let came = wait(fd, events, Deadline::after_ms(timeout_ms.min(LONGEST)))?;
    let trouble = [
        (libc::POLLNVAL, libc::EBADF),
        (libc::POLLERR, libc::EIO),
        (libc::POLLHUP, libc::EPIPE),
    ];
    match trouble.iter().find(|(bit, _)| came & bit != 0) {
        Some((_, errno)) => Err(Errno(*errno)),
        None => Ok(came != 0),
    }
}
