//! One TLS session: an `SSL` and what we know about it. The transport gives it a BIO and runs it; here it is made ready,
//! confirmed, and asked how it went. Knows no sockets.

use super::context::{Context, Settings};
use super::explain;
use super::outside;
use super::queue;
use super::saved;
use super::sessions::SslSession;
use super::sys;
use super::tickets;
use super::types::{Certificate, Thrown, Verify};
use super::verify::{code_text, Name, Refusal, Where};
use super::{Error, Failure};
use openssl_sys as ffi;
use std::cell::{Cell, OnceCell};
use std::ffi::{c_int, c_long, c_void, CStr};
use std::num::NonZeroU16;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

/// What our callbacks find behind an SSL. Everything that changes does so through a shared reference: OpenSSL calls back
/// in the middle of our own calls.
pub(super) struct State {
    context: Arc<Context>,
    settings: Arc<Settings>,
    mode: Cell<Verify>,
    name: Cell<Option<Name>>,
    /// Made when there is anything to put there.
    rare: OnceCell<Box<Rare>>,
    /// Under which key sessions are kept; `None`: they are not.
    key: Option<Arc<str>>,
    generation: u32,
    /// As [`saved::handed_out`] says.
    handed_out: Option<NonZeroU16>,
    /// [`VERIFIED`], [`ASK_OUTSIDE`]
    flags: Cell<u8>,
}

/// A certificate was looked at.
const VERIFIED: u8 = 1;
/// The program is still to be asked for a session to resume.
const ASK_OUTSIDE: u8 = 2;

/// What few sessions have, kept apart because there are many others: one that is idle should cost little.
#[derive(Default)]
struct Rare {
    /// Whose it is, for callbacks, of a session for a socket.
    tag: Option<*mut c_void>,
    /// What a callback threw at a socket.
    caught: Cell<Option<Thrown>>,
    /// The first one.
    refusal: OnceCell<Refusal>,
    slot: saved::Slot,
}

impl State {
    /// The state of an SSL; `None` for one that is not ours (any more).
    ///
    /// # Safety
    /// `ssl` is alive (or NULL), and its `Session` is not dropped while the reference is used.
    pub(super) unsafe fn of<'a>(ssl: *const ffi::SSL) -> Option<&'a State> {
        if ssl.is_null() {
            return None;
        }
        // SAFETY: a live SSL; at our index there is NULL or the state that its `Session` put there and keeps.
        unsafe {
            ffi::SSL_get_ex_data(ssl, (*EX_INDEX.get()?)?)
                .cast::<State>()
                .as_ref()
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A copy of the name.
    pub(super) fn name(&self) -> Option<Name> {
        let name = self.name.take();
        let copy = name.clone();
        self.name.set(name);
        copy
    }

    pub(super) fn has_name(&self) -> bool {
        let name = self.name.take();
        let there = name.is_some();
        self.name.set(name);
        there
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.rare.get()?.refusal.get()
    }

    pub(super) fn mode(&self) -> Verify {
        self.mode.get()
    }

    /// Another name and mode than those that the session began with.
    pub(super) fn expect(&self, name: Option<Name>, mode: Verify) {
        self.name.set(name);
        self.mode.set(mode);
    }

    /// What a callback threw, taken out.
    pub(super) fn take_caught(&self) -> Option<Thrown> {
        self.rare.get()?.caught.take()
    }

    /// Where a certificate's names are looked for.
    pub(super) fn place(&self) -> Where {
        match self.rare.get().and_then(|rare| rare.tag) {
            Some(_) => Where::SubjectElse,
            None => Where::AltNames,
        }
    }

    /// NULL where the session is not a socket's.
    pub(super) fn tag(&self) -> *mut c_void {
        let tag = self.rare.get().and_then(|rare| rare.tag);
        tag.unwrap_or(ptr::null_mut())
    }

    /// Keeps what a callback threw, the first of them; of a session that has nobody to throw it at, the log tells.
    pub(super) fn catch(&self, thrown: Thrown) {
        let Some(own) = self.rare.get().filter(|rare| rare.tag.is_some()) else {
            crate::log!(
                Warn,
                "TLS: a callback threw an exception: taken as a refusal"
            );
            return;
        };
        let first = own.caught.take();
        own.caught.set(first.or(Some(thrown)));
    }

    /// Whether the peer of this SSL was found to be in order by OpenSSL itself, where that matters.
    pub(super) fn believes(&self, ssl: *mut ffi::SSL) -> bool {
        self.mode() == Verify::None
            || (verify_code(ssl) == ffi::X509_V_OK && self.refusal().is_none())
    }

    /// What of the `SSL_CTX` the program may have changed, as a number; `None`: it is not known.
    pub(super) fn handed_out(&self) -> Option<u16> {
        self.handed_out.map(|count| count.get() - 1)
    }

    pub(super) fn slot(&self) -> &saved::Slot {
        &self.rare().slot
    }

    /// `None`: nothing was ever put there.
    pub(super) fn slot_in_use(&self) -> Option<&saved::Slot> {
        self.rare.get().map(|rare| &rare.slot)
    }

    /// A certificate was looked at.
    pub(super) fn note_verification(&self) {
        self.flags.set(self.flags.get() | VERIFIED);
    }

    /// Keeps the first refusal: those after it are its consequences.
    pub(super) fn note_refusal(&self, refusal: impl FnOnce() -> Refusal) {
        self.rare().refusal.get_or_init(refusal);
    }
}

/// Our place in an SSL. `None`: OpenSSL had no memory for one.
static EX_INDEX: OnceLock<Option<c_int>> = OnceLock::new();

/// Index 0 is the program's (`SSL_set_app_data`).
fn ex_index() -> Option<c_int> {
    unsafe extern "C" fn not_copied(
        _to: *mut ffi::CRYPTO_EX_DATA,
        _from: *const ffi::CRYPTO_EX_DATA,
        value: *mut *mut c_void,
        _index: c_int,
        _long: c_long,
        _arg: *mut c_void,
    ) -> c_int {
        // SAFETY: OpenSSL gives the place of the copy's value. A copy (SSL_dup) has no session of ours behind it.
        unsafe { *value = ptr::null_mut() };
        1
    }
    *EX_INDEX.get_or_init(|| loop {
        // SAFETY: no callbacks but the static one for copies.
        let index = unsafe {
            ffi::CRYPTO_get_ex_new_index(
                ffi::CRYPTO_EX_INDEX_SSL,
                0,
                ptr::null_mut(),
                None,
                Some(not_copied),
                None,
            )
        };
        match index {
            0 => {}
            1.. => break Some(index),
            _ => break None,
        }
    })
}

/// One TLS session before, in and after its handshake: owns an `SSL`.
pub struct Session {
    ssl: NonNull<ffi::SSL>,
    /// Made by `Box`, freed when this is dropped; shared with our callbacks meanwhile.
    state: NonNull<State>,
}

/// A new SSL with the settings that it was made under, and their generation: all three of one moment.
pub(super) struct Made {
    pub(super) ssl: *mut ffi::SSL,
    pub(super) settings: Arc<Settings>,
    pub(super) generation: u32,
}

impl Made {
    /// The mode, or what the program asked the `SSL_CTX` for where that is more: what a setter of OpenSSL's demanded is
    /// never dropped.
    pub(super) fn raised(&self, mode: Verify, server: bool) -> Verify {
        // SAFETY: a live SSL, which has the flags of its context still.
        mode.raised(unsafe { ffi::SSL_get_verify_mode(self.ssl) }, server)
    }
}

/// What a session is for.
#[derive(Default)]
pub(super) struct Purpose {
    pub(super) name: Option<Name>,
    /// Under which key sessions are kept.
    pub(super) key: Option<Arc<str>>,
    /// Whose it is, of a session for a socket.
    pub(super) tag: Option<*mut c_void>,
}

impl Session {
    /// Takes over an SSL.
    pub(super) fn new(
        made: Made,
        context: &Arc<Context>,
        mode: Verify,
        purpose: Purpose,
    ) -> Result<Session, Error> {
        let Made {
            ssl,
            settings,
            generation,
        } = made;
        let ask_outside = purpose.key.is_some() && settings.outside.is_some();
        let rare = OnceCell::new();
        if purpose.tag.is_some() {
            let _ = rare.set(Box::new(Rare {
                tag: purpose.tag,
                ..Rare::default()
            }));
        }
        let state = Box::new(State {
            context: Arc::clone(context),
            settings,
            mode: Cell::new(mode),
            name: Cell::new(purpose.name),
            rare,
            key: purpose.key,
            generation,
            handed_out: saved::handed_out(context, generation),
            flags: Cell::new(if ask_outside { ASK_OUTSIDE } else { 0 }),
        });
        let failed = || queue::error("TLS: a new session");
        let session = Session {
            ssl: NonNull::new(ssl).ok_or_else(failed)?,
            state: NonNull::from(Box::leak(state)),
        };
        let index = ex_index().ok_or_else(failed)?;
        // SAFETY: a live SSL; the state lives until the session is dropped, which takes it out first.
        let done = unsafe { ffi::SSL_set_ex_data(ssl, index, session.state.as_ptr().cast()) };
        if done == 1 {
            Ok(session)
        } else {
            Err(failed())
        }
    }

    pub(super) fn state(&self) -> &State {
        // SAFETY: made in `new`, freed in `drop`, never borrowed mutably.
        unsafe { self.state.as_ref() }
    }

    pub(super) fn settings(&self) -> &Settings {
        self.state().settings()
    }

    pub(super) fn is_server(&self) -> bool {
        self.state().context.is_server()
    }

    /// The `SSL`, owned by this session.
    pub fn ssl(&self) -> *mut ffi::SSL {
        self.ssl.as_ptr()
    }

    pub(super) fn name(&self) -> Option<Name> {
        self.state().name()
    }

    /// The context, and which generation of its settings.
    pub(super) fn made_under(&self) -> (&Arc<Context>, u32) {
        let state = self.state();
        (&state.context, state.generation)
    }

    /// A client's offer; without a list of ours, what the program may have set in the `SSL_CTX` stays.
    pub(super) fn offer_alpn(&self) -> Result<(), Error> {
        let wire = &self.state().settings.alpn;
        if wire.is_empty() {
            return Ok(());
        }
        // SAFETY: a live SSL; the bytes are copied; their number fits (`alpn::encode`). Returns 0 for success.
        let failed =
            unsafe { ffi::SSL_set_alpn_protos(self.ssl(), wire.as_ptr(), wire.len() as _) };
        if failed == 0 {
            Ok(())
        } else {
            Err(queue::error("TLS: the application protocols"))
        }
    }

    /// To be called before the first step of the handshake, as a part of it: settles which session is resumed, and lets the
    /// program give one.
    pub fn recall(&self) {
        let state = self.state();
        saved::settle(self);
        let flags = state.flags.get();
        state.flags.set(flags & !ASK_OUTSIDE);
        if flags & ASK_OUTSIDE == 0 || state.context.is_freed() {
            return;
        }
        if let (Some(store), Some(key)) = (&state.settings.outside, &state.key) {
            queue::with_clean_queue(|| outside::recall(self, &**store, key));
        }
    }

    /// No later connection to this peer resumes what is kept now.
    pub fn forget_resumable(&self) {
        let state = self.state();
        let Some(key) = &state.key else { return };
        match &state.settings.outside {
            Some(store) if !state.context.is_freed() => store.remove(key),
            Some(_) => {}
            None => drop(state.context.sessions.forget(key)),
        }
    }

    pub(super) fn mode(&self) -> Verify {
        self.state().mode()
    }

    pub(super) fn peer(&self) -> *mut ffi::X509 {
        // SAFETY: a live SSL; what comes back is its own.
        unsafe { sys::SSL_get0_peer_certificate(self.ssl()) }
    }

    /// To be called when `SSL_do_handshake` succeeded, before any byte is believed: checks again what a resumption
    /// skipped.
    pub fn confirm(&self) -> Result<(), Failure> {
        queue::with_clean_queue(|| {
            let Some(refusal) = self.doubt() else {
                return Ok(());
            };
            self.forget_resumable();
            let text = refusal.text.clone();
            self.state().note_refusal(|| refusal);
            Err(Failure {
                certificate: true,
                text,
            })
        })
    }

    /// What speaks against a completed handshake.
    fn doubt(&self) -> Option<Refusal> {
        let state = self.state();
        let peer = self.peer();
        match state.mode() {
            Verify::None => return None,
            Verify::OptionalClient if peer.is_null() => return None,
            // Anonymous ciphers and external keys, if the program enabled them, prove no name.
            _ if peer.is_null() => return Some(explain::missing(state.context.is_server())),
            _ => {}
        }
        if !self.reused() {
            return None;
        }
        let result = self.code();
        if result != ffi::X509_V_OK {
            return Some(explain::resumed_unverified(peer, result));
        }
        let (name, place) = (state.name()?, state.place());
        (state.mode() == Verify::Full && !name.matches_in(peer, place))
            .then(|| explain::resumed_for_another(peer, &name, place))
    }

    /// The reason of the failure that OpenSSL just reported; empties OpenSSL's error queue. To be called inside the
    /// same [`with_clean_queue`](super::with_clean_queue) as the call that failed.
    pub fn failure(&self) -> Failure {
        let entry = queue::take_first();
        let state = self.state();
        let server = state.context.is_server();
        let certificate = |text| Failure {
            certificate: true,
            text,
        };
        let Some(entry) = entry else {
            return Failure {
                certificate: false,
                text: "the TLS protocol failed".to_owned(),
            };
        };
        if entry.library() == sys::ERR_LIB_SSL {
            match entry.reason() {
                sys::SSL_R_CERTIFICATE_VERIFY_FAILED => {
                    return certificate(match state.refusal() {
                        Some(refusal) => refusal.text.clone(),
                        None => format!("certificate was refused: {}", code_text(self.code())),
                    })
                }
                sys::SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE => {
                    return certificate(explain::missing(server).text)
                }
                _ => {}
            }
        }
        // SAFETY: a live SSL; asks only whether there is one.
        let shown = unsafe { !ffi::SSL_get_certificate(self.ssl()).is_null() };
        Failure {
            certificate: false,
            text: explain::protocol(&entry, server, shown),
        }
    }

    /// The protocol that was agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: a live SSL and two places to write to.
        unsafe { ffi::SSL_get0_alpn_selected(self.ssl(), &mut data, &mut len) };
        if data.is_null() || len == 0 {
            return None;
        }
        // SAFETY: the bytes are the SSL's own, which lives as long as this session; set once, in the handshake.
        Some(unsafe { std::slice::from_raw_parts(data, len as usize) })
    }

    /// `TLSv1.3`
    pub fn version(&self) -> &'static str {
        // SAFETY: a live SSL.
        match unsafe { ffi::SSL_version(self.ssl()) } {
            ffi::TLS1_3_VERSION => "TLSv1.3",
            ffi::TLS1_2_VERSION => "TLSv1.2",
            ffi::TLS1_1_VERSION => "TLSv1.1",
            ffi::TLS1_VERSION => "TLSv1",
            _ => "unknown",
        }
    }

    /// OpenSSL's name.
    pub fn cipher(&self) -> Option<&'static CStr> {
        // SAFETY: a live SSL; ciphers and their names are static.
        unsafe {
            let cipher = ffi::SSL_get_current_cipher(self.ssl());
            (!cipher.is_null()).then(|| CStr::from_ptr(ffi::SSL_CIPHER_get_name(cipher)))
        }
    }

    /// Whether an earlier session was resumed.
    pub fn reused(&self) -> bool {
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_session_reused(self.ssl()) == 1 }
    }

    /// Whether this is a client under TLS 1.3 whom the server has asked for a certificate: for the client the handshake is over
    /// before the server has looked at it.
    pub fn may_be_refused_yet(&self) -> bool {
        // SAFETY: a live SSL; the call counts the signature algorithms that the peer named, which a server does with its request.
        let asked = || unsafe {
            sys::SSL_get_sigalgs(
                self.ssl(),
                -1,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        // SAFETY: a live SSL.
        let version = unsafe { ffi::SSL_version(self.ssl()) };
        !self.is_server() && !self.reused() && version >= ffi::TLS1_3_VERSION && asked() > 0
    }

    pub(super) fn code(&self) -> c_int {
        verify_code(self.ssl())
    }

    /// Whether the peer's certificate matters. Where it does not, OpenSSL looks at a server's all the same, and
    /// [`Session::verify_result`] tells what it thought of it.
    pub fn verifies(&self) -> bool {
        self.mode() != Verify::None
    }

    /// OpenSSL's X509 verify code; -1 when it looked at no certificate.
    pub fn verify_result(&self) -> i64 {
        let state = self.state();
        if let Some(refusal) = state.refusal() {
            return i64::from(refusal.error);
        }
        if state.flags.get() & VERIFIED != 0 || (self.reused() && !self.peer().is_null()) {
            i64::from(self.code())
        } else {
            -1
        }
    }

    /// The peer's certificate.
    pub fn peer_certificate(&self) -> Option<Certificate> {
        Certificate::of(self.peer())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        queue::with_clean_queue(|| {
            if let Some(index) = ex_index() {
                // SAFETY: our own index. The program may hold a reference of its own to the SSL (SSL_up_ref), whose
                // callbacks find no state from now on.
                unsafe { ffi::SSL_set_ex_data(self.ssl(), index, ptr::null_mut()) };
            }
            if self.is_server() && self.settings().outside.is_some() {
                // OpenSSL would tell the program to forget a session that was not ended in good order, in the middle of our
                // own clearing up. A fatal alert has told it before.
                let both = ffi::SSL_SENT_SHUTDOWN | ffi::SSL_RECEIVED_SHUTDOWN;
                // SAFETY: a live SSL.
                unsafe { ffi::SSL_set_shutdown(self.ssl(), both) };
            }
            // SAFETY: our reference, given back once.
            unsafe { ffi::SSL_free(self.ssl()) };
        });
        // SAFETY: from `Box::leak`; nothing refers to it any more.
        drop(unsafe { Box::from_raw(self.state.as_ptr()) });
    }
}

/// OpenSSL keeps a `long`; the codes are small.
fn verify_code(ssl: *mut ffi::SSL) -> c_int {
    // SAFETY: a live SSL.
    unsafe { ffi::SSL_get_verify_result(ssl) as c_int }
}

/// OpenSSL has a new session for a client: at the end of a handshake of TLS 1.2, with each ticket of TLS 1.3.
pub(super) unsafe extern "C" fn keep(ssl: *mut ffi::SSL, session: *mut ffi::SSL_SESSION) -> c_int {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live SSL during one of its session's calls.
        let Some(state) = (unsafe { State::of(ssl) }) else {
            return 0;
        };
        let Some(key) = &state.key else { return 0 };
        // What a callback accepted against OpenSSL's judgement is asked again each time.
        if !state.believes(ssl) {
            return 0;
        }
        if let Some(store) = &state.settings.outside {
            if !state.context.is_freed() {
                outside::store_of_client(&**store, key, session);
            }
            return 0;
        }
        // SAFETY: a reference that is ours when 1 is returned, and it is.
        let Some(session) = (unsafe { SslSession::new(session) }) else {
            return 0;
        };
        drop(state.context.sessions.put(state.generation, key, session));
        1
    }))
    .unwrap_or(0)
}

/// A server's client showed a certificate that only the callback accepted.
pub(super) fn accepted_against_openssl(ssl: *mut ffi::SSL, state: &State) {
    if state.context.is_server() {
        tickets::forget(ssl);
    }
}
