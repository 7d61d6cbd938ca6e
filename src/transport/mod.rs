//! What bytes travel on: a TCP or Unix stream, plain or TLS; one read/write/shutdown surface.
//!
//! Knows descriptors and TLS sessions; must not know loops, names or callbacks. Every method takes `&self`: an OpenSSL
//! callback may run C code that comes back here, which then finds the transport busy (EBUSY) and nothing borrowed.

// What only TLS needs.
#![cfg_attr(not(feature = "tls"), allow(dead_code))]

#[cfg(feature = "tls")]
mod attached;
#[cfg(feature = "tls")]
mod bio;
mod buffers;
#[cfg(feature = "tls")]
mod early;
#[cfg(feature = "tls")]
mod engine;
mod faults;
mod file;
mod first;
mod halt;
#[cfg(feature = "tls")]
mod lent;
mod plain;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "absent.rs"]
mod secure;
#[cfg(target_os = "linux")]
mod sigpipe;
mod socket;
mod stream;
#[cfg(feature = "tls")]
mod sys;
mod unsent;
#[cfg(feature = "tls")]
mod warm;

#[cfg(feature = "tls")]
pub use attached::Attached;
pub use file::{send_plain as send_file, splice_to};
pub use halt::{Halt, Patience};
#[cfg(not(feature = "tls"))]
pub use secure::{release_idle_buffers, Attached};
pub use socket::{discard_received, receive_now, send_now, take_error};
pub use unsent::Unsent;
#[cfg(feature = "tls")]
pub use warm::release_all as release_idle_buffers;

use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use first::First;
use secure::Secure;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use stream::Stream;

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
pub struct Transport {
    // Before `stream`: the BIO forgets the descriptor before it is closed.
    // In an `Rc` for its fixed address, to which a thread's list points: a `Box` that moves must be the only way to it.
    secure: Option<Rc<Secure>>,
    /// A plain stream's first bytes, while the kernel has not taken all of them.
    first: First,
    stream: Stream,
}

impl Transport {
    /// A plain stream over a connected, non-blocking socket.
    pub fn plain(fd: OwnedFd) -> Transport {
        Transport {
            secure: None,
            first: First::default(),
            stream: Stream::new(fd),
        }
    }

    /// A TLS stream; the handshake is still to do. `allow_truncation`: an end without close_notify counts as an end.
    /// `early_data`: a client's first bytes, sent with the first flight where the session allows it.
    pub fn secure(
        fd: OwnedFd,
        session: tls::Session,
        allow_truncation: bool,
        early_data: Option<Arc<Vec<u8>>>,
    ) -> Result<Transport, Failure> {
        let secure = Secure::new(fd.as_raw_fd(), session, allow_truncation, early_data)?;
        Ok(Transport {
            secure: Some(secure),
            first: First::default(),
            stream: Stream::new(fd),
        })
    }

    /// A plain stream's first bytes: what the kernel does not take now, [`Transport::flush`] sends. A failure is told by
    /// the next operation.
    pub fn send_first(&self, bytes: Arc<Vec<u8>>) {
        if self.secure.is_none() {
            self.first.send(&self.stream, bytes);
        }
    }

    #[inline]
    fn send_first_bytes_first(&self) -> Result<(), Stop> {
        if !self.first.waits() {
            return Ok(());
        }
        self.stream.check_writable()?;
        self.first.flush(&self.stream)
    }

    /// Early bytes that a server took: the first that are read.
    pub fn early_data_len(&self) -> usize {
        self.secure
            .as_ref()
            .map_or(0, |secure| secure.early_data_len())
    }

    /// Puts TLS on a plain stream, whose socket goes to the new one; the handshake is still to do. After a failure, and
    /// where the stream carries TLS already or is closed (ENOTCONN), it is as before.
    pub fn upgrade(
        &self,
        session: tls::Session,
        allow_truncation: bool,
        early_data: Option<Arc<Vec<u8>>>,
    ) -> Result<Transport, Failure> {
        let gone = || Failure::io(Errno(libc::ENOTCONN));
        if self.secure.is_some() {
            return Err(gone());
        }
        let secure = Secure::new(self.fd(), session, allow_truncation, early_data)?;
        Ok(Transport {
            secure: Some(secure),
            first: First::default(),
            stream: Stream::new(self.stream.give_fd().ok_or_else(gone)?),
        })
    }

    /// The first byte that the kernel has, left there; `None` where it has none now.
    pub fn peek(&self) -> Option<u8> {
        socket::peek(self.fd())
    }

    /// Drops what was received and not read, so that closing sends FIN, which leaves the peer what we sent, and not RST.
    pub fn discard_received(&self) {
        socket::discard_received(self.fd());
    }

    /// Gives the socket of a plain stream away; `None` when it is closed or carries TLS.
    pub fn give_fd(&self) -> Option<OwnedFd> {
        match self.secure {
            Some(_) => None,
            None => self.stream.give_fd(),
        }
    }

    /// The socket of a plain stream that nothing ails: bytes may go straight to and from the kernel
    /// ([`receive_now`], [`send_now`]), as long as an answer that is not bytes is told to [`Transport::received`] and
    /// [`Transport::sent`]. In a debug build none, so that faults can be injected.
    pub fn direct_fd(&self) -> Option<RawFd> {
        let healthy =
            self.stream.failure().is_none() && !self.stream.write_ended() && !self.first.waits();
        if cfg!(debug_assertions) || self.secure.is_some() || !healthy {
            return None;
        }
        // Nobody counts from here on.
        self.stream.note_write();
        Some(self.fd())
    }

    /// What the answer of [`receive_now`] means, as [`Transport::read`] would tell it.
    pub fn received(&self, answer: Result<usize, Errno>) -> Result<usize, Stop> {
        plain::received(&self.stream, answer)
    }

    /// What the answer of [`send_now`] means, as [`Transport::write`] would tell it.
    pub fn sent(&self, answer: Result<usize, Errno>) -> Result<usize, Stop> {
        plain::sent(&self.stream, answer)
    }

    /// One step of the handshake: `Ok` when it is complete and confirmed. A plain stream has none (EBUSY): where TLS was asked
    /// for, it is still being set up, and a callback of the context's has come back here.
    pub fn handshake(&self) -> Result<(), Stop> {
        match &self.secure {
            Some(secure) => secure.handshake(&self.stream),
            None => Err(Stop::Refused(Errno(libc::EBUSY))),
        }
    }

    /// Reads up to `buf.len()` bytes; 0 is the end of the stream (and again at each later call). Bytes that arrived
    /// before a failure are read first.
    #[inline]
    pub fn read(&self, buf: &mut [MaybeUninit<u8>]) -> Result<usize, Stop> {
        if buf.is_empty() {
            return Ok(0);
        }
        match &self.secure {
            Some(secure) => secure.read(&self.stream, buf),
            None => plain::read(&self.stream, buf),
        }
    }

    /// Takes bytes: at least one, or `Stop`. A byte taken is in a complete record. Never blocks, never raises SIGPIPE.
    #[inline]
    pub fn write(&self, buf: &[u8]) -> Result<usize, Stop> {
        if buf.is_empty() {
            return Ok(0);
        }
        match &self.secure {
            Some(secure) => secure.write(&self.stream, buf),
            None => {
                self.send_first_bytes_first()?;
                plain::write(&self.stream, buf)
            }
        }
    }

    /// As `write`, for several pieces (one `sendmsg` when plain).
    pub fn write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> Result<usize, Stop> {
        if bufs.iter().all(|piece| piece.is_empty()) {
            return Ok(0);
        }
        match &self.secure {
            Some(secure) => secure.write_vectored(&self.stream, bufs),
            None => {
                self.send_first_bytes_first()?;
                plain::write_vectored(&self.stream, bufs)
            }
        }
    }

    /// Writes up to `count` bytes of a file: from `offset`, which moves by what was taken, or from the file's position, which
    /// then does. `Ok(0)` at the end of the file. What is wrong with the file is `Refused` and does the stream no harm:
    /// EBADF, EINVAL (an offset below 0; a kind of file that this cannot be done with), ESPIPE, or what reading it gave.
    pub fn send_file(
        &self,
        file: RawFd,
        offset: Option<&mut libc::off_t>,
        count: usize,
    ) -> Result<usize, Stop> {
        if count == 0 {
            return Ok(0);
        }
        file::send(self, file, offset, count)
    }

    /// Whether the next write takes all of a few records, or why not.
    fn can_take(&self) -> Result<(), Stop> {
        match &self.secure {
            Some(secure) => secure.can_take(&self.stream),
            None => Ok(()),
        }
    }

    /// Half-close: what was accepted, close_notify, then FIN, as the kernel takes them ([`Transport::flush`] goes on).
    /// `Blocked` means that the write side is shut and something still waits for the kernel.
    pub fn shutdown_write(&self) -> Result<(), Stop> {
        match &self.secure {
            Some(secure) => secure.shutdown_write(&self.stream),
            None if self.first.waits() => self.first.shutdown_write(&self.stream),
            None => plain::shutdown_write(&self.stream),
        }
    }

    /// Sends accepted bytes that are still here, then FIN when the write side was shut.
    pub fn flush(&self) -> Result<(), Stop> {
        match &self.secure {
            Some(secure) => secure.flush(&self.stream),
            None => self.first.flush(&self.stream),
        }
    }

    /// Whether accepted bytes (or FIN) wait for the kernel: wait for WRITE, then `flush`.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        match &self.secure {
            Some(secure) => secure.has_unsent(),
            None => self.first.waits(),
        }
    }

    /// What to wait for until `operation` can go on: its own direction, or the other one when TLS wants that.
    pub fn waits_for(&self, operation: Operation) -> Interest {
        match (&self.secure, operation) {
            (Some(secure), _) => secure.waits_for(operation),
            (None, Operation::Read) => Interest::READ,
            (None, Operation::Write) => Interest::WRITE,
        }
    }

    /// Whether a read can give something without the kernel's word: bytes inside OpenSSL or the read-ahead buffer, an
    /// end or a failure not yet returned. Cleared when OpenSSL asks for bytes that are not there (half a record).
    #[inline]
    pub fn read_again(&self) -> bool {
        self.stream.failure_unread()
            || (!self.stream.read_ended()
                && self
                    .secure
                    .as_ref()
                    .is_some_and(|secure| secure.read_again()))
    }

    /// Whether a read of `len` bytes with this result left nothing in the kernel at that moment: the kernel gave less than
    /// there was room for (epoll(7)). `None` where it was not asked.
    pub fn drained_by(&self, result: &Result<usize, Stop>, len: usize) -> Option<bool> {
        match (result, &self.secure) {
            (_, Some(secure)) => secure.drained(),
            (Ok(count), None) => Some(0 < *count && *count < len),
            (Err(stop), None) => Some(matches!(stop, Stop::Blocked)),
        }
    }

    /// Whether TLS holds bytes back, decrypted or not, of a whole record or of a part.
    pub fn holds_bytes(&self) -> bool {
        self.secure
            .as_ref()
            .is_some_and(|secure| secure.has_part_of_a_record())
    }

    /// Whether it has not failed.
    pub fn is_healthy(&self) -> bool {
        self.stream.failure().is_none()
    }

    /// Decrypted bytes that a read gives without the kernel.
    pub fn pending(&self) -> usize {
        self.secure.as_ref().map_or(0, |secure| secure.pending())
    }

    /// The kernel reported hang-up or error: takes SO_ERROR and keeps it until the bytes before it were read. The
    /// failure, when there was one. (In the handshake, call `handshake` first: an alert says more than a reset.)
    pub fn take_socket_error(&self) -> Option<Failure> {
        let errno = socket::take_error(self.fd()).ok()?;
        if errno.0 == 0 {
            return None;
        }
        let failure = match &self.secure {
            Some(secure) => secure.socket_failure(errno),
            None => Failure::io(errno),
        };
        Some(self.stream.fail(failure).clone())
    }

    /// The stream is given up: a read gives this failure after the bytes that arrived before, a write at once.
    pub fn fail(&self, errno: Errno, text: String) {
        self.stream.fail(Failure {
            kind: FailureKind::Io,
            errno,
            text,
        });
    }

    /// The end of the stream was returned by a read.
    pub fn read_ended(&self) -> bool {
        self.stream.read_ended()
    }

    /// The write side was shut by us.
    pub fn write_ended(&self) -> bool {
        self.stream.write_ended()
    }

    /// Gives buffers back that an idle connection does not need.
    pub fn release_buffers(&self) {
        if let Some(secure) = &self.secure {
            secure.release_buffers();
        }
    }

    /// The descriptor, owned by the transport; -1 once it was closed.
    #[inline]
    pub fn fd(&self) -> RawFd {
        self.stream.fd()
    }

    /// The TLS session, where there is one.
    pub fn session(&self) -> Option<&tls::Session> {
        self.secure.as_ref().map(|secure| secure.session())
    }

    /// Ends it in good order: close_notify, a session that stays resumable, received bytes dropped (so that the kernel
    /// sends FIN, not RST, and what we sent arrives). What the kernel does not take at once comes back with the
    /// descriptor. Called while OpenSSL runs (from one of its callbacks), it makes that call fail with ECANCELED and
    /// leaves the descriptor to the transport's drop.
    pub fn close(&self) -> Option<Unsent> {
        if let Some(secure) = &self.secure {
            if secure.cancel_if_busy() {
                return None;
            }
            if self.fd() >= 0 {
                secure.say_goodbye(&self.stream);
            }
        }
        let discard = self.stream.discards_on_close();
        let fd = self.stream.take_fd()?;
        if let Some(unsent) = self
            .secure
            .as_ref()
            .and_then(|secure| secure.take_unsent(fd))
        {
            return Some(unsent);
        }
        if let Some(unsent) = self.first.take_unsent(fd) {
            return Some(unsent);
        }
        if discard {
            socket::discard_received(fd);
        }
        stream::close_fd(fd);
        None
    }

    /// The last owner is about to go without ceremony. While OpenSSL runs, makes that call fail, and nothing more is
    /// sent.
    pub fn cancel(&self) {
        if let Some(secure) = &self.secure {
            secure.cancel_if_busy();
        }
    }

    /// The descriptor was closed by somebody else, and its number may be another's: from now on there is none.
    pub fn forget_fd(&self) {
        let _ = self.stream.take_fd();
    }

    /// Ends it with RST; nothing lingers. While OpenSSL runs: as [`Transport::close`].
    pub fn abort(&self) {
        if self
            .secure
            .as_ref()
            .is_some_and(|secure| secure.cancel_if_busy())
        {
            return;
        }
        if let Some(fd) = self.stream.take_fd() {
            socket::reset_on_close(fd);
            stream::close_fd(fd);
        }
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
