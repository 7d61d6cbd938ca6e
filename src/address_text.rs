//! Addresses, and the hosts and ports that were asked for, as messages name them.

use socket2::SockAddr;

/// `host:port`, an IPv6 literal in brackets, a Unix path alone.
pub(crate) fn endpoint_text(host: &str, port: &str) -> String {
    if host.starts_with("unix:") {
        host.to_owned()
    } else if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `192.0.2.7:443`, `[2001:db8::1]:443`, `unix:/run/x`, `unix:@abstract`.
pub(crate) fn address_text(addr: &SockAddr) -> String {
    if let Some(addr) = addr.as_socket() {
        return addr.to_string();
    }
    if let Some(path) = addr.as_pathname() {
        return format!("unix:{}", path.display());
    }
    if let Some(name) = addr.as_abstract_namespace() {
        return format!("unix:@{}", String::from_utf8_lossy(name));
    }
    "unix:".to_owned()
}
