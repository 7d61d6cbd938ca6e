//! `SocketReconnect_T`: a client that stays connected. One thread drives it: it waits for a descriptor, says when something has
//! happened there, and when time has passed.
//!
//! What is to be done is decided by [`machine`], which is pure; this file does it. Nothing is borrowed while a program's callback
//! runs, and what the callback asks for meanwhile waits in a queue until it has returned (but a socket is closed at once): so
//! callbacks never nest. After each the object may have been freed, and is then left alone.
//!
//! - [`policy`]: when and how often
//! - [`machine`]: the life
//! - [`Handle`]: what a `SocketReconnect_T` points to, for ever
//! - `attempt`: from an address to a connection, in steps
//! - `lookup`: from a name to addresses, behind a descriptor
//! - `secure`: TLS on the way

mod attempt;
mod handle;
mod lookup;
mod machine;
#[cfg(test)]
mod machine_tests;
mod policy;
mod secure;

pub(super) use handle::locked;
pub use handle::Handle;
pub use machine::State;
pub use policy::{Policy, Said, DEFAULTS};
pub use secure::Shaking;

use super::data;
use super::error::{Error, Kind, Thrown};
use super::handle::Handle as SocketHandle;
use crate::backoff;
use crate::clock;
use crate::errno::Errno;
use attempt::Under;
use machine::{Action, Event, Machine};
use secure::Tls;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{c_char, CString};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

/// The longest host or name.
const MAX_HOST: usize = 255;
/// More attempts than this are not begun inside one call: a program that asks for the next as soon as it hears of the failure of the
/// last would never return from it.
const ATTEMPTS_A_CALL: u32 = 8;

/// Hears of a change of state.
pub type Told = Rc<dyn Fn(&'static Handle, State, State) -> Result<(), Thrown>>;
/// Keeps why an attempt failed or a connection broke, for programs that ask afterwards.
pub type Keep = fn(&Error);
/// Whether the connection is well; it may take so many milliseconds.
pub type Examine = Rc<dyn Fn(&'static Handle, &'static SocketHandle, u32) -> Result<bool, Thrown>>;

/// A connection that is made again when it breaks.
pub struct Reconnect {
    handle: &'static Handle,
    host: String,
    port: u16,
    told: Option<Told>,
    keep: Keep,
    userdata: usize,
    machine: RefCell<Machine>,
    examine: RefCell<Option<Examine>>,
    under: RefCell<Under>,
    tls: RefCell<Option<Tls>>,
    /// What the handshake of the last attempt came to.
    shaking: Cell<Shaking>,
    queue: RefCell<VecDeque<Action>>,
    pumping: Cell<bool>,
    /// Whose the connection is: a forked child has a copy of it, and no word in it.
    process: Cell<libc::pid_t>,
    /// A step of an attempt is running: OpenSSL may be calling the program.
    stepping: Cell<bool>,
    freed: Cell<bool>,
    /// What a callback threw first.
    thrown: RefCell<Option<Thrown>>,
}

// SAFETY: one thread uses a connection at a time, handed on by the program with an order of its own; what is counted inside is shared
// with nobody outside.
unsafe impl Send for Reconnect {}
// SAFETY: as above.
unsafe impl Sync for Reconnect {}

/// A new one, in [`State::Disconnected`].
/// `userdata` is kept for callbacks.
pub fn new(
    host: &str,
    port: i32,
    policy: Policy,
    told: Option<Told>,
    keep: Keep,
    userdata: usize,
) -> Result<&'static Handle, Error> {
    if host.len() > MAX_HOST {
        return Err(Error::invalid(
            Kind::Reconnect,
            format!("a host has at most {MAX_HOST} bytes"),
        ));
    }
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| {
            Error::invalid(
                Kind::Reconnect,
                format!("{port} is no port to connect to (1 to 65535)"),
            )
        })?;
    Ok(Handle::new(|handle| Reconnect {
        handle,
        host: host.to_owned(),
        port,
        told,
        keep,
        userdata,
        machine: RefCell::new(Machine::new(policy)),
        examine: RefCell::default(),
        under: RefCell::default(),
        tls: RefCell::default(),
        shaking: Cell::new(Shaking::NotStarted),
        queue: RefCell::default(),
        pumping: Cell::new(false),
        process: Cell::new(0),
        stepping: Cell::new(false),
        freed: Cell::new(false),
        thrown: RefCell::default(),
    }))
}

/// Ends a connection without a word to the program. Nothing happens for one that ended.
pub fn free(handle: &'static Handle) {
    let Some(reconnect) = handle.end() else {
        return;
    };
    reconnect.freed.set(true);
    reconnect.queue.take();
    reconnect.close();
    let tls = reconnect.tls.take();
    let examine = reconnect.examine.take();
    drop((tls, examine));
}

fn this_process() -> libc::pid_t {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

impl Reconnect {
    /// What came with [`new`].
    pub fn userdata(&self) -> usize {
        self.userdata
    }

    /// See [`State`].
    pub fn state(&self) -> State {
        self.machine.borrow().state()
    }

    /// Since the last success.
    pub fn attempts(&self) -> u32 {
        self.confirm();
        self.machine.borrow().attempts()
    }

    /// One after the other.
    pub fn failures(&self) -> u32 {
        self.confirm();
        self.machine.borrow().failures()
    }

    /// The socket, while there is a connection.
    pub fn socket(&self) -> Option<&'static SocketHandle> {
        match (self.state(), &*self.under.borrow()) {
            (State::Connected, Under::Up(handle)) => Some(*handle),
            _ => None,
        }
    }

    /// What to wait for.
    pub fn pollfd(&self) -> Option<RawFd> {
        self.under.borrow().pollfd()
    }

    /// Milliseconds until [`Reconnect::tick`] has something to do.
    pub fn next_ms(&self) -> Option<u32> {
        self.machine.borrow().next_ms(clock::now())
    }

    /// The program's own examination; `None`: whether the end of the stream has come.
    pub fn set_examine(&self, examine: Option<Examine>) {
        let before = self.examine.replace(examine);
        drop(before);
    }

    /// Asks for a connection.
    pub fn connect(&self) -> Result<(), Error> {
        self.hears(Event::Connect)
    }

    /// Ends the connection, and what leads to one.
    pub fn disconnect(&self) -> Result<(), Error> {
        self.shaking.set(Shaking::NotStarted);
        self.hears(Event::Disconnect)
    }

    /// What went wrong until now does not count.
    pub fn reset(&self) -> Result<(), Error> {
        self.hears(Event::Reset)
    }

    /// Something has happened at the descriptor.
    pub fn process(&self) -> Result<(), Error> {
        self.step();
        self.finish()
    }

    /// Time has passed.
    pub fn tick(&self) -> Result<(), Error> {
        if self.is_late() {
            self.attempt_failed();
        }
        self.hears(Event::Tick)
    }

    /// Sends: how many bytes were taken, 0 when none can be now. ENOTCONN: there is no connection, or not any more.
    ///
    /// # Safety
    /// `buf` is readable for `len` bytes.
    pub unsafe fn send(&self, buf: *const u8, len: usize) -> Result<Result<usize, Errno>, Error> {
        const GONE: Errno = Errno(libc::ENOTCONN);
        let Some(handle) = self.socket() else {
            return Ok(Err(GONE));
        };
        if len == 0 {
            return Ok(Ok(0));
        }
        // As much as memory can hold.
        let len = len.min(isize::MAX as usize);
        // SAFETY: the caller's promise.
        match unsafe { data::send(handle, buf, len, 0) } {
            Ok(Some(sent)) => Ok(Ok(sent)),
            Ok(None) => Ok(Ok(0)),
            Err(error) => {
                self.has_broken(handle, error)?;
                Ok(Err(GONE))
            }
        }
    }

    /// Receives: at least one byte; 0 when the connection was found to be at its end or broken. ENOTCONN: there is none;
    /// EAGAIN: nothing is there.
    ///
    /// # Safety
    /// `buf` is writable for `len` bytes.
    pub unsafe fn receive(&self, buf: *mut u8, len: usize) -> Result<Result<usize, Errno>, Error> {
        let Some(handle) = self.socket() else {
            return Ok(Err(Errno(libc::ENOTCONN)));
        };
        if len == 0 {
            return Ok(Err(Errno(libc::EINVAL)));
        }
        let len = len.min(isize::MAX as usize);
        // SAFETY: the caller's promise.
        match unsafe { data::receive(handle, buf, len, 0) } {
            Ok(Some(count)) => {
                self.confirm();
                Ok(Ok(count))
            }
            Ok(None) => Ok(Err(Errno(libc::EAGAIN))),
            Err(error) => {
                self.has_broken(handle, error)?;
                Ok(Ok(0))
            }
        }
    }

    /// The connection over this socket is over.
    fn has_broken(&self, handle: &'static SocketHandle, error: Error) -> Result<(), Error> {
        self.keep_thrown(error);
        self.confirm();
        // A callback of OpenSSL's may have ended it already, and even begun anew.
        if self
            .socket()
            .is_some_and(|current| std::ptr::eq(current, handle))
        {
            return self.hears(Event::Broken);
        }
        self.finish()
    }

    /// An exception of the program's is to be raised again; other errors are told by what follows from them, and kept.
    fn keep_thrown(&self, error: Error) {
        match error.kind {
            Kind::Thrown(thrown) => {
                self.thrown.borrow_mut().get_or_insert(*thrown);
            }
            _ => (self.keep)(&error),
        }
    }

    /// The connection is a success when bytes have come, whoever received them: the program has the socket, too.
    fn confirm(&self) {
        if !self.machine.borrow().is_unconfirmed() {
            return;
        }
        let socket = self.socket().and_then(SocketHandle::socket);
        if socket.is_some_and(|socket| socket.stats().received.bytes > 0) {
            self.note(Event::Received);
        }
    }

    /// Takes an event, and does what follows.
    fn hears(&self, event: Event) -> Result<(), Error> {
        self.note(event);
        self.finish()
    }

    /// Takes an event. The socket is closed at once; the rest waits.
    fn note(&self, event: Event) {
        let now = clock::now();
        let actions = self
            .machine
            .borrow_mut()
            .handle(event, now, backoff::random);
        for action in actions {
            match action {
                Action::Close => self.close(),
                other => self.queue.borrow_mut().push_back(other),
            }
        }
    }

    /// Does what waits, unless a call further up the stack is at it.
    fn finish(&self) -> Result<(), Error> {
        if self.pumping.replace(true) {
            return Ok(());
        }
        let mut left = ATTEMPTS_A_CALL;
        while !self.freed.get() {
            let next = self.queue.borrow_mut().pop_front();
            let Some(action) = next else { break };
            match action {
                Action::Close => self.close(),
                Action::Report(old, new) => self.report(old, new),
                Action::Start(attempt) => {
                    let owed = self.machine.borrow().owed() == Some(attempt);
                    if owed && left > 0 {
                        left -= 1;
                        self.machine.borrow_mut().begun();
                        self.start(attempt);
                    }
                }
                Action::CheckHealth => self.check_health(),
            }
        }
        self.pumping.set(false);
        match self.thrown.borrow_mut().take() {
            Some(thrown) => Err(Error::new(Kind::Thrown(Box::new(thrown)), Errno(0), "")),
            None => Ok(()),
        }
    }

    fn report(&self, old: State, new: State) {
        if let Some(told) = &self.told {
            if let Err(thrown) = told(self.handle, old, new) {
                self.thrown.borrow_mut().get_or_insert(thrown);
            }
        }
    }

    fn check_health(&self) {
        let Some(handle) = self.socket() else { return };
        let examine = self.examine.borrow().clone();
        let well = match examine {
            Some(examine) => {
                let ms = self.machine.borrow().health_timeout_ms();
                match examine(self.handle, handle, ms) {
                    Ok(well) => well,
                    // Nothing was said against the connection.
                    Err(thrown) => {
                        self.thrown.borrow_mut().get_or_insert(thrown);
                        true
                    }
                }
            }
            None => secure::is_alive(handle),
        };
        let same = self
            .socket()
            .is_some_and(|current| std::ptr::eq(current, handle));
        if !well && same && !self.freed.get() {
            let text = format!("{} port {}: found broken", self.host, self.port);
            (self.keep)(&Error::new(Kind::Reconnect, Errno(libc::ENOTCONN), text));
            self.confirm();
            self.note(Event::Broken);
        }
    }

    /// Ends the socket, with what TLS says to that; what is to be kept of TLS is.
    fn close(&self) {
        let under = self.under.take();
        if let Under::Up(handle) = &under {
            if let Some(socket) = handle
                .socket()
                .filter(|_| self.process.get() == this_process())
            {
                self.take_leave(&socket);
            }
            if self.shaking.get() == Shaking::Complete {
                self.shaking.set(Shaking::NotStarted);
            }
        }
        under.end();
    }

    /// TLS from the next attempt on, with this name.
    pub fn set_tls(&self, context: Arc<crate::tls::Context>, hostname: &str) -> Result<(), Error> {
        let wrong = |what: String| Error::invalid(Kind::Reconnect, what);
        if hostname.is_empty() || hostname.len() > MAX_HOST {
            return Err(wrong(format!(
                "a hostname for TLS has 1 to {MAX_HOST} bytes"
            )));
        }
        let hostname =
            CString::new(hostname).map_err(|_| wrong("the hostname has a NUL".into()))?;
        let before = self.tls.replace(Some(Tls::new(context, hostname)));
        drop(before);
        Ok(())
    }

    /// No TLS from the next attempt on; what was kept for it is forgotten.
    pub fn disable_tls(&self) {
        let before = self.tls.take();
        drop(before);
    }

    /// The name that TLS expects, as long as that is set; NULL without TLS.
    pub fn tls_hostname(&self) -> *const c_char {
        let tls = self.tls.borrow();
        tls.as_ref().map_or(std::ptr::null(), |tls| tls.hostname())
    }

    /// How far the handshake of the last attempt is.
    pub fn shaking(&self) -> Shaking {
        self.shaking.get()
    }

    /// Whether sessions are kept for the next attempt. Off forgets them.
    pub fn set_resumption(&self, on: bool) {
        // Dropped when nothing is borrowed.
        let _forgotten = self
            .tls
            .borrow_mut()
            .as_mut()
            .and_then(|tls| tls.set_resumption(on));
    }

    /// Whether this connection has resumed a session; `None` unless there is one with TLS.
    pub fn is_reused(&self) -> Option<bool> {
        secure::is_reused(&*self.socket()?.socket()?)
    }
}
