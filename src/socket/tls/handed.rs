//! The `SSL` of a socket, for programs that call OpenSSL themselves.

use crate::errno::Errno;
use crate::socket::error::{Error, Kind};
use crate::socket::object::Socket;
use crate::tls::SSL;

/// The `SSL` of a socket; NULL without TLS.
pub fn ssl(socket: &Socket) -> *mut SSL {
    match socket.tls.live() {
        Some(live) => live.session().ssl(),
        None => std::ptr::null_mut(),
    }
}

/// The `SSL` of a socket whose handshake is complete.
pub fn ready_ssl(socket: &Socket) -> Result<*mut SSL, Error> {
    match socket.tls.live() {
        None => Err(super::not_enabled(Kind::Socket, "its SSL cannot be had")),
        Some(live) if !live.is_ready() => Err(Error::new(
            Kind::Handshake,
            Errno(libc::ENOTCONN),
            "TLS: the handshake is not complete",
        )),
        Some(live) => Ok(live.session().ssl()),
    }
}
