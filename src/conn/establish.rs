//! From a name to a connected socket: the lookup and the attempts that the machine asks for.

use super::attempt::{self, Attempt, Refusal};
use super::machine::{AttemptError, ErrorKind, Event};
use super::Conn;
use crate::address_text::address_text;
use crate::dns;
use crate::errno::Errno;
use crate::evloop::Interest;
use socket2::SockRef;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::rc::Rc;

impl Conn {
    pub(super) fn start_lookup(self: &Rc<Self>) {
        let Some((name, family)) =
            self.with_establishing(|e| (e.ascii_host.clone(), e.options.family))
        else {
            return;
        };
        let query = dns::Query {
            host: Some(name),
            service: self.text(&self.view.port).ok().map(str::to_owned),
            family,
            socktype: libc::SOCK_STREAM,
            protocol: libc::IPPROTO_TCP,
        };
        let this = Rc::downgrade(self);
        let done = move |answer: dns::Answer| {
            if let Some(this) = this.upgrade() {
                this.on_answer(answer);
            }
        };
        match dns::resolve(&self.lp, query, done) {
            Ok(request) => {
                // The connection counts for itself, for as long as the program wants it to.
                request.unref();
                self.with_establishing(|e| {
                    e.request = Some(request);
                    e.looked_up = true;
                });
            }
            Err(errno) => {
                self.with_establishing(|e| e.complaint = Some(errno.to_string()));
                self.defer(Event::ResolveFailed(ErrorKind::Resource, errno.0));
            }
        }
    }

    fn on_answer(self: Rc<Self>, answer: dns::Answer) {
        self.with_establishing(|e| e.request = None);
        match answer {
            Ok(addresses) => {
                let count = addresses.len();
                self.with_establishing(|e| e.addresses = addresses.to_vec());
                self.step(Event::Resolved(count));
            }
            Err(error) if error.status == libc::EAI_SERVICE => {
                let why = "the port is neither a number from 0 to 65535 nor a known service";
                self.with_establishing(|e| e.complaint = Some(why.to_owned()));
                self.step(Event::Invalid(libc::EINVAL));
            }
            Err(error) => {
                let cancelled = error == dns::ResolveError::ENDED;
                let memory = error.status == libc::EAI_MEMORY;
                let (code, why) = if cancelled {
                    (libc::ECANCELED, "the resolver was shut down".to_owned())
                } else {
                    (error.code(), error.to_string())
                };
                let kind = match memory {
                    true => ErrorKind::Resource,
                    false => ErrorKind::Resolve,
                };
                self.with_establishing(|e| e.complaint = Some(why));
                self.step(Event::ResolveFailed(kind, code));
            }
        }
    }

    pub(super) fn start_attempt(self: &Rc<Self>, index: usize) {
        let Some((addr, options)) = self
            .with_establishing(|e| Some((e.addresses.get(index)?.addr.clone(), e.options.clone())))
            .flatten()
        else {
            return;
        };
        crate::log!(Debug, "{}: trying {}", self.endpoint(), address_text(&addr));
        let started = attempt::start(&addr, &options);
        if !self.machine.borrow().awaits_attempt(index) || self.forked.get() {
            // `on_socket` closed the connection, ran the loop until the outcome was known, or took the loop over in a child:
            // the socket goes.
            return;
        }
        let started = started.and_then(|socket| {
            let watcher = self
                .lp
                .watch(
                    socket.as_raw_fd(),
                    Interest::WRITE.with(Interest::HANGUP),
                    self.clone(),
                )
                .map_err(|errno| Refusal::Errno(errno, Some("watch")))?;
            Ok(Attempt {
                index,
                socket,
                watcher,
            })
        });
        match started {
            Ok(attempt) => {
                self.with_establishing(|e| e.attempts.push(attempt));
                self.show_newest_attempt();
            }
            Err(refusal) => {
                let bound = options.local_addr.as_ref().map(|a| a.family());
                let (reason, error) = match refusal {
                    // The kernel chose the address, so what it did not find is a port.
                    Refusal::Errno(errno @ Errno(libc::EADDRNOTAVAIL), None)
                        if addr.is_ipv4() && bound != Some(addr.family()) =>
                    {
                        (errno.to_string(), AttemptError::OutOfPorts)
                    }
                    Refusal::Errno(errno, None) => {
                        (errno.to_string(), AttemptError::Errno(errno.0))
                    }
                    Refusal::Errno(errno, Some(call)) => {
                        (format!("{call}: {errno}"), AttemptError::Errno(errno.0))
                    }
                    Refusal::OnSocket(value) => (
                        format!("refused by on_socket with {value}"),
                        AttemptError::Refused,
                    ),
                };
                self.with_establishing(|e| e.reasons.push((index, reason)));
                // From the loop: this may still be inside the call that opened the connection.
                self.defer(Event::AttemptFailed(index, error));
            }
        }
    }

    /// Takes an attempt out of the race.
    pub(super) fn remove_attempt(&self, index: usize) -> Option<Attempt> {
        self.with_establishing(|e| {
            let place = e.attempts.iter().position(|a| a.index == index)?;
            Some(e.attempts.remove(place))
        })
        .flatten()
    }

    /// Closes an attempt's socket, which the loop forgets before.
    pub(super) fn close_attempt(&self, index: usize) {
        if let Some(attempt) = self.remove_attempt(index) {
            self.drop_attempt(attempt);
        }
        self.show_newest_attempt();
    }

    pub(super) fn drop_attempt(&self, attempt: Attempt) {
        attempt.watcher.close();
        if self.lp.has_lost_descriptors() {
            // The number may be somebody else's.
            let _ = attempt.socket.into_raw_fd();
        }
    }

    /// The visible members show the newest attempt while attempts race.
    pub(super) fn show_newest_attempt(&self) {
        if self.transport.borrow().is_some() {
            return;
        }
        let shown = self
            .with_establishing(|e| {
                e.attempts.last().map(|a| {
                    (
                        a.socket.as_raw_fd(),
                        Rc::as_ptr(&a.watcher).cast_mut().cast(),
                    )
                })
            })
            .flatten()
            .unwrap_or((-1, std::ptr::null_mut()));
        self.view.fd.set(shown.0);
        self.view.io_watcher.set(shown.1);
    }

    pub(super) fn on_attempt_io(self: &Rc<Self>, fd: RawFd) {
        let found = self
            .with_establishing(|e| {
                e.attempts
                    .iter()
                    .find(|a| a.socket.as_raw_fd() == fd)
                    .map(|a| a.index)
            })
            .flatten();
        let Some(index) = found else { return };
        // SAFETY: the attempt owns the descriptor, and nothing closes it before this call returns.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        match SockRef::from(&borrowed).take_error() {
            Ok(None) => self.step(Event::AttemptConnected(index)),
            Ok(Some(error)) | Err(error) => {
                let errno = Errno::from(error);
                self.close_attempt(index);
                self.with_establishing(|e| e.reasons.push((index, errno.to_string())));
                self.step(Event::AttemptFailed(index, AttemptError::Errno(errno.0)));
            }
        }
    }
}
