//! TLS on a stream that belongs to somebody else, who waits for its descriptor himself and may make it blocking or not
//! between any two calls.
//!
//! What was not taken by the kernel is told as not written: a write answers `Blocked` and is to be repeated with the same
//! bytes, wherever they are by then; fewer of them will do. What was read ahead of TLS is bytes of the stream again when
//! TLS goes. Nothing here is bound to a thread.

mod leave;
mod plain;

use super::bio::{Inbound, Sending};
use super::engine::{Busy, Engine, Said, RECORD};
use super::{buffers, file, socket};
use super::{Failure, FailureKind, Halt, Patience, Stop};
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use leave::{is_gone, Leave};
use openssl_sys as ffi;
use plain::Plain;
use std::cell::{Cell, OnceCell};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// Stands for bytes that OpenSSL has encrypted already.
static ZEROS: [u8; RECORD] = [0; RECORD];

/// TLS on a descriptor.
pub struct Attached {
    engine: Engine,
    leave: Cell<Leave>,
    /// For what the operation that was blocked last waits.
    wants: Cell<Interest>,
    /// So many of the caller's bytes are in a record of which the kernel has a part at most.
    pending: Cell<usize>,
    /// So many were sent and not reported, as the caller offered fewer the second time.
    unreported: Cell<usize>,
    /// The first failure of TLS, which is final.
    failure: OnceCell<Box<Failure>>,
}

// SAFETY: used by one thread at a time. The `Rc` inside is shared with nobody, the buffers of a thread may be given back to
// another, and an SSL is not bound to a thread.
unsafe impl Send for Attached {}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

impl Attached {
    /// Puts TLS on a stream; the handshake is still to do. The descriptor need not be connected yet; it stays the
    /// caller's, who calls [`Attached::detach`] or [`Attached::cancel`] before he closes it.
    pub fn new(fd: RawFd, session: tls::Session) -> Result<Attached, Failure> {
        Ok(Attached {
            engine: Engine::new(fd, session, Sending::Refused)?,
            leave: Cell::new(Leave::NotTaken),
            wants: Cell::new(Interest::READ),
            pending: Cell::new(0),
            unreported: Cell::new(0),
            failure: OnceCell::new(),
        })
    }

    /// Bytes of the wire that were read before, and come before all others.
    pub fn put_ahead(&self, bytes: Vec<u8>) {
        if let Some(lent) = self.engine.bio.lent() {
            lent.put(bytes);
        }
    }

    /// The session.
    pub fn session(&self) -> &tls::Session {
        self.engine.session()
    }

    /// Whether the handshake is complete.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.engine.ready.get()
    }

    /// Whether OpenSSL is running: somebody further up the stack is in one of these methods.
    pub fn is_busy(&self) -> bool {
        self.engine.busy.get()
    }

    /// For what the operation that was blocked last waits.
    pub fn wants(&self) -> Interest {
        self.wants.get()
    }

    /// Whether a read gives something (or learns something) without the kernel: decrypted bytes, or a whole record.
    pub fn has_buffered(&self) -> bool {
        self.decrypted() > 0 || self.engine.bio.lent().is_some_and(|lent| lent.has_record())
    }

    /// Decrypted bytes that a read gives at once.
    pub fn decrypted(&self) -> usize {
        match self.is_ready() {
            true => self.engine.decrypted(),
            false => 0,
        }
    }

    /// The failure that is final, if there was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get().map(|failure| &**failure)
    }

    #[inline]
    fn enter(&self, patience: Patience) -> Result<Busy<'_>, Halt> {
        let busy = self.engine.begin();
        let busy = busy.ok_or(Halt::Refused(Errno(libc::EBUSY)))?;
        if let Some(lent) = self.engine.bio.lent() {
            lent.set_impatient(patience == Patience::None);
        }
        Ok(busy)
    }

    /// Why bytes can be neither read nor written, if so: the handshake is not complete, or TLS has failed.
    #[inline]
    pub fn check(&self) -> Result<(), Halt> {
        if self.is_ready() && !self.engine.broken.get() {
            return Ok(());
        }
        Err(match self.failure() {
            Some(failure) => Halt::Failed(failure.clone()),
            None => Halt::Refused(Errno(libc::ENOTCONN)),
        })
    }

    /// As [`Attached::enter`], for what only a complete handshake allows.
    #[inline]
    fn enter_ready(&self, patience: Patience) -> Result<Busy<'_>, Halt> {
        self.check()?;
        self.enter(patience)
    }

    /// Keeps a failure that is final.
    #[cold]
    fn fail(&self, failure: Failure) -> Halt {
        Halt::Failed((**self.failure.get_or_init(|| Box::new(failure))).clone())
    }

    /// What an answer that is no success means.
    #[cold]
    fn halt(&self, said: Said) -> Halt {
        if let Some(failure) = self.engine.cancelled_failure() {
            return Halt::Failed(failure);
        }
        match said {
            Said::WantWrite => self.block(Interest::WRITE),
            Said::Done | Said::WantRead => self.block(Interest::READ),
            Said::Ended => Halt::Ended,
            Said::Io => self.cut(),
            Said::Failed(failure) => self.fail(Engine::session_failure(failure)),
            Said::NoMemory => self.fail(Failure::out_of_memory()),
        }
    }

    fn block(&self, wants: Interest) -> Halt {
        self.wants.set(wants);
        Halt::Blocked
    }

    fn cut(&self) -> Halt {
        // The kernel tells of a reset once: where a send heard of it, a read finds nothing but an end.
        let reset = self.engine.bio.send_error();
        if let Some(errno) = reset.filter(|errno| errno.0 == libc::ECONNRESET) {
            return Halt::Failed(self.engine.socket_failure(errno));
        }
        let mut failure = self.engine.cut();
        if failure.kind == FailureKind::Io {
            return Halt::Failed(failure);
        }
        failure.errno = Errno(libc::EPROTO);
        Halt::Truncated(failure)
    }

    /// Runs OpenSSL's handshake: what completes it is confirmed before it counts.
    fn shake(&self) -> Said {
        // SAFETY: the SSL is alive.
        let said = self
            .engine
            .call(|ssl| unsafe { ffi::SSL_do_handshake(ssl) });
        match said {
            Said::Done => match self.session().confirm() {
                Ok(()) => Said::Done,
                Err(failure) => Said::Failed(failure),
            },
            said => said,
        }
    }

    /// One step of the handshake, or all of it where the kernel waits: `Ok` when it is complete and confirmed. A failure is
    /// final and told again.
    pub fn handshake(&self, patience: Patience) -> Result<(), Halt> {
        if self.is_ready() {
            return Ok(());
        }
        if let Some(failure) = self.failure() {
            return Err(Halt::Failed(failure.clone()));
        }
        let busy = self.enter(patience)?;
        // Before the first step the program may be asked for a session, and may then close this.
        self.session().recall();
        let said = match self.engine.cancelled.get() {
            true => Said::WantRead,
            false => self.shake(),
        };
        drop(busy);
        match said {
            _ if self.engine.cancelled.get() => Err(self.halt(said)),
            Said::Failed(failure) => {
                self.engine.broken.set(true);
                // The alert is on its way: bytes of the peer's that nobody will read must not make it an RST.
                socket::discard_received(self.engine.bio.fd());
                Err(self.fail(Engine::session_failure(failure)))
            }
            Said::Done => match self.engine.flight_failure() {
                Some(failure) => Err(self.fail(failure)),
                None => {
                    self.engine.ready.set(true);
                    Ok(())
                }
            },
            Said::Ended => Err(self.fail(Engine::ended_early())),
            Said::Io => Err(self.fail(self.engine.cut())),
            Said::NoMemory => Err(self.fail(Failure::out_of_memory())),
            Said::WantRead | Said::WantWrite => Err(match self.engine.send_failure() {
                Some(failure) => self.fail(failure),
                None => self.halt(said),
            }),
        }
    }

    /// Reads: at least one byte, or `Halt`; `Ended` after the peer's close_notify. Bytes that arrived before a failure
    /// are read first.
    #[inline]
    pub fn read(&self, buf: &mut [MaybeUninit<u8>], patience: Patience) -> Result<usize, Halt> {
        if buf.is_empty() {
            return Ok(0);
        }
        let busy = self.enter_ready(patience)?;
        let (start, len) = socket::raw(buf);
        let mut count = 0;
        // SAFETY: the SSL is alive, `start` is writable for `len` bytes, and `count` is a place for a size.
        let said = self
            .engine
            .move_bytes(|ssl| unsafe { ffi::SSL_read_ex(ssl, start.cast(), len, &mut count) });
        drop(busy);
        if let Some(lent) = self.engine.bio.lent() {
            lent.release();
        }
        if matches!(said, Said::Done) && !self.engine.cancelled.get() {
            self.engine.moved.set(true);
            return Ok(count);
        }
        if matches!(said, Said::WantRead) && !self.engine.moved.replace(false) {
            // Idle.
            self.engine.free_buffers();
        }
        Err(self.halt(said))
    }

    /// Whether a read may still give bytes: neither end nor failure is what comes next. What is decrypted by this stays to be read,
    /// but the kernel does not tell of it any more.
    pub fn has_more(&self) -> bool {
        let mut byte = 0u8;
        let mut count = 0;
        let Ok(busy) = self.enter_ready(Patience::None) else {
            // Somebody further up the stack is using it.
            return self.is_busy();
        };
        // SAFETY: the SSL is alive, there is room for one byte, and `count` is a place for a size.
        let said = self.engine.move_bytes(|ssl| unsafe {
            ffi::SSL_peek_ex(ssl, (&raw mut byte).cast(), 1, &mut count)
        });
        drop(busy);
        matches!(said, Said::Done | Said::WantRead | Said::WantWrite)
    }

    /// Writes bytes of one record: at least one, or `Halt`. What is reported, the kernel has. After `Blocked` OpenSSL may
    /// hold a record of these bytes: the same ones come next.
    #[inline]
    pub fn write(&self, bytes: &[u8], patience: Patience) -> Result<usize, Halt> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.leave.get() != Leave::NotTaken {
            return Err(Halt::Ended);
        }
        let busy = self.enter_ready(patience)?;
        if self.unreported.get() > 0 {
            return Ok(self.report(bytes.len(), 0));
        }
        let pending = self.pending.get();
        let piece = match pending {
            0 => &bytes[..bytes.len().min(RECORD)],
            _ => bytes.get(..pending).unwrap_or(&ZEROS[..pending]),
        };
        let sent = self.write_record(piece);
        drop(busy);
        sent.map(|count| self.report(bytes.len(), count))
    }

    /// `count` more bytes were sent: how many of `len` are to be reported.
    #[inline]
    fn report(&self, len: usize, count: usize) -> usize {
        let sent = self.unreported.get() + count;
        let reported = sent.min(len);
        self.unreported.set(sent - reported);
        reported
    }

    /// At most a record's bytes, or those that are pending.
    fn write_record(&self, piece: &[u8]) -> Result<usize, Halt> {
        let mut count = 0;
        // SAFETY: the SSL is alive, `piece` is readable for its length, and `count` is a place for a size.
        let said = self.engine.move_bytes(|ssl| unsafe {
            ffi::SSL_write_ex(ssl, piece.as_ptr().cast(), piece.len(), &mut count)
        });
        self.engine.moved.set(true);
        if matches!(said, Said::WantWrite) {
            if self.holds_data() {
                self.pending.set(piece.len());
            }
        } else {
            self.pending.set(0);
        }
        if self.engine.cancelled.get() {
            return Err(self.halt(said));
        }
        match self.engine.send_failure() {
            Some(failure) => Err(self.unsent(failure)),
            None if matches!(said, Said::Done) => Ok(count),
            None => Err(self.halt(said)),
        }
    }

    /// Nothing can be sent any more. Where that is because the peer is gone, how it went says more, if it is known.
    #[cold]
    fn unsent(&self, failure: Failure) -> Halt {
        // SAFETY: the SSL is alive; the call looks at it.
        let shutdown = unsafe { ffi::SSL_get_shutdown(self.session().ssl()) };
        let told = failure.errno.0 == libc::ECONNRESET;
        if told || !is_gone(&failure) || shutdown & ffi::SSL_RECEIVED_SHUTDOWN != 0 {
            return Halt::Failed(failure);
        }
        match self.engine.bio.look_for_the_end() {
            Inbound::Open => Halt::Failed(failure),
            Inbound::Ended | Inbound::Failed(_) => self.cut(),
        }
    }

    /// Sends what OpenSSL had begun to send of its own (an answer to a KeyUpdate), where the kernel did not take all of it.
    fn finish_own(&self) -> Result<(), Halt> {
        // SAFETY: the SSL is alive; the call looks at it and runs nothing.
        if unsafe { ffi::SSL_is_init_finished(self.session().ssl()) } == 1 {
            return Ok(());
        }
        // SAFETY: the SSL is alive.
        let said = self
            .engine
            .call(|ssl| unsafe { ffi::SSL_do_handshake(ssl) });
        match said {
            Said::Done => Ok(()),
            said => Err(self.halt(said)),
        }
    }

    /// Whether the record that the kernel did not take whole has the caller's bytes: OpenSSL may have had something of its
    /// own to send before (an answer to a KeyUpdate, a warning), and has not looked at them then.
    fn holds_data(&self) -> bool {
        // SAFETY: the SSL is alive; the call looks at it and runs nothing.
        let finished = unsafe { ffi::SSL_is_init_finished(self.session().ssl()) } == 1;
        finished && self.engine.bio.lent().is_some_and(|lent| lent.holds_data())
    }

    /// As `write`, for several pieces: small ones share a record; a large one goes without a copy.
    pub fn write_vectored(
        &self,
        pieces: &[IoSlice<'_>],
        patience: Patience,
    ) -> Result<usize, Halt> {
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty()).peekable();
        let Some(first) = pieces.next() else {
            return Ok(0);
        };
        if first.len() >= RECORD || pieces.peek().is_none() {
            return self.write(first, patience);
        }
        let mut gathered = Plain(buffers::take());
        if gathered.0.try_reserve(RECORD).is_err() {
            return self.write(first, patience);
        }
        gathered.0.extend_from_slice(first);
        for piece in pieces {
            let room = RECORD - gathered.0.len();
            gathered
                .0
                .extend_from_slice(&piece[..piece.len().min(room)]);
        }
        self.write(&gathered.0, patience)
    }

    /// Writes up to `count` bytes of a file: from `offset`, which moves by what was sent, or from the file's position, which
    /// then does. Fewer at the end of the file and where the kernel takes no more; `Ok(0)` at the end of the file. What is
    /// wrong with the file comes as `Refused`: EBADF, ESPIPE, or what reading it gave.
    pub fn send_file(
        &self,
        from: RawFd,
        offset: Option<&mut libc::off_t>,
        count: usize,
        patience: Patience,
    ) -> Result<usize, Halt> {
        let mut halt = None;
        let write = |bytes: &[u8]| {
            self.write(bytes, patience).map_err(|why| {
                halt = Some(why);
                Stop::Blocked
            })
        };
        match file::copy(write, from, offset, count, RECORD) {
            Ok(sent) => Ok(sent),
            Err(Stop::Refused(errno)) => Err(Halt::Refused(errno)),
            Err(Stop::Failed(failure)) => Err(Halt::Failed(failure)),
            Err(Stop::Blocked) => Err(halt.unwrap_or(Halt::Blocked)),
        }
    }

    /// One step of a renegotiation that OpenSSL was asked for; never waits.
    pub fn renegotiate(&self) -> Result<(), Halt> {
        let busy = self.enter_ready(Patience::None)?;
        let said = self.shake();
        drop(busy);
        match (said, self.engine.cancelled.get()) {
            (Said::Done, false) => Ok(()),
            (said, _) => {
                if matches!(said, Said::Failed(_)) {
                    self.engine.broken.set(true);
                }
                Err(self.halt(said))
            }
        }
    }

    /// Takes TLS off: what was read ahead of it, which the caller gives out before the descriptor's bytes. Nothing of this
    /// touches the descriptor from now on.
    pub fn detach(&self) -> Vec<u8> {
        let ahead = self.engine.bio.lent().map(|lent| lent.take());
        self.let_go();
        ahead.unwrap_or_default()
    }

    /// The stream ends: a call that runs OpenSSL fails with ECANCELED, and nothing touches the descriptor any more.
    pub fn cancel(&self) {
        self.engine.cancel_if_busy();
        self.let_go();
    }

    fn let_go(&self) {
        self.engine.bio.mute();
        self.engine.bio.forget_fd();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // A handshake that was not completed has nothing to resume.
        if self.is_ready() && self.failure().is_none() {
            self.engine.keep_resumable();
        }
    }
}
