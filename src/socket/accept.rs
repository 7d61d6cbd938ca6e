//! Taking connections from a listening socket.

use super::error::{Error, Kind};
use super::event;
use super::handle::Handle;
use super::object::Socket;
use super::option::NonBlocking;
use super::wait::{wait, Deadline};
use crate::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

/// The next connection: close-on-exec and blocking. `None` where none is waiting and the listener does not block.
pub fn accept(listener: &Socket) -> Result<Option<&'static Handle>, Error> {
    match next(listener) {
        Ok(fd) => taken(listener, fd).map(Some),
        Err(errno) if errno.would_block() => Ok(None),
        Err(errno) => Err(failed(listener, errno)),
    }
}

/// As [`accept`], waiting for so many milliseconds at most; negative: as the listener's mode says.
pub fn accept_within(listener: &Socket, ms: c_int) -> Result<Option<&'static Handle>, Error> {
    if ms < 0 {
        return accept(listener);
    }
    let deadline = Deadline::after_ms(ms);
    let failed = |errno| failed(listener, errno);
    loop {
        // Somebody else may take the connection that the wait was told of. For the attempt alone: the mode is that of all
        // processes that have this listener.
        let mode = NonBlocking::begin(listener.fd()).map_err(failed)?;
        let accepted = accept(listener)?;
        drop(mode);
        if accepted.is_some() || ms == 0 {
            return Ok(accepted);
        }
        if wait(listener.fd(), libc::POLLIN, deadline).map_err(failed)? == 0 {
            return Ok(None);
        }
    }
}

fn next(listener: &Socket) -> Result<OwnedFd, Errno> {
    let none = std::ptr::null_mut();
    loop {
        // SAFETY: no address is asked for.
        let fd = unsafe {
            libc::accept4(
                listener.fd(),
                none,
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC,
            )
        };
        if fd >= 0 {
            // SAFETY: just made, and nobody else's.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        match Errno::last() {
            // A connection that is gone already: the next one.
            Errno(libc::EINTR | libc::ECONNABORTED | libc::EPROTO) => {}
            errno => return Err(errno),
        }
    }
}

fn taken(listener: &Socket, fd: OwnedFd) -> Result<&'static Handle, Error> {
    let handle = Handle::new(Socket::new(fd, listener.domain(), listener.kind()));
    if let Some(socket) = handle.socket() {
        socket.refresh_peer();
        socket.refresh_local();
        socket.set_connected(true);
        socket.stats.connected();
        // Nobody would know the socket after a raise.
        event::accepted(&socket).inspect_err(|_| handle.end())?;
    }
    Ok(handle)
}

fn failed(listener: &Socket, errno: Errno) -> Error {
    let port = listener.local_port();
    Error::system(Kind::Socket, format_args!("accept on port {port}"), errno)
}
