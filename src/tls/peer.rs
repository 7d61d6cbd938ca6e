//! What a session tells of its peer and of itself, in the words that programs of the Socket family expect. Judges nothing.

use super::owned::Owned;
use super::session::Session;
use super::types::CertificateLines;
use super::{certificate, queue, sys};
use openssl_sys as ffi;
use std::ffi::{c_int, c_long, CStr};
use std::ptr;

/// The certificates that a peer showed, from its leaf on.
pub struct Chain {
    pointers: Box<[*mut ffi::X509]>,
    _owned: Vec<Owned<ffi::X509>>,
}

// SAFETY: the pointers are those of the references beside them, which may be sent.
unsafe impl Send for Chain {}
// SAFETY: as above.
unsafe impl Sync for Chain {}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Chain").field(&self.pointers.len()).finish()
    }
}

impl Chain {
    /// Live as long as this.
    pub fn pointers(&self) -> &[*mut ffi::X509] {
        &self.pointers
    }
}

fn line(name: *const ffi::X509_NAME) -> String {
    // SAFETY: a live name; the text that comes back is NUL-terminated, ours, and freed here.
    unsafe {
        let text = sys::X509_NAME_oneline(name, ptr::null_mut(), 0);
        if text.is_null() {
            return String::new();
        }
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        ffi::OPENSSL_free(text.cast());
        copy
    }
}

impl Session {
    /// The peer's certificate; `None` where it showed none.
    pub fn certificate_lines(&self) -> Option<CertificateLines> {
        let x509 = self.peer();
        if x509.is_null() {
            return None;
        }
        queue::with_clean_queue(|| {
            // SAFETY: a live certificate; names and times are its own.
            unsafe {
                Some(CertificateLines {
                    subject: line(ffi::X509_get_subject_name(x509)),
                    issuer: line(ffi::X509_get_issuer_name(x509)),
                    not_before: certificate::seconds(ffi::X509_getm_notBefore(x509))?,
                    not_after: certificate::seconds(ffi::X509_getm_notAfter(x509))?,
                    version: ffi::X509_get_version(x509) as c_int + 1,
                    serial: certificate::serial(x509),
                    sha256: certificate::digest(x509)?,
                })
            }
        })
    }

    /// What the peer showed, leaf first; after a resumption perhaps the leaf alone. `None` where it showed nothing.
    pub fn chain(&self) -> Option<Chain> {
        // SAFETY: a live SSL; the stack (or NULL) and what is in it are its own, and each reference that this adds is owned by
        // the value made of it.
        let owned: Vec<Owned<ffi::X509>> = unsafe {
            let stack = ffi::SSL_get_peer_cert_chain(self.ssl()).cast::<ffi::OPENSSL_STACK>();
            // -1 for NULL.
            let count = ffi::OPENSSL_sk_num(stack).max(0);
            let sent = (0..count).map(|i| ffi::OPENSSL_sk_value(stack, i).cast::<ffi::X509>());
            // A server's does not have the leaf.
            let leaf = self.peer();
            let first = Some(leaf).filter(|leaf| {
                !leaf.is_null()
                    && (count == 0
                        || ffi::X509_cmp(ffi::OPENSSL_sk_value(stack, 0).cast(), *leaf) != 0)
            });
            let each = first.into_iter().chain(sent);
            each.filter_map(|x509| {
                ffi::X509_up_ref(x509);
                Owned::new(x509)
            })
            .collect()
        };
        let pointers = owned.iter().map(Owned::as_ptr).collect();
        (!owned.is_empty()).then_some(Chain {
            pointers,
            _owned: owned,
        })
    }

    /// The version as a number of the protocol.
    pub fn protocol(&self) -> c_int {
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_version(self.ssl()) }
    }

    /// OpenSSL's name of it: `TLSv1.3`.
    pub fn protocol_name(&self) -> &'static CStr {
        // SAFETY: a live SSL; its texts are static.
        unsafe { CStr::from_ptr(ffi::SSL_get_version(self.ssl())) }
    }

    /// OpenSSL's X509 verify code of a complete handshake: as [`Session::verify_result`], but X509_V_OK where no certificate
    /// was looked at.
    pub fn verify_code(&self) -> c_long {
        match self.verify_result() {
            -1 => c_long::from(self.code()),
            code => code as c_long,
        }
    }

    /// How often a connection was renegotiated.
    pub fn renegotiations(&self) -> c_int {
        // SAFETY: a live SSL.
        let count = unsafe {
            ffi::SSL_ctrl(
                self.ssl(),
                sys::SSL_CTRL_GET_TOTAL_RENEGOTIATIONS,
                0,
                ptr::null_mut(),
            )
        };
        count as c_int
    }

    /// Whether a renegotiation waits to be done; never where the context's settings forbid them, as they do by themselves.
    pub fn is_to_renegotiate(&self) -> bool {
        // SAFETY: a live SSL.
        unsafe {
            self.protocol() < ffi::TLS1_3_VERSION
                && sys::SSL_get_options(self.ssl()) & ffi::SSL_OP_NO_RENEGOTIATION == 0
                && sys::SSL_renegotiate_pending(self.ssl()) != 0
        }
    }

    /// Whether a handshake runs, or has not begun.
    pub fn is_shaking(&self) -> bool {
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_is_init_finished(self.ssl()) == 0 }
    }

    /// From now on a renegotiation is refused.
    pub fn forbid_renegotiation(&self) {
        // SAFETY: a live SSL.
        unsafe { sys::SSL_set_options(self.ssl(), ffi::SSL_OP_NO_RENEGOTIATION) };
    }
}

/// OpenSSL's words for a verify code.
pub fn verify_code_text(code: c_long) -> String {
    super::verify::code_text(c_int::try_from(code).unwrap_or(ffi::X509_V_ERR_UNSPECIFIED))
}
