//! TLS on the way of a connection that is made again: put on after TCP, stepped, its session kept for the next attempt.

use super::Reconnect;
use crate::clock::{self, Nanos};
use crate::socket::error::{Error, Kind};
use crate::socket::handle::Handle;
use crate::socket::object::Socket;
use crate::socket::tls::{self, Progress};
use crate::socket::wait::{wait, Deadline};
use crate::tls::{Context, Place, Saved};
use crate::transport;
use std::ffi::{c_char, CString};
use std::sync::Arc;

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shaking {
    /// No TLS, or not yet.
    NotStarted = 0,
    /// It has begun.
    InProgress = 1,
    /// It waits for the peer.
    WantsRead = 2,
    /// It waits for the kernel to take bytes.
    WantsWrite = 3,
    /// It is complete.
    Complete = 4,
    /// It failed.
    Failed = 5,
}

/// What TLS is made of.
pub(super) struct Tls {
    context: Arc<Context>,
    hostname: CString,
    resumption: bool,
    saved: Option<Saved>,
}

impl Tls {
    pub(super) fn new(context: Arc<Context>, hostname: CString) -> Tls {
        Tls {
            context,
            hostname,
            resumption: true,
            saved: None,
        }
    }

    pub(super) fn hostname(&self) -> *const c_char {
        self.hostname.as_ptr()
    }

    /// What is forgotten.
    pub(super) fn set_resumption(&mut self, on: bool) -> Option<Saved> {
        self.resumption = on;
        match on {
            true => None,
            false => self.saved.take(),
        }
    }
}

impl Reconnect {
    fn place(&self) -> Place {
        Place {
            host: self.host.clone(),
            port: self.port.to_string(),
        }
    }

    /// Whether the connection is to have TLS, which is put on it.
    pub(super) fn put_tls_on(&self, socket: &Socket) -> Result<bool, Error> {
        let (context, hostname, saved) = match &mut *self.tls.borrow_mut() {
            None => return Ok(false),
            // A session is offered once.
            Some(tls) => (
                Arc::clone(&tls.context),
                tls.hostname.clone(),
                tls.saved.take(),
            ),
        };
        tls::enable(socket, &context)?;
        let hostname = hostname
            .to_str()
            .map_err(|_| Error::invalid(Kind::Reconnect, "the hostname for TLS is not UTF-8"))?;
        tls::set_hostname(socket, hostname)?;
        if let (Some(saved), Some(live)) = (saved, socket.tls.live()) {
            let place = self.place();
            live.session().offer(&saved, move || Some(place.clone()));
        }
        Ok(true)
    }

    /// The connection ends: what has come for its session since it was last read is heard, the session kept, and the peer told that
    /// nothing more comes, if the kernel takes that now.
    pub(super) fn take_leave(&self, socket: &Socket) {
        let Some(live) = socket.tls.live() else {
            return;
        };
        // Tickets of TLS 1.3 come when the server likes.
        live.has_more();
        self.save_session(socket);
        // Nobody waits for it to get through.
        let _ = tls::shut_down_sending(socket);
        transport::discard_received(socket.fd());
    }

    /// Keeps the session of a connection for the next one, if it has one by now.
    pub(super) fn save_session(&self, socket: &Socket) {
        let wanted = self.tls.borrow().as_ref().is_some_and(|tls| tls.resumption);
        let Some(live) = socket.tls.live().filter(|_| wanted) else {
            return;
        };
        let Some(saved) = live.session().saved(Some(&self.place())) else {
            return;
        };
        // Dropped when nothing is borrowed.
        let _old = match &mut *self.tls.borrow_mut() {
            // Not under settings that came meanwhile.
            Some(tls) if Arc::ptr_eq(&tls.context, live.context()) => tls.saved.replace(saved),
            _ => Some(saved),
        };
    }
}

/// When a handshake that begins now has taken too long.
pub(super) fn deadline(socket: &Socket) -> Option<Nanos> {
    let ms = Nanos::try_from(socket.tls.live()?.context().timeouts().handshake).ok()?;
    Some(clock::now().saturating_add(ms * clock::MILLISECOND))
}

/// One step of the handshake.
pub(super) fn shake(socket: &Socket) -> Result<Shaking, Error> {
    Ok(match tls::shake(socket)? {
        Progress::Complete => Shaking::Complete,
        Progress::WantsRead => Shaking::WantsRead,
        Progress::WantsWrite => Shaking::WantsWrite,
    })
}

/// Whether the server may still refuse the client's certificate, or that there is none: under TLS 1.3 a client is through
/// before the server has looked.
pub(super) fn may_be_refused_yet(socket: &Socket) -> bool {
    let live = socket.tls.live();
    live.is_some_and(|live| live.session().may_be_refused_yet())
}

/// Whether the socket's TLS has resumed a session; `None` without TLS.
pub(super) fn is_reused(socket: &Socket) -> Option<bool> {
    Some(socket.tls.live()?.session().reused())
}

/// Whether the end of the stream has come, as far as the kernel knows; what is to be read stays.
pub(super) fn is_alive(handle: &'static Handle) -> bool {
    let Some(socket) = handle.socket() else {
        return false;
    };
    let Some(live) = socket.tls.live() else {
        return socket.probe(0);
    };
    // What the kernel has, and what was read ahead of TLS, may be data or no more than a good-bye. Which of them can be seen by
    // decrypting it alone, and of what is decrypted the kernel tells no more: so only where the end of the stream, which it always
    // tells of, has come too.
    let ended = wait(socket.fd(), libc::POLLRDHUP, Deadline::after_ms(0));
    match ended {
        Ok(came) if came & libc::POLLRDHUP != 0 => live.has_more(),
        _ => socket.probe(0),
    }
}
