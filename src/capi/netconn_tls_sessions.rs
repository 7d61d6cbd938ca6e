//! `netconn_tls.h`: sessions that the program keeps, and early data.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::netconn_tls::{explained, invalid, required};
use super::shim::NoFrames;
use super::tls_callbacks::Arg;
use super::tls_types::SocketTLSContext_T;
use crate::tls::SessionStore;
use std::ffi::{c_char, c_int, c_uchar, c_void, CString};
use std::sync::Arc;

/// Keeps `len` bytes of a session (DER, at most 16 KiB) under `key`, in place of what was there; both are valid during the
/// call. Returns 0 when it did. What is kept holds secrets of connections: it needs the care that private keys need.
pub type netconn_tls_session_store_cb = Option<
    unsafe extern "C" fn(
        key: *const c_char,
        der: *const c_uchar,
        len: usize,
        arg: *mut c_void,
    ) -> c_int,
>;

/// Writes the session under `key` to `der`, which has room for `size` bytes, and returns its length; 0: there is none. A
/// length that is negative or above `size` counts as none. Of two processes that ask at once one alone should get it.
pub type netconn_tls_session_load_cb = Option<
    unsafe extern "C" fn(
        key: *const c_char,
        der: *mut c_uchar,
        size: usize,
        arg: *mut c_void,
    ) -> isize,
>;

/// Forgets the session under `key`: it was used and may be used once only (TLS 1.3), or it is of no use. There may be none.
pub type netconn_tls_session_remove_cb =
    Option<unsafe extern "C" fn(key: *const c_char, arg: *mut c_void)>;

/// Keeps sessions with the program, in place of this context's own memory: for processes that share their sessions, or to
/// resume after a restart. All three callbacks, or NULL for each: the context's memory again.
///
/// On a client, `key` names the host, port and server name and the settings of the context that a session was verified under,
/// and ends with a digest of the rest of them (whom it trusts, the certificate that it shows): printable, without a limit to
/// its length, and the same in every process with the same settings. A session is offered under that key alone; the server's
/// certificate in it has to be in order. A context with a verify callback, or whose SSL_CTX was handed out, cannot be
/// compared: its keys differ in each process.
///
/// On a server, `key` is the session's id in hexadecimal. Tickets then hold that id alone, under TLS 1.2 none are sent; so
/// every resumption asks the load callback. Early data is not accepted: it is safe only where a session leaves the cache with
/// its first use, which the library cannot promise for a cache that is not its own.
///
/// The callbacks run inside the handshake, a read, a write or a close, on the thread of the connection, without a lock. They
/// may close the connection, whose call then fails with ECANCELED; they must not throw or longjmp. What they load is checked:
/// it is bounded and parsed, and refused (and removed) where it does not fit.
///
/// Returns 0; -1 with errno EINVAL when one of the three is NULL and another is not.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_session_callbacks(
    context: SocketTLSContext_T,
    store: netconn_tls_session_store_cb,
    load: netconn_tls_session_load_cb,
    remove: netconn_tls_session_remove_cb,
    arg: *mut c_void,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let outside: Option<Arc<dyn SessionStore>> = match (store, load, remove) {
            (Some(store), Some(load), Some(remove)) => Some(Arc::new(Callbacks {
                store,
                load,
                remove,
                arg: Arg(arg),
            })),
            (None, None, None) => None,
            _ => {
                return Err(invalid(
                    "TLS: the session callbacks belong together: give all three, or none",
                ))
            }
        };
        context.set_session_store(outside).map(|()| 0)
    })
}

/// The program's functions.
struct Callbacks {
    store: unsafe extern "C" fn(*const c_char, *const c_uchar, usize, *mut c_void) -> c_int,
    load: unsafe extern "C" fn(*const c_char, *mut c_uchar, usize, *mut c_void) -> isize,
    remove: unsafe extern "C" fn(*const c_char, *mut c_void),
    arg: Arg,
}

impl SessionStore for Callbacks {
    fn store(&self, key: &str, der: &[u8]) -> bool {
        // A key is printable.
        let key = CString::new(key).unwrap_or_default();
        let _frames = NoFrames::begin();
        // SAFETY: the program's function with the program's argument; key and bytes outlive the call.
        unsafe { (self.store)(key.as_ptr(), der.as_ptr(), der.len(), self.arg.get()) == 0 }
    }

    fn load(&self, key: &str, der: &mut [u8]) -> usize {
        let key = CString::new(key).unwrap_or_default();
        let _frames = NoFrames::begin();
        // SAFETY: as above; the room is ours.
        let len = unsafe { (self.load)(key.as_ptr(), der.as_mut_ptr(), der.len(), self.arg.get()) };
        usize::try_from(len).unwrap_or(0)
    }

    fn remove(&self, key: &str) {
        let key = CString::new(key).unwrap_or_default();
        let _frames = NoFrames::begin();
        // SAFETY: as above.
        unsafe { (self.remove)(key.as_ptr(), self.arg.get()) }
    }
}

/// Early data (0-RTT, RFC 8446 section 2.3), which saves a round trip on a resumed TLS 1.3 connection.
///
/// On a server: up to `max` bytes a connection are accepted, 0 for 16384, at most 1048576; off by default. They are kept until
/// the handshake is complete: CONN_READY is reported then, as always, and they are the first bytes that are read;
/// conn_early_data_len tells how many. A flight that was recorded and is sent again has no effect: sessions are then kept in
/// the memory of this context and used once (20480 at most, see SSL_CTX_sess_set_cache_size), and the copy finds none. That
/// holds within one context of one process, so in a child of fork(2) early data is off until it is enabled there. Clients that
/// resume with another process fall back to a full handshake, and their early data comes after it. Sessions from before this
/// call are not resumed.
///
/// On a client: conn_options.early_data is sent early where the session allows it and where it is not longer than `max`; that
/// is so without this call, too, with no limit but the session's.
///
/// Returns 0; -1 with errno EINVAL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_enable_early_data(
    context: SocketTLSContext_T,
    max: u32,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        context.enable_early_data(max).map(|()| 0)
    })
}

/// No early data on connections made from now on: a server skips what comes early, and its client sends it again after the
/// handshake; a client sends conn_options.early_data after the handshake.
///
/// Returns 0; -1 with errno EINVAL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_disable_early_data(context: SocketTLSContext_T) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        context.disable_early_data().map(|()| 0)
    })
}
