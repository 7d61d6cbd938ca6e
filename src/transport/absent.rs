//! The TLS part of a stream in a build without TLS: it has no values.

use super::stream::Stream;
use super::unsent::Unsent;
use super::{Failure, Halt, Operation, Patience, Stop};
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

/// No TLS can be put on anything.
#[derive(Debug)]
pub enum Attached {}

impl Attached {
    /// There is no session to put there.
    pub fn new(_: RawFd, session: tls::Session) -> Result<Attached, Failure> {
        match session {}
    }
}

/// The same, for other rooms.
macro_rules! unreachable_public_methods {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {
        $(#[allow(missing_docs)]
        pub fn $name(&self, $(_: $type),*) -> $result {
            match *self {}
        })*
    };
}

impl Attached {
    unreachable_public_methods! {
        put_ahead(Vec<u8>) -> ();
        session() -> &tls::Session;
        check() -> Result<(), Halt>;
        is_ready() -> bool;
        is_busy() -> bool;
        wants() -> Interest;
        has_buffered() -> bool;
        decrypted() -> usize;
        has_more() -> bool;
        failure() -> Option<&Failure>;
        handshake(Patience) -> Result<(), Halt>;
        read(&mut [MaybeUninit<u8>], Patience) -> Result<usize, Halt>;
        write(&[u8], Patience) -> Result<usize, Halt>;
        write_vectored(&[IoSlice<'_>], Patience) -> Result<usize, Halt>;
        send_file(RawFd, Option<&mut libc::off_t>, usize, Patience) -> Result<usize, Halt>;
        renegotiate() -> Result<(), Halt>;
        close_notify() -> Result<(), Halt>;
        close(impl FnMut() -> bool) -> Result<bool, Halt>;
        detach() -> Vec<u8>;
        cancel() -> ();
    }
}
