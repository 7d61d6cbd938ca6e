//! A context's own certificate with its chain and key. Knows nothing of whom it is shown to.

use super::owned::Owned;
use super::pem::Pem;
use super::types::{invalid, Error, PasswordCallback};
use super::{certificate, queue, sys};
use openssl_sys as ffi;
use std::ffi::c_int;

/// The own pair, with the certificates that are sent after the leaf.
pub(super) struct Identity {
    leaf: Owned<ffi::X509>,
    chain: Stack,
    key: Owned<ffi::EVP_PKEY>,
    name: String,
}

impl Identity {
    /// Reads the pair and checks that it is one; `password` is asked where the key is encrypted.
    pub(super) fn read(
        chain: &Pem,
        key: &Pem,
        password: Option<&PasswordCallback>,
    ) -> Result<Identity, Error> {
        let mut certificates = chain.certificates()?.into_iter();
        let Some(leaf) = certificates.next() else {
            return Err(invalid(format!("{}: no certificate in it", chain.name())));
        };
        let identity = Identity {
            leaf,
            chain: Stack::of(certificates)?,
            key: key.key(password)?,
            name: chain.name().to_owned(),
        };
        // SAFETY: both are alive.
        let pair = unsafe {
            sys::X509_check_private_key(identity.leaf.as_ptr(), identity.key.as_ptr()) == 1
        };
        if pair {
            return Ok(identity);
        }
        let _ = queue::take_first();
        Err(invalid(format!(
            "{}: is not the key of {}",
            key.name(),
            chain.name()
        )))
    }

    /// The certificate itself, borrowed.
    pub(super) fn leaf(&self) -> *mut ffi::X509 {
        self.leaf.as_ptr()
    }

    /// How many certificates are sent.
    pub(super) fn certificates(&self) -> usize {
        // SAFETY: a live stack, or NULL (-1).
        let above = unsafe { ffi::OPENSSL_sk_num(self.chain.0) };
        1 + usize::try_from(above).unwrap_or(0)
    }

    /// Tells this certificate from another.
    pub(super) fn digest(&self) -> Result<[u8; 32], Error> {
        certificate::digest(self.leaf.as_ptr()).ok_or_else(|| queue::error(&self.name))
    }

    /// RSA, EC, ...: OpenSSL keeps a pair for each.
    pub(super) fn kind(&self) -> c_int {
        // SAFETY: a live key.
        unsafe { ffi::EVP_PKEY_id(self.key.as_ptr()) }
    }

    /// Makes it the context's pair of its kind; changes nothing when it fails.
    pub(super) fn use_in(&self, ctx: *mut ffi::SSL_CTX) -> Result<(), Error> {
        // SAFETY: all are alive; OpenSSL takes references of its own.
        let done = unsafe {
            sys::SSL_CTX_use_cert_and_key(
                ctx,
                self.leaf.as_ptr(),
                self.key.as_ptr(),
                self.chain.0.cast(),
                1,
            )
        };
        if done == 1 {
            Ok(())
        } else {
            Err(queue::error(&self.name))
        }
    }

    /// Makes it the only pair of one session.
    pub(super) fn use_alone(&self, ssl: *mut ffi::SSL) -> Result<(), Error> {
        // SAFETY: all are alive; OpenSSL takes references of its own.
        let done = unsafe {
            sys::SSL_certs_clear(ssl);
            sys::SSL_use_cert_and_key(
                ssl,
                self.leaf.as_ptr(),
                self.key.as_ptr(),
                self.chain.0.cast(),
                1,
            )
        };
        if done == 1 {
            Ok(())
        } else {
            Err(queue::error(&self.name))
        }
    }
}

/// A stack of certificates that we own.
struct Stack(*mut ffi::OPENSSL_STACK);

// SAFETY: owned, never changed after it was made; the certificates in it are reference-counted atomically.
unsafe impl Send for Stack {}
// SAFETY: as above.
unsafe impl Sync for Stack {}

impl Stack {
    fn of(certificates: impl Iterator<Item = Owned<ffi::X509>>) -> Result<Stack, Error> {
        // SAFETY: makes an empty stack, or NULL.
        let stack = Stack(unsafe { ffi::OPENSSL_sk_new_null() });
        for certificate in certificates {
            // SAFETY: a live stack (pushing to NULL fails). On success the stack owns the reference.
            if unsafe { ffi::OPENSSL_sk_push(stack.0, certificate.as_ptr().cast()) } == 0 {
                return Err(queue::error("TLS: the certificate chain"));
            }
            std::mem::forget(certificate);
        }
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        unsafe extern "C" fn free(x509: *mut std::ffi::c_void) {
            // SAFETY: called for each certificate of the stack, whose reference the stack owns.
            unsafe { ffi::X509_free(x509.cast()) };
        }
        // SAFETY: we own the stack and its references; NULL is a no-op.
        unsafe { ffi::OPENSSL_sk_pop_free(self.0, Some(free)) };
    }
}
