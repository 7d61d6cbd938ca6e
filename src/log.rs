//! The one sink for what the library has to say. Knows nothing of what is said.
//!
//! A sink set by the program gets every level. Without one, a second sink gets them, where there is one (that of the Socket
//! family's log, with a level of its own). Without both, lines go to stderr at the level that `NETCONN_LOG` names, and nowhere
//! when it is unset.

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

static SINK: RwLock<Sinks> = RwLock::new(Sinks {
    first: None,
    second: None,
});

struct Sinks {
    first: Option<Arc<dyn Sink>>,
    second: Option<Arc<dyn Sink>>,
}

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
    drop(replace(|sinks| &mut sinks.first, sink));
}

/// Replaces the one that gets lines where the first is not set.
pub fn set_second_sink(sink: Option<Arc<dyn Sink>>) {
    drop(replace(|sinks| &mut sinks.second, sink));
}

fn replace(
    slot: impl FnOnce(&mut Sinks) -> &mut Option<Arc<dyn Sink>>,
    sink: Option<Arc<dyn Sink>>,
) -> Option<Arc<dyn Sink>> {
    let by_environment = stderr_level();
    let mut sinks = SINK.write().unwrap_or_else(PoisonError::into_inner);
    let old = std::mem::replace(slot(&mut sinks), sink);
    let level = match (&sinks.first, &sinks.second) {
        (None, None) => by_environment,
        _ => Level::Debug as i32,
    };
    ENABLED.store(level, Ordering::Relaxed);
    old
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

/// A text as one line, whatever a program, a certificate or a resolver put into it: nobody writes a line of his own into
/// somebody's log, and terminals take orders from control characters (those of C1, two bytes long, too).
pub fn one_line(mut text: String) -> CString {
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    // No NUL is left, so this cannot fail; an empty text would still be true.
    CString::new(text).unwrap_or_default()
}

/// Says one line. The caller's `errno` is kept.
pub fn emit(level: Level, message: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let errno = crate::errno::Errno::last();
    let text = one_line(fmt::format(message));
    let sink = {
        let sinks = SINK.read().unwrap_or_else(PoisonError::into_inner);
        sinks.first.as_ref().or(sinks.second.as_ref()).cloned()
    };
    // The lock is open again: the sink may set another sink.
    match sink {
        Some(sink) => sink.line(level, &text),
        None => write_to_stderr(text.to_bytes()),
    }
    errno.set();
}

/// One line in one system call, so that those of several threads and processes do not mix. Where nobody reads stderr any
/// more the line is lost, and the host gets no SIGPIPE for it.
fn write_to_stderr(text: &[u8]) {
    let line = [b"netconn: ", text, b"\n"].concat();
    let _quiet = SigpipeBlocked::new();
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        // SAFETY: `rest` is readable for its length.
        let count = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(count) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(_) if crate::errno::Errno::last().0 == libc::EINTR => {}
            Err(_) => return,
        }
    }
}

/// SIGPIPE blocked in this thread until it is dropped; one that was raised meanwhile is taken away.
struct SigpipeBlocked {
    before: libc::sigset_t,
    sigpipe: libc::sigset_t,
    /// One of the host's own was waiting already.
    pending: bool,
}

impl SigpipeBlocked {
    fn new() -> SigpipeBlocked {
        // SAFETY: signal sets are plain memory, for which zeros are valid; all calls read and write sets of ours.
        unsafe {
            let mut sigpipe: libc::sigset_t = std::mem::zeroed();
            let (mut before, mut waiting) = (sigpipe, sigpipe);
            libc::sigemptyset(&mut sigpipe);
            libc::sigaddset(&mut sigpipe, libc::SIGPIPE);
            libc::sigpending(&mut waiting);
            libc::pthread_sigmask(libc::SIG_BLOCK, &sigpipe, &mut before);
            SigpipeBlocked {
                before,
                sigpipe,
                pending: libc::sigismember(&waiting, libc::SIGPIPE) == 1,
            }
        }
    }
}

impl Drop for SigpipeBlocked {
    fn drop(&mut self) {
        // SAFETY: as in `new`; `before` was filled in there.
        unsafe {
            let mut waiting: libc::sigset_t = std::mem::zeroed();
            libc::sigpending(&mut waiting);
            if !self.pending && libc::sigismember(&waiting, libc::SIGPIPE) == 1 {
                // Without waiting: one that was sent to the whole process may have gone to another thread.
                let at_once: libc::timespec = std::mem::zeroed();
                libc::sigtimedwait(&self.sigpipe, std::ptr::null_mut(), &at_once);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut());
        }
    }
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
