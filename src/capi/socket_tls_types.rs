//! What `tls/SocketTLS.h` declares for `tls/SocketTLSContext.h`. Must not know who uses it.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]

/// What of a peer's certificate is verified. The values are bits: TLS_VERIFY_FAIL_IF_NO_PEER_CERT and TLS_VERIFY_CLIENT_ONCE
/// imply TLS_VERIFY_PEER.
#[repr(C)]
pub enum TLSVerifyMode {
    /// Nothing: the peer may be anybody. A server asks for no certificate.
    TLS_VERIFY_NONE = 0,
    /// A client: chain and hostname. A server: what a client shows; it may show nothing.
    TLS_VERIFY_PEER = 1,
    /// A server: a client must show a certificate, too.
    TLS_VERIFY_FAIL_IF_NO_PEER_CERT = 2,
    /// A server: a client that renegotiates is not asked again.
    TLS_VERIFY_CLIENT_ONCE = 4,
}

/// A `TLSVerifyMode`, or several, as an integer.
pub type TLSVerifyMode_t = i32;
