//! TLS: contexts, verification, sessions, ALPN. Knows no sockets and no loops.
//!
//! - [`queue`]: OpenSSL's error queue, kept clean for us and untouched for the host
//! - [`owned`]: references to OpenSSL's objects
//! - [`pem`], [`certificate`], [`identity`], [`trust`]: what comes from files
//! - [`verify`], [`explain`]: is it the right peer, and if not, why
//! - [`alpn`], [`sessions`], [`key`], [`tickets`]: what else a handshake decides
//! - [`context`], [`hold`], [`session`], [`terms`], [`default`]: the objects that other rooms see

mod alpn;
mod certificate;
mod context;
mod default;
mod explain;
mod hold;
mod identity;
mod key;
mod owned;
mod pem;
mod queue;
mod session;
mod sessions;
mod sys;
mod terms;
mod tickets;
mod trust;
mod verify;

#[cfg(test)]
mod tests;

pub use alpn::AlpnCallback;
pub use certificate::Certificate;
pub use context::{Context, Trust};
pub use hold::Hold;
pub use queue::with_clean_queue;
pub use session::Session;
pub use terms::Terms;
pub use verify::{Checked, Verify, VerifyCallback};

use crate::errno::Errno;
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

fn invalid(text: impl Into<String>) -> Error {
    Error {
        errno: Errno(libc::EINVAL),
        text: text.into(),
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

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The peer's certificate was refused (`CONN_ERR_CERTIFICATE`); else the protocol failed (`CONN_ERR_TLS`).
    pub certificate: bool,
    /// One line, without the "TLS with HOST:PORT: " before it.
    pub text: String,
}

impl Context {
    /// The context of a connection that names none: the program's choice, or the system's trust store.
    pub fn default_client() -> Result<Arc<Context>, Error> {
        default::get()
    }

    /// Replaces the default; `None` brings the system's back.
    pub fn set_default_client(context: Option<Arc<Context>>) {
        default::set(context);
    }
}

/// Releases what this room keeps for the process; it is made again when it is needed again.
pub fn cleanup() {
    default::cleanup();
}

/// Whether the certificate in a PEM file is for a name, as a connection would see it.
pub fn verify_name(path: &Path, name: &str) -> Result<bool, Error> {
    let name = verify::Name::parse(name)?;
    with_clean_queue(|| {
        let certificates = pem::Pem::file(path)?.certificates()?;
        Ok(certificates
            .first()
            .is_some_and(|leaf| name.matches(leaf.as_ptr())))
    })
}
