//! Lists of ciphers, in OpenSSL's words: checked before anything is changed, and kept for the sessions of a context whose
//! `SSL_CTX` is in use. Knows nothing of what a handshake makes of them.

use super::context::Context;
use super::owned::Owned;
use super::types::{invalid, Error};
use super::{queue, ssl_ctx};
use openssl_sys as ffi;
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// What sessions get by themselves: OpenSSL reads the lists of an `SSL_CTX` in running handshakes, without a lock.
#[derive(Clone, Default)]
pub(super) struct Ciphers {
    tls12: Option<Arc<CStr>>,
    tls13: Option<Arc<CStr>>,
}

impl Ciphers {
    /// Gives a new session what was set since the context was used first.
    pub(super) fn apply(&self, ssl: *mut ffi::SSL) -> Result<(), Error> {
        // SAFETY: a live SSL that has not begun; NUL-terminated, copied.
        let done = unsafe {
            self.tls13
                .as_ref()
                .is_none_or(|list| ffi::SSL_set_ciphersuites(ssl, list.as_ptr()) == 1)
                && self
                    .tls12
                    .as_ref()
                    .is_none_or(|list| ffi::SSL_set_cipher_list(ssl, list.as_ptr()) == 1)
        };
        match done {
            true => Ok(()),
            false => Err(queue::error("TLS: the ciphers")),
        }
    }
}

impl Context {
    /// The ciphers of TLS 1.2, as OpenSSL's list; `None`: forward secrecy and authenticated encryption.
    pub fn set_cipher_list(&self, list: Option<&CStr>) -> Result<(), Error> {
        let list = list.unwrap_or(ssl_ctx::TLS12_CIPHERS);
        if !cipher_list_matches(list) {
            return Err(unknown("cipher list", list));
        }
        self.change(|settings| {
            if self.is_used() {
                settings.ciphers.tls12 = Some(CString::from(list).into());
                return Ok(());
            }
            // SAFETY: a live context that has no SSL: the write lock is held. NUL-terminated, copied.
            match unsafe { ffi::SSL_CTX_set_cipher_list(self.raw(), list.as_ptr()) } {
                1 => Ok(()),
                _ => Err(queue::error("TLS: the cipher list")),
            }
        })
    }

    /// The suites of TLS 1.3, as OpenSSL's list; `None`: the default.
    pub fn set_ciphersuites(&self, list: Option<&CStr>) -> Result<(), Error> {
        let list = list.unwrap_or(ssl_ctx::TLS13_CIPHERS);
        if !ciphersuites_match(list) {
            return Err(unknown("list of ciphersuites", list));
        }
        self.change(|settings| {
            if self.is_used() {
                settings.ciphers.tls13 = Some(CString::from(list).into());
                return Ok(());
            }
            // SAFETY: as above.
            match unsafe { ffi::SSL_CTX_set_ciphersuites(self.raw(), list.as_ptr()) } {
                1 => Ok(()),
                _ => Err(queue::error("TLS: the ciphersuites")),
            }
        })
    }
}

fn unknown(what: &str, list: &CStr) -> Error {
    invalid(format!(
        "TLS: OpenSSL finds nothing for the {what} \"{}\"",
        list.to_string_lossy()
    ))
}

/// Whether OpenSSL finds a cipher of TLS 1.2 for a list.
pub fn cipher_list_matches(list: &CStr) -> bool {
    on_trial(list, |ctx| {
        // SAFETY: a live context of our own; NUL-terminated, copied.
        unsafe { ffi::SSL_CTX_set_cipher_list(ctx, list.as_ptr()) == 1 }
    })
}

/// Whether OpenSSL knows the suites of TLS 1.3 in a list.
pub fn ciphersuites_match(list: &CStr) -> bool {
    on_trial(list, |ctx| {
        // SAFETY: as above.
        unsafe { ffi::SSL_CTX_set_ciphersuites(ctx, list.as_ptr()) == 1 }
    })
}

/// A list that matches nothing would replace that of the context all the same: it is tried elsewhere.
fn on_trial(list: &CStr, set: impl FnOnce(*mut ffi::SSL_CTX) -> bool) -> bool {
    !list.is_empty()
        && queue::with_clean_queue(|| {
            // SAFETY: a method of OpenSSL's own; what comes back is ours.
            let ctx = unsafe { Owned::new(ffi::SSL_CTX_new(ffi::TLS_method())) };
            ctx.is_some_and(|ctx| set(ctx.as_ptr()))
        })
}
