//! Sessions that the program keeps: asked for before a handshake, given to it after one, as DER. What it hands back is
//! input like any other: bounded, parsed, and refused where it does not fit the connection at hand. Knows nothing of where
//! the program keeps them.
//!
//! A client's key says for whom a session was verified, and ends with a digest of the settings that it was verified under
//! ([`scope`]); the session itself carries a digest of its key, so that one that was filed wrongly is not offered. A server's
//! key is the session's id.

use super::context::{Context, Settings};
use super::owned::{wipe, Owned};
use super::session::{Session, State};
use super::sessions::{self, SslSession};
use super::types::{Error, SessionStore, Verify};
use super::{queue, scope, sys};
use openssl_sys as ffi;
use std::ffi::{c_int, c_long, c_uchar};
use std::fmt::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::{Arc, OnceLock};

/// The largest session that is stored or taken back.
pub(super) const MOST: usize = 16 * 1024;

impl Context {
    /// Keeps sessions with the program, and with it alone; `None`: in our own memory again.
    pub fn set_session_store(&self, store: Option<Arc<dyn SessionStore>>) -> Result<(), Error> {
        let on = store.is_some();
        if on && self.is_server() {
            // What is in OpenSSL's memory is not looked for any more.
            queue::with_clean_queue(|| {
                // SAFETY: a live context; OpenSSL locks what it takes out.
                unsafe { sys::SSL_CTX_flush_sessions(self.raw(), 0) }
            });
        }
        self.change(|settings| {
            settings.outside = store;
            if self.is_server() {
                // SAFETY: the context is alive and the write lock is held. Handshakes that are running on other threads
                // read these words, each of which is the old or the new one: they go on with what they find, and a
                // session of theirs that nobody keeps is one that is not resumed.
                unsafe {
                    let index = ex_index().ok_or_else(|| queue::error("TLS: a new context"))?;
                    let this = ptr::from_ref(self).cast_mut().cast();
                    if ffi::SSL_CTX_set_ex_data(self.raw(), index, this) != 1 {
                        return Err(queue::error("TLS: a new context"));
                    }
                    install(self.raw(), on);
                }
            }
            Ok(())
        })
    }

    /// The context whose `SSL_CTX` this is; `None` where there is none any more.
    ///
    /// # Safety
    /// Called during a call of one of its connections, which keeps it alive.
    unsafe fn of<'a>(ctx: *const ffi::SSL_CTX) -> Option<&'a Context> {
        // SAFETY: at our index there is NULL or the context that put itself there, which takes itself out when it goes.
        unsafe {
            ffi::SSL_CTX_get_ex_data(ctx, (*EX_INDEX.get()?)?)
                .cast::<Context>()
                .as_ref()
        }
    }
}

/// The context is going; its `SSL_CTX` may stay, if the program has a reference of its own.
pub(super) fn leave(ctx: *mut ffi::SSL_CTX) {
    if let Some(Some(index)) = EX_INDEX.get() {
        // SAFETY: a live `SSL_CTX`, and our own index.
        unsafe { ffi::SSL_CTX_set_ex_data(ctx, *index, ptr::null_mut()) };
    }
}

/// Our place in an `SSL_CTX`. `None`: OpenSSL had no memory for one.
static EX_INDEX: OnceLock<Option<c_int>> = OnceLock::new();

fn ex_index() -> Option<c_int> {
    *EX_INDEX.get_or_init(|| loop {
        // SAFETY: no callbacks.
        let index = unsafe {
            ffi::CRYPTO_get_ex_new_index(
                ffi::CRYPTO_EX_INDEX_SSL_CTX,
                0,
                ptr::null_mut(),
                None,
                None,
                None,
            )
        };
        match index {
            // The program's (SSL_CTX_set_app_data).
            0 => {}
            1.. => break Some(index),
            _ => break None,
        }
    })
}

/// Lets OpenSSL ask the program, or no more.
///
/// # Safety
/// `ctx` is alive, and of a server.
unsafe fn install(ctx: *mut ffi::SSL_CTX, on: bool) {
    let mode = match on {
        // Not beside OpenSSL's own memory: a session that was used up elsewhere would live on in it. Nor is that to be
        // cleared of old ones: OpenSSL would tell the program of each with its own lock held.
        true => {
            ffi::SSL_SESS_CACHE_SERVER
                | ffi::SSL_SESS_CACHE_NO_INTERNAL
                | ffi::SSL_SESS_CACHE_NO_AUTO_CLEAR
        }
        false => ffi::SSL_SESS_CACHE_SERVER,
    };
    // SAFETY: the caller's promise; the callbacks are static.
    unsafe {
        ffi::SSL_CTX_ctrl(
            ctx,
            ffi::SSL_CTRL_SET_SESS_CACHE_MODE,
            mode as c_long,
            ptr::null_mut(),
        );
        ffi::SSL_CTX_sess_set_new_cb(ctx, on.then_some(store_of_server as _));
        ffi::SSL_CTX_sess_set_get_cb(ctx, on.then_some(load_of_server as _));
        ffi::SSL_CTX_sess_set_remove_cb(ctx, on.then_some(remove_of_server as _));
    }
}

/// The key of a client's session, and what to put into the session itself.
pub(super) fn key_of_client(
    key: &str,
    settings: &Settings,
    handed_out: usize,
) -> Result<Arc<str>, Error> {
    let mut key = format!("{key} context=");
    for byte in scope::of_client(settings, handed_out)? {
        let _ = write!(key, "{byte:02x}");
    }
    Ok(key.into())
}

/// Marks the sessions that this client's handshake makes.
pub(super) fn mark(session: &Session, key: &str) -> Result<(), Error> {
    let scope = scope::of_key(key)?;
    // SAFETY: a live SSL; 32 bytes are the most that OpenSSL takes, and copied.
    let done =
        unsafe { sys::SSL_set_session_id_context(session.ssl(), scope.as_ptr(), scope.len() as _) };
    match done {
        1 => Ok(()),
        _ => Err(queue::error("TLS: the session id context")),
    }
}

/// A client's handshake gave a session: the program may keep it.
pub(super) fn store_of_client(store: &dyn SessionStore, key: &str, session: *mut ffi::SSL_SESSION) {
    with_der(session, |der| {
        store.store(key, der);
    });
}

/// The session that the program has for a client's connection, given to OpenSSL if it fits.
pub(super) fn recall(session: &Session, store: &dyn SessionStore, key: &str) {
    let mut unfit = false;
    let found = load(store, key, &mut unfit);
    let fits = found
        .as_ref()
        .is_some_and(|found| filed_under(key, found) && give(session, found));
    // What is of no use leaves the cache, and so does what may be used once only.
    let used_up = found.as_ref().is_some_and(sessions::single_use);
    if used_up || unfit || (found.is_some() && !fits) {
        store.remove(key);
    }
}

/// Whether a session carries the digest of the key that it was kept under.
fn filed_under(key: &str, found: &SslSession) -> bool {
    let Ok(scope) = scope::of_key(key) else {
        return false;
    };
    let mut len = 0;
    // SAFETY: a live session, whose id context lives as long.
    unsafe {
        let context = sys::SSL_SESSION_get0_id_context(found.as_ptr(), &mut len);
        !context.is_null()
            && len as usize == scope.len()
            && std::slice::from_raw_parts(context, scope.len()) == scope
    }
}

/// Gives a session to OpenSSL for a client's handshake, if it is fresh and what it says of the peer does here.
pub(super) fn give(session: &Session, found: &SslSession) -> bool {
    // SAFETY: a live session; the certificate (or NULL) is its own.
    let peer = unsafe { sys::SSL_SESSION_get0_peer(found.as_ptr()) };
    let shown = match (session.mode(), session.name()) {
        (Verify::None, _) => true,
        (Verify::Full, name) => {
            let place = session.state().place();
            name.is_some_and(|name| name.matches_in(peer, place))
        }
        _ => !peer.is_null(),
    };
    // SAFETY: a live session.
    let version = unsafe { ffi::SSL_SESSION_get_protocol_version(found.as_ptr()) };
    if !shown || version < ffi::TLS1_2_VERSION || !sessions::usable(found, sessions::now()) {
        return false;
    }
    // SAFETY: a live SSL and a live session, of which OpenSSL takes a reference of its own.
    let set = unsafe { ffi::SSL_set_session(session.ssl(), found.as_ptr()) } == 1;
    if set && session.verifies() && session.code() != ffi::X509_V_OK {
        // SAFETY: a live SSL; takes the session out again, with what it said of the certificate.
        unsafe {
            ffi::SSL_set_session(session.ssl(), ptr::null_mut());
            sys::SSL_set_verify_result(session.ssl(), c_long::from(ffi::X509_V_OK));
        }
        return false;
    }
    set
}

/// Asks the program. `unfit`: it gave something that is no session.
fn load(store: &dyn SessionStore, key: &str, unfit: &mut bool) -> Option<SslSession> {
    let mut der = Vec::new();
    der.try_reserve_exact(MOST).ok()?;
    der.resize(MOST, 0);
    let len = store.load(key, &mut der);
    let session = match der.get(..len) {
        Some(bytes) if len > 0 => parse(bytes),
        _ => None,
    };
    // Keys are in it.
    wipe(&mut der);
    *unfit = len > 0 && session.is_none();
    if *unfit {
        crate::log!(
            Warn,
            "TLS: what the session callback loaded for {key} is no session"
        );
    }
    session
}

/// A whole session and nothing behind it.
pub(super) fn parse(der: &[u8]) -> Option<SslSession> {
    let mut next = der.as_ptr();
    queue::with_clean_queue(|| {
        // SAFETY: `next` points to as many readable bytes as are named; what comes back is ours.
        let session = unsafe {
            Owned::new(ffi::d2i_SSL_SESSION(
                ptr::null_mut(),
                &mut next,
                der.len() as c_long,
            ))
        };
        session.filter(|_| next == der.as_ptr_range().end)
    })
}

/// Shows a session as DER, unless it is larger than any that would be taken back.
pub(super) fn with_der(session: *mut ffi::SSL_SESSION, show: impl FnOnce(&[u8])) {
    let mut der = Vec::new();
    // SAFETY: a live session; first asked for its length, then written to a place of that length.
    let written = unsafe {
        let len = ffi::i2d_SSL_SESSION(session, ptr::null_mut());
        match usize::try_from(len) {
            Ok(len) if (1..=MOST).contains(&len) && der.try_reserve_exact(len).is_ok() => {
                der.resize(len, 0u8);
                let mut next = der.as_mut_ptr();
                ffi::i2d_SSL_SESSION(session, &mut next) as usize == len
            }
            Ok(len) => {
                crate::log!(Debug, "TLS: a session of {len} bytes is not stored");
                false
            }
            Err(_) => false,
        }
    };
    if written {
        show(&der);
    }
    wipe(&mut der);
}

/// A server's key.
fn hex(id: &[u8]) -> String {
    let mut text = String::with_capacity(2 * id.len());
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// # Safety
/// `session` is alive; the bytes live as long.
unsafe fn id<'a>(session: *const ffi::SSL_SESSION) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: the caller's promise; an id (of no bytes, too) is inside the session.
    unsafe {
        let id = ffi::SSL_SESSION_get_id(session, &mut len);
        match len {
            0 => &[],
            _ => std::slice::from_raw_parts(id, len as usize),
        }
    }
}

/// Whose callbacks are still called.
fn store_of(state: &State) -> Option<&Arc<dyn SessionStore>> {
    match state.context().is_freed() {
        true => None,
        false => state.settings().outside.as_ref(),
    }
}

/// OpenSSL has a new session of a server's.
unsafe extern "C" fn store_of_server(ssl: *mut ffi::SSL, session: *mut ffi::SSL_SESSION) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live SSL during one of its session's calls.
        let Some(state) = (unsafe { State::of(ssl) }) else {
            return;
        };
        let Some(store) = store_of(state) else { return };
        // What a callback accepted against OpenSSL's judgement is asked again each time.
        if !state.believes(ssl) {
            return;
        }
        // SAFETY: OpenSSL gives a live session.
        let key = hex(unsafe { id(session) });
        with_der(session, |der| {
            store.store(&key, der);
        });
    }));
    // No reference is kept.
    0
}

/// OpenSSL looks for a session that a server's client wants to resume.
unsafe extern "C" fn load_of_server(
    ssl: *mut ffi::SSL,
    wanted: *const c_uchar,
    len: c_int,
    copy: *mut c_int,
) -> *mut ffi::SSL_SESSION {
    // SAFETY: OpenSSL gives a place for the answer: the reference that is returned becomes its own.
    unsafe { *copy = 0 };
    let find = || -> Option<SslSession> {
        // SAFETY: OpenSSL calls this with a live SSL during its handshake, and `len` bytes.
        let (state, wanted) = unsafe {
            let len = usize::try_from(len).ok().filter(|len| *len > 0)?;
            (State::of(ssl)?, std::slice::from_raw_parts(wanted, len))
        };
        let store = store_of(state)?;
        let key = hex(wanted);
        let mut unfit = false;
        let found = load(&**store, &key, &mut unfit);
        let fits = found.as_ref().is_some_and(|found| {
            // SAFETY: a live session and a live SSL.
            let (same, version, shown) = unsafe {
                (
                    id(found.as_ptr()) == wanted,
                    ffi::SSL_SESSION_get_protocol_version(found.as_ptr()) == ffi::SSL_version(ssl),
                    !sys::SSL_SESSION_get0_peer(found.as_ptr()).is_null(),
                )
            };
            // Its id context, age and cipher are OpenSSL's to look at.
            same && version && (shown || state.mode() != Verify::RequireClient)
        });
        let used_up = found.as_ref().is_some_and(sessions::single_use);
        if used_up || unfit || (found.is_some() && !fits) {
            store.remove(&key);
        }
        found.filter(|_| fits)
    };
    let found = catch_unwind(AssertUnwindSafe(find)).ok().flatten();
    found.map_or(ptr::null_mut(), Owned::into_raw)
}

/// OpenSSL found a session of a server's to be of no use (a fatal alert, its age).
unsafe extern "C" fn remove_of_server(ctx: *mut ffi::SSL_CTX, session: *mut ffi::SSL_SESSION) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live context and session, during a call of one of the context's connections,
        // which keeps our context alive; NULL where there is none any more.
        let (context, id) = unsafe { (Context::of(ctx), id(session)) };
        let Some(context) = context.filter(|context| !context.is_freed()) else {
            return;
        };
        if let Some(store) = context.session_store() {
            if !id.is_empty() {
                store.remove(&hex(id));
            }
        }
    }));
}
