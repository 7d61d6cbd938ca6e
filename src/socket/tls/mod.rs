//! TLS on a socket: putting it there, shaking hands, moving bytes, taking it off. Stands on [`Attached`], which knows no
//! sockets of ours, and on contexts; knows no SSL.
//!
//! A socket keeps what it has of TLS in a [`Slot`]. While OpenSSL runs it may run callbacks of the program's, which may free
//! the socket or drop its TLS: so every call holds what it works on, and nothing is borrowed.
//!
//! - [`shake`]: the handshake, by steps and in loops
//! - [`moves`]: bytes, for `SocketTLS_*` and for the plain calls that are routed here
//! - [`info`]: what it tells of its TLS and its peer
//! - [`leave`]: close_notify, in one direction or both, and back to plain

pub mod info;
mod leave;
mod moves;
mod shake;

pub use leave::{disable, shut_down, shut_down_sending};
pub(in crate::socket) use moves::{check_length, receive, send, send_file, send_pieces};
pub use moves::{tls_receive, tls_send, tls_send_file, FileMoved};
pub use shake::{shake, shake_by_itself, shake_within};

use super::error::{Error, Kind, Thrown};
use super::object::{Route, Socket};
use crate::errno::Errno;
use crate::evloop::Interest;
use crate::tls::{Context, Session, SSL};
use crate::transport::{Attached, Failure};
use std::cell::{Cell, RefCell};
use std::ffi::{c_short, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;

/// How far a handshake is, after a step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for the peer.
    WantsRead,
    /// It waits for the kernel to take bytes.
    WantsWrite,
    /// It is complete.
    Complete,
}

/// TLS that is on a socket.
pub(super) struct Live {
    attached: Attached,
    context: Arc<Context>,
    /// What the last step of the handshake wanted; none before the first and after the last.
    wants: Cell<Option<Interest>>,
}

impl Live {
    pub(super) fn session(&self) -> &Session {
        self.attached.session()
    }

    /// Whether the handshake is complete.
    pub(super) fn is_ready(&self) -> bool {
        self.attached.is_ready()
    }

    /// Whether a receive may still give bytes.
    pub(super) fn has_more(&self) -> bool {
        self.attached.has_more()
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What a callback of the program's threw while OpenSSL ran, to be thrown again.
    fn thrown(&self) -> Option<Error> {
        let thrown = self.session().caught()?;
        let kind = match thrown.downcast::<Thrown>() {
            Ok(thrown) => Kind::Thrown(thrown),
            Err(_) => Kind::Handshake,
        };
        Some(Error::new(kind, Errno(libc::EPROTO), ""))
    }
}

/// A socket's place for TLS.
#[derive(Default)]
pub(super) struct Slot {
    live: RefCell<Option<Rc<Live>>>,
    /// Bytes of the wire that a TLS which is gone had read ahead.
    left: RefCell<Vec<u8>>,
    /// What the program has addresses of.
    told: info::Told,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl Slot {
    /// The TLS that is on the socket.
    pub(super) fn live(&self) -> Option<Rc<Live>> {
        self.live.borrow().clone()
    }

    /// The socket ends: what TLS holds goes, without a close_notify. A call that runs OpenSSL fails.
    pub(super) fn end(&self) {
        let live = self.live.take();
        if let Some(live) = live {
            live.attached.cancel();
        }
        self.left.take();
    }
}

/// Puts TLS on a socket, in the role of the context. The handshake is still to do; before it, the socket may still be
/// connected, and told whom to expect.
pub fn enable(socket: &Socket, context: &Arc<Context>) -> Result<(), Error> {
    let refused = |errno, why: &str| {
        Err(Error::new(
            Kind::Tls,
            Errno(errno),
            format!("TLS cannot be enabled: {why}"),
        ))
    };
    if socket.fd() < 0 {
        return refused(libc::EBADF, "the socket has no descriptor");
    }
    if socket.kind() != libc::SOCK_STREAM {
        return refused(libc::EOPNOTSUPP, "the socket carries datagrams");
    }
    if socket.tls.live().is_some() {
        return refused(libc::EALREADY, "the socket has it already");
    }
    let tag = socket.handle().map_or(std::ptr::null(), std::ptr::from_ref);
    let session = context
        .for_socket(tag.cast_mut().cast::<c_void>())
        .map_err(|error| Error::new(Kind::Tls, error.errno, error.text))?;
    let ssl = session.ssl().cast::<c_void>();
    let attached = Attached::new(socket.fd(), session)
        .map_err(|failure| Error::new(Kind::Tls, failure.errno, failure.text))?;
    // What an earlier TLS had read ahead belongs to this one.
    attached.put_ahead(socket.tls.left.take());
    socket.tls.live.replace(Some(Rc::new(Live {
        attached,
        context: Arc::clone(context),
        wants: Cell::new(None),
    })));
    if let Some(handle) = socket.handle() {
        handle.set_ssl(ssl);
    }
    socket.set_route(Route::Tls);
    publish(socket);
    Ok(())
}

/// Takes TLS off: the socket is plain again, and gives out first what was read ahead.
fn drop_tls(socket: &Socket, live: &Live) {
    let ahead = live.attached.detach();
    live.attached.cancel();
    if let Some(handle) = socket.handle() {
        handle.set_ssl(std::ptr::null_mut());
    }
    socket.set_route(match ahead.is_empty() {
        true => Route::Plain,
        false => Route::LeftOver,
    });
    socket.tls.left.replace(ahead);
    let gone = socket.tls.live.take();
    drop(gone);
    publish(socket);
}

/// The `SSL`, which stays the socket's; NULL without TLS.
pub fn ssl(socket: &Socket) -> *mut SSL {
    socket
        .tls
        .live()
        .map_or(std::ptr::null_mut(), |live| live.session().ssl())
}

/// Whether there is TLS whose handshake is complete.
pub fn is_ready(socket: &Socket) -> bool {
    socket.tls.live().is_some_and(|live| live.is_ready())
}

/// Whom a client expects; before its handshake.
pub fn set_hostname(socket: &Socket, name: &str) -> Result<(), Error> {
    let live = socket
        .tls
        .live()
        .ok_or_else(|| not_enabled(Kind::Tls, "the hostname cannot be set"))?;
    live.session()
        .set_hostname(name)
        .map_err(|error| Error::new(Kind::Tls, error.errno, error.text))
}

/// Whether the socket is to be read: for an unfinished handshake, or because TLS has something that the kernel knows nothing
/// of.
pub fn wants_read(socket: &Socket) -> bool {
    match socket.tls.live() {
        None => false,
        Some(live) if live.is_ready() => live.attached.has_buffered(),
        Some(live) => live.wants.get() == Some(Interest::READ),
    }
}

/// Whether an unfinished handshake waits for the kernel to take bytes.
pub fn wants_write(socket: &Socket) -> bool {
    socket
        .tls
        .live()
        .is_some_and(|live| !live.is_ready() && live.wants.get() == Some(Interest::WRITE))
}

/// Whether a receive gives something without the kernel: decrypted bytes, a complete record read ahead, or what TLS left.
pub(super) fn has_buffered(socket: &Socket) -> bool {
    match socket.route() {
        Route::Plain => false,
        Route::LeftOver => true,
        Route::Tls => socket
            .tls
            .live()
            .is_some_and(|live| live.attached.has_buffered()),
    }
}

/// For which events of poll(2) the next send (or receive) waits.
pub(super) fn waits_for(socket: &Socket, sending: bool) -> c_short {
    let own = match sending {
        true => Interest::WRITE,
        false => Interest::READ,
    };
    let wants = socket.tls.live().map_or(own, |live| live.attached.wants());
    shake::events(wants)
}

/// Bytes that a TLS which is gone had read ahead; 0 when they were all taken.
pub(super) fn left_over(socket: &Socket, room: &mut [MaybeUninit<u8>]) -> usize {
    let mut left = socket.tls.left.borrow_mut();
    let count = left.len().min(room.len());
    for (place, byte) in room.iter_mut().zip(left.drain(..count)) {
        place.write(byte);
    }
    if left.is_empty() {
        *left = Vec::new();
        socket.set_route(Route::Plain);
    }
    drop(left);
    publish(socket);
    count
}

/// Tells poll sets what TLS waits for; after each call that may have changed it.
fn publish(socket: &Socket) {
    let shaking = match socket.tls.live() {
        Some(live) if !live.is_ready() && live.attached.failure().is_none() => {
            Some(live.wants.get().unwrap_or(Interest::NONE))
        }
        _ => None,
    };
    socket.readiness().note(shaking, has_buffered(socket));
}

fn not_enabled(kind: Kind, what: &str) -> Error {
    Error::new(
        kind,
        Errno(libc::EINVAL),
        format!("TLS: {what}: the socket has no TLS"),
    )
}

/// A failure of the transport's, as this kind.
fn told(kind: Kind, what: &str, failure: &Failure) -> Error {
    Error::new(kind, failure.errno, format!("{what}: {}", failure.text))
}
