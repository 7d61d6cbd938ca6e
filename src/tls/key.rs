//! Under which key a client's session is kept: what it was verified for, printable. Knows nothing of the cache.

use super::alpn;
use super::types::Verify;
use super::verify::Name;
use super::Peer;
use std::fmt::Write;
use std::sync::Arc;

/// Under which conditions a session was verified, printable: `shop.example:443 name=shop.example verify=full alpn=h2`.
/// The rest of the conditions (trust, callbacks, own certificate) is the context's: a change discards its sessions.
pub(super) fn session_key(
    peer: &Peer<'_>,
    name: Option<&Name>,
    mode: Verify,
    alpn: &[u8],
) -> Arc<str> {
    let mut key = String::new();
    let escaped = |key: &mut String, text: &[u8]| {
        for byte in text {
            // What would end a field is escaped, so that different peers never share a key.
            match byte {
                b'!'..=b'~' if !b"%,=".contains(byte) => key.push(char::from(*byte)),
                _ => {
                    let _ = write!(key, "%{byte:02x}");
                }
            }
        }
    };
    escaped(&mut key, peer.host.to_ascii_lowercase().as_bytes());
    key.push(':');
    escaped(&mut key, peer.port.as_bytes());
    if let Some(name) = name {
        key.push_str(" name=");
        escaped(&mut key, name.to_string().to_ascii_lowercase().as_bytes());
    }
    key.push_str(" verify=");
    key.push_str(mode.word());
    if !alpn.is_empty() {
        key.push_str(" alpn=");
        for (i, protocol) in alpn::decode(alpn).enumerate() {
            if i > 0 {
                key.push(',');
            }
            escaped(&mut key, protocol);
        }
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_and_tell_peers_apart() {
        let key = |host, port, name: &str, alpn: &[&[u8]]| {
            let peer = Peer {
                host,
                port,
                server_name: name,
            };
            let name = Name::parse(name).ok();
            let alpn = alpn::encode(alpn).unwrap();
            session_key(&peer, name.as_ref(), Verify::Full, &alpn)
        };
        assert_eq!(
            &*key("Shop.Example", "443", "shop.example", &[b"h2", b"http/1.1"]),
            "shop.example:443 name=shop.example verify=full alpn=h2,http/1.1"
        );
        assert_eq!(
            &*key("unix:/a b", "", "x", &[b"\xff,"]),
            "unix:/a%20b: name=x verify=full alpn=%ff%2c"
        );
        assert_ne!(
            key("h", "1", "x", &[b"a,b"]),
            key("h", "1", "x", &[b"a", b"b"])
        );
        assert_ne!(key("h", "1", "x", &[]), key("h", "2", "x", &[]));
    }
}
