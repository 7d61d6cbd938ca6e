//! TLS on a socket, as the routing sees it: what a [`Slot`] holds, and the calls that [`super::object::Route::Tls`] leads to.

use super::error::{Error, Kind};
use super::object::Socket;
use crate::errno::Errno;
use crate::transport::Patience;
use std::ffi::c_short;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// A socket's place for TLS.
#[derive(Debug, Default)]
pub(super) struct Slot {}

impl Slot {
    /// The socket ends: what TLS holds goes, without a close_notify.
    pub(super) fn end(&self) {}
}

/// Sends through TLS: how many bytes were taken, `None` when nothing can be now.
pub(super) fn send(_: &Socket, _: &[u8], _: Patience) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Sends several pieces through TLS as one.
pub(super) fn send_pieces(
    _: &Socket,
    _: &[IoSlice<'_>],
    _: Patience,
) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Receives through TLS: at least one byte, `None` when there is none now.
pub(super) fn receive(
    _: &Socket,
    _: &mut [MaybeUninit<u8>],
    _: Patience,
) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Sends up to `count` bytes of a file through TLS: from `offset`, which moves by what was sent, or from the file's position,
/// which then does; 0 at the end of the file.
pub(super) fn send_file(
    _: &Socket,
    _: RawFd,
    _: Option<&mut libc::off_t>,
    _: usize,
) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Bytes that a TLS which is gone had read ahead; 0 when they were all taken.
pub(super) fn left_over(_: &Socket, _: &mut [MaybeUninit<u8>]) -> usize {
    0
}

/// Whether a receive gives something without the kernel: decrypted bytes, or a complete record read ahead.
pub(super) fn has_buffered(_: &Socket) -> bool {
    false
}

/// For which events of poll(2) the next send (or receive) waits.
pub(super) fn waits_for(_: &Socket, sending: bool) -> c_short {
    match sending {
        true => libc::POLLOUT,
        false => libc::POLLIN,
    }
}

/// As `socket_tls_want_read`.
pub(super) fn wants_read(_: &Socket) -> bool {
    false
}

/// As `socket_tls_want_write`.
pub(super) fn wants_write(_: &Socket) -> bool {
    false
}

fn absent() -> Error {
    Error::new(Kind::Tls, Errno(libc::ENOTSUP), "there is no TLS here")
}
