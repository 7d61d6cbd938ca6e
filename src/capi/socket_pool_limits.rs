//! `pool/SocketPool.h`: which connections a pool lets in, and from where. Must not know how they are counted.

use super::raise::raising;
use super::socket::{find, Socket_T};
use super::socket_pool::{given, SocketPool_T};
use crate::socket::pool::MOST_AT_ONCE;
use crate::socket::{Error, Kind};
use std::borrow::Cow;
use std::ffi::{c_char, c_int, CStr};

/// NULL is no address.
///
/// # Safety
/// `ip` is NULL or NUL-terminated.
unsafe fn text<'a>(ip: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: not NULL, and the caller's promise.
    (!ip.is_null()).then(|| unsafe { CStr::from_ptr(ip) }.to_string_lossy())
}

/// Accepts connections that are waiting at `server`, up to `max` (1 to 1000) and as far as there is room, without waiting, and
/// adds them; how many. They are non-blocking, and the program's to free: `accepted` gets their handles. 0 when none are
/// waiting, when the pool is full or does not run, when something is NULL, `max` is out of range or above `capacity`. Raises
/// nothing.
///
/// # Safety
/// `pool` is NULL or was not freed; `accepted` is NULL or has room for `capacity` handles.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_accept_batch(
    pool: SocketPool_T,
    server: Socket_T,
    max: c_int,
    capacity: usize,
    accepted: *mut Socket_T,
) -> c_int {
    raising(c"SocketPool_accept_batch", || {
        let most = match usize::try_from(max) {
            Ok(most @ 1..=MOST_AT_ONCE) => most,
            _ => return Ok(0),
        };
        let Some(server) = find(server).filter(|_| capacity >= most) else {
            return Ok(0);
        };
        if pool.is_null() || accepted.is_null() {
            return Ok(0);
        }
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_accept_batch", pool) }?;
        let taken = pool.accept_batch(&server, most);
        for (at, handle) in taken.iter().enumerate() {
            // SAFETY: `most` at most, and the caller's promise.
            unsafe { *accepted.add(at) = *handle };
        }
        // At most 1000.
        Ok(taken.len() as c_int)
    })
}

/// Accepts one connection from `server`, as its mode says, which is not added. NULL when none is waiting, when the pool does
/// not run, and when the rate or the number of connections from its address is used up: then it is closed, or left waiting.
/// It counts for its address until it is removed from the pool, or SocketPool_release_ip takes it back.
///
/// Raises SocketPool_Failed for NULL, and Socket_Failed as Socket_accept does.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_accept_limited(
    pool: SocketPool_T,
    server: Socket_T,
) -> Socket_T {
    raising(c"SocketPool_accept_limited", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_accept_limited", pool) }?;
        let server = find(server).ok_or_else(|| {
            Error::invalid(
                Kind::Pool,
                "SocketPool_accept_limited: the server is NULL or was freed",
            )
        })?;
        let accepted = pool.accept_limited(&server)?;
        Ok(accepted.map_or(std::ptr::null(), std::ptr::from_ref))
    })
}

/// 1 when the pool is running and a connection from `client_ip` (NULL: from anywhere) would be let in now, by the rate and
/// the number for its address; else 0. Nothing is counted.
///
/// # Safety
/// `pool` is NULL or was not freed; `client_ip` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_accept_allowed(
    pool: SocketPool_T,
    client_ip: *const c_char,
) -> c_int {
    raising(c"SocketPool_accept_allowed", || {
        // SAFETY: the caller's promise.
        let (pool, ip) = unsafe { (given("SocketPool_accept_allowed", pool)?, text(client_ip)) };
        Ok(pool.accept_allowed(ip.as_deref()).into())
    })
}

/// Lets in `conns_per_sec` connections a second, after a burst of `burst` (0 and below: as many as in a second). 0 and below:
/// any number.
///
/// Raises SocketPool_Failed for numbers above 1000000.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_setconnrate(
    pool: SocketPool_T,
    conns_per_sec: c_int,
    burst: c_int,
) {
    raising(c"SocketPool_setconnrate", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_setconnrate", pool) }?.set_rate(conns_per_sec, burst)
    })
}

/// How many connections a second are let in; 0: any number.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_getconnrate(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_getconnrate", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_getconnrate", pool) }?.rate())
    })
}

/// Lets in `max_conns` connections of one address at a time. 0 and below: any number.
///
/// Raises SocketPool_Failed for numbers above 10000.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_setmaxperip(pool: SocketPool_T, max_conns: c_int) {
    raising(c"SocketPool_setmaxperip", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_setmaxperip", pool) }?.set_max_per_ip(max_conns)
    })
}

/// How many connections of one address are let in at a time; 0: any number.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_getmaxperip(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_getmaxperip", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_getmaxperip", pool) }?.max_per_ip())
    })
}

/// Counts a connection from this address: 1; 0, and it is not counted, when there are as many as are let in. 1 for NULL. To
/// be taken back with SocketPool_release_ip.
///
/// # Safety
/// `pool` is NULL or was not freed; `ip` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_track_ip(pool: SocketPool_T, ip: *const c_char) -> c_int {
    raising(c"SocketPool_track_ip", || {
        // SAFETY: the caller's promise.
        let (pool, ip) = unsafe { (given("SocketPool_track_ip", pool)?, text(ip)) };
        Ok(ip.is_none_or(|ip| pool.track_ip(&ip)).into())
    })
}

/// Takes back one that SocketPool_track_ip counted.
///
/// # Safety
/// `pool` is NULL or was not freed; `ip` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_release_ip(pool: SocketPool_T, ip: *const c_char) {
    raising(c"SocketPool_release_ip", || {
        // SAFETY: the caller's promise.
        let (pool, ip) = unsafe { (given("SocketPool_release_ip", pool)?, text(ip)) };
        if let Some(ip) = ip {
            pool.release_ip(&ip);
        }
        Ok(())
    })
}

/// How many connections of this address are counted; 0 for NULL.
///
/// # Safety
/// `pool` is NULL or was not freed; `ip` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_ip_count(pool: SocketPool_T, ip: *const c_char) -> c_int {
    raising(c"SocketPool_ip_count", || {
        // SAFETY: the caller's promise.
        let (pool, ip) = unsafe { (given("SocketPool_ip_count", pool)?, text(ip)) };
        let count = ip.map_or(0, |ip| pool.ip_count(&ip));
        Ok(c_int::try_from(count).unwrap_or(c_int::MAX))
    })
}
