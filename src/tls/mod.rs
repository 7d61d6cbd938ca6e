//! TLS: contexts, verification, sessions, ALPN. Knows no sockets and no loops.

use crate::errno::Errno;
use openssl_sys as ffi;
use std::sync::Arc;

/// Why a context could not be made or changed.
#[derive(Clone, Debug)]
pub struct Error {
    /// For C callers.
    pub errno: Errno,
    /// What was tried, on which file, and what came back.
    pub text: String,
}

/// Whom a client connects to.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// As the program named it.
    pub host: &'a str,
    /// As the program named it.
    pub port: &'a str,
    /// The name to send (names only) and to verify; an IP literal is verified as an address.
    pub server_name: &'a str,
}

/// Why a session ended.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The peer's certificate was refused (`CONN_ERR_CERTIFICATE`); else the protocol failed (`CONN_ERR_TLS`).
    pub certificate: bool,
    /// One line, without the "TLS with HOST:PORT: " before it.
    pub text: String,
}

/// The peer's certificate, as `struct conn_certificate` shows it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Subject, one line, `CN=shop.example,O=Shop`
    pub subject: String,
    /// Issuer, in the same form.
    pub issuer: String,
    /// subjectAltName, comma-separated.
    pub names: String,
    /// Hex.
    pub serial: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// Of the whole certificate.
    pub sha256: [u8; 32],
    /// Of the public key (SPKI).
    pub key_sha256: [u8; 32],
}

/// A TLS context: one role, any number of sessions, shared by threads.
pub struct Context {}

/// One TLS session before, in and after its handshake: owns an `SSL`.
pub struct Session {}

impl Context {
    /// The context of a connection that names none: the program's choice, or the system's trust store.
    pub fn default_client() -> Result<Arc<Context>, Error> {
        todo!()
    }
    /// Replaces the default; `None` brings the system's back.
    pub fn set_default_client(_context: Option<Arc<Context>>) {
        todo!()
    }
    /// A client's session with name, verification, ALPN and a session to resume, ready for a BIO.
    pub fn connect(self: &Arc<Self>, _peer: Peer<'_>) -> Result<Session, Error> {
        todo!()
    }
    /// A server's session.
    pub fn accept(self: &Arc<Self>) -> Result<Session, Error> {
        todo!()
    }
    /// Whether it is a server's context.
    pub fn is_server(&self) -> bool {
        todo!()
    }
}

impl Session {
    /// The `SSL`, owned by this session.
    pub fn ssl(&self) -> *mut ffi::SSL {
        todo!()
    }
    /// To be called when `SSL_do_handshake` succeeded, before any byte is believed: checks again what a resumption
    /// skipped.
    pub fn confirm(&self) -> Result<(), Failure> {
        todo!()
    }
    /// The reason of the failure that OpenSSL just reported; empties OpenSSL's error queue.
    pub fn failure(&self) -> Failure {
        todo!()
    }
    /// The protocol that was agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        todo!()
    }
    /// `TLSv1.3`
    pub fn version(&self) -> &'static str {
        todo!()
    }
    /// OpenSSL's name.
    pub fn cipher(&self) -> Option<&std::ffi::CStr> {
        todo!()
    }
    /// Whether an earlier session was resumed.
    pub fn reused(&self) -> bool {
        todo!()
    }
    /// OpenSSL's X509 verify code; -1 when no certificate was verified.
    pub fn verify_result(&self) -> i64 {
        todo!()
    }
    /// The peer's certificate.
    pub fn peer_certificate(&self) -> Option<Certificate> {
        todo!()
    }
}

/// Runs one OpenSSL call with a clean error queue and leaves the host's entries as they were.
pub fn with_clean_queue<R>(_call: impl FnOnce() -> R) -> R {
    todo!()
}
