//! `pool/SocketPool.h`: the end of a pool in good order. Must not know how it comes about.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]

use super::raise::raising;
use super::shim::catching;
use super::socket_pool::{given, Data, SocketPool_T};
use crate::socket::pool::{Drained, Phase, Polled};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// What a pool does.
#[repr(C)]
pub enum SocketPool_State {
    /// Takes connections.
    POOL_STATE_RUNNING = 0,
    /// Takes none any more, and waits for those it has.
    POOL_STATE_DRAINING = 1,
    /// Takes none, and has none.
    POOL_STATE_STOPPED = 2,
}

/// A `SocketPool_State`.
pub type SocketPool_State_t = i32;

/// The same, for those who spread load.
#[repr(C)]
pub enum SocketPool_Health {
    /// Send connections.
    POOL_HEALTH_HEALTHY = 0,
    /// Send no more.
    POOL_HEALTH_DRAINING = 1,
    /// There is nobody.
    POOL_HEALTH_STOPPED = 2,
}

/// A `SocketPool_Health`.
pub type SocketPool_Health_t = i32;

/// Draining has ended: `timed_out` is 1 when connections were ended by force.
pub type SocketPool_DrainCallback =
    Option<unsafe extern "C" fn(pool: SocketPool_T, timed_out: c_int, data: *mut c_void)>;

fn state(phase: Phase) -> i32 {
    let state = match phase {
        Phase::Running => SocketPool_State::POOL_STATE_RUNNING,
        Phase::Draining(_) => SocketPool_State::POOL_STATE_DRAINING,
        Phase::Stopped => SocketPool_State::POOL_STATE_STOPPED,
    };
    state as i32
}

/// What the pool does.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_state(pool: SocketPool_T) -> SocketPool_State_t {
    raising(c"SocketPool_state", || {
        // SAFETY: the caller's promise.
        Ok(state(unsafe { given("SocketPool_state", pool) }?.phase()))
    })
}

/// The same, for those who spread load.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_health(pool: SocketPool_T) -> SocketPool_Health_t {
    raising(c"SocketPool_health", || {
        // SAFETY: the caller's promise.
        let phase = unsafe { given("SocketPool_health", pool) }?.phase();
        let health = match phase {
            Phase::Running => SocketPool_Health::POOL_HEALTH_HEALTHY,
            Phase::Draining(_) => SocketPool_Health::POOL_HEALTH_DRAINING,
            Phase::Stopped => SocketPool_Health::POOL_HEALTH_STOPPED,
        };
        Ok(health as i32)
    })
}

/// 1 while the pool drains, else 0.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_is_draining(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_is_draining", || {
        // SAFETY: the caller's promise.
        let phase = unsafe { given("SocketPool_is_draining", pool) }?.phase();
        Ok(matches!(phase, Phase::Draining(_)).into())
    })
}

/// 1 when the pool has stopped, else 0.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_is_stopped(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_is_stopped", || {
        // SAFETY: the caller's promise.
        let phase = unsafe { given("SocketPool_is_stopped", pool) }?.phase();
        Ok((phase == Phase::Stopped).into())
    })
}

/// Takes no more connections, and gives those there are `timeout_ms` to be removed (-1: any time, 0: none, as
/// SocketPool_drain_force). A pool that is empty stops at once. Nothing happens unless the pool is running.
///
/// Raises SocketPool_Failed for NULL, and what the callback raises.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_drain(pool: SocketPool_T, timeout_ms: c_int) {
    raising(c"SocketPool_drain", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_drain", pool) }?.drain(timeout_ms)
    })
}

/// How many connections are left. 0, and the pool has stopped, when none are and it drained; -1 when their time was up: then
/// this call has ended them. While the pool is running just the number.
///
/// Raises SocketPool_Failed for NULL, and what the callback raises.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_drain_poll(pool: SocketPool_T) -> c_int {
    raising(c"SocketPool_drain_poll", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_drain_poll", pool) }?;
        Ok(match pool.drain_poll()? {
            Polled::Left(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
            Polled::Forced => -1,
        })
    })
}

/// How many milliseconds the connections still have; INT64_MAX without a limit, -1 unless the pool drains.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_drain_remaining_ms(pool: SocketPool_T) -> i64 {
    raising(c"SocketPool_drain_remaining_ms", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_drain_remaining_ms", pool) }?.drain_remaining())
    })
}

/// Ends all connections: takes leave of TLS, shuts the sockets down, removes and frees them. The pool has stopped then.
/// Nothing happens when it had before.
///
/// Raises SocketPool_Failed for NULL, and what the callback raises.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_drain_force(pool: SocketPool_T) {
    raising(c"SocketPool_drain_force", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_drain_force", pool) }?.drain_force()
    })
}

/// Drains and waits until the pool has stopped: 0 when all connections were removed by others, -1 when `timeout_ms` (-1: any
/// time) had passed before, and they were ended. A pool that drains already has the shorter of the two times.
///
/// Raises SocketPool_Failed for NULL, and what the callback raises.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_drain_wait(pool: SocketPool_T, timeout_ms: c_int) -> c_int {
    raising(c"SocketPool_drain_wait", || {
        // SAFETY: the caller's promise.
        let forced = unsafe { given("SocketPool_drain_wait", pool) }?.drain_wait(timeout_ms)?;
        Ok(if forced { -1 } else { 0 })
    })
}

/// Whom to tell, once, that draining has ended; NULL: nobody. It may call the pool, and may raise.
///
/// # Safety
/// `pool` is NULL or was not freed; `cb` may be called with `data` until the pool is freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_drain_callback(
    pool: SocketPool_T,
    cb: SocketPool_DrainCallback,
    data: *mut c_void,
) {
    raising(c"SocketPool_set_drain_callback", || {
        // SAFETY: the caller's promise.
        let inner = unsafe { given("SocketPool_set_drain_callback", pool) }?;
        let (pool, data) = (pool as usize, Data::new(data));
        inner.set_drained(cb.map(|function| -> Drained {
            Arc::new(move |forced| {
                let (pool, data) = (pool as SocketPool_T, data.get());
                // SAFETY: the program's promise.
                catching(|| unsafe { function(pool, forced.into(), data) })
            })
        }));
        Ok(())
    })
}
