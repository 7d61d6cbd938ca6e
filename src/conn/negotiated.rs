//! What the handshake of a connection has agreed on, as programs ask for it.

use super::Conn;
use crate::errno::Errno;
use crate::tls;
use std::ffi::{CStr, CString};

impl Conn {
    /// Whether the handshake is complete: what was negotiated can be told.
    fn negotiated(&self) -> bool {
        self.established.get()
    }

    /// The protocol that was agreed on, valid until the close.
    pub fn alpn(&self) -> Option<&CStr> {
        if !self.negotiated() {
            return None;
        }
        let told = self.seldom();
        if told.alpn.get().is_none() {
            let name = self.with_session(|s| s.alpn().map(<[u8]>::to_vec))??;
            let _ = told.alpn.set(CString::new(name).ok()?);
        }
        told.alpn.get().map(CString::as_c_str)
    }

    /// The cipher suite, valid until the close.
    pub fn cipher(&self) -> Option<&CStr> {
        if !self.negotiated() {
            return None;
        }
        let told = self.seldom();
        if told.cipher.get().is_none() {
            let name = self.with_session(|s| s.cipher().map(CStr::to_owned))??;
            let _ = told.cipher.set(name);
        }
        told.cipher.get().map(CString::as_c_str)
    }

    /// `TLSv1.3`
    pub fn tls_version(&self) -> Option<&'static str> {
        if !self.negotiated() {
            return None;
        }
        self.with_session(|s| s.version())
    }

    /// Whether an earlier TLS session was resumed.
    pub fn session_reused(&self) -> bool {
        self.negotiated() && self.with_session(|s| s.reused()).unwrap_or(false)
    }

    /// Whether the peer took early data, ours or as a server its own.
    pub fn early_data_accepted(&self) -> bool {
        self.negotiated()
            && self
                .with_session(|s| s.early_data_accepted())
                .unwrap_or(false)
    }

    /// How many of the bytes that a server reads first came as early data.
    pub fn early_data_len(&self) -> usize {
        match self.negotiated() {
            true => self.transport().map_or(0, |t| t.early_data_len()),
            false => 0,
        }
    }

    /// OpenSSL's verify code; -1 when no certificate was verified. Stays when establishing failed.
    pub fn verify_result(&self) -> i64 {
        match self.failure() {
            Some(failure) if failure.verify_result >= 0 => failure.verify_result,
            _ if !self.negotiated() => -1,
            _ => self.session_verify_result(),
        }
    }

    pub(super) fn session_verify_result(&self) -> i64 {
        self.with_session(|s| if s.verifies() { s.verify_result() } else { -1 })
            .unwrap_or(-1)
    }

    /// The peer's certificate. ENOENT when there is none.
    pub fn peer_certificate(&self) -> Result<tls::Certificate, Errno> {
        self.with_session(|s| s.peer_certificate())
            .flatten()
            .ok_or(Errno(libc::ENOENT))
    }
}
