//! What happens to a socket that leaves a pool: its TLS session is kept for the next connection to the same peer, and the
//! peer hears a close_notify. Under which conditions a session may be offered is for the room `tls` to say; here it is only
//! seen to that it goes to no other peer.

use super::super::endpoint::ask;
use super::super::{Handle, Socket};
use super::shelf::{Dated, Shelf};
use super::{reconnects, secure, Leaving, Pool};
use crate::clock::{self, Nanos};
use crate::tls::{Place, Saved, Session};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// No longer is waited for a peer that takes nothing, however many sockets leave at once.
const PATIENCE: Nanos = clock::SECOND;

/// The TLS sessions that a pool keeps. They are dropped without a lock: OpenSSL may then call the program.
#[derive(Default)]
pub(super) struct Kept(Mutex<Shelf<Saved>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Shelf<Saved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the handshake of a client, which has not begun, resume a session of the same peer.
    pub(super) fn offer(&self, socket: &Socket) {
        if self.is_empty() {
            return;
        }
        let Some(peer) = peer_of(socket) else { return };
        secure::with(socket, |session| {
            if session.is_before_handshake() {
                self.offer_newest(peer, session);
            }
        });
    }

    fn offer_newest(&self, peer: SocketAddr, session: &Session) {
        let mut kept = self.take_fresh(peer);
        // Those of other contexts and for other names wait for theirs.
        let offered = (0..kept.len()).rev().find(|at| {
            let place = place_of(peer);
            session.offer(&kept[*at].1, move || Some(place.clone()))
        });
        let used_up = offered.filter(|at| kept[*at].1.is_for_one_connection());
        let used_up = used_up.and_then(|at| kept.remove(at));
        let out = self.lock().put_back(peer, kept);
        drop((used_up, out));
    }

    /// What is not expired; the rest is forgotten.
    fn take_fresh(&self, peer: SocketAddr) -> VecDeque<Dated<Saved>> {
        let kept = self.lock().take(&peer);
        kept.into_iter()
            .filter(|(_, saved)| !saved.expired())
            .collect()
    }

    fn keep(&self, socket: &Socket) {
        let Some(peer) = peer_of(socket) else { return };
        let saved = secure::with(socket, |session| session.saved(Some(&place_of(peer))));
        if let Some(saved) = saved.flatten() {
            let out = self.lock().put(peer, saved);
            drop(out);
        }
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets what can no longer be resumed with a socket's peer.
    pub(super) fn drop_expired(&self, socket: &Socket) {
        if self.is_empty() {
            return;
        }
        let Some(peer) = peer_of(socket) else { return };
        let kept = self.take_fresh(peer);
        let out = self.lock().put_back(peer, kept);
        drop(out);
    }
}

/// Where a connected socket goes, or went: the kernel forgets that when the peer resets the connection.
fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    let asked = ask(socket.fd(), libc::getpeername).and_then(|addr| addr.as_socket());
    let mut peer = asked.or_else(|| {
        // SAFETY: a NUL-terminated text that lives as long as the socket.
        let text = unsafe { CStr::from_ptr(socket.peer_text()) }
            .to_str()
            .ok()?;
        Some(SocketAddr::new(text.parse().ok()?, socket.peer_port()))
    })?;
    if let SocketAddr::V6(v6) = &mut peer {
        v6.set_flowinfo(0);
    }
    Some(peer)
}

fn place_of(peer: SocketAddr) -> Place {
    Place {
        host: peer.ip().to_string(),
        port: peer.port().to_string(),
    }
}

impl Pool {
    /// Ends what a pool has to do with a connection: TLS takes its leave, the buffers are wiped, the slot is free.
    pub(super) fn part(&self, leaving: Option<Leaving>) {
        let patience = clock::now().saturating_add(PATIENCE);
        if let Some(leaving) = leaving {
            self.part_until(&leaving, patience);
        }
    }

    fn part_until(&self, leaving: &Leaving, patience: Nanos) {
        if let Some(socket) = leaving.socket.and_then(Handle::socket) {
            self.kept.keep(&socket);
            secure::take_leave(&socket, patience);
        }
        // SAFETY: the arena outlives the pool, and nobody finds the connection any more.
        unsafe { leaving.connection.wipe() };
        reconnects::end(leaving.client);
        self.lock().free.push(leaving.connection);
    }

    /// The same for several, whose sockets end, too.
    pub(super) fn end(&self, leaving: Vec<Leaving>, shut_down: bool) {
        let patience = clock::now().saturating_add(PATIENCE);
        for leaving in leaving {
            self.part_until(&leaving, patience);
            let Some(socket) = leaving.socket else {
                continue;
            };
            if shut_down {
                shut(socket);
            }
            socket.end();
        }
    }
}

fn shut(handle: &Handle) {
    if let Some(socket) = handle.socket() {
        // SAFETY: no memory is involved. What is not connected has nothing to be shut down.
        unsafe { libc::shutdown(socket.fd(), libc::SHUT_RDWR) };
    }
}
