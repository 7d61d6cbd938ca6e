//! TLS on a socket, as the routing sees it: what a [`Slot`] holds, and the calls that [`super::object::Route::Tls`] leads to.

use super::error::{Error, Kind};
use super::object::Socket;
use crate::errno::Errno;
use std::ffi::c_short;
use std::io::IoSlice;
use std::mem::MaybeUninit;

/// A socket's place for TLS.
#[derive(Debug, Default)]
pub(super) struct Slot {}

impl Slot {
    /// The socket ends: what TLS holds goes, without a close_notify.
    pub(super) fn end(&self) {}
}

/// Sends through TLS: how many bytes were taken, `None` when nothing can be now.
pub(super) fn send(_: &Socket, _: &[u8]) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Sends several pieces through TLS as one.
pub(super) fn send_pieces(_: &Socket, _: &[IoSlice<'_>]) -> Result<Option<usize>, Error> {
    Err(absent())
}

/// Receives through TLS: at least one byte, `None` when there is none now.
pub(super) fn receive(_: &Socket, _: &mut [MaybeUninit<u8>]) -> Result<Option<usize>, Error> {
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

fn absent() -> Error {
    Error::new(Kind::Tls, Errno(libc::ENOTSUP), "there is no TLS here")
}
