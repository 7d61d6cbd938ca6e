//! `dns/SocketDNS.h`: names to addresses. Must not know who asks whom.

// C names.
#![allow(non_camel_case_types)]

use super::addrinfo;
use super::raise::raising;
use super::shim::catching;
use crate::socket::dns::{self, Asked, Given, List};
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, c_void, CStr};

/// Looks names up. A handle is never dereferenced: one that was freed is recognised.
pub type SocketDNS_T = *mut c_void;

/// A lookup under way, or over. Recognised after its end too: nothing happens with it then.
pub type Request_T = *mut c_void;

/// Called once with the outcome of a request, on a thread of the library's, one call after the other in the whole process.
/// `error` 0: the list is the program's, to be ended with SocketCommon_free_addrinfo. Else an `EAI_*` code (EAI_AGAIN when the
/// time was up), and the list is NULL. May call every function of the library, SocketDNS_cancel and SocketDNS_free too. What
/// it raises ends here, with a line in the log.
pub type SocketDNS_Callback = Option<
    unsafe extern "C" fn(
        request: Request_T,
        result: *mut libc::addrinfo,
        error: c_int,
        data: *mut c_void,
    ),
>;

/// Of a program: function and argument.
#[derive(Clone, Copy)]
struct Call {
    callback: unsafe extern "C" fn(Request_T, *mut libc::addrinfo, c_int, *mut c_void),
    data: *mut c_void,
}

// SAFETY: the program gave both for calls on a thread of the library's.
unsafe impl Send for Call {}

impl Call {
    fn run(self, request: u64, outcome: Result<List, c_int>) -> Result<(), crate::socket::Thrown> {
        let (list, error) = match outcome.map(into_c) {
            Ok(list) if list.is_null() => (list, libc::EAI_MEMORY),
            Ok(list) => (list, 0),
            Err(error) => (std::ptr::null_mut(), error),
        };
        // SAFETY: what the type's comment promises to the program.
        catching(move || unsafe { (self.callback)(request as Request_T, list, error, self.data) })
    }
}

/// As a list of the program's.
pub(super) fn into_c(list: List) -> *mut libc::addrinfo {
    match list {
        List::Found(addresses) => addrinfo::give(&addresses),
        List::Given(given) => given.into_list() as *mut libc::addrinfo,
    }
}

/// A program's list, to be ended here if nobody takes it.
///
/// # Safety
/// `list` is NULL or a list that ends with SocketCommon_free_addrinfo, and the library's from now on.
pub(super) unsafe fn from_c(list: *mut libc::addrinfo) -> List {
    fn release(list: usize) {
        // SAFETY: the promise of `from_c`.
        unsafe { addrinfo::free(list as *mut libc::addrinfo) };
    }
    List::Given(Given::new(list as usize, release))
}

/// A host from C: `None` for NULL.
///
/// # Safety
/// NULL, or NUL-terminated and unchanged during `'a`.
unsafe fn host<'a>(host: *const c_char) -> Result<Option<&'a str>, Error> {
    if host.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract.
    let host = unsafe { CStr::from_ptr(host) }.to_str();
    host.map(Some)
        .map_err(|_| Error::invalid(Kind::Dns, "the host is not UTF-8"))
}

/// Makes a resolver. Its time-out is 5000 ms. Resolvers share the process's threads, cache and own resolver
/// (dns_set_resolver). To be ended with SocketDNS_free. In a forked child what the parent asked fails with EAI_CANCELED, and its
/// callbacks are the parent's; new requests work.
///
/// Raises SocketDNS_Failed: no descriptors left.
#[no_mangle]
pub extern "C" fn SocketDNS_new() -> SocketDNS_T {
    raising(c"SocketDNS_new", || {
        dns::new().map(|number| number as SocketDNS_T)
    })
}

/// Ends a resolver and its requests, and stores NULL. No callback of theirs is called any more, and one that is running on
/// another thread has returned: the caller holds no lock that the callback takes. Nothing happens for NULL.
///
/// # Safety
/// `dns` is NULL or points to a handle.
#[no_mangle]
pub unsafe extern "C" fn SocketDNS_free(dns: *mut SocketDNS_T) {
    raising(c"SocketDNS_free", || {
        if !dns.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            let number = unsafe { std::mem::replace(&mut *dns, std::ptr::null_mut()) };
            dns::free(number as u64);
        }
        Ok(())
    })
}

/// Starts a lookup, of both families, for streams. `host` is a name, an address, or NULL for the addresses to bind to; `port`
/// 0..65535. With a callback that is called with the outcome, from a thread of the library's and never inside this call; without
/// one the program asks with SocketDNS_getresult. Never waits.
///
/// Raises SocketDNS_Failed: no resolver, an empty host or one of more than 255 bytes, a port out of range (EINVAL), no thread.
///
/// # Safety
/// `host` is NULL or NUL-terminated; `callback` may be called with `data` until it was, or the request was cancelled.
#[no_mangle]
pub unsafe extern "C" fn SocketDNS_resolve(
    dns: SocketDNS_T,
    host: *const c_char,
    port: c_int,
    callback: SocketDNS_Callback,
    data: *mut c_void,
) -> Request_T {
    raising(c"SocketDNS_resolve", || {
        // SAFETY: the caller's promise.
        let host = unsafe { self::host(host) }?;
        let callback = callback.map(|callback| -> dns::Callback {
            let call = Call { callback, data };
            Box::new(move |request, outcome| call.run(request, outcome))
        });
        dns::resolve(dns as u64, &Asked::stream(host, port), callback)
            .map(|number| number as Request_T)
    })
}

/// Drops a request: its callback is not called afterwards, and one that is running on another thread has returned (inside the
/// callback itself nothing is waited for). The caller holds no lock that the callback takes. Nothing happens for NULL and for a
/// request that is over.
#[no_mangle]
pub extern "C" fn SocketDNS_cancel(dns: SocketDNS_T, request: Request_T) {
    raising(c"SocketDNS_cancel", || {
        dns::cancel(dns as u64, request as u64);
        Ok(())
    })
}

/// The addresses of a request without a callback, once: the list is the program's, to be ended with
/// SocketCommon_free_addrinfo. NULL while the lookup is under way, when it failed (see SocketDNS_geterror), and afterwards.
#[no_mangle]
pub extern "C" fn SocketDNS_getresult(dns: SocketDNS_T, request: Request_T) -> *mut libc::addrinfo {
    raising(c"SocketDNS_getresult", || {
        Ok(dns::take(dns as u64, request as u64).map_or(std::ptr::null_mut(), into_c))
    })
}

/// Why a request has no addresses: an `EAI_*` code, EAI_AGAIN when its time was up, EAI_CANCELED when it was cancelled. 0 while
/// it is under way and when it succeeded.
#[no_mangle]
pub extern "C" fn SocketDNS_geterror(dns: SocketDNS_T, request: Request_T) -> c_int {
    raising(c"SocketDNS_geterror", || {
        Ok(dns::error(dns as u64, request as u64))
    })
}

/// A request that is answered already, with this list, which is the library's from now on. `port`, where it is above 0,
/// becomes that of each address.
///
/// Raises SocketDNS_Failed: no resolver, NULL, a port out of range (EINVAL); the list is then still the program's.
///
/// # Safety
/// `list` is NULL or ends with SocketCommon_free_addrinfo.
#[no_mangle]
pub unsafe extern "C" fn SocketDNS_create_completed_request(
    dns: SocketDNS_T,
    list: *mut libc::addrinfo,
    port: c_int,
) -> Request_T {
    raising(c"SocketDNS_create_completed_request", || {
        if list.is_null() {
            return Err(Error::invalid(
                Kind::Dns,
                "SocketDNS_create_completed_request: the list is NULL",
            ));
        }
        let port = u16::try_from(port)
            .map_err(|_| Error::invalid(Kind::Dns, format!("{port} is no port (0 to 65535)")))?;
        dns::pollfd(dns as u64)?;
        // SAFETY: not NULL, and the caller's promise.
        let list = unsafe {
            addrinfo::set_port(list, port);
            from_c(list)
        };
        dns::completed(dns as u64, list).map(|number| number as Request_T)
    })
}

/// Looks a name up and waits, `timeout_ms` at most: 0 is the resolver's time-out, less is for ever. Of `hints` (NULL: streams
/// of any family) count the family, the type, the protocol and AI_NUMERICHOST; `host` NULL gives the addresses to bind to. The
/// list is to be ended with SocketCommon_free_addrinfo. An address needs no network.
///
/// Raises SocketDNS_Failed: no resolver, an unusable host or port (EINVAL), a name without addresses, the time is up (ETIMEDOUT).
///
/// # Safety
/// `host` is NULL or NUL-terminated, `hints` NULL or complete.
#[no_mangle]
pub unsafe extern "C" fn SocketDNS_resolve_sync(
    dns: SocketDNS_T,
    host: *const c_char,
    port: c_int,
    hints: *const libc::addrinfo,
    timeout_ms: c_int,
) -> *mut libc::addrinfo {
    raising(c"SocketDNS_resolve_sync", || {
        // SAFETY: the caller's promise.
        let (host, hints) = unsafe { (self::host(host)?, hints.as_ref()) };
        let mut asked = Asked::stream(host, port);
        if let Some(hints) = hints {
            asked.family = hints.ai_family;
            asked.socktype = hints.ai_socktype;
            asked.protocol = hints.ai_protocol;
            asked.numeric = hints.ai_flags & libc::AI_NUMERICHOST != 0;
        }
        let list = into_c(dns::resolve_sync(dns as u64, &asked, timeout_ms)?);
        if list.is_null() {
            return Err(Error::new(
                Kind::Dns,
                crate::errno::Errno(libc::ENOMEM),
                "no memory for the addresses",
            ));
        }
        Ok(list)
    })
}

/// A descriptor to wait for (readable) together with others; the resolver's own, and valid as long as it is. It stays readable
/// until SocketDNS_check.
///
/// Raises SocketDNS_Failed: no resolver.
#[no_mangle]
pub extern "C" fn SocketDNS_pollfd(dns: SocketDNS_T) -> c_int {
    raising(c"SocketDNS_pollfd", || dns::pollfd(dns as u64))
}

/// How many requests have completed since the last call: those without a callback, and those whose callback has returned.
/// Never waits, and calls nothing.
///
/// Raises SocketDNS_Failed: no resolver.
#[no_mangle]
pub extern "C" fn SocketDNS_check(dns: SocketDNS_T) -> c_int {
    raising(c"SocketDNS_check", || dns::check(dns as u64))
}

/// The time-out, in milliseconds, of requests that are made from now on; 0 or less: none.
///
/// Raises SocketDNS_Failed: no resolver.
#[no_mangle]
pub extern "C" fn SocketDNS_settimeout(dns: SocketDNS_T, timeout_ms: c_int) {
    raising(c"SocketDNS_settimeout", || {
        dns::set_timeout(dns as u64, timeout_ms)
    })
}

/// The time-out of one request, in milliseconds from its start; 0 or less: none. Nothing happens for one that is over.
///
/// Raises SocketDNS_Failed: no resolver.
#[no_mangle]
pub extern "C" fn SocketDNS_request_settimeout(
    dns: SocketDNS_T,
    request: Request_T,
    timeout_ms: c_int,
) {
    raising(c"SocketDNS_request_settimeout", || {
        dns::set_request_timeout(dns as u64, request as u64, timeout_ms)
    })
}
