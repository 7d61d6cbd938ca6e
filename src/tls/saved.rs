//! A client's session that outlives its connection in the hands of others: as an object in memory or as bytes. Bound to what
//! its peer was judged by, so that it is offered only where a full handshake would ask for no more; what is in doubt is not
//! offered, and a full handshake follows. Knows nothing of where it is kept.
//!
//! Bytes are `NCs1`, two digests (the context's settings; what the connection asked for), the session as DER, and a digest
//! of all that, which tells accidents: they come back from files and networks, and are input like any other.

use super::context::Context;
use super::key::session_key;
use super::outside::{self, MOST};
use super::owned::{wipe, Owned};
use super::scope::{self, Scope};
use super::session::Session;
use super::sessions::{self, SslSession};
use super::types::{Place, Verify};
use super::{certificate, queue, sys, Peer};
use openssl_sys as ffi;
use std::cell::Cell;
use std::num::NonZeroU32;

const MAGIC: &[u8; 4] = b"NCs1";
const DIGEST: usize = std::mem::size_of::<Scope>();
/// Before the session.
const HEAD: usize = MAGIC.len() + 2 * DIGEST;
/// The largest bytes that are taken back.
const MOST_BYTES: usize = HEAD + MOST + DIGEST;

/// A client's session to be resumed.
pub struct Saved {
    session: SslSession,
    /// The settings that it was made under.
    settings: Scope,
    /// What its connection asked for, besides.
    purpose: Scope,
    /// It was never bytes: what bytes leave out of a session is still in it.
    in_memory: bool,
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved")
            .field("in_memory", &self.in_memory)
            .finish_non_exhaustive()
    }
}

/// What a connection was offered, and may be.
#[derive(Default)]
pub(super) struct Slot {
    /// Waits for the handshake's first step, where all is known that it must fit.
    waiting: Cell<Option<Box<Offer>>>,
    /// Of what was given to OpenSSL: whether it was never bytes.
    given_in_memory: Cell<Option<bool>>,
}

struct Offer {
    saved: Saved,
    /// Of a purpose, that it is the one that the session is bound to.
    fitting: Option<String>,
    place: Box<dyn Fn() -> Option<Place> + Send>,
}

impl Saved {
    /// Shows the session as bytes, with its secrets in them; `None`: it is larger than any that would be taken back.
    pub fn with_bytes<R>(&self, show: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut result = None;
        queue::with_clean_queue(|| {
            outside::with_der(self.session.as_ptr(), |der| {
                let mut bytes = Vec::with_capacity(HEAD + der.len() + DIGEST);
                bytes.extend_from_slice(MAGIC);
                bytes.extend_from_slice(&self.settings);
                bytes.extend_from_slice(&self.purpose);
                bytes.extend_from_slice(der);
                if let Some(digest) = certificate::sha256(&bytes) {
                    bytes.extend_from_slice(&digest);
                    result = Some(show(&bytes));
                }
                wipe(&mut bytes);
            });
        });
        result
    }

    /// From what [`Saved::with_bytes`] showed; `None` for all else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Saved> {
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        let (magic, rest) = body.split_at_checked(MAGIC.len())?;
        let (settings, rest) = rest.split_first_chunk::<DIGEST>()?;
        let (purpose, der) = rest.split_first_chunk::<DIGEST>()?;
        queue::with_clean_queue(|| {
            if magic != MAGIC || certificate::sha256(body)? != digest {
                return None;
            }
            Some(Saved {
                session: outside::parse(der)?,
                settings: *settings,
                purpose: *purpose,
                in_memory: false,
            })
        })
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> *mut ffi::SSL_SESSION {
        self.session.as_ptr()
    }

    /// Whether it is for one connection only, as a ticket of TLS 1.3 is: a second one would let others see that both are of
    /// one client.
    pub fn is_for_one_connection(&self) -> bool {
        sessions::single_use(&self.session)
    }

    /// Whether it is of no use any more: too old, or taken out of use by a connection that it was offered to and that
    /// failed.
    pub fn expired(&self) -> bool {
        let now = sessions::now();
        // SAFETY: a live session. A ticket's lifetime is what its server said.
        let stale = unsafe {
            let session = self.session.as_ptr();
            let age = now.saturating_sub(ffi::SSL_SESSION_get_time(session));
            match sys::SSL_SESSION_get_ticket_lifetime_hint(session) {
                0 => false,
                hint => age > i64::try_from(hint).unwrap_or(i64::MAX),
            }
        };
        stale || !sessions::usable(&self.session, now)
    }
}

/// The settings that judge a client's peer.
fn settings_of(session: &Session) -> Option<Scope> {
    let state = session.state();
    scope::of_client(session.settings(), state.handed_out()? as usize).ok()
}

/// What a connection asks for, printable: a name, what is checked, protocols, and where it goes. A name that is verified
/// stands for all its addresses.
fn purpose_of(session: &Session, place: &Place) -> String {
    let (mode, name) = (session.mode(), session.name());
    let verified = mode == Verify::Full && name.is_some();
    let peer = Peer {
        host: if verified { "" } else { &place.host },
        port: &place.port,
        server_name: "",
    };
    let key = session_key(&peer, name.as_ref(), mode, &session.settings().alpn);
    // The families look for names in different places.
    let family = session.state().place();
    format!("{family:?} {key}")
}

/// Whether a session may be offered by this connection, whatever that asks for.
fn may_be_offered(session: &Session, saved: &Saved) -> bool {
    let settings = session.settings();
    // Its word cannot be had any more.
    let silent = settings.verify_callback.is_some() && session.state().context().is_freed();
    !session.is_server() && !settings.no_reuse && !silent && !saved.expired()
}

fn is_bound_to(saved: &Saved, purpose: &str) -> bool {
    scope::of_key(purpose).is_ok_and(|purpose| purpose == saved.purpose)
}

impl Session {
    /// What a later connection may resume, of a client whose handshake is complete; under TLS 1.3 that comes with the first
    /// bytes that are received. `place`: where the connection goes, as for [`Session::offer`].
    ///
    /// How this connection ends does not change it. Under TLS 1.3 it is for one connection: a ticket that was
    /// used again would let others see that both are of one client (from bytes it can be).
    pub fn saved(&self, place: Option<&Place>) -> Option<Saved> {
        let state = self.state();
        let ssl = self.ssl();
        // SAFETY: a live SSL; the reference that comes back, if any, is ours, and so is the copy of a live session.
        let session = unsafe {
            if self.is_server() || self.settings().no_reuse || ffi::SSL_is_init_finished(ssl) == 0 {
                return None;
            }
            let current = SslSession::new(sys::SSL_get1_session(ssl))?;
            // What a callback accepted against OpenSSL's judgement is asked again each time.
            // A ticket of TLS 1.3 that was used is not usable: OpenSSL sees to that.
            if !state.believes(ssl) || !sessions::usable(&current, sessions::now()) {
                return None;
            }
            queue::with_clean_queue(|| Owned::new(sys::SSL_SESSION_dup(current.as_ptr())))?
        };
        let given = state
            .slot_in_use()
            .and_then(|slot| slot.given_in_memory.get());
        let in_memory = match (self.reused(), given) {
            (true, Some(in_memory)) => in_memory,
            (reused, _) => !reused,
        };
        Some(Saved {
            session,
            settings: queue::with_clean_queue(|| settings_of(self))?,
            purpose: queue::with_clean_queue(|| scope::of_key(&purpose_of(self, place?)).ok())?,
            in_memory,
        })
    }

    /// Lets the handshake, which has not begun, resume a session; false where it is known by now that it will not: the
    /// settings are others, it is too old, or the connection goes elsewhere. `place` is asked when the handshake begins, too;
    /// `None` is a place that is not known. A later call replaces an earlier one.
    pub fn offer(&self, saved: &Saved, place: impl Fn() -> Option<Place> + Send + 'static) -> bool {
        queue::with_clean_queue(|| {
            if !self.is_before_handshake()
                || !may_be_offered(self, saved)
                || settings_of(self) != Some(saved.settings)
            {
                return false;
            }
            let mut fitting = None;
            if let (Some(_), Some(place)) = (self.state().has_name().then_some(()), place()) {
                let purpose = purpose_of(self, &place);
                if !is_bound_to(saved, &purpose) {
                    return false;
                }
                fitting = Some(purpose);
            }
            // SAFETY: a live session, whose count this raises for the value that is made of it.
            let session = unsafe {
                ffi::SSL_SESSION_up_ref(saved.session.as_ptr());
                Owned::new(saved.session.as_ptr())
            };
            let Some(session) = session else { return false };
            // Shared, not copied: a connection that fails over it takes it out of use.
            let saved = Saved { session, ..*saved };
            self.state().slot().waiting.set(Some(Box::new(Offer {
                saved,
                fitting,
                place: Box::new(place),
            })));
            true
        })
    }

    /// Whether the handshake has not begun.
    pub fn is_before_handshake(&self) -> bool {
        // SAFETY: a live SSL.
        unsafe { sys::SSL_in_before(self.ssl()) == 1 }
    }
}

/// The handshake begins: what was offered is given to OpenSSL if it fits.
pub(super) fn settle(session: &Session) {
    let Some(slot) = session.state().slot_in_use() else {
        return;
    };
    let Some(offer) = slot.waiting.take() else {
        return;
    };
    let given = queue::with_clean_queue(|| {
        let Some(place) = (offer.place)() else {
            return false;
        };
        let purpose = purpose_of(session, &place);
        let fits = offer.fitting.as_ref() == Some(&purpose) || is_bound_to(&offer.saved, &purpose);
        // The settings are those of the offer: a session keeps the ones that it was made under.
        fits && session.is_before_handshake()
            && may_be_offered(session, &offer.saved)
            && outside::give(session, &offer.saved.session)
    });
    if given {
        slot.given_in_memory.set(Some(offer.saved.in_memory));
    } else {
        crate::log!(
            Debug,
            "TLS: the session that was offered is not for this connection: a full handshake"
        );
    }
}

/// One more than how often the program had got the `SSL_CTX` when a session was made under the settings of `generation`; `None` where it got
/// it meanwhile.
pub(super) fn handed_out(context: &Context, generation: u32) -> Option<NonZeroU32> {
    let handed_out = u32::try_from(context.handed_out()).ok()?;
    // The generation changes first.
    (context.sessions.generation() == generation)
        .then(|| NonZeroU32::new(handed_out.checked_add(1)?))
        .flatten()
}
