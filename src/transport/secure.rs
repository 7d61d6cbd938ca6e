//! A stream with TLS: OpenSSL over our BIO.

use super::bio::{Inbound, Sending};
use super::early::Early;
use super::engine::{Busy, Engine, Said};
use super::stream::Stream;
use super::unsent::Unsent;
use super::warm::{self, Lease};
use super::{buffers, socket, sys};
use super::{Failure, Operation, Stop};
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use openssl_sys as ffi;
use std::cell::Cell;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

pub(super) use super::engine::RECORD;

/// Larger writes go to OpenSSL in such pieces, whose records are sent together.
pub(super) const PIECE: usize = 4 * RECORD;
/// At most so much is taken by one write, so that one connection cannot keep a fast peer's loop to itself.
const MOST_A_WRITE: usize = 16 * PIECE;

/// The TLS part of a stream.
pub(super) struct Secure {
    engine: Engine,
    lease: Cell<Option<Arc<Lease>>>,
    /// Early data, where there is any to send or to take.
    early: Early,
}

impl std::ops::Deref for Secure {
    type Target = Engine;
    #[inline]
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
    }
}

impl Secure {
    pub(super) fn new(
        fd: RawFd,
        session: tls::Session,
        allow_truncation: bool,
        early_data: Option<Arc<Vec<u8>>>,
    ) -> Result<Rc<Secure>, Failure> {
        let early = Early::new(&session, early_data);
        let engine = Engine::new(fd, session, Sending::Queued)?;
        engine.allow_truncation.set(allow_truncation);
        Ok(Rc::new(Secure {
            engine,
            lease: Cell::new(None),
            early,
        }))
    }

    pub(super) fn early_data_len(&self) -> usize {
        self.early.received()
    }

    #[inline]
    fn enter(&self) -> Result<Busy<'_>, Stop> {
        let busy = self.begin().ok_or(Stop::Refused(Errno(libc::EBUSY)))?;
        self.used.set(true);
        if self.warm.get() {
            warm::count_use();
        } else {
            self.warm_up();
        }
        Ok(busy)
    }

    #[cold]
    fn warm_up(&self) {
        // SAFETY: `new` puts this object into an `Rc`, where it stays; `drop` ends the lease.
        let lease = unsafe { Lease::new(self) };
        self.warm.set(warm::join(&lease));
        self.lease.set(Some(lease));
    }

    /// Whether it was used since this was asked last.
    pub(super) fn take_used(&self) -> bool {
        self.used.replace(false)
    }

    /// No longer one of the thread's streams that keep OpenSSL's buffers.
    pub(super) fn leave(&self) {
        self.warm.set(false);
        drop(self.lease.take());
        self.free_buffers();
    }

    /// Why nothing more can be done, where the wire knows: the socket failed in either direction.
    fn wire_failure(&self, stream: &Stream) -> Option<Failure> {
        if let Some(failure) = stream.failure() {
            return Some(failure.clone());
        }
        Some(stream.fail(self.send_failure()?).clone())
    }

    /// The receiving side is over without close_notify: the failure, or none where that counts as an end.
    fn inbound_failure(&self, stream: &Stream) -> Option<Failure> {
        if let Some(failure) = self.wire_failure(stream) {
            return Some(failure);
        }
        // An end in the middle of a record is an attack or an accident, never a way to end.
        let may_end =
            self.allow_truncation.get() && self.ready.get() && !self.has_part_of_a_record();
        if may_end && !matches!(self.bio.inbound(), Inbound::Failed(_)) {
            return None;
        }
        Some(stream.fail(self.cut()).clone())
    }

    fn broken_off(&self, stream: &Stream) -> Option<Failure> {
        self.cancelled_failure()
            .map(|failure| stream.fail(failure).clone())
    }

    pub(super) fn handshake(&self, stream: &Stream) -> Result<(), Stop> {
        if self.ready.get() {
            return Ok(());
        }
        if let Some(failure) = stream.failure().filter(|_| self.broken.get()) {
            return Err(Stop::Failed(failure.clone()));
        }
        let busy = self.enter()?;
        stream.note_write();
        self.bio.flush();
        self.bio.refresh();
        // A flight goes out in one piece, an alert with it.
        self.bio.cork();
        // Before the first step the program may be asked for a session, and may then close this.
        self.session().recall();
        let said = match self.cancelled.get() {
            true => Said::WantRead,
            false => self.early.step(self),
        };
        let confirmed = matches!(said, Said::Done).then(|| self.session().confirm());
        if let Some(Ok(())) = confirmed {
            self.ready.set(!self.cancelled.get());
            // With the last flight. Should it fail, the stream knows, and a read tells what the peer had to say.
            if self.ready.get() {
                self.early.send_refused(self, stream);
            }
        }
        self.bio.uncork();
        drop(busy);
        if let Some(failure) = self.broken_off(stream) {
            return Err(Stop::Failed(failure));
        }
        match (said, confirmed) {
            (_, Some(Ok(()))) => {
                if let Some(failure) = self.flight_failure() {
                    return Err(Stop::Failed(stream.fail(failure).clone()));
                }
                self.release_buffers();
                Ok(())
            }
            (_, Some(Err(failure))) | (Said::Failed(failure), _) => {
                self.broken.set(true);
                // The alert is on its way: bytes of the peer's that nobody will read must not make it an RST.
                socket::discard_received(stream.fd());
                // An error of the socket's that was noted before is less than what the peer or OpenSSL had to say.
                let failure = Engine::session_failure(failure);
                stream.fail(failure.clone());
                Err(Stop::Failed(failure))
            }
            (Said::NoMemory, _) => Err(Stop::Failed(stream.fail(Failure::out_of_memory()).clone())),
            (Said::Ended, _) => Err(Stop::Failed(stream.fail(Engine::ended_early()).clone())),
            (Said::Io, _) => Err(match self.inbound_failure(stream) {
                Some(failure) => Stop::Failed(failure),
                None => Stop::Blocked,
            }),
            (Said::Done | Said::WantRead | Said::WantWrite, _) => {
                Err(match self.wire_failure(stream) {
                    Some(failure) => Stop::Failed(failure),
                    None => Stop::Blocked,
                })
            }
        }
    }

    #[inline]
    pub(super) fn read(&self, stream: &Stream, buf: &mut [MaybeUninit<u8>]) -> Result<usize, Stop> {
        if stream.read_ended() {
            return Ok(0);
        }
        if let Some(count) = self.ready.get().then(|| self.early.read(buf)).flatten() {
            return Ok(count);
        }
        if !self.ready.get() || self.broken.get() {
            return Err(self.unusable(stream, Operation::Read));
        }
        let busy = self.enter()?;
        let (start, len) = socket::raw(buf);
        let mut count = 0;
        let mut read = || {
            self.bio.refresh();
            // SAFETY: the SSL is alive, `start` is writable for `len` bytes, and `count` is a place for a size.
            self.move_bytes(|ssl| unsafe { ffi::SSL_read_ex(ssl, start.cast(), len, &mut count) })
        };
        let mut said = read();
        if matches!(said, Said::WantRead) && self.bio.guessed() && !self.has_part_of_a_record() {
            // The kernel gave whole records without data (tickets): what came behind them, or the end, is not known.
            said = read();
        }
        drop(busy);
        if matches!(said, Said::Done) && !self.cancelled.get() {
            self.moved.set(true);
            return Ok(count);
        }
        self.nothing_read(stream, said)
    }

    #[cold]
    fn nothing_read(&self, stream: &Stream, said: Said) -> Result<usize, Stop> {
        if let Some(failure) = self.broken_off(stream) {
            return Err(stream.failed_read(&failure));
        }
        let failure = match said {
            // Authenticated: whatever happened to the socket, the peer had said all.
            Said::Ended => None,
            Said::Io => self.inbound_failure(stream),
            Said::Failed(failure) => Some(stream.fail(Engine::session_failure(failure)).clone()),
            Said::NoMemory => Some(stream.fail(Failure::out_of_memory()).clone()),
            Said::Done | Said::WantRead | Said::WantWrite => match self.wire_failure(stream) {
                None => {
                    if !self.moved.replace(false) {
                        self.release_buffers();
                    }
                    return Err(Stop::Blocked);
                }
                failure => failure,
            },
        };
        match failure {
            Some(failure) => Err(stream.failed_read(&failure)),
            None => Ok(stream.end_reading()),
        }
    }

    #[cold]
    fn unusable(&self, stream: &Stream, operation: Operation) -> Stop {
        match (stream.failure(), operation) {
            (Some(failure), Operation::Read) => stream.failed_read(failure),
            (Some(failure), Operation::Write) => Stop::Failed(failure.clone()),
            (None, _) => Stop::Refused(Errno(libc::ENOTCONN)),
        }
    }

    #[inline]
    pub(super) fn write(&self, stream: &Stream, bytes: &[u8]) -> Result<usize, Stop> {
        stream.check_writable()?;
        if !self.ready.get() || self.broken.get() {
            return Err(self.unusable(stream, Operation::Write));
        }
        let _busy = self.enter()?;
        stream.note_write();
        self.moved.set(true);
        self.bio.write_wants_read.set(false);
        self.bio.flush();
        let mut taken = 0;
        while self.bio.queued() == 0 && taken < bytes.len().min(MOST_A_WRITE) {
            let rest = &bytes[taken..];
            let piece = &rest[..rest.len().min(PIECE)];
            match self.write_piece(stream, piece) {
                Ok(count) => taken += count,
                Err(Stop::Blocked) => break,
                Err(stop) => return Err(stop),
            }
        }
        if taken > 0 {
            return Ok(taken);
        }
        Err(match self.wire_failure(stream) {
            Some(failure) => Stop::Failed(failure),
            None => Stop::Blocked,
        })
    }

    /// Whether the next write takes all of a few records, or why not.
    pub(super) fn can_take(&self, stream: &Stream) -> Result<(), Stop> {
        if self.busy.get() {
            return Err(Stop::Refused(Errno(libc::EBUSY)));
        }
        self.flush(stream)
    }

    #[inline]
    pub(super) fn write_piece(&self, stream: &Stream, piece: &[u8]) -> Result<usize, Stop> {
        let several = piece.len() > RECORD;
        if several {
            self.bio.cork();
        }
        // Reading belongs to SSL_write during a renegotiation.
        self.bio.refresh();
        let mut count = 0;
        // SAFETY: the SSL is alive, `piece` is readable for its length, and `count` is a place for a size.
        let said = self.move_bytes(|ssl| unsafe {
            ffi::SSL_write_ex(ssl, piece.as_ptr().cast(), piece.len(), &mut count)
        });
        if several {
            self.bio.uncork();
        }
        if matches!(said, Said::Done) && self.bio.send_error().is_none() && !self.cancelled.get() {
            return Ok(count);
        }
        Err(self.not_written(stream, said))
    }

    #[cold]
    fn not_written(&self, stream: &Stream, said: Said) -> Stop {
        if let Some(failure) = self.broken_off(stream) {
            return Stop::Failed(failure);
        }
        let failure = match said {
            Said::Failed(failure) => Some(stream.fail(Engine::session_failure(failure)).clone()),
            Said::Io | Said::Ended => self.inbound_failure(stream),
            Said::NoMemory => Some(stream.fail(Failure::out_of_memory()).clone()),
            Said::WantRead => {
                self.bio.write_wants_read.set(true);
                self.wire_failure(stream)
            }
            Said::Done | Said::WantWrite => self.wire_failure(stream),
        };
        failure.map_or(Stop::Blocked, Stop::Failed)
    }

    /// Small pieces share a record; a large one goes without a copy.
    pub(super) fn write_vectored(
        &self,
        stream: &Stream,
        pieces: &[IoSlice<'_>],
    ) -> Result<usize, Stop> {
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty()).peekable();
        let Some(first) = pieces.next() else {
            return Ok(0);
        };
        if first.len() >= RECORD || pieces.peek().is_none() {
            return self.write(stream, first);
        }
        let mut gathered = buffers::take();
        let mut complete = buffers::append(&mut gathered, first);
        for piece in pieces {
            let room = PIECE - gathered.len();
            if !complete || room == 0 {
                break;
            }
            complete = buffers::append(&mut gathered, &piece[..piece.len().min(room)]);
        }
        let result = match gathered.is_empty() {
            // No memory to gather in: the first piece alone will do.
            true => self.write(stream, first),
            false => self.write(stream, &gathered),
        };
        buffers::give(gathered);
        result
    }

    pub(super) fn shutdown_write(&self, stream: &Stream) -> Result<(), Stop> {
        if stream.write_ended() {
            return self.flush(stream);
        }
        stream.check_writable()?;
        if !self.ready.get() || self.broken.get() {
            return Err(self.unusable(stream, Operation::Write));
        }
        let busy = self.enter()?;
        self.bio.flush();
        self.close_notify();
        drop(busy);
        stream.end_writing();
        self.bio.fin_due.set(true);
        self.flush(stream)
    }

    /// Writes close_notify; after it OpenSSL's answers have no way out any more.
    fn close_notify(&self) {
        // SAFETY: the SSL is alive and its handshake complete. Called once: a second call would read.
        let _ = self.call(|ssl| match unsafe { ffi::SSL_shutdown(ssl) } {
            0 => 1,
            result => result,
        });
        self.bio.mute();
    }

    pub(super) fn flush(&self, stream: &Stream) -> Result<(), Stop> {
        self.bio.flush();
        if self.bio.send_error().is_some() {
            if let Some(failure) = self.wire_failure(stream) {
                return Err(Stop::Failed(failure));
            }
        }
        if self.bio.queued() > 0 {
            return Err(Stop::Blocked);
        }
        if self.bio.fin_due.replace(false) {
            if let Err(errno) = socket::shut_write(stream.fd()) {
                return Err(Stop::Failed(stream.fail_io(errno).clone()));
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        self.bio.queued() > 0 || self.bio.fin_due.get()
    }

    pub(super) fn waits_for(&self, operation: Operation) -> Interest {
        match operation {
            Operation::Read if self.bio.throttled() && self.bio.queued() > 0 => Interest::WRITE,
            Operation::Read if !self.ready.get() && self.bio.queued() > 0 => {
                Interest::READ.with(Interest::WRITE)
            }
            Operation::Read => Interest::READ,
            Operation::Write if self.bio.write_wants_read.get() && self.bio.queued() == 0 => {
                Interest::READ
            }
            Operation::Write => Interest::WRITE,
        }
    }

    #[inline]
    pub(super) fn read_again(&self) -> bool {
        if self.early.unread() > 0 {
            return true;
        }
        if !self.bio.fed() {
            return false;
        }
        // SAFETY: the SSL is alive; the call looks at it and runs nothing.
        let inside = unsafe { sys::SSL_has_pending(self.session().ssl()) } == 1;
        self.bio.set_fed(inside);
        inside
    }

    /// Whether the kernel had no more at the last `recv` of the last call; `None` where that made none.
    pub(super) fn drained(&self) -> Option<bool> {
        self.bio.asked().then(|| self.bio.drained())
    }

    pub(super) fn pending(&self) -> usize {
        if !self.ready.get() {
            return 0;
        }
        self.early.unread() + self.decrypted()
    }

    pub(super) fn release_buffers(&self) {
        if self.busy.get() {
            return;
        }
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
        self.leave();
    }

    /// Says goodbye: what the kernel does not take stays in the queue.
    pub(super) fn say_goodbye(&self, stream: &Stream) {
        if !self.ready.get() || self.broken.get() {
            return;
        }
        if !stream.write_ended() {
            self.bio.flush();
            // After a failure the peer must not take what it has got for everything.
            if stream.failure().is_none() {
                self.close_notify();
            }
        }
        self.keep_resumable();
    }

    /// The descriptor and the bytes that wait, if any do.
    pub(super) fn take_unsent(&self, fd: RawFd) -> Option<Unsent> {
        if self.bio.queued() > 0 {
            return Some(self.bio.give_away(fd));
        }
        self.bio.forget_fd();
        None
    }
}
