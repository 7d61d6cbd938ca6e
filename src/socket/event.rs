//! What sockets tell to the program's event handlers.

use super::object::Socket;

/// A connection was accepted.
pub(super) fn accepted(_: &Socket) {}

/// A connection was made.
pub(super) fn connected(_: &Socket) {}
