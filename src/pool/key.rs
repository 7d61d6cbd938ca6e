//! What two connections must have in common for one to stand in for the other.

use crate::conn::Conn;
use crate::dns;
use crate::tls::Terms;
use std::ffi::CStr;

/// Scheme, host, port, and under what the peer was verified.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Scheme, host and port, each ended by NUL, which none of them holds.
    texts: Box<[u8]>,
    /// `None` for a plain connection, and for TLS without any context to verify with, which can never become READY.
    terms: Option<Terms>,
    tls: bool,
}

impl Key {
    /// `port` of `None` is the default that `conn_new` knows.
    pub(super) fn new(
        scheme: &CStr,
        host: &CStr,
        port: Option<&CStr>,
        tls: bool,
        terms: Option<Terms>,
    ) -> Key {
        let port = port.unwrap_or(if tls { c"443" } else { c"80" });
        // RFC 3986 section 3.1: a scheme is the same in any case.
        let (scheme, port) = (scheme.to_bytes_with_nul(), port.to_bytes_with_nul());
        let host = same_host(host);
        let mut texts = Vec::with_capacity(scheme.len() + host.len() + 1 + port.len());
        texts.extend(scheme.iter().map(u8::to_ascii_lowercase));
        texts.extend_from_slice(&host);
        texts.push(0);
        texts.extend_from_slice(port);
        Key {
            texts: texts.into(),
            terms,
            tls,
        }
    }

    /// Of a connection that was made elsewhere.
    pub(super) fn adopted(conn: &Conn) -> Key {
        let tls = conn.view.use_tls.get();
        let scheme = if tls { c"https" } else { c"http" };
        Key::new(scheme, conn.host(), Some(conn.port()), tls, conn.terms())
    }

    /// The key of this connection, which was made for this key: another one where the settings of its context were changed
    /// in between, or where TLS was put on it since.
    pub(super) fn now(&self, conn: &Conn) -> Option<Key> {
        let terms = conn.terms();
        if terms == self.terms {
            return None;
        }
        // What is spoken stays what the program said: TLS alone does not make it another protocol.
        Some(Key {
            texts: self.texts.clone(),
            tls: self.tls || terms.is_some(),
            terms,
        })
    }

    /// Whether it is about this host.
    pub(super) fn is_for(&self, host: &[u8]) -> bool {
        self.texts.split(|byte| *byte == 0).nth(1) == Some(host)
    }
}

/// Hosts that are the same have the same form: names without case, in the form that is looked up; a path as it is.
pub(super) fn same_host(host: &CStr) -> Vec<u8> {
    let bytes = host.to_bytes();
    if bytes.starts_with(b"unix:") {
        return bytes.to_vec();
    }
    if !bytes.is_ascii() {
        if let Some(ascii) = host.to_str().ok().and_then(dns::to_ascii) {
            return ascii.into_bytes();
        }
    }
    bytes.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scheme: &CStr, host: &CStr, port: Option<&CStr>, tls: bool) -> Key {
        Key::new(scheme, host, port, tls, None)
    }

    #[test]
    fn names_have_no_case_and_paths_do() {
        let same =
            |a: &CStr, b: &CStr| key(c"http", a, None, false) == key(c"http", b, None, false);
        assert!(same(c"Example.ORG", c"example.org"));
        assert!(same(c"B\xc3\x9cCHER.example", c"b\xc3\xbccher.example"));
        assert!(same(c"b\xc3\xbccher.example", c"xn--bcher-kva.example"));
        assert!(!same(c"unix:/tmp/A", c"unix:/tmp/a"));
        assert!(!same(c"example.org", c"example.org."));
    }

    #[test]
    fn the_default_port_is_that_number() {
        assert!(key(c"https", c"h", None, true) == key(c"HTTPS", c"h", Some(c"443"), true));
        assert!(key(c"http", c"h", None, false) == key(c"http", c"h", Some(c"80"), false));
        assert!(key(c"http", c"h", None, false) != key(c"http", c"h", Some(c"8080"), false));
    }

    #[test]
    fn scheme_and_tls_tell_apart() {
        assert!(key(c"a", c"h", Some(c"1"), false) != key(c"b", c"h", Some(c"1"), false));
        assert!(key(c"a", c"h", Some(c"1"), false) != key(c"a", c"h", Some(c"1"), true));
        // What is one field cannot look like two.
        assert!(key(c"a", c"h1", Some(c""), false) != key(c"a", c"h", Some(c"1"), false));
    }

    #[test]
    fn hosts_are_found() {
        let key = key(c"http", c"Example.org", None, false);
        assert!(key.is_for(&same_host(c"EXAMPLE.org")));
        assert!(!key.is_for(&same_host(c"example.com")));
        assert!(!key.is_for(b"http"));
    }
}
