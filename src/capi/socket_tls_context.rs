//! `tls/SocketTLSContext.h`: TLS contexts of the Socket family. The context is that of `netconn_tls.h`: one for all faces.
//! Must not know how TLS is done.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::guard::infallible;
use super::netconn_tls::context;
use super::raise::{raising, violated};
use super::socket::Socket_T;
use super::socket_tls_config::SocketTLSConfig_T;
use super::socket_tls_types::TLSVerifyMode_t;
use super::tls_callbacks::{alpn_decider, raw_verify_callback, Arg};
use super::tls_types::SocketTLSContext_T;
use crate::socket::{Error, Kind};
use crate::tls::{self, Context, Hold, Timeouts, X509_STORE_CTX};
use std::ffi::{c_char, c_int, c_void, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// The program's word on a certificate of the peer's chain: other than 0 accepts, 0 refuses it.
///
/// Called for each certificate of the chain from the root to the leaf, and for each fault that OpenSSL found: `preverify_ok`
/// is then 0, and X509_STORE_CTX_get_error says which. To make SocketTLS_get_verify_result read X509_V_OK for what it accepts,
/// the callback sets the error to X509_V_OK (X509_STORE_CTX_set_error). `socket` is the socket whose handshake runs; NULL on
/// a `net_conn`. What it raises is absorbed and refuses, with X509_V_ERR_APPLICATION_VERIFICATION.
///
/// Runs inside the handshake, on the thread of the socket, without a lock.
pub type SocketTLSVerifyCallback = Option<
    unsafe extern "C" fn(
        preverify_ok: c_int,
        x509_ctx: *mut X509_STORE_CTX,
        ctx: SocketTLSContext_T,
        socket: Socket_T,
        user_data: *mut c_void,
    ) -> c_int,
>;

/// A server's choice among the `client_count` protocols that a client offers, in the client's order: one of them, or NULL to
/// go on without. Anything else counts as NULL. The names are valid during the call; what is returned has to be valid until
/// the library has copied it, right after the return.
///
/// What it raises fails the handshake and is raised again by the call that ran it; on a `net_conn` it is logged.
///
/// Runs inside the handshake, on the thread of the socket, without a lock.
pub type SocketTLSAlpnCallback = Option<
    unsafe extern "C" fn(
        client_protos: *mut *const c_char,
        client_count: usize,
        user_data: *mut c_void,
    ) -> *const c_char,
>;

fn failed(error: tls::Error) -> Error {
    Error::new(Kind::Tls, error.errno, error.text)
}

fn invalid(text: impl Into<String>) -> Error {
    Error::invalid(Kind::Tls, text.into())
}

/// The context behind a handle that must not be NULL.
///
/// # Safety
/// `ctx` is NULL or live.
unsafe fn live(function: &'static CStr, ctx: SocketTLSContext_T) -> Arc<Context> {
    // SAFETY: the caller's promise.
    match unsafe { context(ctx) } {
        Some(context) => context,
        None => violated(function, "ctx", "is NULL"),
    }
}

/// Runs the body of a function about a context.
///
/// # Safety
/// `ctx` is NULL or live.
unsafe fn with<T: Copy>(
    function: &'static CStr,
    ctx: SocketTLSContext_T,
    body: impl FnOnce(&Context) -> Result<T, Error>,
) -> T {
    raising(function, || {
        // SAFETY: the caller's promise.
        let context = unsafe { live(function, ctx) };
        body(&context)
    })
}

/// A path of the program's; `what` is the file, for the text about NULL. The rest is the room's to judge.
unsafe fn path<'a>(text: *const c_char, what: &str) -> Result<&'a Path, Error> {
    if text.is_null() {
        return Err(invalid(format!("TLS: the path of the {what} is NULL")));
    }
    // SAFETY: not NULL: a C string that the program does not change during the call.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

unsafe fn path_or_none<'a>(text: *const c_char, what: &str) -> Result<Option<&'a Path>, Error> {
    match text.is_null() {
        true => Ok(None),
        // SAFETY: the caller's: a C string.
        false => unsafe { path(text, what) }.map(Some),
    }
}

/// NULL, or a C string of the program's.
unsafe fn list<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not NULL: a C string that the program does not change during the call.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

fn handle(context: Arc<Context>) -> SocketTLSContext_T {
    Hold::new(context).into_raw().cast_mut()
}

/// Makes a server's context. It asks clients for no certificate until SocketTLSContext_set_verify_mode says so.
///
/// `cert`: a PEM file with the certificate and, after it, the intermediate ones; `key`: a PEM file with its private key;
/// `ca`: a PEM file or a hashed directory whose authorities vouch for clients, as for SocketTLSContext_load_ca, or NULL. A
/// path has 1 to 4096 bytes, no control character and no ".." in it, and is no symbolic link.
///
/// Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed: such a path, a file that cannot be
/// read or is no PEM, a key of another certificate, one that is encrypted or weak.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_new_server(
    cert: *const c_char,
    key: *const c_char,
    ca: *const c_char,
) -> SocketTLSContext_T {
    raising(c"SocketTLSContext_new_server", || {
        // SAFETY: as C strings.
        let (cert, key, ca) = unsafe {
            (
                path(cert, "certificate")?,
                path(key, "key")?,
                path_or_none(ca, "CA certificates")?,
            )
        };
        Context::socket_server(cert, key, ca)
            .map(handle)
            .map_err(failed)
    })
}

/// Makes a client's context, which verifies the chain and the hostname of servers (TLS_VERIFY_PEER).
///
/// `ca`: whom to trust, a PEM file or a hashed directory. NULL, or a path where nothing can be loaded: the system's trust
/// store, with a warning in the log. (netconn_tls_client fails in that case.)
///
/// Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed where `ca` was given, and neither it
/// nor the system's store can be loaded.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_new_client(ca: *const c_char) -> SocketTLSContext_T {
    raising(c"SocketTLSContext_new_client", || {
        // SAFETY: as a C string.
        let ca = unsafe { path_or_none(ca, "CA certificates") }?;
        Context::socket_client(ca).map(handle).map_err(failed)
    })
}

/// Makes a client's context that trusts nobody yet and whose sockets verify **nothing** (TLS_VERIFY_NONE) until a mode or,
/// on a socket, a hostname is set. Load authorities and set TLS_VERIFY_PEER, or use SocketTLSContext_new_client.
///
/// `config`: versions and time-outs; NULL: SocketTLS_config_defaults.
///
/// Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed for versions that are none, or a
/// lowest above the highest.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_new(
    config: *const SocketTLSConfig_T,
) -> SocketTLSContext_T {
    raising(c"SocketTLSContext_new", || {
        // SAFETY: NULL, or the program's struct.
        let (min, max, timeouts) = match unsafe { config.as_ref() } {
            Some(config) => (
                config.min_version,
                config.max_version,
                Timeouts {
                    handshake: config.handshake_timeout_ms,
                    shutdown: config.shutdown_timeout_ms,
                    poll: config.poll_interval_ms,
                },
            ),
            None => (0, 0, Timeouts::default()),
        };
        Context::socket_plain(min, max, timeouts)
            .map(handle)
            .map_err(failed)
    })
}

/// Frees a context and stores NULL; nothing happens for NULL in the variable. Sockets that use the context go on; its
/// callbacks are not called any more (one that another thread is in right now still returns), and a handshake that would need
/// one to decide fails. A `ctx` that is NULL itself aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_free(ctx: *mut SocketTLSContext_T) {
    raising(c"SocketTLSContext_free", || {
        if ctx.is_null() {
            violated(c"SocketTLSContext_free", "ctx", "is NULL");
        }
        // SAFETY: not NULL: the program's variable.
        let handle = unsafe { std::mem::replace(&mut *ctx, ptr::null_mut()) };
        if !handle.is_null() {
            // SAFETY: made by one of the functions that make contexts, and not freed before, as the program promises.
            drop(unsafe { Hold::from_raw(handle) });
        }
        Ok(())
    })
}

/// Replaces the certificate that is shown to peers, by clients too (mutual TLS): PEM files with the certificate, followed by
/// the intermediate ones, which are sent as well, and with its private key. Paths as for SocketTLSContext_new_server.
///
/// Raises SocketTLS_Failed as SocketTLSContext_new_server; then the earlier pair stays. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_load_certificate(
    ctx: SocketTLSContext_T,
    cert: *const c_char,
    key: *const c_char,
) {
    // SAFETY: a live context or NULL, and C strings.
    unsafe {
        with(c"SocketTLSContext_load_certificate", ctx, |context| {
            let (cert, key) = (path(cert, "certificate")?, path(key, "key")?);
            context.load_certificate_itself(cert, key).map_err(failed)
        })
    }
}

/// Adds a certificate that a server shows to clients that ask for `hostname` (SNI), in place of an earlier one for it; at most
/// 100 names. A name matches exactly, but for the case of ASCII letters; clients that ask for another one, or for none, are
/// shown the default pair. `hostname` NULL: this is the default pair.
///
/// `cert` and `key`: as for SocketTLSContext_load_certificate, each of at most 1 MiB, with at most 10 certificates.
///
/// Raises SocketTLS_Failed: a client's context, a name that is none (see SocketTLS_set_hostname), a certificate that is not
/// for it (by its subjectAltName, or its CN where there is no host's name in that), a key of another certificate, a full
/// table, a chain that is too long, a file that is too large or has no certificate in it, a path that is not taken. Then the
/// table is as before. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_add_certificate(
    ctx: SocketTLSContext_T,
    hostname: *const c_char,
    cert: *const c_char,
    key: *const c_char,
) {
    // SAFETY: a live context or NULL, and C strings.
    unsafe {
        with(c"SocketTLSContext_add_certificate", ctx, |context| {
            let (cert, key) = (path(cert, "certificate")?, path(key, "key")?);
            let hostname = match list(hostname).map(CStr::to_str) {
                None => None,
                Some(Ok(text)) => Some(text),
                Some(Err(_)) => return Err(invalid("TLS: the hostname is not ASCII")),
            };
            context.add_certificate(hostname, cert, key).map_err(failed)
        })
    }
}

/// Adds to those who are trusted; repeated calls accumulate. A PEM file; a path that is no file that can be loaded is taken
/// as a hashed directory, where nothing may be yet: the log tells of it. Paths as for SocketTLSContext_new_server.
///
/// Raises SocketTLS_Failed for a path that is not taken. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_load_ca(
    ctx: SocketTLSContext_T,
    file_or_dir: *const c_char,
) {
    // SAFETY: a live context or NULL, and a C string.
    unsafe {
        with(c"SocketTLSContext_load_ca", ctx, |context| {
            let path = path(file_or_dir, "CA certificates")?;
            context.load_ca_itself(path).map_err(failed)
        })
    }
}

/// The context's `SSL_CTX *`, for what has no function here; it stays the context's, valid until the context and its sockets
/// are gone. Change it before the first socket: sessions kept so far are dropped, since nobody can know what is changed
/// through it. A mode of SSL_CTX_set_verify counts where it asks for more than this context's, but not its callback: that is
/// SocketTLSContext_set_verify_callback's. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_get_ssl_ctx(ctx: SocketTLSContext_T) -> *mut c_void {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_get_ssl_ctx", ctx, |context| {
            Ok(context.ssl_ctx().cast::<c_void>())
        })
    }
}

/// 1 for a server's context, 0 for a client's. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_is_server(ctx: SocketTLSContext_T) -> c_int {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_is_server", ctx, |context| {
            Ok(c_int::from(context.is_server()))
        })
    }
}

/// What of the peer's certificate is verified, by sockets that are enabled afterwards: TLSVerifyMode's values, or several of
/// them. A value with other bits in it counts as TLS_VERIFY_PEER, and the log tells of it. On a client every value but
/// TLS_VERIFY_NONE verifies the chain and the hostname, which SocketTLS_set_hostname has to set; with TLS_VERIFY_NONE the
/// chain is still looked at, and the verify callback asked, but nothing stops the handshake.
///
/// A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_verify_mode(
    ctx: SocketTLSContext_T,
    mode: TLSVerifyMode_t,
) {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_set_verify_mode", ctx, |context| {
            context.set_verify_bits(mode).map_err(failed)
        })
    }
}

/// Asks the program about each certificate of a peer's chain; NULL: no more. May come before or after every other setter.
/// In place of netconn_tls_set_verify_callback's.
///
/// A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_verify_callback(
    ctx: SocketTLSContext_T,
    callback: SocketTLSVerifyCallback,
    user_data: *mut c_void,
) {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_set_verify_callback", ctx, |context| {
            let callback = callback.map(|call| raw_verify_callback(call, ctx, Arg(user_data)));
            context.set_raw_verify_callback(callback).map_err(failed)
        })
    }
}

/// The lowest version, as OpenSSL's constant; 0: TLS 1.2. Below TLS 1.2 the log warns, and it is served only as far as
/// OpenSSL's security level allows.
///
/// Raises SocketTLS_Failed for what is no version. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_min_protocol(
    ctx: SocketTLSContext_T,
    version: c_int,
) {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_set_min_protocol", ctx, |context| {
            context.set_min_version(version).map_err(failed)
        })
    }
}

/// The highest version, as OpenSSL's constant; 0: the highest there is.
///
/// Raises SocketTLS_Failed for what is no version. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_max_protocol(
    ctx: SocketTLSContext_T,
    version: c_int,
) {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_set_max_protocol", ctx, |context| {
            context.set_max_version(version).map_err(failed)
        })
    }
}

/// The ciphers of TLS 1.2, as OpenSSL's list; NULL: the default, ECDHE with AES-GCM or ChaCha20.
///
/// Raises SocketTLS_Failed where nothing matches; then the earlier list stays. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_cipher_list(
    ctx: SocketTLSContext_T,
    ciphers: *const c_char,
) {
    // SAFETY: a live context or NULL, and a C string or NULL.
    unsafe {
        with(c"SocketTLSContext_set_cipher_list", ctx, |context| {
            context.set_cipher_list(list(ciphers)).map_err(failed)
        })
    }
}

/// The ciphersuites of TLS 1.3, as OpenSSL's list; NULL: SOCKET_TLS13_CIPHERSUITES.
///
/// Raises SocketTLS_Failed where nothing matches; then the earlier list stays. A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_ciphersuites(
    ctx: SocketTLSContext_T,
    ciphersuites: *const c_char,
) {
    // SAFETY: a live context or NULL, and a C string or NULL.
    unsafe {
        with(c"SocketTLSContext_set_ciphersuites", ctx, |context| {
            context.set_ciphersuites(list(ciphersuites)).map_err(failed)
        })
    }
}

/// Whether SocketTLSContext_set_cipher_list would take a list: 1 or 0; 0 for NULL and "".
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_validate_cipher_list(ciphers: *const c_char) -> c_int {
    infallible(0, || {
        // SAFETY: a C string or NULL.
        let ciphers = unsafe { list(ciphers) };
        c_int::from(ciphers.is_some_and(tls::cipher_list_matches))
    })
}

/// Whether SocketTLSContext_set_ciphersuites would take a list: 1 or 0; 0 for NULL and "".
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_validate_ciphersuites(
    ciphersuites: *const c_char,
) -> c_int {
    infallible(0, || {
        // SAFETY: a C string or NULL.
        let ciphersuites = unsafe { list(ciphersuites) };
        c_int::from(ciphersuites.is_some_and(tls::ciphersuites_match))
    })
}

/// Application protocols (ALPN), `count` names such as "h2": at most 16, each of 1 to 255 bytes of visible ASCII. A client
/// offers them in this order. A server chooses the first of its own that the client offers; where there is none the handshake
/// goes on without (after netconn_tls_set_alpn it fails: what was called last decides). `count` 0: nothing changes.
///
/// Raises SocketTLS_Failed for more or other names; then the earlier list stays. A NULL `ctx`, and a NULL among the names,
/// aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_alpn_protos(
    ctx: SocketTLSContext_T,
    protos: *mut *const c_char,
    count: usize,
) {
    const NAME: &CStr = c"SocketTLSContext_set_alpn_protos";
    // SAFETY: a live context or NULL, and `count` pointers to C strings.
    unsafe {
        with(NAME, ctx, |context| {
            if count == 0 {
                return Ok(());
            }
            if protos.is_null() {
                violated(NAME, "protos", "is NULL");
            }
            // More than the most is too many; how many more does not matter.
            let names: Vec<&[u8]> = (0..count.min(1000))
                .map(|i| match list(*protos.add(i)) {
                    Some(name) => name.to_bytes(),
                    None => violated(NAME, "protos", "has a NULL in it"),
                })
                .collect();
            context.set_alpn_optional(&names).map_err(failed)
        })
    }
}

/// Lets the program choose among the protocols that a client offers, in place of the list, and without one too; NULL: no
/// more. For servers: a client's context has no use for it.
///
/// A NULL `ctx` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketTLSContext_set_alpn_callback(
    ctx: SocketTLSContext_T,
    callback: SocketTLSAlpnCallback,
    user_data: *mut c_void,
) {
    // SAFETY: a live context or NULL.
    unsafe {
        with(c"SocketTLSContext_set_alpn_callback", ctx, |context| {
            let decider = callback.map(|call| alpn_decider(call, Arg(user_data)));
            context.set_alpn_decider(decider).map_err(failed)
        })
    }
}
