//! `pool/SocketPool.h`: what is known of a connection. Must not know how a pool keeps it.

use super::raise::{raising, violated};
use super::socket::Socket_T;
use super::socket_buf::SocketBuf_T;
use super::socket_pool::Connection_T;
use crate::socket::pool::Connection;
use std::ffi::{c_int, c_void, CStr};

/// The slot behind a handle, which must not be NULL.
fn given(function: &CStr, connection: Connection_T) -> &'static Connection {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    match unsafe { connection.as_ref() } {
        Some(connection) => connection,
        None => violated(function, "conn", "is NULL"),
    }
}

/// The socket; NULL after it was removed.
#[no_mangle]
pub extern "C" fn Connection_socket(conn: Connection_T) -> Socket_T {
    raising(c"Connection_socket", || {
        Ok(given(c"Connection_socket", conn).socket())
    })
}

/// A buffer for bytes that came: the program's to use until the socket is removed.
#[no_mangle]
pub extern "C" fn Connection_inbuf(conn: Connection_T) -> SocketBuf_T {
    raising(c"Connection_inbuf", || {
        Ok(given(c"Connection_inbuf", conn).inbuf())
    })
}

/// A buffer for bytes that are to go: the program's to use until the socket is removed.
#[no_mangle]
pub extern "C" fn Connection_outbuf(conn: Connection_T) -> SocketBuf_T {
    raising(c"Connection_outbuf", || {
        Ok(given(c"Connection_outbuf", conn).outbuf())
    })
}

/// What Connection_setdata kept; NULL at first.
#[no_mangle]
pub extern "C" fn Connection_data(conn: Connection_T) -> *mut c_void {
    raising(c"Connection_data", || {
        Ok(given(c"Connection_data", conn).data())
    })
}

/// Keeps a pointer of the program's with the connection, until the socket is removed.
#[no_mangle]
pub extern "C" fn Connection_setdata(conn: Connection_T, data: *mut c_void) {
    raising(c"Connection_setdata", || {
        given(c"Connection_setdata", conn).set_data(data);
        Ok(())
    })
}

/// When it was added or last asked for with SocketPool_get: seconds since 1970.
#[no_mangle]
pub extern "C" fn Connection_lastactivity(conn: Connection_T) -> libc::time_t {
    raising(c"Connection_lastactivity", || {
        Ok(given(c"Connection_lastactivity", conn).last_activity())
    })
}

/// When it was added: seconds since 1970.
#[no_mangle]
pub extern "C" fn Connection_created_at(conn: Connection_T) -> libc::time_t {
    raising(c"Connection_created_at", || {
        Ok(given(c"Connection_created_at", conn).created_at())
    })
}

/// 1 while a socket is in it, 0 after that was removed.
#[no_mangle]
pub extern "C" fn Connection_isactive(conn: Connection_T) -> c_int {
    raising(c"Connection_isactive", || {
        Ok(given(c"Connection_isactive", conn).is_active().into())
    })
}
