//! `socket/Socket.h`: lookups for a socket on a resolver of the program's. Must not know how anything is done.

use super::raise::raising;
use super::socket::{live, string, Socket_T};
use super::socket_dns::{Request_T, SocketDNS_T};
use crate::socket::dns::{self, Asked};
use crate::socket::{self, Error, Kind, Socket};
use std::ffi::{c_char, c_int};

fn ask(
    dns: SocketDNS_T,
    socket: &Socket,
    host: Option<&str>,
    port: c_int,
) -> Result<Request_T, Error> {
    if !(0..=65535).contains(&port) {
        let text = format!("{port} is no port (0 to 65535)");
        return Err(Error::invalid(Kind::Socket, text));
    }
    let asked = Asked {
        family: socket.domain(),
        socktype: socket.kind(),
        ..Asked::stream(host, port)
    };
    dns::resolve(dns as u64, &asked, None).map(|request| request as Request_T)
}

/// Starts the lookup of an address to bind the socket to, on a resolver; never waits. When SocketDNS_getresult gives a list, that
/// is for Socket_bind_with_addrinfo (and ended with SocketCommon_free_addrinfo). `host` NULL, "0.0.0.0" and "::" are all
/// addresses: the request is complete at once. To be ended with SocketDNS_getresult or Socket_bind_async_cancel.
///
/// Raises Socket_Failed: a port out of range (EINVAL); SocketDNS_Failed: no resolver, a host that is empty or longer than 255
/// bytes (EINVAL), no thread.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_bind_async(
    dns: SocketDNS_T,
    socket: Socket_T,
    host: *const c_char,
    port: c_int,
) -> Request_T {
    raising(c"Socket_bind_async", || {
        let socket = live(c"Socket_bind_async", socket);
        // SAFETY: the caller's promise.
        let host = unsafe { string(host) };
        let named = host.as_deref().filter(|host| !socket::is_wildcard(host));
        ask(dns, &socket, named, port)
    })
}

/// Ends a request of Socket_bind_async whose answer is not wanted any more. Nothing happens for NULL and for one that is over.
#[no_mangle]
pub extern "C" fn Socket_bind_async_cancel(dns: SocketDNS_T, request: Request_T) {
    raising(c"Socket_bind_async_cancel", || {
        dns::cancel(dns as u64, request as u64);
        Ok(())
    })
}

/// Starts the lookup of an address to connect the socket to, as Socket_bind_async; its list is for
/// Socket_connect_with_addrinfo.
///
/// Raises Socket_Failed: `host` is NULL, a port out of range (EINVAL); SocketDNS_Failed as Socket_bind_async.
///
/// # Safety
/// `host` is NULL or a NUL-terminated string.
#[no_mangle]
pub unsafe extern "C" fn Socket_connect_async(
    dns: SocketDNS_T,
    socket: Socket_T,
    host: *const c_char,
    port: c_int,
) -> Request_T {
    raising(c"Socket_connect_async", || {
        let socket = live(c"Socket_connect_async", socket);
        // SAFETY: the caller's promise.
        let Some(host) = (unsafe { string(host) }) else {
            let text = "Socket_connect_async: the host is NULL";
            return Err(Error::invalid(Kind::Socket, text));
        };
        ask(dns, &socket, Some(&host), port)
    })
}

/// Ends a request of Socket_connect_async whose answer is not wanted any more. Nothing happens for NULL and for one that is over.
#[no_mangle]
pub extern "C" fn Socket_connect_async_cancel(dns: SocketDNS_T, request: Request_T) {
    raising(c"Socket_connect_async_cancel", || {
        dns::cancel(dns as u64, request as u64);
        Ok(())
    })
}
