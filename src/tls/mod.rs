//! TLS: contexts, verification, sessions, ALPN. Knows no sockets and no loops.
//!
//! - [`queue`]: OpenSSL's error queue, kept clean for us and untouched for the host
//! - [`owned`]: references to OpenSSL's objects
//! - [`pem`], [`password`], [`certificate`], [`identity`], [`trust`]: what comes from files
//! - [`verify`], [`explain`]: is it the right peer, and if not, why
//! - [`alpn`], [`ciphers`], [`sni`], [`sessions`], [`key`], [`outside`], [`saved`], [`scope`], [`tickets`], [`early`]: what
//!   else a handshake decides
//! - [`keylog`]: what goes to a file
//! - [`ssl_ctx`], [`context`], [`begin`], [`hold`], [`session`], [`terms`], [`default`]: the objects that other rooms see
//! - [`family`], [`family_session`], [`paths`], [`peer`], [`result`]: what only the Socket family asks for
//! - [`types`]: the plain values that pass between this room and others
//!
//! In a build without the crate's feature `tls` the file `absent.rs` stands for this one: the same surface, where no
//! context can be made.

mod alpn;
mod begin;
mod certificate;
mod ciphers;
mod context;
mod default;
mod early;
mod explain;
mod family;
mod family_session;
mod hold;
mod identity;
mod key;
mod keylog;
mod outside;
mod owned;
mod password;
mod paths;
mod peer;
mod pem;
mod queue;
mod result;
mod saved;
mod scope;
mod session;
mod sessions;
mod sni;
mod ssl_ctx;
mod sys;
mod terms;
mod tickets;
mod trust;
mod types;
mod verify;

#[cfg(test)]
mod tests;

pub use ciphers::{cipher_list_matches, ciphersuites_match};
pub use context::Context;
pub use hold::Hold;
pub use openssl_sys::{SSL, X509, X509_STORE_CTX};
pub use owned::wipe;
pub use peer::{verify_code_text, Chain};
pub use queue::with_clean_queue;
pub use result::result_errno;
pub use saved::Saved;
pub use session::Session;
pub use terms::Terms;
pub use types::{
    AlpnCallback, AlpnDecider, Certificate, CertificateLines, Checked, Error, Failure, KeyLogTo,
    PasswordCallback, Peer, Place, RawVerifyCallback, SessionStore, Thrown, Timeouts, Trust,
    Verify, VerifyCallback,
};

use std::ffi::CStr;
use std::path::Path;
use std::sync::Arc;

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

/// Whether this build has TLS: ENOTSUP where it has not.
pub fn available() -> Result<(), Error> {
    Ok(())
}

/// What OpenSSL says of itself: "OpenSSL 3.0.17 1 Jul 2025".
pub fn openssl_version() -> Option<&'static CStr> {
    // SAFETY: gives a constant NUL-terminated text for every argument, and needs no initialisation.
    Some(unsafe { CStr::from_ptr(openssl_sys::OpenSSL_version(openssl_sys::OPENSSL_VERSION)) })
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
