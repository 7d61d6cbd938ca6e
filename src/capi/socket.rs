//! `socket/Socket.h`: making sockets, ending them, addressing. Must not know how anything is done.

// C names.
#![allow(non_camel_case_types)]

use super::raise::{raising, raising_with, record, violated};
use crate::dns;
use crate::errno::Errno;
use crate::socket::{self, Bound, Connected, Error, Handle, Kind, Socket};
use libc::addrinfo;
use std::borrow::Cow;
use std::ffi::{c_char, c_int, CStr};
use std::sync::Arc;

/// A socket. Compare handles, pass them on, never look inside.
pub type Socket_T = *const Handle;

/// The socket behind a handle that must be live: a violated precondition of `function` otherwise.
#[inline]
pub(super) fn live(function: &'static CStr, socket: Socket_T) -> Arc<Socket> {
    match find(socket) {
        Some(socket) => socket,
        None if socket.is_null() => violated(function, "socket", "is NULL"),
        None => violated(function, "socket", "was freed"),
    }
}

/// A handle that must be live: a violated precondition of `function` otherwise.
#[inline]
pub(super) fn live_handle(function: &'static CStr, socket: Socket_T) -> &'static Handle {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    match unsafe { socket.as_ref() } {
        Some(handle) if handle.is_live() => handle,
        Some(_) => violated(function, "socket", "was freed"),
        None => violated(function, "socket", "is NULL"),
    }
}

/// The socket behind a handle; `None` for NULL and for one that was freed.
#[inline]
pub(super) fn find(socket: Socket_T) -> Option<Arc<Socket>> {
    // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
    unsafe { socket.as_ref() }?.socket()
}

/// Makes a socket: close-on-exec and blocking.
///
/// `domain`: AF_INET, AF_INET6 or AF_UNIX; `type`: SOCK_STREAM or SOCK_DGRAM; `protocol`: 0, IPPROTO_TCP or IPPROTO_UDP. Its
/// time-outs are the process's defaults. To be ended with Socket_free.
///
/// Raises Socket_Failed: another domain, type or protocol (EINVAL), and what socket(2) fails with.
#[no_mangle]
pub extern "C" fn Socket_new(domain: c_int, r#type: c_int, protocol: c_int) -> Socket_T {
    raising(c"Socket_new", || {
        socket::new(domain, r#type, protocol).map(|handle| handle as Socket_T)
    })
}

/// Makes a connected pair of Unix sockets: close-on-exec and blocking. `type`: SOCK_STREAM or SOCK_DGRAM.
///
/// Raises Socket_Failed: another type, NULL (EINVAL), and what socketpair(2) fails with.
///
/// # Safety
/// `a` and `b` are NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn SocketPair_new(r#type: c_int, a: *mut Socket_T, b: *mut Socket_T) {
    raising(c"SocketPair_new", || {
        if a.is_null() || b.is_null() {
            return Err(Error::invalid(
                Kind::Socket,
                "SocketPair_new: the place for a socket is NULL",
            ));
        }
        let (first, second) = socket::pair(r#type)?;
        // SAFETY: not NULL, and the caller's promise.
        unsafe {
            *a = first;
            *b = second;
        }
        Ok(())
    })
}

/// Takes a socket's descriptor over and makes it non-blocking; what it is, is asked of the kernel.
///
/// Raises Socket_Failed when it is no socket; the descriptor is then still the caller's. A negative `fd` aborts.
#[no_mangle]
pub extern "C" fn Socket_new_from_fd(fd: c_int) -> Socket_T {
    raising(c"Socket_new_from_fd", || {
        if fd < 0 {
            violated(c"Socket_new_from_fd", "fd", "is negative");
        }
        // SAFETY: a C program names a descriptor of its own, and gives it up by the contract of this function.
        unsafe { socket::take_over(fd) }.map(|handle| handle as Socket_T)
    })
}

/// Ends a socket: drops its TLS without a close_notify, closes the descriptor, stores NULL. Nothing happens for NULL and for
/// a handle that was freed before.
///
/// # Safety
/// `socket` is NULL or points to a handle.
#[no_mangle]
pub unsafe extern "C" fn Socket_free(socket: *mut Socket_T) {
    raising(c"Socket_free", || {
        if socket.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and the caller's promise.
        let handle = unsafe { std::mem::replace(&mut *socket, std::ptr::null()) };
        // SAFETY: NULL, or a handle that this library gave out; its memory is never given back.
        if let Some(handle) = unsafe { handle.as_ref() } {
            handle.end();
        }
        Ok(())
    })
}

/// How many sockets of this process are live.
#[no_mangle]
pub extern "C" fn Socket_debug_live_count() -> c_int {
    socket::live_count()
}

/// The descriptor, which stays the socket's. A NULL or freed `socket` aborts.
#[no_mangle]
pub extern "C" fn Socket_fd(socket: Socket_T) -> c_int {
    raising(c"Socket_fd", || Ok(live(c"Socket_fd", socket).fd()))
}

/// A string from C; what is not UTF-8 in it becomes what no name has.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that nobody changes during `'a`.
pub(super) unsafe fn string<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// An outcome that is told by `errno` alone; its text is kept for Socket_GetLastError.
fn quietly(error: Error) -> Option<Errno> {
    record(&error);
    Some(error.errno)
}

/// Binds to an address or a name of this host.
///
/// `host`: NULL, "0.0.0.0" and "::" are all addresses; `port`: 0 to 65535, 0 for one that the system chooses (see
/// Socket_getlocalport). Turns SO_REUSEADDR on. errno is 0 afterwards.
///
/// Returns with errno set and the socket unbound, and does not raise, for EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT
/// (an address of another family than the socket's), and with EAI_FAIL for a name without an address. Raises Socket_Failed:
/// a port out of range (EINVAL), and all else. Waits for a name server as long as the socket's dns_timeout_ms says.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_bind(socket: Socket_T, host: *const c_char, port: c_int) {
    raising_with(c"Socket_bind", || {
        let socket = live(c"Socket_bind", socket);
        // SAFETY: the caller's promise.
        let host = unsafe { string(host) };
        Ok(match socket::bind(&socket, host.as_deref(), port)? {
            Bound::Yes => ((), Some(Errno(0))),
            Bound::No(error) => ((), quietly(error)),
        })
    })
}

/// Lets connections come in; at most `backlog` (and never more than 1024) wait to be accepted.
///
/// Raises Socket_Failed: a backlog below 1 (EINVAL), a socket whose last Socket_bind came to nothing without raising (its
/// errno: the kernel would have chosen another port), and what listen(2) fails with.
#[no_mangle]
pub extern "C" fn Socket_listen(socket: Socket_T, backlog: c_int) {
    raising(c"Socket_listen", || {
        socket::listen(&live(c"Socket_listen", socket), backlog)
    })
}

/// Accepts a connection: a new socket, close-on-exec and blocking, which knows both its addresses. Emits
/// SOCKET_EVENT_ACCEPTED. NULL with errno EAGAIN where none is waiting and `socket` does not block.
///
/// Raises Socket_Failed: what accept(2) fails with; a connection that is gone before it is accepted is passed over.
#[no_mangle]
pub extern "C" fn Socket_accept(socket: Socket_T) -> Socket_T {
    raising_with(c"Socket_accept", || {
        Ok(connection(socket::accept(&live(c"Socket_accept", socket))?))
    })
}

fn connection(accepted: Option<&'static Handle>) -> (Socket_T, Option<Errno>) {
    match accepted {
        Some(handle) => (handle, None),
        None => (std::ptr::null(), Some(Errno(libc::EAGAIN))),
    }
}

/// As Socket_accept, waiting for `timeout_ms` milliseconds at most, whatever the socket's mode, which is as before
/// afterwards; 0: without waiting, -1: as the socket's mode says. NULL with errno EAGAIN when no connection came.
///
/// Raises Socket_Failed as Socket_accept.
#[no_mangle]
pub extern "C" fn Socket_accept_timeout(socket: Socket_T, timeout_ms: c_int) -> Socket_T {
    raising_with(c"Socket_accept_timeout", || {
        let socket = live(c"Socket_accept_timeout", socket);
        Ok(connection(socket::accept_within(&socket, timeout_ms)?))
    })
}

/// Connects to a name or address: each address of the socket's family is tried, in the order of RFC 6724.
///
/// With a connect_timeout_ms above 0 it waits that long at most, whatever the socket's mode, which is as before afterwards.
/// With 0 the mode decides, and a connection that is on its way counts as a success with errno EINPROGRESS: the socket becomes
/// writable. Otherwise errno is 0 after a success. Emits SOCKET_EVENT_CONNECTED.
///
/// Returns with errno set, and does not raise, for what may pass (ECONNREFUSED, ETIMEDOUT, ENETUNREACH and all others that
/// Socket_error_is_retryable knows), and with EAI_FAIL for a name without an address; Socket_isconnected is 0 then, and the
/// socket can connect again. Raises Socket_Failed: `host` is NULL or `port` out of range (EINVAL), and all else.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect(socket: Socket_T, host: *const c_char, port: c_int) {
    raising_with(c"Socket_connect", || {
        let socket = live(c"Socket_connect", socket);
        // SAFETY: the caller's promise.
        let Some(host) = (unsafe { string(host) }) else {
            return Err(Error::invalid(
                Kind::Socket,
                "Socket_connect: the host is NULL",
            ));
        };
        Ok(match socket::connect(&socket, &host, port)? {
            Connected::No(error) => ((), quietly(error)),
            outcome => ((), Some(pending(&outcome))),
        })
    })
}

/// 1 when the socket has a peer, else 0; 0 for NULL.
#[no_mangle]
pub extern "C" fn Socket_isconnected(socket: Socket_T) -> c_int {
    raising(c"Socket_isconnected", || {
        Ok(find(socket)
            .is_some_and(|socket| socket.is_connected())
            .into())
    })
}

/// 1 when the socket has a port or is a Unix one, else 0; 0 for NULL.
#[no_mangle]
pub extern "C" fn Socket_isbound(socket: Socket_T) -> c_int {
    raising(c"Socket_isbound", || {
        Ok(find(socket).is_some_and(|socket| socket.is_bound()).into())
    })
}

/// 1 when connections can be accepted from the socket, else 0; 0 for NULL.
#[no_mangle]
pub extern "C" fn Socket_islistening(socket: Socket_T) -> c_int {
    raising(c"Socket_islistening", || {
        Ok(find(socket)
            .is_some_and(|socket| socket.is_listening())
            .into())
    })
}

/// The peer's address in numbers, the path of a Unix socket, or "(unknown)" where there is none. Valid until the socket is
/// freed.
#[no_mangle]
pub extern "C" fn Socket_getpeeraddr(socket: Socket_T) -> *const c_char {
    raising(c"Socket_getpeeraddr", || {
        Ok(live(c"Socket_getpeeraddr", socket).peer_text())
    })
}

/// The peer's port; 0 where there is none.
#[no_mangle]
pub extern "C" fn Socket_getpeerport(socket: Socket_T) -> c_int {
    raising(c"Socket_getpeerport", || {
        Ok(live(c"Socket_getpeerport", socket).peer_port().into())
    })
}

/// The socket's own address, as Socket_getpeeraddr.
#[no_mangle]
pub extern "C" fn Socket_getlocaladdr(socket: Socket_T) -> *const c_char {
    raising(c"Socket_getlocaladdr", || {
        Ok(live(c"Socket_getlocaladdr", socket).local_text())
    })
}

/// The socket's own port; 0 where it has none.
#[no_mangle]
pub extern "C" fn Socket_getlocalport(socket: Socket_T) -> c_int {
    raising(c"Socket_getlocalport", || {
        Ok(live(c"Socket_getlocalport", socket).local_port().into())
    })
}

/// The addresses of a list as getaddrinfo makes it.
///
/// # Safety
/// `list` is NULL or the head of a list that nobody changes meanwhile.
unsafe fn addresses(list: *const addrinfo) -> Result<Vec<socket2::SockAddr>, Error> {
    if list.is_null() {
        return Err(Error::invalid(
            Kind::Socket,
            "the list of addresses is NULL",
        ));
    }
    // SAFETY: not NULL, and the caller's promise.
    let copied = unsafe { dns::copy(list) };
    let copied = copied.map_err(|error| {
        let text = format!("the list of addresses: {error}");
        Error::new(Kind::Socket, Errno(libc::ENOMEM), text)
    })?;
    Ok(copied.into_iter().map(|entry| entry.addr).collect())
}

/// As Socket_bind, to the first address of a list (of getaddrinfo, or of this library) that can be bound to; those of another
/// family than the socket's are passed over. The list stays the caller's.
///
/// Raises Socket_Failed for all failures: EADDRINUSE and its like too, EINVAL for NULL.
///
/// # Safety
/// `list` is NULL or the head of a list.
#[no_mangle]
pub unsafe extern "C" fn Socket_bind_with_addrinfo(socket: Socket_T, list: *mut addrinfo) {
    raising_with(c"Socket_bind_with_addrinfo", || {
        let socket = live(c"Socket_bind_with_addrinfo", socket);
        // SAFETY: the caller's promise.
        let addresses = unsafe { addresses(list)? };
        socket::bind_one_of(&socket, "the addresses of a list", &addresses)?;
        Ok(((), Some(Errno(0))))
    })
}

/// As Socket_connect, to the first address of a list (of getaddrinfo, or of this library) that can be reached; those of another
/// family than the socket's are passed over. The list stays the caller's.
///
/// Raises Socket_Failed for all failures: ECONNREFUSED and its like too, EINVAL for NULL. errno is EINPROGRESS where the
/// connection is on its way.
///
/// # Safety
/// `list` is NULL or the head of a list.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_with_addrinfo(socket: Socket_T, list: *mut addrinfo) {
    raising_with(c"Socket_connect_with_addrinfo", || {
        let socket = live(c"Socket_connect_with_addrinfo", socket);
        // SAFETY: the caller's promise.
        let addresses = unsafe { addresses(list)? };
        let outcome = socket::connect_one_of(&socket, "the addresses of a list", &addresses)?;
        Ok(((), Some(pending(&outcome))))
    })
}

fn pending(outcome: &Connected) -> Errno {
    match outcome {
        Connected::Pending => Errno(libc::EINPROGRESS),
        _ => Errno(0),
    }
}

/// A new TCP socket of IPv4 that listens, as Socket_new, Socket_bind and Socket_listen; to be ended with Socket_free.
///
/// Raises Socket_Failed for all failures, EADDRINUSE and its like too.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_listen_tcp(
    host: *const c_char,
    port: c_int,
    backlog: c_int,
) -> Socket_T {
    raising(c"Socket_listen_tcp", || {
        // SAFETY: the caller's promise.
        let host = unsafe { string(host) };
        let made = socket::made(libc::AF_INET, |socket| {
            match socket::bind(socket, host.as_deref(), port)? {
                Bound::Yes => socket::listen(socket, backlog),
                Bound::No(error) => Err(error),
            }
        })?;
        Ok(made as Socket_T)
    })
}

/// A new TCP socket of IPv4 that connects, as Socket_new and Socket_connect with `timeout_ms` as its connect_timeout_ms (0: as
/// long as the system tries); to be ended with Socket_free. As there, what may pass does not raise: errno tells, and
/// Socket_isconnected is 0.
///
/// Raises Socket_Failed as Socket_connect.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_tcp(
    host: *const c_char,
    port: c_int,
    timeout_ms: c_int,
) -> Socket_T {
    raising_with(c"Socket_connect_tcp", || {
        // SAFETY: the caller's promise.
        let Some(host) = (unsafe { string(host) }) else {
            return Err(Error::invalid(
                Kind::Socket,
                "Socket_connect_tcp: the host is NULL",
            ));
        };
        let mut errno = Errno(0);
        let made = socket::made(libc::AF_INET, |socket| {
            let mut timeouts = socket.timeouts();
            timeouts.connect = timeout_ms.max(0);
            socket.set_timeouts(timeouts);
            errno = match socket::connect(socket, &host, port)? {
                Connected::No(error) => quietly(error).unwrap_or(errno),
                outcome => pending(&outcome),
            };
            Ok(())
        })?;
        Ok((made as Socket_T, Some(errno)))
    })
}

/// Makes the socket non-blocking and starts to connect it to an IP address, without waiting: 0 when it is connected at once, 1
/// when that is on its way (the socket becomes writable).
///
/// Raises Socket_Failed: `ip_address` is NULL or no address (EINVAL), `port` out of range, and what connect(2) fails with.
///
/// # Safety
/// `ip_address` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_nonblocking(
    socket: Socket_T,
    ip_address: *const c_char,
    port: c_int,
) -> c_int {
    raising(c"Socket_connect_nonblocking", || {
        let socket = live(c"Socket_connect_nonblocking", socket);
        // SAFETY: the caller's promise.
        let text = unsafe { string(ip_address) }.unwrap_or_default();
        socket::start_connect(&socket, &text, port).map(|outcome| match outcome {
            Connected::Pending => 1,
            _ => 0,
        })
    })
}

/// A new handle on a copy of the descriptor, close-on-exec; TLS is not copied. To be ended with Socket_free.
///
/// Raises Socket_Failed: what fcntl(2) fails with.
#[no_mangle]
pub extern "C" fn Socket_dup(socket: Socket_T) -> Socket_T {
    raising(c"Socket_dup", || {
        let copy = socket::duplicate(&live(c"Socket_dup", socket), None)?;
        Ok(copy as Socket_T)
    })
}

/// As Socket_dup, with this number for the descriptor: what was open under it is closed.
///
/// Raises Socket_Failed: a number that is negative or the socket's own (EINVAL), what dup3(2) fails with.
#[no_mangle]
pub extern "C" fn Socket_dup2(socket: Socket_T, target_fd: c_int) -> Socket_T {
    raising(c"Socket_dup2", || {
        let copy = socket::duplicate(&live(c"Socket_dup2", socket), Some(target_fd))?;
        Ok(copy as Socket_T)
    })
}
