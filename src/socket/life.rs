//! Making sockets and counting them.

use super::error::{Error, Kind};
use super::handle::{self, Handle};
use super::object::Socket;
use super::option;
use crate::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// How many sockets are live in this process.
pub fn live_count() -> i32 {
    handle::live()
}

/// A new socket: close-on-exec and blocking.
pub fn new(domain: c_int, kind: c_int, protocol: c_int) -> Result<&'static Handle, Error> {
    let fd = open(domain, kind, protocol)?;
    Ok(Handle::new(Socket::new(fd, domain, kind)))
}

/// The descriptor of a new socket, of the kinds that there are here.
pub(super) fn open(domain: c_int, kind: c_int, protocol: c_int) -> Result<OwnedFd, Error> {
    if ![libc::AF_INET, libc::AF_INET6, libc::AF_UNIX].contains(&domain) {
        return Err(Error::invalid(
            Kind::Socket,
            format!("socket: {domain} is no domain of this library (AF_INET, AF_INET6, AF_UNIX)"),
        ));
    }
    if ![libc::SOCK_STREAM, libc::SOCK_DGRAM].contains(&kind) {
        return Err(Error::invalid(
            Kind::Socket,
            format!("socket: {kind} is no type of this library (SOCK_STREAM, SOCK_DGRAM)"),
        ));
    }
    if ![0, libc::IPPROTO_TCP, libc::IPPROTO_UDP].contains(&protocol) {
        return Err(Error::invalid(
            Kind::Socket,
            format!(
                "socket: {protocol} is no protocol of this library (0, IPPROTO_TCP, IPPROTO_UDP)"
            ),
        ));
    }
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(Error::system(Kind::Socket, "socket", Errno::last()));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A new stream socket that `prepare` makes ready; there is none where that fails.
pub fn made(
    domain: c_int,
    prepare: impl FnOnce(&Socket) -> Result<(), Error>,
) -> Result<&'static Handle, Error> {
    let handle = new(domain, libc::SOCK_STREAM, 0)?;
    match handle.socket().map(|socket| prepare(&socket)) {
        Some(Err(error)) => {
            handle.end();
            Err(error)
        }
        _ => Ok(handle),
    }
}

/// A new handle on a copy of the descriptor, close-on-exec, with this number if one is given.
pub fn duplicate(socket: &Socket, number: Option<RawFd>) -> Result<&'static Handle, Error> {
    // SAFETY: no memory is involved; what is closed under a number that the program gives, the program gives up.
    let fd = unsafe {
        match number {
            None => libc::fcntl(socket.fd(), libc::F_DUPFD_CLOEXEC, 0),
            Some(number) => libc::dup3(socket.fd(), number, libc::O_CLOEXEC),
        }
    };
    if fd < 0 {
        return Err(Error::system(Kind::Socket, "dup", Errno::last()));
    }
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let copy = Socket::new(fd, socket.domain(), socket.kind());
    copy.set_timeouts(socket.timeouts());
    Ok(Handle::new(copy))
}

/// A connected pair of Unix sockets: close-on-exec and blocking.
pub fn pair(kind: c_int) -> Result<(&'static Handle, &'static Handle), Error> {
    if ![libc::SOCK_STREAM, libc::SOCK_DGRAM].contains(&kind) {
        return Err(Error::invalid(
            Kind::Socket,
            format!("socketpair: {kind} is no type of this library (SOCK_STREAM, SOCK_DGRAM)"),
        ));
    }
    let mut fds = [-1; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            kind | libc::SOCK_CLOEXEC,
            0,
            fds.as_mut_ptr(),
        )
    };
    if made < 0 {
        return Err(Error::system(Kind::Socket, "socketpair", Errno::last()));
    }
    let [first, second] = fds.map(|fd| {
        // SAFETY: just made, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let socket = Socket::new(fd, libc::AF_UNIX, kind);
        socket.set_connected(true);
        socket.stats.connected();
        Handle::new(socket)
    });
    Ok((first, second))
}

/// Takes a descriptor over and makes it non-blocking; when this fails it stays the caller's, as it was.
///
/// # Safety
/// `fd` is open, and the caller gives it up if this succeeds.
pub unsafe fn take_over(fd: RawFd) -> Result<&'static Handle, Error> {
    let failed = |errno| {
        Error::system(
            Kind::Socket,
            format_args!("descriptor {fd} cannot be taken over"),
            errno,
        )
    };
    let domain = option::get_int(fd, libc::SOL_SOCKET, libc::SO_DOMAIN).map_err(failed)?;
    let kind = option::get_int(fd, libc::SOL_SOCKET, libc::SO_TYPE).map_err(failed)?;
    option::set_nonblocking(fd, true).map_err(failed)?;
    // SAFETY: the caller's promise.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Handle::new(Socket::new(fd, domain, kind)))
}
