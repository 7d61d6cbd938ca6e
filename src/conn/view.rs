//! The visible members of `struct net_conn`, kept true at all times.
//!
//! The face declares the same members for the header and asserts that both layouts agree. Every member is a `Cell`: C
//! code reads them through its own pointer while ours are in use.

use super::Conn;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};

/// A callback as C programs write it.
pub type RawCallback = Option<unsafe extern "C" fn(*mut Conn, *mut c_void)>;

/// The members, in the order that programs were compiled with.
#[repr(C)]
pub struct View {
    /// `enum conn_state`
    pub state: Cell<c_int>,
    /// Owned by [`super::Conn`].
    pub host: Cell<*mut c_char>,
    /// Owned by [`super::Conn`].
    pub port: Cell<*mut c_char>,
    /// Whether TLS was asked for.
    pub use_tls: Cell<bool>,
    /// -1 when there is none; while attempts race, the newest one's.
    pub fd: Cell<c_int>,
    /// Owned by the transport; NULL when there is none.
    pub ssl: Cell<*mut crate::tls::SSL>,
    /// Address of the loop's watcher; NULL while the descriptor is not watched.
    pub io_watcher: Cell<*mut c_void>,
    /// Address of the connection's timer; not NULL exactly while it is armed in CONNECTING and TLS_HANDSHAKE.
    pub connect_timer: Cell<*mut c_void>,
    /// As given.
    pub on_ready: Cell<RawCallback>,
    /// As given.
    pub on_error: Cell<RawCallback>,
    /// The argument of both.
    pub cb_arg: Cell<*mut c_void>,
    /// As set last.
    pub readable_cb: Cell<RawCallback>,
    /// As set last.
    pub writable_cb: Cell<RawCallback>,
    /// The argument set last, of either.
    pub rw_arg: Cell<*mut c_void>,
    // What follows is private.
    /// The argument that the readable callback was set with.
    pub readable_arg: Cell<*mut c_void>,
    /// The argument that the writable callback was set with.
    pub writable_arg: Cell<*mut c_void>,
    /// The program's own pointer.
    pub data: Cell<*mut c_void>,
}

impl View {
    pub(super) fn new(host: *mut c_char, port: *mut c_char, use_tls: bool) -> View {
        View {
            state: Cell::new(super::State::Init as c_int),
            host: Cell::new(host),
            port: Cell::new(port),
            use_tls: Cell::new(use_tls),
            fd: Cell::new(-1),
            ssl: Cell::new(std::ptr::null_mut()),
            io_watcher: Cell::new(std::ptr::null_mut()),
            connect_timer: Cell::new(std::ptr::null_mut()),
            on_ready: Cell::new(None),
            on_error: Cell::new(None),
            cb_arg: Cell::new(std::ptr::null_mut()),
            readable_cb: Cell::new(None),
            writable_cb: Cell::new(None),
            rw_arg: Cell::new(std::ptr::null_mut()),
            readable_arg: Cell::new(std::ptr::null_mut()),
            writable_arg: Cell::new(std::ptr::null_mut()),
            data: Cell::new(std::ptr::null_mut()),
        }
    }

    /// Forgets the program's callbacks and pointers.
    pub(super) fn forget_program(&self) {
        for callback in [
            &self.on_ready,
            &self.on_error,
            &self.readable_cb,
            &self.writable_cb,
        ] {
            callback.set(None);
        }
        for pointer in [
            &self.cb_arg,
            &self.rw_arg,
            &self.readable_arg,
            &self.writable_arg,
            &self.data,
        ] {
            pointer.set(std::ptr::null_mut());
        }
    }
}
