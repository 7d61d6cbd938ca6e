//! `tls/SocketTLSConfig.h`: what a context is made with. The same in a build without TLS.

// C names.
#![allow(non_camel_case_types)]

use super::guard::infallible;
use std::ffi::c_int;

/// TLS1_2_VERSION and TLS1_3_VERSION of OpenSSL.
const TLS1_2: c_int = 0x0303;
const TLS1_3: c_int = 0x0304;

/// What SocketTLSContext_new makes a context with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketTLSConfig_T {
    /// The lowest version, as OpenSSL's constant; 0: TLS 1.2.
    pub min_version: c_int,
    /// The highest version, as OpenSSL's constant; 0: the highest there is.
    pub max_version: c_int,
    /// Milliseconds that SocketTLS_handshake_auto waits on a socket whose operation time-out is 0; 30000 where it is not
    /// above 0.
    pub handshake_timeout_ms: c_int,
    /// Milliseconds that SocketTLS_shutdown waits on a socket whose operation time-out is 0; 5000 where it is not above 0.
    pub shutdown_timeout_ms: c_int,
    /// Milliseconds between two looks at a handshake that waits; 100 where it is not above 0.
    pub poll_interval_ms: c_int,
}

/// Fills a config with the defaults: TLS 1.2 to 1.3, 30000, 5000 and 100 milliseconds. NULL is a no-op.
///
/// # Safety
/// `config` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketTLS_config_defaults(config: *mut SocketTLSConfig_T) {
    infallible((), || {
        if config.is_null() {
            return;
        }
        let defaults = SocketTLSConfig_T {
            min_version: TLS1_2,
            max_version: TLS1_3,
            handshake_timeout_ms: 30_000,
            shutdown_timeout_ms: 5_000,
            poll_interval_ms: 100,
        };
        // SAFETY: not NULL, and the caller's promise.
        unsafe { config.write(defaults) };
    });
}
