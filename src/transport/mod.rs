//! What bytes travel on: a TCP or Unix stream, plain or TLS; one read/write/shutdown surface.
//!
//! Knows descriptors and TLS sessions; must not know loops, names or callbacks. Every method takes `&self`: an OpenSSL
//! callback may run C code that comes back here, which then finds the transport busy (EBUSY) and nothing borrowed.

use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The socket's (`CONN_ERR_IO`).
    Io,
    /// The protocol's, truncation too (`CONN_ERR_TLS`).
    Tls,
    /// The peer's certificate (`CONN_ERR_CERTIFICATE`).
    Certificate,
}

/// Why a transport ended.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// For C callers: EPROTO for TLS and certificates, ECONNRESET for truncation.
    pub errno: Errno,
    /// One line, without host and port.
    pub text: String,
}

/// Why an operation gave nothing.
#[derive(Debug)]
pub enum Stop {
    /// Nothing can be done now; [`Transport::waits_for`] says for what to wait.
    Blocked,
    /// The write side was shut (EPIPE), an OpenSSL callback is running (EBUSY): the transport is as before.
    Refused(Errno),
    /// It failed, now or at an earlier call.
    Failed(Failure),
}

/// Which of the two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Handshake and reading.
    Read,
    /// Writing.
    Write,
}

/// A stream socket, plain or with TLS.
pub struct Transport {}

/// Bytes that were accepted and not yet sent when the transport was closed.
pub struct Unsent {}

impl Transport {
    /// A plain stream over a connected, non-blocking socket.
    pub fn plain(_fd: OwnedFd) -> Transport {
        todo!()
    }
    /// A TLS stream; the handshake is still to do. `allow_truncation`: an end without close_notify counts as an end.
    pub fn secure(
        _fd: OwnedFd,
        _session: tls::Session,
        _allow_truncation: bool,
    ) -> Result<Transport, Failure> {
        todo!()
    }
    /// One step of the handshake: `Ok` when it is complete and confirmed.
    pub fn handshake(&self) -> Result<(), Stop> {
        todo!()
    }
    /// Reads up to `buf.len()` bytes; 0 is the end of the stream (and again at each later call). Bytes that arrived
    /// before a failure are read first.
    pub fn read(&self, _buf: &mut [MaybeUninit<u8>]) -> Result<usize, Stop> {
        todo!()
    }
    /// Takes bytes: at least one, or `Stop`. A byte taken is in a complete record. Never blocks, never raises SIGPIPE.
    pub fn write(&self, _buf: &[u8]) -> Result<usize, Stop> {
        todo!()
    }
    /// As `write`, for several pieces (one `sendmsg` when plain).
    pub fn write_vectored(&self, _bufs: &[std::io::IoSlice<'_>]) -> Result<usize, Stop> {
        todo!()
    }
    /// Half-close: what was accepted, close_notify, then FIN, as the kernel takes them ([`Transport::flush`] goes on).
    pub fn shutdown_write(&self) -> Result<(), Stop> {
        todo!()
    }
    /// Sends accepted bytes that are still here, then FIN when the write side was shut.
    pub fn flush(&self) -> Result<(), Stop> {
        todo!()
    }
    /// Whether accepted bytes (or FIN) wait for the kernel: wait for WRITE, then `flush`.
    pub fn has_unsent(&self) -> bool {
        todo!()
    }
    /// What to wait for until `operation` can go on: its own direction, or the other one when TLS wants that.
    pub fn waits_for(&self, _operation: Operation) -> Interest {
        todo!()
    }
    /// Whether a read can give something without the kernel's word: bytes inside OpenSSL or the read-ahead buffer, an
    /// end or a failure not yet returned. Cleared when OpenSSL asks for bytes that are not there (half a record).
    pub fn read_again(&self) -> bool {
        todo!()
    }
    /// Decrypted bytes that a read gives without the kernel.
    pub fn pending(&self) -> usize {
        todo!()
    }
    /// The kernel reported hang-up or error: takes SO_ERROR and keeps it until the bytes before it were read. The
    /// failure, when there was one.
    pub fn take_socket_error(&self) -> Option<Failure> {
        todo!()
    }
    /// The end of the stream was returned by a read.
    pub fn read_ended(&self) -> bool {
        todo!()
    }
    /// The write side was shut by us.
    pub fn write_ended(&self) -> bool {
        todo!()
    }
    /// Gives buffers back that an idle connection does not need.
    pub fn release_buffers(&self) {
        todo!()
    }
    /// The descriptor, owned by the transport.
    pub fn fd(&self) -> RawFd {
        todo!()
    }
    /// The TLS session, where there is one.
    pub fn session(&self) -> Option<&tls::Session> {
        todo!()
    }
    /// Ends it in good order: close_notify, a session that stays resumable, received bytes dropped (so that the kernel
    /// sends FIN, not RST, and what we sent arrives). What the kernel does not take at once comes back with the
    /// descriptor.
    pub fn close(&self) -> Option<Unsent> {
        todo!()
    }
    /// Ends it with RST; nothing lingers.
    pub fn abort(&self) {
        todo!()
    }
}

impl Unsent {
    /// The descriptor to wait on for WRITE.
    pub fn fd(&self) -> RawFd {
        todo!()
    }
    /// Sends what the kernel takes: true when all is out, or when it never will be.
    pub fn flush(&mut self) -> bool {
        todo!()
    }
}
