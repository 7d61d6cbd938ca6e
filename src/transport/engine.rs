//! What every TLS stream has: a session over a BIO of ours, calls into OpenSSL, and what their answers mean.
//!
//! Knows no policy: what a failure does to the stream, and who waits for what, is said by those who own an engine
//! ([`super::secure::Secure`], [`super::attached::Attached`]).

use super::bio::{Inbound, Sending, WireBio};
use super::sys;
use super::{Failure, FailureKind};
use crate::errno::Errno;
use crate::tls;
use openssl_sys as ffi;
use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::os::fd::RawFd;

/// The largest plaintext of one record.
pub(super) const RECORD: usize = 16 * 1024;

/// A session and the wire under it.
pub(super) struct Engine {
    // Before `bio`: the SSL drops its references to the BIO while the wire is alive.
    session: tls::Session,
    pub(super) bio: WireBio,
    /// The handshake is complete and confirmed.
    pub(super) ready: Cell<bool>,
    /// OpenSSL refuses to go on: nothing more can be read or written, not even close_notify.
    pub(super) broken: Cell<bool>,
    /// OpenSSL is running.
    pub(super) busy: Cell<bool>,
    /// The transport was closed while OpenSSL was running: the call must not succeed.
    pub(super) cancelled: Cell<bool>,
    // The owner's own, kept where there is room for them:
    /// Bytes of the program's went in or out since a read last found nothing.
    pub(super) moved: Cell<bool>,
    /// It was used since that was asked last.
    pub(super) used: Cell<bool>,
    /// One of the thread's streams that keep OpenSSL's buffers.
    pub(super) warm: Cell<bool>,
    /// An end without close_notify counts as an end.
    pub(super) allow_truncation: Cell<bool>,
}

/// What OpenSSL said.
pub(super) enum Said {
    Done,
    WantRead,
    WantWrite,
    /// close_notify was received.
    Ended,
    /// The BIO failed, and OpenSSL has nothing to add.
    Io,
    Failed(tls::Failure),
    /// There is none for what the peer sent.
    NoMemory,
}

/// OpenSSL runs until this is dropped.
pub(super) struct Busy<'a>(&'a Cell<bool>);
impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Engine {
    pub(super) fn new(
        fd: RawFd,
        session: tls::Session,
        sending: Sending,
    ) -> Result<Engine, Failure> {
        let bio = WireBio::new(fd, sending)?;
        let ssl = session.ssl();
        // Refused: a record is all that OpenSSL may hold back, and what a write reports is with the kernel. Queued: partial
        // writes would end each piece after its first record.
        let (one_record, read_ahead) = match sending {
            Sending::Refused => (true, 0),
            // One `recv` brings what the kernel has, not first a header and then a body.
            Sending::Queued => (false, 1),
        };
        // SAFETY: the session's SSL lives as long as the session, which this object keeps beside the BIO.
        unsafe {
            bio.attach(ssl);
            sys::SSL_set_read_ahead(ssl, read_ahead);
            // When buffers go is for others to say.
            sys::clear_mode(
                ssl,
                ffi::SSL_MODE_ENABLE_PARTIAL_WRITE | ffi::SSL_MODE_RELEASE_BUFFERS,
            );
            sys::set_mode(
                ssl,
                ffi::SSL_MODE_AUTO_RETRY | ffi::SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
            );
            if one_record {
                sys::set_mode(ssl, ffi::SSL_MODE_ENABLE_PARTIAL_WRITE);
            }
        }
        Ok(Engine {
            session,
            bio,
            ready: Cell::new(false),
            broken: Cell::new(false),
            busy: Cell::new(false),
            cancelled: Cell::new(false),
            moved: Cell::new(false),
            used: Cell::new(false),
            warm: Cell::new(false),
            allow_truncation: Cell::new(false),
        })
    }

    pub(super) fn session(&self) -> &tls::Session {
        &self.session
    }

    /// Marks OpenSSL as running; `None` where it is already.
    #[inline]
    pub(super) fn begin(&self) -> Option<Busy<'_>> {
        match self.busy.replace(true) {
            true => None,
            false => Some(Busy(&self.busy)),
        }
    }

    /// Moves bytes: as [`Engine::call`], for calls that leave nothing in the error queue when they succeed, which then
    /// need not be looked at (a look costs 180 instructions).
    #[inline]
    pub(super) fn move_bytes(&self, call: impl FnOnce(*mut ffi::SSL) -> c_int) -> Said {
        // SAFETY: looks at the thread's own queue.
        if unsafe { sys::ERR_peek_error() } != 0 {
            return self.call(call);
        }
        let ssl = self.session.ssl();
        let result = call(ssl);
        if result == 1 {
            return Said::Done;
        }
        let said = self.why(ssl, result);
        // SAFETY: the thread's own queue, which was empty: what is there is this call's.
        unsafe { ffi::ERR_clear_error() };
        said
    }

    /// Runs one OpenSSL call that returns 1 for success.
    pub(super) fn call(&self, call: impl FnOnce(*mut ffi::SSL) -> c_int) -> Said {
        let ssl = self.session.ssl();
        tls::with_clean_queue(|| {
            let result = call(ssl);
            if result == 1 {
                return Said::Done;
            }
            self.why(ssl, result)
        })
    }

    #[cold]
    fn why(&self, ssl: *mut ffi::SSL, result: c_int) -> Said {
        // SAFETY: the SSL is alive, and `result` is what its last call returned.
        match unsafe { ffi::SSL_get_error(ssl, result) } {
            ffi::SSL_ERROR_WANT_READ => Said::WantRead,
            ffi::SSL_ERROR_WANT_WRITE => Said::WantWrite,
            ffi::SSL_ERROR_ZERO_RETURN => Said::Ended,
            ffi::SSL_ERROR_SYSCALL if self.bio.inbound() != Inbound::Open => Said::Io,
            _ => {
                self.broken.set(true);
                Said::Failed(self.session.failure())
            }
        }
    }

    /// What an error of the socket's means at this stage.
    pub(super) fn socket_failure(&self, errno: Errno) -> Failure {
        if !self.ready.get() && matches!(errno.0, libc::ECONNRESET | libc::EPIPE) {
            return Failure::tls_cut("the peer reset the connection during the handshake");
        }
        Failure::io(errno)
    }

    /// Why nothing more can be sent, if so.
    pub(super) fn send_failure(&self) -> Option<Failure> {
        self.bio
            .send_error()
            .map(|errno| self.socket_failure(errno))
    }

    /// As [`Engine::send_failure`], of a last flight for which the peer waits; we might wait for the peer. (Where the peer is
    /// gone, a read finds out, and what the peer had to say.)
    pub(super) fn flight_failure(&self) -> Option<Failure> {
        match self.bio.send_error()?.0 {
            libc::EPIPE | libc::ECONNRESET => None,
            _ => self.send_failure(),
        }
    }

    pub(super) fn has_part_of_a_record(&self) -> bool {
        let ssl = self.session.ssl();
        // SAFETY: the SSL is alive; both calls look at it and run nothing, and the text is static.
        unsafe {
            // A header that came alone is no longer pending: OpenSSL has read it, and waits for the body ("RB").
            sys::SSL_has_pending(ssl) == 1 || *sys::SSL_rstate_string(ssl).add(1) == b'B' as c_char
        }
    }

    /// What it means that the receiving side is over without close_notify.
    pub(super) fn cut(&self) -> Failure {
        match self.bio.inbound() {
            Inbound::Failed(errno) => self.socket_failure(errno),
            _ if !self.ready.get() => {
                Failure::tls_cut("the peer closed the connection during the handshake")
            }
            _ => Failure::tls_cut("truncated: the peer closed the connection without close_notify"),
        }
    }

    /// The peer took its leave before it was known.
    pub(super) fn ended_early() -> Failure {
        Failure::tls_cut("the peer ended the connection during the handshake")
    }

    /// What OpenSSL found wrong.
    pub(super) fn session_failure(failure: tls::Failure) -> Failure {
        Failure {
            kind: match failure.certificate {
                true => FailureKind::Certificate,
                false => FailureKind::Tls,
            },
            errno: Errno(libc::EPROTO),
            text: failure.text,
        }
    }

    pub(super) fn cancelled_failure(&self) -> Option<Failure> {
        self.cancelled
            .get()
            .then(|| Failure::io(Errno(libc::ECANCELED)))
    }

    /// OpenSSL is running: let the call that runs it fail, and leave the rest to its end.
    pub(super) fn cancel_if_busy(&self) -> bool {
        let busy = self.busy.get();
        if busy {
            self.cancelled.set(true);
            // The peer must not come to believe in a handshake that we broke off.
            self.bio.silence();
        }
        busy
    }

    /// Gives OpenSSL's buffers back; those with bytes in them are kept.
    pub(super) fn free_buffers(&self) {
        if !self.busy.get() {
            // SAFETY: the SSL is alive and no call on it is running.
            unsafe { sys::SSL_free_buffers(self.session.ssl()) };
        }
    }

    /// Decrypted bytes that a read gives at once.
    pub(super) fn decrypted(&self) -> usize {
        // SAFETY: the SSL is alive; the call looks at it and runs nothing.
        usize::try_from(unsafe { ffi::SSL_pending(self.session.ssl()) }).unwrap_or(0)
    }

    /// Both sides took their leave, as far as OpenSSL is told: else it would throw the session away that a later connection
    /// wants to resume.
    pub(super) fn keep_resumable(&self) {
        // SAFETY: the SSL is alive.
        unsafe {
            ffi::SSL_set_shutdown(
                self.session.ssl(),
                ffi::SSL_SENT_SHUTDOWN | ffi::SSL_RECEIVED_SHUTDOWN,
            )
        };
    }
}
