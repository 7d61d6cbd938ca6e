//! The machine on a loop: turns what happens into events, and actions into system calls.
//!
//! Nothing is borrowed while an action runs, because `on_socket`, an OpenSSL callback or the outcome's callback may
//! close the connection, which then runs the machine again underneath.

use super::attempt;
use super::failure;
use super::machine::{Action, Cause, ErrorKind, Event, Phase, Start, State};
use super::{Conn, LOOKUP};
use crate::address_text::address_text;
use crate::clock;
use crate::dns;
use crate::errno::Errno;
use crate::evloop::{Interest, IoHandler, Task, TimerHandler};
use crate::tls;
use crate::transport::Transport;
use socket2::SockRef;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;

impl Conn {
    /// The beginning of [`Conn::open`]. Whatever is wrong is told from the loop.
    pub(super) fn begin(self: &Rc<Self>) {
        let texts = (self.text(&self.view.host), self.text(&self.view.port));
        let (Ok(host), Ok(port)) = texts else {
            self.invalid(
                State::Resolving,
                Errno(libc::EINVAL),
                "host and port have to be UTF-8",
            );
            return;
        };
        let (host, port) = (host.to_owned(), port.to_owned());
        if let (true, Err(error)) = (self.view.use_tls.get(), tls::available()) {
            // Not only after connecting: nothing that the peer does can help.
            self.invalid(State::Connecting, error.errno, &error.text);
            return;
        }
        if let Some(path) = host.strip_prefix("unix:") {
            match attempt::unix_address(path) {
                Ok(addr) => self.begin_with_addresses(vec![dns::Address {
                    addr,
                    socktype: libc::SOCK_STREAM,
                    protocol: 0,
                }]),
                Err(errno) => {
                    let limit = std::mem::size_of::<libc::sockaddr_un>() - 3;
                    let why = if errno.0 == libc::ENAMETOOLONG {
                        format!("the path is longer than {limit} bytes")
                    } else {
                        "the path is empty".to_owned()
                    };
                    self.invalid(State::Connecting, errno, &why);
                }
            }
            return;
        }
        let query = dns::Query {
            host: Some(host.clone()),
            service: Some(port.clone()),
            family: self
                .with_establishing(|e| e.options.family)
                .unwrap_or(libc::AF_UNSPEC),
            socktype: libc::SOCK_STREAM,
            protocol: libc::IPPROTO_TCP,
        };
        let bad_port = !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_err();
        match dns::literal(&query) {
            Some(answer) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let bare = bare.split('%').next().unwrap_or(bare).to_owned();
                self.with_establishing(|e| e.ascii_host = bare);
                match answer {
                    _ if bad_port => self.bad_port(State::Connecting),
                    Ok(addresses) => self.begin_with_addresses(addresses.to_vec()),
                    Err(error) => self.unresolvable_literal(error),
                }
            }
            None if bad_port => self.bad_port(State::Resolving),
            None => match dns::to_ascii(&host) {
                Some(ascii) => {
                    self.with_establishing(|e| e.ascii_host = ascii);
                    self.step(LOOKUP);
                }
                None => self.invalid(
                    State::Resolving,
                    Errno(libc::EINVAL),
                    failure::impossible_host(&host),
                ),
            },
        }
    }

    fn begin_with_addresses(self: &Rc<Self>, addresses: Vec<dns::Address>) {
        let count = addresses.len();
        self.with_establishing(|e| e.addresses = addresses);
        self.step(Event::Start(Start::Addresses(count)));
    }

    fn bad_port(&self, state: State) {
        self.invalid(
            state,
            Errno(libc::EINVAL),
            "the port is neither a number from 0 to 65535 nor a known service",
        );
    }

    fn unresolvable_literal(&self, error: dns::ResolveError) {
        if error.status == libc::EAI_SERVICE {
            self.bad_port(State::Connecting);
        } else {
            let why = error.to_string();
            self.invalid(State::Connecting, Errno(libc::EINVAL), &why);
        }
    }

    /// The program will hear from the loop that this cannot work.
    fn invalid(&self, state: State, errno: Errno, why: &str) {
        self.with_establishing(|e| e.complaint = Some(why.to_owned()));
        self.set_state(state);
        self.defer(Event::Invalid(errno.0));
    }

    /// The beginning of [`Conn::adopt`].
    pub(super) fn begin_adopted(self: &Rc<Self>, adopted: Adopted) -> Result<(), Errno> {
        let tls = self.view.use_tls.get();
        let tcp = adopted.tcp;
        // SAFETY: `check` found an open descriptor, and the caller gives it to us with this call.
        let fd = unsafe { OwnedFd::from_raw_fd(adopted.fd) };
        let options = self.with_establishing(|e| e.options.clone());
        if let (true, Some(options)) = (tcp, options) {
            // As a hint: the socket works without them too.
            let _ = attempt::set_tcp_options(&SockRef::from(&fd), &options);
        }
        self.own(Transport::plain(fd));
        self.step(Event::Start(Start::Connected));
        if !tls {
            self.defer(Event::AttemptConnected(0));
        }
        Ok(())
    }

    pub(super) fn with_establishing<R>(
        &self,
        look: impl FnOnce(&mut super::Establishing) -> R,
    ) -> Option<R> {
        self.establishing.borrow_mut().as_deref_mut().map(look)
    }

    /// Feeds an event to the machine from the loop's next round.
    pub(super) fn defer(&self, event: Event) {
        let Some(this) = self.rc() else { return };
        let mut deferred = self.deferred.take().unwrap_or_default();
        let first = deferred.is_empty();
        deferred.push(event);
        self.deferred.set(Some(deferred));
        if first {
            self.lp.defer(this);
        }
    }

    /// Feeds an event to the machine and does what it says.
    pub(super) fn step(self: &Rc<Self>, event: Event) {
        if self.forked.get() && !matches!(event, Event::Forked | Event::Close) {
            // About something that is the parent's.
            return;
        }
        let mut actions = Vec::new();
        let state = {
            let mut machine = self.machine.borrow_mut();
            machine.handle(event, clock::now(), &mut actions);
            machine.state()
        };
        // The states in which something is reported show once everything before it is released.
        if !matches!(state, State::Ready | State::Error) {
            self.set_state(state);
        }
        self.update_timer();
        let closing = event == Event::Close;
        for action in actions {
            // Closed underneath: that close has released what was there.
            if self.closed.get() && !closing {
                self.discard(action);
                continue;
            }
            self.perform(action);
        }
    }

    /// An action whose connection was closed by the action before it.
    fn discard(&self, action: Action) {
        if let Action::CloseAttempt { address, .. } = action {
            self.close_attempt(address);
        }
    }

    fn perform(self: &Rc<Self>, action: Action) {
        match action {
            Action::StartLookup => self.start_lookup(),
            Action::CancelLookup => {
                if let Some(request) = self.with_establishing(|e| e.request.take()).flatten() {
                    request.cancel();
                }
            }
            Action::StartAttempt(index) => self.start_attempt(index),
            Action::CloseAttempt { address, timed_out } => {
                if timed_out {
                    self.with_establishing(|e| e.reasons.push((address, "timed out".to_owned())));
                }
                self.close_attempt(address);
            }
            Action::Adopt(index) => {
                // The winner keeps its watcher: no system call to forget it and to know it again.
                if let Some(attempt) = self.remove_attempt(index) {
                    self.watcher.set(Some(attempt.watcher));
                    self.own(Transport::plain(attempt.socket));
                }
            }
            Action::StartTls => self.start_tls(),
            Action::DropTransport => self.drop_transport(),
            Action::CloseTransport => self.close_transport(),
            Action::ReportReady => self.report_ready(),
            Action::ReportError(cause) => self.report_error(cause),
        }
    }

    pub(super) fn update_timer(self: &Rc<Self>) {
        let (due, show) = {
            let machine = self.machine.borrow();
            (machine.next_timeout(), machine.is_connect_timer_armed())
        };
        // One timer is enough: what is established has no limits but this.
        let due = due.or_else(|| self.next_idle_look());
        if self.closed.get() || due.is_none() {
            self.drop_timer();
            return;
        }
        let timer = self
            .timer
            .take()
            .unwrap_or_else(|| self.lp.timer(self.clone()));
        self.timer.set(Some(timer.clone()));
        timer.set_deadline(due);
        let shown = if show {
            Rc::as_ptr(&timer).cast_mut().cast()
        } else {
            std::ptr::null_mut()
        };
        self.view.connect_timer.set(shown);
    }

    fn report_ready(self: &Rc<Self>) {
        let first = self.establishing.take().and_then(|e| e.options.early_data);
        self.established.set(true);
        self.set_state(State::Ready);
        if let (Some(first), Some(transport)) = (first, self.transport()) {
            // Over TLS they went with the handshake.
            transport.send_first(first);
        }
        self.go_direct();
        self.restart_idle();
        self.observer.get().on_ready(self);
        self.update_interest();
    }

    fn report_error(self: &Rc<Self>, cause: Cause) {
        let message = self.error_message(cause);
        let (kind, code) = match cause {
            Cause::Resolve(kind, code)
            | Cause::Connect(kind, code)
            | Cause::Transport(kind, code) => (kind, code),
            Cause::Timeout(_) => (ErrorKind::Timeout, libc::ETIMEDOUT),
            // TLS in a build without it: nothing is wrong with what the program asked for.
            Cause::Invalid(libc::ENOTSUP) => (ErrorKind::Tls, libc::ENOTSUP),
            Cause::Invalid(errno) => (ErrorKind::Invalid, errno),
        };
        self.set_failure(kind, code, message);
        let old = self.establishing.take();
        if let (Cause::Connect(..) | Cause::Timeout(Phase::Connect), Some(old)) = (cause, &old) {
            if old.looked_up {
                dns::forget(&old.ascii_host);
            }
        }
        drop(old);
        if !self.established.get() {
            self.drop_transport();
        }
        self.drop_timer();
        self.set_state(State::Error);
        self.observer.get().on_error(self);
        self.update_interest();
    }

    fn error_message(&self, cause: Cause) -> String {
        let endpoint = self.endpoint();
        let complaint = || {
            self.with_establishing(|e| e.complaint.take())
                .flatten()
                .unwrap_or_default()
        };
        match cause {
            Cause::Resolve(..) => format!(
                "connect to {endpoint} failed: cannot resolve the name: {}",
                complaint()
            ),
            Cause::Invalid(_) => format!("connect to {endpoint} failed: {}", complaint()),
            Cause::Connect(..) | Cause::Timeout(Phase::Connect) => {
                format!("connect to {endpoint} failed: {}", self.attempts_text())
            }
            Cause::Timeout(Phase::Resolve) => {
                format!("connect to {endpoint} failed: resolving the name timed out")
            }
            Cause::Timeout(Phase::Tls) => format!("TLS with {endpoint}: the handshake timed out"),
            // Noted when it happened.
            Cause::Transport(..) => format!("connection to {endpoint} failed"),
        }
    }

    /// `ADDRESS:PORT REASON; ADDRESS:PORT REASON`, in the order of failing.
    fn attempts_text(&self) -> String {
        let text = self.with_establishing(|e| {
            let reasons = e.reasons.iter().filter_map(|(index, reason)| {
                let addr = &e.addresses.get(*index)?.addr;
                Some(format!("{} {reason}", address_text(addr)))
            });
            reasons.collect::<Vec<_>>().join("; ")
        });
        match text {
            Some(text) if !text.is_empty() => text,
            _ => "timed out".to_owned(),
        }
    }
}

impl IoHandler for Conn {
    #[inline]
    fn on_io(self: Rc<Self>, fd: RawFd, ready: Interest) {
        // What most events are comes first.
        if ready == Interest::READ && self.direct_fd() >= 0 && self.may_read() {
            self.observer.get().on_readable(&self);
        } else {
            self.on_any_io(fd, ready);
        }
    }

    fn on_nested_run(self: Rc<Self>) {
        // Reads that come now are none of the dispatch's on the stack.
        self.dispatching.set(false);
        self.update_interest();
    }
}

impl Conn {
    /// Apart, so that what most events need stays small.
    #[inline(never)]
    fn on_any_io(self: &Rc<Self>, fd: RawFd, ready: Interest) {
        if self.direct_fd() >= 0 && !ready.any(Interest::HANGUP) {
            self.on_direct_io(ready);
        } else if self.established.get() {
            self.on_ready_io(ready);
        } else if self.transport.borrow().is_none() {
            self.on_attempt_io(fd);
        } else if self.state() == State::TlsHandshake {
            self.on_handshake_io();
        }
    }
}

impl TimerHandler for Conn {
    fn on_timer(self: Rc<Self>) {
        if self.established.get() {
            self.on_idle_timer();
        } else {
            self.step(Event::Timer);
        }
    }
}

impl Task for Conn {
    fn run(self: Rc<Self>) {
        let events = self.deferred.take().unwrap_or_default();
        for event in *events {
            if self.closed.get() {
                return;
            }
            self.step(event);
        }
    }
}

/// A socket that a program hands over, looked at before it changes owner.
pub(super) struct Adopted {
    fd: RawFd,
    tcp: bool,
    pub(super) host: CString,
    pub(super) port: CString,
}

impl Adopted {
    /// ENOTSOCK, ENOTCONN, EBADF; EINVAL for a socket that is no stream.
    pub(super) fn check(fd: RawFd) -> Result<Adopted, Errno> {
        if fd < 0 {
            return Err(Errno(libc::EBADF));
        }
        // SAFETY: used for queries alone, which answer EBADF themselves where the number is not an open descriptor.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&borrowed);
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(crate::log::invalid("the descriptor is not a stream socket"));
        }
        let peer = socket.peer_addr()?;
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        let (host, port) = match peer.as_socket() {
            Some(addr) => (addr.ip().to_string(), addr.port().to_string()),
            None => (address_text(&peer), "0".to_owned()),
        };
        let text = |text: String| CString::new(text).map_err(|_| Errno(libc::EINVAL));
        Ok(Adopted {
            fd,
            tcp: !peer.is_unix(),
            host: text(host)?,
            port: text(port)?,
        })
    }
}
