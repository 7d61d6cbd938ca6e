//! The one sink for what the library has to say. Knows nothing of what is said.
//!
//! A sink set by the program gets every level. Without one, lines go to stderr at the level that `NETCONN_LOG` names,
//! and nowhere when it is unset.

use once_cell::sync::OnceCell;
use std::ffi::CString;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How much a line matters. The numbers are `enum netconn_log_level` of `netconn.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something failed that the caller may not see otherwise.
    Error = 0,
    /// Something works, but less well or less safely than it should.
    Warn = 1,
    /// What a person who runs the program may want to know.
    Info = 2,
    /// Each state change.
    Debug = 3,
}

/// A program's own sink.
pub trait Sink: Send + Sync {
    /// Called on any thread and inside any call.
    fn line(&self, level: Level, message: &std::ffi::CStr);
}

static SINK: RwLock<Option<Arc<dyn Sink>>> = RwLock::new(None);
/// The highest level that somebody listens to; -1 for none; `UNKNOWN` until it was found out.
static ENABLED: AtomicI32 = AtomicI32::new(UNKNOWN);
const UNKNOWN: i32 = -2;
static FROM_ENVIRONMENT: OnceCell<i32> = OnceCell::new();

fn stderr_level() -> i32 {
    *FROM_ENVIRONMENT.get_or_init(|| match environment("NETCONN_LOG").as_deref() {
        Some("error") => Level::Error as i32,
        Some("warn") => Level::Warn as i32,
        Some("info") => Level::Info as i32,
        Some("debug") => Level::Debug as i32,
        _ => -1,
    })
}

/// An environment variable, or `None` where it is unset, empty, not UTF-8, or the process is set-uid (`secure_getenv`).
pub fn environment(name: &str) -> Option<String> {
    extern "C" {
        // Not in the libc crate.
        fn secure_getenv(name: *const std::ffi::c_char) -> *mut std::ffi::c_char;
    }
    let name = CString::new(name).ok()?;
    // SAFETY: `name` is NUL-terminated; the text that comes back is copied before anything else can change it.
    let value = unsafe {
        let value = secure_getenv(name.as_ptr());
        if value.is_null() {
            return None;
        }
        std::ffi::CStr::from_ptr(value)
    };
    let value = value.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Replaces the sink; `None` restores the default.
pub fn set_sink(sink: Option<Arc<dyn Sink>>) {
    let level = if sink.is_some() {
        Level::Debug as i32
    } else {
        stderr_level()
    };
    let old = {
        let mut slot = SINK.write().unwrap_or_else(PoisonError::into_inner);
        ENABLED.store(level, Ordering::Relaxed);
        std::mem::replace(&mut *slot, sink)
    };
    drop(old);
}

/// Whether a line of this level would go anywhere: ask before making a costly one.
pub fn enabled(level: Level) -> bool {
    let mut enabled = ENABLED.load(Ordering::Relaxed);
    if enabled == UNKNOWN {
        enabled = stderr_level();
        // A sink set meanwhile wins.
        let _ = ENABLED.compare_exchange(UNKNOWN, enabled, Ordering::Relaxed, Ordering::Relaxed);
        enabled = ENABLED.load(Ordering::Relaxed);
    }
    level as i32 <= enabled
}

/// Says one line. The caller's `errno` is kept.
pub fn emit(level: Level, message: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let errno = crate::errno::Errno::last();
    let mut text = fmt::format(message).into_bytes();
    text.retain(|b| *b != 0);
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
    // The lock is open again: the sink may set another sink.
    match (sink, CString::new(text)) {
        (Some(sink), Ok(text)) => sink.line(level, &text),
        (None, Ok(text)) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "netconn: {}", text.to_string_lossy());
        }
        (_, Err(_)) => {}
    }
    errno.set();
}

/// EINVAL, with the reason for it in the log: the number alone does not say which argument was wrong.
pub fn invalid(why: &str) -> crate::errno::Errno {
    crate::log!(Error, "EINVAL: {why}");
    crate::errno::Errno(libc::EINVAL)
}

/// `log!(Warn, "...", ...)`: says one line at that level, and costs one load where nobody listens.
#[macro_export]
macro_rules! log {
    ($level:ident, $($arg:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::emit($crate::log::Level::$level, format_args!($($arg)+))
        }
    };
}
