//! Application protocols (RFC 7301): the list in its wire form, and the server's choice. Knows no sockets and no C
//! strings.

use super::context::Context;
use super::session::State;
use super::types::{invalid, AlpnCallback, AlpnDecider, Error, Thrown};
use openssl_sys as ffi;
use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// The most protocols in a list of the Socket family.
const MOST_PROTOCOLS: usize = 16;

impl Context {
    /// Application protocols: a client offers them in this order, a server chooses by it and refuses a client that offers
    /// others only. None removes them.
    pub fn set_alpn(&self, names: &[&[u8]]) -> Result<(), Error> {
        self.keep_alpn(names, false)
    }

    /// As [`Context::set_alpn`], but a server goes on without a protocol where it has none in common with a client, no
    /// names leave the earlier ones, and there are at most 16, of visible ASCII.
    pub fn set_alpn_optional(&self, names: &[&[u8]]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        if names.len() > MOST_PROTOCOLS {
            return Err(invalid(format!(
                "TLS: {} application protocols, where {MOST_PROTOCOLS} are the most",
                names.len()
            )));
        }
        if names
            .iter()
            .any(|name| !name.iter().all(u8::is_ascii_graphic))
        {
            return Err(invalid(
                "TLS: an application protocol's name has something else than visible ASCII in it",
            ));
        }
        self.keep_alpn(names, true)
    }

    fn keep_alpn(&self, names: &[&[u8]], optional: bool) -> Result<(), Error> {
        let wire = encode(names)?;
        self.change(|settings| {
            settings.alpn = wire;
            settings.alpn_optional = optional;
            Ok(())
        })
    }

    /// A server's own choice in place of the list; `None` removes it.
    pub fn set_alpn_callback(&self, callback: Option<AlpnCallback>) -> Result<(), Error> {
        if !self.is_server() {
            return Err(invalid(
                "TLS: the ALPN callback is for servers, and the context is a client's",
            ));
        }
        self.set_alpn_decider(callback.map(|callback| -> AlpnDecider {
            std::sync::Arc::new(move |names| Ok(callback(names)))
        }))
    }

    /// As [`Context::set_alpn_callback`], of a program that may throw. A client's context takes it and has no use for it.
    pub fn set_alpn_decider(&self, decider: Option<AlpnDecider>) -> Result<(), Error> {
        self.change(|settings| {
            settings.alpn_callback = decider;
            Ok(())
        })
    }
}

/// Names in their wire form: each with its length before it.
pub(super) fn encode(names: &[&[u8]]) -> Result<Arc<[u8]>, Error> {
    let mut wire = Vec::new();
    for name in names {
        match u8::try_from(name.len()) {
            Ok(length) if length > 0 => {
                wire.push(length);
                wire.extend_from_slice(name);
            }
            _ => {
                return Err(invalid(
                    "TLS: an application protocol's name has 1 to 255 bytes",
                ))
            }
        }
    }
    // The extension's length has 16 bits, two of its bytes are the list's own length.
    if wire.len() > usize::from(u16::MAX) - 2 {
        return Err(invalid(
            "TLS: the list of application protocols is too long",
        ));
    }
    Ok(wire.into())
}

/// The names of a list in wire form; ends where the list is malformed.
pub(super) fn decode(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = wire.split_first()?;
        let name = rest.get(..usize::from(*length))?;
        wire = &rest[name.len()..];
        Some(name)
    })
}

/// What a server answers.
enum Choice<'a> {
    Protocol(&'a [u8]),
    /// Go on without one.
    None,
    /// Alert no_application_protocol.
    Refuse,
    /// The same, and the reason is the program's.
    Throw(Thrown),
}

/// Whether a list in wire form is nothing but names.
fn well_formed(wire: &[u8]) -> bool {
    let mut names = decode(wire);
    let bytes: Option<usize> = names.try_fold(0, |sum, name| {
        (!name.is_empty()).then(|| sum + 1 + name.len())
    });
    bytes == Some(wire.len())
}

fn choose<'a>(state: &State, offered: &'a [u8]) -> Choice<'a> {
    let settings = state.settings();
    if !well_formed(offered) {
        return Choice::Refuse;
    }
    if let Some(callback) = &settings.alpn_callback {
        if state.context().is_freed() {
            return Choice::Refuse;
        }
        let names: Vec<&[u8]> = decode(offered).collect();
        return match callback(&names) {
            Ok(index) => index
                .and_then(|index| names.get(index))
                .map_or(Choice::None, |name| Choice::Protocol(name)),
            Err(thrown) => Choice::Throw(thrown),
        };
    }
    if settings.alpn.is_empty() {
        return Choice::None;
    }
    decode(&settings.alpn)
        .find_map(|own| decode(offered).find(|theirs| *theirs == own))
        .map_or(
            match settings.alpn_optional {
                true => Choice::None,
                false => Choice::Refuse,
            },
            Choice::Protocol,
        )
}

/// OpenSSL's question to a server.
pub(super) unsafe extern "C" fn select(
    ssl: *mut ffi::SSL,
    out: *mut *const c_uchar,
    out_len: *mut c_uchar,
    offered: *const c_uchar,
    offered_len: c_uint,
    _arg: *mut c_void,
) -> c_int {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live SSL during its handshake.
        let Some(state) = (unsafe { State::of(ssl) }) else {
            return ffi::SSL_TLSEXT_ERR_NOACK;
        };
        // SAFETY: OpenSSL gives `offered_len` (never 0) readable bytes, valid during this call.
        let offered = unsafe { std::slice::from_raw_parts(offered, offered_len as usize) };
        match choose(state, offered) {
            Choice::Protocol(name) => {
                // SAFETY: two places to write to; the name lies in OpenSSL's own bytes, which it copies after the
                // return. A name of the wire form is at most 255 bytes long.
                unsafe {
                    *out = name.as_ptr();
                    *out_len = name.len() as c_uchar;
                }
                ffi::SSL_TLSEXT_ERR_OK
            }
            Choice::None => ffi::SSL_TLSEXT_ERR_NOACK,
            Choice::Refuse => ffi::SSL_TLSEXT_ERR_ALERT_FATAL,
            Choice::Throw(thrown) => {
                state.catch(thrown);
                ffi::SSL_TLSEXT_ERR_ALERT_FATAL
            }
        }
    }))
    .unwrap_or(ffi::SSL_TLSEXT_ERR_ALERT_FATAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_wire_form() {
        let names: [&[u8]; 3] = [b"h2", b"http/1.1", &[0xffu8; 255]];
        let wire = encode(&names).unwrap();
        assert_eq!(&wire[..3], b"\x02h2");
        assert!(decode(&wire).eq(names));
    }

    #[test]
    fn impossible_names_are_refused() {
        assert!(encode(&[b""]).is_err());
        assert!(encode(&[&[b'x'; 256]]).is_err());
        assert!(encode(&vec![&[b'x'; 255][..]; 256]).is_err());
        assert!(encode(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_malformed_list_ends_early() {
        assert_eq!(decode(b"\x02h2\x09half").count(), 1);
        assert_eq!(decode(b"\x05").count(), 0);
        assert!(well_formed(b"\x02h2\x01x"));
        for wire in [&b"\x02h2\x09half"[..], b"\x05", b"\x00", b"\x02h2\x00"] {
            assert!(!well_formed(wire), "{wire:?}");
        }
    }
}
