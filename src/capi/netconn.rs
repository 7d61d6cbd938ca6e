//! `netconn.h`: the library itself: its version, its log, its error texts, its end. Must not know what a connection is.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::guard;
use super::shim::NoFrames;
use super::socket_log;
use crate::conn::options;
use crate::evloop::{self, Loop};
use crate::{dns, log, tls};
use once_cell::sync::OnceCell;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::sync::Arc;

/// The version of the library that is running, "1.2.3". Never NULL; valid for ever.
#[no_mangle]
pub unsafe extern "C" fn netconn_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version holds no NUL"),
        };
    VERSION.as_ptr()
}

/// The OpenSSL that does the TLS, and whose it is: "OpenSSL 3.0.17 (system)" or "OpenSSL 3.0.17 (vendored)"; NULL in a
/// build without TLS. Valid for ever.
///
/// A vendored copy is hidden inside this library: an `SSL *` or `SSL_CTX *` of this library must then not be given to
/// functions of another libssl.
#[no_mangle]
pub unsafe extern "C" fn netconn_openssl() -> *const c_char {
    static TEXT: OnceCell<CString> = OnceCell::new();
    guard::infallible(std::ptr::null(), || {
        let Some(full) = tls::openssl_version() else {
            return std::ptr::null();
        };
        TEXT.get_or_init(|| {
            let full = full.to_string_lossy();
            // "OpenSSL 3.0.17 1 Jul 2025": the name and the number.
            let short: Vec<&str> = full.split(' ').take(2).collect();
            let origin = if cfg!(feature = "vendored") {
                "vendored"
            } else {
                "system"
            };
            CString::new(format!("{} ({origin})", short.join(" "))).unwrap_or_default()
        })
        .as_ptr()
    })
}

/// What new loops wait with: "epoll" or "polling" (by choice with `NETCONN_POLLER=polling` in the environment, and where
/// there is no epoll). Never NULL; valid for ever.
#[no_mangle]
pub unsafe extern "C" fn netconn_poller() -> *const c_char {
    guard::infallible(c"".as_ptr(), || match Loop::poller_name() {
        "epoll" => c"epoll".as_ptr(),
        _ => c"polling".as_ptr(),
    })
}

/// How much a log line matters.
#[repr(C)]
pub enum netconn_log_level {
    /// Something failed that the program may not see otherwise: the reason for an EINVAL, say.
    NETCONN_LOG_ERROR,
    /// Something works, but less well or less safely than it should.
    NETCONN_LOG_WARN,
    /// What a person who runs the program may want to know.
    NETCONN_LOG_INFO,
    /// Each change of state.
    NETCONN_LOG_DEBUG,
}

/// The program's own function, and its argument.
struct CSink {
    callback: unsafe extern "C" fn(level: c_int, message: *const c_char, arg: *mut c_void),
    arg: *mut c_void,
}

// SAFETY: netconn_set_log's contract is that the callback may be called, with its argument, on any thread.
unsafe impl Send for CSink {}
// SAFETY: as above, also on several threads at once.
unsafe impl Sync for CSink {}

impl log::Sink for CSink {
    fn line(&self, level: log::Level, message: &CStr) {
        let _frames = NoFrames::begin();
        // SAFETY: the program gave this function for such calls; `message` is NUL-terminated and outlives the call.
        unsafe { (self.callback)(level as c_int, message.as_ptr(), self.arg) }
    }
}

/// Sends the library's log lines to `cb`, with `level` one of `enum netconn_log_level`; `message` is one line without a
/// line break, valid during the call. NULL restores the default: stderr, at the level that `NETCONN_LOG` names in the
/// environment (error, warn, info, debug), and nothing where it is unset.
///
/// `cb` gets every level, whatever `NETCONN_LOG` says. It may be called on any thread, on several at once, and inside any
/// call; of this library it may call `evloop_post` only. A line that another thread has begun may still reach the old
/// callback after this returned.
#[no_mangle]
pub unsafe extern "C" fn netconn_set_log(
    cb: Option<unsafe extern "C" fn(level: c_int, message: *const c_char, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    guard::infallible((), || {
        log::set_sink(cb.map(|callback| Arc::new(CSink { callback, arg }) as Arc<dyn log::Sink>));
    })
}

/// The text of an error as this library reports it: an errno, or a resolver status (`EAI_*`, negative; where the system's
/// are positive, -10000 + `EAI_*`). Never NULL; valid for ever.
#[no_mangle]
pub unsafe extern "C" fn netconn_strerror(error: c_int) -> *const c_char {
    guard::infallible(c"".as_ptr(), || dns::status_text(error).as_ptr())
}

/// Releases what the library keeps for the whole process, so that a leak checker is silent: every loop that nobody is
/// running, as `evloop_destroy_all`, and with it all that is attached; the resolver's threads and cache, and a resolver of the
/// program's own; the default TLS contexts and connection options; the log callbacks. The library can be used again afterwards. Not from a callback.
#[no_mangle]
pub unsafe extern "C" fn netconn_cleanup() {
    guard::infallible((), || {
        // Destroying the loops ends the resolver too.
        evloop::destroy_all();
        dns::set_resolver(None);
        options::set_defaults(None);
        tls::cleanup();
        // Last: the others may have something to say.
        log::set_sink(None);
        socket_log::clear();
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    fn text(pointer: *const c_char) -> String {
        assert!(!pointer.is_null());
        // SAFETY: not NULL, and each function here promises a NUL-terminated text.
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().into()
    }

    #[test]
    fn the_version_is_the_crates() {
        // SAFETY: no arguments.
        let version = text(unsafe { netconn_version() });
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn openssl_is_named_with_its_origin() {
        // SAFETY: no arguments.
        let openssl = text(unsafe { netconn_openssl() });
        let words: Vec<&str> = openssl.split(' ').collect();
        assert_eq!(words.len(), 3, "{openssl}");
        assert_eq!(words[0], "OpenSSL");
        assert!(words[1].starts_with("3."), "{openssl}");
        assert!(["(system)", "(vendored)"].contains(&words[2]), "{openssl}");
    }

    #[test]
    fn both_kinds_of_errors_have_texts() {
        // SAFETY: any number is allowed.
        unsafe {
            assert_eq!(
                text(netconn_strerror(libc::ECONNREFUSED)),
                "Connection refused"
            );
            assert_eq!(
                text(netconn_strerror(libc::EAI_NONAME)),
                "Name or service not known"
            );
            assert!(!text(netconn_strerror(0)).is_empty());
            assert!(!text(netconn_strerror(c_int::MIN)).is_empty());
            assert!(!text(netconn_strerror(c_int::MAX)).is_empty());
        }
    }

    #[test]
    fn a_sink_gets_level_text_and_its_argument() {
        unsafe extern "C" fn sink(level: c_int, message: *const c_char, arg: *mut c_void) {
            // SAFETY: the library gives a text; `arg` is the AtomicI32 below, which lives until the sink is gone.
            let (message, seen) = unsafe { (CStr::from_ptr(message), &*arg.cast::<AtomicI32>()) };
            if message == c"netconn.rs: a sink's own line" {
                seen.store(level, Ordering::SeqCst);
            }
        }
        // Leaked: other tests of this process log too, and one of their lines may be under way when the sink is removed.
        let seen: &'static AtomicI32 = Box::leak(Box::new(AtomicI32::new(-1)));
        // SAFETY: the function and its argument live for ever.
        unsafe { netconn_set_log(Some(sink), (&raw const *seen).cast_mut().cast()) };
        crate::log!(Info, "netconn.rs: {} sink's own line", "a");
        // SAFETY: NULL restores the default.
        unsafe { netconn_set_log(None, std::ptr::null_mut()) };
        assert_eq!(
            seen.load(Ordering::SeqCst),
            netconn_log_level::NETCONN_LOG_INFO as c_int
        );
    }
}
