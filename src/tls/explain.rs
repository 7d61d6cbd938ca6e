//! Why a certificate was refused or a handshake failed, in one line: what was checked, where in the chain, and what
//! would make it pass. Decides nothing.

use super::queue::Entry;
use super::session::State;
use super::verify::{code_text, Name, Refusal, Where};
use super::{certificate, sys};
use openssl_sys as ffi;
use std::ffi::c_int;

/// The longest name or list of names in a text.
const MAX_PART: usize = 256;

/// Cuts what a peer controls.
fn cut(mut text: String) -> String {
    if text.len() > MAX_PART {
        let mut end = MAX_PART - 3;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// `"CN=shop.example"`
fn quoted(name: String) -> String {
    if name.is_empty() {
        "an empty name".to_owned()
    } else {
        format!("\"{}\"", cut(name))
    }
}

/// `certificate of "CN=shop.example" (depth 0)`
fn which(x509: *mut ffi::X509, depth: c_int) -> String {
    if x509.is_null() {
        return format!("certificate (depth {depth})");
    }
    let subject = quoted(certificate::subject(x509));
    format!("certificate of {subject} (depth {depth})")
}

fn self_issued(x509: *mut ffi::X509) -> bool {
    certificate::subject(x509) == certificate::issuer(x509)
}

fn place(x509: *mut ffi::X509, depth: c_int) -> &'static str {
    match depth {
        0 => "leaf",
        _ if self_issued(x509) => "root",
        _ => "intermediate",
    }
}

/// The fault that OpenSSL's verification found, or that the callback refused.
///
/// # Safety
/// `store` belongs to a verification that OpenSSL is running.
pub(super) unsafe fn refused(store: *mut ffi::X509_STORE_CTX, state: &State) -> Refusal {
    // SAFETY: the caller's promise; what is returned stays alive during the verification.
    let (error, depth, x509, chain, sent) = unsafe {
        let sent = sys::X509_STORE_CTX_get0_untrusted(store).cast::<ffi::OPENSSL_STACK>();
        (
            ffi::X509_STORE_CTX_get_error(store),
            ffi::X509_STORE_CTX_get_error_depth(store),
            ffi::X509_STORE_CTX_get_current_cert(store),
            ffi::X509_STORE_CTX_get0_chain(store).cast::<ffi::OPENSSL_STACK>(),
            ffi::OPENSSL_sk_num(sent),
        )
    };
    let name = state.name();
    let fault = Fault {
        error,
        depth,
        x509,
        alone: sent <= 1,
        server: state.context().is_server(),
        freed: state.context().is_freed(),
        name: name.as_ref(),
        place: state.place(),
        add: adding(state),
    };
    // A root that the peer sent is named by the certificate that it signed.
    if fault.error == ffi::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN && depth > 0 {
        // SAFETY: the chain has more than `depth` certificates, each alive during the verification; out of range is
        // NULL.
        let below = unsafe { ffi::OPENSSL_sk_value(chain, depth - 1).cast::<ffi::X509>() };
        let text = format!(
            "{} is signed by {} (depth {depth}), which is not trusted; {}",
            which(below, depth - 1),
            quoted(certificate::subject(x509)),
            fault.add,
        );
        return Refusal { error, text };
    }
    let text = format!("{} {}", which(x509, depth), fault.text());
    Refusal { error, text }
}

/// One fault of one certificate.
struct Fault<'a> {
    error: c_int,
    depth: c_int,
    x509: *mut ffi::X509,
    /// The peer sent nothing but its leaf.
    alone: bool,
    server: bool,
    freed: bool,
    name: Option<&'a Name>,
    place: Where,
    add: &'static str,
}

/// What would make an authority trusted, in the words of the family that the session is of.
fn adding(state: &State) -> &'static str {
    match state.place() {
        Where::AltNames => "add it with netconn_tls_load_ca",
        Where::SubjectElse => "add it with SocketTLSContext_load_ca",
    }
}

/// A client that must verify a name and was told none.
pub(super) fn nameless() -> Refusal {
    Refusal {
        error: ffi::X509_V_ERR_APPLICATION_VERIFICATION,
        text: NAMELESS.to_owned(),
    }
}

/// The reason of the above.
pub(super) const NAMELESS: &str =
    "no hostname is set to verify the certificate with (SocketTLS_set_hostname)";

impl Fault<'_> {
    fn text(&self) -> String {
        if self.x509.is_null() {
            return format!("was refused: {}", code_text(self.error));
        }
        let peer = if self.server { "client" } else { "server" };
        match self.error {
            ffi::X509_V_ERR_HOSTNAME_MISMATCH | ffi::X509_V_ERR_IP_ADDRESS_MISMATCH => self
                .name
                .map_or_else(String::new, |name| mismatch(self.x509, name, self.place)),
            ffi::X509_V_ERR_CERT_HAS_EXPIRED => {
                // SAFETY: the time is the live certificate's own.
                let time = unsafe { ffi::X509_getm_notAfter(self.x509) };
                format!("has expired on {} ({})", self.date(time), self.place())
            }
            ffi::X509_V_ERR_CERT_NOT_YET_VALID => {
                // SAFETY: the time is the live certificate's own.
                let time = unsafe { ffi::X509_getm_notBefore(self.x509) };
                let date = self.date(time);
                format!("is not yet valid, valid from {date} ({})", self.place())
            }
            ffi::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
            | ffi::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | ffi::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE => self.unknown_issuer(peer),
            ffi::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT => {
                format!("is self-signed and not trusted; {}", self.add)
            }
            ffi::X509_V_ERR_INVALID_PURPOSE => format!(
                "may not be used as a {peer}'s{} (its key usage says so)",
                if self.depth == 0 { "" } else { " authority" }
            ),
            ffi::X509_V_ERR_INVALID_CA => {
                "signed another certificate and is no authority (CA:TRUE is missing)".to_owned()
            }
            ffi::X509_V_ERR_PATH_LENGTH_EXCEEDED => {
                "may not have so many authorities below it (path length)".to_owned()
            }
            ffi::X509_V_ERR_CERT_CHAIN_TOO_LONG => "is in a chain that is too long".to_owned(),
            ffi::X509_V_ERR_CERT_SIGNATURE_FAILURE => format!(
                "has a signature that {} did not make",
                quoted(certificate::issuer(self.x509))
            ),
            ffi::X509_V_ERR_EE_KEY_TOO_SMALL | ffi::X509_V_ERR_CA_KEY_TOO_SMALL => {
                format!(
                    "has a key that is too weak{} ({})",
                    self.bits(),
                    self.place()
                )
            }
            ffi::X509_V_ERR_CA_MD_TOO_WEAK => format!(
                "is signed with {}, which is too weak ({})",
                self.signature(),
                self.place()
            ),
            ffi::X509_V_ERR_CERT_REVOKED => format!("was revoked ({})", self.place()),
            ffi::X509_V_ERR_APPLICATION_VERIFICATION if self.freed => {
                "needs the verify callback of a context that was freed".to_owned()
            }
            ffi::X509_V_ERR_APPLICATION_VERIFICATION => {
                "was refused by the verify callback".to_owned()
            }
            other => format!("was refused: {} ({})", code_text(other), self.place()),
        }
    }

    fn place(&self) -> &'static str {
        place(self.x509, self.depth)
    }

    fn date(&self, time: *const ffi::ASN1_TIME) -> String {
        certificate::date(time).unwrap_or_else(|| "a malformed date".to_owned())
    }

    fn unknown_issuer(&self, peer: &str) -> String {
        let issuer = quoted(certificate::issuer(self.x509));
        let depth = self.depth + 1;
        let add = self.add;
        if self.depth == 0 && self.alone {
            // Nobody can tell a private authority from an intermediate that was left out.
            format!(
                "is signed by {issuer} (depth {depth}), which is not trusted; {add}, or let the {peer} send \
                 its intermediate certificates"
            )
        } else {
            format!("is signed by {issuer} (depth {depth}), which is not trusted; {add}")
        }
    }

    fn bits(&self) -> String {
        // SAFETY: the key is ours and freed here; NULL gives 0 bits.
        let bits = unsafe {
            let key = ffi::X509_get_pubkey(self.x509);
            let bits = if key.is_null() {
                0
            } else {
                ffi::EVP_PKEY_bits(key)
            };
            ffi::EVP_PKEY_free(key);
            bits
        };
        if bits > 0 {
            format!(", {bits} bits")
        } else {
            String::new()
        }
    }

    fn signature(&self) -> String {
        // SAFETY: a live certificate; the name of a number is static, or NULL.
        let name = unsafe { ffi::OBJ_nid2ln(ffi::X509_get_signature_nid(self.x509)) };
        if name.is_null() {
            return "an unknown algorithm".to_owned();
        }
        // SAFETY: not NULL, NUL-terminated, static.
        unsafe { std::ffi::CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned()
    }
}

/// `is for old.example, www.old.example; not for shop.example`
fn mismatch(x509: *mut ffi::X509, name: &Name, place: Where) -> String {
    let names = certificate::names(x509);
    if names.is_empty() && place == Where::SubjectElse {
        return format!("has no subjectAltName and another CN; not for {name}");
    }
    if names.is_empty() {
        return format!("is for no host at all (it has no subjectAltName); not for {name}");
    }
    format!("is for {}; not for {name}", cut(names.join(", ")))
}

/// A resumed session whose certificate is not for the name.
pub(super) fn resumed_for_another(x509: *mut ffi::X509, name: &Name, place: Where) -> Refusal {
    Refusal {
        error: match name {
            Name::Dns(_) => ffi::X509_V_ERR_HOSTNAME_MISMATCH,
            Name::Ip(_) => ffi::X509_V_ERR_IP_ADDRESS_MISMATCH,
        },
        text: format!(
            "{} of the resumed session {}",
            which(x509, 0),
            mismatch(x509, name, place)
        ),
    }
}

/// A resumed session whose certificate had been refused.
pub(super) fn resumed_unverified(x509: *mut ffi::X509, error: c_int) -> Refusal {
    Refusal {
        error,
        text: format!(
            "{} of the resumed session was refused: {}",
            which(x509, 0),
            code_text(error)
        ),
    }
}

/// The peer showed no certificate where one is needed.
pub(super) fn missing(server: bool) -> Refusal {
    Refusal {
        error: ffi::X509_V_ERR_APPLICATION_VERIFICATION,
        text: format!(
            "the {} showed no certificate, and one is required",
            if server { "client" } else { "server" }
        ),
    }
}

const HANDSHAKE: &str = "no TLS version, cipher or certificate in common";
const NO_TLS: &str = "the peer does not seem to speak TLS";

/// What OpenSSL's reason means. `certificate`: whether we have one to show.
pub(super) fn protocol(entry: &Entry, server: bool, certificate: bool) -> String {
    let words = entry.text();
    if entry.library() != sys::ERR_LIB_SSL {
        return format!("the TLS protocol failed: {words}");
    }
    let peer = if server { "client" } else { "server" };
    match entry.reason() {
        // Without a certificate OpenSSL takes TLS 1.3 for impossible, and has no cipher for 1.2.
        sys::SSL_R_NO_SHARED_CIPHER
        | sys::SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM
        | sys::SSL_R_UNSUPPORTED_PROTOCOL
            if server && !certificate =>
        {
            "the server's context has no certificate; load one with netconn_tls_load_certificate"
                .to_owned()
        }
        sys::SSL_R_WRONG_VERSION_NUMBER
        | sys::SSL_R_PACKET_LENGTH_TOO_LONG
        | sys::SSL_R_HTTP_REQUEST
        | sys::SSL_R_HTTPS_PROXY_REQUEST => format!("{NO_TLS} ({words})"),
        sys::SSL_R_UNSUPPORTED_PROTOCOL
        | sys::SSL_R_VERSION_TOO_LOW
        | sys::SSL_R_VERSION_TOO_HIGH
        | sys::SSL_R_UNKNOWN_PROTOCOL => {
            format!("the {peer} speaks no TLS version that is allowed here ({words})")
        }
        sys::SSL_R_NO_PROTOCOLS_AVAILABLE => {
            format!("no TLS version is left by the context's settings ({words})")
        }
        sys::SSL_R_NO_SHARED_CIPHER => format!("no cipher in common with the {peer} ({words})"),
        sys::SSL_R_NO_APPLICATION_PROTOCOL => {
            format!("no application protocol (ALPN) in common with the {peer}")
        }
        sys::SSL_R_UNEXPECTED_EOF_WHILE_READING => {
            format!("the {peer} ended the connection without close_notify ({words})")
        }
        reason => match reason - sys::SSL_AD_REASON_OFFSET {
            alert @ 0..=255 => format!(
                "the {peer} sent the alert {}",
                alert_text(alert, server).unwrap_or(words)
            ),
            _ => format!("the TLS protocol failed: {words}"),
        },
    }
}

/// RFC 8446, 6.2, and what it tells the one who gets it.
fn alert_text(alert: c_int, server: bool) -> Option<String> {
    let mine = if server { "server" } else { "client" };
    let refused = |why: &str| format!("(it refused the {mine}'s certificate: {why})");
    Some(match alert {
        40 => format!("handshake_failure ({HANDSHAKE})"),
        42 => format!("bad_certificate {}", refused("malformed or not verified")),
        43 => format!(
            "unsupported_certificate {}",
            refused("of a kind it does not take")
        ),
        44 => format!("certificate_revoked {}", refused("revoked")),
        45 => format!(
            "certificate_expired {}",
            refused("expired or not yet valid")
        ),
        46 => format!("certificate_unknown {}", refused("not accepted")),
        48 => format!(
            "unknown_ca {}",
            refused("its authority is not trusted there")
        ),
        49 => format!("access_denied {}", refused("not allowed")),
        51 => "decrypt_error (a signature or a Finished message was wrong)".to_owned(),
        70 => "protocol_version (no TLS version in common)".to_owned(),
        71 => "insufficient_security (no cipher that is strong enough for it)".to_owned(),
        80 => "internal_error".to_owned(),
        90 => "user_canceled".to_owned(),
        112 => "unrecognized_name (it does not know the server name that was sent)".to_owned(),
        116 => format!("certificate_required (it wants a certificate of the {mine})"),
        120 => "no_application_protocol (no ALPN protocol in common)".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_parts_are_cut_between_characters() {
        let text = cut("ü".repeat(200));
        assert!(text.len() <= MAX_PART && text.ends_with("ü..."));
        assert_eq!(cut("short".into()), "short");
    }
}
