//! `pool/SocketPool.h`: connections that a pool makes. Must not know how, or on which thread.

// C names.
#![allow(non_camel_case_types)]

use super::raise::raising;
use super::shim::catching;
use super::socket::Socket_T;
use super::socket_dns::{Request_T, SocketDNS_T};
use super::socket_pool::{connection, given, Connection_T, Data, SocketPool_T};
use crate::socket::dns::{self, Asked};
use crate::socket::pool::Pool;
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr;

/// A connection was made, and `error` is 0; or there is none (NULL), and `error` is an error number (positive) or an `EAI_*`
/// code (negative): ENOSPC when the pool is full, ECANCELED when it was freed before.
///
/// Called once, on a thread of the library's or in SocketPool_free. May call every function of the library. What it raises ends
/// here, with a line in the log.
pub type SocketPool_ConnectCallback =
    Option<unsafe extern "C" fn(connection: Connection_T, error: c_int, data: *mut c_void)>;

/// A host from C.
///
/// # Safety
/// NULL, or NUL-terminated and unchanged during `'a`.
unsafe fn host<'a>(function: &str, host: *const c_char) -> Result<&'a str, Error> {
    let wrong = |what| Error::invalid(Kind::Pool, format!("{function}: the host {what}"));
    if host.is_null() {
        return Err(wrong("is NULL"));
    }
    // SAFETY: not NULL, and the caller's promise.
    let host = unsafe { CStr::from_ptr(host) };
    host.to_str().map_err(|_| wrong("is not UTF-8"))
}

/// Makes a socket that does not block, for `host` (IPv4, unless it is an IPv6 address), and starts a lookup of its addresses:
/// both are the program's. 0. When the lookup is complete: SocketDNS_getresult, Socket_connect_with_addrinfo, SocketPool_add.
///
/// Raises SocketPool_Failed: NULL, another port than 1 to 65535 (EINVAL); Socket_Failed: no socket can be made;
/// SocketDNS_Failed: `dns` was freed.
///
/// # Safety
/// `pool` is NULL or was not freed, `host` is NULL or NUL-terminated, the last two are NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_prepare_connection(
    pool: SocketPool_T,
    dns: SocketDNS_T,
    host: *const c_char,
    port: c_int,
    out_socket: *mut Socket_T,
    out_req: *mut Request_T,
) -> c_int {
    raising(c"SocketPool_prepare_connection", || {
        const NAME: &str = "SocketPool_prepare_connection";
        // SAFETY: the caller's promise.
        let (_pool, host) = unsafe { (given(NAME, pool)?, self::host(NAME, host)?) };
        if dns.is_null() || out_socket.is_null() || out_req.is_null() {
            let text = format!("{NAME}: the resolver or a place for the results is NULL");
            return Err(Error::invalid(Kind::Pool, text));
        }
        let (socket, family) = Pool::prepare(host, port)?;
        let mut asked = Asked::stream(Some(host), port);
        asked.family = family;
        let request = dns::resolve(dns as u64, &asked, None).inspect_err(|_| socket.end())?;
        // SAFETY: not NULL, and the caller's promise.
        unsafe {
            *out_socket = socket;
            *out_req = request as Request_T;
        }
        Ok(0)
    })
}

/// Resolves `host`, connects and adds the connection, without waiting. The callback hears of it once, whatever the program does
/// meanwhile; the socket, which does not block, is the program's when there is a connection. Names and connecting may take as
/// long as the process's default time-outs say (Socket_timeouts_setdefaults; 30 s where they do not limit connecting).
///
/// Never NULL: something that stands for the request, and that no SocketDNS_T knows.
///
/// Raises SocketPool_Failed: NULL, another port than 1 to 65535 (EINVAL); 1000 are on their way (EAGAIN); no thread can be
/// started.
///
/// # Safety
/// `pool` is NULL or was not freed, `host` is NULL or NUL-terminated; the callback may be called with `data`.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_connect_async(
    pool: SocketPool_T,
    host: *const c_char,
    port: c_int,
    callback: SocketPool_ConnectCallback,
    data: *mut c_void,
) -> Request_T {
    raising(c"SocketPool_connect_async", || {
        const NAME: &str = "SocketPool_connect_async";
        // SAFETY: the caller's promise.
        let (pool, host) = unsafe { (given(NAME, pool)?, self::host(NAME, host)?) };
        let Some(function) = callback else {
            let text = format!("{NAME}: the callback is NULL");
            return Err(Error::invalid(Kind::Pool, text));
        };
        let data = Data::new(data);
        let arrived = Box::new(move |outcome: Result<_, c_int>| {
            let data = data.get();
            let (found, error) = match outcome {
                Ok(found) => (connection(Some(found)), 0),
                Err(error) => (ptr::null(), error),
            };
            // SAFETY: the program's promise.
            catching(|| unsafe { function(found, error, data) })
        });
        pool.connect(host, port, arrived)?;
        Ok(dns::unknown() as Request_T)
    })
}
