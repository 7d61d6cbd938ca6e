//! The record under a socket: a descriptor, closed with it, and its own address.

use super::{Error, Kind};
use crate::errno::Errno;
use crate::socket::{endpoint, life, option};
use socket2::SockAddr;
use std::ffi::c_int;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// A descriptor and what is known of it.
#[derive(Debug)]
pub struct Base {
    fd: OwnedFd,
    domain: c_int,
    local: Mutex<Option<SockAddr>>,
}

impl Base {
    /// A new socket: close-on-exec and blocking.
    pub fn new(domain: c_int, kind: c_int, protocol: c_int) -> Result<Base, Error> {
        Ok(Base {
            fd: life::open(domain, kind, protocol)?,
            domain,
            local: Mutex::new(None),
        })
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// AF_INET, AF_INET6 or AF_UNIX.
    pub fn family(&self) -> c_int {
        self.domain
    }

    /// Asks the kernel for its own address.
    pub fn refresh_local(&self) {
        let local = endpoint::ask(self.fd(), libc::getsockname);
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = local;
    }

    /// Its own address, as it was last asked for.
    pub fn local(&self) -> Option<SockAddr> {
        let local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        local.clone()
    }

    /// Sets an option whose value is a number.
    pub fn set_int(
        &self,
        level: c_int,
        name: c_int,
        value: c_int,
        kind: Kind,
    ) -> Result<(), Error> {
        let what = format!("setsockopt (level {level}, option {name})");
        self.set(level, name, &value, &what, kind)
    }

    /// How many routers what it sends may pass.
    pub fn set_ttl(&self, family: c_int, ttl: c_int, kind: Kind) -> Result<(), Error> {
        let (level, name) = match family {
            libc::AF_INET => (libc::IPPROTO_IP, libc::IP_TTL),
            libc::AF_INET6 => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
            _ => {
                let text = format!("set_ttl: family {family} has no such limit");
                return Err(Error::new(kind, Errno(libc::EAFNOSUPPORT), text));
            }
        };
        self.set(level, name, &ttl, "the limit of hops", kind)
    }

    /// Has calls on it return at once where they would wait, or wait.
    pub fn set_nonblocking(&self, on: bool, kind: Kind) -> Result<(), Error> {
        option::set_nonblocking(self.fd(), on)
            .map(|_| ())
            .map_err(|errno| {
                let what = format!("the mode of descriptor {}", self.fd());
                Error::system(kind, what, errno)
            })
    }

    /// Enters a multicast group or leaves it. `interface`: its address or name, `None` for any; of an IPv6 group any.
    pub fn change_group(
        &self,
        group: &str,
        interface: Option<&str>,
        enters: bool,
        kind: Kind,
    ) -> Result<(), Error> {
        let what = format!("multicast group {group}");
        match group.parse() {
            Ok(IpAddr::V4(address)) => {
                let name = match enters {
                    true => libc::IP_ADD_MEMBERSHIP,
                    false => libc::IP_DROP_MEMBERSHIP,
                };
                let mut membership = libc::ip_mreqn {
                    imr_multiaddr: in_addr(address),
                    imr_address: libc::in_addr { s_addr: 0 },
                    imr_ifindex: 0,
                };
                match interface.map(str::parse) {
                    None => {}
                    Some(Ok(at)) => membership.imr_address = in_addr(at),
                    Some(Err(_)) => membership.imr_ifindex = index(interface, kind.clone())?,
                }
                self.set(libc::IPPROTO_IP, name, &membership, &what, kind)
            }
            Ok(IpAddr::V6(address)) => {
                let name = match enters {
                    true => libc::IPV6_ADD_MEMBERSHIP,
                    false => libc::IPV6_DROP_MEMBERSHIP,
                };
                let membership = libc::ipv6_mreq {
                    ipv6mr_multiaddr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ipv6mr_interface: 0,
                };
                self.set(libc::IPPROTO_IPV6, name, &membership, &what, kind)
            }
            Err(_) => Err(Error::invalid(kind, format!("{what}: it is no address"))),
        }
    }
}

impl Base {
    fn set<T: Copy>(
        &self,
        level: c_int,
        name: c_int,
        value: &T,
        what: &str,
        kind: Kind,
    ) -> Result<(), Error> {
        option::set(self.fd(), level, name, value).map_err(|errno| {
            let what = format_args!("{what} of descriptor {}", self.fd());
            Error::system(kind, what, errno)
        })
    }
}

fn in_addr(address: std::net::Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: address.to_bits().to_be(),
    }
}

fn index(interface: Option<&str>, kind: Kind) -> Result<c_int, Error> {
    let name = interface.unwrap_or_default();
    let text = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: a NUL-terminated text.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(Error::system(
            kind,
            format_args!("interface {name}"),
            Errno::last(),
        )),
        index => Ok(index as c_int),
    }
}
