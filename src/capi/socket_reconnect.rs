//! `socket/SocketReconnect.h`, but for its TLS: a client that stays connected. Must not know when it is tried again.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::raise::{raising, raising_with, record};
use super::shim::catching;
use super::socket::Socket_T;
use crate::errno::Errno;
use crate::socket::reconnect::{
    self, Examine, Handle, Policy, Reconnect, Said, State, Told, DEFAULTS,
};
use crate::socket::{Error, Kind};
use libc::ssize_t;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::rc::Rc;
use std::sync::Arc;

/// A client that stays connected. A handle that was freed is recognised: nothing happens with it.
pub type SocketReconnect_T = *const Handle;

/// Where a connection is.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum SocketReconnect_State {
    /// Nothing is tried.
    RECONNECT_DISCONNECTED = 0,
    /// An attempt is under way.
    RECONNECT_CONNECTING = 1,
    /// There is a connection; with TLS, the handshake is complete.
    RECONNECT_CONNECTED = 2,
    /// The next attempt waits for its time.
    RECONNECT_BACKOFF = 3,
    /// So many attempts have failed that the next one waits long.
    RECONNECT_CIRCUIT_OPEN = 4,
}

use SocketReconnect_State::*;

/// A state from C, an integer until it was checked.
pub type SocketReconnect_State_t = c_int;

/// When and how often a connection is tried again. A member that is out of range is replaced by the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketReconnect_Policy_T {
    /// The wait that grows, in milliseconds; from 1.
    pub initial_delay_ms: c_int,
    /// No wait is longer, in milliseconds; from the initial one.
    pub max_delay_ms: c_int,
    /// Each wait is so many times the one before; from 1.
    pub multiplier: f64,
    /// The share of a wait that chance adds or takes; 0 to 1.
    pub jitter: f64,
    /// After so many attempts without success nothing is tried any more; 0: any number.
    pub max_attempts: c_int,
    /// After so many failures in a row the circuit opens; from 1.
    pub circuit_failure_threshold: c_int,
    /// The wait of an open circuit, in milliseconds; from 1000.
    pub circuit_reset_timeout_ms: c_int,
    /// How often a connection is examined, in milliseconds; 0: never.
    pub health_check_interval_ms: c_int,
    /// How long an examination may take, in milliseconds; from 100.
    pub health_check_timeout_ms: c_int,
}

impl From<Said> for SocketReconnect_Policy_T {
    fn from(said: Said) -> SocketReconnect_Policy_T {
        SocketReconnect_Policy_T {
            initial_delay_ms: said.initial_delay_ms,
            max_delay_ms: said.max_delay_ms,
            multiplier: said.multiplier,
            jitter: said.jitter,
            max_attempts: said.max_attempts,
            circuit_failure_threshold: said.circuit_failure_threshold,
            circuit_reset_timeout_ms: said.circuit_reset_timeout_ms,
            health_check_interval_ms: said.health_check_interval_ms,
            health_check_timeout_ms: said.health_check_timeout_ms,
        }
    }
}

impl SocketReconnect_Policy_T {
    /// In range.
    pub(super) fn checked(&self) -> Policy {
        Policy::new(&Said {
            initial_delay_ms: self.initial_delay_ms,
            max_delay_ms: self.max_delay_ms,
            multiplier: self.multiplier,
            jitter: self.jitter,
            max_attempts: self.max_attempts,
            circuit_failure_threshold: self.circuit_failure_threshold,
            circuit_reset_timeout_ms: self.circuit_reset_timeout_ms,
            health_check_interval_ms: self.health_check_interval_ms,
            health_check_timeout_ms: self.health_check_timeout_ms,
        })
    }
}

/// Called on every change of state, inside the call that brought it about, after that change is complete: `conn` may be asked,
/// ended, told to connect, and freed (nothing touches it afterwards). What the callback asks for is done when it has returned;
/// calls of it never nest. What it raises is raised by the function that the program called, when that is done.
pub type SocketReconnect_Callback = Option<
    unsafe extern "C" fn(
        conn: SocketReconnect_T,
        old_state: SocketReconnect_State,
        new_state: SocketReconnect_State,
        userdata: *mut c_void,
    ),
>;

/// Examines a connection: 1 when it is well, 0 when it is to be made anew. It may take `timeout_ms`, and may do everything that a
/// SocketReconnect_Callback may; when it raises, the connection counts as well. `userdata` is that of SocketReconnect_new.
pub type SocketReconnect_HealthCheck = Option<
    unsafe extern "C" fn(
        conn: SocketReconnect_T,
        socket: Socket_T,
        timeout_ms: c_int,
        userdata: *mut c_void,
    ) -> c_int,
>;

fn state_of(state: State) -> SocketReconnect_State {
    match state {
        State::Disconnected => RECONNECT_DISCONNECTED,
        State::Connecting => RECONNECT_CONNECTING,
        State::Connected => RECONNECT_CONNECTED,
        State::Backoff => RECONNECT_BACKOFF,
        State::CircuitOpen => RECONNECT_CIRCUIT_OPEN,
    }
}

/// The connection behind a handle; `None` for NULL and for one that was freed.
pub(super) fn find(conn: SocketReconnect_T) -> Option<Arc<Reconnect>> {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    unsafe { conn.as_ref() }?.get()
}

/// Runs the body on a connection; with none there is nothing to do.
fn on<T: Copy>(
    function: &'static CStr,
    conn: SocketReconnect_T,
    neutral: T,
    body: impl FnOnce(&Reconnect) -> Result<T, Error>,
) -> T {
    raising(function, || match find(conn) {
        Some(reconnect) => body(&reconnect),
        None => Ok(neutral),
    })
}

/// A text from C that names a host.
///
/// # Safety
/// NULL, or NUL-terminated and unchanged during `'a`.
pub(super) unsafe fn host<'a>(what: &str, text: *const c_char) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(Error::invalid(Kind::Reconnect, format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map_err(|_| Error::invalid(Kind::Reconnect, format!("{what} is not UTF-8")))
}

/// Makes a client for streams over IPv4, in RECONNECT_DISCONNECTED. `host` is a name or an address; it is copied, and so is
/// `policy` (NULL: the defaults). `callback` (may be NULL) hears of every change of state. To be ended with
/// SocketReconnect_free. Why an attempt failed or the connection broke, Socket_GetLastError tells: in the callback, and after
/// the call that found it.
///
/// One thread at a time uses it. It waits for SocketReconnect_pollfd, readable and writable, and calls SocketReconnect_process
/// when that is ready; after SocketReconnect_next_timeout_ms it calls SocketReconnect_tick. The descriptor changes with the
/// state. No call waits: names are looked up meanwhile, for 5 seconds at most. An attempt has failed when there is no TCP
/// connection after 30 seconds, or when the TLS handshake takes longer than its context says; of the latter no descriptor
/// tells, but SocketReconnect_process and SocketReconnect_tick do, so a program that uses TLS calls one of them now and then.
///
/// Raises SocketReconnect_Failed (EINVAL): `host` NULL or of more than 255 bytes, a port out of 1..65535.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_new(
    host: *const c_char,
    port: c_int,
    policy: *const SocketReconnect_Policy_T,
    callback: SocketReconnect_Callback,
    userdata: *mut c_void,
) -> SocketReconnect_T {
    raising(c"SocketReconnect_new", || {
        // SAFETY: the program's: a C string; NULL, or a complete policy.
        let (host, policy) = unsafe {
            (
                self::host("SocketReconnect_new: the host", host)?,
                policy.as_ref(),
            )
        };
        let policy = policy.copied().unwrap_or(DEFAULTS.into()).checked();
        let told = callback.map(|callback| -> Told {
            Rc::new(move |handle, old, new| {
                let (conn, old, new) = (handle as SocketReconnect_T, state_of(old), state_of(new));
                // SAFETY: the program gave the function for such calls.
                catching(move || unsafe { callback(conn, old, new, userdata) })
            })
        });
        reconnect::new(host, port, policy, told, record, userdata as usize).map(std::ptr::from_ref)
    })
}

/// Ends a client, closes its socket (with a close_notify where there is TLS), stores NULL; the callback hears nothing of it. From
/// its own callback, too. In a forked child the parent's connection is not touched. Nothing happens for NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_free(conn: *mut SocketReconnect_T) {
    raising(c"SocketReconnect_free", || {
        if !conn.is_null() {
            // SAFETY: not NULL: the program's own variable.
            let handle = unsafe { std::mem::replace(&mut *conn, std::ptr::null()) };
            // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
            if let Some(handle) = unsafe { handle.as_ref() } {
                reconnect::free(handle);
            }
        }
        Ok(())
    })
}

/// Begins to connect, in RECONNECT_DISCONNECTED; else nothing happens. An attempt that fails at once is a failure like any
/// other. Never raises by itself.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_connect(conn: SocketReconnect_T) {
    on(c"SocketReconnect_connect", conn, (), Reconnect::connect)
}

/// Closes the connection, or gives up what leads to one: RECONNECT_DISCONNECTED, and no attempts are counted. What was set for
/// TLS stays.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_disconnect(conn: SocketReconnect_T) {
    on(
        c"SocketReconnect_disconnect",
        conn,
        (),
        Reconnect::disconnect,
    )
}

/// Forgets attempts and failures, and closes the circuit: one that was open is tried at the next tick. State and TLS stay.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_reset(conn: SocketReconnect_T) {
    on(c"SocketReconnect_reset", conn, (), Reconnect::reset)
}

/// The socket in RECONNECT_CONNECTED, else NULL. It stays the client's, and ends with the connection.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_socket(conn: SocketReconnect_T) -> Socket_T {
    on(c"SocketReconnect_socket", conn, std::ptr::null(), |conn| {
        Ok(conn.socket().map_or(std::ptr::null(), std::ptr::from_ref))
    })
}

/// The state; RECONNECT_DISCONNECTED for NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_state(conn: SocketReconnect_T) -> SocketReconnect_State {
    on(
        c"SocketReconnect_state",
        conn,
        RECONNECT_DISCONNECTED,
        |conn| Ok(state_of(conn.state())),
    )
}

/// 1 in RECONNECT_CONNECTED, else 0.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_isconnected(conn: SocketReconnect_T) -> c_int {
    on(c"SocketReconnect_isconnected", conn, 0, |conn| {
        Ok(c_int::from(conn.state() == State::Connected))
    })
}

/// Attempts since the last success, the one under way included. Where a server under TLS 1.3 has asked for a certificate, a
/// connection is a success only when the first bytes come: until then the server may refuse the client.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_attempts(conn: SocketReconnect_T) -> c_int {
    on(c"SocketReconnect_attempts", conn, 0, |conn| {
        Ok(c_int::try_from(conn.attempts()).unwrap_or(c_int::MAX))
    })
}

/// Failures one after the other, since the last success.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_failures(conn: SocketReconnect_T) -> c_int {
    on(c"SocketReconnect_failures", conn, 0, |conn| {
        Ok(c_int::try_from(conn.failures()).unwrap_or(c_int::MAX))
    })
}

/// What to wait for, readable and writable while connecting; -1 when there is nothing. While a name is looked up it is no
/// socket. Ask again after each call.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_pollfd(conn: SocketReconnect_T) -> c_int {
    on(c"SocketReconnect_pollfd", conn, -1, |conn| {
        Ok(conn.pollfd().unwrap_or(-1))
    })
}

/// Goes on with an attempt as far as that can be done without waiting: connects, then the TLS handshake.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_process(conn: SocketReconnect_T) {
    on(c"SocketReconnect_process", conn, (), Reconnect::process)
}

/// Does what is due: the next attempt, the attempt that decides on an open circuit, the examination of a connection.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_tick(conn: SocketReconnect_T) {
    on(c"SocketReconnect_tick", conn, (), Reconnect::tick)
}

/// Milliseconds until SocketReconnect_tick has something to do, 0 for now; -1 when only the descriptor or the program moves
/// things on.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_next_timeout_ms(conn: SocketReconnect_T) -> c_int {
    on(c"SocketReconnect_next_timeout_ms", conn, -1, |conn| {
        Ok(conn
            .next_ms()
            .map_or(-1, |ms| c_int::try_from(ms).unwrap_or(c_int::MAX)))
    })
}

/// How a connection is examined. NULL: whether the peer has ended it, as far as the kernel knows; what is to be read stays.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_set_health_check(
    conn: SocketReconnect_T,
    check: SocketReconnect_HealthCheck,
) {
    on(c"SocketReconnect_set_health_check", conn, (), |conn| {
        let userdata = conn.userdata();
        conn.set_examine(check.map(|check| -> Examine {
            Rc::new(move |handle, socket, ms| {
                let (conn, socket, data) = (
                    std::ptr::from_ref(handle),
                    std::ptr::from_ref(socket),
                    userdata as *mut c_void,
                );
                let ms = c_int::try_from(ms).unwrap_or(c_int::MAX);
                // SAFETY: the program gave the function for such calls.
                catching(move || unsafe { check(conn, socket, ms, data) }).map(|well| well != 0)
            })
        }));
        Ok(())
    })
}

/// The defaults.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_policy_defaults(policy: *mut SocketReconnect_Policy_T) {
    raising(c"SocketReconnect_policy_defaults", || {
        // SAFETY: NULL, or the program's own variable.
        if let Some(place) = unsafe { policy.as_mut() } {
            *place = DEFAULTS.into();
        }
        Ok(())
    })
}

/// "DISCONNECTED", "CONNECTING", "CONNECTED", "BACKOFF", "CIRCUIT_OPEN"; "UNKNOWN" for anything else.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_state_name(
    state: SocketReconnect_State_t,
) -> *const c_char {
    let name = match state {
        0 => c"DISCONNECTED",
        1 => c"CONNECTING",
        2 => c"CONNECTED",
        3 => c"BACKOFF",
        4 => c"CIRCUIT_OPEN",
        _ => c"UNKNOWN",
    };
    name.as_ptr()
}

/// Sends: how many bytes were taken, 0 when none can be now (repeat with the same bytes). -1 with ENOTCONN: there is no
/// connection, or it has broken, and what follows a failure has happened. EINVAL for NULL with a length.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_send(
    conn: SocketReconnect_T,
    buf: *const c_void,
    len: usize,
) -> ssize_t {
    raising_with(c"SocketReconnect_send", || {
        let Some(conn) = find(conn) else {
            return Ok((-1, Some(Errno(libc::ENOTCONN))));
        };
        if buf.is_null() && len > 0 {
            return Ok((-1, Some(Errno(libc::EINVAL))));
        }
        // SAFETY: the program's: `len` readable bytes.
        Ok(match unsafe { conn.send(buf.cast(), len) }? {
            Ok(0) if len > 0 => (0, Some(Errno(libc::EAGAIN))),
            Ok(sent) => (sent as ssize_t, None),
            Err(errno) => (-1, Some(errno)),
        })
    })
}

/// Receives at least one byte. 0: the peer has closed, or the connection has broken, and what follows a failure has happened.
/// -1 with ENOTCONN: there is no connection; EAGAIN: nothing is there; EINVAL: no room.
#[no_mangle]
pub unsafe extern "C" fn SocketReconnect_recv(
    conn: SocketReconnect_T,
    buf: *mut c_void,
    len: usize,
) -> ssize_t {
    raising_with(c"SocketReconnect_recv", || {
        let Some(conn) = find(conn) else {
            return Ok((-1, Some(Errno(libc::ENOTCONN))));
        };
        if buf.is_null() {
            return Ok((-1, Some(Errno(libc::EINVAL))));
        }
        // SAFETY: the program's: `len` writable bytes.
        Ok(match unsafe { conn.receive(buf.cast(), len) }? {
            Ok(count) => (count as ssize_t, None),
            Err(errno) => (-1, Some(errno)),
        })
    })
}
