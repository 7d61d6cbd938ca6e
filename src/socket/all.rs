//! Moving all of the bytes, over as many calls as it takes.

use super::common::vectors;
use super::data::{self, Piece};
use super::error::{Error, Kind};
use super::handle::Handle;
use super::object::{Route, Socket};
use super::tls;
use super::wait::{wait, Deadline};
use crate::errno::Errno;
use std::ffi::c_int;

/// How far a loop came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes moved.
    pub count: usize,
    /// It ended because it would have to wait.
    pub blocked: bool,
}

/// How long a loop waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As the socket's mode says.
    Mode,
    /// One attempt.
    Once,
    /// Until then, whatever the mode.
    Until(Deadline),
}

impl Patience {
    /// From milliseconds: 0 is one attempt, below 0 no limit.
    pub fn from_ms(ms: c_int) -> Patience {
        match ms {
            0 => Patience::Once,
            ms => Patience::Until(Deadline::after_ms(ms)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Send,
    Receive,
}

/// Sends all.
///
/// # Safety
/// `buf` is readable for `len` bytes.
pub unsafe fn send_all(
    handle: &'static Handle,
    buf: *const u8,
    len: usize,
    patience: Patience,
) -> Result<Progress, Error> {
    run(handle, Direction::Send, patience, len, |done, flags| {
        // SAFETY: the caller's promise; `done` is below `len`.
        unsafe { data::send(handle, buf.add(done), len - done, flags) }
    })
}

/// Receives until the buffer is full.
///
/// # Safety
/// `buf` is writable for `len` bytes.
pub unsafe fn receive_all(
    handle: &'static Handle,
    buf: *mut u8,
    len: usize,
    patience: Patience,
) -> Result<Progress, Error> {
    run(handle, Direction::Receive, patience, len, |done, flags| {
        // SAFETY: the caller's promise; `done` is below `len`.
        unsafe { data::receive(handle, buf.add(done), len - done, flags) }
    })
}

/// Sends all pieces, which stay as they are.
///
/// # Safety
/// Each piece is readable.
pub unsafe fn send_all_pieces(
    handle: &'static Handle,
    pieces: &[Piece],
    patience: Patience,
) -> Result<Progress, Error> {
    let total = data::total(pieces)?;
    let mut rest = Rest::of(pieces);
    run(handle, Direction::Send, patience, total, |done, flags| {
        // SAFETY: the caller's promise: what is left of the pieces is in them.
        unsafe { data::send_pieces(handle, rest.after(done)?, flags) }
    })
}

/// Receives until all pieces are full; the entries stay as they are.
///
/// # Safety
/// Each piece is writable.
pub unsafe fn receive_all_pieces(
    handle: &'static Handle,
    pieces: &[Piece],
    patience: Patience,
) -> Result<Progress, Error> {
    let total = data::total(pieces)?;
    let mut rest = Rest::of(pieces);
    run(
        handle,
        Direction::Receive,
        patience,
        total,
        |done, flags| {
            // SAFETY: the caller's promise: what is left of the pieces is in them.
            unsafe { data::receive_pieces(handle, rest.after(done)?, flags) }
        },
    )
}

/// What is left of pieces: a copy, from the first call that does not move all.
struct Rest<'a> {
    given: &'a [Piece],
    copy: Vec<Piece>,
    /// So much is gone from the copy.
    done: usize,
}

impl Rest<'_> {
    fn of(given: &[Piece]) -> Rest<'_> {
        Rest {
            given,
            copy: Vec::new(),
            done: 0,
        }
    }

    fn after(&mut self, done: usize) -> Result<&[Piece], Error> {
        if done == 0 {
            return Ok(self.given);
        }
        if self.copy.is_empty() {
            self.copy = self.given.to_vec();
        }
        vectors::advance(&mut self.copy, done - self.done)?;
        self.done = done;
        let begun = vectors::first_active(&self.copy).unwrap_or(0);
        Ok(&self.copy[begun..])
    }
}

/// Calls until `len` bytes have moved, or one call would block and nobody waits.
fn run(
    handle: &'static Handle,
    direction: Direction,
    patience: Patience,
    len: usize,
    mut step: impl FnMut(usize, c_int) -> data::Moved,
) -> Result<Progress, Error> {
    let flags = match patience {
        Patience::Mode => 0,
        _ => libc::MSG_DONTWAIT,
    };
    let mut count = 0;
    while count < len {
        match step(count, flags) {
            // A datagram without bytes.
            Ok(Some(0)) => break,
            Ok(Some(moved)) => count += moved,
            Ok(None) if wait_for(handle, direction, patience)? => {}
            Ok(None) => {
                return Ok(Progress {
                    count,
                    blocked: true,
                })
            }
            // A signal: what was moved before must not be forgotten.
            Err(Error {
                kind: Kind::Socket,
                errno: Errno(libc::EINTR),
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Progress {
        count,
        blocked: false,
    })
}

/// Whether it is worth another attempt.
fn wait_for(
    handle: &'static Handle,
    direction: Direction,
    patience: Patience,
) -> Result<bool, Error> {
    let Patience::Until(deadline) = patience else {
        return Ok(false);
    };
    let events = |socket: &Socket| match (socket.route(), direction) {
        (Route::Tls, _) => tls::waits_for(socket, direction == Direction::Send),
        (_, Direction::Send) => libc::POLLOUT,
        (_, Direction::Receive) => libc::POLLIN,
    };
    let Some((fd, events)) = handle.look(|socket| (socket.fd(), events(socket))) else {
        return Err(data::freed());
    };
    match wait(fd, events, deadline) {
        Ok(0) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(Error::system(Kind::Socket, "poll", errno)),
    }
}
