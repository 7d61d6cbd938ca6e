//! `socket/SocketReconnect.h`: TLS. Must not know how TLS is done.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::netconn_tls::context;
use super::raise::raising;
use super::socket_reconnect::{find, host, SocketReconnect_T};
use super::socket_tls::TLSHandshakeState::{self, *};
use super::tls_types::SocketTLSContext_T;
use crate::socket::reconnect::Shaking;
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int};

/// TLS from the next attempt on (one under way without a TCP connection has it, too). `hostname` is sent to the server (a name), and the certificate must be for it, whatever the mode
/// of the context; it is copied. Sessions are kept for the next attempt. What was set before is replaced, its session forgotten.
///
/// Raises SocketReconnect_Failed (EINVAL): no client, `ctx` NULL, `hostname` NULL, empty or of more than 255 bytes; what was set
/// before holds then.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_set_tls(
    conn: SocketReconnect_T,
    ctx: SocketTLSContext_T,
    hostname: *const c_char,
) {
    raising(c"SocketReconnect_set_tls", || {
        let missing = |what: &str| {
            Error::invalid(Kind::Reconnect, format!("SocketReconnect_set_tls: {what}"))
        };
        let conn = find(conn).ok_or_else(|| missing("there is no client"))?;
        // SAFETY: NULL, or live, as the program promises; a C string.
        let (context, hostname) = unsafe {
            (
                context(ctx).ok_or_else(|| missing("the context is NULL"))?,
                host("SocketReconnect_set_tls: the hostname", hostname)?,
            )
        };
        conn.set_tls(context, hostname)
    })
}

/// No TLS from the next attempt on; what was set is forgotten, the session too.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_disable_tls(conn: SocketReconnect_T) {
    raising(c"SocketReconnect_disable_tls", || {
        if let Some(conn) = find(conn) {
            conn.disable_tls();
        }
        Ok(())
    })
}

/// Whether the next attempt will use TLS: 1 or 0.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_tls_enabled(conn: SocketReconnect_T) -> c_int {
    raising(c"SocketReconnect_tls_enabled", || {
        let hostname = find(conn).map_or(std::ptr::null(), |conn| conn.tls_hostname());
        Ok(c_int::from(!hostname.is_null()))
    })
}

/// The name that was set for TLS; NULL without TLS. Valid until TLS is set or disabled, and as long as the client lives.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_get_tls_hostname(
    conn: SocketReconnect_T,
) -> *const c_char {
    raising(c"SocketReconnect_get_tls_hostname", || {
        Ok(find(conn).map_or(std::ptr::null(), |conn| conn.tls_hostname()))
    })
}

/// How far the handshake of the last attempt is; TLS_HANDSHAKE_NOT_STARTED without TLS, before an attempt and after a connection.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_tls_handshake_state(
    conn: SocketReconnect_T,
) -> TLSHandshakeState {
    raising(c"SocketReconnect_tls_handshake_state", || {
        let shaking = find(conn).map_or(Shaking::NotStarted, |conn| conn.shaking());
        Ok(match shaking {
            Shaking::NotStarted => TLS_HANDSHAKE_NOT_STARTED,
            Shaking::InProgress => TLS_HANDSHAKE_IN_PROGRESS,
            Shaking::WantsRead => TLS_HANDSHAKE_WANT_READ,
            Shaking::WantsWrite => TLS_HANDSHAKE_WANT_WRITE,
            Shaking::Complete => TLS_HANDSHAKE_COMPLETE,
            Shaking::Failed => TLS_HANDSHAKE_ERROR,
        })
    })
}

/// Whether a session is kept for the next attempt, which may then skip the certificates (they were seen before, and under the
/// same conditions). On since SocketReconnect_set_tls; 0 forgets the one that is kept. Nothing happens without TLS.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_set_session_resumption(
    conn: SocketReconnect_T,
    enable: c_int,
) {
    raising(c"SocketReconnect_set_session_resumption", || {
        if let Some(conn) = find(conn) {
            conn.set_resumption(enable != 0);
        }
        Ok(())
    })
}

/// Whether this connection has resumed a session: 1 or 0; -1 unless connected with TLS.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_is_session_reused(conn: SocketReconnect_T) -> c_int {
    raising(c"SocketReconnect_is_session_reused", || {
        let reused = find(conn).and_then(|conn| conn.is_reused());
        Ok(reused.map_or(-1, c_int::from))
    })
}
