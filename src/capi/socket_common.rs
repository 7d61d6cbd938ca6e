//! `socket/SocketCommon.h`: what sockets of every kind share; the rest is in `socket_common_base.rs`. Must not know how anything is done.

// C names.
#![allow(non_camel_case_types, non_snake_case)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::addrinfo;
use super::arena::{arena, Arena_T};
use super::except::Except_T;
use super::raise::{raising, raising_with, record, violated};
use super::types::c_bool;
use crate::errno::Errno;
use crate::socket::common::resolve::{self, Hints};
use crate::socket::common::{self, names};
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, c_short, CStr};
use std::ptr;

/// As the exception that the program named.
pub(super) fn given(x: Except_T) -> Kind {
    Kind::Given(x.r#type as usize)
}

/// The text behind a pointer; `None` for NULL.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: NULL, or NUL-terminated, as the program says.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Runs the body of a function that returns -1 with `errno` and the thread's message where others raise.
pub(super) fn status(
    function: &'static CStr,
    body: impl FnOnce() -> Result<c_int, Error>,
) -> c_int {
    status_or_raise(function, || Ok(body()))
}

/// The same, where some errors (the outer ones) raise.
pub(super) fn status_or_raise(
    function: &'static CStr,
    body: impl FnOnce() -> Result<Result<c_int, Error>, Error>,
) -> c_int {
    raising_with(function, || {
        Ok(match body()? {
            Ok(value) => (value, None),
            Err(error) => {
                record(&error);
                (-1, Some(error.errno))
            }
        })
    })
}

pub(super) fn null(what: &str, kind: Kind) -> Error {
    Error::invalid(kind, format!("{what} is NULL"))
}

// ---- Names and addresses --------------------------------------------------------------------------------------------

/// Fills in hints: all zero, any family, this type and these flags. A NULL `hints` aborts.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_setup_hints(
    hints: *mut libc::addrinfo,
    socktype: c_int,
    flags: c_int,
) {
    raising(c"SocketCommon_setup_hints", || {
        if hints.is_null() {
            violated(c"SocketCommon_setup_hints", "hints", "is NULL");
        }
        // SAFETY: integers and pointers, for which zeros are valid; not NULL, and the caller's.
        unsafe {
            let mut made: libc::addrinfo = std::mem::zeroed();
            made.ai_family = libc::AF_UNSPEC;
            made.ai_socktype = socktype;
            made.ai_flags = flags;
            hints.write(made);
        }
        Ok(())
    })
}

/// The addresses of a host: 0, and `*res`, to be freed with SocketCommon_free_addrinfo.
///
/// `host`: a name or an address, which needs no lookup; NULL stands for this machine, for all its addresses where the hints
/// have AI_PASSIVE. `hints`: family, type, protocol, AI_PASSIVE and AI_NUMERICHOST are heard; NULL for none. `family`: the
/// answer counts only if an entry is of this one; AF_UNSPEC for any. A lookup takes as long as
/// SocketCommon_get_dns_timeout says.
///
/// Where nothing is found (errno EAI_FAIL), or host or port are none (EINVAL): raises `x` if `use_exceptions`, else returns
/// -1.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_resolve_address(
    host: *const c_char,
    port: c_int,
    hints: *const libc::addrinfo,
    res: *mut *mut libc::addrinfo,
    x: Except_T,
    family: c_int,
    use_exceptions: c_int,
) -> c_int {
    let body = || {
        if res.is_null() {
            return Err(null("the place for the addresses", given(x)));
        }
        // SAFETY: not NULL, and the caller's.
        unsafe { res.write(ptr::null_mut()) };
        // SAFETY: NULL or a text, as the caller says.
        let host = unsafe { text(host) }.map(CStr::to_string_lossy);
        let port = names::port(port, given(x))?;
        // SAFETY: NULL or hints, as the caller says.
        let hints = unsafe { hints.as_ref() }.map_or_else(Hints::default, |hints| Hints {
            flags: hints.ai_flags,
            family: hints.ai_family,
            socktype: hints.ai_socktype,
            protocol: hints.ai_protocol,
        });
        let found =
            resolve::addresses(host.as_deref(), port, hints, family).map_err(|error| Error {
                kind: given(x),
                ..error
            })?;
        let list = addrinfo::give(&found);
        if list.is_null() {
            return Err(Error::system(given(x), "resolve", Errno(libc::ENOMEM)));
        }
        // SAFETY: as above.
        unsafe { res.write(list) };
        Ok(0)
    };
    match use_exceptions {
        0 => status(c"SocketCommon_resolve_address", body),
        _ => raising(c"SocketCommon_resolve_address", body),
    }
}

/// Frees a list of addresses that this library has given, or getaddrinfo(3). NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_free_addrinfo(list: *mut libc::addrinfo) {
    raising(c"SocketCommon_free_addrinfo", || {
        // SAFETY: the caller's, for the last time.
        unsafe { addrinfo::free(list) };
        Ok(())
    })
}

/// A copy of a list with all that it points to, to be freed with SocketCommon_free_addrinfo. NULL for NULL, and for lack of
/// memory.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_copy_addrinfo(
    list: *const libc::addrinfo,
) -> *mut libc::addrinfo {
    raising(c"SocketCommon_copy_addrinfo", || {
        // SAFETY: NULL or a list, as the caller says.
        Ok(unsafe { addrinfo::copy(list) })
    })
}

/// Raises `x` (EINVAL) where a port is not within 0 to 65535.
#[no_mangle]
pub extern "C" fn SocketCommon_validate_port(port: c_int, x: Except_T) {
    raising(c"SocketCommon_validate_port", || {
        names::port(port, given(x)).map(|_| ())
    })
}

/// Raises `x` (EINVAL) unless a host is an address, or labels of 1 to 63 letters, digits and hyphens (not at the beginning),
/// 255 characters together at most.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_validate_hostname(host: *const c_char, x: Except_T) {
    raising(c"SocketCommon_validate_hostname", || {
        // SAFETY: NULL or a text, as the caller says.
        let host = unsafe { text(host) }.ok_or_else(|| null("the host", given(x)))?;
        names::check_host(host.to_bytes(), given(x))
    })
}

/// Raises `x` (EINVAL) for NULL.
#[no_mangle]
pub extern "C" fn SocketCommon_validate_host_not_null(host: *const c_char, x: Except_T) {
    raising(c"SocketCommon_validate_host_not_null", || {
        if host.is_null() {
            return Err(null("the host", given(x)));
        }
        Ok(())
    })
}

/// NULL for NULL, "0.0.0.0" and "::", which stand for all addresses of this machine; else `host`.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_normalize_wildcard_host(
    host: *const c_char,
) -> *const c_char {
    raising(c"SocketCommon_normalize_wildcard_host", || {
        // SAFETY: NULL or a text, as the caller says.
        let is_wildcard =
            unsafe { text(host) }.is_none_or(|host| host == c"0.0.0.0" || host == c"::");
        Ok(if is_wildcard { ptr::null() } else { host })
    })
}

/// The numeric text of an address, in memory of the arena, and its port: 0. -1 for what is no IPv4 or IPv6 address, for NULL
/// (EINVAL), and where the arena has no memory (ENOMEM).
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_cache_endpoint(
    arena: Arena_T,
    addr: *const libc::sockaddr,
    len: libc::socklen_t,
    addr_out: *mut *mut c_char,
    port_out: *mut c_int,
) -> c_int {
    status(c"SocketCommon_cache_endpoint", || {
        if addr_out.is_null() || port_out.is_null() {
            return Err(null("a place for the endpoint", Kind::Common));
        }
        // SAFETY: an address of that length, as the caller says; an arena or NULL.
        let (address, arena) = unsafe { (resolve::read(addr, len)?, self::arena(arena)?) };
        let (host, port) = resolve::numeric(&address)?;
        let host = host.as_bytes_with_nul();
        let place = arena.alloc(host.len())?.as_ptr();
        // SAFETY: the block has so many bytes and is new; the places are the caller's.
        unsafe {
            ptr::copy_nonoverlapping(host.as_ptr(), place, host.len());
            addr_out.write(place.cast());
            port_out.write(c_int::from(port));
        }
        Ok(0)
    })
}

/// The name of an address and that of its port, by getnameinfo(3) and with its flags: 0. A NULL or empty buffer is left out, but
/// not both.
///
/// Raises `x`: no address, no room (EINVAL), and what getnameinfo fails with.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_reverse_lookup(
    addr: *const libc::sockaddr,
    addrlen: libc::socklen_t,
    host: *mut c_char,
    hostlen: libc::socklen_t,
    serv: *mut c_char,
    servlen: libc::socklen_t,
    flags: c_int,
    x: Except_T,
) -> c_int {
    raising(c"SocketCommon_reverse_lookup", || {
        // SAFETY: buffers of these sizes, or NULL, and an address, as the caller says.
        unsafe {
            let host = resolve::Buffer::new(host, hostlen);
            let serv = resolve::Buffer::new(serv, servlen);
            resolve::reverse(addr, addrlen, host, serv, flags, given(x))?;
        }
        Ok(0)
    })
}

/// Whether a text is an address: 1, and AF_INET or AF_INET6; else 0, and AF_UNSPEC. `family` may be NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_parse_ip(s: *const c_char, family: *mut c_int) -> c_int {
    raising(c"SocketCommon_parse_ip", || {
        // SAFETY: NULL or a text, as the caller says.
        let text = unsafe { text(s) }.and_then(|s| s.to_str().ok());
        let found = match text.and_then(names::parse_ip) {
            Some(std::net::IpAddr::V4(_)) => libc::AF_INET,
            Some(std::net::IpAddr::V6(_)) => libc::AF_INET6,
            None => libc::AF_UNSPEC,
        };
        if !family.is_null() {
            // SAFETY: not NULL, and the caller's.
            unsafe { family.write(found) };
        }
        Ok(c_int::from(found != libc::AF_UNSPEC))
    })
}

/// Whether an address is in a network such as "10.0.0.0/8": 1; 0 if not, also where they are of two families; -1 where one of
/// them is malformed.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_cidr_match(ip: *const c_char, cidr: *const c_char) -> c_int {
    raising(c"SocketCommon_cidr_match", || {
        // SAFETY: NULL or texts, as the caller says.
        let texts = unsafe { (text(ip), text(cidr)) };
        let inside = match texts {
            (Some(ip), Some(cidr)) => match (ip.to_str(), cidr.to_str()) {
                (Ok(ip), Ok(cidr)) => names::is_in_network(ip, cidr),
                _ => None,
            },
            _ => None,
        };
        Ok(inside.map_or(-1, c_int::from))
    })
}

// ---- Descriptors ----------------------------------------------------------------------------------------------------

/// Has a descriptor closed, or not, in a program that is executed: 0, or -1 with errno.
#[no_mangle]
pub extern "C" fn SocketCommon_setcloexec(fd: c_int, on: c_int) -> c_int {
    status(c"SocketCommon_setcloexec", || {
        common::change_cloexec(fd, on != 0, Kind::Common).map(|()| 0)
    })
}

/// Whether a descriptor is closed in a program that is executed: 1 or 0; -1 with errno.
#[no_mangle]
pub extern "C" fn SocketCommon_has_cloexec(fd: c_int) -> c_int {
    status(c"SocketCommon_has_cloexec", || {
        common::has_cloexec(fd, Kind::Common).map(c_int::from)
    })
}

/// As SocketCommon_setcloexec; raises `x` where that fails.
#[no_mangle]
pub extern "C" fn SocketCommon_set_cloexec_fd(fd: c_int, on: c_bool, x: Except_T) {
    raising(c"SocketCommon_set_cloexec_fd", || {
        common::change_cloexec(fd, on != 0, given(x))
    })
}

/// Asks for an option whose value is a number: 0. Raises `x`: NULL (EINVAL), and what getsockopt(2) fails with.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_getoption_int(
    fd: c_int,
    level: c_int,
    optname: c_int,
    value: *mut c_int,
    x: Except_T,
) -> c_int {
    raising(c"SocketCommon_getoption_int", || {
        if value.is_null() {
            return Err(null("the place for the option", given(x)));
        }
        let found = common::int_option(fd, level, optname, given(x))?;
        // SAFETY: not NULL, and the caller's.
        unsafe { value.write(found) };
        Ok(0)
    })
}

/// Asks for an option whose value is a length of time: 0. Raises as SocketCommon_getoption_int.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_getoption_timeval(
    fd: c_int,
    level: c_int,
    optname: c_int,
    tv: *mut libc::timeval,
    x: Except_T,
) -> c_int {
    raising(c"SocketCommon_getoption_timeval", || {
        if tv.is_null() {
            return Err(null("the place for the option", given(x)));
        }
        let found = common::time_option(fd, level, optname, given(x))?;
        // SAFETY: not NULL, and the caller's.
        unsafe { tv.write(found) };
        Ok(0)
    })
}

/// Waits for events of poll(2) on a descriptor: 1 when they are there, and at once where `timeout_ms` is 0; 0 when the time is
/// up. Below 0 waits for as long as it takes; SOCKET_POLL_TIMEOUT_MAX is the longest. -1 with errno: a failure, an error at the
/// descriptor (EIO), its other end is gone (EPIPE), it is none (EBADF).
#[no_mangle]
pub extern "C" fn SocketCommon_wait_for_fd(fd: c_int, events: c_short, timeout_ms: c_int) -> c_int {
    status(c"SocketCommon_wait_for_fd", || {
        if timeout_ms == 0 {
            return Ok(1);
        }
        let waited = common::wait_for(fd, events, timeout_ms);
        waited.map(c_int::from).map_err(|errno| {
            Error::system(
                Kind::Common,
                format_args!("wait for descriptor {fd}"),
                errno,
            )
        })
    })
}
