//! `pool/SocketPool.h`: connections that are made again when they break. Must not know when they are tried again.

use super::raise::{raising, record};
use super::socket_pool::{given, Connection_T, SocketPool_T};
use super::socket_reconnect::{find, SocketReconnect_Policy_T, SocketReconnect_T};
use crate::socket::pool::Connection;
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, CStr};
use std::ptr;

fn slot(function: &str, connection: Connection_T) -> Result<&'static Connection, Error> {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    unsafe { connection.as_ref() }.ok_or_else(|| {
        let text = format!("{function}: the connection is NULL");
        Error::invalid(Kind::Reconnect, text)
    })
}

/// When and how often connections are tried again for which SocketPool_enable_reconnect is called later; NULL: the defaults.
///
/// # Safety
/// `pool` is NULL or was not freed; `policy` is NULL or readable.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_reconnect_policy(
    pool: SocketPool_T,
    policy: *const SocketReconnect_Policy_T,
) {
    raising(c"SocketPool_set_reconnect_policy", || {
        // SAFETY: the caller's promise.
        let (pool, policy) = unsafe {
            let pool = given("SocketPool_set_reconnect_policy", pool)?;
            (pool, policy.as_ref())
        };
        pool.set_reconnect_policy(policy.map(SocketReconnect_Policy_T::checked));
        Ok(())
    })
}

/// Gives a connection a SocketReconnect_T for this host and port, in place of one that it may have (Connection_reconnect). It does
/// nothing by itself: when the connection breaks, call SocketReconnect_connect, and SocketPool_process_reconnects from then on.
/// When it is connected, its socket is the connection's (Connection_socket, SocketPool_get), and belongs to it: it ends with
/// it. The socket of before stays the program's; the buffers and the data stay as they are.
///
/// Raises SocketReconnect_Failed: NULL, a host of more than 255 bytes, another port than 1 to 65535; SocketPool_Failed: a
/// connection that is not in the pool.
///
/// # Safety
/// `pool` is NULL or was not freed; `host` is NULL or NUL-terminated.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_enable_reconnect(
    pool: SocketPool_T,
    conn: Connection_T,
    host: *const c_char,
    port: c_int,
) {
    raising(c"SocketPool_enable_reconnect", || {
        const NAME: &str = "SocketPool_enable_reconnect";
        // SAFETY: the caller's promise.
        let pool = unsafe { given(NAME, pool) }?;
        let wrong = |what| Error::invalid(Kind::Reconnect, format!("{NAME}: the host {what}"));
        if host.is_null() {
            return Err(wrong("is NULL"));
        }
        // SAFETY: not NULL, and the caller's promise.
        let host = unsafe { CStr::from_ptr(host) }.to_str();
        let host = host.map_err(|_| wrong("is not UTF-8"))?;
        pool.enable_reconnect(slot(NAME, conn)?, host, port, record)
    })
}

/// Frees the SocketReconnect_T of a connection, and a socket that it has made; nothing happens where there is none.
///
/// Raises SocketReconnect_Failed for NULL.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_disable_reconnect(pool: SocketPool_T, conn: Connection_T) {
    raising(c"SocketPool_disable_reconnect", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_disable_reconnect", pool) }?;
        pool.disable_reconnect(slot("SocketPool_disable_reconnect", conn)?);
        Ok(())
    })
}

/// Calls SocketReconnect_process and SocketReconnect_tick for each SocketReconnect_T of the pool that no other thread is at. To
/// be called when one of their descriptors is ready, and when SocketPool_reconnect_timeout_ms have passed.
///
/// Raises SocketPool_Failed for NULL.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_process_reconnects(pool: SocketPool_T) {
    raising(c"SocketPool_process_reconnects", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_process_reconnects", pool) }?.process_reconnects()
    })
}

/// The shortest SocketReconnect_next_timeout_ms of the pool; -1 when there is none.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_reconnect_timeout_ms(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_reconnect_timeout_ms", || {
        // SAFETY: the caller's promise.
        let next = unsafe { given("SocketPool_reconnect_timeout_ms", pool) }?.next_reconnect();
        Ok(next.map_or(-1, |ms| c_int::try_from(ms).unwrap_or(c_int::MAX)))
    })
}

fn client_of(connection: Connection_T) -> SocketReconnect_T {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    let client = unsafe { connection.as_ref() }.map_or(ptr::null(), Connection::client);
    find(client).map_or(ptr::null(), |_| client)
}

/// What makes the connection again; it is the pool's to free. NULL where there is none, and for NULL.
#[no_mangle]
pub extern "C" fn Connection_reconnect(conn: Connection_T) -> SocketReconnect_T {
    raising(c"Connection_reconnect", || Ok(client_of(conn)))
}

/// 1 when Connection_reconnect gives one, else 0.
#[no_mangle]
pub extern "C" fn Connection_has_reconnect(conn: Connection_T) -> c_int {
    raising(c"Connection_has_reconnect", || {
        Ok((!client_of(conn).is_null()).into())
    })
}
