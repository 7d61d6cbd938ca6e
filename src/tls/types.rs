//! The plain values that pass between this room and others; the same with and without OpenSSL.

use crate::errno::Errno;
use std::any::Any;
use std::ffi::{c_int, c_void};
use std::path::Path;
use std::sync::Arc;

/// Why a context could not be made or changed.
#[derive(Clone, Debug)]
pub struct Error {
    /// For C callers.
    pub errno: Errno,
    /// What was tried, on which file, and what came back.
    pub text: String,
}

pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error {
        errno: Errno(libc::EINVAL),
        text: text.into(),
    }
}

/// Whom a new client trusts.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The system's store.
    System,
    /// A PEM file or a hashed directory, and nothing else.
    Path(&'a Path),
    /// Nobody yet.
    Nobody,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Chain and name: what a client does that was told nothing.
    Full,
    /// The chain, whatever the name.
    Chain,
    /// Nothing; a server: no certificate is asked for.
    None,
    /// A server: a client must show a certificate of a good chain.
    RequireClient,
    /// A server: what a client shows must have a good chain; it may show none.
    OptionalClient,
}

/// What a verify callback is told of one certificate.
#[derive(Debug)]
pub struct Checked<'a> {
    /// Whether OpenSSL's own check passed.
    pub preverified: bool,
    /// 0 is the leaf.
    pub depth: c_int,
    /// One line.
    pub subject: &'a str,
    /// OpenSSL's X509 verify code; X509_V_OK where its check passed.
    pub error: c_int,
}

/// The program's own word on each certificate: true accepts it.
pub type VerifyCallback = Arc<dyn Fn(&Checked<'_>) -> bool + Send + Sync>;

/// The program's own choice: gets what the client offers, in its order; gives the index of one of them, or `None` to
/// go on without a protocol.
pub type AlpnCallback = Arc<dyn Fn(&[&[u8]]) -> Option<usize> + Send + Sync>;

/// What a callback threw: kept without a look into it, for the boundary of the call that it ran inside.
pub type Thrown = Box<dyn Any + Send>;

/// As [`AlpnCallback`], of a program that may throw: that fails the handshake.
pub type AlpnDecider = Arc<dyn Fn(&[&[u8]]) -> Result<Option<usize>, Thrown> + Send + Sync>;

/// The program's own word on each certificate, with all of OpenSSL's view: whether its own check passed, its
/// `X509_STORE_CTX`, and the tag of the session (NULL where it has none). `None`: it threw, and so refused.
pub type RawVerifyCallback =
    Arc<dyn Fn(bool, *mut c_void, *mut c_void) -> Option<bool> + Send + Sync>;

/// How long the sockets of a context wait, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a handshake.
    pub handshake: c_int,
    /// For the peer's end of a session.
    pub shutdown: c_int,
    /// Between two looks at a handshake.
    pub poll: c_int,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            handshake: 30_000,
            shutdown: 5_000,
            poll: 100,
        }
    }
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

/// Where a client's connection goes, as far as a saved session is bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// A host or an address; of a Unix socket its path. Does not matter where a name is verified.
    pub host: String,
    /// Empty where there is none.
    pub port: String,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The peer's certificate was refused (`CONN_ERR_CERTIFICATE`); else the protocol failed (`CONN_ERR_TLS`).
    pub certificate: bool,
    /// One line, without the "TLS with HOST:PORT: " before it.
    pub text: String,
}

/// The peer's certificate, as `struct conn_certificate` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Subject, one line, `CN=shop.example,O=Shop`
    pub subject: String,
    /// Issuer, in the same form.
    pub issuer: String,
    /// subjectAltName, comma-separated: `shop.example, www.shop.example, 192.0.2.7`
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

/// A peer's certificate, as `SocketTLS_CertInfo` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateLines {
    /// One line, `/O=Shop/CN=shop.example`; OpenSSL's form, in ASCII.
    pub subject: String,
    /// In the same form.
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// 1 to 3.
    pub version: c_int,
    /// Upper-case hex.
    pub serial: String,
    /// Of the whole certificate.
    pub sha256: [u8; 32],
}

/// Writes the password of an encrypted key: its length, 0 when there is none.
pub type PasswordCallback = Arc<dyn Fn(&mut [u8]) -> usize + Send + Sync>;

/// Where the key log goes.
#[derive(Clone, Copy, Debug)]
pub enum KeyLogTo<'a> {
    /// Nowhere.
    Off,
    /// What `SSLKEYLOGFILE` names.
    Environment,
    /// This file.
    File(&'a Path),
}

/// The program's cache of sessions. Its functions run inside the handshake, a read or a write; they may do anything.
pub trait SessionStore: Send + Sync {
    /// Keeps a session: true when it did.
    fn store(&self, key: &str, der: &[u8]) -> bool;
    /// Writes a session that was stored: its length, 0 when there is none.
    fn load(&self, key: &str, der: &mut [u8]) -> usize;
    /// Forgets it.
    fn remove(&self, key: &str);
}
