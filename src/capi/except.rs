//! `core/Except.h` and the family's exception objects. Must not know who raises them.

// C names.
#![allow(non_camel_case_types, non_upper_case_globals)]

use crate::socket::Kind;
use std::ffi::c_char;

/// An exception object: `type` is its own address (the identity that EXCEPT compares), `reason` a text.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Except_T {
    /// The exported object that names the kind of exception.
    pub r#type: *const Except_T,
    /// What was wrong.
    pub reason: *const c_char,
}

// SAFETY: never written; its pointers are to objects of static storage.
unsafe impl Sync for Except_T {}

/// A socket call failed.
#[no_mangle]
pub static Socket_Failed: Except_T = Except_T {
    r#type: &raw const Socket_Failed,
    reason: c"Socket operation failed".as_ptr(),
};

/// The connection is over: the peer ended or reset it.
#[no_mangle]
pub static Socket_Closed: Except_T = Except_T {
    r#type: &raw const Socket_Closed,
    reason: c"Socket closed".as_ptr(),
};

/// A call on a Unix domain socket failed.
#[no_mangle]
pub static SocketUnix_Failed: Except_T = Except_T {
    r#type: &raw const SocketUnix_Failed,
    reason: c"Unix socket operation failed".as_ptr(),
};

/// A helper of `socket/SocketCommon.h` failed.
#[no_mangle]
pub static SocketCommon_Failed: Except_T = Except_T {
    r#type: &raw const SocketCommon_Failed,
    reason: c"SocketCommon operation failed".as_ptr(),
};

/// A datagram call failed.
#[no_mangle]
pub static SocketDgram_Failed: Except_T = Except_T {
    r#type: &raw const SocketDgram_Failed,
    reason: c"Datagram socket operation failed".as_ptr(),
};

/// There is no memory for an arena, or the request is out of range.
#[no_mangle]
pub static Arena_Failed: Except_T = Except_T {
    r#type: &raw const Arena_Failed,
    reason: c"Arena operation failed".as_ptr(),
};

/// A call on a poll set failed.
#[no_mangle]
pub static SocketPoll_Failed: Except_T = Except_T {
    r#type: &raw const SocketPoll_Failed,
    reason: c"SocketPoll operation failed".as_ptr(),
};

/// A timer could not be made.
#[no_mangle]
pub static SocketTimer_Failed: Except_T = Except_T {
    r#type: &raw const SocketTimer_Failed,
    reason: c"SocketTimer operation failed".as_ptr(),
};

/// A call on a pool failed.
#[no_mangle]
pub static SocketPool_Failed: Except_T = Except_T {
    r#type: &raw const SocketPool_Failed,
    reason: c"SocketPool operation failed".as_ptr(),
};

/// A client that stays connected could not be made or changed.
#[no_mangle]
pub static SocketReconnect_Failed: Except_T = Except_T {
    r#type: &raw const SocketReconnect_Failed,
    reason: c"SocketReconnect operation failed".as_ptr(),
};

/// A lookup could not be made.
#[no_mangle]
pub static SocketDNS_Failed: Except_T = Except_T {
    r#type: &raw const SocketDNS_Failed,
    reason: c"SocketDNS operation failed".as_ptr(),
};

/// A call on a ring buffer failed.
#[no_mangle]
pub static SocketBuf_Failed: Except_T = Except_T {
    r#type: &raw const SocketBuf_Failed,
    reason: c"SocketBuf operation failed".as_ptr(),
};

/// TLS failed, or was asked of a socket that has none.
#[no_mangle]
pub static SocketTLS_Failed: Except_T = Except_T {
    r#type: &raw const SocketTLS_Failed,
    reason: c"TLS operation failed".as_ptr(),
};

/// The handshake failed, or has not been done.
#[no_mangle]
pub static SocketTLS_HandshakeFailed: Except_T = Except_T {
    r#type: &raw const SocketTLS_HandshakeFailed,
    reason: c"TLS handshake failed".as_ptr(),
};

/// A certificate was refused.
#[no_mangle]
pub static SocketTLS_VerifyFailed: Except_T = Except_T {
    r#type: &raw const SocketTLS_VerifyFailed,
    reason: c"TLS certificate verification failed".as_ptr(),
};

/// The TLS protocol was violated.
#[no_mangle]
pub static SocketTLS_ProtocolError: Except_T = Except_T {
    r#type: &raw const SocketTLS_ProtocolError,
    reason: c"TLS protocol error".as_ptr(),
};

/// TLS could not be ended in good order.
#[no_mangle]
pub static SocketTLS_ShutdownFailed: Except_T = Except_T {
    r#type: &raw const SocketTLS_ShutdownFailed,
    reason: c"TLS shutdown failed".as_ptr(),
};

/// The exported object of a kind; for what was thrown or given by the program, its own.
pub fn object(kind: &Kind) -> *const Except_T {
    match kind {
        Kind::Socket => &raw const Socket_Failed,
        Kind::Closed => &raw const Socket_Closed,
        Kind::Unix => &raw const SocketUnix_Failed,
        Kind::Common => &raw const SocketCommon_Failed,
        Kind::Arena => &raw const Arena_Failed,
        Kind::Poll => &raw const SocketPoll_Failed,
        Kind::Timer => &raw const SocketTimer_Failed,
        Kind::Pool => &raw const SocketPool_Failed,
        Kind::Reconnect => &raw const SocketReconnect_Failed,
        Kind::Dns => &raw const SocketDNS_Failed,
        Kind::Buf => &raw const SocketBuf_Failed,
        Kind::Tls => &raw const SocketTLS_Failed,
        Kind::Handshake => &raw const SocketTLS_HandshakeFailed,
        Kind::Verify => &raw const SocketTLS_VerifyFailed,
        Kind::Protocol => &raw const SocketTLS_ProtocolError,
        Kind::Shutdown => &raw const SocketTLS_ShutdownFailed,
        Kind::Given(address) => *address as *const Except_T,
        Kind::Thrown(thrown) => thrown.kind as *const Except_T,
    }
}
