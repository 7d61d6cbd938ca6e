//! Names to addresses, by the one resolver, and back.

use super::{names, process};
use super::{Error, Kind};
use crate::dns::{self, Address, Query};
use crate::errno::Errno;
use crate::socket::endpoint;
use socket2::SockAddr;
use std::ffi::{c_char, c_int, CStr, CString};

/// What is wanted of the addresses, as in a `struct addrinfo` of hints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// AI_PASSIVE is heard.
    pub flags: c_int,
    /// AF_UNSPEC, AF_INET, AF_INET6
    pub family: c_int,
    /// SOCK_STREAM, ... or 0
    pub socktype: c_int,
    /// IPPROTO_TCP, ... or 0
    pub protocol: c_int,
}

/// The addresses of a host, if one of them is of `family` (AF_UNSPEC: any). No host: the loopback addresses, or with
/// AI_PASSIVE those that stand for all of this machine's.
pub fn addresses(
    host: Option<&str>,
    port: u16,
    hints: Hints,
    family: c_int,
) -> Result<Vec<Address>, Error> {
    let shown = host.unwrap_or("any");
    let query = |host: Option<&str>| Query {
        host: host.map(str::to_owned),
        service: Some(port.to_string()),
        family: hints.family,
        socktype: hints.socktype,
        protocol: hints.protocol,
    };
    let failed = |text: &dyn std::fmt::Display| {
        let text = format!("resolve {shown}: {text}");
        Error::new(Kind::Common, Errno(dns::eai::EAI_FAIL), text)
    };
    let given = match host {
        Some(host) => {
            names::check_host(host.as_bytes(), Kind::Common)?;
            let asked = query(Some(host));
            if hints.flags & libc::AI_NUMERICHOST != 0 {
                let literal = dns::literal(&asked);
                literal
                    .ok_or_else(|| failed(&"it is no address, and AI_NUMERICHOST was asked for"))?
            } else {
                dns::wait_for(asked, process::name_limit())
            }
            .map_err(|error| failed(&error))?
            .to_vec()
        }
        None => {
            let literals = match hints.flags & libc::AI_PASSIVE {
                0 => ["::1", "127.0.0.1"],
                _ => ["0.0.0.0", "::"],
            };
            // The one of another family than the hints' gives an error, which is no answer.
            let answers = literals.map(|literal| dns::literal(&query(Some(literal))));
            let answers = answers.into_iter().flatten().flatten();
            answers.flat_map(|answer| answer.to_vec()).collect()
        }
    };
    let fits =
        |address: &Address| family == libc::AF_UNSPEC || i32::from(address.addr.family()) == family;
    if given.iter().any(fits) {
        Ok(given)
    } else {
        Err(failed(
            &"it has no address of the family that was asked for",
        ))
    }
}

/// An address from C.
///
/// # Safety
/// `address` is NULL or has `length` bytes.
pub unsafe fn read(
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> Result<SockAddr, Error> {
    let there = length as usize;
    if address.is_null()
        || !(size_of::<libc::sa_family_t>()..=size_of::<libc::sockaddr_storage>()).contains(&there)
    {
        return Err(Error::invalid(Kind::Common, "there is no address"));
    }
    // SAFETY: room for `there` bytes in storage of zeros, which are copied from as many.
    let (_, read) = unsafe {
        SockAddr::try_init(|storage, len| {
            std::ptr::copy_nonoverlapping(address.cast::<u8>(), storage.cast::<u8>(), there);
            *len = length;
            Ok(())
        })
    }
    .map_err(|_| Error::invalid(Kind::Common, "there is no address"))?;
    let least = match i32::from(read.family()) {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        _ => 0,
    };
    if there < least {
        return Err(Error::invalid(Kind::Common, "the address is cut short"));
    }
    Ok(read)
}

/// The text of an IPv4 or IPv6 address, without a name, and its port.
pub fn numeric(address: &SockAddr) -> Result<(CString, u16), Error> {
    let none = || {
        Error::new(
            Kind::Common,
            Errno(libc::EAFNOSUPPORT),
            "an address of neither IPv4 nor IPv6",
        )
    };
    let port = address.as_socket().ok_or_else(none)?.port();
    let (text, _) = endpoint::text(address).ok_or_else(none)?;
    Ok((text, port))
}

/// Room for a text, of a program's.
pub struct Buffer {
    at: *mut c_char,
    size: libc::socklen_t,
}

impl Buffer {
    /// NULL is no room.
    ///
    /// # Safety
    /// `at` is NULL, or has room for `size` bytes for as long as this lives.
    pub unsafe fn new(at: *mut c_char, size: libc::socklen_t) -> Buffer {
        Buffer {
            at,
            size: if at.is_null() { 0 } else { size },
        }
    }

    fn place(&self) -> *mut c_char {
        match self.size {
            0 => std::ptr::null_mut(),
            _ => self.at,
        }
    }
}

/// The name of an address and of its port, by `getnameinfo`: each into a buffer, if that has room for anything.
///
/// # Safety
/// `address` is NULL or has `length` bytes.
pub unsafe fn reverse(
    address: *const libc::sockaddr,
    length: libc::socklen_t,
    host: Buffer,
    service: Buffer,
    flags: c_int,
    kind: Kind,
) -> Result<(), Error> {
    if address.is_null() || (length as usize) < size_of::<libc::sa_family_t>() {
        return Err(Error::invalid(kind, "reverse lookup: there is no address"));
    }
    if host.size == 0 && service.size == 0 {
        return Err(Error::invalid(kind, "reverse lookup: there is no room"));
    }
    // SAFETY: the address by the contract; each buffer has as much room as is said.
    let code = unsafe {
        libc::getnameinfo(
            address,
            length,
            host.place(),
            host.size,
            service.place(),
            service.size,
            flags,
        )
    };
    match code {
        0 => Ok(()),
        libc::EAI_SYSTEM => Err(Error::system(kind, "reverse lookup", Errno::last())),
        code => {
            // SAFETY: gives a static text for every number.
            let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
            let text = format!("reverse lookup: {}", text.to_string_lossy());
            Err(Error::new(kind, Errno(code), text))
        }
    }
}
