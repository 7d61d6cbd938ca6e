//! A new `SSL_CTX` of one role, with what every context of ours has.

use super::owned::Owned;
use super::types::Error;
use super::{alpn, password, queue, session, sys, tickets};
use openssl_sys as ffi;
use std::ffi::c_int;
use std::ptr;

/// Forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
pub(super) const TLS12_CIPHERS: &std::ffi::CStr = c"ECDHE+AESGCM:ECDHE+CHACHA20";
pub(super) const TLS13_CIPHERS: &std::ffi::CStr =
    c"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
/// Certificates between a leaf and its root.
const MAX_DEPTH: c_int = 10;
/// OpenSSL's level that refuses RSA below 2048 bits and SHA-1.
const SECURITY_LEVEL: c_int = 2;

/// The defaults: TLS 1.2 and up, forward secrecy, no renegotiation, a client's sessions handed to us.
pub(super) fn new(server: bool) -> Result<Owned<ffi::SSL_CTX>, Error> {
    if cfg!(feature = "vendored") {
        // A copy that lives inside a library which may be unloaded must not be called at exit.
        const NO_ATEXIT: u64 = 0x0008_0000;
        // SAFETY: may be called any number of times, by any thread.
        unsafe { ffi::OPENSSL_init_ssl(NO_ATEXIT, ptr::null()) };
    }
    // SAFETY: a method of OpenSSL's own; what comes back is ours.
    let ssl_ctx = unsafe {
        Owned::new(ffi::SSL_CTX_new(if server {
            ffi::TLS_server_method()
        } else {
            ffi::TLS_client_method()
        }))
    };
    let ssl_ctx = ssl_ctx.ok_or_else(|| queue::error("TLS: a new context"))?;
    let ctx = ssl_ctx.as_ptr();
    // SAFETY: the context is ours alone; strings are NUL-terminated and copied; the callbacks are static.
    let done = unsafe {
        ffi::SSL_CTX_ctrl(
            ctx,
            ffi::SSL_CTRL_MODE,
            ffi::SSL_MODE_ENABLE_PARTIAL_WRITE
                | ffi::SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                | ffi::SSL_MODE_AUTO_RETRY
                | ffi::SSL_MODE_RELEASE_BUFFERS,
            ptr::null_mut(),
        );
        ffi::SSL_CTX_set_options(
            ctx,
            ffi::SSL_OP_NO_RENEGOTIATION
                | ffi::SSL_OP_NO_COMPRESSION
                | ffi::SSL_OP_CIPHER_SERVER_PREFERENCE,
        );
        ffi::SSL_CTX_set_verify_depth(ctx, MAX_DEPTH);
        sys::SSL_CTX_set_default_passwd_cb(ctx, Some(password::answer));
        if ffi::SSL_CTX_get_security_level(ctx) < SECURITY_LEVEL {
            ffi::SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
        }
        if server {
            ffi::SSL_CTX_set_alpn_select_cb__fixed_rust(ctx, Some(alpn::select), ptr::null_mut());
            tickets::install(ctx);
        } else {
            // As the default mode of a client; each session has a callback of ours.
            ffi::SSL_CTX_set_verify(ctx, ffi::SSL_VERIFY_PEER, None);
            ffi::SSL_CTX_ctrl(
                ctx,
                ffi::SSL_CTRL_SET_SESS_CACHE_MODE,
                ffi::SSL_SESS_CACHE_CLIENT | ffi::SSL_SESS_CACHE_NO_INTERNAL,
                ptr::null_mut(),
            );
            ffi::SSL_CTX_sess_set_new_cb(ctx, Some(session::keep));
        }
        ffi::SSL_CTX_set_min_proto_version(ctx, ffi::TLS1_2_VERSION) == 1
            && ffi::SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS.as_ptr()) == 1
            && ffi::SSL_CTX_set_ciphersuites(ctx, TLS13_CIPHERS.as_ptr()) == 1
    };
    if !done {
        return Err(queue::error("TLS: a new context"));
    }
    Ok(ssl_ctx)
}
