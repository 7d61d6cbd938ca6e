//! Messages: addresses, control data and descriptors that travel with bytes. Plain sockets only: beside TLS they would be
//! plaintext on its wire.

use super::common::vectors;
use super::data::{self, Moved, Piece};
use super::error::{Error, Kind};
use super::handle::Handle;
use super::object::{Route, Socket};
use crate::errno::Errno;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// So many descriptors at most travel with one message (SCM_MAX_FD).
pub const MOST_FDS: usize = 253;

/// The descriptor of a socket without TLS.
fn plain(handle: &'static Handle, what: &str) -> Result<(RawFd, Route), Error> {
    match handle.look(|socket| (socket.fd(), socket.route())) {
        Some((_, Route::Tls)) => Err(Error::new(
            Kind::Socket,
            Errno(libc::EOPNOTSUPP),
            format!("{what}: not on a socket with TLS"),
        )),
        Some(found) => Ok(found),
        None => Err(data::freed()),
    }
}

/// The pieces of a message's memory.
///
/// # Safety
/// `message` has as many entries as it says, which nobody changes during `'a`.
unsafe fn pieces<'a>(message: &libc::msghdr) -> Result<&'a [Piece], Error> {
    let count = message.msg_iovlen;
    if count == 0 {
        return Ok(&[]);
    }
    if message.msg_iov.is_null() {
        return Err(Error::invalid(Kind::Socket, "a message without its iovec"));
    }
    if count > vectors::MOST {
        // As the kernel says; nothing behind so many is looked at.
        return Err(Error::new(
            Kind::Socket,
            Errno(libc::EMSGSIZE),
            format!("a message of {count} pieces, more than {}", vectors::MOST),
        ));
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(message.msg_iov, count) })
}

/// sendmsg(2), without SIGPIPE.
///
/// # Safety
/// `message` is whole, and all it points to readable.
pub unsafe fn send_message(handle: &'static Handle, message: &libc::msghdr, flags: c_int) -> Moved {
    let (fd, _) = plain(handle, "sendmsg")?;
    // SAFETY: the caller's promise.
    let sent = unsafe { libc::sendmsg(fd, message, flags | libc::MSG_NOSIGNAL) };
    data::was_sent(handle, sent)
}

/// recvmsg(2).
///
/// # Safety
/// `message` is whole, and all it points to writable.
pub unsafe fn receive_message(
    handle: &'static Handle,
    message: &mut libc::msghdr,
    flags: c_int,
) -> Moved {
    let (fd, route) = plain(handle, "recvmsg")?;
    // SAFETY: the caller's promise.
    let lengths = unsafe { pieces(message)? }
        .iter()
        .map(|piece| piece.iov_len);
    let room = lengths.fold(0usize, usize::saturating_add);
    if route == Route::LeftOver && room > 0 {
        (
            message.msg_controllen,
            message.msg_namelen,
            message.msg_flags,
        ) = (0, 0, 0);
        // SAFETY: the caller's promise.
        return unsafe { data::receive_pieces(handle, pieces(message)?, flags) };
    }
    // SAFETY: the caller's promise.
    let received = unsafe { libc::recvmsg(fd, message, flags) };
    if received == 0 && room == 0 {
        return Ok(Some(0));
    }
    data::was_received(handle, received)
}

/// Room for the control data of the most descriptors, aligned as its header must be.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

// SAFETY: pure arithmetic.
const CONTROL: usize = unsafe { libc::CMSG_SPACE((MOST_FDS * size_of::<RawFd>()) as u32) } as usize;

/// A message of one byte.
fn one_byte<'a>(byte: &'a mut u8, piece: &'a mut Piece, control: &'a mut Control) -> libc::msghdr {
    piece.iov_base = std::ptr::from_mut(byte).cast();
    piece.iov_len = 1;
    // SAFETY: an all-zero msghdr is a valid one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = piece;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = CONTROL as _;
    message
}

const NO_PIECE: Piece = Piece {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

fn of_unix(handle: &'static Handle, what: &str) -> Result<RawFd, Error> {
    let (fd, _) = plain(handle, what)?;
    if handle.look(Socket::domain) != Some(libc::AF_UNIX) {
        let text = format!("{what}: descriptors travel over Unix sockets alone");
        return Err(Error::new(Kind::Socket, Errno(libc::EOPNOTSUPP), text));
    }
    Ok(fd)
}

fn fd_error(handle: &'static Handle, what: &str, errno: Errno) -> Error {
    match errno.0 {
        libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN => Error::closed(errno),
        _ => {
            handle.look(|socket| socket.stats.sent.failed());
            Error::system(Kind::Socket, what, errno)
        }
    }
}

/// Sends descriptors with a byte; whether it could be done without waiting.
pub fn send_fds(handle: &'static Handle, fds: &[RawFd]) -> Result<bool, Error> {
    const WHAT: &str = "sending descriptors";
    let socket = of_unix(handle, WHAT)?;
    if fds.is_empty() || fds.len() > MOST_FDS {
        let text = format!("{WHAT}: {}, and not 1 to {MOST_FDS}", fds.len());
        return Err(Error::invalid(Kind::Socket, text));
    }
    for fd in fds {
        // SAFETY: no memory is involved.
        if unsafe { libc::fcntl(*fd, libc::F_GETFD) } < 0 {
            let text = format!("{WHAT}: {fd} is not open");
            return Err(Error::new(Kind::Socket, Errno(libc::EBADF), text));
        }
    }
    let (mut byte, mut piece, mut control) = (0u8, NO_PIECE, Control([0; CONTROL]));
    let mut message = one_byte(&mut byte, &mut piece, &mut control);
    let bytes = std::mem::size_of_val(fds);
    // SAFETY: the control buffer has room for a header and the most descriptors.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(bytes as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(bytes as u32) as _;
        std::ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), bytes);
    }
    // SAFETY: the message and all it points to are here.
    if unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) } >= 0 {
        handle.look(|socket| socket.stats.sent.moved(1));
        return Ok(true);
    }
    match Errno::last() {
        errno if errno.would_block() => Ok(false),
        errno => Err(fd_error(handle, WHAT, errno)),
    }
}

/// Receives descriptors with a byte, close-on-exec, and puts them into `places`: how many; `None` without waiting. Whatever
/// fails, none of them stays open.
pub fn receive_fds(handle: &'static Handle, places: &mut [RawFd]) -> Result<Option<usize>, Error> {
    const WHAT: &str = "receiving descriptors";
    let socket = of_unix(handle, WHAT)?;
    if places.is_empty() || places.len() > MOST_FDS {
        let text = format!("{WHAT}: room for {}, and not 1 to {MOST_FDS}", places.len());
        return Err(Error::invalid(Kind::Socket, text));
    }
    let (mut byte, mut piece, mut control) = (0u8, NO_PIECE, Control([0; CONTROL]));
    let mut message = one_byte(&mut byte, &mut piece, &mut control);
    // SAFETY: the message and all it points to are here.
    let received = unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) };
    if received < 0 {
        return match Errno::last() {
            errno if errno.would_block() => Ok(None),
            errno => Err(fd_error(handle, WHAT, errno)),
        };
    }
    let fds = taken(&message);
    if received == 0 && handle.look(Socket::kind) != Some(libc::SOCK_DGRAM) {
        return Err(Error::closed(Errno(0)));
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        let text =
            format!("{WHAT}: some were lost on the way (is the limit of open files reached?)");
        return Err(Error::new(Kind::Socket, Errno(libc::EMSGSIZE), text));
    }
    if fds.len() > places.len() {
        let text = format!(
            "{WHAT}: {} came, and there is room for {}",
            fds.len(),
            places.len()
        );
        return Err(Error::new(Kind::Socket, Errno(libc::EMSGSIZE), text));
    }
    let count = fds.len();
    for (place, fd) in places.iter_mut().zip(fds) {
        *place = fd.into_raw_fd();
    }
    handle.look(|socket| socket.stats.received.moved(1));
    Ok(Some(count))
}

/// The descriptors of a message that was received; dropped, they are closed.
fn taken(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled the control data, and these macros walk it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                let bytes = found.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
                for index in 0..bytes / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    fds
}

/// Looks at bytes without taking them and without waiting: 0 also at the end of the stream.
///
/// # Safety
/// `buf` is writable for `len` bytes.
pub unsafe fn peek(handle: &'static Handle, buf: *mut u8, len: usize) -> Moved {
    let (fd, route) = plain(handle, "peek")?;
    if route == Route::LeftOver {
        let text = "peek: TLS has left bytes that were not received";
        return Err(Error::new(Kind::Socket, Errno(libc::EOPNOTSUPP), text));
    }
    // SAFETY: the caller's promise.
    let seen = unsafe { libc::recv(fd, buf.cast(), len, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    match usize::try_from(seen) {
        Ok(count) => Ok(Some(count)),
        Err(_) => match Errno::last() {
            errno if errno.would_block() => Ok(None),
            errno => Err(data::receive_failed(handle, errno)),
        },
    }
}

/// Moves bytes from one socket to another inside the kernel: how many; `None` when none are there.
pub fn splice(from: &'static Handle, to: &'static Handle, len: usize) -> Moved {
    const WHAT: &str = "splice";
    let ((source, route), (target, _)) = (plain(from, WHAT)?, plain(to, WHAT)?);
    if route == Route::LeftOver {
        let text = "splice: TLS has left bytes that were not received";
        return Err(Error::new(Kind::Socket, Errno(libc::EOPNOTSUPP), text));
    }
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Error::system(Kind::Socket, WHAT, Errno::last()));
    }
    // SAFETY: just made, and nobody else's.
    let [read_end, write_end] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let none = std::ptr::null_mut;
    // SAFETY: no memory is involved.
    let taken = unsafe {
        libc::splice(
            source,
            none(),
            write_end.as_raw_fd(),
            none(),
            len,
            libc::SPLICE_F_MOVE,
        )
    };
    let Some(count) = data::was_received(from, taken)? else {
        return Ok(None);
    };
    let mut done = 0;
    while done < count {
        // What is in the pipe is of the stream: it goes on, however long that takes.
        match crate::transport::splice_to(target, read_end.as_raw_fd(), count - done) {
            Ok(moved) => done += moved,
            Err(errno) if errno.would_block() => {
                super::wait(target, libc::POLLOUT, super::Deadline::NEVER)
                    .map_err(|errno| Error::system(Kind::Socket, WHAT, errno))?;
            }
            Err(errno) => return Err(data::send_failed(to, errno)),
        }
    }
    to.look(|socket| socket.stats.sent.moved(count));
    Ok(Some(count))
}
