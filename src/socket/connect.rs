//! From a name to a connected socket, at once or within the socket's time.

use super::address::{self, Tried};
use super::errno_class;
use super::error::{Error, Kind};
use super::event;
use super::object::Socket;
use super::option::{self, NonBlocking};
use super::wait::{wait, Deadline};
use crate::address_text::endpoint_text;
use crate::clock::Nanos;
use crate::dns;
use crate::errno::Errno;
use crate::transport;
use socket2::SockAddr;
use std::ffi::c_int;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

const WHAT: &str = "connect to";

/// What came of a connect.
#[derive(Debug)]
pub enum Connected {
    /// It has a peer.
    Yes,
    /// It is on its way: the socket becomes writable.
    Pending,
    /// It has none, for a reason that may pass: a program asks `errno` for it.
    No(Error),
}

/// Resolves a name and tries its addresses of the socket's family in order, within the socket's times.
pub fn connect(socket: &Socket, host: &str, number: c_int) -> Result<Connected, Error> {
    let port = address::port(WHAT, host, number)?;
    let name = endpoint_text(host, &port.to_string());
    if socket.domain() == libc::AF_UNIX {
        return Err(Tried::new(WHAT, &name).into_error());
    }
    let addresses = match address::resolve(socket, host, port, address::name_limit(socket)) {
        Ok(addresses) => addresses,
        Err(error) => {
            address::tell_of_time_out(host, port, error)?;
            return Ok(Connected::No(address::unresolved(WHAT, &name, error)));
        }
    };
    let connected = connect_one_of(socket, &name, &addresses);
    if connected.is_err() {
        // The name may have moved.
        dns::forget(host);
    }
    match connected {
        Err(error)
            if matches!(error.kind, Kind::Socket) && errno_class::is_retryable(error.errno.0) =>
        {
            Ok(Connected::No(error))
        }
        result => result,
    }
}

/// Connects to the first of these addresses that can be reached, those of other families left out.
pub fn connect_one_of(
    socket: &Socket,
    name: &str,
    addresses: &[SockAddr],
) -> Result<Connected, Error> {
    let mut tried = Tried::new(WHAT, name);
    let usable: Vec<_> = addresses
        .iter()
        .filter(|addr| i32::from(addr.family()) == socket.domain())
        .collect();
    let limit = match socket.timeouts().connect {
        ..=0 => None,
        ms => Some(Deadline::after_ms(ms)),
    };
    for (index, addr) in usable.iter().enumerate() {
        // An address that does not answer leaves the others their share of the time.
        let share = (usable.len() - index) as Nanos;
        let deadline = limit.map(|all| Deadline::after(all.left().unwrap_or(0) / share));
        match connect_address(socket, addr, deadline) {
            Ok(connected) => return told(socket, connected),
            Err(errno) => tried.failed(addr, errno),
        }
    }
    Err(tried.into_error())
}

/// Makes the socket non-blocking and starts to connect it to an IP address, without waiting.
pub fn start_connect(socket: &Socket, ip: &str, number: c_int) -> Result<Connected, Error> {
    let port = address::port(WHAT, ip, number)?;
    let Ok(parsed) = ip.parse::<IpAddr>() else {
        let text = format!("{WHAT} {ip}: this is no IP address");
        return Err(Error::invalid(Kind::Socket, text));
    };
    socket.set_nonblocking()?;
    let name = endpoint_text(ip, &port.to_string());
    let addr = SockAddr::from(SocketAddr::new(parsed, port));
    let mut tried = Tried::new(WHAT, &name);
    if i32::from(addr.family()) != socket.domain() {
        return Err(tried.into_error());
    }
    match connect_address(socket, &addr, None) {
        Ok(connected) => told(socket, connected),
        Err(errno) => {
            tried.failed(&addr, errno);
            Err(tried.into_error())
        }
    }
}

/// The program's handlers hear of it.
pub(super) fn told(socket: &Socket, connected: Connected) -> Result<Connected, Error> {
    event::connected(socket)?;
    Ok(connected)
}

/// Connects to one address: waiting until then, or as the socket's mode says (`None`).
pub(super) fn connect_address(
    socket: &Socket,
    addr: &SockAddr,
    deadline: Option<Deadline>,
) -> Result<Connected, Errno> {
    let fd = socket.fd();
    let connected = match deadline {
        Some(deadline) => {
            let _mode = NonBlocking::begin(fd)?;
            match start(fd, addr) {
                Err(Errno(libc::EINPROGRESS | libc::EALREADY | libc::EINTR)) => {
                    finish(fd, deadline)?;
                    // Until it is asked again, the kernel would let another connect succeed, to whatever address.
                    let _ = start(fd, addr);
                }
                result => result?,
            }
            Connected::Yes
        }
        None => match start(fd, addr) {
            Ok(()) => Connected::Yes,
            Err(Errno(libc::EINPROGRESS)) if option::is_nonblocking(fd)? => Connected::Pending,
            // SO_SNDTIMEO has ended the wait.
            Err(Errno(libc::EINPROGRESS)) => {
                give_up(fd);
                return Err(Errno(libc::ETIMEDOUT));
            }
            // It goes on by itself.
            Err(Errno(libc::EINTR)) => {
                finish(fd, Deadline::NEVER)?;
                Connected::Yes
            }
            Err(errno) => return Err(errno),
        },
    };
    socket.peer.set(addr);
    socket.refresh_local();
    if matches!(connected, Connected::Yes) {
        socket.set_connected(true);
        socket.refresh_peer();
    }
    socket.stats.connected();
    Ok(connected)
}

/// One connect(2).
pub(super) fn start(fd: RawFd, addr: &SockAddr) -> Result<(), Errno> {
    loop {
        // SAFETY: an address and its length.
        if unsafe { libc::connect(fd, addr.as_ptr().cast(), addr.len()) } == 0 {
            return Ok(());
        }
        match Errno::last() {
            // A Unix socket's does not go on by itself.
            Errno(libc::EINTR) if addr.is_unix() => {}
            errno => return Err(errno),
        }
    }
}

/// Waits for a connect that is under way. After a failure the socket can connect to another address.
fn finish(fd: RawFd, deadline: Deadline) -> Result<(), Errno> {
    let result = match wait(fd, libc::POLLOUT, deadline)? {
        0 => Err(Errno(libc::ETIMEDOUT)),
        _ => match transport::take_error(fd)? {
            Errno(0) => Ok(()),
            errno => Err(errno),
        },
    };
    if result.is_err() {
        give_up(fd);
    }
    result
}

/// Ends an attempt, so that the socket neither gets connected later nor refuses another attempt.
fn give_up(fd: RawFd) {
    // SAFETY: integers only, for which zeros are valid; AF_UNSPEC is 0.
    let none: libc::sockaddr = unsafe { std::mem::zeroed() };
    // SAFETY: an address and its length.
    unsafe { libc::connect(fd, &none, std::mem::size_of_val(&none) as libc::socklen_t) };
}
