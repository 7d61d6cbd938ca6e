//! Sessions for sockets: as all others, but that the hostname comes after the session is made, that what a callback threw is
//! kept for the boundary of the call, and that nothing of the context's memory is offered. Knows the socket as a tag.

use super::context::Context;
use super::explain;
use super::queue;
use super::session::{Purpose, Session};
use super::types::{invalid, Error, Failure, Thrown, Verify};
use super::verify::{self, Name};
use openssl_sys as ffi;
use std::ffi::c_void;
use std::sync::Arc;

impl Context {
    /// A session in the context's role, for what `tag` stands for in callbacks. A client's still needs its hostname.
    pub fn for_socket(self: &Arc<Self>, tag: *mut c_void) -> Result<Session, Error> {
        if self.is_server() {
            return self.serve(Some(tag));
        }
        queue::with_clean_queue(|| {
            let made = self.new_ssl()?;
            let mode = made.raised(made.settings.mode_of_socket(false), false);
            let purpose = Purpose {
                tag: Some(tag),
                ..Purpose::default()
            };
            let session = Session::new(made, self, mode, purpose)?;
            verify::arm_chain(session.ssl(), mode, 0);
            session.offer_alpn()?;
            // SAFETY: a live SSL.
            unsafe { ffi::SSL_set_connect_state(session.ssl()) };
            Ok(session)
        })
    }
}

impl Session {
    /// Whom a client expects, before its handshake: announced to the server (names, not addresses), and the certificate
    /// must be for it, whatever the mode of the context. In place of what was set before.
    pub fn set_hostname(&self, text: &str) -> Result<(), Error> {
        if self.is_server() {
            return Err(invalid(
                "TLS: a hostname is set by clients, and the context is a server's",
            ));
        }
        let name = Name::strict(text)?;
        let (ssl, state) = (self.ssl(), self.state());
        if !self.is_before_handshake() {
            return Err(invalid(
                "TLS: the hostname is set before the handshake, which has begun",
            ));
        }
        // Without a name nothing passes: so it stays where one of the next steps fails.
        state.expect(None, Verify::Full);
        queue::with_clean_queue(|| {
            verify::arm_chain(ssl, Verify::Full, 0);
            if !name.require(ssl, state.place()) || !name.announce_instead(ssl) {
                return Err(queue::error("TLS: the hostname"));
            }
            state.expect(Some(name), Verify::Full);
            Ok(())
        })
    }

    /// Whether the handshake may begin: a client that verifies names needs one.
    pub fn ready_to_shake(&self) -> Result<(), Failure> {
        match (self.mode(), self.name()) {
            (Verify::Full, None) => Err(Failure {
                certificate: false,
                text: explain::NAMELESS.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// What a callback of the handshake threw, once: it failed the handshake.
    pub fn caught(&self) -> Option<Thrown> {
        self.state().take_caught()
    }
}
