//! A server's certificates for names: which one is shown is decided by the name that a client sent (SNI), right before a
//! cipher is chosen. Knows nothing of whom they convince.

use super::context::Context;
use super::identity::Identity;
use super::session::State;
use super::types::{invalid, Error};
use super::verify::{Name, Where};
use super::{paths, queue, sys};
use openssl_sys as ffi;
use std::ffi::{c_int, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// Names in a table.
const MOST_NAMES: usize = 100;
/// Certificates in a file of the table, the leaf among them.
const MOST_CERTIFICATES: usize = 10;
/// The largest file of the table.
const LARGEST: usize = 1 << 20;

/// Names and what is shown to a client that sends one of them. Sessions share it, so it is never changed in place.
pub(super) type Table = Arc<Vec<(Box<str>, Arc<Identity>)>>;

impl Context {
    /// What a server shows to clients that ask for `hostname`, in place of an earlier pair for it; `None`: to all others.
    /// Changes nothing when it fails.
    pub fn add_certificate(
        &self,
        hostname: Option<&str>,
        chain: &Path,
        key: &Path,
    ) -> Result<(), Error> {
        if !self.is_server() {
            return Err(invalid(
                "TLS: certificates for names are for servers, and the context is a client's",
            ));
        }
        let name = hostname.map(Name::strict).transpose()?;
        let (chain, key) = (paths::pem(chain)?, paths::pem(key)?);
        for pem in [&chain, &key] {
            if pem.bytes().len() > LARGEST {
                return Err(invalid(format!("{}: is larger than 1 MiB", pem.name())));
            }
        }
        let identity = self.read_identity(&chain, &key)?;
        if identity.certificates() > MOST_CERTIFICATES {
            return Err(invalid(format!(
                "{}: a chain of more than {MOST_CERTIFICATES} certificates",
                chain.name()
            )));
        }
        let (Some(hostname), Some(name)) = (hostname, name) else {
            return self.show(identity);
        };
        if !identity.is_for(&name) {
            return Err(invalid(format!(
                "{}: the certificate is not for \"{hostname}\"",
                chain.name()
            )));
        }
        self.change(|settings| {
            self.try_on(&identity)?;
            let mut names = Vec::clone(&settings.names);
            let identity = Arc::new(identity);
            let place = names
                .iter()
                .position(|(known, _)| known.eq_ignore_ascii_case(hostname));
            match place {
                Some(place) => names[place].1 = identity,
                None if names.len() >= MOST_NAMES => {
                    return Err(invalid(format!(
                        "TLS: the table of certificates has {MOST_NAMES} names already"
                    )))
                }
                None => names.push((hostname.into(), identity)),
            }
            settings.names = Arc::new(names);
            // SAFETY: a live context whose write lock is held; sessions copy it when they are made. The callback is static
            // and uses no argument.
            unsafe { sys::SSL_CTX_set_cert_cb(self.raw(), Some(choose), ptr::null_mut()) };
            Ok(())
        })
    }
}

impl Context {
    /// A pair that OpenSSL would refuse in each handshake (a weak key) is refused now. The write lock is held.
    fn try_on(&self, identity: &Identity) -> Result<(), Error> {
        // SAFETY: a live context; the SSL is ours and freed here, NULL is refused before.
        unsafe {
            let ssl = ffi::SSL_new(self.raw());
            if ssl.is_null() {
                return Err(queue::error("TLS: a new session"));
            }
            let done = identity.use_alone(ssl);
            ffi::SSL_free(ssl);
            done
        }
    }
}

/// OpenSSL is about to use the pair of a session.
unsafe extern "C" fn choose(ssl: *mut ffi::SSL, _arg: *mut c_void) -> c_int {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live SSL during its handshake.
        let Some(state) = (unsafe { State::of(ssl) }) else {
            return 1;
        };
        // SAFETY: as above; NULL, or a text that lives as long as the handshake.
        let asked = unsafe {
            let name = ffi::SSL_get_servername(ssl, ffi::TLSEXT_NAMETYPE_host_name);
            if name.is_null() {
                return 1;
            }
            CStr::from_ptr(name).to_bytes()
        };
        let names = &state.settings().names;
        match names
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(asked))
        {
            Some((_, identity)) => match identity.use_alone(ssl) {
                Ok(()) => 1,
                Err(error) => {
                    crate::log!(Error, "{}", error.text);
                    0
                }
            },
            None => 1,
        }
    }))
    .unwrap_or(0)
}

impl Identity {
    /// As a client of the Socket family would see it.
    fn is_for(&self, name: &Name) -> bool {
        queue::with_clean_queue(|| name.matches_in(self.leaf(), Where::SubjectElse))
    }
}
