//! A connection between two of its users: it keeps its socket, its TLS and its place in the loop, and is nobody's to use.
//!
//! Parked: watched for reading, in the state READY, its callbacks gone; reads and writes of the program's give ENOTCONN.
//! Handed out: the next user has it, READY as ever, and reads and writes give EAGAIN until [`Conn::report_again`] or
//! [`Conn::fail_handed_out`] reports the outcome.

use super::machine::{ErrorKind, Event, State};
use super::{Conn, Observer, NOT_DIRECT};
use crate::errno::Errno;
use crate::tls;
use crate::transport::{self, FailureKind, Stop};
use std::mem::MaybeUninit;
use std::rc::Rc;

/// What a look at the receiving side of a connection found.
#[derive(Debug)]
pub enum Found {
    /// Nothing: no byte of the program's has come, and the stream goes on.
    Nothing,
    /// A byte (which is gone with the look).
    Bytes,
    /// The end of the stream.
    End,
    /// It failed.
    Failed(transport::Failure),
    /// Nobody can look: one of its TLS callbacks is running.
    Busy,
}

impl Conn {
    /// READY, nothing wrong, both directions open, nothing accepted that is unsent, nothing decrypted that is unread, as far
    /// as is known without a system call.
    pub fn is_reusable(&self) -> bool {
        let Some(transport) = self.transport() else {
            return false;
        };
        (self.state() == State::Ready || self.is_parked())
            && !self.closed.get()
            && !self.read_done.get()
            && !self.hung_up.get()
            && !transport.read_ended()
            && !transport.write_ended()
            && !transport.has_unsent()
            && transport.pending() == 0
            && transport.is_healthy()
    }

    /// Whether a read of this round found that nothing is left to be read.
    pub fn was_emptied(&self) -> bool {
        self.lp.is_in_round()
            && self
                .seldom
                .get()
                .is_some_and(|s| s.drained_in.get() == self.lp.wait_number())
            && self.transport().is_some_and(|t| !t.holds_bytes())
    }

    /// Looks, with one read, whether there is anything to be read. Answers what TLS asks for by the way. OpenSSL may call the
    /// program's callbacks.
    pub fn look(&self) -> Found {
        let Some(transport) = self.transport() else {
            return Found::End;
        };
        let mut byte = [MaybeUninit::uninit()];
        let result = transport.read(&mut byte);
        self.note_read(transport.drained_by(&result, byte.len()));
        let found = match result {
            Ok(0) => Found::End,
            Ok(_) => Found::Bytes,
            Err(Stop::Blocked) => Found::Nothing,
            Err(Stop::Refused(_)) => Found::Busy,
            Err(Stop::Failed(failure)) => Found::Failed(failure),
        };
        // TLS may have got bytes that are no whole record yet, or have an answer to send.
        self.update_interest();
        found
    }

    /// A read of the socket left nothing in the kernel, or did not.
    #[inline(always)]
    pub fn note_drained(&self, drained: bool) {
        if let Some(seldom) = self.seldom.get() {
            seldom.drained_in.set(match drained {
                true => self.lp.wait_number(),
                false => 0,
            });
        }
    }

    /// The same; `None` where the socket was not read.
    #[inline]
    pub(super) fn note_read(&self, drained: Option<bool>) {
        if let Some(drained) = drained {
            self.note_drained(drained);
        }
    }

    /// Under what its peer was verified; `None` for a plain connection.
    pub fn terms(&self) -> Option<tls::Terms> {
        self.with_session(|session| session.terms())
    }

    /// Takes it out of use: the program's callbacks and pointers are forgotten, it does not keep `run` running, and `keeper`
    /// hears of what happens (`on_readable` and `on_error` alone). Costs no system call where it was watched for reading.
    pub fn park(&self, keeper: &'static dyn Observer) {
        if self.closed.get() {
            return;
        }
        self.view.forget_program();
        self.observer.set(keeper);
        self.forget_idle();
        self.direct.set(NOT_DIRECT);
        self.view.state.set(State::Ready as i32);
        self.wants_writable.set(false);
        self.wants_readable.set(PARKED);
        self.set_ref(false);
        self.update_interest();
    }

    /// The next user has it. `keeper` goes on to hear of what happens.
    pub fn hand_out(&self) {
        if self.is_parked() {
            self.wants_readable
                .set(self.wants_readable.get() | HANDED_OUT);
            self.set_ref(true);
        }
    }

    /// It is in use again, and `observer` hears that it is READY.
    pub fn report_again(self: &Rc<Self>, observer: &'static dyn Observer) {
        if self.closed.get() || !self.is_parked() {
            return;
        }
        self.observer.set(observer);
        // What the new user asked for meanwhile counts from now on.
        self.unpark();
        self.restart_idle();
        observer.on_ready(self);
        self.update_interest();
    }

    /// It came to its end before it could be reported: to its new user this is a connection that could not be
    /// established.
    pub fn fail_handed_out(self: &Rc<Self>, observer: &'static dyn Observer, found: Found) {
        if self.closed.get() || !self.is_parked() {
            return;
        }
        let gone = |errno, text: &str| transport::Failure {
            kind: FailureKind::Io,
            errno: Errno(errno),
            text: text.to_owned(),
        };
        let failure = match found {
            Found::Failed(failure) => failure,
            Found::Bytes => gone(
                libc::ECONNRESET,
                "the peer sent what nobody had asked for while the connection was idle",
            ),
            Found::End | Found::Nothing | Found::Busy => {
                gone(libc::ECONNRESET, "the peer closed it while it was idle")
            }
        };
        self.observer.set(observer);
        self.unpark();
        self.note_failure(&failure);
        self.established.set(false);
        let kind = self.failure().map_or(ErrorKind::Io, |f| f.kind);
        self.step(Event::TransportFailed(kind, failure.errno.0));
    }

    fn unpark(&self) {
        let wanted = self.wants_readable.get() & WANTED;
        self.wants_readable.set(wanted);
    }

    /// Parked, or handed out and not yet reported.
    #[inline]
    pub(super) fn is_parked(&self) -> bool {
        self.wants_readable.get() & PARKED != 0
    }

    /// ENOTCONN while it is nobody's; EAGAIN while its next user has not heard of it, so that no byte that came while it was
    /// idle is read as an answer to what the new user asks.
    #[inline]
    pub(super) fn check_in_use(&self) -> Result<(), Errno> {
        match self.wants_readable.get() {
            shared if shared & HANDED_OUT != 0 => Err(Errno(libc::EAGAIN)),
            shared if shared & PARKED != 0 => Err(Errno(libc::ENOTCONN)),
            _ => Ok(()),
        }
    }
}

/// In [`Conn::wants_readable`]: the program asked for its callback.
pub(super) const WANTED: u8 = 1;
/// The connection is parked, or handed out and not yet reported.
pub(super) const PARKED: u8 = 2;
/// The next user has it.
const HANDED_OUT: u8 = 4;
