//! How a session begins: an SSL with the settings of one moment, for a client or a server. Knows no sockets.

use super::context::Context;
use super::early;
use super::key::session_key;
use super::outside;
use super::session::{Made, Purpose, Session};
use super::types::{invalid, Error, Peer, Verify};
use super::verify::{self, Name};
use super::{queue, tickets};
use openssl_sys as ffi;
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

impl Context {
    /// A client's session with name, verification, ALPN and a session to resume, ready for a BIO.
    pub fn connect(self: &Arc<Self>, peer: Peer<'_>) -> Result<Session, Error> {
        if self.is_server() {
            return Err(invalid(
                "TLS: a client's connection needs a client's context",
            ));
        }
        let name = match peer.server_name {
            "" => None,
            text => Some(Name::parse(text)?),
        };
        queue::with_clean_queue(|| {
            let made = self.new_ssl()?;
            let (settings, generation) = (Arc::clone(&made.settings), made.generation);
            let mode = made.raised(settings.mode(false), false);
            let mut key = (!settings.no_reuse)
                .then(|| session_key(&peer, name.as_ref(), mode, &settings.alpn));
            let outside = settings.outside.is_some();
            if let (Some(text), true) = (&key, outside) {
                key = Some(outside::key_of_client(text, &settings, self.handed_out())?);
            }
            let key = key.map(|key| self.sessions.share_key(key));
            let purpose = Purpose {
                name,
                key: key.clone(),
                tag: None,
            };
            let session = Session::new(made, self, mode, purpose)?;
            verify::arm(session.ssl(), mode, session.name().as_ref())?;
            if let Some(name) = session.name() {
                if !name.announce(session.ssl()) {
                    return Err(queue::error("TLS: the server name"));
                }
            }
            session.offer_alpn()?;
            match &key {
                // Asked for with the handshake's first step.
                Some(key) if outside => outside::mark(&session, key)?,
                Some(key) => self.offer(&session, generation, key),
                None => {}
            }
            // SAFETY: a live SSL.
            unsafe { ffi::SSL_set_connect_state(session.ssl()) };
            Ok(session)
        })
    }

    /// Lets a client's session resume what our memory has.
    fn offer(&self, session: &Session, generation: u32, key: &str) {
        let (found, discarded) = self.sessions.take(generation, key);
        if let Some(found) = found {
            // SAFETY: a live SSL and a live session, of which OpenSSL takes a reference of its own. A failure means a full
            // handshake.
            unsafe { ffi::SSL_set_session(session.ssl(), found.as_ptr()) };
        }
        drop(discarded);
    }

    /// A server's session.
    pub fn accept(self: &Arc<Self>) -> Result<Session, Error> {
        if !self.is_server() {
            return Err(invalid(
                "TLS: a server's connection needs a server's context",
            ));
        }
        self.serve(None)
    }

    /// A server's session, for a socket where there is a tag.
    pub(super) fn serve(self: &Arc<Self>, tag: Option<*mut c_void>) -> Result<Session, Error> {
        queue::with_clean_queue(|| {
            let made = self.new_ssl()?;
            let settings = Arc::clone(&made.settings);
            let mode = made.raised(settings.mode(true), true);
            // Only a cache that gives a session out once makes early data safe, and the program's is not ours to judge.
            let outside = settings.outside.is_some();
            let early_data = settings.early_data.filter(|_| !outside);
            let purpose = Purpose {
                tag,
                ..Purpose::default()
            };
            let session = Session::new(made, self, mode, purpose)?;
            verify::arm_chain(session.ssl(), mode, settings.once());
            if mode != Verify::None {
                for authority in settings.authorities.iter() {
                    // SAFETY: a live SSL, which copies the name of a live certificate.
                    unsafe { ffi::SSL_add_client_CA(session.ssl(), authority.as_ptr()) };
                }
            }
            if settings.no_reuse {
                tickets::refuse(session.ssl());
            }
            if outside {
                tickets::keep_state(session.ssl());
            }
            early::arm(&session, early_data);
            // SAFETY: a live SSL.
            unsafe { ffi::SSL_set_accept_state(session.ssl()) };
            Ok(session)
        })
    }

    pub(super) fn new_ssl(&self) -> Result<Made, Error> {
        let slot = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a live context, which nobody changes while the read lock is held.
        let ssl = unsafe { ffi::SSL_new(self.raw()) };
        let (settings, generation) = (Arc::clone(&slot), self.sessions.generation());
        self.used.store(true, Ordering::Release);
        drop(slot);
        if ssl.is_null() {
            return Err(queue::error("TLS: a new session"));
        }
        let replaced = settings.identity.as_ref().filter(|_| settings.replaced);
        let done = replaced.map_or(Ok(()), |identity| identity.use_alone(ssl));
        if let Err(error) = done.and_then(|()| settings.ciphers.apply(ssl)) {
            // SAFETY: ours, and nobody has seen it.
            unsafe { ffi::SSL_free(ssl) };
            return Err(error);
        }
        Ok(Made {
            ssl,
            settings,
            generation,
        })
    }
}
