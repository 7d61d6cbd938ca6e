//! Binding and listening: the names and addresses of this end.

use super::error::{Error, Kind};
use super::event;
use super::object::Socket;
use super::option;
use super::timeouts::limit;
use crate::address_text::{address_text, endpoint_text};
use crate::clock::Nanos;
use crate::dns::{self, eai, ResolveError};
use crate::errno::Errno;
use socket2::SockAddr;
use std::ffi::c_int;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

/// The longest queue of connections that wait to be accepted.
const MOST_WAITING: c_int = 1024;

/// What came of a bind.
#[derive(Debug)]
pub enum Bound {
    /// It has an address.
    Yes,
    /// It has none, for a reason that a program asks `errno` for.
    No(Error),
}

/// A port from C.
pub(super) fn port(what: &str, host: &str, port: c_int) -> Result<u16, Error> {
    u16::try_from(port).map_err(|_| {
        let text = format!("{what} {host}: {port} is no port (0 to 65535)");
        Error::invalid(Kind::Socket, text)
    })
}

/// The addresses of a name that a socket of this kind can use, with this port.
pub(super) fn resolve(
    socket: &Socket,
    host: &str,
    port: u16,
    timeout: Option<Nanos>,
) -> Result<Vec<SockAddr>, ResolveError> {
    let query = dns::Query {
        host: Some(host.to_owned()),
        service: Some(port.to_string()),
        family: socket.domain(),
        socktype: socket.kind(),
        protocol: 0,
    };
    let answer = dns::wait_for(query, timeout)?;
    Ok(answer.iter().map(|entry| entry.addr.clone()).collect())
}

/// A name without an address: "connect to example.org:443 failed: Name or service not known", EAI_FAIL.
pub(super) fn unresolved(what: &str, name: &str, error: ResolveError) -> Error {
    let text = match error {
        dns::TIMED_OUT => format!("{what} {name} failed: the name was not resolved in time"),
        _ => format!("{what} {name} failed: {error}"),
    };
    Error::new(Kind::Socket, Errno(eai::EAI_FAIL), text)
}

/// The program's handlers hear of a name that took too long.
pub(super) fn tell_of_time_out(host: &str, port: u16, error: ResolveError) -> Result<(), Error> {
    if error != dns::TIMED_OUT {
        return Ok(());
    }
    let port = port.into();
    event::emit(&event::Event::DnsTimeout { host, port })
}

/// How long its names may take.
pub(super) fn name_limit(socket: &Socket) -> Option<Nanos> {
    limit(socket.timeouts().dns)
}

/// Whether a host stands for all addresses of this machine, as no host does.
pub fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::")
}

fn wildcard(domain: c_int, port: u16) -> Option<SockAddr> {
    match domain {
        libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into()),
        libc::AF_INET6 => Some(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0).into()),
        _ => None,
    }
}

/// Binds to a name or address; `None`, "0.0.0.0" and "::" are all addresses of this host.
pub fn bind(socket: &Socket, host: Option<&str>, number: c_int) -> Result<Bound, Error> {
    let bound = try_bind(socket, host, number);
    socket.note_bind(match &bound {
        Ok(Bound::No(error)) => Some(error),
        _ => None,
    });
    bound
}

fn try_bind(socket: &Socket, host: Option<&str>, number: c_int) -> Result<Bound, Error> {
    const WHAT: &str = "bind to";
    let shown = host.unwrap_or("any");
    let port = port(WHAT, shown, number)?;
    let name = endpoint_text(shown, &port.to_string());
    let wrong_family = || {
        let errno = Errno(libc::EAFNOSUPPORT);
        Error::system(Kind::Socket, format_args!("{WHAT} {name} failed"), errno)
    };
    let addresses = if host.is_none_or(is_wildcard) {
        match wildcard(socket.domain(), port) {
            Some(addr) => vec![addr],
            None => return Ok(Bound::No(wrong_family())),
        }
    } else {
        if socket.domain() == libc::AF_UNIX {
            return Ok(Bound::No(wrong_family()));
        }
        match resolve(socket, shown, port, name_limit(socket)) {
            Ok(addresses) => addresses,
            Err(_) if shown.parse::<std::net::IpAddr>().is_ok() => {
                return Ok(Bound::No(wrong_family()))
            }
            Err(error) => {
                tell_of_time_out(shown, port, error)?;
                return Ok(Bound::No(unresolved(WHAT, &name, error)));
            }
        }
    };
    match bind_one_of(socket, &name, &addresses) {
        Ok(()) => Ok(Bound::Yes),
        Err(error) => match error.errno.0 {
            libc::EADDRINUSE | libc::EADDRNOTAVAIL | libc::EACCES | libc::EAFNOSUPPORT => {
                Ok(Bound::No(error))
            }
            _ => Err(error),
        },
    }
}

/// Binds to the first of these addresses that can be bound to, those of other families left out.
pub fn bind_one_of(socket: &Socket, name: &str, addresses: &[SockAddr]) -> Result<(), Error> {
    let fd = socket.fd();
    option::set_int(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
        .map_err(|errno| Error::system(Kind::Socket, "SO_REUSEADDR", errno))?;
    let mut tried = Tried::new("bind to", name);
    for addr in addresses {
        if i32::from(addr.family()) != socket.domain() {
            continue;
        }
        match bind_address(fd, addr) {
            Ok(()) => {
                socket.refresh_local();
                return Ok(());
            }
            Err(errno) => tried.failed(addr, errno),
        }
    }
    Err(tried.into_error())
}

/// Binds to one address.
pub(super) fn bind_address(fd: RawFd, addr: &SockAddr) -> Result<(), Errno> {
    // SAFETY: an address and its length.
    match unsafe { libc::bind(fd, addr.as_ptr().cast(), addr.len()) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// What was tried, and what came of it.
pub(super) struct Tried<'a> {
    what: &'a str,
    name: &'a str,
    reasons: String,
    last: Option<Errno>,
}

impl Tried<'_> {
    pub(super) fn new<'a>(what: &'a str, name: &'a str) -> Tried<'a> {
        Tried {
            what,
            name,
            reasons: String::new(),
            last: None,
        }
    }

    pub(super) fn failed(&mut self, addr: &SockAddr, errno: Errno) {
        use std::fmt::Write;
        let separator = if self.last.is_some() { ", " } else { "" };
        // Writing to a String does not fail.
        let _ = write!(self.reasons, "{separator}{} {errno}", address_text(addr));
        self.last = Some(errno);
    }

    /// With the errno of the last one; EAFNOSUPPORT where there was none to try.
    pub(super) fn into_error(self) -> Error {
        let (what, name) = (self.what, self.name);
        match self.last {
            Some(errno) => Error::new(
                Kind::Socket,
                errno,
                format!("{what} {name} failed: {}", self.reasons),
            ),
            None => Error::new(
                Kind::Socket,
                Errno(libc::EAFNOSUPPORT),
                format!("{what} {name} failed: no address of the socket's family"),
            ),
        }
    }
}

/// Lets connections come: as many as this may wait to be accepted.
pub fn listen(socket: &Socket, backlog: c_int) -> Result<(), Error> {
    if backlog <= 0 {
        return Err(Error::invalid(
            Kind::Socket,
            format!("listen: a backlog of {backlog}, which must be at least 1"),
        ));
    }
    // The kernel would choose a port, on which nobody looks for this server.
    let failure = socket.bind_failure().filter(|_| !socket.is_bound());
    if let Some((errno, why)) = failure {
        let text = format!("listen: the socket is not bound: {why}");
        return Err(Error::new(Kind::Socket, errno, text));
    }
    // SAFETY: no memory is involved.
    if unsafe { libc::listen(socket.fd(), backlog.min(MOST_WAITING)) } != 0 {
        return Err(Error::system(Kind::Socket, "listen", Errno::last()));
    }
    socket.refresh_local();
    Ok(())
}
