//! What an operation of an attached stream answers, besides bytes; the same in a build without TLS.

use super::Failure;
use crate::errno::Errno;

/// Whether the kernel may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As the descriptor says: O_NONBLOCK, and its time-outs.
    Descriptors,
    /// Not at all.
    None,
}

/// Why an operation of an attached stream gave nothing. It is as before, but after a failure of TLS.
#[derive(Debug)]
pub enum Halt {
    /// Nothing can be done now (or not within the descriptor's time-out); `Attached::wants` says for what to wait.
    Blocked,
    /// The handshake is not complete (ENOTCONN), OpenSSL is running (EBUSY).
    Refused(Errno),
    /// Reading: the peer's close_notify. Writing: ours was sent.
    Ended,
    /// The transport ended without close_notify (EPROTO).
    Truncated(Failure),
    /// The socket failed (`FailureKind::Io`), or TLS did.
    Failed(Failure),
}
