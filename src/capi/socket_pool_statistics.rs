//! `pool/SocketPool.h`: how a pool and its connections are. Must not know how it is counted.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]

use super::raise::raising;
use super::socket_pool::{given, Connection_T, SocketPool_T};
use crate::socket::pool::Health;
use crate::socket::{Error, Kind};

/// How a connection is.
#[repr(C)]
pub enum SocketPool_ConnHealth {
    /// Nothing speaks against it.
    POOL_CONN_HEALTHY = 0,
    /// The peer has ended it.
    POOL_CONN_DISCONNECTED = 1,
    /// It failed, or is not in the pool.
    POOL_CONN_ERROR = 2,
    /// It has been idle for longer than the idle time-out.
    POOL_CONN_STALE = 3,
}

/// A `SocketPool_ConnHealth`.
pub type SocketPool_ConnHealth_t = i32;

/// What happened in a pool since it was made, or since SocketPool_reset_stats, and how it is now.
#[repr(C)]
pub struct SocketPool_Stats {
    /// Connections that were added.
    pub total_added: u64,
    /// Connections that were removed.
    pub total_removed: u64,
    /// How often SocketPool_get found one.
    pub total_reused: u64,
    /// How often SocketPool_check_connection looked at one.
    pub total_health_checks: u64,
    /// How often it found something wrong.
    pub total_health_failures: u64,
    /// How often the validation callback was not content.
    pub total_validation_failures: u64,
    /// How often SocketPool_run_idle_cleanup looked for idle ones.
    pub total_idle_cleanups: u64,
    /// Connections now.
    pub current_active: usize,
    /// Those of them that have been idle for longer than the idle time-out.
    pub current_idle: usize,
    /// How many there may be.
    pub max_connections: usize,
    /// Reused ones as a share of reused and added ones: 0 to 1.
    pub reuse_rate: f64,
    /// Seconds since the connections of now were added, on average.
    pub avg_connection_age_sec: f64,
    /// Connections added and removed in a second.
    pub churn_rate_per_sec: f64,
}

/// Looks at a connection's socket, without waiting and without taking a byte.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_check_connection(
    pool: SocketPool_T,
    conn: Connection_T,
) -> SocketPool_ConnHealth_t {
    raising(c"SocketPool_check_connection", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_check_connection", pool) }?;
        // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
        let health = match unsafe { conn.as_ref() }.map(|connection| pool.check(connection)) {
            Some(Health::Healthy) => SocketPool_ConnHealth::POOL_CONN_HEALTHY,
            Some(Health::Disconnected) => SocketPool_ConnHealth::POOL_CONN_DISCONNECTED,
            Some(Health::Stale) => SocketPool_ConnHealth::POOL_CONN_STALE,
            Some(Health::Failed) | None => SocketPool_ConnHealth::POOL_CONN_ERROR,
        };
        Ok(health as i32)
    })
}

/// What happened so far, and how it is now.
///
/// Raises SocketPool_Failed for NULL.
///
/// # Safety
/// `pool` is NULL or was not freed; `stats` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get_stats(pool: SocketPool_T, stats: *mut SocketPool_Stats) {
    raising(c"SocketPool_get_stats", || {
        // SAFETY: the caller's promise.
        let pool = unsafe { given("SocketPool_get_stats", pool) }?;
        if stats.is_null() {
            return Err(Error::invalid(
                Kind::Pool,
                "SocketPool_get_stats: the place for the numbers is NULL",
            ));
        }
        let known = pool.statistics();
        // SAFETY: not NULL, and the caller's promise.
        unsafe {
            stats.write(SocketPool_Stats {
                total_added: known.added,
                total_removed: known.removed,
                total_reused: known.reused,
                total_health_checks: known.health_checks,
                total_health_failures: known.health_failures,
                total_validation_failures: known.validation_failures,
                total_idle_cleanups: known.idle_cleanups,
                current_active: known.active,
                current_idle: known.idle,
                max_connections: known.max,
                reuse_rate: known.reuse_rate,
                avg_connection_age_sec: known.average_age,
                churn_rate_per_sec: known.churn_rate,
            });
        }
        Ok(())
    })
}

/// Counts from 0 again.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_reset_stats(pool: SocketPool_T) {
    raising(c"SocketPool_reset_stats", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_reset_stats", pool) }?.reset_statistics();
        Ok(())
    })
}

/// How many connections have been idle for longer than the idle time-out.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get_idle_count(pool: SocketPool_T) -> usize {
    raising(c"SocketPool_get_idle_count", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_get_idle_count", pool) }?.idle_count())
    })
}

/// How many connections there are, as SocketPool_count.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get_active_count(pool: SocketPool_T) -> usize {
    raising(c"SocketPool_get_active_count", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_get_active_count", pool) }?.count())
    })
}

/// How often SocketPool_get found what it was asked for: 0 to 1, and 0 before it was asked.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get_hit_rate(pool: SocketPool_T) -> f64 {
    raising(c"SocketPool_get_hit_rate", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_get_hit_rate", pool) }?.hit_rate())
    })
}

/// How long a connection may be idle, in seconds: 300 at first; 0 and below: for ever.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_set_idle_timeout(pool: SocketPool_T, sec: libc::time_t) {
    raising(c"SocketPool_set_idle_timeout", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_set_idle_timeout", pool) }?.set_idle_timeout(sec);
        Ok(())
    })
}

/// How long a connection may be idle, in seconds; 0: for ever.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_get_idle_timeout(pool: SocketPool_T) -> libc::time_t {
    raising(c"SocketPool_get_idle_timeout", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_get_idle_timeout", pool) }?.idle_timeout())
    })
}

/// In how many milliseconds SocketPool_run_idle_cleanup should be called, a minute after the last time; -1 when connections
/// may be idle for ever.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_idle_cleanup_due_ms(pool: SocketPool_T) -> i64 {
    raising(c"SocketPool_idle_cleanup_due_ms", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { given("SocketPool_idle_cleanup_due_ms", pool) }?.idle_cleanup_due())
    })
}

/// As SocketPool_cleanup with the idle time-out; how many connections it removed.
///
/// # Safety
/// `pool` is NULL or was not freed.
#[no_mangle]
pub unsafe extern "C" fn SocketPool_run_idle_cleanup(pool: SocketPool_T) -> usize {
    raising(c"SocketPool_run_idle_cleanup", || {
        // SAFETY: the caller's promise.
        unsafe { given("SocketPool_run_idle_cleanup", pool) }?.run_idle_cleanup()
    })
}
