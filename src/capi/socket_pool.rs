//! `pool/SocketPool.h`: making and ending pools, what is in them, their size. (Its other parts are in the files beside this
//! one.) Must not know how a pool keeps its connections.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]

use super::arena::{self, Arena_T};
use super::raise::{raising, violated};
use super::shim::catching;
use super::socket::Socket_T;
use crate::socket::pool::{Connection, Pool};
use crate::socket::{Error, Handle, Kind};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// A pool.
pub type SocketPool_T = *const Pool;
/// A connection in a pool: valid until it is removed.
pub type Connection_T = *const Connection;

/// Whether a connection will do: 0 removes it.
pub type SocketPool_ValidationCallback =
    Option<unsafe extern "C" fn(connection: Connection_T, data: *mut c_void) -> c_int>;

/// The pool has another size, or is about to get it.
pub type SocketPool_ResizeCallback = Option<
    unsafe extern "C" fn(pool: SocketPool_T, old_size: usize, new_size: usize, data: *mut c_void),
>;

/// The same, before.
pub type SocketPool_PreResizeCallback = Option<
    unsafe extern "C" fn(pool: SocketPool_T, old_size: usize, new_size: usize, data: *mut c_void),
>;

/// A connection is about to be removed as idle, and its socket freed.
pub type SocketPool_IdleCallback =
    Option<unsafe extern "C" fn(connection: Connection_T, data: *mut c_void)>;

/// Whether a connection is wanted.
pub type SocketPool_Predicate =
    Option<unsafe extern "C" fn(connection: Connection_T, data: *mut c_void) -> c_int>;

/// What a callback is given: a pointer of the program's, which says by the callback's contract that any thread may use it.
#[derive(Clone, Copy)]
pub(super) struct Data(*mut c_void);

// SAFETY: as above; nothing here follows it.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

impl Data {
    pub(super) fn new(data: *mut c_void) -> Data {
        Data(data)
    }

    pub(super) fn get(self) -> *mut c_void {
        self.0
    }
}

/// The pool behind a handle, alive until what this gives is dropped, whatever callbacks do meanwhile.
///
/// # Safety
/// `pool` is NULL or was not freed.
pub(super) unsafe fn given(function: &str, pool: SocketPool_T) -> Result<Arc<Pool>, Error> {
    if pool.is_null() {
        return Err(null(function, "pool"));
    }
    // SAFETY: from `Arc::into_raw`, and the caller's promise.
    Ok(unsafe {
        Arc::increment_strong_count(pool);
        Arc::from_raw(pool)
    })
}

/// The handle of a socket, live or not.
pub(super) fn handle(function: &str, socket: Socket_T) -> Result<&'static Handle, Error> {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    unsafe { socket.as_ref() }.ok_or_else(|| null(function, "socket"))
}

fn null(function: &str, what: &str) -> Error {
    Error::invalid(Kind::Pool, format!("{function}: the {what} is NULL"))
}

/// NULL for none.
pub(super) fn connection(found: Option<&'static Connection>) -> Connection_T {
    found.map_or(ptr::null(), ptr::from_ref)
}

/// Makes a pool of up to `maxconns` connections (1 to 10000), each with two buffers of `bufsize` bytes (512 to 1 MiB).
///
/// All buffers are the arena's, which must outlive the pool; one slot in five gets its own now.
///
/// Raises SocketPool_Failed: a NULL arena, a number out of range (EINVAL), an arena that gives no more (ENOMEM).
///
/// # Safety
/// `arena` is NULL or a live arena that outlives the pool.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_new(
    arena: Arena_T,
    maxconns: usize,
    bufsize: usize,
) -> SocketPool_T {
    raising(c"SocketPool_new", || {
        if arena.is_null() {
            return Err(null("SocketPool_new", "arena"));
        }
        // SAFETY: the caller's promise.
        let pool = unsafe { Pool::new(arena::arena(arena)?, maxconns, bufsize) }?;
        Ok(Arc::into_raw(Arc::new(pool)))
    })
}

/// Ends a pool and stores NULL; nothing happens for NULL. Its sockets stay open, and the program's; the TLS sessions that it
/// kept are gone, and so are its Connection_T.
///
/// Connections that SocketPool_connect_async has not made yet are told to be cancelled, in this call; a callback of theirs that
/// is running on another thread has returned when this returns: the caller holds no lock that it takes.
///
/// # Safety
/// `pool` is NULL or points to a handle.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_free(pool: *mut SocketPool_T) {
    raising(c"SocketPool_free", || {
        if pool.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and the caller's promise.
        let handle = unsafe { std::mem::replace(&mut *pool, ptr::null()) };
        if !handle.is_null() {
            // SAFETY: from `Arc::into_raw`; the handle's count is given back once.
            unsafe { Arc::from_raw(handle) }.close();
        }
        Ok(())
    })
}

/// Takes a socket in, which stays the program's; its connection. NULL when the pool is full, and when it drains or has
/// stopped.
///
/// The slot that became free last is taken first; its buffers are empty, its data is NULL. A socket that is in already keeps
/// its connection, and finds empty buffers. A TLS client before its handshake is offered a session that an earlier
/// connection to the same address and port left when it was removed, if it may be resumed under the settings of this one.
///
/// Raises SocketPool_Failed: NULL, a freed socket, an arena that gives no buffers any more.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_add(pool: SocketPool_T, socket: Socket_T) -> Connection_T {
    raising(c"SocketPool_add", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_add", pool) }?;
        let socket = handle("SocketPool_add", socket)?;
        pool.add(socket).map(connection)
    })
}

/// The connection of a socket, which is not idle from now on; NULL when the socket is not in the pool, and when the
/// validation callback is not content with it, which removes it.
///
/// Raises SocketPool_Failed for NULL, and what the callback raises; the connection then stays.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get(pool: SocketPool_T, socket: Socket_T) -> Connection_T {
    raising(c"SocketPool_get", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_get", pool) }?;
        let socket = handle("SocketPool_get", socket)?;
        pool.get(socket).map(connection)
    })
}

/// Takes a socket out, which stays open and the program's; nothing happens when it is not in the pool, and when it was freed.
///
/// Its buffers are overwritten, and its slot is free. TLS whose handshake is complete ends with a close_notify, if the peer
/// takes it within a second or the socket's operation time-out; the socket's TLS stays, and can be read to its end. A
/// SocketReconnect_T of the connection ends, and a socket that it has made ends with it.
///
/// Raises SocketPool_Failed for NULL.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_remove(pool: SocketPool_T, socket: Socket_T) {
    raising(c"SocketPool_remove", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_remove", pool) }?;
        pool.remove(handle("SocketPool_remove", socket)?);
        Ok(())
    })
}

/// Takes out, as SocketPool_remove does, and frees all sockets that have been idle for `idle_time` seconds or longer (0 and
/// below: all). Handles that the program has are out of date then: SocketPool_remove and Socket_free do nothing for them.
/// NULL is no pool, and nothing happens.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_cleanup(pool: SocketPool_T, idle_time: libc::time_t) {
    raising(c"SocketPool_cleanup", || {
        if pool.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_cleanup", pool) }?;
        pool.cleanup(idle_time).map(|_| ())
    })
}

/// How many connections there are.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_count(pool: SocketPool_T) -> usize {
    raising(c"SocketPool_count", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_count", pool) }?.count())
    })
}

/// Calls `func` with each connection, in the order in which they were added. `func` should not call the pool; connections
/// that are removed meanwhile are passed over, and those that are added are not shown.
///
/// Raises SocketPool_Failed for NULL, and what `func` raises.
///
/// # Safety
/// `pool` is NULL or was not freed; `func` may be called with `arg`.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_foreach(
    pool: SocketPool_T,
    func: Option<unsafe extern "C" fn(connection: Connection_T, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    raising(c"SocketPool_foreach", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_foreach", pool) }?;
        let func = func.ok_or_else(|| null("SocketPool_foreach", "function"))?;
        pool.for_each(|connection| {
            // SAFETY: the caller's promise.
            catching(|| unsafe { func(connection, arg) })
        })
    })
}

/// The first connection for which `predicate` does not give 0; NULL when there is none.
///
/// Raises SocketPool_Failed for NULL, and what `predicate` raises.
///
/// # Safety
/// `pool` is NULL or was not freed; `predicate` may be called with `userdata`.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_find(
    pool: SocketPool_T,
    predicate: SocketPool_Predicate,
    userdata: *mut c_void,
) -> Connection_T {
    raising(c"SocketPool_find", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_find", pool) }?;
        let predicate = predicate.ok_or_else(|| null("SocketPool_find", "predicate"))?;
        let found = pool.find(|connection| {
            // SAFETY: the caller's promise.
            catching(|| unsafe { predicate(connection, userdata) } != 0)
        });
        found.map(connection)
    })
}

/// Stores the first `max` connections for which `predicate` does not give 0; how many those are.
///
/// Raises SocketPool_Failed for NULL, and what `predicate` raises.
///
/// # Safety
/// `pool` is NULL or was not freed; `predicate` may be called with `userdata`; `out` has room for `max` handles.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_filter(
    pool: SocketPool_T,
    predicate: SocketPool_Predicate,
    userdata: *mut c_void,
    out: *mut Connection_T,
    max: usize,
) -> usize {
    raising(c"SocketPool_filter", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_filter", pool) }?;
        let predicate = predicate.ok_or_else(|| null("SocketPool_filter", "predicate"))?;
        if out.is_null() && max > 0 {
            return Err(null("SocketPool_filter", "place for connections"));
        }
        let found = pool.filter(
            |connection| {
                // SAFETY: the caller's promise.
                catching(|| unsafe { predicate(connection, userdata) } != 0)
            },
            max,
        )?;
        for (at, connection) in found.iter().enumerate() {
            // SAFETY: there are `max` at most, and the caller's promise.
            unsafe { *out.add(at) = ptr::from_ref(*connection) };
        }
        Ok(found.len())
    })
}

/// Takes up to `new_maxconns` connections (clamped to 1 to 10000) from now on. Where there are more, those that have been idle
/// longest are removed as by SocketPool_cleanup. The callbacks run only if the number changes.
///
/// Raises SocketPool_Failed for NULL, and what the callbacks raise: the one before keeps the size as it was.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_resize(pool: SocketPool_T, new_maxconns: usize) {
    raising(c"SocketPool_resize", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_resize", pool) }?.resize(new_maxconns)
    })
}

/// Sees to it that `percentage` of the slots have their buffers now. Another number than 0 to 100 aborts.
///
/// Raises SocketPool_Failed: NULL, an arena that gives no more.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_prewarm(pool: SocketPool_T, percentage: c_int) {
    raising(c"SocketPool_prewarm", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_prewarm", pool) }?;
        match usize::try_from(percentage) {
            Ok(percentage @ 0..=100) => pool.prewarm(percentage),
            _ => violated(c"SocketPool_prewarm", "percentage", "is not 0 to 100"),
        }
    })
}

/// The size of the buffers of slots that have none yet, clamped to 512 to 1 MiB.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_bufsize(pool: SocketPool_T, new_bufsize: usize) {
    raising(c"SocketPool_set_bufsize", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_set_bufsize", pool) }?.set_bufsize(new_bufsize);
        Ok(())
    })
}

/// Whom SocketPool_get asks whether a connection will do; NULL: nobody. It may call the pool, and may raise.
///
/// # Safety
/// `pool` is NULL or was not freed; `cb` may be called with `data` until the pool is freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_validation_callback(
    pool: SocketPool_T,
    cb: SocketPool_ValidationCallback,
    data: *mut c_void,
) {
    raising(c"SocketPool_set_validation_callback", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_set_validation_callback", pool) }?;
        let data = Data::new(data);
        pool.set_validation(cb.map(|function| -> crate::socket::pool::Validate {
            Arc::new(move |connection| {
                let data = data.get();
                // SAFETY: the program's promise.
                catching(|| unsafe { function(connection, data) } != 0)
            })
        }));
        Ok(())
    })
}

/// Whom to tell when the size has changed; NULL: nobody. It may call the pool, and may raise.
///
/// # Safety
/// `pool` is NULL or was not freed; `cb` may be called with `data` until the pool is freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_resize_callback(
    pool: SocketPool_T,
    cb: SocketPool_ResizeCallback,
    data: *mut c_void,
) {
    raising(c"SocketPool_set_resize_callback", || {
        // SAFETY: the caller's promise.
        let inner = unsafe { given("SocketPool_set_resize_callback", pool) }?;
        inner.set_resized(resized(pool, cb, data));
        Ok(())
    })
}

/// Whom to tell before the size changes; NULL: nobody. It may call the pool, and may raise: the size then stays.
///
/// # Safety
/// `pool` is NULL or was not freed; `cb` may be called with `data` until the pool is freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_pre_resize_callback(
    pool: SocketPool_T,
    cb: SocketPool_PreResizeCallback,
    data: *mut c_void,
) {
    raising(c"SocketPool_set_pre_resize_callback", || {
        // SAFETY: the caller's promise.
        let inner = unsafe { given("SocketPool_set_pre_resize_callback", pool) }?;
        inner.set_before_resize(resized(pool, cb, data));
        Ok(())
    })
}

fn resized(
    pool: SocketPool_T,
    cb: SocketPool_ResizeCallback,
    data: *mut c_void,
) -> Option<crate::socket::pool::Resized> {
    let (pool, data) = (pool as usize, Data::new(data));
    let function = cb?;
    Some(Arc::new(move |old, new| {
        let (pool, data) = (pool as SocketPool_T, data.get());
        // SAFETY: the program's promise.
        catching(|| unsafe { function(pool, old, new, data) })
    }))
}

/// Whom to tell of each connection that is about to be removed as idle, by SocketPool_cleanup and
/// SocketPool_run_idle_cleanup; NULL: nobody. It may call the pool: one that it uses (SocketPool_get) stays, unless all go. It
/// may raise: nothing is removed then.
///
/// # Safety
/// `pool` is NULL or was not freed; `cb` may be called with `data` until the pool is freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_idle_callback(
    pool: SocketPool_T,
    cb: SocketPool_IdleCallback,
    data: *mut c_void,
) {
    raising(c"SocketPool_set_idle_callback", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_set_idle_callback", pool) }?;
        let data = Data::new(data);
        pool.set_idle_callback(cb.map(|function| -> crate::socket::pool::Shown {
            Arc::new(move |connection| {
                let data = data.get();
                // SAFETY: the program's promise.
                catching(|| unsafe { function(connection, data) })
            })
        }));
        Ok(())
    })
}
