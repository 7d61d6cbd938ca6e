//! `core/SocketTimer.h`: the timers of a poll set. Must not know when they are due.

// C names.
#![allow(non_camel_case_types, non_snake_case)]

use super::raise::raising;
use super::shim::catching;
use super::socket_poll::{set, SocketPoll_T};
use crate::clock::{Nanos, MILLISECOND};
use crate::errno::Errno;
use crate::socket::timers::{TimerId, Timers};
use crate::socket::{Error, Kind, Thrown};
use std::ffi::{c_int, c_void, CStr};
use std::sync::Arc;

/// A timer: a number, under which nothing is kept once it has fired.
pub type SocketTimer_T = *const TimerId;

/// Called inside SocketPoll_wait, by the thread that waits. It may do anything with the poll set, end it too, and it may
/// raise.
pub type SocketTimerCallback = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// A program's function and what it is called with.
struct Call {
    function: unsafe extern "C" fn(*mut c_void),
    userdata: *mut c_void,
}

// SAFETY: the program is told that the thread that waits calls it.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    fn run(&self) -> Result<(), Error> {
        let (function, userdata) = (self.function, self.userdata);
        // SAFETY: the C program gave the function and the argument together and keeps both usable until the timer ends.
        catching(move || unsafe { function(userdata) }).map_err(Thrown::raised)
    }
}

fn add(
    function: &'static CStr,
    poll: SocketPoll_T,
    ms: i64,
    repeats: bool,
    callback: SocketTimerCallback,
    userdata: *mut c_void,
) -> SocketTimer_T {
    raising(function, || {
        let set = set(function, poll);
        let Some(function) = callback else {
            return Err(Error::new(
                Kind::Timer,
                Errno(libc::EINVAL),
                "timer: the callback is NULL",
            ));
        };
        let call = Call { function, userdata };
        let id = set.add_timer(ms, repeats, Arc::new(move || call.run()))?;
        Ok(id.0 as SocketTimer_T)
    })
}

/// Has `callback` called once, `ms` milliseconds from now, by SocketPoll_wait. `ms`: 0 to SOCKET_MAX_TIMER_DELAY_MS.
///
/// The handle stays comparable until the poll set is freed, also when the timer has fired.
///
/// Raises SocketTimer_Failed: another `ms` (EINVAL), a NULL `callback` (EINVAL), 100000 timers already (ENOMEM). A NULL `poll`
/// aborts.
#[no_mangle]
pub extern "C" fn SocketTimer_add(
    poll: SocketPoll_T,
    ms: i64,
    callback: SocketTimerCallback,
    userdata: *mut c_void,
) -> SocketTimer_T {
    add(c"SocketTimer_add", poll, ms, false, callback, userdata)
}

/// Has `callback` called every `ms` milliseconds by SocketPoll_wait. `ms`: 1 to SOCKET_MAX_TIMER_DELAY_MS. Each time is due a
/// period after the last one was due; those that were missed are made up for, one in each wait.
///
/// Raises as SocketTimer_add.
#[no_mangle]
pub extern "C" fn SocketTimer_add_repeating(
    poll: SocketPoll_T,
    ms: i64,
    callback: SocketTimerCallback,
    userdata: *mut c_void,
) -> SocketTimer_T {
    add(
        c"SocketTimer_add_repeating",
        poll,
        ms,
        true,
        callback,
        userdata,
    )
}

fn change<T: Copy>(
    function: &'static CStr,
    poll: SocketPoll_T,
    timer: SocketTimer_T,
    change: impl FnOnce(&mut Timers, TimerId, Nanos) -> T,
) -> T {
    raising(function, || {
        let id = TimerId(timer as usize);
        Ok(set(function, poll).with_timers(|timers, now| change(timers, id, now)))
    })
}

fn result(done: bool) -> c_int {
    if done {
        0
    } else {
        -1
    }
}

/// Ends a timer. 0; -1 if it has fired or was cancelled, for NULL, and for a timer of another poll set. One that repeats may
/// be cancelled by its own callback.
#[no_mangle]
pub extern "C" fn SocketTimer_cancel(poll: SocketPoll_T, timer: SocketTimer_T) -> c_int {
    change(c"SocketTimer_cancel", poll, timer, |timers, id, _| {
        result(timers.cancel(id).is_some())
    })
}

/// How many milliseconds are left, rounded up; 0 when it is due. -1 if it has fired or was cancelled.
#[no_mangle]
pub extern "C" fn SocketTimer_remaining(poll: SocketPoll_T, timer: SocketTimer_T) -> i64 {
    change(c"SocketTimer_remaining", poll, timer, |timers, id, now| {
        timers.remaining(id, now).map_or(-1, |left| {
            i64::try_from(left.div_ceil(MILLISECOND)).unwrap_or(i64::MAX)
        })
    })
}

/// Has a timer due `ms` milliseconds from now (0 to SOCKET_MAX_TIMER_DELAY_MS), and go on from there if it repeats; one that
/// was paused runs again. 0; -1 if it has fired or was cancelled, and for another `ms`.
#[no_mangle]
pub extern "C" fn SocketTimer_reschedule(
    poll: SocketPoll_T,
    timer: SocketTimer_T,
    ms: i64,
) -> c_int {
    change(c"SocketTimer_reschedule", poll, timer, |timers, id, now| {
        result(timers.reschedule(id, now, ms))
    })
}

/// Stops a timer's time: what is left stays left until SocketTimer_resume. 0; -1 if it is paused already, has fired or was
/// cancelled.
#[no_mangle]
pub extern "C" fn SocketTimer_pause(poll: SocketPoll_T, timer: SocketTimer_T) -> c_int {
    change(c"SocketTimer_pause", poll, timer, |timers, id, now| {
        result(timers.pause(id, now))
    })
}

/// Has a paused timer's time go on. 0; -1 if it is not paused.
#[no_mangle]
pub extern "C" fn SocketTimer_resume(poll: SocketPoll_T, timer: SocketTimer_T) -> c_int {
    change(c"SocketTimer_resume", poll, timer, |timers, id, now| {
        result(timers.resume(id, now))
    })
}
