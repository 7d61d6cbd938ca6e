//! The system's resolver: `getaddrinfo`, called and copied from. Blocks; knows no threads.

use super::service::Service;
use super::status::{eai, ResolveError};
use super::{Address, Query, Question};
use crate::errno::Errno;
use std::ffi::{c_int, CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// The addresses in the system's order (RFC 6724).
pub(crate) type Found = Result<Vec<Address>, ResolveError>;

/// Looks a name up, for as long as it takes.
pub(super) fn lookup(question: &Question) -> Found {
    let host = match &question.host {
        Some(host) => Some(c_string(host)?),
        None => None,
    };
    getaddrinfo(
        host.as_deref(),
        &question.service,
        // Without AI_ADDRCONFIG: it hides loopback and link-local setups, and what is unreachable fails fast enough.
        [0, question.family, question.socktype, question.protocol],
    )
}

/// An address with a service name or without a socket type. Never asks a name server about the host.
pub(super) fn numeric(ip: IpAddr, service: &Service, query: &Query) -> Found {
    getaddrinfo(
        Some(&c_string(&ip.to_string())?),
        service,
        [
            libc::AI_NUMERICHOST,
            query.family,
            query.socktype,
            query.protocol,
        ],
    )
}

pub(super) fn c_string(text: &str) -> Result<CString, ResolveError> {
    CString::new(text).map_err(|_| ResolveError::new(eai::EAI_NONAME))
}

fn getaddrinfo(
    host: Option<&CStr>,
    service: &Service,
    [flags, family, socktype, protocol]: [c_int; 4],
) -> Found {
    let (service, service_flag) = match service {
        Service::Port(port) => (port.to_string(), libc::AI_NUMERICSERV),
        Service::Name(name) => (name.clone(), 0),
    };
    let service = CString::new(service).map_err(|_| ResolveError::new(eai::EAI_SERVICE))?;
    // SAFETY: a struct of integers and pointers, for which all zeros are valid values.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = flags | service_flag;
    hints.ai_family = family;
    hints.ai_socktype = socktype;
    hints.ai_protocol = protocol;
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: both texts are NUL-terminated (the host may be NULL, the service is not), hints are complete, and `list` is
    // a place for the result.
    let status = unsafe {
        libc::getaddrinfo(
            host.map_or(ptr::null(), CStr::as_ptr),
            service.as_ptr(),
            &hints,
            &mut list,
        )
    };
    if status == eai::EAI_SYSTEM {
        return Err(ResolveError::system(Errno::last()));
    }
    if status != 0 {
        return Err(ResolveError::new(status));
    }
    // SAFETY: status 0: `list` is what getaddrinfo made, given back nowhere else.
    let copied = unsafe { copy(list) };
    // SAFETY: as above; nothing of the copy points into it.
    unsafe { libc::freeaddrinfo(list) };
    let copied = copied?;
    if copied.is_empty() {
        return Err(ResolveError::new(eai::EAI_NODATA));
    }
    Ok(copied)
}

/// So many entries of a list are looked at: more are a mistake, such as a list that leads back into itself.
const MOST: usize = 4096;

/// Copies the Internet addresses of a list; what is none is passed over.
///
/// # Safety
/// `list` is NULL or the head of a list as `getaddrinfo` makes it, which nobody changes meanwhile.
pub(crate) unsafe fn copy(list: *const libc::addrinfo) -> Found {
    let mut copied = Vec::new();
    let mut next = list;
    for looked_at in 0.. {
        // SAFETY: NULL, or an element of the list, whose elements are valid by the contract.
        let Some(entry) = (unsafe { next.as_ref() }) else {
            break;
        };
        if looked_at == MOST {
            crate::log!(Warn, "a resolver's list of more than {MOST} entries is cut");
            break;
        }
        next = entry.ai_next;
        // SAFETY: by the contract `ai_addr` is NULL or points to `ai_addrlen` bytes of a socket address.
        let Some(addr) = (unsafe { socket_address(entry) }) else {
            continue;
        };
        copied
            .try_reserve(1)
            .map_err(|_| ResolveError::new(eai::EAI_MEMORY))?;
        copied.push(Address {
            addr,
            socktype: entry.ai_socktype,
            protocol: entry.ai_protocol,
        });
    }
    Ok(copied)
}

/// # Safety
/// `ai_addr` is NULL or points to `ai_addrlen` readable bytes.
unsafe fn socket_address(entry: &libc::addrinfo) -> Option<socket2::SockAddr> {
    let length = entry.ai_addrlen as usize;
    if entry.ai_addr.is_null() {
        return None;
    }
    match entry.ai_family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: so many bytes are there; any bytes are a valid sockaddr_in; alignment does not matter to
            // read_unaligned.
            let raw = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for sockaddr_in6.
            let raw = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            let port = u16::from_be(raw.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, raw.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(host: Option<&str>, service: Service, socktype: c_int) -> Question {
        Question {
            host: host.map(str::to_owned),
            service,
            family: libc::AF_UNSPEC,
            socktype,
            protocol: 0,
        }
    }

    #[test]
    fn no_host_is_loopback() {
        let found = lookup(&question(None, Service::Port(7), libc::SOCK_STREAM)).unwrap();
        let mut shown: Vec<String> = found
            .iter()
            .map(|a| a.addr.as_socket().unwrap().to_string())
            .collect();
        shown.sort();
        assert_eq!(shown, ["127.0.0.1:7", "[::1]:7"]);
    }

    #[test]
    fn a_service_by_name_and_one_that_does_not_exist() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let query = Query {
            socktype: libc::SOCK_STREAM,
            ..Query::default()
        };
        let missing = Service::Name("no-such-service-name".to_owned());
        assert_eq!(
            numeric(ip, &missing, &query).unwrap_err(),
            ResolveError::new(eai::EAI_SERVICE)
        );
        if std::path::Path::new("/etc/services").exists() {
            let found = numeric(ip, &Service::Name("https".to_owned()), &query).unwrap();
            assert_eq!(found[0].addr.as_socket().unwrap().port(), 443);
        }
    }
}
