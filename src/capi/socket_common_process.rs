//! `socket/SocketCommon.h`, its last part: what the process has once. Must not know how anything is done.

// C names.
#![allow(non_camel_case_types, non_snake_case)]

use super::raise::raising;
use super::socket_config::SocketTimeouts_T;
use super::socket_dns::SocketDNS_T;
use crate::socket::{self, common::process};
use std::ffi::c_int;

/// What new sockets begin with, as Socket_timeouts_getdefaults. NULL is ignored. Any thread.
///
/// # Safety
/// `timeouts` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_timeouts_getdefaults(timeouts: *mut SocketTimeouts_T) {
    raising(c"SocketCommon_timeouts_getdefaults", || {
        // SAFETY: the caller's promise.
        if let Some(place) = unsafe { timeouts.as_mut() } {
            *place = socket::defaults().into();
        }
        Ok(())
    })
}

/// Changes what new sockets begin with, as Socket_timeouts_setdefaults: a negative time is 0, NULL is ignored. Any thread.
///
/// # Safety
/// `timeouts` is NULL or can be read.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_timeouts_setdefaults(timeouts: *const SocketTimeouts_T) {
    raising(c"SocketCommon_timeouts_setdefaults", || {
        // SAFETY: the caller's promise.
        if let Some(given) = unsafe { timeouts.as_ref() } {
            socket::set_defaults((*given).into());
        }
        Ok(())
    })
}

/// The process's own resolver, made when it is first asked for. It is everybody's: end it by SocketCommon_shutdown_globals
/// alone. Any thread.
///
/// Raises SocketDNS_Failed: no descriptors left.
#[no_mangle]
pub extern "C" fn SocketCommon_get_dns_resolver() -> SocketDNS_T {
    raising(c"SocketCommon_get_dns_resolver", || {
        process::resolver().map(|number| number as SocketDNS_T)
    })
}

/// How long names may take for SocketCommon_resolve_address and for later requests to the process's resolver, in milliseconds; 0:
/// no limit. -1: as new sockets begin with, 5000 unless that was changed. Any thread.
#[no_mangle]
pub extern "C" fn SocketCommon_set_dns_timeout(timeout_ms: c_int) {
    raising(c"SocketCommon_set_dns_timeout", || {
        process::set_name_timeout(timeout_ms)
    })
}

/// How long they may take now. Any thread.
#[no_mangle]
pub extern "C" fn SocketCommon_get_dns_timeout() -> c_int {
    raising(c"SocketCommon_get_dns_timeout", || {
        Ok(process::name_timeout())
    })
}

/// Ends the process's resolver and its requests; nothing happens where there is none. Whoever asks for it afterwards gets another.
#[no_mangle]
pub extern "C" fn SocketCommon_shutdown_globals() {
    raising(c"SocketCommon_shutdown_globals", || {
        process::end();
        Ok(())
    })
}
