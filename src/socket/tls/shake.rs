//! The handshake: a step, which waits as the descriptor does, and loops with a deadline of their own, which do not care how the
//! descriptor waits.

use super::{not_enabled, publish, told, Live, Progress};
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::socket::error::{Error, Kind};
use crate::socket::object::Socket;
use crate::socket::wait::{wait, Deadline};
use crate::transport::{Halt, Patience};
use std::ffi::{c_int, c_short};

const WHAT: &str = "TLS handshake";

/// One step; all of it on a blocking socket. A failure is final, and told again by each later step.
pub fn shake(socket: &Socket) -> Result<Progress, Error> {
    let live = socket
        .tls
        .live()
        .ok_or_else(|| not_enabled(Kind::Handshake, "handshake"))?;
    step(socket, &live, Patience::Descriptors)
}

fn step(socket: &Socket, live: &Live, patience: Patience) -> Result<Progress, Error> {
    if live.is_ready() {
        return Ok(Progress::Complete);
    }
    if let Err(failure) = live.session().ready_to_shake() {
        return Err(Error::invalid(
            Kind::Handshake,
            format!("{WHAT}: {}", failure.text),
        ));
    }
    let answer = live.attached.handshake(patience);
    let progress = match &answer {
        Ok(()) => Ok(Progress::Complete),
        Err(Halt::Blocked) if live.attached.wants() == Interest::WRITE => Ok(Progress::WantsWrite),
        Err(Halt::Blocked) => Ok(Progress::WantsRead),
        Err(halt) => Err(live.thrown().unwrap_or_else(|| failed(halt))),
    };
    live.wants.set(match progress {
        Ok(Progress::WantsRead) => Some(Interest::READ),
        Ok(Progress::WantsWrite) => Some(Interest::WRITE),
        _ => None,
    });
    publish(socket);
    progress
}

fn failed(halt: &Halt) -> Error {
    match halt {
        Halt::Failed(failure) | Halt::Truncated(failure) => told(Kind::Handshake, WHAT, failure),
        Halt::Refused(errno) => Error::system(Kind::Handshake, WHAT, *errno),
        Halt::Blocked | Halt::Ended => Error::new(
            Kind::Handshake,
            Errno(libc::EPROTO),
            format!("{WHAT}: the peer ended the connection"),
        ),
    }
}

/// Steps until the handshake is complete. `ms` above 0: at most so long; 0: one step; below: for ever. The outer error is one
/// to raise; the inner one is told by the answer: a failure, or the end of the time, after which it may be tried again.
pub fn shake_within(socket: &Socket, ms: c_int) -> Result<Result<Progress, Error>, Error> {
    let live = socket
        .tls
        .live()
        .ok_or_else(|| not_enabled(Kind::Handshake, "handshake"))?;
    if socket.fd() < 0 {
        return Err(Error::system(Kind::Handshake, WHAT, Errno(libc::EBADF)));
    }
    let deadline = match ms {
        ..=0 => Deadline::NEVER,
        ms => Deadline::after_ms(ms),
    };
    loop {
        let progress = match step(socket, &live, Patience::None) {
            Ok(progress) => progress,
            Err(error) if matches!(error.kind, Kind::Thrown(_)) => return Err(error),
            Err(error) => return Ok(Err(error)),
        };
        if progress == Progress::Complete || ms == 0 {
            return Ok(Ok(progress));
        }
        match wait(socket.fd(), events(live.attached.wants()), deadline) {
            Ok(0) => {
                return Ok(Err(Error::new(
                    Kind::Handshake,
                    Errno(libc::ETIMEDOUT),
                    format!("{WHAT}: not complete within {ms} ms"),
                )))
            }
            Ok(_) => {}
            Err(errno) => return Ok(Err(Error::system(Kind::Handshake, WHAT, errno))),
        }
    }
}

/// As [`shake_within`], for as long as the socket's operations may take, or else as its context says.
pub fn shake_by_itself(socket: &Socket) -> Result<Result<Progress, Error>, Error> {
    let ms = match (socket.timeouts().operation, socket.tls.live()) {
        (0, Some(live)) => live.context().timeouts().handshake,
        (ms, _) => ms,
    };
    shake_within(socket, ms)
}

/// What poll(2) is asked for.
pub(super) fn events(wants: Interest) -> c_short {
    match wants {
        Interest::WRITE => libc::POLLOUT,
        _ => libc::POLLIN,
    }
}
