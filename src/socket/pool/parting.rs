//! What happens to a socket that leaves a pool: its TLS session is kept for the next connection to the same peer, and the
//! peer hears a close_notify. Under which conditions a session may be offered is for the room `tls` to say; here it is only
//! seen to that it goes to no other peer.

use super::super::{Handle, Socket};
use super::{secure, Leaving, Pool};
use crate::clock::{self, Nanos};
use crate::tls::{Place, Saved, Session};
use socket2::SockAddr;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions of one peer: servers send two tickets, and a client may open a few connections at once.
const MAX_PER_PEER: usize = 4;
/// Sessions of a pool.
const MAX_KEPT: usize = 1000;
/// No longer is waited for a peer that takes nothing, however many sockets leave at once.
const PATIENCE: Nanos = clock::SECOND;

#[derive(Default)]
struct Sessions {
    /// The newest at the end.
    by_peer: HashMap<SocketAddr, VecDeque<Saved>>,
    /// Whose the sessions are, in the order of their keeping; of those that are gone already, too.
    order: VecDeque<SocketAddr>,
    count: usize,
}

impl Sessions {
    fn put(&mut self, peer: SocketAddr, saved: Saved) -> Vec<Saved> {
        let mut out = Vec::new();
        let queue = self.by_peer.entry(peer).or_default();
        queue.push_back(saved);
        self.order.push_back(peer);
        self.count += 1;
        if queue.len() > MAX_PER_PEER {
            out.extend(queue.pop_front());
            self.count -= 1;
        }
        while self.count > MAX_KEPT || self.order.len() > 2 * MAX_KEPT {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            // The oldest of all is the oldest of its peer, unless that one went before.
            if self.count > MAX_KEPT {
                out.extend(self.take_from(&oldest, VecDeque::pop_front));
            }
        }
        out
    }

    fn take_from(
        &mut self,
        peer: &SocketAddr,
        take: impl FnOnce(&mut VecDeque<Saved>) -> Option<Saved>,
    ) -> Option<Saved> {
        let queue = self.by_peer.get_mut(peer)?;
        let taken = take(queue);
        if queue.is_empty() {
            self.by_peer.remove(peer);
        }
        self.count -= usize::from(taken.is_some());
        taken
    }

    fn take_all(&mut self, peer: &SocketAddr) -> VecDeque<Saved> {
        let all = self.by_peer.remove(peer).unwrap_or_default();
        self.count -= all.len();
        all
    }

    fn put_back(&mut self, peer: SocketAddr, mut sessions: VecDeque<Saved>) {
        if sessions.is_empty() {
            return;
        }
        self.count += sessions.len();
        let queue = self.by_peer.entry(peer).or_default();
        // Others may have been kept meanwhile: they are newer.
        sessions.append(queue);
        while sessions.len() > MAX_PER_PEER {
            sessions.pop_front();
            self.count -= 1;
        }
        *queue = sessions;
    }
}

/// The TLS sessions that a pool keeps. They are dropped without a lock: OpenSSL may then call the program.
#[derive(Default)]
pub(super) struct Kept(Mutex<Sessions>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Sessions> {
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
        let kept = self.lock().take_all(&peer);
        let (gone, mut kept): (VecDeque<_>, VecDeque<_>) =
            kept.into_iter().partition(Saved::expired);
        // Those of other contexts and for other names wait for theirs.
        let offered = (0..kept.len()).rev().find(|at| {
            let place = place_of(peer);
            session.offer(&kept[*at], move || Some(place.clone()))
        });
        let used_up = offered.filter(|at| kept[*at].is_for_one_connection());
        let used_up = used_up.and_then(|at| kept.remove(at));
        self.lock().put_back(peer, kept);
        drop((gone, used_up));
    }

    fn keep(&self, socket: &Socket) {
        let Some(peer) = peer_of(socket) else { return };
        let saved = secure::with(socket, |session| session.saved(Some(&place_of(peer))));
        if let Some(saved) = saved.flatten() {
            let out = self.lock().put(peer, saved);
            drop(out);
        }
    }

    fn is_empty(&self) -> bool {
        self.lock().count == 0
    }

    /// Forgets what can no longer be resumed with a socket's peer.
    pub(super) fn drop_expired(&self, socket: &Socket) {
        if self.is_empty() {
            return;
        }
        let Some(peer) = peer_of(socket) else { return };
        let kept = self.lock().take_all(&peer);
        let (gone, kept): (VecDeque<_>, _) = kept.into_iter().partition(Saved::expired);
        self.lock().put_back(peer, kept);
        drop(gone);
    }
}

/// Where a connected socket goes.
fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    // SAFETY: the closure's storage is large enough for every address, and `len` says so.
    let asked = unsafe {
        SockAddr::try_init(|storage, len| {
            match libc::getpeername(socket.fd(), storage.cast(), len) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    let mut peer = asked.ok()?.1.as_socket()?;
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
        if let Some(socket) = leaving.socket.socket() {
            self.kept.keep(&socket);
            secure::take_leave(&socket, patience);
        }
        // SAFETY: the arena outlives the pool, and nobody finds the connection any more.
        unsafe { leaving.connection.wipe() };
        self.lock().free.push(leaving.connection);
    }

    /// The same for several, whose sockets end, too.
    pub(super) fn end(&self, leaving: Vec<Leaving>, shut_down: bool) {
        let patience = clock::now().saturating_add(PATIENCE);
        for leaving in leaving {
            self.part_until(&leaving, patience);
            if shut_down {
                shut(leaving.socket);
            }
            leaving.socket.end();
        }
    }
}

fn shut(handle: &Handle) {
    if let Some(socket) = handle.socket() {
        // SAFETY: no memory is involved. What is not connected has nothing to be shut down.
        unsafe { libc::shutdown(socket.fd(), libc::SHUT_RDWR) };
    }
}
