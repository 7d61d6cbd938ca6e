//! `dns_cares.h`: names to addresses, without blocking the loop.

// C names; and what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::addrinfo::AddrInfoList;
use super::evloop::{ev_loop, loop_or_default};
use super::guard::{fallible, infallible};
use crate::clock;
use crate::dns::{self, Answer, Query, Request, ResolveError};
use crate::errno::Errno;
use libc::addrinfo;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr;
use std::rc::Rc;

/// A lookup under way. It is dead once its callback has returned, after `dns_cancel` and `dns_shutdown`, and with its loop.
#[repr(C)]
pub struct dns_request {
    _private: [u8; 0],
}

/// Called once with the answer, from the loop. `status` 0: `ai` is a list of at least one address, in the order to try
/// them, valid until the callback returns. Else `status` is an `EAI_*` code (`dns_strerror` has its text; `errno` says
/// more for `EAI_SYSTEM`) and `ai` is NULL. May call every function of this library.
pub type dns_result_cb =
    Option<unsafe extern "C" fn(status: c_int, ai: *const addrinfo, arg: *mut c_void)>;

/// Makes the resolver ready. Optional: the first lookup does so too. `loop` NULL: the default loop. Returns 0, or -1 with
/// `errno`: EMFILE, ENFILE, ENOMEM (the default loop cannot be made), EPERM in a forked child.
#[no_mangle]
pub unsafe extern "C" fn dns_init(r#loop: *mut ev_loop) -> c_int {
    fallible(|| {
        // SAFETY: NULL or a living loop, as the comment above asks for.
        unsafe { loop_or_default(r#loop, "dns_init") }?;
        dns::start();
        Ok(0)
    })
}

/// Ends the resolver, from any thread: pending lookups are dropped without calling back (their requests are dead), and a
/// connection that was resolving fails from its loop with `CONN_ERR_RESOLVE` and ECANCELED. The cache is emptied.
/// Never waits for a name server. A later lookup starts the resolver afresh.
#[no_mangle]
pub unsafe extern "C" fn dns_shutdown() {
    infallible((), dns::end);
}

/// Looks a name up.
///
/// `hostname` is a name, an address (IPv6 also in brackets or with `%scope`), or NULL for loopback; names that are not ASCII
/// are looked up in their IDNA form (UTS-46). `service` is a port number, the name of a service, or NULL for port 0. `family`,
/// `socktype` and `protocol` are as for `getaddrinfo`; 0 is any. `cb` is called from the loop, never inside this call.
/// Without it nothing is done. `loop` NULL: the default loop. The strings are copied. From any callback.
#[no_mangle]
pub unsafe extern "C" fn dns_resolve_async(
    r#loop: *mut ev_loop,
    hostname: *const c_char,
    service: *const c_char,
    family: c_int,
    socktype: c_int,
    protocol: c_int,
    cb: dns_result_cb,
    arg: *mut c_void,
) {
    infallible((), || {
        // SAFETY: what the comment above asks of the program.
        let query = unsafe { query(hostname, service, family, socktype, protocol) };
        let host = query.host.clone();
        // SAFETY: as above.
        if let Err(errno) = unsafe { start(r#loop, "dns_resolve_async", query, cb, arg) } {
            // There is nothing to return, and the answer cannot come: somebody has to say so.
            crate::log!(
                Warn,
                "dns_resolve_async: no lookup of {}: {errno}",
                host.as_deref().unwrap_or("loopback")
            );
        }
    });
}

/// As `dns_resolve_async`, and returns the lookup, so that it can be cancelled. NULL with `errno`: EINVAL for a `cb` of
/// NULL, EPERM for a loop of the parent in a forked process.
#[no_mangle]
pub unsafe extern "C" fn dns_resolve_start(
    r#loop: *mut ev_loop,
    hostname: *const c_char,
    service: *const c_char,
    family: c_int,
    socktype: c_int,
    protocol: c_int,
    cb: dns_result_cb,
    arg: *mut c_void,
) -> *mut dns_request {
    fallible(|| {
        // SAFETY: what the comment of `dns_resolve_async` asks of the program.
        let request = unsafe {
            let query = query(hostname, service, family, socktype, protocol);
            start(r#loop, "dns_resolve_start", query, cb, arg)
        }?;
        // The loop keeps it alive for as long as the comment of `dns_request` says.
        Ok(Rc::as_ptr(&request).cast_mut().cast())
    })
}

/// Forgets a lookup at once: its callback will not run, and `request` is dead. A no-op for NULL and inside the lookup's
/// own callback. From any callback.
#[no_mangle]
pub unsafe extern "C" fn dns_cancel(request: *mut dns_request) {
    infallible((), || {
        let address: *const Request = request.cast_const().cast();
        if address.is_null() {
            return;
        }
        // SAFETY: the program promises a living request, on its loop's thread: it came from an `Rc` in `dns_resolve_start`. The
        // count of our own keeps it alive through the cancellation.
        let request = unsafe {
            Rc::increment_strong_count(address);
            Rc::from_raw(address)
        };
        request.check_thread("dns_cancel");
        request.cancel();
    });
}

/// The text of a `status` that a callback was given. Valid for ever.
#[no_mangle]
pub unsafe extern "C" fn dns_strerror(status: c_int) -> *const c_char {
    infallible(c"Unknown error".as_ptr(), || {
        let error = ResolveError {
            status,
            errno: Errno(0),
        };
        let code = if status == 0 { 0 } else { error.code() };
        dns::status_text(code).as_ptr()
    })
}

/// Answers are kept for so many seconds (60 by default; infinity: for ever; 0 or less: not at all), names that do not exist for a
/// tenth of it. NaN changes nothing. For the whole process, and for answers that are kept already. From any thread.
#[no_mangle]
pub unsafe extern "C" fn dns_set_cache_ttl(seconds: f64) {
    infallible((), || {
        if seconds.is_nan() {
            crate::log!(Warn, "dns_set_cache_ttl: not a number");
        } else {
            dns::set_cache_ttl(clock::from_seconds(seconds));
        }
    });
}

/// Looks names up by a blocking function of the program's own, in the resolver's threads, in place of `getaddrinfo`; `fn` NULL
/// restores that.
///
/// `fn` is called as `getaddrinfo` is, by up to four threads at a time (`NETCONN_DNS_THREADS`), with all signals blocked; `arg`
/// is what was given here. `host` is never NULL, and never an address; a name that is not ASCII comes in its IDNA form.
/// `service` is a decimal port (`hints->ai_flags` then has AI_NUMERICSERV), the name of a service, or NULL; a port of 0 in the
/// answer stands for the one that was asked for. It returns 0 and the addresses in `*out`, in the order to try them, or an
/// `EAI_*` status, which is passed on as it is (with `errno` for EAI_SYSTEM); `*out` counts with 0 alone. 0 without an address
/// of the family in `hints` is EAI_NODATA; entries that are no Internet addresses are passed over, and at most 256 of the rest
/// are used. `release`, unless it is NULL, is called once with each list, on the thread that got it, as soon as the list was copied.
///
/// What the cache holds is forgotten. Lookups that a thread is at go on for those who have asked, so the previous functions and
/// their `arg` have to stay usable until those have returned; all others ask the new function. It stays through
/// `dns_shutdown` and in a forked child; `netconn_cleanup` takes it away. For the whole process, from any thread.
#[no_mangle]
pub unsafe extern "C" fn dns_set_resolver(
    r#fn: Option<
        unsafe extern "C" fn(
            host: *const c_char,
            service: *const c_char,
            hints: *const addrinfo,
            out: *mut *mut addrinfo,
            arg: *mut c_void,
        ) -> c_int,
    >,
    release: Option<unsafe extern "C" fn(list: *mut addrinfo)>,
    arg: *mut c_void,
) {
    infallible((), || {
        // SAFETY: what the comment above asks of the program.
        dns::set_resolver(r#fn.map(|function| unsafe { dns::Custom::new(function, release, arg) }));
    });
}

/// # Safety
/// Each of the two strings is NULL or NUL-terminated.
unsafe fn query(
    hostname: *const c_char,
    service: *const c_char,
    family: c_int,
    socktype: c_int,
    protocol: c_int,
) -> Query {
    // What is not UTF-8 becomes a name that cannot exist, and is reported as such.
    let text = |text: *const c_char| {
        (!text.is_null()).then(|| {
            // SAFETY: not NULL, and the caller promises a terminated string.
            let text = unsafe { CStr::from_ptr(text) };
            text.to_string_lossy().into_owned()
        })
    };
    Query {
        host: text(hostname),
        service: text(service),
        family,
        socktype,
        protocol,
    }
}

/// # Safety
/// `lp` is NULL or a living loop of this thread; `cb` may be called with `arg` until it was called, or never will be.
unsafe fn start(
    lp: *mut ev_loop,
    function: &str,
    query: Query,
    cb: dns_result_cb,
    arg: *mut c_void,
) -> Result<Rc<Request>, Errno> {
    let cb = cb.ok_or(Errno(libc::EINVAL))?;
    // SAFETY: passed on.
    let lp = unsafe { loop_or_default(lp, function) }?;
    dns::resolve(&lp, query, move |answer: Answer| match answer {
        Ok(addresses) => {
            let mut list = AddrInfoList::new(&addresses);
            // SAFETY: the program gave both for this call; the list lives until the callback has returned.
            unsafe { cb(0, list.head(), arg) }
        }
        // Dropped by `dns_shutdown`: the program is not told.
        Err(ResolveError::ENDED) => {}
        Err(error) => {
            if error.errno.0 != 0 {
                error.errno.set();
            }
            // SAFETY: as above.
            unsafe { cb(error.status, ptr::null(), arg) }
        }
    })
}
