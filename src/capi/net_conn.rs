//! `net_conn.h`: one non-blocking connection.
#![allow(non_camel_case_types)]

use super::evloop::{self, ev_loop, evloop_io, evloop_timer};
use super::guard::{self, fallible, infallible};
use super::net_conn_options::{self, conn_options};
use super::tls_types::{SocketTLSContext_T, SSL};
use super::types::c_bool;
use crate::conn::machine::Timing;
use crate::conn::options::{self, Options};
use crate::conn::view::{RawCallback, View};
use crate::conn::{Conn, Observer};
use crate::errno::Errno;
use crate::evloop::Loop;
use crate::log;
use crate::tls::Context;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::mem::{offset_of, size_of};
use std::rc::Rc;

/// The state of a connection: INIT, RESOLVING, CONNECTING, TLS_HANDSHAKE, READY, CLOSED in this order (phases that are
/// not needed are left out), ERROR from any of them.
#[repr(C)]
pub enum conn_state {
    /// Made, not started.
    CONN_INIT,
    /// The name is being looked up.
    CONN_RESOLVING,
    /// Addresses are being tried.
    CONN_CONNECTING,
    /// Connected; TLS is being set up.
    CONN_TLS_HANDSHAKE,
    /// Bytes can flow. Stays so until both directions have ended cleanly.
    CONN_READY,
    /// Both directions have ended cleanly.
    CONN_CLOSED,
    /// It failed; see conn_get_error_msg.
    CONN_ERROR,
}

/// `enum conn_state` as C code hands it over.
pub type conn_state_t = c_int;

/// What kind of failure it was.
#[repr(C)]
pub enum conn_error {
    /// No error.
    CONN_ERR_NONE,
    /// The name could not be resolved; conn_get_errno is the resolver's status.
    CONN_ERR_RESOLVE,
    /// No address could be connected.
    CONN_ERR_CONNECT,
    /// A time-out, in any phase; conn_get_errno is ETIMEDOUT.
    CONN_ERR_TIMEOUT,
    /// The TLS protocol failed, or the stream was truncated.
    CONN_ERR_TLS,
    /// The peer's certificate was refused.
    CONN_ERR_CERTIFICATE,
    /// Reading or writing failed.
    CONN_ERR_IO,
    /// This process or machine ran out of descriptors, memory or ports.
    CONN_ERR_RESOURCE,
    /// What was asked for is impossible (a port of 70000).
    CONN_ERR_INVALID,
}

/// `enum conn_error` as C code hands it over.
pub type conn_error_t = c_int;

/// Called from the loop. It may do anything: close this connection or another, open one, free the loop.
pub type conn_event_cb = Option<unsafe extern "C" fn(c: *mut net_conn, arg: *mut c_void)>;

/// How long the phases took, in nanoseconds. Filled as phases end; 0 until then.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct conn_timing {
    /// Looking up the name.
    pub resolve: u64,
    /// From the first attempt to the one that won.
    pub connect: u64,
    /// The TLS handshake, the one of conn_start_tls too.
    pub tls: u64,
    /// From the beginning to the outcome; conn_start_tls adds its handshake, not what was talked before it.
    pub total: u64,
    /// Addresses tried.
    pub attempts: c_uint,
}

/// A connection. The members are true at all times and for reading only. Only this library allocates one: what follows
/// the members is private.
#[repr(C)]
pub struct net_conn {
    /// See enum conn_state.
    pub state: conn_state_t,
    /// As given; valid until conn_close.
    pub host: *mut c_char,
    /// As given; valid until conn_close.
    pub port: *mut c_char,
    /// Whether TLS was asked for.
    pub use_tls: c_bool,
    /// The socket; -1 when there is none. While attempts race, the newest one's.
    pub fd: c_int,
    /// The TLS session; NULL when there is none. SSL_get_fd gives the socket.
    pub ssl: *mut SSL,
    /// NULL while the socket is not watched.
    pub io_watcher: *mut evloop_io,
    /// Not NULL exactly while it is armed, in CONN_CONNECTING and CONN_TLS_HANDSHAKE.
    pub connect_timer: *mut evloop_timer,
    /// As given.
    pub on_ready: conn_event_cb,
    /// As given.
    pub on_error: conn_event_cb,
    /// The argument of both.
    pub cb_arg: *mut c_void,
    /// As set last.
    pub readable_cb: conn_event_cb,
    /// As set last.
    pub writable_cb: conn_event_cb,
    /// The argument that was set last, of either.
    pub rw_arg: *mut c_void,
}

// C programs read the members through this layout, the library writes them through `View`.
const _: () = {
    assert!(offset_of!(net_conn, state) == offset_of!(View, state));
    assert!(offset_of!(net_conn, host) == offset_of!(View, host));
    assert!(offset_of!(net_conn, port) == offset_of!(View, port));
    assert!(offset_of!(net_conn, use_tls) == offset_of!(View, use_tls));
    assert!(offset_of!(net_conn, fd) == offset_of!(View, fd));
    assert!(offset_of!(net_conn, ssl) == offset_of!(View, ssl));
    assert!(offset_of!(net_conn, io_watcher) == offset_of!(View, io_watcher));
    assert!(offset_of!(net_conn, connect_timer) == offset_of!(View, connect_timer));
    assert!(offset_of!(net_conn, on_ready) == offset_of!(View, on_ready));
    assert!(offset_of!(net_conn, on_error) == offset_of!(View, on_error));
    assert!(offset_of!(net_conn, cb_arg) == offset_of!(View, cb_arg));
    assert!(offset_of!(net_conn, readable_cb) == offset_of!(View, readable_cb));
    assert!(offset_of!(net_conn, writable_cb) == offset_of!(View, writable_cb));
    assert!(offset_of!(net_conn, rw_arg) == offset_of!(View, rw_arg));
    assert!(size_of::<net_conn>() == offset_of!(View, readable_arg));
    assert!(offset_of!(Conn, view) == 0);
    assert!(size_of::<conn_timing>() == size_of::<Timing>());
    assert!(offset_of!(conn_timing, total) == offset_of!(Timing, total));
    assert!(offset_of!(conn_timing, attempts) == offset_of!(Timing, attempts));
};

/// Tells a C program of its connection.
pub(super) struct CallC;

impl CallC {
    fn call(callback: RawCallback, conn: &Rc<Conn>, arg: *mut c_void) {
        if let Some(callback) = callback {
            // SAFETY: the program gave this callback for this connection; `conn` keeps the object alive during the
            // call, nothing of it is borrowed, and a closed connection has another observer.
            unsafe { callback(Rc::as_ptr(conn).cast_mut(), arg) }
        }
    }
}

impl Observer for CallC {
    fn on_ready(&self, conn: &Rc<Conn>) {
        Self::call(conn.view.on_ready.get(), conn, conn.view.cb_arg.get());
    }
    fn on_error(&self, conn: &Rc<Conn>) {
        Self::call(conn.view.on_error.get(), conn, conn.view.cb_arg.get());
    }
    fn on_readable(&self, conn: &Rc<Conn>) {
        Self::call(
            conn.view.readable_cb.get(),
            conn,
            conn.view.readable_arg.get(),
        );
    }
    fn on_writable(&self, conn: &Rc<Conn>) {
        Self::call(
            conn.view.writable_cb.get(),
            conn,
            conn.view.writable_arg.get(),
        );
    }
}

pub(super) fn raw(callback: conn_event_cb) -> RawCallback {
    // SAFETY: both are C function pointers of the same shape; they differ in the name of the type that the first pointer
    // points to, and `net_conn` is the visible head of `Conn`.
    unsafe { std::mem::transmute::<conn_event_cb, RawCallback>(callback) }
}

/// Holds the connection for the length of a call of `function`: a callback that runs inside may close it.
///
/// # Safety
/// `c` is NULL or a connection that was not closed yet.
pub(super) unsafe fn hold(c: *mut net_conn, function: &str) -> Option<Rc<Conn>> {
    if c.is_null() {
        return None;
    }
    let conn: *const Conn = c.cast_const().cast();
    // SAFETY: every `net_conn` that C holds is the address inside an Rc that its loop owns until the close.
    let conn = unsafe {
        Rc::increment_strong_count(conn);
        Rc::from_raw(conn)
    };
    conn.event_loop().check_thread(function);
    Some(conn)
}

/// As [`hold`], where NULL is an error.
///
/// # Safety
/// As for [`hold`].
pub(super) unsafe fn required(c: *mut net_conn, function: &str) -> Result<Rc<Conn>, Errno> {
    // SAFETY: as the caller promises.
    unsafe { hold(c, function) }.ok_or(Errno(libc::EINVAL))
}

/// Looks at a connection without running anything; `neutral` for NULL.
///
/// # Safety
/// As for [`hold`].
pub(super) unsafe fn look<R>(
    c: *mut net_conn,
    function: &str,
    neutral: R,
    look: impl FnOnce(&Conn) -> R,
) -> R {
    let conn: *const Conn = c.cast_const().cast();
    // SAFETY: NULL, or the address inside an Rc that the loop owns until the close, which cannot come during a look.
    match unsafe { conn.as_ref() } {
        Some(conn) => {
            conn.event_loop().check_thread(function);
            look(conn)
        }
        None => neutral,
    }
}

/// Starts a connection.
///
/// Returns at once, in CONN_RESOLVING (host is a name, cached or not) or CONN_CONNECTING (host is an IPv4 or IPv6
/// literal, `unix:/path` or `unix:@abstract`). Exactly one of `on_ready` and `on_error` is then called, from the loop,
/// unless conn_close comes first; either may be NULL. Everything that is wrong with host or port is reported that way too
/// (CONN_ERR_INVALID).
///
/// lp: NULL for the default loop. port: a number or a service name; NULL for "443" with TLS, else "80".
///
/// Several addresses are tried as RFC 8305 says. With TLS the certificate's chain and name are verified.
///
/// Returns the connection, to be ended by conn_close; NULL with errno EINVAL (no host; `unix:` with TLS; the log has the
/// reason), ECANCELED (closed by a callback that ran inside the call), ENOMEM, EPERM (a forked child uses its parent's
/// loop).
///
/// # Safety
/// The pointers are NULL or valid; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_new(
    lp: *mut ev_loop,
    host: *const c_char,
    port: *const c_char,
    use_tls: c_bool,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> *mut net_conn {
    fallible(|| {
        let mut options = options::defaults();
        options.use_tls = use_tls != 0;
        // SAFETY: as the caller promises.
        unsafe {
            let lp = evloop::loop_or_default(lp, "conn_new")?;
            open(&lp, host, port, options, on_ready, on_error, arg)
        }
    })
}

/// As conn_new, with options. NULL for the default options (conn_set_default_options).
///
/// The options are read during the call and copied. EINVAL, besides the reasons of conn_new: a `size` of 0 or larger
/// than this library knows, a time that is NaN, another family than the three, an empty server_name, a local_addr that is
/// no address, server_side, a server's TLS context. `unix:` with TLS needs server_name. The log has the reason.
///
/// # Safety
/// The pointers are NULL or valid; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_new_with(
    lp: *mut ev_loop,
    host: *const c_char,
    port: *const c_char,
    options: *const conn_options,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> *mut net_conn {
    fallible(|| {
        // SAFETY: as the caller promises.
        unsafe {
            let options = net_conn_options::read(options)?.unwrap_or_else(options::defaults);
            let lp = evloop::loop_or_default(lp, "conn_new_with")?;
            open(&lp, host, port, options, on_ready, on_error, arg)
        }
    })
}

/// # Safety
/// As for `conn_new`.
unsafe fn open(
    lp: &Rc<Loop>,
    host: *const c_char,
    port: *const c_char,
    options: Options,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> Result<*mut net_conn, Errno> {
    guard::quiet_panics();
    // SAFETY: not NULL, and the caller promises NUL-terminated strings.
    let text = |s: *const c_char| (!s.is_null()).then(|| unsafe { CStr::from_ptr(s) });
    let host = text(host).ok_or_else(|| log::invalid("the host is NULL"))?;
    let port = text(port);
    let prepare = |conn: &Conn| prepare(conn, on_ready, on_error, arg);
    let conn = Conn::open(lp, host, port, options, &CallC, prepare)?;
    Ok(Rc::as_ptr(&conn).cast_mut().cast())
}

/// What a program gives with a connection, before anything can be heard of it.
pub(super) fn prepare(
    conn: &Conn,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) {
    conn.view.on_ready.set(raw(on_ready));
    conn.view.on_error.set(raw(on_error));
    conn.view.cb_arg.set(arg);
}

/// Takes over a connected stream socket (TCP or Unix), as its client or server side. The socket is made non-blocking and
/// close-on-exec. The connection starts in CONN_TLS_HANDSHAKE or, plain, in CONN_CONNECTING until CONN_READY is reported
/// from the loop. Its host and port are the peer's address.
///
/// A TLS client needs `server_name`, a TLS server `server_side` and a server's context in `tls` (EINVAL).
///
/// Returns the connection, which owns fd from now on; NULL with errno EBADF, ENOTSOCK, ENOTCONN, EINVAL, ENOMEM: fd stays the
/// caller's.
///
/// # Safety
/// The pointers are NULL or valid; fd is the caller's to give away; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_from_fd(
    lp: *mut ev_loop,
    fd: c_int,
    options: *const conn_options,
    on_ready: conn_event_cb,
    on_error: conn_event_cb,
    arg: *mut c_void,
) -> *mut net_conn {
    fallible(|| {
        guard::quiet_panics();
        // SAFETY: as the caller promises.
        let (options, lp) = unsafe {
            (
                net_conn_options::read(options)?.unwrap_or_else(options::defaults),
                evloop::loop_or_default(lp, "conn_from_fd")?,
            )
        };
        let prepare = |conn: &Conn| prepare(conn, on_ready, on_error, arg);
        let conn = Conn::adopt(&lp, fd, options, &CallC, prepare)?;
        Ok(Rc::as_ptr(&conn).cast_mut().cast())
    })
}

/// Ends a connection, in any state and from any callback: cancels what is under way, closes the socket, frees c, which is
/// dead on return. No callback of it runs afterwards. Over TLS close_notify is sent, but for a connection that failed: its
/// peer must not take what it got for everything. What the kernel does not take at once of bytes that were written, and of
/// close_notify, is sent by the loop afterwards, for at most 5 seconds, and keeps it running so long. NULL is a no-op. Never
/// blocks.
///
/// A socket that is closed while the peer still sends (over TLS 1.3 also a server's tickets right after the handshake) makes
/// the kernel answer with a reset, which can destroy what the peer has not read yet. Where every byte has to arrive, call
/// conn_shutdown and read to the end before this.
///
/// # Safety
/// `c` is NULL or a connection that was not closed yet; the call is made on its loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_close(c: *mut net_conn) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_close") } {
            conn.close();
        }
    })
}

/// As conn_close, but the peer gets a reset (RST) and nothing is sent any more. NULL is a no-op.
///
/// # Safety
/// As for conn_close.
#[no_mangle]
pub unsafe extern "C" fn conn_abort(c: *mut net_conn) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_abort") } {
            conn.abort();
        }
    })
}

/// What conn_new, and options of NULL, use from now on in this process (conn_new's own use_tls wins). NULL: the built-in
/// defaults. The options are copied. Any thread.
///
/// Returns 0; -1 with errno EINVAL as conn_new_with, which is what tells of server_side and of a server's TLS context: as
/// defaults they are for conn_from_fd and conn_start_tls.
///
/// # Safety
/// `options` is NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn conn_set_default_options(options: *const conn_options) -> c_int {
    fallible(|| {
        // SAFETY: as the caller promises.
        let options = unsafe { net_conn_options::read(options) }?;
        options::set_defaults(options);
        Ok(0)
    })
}

/// Replaces the TLS context that connections without one of their own use, in this process; holds a reference to it. NULL
/// brings the default back: the system's trust store, chain and name verified, TLS 1.2 and up. Any thread.
///
/// Returns 0; -1 with errno EINVAL for a server's context.
///
/// # Safety
/// `context` is NULL or a context that was not freed.
#[no_mangle]
pub unsafe extern "C" fn conn_set_default_tls(context: SocketTLSContext_T) -> c_int {
    fallible(|| {
        // SAFETY: as the caller promises.
        let context = unsafe { super::netconn_tls::context(context) };
        if context.as_ref().is_some_and(|c| c.is_server()) {
            return Err(log::invalid("the default TLS context is for clients"));
        }
        Context::set_default_client(context);
        Ok(0)
    })
}

/// Lets the connection keep evloop_run running (the default). Idempotent; NULL is a no-op.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_ref(c: *mut net_conn) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_ref") } {
            conn.set_ref(true);
        }
    })
}

/// The connection does not keep evloop_run running. Idempotent; NULL is a no-op.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_unref(c: *mut net_conn) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_unref") } {
            conn.set_ref(false);
        }
    })
}

/// Keeps a pointer of the program's with the connection, for conn_get_data alone. NULL for `c` is a no-op.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_set_data(c: *mut net_conn, data: *mut c_void) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_set_data") } {
            conn.view.data.set(data);
        }
    })
}

/// What conn_set_data kept; NULL before, and for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_get_data(c: *mut net_conn) -> *mut c_void {
    // SAFETY: as the caller promises.
    unsafe {
        look(c, "conn_get_data", std::ptr::null_mut(), |conn| {
            conn.view.data.get()
        })
    }
}
