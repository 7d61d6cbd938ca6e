//! `socket/SocketCommon.h`, its second half: the record under a socket, binding, I/O vectors. Must not know how anything is
//! done.

// C names.
#![allow(non_camel_case_types, non_snake_case)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::except::Except_T;
use super::raise::{raising, record, violated};
use super::socket_common::{given, null, status_or_raise, text};
use super::types::c_bool;
use crate::errno::Errno;
use crate::socket::common::base::Base;
use crate::socket::common::{bind, vectors};
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, CStr};
use std::ptr;

/// The record under a socket: the address of a box.
pub type SocketBase_T = *mut Base;

pub(super) fn base<'a>(function: &'static CStr, base: SocketBase_T) -> &'a Base {
    // SAFETY: NULL, or given out by SocketCommon_new_base and not freed.
    match unsafe { base.as_ref() } {
        Some(base) => base,
        None => violated(function, "base", "is NULL"),
    }
}

// ---- What is under a socket -----------------------------------------------------------------------------------------

/// Makes a socket's record, with a new descriptor: close-on-exec and blocking. `domain`: AF_INET, AF_INET6 or AF_UNIX; `type`:
/// SOCK_STREAM or SOCK_DGRAM; `protocol`: 0, IPPROTO_TCP or IPPROTO_UDP. To be ended with SocketCommon_free_base.
///
/// Raises Socket_Failed: another domain, type or protocol (EINVAL), and what socket(2) fails with.
#[no_mangle]
pub extern "C" fn SocketCommon_new_base(
    domain: c_int,
    r#type: c_int,
    protocol: c_int,
) -> SocketBase_T {
    raising(c"SocketCommon_new_base", || {
        Base::new(domain, r#type, protocol).map(|base| Box::into_raw(Box::new(base)))
    })
}

/// Closes the descriptor and stores NULL. Nothing happens for NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_free_base(base_ptr: *mut SocketBase_T) {
    raising(c"SocketCommon_free_base", || {
        if base_ptr.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and the caller's.
        let base = unsafe { ptr::replace(base_ptr, ptr::null_mut()) };
        if !base.is_null() {
            // SAFETY: from `Box::into_raw`, and given up here.
            drop(unsafe { Box::from_raw(base) });
        }
        Ok(())
    })
}

/// Sets an option whose value is a number. Raises `x` with what setsockopt(2) fails with. A NULL `base` aborts, here and below.
#[no_mangle]
pub extern "C" fn SocketCommon_set_option_int(
    base: SocketBase_T,
    level: c_int,
    optname: c_int,
    value: c_int,
    x: Except_T,
) {
    raising(c"SocketCommon_set_option_int", || {
        let base = self::base(c"SocketCommon_set_option_int", base);
        base.set_int(level, optname, value, given(x))
    })
}

/// Sets how many routers what is sent may pass. `family`: AF_INET or AF_INET6. Raises `x`: another family (EAFNOSUPPORT), a number
/// that the system refuses (EINVAL).
#[no_mangle]
pub extern "C" fn SocketCommon_set_ttl(base: SocketBase_T, family: c_int, ttl: c_int, x: Except_T) {
    raising(c"SocketCommon_set_ttl", || {
        let base = self::base(c"SocketCommon_set_ttl", base);
        base.set_ttl(family, ttl, given(x))
    })
}

/// Has calls on the descriptor return at once where they would wait, or wait. Raises `x` where fcntl(2) fails.
#[no_mangle]
pub extern "C" fn SocketCommon_set_nonblock(base: SocketBase_T, enable: c_bool, x: Except_T) {
    raising(c"SocketCommon_set_nonblock", || {
        let base = self::base(c"SocketCommon_set_nonblock", base);
        base.set_nonblocking(enable != 0, given(x))
    })
}

unsafe fn change_group(
    function: &'static CStr,
    base: SocketBase_T,
    group: *const c_char,
    interface: *const c_char,
    enters: bool,
    x: Except_T,
) {
    raising(function, || {
        let base = self::base(function, base);
        // SAFETY: NULL or texts, as the caller says.
        let (group, interface) = unsafe { (text(group), text(interface)) };
        let group = group.ok_or_else(|| null("the group", given(x)))?;
        let interface = interface.map(CStr::to_string_lossy);
        base.change_group(
            &group.to_string_lossy(),
            interface.as_deref(),
            enters,
            given(x),
        )
    })
}

/// Enters a multicast group, named by its address. `interface`: the address or the name of one, NULL for any; an IPv6 group is
/// entered on any.
///
/// Raises `x`: what is no address (EINVAL), and what setsockopt(2) fails with.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_join_multicast(
    base: SocketBase_T,
    group: *const c_char,
    interface: *const c_char,
    x: Except_T,
) {
    // SAFETY: as the caller says.
    unsafe {
        change_group(
            c"SocketCommon_join_multicast",
            base,
            group,
            interface,
            true,
            x,
        )
    }
}

/// Leaves a multicast group; else as SocketCommon_join_multicast.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_leave_multicast(
    base: SocketBase_T,
    group: *const c_char,
    interface: *const c_char,
    x: Except_T,
) {
    // SAFETY: as the caller says.
    unsafe {
        change_group(
            c"SocketCommon_leave_multicast",
            base,
            group,
            interface,
            false,
            x,
        )
    }
}

/// Asks the kernel for the record's own address, after a bind or connect that was done on its descriptor.
#[no_mangle]
pub extern "C" fn SocketCommon_update_local_endpoint(base: SocketBase_T) {
    raising(c"SocketCommon_update_local_endpoint", || {
        self::base(c"SocketCommon_update_local_endpoint", base).refresh_local();
        Ok(())
    })
}

/// AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC for NULL.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_get_socket_family(base: SocketBase_T) -> c_int {
    raising(c"SocketCommon_get_socket_family", || {
        // SAFETY: NULL, or given out by SocketCommon_new_base and not freed.
        Ok(unsafe { base.as_ref() }.map_or(libc::AF_UNSPEC, Base::family))
    })
}

// ---- Binding --------------------------------------------------------------------------------------------------------

/// Binds to an address: 0; -1 with errno where it cannot be had (EADDRINUSE, EADDRNOTAVAIL). Raises `x` with what else bind(2)
/// fails with, and for NULL (EINVAL).
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_try_bind_address(
    base: SocketBase_T,
    addr: *const libc::sockaddr,
    addrlen: libc::socklen_t,
    x: Except_T,
) -> c_int {
    status_or_raise(c"SocketCommon_try_bind_address", || {
        let base = self::base(c"SocketCommon_try_bind_address", base);
        if addr.is_null() {
            return Err(null("the address", given(x)));
        }
        // SAFETY: an address of that length, as the caller says.
        match unsafe { bind::bind(base, addr, addrlen) } {
            Ok(()) => Ok(Ok(0)),
            Err(errno) => unbound("the address", errno, x),
        }
    })
}

/// An address that cannot be had is told by -1, else `x` is raised.
fn unbound(name: &str, errno: Errno, x: Except_T) -> Result<Result<c_int, Error>, Error> {
    match bind::is_taken(errno) {
        true => Ok(Err(bind::failed(name, errno, Kind::Common))),
        false => Err(bind::failed(name, errno, given(x))),
    }
}

/// Sets SO_REUSEADDR and binds to the first address of a list that is of `family` (AF_UNSPEC: any) and can be had: 0. Raises `x`
/// where there is none, with the last one's errno (EAFNOSUPPORT: none is of that family).
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_try_bind_resolved_addresses(
    base: SocketBase_T,
    res: *mut libc::addrinfo,
    family: c_int,
    x: Except_T,
) -> c_int {
    raising(c"SocketCommon_try_bind_resolved_addresses", || {
        let base = self::base(c"SocketCommon_try_bind_resolved_addresses", base);
        // SAFETY: NULL or a list, as the caller says.
        unsafe { bind::bind_one_of(base, res, family, given(x)) }.map(|()| 0)
    })
}

/// What becomes of a bind that failed with `err`: -1 with errno where the address `addr` (a text) cannot be had (EADDRINUSE,
/// EADDRNOTAVAIL); else raises `x`.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_handle_bind_error(
    err: c_int,
    addr: *const c_char,
    x: Except_T,
) -> c_int {
    status_or_raise(c"SocketCommon_handle_bind_error", || {
        // SAFETY: NULL or a text, as the caller says.
        unbound(&unsafe { shown(addr) }, Errno(err), x)
    })
}

unsafe fn shown(host: *const c_char) -> String {
    // SAFETY: NULL or a text, as the caller says.
    match unsafe { text(host) } {
        Some(host) => host.to_string_lossy().into_owned(),
        None => "any".to_owned(),
    }
}

/// Makes the thread's message of errno, for a bind to this host ("any" for NULL) and port that has failed.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_format_bind_error(host: *const c_char, port: c_int) {
    raising(c"SocketCommon_format_bind_error", || {
        let errno = Errno::last();
        // SAFETY: NULL or a text, as the caller says.
        let name = format!("{} port {port}", unsafe { shown(host) });
        record(&bind::failed(&name, errno, Kind::Common));
        Ok(())
    })
}

// ---- I/O vectors ----------------------------------------------------------------------------------------------------

/// How many entries there are; an error (EINVAL) for NULL and for a count that is not within 1 to IOV_MAX.
fn count(iov: *const libc::iovec, iovcnt: c_int, kind: Kind) -> Result<usize, Error> {
    let count = usize::try_from(iovcnt).unwrap_or(0);
    if iov.is_null() {
        return Err(null("I/O vector: it", kind));
    }
    if !(1..=vectors::MOST).contains(&count) {
        let most = vectors::MOST;
        let text = format!("I/O vector: {iovcnt} entries are not within 1 to {most}");
        return Err(Error::invalid(kind, text));
    }
    Ok(count)
}

/// As [`count`], and the entries.
unsafe fn entries<'a>(
    iov: *const libc::iovec,
    iovcnt: c_int,
    kind: Kind,
) -> Result<&'a [libc::iovec], Error> {
    let count = count(iov, iovcnt, kind)?;
    // SAFETY: not NULL, and so many entries, as the caller says.
    Ok(unsafe { std::slice::from_raw_parts(iov, count) })
}

/// How many entries there are, where anything else is a violated precondition.
fn demanded(
    function: &'static CStr,
    argument: &str,
    iov: *const libc::iovec,
    iovcnt: c_int,
) -> usize {
    if iov.is_null() {
        violated(function, argument, "is NULL");
    }
    match usize::try_from(iovcnt) {
        Ok(count) => count,
        Err(_) => violated(function, "iovcnt", "is negative"),
    }
}

/// The bytes of all entries. Raises SocketCommon_Failed (EINVAL): NULL, a count that is not within 1 to IOV_MAX, a sum that
/// overflows.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_calculate_total_iov_len(
    iov: *const libc::iovec,
    iovcnt: c_int,
) -> usize {
    raising(c"SocketCommon_calculate_total_iov_len", || {
        // SAFETY: as the caller says; nothing is written.
        vectors::total(unsafe { entries(iov, iovcnt, Kind::Common) }?)
    })
}

/// Raises SocketCommon_Failed (EINVAL) where an entry that has bytes is NULL, and as SocketCommon_calculate_total_iov_len.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_validate_iov_bases(iov: *const libc::iovec, iovcnt: c_int) {
    raising(c"SocketCommon_validate_iov_bases", || {
        // SAFETY: as the caller says; nothing is written.
        vectors::check_bases(unsafe { entries(iov, iovcnt, Kind::Common) }?)
    })
}

/// Uses up bytes: entries that are finished become NULL and 0, the one that is not begins later. Raises SocketCommon_Failed
/// (EINVAL): more bytes than there are, and as SocketCommon_calculate_total_iov_len.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_advance_iov(
    iov: *mut libc::iovec,
    iovcnt: c_int,
    bytes: usize,
) {
    raising(c"SocketCommon_advance_iov", || {
        let count = count(iov, iovcnt, Kind::Common)?;
        // SAFETY: not NULL, and so many entries, as the caller says.
        vectors::advance(unsafe { std::slice::from_raw_parts_mut(iov, count) }, bytes)
    })
}

/// The first entry that has bytes, and how many entries there are from it on; NULL and 0 if there is none. NULL and a negative
/// count abort.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_find_active_iov(
    iov: *mut libc::iovec,
    iovcnt: c_int,
    active_iovcnt: *mut c_int,
) -> *mut libc::iovec {
    const FUNCTION: &CStr = c"SocketCommon_find_active_iov";
    raising(FUNCTION, || {
        let count = demanded(FUNCTION, "iov", iov, iovcnt);
        if active_iovcnt.is_null() {
            violated(FUNCTION, "active_iovcnt", "is NULL");
        }
        // SAFETY: not NULL, and so many entries, as the caller says.
        let all = unsafe { std::slice::from_raw_parts(iov, count) };
        let (first, count) = match vectors::first_active(all) {
            Some(at) => (iov.wrapping_add(at), iovcnt - at as c_int),
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: not NULL, and the caller's.
        unsafe { active_iovcnt.write(count) };
        Ok(first)
    })
}

/// Has the entries of `original` begin where those of `copy`, of which bytes were used up, do now. NULL and a negative count
/// abort.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_sync_iov_progress(
    original: *mut libc::iovec,
    copy: *const libc::iovec,
    iovcnt: c_int,
) {
    const FUNCTION: &CStr = c"SocketCommon_sync_iov_progress";
    raising(FUNCTION, || {
        let count = demanded(FUNCTION, "original", original, iovcnt);
        demanded(FUNCTION, "copy", copy, iovcnt);
        // SAFETY: not NULL, and so many entries each, as the caller says. The two may be one.
        unsafe { ptr::copy(copy, original, count) };
        Ok(())
    })
}

/// A copy of the entries, to be freed with free(3). Raises `x`: as SocketCommon_calculate_total_iov_len, and ENOMEM.
#[no_mangle]
pub unsafe extern "C" fn SocketCommon_alloc_iov_copy(
    iov: *const libc::iovec,
    iovcnt: c_int,
    x: Except_T,
) -> *mut libc::iovec {
    raising(c"SocketCommon_alloc_iov_copy", || {
        // SAFETY: as the caller says; nothing is written to it.
        let all = unsafe { entries(iov, iovcnt, given(x)) }?;
        // SAFETY: takes any size.
        let copy = unsafe { libc::calloc(all.len(), size_of::<libc::iovec>()) };
        let copy = copy.cast::<libc::iovec>();
        if copy.is_null() {
            return Err(Error::system(given(x), "I/O vector", Errno(libc::ENOMEM)));
        }
        // SAFETY: as many entries, just made.
        unsafe { ptr::copy_nonoverlapping(all.as_ptr(), copy, all.len()) };
        Ok(copy)
    })
}
