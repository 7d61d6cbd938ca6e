//! What went wrong, as a value that the face turns into an exception.

use crate::errno::Errno;
use std::borrow::Cow;
use std::ffi::{c_int, CString};

/// Which exception it is to the program.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `Socket_Failed`
    Socket,
    /// `Socket_Closed`
    Closed,
    /// `SocketUnix_Failed`
    Unix,
    /// `SocketCommon_Failed`
    Common,
    /// `Arena_Failed`
    Arena,
    /// `SocketPoll_Failed`
    Poll,
    /// `SocketTimer_Failed`
    Timer,
    /// `SocketPool_Failed`
    Pool,
    /// `SocketReconnect_Failed`
    Reconnect,
    /// `SocketDNS_Failed`
    Dns,
    /// `SocketBuf_Failed`
    Buf,
    /// `SocketTLS_Failed`
    Tls,
    /// `SocketTLS_HandshakeFailed`
    Handshake,
    /// `SocketTLS_VerifyFailed`
    Verify,
    /// `SocketTLS_ProtocolError`
    Protocol,
    /// `SocketTLS_ShutdownFailed`
    Shutdown,
    /// One that the program named: the address of its object.
    Given(usize),
    /// What a callback of the program's has thrown, to be raised again.
    Thrown(Box<Thrown>),
}

/// An exception that was caught on its way out of a callback. Addresses are numbers here: this room follows none of them.
#[derive(Clone, Debug)]
pub struct Thrown {
    /// The address of the exception's object.
    pub kind: usize,
    /// Its text.
    pub reason: CString,
    /// The address of the name of the file where it was raised.
    pub file: usize,
    /// The line there.
    pub line: c_int,
}

impl Thrown {
    /// To be raised again at the boundary.
    pub fn raised(self) -> Error {
        Error {
            kind: Kind::Thrown(Box::new(self)),
            errno: Errno::last(),
            text: Cow::Borrowed(""),
        }
    }
}

/// Why a call of the family failed.
#[derive(Debug)]
pub struct Error {
    /// As which exception.
    pub kind: Kind,
    /// The system's number, 0 where there is none.
    pub errno: Errno,
    /// What was tried, on what, and what came back, in one line; empty for the kind's own text.
    pub text: Cow<'static, str>,
}

impl Error {
    /// With these words.
    pub fn new(kind: Kind, errno: Errno, text: impl Into<Cow<'static, str>>) -> Error {
        Error {
            kind,
            errno,
            text: text.into(),
        }
    }

    /// An argument that cannot be right (EINVAL).
    pub fn invalid(kind: Kind, text: impl Into<Cow<'static, str>>) -> Error {
        Error::new(kind, Errno(libc::EINVAL), text)
    }

    /// A system call failed: "`what`: Connection refused".
    pub fn system(kind: Kind, what: impl std::fmt::Display, errno: Errno) -> Error {
        Error::new(kind, errno, format!("{what}: {errno}"))
    }

    /// The connection is over, in the kind's own words.
    pub fn closed(errno: Errno) -> Error {
        Error::new(Kind::Closed, errno, "")
    }
}
