//! The end of TLS on a socket: saying so, waiting for the peer to say so, and going on without.

use super::{drop_tls, not_enabled, publish, shake::events, told, Live};
use crate::errno::Errno;
use crate::socket::error::{Error, Kind};
use crate::socket::object::Socket;
use crate::socket::wait::{wait, Deadline};
use crate::transport::Halt;
use std::ffi::c_int;

/// How long `disable` may take.
const DISABLE_MS: c_int = 1250;

/// Takes leave in both directions within this time: whether both sides did.
fn take_leave(socket: &Socket, live: &Live, deadline: Deadline) -> Result<bool, Error> {
    loop {
        match live.attached.close(|| deadline.is_over()) {
            Ok(clean) => return Ok(clean),
            Err(Halt::Blocked) if deadline.is_over() => return Err(too_late()),
            Err(Halt::Blocked) => {
                match wait(socket.fd(), events(live.attached.wants()), deadline) {
                    Ok(0) => return Err(too_late()),
                    Ok(_) => {}
                    Err(errno) => return Err(Error::system(Kind::Shutdown, WHAT, errno)),
                }
            }
            Err(halt) => return Err(live.thrown().unwrap_or_else(|| failed(&halt))),
        }
    }
}

const WHAT: &str = "TLS shutdown";

fn too_late() -> Error {
    Error::new(
        Kind::Shutdown,
        Errno(libc::ETIMEDOUT),
        format!("{WHAT}: the peer has not answered in time"),
    )
}

fn failed(halt: &Halt) -> Error {
    match halt {
        Halt::Failed(failure) | Halt::Truncated(failure) => told(Kind::Shutdown, WHAT, failure),
        Halt::Refused(errno) => Error::system(Kind::Shutdown, WHAT, *errno),
        Halt::Blocked | Halt::Ended => Error::system(Kind::Shutdown, WHAT, Errno(libc::EAGAIN)),
    }
}

/// Takes TLS off, with a close_notify if the kernel takes it, and the peer's if it comes soon. Whether both sides took their
/// leave; false also where there was no TLS.
pub fn disable(socket: &Socket) -> bool {
    let Some(live) = socket.tls.live() else {
        return false;
    };
    let clean = live.is_ready()
        && live.attached.failure().is_none()
        && take_leave(socket, &live, Deadline::after_ms(DISABLE_MS)).unwrap_or(false);
    drop_tls(socket, &live);
    clean
}

/// Takes leave in both directions, drops what still comes, and takes TLS off, also where that fails. An unfinished handshake
/// is dropped without a word.
pub fn shut_down(socket: &Socket) -> Result<(), Error> {
    let live = socket
        .tls
        .live()
        .ok_or_else(|| not_enabled(Kind::Shutdown, "shutdown"))?;
    let ms = match socket.timeouts().operation {
        0 => live.context().timeouts().shutdown,
        ms => ms,
    };
    let left = match live.is_ready() {
        true => take_leave(socket, &live, Deadline::after_ms(ms)).map(drop),
        false => Ok(()),
    };
    drop_tls(socket, &live);
    left
}

/// Sends close_notify, once, without waiting: `Some(true)` when it is out, `Some(false)` when the kernel cannot take it now,
/// `None` without TLS. Receiving may go on.
pub fn shut_down_sending(socket: &Socket) -> Result<Option<bool>, Error> {
    let Some(live) = socket.tls.live() else {
        return Ok(None);
    };
    let answer = live.attached.close_notify();
    publish(socket);
    match answer {
        Ok(()) => Ok(Some(true)),
        Err(Halt::Blocked) => Ok(Some(false)),
        Err(halt) => Err(live.thrown().unwrap_or_else(|| failed(&halt))),
    }
}
