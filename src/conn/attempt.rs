//! One socket on its way to one address.

use super::options::Options;
use crate::errno::Errno;
use crate::evloop::{self, Watcher};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// An attempt under way.
pub(super) struct Attempt {
    /// The index of its address.
    pub(super) index: usize,
    pub(super) socket: OwnedFd,
    pub(super) watcher: Rc<Watcher>,
}

/// Why a socket did not get under way.
pub(super) enum Refusal {
    /// A system call failed; which one stands in the text when it was not `connect` itself.
    Errno(Errno, Option<&'static str>),
    /// `on_socket` returned this.
    OnSocket(i32),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::Errno(error.into(), None)
    }
}

/// Makes a socket for `addr`, shows it to `on_socket`, binds it and starts to connect it. The result is writable when
/// the connection stands or has failed.
pub(super) fn start(addr: &SockAddr, options: &Options) -> Result<OwnedFd, Refusal> {
    let tcp = !addr.is_unix();
    let socket = Socket::new(
        Domain::from(i32::from(addr.family())),
        // Non-blocking and close-on-exec from the start.
        Type::STREAM.nonblocking().cloexec(),
        tcp.then_some(Protocol::TCP),
    )
    .map_err(|e| Refusal::Errno(e.into(), Some("socket")))?;
    if let Some(on_socket) = &options.on_socket {
        let process = evloop::fork_generation();
        let answer = on_socket(socket.as_raw_fd());
        if evloop::fork_generation() != process {
            // This is a child that was forked in there: the socket is the parent's to connect.
            return Err(Refusal::Errno(Errno(libc::ECANCELED), None));
        }
        if answer != 0 {
            return Err(Refusal::OnSocket(answer));
        }
    }
    if tcp {
        set_tcp_options(&socket, options)?;
    }
    if let Some(local) = &options.local_addr {
        if local.family() == addr.family() {
            socket
                .bind(local)
                .map_err(|e| Refusal::Errno(e.into(), Some("bind")))?;
        }
    }
    loop {
        match socket.connect(addr) {
            Ok(()) => return Ok(socket.into()),
            Err(e) => match e.raw_os_error() {
                Some(libc::EINPROGRESS) => return Ok(socket.into()),
                Some(libc::EINTR) => {}
                _ => return Err(e.into()),
            },
        }
    }
}

/// The options of a TCP socket that the program asked for.
pub(super) fn set_tcp_options(socket: &Socket, options: &Options) -> Result<(), Errno> {
    if options.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(idle) = options.keepalive {
        // The kernel counts whole seconds, from 1 to 32767.
        let seconds = idle.div_ceil(crate::clock::SECOND).clamp(1, 32767);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(seconds)))?;
    }
    Ok(())
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::Errno(errno, Some("setsockopt"))
    }
}

/// The address of `unix:/path` and `unix:@abstract`.
pub(super) fn unix_address(name: &str) -> Result<SockAddr, Errno> {
    // The longest name leaves room for the NUL that a path ends with and an abstract name begins with.
    if name.is_empty() || name == "@" {
        return Err(Errno(libc::EINVAL));
    }
    if name.len()
        >= std::mem::size_of::<libc::sockaddr_un>() - std::mem::size_of::<libc::sa_family_t>()
    {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    match name.strip_prefix('@') {
        Some(name) => Ok(SockAddr::unix(format!("\0{name}"))?),
        None => Ok(SockAddr::unix(name)?),
    }
}
