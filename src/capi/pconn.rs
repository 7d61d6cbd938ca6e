//! `pconn.h`: connections that are kept to be used again.
#![allow(non_camel_case_types)]

use super::evloop::{self, ev_loop};
use super::guard::{self, fallible, infallible};
use super::net_conn::{conn_event_cb, net_conn, prepare, CallC};
use super::types::c_bool;
use crate::conn::Conn;
use crate::log;
use crate::pool::{Limits, Pool, Target};
use std::ffi::{c_char, c_void, CStr};
use std::rc::Rc;

/// A pool of idle connections. The loop owns it until `pconn_pool_free`.
#[repr(C)]
pub struct pconn_pool {
    _private: [u8; 0],
}

/// Holds the pool for the length of a call: a callback that runs inside may free it.
///
/// # Safety
/// `pool` is NULL or a pool that was not freed yet.
unsafe fn hold(pool: *mut pconn_pool, function: &str) -> Option<Rc<Pool>> {
    if pool.is_null() {
        return None;
    }
    let pool: *const Pool = pool.cast_const().cast();
    // SAFETY: every `pconn_pool` that C holds is the address inside an Rc that its loop owns until it is freed.
    let pool = unsafe {
        Rc::increment_strong_count(pool);
        Rc::from_raw(pool)
    };
    pool.event_loop().check_thread(function);
    Some(pool)
}

/// A string, or `None` for NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and nobody changes it during `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not NULL, and the caller promises a NUL-terminated string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Makes an empty pool on a loop; NULL for the default loop. A loop may have several.
///
/// Returns the pool, to be ended by pconn_pool_free, or with its loop; NULL with errno ENOMEM, EMFILE (there was no default
/// loop yet), EPERM (a forked child uses its parent's loop).
///
/// # Safety
/// `lp` is NULL or a loop; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_pool_new(lp: *mut ev_loop) -> *mut pconn_pool {
    fallible(|| {
        guard::quiet_panics();
        // SAFETY: as the caller promises.
        let lp = unsafe { evloop::loop_or_default(lp, "pconn_pool_new") }?;
        let pool = Pool::new(&lp)?;
        Ok(Rc::as_ptr(&pool).cast_mut().cast())
    })
}

/// Closes the idle connections and frees the pool, from any callback. Connections that are lent live on, with their callbacks,
/// and are closed with conn_close. NULL is a no-op.
///
/// # Safety
/// `pool` is NULL or not freed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_pool_free(pool: *mut pconn_pool) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(pool) = unsafe { hold(pool, "pconn_pool_free") } {
            pool.free();
        }
    })
}

/// Lends a connection: the most recently released idle one to the same place, else a new one, as conn_new makes it with
/// the default options.
///
/// The same place is: the same scheme and host (names without case, `unix:` paths as they are), the same port (NULL is "443"
/// with TLS, else "80"), with or without TLS; over TLS also the default TLS context, with the settings that it has now, and the
/// name that was verified. What scheme says is the program's business: it tells apart what must not be mixed.
///
/// Exactly one of `on_ready` and `on_error` is then called, from the loop, unless conn_close or pconn_release comes first; either may be
/// NULL. This holds for an idle connection too: it is CONN_READY as before, but until then reads and writes give EAGAIN,
/// so that bytes which came while it was idle are never taken for an answer. Where
/// the kernel tells of its end meanwhile, `on_error` is called alone (CONN_ERR_IO, ECONNRESET; or what TLS had to say), and another
/// pconn_acquire is the answer. Between `on_ready` and the first answer a server may still close a connection that it had kept
/// idle: a request that may be repeated should be, on a new one.
///
/// An idle connection comes as if it were new: without callbacks, without the pointer of conn_set_data, keeping evloop_run
/// running, whatever its last user did. Its host and port are spelled as its first user spelled them; conn_get_timing is that of
/// its establishing, and so are what TLS negotiated and conn_session_reused.
///
/// What the default options say counts for a new connection; early data goes with a new one alone.
///
/// Ended by pconn_release or conn_close. Returns NULL with errno EINVAL (pool, scheme or host is NULL or empty; the log has the
/// reason), else as conn_new.
///
/// # Safety
/// The pointers are NULL or valid; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_acquire(
    pool: *mut pconn_pool,
    scheme: *const c_char,
    host: *const c_char,
    port: *const c_char,
    use_tls: c_bool,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> *mut net_conn {
    fallible(|| {
        // SAFETY: as the caller promises.
        let (pool, scheme, host, port) = unsafe {
            (
                hold(pool, "pconn_acquire"),
                text(scheme),
                text(host),
                text(port),
            )
        };
        let pool = pool.ok_or_else(|| log::invalid("the pool is NULL"))?;
        let target = Target {
            scheme: scheme.ok_or_else(|| log::invalid("the scheme is NULL"))?,
            host: host.ok_or_else(|| log::invalid("the host is NULL"))?,
            port,
            use_tls: use_tls != 0,
        };
        let prepare = |conn: &Conn| prepare(conn, on_ready, on_error, arg);
        let conn = pool.acquire(&target, &CallC, prepare)?;
        Ok(Rc::as_ptr(&conn).cast_mut().cast())
    })
}

/// Gives a connection back; c is the caller's no more. It is kept where keep_alive_ok is true, the limits allow it, it is
/// CONN_READY, its write side is open, and nothing is unsent or unread, in the kernel either; else it is closed as by conn_close.
/// TLS records without data (tickets, key updates) are not unread. Legal in any callback, the connection's own too.
///
/// No callback of the connection runs afterwards. While it is idle it does not keep evloop_run running, and it is closed at once
/// when its peer closes it or sends something. One that was lent and has not been reported yet goes back as it came.
///
/// A connection that did not come from this pool is adopted, to be lent for the scheme "https" (over TLS) or "http" and its host
/// and port. NULL for either is a no-op. A connection of another loop stays the caller's, and one that was given back before is
/// left alone: the log has an error. (The pool knows an address again that it has closed while that is among the last 16.)
///
/// # Safety
/// `pool` is NULL or not freed, `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_release(
    pool: *mut pconn_pool,
    c: *mut net_conn,
    keep_alive_ok: c_bool,
) {
    infallible((), || {
        // SAFETY: as the caller promises.
        let Some(pool) = (unsafe { hold(pool, "pconn_release") }) else {
            return;
        };
        let conn: *const Conn = c.cast_const().cast();
        if conn.is_null() || pool.knows_closed(conn) {
            return;
        }
        // SAFETY: not NULL; the address inside an Rc that its loop owns until the close. `release` counts it before anything runs
        // that could end it, but not before it has seen that it is of this thread's loop.
        pool.release(unsafe { &*conn }, keep_alive_ok != 0);
    })
}

/// Closes the idle connections to a host, whatever their scheme and port. NULL for either is a no-op.
///
/// # Safety
/// The pointers are NULL or valid; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_flush_for_host(pool: *mut pconn_pool, host: *const c_char) {
    infallible((), || {
        // SAFETY: as the caller promises.
        let (pool, host) = unsafe { (hold(pool, "pconn_flush_for_host"), text(host)) };
        if let (Some(pool), Some(host)) = (pool, host) {
            pool.flush_for_host(host);
        }
    })
}

/// Closes all idle connections; the pool can be used on. NULL is a no-op.
///
/// # Safety
/// `pool` is NULL or not freed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_shutdown_all(pool: *mut pconn_pool) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(pool) = unsafe { hold(pool, "pconn_shutdown_all") } {
            pool.shutdown_all();
        }
    })
}

/// How many connections are idle; 0 for NULL.
///
/// # Safety
/// `pool` is NULL or not freed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_get_idle_count(pool: *mut pconn_pool) -> usize {
    infallible(0, || {
        // SAFETY: as the caller promises.
        unsafe { hold(pool, "pconn_get_idle_count") }.map_or(0, |pool| pool.idle_count())
    })
}

/// How many connections are idle or lent; 0 for NULL. A lent one counts until pconn_release or conn_close, also where it failed.
///
/// # Safety
/// `pool` is NULL or not freed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_get_total_count(pool: *mut pconn_pool) -> usize {
    infallible(0, || {
        // SAFETY: as the caller promises.
        unsafe { hold(pool, "pconn_get_total_count") }.map_or(0, |pool| pool.total_count())
    })
}

/// How many idle connections are kept: to one place (see pconn_acquire; 5 until this is called), in all (256), and for how many
/// seconds each (300; infinity is no limit). Where any of them is 0 (or the time is below), none are. What is too much is closed
/// at once, the longest idle first. NULL is a no-op, and so is a time that is NaN (the log has an error).
///
/// # Safety
/// `pool` is NULL or not freed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn pconn_pool_set_limits(
    pool: *mut pconn_pool,
    max_idle_per_host: usize,
    max_idle: usize,
    max_idle_seconds: f64,
) {
    infallible((), || {
        // SAFETY: as the caller promises.
        let Some(pool) = (unsafe { hold(pool, "pconn_pool_set_limits") }) else {
            return;
        };
        // Of an error the log has the reason, and there is nothing to return.
        if let Ok(limits) = Limits::new(max_idle_per_host, max_idle, max_idle_seconds) {
            pool.set_limits(limits);
        }
    })
}
