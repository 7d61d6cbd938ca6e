//! Hosts that are addresses already. Parsing is pure; the name of an interface and of a service are asked of the system,
//! which looks into its own tables and never waits for a name server.

use super::service::Service;
use super::status::{eai, ResolveError};
use super::{order, system, Address, Answer, Query};
use socket2::SockAddr;
use std::ffi::{c_int, CString};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

/// An address in one of the forms `inet_pton` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Literal<'a> {
    ip: IpAddr,
    /// What follows the percent sign of an IPv6 address: an interface, by name or number.
    scope: Option<&'a str>,
}

/// `None` for what is not an address, with or without brackets around it.
fn parse(host: &str) -> Option<Literal<'_>> {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => host,
    };
    let (address, scope) = match bare.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (bare, None),
    };
    match scope {
        Some(_) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => address.parse().ok(),
    }
    .map(|ip| Literal { ip, scope })
}

/// The addresses of a literal host (or none for a name), without a lookup. An error for a literal with an impossible
/// service, scope or family.
pub fn literal(query: &Query) -> Option<Answer> {
    let literal = parse(query.host.as_deref()?)?;
    Some(addresses(literal, query))
}

fn addresses(literal: Literal<'_>, query: &Query) -> Answer {
    let service = Service::parse(query.service.as_deref())?;
    let scope = literal.scope.map_or(Ok(0), scope_id)?;
    let list = match (&service, protocol(literal.ip, query)) {
        (Service::Port(port), Some(protocol)) => vec![Address {
            addr: SocketAddr::new(literal.ip, *port).into(),
            socktype: query.socktype,
            protocol,
        }],
        _ => order::arrange(system::numeric(literal.ip, &service, query)?),
    };
    let scoped = list.into_iter().map(|address| with_scope(address, scope));
    Ok(Arc::new(scoped.collect()))
}

/// The protocol of the one entry that `getaddrinfo` would give, where that is plain to see.
fn protocol(ip: IpAddr, query: &Query) -> Option<c_int> {
    let family = if ip.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    if query.family != libc::AF_UNSPEC && query.family != family {
        return None;
    }
    let usual = match query.socktype {
        libc::SOCK_STREAM => libc::IPPROTO_TCP,
        libc::SOCK_DGRAM => libc::IPPROTO_UDP,
        _ => return None,
    };
    (query.protocol == 0 || query.protocol == usual).then_some(usual)
}

fn with_scope(address: Address, scope: u32) -> Address {
    match address.addr.as_socket_ipv6() {
        Some(v6) if scope != 0 => Address {
            addr: SockAddr::from(SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope)),
            ..address
        },
        _ => address,
    }
}

fn scope_id(scope: &str) -> Result<u32, ResolveError> {
    const UNKNOWN: ResolveError = ResolveError::new(eai::EAI_NONAME);
    let name = CString::new(scope).map_err(|_| UNKNOWN)?;
    // SAFETY: `name` is NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index != 0 {
        return Ok(index);
    }
    let is_number = !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_digit());
    is_number
        .then(|| scope.parse().ok())
        .flatten()
        .ok_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(host: &str, service: &str) -> Query {
        Query {
            host: Some(host.to_owned()),
            service: Some(service.to_owned()),
            socktype: libc::SOCK_STREAM,
            ..Query::default()
        }
    }

    fn shown(query: &Query) -> Result<Vec<(String, c_int, c_int)>, c_int> {
        let answer = literal(query).expect("a literal");
        answer.map_err(|e| e.status).map(|list| {
            list.iter()
                .map(|a| {
                    (
                        a.addr.as_socket().unwrap().to_string(),
                        a.socktype,
                        a.protocol,
                    )
                })
                .collect()
        })
    }

    fn one(address: &str) -> Result<Vec<(String, c_int, c_int)>, c_int> {
        Ok(vec![(
            address.to_owned(),
            libc::SOCK_STREAM,
            libc::IPPROTO_TCP,
        )])
    }

    #[test]
    fn addresses_are_recognized() {
        assert_eq!(shown(&query("127.0.0.1", "80")), one("127.0.0.1:80"));
        assert_eq!(shown(&query("[127.0.0.1]", "80")), one("127.0.0.1:80"));
        assert_eq!(shown(&query("::1", "0")), one("[::1]:0"));
        assert_eq!(
            shown(&query("[2001:DB8::7]", "443")),
            one("[2001:db8::7]:443")
        );
        assert_eq!(
            shown(&query("::ffff:10.0.0.1", "1")),
            one("[::ffff:10.0.0.1]:1")
        );
        assert_eq!(shown(&query("fe80::1%1", "1")), one("[fe80::1%1]:1"));
        assert_eq!(shown(&query("[fe80::1%lo]", "1")), one("[fe80::1%1]:1"));
    }

    #[test]
    fn names_and_old_spellings_are_not() {
        for host in [
            "",
            "localhost",
            "127.1",
            "0177.0.0.1",
            "127.0.0.01",
            "0x7f.0.0.1",
            "2130706433",
            "127.0.0.1.",
            " 127.0.0.1",
            "[::1",
            "::1]",
            "[[::1]]",
            "[]",
            ":",
            "::1::",
            "127.0.0.1%lo",
            "1.2.3.4%1",
            "%lo",
            "::1/64",
            "12345::",
        ] {
            assert!(literal(&query(host, "80")).is_none(), "{host:?}");
        }
        assert!(literal(&Query::default()).is_none());
    }

    #[test]
    fn what_is_wrong_with_a_literal_is_told() {
        for service in ["70000", "-1", "", "no-such-service-name"] {
            assert_eq!(
                shown(&query("127.0.0.1", service)),
                Err(eai::EAI_SERVICE),
                "{service:?}"
            );
        }
        for host in [
            "fe80::1%",
            "fe80::1%no-such-interface",
            "fe80::1%99999999999",
            "fe80::1%-1",
            "fe80::1%l\0o",
        ] {
            assert_eq!(shown(&query(host, "80")), Err(eai::EAI_NONAME), "{host:?}");
        }
        let other = Query {
            family: libc::AF_INET6,
            ..query("127.0.0.1", "80")
        };
        assert_eq!(shown(&other), Err(-9), "EAI_ADDRFAMILY");
        let unknown = Query {
            family: 12345,
            ..query("127.0.0.1", "80")
        };
        assert_eq!(shown(&unknown), Err(-6), "EAI_FAMILY");
    }

    #[test]
    fn without_a_socket_type_there_is_an_entry_for_each() {
        let any = Query {
            socktype: 0,
            ..query("[fe80::1%1]", "80")
        };
        let list = shown(&any).unwrap();
        assert!(list.len() >= 3, "{list:?}");
        assert!(list.iter().all(|a| a.0 == "[fe80::1%1]:80"));
        assert_eq!(
            (list[0].1, list[0].2),
            (libc::SOCK_STREAM, libc::IPPROTO_TCP)
        );
    }

    extern "C" {
        // Not in the libc crate.
        fn inet_pton(
            family: c_int,
            text: *const std::ffi::c_char,
            out: *mut std::ffi::c_void,
        ) -> c_int;
    }

    proptest! {
        /// Exactly the forms that inet_pton takes.
        #[test]
        fn as_inet_pton(text in "[0-9a-f:.]{1,20}|([0-9]{1,3}\\.){3}[0-9]{1,3}|([0-9a-f]{0,5}:){2,8}([0-9a-f]{1,4}|1\\.2\\.3\\.4)?") {
            let c = CString::new(text.as_str()).unwrap();
            let mut v4 = [0u8; 4];
            let mut v6 = [0u8; 16];
            // SAFETY: a NUL-terminated string, and places of the sizes of the two addresses.
            let (is_v4, is_v6) = unsafe {(
                inet_pton(libc::AF_INET, c.as_ptr(), v4.as_mut_ptr().cast()) == 1,
                inet_pton(libc::AF_INET6, c.as_ptr(), v6.as_mut_ptr().cast()) == 1,
            )};
            let expected = if is_v4 { Some(IpAddr::from(v4)) } else { is_v6.then(|| IpAddr::from(v6)) };
            prop_assert_eq!(parse(&text).map(|l| l.ip), expected);
        }

        /// Any text at all: no panic, and brackets never matter but in pairs.
        #[test]
        fn any_text(text in "\\PC{0,30}") {
            let bare = parse(&text);
            if !text.starts_with('[') {
                let bracketed = format!("[{text}]");
                prop_assert_eq!(parse(&bracketed), bare);
                let half = format!("[{text}");
                prop_assert!(text.ends_with(']') || parse(&half).is_none());
            }
        }

        /// The short way gives what getaddrinfo gives.
        #[test]
        fn as_getaddrinfo(ip in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), port: u16, stream: bool, explicit: bool, pick: bool) {
            let ip = if pick { IpAddr::from(ip) } else { IpAddr::from(v6) };
            let query = Query {
                host: Some(ip.to_string()),
                service: Some(port.to_string()),
                family: 0,
                socktype: if stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM },
                protocol: match (explicit, stream) { (false, _) => 0, (_, true) => libc::IPPROTO_TCP, _ => libc::IPPROTO_UDP },
            };
            let direct = literal(&query).unwrap().unwrap();
            let asked = system::numeric(ip, &Service::Port(port), &query).unwrap();
            prop_assert_eq!(direct.len(), 1);
            prop_assert_eq!(asked.len(), 1);
            prop_assert_eq!(&direct[0].addr, &asked[0].addr);
            prop_assert_eq!((direct[0].socktype, direct[0].protocol), (asked[0].socktype, asked[0].protocol));
        }
    }
}
