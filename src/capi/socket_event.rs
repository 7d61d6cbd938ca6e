//! `core/SocketEvent.h`: handlers of a program, and events for them. Must not know what happens to sockets.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, non_snake_case, dead_code)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::raise::raising;
use super::shim::catching;
use crate::socket::event::{self, Connection, Event, Handler};
use std::borrow::Cow;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::sync::Arc;

/// What has happened.
#[repr(C)]
pub enum SocketEventType {
    /// A connection was accepted.
    SOCKET_EVENT_ACCEPTED = 0,
    /// A connection was made.
    SOCKET_EVENT_CONNECTED = 1,
    /// A lookup took too long.
    SOCKET_EVENT_DNS_TIMEOUT = 2,
    /// A poll set has events.
    SOCKET_EVENT_POLL_WAKEUP = 3,
}

/// A `SocketEventType` as an integer.
pub type SocketEventType_t = c_int;

/// As the header's template has it: cbindgen would name its unions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketEventRecord {
    kind: SocketEventType_t,
    component: *const c_char,
    data: Data,
}

#[repr(C)]
#[derive(Clone, Copy)]
union Data {
    connection: ConnectionData,
    dns: DnsData,
    poll: PollData,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ConnectionData {
    fd: c_int,
    peer_addr: *const c_char,
    peer_port: c_int,
    local_addr: *const c_char,
    local_port: c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct DnsData {
    host: *const c_char,
    port: c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct PollData {
    nfds: c_int,
    timeout_ms: c_int,
}

/// Called with each event.
pub type SocketEventCallback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, event: *const SocketEventRecord)>;

type Function = unsafe extern "C" fn(userdata: *mut c_void, event: *const SocketEventRecord);

/// Registers a handler: from now on it is called with each event, in the thread where it happens. It may raise, register and
/// unregister; what it raises leaves the call that caused the event, which is done all the same.
///
/// 0; or -1 when `cb` is NULL, is registered with this `userdata` already, or when 8 are registered. Any thread.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_register(
    cb: SocketEventCallback,
    userdata: *mut c_void,
) -> c_int {
    raising(c"SocketEvent_register", || {
        let Some(function) = cb else { return Ok(-1) };
        let (address, argument) = (function as usize, userdata as usize);
        let handler: Handler = Arc::new(move |event: &Event<'_>| told(function, argument, event));
        let taken = event::register((address, argument), handler);
        Ok(if taken { 0 } else { -1 })
    })
}

/// Takes a handler away. One that another thread has begun to call may still run after this returned.
///
/// 0; or -1 when there is none with this `cb` and `userdata`. Any thread.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_unregister(
    cb: SocketEventCallback,
    userdata: *const c_void,
) -> c_int {
    raising(c"SocketEvent_unregister", || {
        let found =
            cb.is_some_and(|function| event::unregister((function as usize, userdata as usize)));
        Ok(if found { 0 } else { -1 })
    })
}

fn told(
    function: Function,
    argument: usize,
    event: &Event<'_>,
) -> Result<(), crate::socket::Thrown> {
    // Addresses and names have no NUL in them.
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (first, second);
    let connection = |connection: &Connection<'_>, peer: &CStr, local: &CStr| Data {
        connection: ConnectionData {
            fd: connection.fd,
            peer_addr: peer.as_ptr(),
            peer_port: connection.peer_port,
            local_addr: local.as_ptr(),
            local_port: connection.local_port,
        },
    };
    let (kind, component, data) = match event {
        Event::Accepted(ends) | Event::Connected(ends) => {
            (first, second) = (text(ends.peer), text(ends.local));
            let kind = match event {
                Event::Accepted(_) => SocketEventType::SOCKET_EVENT_ACCEPTED,
                _ => SocketEventType::SOCKET_EVENT_CONNECTED,
            };
            (kind, c"Socket", connection(ends, &first, &second))
        }
        Event::DnsTimeout { host, port } => {
            first = text(host);
            let dns = DnsData {
                host: first.as_ptr(),
                port: *port,
            };
            (
                SocketEventType::SOCKET_EVENT_DNS_TIMEOUT,
                c"SocketDNS",
                Data { dns },
            )
        }
        Event::PollWakeup { count, timeout_ms } => {
            let poll = PollData {
                nfds: *count,
                timeout_ms: *timeout_ms,
            };
            (
                SocketEventType::SOCKET_EVENT_POLL_WAKEUP,
                c"SocketPoll",
                Data { poll },
            )
        }
    };
    let record = SocketEventRecord {
        kind: kind as SocketEventType_t,
        component: component.as_ptr(),
        data,
    };
    let record = &raw const record;
    // SAFETY: the program's function with the program's argument; the record and its texts outlive the call.
    catching(move || unsafe { function(argument as *mut c_void, record) })
}

/// # Safety
/// `text` is NULL or NUL-terminated, for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Cow<'a, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// Tells all handlers of an accepted connection; the library does, too. NULL is an empty text.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_emit_accept(
    fd: c_int,
    peer_addr: *const c_char,
    peer_port: c_int,
    local_addr: *const c_char,
    local_port: c_int,
) {
    raising(c"SocketEvent_emit_accept", || {
        // SAFETY: C strings or NULL.
        let (peer, local) = unsafe { (text(peer_addr), text(local_addr)) };
        event::emit(&Event::Accepted(Connection {
            fd,
            peer: &peer,
            peer_port,
            local: &local,
            local_port,
        }))
    })
}

/// Tells all handlers of a connection that was made; the library does, too. NULL is an empty text.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_emit_connect(
    fd: c_int,
    peer_addr: *const c_char,
    peer_port: c_int,
    local_addr: *const c_char,
    local_port: c_int,
) {
    raising(c"SocketEvent_emit_connect", || {
        // SAFETY: C strings or NULL.
        let (peer, local) = unsafe { (text(peer_addr), text(local_addr)) };
        event::emit(&Event::Connected(Connection {
            fd,
            peer: &peer,
            peer_port,
            local: &local,
            local_port,
        }))
    })
}

/// Tells all handlers of a lookup that took too long; the library does, too. NULL is an empty text.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_emit_dns_timeout(host: *const c_char, port: c_int) {
    raising(c"SocketEvent_emit_dns_timeout", || {
        // SAFETY: a C string or NULL.
        let host = unsafe { text(host) };
        event::emit(&Event::DnsTimeout { host: &host, port })
    })
}

/// Tells all handlers that a poll set has `nfds` events; the library does, too.
#[no_mangle]
pub unsafe extern "C" fn SocketEvent_emit_poll_wakeup(nfds: c_int, timeout_ms: c_int) {
    raising(c"SocketEvent_emit_poll_wakeup", || {
        event::emit(&Event::PollWakeup {
            count: nfds,
            timeout_ms,
        })
    })
}
