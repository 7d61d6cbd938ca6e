//! TLS on a socket, as far as a pool cares: its session, and a farewell that nobody waits long for.

use super::super::{tls, wait, Deadline, Socket};
use crate::clock::{self, Nanos};
use crate::tls::Session;

/// Shows the session of a socket that has TLS.
pub(super) fn with<R>(socket: &Socket, show: impl FnOnce(&Session) -> R) -> Option<R> {
    let live = socket.tls.live()?;
    Some(show(live.session()))
}

/// Sends a close_notify, if the kernel takes it until then and within the socket's operation time-out. Whatever becomes of
/// it, nobody is told. Where the handshake is not complete there is nothing to say.
pub(super) fn take_leave(socket: &Socket, until: Nanos) {
    let ready = socket.tls.live().is_some_and(|live| live.is_ready());
    if !ready {
        return;
    }
    let mut patience = until.saturating_sub(clock::now());
    if let Ok(operation @ 1..) = Nanos::try_from(socket.timeouts().operation) {
        patience = patience.min(operation.saturating_mul(clock::MILLISECOND));
    }
    let deadline = Deadline::after(patience);
    while let Ok(Some(false)) = tls::shut_down_sending(socket) {
        match wait(socket.fd(), libc::POLLOUT, deadline) {
            Ok(1..) => {}
            _ => return,
        }
    }
}
