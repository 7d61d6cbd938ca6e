//! Early data (0-RTT, RFC 8446 section 2.3): how much a server takes, and whether the session that a client resumes lets it
//! send any. Knows nothing of how the bytes travel.
//!
//! What is sent early can be recorded and sent again by anybody on the way. OpenSSL's own protection is used: with early
//! data a server's sessions are kept in its memory and leave it with their first use, so that a second copy of a flight
//! finds none and its early data is skipped.

use super::context::Context;
use super::session::Session;
use super::types::{invalid, Error};
use super::{alpn, queue, sys};
use openssl_sys as ffi;
use std::ffi::{c_int, c_void};
use std::ptr;

/// The most that a server can be told to take: it is kept in memory until the handshake is complete.
pub(super) const MOST: u32 = 1 << 20;
/// What 0 stands for.
const USUAL: u32 = 16 * 1024;

/// What a program said of early data.
#[derive(Clone, Copy)]
pub(super) struct EarlyData {
    limit: u32,
    /// Who said so: a child of `fork` has a copy of the memory that makes a session single, and with it every session of
    /// its parent's a second time.
    process: u32,
}

impl EarlyData {
    fn new(limit: u32) -> Option<EarlyData> {
        Some(EarlyData {
            limit,
            process: std::process::id(),
        })
    }

    fn limit_of_server(self) -> u32 {
        match self.process == std::process::id() {
            true => self.limit,
            false => 0,
        }
    }
}

impl Context {
    /// A server takes early data up to `max` bytes a connection; a client sends no more than that. 0: 16 KiB.
    pub fn enable_early_data(&self, max: u32) -> Result<(), Error> {
        if max > MOST {
            return Err(invalid(format!(
                "TLS: early data is kept until the handshake is complete, and so limited to {MOST} bytes"
            )));
        }
        let max = if max == 0 { USUAL } else { max };
        self.change(|settings| {
            settings.early_data = EarlyData::new(max);
            Ok(())
        })?;
        if self.is_server() && self.session_store().is_none() {
            // A child's copies of its parent's sessions.
            queue::with_clean_queue(|| {
                // SAFETY: a live context; OpenSSL locks what it takes out.
                unsafe { sys::SSL_CTX_flush_sessions(self.raw(), 0) }
            });
        }
        Ok(())
    }

    /// No early data in either direction.
    pub fn disable_early_data(&self) -> Result<(), Error> {
        self.change(|settings| {
            settings.early_data = EarlyData::new(0);
            Ok(())
        })
    }
}

/// Sets a server's session up, as the program said, if it did.
pub(super) fn arm(session: &Session, early_data: Option<EarlyData>) {
    let Some(early_data) = early_data else { return };
    let ssl = session.ssl();
    // SAFETY: a live SSL before its handshake; the callback is static.
    unsafe {
        ffi::SSL_set_max_early_data(ssl, early_data.limit_of_server());
        // What is not taken has to be skipped, whatever an earlier setting allowed clients to send.
        sys::SSL_set_recv_max_early_data(ssl, 2 * MOST);
        sys::SSL_set_allow_early_data_cb(ssl, Some(fits), ptr::null_mut());
    }
}

/// A session that was given out under a larger limit allows its client more than we have room for: full handshake data only.
unsafe extern "C" fn fits(ssl: *mut ffi::SSL, _arg: *mut c_void) -> c_int {
    // SAFETY: OpenSSL calls this with a live SSL in its handshake, which has the session that it resumes.
    let fits = unsafe {
        let session = ffi::SSL_get_session(ssl);
        !session.is_null()
            && ffi::SSL_SESSION_get_max_early_data(session) <= ffi::SSL_get_max_early_data(ssl)
    };
    c_int::from(fits)
}

impl Session {
    /// How many early bytes a server takes; 0: none, and its handshake need not look for any.
    pub fn takes_early_data(&self) -> usize {
        if !self.is_server() {
            return 0;
        }
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_get_max_early_data(self.ssl()) as usize }
    }

    /// How many early bytes the session that a client is about to resume allows.
    pub fn allows_early_data(&self) -> usize {
        let limit = self.settings().early_data.map_or(u32::MAX, |e| e.limit);
        // SAFETY: a live SSL; the session (or NULL) is its own, and so are the texts in both.
        unsafe {
            let session = ffi::SSL_get_session(self.ssl());
            if self.is_server() || session.is_null() {
                return 0;
            }
            // OpenSSL fails the whole connection over a session of another name or protocol.
            let named = sys::SSL_SESSION_get0_hostname(session);
            let announced = ffi::SSL_get_servername(self.ssl(), ffi::TLSEXT_NAMETYPE_host_name);
            if !named.is_null() && (announced.is_null() || libc::strcmp(named, announced) != 0) {
                return 0;
            }
            let (mut protocol, mut len) = (ptr::null(), 0);
            sys::SSL_SESSION_get0_alpn_selected(session, &mut protocol, &mut len);
            if !protocol.is_null() && len > 0 {
                let protocol = std::slice::from_raw_parts(protocol, len);
                if !alpn::decode(&self.settings().alpn).any(|own| own == protocol) {
                    return 0;
                }
            }
            limit.min(ffi::SSL_SESSION_get_max_early_data(session)) as usize
        }
    }

    /// Whether early data was sent and taken.
    pub fn early_data_accepted(&self) -> bool {
        // SAFETY: a live SSL.
        unsafe { sys::SSL_get_early_data_status(self.ssl()) == sys::SSL_EARLY_DATA_ACCEPTED }
    }
}
