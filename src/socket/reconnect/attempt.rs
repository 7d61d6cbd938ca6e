//! One attempt, in steps: addresses, a socket that connects, TLS. Whatever goes wrong is one failure of the attempt; as long as
//! there is another address, that is tried before.

use super::lookup::{Found, Lookup};
use super::machine::Event;
use super::secure::Shaking;
use super::{secure, this_process, Reconnect};
use crate::clock::{self, Nanos};
use crate::dns;
use crate::errno::Errno;
use crate::socket::connect::connect_address;
use crate::socket::error::{Error, Kind};
use crate::socket::handle::Handle;
use crate::socket::wait::{wait, Deadline};
use crate::socket::{self, event, option};
use crate::transport;
use socket2::SockAddr;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// So long it may take until there is a TCP connection.
const LIMIT: Nanos = 30 * clock::SECOND;

/// What an attempt is at, or has come to.
#[derive(Default)]
pub(super) enum Under {
    #[default]
    Nothing,
    Lookup(Box<Lookup>, Trial),
    Connecting(&'static Handle, Trial),
    Shaking(&'static Handle, Trial),
    Up(&'static Handle),
}

/// An attempt and what is left to it.
pub(super) struct Trial {
    attempt: u64,
    deadline: Nanos,
    /// To be tried after this one.
    addresses: VecDeque<SockAddr>,
}

impl Under {
    pub(super) fn pollfd(&self) -> Option<RawFd> {
        match self {
            Under::Nothing => None,
            Under::Lookup(lookup, _) => Some(lookup.fd()),
            Under::Connecting(handle, _) | Under::Shaking(handle, _) | Under::Up(handle) => {
                let fd = handle.socket().map(|socket| socket.fd());
                fd.filter(|fd| *fd >= 0)
            }
        }
    }

    fn trial(&self) -> Option<&Trial> {
        match self {
            Under::Lookup(_, trial) | Under::Connecting(_, trial) | Under::Shaking(_, trial) => {
                Some(trial)
            }
            Under::Nothing | Under::Up(_) => None,
        }
    }

    /// Ends the socket, if there is one.
    pub(super) fn end(self) {
        match self {
            Under::Nothing | Under::Lookup(..) => {}
            Under::Connecting(handle, _) | Under::Shaking(handle, _) | Under::Up(handle) => {
                handle.end();
            }
        }
    }
}

impl Reconnect {
    /// Begins an attempt; [`Reconnect::step`] goes on.
    pub(super) fn start(&self, attempt: u64) {
        self.shaking.set(Shaking::NotStarted);
        let mut trial = Trial {
            attempt,
            deadline: clock::now().saturating_add(LIMIT),
            addresses: VecDeque::new(),
        };
        match Lookup::begin(&self.host, self.port) {
            Ok(Found::Already(addresses)) => {
                trial.addresses = addresses.into();
                self.next_address(trial, None, no_address());
            }
            Ok(Found::Later(lookup)) => {
                self.under.replace(Under::Lookup(lookup, trial));
            }
            Err(error) => self.failed(attempt, error),
        }
    }

    /// The attempt has failed, for this reason.
    fn failed(&self, attempt: u64, mut error: Error) {
        if !matches!(error.kind, Kind::Thrown(_)) {
            let text = format!("{} port {}: {}", self.host, self.port, error.text);
            crate::log!(Debug, "connecting to {text}");
            error.text = text.into();
        }
        self.keep_thrown(error);
        self.note(Event::AttemptFailed { attempt });
    }

    /// The attempt takes too long.
    pub(super) fn is_late(&self) -> bool {
        let under = self.under.borrow();
        under
            .trial()
            .is_some_and(|trial| clock::now() >= trial.deadline)
    }

    /// Whatever the attempt is at, it has failed.
    pub(super) fn attempt_failed(&self) {
        let attempt = self.under.borrow().trial().map(|trial| trial.attempt);
        match &*self.under.borrow() {
            Under::Shaking(..) => self.shaking.set(Shaking::Failed),
            // As where all addresses refuse.
            Under::Connecting(..) => dns::forget(&self.host),
            _ => {}
        }
        if let Some(attempt) = attempt {
            let late = Error::system(Kind::Reconnect, "the attempt", Errno(libc::ETIMEDOUT));
            self.failed(attempt, late);
        }
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn step(&self) {
        if self.stepping.replace(true) {
            return;
        }
        if self.is_late() {
            self.attempt_failed();
        }
        while !self.freed.get() {
            let under = self.under.take();
            let more = match under {
                Under::Lookup(lookup, trial) => self.step_lookup(lookup, trial),
                Under::Connecting(handle, trial) => self.step_connecting(handle, trial),
                Under::Shaking(handle, trial) => self.step_shaking(handle, trial),
                other => {
                    self.under.replace(other);
                    false
                }
            };
            if !more {
                break;
            }
        }
        self.stepping.set(false);
    }

    fn step_lookup(&self, lookup: Box<Lookup>, mut trial: Trial) -> bool {
        match lookup.take() {
            None => {
                self.under.replace(Under::Lookup(lookup, trial));
                return false;
            }
            Some(Ok(addresses)) => {
                trial.addresses = addresses.into();
                self.next_address(trial, Some(lookup.into_fd()), no_address());
            }
            Some(Err(error)) => self.failed(trial.attempt, error),
        }
        true
    }

    /// Connects to the next address that takes a connect; where none is left, the attempt has failed for this reason.
    /// `place`: a descriptor whose number the socket takes over.
    fn next_address(&self, mut trial: Trial, mut place: Option<OwnedFd>, mut reason: Error) {
        while let Some(address) = trial.addresses.pop_front() {
            let last = trial.addresses.is_empty();
            match begin_connect(&address, place.take(), last) {
                Ok(handle) => {
                    self.under.replace(Under::Connecting(handle, trial));
                    return;
                }
                Err(error) => reason = error,
            }
        }
        // The name may have moved.
        dns::forget(&self.host);
        self.failed(trial.attempt, reason);
    }

    fn step_connecting(&self, handle: &'static Handle, trial: Trial) -> bool {
        let Some(socket) = handle.socket() else {
            self.failed(trial.attempt, gone());
            return true;
        };
        let fd = socket.fd();
        let result = match wait(fd, libc::POLLOUT, Deadline::after_ms(0)) {
            Ok(0) => {
                self.under.replace(Under::Connecting(handle, trial));
                return false;
            }
            Ok(_) => transport::take_error(fd),
            Err(errno) => Err(errno),
        };
        match result {
            // The kernel must know a peer: it is the last word.
            Ok(Errno(0)) if socket.refresh_peer() => {}
            Ok(Errno(0)) => return self.refused(handle, trial, Errno(libc::ENOTCONN)),
            Ok(errno) | Err(errno) => return self.refused(handle, trial, errno),
        }
        socket.set_connected(true);
        socket.refresh_local();
        if let Err(error) = event::connected(&socket) {
            self.keep_thrown(error);
        }
        if self.freed.get() || !self.machine.borrow().wanted(trial.attempt) {
            // A handler has ended the attempt.
            handle.end();
            return false;
        }
        match self.put_tls_on(&socket) {
            Ok(false) => self.established(handle, trial.attempt, true),
            Ok(true) => {
                self.shaking.set(Shaking::InProgress);
                let deadline = secure::deadline(&socket).unwrap_or(trial.deadline);
                self.under
                    .replace(Under::Shaking(handle, Trial { deadline, ..trial }));
            }
            Err(error) => {
                self.shaking.set(Shaking::Failed);
                handle.end();
                self.failed(trial.attempt, error);
            }
        }
        true
    }

    fn refused(&self, handle: &'static Handle, trial: Trial, errno: Errno) -> bool {
        handle.end();
        let reason = Error::system(Kind::Reconnect, "connect", errno);
        self.next_address(trial, None, reason);
        true
    }

    fn step_shaking(&self, handle: &'static Handle, trial: Trial) -> bool {
        let Some(socket) = handle.socket() else {
            self.failed(trial.attempt, gone());
            return true;
        };
        let attempt = trial.attempt;
        // OpenSSL may call the program, which may end all this: so it finds what there is to end.
        self.under.replace(Under::Shaking(handle, trial));
        let answer = secure::shake(&socket);
        if self.freed.get() || !self.machine.borrow().wanted(attempt) {
            if let Err(error) = answer {
                self.keep_thrown(error);
            }
            return false;
        }
        match answer {
            Ok(Shaking::Complete) => {
                self.shaking.set(Shaking::Complete);
                self.save_session(&socket);
                let confirmed = !secure::may_be_refused_yet(&socket);
                self.established(handle, attempt, confirmed);
                true
            }
            Ok(waits) => {
                self.shaking.set(waits);
                false
            }
            Err(error) => {
                self.shaking.set(Shaking::Failed);
                self.failed(attempt, error);
                true
            }
        }
    }

    fn established(&self, handle: &'static Handle, attempt: u64, confirmed: bool) {
        self.under.replace(Under::Up(handle));
        self.process.set(this_process());
        self.note(Event::Established { attempt, confirmed });
    }
}

fn no_address() -> Error {
    Error::system(
        Kind::Reconnect,
        "no address to connect to",
        Errno(libc::EADDRNOTAVAIL),
    )
}

fn gone() -> Error {
    Error::system(Kind::Reconnect, "the socket was freed", Errno(libc::EBADF))
}

/// A new socket that connects to this address, in the given descriptor's place.
fn begin_connect(
    address: &SockAddr,
    place: Option<OwnedFd>,
    last: bool,
) -> Result<&'static Handle, Error> {
    let handle = match place {
        None => socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)?,
        Some(place) => new_in_place(place)?,
    };
    let started = match handle.socket() {
        Some(socket) => option::set_nonblocking(socket.fd(), true)
            .and_then(|_| limit_questions(socket.fd(), last))
            .and_then(|_| connect_address(&socket, address, None)),
        None => Err(Errno(libc::EBADF)),
    };
    started.map(|_| handle).map_err(|errno| {
        handle.end();
        Error::system(Kind::Reconnect, "connect", errno)
    })
}

/// How often the kernel asks an address that does not answer: for half a minute, or 7 seconds where there is another to try. The
/// descriptor tells of the end then.
fn limit_questions(fd: RawFd, last: bool) -> Result<(), Errno> {
    let again = if last { 4 } else { 2 };
    option::set_int(fd, libc::IPPROTO_TCP, libc::TCP_SYNCNT, again)
}

/// A new socket with the number of a descriptor that is not needed any more: who waits for that waits for the socket.
fn new_in_place(place: OwnedFd) -> Result<&'static Handle, Error> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(Error::system(Kind::Reconnect, "socket", Errno::last()));
    }
    // SAFETY: just made, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: both are open and ours.
    if unsafe { libc::dup3(socket.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) } < 0 {
        return Err(Error::system(Kind::Reconnect, "dup3", Errno::last()));
    }
    drop(socket);
    let fd = place.into_raw_fd();
    // SAFETY: open, and given up here.
    unsafe { socket::take_over(fd) }.inspect_err(|_| {
        // SAFETY: it is still ours where it was not taken.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    })
}
