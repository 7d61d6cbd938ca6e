//! Binding to one address, or to the first of several that can be had.

use super::base::Base;
use super::{Error, Kind};
use crate::errno::Errno;
use std::ffi::c_int;

/// Whether an address cannot be had, which is no failure of the call: it is in use, or not this machine's.
pub fn is_taken(errno: Errno) -> bool {
    matches!(errno.0, libc::EADDRINUSE | libc::EADDRNOTAVAIL)
}

/// "bind to 127.0.0.1: Permission denied".
pub fn failed(name: &str, errno: Errno, kind: Kind) -> Error {
    Error::system(kind, format_args!("bind to {name}"), errno)
}

/// Binds; `errno` as it comes.
///
/// # Safety
/// `address` has `length` bytes.
pub unsafe fn bind(
    base: &Base,
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> Result<(), Errno> {
    // SAFETY: by the contract.
    match unsafe { libc::bind(base.fd(), address, length) } {
        0 => {
            base.refresh_local();
            Ok(())
        }
        _ => Err(Errno::last()),
    }
}

/// Binds to the first of a list that is of `family` (AF_UNSPEC: any) and can be had.
///
/// # Safety
/// `list` is NULL or the head of a list as `getaddrinfo` makes it, which nobody changes meanwhile.
pub unsafe fn bind_one_of(
    base: &Base,
    list: *const libc::addrinfo,
    family: c_int,
    kind: Kind,
) -> Result<(), Error> {
    base.set_int(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1, kind.clone())?;
    let mut last = Errno(libc::EAFNOSUPPORT);
    let mut next = list;
    // SAFETY: NULL or an entry, by the contract.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ai_next;
        if family != libc::AF_UNSPEC && entry.ai_family != family {
            continue;
        }
        // SAFETY: an entry's address, with its length.
        match unsafe { bind(base, entry.ai_addr, entry.ai_addrlen) } {
            Ok(()) => return Ok(()),
            Err(errno) => last = errno,
        }
    }
    Err(failed("any of the addresses", last, kind))
}
