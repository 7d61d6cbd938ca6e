//! Bytes through TLS. Two kinds of callers expect different errors: programs that say `SocketTLS_*`, and plain calls that know
//! nothing of TLS.

use super::{not_enabled, publish, Live};
use crate::errno::Errno;
use crate::socket::data::Moved;
use crate::socket::error::{Error, Kind};
use crate::socket::object::Socket;
use crate::transport::{Failure, FailureKind, Halt, Patience};
use std::ffi::c_int;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::rc::Rc;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// A plain call.
    Plain,
    /// One of `SocketTLS_*`.
    Tls,
}

/// In which direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

impl Way {
    fn what(self) -> &'static str {
        match self {
            Way::Out => "TLS: send",
            Way::In => "TLS: receive",
        }
    }
}

/// The most that one call of OpenSSL's counts.
const MOST: usize = c_int::MAX as usize;

fn live(socket: &Socket, way: Way) -> Result<Rc<Live>, Error> {
    // A plain call comes here while TLS is on: without it, somebody has just taken it off.
    socket
        .tls
        .live()
        .ok_or_else(|| not_enabled(Kind::Tls, &way.what()["TLS: ".len()..]))
}

/// Sends through TLS for a plain call: how many bytes were taken, `None` when nothing can be now.
pub(in crate::socket) fn send(socket: &Socket, bytes: &[u8], patience: Patience) -> Moved {
    not_too_long(bytes.len(), Way::Out)?;
    sending(socket, Caller::Plain, |live| {
        live.attached.write(bytes, patience)
    })
}

/// Sends several pieces through TLS for a plain call, as one.
pub(in crate::socket) fn send_pieces(
    socket: &Socket,
    pieces: &[IoSlice<'_>],
    patience: Patience,
) -> Moved {
    let total = pieces
        .iter()
        .fold(0usize, |sum, piece| sum.saturating_add(piece.len()));
    not_too_long(total, Way::Out)?;
    sending(socket, Caller::Plain, |live| {
        live.attached.write_vectored(pieces, patience)
    })
}

/// Receives through TLS for a plain call: at least one byte, `None` when there is none now.
pub(in crate::socket) fn receive(
    socket: &Socket,
    room: &mut [MaybeUninit<u8>],
    patience: Patience,
) -> Moved {
    not_too_long(room.len(), Way::In)?;
    receiving(socket, Caller::Plain, room, patience)
}

/// A plain receive of so many bytes can be made.
pub(in crate::socket) fn check_length(len: usize) -> Result<(), Error> {
    not_too_long(len, Way::In)
}

fn not_too_long(len: usize, way: Way) -> Result<(), Error> {
    match len > MOST {
        true => Err(Error::invalid(
            Kind::Tls,
            format!("{}: more than {MOST} bytes", way.what()),
        )),
        false => Ok(()),
    }
}

/// Sends through TLS: how many bytes were taken, `None` when nothing can be now. On a socket without TLS an error.
pub fn tls_send(socket: &Socket, bytes: &[u8]) -> Moved {
    let bytes = &bytes[..bytes.len().min(MOST)];
    let moved = sending(socket, Caller::Tls, |live| {
        live.attached.write(bytes, Patience::Descriptors)
    });
    socket.stats.sent.note(&moved);
    moved
}

/// Receives through TLS: at least one byte, `None` when there is none now. On a socket without TLS an error.
pub fn tls_receive(socket: &Socket, room: &mut [MaybeUninit<u8>]) -> Moved {
    let len = room.len().min(MOST);
    let moved = receiving(socket, Caller::Tls, &mut room[..len], Patience::Descriptors);
    socket.stats.received.note(&moved);
    moved
}

fn sending(
    socket: &Socket,
    caller: Caller,
    write: impl FnOnce(&Live) -> Result<usize, Halt>,
) -> Moved {
    let live = live(socket, Way::Out)?;
    let answer = write(&live);
    publish(socket);
    moved(&live, caller, Way::Out, answer)
}

fn receiving(
    socket: &Socket,
    caller: Caller,
    room: &mut [MaybeUninit<u8>],
    patience: Patience,
) -> Moved {
    let live = live(socket, Way::In)?;
    let answer = live.attached.read(room, patience);
    publish(socket);
    moved(&live, caller, Way::In, answer)
}

/// What an answer of the transport's is to the caller.
fn moved(live: &Live, caller: Caller, way: Way, answer: Result<usize, Halt>) -> Moved {
    match answer {
        Ok(count) => Ok(Some(count)),
        Err(Halt::Blocked) => Ok(None),
        Err(halt) => Err(live
            .thrown()
            .unwrap_or_else(|| error(live, caller, way, &halt))),
    }
}

#[cold]
fn error(live: &Live, caller: Caller, way: Way, halt: &Halt) -> Error {
    if !live.is_ready() {
        return unfinished(caller, way, halt);
    }
    match halt {
        Halt::Ended => ended(caller, way),
        Halt::Truncated(failure) => lost(caller, way, failure),
        Halt::Failed(failure) if failure.kind == FailureKind::Io => match failure.errno.0 {
            libc::EPIPE | libc::ECONNRESET => lost(caller, way, failure),
            _ => worded(
                match caller {
                    Caller::Plain => Kind::Socket,
                    Caller::Tls => Kind::Tls,
                },
                way,
                failure,
            ),
        },
        Halt::Failed(failure) => worded(Kind::Tls, way, failure),
        Halt::Refused(errno) => Error::system(Kind::Tls, way.what(), *errno),
        Halt::Blocked => Error::system(Kind::Tls, way.what(), Errno(libc::EAGAIN)),
    }
}

fn worded(kind: Kind, way: Way, failure: &Failure) -> Error {
    super::told(kind, way.what(), failure)
}

fn unfinished(caller: Caller, way: Way, halt: &Halt) -> Error {
    let kind = match caller {
        Caller::Plain => Kind::Handshake,
        Caller::Tls => Kind::Tls,
    };
    match halt {
        Halt::Failed(failure) => Error::new(
            kind,
            failure.errno,
            format!("{}: the handshake failed: {}", way.what(), failure.text),
        ),
        Halt::Refused(errno) if errno.0 != libc::ENOTCONN => {
            Error::system(kind, way.what(), *errno)
        }
        _ => Error::new(
            kind,
            Errno(libc::ENOTCONN),
            format!("{}: the handshake is not complete", way.what()),
        ),
    }
}

/// The session is closed in this direction.
fn ended(caller: Caller, way: Way) -> Error {
    let errno = match (way, caller) {
        (Way::Out, _) => libc::EPIPE,
        (Way::In, Caller::Plain) => libc::ECONNRESET,
        (Way::In, Caller::Tls) => 0,
    };
    Error::closed(Errno(errno))
}

/// There is no connection any more.
fn lost(caller: Caller, way: Way, failure: &Failure) -> Error {
    match caller {
        Caller::Plain => worded(Kind::Closed, way, failure),
        Caller::Tls => worded(Kind::Tls, way, failure),
    }
}

/// Sends up to `count` bytes of a file through TLS for a plain call: from `offset`, which moves by what was sent, or from the
/// file's position, which then does; 0 at the end of the file.
pub(in crate::socket) fn send_file(
    socket: &Socket,
    file: RawFd,
    offset: Option<&mut libc::off_t>,
    count: usize,
) -> Moved {
    let live = live(socket, Way::Out)?;
    let answer = file_moves(&live, file, offset, count);
    publish(socket);
    match answer {
        Err(Halt::Refused(errno)) if live.is_ready() => Err(Error::system(
            Kind::Socket,
            format_args!("sendfile from descriptor {file}"),
            errno,
        )),
        answer => moved(&live, Caller::Plain, Way::Out, answer),
    }
}

fn file_moves(
    live: &Live,
    file: RawFd,
    offset: Option<&mut libc::off_t>,
    count: usize,
) -> Result<usize, Halt> {
    live.attached.check()?;
    live.attached
        .send_file(file, offset, count, Patience::Descriptors)
}

/// What came of sending a file.
pub enum FileMoved {
    /// So many bytes; `None`: nothing can be sent now.
    Sent(Option<usize>),
    /// Nothing, because of the file.
    Unread(Errno),
}

/// Sends `count` bytes of a file through TLS, from `offset` on: fewer at the end of the file, and where nothing more can be
/// sent now.
pub fn tls_send_file(
    socket: &Socket,
    file: RawFd,
    offset: libc::off_t,
    count: usize,
) -> Result<FileMoved, Error> {
    let live = live(socket, Way::Out)?;
    let mut at = offset;
    let mut sent = 0;
    while sent < count {
        match file_moves(&live, file, Some(&mut at), (count - sent).min(MOST)) {
            Ok(0) => break,
            Ok(more) => {
                sent += more;
                socket.stats.sent.moved(more);
            }
            // The next call meets it again.
            Err(Halt::Blocked | Halt::Refused(_)) if sent > 0 => break,
            Err(Halt::Refused(errno)) if live.is_ready() => return Ok(FileMoved::Unread(errno)),
            Err(halt) => {
                let moved = moved(&live, Caller::Tls, Way::Out, Err(halt));
                if moved.is_err() {
                    socket.stats.sent.failed();
                }
                return moved.map(FileMoved::Sent);
            }
        }
    }
    Ok(FileMoved::Sent(Some(sent)))
}
