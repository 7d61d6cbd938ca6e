//! What plain and TLS streams share: the descriptor's life, the failure that ended the stream, and which ends are over.

use super::{Failure, FailureKind, Stop};
use crate::errno::Errno;
use std::cell::{Cell, OnceCell};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The state of a stream.
pub(super) struct Stream {
    /// -1 once it was closed or given away.
    fd: Cell<RawFd>,
    /// The end of the stream was returned by a read.
    read_ended: Cell<bool>,
    /// We shut the write side; FIN may still wait for queued bytes.
    write_ended: Cell<bool>,
    /// The failure was returned by a read.
    failure_read: Cell<bool>,
    /// Something was written, which an RST must not destroy.
    wrote: Cell<bool>,
    /// The first failure; a later one is its consequence.
    failure: OnceCell<Box<Failure>>,
}

impl Stream {
    pub(super) fn new(fd: OwnedFd) -> Stream {
        Stream {
            fd: Cell::new(fd.into_raw_fd()),
            read_ended: Cell::new(false),
            write_ended: Cell::new(false),
            failure_read: Cell::new(false),
            wrote: Cell::new(false),
            failure: OnceCell::new(),
        }
    }

    #[inline]
    pub(super) fn fd(&self) -> RawFd {
        self.fd.get()
    }
    #[inline]
    pub(super) fn read_ended(&self) -> bool {
        self.read_ended.get()
    }
    /// The end of the stream, to be returned by this read and each later one.
    pub(super) fn end_reading(&self) -> usize {
        self.read_ended.set(true);
        0
    }
    #[inline]
    pub(super) fn write_ended(&self) -> bool {
        self.write_ended.get()
    }
    pub(super) fn end_writing(&self) {
        self.write_ended.set(true);
    }
    /// Why nothing can be written, if so.
    #[inline]
    pub(super) fn check_writable(&self) -> Result<(), Stop> {
        if self.write_ended.get() {
            return Err(Stop::Refused(Errno(libc::EPIPE)));
        }
        match self.failure() {
            Some(failure) => Err(Stop::Failed(failure.clone())),
            None => Ok(()),
        }
    }
    #[inline]
    pub(super) fn note_write(&self) {
        self.wrote.set(true);
    }

    /// The failure, when there was one.
    #[inline]
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.get().map(|failure| &**failure)
    }
    /// Notes a failure, unless there was one before; the first one.
    #[cold]
    pub(super) fn fail(&self, failure: Failure) -> &Failure {
        self.failure.get_or_init(|| Box::new(failure))
    }
    /// A system call failed.
    #[cold]
    pub(super) fn fail_io(&self, errno: Errno) -> &Failure {
        self.fail(Failure::io(errno))
    }
    /// A read has nothing more to give before the failure.
    #[cold]
    pub(super) fn failed_read(&self, failure: &Failure) -> Stop {
        self.failure_read.set(true);
        Stop::Failed(failure.clone())
    }
    /// Whether a failure waits for a read to return it.
    #[inline]
    pub(super) fn failure_unread(&self) -> bool {
        !self.failure_read.get() && !self.read_ended.get() && self.failure.get().is_some()
    }

    /// Hands the descriptor over; from then on there is none. `None` when it went before.
    pub(super) fn take_fd(&self) -> Option<RawFd> {
        let fd = self.fd.replace(-1);
        (fd >= 0).then_some(fd)
    }

    /// Hands the descriptor over with its ownership.
    pub(super) fn give_fd(&self) -> Option<OwnedFd> {
        // SAFETY: this stream owned the descriptor and has just given it up.
        self.take_fd().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Whether dropping received bytes before closing can save what we sent.
    pub(super) fn discards_on_close(&self) -> bool {
        self.wrote.get() && !self.read_ended.get() && self.failure.get().is_none()
    }
}

/// Closes a descriptor of ours. What close(2) says about earlier writes comes too late to matter.
pub(super) fn close_fd(fd: RawFd) {
    // SAFETY: the stream owned `fd` and has just given it up.
    unsafe { libc::close(fd) };
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(fd) = self.take_fd() {
            close_fd(fd);
        }
    }
}

impl Failure {
    /// A system call's.
    pub(super) fn io(errno: Errno) -> Failure {
        Failure {
            kind: FailureKind::Io,
            errno,
            text: errno.to_string(),
        }
    }
    /// The peer went away without a word of TLS.
    pub(super) fn tls_cut(text: &str) -> Failure {
        Failure {
            kind: FailureKind::Tls,
            errno: Errno(libc::ECONNRESET),
            text: text.to_owned(),
        }
    }
    /// OpenSSL has no memory for its objects.
    pub(super) fn out_of_memory() -> Failure {
        Failure {
            kind: FailureKind::Tls,
            errno: Errno(libc::ENOMEM),
            text: Errno(libc::ENOMEM).to_string(),
        }
    }
}
