//! A TLS context: one role, its settings, its trust, its sessions. Shared by threads: a setter takes the write lock,
//! making an SSL the read lock. No lock is held while a program's callback runs: each session has the settings of the
//! moment it was made.

use super::ciphers::Ciphers;
use super::early::EarlyData;
use super::identity::Identity;
use super::keylog::KeyLog;
use super::outside;
use super::owned::Owned;
use super::pem::Pem;
use super::sessions::Sessions;
use super::sni::Table;
use super::trust::{self, Added};
use super::types::{
    invalid, AlpnDecider, Error, PasswordCallback, SessionStore, Timeouts, Trust, Verify,
    VerifyCallback,
};
use super::verify::Judge;
use super::{queue, scope, ssl_ctx};
use crate::errno::Errno;
use openssl_sys as ffi;
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What a session copies when it is made. Never changed in place.
#[derive(Clone, Default)]
pub(super) struct Settings {
    /// Which context it is.
    pub(super) number: usize,
    pub(super) verify: Option<Verify>,
    /// A socket's client verifies nothing unless it is told to.
    pub(super) lax: bool,
    /// A server's client that renegotiates is not asked again.
    pub(super) once: bool,
    pub(super) verify_callback: Option<Judge>,
    /// How often that was set: a part of a server's session id context, which cannot tell two callbacks apart.
    pub(super) verify_callbacks_set: u32,
    /// In wire form; empty: none.
    pub(super) alpn: Arc<[u8]>,
    /// A server goes on without one where a client offers none of its own.
    pub(super) alpn_optional: bool,
    pub(super) alpn_callback: Option<AlpnDecider>,
    pub(super) no_reuse: bool,
    /// Where sessions are kept in place of our memory.
    pub(super) outside: Option<Arc<dyn SessionStore>>,
    /// Who is asked for the password of a key.
    pub(super) password: Option<PasswordCallback>,
    pub(super) keylog: Option<Arc<KeyLog>>,
    /// Where the program said something about it.
    pub(super) early_data: Option<EarlyData>,
    pub(super) identity: Option<Arc<Identity>>,
    /// A server's pairs for names.
    pub(super) names: Table,
    pub(super) ciphers: Ciphers,
    /// Pairs of several kinds were loaded one after the other: only the last one counts.
    pub(super) replaced: bool,
    /// Digests of what is trusted.
    pub(super) trust: BTreeSet<[u8; 32]>,
    /// Whom a server names when it asks for a certificate.
    pub(super) authorities: Arc<Vec<Owned<ffi::X509>>>,
}

impl Settings {
    /// What is checked when nobody said otherwise: everything by a client, nothing by a server.
    pub(super) fn mode(&self, server: bool) -> Verify {
        self.verify
            .unwrap_or(if server { Verify::None } else { Verify::Full })
    }

    /// OpenSSL's flag besides the mode's.
    pub(super) fn once(&self) -> c_int {
        match self.once {
            true => ffi::SSL_VERIFY_CLIENT_ONCE,
            false => 0,
        }
    }

    /// The same of a socket.
    pub(super) fn mode_of_socket(&self, server: bool) -> Verify {
        match self.verify {
            None if self.lax => Verify::None,
            _ => self.mode(server),
        }
    }
}

/// How many were made.
static CONTEXTS: AtomicUsize = AtomicUsize::new(0);

/// A TLS context: one role, any number of sessions, shared by threads.
pub struct Context {
    ssl_ctx: Owned<ffi::SSL_CTX>,
    server: bool,
    pub(super) settings: RwLock<Arc<Settings>>,
    pub(super) sessions: Sessions,
    holders: AtomicUsize,
    freed: AtomicBool,
    warned: AtomicBool,
    /// How often the program got the `SSL_CTX`.
    handed_out: AtomicUsize,
    /// There is, or was, an SSL of it.
    pub(super) used: AtomicBool,
    pub(super) timeouts: Timeouts,
}

impl Context {
    /// A client's context: verifies chain and name.
    pub fn client(trust: Trust<'_>) -> Result<Arc<Context>, Error> {
        queue::with_clean_queue(|| {
            let context = Context::new(false)?;
            let trusted = match trust {
                Trust::System => trust::add_system(context.store())?,
                Trust::Path(path) => [trust::add_path(context.store(), path)?.digest].into(),
                Trust::Nobody => BTreeSet::new(),
            };
            context.change(|settings| {
                settings.trust = trusted;
                Ok(())
            })?;
            Ok(Arc::new(context))
        })
    }

    /// A server's context: without a certificate yet, asks clients for none.
    pub fn server() -> Result<Arc<Context>, Error> {
        queue::with_clean_queue(|| {
            let context = Context::new(true)?;
            context.name_sessions(&Settings::default())?;
            Ok(Arc::new(context))
        })
    }

    pub(super) fn new(server: bool) -> Result<Context, Error> {
        let ssl_ctx = ssl_ctx::new(server)?;
        Ok(Context {
            ssl_ctx,
            server,
            settings: RwLock::new(Arc::new(Settings {
                number: CONTEXTS.fetch_add(1, Ordering::Relaxed),
                ..Settings::default()
            })),
            sessions: Sessions::default(),
            holders: AtomicUsize::new(0),
            freed: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            handed_out: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            timeouts: Timeouts::default(),
        })
    }

    pub(super) fn store(&self) -> *mut ffi::X509_STORE {
        // SAFETY: a live context, which owns its store.
        unsafe { ffi::SSL_CTX_get_cert_store(self.ssl_ctx.as_ptr()) }
    }

    /// Changes the settings; sessions of before are not offered any more. Changes nothing when `work` fails.
    pub(super) fn change<R>(
        &self,
        work: impl FnOnce(&mut Settings) -> Result<R, Error>,
    ) -> Result<R, Error> {
        queue::with_clean_queue(|| {
            let mut slot = self
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let mut settings = Settings::clone(&slot);
            let result = work(&mut settings)?;
            if self.server {
                self.name_sessions(&settings)?;
            }
            let before = std::mem::replace(&mut *slot, Arc::new(settings));
            let discarded = self.sessions.discard();
            drop(slot);
            // What is freed now may call code of the program's.
            drop((before, discarded));
            Ok(result)
        })
    }

    /// A server's session id context is a digest of how it verifies.
    pub(super) fn name_sessions(&self, settings: &Settings) -> Result<(), Error> {
        let scope = scope::of_server(settings)?;
        // SAFETY: a live context, whose settings we may change (the write lock is held, or nobody else has it yet); 32
        // bytes are the most that OpenSSL takes.
        let done = unsafe {
            ffi::SSL_CTX_set_session_id_context(
                self.ssl_ctx.as_ptr(),
                scope.as_ptr(),
                scope.len() as _,
            )
        };
        if done == 1 {
            Ok(())
        } else {
            Err(queue::error("TLS: the session id context"))
        }
    }

    pub(super) fn trusts(settings: &mut Settings, server: bool, added: Added) {
        settings.trust.insert(added.digest);
        if !server {
            return;
        }
        let mut all: Vec<Owned<ffi::X509>> = Vec::new();
        for old in settings.authorities.iter() {
            // SAFETY: a live certificate; the reference that this adds is owned by the value made of it.
            all.extend(unsafe {
                ffi::X509_up_ref(old.as_ptr());
                Owned::new(old.as_ptr())
            });
        }
        all.extend(added.authorities);
        settings.authorities = Arc::new(all);
    }

    /// Adds a PEM file or a hashed directory to the trust store.
    pub fn load_ca(&self, path: &Path) -> Result<(), Error> {
        self.change(|settings| {
            let added = trust::add_path(self.store(), path)?;
            Context::trusts(settings, self.server, added);
            Ok(())
        })
    }

    /// Adds the certificates of a PEM in memory to the trust store.
    pub fn load_ca_pem(&self, pem: &[u8]) -> Result<(), Error> {
        let pem = Pem::memory(pem, "the CA certificates in memory")?;
        self.change(|settings| {
            let added = trust::add_pem(self.store(), &pem)?;
            Context::trusts(settings, self.server, added);
            Ok(())
        })
    }

    /// Replaces the own pair.
    pub fn load_certificate(&self, chain: &Path, key: &Path) -> Result<(), Error> {
        self.load_identity(&Pem::file(chain)?, &Pem::file(key)?)
    }

    /// As `load_certificate`, from memory.
    pub fn load_certificate_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        self.load_identity(
            &Pem::memory(chain, "the certificate in memory")?,
            &Pem::memory(key, "the key in memory")?,
        )
    }

    pub(super) fn load_identity(&self, chain: &Pem, key: &Pem) -> Result<(), Error> {
        let identity = self.read_identity(chain, key)?;
        self.show(identity)
    }

    /// To be called before the lock: the program may be asked for a password.
    pub(super) fn read_identity(&self, chain: &Pem, key: &Pem) -> Result<Identity, Error> {
        let password = self.settings().password.clone();
        let identity = queue::with_clean_queue(|| Identity::read(chain, key, password.as_ref()))?;
        if self.is_freed() {
            return Err(Error {
                errno: Errno(libc::ECANCELED),
                text: "TLS: the password callback freed the context".to_owned(),
            });
        }
        Ok(identity)
    }

    /// Makes it the own pair.
    pub(super) fn show(&self, identity: Identity) -> Result<(), Error> {
        // A resumed session goes on under the identity of its first handshake: those of the old pair are discarded.
        self.change(|settings| {
            identity.use_in(self.ssl_ctx.as_ptr())?;
            if let Some(old) = &settings.identity {
                settings.replaced |= old.kind() != identity.kind();
            }
            settings.identity = Some(Arc::new(identity));
            Ok(())
        })
    }

    /// What is checked.
    pub fn set_verify(&self, mode: Verify) -> Result<(), Error> {
        if !mode.fits(self.server) {
            return Err(invalid(if self.server {
                "TLS: this verification mode is for clients, and the context is a server's"
            } else {
                "TLS: this verification mode is for servers, and the context is a client's"
            }));
        }
        self.change(|settings| {
            settings.verify = Some(mode);
            settings.once = false;
            self.show_mode(mode, 0);
            Ok(())
        })?;
        if mode == Verify::None && !self.server {
            self.warn_of_anybody();
        }
        Ok(())
    }

    /// Tells the `SSL_CTX` the mode, for programs that ask OpenSSL; what they had set there themselves ends with it. To be
    /// called with the write lock held, or where nobody else has the context yet.
    pub(super) fn show_mode(&self, mode: Verify, more: c_int) {
        // SAFETY: a live context. Sessions copy the mode when they are made.
        unsafe { ffi::SSL_CTX_set_verify(self.raw(), mode.flags_and(more), None) };
    }

    /// Said once.
    pub(super) fn warn_of_anybody(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            crate::log!(
                Warn,
                "TLS: verification is off: a connection of this context may be with anybody"
            );
        }
    }

    /// The program's word on each certificate; `None` removes it.
    pub fn set_verify_callback(&self, callback: Option<VerifyCallback>) -> Result<(), Error> {
        self.set_judge(callback.map(Judge::Checked))
    }

    pub(super) fn set_judge(&self, judge: Option<Judge>) -> Result<(), Error> {
        self.change(|settings| {
            settings.verify_callback = judge;
            settings.verify_callbacks_set = settings.verify_callbacks_set.wrapping_add(1);
            Ok(())
        })
    }

    /// The lowest and the highest version, as numbers of the protocol; 0 is the default.
    pub fn set_versions(&self, min: c_int, max: c_int) -> Result<(), Error> {
        let known =
            |version| version == 0 || (ffi::TLS1_VERSION..=ffi::TLS1_3_VERSION).contains(&version);
        if !known(min) || !known(max) {
            return Err(invalid(
                "TLS: unknown version; 0x0303 is TLS 1.2 and 0x0304 is TLS 1.3",
            ));
        }
        let min = if min == 0 { ffi::TLS1_2_VERSION } else { min };
        if max != 0 && max < min {
            return Err(invalid("TLS: the lowest version is above the highest"));
        }
        self.change(|_| {
            let ctx = self.ssl_ctx.as_ptr();
            // SAFETY: a live context, whose settings we may change: the write lock is held.
            let done = unsafe {
                if min < ffi::TLS1_2_VERSION && ffi::SSL_CTX_get_security_level(ctx) > 0 {
                    return Err(invalid(
                        "TLS: versions below 1.2 need a security level of 0 (SSL_CTX_set_security_level)",
                    ));
                }
                ffi::SSL_CTX_set_min_proto_version(ctx, min) == 1
                    && ffi::SSL_CTX_set_max_proto_version(ctx, max) == 1
            };
            if done {
                Ok(())
            } else {
                Err(queue::error("TLS: the versions"))
            }
        })
    }

    /// Whether sessions are resumed: by a client, and with a server.
    pub fn set_session_reuse(&self, on: bool) -> Result<(), Error> {
        self.change(|settings| {
            settings.no_reuse = !on;
            Ok(())
        })
    }

    /// The `SSL_CTX`, which lives as long as this context. Sessions of before are not offered any more: nobody can
    /// know what is changed through it.
    pub fn ssl_ctx(&self) -> *mut ffi::SSL_CTX {
        drop(self.sessions.discard());
        self.handed_out.fetch_add(1, Ordering::AcqRel);
        self.raw()
    }

    fn settings(&self) -> Arc<Settings> {
        let slot = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&slot)
    }

    pub(super) fn handed_out(&self) -> usize {
        self.handed_out.load(Ordering::Acquire)
    }

    /// Whether there was an SSL of it: what running handshakes read in the `SSL_CTX` must not be changed then.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// For this room: as [`Context::ssl_ctx`], for what the settings know of.
    pub(super) fn raw(&self) -> *mut ffi::SSL_CTX {
        self.ssl_ctx.as_ptr()
    }

    /// Where sessions are kept, if not in our memory.
    pub(super) fn session_store(&self) -> Option<Arc<dyn SessionStore>> {
        self.settings().outside.clone()
    }

    /// Whether it is a server's context.
    pub fn is_server(&self) -> bool {
        self.server
    }

    /// Whether the last holder let it go: callbacks of a freed context are not called any more.
    pub(super) fn is_freed(&self) -> bool {
        self.freed.load(Ordering::Acquire)
    }

    /// For `Hold` alone.
    pub(super) fn add_holder(&self) {
        self.holders.fetch_add(1, Ordering::AcqRel);
        self.freed.store(false, Ordering::Release);
    }

    /// For `Hold` alone.
    pub(super) fn remove_holder(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.freed.store(true, Ordering::Release);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        outside::leave(self.raw());
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
