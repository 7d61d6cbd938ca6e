//! `netconn_tls.h`: TLS contexts.

// C names, and enums that only C programs use; what a C caller has to keep to stands in each comment, which becomes the
// header's.
#![allow(non_camel_case_types, dead_code, clippy::missing_safety_doc)]

use super::guard::{self, fallible, infallible, FailureValue};
use super::tls_callbacks::{alpn_callback, verify_callback, Arg};
use super::tls_types::SocketTLSContext_T;
use super::types::c_bool;
use crate::errno::Errno;
use crate::tls::{self, Context, Error, Hold, Trust, Verify};
use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_long, c_void, CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// What of the peer's certificate is verified.
#[repr(C)]
pub enum netconn_tls_verify {
    /// Clients: chain and name. The default.
    NETCONN_TLS_VERIFY_FULL,
    /// Clients: the chain, whatever the name.
    NETCONN_TLS_VERIFY_CHAIN,
    /// Clients: nothing, so the peer may be anybody. Servers: no certificate is asked for, their default.
    NETCONN_TLS_VERIFY_NONE,
    /// Servers: a client must show a certificate of a trusted chain.
    NETCONN_TLS_VERIFY_REQUIRE_CLIENT,
    /// Servers: a client may show none; one that it shows must be of a trusted chain.
    NETCONN_TLS_VERIFY_OPTIONAL_CLIENT,
}

/// An `enum netconn_tls_verify` as an integer, checked before it becomes anything else.
pub type netconn_tls_verify_t = i32;

/// A server's choice among the `n` protocols that a client offers, in the client's order: one of them, or NULL to go on
/// without. Anything else counts as NULL. What is offered is valid during the call, and so has to be what is returned
/// until the library has copied it, right after the return.
///
/// Runs inside the handshake, on the thread of the connection, without a lock; must not throw or longjmp.
pub type netconn_tls_alpn_cb = Option<
    unsafe extern "C" fn(
        offered: *const *const c_char,
        n: usize,
        arg: *mut c_void,
    ) -> *const c_char,
>;

/// The program's word on a certificate of the peer's chain: 1 accepts, 0 refuses it.
///
/// Called for each certificate from the root to the leaf (depth 0) after OpenSSL's own check, and for each fault that it
/// found: `preverified` is then 0 and `x509_error` OpenSSL's code (X509_V_ERR_..., else 0). Returning `preverified` changes
/// nothing. `subject` is valid during the call. What is accepted against OpenSSL's judgement is not remembered: later
/// connections ask again.
///
/// Runs inside the handshake, on the thread of the connection, without a lock; must not throw or longjmp.
pub type netconn_tls_verify_cb = Option<
    unsafe extern "C" fn(
        preverified: c_int,
        depth: c_int,
        subject: *const c_char,
        x509_error: c_long,
        arg: *mut c_void,
    ) -> c_int,
>;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of a function whose failures have a text. In a build without TLS each fails, whatever it is given.
pub(super) fn explained<R: FailureValue>(body: impl FnOnce() -> Result<R, Error>) -> R {
    fallible(|| {
        tls::available().and_then(|()| body()).map_err(|error| {
            let mut text = error.text.into_bytes();
            text.retain(|byte| *byte != 0);
            let text = CString::new(text).unwrap_or_default();
            // A thread that is ending has no place for a text any more.
            let _ = LAST_ERROR.try_with(|last| last.replace(text));
            error.errno
        })
    })
}

pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error {
        errno: Errno(libc::EINVAL),
        text: text.into(),
    }
}

/// The context behind a handle, with a reference of its own; `None` for NULL.
///
/// # Safety
/// `handle` is NULL or was made here and not freed.
pub unsafe fn context(handle: SocketTLSContext_T) -> Option<Arc<Context>> {
    if handle.is_null() {
        return None;
    }
    // SAFETY: the address came from an Arc, whose count the handle's holder has a part in.
    unsafe {
        Arc::increment_strong_count(handle);
        Some(Arc::from_raw(handle))
    }
}

/// As [`context`], for functions that need one.
pub(super) unsafe fn required(handle: SocketTLSContext_T) -> Result<Arc<Context>, Error> {
    // SAFETY: the caller's promise.
    unsafe { context(handle) }.ok_or_else(|| invalid("TLS: the context is NULL"))
}

fn handle(context: Arc<Context>) -> SocketTLSContext_T {
    Hold::new(context).into_raw().cast_mut()
}

/// A file's name: any bytes but NUL. `what` is the file, for the text about NULL.
pub(super) unsafe fn path<'a>(text: *const c_char, what: &str) -> Result<&'a Path, Error> {
    if text.is_null() {
        return Err(invalid(format!("TLS: the path of the {what} is NULL")));
    }
    // SAFETY: not NULL, and the C program gives a NUL-terminated string that it does not change during the call.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    if bytes.is_empty() {
        return Err(Error {
            errno: Errno(libc::ENOENT),
            text: format!("TLS: the path of the {what} is empty"),
        });
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// PEM in memory.
unsafe fn pem<'a>(data: *const c_void, len: usize, what: &str) -> Result<&'a [u8], Error> {
    // SAFETY: the C program gives `len` bytes that it does not change during the call.
    match unsafe { guard::bytes(data, len) } {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(invalid(format!("TLS: there are no bytes of the {what}"))),
    }
}

/// A client's context. Verifies chain and name of every server.
///
/// `ca`: whom to trust, a PEM file or a hashed directory, and nobody else. NULL: the system's trust store; the environment
/// variables SSL_CERT_FILE and SSL_CERT_DIR replace its places.
///
/// Returns the context, to be freed with netconn_tls_free; NULL with errno ENOENT (no such file, or no trust store was
/// found), EACCES, EINVAL (no certificate in it), ENOMEM.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_client(ca: *const c_char) -> SocketTLSContext_T {
    explained(|| {
        let trust = if ca.is_null() {
            Trust::System
        } else {
            // SAFETY: as a C string.
            Trust::Path(unsafe { path(ca, "CA certificates") }?)
        };
        Context::client(trust).map(handle)
    })
}

/// A server's context.
///
/// `cert_chain`: a PEM file with the certificate and, after it, the intermediate ones; `key`: a PEM file with its private
/// key. Both NULL: netconn_tls_load_certificate comes later (after netconn_tls_set_password_callback, where the key is
/// encrypted). `client_ca`: a PEM file or a hashed directory; clients must
/// then show a certificate that it vouches for. NULL: clients are not asked for one.
///
/// Returns the context, to be freed with netconn_tls_free; NULL with errno ENOENT, EACCES, EINVAL (not PEM, an encrypted
/// key, a key of another certificate, a weak one, one path without the other), ENOMEM.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_server(
    cert_chain: *const c_char,
    key: *const c_char,
    client_ca: *const c_char,
) -> SocketTLSContext_T {
    explained(|| {
        let context = Context::server()?;
        if !cert_chain.is_null() || !key.is_null() {
            // SAFETY: as C strings.
            let (cert_chain, key) =
                unsafe { (path(cert_chain, "certificate")?, path(key, "key")?) };
            context.load_certificate(cert_chain, key)?;
        }
        if !client_ca.is_null() {
            // SAFETY: as a C string.
            context.load_ca(unsafe { path(client_ca, "clients' CA certificates") }?)?;
            context.set_verify(Verify::RequireClient)?;
        }
        Ok(handle(context))
    })
}

/// Frees a context and sets the variable to NULL; NULL, and a variable that is NULL, are no-ops. Connections that use the
/// context go on; its callbacks are not called any more (one that another thread is in right now still returns), and a
/// handshake that would need one fails. A context that is also the default of the process lives on as that.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_free(context: *mut SocketTLSContext_T) {
    infallible((), || {
        // SAFETY: NULL, or the program's variable.
        let Some(variable) = (unsafe { context.as_mut() }) else {
            return;
        };
        let handle = std::mem::replace(variable, ptr::null_mut());
        if !handle.is_null() {
            // SAFETY: made by `handle` above and not freed before, as the program promises.
            drop(unsafe { Hold::from_raw(handle) });
        }
    });
}

/// Adds certificates to those that are trusted: a PEM file or a hashed directory. Repeated calls accumulate.
///
/// Returns 0; -1 with errno ENOENT, EACCES, EINVAL (no certificate in it), ENOMEM; then nothing was added.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_load_ca(
    context: SocketTLSContext_T,
    path: *const c_char,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL, and a C string.
        let (context, path) = unsafe { (required(context)?, self::path(path, "CA certificates")?) };
        context.load_ca(path).map(|()| 0)
    })
}

/// As netconn_tls_load_ca, from `len` bytes of PEM.
///
/// Returns 0; -1 with errno EINVAL (no certificate in it), ENOMEM; then nothing was added.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_load_ca_pem(
    context: SocketTLSContext_T,
    pem: *const c_void,
    len: usize,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL, and bytes with their length.
        let (context, pem) =
            unsafe { (required(context)?, self::pem(pem, len, "CA certificates")?) };
        context.load_ca_pem(pem).map(|()| 0)
    })
}

/// Replaces the certificate that is shown to peers, by clients too (mutual TLS): PEM files with the certificate, followed by
/// the intermediate ones, and with its private key. The library's copy of the key file is wiped from memory. The password of
/// an encrypted key is asked of netconn_tls_set_password_callback's function, never on the terminal.
///
/// Returns 0; -1 with errno ENOENT, EACCES, EINVAL (not PEM, an encrypted key without a password or with a wrong one, a key of
/// another certificate, a weak one), ENOMEM, ECANCELED (the password callback freed the context); then the earlier pair
/// stays.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_load_certificate(
    context: SocketTLSContext_T,
    cert_chain: *const c_char,
    key: *const c_char,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL, and C strings.
        let (context, cert_chain, key) = unsafe {
            (
                required(context)?,
                path(cert_chain, "certificate")?,
                path(key, "key")?,
            )
        };
        context.load_certificate(cert_chain, key).map(|()| 0)
    })
}

/// As netconn_tls_load_certificate, from PEM in memory, which stays the caller's.
///
/// Returns 0; -1 with errno EINVAL, ENOMEM, ECANCELED as netconn_tls_load_certificate; then the earlier pair stays.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_load_certificate_pem(
    context: SocketTLSContext_T,
    chain: *const c_void,
    chain_len: usize,
    key: *const c_void,
    key_len: usize,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL, and bytes with their lengths.
        let (context, chain, key) = unsafe {
            (
                required(context)?,
                pem(chain, chain_len, "certificate")?,
                pem(key, key_len, "key")?,
            )
        };
        context.load_certificate_pem(chain, key).map(|()| 0)
    })
}

/// What of the peer's certificate is verified. NETCONN_TLS_VERIFY_NONE on a client is said once in the log.
///
/// Returns 0; -1 with errno EINVAL for a value that is unknown or of the other side.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_verify(
    context: SocketTLSContext_T,
    mode: netconn_tls_verify_t,
) -> c_int {
    use netconn_tls_verify::{
        NETCONN_TLS_VERIFY_CHAIN as CHAIN, NETCONN_TLS_VERIFY_FULL as FULL,
        NETCONN_TLS_VERIFY_NONE as NONE, NETCONN_TLS_VERIFY_OPTIONAL_CLIENT as OPTIONAL,
        NETCONN_TLS_VERIFY_REQUIRE_CLIENT as REQUIRE,
    };
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let mode = match mode {
            _ if mode == FULL as i32 => Verify::Full,
            _ if mode == CHAIN as i32 => Verify::Chain,
            _ if mode == NONE as i32 => Verify::None,
            _ if mode == REQUIRE as i32 => Verify::RequireClient,
            _ if mode == OPTIONAL as i32 => Verify::OptionalClient,
            _ => {
                return Err(invalid(format!(
                    "TLS: there is no verification mode {mode}"
                )))
            }
        };
        context.set_verify(mode).map(|()| 0)
    })
}

/// Asks the program about each certificate of a peer's chain; NULL: no more. May come before or after every other setter.
///
/// Returns 0; -1 with errno EINVAL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_verify_callback(
    context: SocketTLSContext_T,
    callback: netconn_tls_verify_cb,
    arg: *mut c_void,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let callback = callback.map(|function| verify_callback(function, Arg(arg)));
        context.set_verify_callback(callback).map(|()| 0)
    })
}

/// The lowest and the highest version: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3. 0: the default (1.2, and the highest there
/// is). Lower ones are refused unless the security level of the SSL_CTX was set to 0 before.
///
/// Returns 0; -1 with errno EINVAL for an unknown version, or a lowest above the highest.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_versions(
    context: SocketTLSContext_T,
    min: c_int,
    max: c_int,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        context.set_versions(min, max).map(|()| 0)
    })
}

/// Application protocols (ALPN), `n` names of 1 to 255 bytes such as "h2". A client offers them in this order; one that the
/// server chooses none of goes on without. A server chooses the first of its own that the client offers; a client that
/// offers others only is refused. `n` 0: none any more.
///
/// Returns 0; -1 with errno EINVAL for a name that is NULL, empty or too long; then the earlier list stays.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_alpn(
    context: SocketTLSContext_T,
    protocols: *const *const c_char,
    n: usize,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        // Each name needs two bytes in a list of at most 64 KiB.
        if n > 1 << 15 || (n > 0 && protocols.is_null()) {
            return Err(invalid(
                "TLS: the list of application protocols is NULL or too long",
            ));
        }
        let mut names = Vec::with_capacity(n);
        for i in 0..n {
            // SAFETY: the program gives `n` pointers, each NULL or a C string.
            unsafe {
                let name = *protocols.add(i);
                if name.is_null() {
                    return Err(invalid("TLS: an application protocol's name is NULL"));
                }
                names.push(CStr::from_ptr(name).to_bytes());
            }
        }
        context.set_alpn(&names).map(|()| 0)
    })
}

/// Lets the program choose among the protocols that a client offers, in place of the list; NULL: no more.
///
/// Returns 0; -1 with errno EINVAL for a client's context.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_alpn_callback(
    context: SocketTLSContext_T,
    callback: netconn_tls_alpn_cb,
    arg: *mut c_void,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let callback = callback.map(|function| alpn_callback(function, Arg(arg)));
        context.set_alpn_callback(callback).map(|()| 0)
    })
}

/// Whether later connections resume the sessions of earlier ones, which saves a good part of the handshake. On by default.
/// A client keeps at most 1,000 in memory, and offers one only to the host, port and name that it came from, while nothing
/// of the context's verification, trust, ALPN and own certificate was changed. A server issues none when this is off.
///
/// Returns 0; -1 with errno EINVAL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_session_reuse(
    context: SocketTLSContext_T,
    on: c_bool,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        context.set_session_reuse(on != 0).map(|()| 0)
    })
}

/// The context's `SSL_CTX *`, for what has no function here; valid until the context and its connections are gone. Sessions
/// kept so far are dropped, since what is changed through it is not noticed: change it before the first connection.
/// A mode of SSL_CTX_set_verify counts where it asks for more than this context's, but not its callback: that is
/// netconn_tls_set_verify_callback's.
///
/// Returns NULL with errno EINVAL for NULL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_ssl_ctx(context: SocketTLSContext_T) -> *mut c_void {
    explained(|| {
        // SAFETY: a live context or NULL.
        Ok(unsafe { required(context) }?.ssl_ctx().cast())
    })
}

/// Whether a connection to `name` would find that the first certificate of a PEM file is for it: its subjectAltName alone
/// counts. `name` is a host name or an IP address.
///
/// Returns 1 or 0; -1 with errno ENOENT, EACCES, EINVAL (no certificate in it, an impossible name).
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_verify_name(
    pem_path: *const c_char,
    name: *const c_char,
) -> c_int {
    explained(|| {
        // SAFETY: C strings or NULL.
        let (path, name) = unsafe { (path(pem_path, "certificate")?, guard::text(name)) };
        let Ok(Some(name)) = name else {
            return Err(invalid("TLS: the name to verify is NULL or not UTF-8"));
        };
        tls::verify_name(path, name).map(c_int::from)
    })
}

/// What was wrong with the last call of this header that failed on this thread, one line; "" when none did. A call that
/// succeeds leaves it alone: look at it after a failure only. Valid until the next call that fails on this thread.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_error() -> *const c_char {
    infallible(c"".as_ptr(), || {
        LAST_ERROR
            .try_with(|last| last.borrow().as_ptr())
            .unwrap_or(c"".as_ptr())
    })
}
