//! `poll/SocketPoll.h`: poll sets. Must not know how anything is waited for.

// C names; and what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::raise::{raising, violated};
use super::socket::{find, Socket_T};
use crate::socket::poll::{self, Event, PollSet};
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::mem::{offset_of, size_of};
use std::sync::Arc;

/// What a socket is waited for, and what there is. POLL_ERROR and POLL_HANGUP are told whether asked for or not; where the
/// connection is over POLL_READ is told with POLL_HANGUP, so that who reads learns of it.
#[repr(C)]
pub enum SocketPoll_Events {
    /// Bytes or the end of the stream can be read, a connection can be accepted.
    POLL_READ = 1,
    /// Bytes can be written, a connection attempt has ended.
    POLL_WRITE = 2,
    /// An error is pending.
    POLL_ERROR = 4,
    /// Both directions have ended.
    POLL_HANGUP = 8,
}

/// The timeout that stands for the poll set's default.
pub const SOCKET_POLL_TIMEOUT_USE_DEFAULT: c_int = -2;

/// One socket with something to tell.
#[repr(C)]
pub struct SocketEvent_T {
    /// Which.
    pub socket: Socket_T,
    /// What was given with it.
    pub data: *mut c_void,
    /// Of SocketPoll_Events.
    pub events: c_uint,
}

// The room writes `Event`s.
const _: () = {
    assert!(size_of::<Event>() == size_of::<SocketEvent_T>());
    assert!(offset_of!(Event, socket) == offset_of!(SocketEvent_T, socket));
    assert!(offset_of!(Event, data) == offset_of!(SocketEvent_T, data));
    assert!(offset_of!(Event, events) == offset_of!(SocketEvent_T, events));
    assert!(poll::USE_DEFAULT == SOCKET_POLL_TIMEOUT_USE_DEFAULT);
    assert!(poll::READ == SocketPoll_Events::POLL_READ as c_uint);
    assert!(poll::WRITE == SocketPoll_Events::POLL_WRITE as c_uint);
    assert!(poll::ERROR == SocketPoll_Events::POLL_ERROR as c_uint);
    assert!(poll::HANGUP == SocketPoll_Events::POLL_HANGUP as c_uint);
};

/// A poll set.
pub type SocketPoll_T = *const PollSet;

/// The set behind a handle, with a count of its own for the length of the call: a callback may end it.
pub(super) fn set(function: &'static CStr, poll: SocketPoll_T) -> Arc<PollSet> {
    if poll.is_null() {
        violated(function, "poll", "is NULL");
    }
    // SAFETY: from `Arc::into_raw` in SocketPoll_new, and the program's until SocketPoll_free.
    unsafe {
        Arc::increment_strong_count(poll);
        Arc::from_raw(poll)
    }
}

/// Makes a poll set whose waits give at most `maxevents` events: 1 to 10000, anything else aborts. Any number of sockets can
/// be in it. To be ended with SocketPoll_free.
///
/// Sockets may be added, changed and removed, and timers added, from any thread while one waits. A set may be used in a
/// child of fork, too: it is then another set, with the same sockets.
///
/// Raises SocketPoll_Failed: no descriptor or no memory.
#[no_mangle]
pub extern "C" fn SocketPoll_new(maxevents: c_int) -> SocketPoll_T {
    raising(c"SocketPoll_new", || {
        if !(1..=poll::MOST_EVENTS).contains(&maxevents) {
            violated(c"SocketPoll_new", "maxevents", "is not within 1 to 10000");
        }
        PollSet::new(maxevents as usize).map(Arc::into_raw)
    })
}

/// Ends a set and its timers, and stores NULL; its sockets live on. Nothing happens for NULL. A timer's callback may do it, a
/// handler of events, and another thread while one waits: that wait is over then, without events.
#[no_mangle]
pub unsafe extern "C" fn SocketPoll_free(poll: *mut SocketPoll_T) {
    raising(c"SocketPoll_free", || {
        if poll.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and the caller's.
        let set = unsafe { std::mem::replace(&mut *poll, std::ptr::null()) };
        if !set.is_null() {
            // SAFETY: from `Arc::into_raw`, and given up here.
            let set = unsafe { Arc::from_raw(set) };
            set.end();
        }
        Ok(())
    })
}

/// Registers a socket, which becomes non-blocking. `events`: POLL_READ, POLL_WRITE, both or 0; `data` comes back with each
/// event. Events tell of edges: what was told once is told again only after more has come, so read (write) until the call
/// would block.
///
/// A socket that is freed leaves the set by itself. While a TLS handshake on it is unfinished, the set waits after each event
/// for what the handshake's last step wanted; when it is complete, again for `events`.
///
/// Raises SocketPoll_Failed: "Socket already in poll set" (EEXIST), as many as SocketPoll_setmaxregistered allows (ENOSPC),
/// freed (EBADF), and what the system fails with. A NULL `socket` aborts.
#[no_mangle]
pub extern "C" fn SocketPoll_add(
    poll: SocketPoll_T,
    socket: Socket_T,
    events: c_uint,
    data: *mut c_void,
) {
    raising(c"SocketPoll_add", || {
        let set = set(c"SocketPoll_add", poll);
        match find(socket) {
            Some(socket) => set.add(&socket, events, data as usize),
            None if socket.is_null() => violated(c"SocketPoll_add", "socket", "is NULL"),
            None => Err(Error::new(
                Kind::Poll,
                crate::errno::Errno(libc::EBADF),
                "SocketPoll_add: the socket was freed",
            )),
        }
    })
}

/// New events and new data. The edge is armed again, by equal ones, too: what is ready now is told once more.
///
/// Raises SocketPoll_Failed: "Socket not in poll set" (ENOENT), and what the system fails with. A NULL `socket` aborts.
#[no_mangle]
pub extern "C" fn SocketPoll_mod(
    poll: SocketPoll_T,
    socket: Socket_T,
    events: c_uint,
    data: *mut c_void,
) {
    raising(c"SocketPoll_mod", || {
        let set = set(c"SocketPoll_mod", poll);
        match find(socket) {
            Some(socket) => set.modify(&socket, events, data as usize),
            None if socket.is_null() => violated(c"SocketPoll_mod", "socket", "is NULL"),
            None => Err(poll::not_there("SocketPoll_mod")),
        }
    })
}

/// Asks for more events and for fewer: those that are asked for, and `add`, without `remove`. The data stays; the edge is
/// armed again.
///
/// Raises as SocketPoll_mod.
#[no_mangle]
pub extern "C" fn SocketPoll_modify_events(
    poll: SocketPoll_T,
    socket: Socket_T,
    add: c_uint,
    remove: c_uint,
) {
    raising(c"SocketPoll_modify_events", || {
        let set = set(c"SocketPoll_modify_events", poll);
        match find(socket) {
            Some(socket) => set.modify_events(&socket, add, remove),
            None if socket.is_null() => violated(c"SocketPoll_modify_events", "socket", "is NULL"),
            None => Err(poll::not_there("SocketPoll_modify_events")),
        }
    })
}

/// Takes a socket out. Nothing happens for one that is not in the set, that was freed, and for NULL.
///
/// Raises SocketPoll_Failed: what the system fails with.
#[no_mangle]
pub extern "C" fn SocketPoll_del(poll: SocketPoll_T, socket: Socket_T) {
    raising(c"SocketPoll_del", || {
        let set = set(c"SocketPoll_del", poll);
        find(socket).map_or(Ok(()), |socket| set.delete(&socket))
    })
}

/// Waits for events, and runs the timers that are due.
///
/// `timeout_ms`: -1 (or less than -2) waits for as long as it takes, SOCKET_POLL_TIMEOUT_USE_DEFAULT for as long as
/// SocketPoll_setdefaulttimeout says. The wait is over when there are events, when a timer has run, or when the time is up;
/// signals do not end it. One thread waits at a time.
///
/// Returns how many events there are, 0 where there are none, and stores where they are (never NULL): valid until the next wait
/// or SocketPoll_free. A socket over TLS with bytes that can be read without the kernel (decrypted, or a complete record)
/// counts as readable for as long as it has them, if it was asked for POLL_READ.
///
/// Raises SocketPoll_Failed: another thread waits (EBUSY), and what the system fails with; and what a timer's callback
/// raises: the events are kept for the next wait then, and other timers stay due. A NULL `events` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketPoll_wait(
    poll: SocketPoll_T,
    events: *mut *mut SocketEvent_T,
    timeout_ms: c_int,
) -> c_int {
    raising(c"SocketPoll_wait", || {
        let set = set(c"SocketPoll_wait", poll);
        if events.is_null() {
            violated(c"SocketPoll_wait", "events", "is NULL");
        }
        let (first, count) = set.wait(timeout_ms)?;
        // SAFETY: not NULL, and the caller's.
        unsafe { *events = first.cast_mut().cast() };
        Ok(count as c_int)
    })
}

/// How long a wait is that asks for the default, in milliseconds; -1: as long as it takes. At first 1000.
#[no_mangle]
pub extern "C" fn SocketPoll_getdefaulttimeout(poll: SocketPoll_T) -> c_int {
    raising(c"SocketPoll_getdefaulttimeout", || {
        Ok(set(c"SocketPoll_getdefaulttimeout", poll).default_timeout())
    })
}

/// Sets how long a wait is that asks for the default. Below -1 counts as 0.
#[no_mangle]
pub extern "C" fn SocketPoll_setdefaulttimeout(poll: SocketPoll_T, timeout_ms: c_int) {
    raising(c"SocketPoll_setdefaulttimeout", || {
        set(c"SocketPoll_setdefaulttimeout", poll).set_default_timeout(timeout_ms);
        Ok(())
    })
}

/// The most sockets that may be in the set; 0: any number, as at first.
#[no_mangle]
pub extern "C" fn SocketPoll_getmaxregistered(poll: SocketPoll_T) -> c_int {
    raising(c"SocketPoll_getmaxregistered", || {
        let limit = set(c"SocketPoll_getmaxregistered", poll).limit();
        Ok(c_int::try_from(limit).unwrap_or(c_int::MAX))
    })
}

/// Sets the most sockets that may be in the set; 0 or less: any number.
///
/// Raises SocketPoll_Failed: there are more in it (EINVAL).
#[no_mangle]
pub extern "C" fn SocketPoll_setmaxregistered(poll: SocketPoll_T, maxregistered: c_int) {
    raising(c"SocketPoll_setmaxregistered", || {
        let limit = usize::try_from(maxregistered).unwrap_or(0);
        set(c"SocketPoll_setmaxregistered", poll).set_limit(limit)
    })
}

/// How many sockets are in the set.
#[no_mangle]
pub extern "C" fn SocketPoll_getregisteredcount(poll: SocketPoll_T) -> c_int {
    raising(c"SocketPoll_getregisteredcount", || {
        let count = set(c"SocketPoll_getregisteredcount", poll).registered();
        Ok(c_int::try_from(count).unwrap_or(c_int::MAX))
    })
}

/// Stores the sockets that are in the set, as far as `max` goes; how many were stored. 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketPoll_get_registered_sockets(
    poll: SocketPoll_T,
    sockets: *mut Socket_T,
    max: c_int,
) -> c_int {
    raising(c"SocketPoll_get_registered_sockets", || {
        let set = set(c"SocketPoll_get_registered_sockets", poll);
        let room = usize::try_from(max).unwrap_or(0);
        let mut stored = 0;
        if !sockets.is_null() {
            set.each_registered(|socket| {
                if stored < room {
                    // SAFETY: the caller's array has room for `max`.
                    unsafe { sockets.add(stored).write(socket) };
                    stored += 1;
                }
            });
        }
        Ok(stored as c_int)
    })
}

/// What the set stands on: "epoll", or "polling" for the poller of other systems. Static.
#[no_mangle]
pub extern "C" fn SocketPoll_get_backend_name(poll: SocketPoll_T) -> *const c_char {
    raising(c"SocketPoll_get_backend_name", || {
        let name = match set(c"SocketPoll_get_backend_name", poll).poller() {
            "epoll" => c"epoll",
            _ => c"polling",
        };
        Ok(name.as_ptr())
    })
}
