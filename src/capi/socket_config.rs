//! The types and functions of `core/SocketConfig.h`; its macros are in the header's template. Must not know who uses them.

// C names.
#![allow(non_camel_case_types, non_snake_case)]

use super::raise::raising;
use crate::dns;
use crate::socket::arena;
use std::ffi::{c_char, c_int};

/// How long a socket's calls may take, in milliseconds; 0: no limit.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketTimeouts_T {
    /// To connect.
    pub connect_timeout_ms: c_int,
    /// To look a name up.
    pub dns_timeout_ms: c_int,
    /// Everything else.
    pub operation_timeout_ms: c_int,
}

/// The same, for each step by itself. Given to the library, 0 leaves what is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketTimeouts_Extended_T {
    /// To look a name up.
    pub dns_timeout_ms: c_int,
    /// To connect.
    pub connect_timeout_ms: c_int,
    /// For a TLS handshake.
    pub tls_timeout_ms: c_int,
    /// For a whole request.
    pub request_timeout_ms: c_int,
    /// Everything else.
    pub operation_timeout_ms: c_int,
}

/// The text of an error number, "Connection refused"; "No error" for 0. Never NULL; valid for ever, from any thread.
#[no_mangle]
pub extern "C" fn Socket_safe_strerror(errnum: c_int) -> *const c_char {
    raising(c"Socket_safe_strerror", || {
        Ok(match errnum {
            0 => c"No error".as_ptr(),
            1.. => dns::status_text(errnum).as_ptr(),
            _ => c"Unknown error".as_ptr(),
        })
    })
}

/// Limits what all arenas of the process may take together, in bytes; 0: no limit. Those that have more already keep it. Any
/// thread.
#[no_mangle]
pub extern "C" fn SocketConfig_set_max_memory(max_bytes: usize) {
    arena::set_limit(max_bytes);
}

/// What SocketConfig_set_max_memory has set; 0: no limit.
#[no_mangle]
pub extern "C" fn SocketConfig_get_max_memory() -> usize {
    arena::limit()
}

/// The bytes that all arenas of the process have taken.
#[no_mangle]
pub extern "C" fn SocketConfig_get_memory_used() -> usize {
    arena::used()
}
