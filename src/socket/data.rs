//! Bytes in and out, a call at a time. A plain socket's go straight to the kernel: what is added is one look at the handle
//! before, and counting after, without a lock and without holding anything, so that two threads may send and receive.

use super::common::vectors;
use super::error::{Error, Kind};
use super::handle::Handle;
use super::object::{Route, Socket};
use super::tls;
use crate::errno::Errno;
use crate::transport::Patience;
use std::ffi::c_int;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// How many bytes a call moved; `None`: it would block.
pub type Moved = Result<Option<usize>, Error>;

/// A piece of memory as `struct iovec`.
pub type Piece = libc::iovec;

/// Sends what the kernel or TLS takes at once (a blocking socket waits until it takes something).
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[inline]
pub unsafe fn send(handle: &'static Handle, buf: *const u8, len: usize, flags: c_int) -> Moved {
    let Some((fd, route)) = handle.look(|socket| (socket.fd(), socket.route())) else {
        return Err(freed());
    };
    if route == Route::Tls {
        // SAFETY: the caller's promise.
        return tls_send(
            handle,
            unsafe { std::slice::from_raw_parts(buf, len) },
            flags,
        );
    }
    // SAFETY: the caller's promise.
    let sent = unsafe { libc::send(fd, buf.cast(), len, flags | libc::MSG_NOSIGNAL) };
    was_sent(handle, sent)
}

/// Receives what is there (a blocking socket waits until something is).
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[inline]
pub unsafe fn receive(handle: &'static Handle, buf: *mut u8, len: usize, flags: c_int) -> Moved {
    let Some((fd, route)) = handle.look(|socket| (socket.fd(), socket.route())) else {
        return Err(freed());
    };
    if route != Route::Plain {
        // SAFETY: the caller's promise.
        let room = unsafe { std::slice::from_raw_parts_mut(buf.cast(), len) };
        if let Some(moved) = routed_receive(handle, room, flags) {
            return counted(handle, moved);
        }
    }
    // SAFETY: the caller's promise.
    let received = unsafe { libc::recv(fd, buf.cast(), len, flags) };
    was_received(handle, received)
}

/// Sends several pieces as one.
///
/// # Safety
/// Each piece is readable.
pub unsafe fn send_pieces(handle: &'static Handle, pieces: &[Piece], flags: c_int) -> Moved {
    if total(pieces)? == 0 {
        return Ok(Some(0));
    }
    let Some((fd, route)) = handle.look(|socket| (socket.fd(), socket.route())) else {
        return Err(freed());
    };
    if route == Route::Tls {
        // An empty one may be NULL, which no slice is.
        let pieces = pieces.iter().filter(|piece| piece.iov_len > 0);
        // SAFETY: not NULL (`total`), and readable, the caller promises.
        let slice = |piece: &Piece| unsafe {
            IoSlice::new(std::slice::from_raw_parts(
                piece.iov_base.cast(),
                piece.iov_len,
            ))
        };
        let pieces: Vec<IoSlice<'_>> = pieces.map(slice).collect();
        return through_tls(handle, |socket| {
            sent_by_tls(socket, tls::send_pieces(socket, &pieces, patience(flags)))
        });
    }
    let message = message(pieces);
    // SAFETY: the pieces are readable, the caller promises.
    let sent = unsafe { libc::sendmsg(fd, &message, flags | libc::MSG_NOSIGNAL) };
    was_sent(handle, sent)
}

/// Receives into several pieces, in their order.
///
/// # Safety
/// Each piece is writable.
pub unsafe fn receive_pieces(handle: &'static Handle, pieces: &[Piece], flags: c_int) -> Moved {
    let total = total(pieces)?;
    if total == 0 {
        return Ok(Some(0));
    }
    let Some((fd, route)) = handle.look(|socket| (socket.fd(), socket.route())) else {
        return Err(freed());
    };
    if route != Route::Plain {
        if route == Route::Tls {
            tls::check_length(total)?;
        }
        // SAFETY: the pieces are writable.
        if let Some(moved) = unsafe { routed_receive_pieces(handle, pieces, flags) } {
            return counted(handle, moved);
        }
    }
    let mut message = message(pieces);
    // SAFETY: the pieces are writable, the caller promises.
    let received = unsafe { libc::recvmsg(fd, &mut message, flags) };
    was_received(handle, received)
}

/// A message without an address and control data.
fn message(pieces: &[Piece]) -> libc::msghdr {
    // SAFETY: an all-zero msghdr is a valid one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut();
    message.msg_iovlen = pieces.len() as _;
    message
}

/// How many bytes the pieces have together; an error for more than there can be, and for NULL with a length.
pub(super) fn total(pieces: &[Piece]) -> Result<usize, Error> {
    vectors::check_bases(pieces)?;
    vectors::total(pieces)
}

/// What the kernel's answer to a send means.
#[inline]
pub(super) fn was_sent(handle: &'static Handle, answer: isize) -> Moved {
    match usize::try_from(answer) {
        Ok(count) => {
            handle.look(|socket| socket.stats.sent.moved(count));
            Ok(Some(count))
        }
        Err(_) => match Errno::last() {
            errno if errno.would_block() => Ok(None),
            errno => Err(send_failed(handle, errno)),
        },
    }
}

#[cold]
pub(super) fn send_failed(handle: &'static Handle, errno: Errno) -> Error {
    let Some(socket) = handle.socket() else {
        return freed();
    };
    socket.stats.sent.failed();
    match errno.0 {
        libc::EPIPE | libc::ECONNRESET => Error::closed(errno),
        _ => Error::with_peer(Kind::Socket, "send to", &socket, errno),
    }
}

/// What the kernel's answer to a receive means: 0 is the end of a stream, or a datagram without bytes.
#[inline]
pub(super) fn was_received(handle: &'static Handle, answer: isize) -> Moved {
    match usize::try_from(answer) {
        Ok(0) if handle.look(Socket::kind) != Some(libc::SOCK_DGRAM) => {
            Err(Error::closed(Errno(0)))
        }
        Ok(count) => {
            handle.look(|socket| socket.stats.received.moved(count));
            Ok(Some(count))
        }
        Err(_) => match Errno::last() {
            errno if errno.would_block() => Ok(None),
            errno => Err(receive_failed(handle, errno)),
        },
    }
}

#[cold]
pub(super) fn receive_failed(handle: &'static Handle, errno: Errno) -> Error {
    let Some(socket) = handle.socket() else {
        return freed();
    };
    socket.stats.received.failed();
    match errno.0 {
        libc::ECONNRESET => Error::closed(errno),
        _ => Error::with_peer(Kind::Socket, "receive from", &socket, errno),
    }
}

#[cold]
pub(super) fn freed() -> Error {
    Error::new(Kind::Socket, Errno(libc::EBADF), "the socket was freed")
}

/// TLS may run callbacks of the program's: the socket is held meanwhile.
pub(super) fn through_tls(
    handle: &'static Handle,
    work: impl FnOnce(&Arc<Socket>) -> Moved,
) -> Moved {
    match handle.socket() {
        Some(socket) => work(&socket),
        None => Err(freed()),
    }
}

fn tls_send(handle: &'static Handle, bytes: &[u8], flags: c_int) -> Moved {
    through_tls(handle, |socket| {
        sent_by_tls(socket, tls::send(socket, bytes, patience(flags)))
    })
}

/// Of the flags of a call TLS knows one.
fn patience(flags: c_int) -> Patience {
    match flags & libc::MSG_DONTWAIT {
        0 => Patience::Descriptors,
        _ => Patience::None,
    }
}

pub(super) fn sent_by_tls(socket: &Socket, moved: Moved) -> Moved {
    socket.stats.sent.note(&moved);
    moved
}

/// Receives through TLS, or what it left; `None`: from the kernel, after all.
fn routed_receive(
    handle: &'static Handle,
    room: &mut [MaybeUninit<u8>],
    flags: c_int,
) -> Option<Moved> {
    let Some(socket) = handle.socket() else {
        return Some(Err(freed()));
    };
    match socket.route() {
        Route::Plain => None,
        Route::Tls => Some(tls::receive(&socket, room, patience(flags))),
        Route::LeftOver => match tls::left_over(&socket, room) {
            0 => None,
            count => Some(Ok(Some(count))),
        },
    }
}

/// Counts what [`routed_receive`] gave.
fn counted(handle: &'static Handle, moved: Moved) -> Moved {
    handle.look(|socket| socket.stats.received.note(&moved));
    moved
}

/// As [`routed_receive`], into pieces: on after the first only with what is there already.
///
/// # Safety
/// Each piece is writable.
unsafe fn routed_receive_pieces(
    handle: &'static Handle,
    pieces: &[Piece],
    flags: c_int,
) -> Option<Moved> {
    let (mut all, mut flags) = (0, flags);
    for piece in pieces.iter().filter(|piece| piece.iov_len > 0) {
        // SAFETY: the caller's promise.
        let room = unsafe { std::slice::from_raw_parts_mut(piece.iov_base.cast(), piece.iov_len) };
        match routed_receive(handle, room, flags) {
            Some(Ok(Some(count))) => {
                all += count;
                if count < piece.iov_len {
                    break;
                }
            }
            // An error is met again by the next call.
            _ if all > 0 => break,
            moved => return moved,
        }
        flags |= libc::MSG_DONTWAIT;
    }
    Some(Ok(Some(all)))
}
