//! TLS on a socket, as far as a pool cares.

use super::super::Socket;
use crate::clock::Nanos;
use crate::tls::Session;

/// Shows the session of a socket that has TLS.
pub(super) fn with<R>(_socket: &Socket, _show: impl FnOnce(&Session) -> R) -> Option<R> {
    None
}

/// Sends a close_notify.
pub(super) fn take_leave(_socket: &Socket, _until: Nanos) {}
