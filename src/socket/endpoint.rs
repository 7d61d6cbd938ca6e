//! The two ends of a socket, as text and port. A program keeps the pointers to the texts for as long as it keeps the socket:
//! a text that is replaced stays.

use super::error::Error;
use super::object::Socket;
use crate::address_text::{address_text, endpoint_text};
use socket2::SockAddr;
use std::ffi::{c_char, c_int, CStr, CString};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

const UNKNOWN: &CStr = c"(unknown)";

/// One end.
#[derive(Debug, Default)]
pub(super) struct Endpoint(Mutex<Texts>);

#[derive(Debug, Default)]
struct Texts {
    /// All there ever were.
    all: Vec<CString>,
    now: Option<usize>,
    port: u16,
}

impl Endpoint {
    fn lock(&self) -> MutexGuard<'_, Texts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is this address now; nothing for one that says nothing, such as that of an unnamed Unix socket.
    pub(super) fn set(&self, addr: &SockAddr) {
        let known = text(addr);
        let mut texts = self.lock();
        let Some((text, port)) = known else {
            texts.now = None;
            texts.port = 0;
            return;
        };
        texts.port = port;
        let place = texts.all.iter().position(|old| *old == text);
        texts.now = Some(place.unwrap_or_else(|| {
            texts.all.push(text);
            texts.all.len() - 1
        }));
    }

    /// The text, for as long as the socket lives.
    pub(super) fn text(&self) -> *const c_char {
        let texts = self.lock();
        let text = texts.now.and_then(|now| texts.all.get(now));
        text.map_or(UNKNOWN.as_ptr(), |text| text.as_ptr())
    }

    /// The text, empty where it is not known.
    pub(super) fn shown(&self) -> String {
        let texts = self.lock();
        let text = texts.now.and_then(|now| texts.all.get(now));
        text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    }

    pub(super) fn port(&self) -> u16 {
        self.lock().port
    }

    pub(super) fn is_known(&self) -> bool {
        self.lock().now.is_some()
    }
}

/// The numeric text of an address and its port.
pub(super) fn text(addr: &SockAddr) -> Option<(CString, u16)> {
    if let Some(addr) = addr.as_socket() {
        let mut text = addr.ip().to_string();
        if let SocketAddr::V6(v6) = addr {
            if v6.scope_id() != 0 {
                text.push('%');
                text.push_str(&interface(v6.scope_id()));
            }
        }
        return Some((CString::new(text).ok()?, addr.port()));
    }
    if let Some(path) = addr.as_pathname() {
        return Some((CString::new(path.as_os_str().as_bytes()).ok()?, 0));
    }
    let name = addr.as_abstract_namespace()?;
    let mut text = vec![b'@'];
    // A name may hold anything, NULs too: these are shown as '@', as the system's tools do.
    text.extend(
        name.iter()
            .map(|byte| if *byte == 0 { b'@' } else { *byte }),
    );
    Some((CString::new(text).ok()?, 0))
}

fn interface(index: u32) -> String {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: `name` has room for the longest name.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    match CStr::from_bytes_until_nul(&name) {
        Ok(name) if !found.is_null() => name.to_string_lossy().into_owned(),
        _ => index.to_string(),
    }
}

/// The address of this end (`getsockname`) or the other (`getpeername`).
pub(super) fn ask(
    fd: RawFd,
    which: unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int,
) -> Option<SockAddr> {
    // SAFETY: the closure's storage is large enough for every address, and `len` says so.
    let asked = unsafe {
        SockAddr::try_init(|storage, len| match which(fd, storage.cast(), len) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    asked.ok().map(|((), addr)| addr)
}

impl Socket {
    /// Asks the kernel for the address of this end.
    pub(super) fn refresh_local(&self) {
        if let Some(addr) = ask(self.fd(), libc::getsockname) {
            self.local.set(&addr);
        }
    }

    /// Asks the kernel for the address of the other end; whether there is one.
    pub(super) fn refresh_peer(&self) -> bool {
        let addr = ask(self.fd(), libc::getpeername);
        if let Some(addr) = &addr {
            self.peer.set(addr);
        }
        addr.is_some()
    }

    /// The peer's address as text, "(unknown)" where there is none. Valid as long as the socket.
    pub fn peer_text(&self) -> *const c_char {
        if !self.peer.is_known() {
            self.refresh_peer();
        }
        self.peer.text()
    }

    /// The peer's port, 0 where there is none.
    pub fn peer_port(&self) -> u16 {
        if !self.peer.is_known() {
            self.refresh_peer();
        }
        self.peer.port()
    }

    /// This end's address as text, "(unknown)" where there is none. Valid as long as the socket.
    pub fn local_text(&self) -> *const c_char {
        self.know_local();
        self.local.text()
    }

    /// This end's port, 0 where there is none.
    pub fn local_port(&self) -> u16 {
        self.know_local();
        self.local.port()
    }

    fn know_local(&self) {
        // A port comes with bind, listen, connect, or the first datagram.
        if !self.local.is_known() || (self.local.port() == 0 && self.domain() != libc::AF_UNIX) {
            if let Some(addr) = ask(self.fd(), libc::getsockname) {
                if addr.as_socket().is_none_or(|addr| addr.port() != 0) {
                    self.local.set(&addr);
                }
            }
        }
    }

    /// Whether it has a peer.
    pub fn is_connected(&self) -> bool {
        if self.was_connected() {
            return true;
        }
        let connected = self.refresh_peer();
        if connected {
            self.set_connected(true);
            self.refresh_local();
        }
        connected
    }

    /// Whether it has a port, or is a Unix socket.
    pub fn is_bound(&self) -> bool {
        self.domain() == libc::AF_UNIX || self.local_port() != 0
    }

    /// Whether connections can be accepted from it.
    pub fn is_listening(&self) -> bool {
        super::option::get_int(self.fd(), libc::SOL_SOCKET, libc::SO_ACCEPTCONN)
            .is_ok_and(|on| on != 0)
    }

    /// For messages: the peer as `address:port`, a path, or "the peer".
    pub(super) fn peer_name(&self) -> String {
        match ask(self.fd(), libc::getpeername) {
            Some(addr) if text(&addr).is_some() => address_text(&addr),
            _ if self.peer.is_known() => {
                // SAFETY: a text of ours, NUL-terminated, which lives as long as the socket.
                let host = unsafe { CStr::from_ptr(self.peer.text()) }.to_string_lossy();
                endpoint_text(&host, &self.peer.port().to_string())
            }
            _ => "the peer".to_owned(),
        }
    }
}

impl Error {
    /// This call about the peer failed.
    pub(super) fn with_peer(
        kind: super::Kind,
        what: &str,
        socket: &Socket,
        errno: crate::errno::Errno,
    ) -> Error {
        Error::system(kind, format_args!("{what} {}", socket.peer_name()), errno)
    }
}
