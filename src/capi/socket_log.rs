//! `core/SocketLog.h`: log lines with a level and a component. Must not know what is said.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, non_snake_case, dead_code)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::raise::raising;
use super::shim::catching;
use crate::log;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much a line matters.
#[repr(C)]
pub enum SocketLogLevel {
    /// Each step.
    SOCKET_LOG_TRACE = 0,
    /// For whoever looks for a fault.
    SOCKET_LOG_DEBUG,
    /// What a person who runs the program may want to know.
    SOCKET_LOG_INFO,
    /// Something works, but less well than it should.
    SOCKET_LOG_WARN,
    /// Something failed.
    SOCKET_LOG_ERROR,
    /// The program cannot go on.
    SOCKET_LOG_FATAL = 5,
}

/// A `SocketLogLevel` as an integer.
pub type SocketLogLevel_t = c_int;

/// Called with each line that is not below the level: on any thread, on several at once, and inside any call. The texts are
/// valid during the call.
pub type SocketLogCallback = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        level: SocketLogLevel_t,
        component: *const c_char,
        message: *const c_char,
    ),
>;

type Function = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, *const c_char);

/// The program's function and the number of its argument.
static CALLBACK: Mutex<Option<(Function, usize)>> = Mutex::new(None);
static LEVEL: AtomicI32 = AtomicI32::new(SocketLogLevel::SOCKET_LOG_INFO as i32);

/// What the library itself says, in the callback.
struct Library;

impl log::Sink for Library {
    fn line(&self, level: log::Level, message: &CStr) {
        let level = match level {
            log::Level::Error => SocketLogLevel::SOCKET_LOG_ERROR,
            log::Level::Warn => SocketLogLevel::SOCKET_LOG_WARN,
            log::Level::Info => SocketLogLevel::SOCKET_LOG_INFO,
            log::Level::Debug => SocketLogLevel::SOCKET_LOG_DEBUG,
        } as c_int;
        let Some((function, argument)) = callback().filter(|_| level >= SocketLog_getlevel())
        else {
            return;
        };
        let message = message.as_ptr();
        // SAFETY: the program's function with the program's argument; the texts outlive the call. What it throws would have to
        // pass through whatever the library is at, and is dropped.
        let _ = catching(move || unsafe {
            function(argument as *mut c_void, level, c"netconn".as_ptr(), message)
        });
    }
}

extern "C" {
    fn shim_log_print(
        level: *const c_char,
        to_stderr: c_int,
        component: *const c_char,
        message: *const c_char,
    );
}

fn set(callback: Option<(Function, usize)>) {
    *CALLBACK.lock().unwrap_or_else(PoisonError::into_inner) = callback;
    log::set_second_sink(callback.map(|_| Arc::new(Library) as Arc<dyn log::Sink>));
}

/// For the end of the library.
pub(super) fn clear() {
    set(None);
}

fn callback() -> Option<(Function, usize)> {
    *CALLBACK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends all lines to `callback`; NULL restores the default: up to WARN to stdout, ERROR and FATAL to stderr. Lines of the
/// library's own go to the callback too, as those of "netconn", unless netconn_set_log has set one for them. What it raises
/// leaves the call that said the line; a line of the library's own is said all the same. Any thread.
#[no_mangle]
pub unsafe extern "C" fn SocketLog_setcallback(callback: SocketLogCallback, userdata: *mut c_void) {
    raising(c"SocketLog_setcallback", || {
        set(callback.map(|function| (function as Function, userdata as usize)));
        Ok(())
    })
}

/// The callback that is set, and through `userdata`, which may be NULL, its argument; NULL where there is none.
#[no_mangle]
pub unsafe extern "C" fn SocketLog_getcallback(userdata: *mut *mut c_void) -> SocketLogCallback {
    raising(c"SocketLog_getcallback", || {
        let set = callback();
        if !userdata.is_null() {
            // SAFETY: not NULL, and can be written.
            unsafe {
                *userdata = set.map_or(ptr::null_mut(), |(_, argument)| argument as *mut c_void)
            };
        }
        Ok(set.map(|(function, _)| function))
    })
}

/// Lines below this level are not said; SOCKET_LOG_INFO at first. Any thread.
#[no_mangle]
pub extern "C" fn SocketLog_setlevel(min_level: SocketLogLevel_t) {
    LEVEL.store(min_level, Ordering::Relaxed);
}

/// What SocketLog_setlevel has set.
#[no_mangle]
pub extern "C" fn SocketLog_getlevel() -> SocketLogLevel_t {
    LEVEL.load(Ordering::Relaxed)
}

/// "TRACE", "DEBUG", "INFO", "WARN", "ERROR" or "FATAL"; "UNKNOWN" for another number.
#[no_mangle]
pub extern "C" fn SocketLog_levelname(level: SocketLogLevel_t) -> *const c_char {
    let name = match level {
        0 => c"TRACE",
        1 => c"DEBUG",
        2 => c"INFO",
        3 => c"WARN",
        4 => c"ERROR",
        5 => c"FATAL",
        _ => c"UNKNOWN",
    };
    name.as_ptr()
}

/// Says a line, unless its level is below the one that is set. NULL stands for an empty text.
#[no_mangle]
pub unsafe extern "C" fn SocketLog_emit(
    level: SocketLogLevel_t,
    component: *const c_char,
    message: *const c_char,
) {
    raising(c"SocketLog_emit", || {
        if level < SocketLog_getlevel() {
            return Ok(());
        }
        let or_empty = |text: *const c_char| if text.is_null() { c"".as_ptr() } else { text };
        let (component, message) = (or_empty(component), or_empty(message));
        let Some((function, argument)) = callback() else {
            let to_stderr = level >= SocketLogLevel::SOCKET_LOG_ERROR as c_int;
            // SAFETY: NUL-terminated texts.
            unsafe {
                shim_log_print(
                    SocketLog_levelname(level),
                    to_stderr.into(),
                    component,
                    message,
                );
            }
            return Ok(());
        };
        // SAFETY: the program's function with the program's argument; the texts are the caller's.
        catching(move || unsafe { function(argument as *mut c_void, level, component, message) })
            .map_err(|thrown| thrown.raised())
    })
}
