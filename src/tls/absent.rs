//! The room `tls` in a build without TLS: the same surface, where no context can be made. A program that links such a
//! build gets ENOTSUP and a text from each function, and from the loop for each TLS connection.
//!
//! [`Context`] and [`Session`] have no values, so code that is given one is never reached, and the compiler knows it.

#[path = "types.rs"]
#[allow(dead_code)] // What only contexts need.
mod types;

pub use types::{
    AlpnCallback, AlpnDecider, Certificate, CertificateLines, Checked, Error, Failure, KeyLogTo,
    PasswordCallback, Peer, Place, RawVerifyCallback, SessionStore, Thrown, Timeouts, Trust,
    Verify, VerifyCallback,
};

use crate::errno::Errno;
use std::ffi::{c_int, c_long, c_void, CStr};
use std::path::Path;
use std::sync::Arc;

/// There is no OpenSSL, and so no connection object of its.
pub type SSL = c_void;
/// Nor one for a verification.
#[allow(non_camel_case_types)]
pub type X509_STORE_CTX = c_void;

/// Nor a certificate.
pub type X509 = c_void;

/// ENOTSUP.
pub fn available() -> Result<(), Error> {
    Err(absent())
}

fn absent() -> Error {
    Error {
        errno: Errno(libc::ENOTSUP),
        text: "TLS: this build of netconn was made without it".to_owned(),
    }
}

/// Nothing has returned anything.
///
/// # Safety
/// None.
pub unsafe fn result_errno(_: *mut SSL, _: c_int, _: Errno) -> Option<Errno> {
    Some(Errno(libc::ENOTSUP))
}

/// There is no OpenSSL.
pub fn openssl_version() -> Option<&'static CStr> {
    None
}

/// Nothing is kept.
pub fn cleanup() {}

/// ENOTSUP.
pub fn verify_name(_: &Path, _: &str) -> Result<bool, Error> {
    Err(absent())
}

/// There is nobody to ask.
pub fn cipher_list_matches(_: &CStr) -> bool {
    false
}

/// There is nobody to ask.
pub fn ciphersuites_match(_: &CStr) -> bool {
    false
}

/// No context can be made.
#[derive(Debug)]
pub enum Context {}

impl Context {
    /// ENOTSUP.
    pub fn client(_: Trust<'_>) -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// ENOTSUP.
    pub fn server() -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// ENOTSUP.
    pub fn socket_server(_: &Path, _: &Path, _: Option<&Path>) -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// ENOTSUP.
    pub fn socket_client(_: Option<&Path>) -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// ENOTSUP.
    pub fn socket_plain(_: c_int, _: c_int, _: Timeouts) -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// ENOTSUP.
    pub fn default_client() -> Result<Arc<Context>, Error> {
        Err(absent())
    }

    /// There is none to be set.
    pub fn set_default_client(_: Option<Arc<Context>>) {}
}

/// Methods that cannot be called: there is nothing to call them on.
macro_rules! unreachable_methods {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {
        $(#[allow(missing_docs)]
        pub fn $name(&self, $(_: $type),*) -> $result {
            match *self {}
        })*
    };
}

impl Context {
    unreachable_methods! {
        load_ca(&Path) -> Result<(), Error>;
        load_ca_pem(&[u8]) -> Result<(), Error>;
        load_certificate(&Path, &Path) -> Result<(), Error>;
        load_certificate_pem(&[u8], &[u8]) -> Result<(), Error>;
        set_verify(Verify) -> Result<(), Error>;
        set_verify_callback(Option<VerifyCallback>) -> Result<(), Error>;
        set_versions(c_int, c_int) -> Result<(), Error>;
        set_alpn(&[&[u8]]) -> Result<(), Error>;
        set_alpn_callback(Option<AlpnCallback>) -> Result<(), Error>;
        set_session_reuse(bool) -> Result<(), Error>;
        set_session_store(Option<Arc<dyn SessionStore>>) -> Result<(), Error>;
        set_password_callback(Option<PasswordCallback>) -> Result<(), Error>;
        set_keylog(KeyLogTo<'_>) -> Result<(), Error>;
        enable_early_data(u32) -> Result<(), Error>;
        disable_early_data() -> Result<(), Error>;
        ssl_ctx() -> *mut c_void;
        is_server() -> bool;
        connect(Peer<'_>) -> Result<Session, Error>;
        accept() -> Result<Session, Error>;
        terms(&str) -> Terms;
        timeouts() -> Timeouts;
        load_certificate_itself(&Path, &Path) -> Result<(), Error>;
        load_ca_itself(&Path) -> Result<(), Error>;
        add_certificate(Option<&str>, &Path, &Path) -> Result<(), Error>;
        set_verify_bits(c_int) -> Result<(), Error>;
        set_raw_verify_callback(Option<RawVerifyCallback>) -> Result<(), Error>;
        set_min_version(c_int) -> Result<(), Error>;
        set_max_version(c_int) -> Result<(), Error>;
        set_cipher_list(Option<&CStr>) -> Result<(), Error>;
        set_ciphersuites(Option<&CStr>) -> Result<(), Error>;
        set_alpn_optional(&[&[u8]]) -> Result<(), Error>;
        set_alpn_decider(Option<AlpnDecider>) -> Result<(), Error>;
        for_socket(*mut c_void) -> Result<Session, Error>;
    }
}

/// Nothing is verified under any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Terms {}

/// No handshake can begin.
#[derive(Debug)]
pub enum Session {}

impl Session {
    unreachable_methods! {
        ssl() -> *mut SSL;
        alpn() -> Option<&[u8]>;
        version() -> &'static str;
        cipher() -> Option<&'static CStr>;
        reused() -> bool;
        may_be_refused_yet() -> bool;
        verifies() -> bool;
        verify_result() -> i64;
        terms() -> Terms;
        early_data_accepted() -> bool;
        peer_certificate() -> Option<Certificate>;
        saved(Option<&Place>) -> Option<Saved>;
        is_before_handshake() -> bool;
        certificate_lines() -> Option<CertificateLines>;
        chain() -> Option<Chain>;
        protocol() -> c_int;
        protocol_name() -> &'static CStr;
        verify_code() -> c_long;
        renegotiations() -> c_int;
        is_to_renegotiate() -> bool;
        is_shaking() -> bool;
        forbid_renegotiation() -> ();
        set_hostname(&str) -> Result<(), Error>;
        ready_to_shake() -> Result<(), Failure>;
        caught() -> Option<Thrown>;
    }

    /// Nothing can be offered.
    pub fn offer(&self, _: &Saved, _: impl Fn() -> Option<Place> + Send + 'static) -> bool {
        match *self {}
    }
}

/// No peer shows any.
#[derive(Debug)]
pub enum Chain {}

impl Chain {
    unreachable_methods! {
        pointers() -> &[*mut X509];
    }
}

/// No code has come from anywhere.
pub fn verify_code_text(_: c_long) -> String {
    "this build of netconn was made without TLS".to_owned()
}

/// No session can be saved.
#[derive(Debug)]
pub enum Saved {}

impl Saved {
    unreachable_methods! {
        expired() -> bool;
        is_for_one_connection() -> bool;
    }

    /// There are no bytes of one.
    pub fn with_bytes<R>(&self, _: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match *self {}
    }

    /// No bytes are one.
    pub fn from_bytes(_: &[u8]) -> Option<Saved> {
        None
    }
}

/// The holder of a context that cannot be.
#[derive(Debug)]
pub struct Hold(Arc<Context>);

impl Hold {
    /// One more holder.
    pub fn new(context: Arc<Context>) -> Hold {
        Hold(context)
    }

    /// The context.
    pub fn context(&self) -> &Arc<Context> {
        &self.0
    }

    /// As a handle for C.
    pub fn into_raw(self) -> *const Context {
        match **self.context() {}
    }

    /// Takes a handle back.
    ///
    /// # Safety
    /// `raw` came from `into_raw`, which never returns.
    pub unsafe fn from_raw(raw: *const Context) -> Hold {
        // SAFETY: the caller's promise: a reference that somebody gave away.
        Hold(unsafe { Arc::from_raw(raw) })
    }
}
