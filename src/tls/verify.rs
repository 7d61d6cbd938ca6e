//! Verification: the modes, the name a certificate must carry, and what happens at each certificate of a chain. Knows no
//! sockets; texts are `explain`'s.

use super::explain;
use super::session::State;
use super::types::{invalid, Checked, Error, RawVerifyCallback, Verify, VerifyCallback};
use openssl_sys as ffi;
use std::borrow::Cow;
use std::ffi::{c_char, c_int, c_long, c_uint, CString};
use std::fmt;
use std::net::IpAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

impl Verify {
    /// Whether it is a server's.
    pub(super) fn fits(self, server: bool) -> bool {
        match self {
            Verify::Full | Verify::Chain => !server,
            Verify::RequireClient | Verify::OptionalClient => server,
            Verify::None => true,
        }
    }

    /// OpenSSL's flags for the mode; `more`: flags besides, where anything is verified.
    pub(super) fn flags_and(self, more: c_int) -> c_int {
        match self.flags() {
            ffi::SSL_VERIFY_NONE => ffi::SSL_VERIFY_NONE,
            flags => flags | more,
        }
    }

    fn flags(self) -> c_int {
        match self {
            Verify::Full | Verify::Chain | Verify::OptionalClient => ffi::SSL_VERIFY_PEER,
            Verify::RequireClient => ffi::SSL_VERIFY_PEER | ffi::SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
            Verify::None => ffi::SSL_VERIFY_NONE,
        }
    }

    /// The mode, or what a program asked OpenSSL for itself (flags of the `SSL_CTX`) where that is more.
    pub(super) fn raised(self, asked: c_int, server: bool) -> Verify {
        let peer = asked & ffi::SSL_VERIFY_PEER != 0;
        let required = peer && asked & ffi::SSL_VERIFY_FAIL_IF_NO_PEER_CERT != 0;
        match self {
            Verify::None if peer && !server => Verify::Full,
            Verify::None | Verify::OptionalClient if required => Verify::RequireClient,
            Verify::None if peer => Verify::OptionalClient,
            mode => mode,
        }
    }

    /// As a part of a session's key.
    pub(super) fn word(self) -> &'static str {
        match self {
            Verify::Full => "full",
            Verify::Chain => "chain",
            Verify::None => "none",
            Verify::RequireClient => "require",
            Verify::OptionalClient => "optional",
        }
    }
}

/// Where a certificate's names are looked for. A wildcard stands for a whole label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In subjectAltName alone.
    AltNames,
    /// In the subject (CN), too, if there is no host's name in subjectAltName: what programs of the Socket family expect.
    SubjectElse,
}

impl Where {
    fn flags(self) -> c_uint {
        ffi::X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
            | match self {
                Where::AltNames => ffi::X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                Where::SubjectElse => 0,
            }
    }
}

/// The program's word on certificates.
#[derive(Clone)]
pub(super) enum Judge {
    Checked(VerifyCallback),
    Raw(RawVerifyCallback),
}

/// Whom a certificate must be for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// In ASCII (IDNA), without the trailing dot.
    Dns(CString),
    /// An address literal.
    Ip(IpAddr),
}

impl Name {
    /// A name as a program writes it: brackets and a scope around an address, a trailing dot and letters of any script
    /// in a name.
    pub(super) fn parse(text: &str) -> Result<Name, Error> {
        if let Some(address) = parse_address(text) {
            return Ok(Name::Ip(address));
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        let bad = || {
            invalid(format!(
                "TLS: \"{text}\" is not a name that a certificate could be for"
            ))
        };
        let ascii = if bare.is_ascii() {
            Cow::Borrowed(bare)
        } else {
            Cow::Owned(idna::domain_to_ascii(bare).map_err(|_| bad())?)
        };
        // A leading dot would match every name below, and OpenSSL sends at most 255 bytes.
        if ascii.is_empty() || ascii.starts_with('.') || ascii.len() > 255 {
            return Err(bad());
        }
        CString::new(ascii.into_owned())
            .map(Name::Dns)
            .map_err(|_| bad())
    }

    /// The same name in the form in which equal ones are equal.
    pub(super) fn in_lower_case(self) -> Name {
        match self {
            Name::Dns(name) => {
                let mut bytes = name.into_bytes();
                bytes.make_ascii_lowercase();
                // No NUL came in with another case.
                Name::Dns(CString::new(bytes).unwrap_or_default())
            }
            address => address,
        }
    }

    /// A name as the Socket family takes it: an address, or labels of 1 to 63 letters, digits and inner hyphens; no
    /// trailing dot, no port, no underscore.
    pub(super) fn strict(text: &str) -> Result<Name, Error> {
        let bad = |why: &str| Err(invalid(format!("TLS: the hostname \"{text}\" {why}")));
        if let Ok(address) = text.parse() {
            return Ok(Name::Ip(address));
        }
        if text.is_empty() {
            return Err(invalid("TLS: the hostname is empty"));
        }
        if text.len() > 255 {
            return Err(invalid("TLS: the hostname is longer than 255 bytes"));
        }
        for label in text.split('.') {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if label.is_empty() {
                return bad("has an empty label");
            }
            if label.len() > 63 {
                return bad("has a label of more than 63 bytes");
            }
            if !label.bytes().all(inner) {
                return bad("has something else than letters, digits, hyphens and dots in it");
            }
            if label.starts_with('-') || label.ends_with('-') {
                return bad("has a label that begins or ends with a hyphen");
            }
        }
        // No NUL is among those.
        Ok(Name::Dns(CString::new(text).unwrap_or_default()))
    }

    /// Whether this certificate is for the name, by its subjectAltName.
    pub(super) fn matches(&self, x509: *mut ffi::X509) -> bool {
        self.matches_in(x509, Where::AltNames)
    }

    /// Whether this certificate is for the name.
    pub(super) fn matches_in(&self, x509: *mut ffi::X509, place: Where) -> bool {
        if x509.is_null() {
            return false;
        }
        // SAFETY: a live certificate; name or address with its length.
        let answer = unsafe {
            match self {
                Name::Dns(name) => ffi::X509_check_host(
                    x509,
                    name.as_ptr(),
                    name.as_bytes().len(),
                    place.flags(),
                    ptr::null_mut(),
                ),
                Name::Ip(address) => {
                    let bytes = octets(address);
                    ffi::X509_check_ip(x509, bytes.as_ptr(), bytes.len(), 0)
                }
            }
        };
        answer == 1
    }

    /// Lets OpenSSL check the name and no other, as a part of the chain's verification.
    pub(super) fn require(&self, ssl: *mut ffi::SSL, place: Where) -> bool {
        // SAFETY: the parameters belong to the live SSL; name or address with its length, both copied.
        unsafe {
            let parameters = ffi::SSL_get0_param(ssl);
            match self {
                Name::Dns(name) => {
                    ffi::X509_VERIFY_PARAM_set_hostflags(parameters, place.flags());
                    let len = name.as_bytes().len();
                    ffi::X509_VERIFY_PARAM_set1_ip(parameters, ptr::null(), 0) == 1
                        && ffi::X509_VERIFY_PARAM_set1_host(parameters, name.as_ptr(), len) == 1
                }
                Name::Ip(address) => {
                    let bytes = octets(address);
                    ffi::X509_VERIFY_PARAM_set1_host(parameters, ptr::null(), 0) == 1
                        && ffi::X509_VERIFY_PARAM_set1_ip(parameters, bytes.as_ptr(), bytes.len())
                            == 1
                }
            }
        }
    }

    /// Sends a name to the server (SNI); addresses are not sent (RFC 6066).
    pub(super) fn announce(&self, ssl: *mut ffi::SSL) -> bool {
        match self {
            // SAFETY: a live SSL; NUL-terminated, copied.
            Name::Dns(name) => unsafe {
                ffi::SSL_set_tlsext_host_name(ssl, name.as_ptr().cast_mut()) == 1
            },
            Name::Ip(_) => true,
        }
    }

    /// As [`Name::announce`], in place of a name that was announced before.
    pub(super) fn announce_instead(&self, ssl: *mut ffi::SSL) -> bool {
        // SAFETY: a live SSL; NULL takes the name out.
        let cleared = unsafe { ffi::SSL_set_tlsext_host_name(ssl, ptr::null_mut()) == 1 };
        cleared && self.announce(ssl)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => f.write_str(&name.to_string_lossy()),
            Name::Ip(address) => address.fmt(f),
        }
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = inner.split_once('%').map_or(inner, |(address, _)| address);
    address.parse().ok()
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Sets an SSL up to verify so. `name` is what a mode that checks names requires.
pub(super) fn arm(ssl: *mut ffi::SSL, mode: Verify, name: Option<&Name>) -> Result<(), Error> {
    if mode == Verify::Full {
        let Some(name) = name else {
            return Err(invalid(
                "TLS: there is no name to verify the certificate with",
            ));
        };
        if !name.require(ssl, Where::AltNames) {
            return Err(super::queue::error("TLS: the name to verify"));
        }
    }
    arm_chain(ssl, mode, 0);
    Ok(())
}

/// As [`arm`], where a name may come later; `more`: flags besides those of the mode.
pub(super) fn arm_chain(ssl: *mut ffi::SSL, mode: Verify, more: c_int) {
    // SAFETY: a live SSL; the callback finds its state by the SSL and does without where there is none.
    unsafe { ffi::SSL_set_verify(ssl, mode.flags_and(more), Some(each_certificate)) };
}

/// A certificate that was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// OpenSSL's X509 verify code.
    pub(super) error: c_int,
    /// One line.
    pub(super) text: String,
}

/// OpenSSL's question about each certificate of a chain (and about each fault of it).
extern "C" fn each_certificate(preverified: c_int, store: *mut ffi::X509_STORE_CTX) -> c_int {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this during a verification that it runs for a live SSL.
        let accepted = unsafe { judge(preverified == 1, store) };
        c_int::from(accepted)
    }))
    .unwrap_or(0)
}

/// # Safety
/// `store` belongs to a verification that OpenSSL is running.
unsafe fn judge(preverified: bool, store: *mut ffi::X509_STORE_CTX) -> bool {
    // SAFETY: the SSL of a verification stands at this index; all of it is alive during the callback.
    let (ssl, error, depth, x509) = unsafe {
        (
            ffi::X509_STORE_CTX_get_ex_data(store, ffi::SSL_get_ex_data_X509_STORE_CTX_idx())
                .cast::<ffi::SSL>(),
            ffi::X509_STORE_CTX_get_error(store),
            ffi::X509_STORE_CTX_get_error_depth(store),
            ffi::X509_STORE_CTX_get_current_cert(store),
        )
    };
    // SAFETY: as above; an SSL without our state (a copy made by the program) is judged by OpenSSL alone.
    let Some(state) = (unsafe { State::of(ssl) }) else {
        return preverified;
    };
    state.note_verification();
    if state.mode() == Verify::Full && !state.has_name() {
        // A program may run the handshake itself: what stops it elsewhere has not seen it then.
        // SAFETY: the caller's promise.
        unsafe { ffi::X509_STORE_CTX_set_error(store, ffi::X509_V_ERR_APPLICATION_VERIFICATION) };
        state.note_refusal(explain::nameless);
        return false;
    }
    let settings = state.settings();
    let Some(callback) = &settings.verify_callback else {
        if !preverified {
            // SAFETY: the caller's promise.
            state.note_refusal(|| unsafe { explain::refused(store, state) });
        }
        return preverified;
    };
    let answer = match callback {
        _ if state.context().is_freed() => Some(false),
        Judge::Raw(callback) => callback(preverified, store.cast(), state.tag()),
        Judge::Checked(callback) => {
            let subject = if x509.is_null() {
                String::new()
            } else {
                super::certificate::subject(x509)
            };
            Some(callback(&Checked {
                preverified,
                depth,
                subject: &subject,
                // After an error that the callback accepted OpenSSL leaves its code standing.
                error: if preverified { ffi::X509_V_OK } else { error },
            }))
        }
    };
    let accepted = answer == Some(true);
    if !accepted {
        // SAFETY: the caller's promise. A code that the callback chose stays.
        unsafe {
            let now = ffi::X509_STORE_CTX_get_error(store);
            if answer.is_none() || now == ffi::X509_V_OK || (preverified && now == error) {
                ffi::X509_STORE_CTX_set_error(store, ffi::X509_V_ERR_APPLICATION_VERIFICATION);
            }
        }
        // SAFETY: the caller's promise.
        state.note_refusal(|| unsafe { explain::refused(store, state) });
    } else if !preverified {
        super::session::accepted_against_openssl(ssl, state);
    }
    accepted
}

/// OpenSSL's own words for a verify code.
pub(super) fn code_text(error: c_int) -> String {
    // SAFETY: gives a text for every number, alive as long as the process (a buffer of OpenSSL's for unknown ones).
    let text: *const c_char = unsafe { ffi::X509_verify_cert_error_string(c_long::from(error)) };
    // SAFETY: not NULL, NUL-terminated.
    unsafe { std::ffi::CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::pem::Pem;
    use super::*;
    use testcerts::Recipe;

    fn dns(text: &str) -> Name {
        Name::Dns(CString::new(text).unwrap())
    }

    #[test]
    fn names_are_read_as_programs_write_them() {
        assert_eq!(Name::parse("shop.example.").unwrap(), dns("shop.example"));
        assert_eq!(
            Name::parse("bücher.example").unwrap(),
            dns("xn--bcher-kva.example")
        );
        for text in ["::1", "[::1]", "[::1%lo]", "::1%lo"] {
            assert_eq!(Name::parse(text).unwrap(), Name::Ip("::1".parse().unwrap()));
        }
        assert!(matches!(Name::parse("127.0.0.1"), Ok(Name::Ip(_))));
        for text in ["", ".", ".example", "a\0b", &"x".repeat(256)] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_subject_alt_names_match() {
        let identity = Recipe::new("cn.example")
            .names(&["a.example", "*.b.example", "127.0.0.1", "w*.c.example"])
            .bake()
            .unwrap();
        let pem = Pem::memory(&identity.chain_pem().unwrap(), "memory").unwrap();
        let certificates = pem.certificates().unwrap();
        let matches = |name: &str| Name::parse(name).unwrap().matches(certificates[0].as_ptr());
        assert!(matches("A.Example") && matches("x.b.example") && matches("127.0.0.1"));
        for name in [
            "cn.example",
            "b.example",
            "x.y.b.example",
            "127.0.0.2",
            "www.c.example",
        ] {
            assert!(!matches(name), "{name}");
        }
    }
}
