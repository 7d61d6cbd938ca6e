//! The connection's own socket: who watches it, TLS put on it, its end.

use super::failure;
use super::machine::{ErrorKind, Event, State};
use super::{client_context, linger, Conn, ALWAYS};
use crate::dns;
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls;
use crate::transport::{self, FailureKind, Operation, Stop, Transport};
use std::os::fd::OwnedFd;
use std::rc::Rc;

impl Conn {
    /// The socket is the connection's from now on.
    pub(super) fn own(&self, transport: Transport) {
        let fd = transport.fd();
        self.view.fd.set(fd);
        let watcher = self.watcher();
        let watcher = watcher.as_ref().map_or(std::ptr::null(), Rc::as_ptr);
        self.view.io_watcher.set(watcher.cast_mut().cast());
        *self.transport.borrow_mut() = Some(Rc::new(transport));
    }

    /// Watches the connection's socket, or changes what for.
    pub(super) fn watch(self: &Rc<Self>, interest: Interest) -> Result<(), Errno> {
        self.interest.set(interest);
        if let Some(watcher) = self.watcher() {
            watcher.set_interest(interest);
            return Ok(());
        }
        let watcher = self.lp.watch(self.view.fd.get(), interest, self.clone())?;
        self.view
            .io_watcher
            .set(Rc::as_ptr(&watcher).cast_mut().cast());
        self.watcher.set(Some(watcher));
        Ok(())
    }

    pub(super) fn start_tls(self: &Rc<Self>) {
        let watched = self.watcher();
        let in_call = watched.is_none() || self.is_upgrade();
        if let Some(watcher) = watched {
            // A callback of the context's may run the loop, which has nothing to do here until there is TLS.
            self.interest.set(ALWAYS);
            watcher.set_interest(ALWAYS);
        }
        match self.secure() {
            // Inside the call that adopted the socket or asked for TLS on it: the first step, which may end it, is the
            // loop's.
            Ok(()) if in_call => {
                let both = Interest(Interest::READ.0 | Interest::WRITE.0);
                if let Err(errno) = self.watch(both.with(ALWAYS)) {
                    self.fail_watch(errno);
                }
            }
            Ok(()) => self.on_handshake_io(),
            Err(failure) if in_call => {
                self.note_failure(&failure);
                self.defer(Event::TransportFailed(
                    error_kind(&failure),
                    failure.errno.0,
                ));
            }
            Err(failure) => self.fail_transport(failure),
        }
    }

    /// Puts TLS on the connection's socket.
    pub(super) fn secure(self: &Rc<Self>) -> Result<(), transport::Failure> {
        let refused = |error: tls::Error| transport::Failure {
            kind: FailureKind::Tls,
            errno: match error.errno {
                // What was asked for is impossible, in this build at least.
                Errno(libc::EINVAL | libc::ENOTSUP) => error.errno,
                errno if failure::is_resource(errno) => errno,
                _ => Errno(libc::EPROTO),
            },
            // The message says that it is about TLS.
            text: match error.text.strip_prefix("TLS: ") {
                Some(text) => text.to_owned(),
                None => error.text,
            },
        };
        let gone = || transport::Failure {
            kind: FailureKind::Io,
            errno: Errno(libc::ENOTCONN),
            text: "the socket is gone".to_owned(),
        };
        tls::available().map_err(refused)?;
        let (options, ascii_host) = self
            .with_establishing(|e| (e.options.clone(), e.ascii_host.clone()))
            .ok_or_else(gone)?;
        let session = if options.server_side {
            // Checked when the connection was made: a server side has a context.
            options.tls.as_ref().ok_or_else(gone)?.accept()
        } else {
            let named = options.server_name.as_deref();
            let ascii = named.and_then(dns::to_ascii);
            client_context(&options).and_then(|context| {
                context.connect(tls::Peer {
                    host: self.text(&self.view.host).unwrap_or_default(),
                    port: self.text(&self.view.port).unwrap_or_default(),
                    server_name: ascii.as_deref().or(named).unwrap_or(&ascii_host),
                })
            })
        }
        .map_err(refused)?;
        // Gone where a callback of the context has closed the connection.
        let plain = self.transport().ok_or_else(gone)?;
        let secure = plain.upgrade(session, options.allow_truncation, options.early_data)?;
        self.view.ssl.set(
            secure
                .session()
                .map_or(std::ptr::null_mut(), |s| s.ssl().cast()),
        );
        *self.transport.borrow_mut() = Some(Rc::new(secure));
        Ok(())
    }

    pub(super) fn on_handshake_io(self: &Rc<Self>) {
        let Some(transport) = self.transport() else {
            return;
        };
        if let Some(failure) = self.foreign_first_byte(&transport) {
            return self.fail_transport(failure);
        }
        match transport.handshake() {
            Ok(()) => self.step(Event::TlsDone),
            Err(Stop::Blocked) => {
                let watched = self.watch(transport.waits_for(Operation::Read).with(ALWAYS));
                if let Err(errno) = watched {
                    self.fail_watch(errno);
                }
            }
            // A callback that ran inside the handshake came back here: the outer call decides.
            Err(Stop::Refused(_)) => {}
            Err(Stop::Failed(failure)) => self.fail_transport(failure),
        }
    }

    /// The handshake failed; we are called from the loop.
    pub(super) fn fail_transport(self: &Rc<Self>, failure: transport::Failure) {
        if self.closed.get() {
            return;
        }
        let kind = error_kind(&failure);
        let errno = failure.errno.0;
        self.note_failure(&failure);
        self.step(Event::TransportFailed(kind, errno));
    }

    pub(super) fn fail_watch(self: &Rc<Self>, errno: Errno) {
        self.set_failure(
            ErrorKind::Resource,
            errno.0,
            format!("cannot watch the socket of {}: {errno}", self.endpoint()),
        );
        self.defer(Event::TransportFailed(ErrorKind::Resource, errno.0));
    }

    /// Writes the message of a transport's failure, before the session that knows more is gone.
    pub(super) fn note_failure(&self, failure: &transport::Failure) {
        let endpoint = self.endpoint();
        let message = match failure.kind {
            FailureKind::Io => format!("connection to {endpoint} failed: {}", failure.text),
            FailureKind::Tls | FailureKind::Certificate => {
                format!("TLS with {endpoint}: {}", failure.text)
            }
        };
        self.set_failure(error_kind(failure), failure.errno.0, message);
    }

    /// Gives the socket back to the program and ends the connection. ENOTCONN, ENOTSUP under TLS, EBUSY, EPERM: it is as it
    /// was.
    pub fn detach(self: &Rc<Self>) -> Result<OwnedFd, Errno> {
        self.event_loop().check_process()?;
        match self.state() {
            State::Ready => {}
            State::TlsHandshake => return Err(Errno(libc::ENOTSUP)),
            _ => return Err(Errno(libc::ENOTCONN)),
        }
        self.check_in_use()?;
        self.check_in_use()?;
        let transport = self.transport().ok_or(Errno(libc::ENOTCONN))?;
        if transport.session().is_some() {
            return Err(Errno(libc::ENOTSUP));
        }
        if transport.has_unsent() || transport.pending() > 0 {
            return Err(Errno(libc::EBUSY));
        }
        // Out of the kernel's set first: a description that lives on would go on with its events.
        self.drop_watcher();
        let fd = transport.give_fd().ok_or(Errno(libc::ENOTCONN))?;
        self.close();
        Ok(fd)
    }

    /// The program closed a connection that was, or had been, READY.
    pub(super) fn close_transport(self: &Rc<Self>) {
        self.drop_watcher();
        self.view.fd.set(-1);
        self.view.ssl.set(std::ptr::null_mut());
        let Some(transport) = self.transport.take() else {
            return;
        };
        let unsent = transport.close();
        if let (Some(unsent), false) = (unsent, self.lp.is_freed()) {
            linger::start(&self.lp, unsent);
        }
    }
}

fn error_kind(failure: &transport::Failure) -> ErrorKind {
    match failure.kind {
        _ if failure::is_resource(failure.errno) => ErrorKind::Resource,
        FailureKind::Io => ErrorKind::Io,
        // A name that no certificate could be for: the peer has no part in it.
        FailureKind::Tls if failure.errno.0 == libc::EINVAL => ErrorKind::Invalid,
        FailureKind::Tls => ErrorKind::Tls,
        FailureKind::Certificate => ErrorKind::Certificate,
    }
}
