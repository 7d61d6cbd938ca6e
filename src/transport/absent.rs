//! The TLS part of a stream in a build without TLS: it has no values.

use super::stream::Stream;
use super::unsent::Unsent;
use super::{Failure, Operation, Stop};
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

pub(super) enum Secure {}

/// There are no buffers to give back.
pub fn release_idle_buffers() {}

impl Secure {
    pub(super) fn new(
        _: RawFd,
        session: tls::Session,
        _: bool,
        _: Option<Arc<Vec<u8>>>,
    ) -> Result<Rc<Secure>, Failure> {
        match session {}
    }
}

/// Methods that cannot be called: there is nothing to call them on.
macro_rules! unreachable_methods {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {
        $(pub(super) fn $name(&self, $(_: $type),*) -> $result {
            match *self {}
        })*
    };
}

impl Secure {
    unreachable_methods! {
        session() -> &tls::Session;
        early_data_len() -> usize;
        socket_failure(Errno) -> Failure;
        handshake(&Stream) -> Result<(), Stop>;
        read(&Stream, &mut [MaybeUninit<u8>]) -> Result<usize, Stop>;
        write(&Stream, &[u8]) -> Result<usize, Stop>;
        write_vectored(&Stream, &[IoSlice<'_>]) -> Result<usize, Stop>;
        can_take(&Stream) -> Result<(), Stop>;
        shutdown_write(&Stream) -> Result<(), Stop>;
        flush(&Stream) -> Result<(), Stop>;
        has_unsent() -> bool;
        waits_for(Operation) -> Interest;
        read_again() -> bool;
        drained() -> Option<bool>;
        has_part_of_a_record() -> bool;
        pending() -> usize;
        release_buffers() -> ();
        cancel_if_busy() -> bool;
        say_goodbye(&Stream) -> ();
        take_unsent(RawFd) -> Option<Unsent>;
    }
}
