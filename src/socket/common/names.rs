//! Ports, host names, addresses as text, networks. Pure.

use super::{Error, Kind};
use std::ffi::c_int;
use std::net::IpAddr;

/// The longest name.
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: usize = 63;

/// A port: 0 to 65535.
pub fn port(port: c_int, kind: Kind) -> Result<u16, Error> {
    u16::try_from(port).map_err(|_| {
        let text = format!("{port} is no port (0 to 65535)");
        Error::invalid(kind, text)
    })
}

/// An address, or a name of labels: letters, digits and hyphens.
pub fn check_host(host: &[u8], kind: Kind) -> Result<(), Error> {
    let text = std::str::from_utf8(host).ok();
    if text.is_some_and(is_address) {
        return Ok(());
    }
    let is_label = |label: &[u8]| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label[0] != b'-'
            && label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    let fits = (1..=LONGEST_NAME).contains(&host.len());
    if fits && host.split(|byte| *byte == b'.').all(is_label) {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(host).chars().take(64).collect();
    let text = format!("\"{}\" is no host name", shown.escape_debug());
    Err(Error::invalid(kind, text))
}

/// With the interface too, which an IPv6 address may name.
fn is_address(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, interface)) => {
            address.parse::<std::net::Ipv6Addr>().is_ok() && !interface.is_empty()
        }
        None => text.parse::<IpAddr>().is_ok(),
    }
}

/// The address that a text is.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Whether an address is in a network ("10.0.0.0/8"); not, where they are of two families. `None`: one of them is malformed.
pub fn is_in_network(address: &str, network: &str) -> Option<bool> {
    let address = parse_ip(address)?;
    let (base, prefix) = network.split_once('/')?;
    let base = parse_ip(base)?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let prefix: u32 = prefix.parse().ok()?;
    let same = |a: u128, b: u128, width: u32| {
        let apart = a ^ b;
        (prefix <= width).then(|| prefix == 0 || apart >> (width - prefix) == 0)
    };
    match (address, base) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        (_, IpAddr::V4(b)) => same(b.to_bits().into(), 0, 32).map(|_| false),
        (_, IpAddr::V6(b)) => same(b.to_bits(), 0, 128).map(|_| false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_labels() {
        let good = |host: &str| check_host(host.as_bytes(), Kind::Common).is_ok();
        let label = "a".repeat(63);
        for host in [
            "a",
            "example.org",
            "9.example",
            "a-b.c-",
            "127.0.0.1",
            "::1",
        ] {
            assert!(good(host), "{host}");
        }
        assert!(good("fe80::1%lo") && good(&label));
        assert!(good(&[label.as_str(); 4].join(".")[..255]));
        for host in [
            "", ".", "a.", "-a", "a..b", "a_b", "a b", "fe80::1%", "[::1]", "é.org",
        ] {
            assert!(!good(host), "{host}");
        }
        assert!(!good(&format!("{label}a")));
        assert!(!good(&[label.as_str(); 5].join(".")));
    }

    #[test]
    fn networks_have_prefixes() {
        let inside = |address, network| is_in_network(address, network);
        assert_eq!(inside("10.1.2.3", "10.0.0.0/8"), Some(true));
        assert_eq!(inside("11.1.2.3", "10.0.0.0/8"), Some(false));
        assert_eq!(inside("11.1.2.3", "10.0.0.0/0"), Some(true));
        assert_eq!(inside("10.0.0.1", "10.0.0.1/32"), Some(true));
        assert_eq!(inside("10.0.0.1", "10.0.0.0/31"), Some(true));
        assert_eq!(inside("10.0.0.2", "10.0.0.0/31"), Some(false));
        assert_eq!(inside("2001:db8::1", "2001:db8::/32"), Some(true));
        assert_eq!(inside("2001:db9::1", "2001:db8::/32"), Some(false));
        assert_eq!(inside("::", "::/0"), Some(true));
        assert_eq!(inside("::1", "10.0.0.0/8"), Some(false));
        assert_eq!(inside("10.0.0.1", "::/0"), Some(false));
        for network in [
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "x/8",
            "::/129",
        ] {
            assert_eq!(inside("10.0.0.1", network), None, "{network}");
        }
        assert_eq!(inside("10.0.0", "10.0.0.0/8"), None);
    }
}
