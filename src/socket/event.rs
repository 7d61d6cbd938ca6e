//! What happens to sockets, told to whoever registered for it: in the thread where it happens, with no lock held.

use super::error::{Error, Kind, Thrown};
use super::object::Socket;
use std::sync::{Arc, Mutex, PoisonError};

/// So many may be registered at a time.
const MOST: usize = 8;

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A connection was accepted.
    Accepted(Connection<'a>),
    /// A connection was made.
    Connected(Connection<'a>),
    /// A lookup took too long.
    DnsTimeout {
        /// What was looked up.
        host: &'a str,
        /// For this port.
        port: i32,
    },
    /// A poll set has events.
    PollWakeup {
        /// How many.
        count: i32,
        /// How long it was to wait at most.
        timeout_ms: i32,
    },
}

/// The two ends of a connection, in numbers; empty where they are not known.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The descriptor.
    pub fd: i32,
    /// The address of the other end.
    pub peer: &'a str,
    /// Its port.
    pub peer_port: i32,
    /// The address of this end.
    pub local: &'a str,
    /// Its port.
    pub local_port: i32,
}

/// Hears of events; may throw.
pub type Handler = Arc<dyn Fn(&Event<'_>) -> Result<(), Thrown> + Send + Sync>;

/// What tells registrations apart: a function's address and its argument's.
pub type Key = (usize, usize);

static HANDLERS: Mutex<Vec<(Key, Handler)>> = Mutex::new(Vec::new());

/// Whether there was room, and nobody with this key.
pub fn register(key: Key, handler: Handler) -> bool {
    let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
    if handlers.len() >= MOST || handlers.iter().any(|(other, _)| *other == key) {
        return false;
    }
    handlers.push((key, handler));
    true
}

/// Whether there was one with this key.
pub fn unregister(key: Key) -> bool {
    let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = handlers.len();
    handlers.retain(|(other, _)| *other != key);
    handlers.len() < before
}

/// Whether anybody listens: ask before making texts.
pub fn listened_to() -> bool {
    !HANDLERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_empty()
}

/// Tells all handlers, also after one has thrown. The error is what was thrown first, to be raised again; what it is about has
/// happened all the same.
pub fn emit(event: &Event<'_>) -> Result<(), Error> {
    let handlers: Vec<Handler> = {
        let handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        handlers
            .iter()
            .map(|(_, handler)| Arc::clone(handler))
            .collect()
    };
    let mut thrown = None;
    for handler in handlers {
        if let Err(another) = handler(event) {
            thrown.get_or_insert(another);
        }
    }
    match thrown {
        Some(thrown) => Err(thrown.raised()),
        None => Ok(()),
    }
}

/// This socket came from an accept.
pub(super) fn accepted(socket: &Socket) -> Result<(), Error> {
    with_ends(socket, |ends| emit(&Event::Accepted(ends)))
}

/// This socket was connected.
pub(super) fn connected(socket: &Socket) -> Result<(), Error> {
    with_ends(socket, |ends| emit(&Event::Connected(ends)))
}

fn with_ends(
    socket: &Socket,
    tell: impl FnOnce(Connection<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if !listened_to() {
        return Ok(());
    }
    let (peer, local) = (socket.peer.shown(), socket.local.shown());
    tell(Connection {
        fd: socket.fd(),
        peer: &peer,
        peer_port: socket.peer.port().into(),
        local: &local,
        local_port: socket.local.port().into(),
    })
}

/// A lookup has waited too long. Told on a thread of the library: what a handler throws there is said in the log.
pub(super) fn dns_timeout(host: &str, port: u16) {
    let port = i32::from(port);
    if let Err(error) = emit(&Event::DnsTimeout { host, port }) {
        let Kind::Thrown(thrown) = &error.kind else {
            return;
        };
        crate::log!(
            Error,
            "a handler of events has raised on a thread of the library: {}",
            thrown.reason.to_string_lossy()
        );
    }
}
