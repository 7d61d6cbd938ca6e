//! What a socket and the poll sets that watch it have to tell each other: that TLS holds bytes the kernel knows nothing of,
//! for which direction a handshake waits, that the socket ends. Any thread: a set may be waited on by another one than
//! uses the socket. Knows neither how TLS nor how a set is done.

use crate::evloop::Interest;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A poll set, as a socket sees it.
pub(super) trait Watching: Send + Sync {
    /// What TLS waits for has changed: it is not nothing, or a handshake is over.
    fn attend(&self, key: u64);
    /// The socket ends; its descriptor is open still.
    fn forget(&self, key: u64);
}

/// The registrations of a socket, and what TLS waits for.
#[derive(Default)]
pub struct Readiness {
    tls: AtomicU8,
    /// Which sets, and as what. Locked before what a set locks.
    sets: Mutex<Vec<(Weak<dyn Watching>, u64)>>,
}

/// The two directions as they are in [`Interest`].
const DIRECTIONS: u8 = 3;
const HANDSHAKE: u8 = 4;
const BUFFERED: u8 = 8;

impl Readiness {
    /// Says what TLS waits for, after each call that may have changed it. `handshake`: one is unfinished, and its last step
    /// wanted this (NONE: there was no step yet). `buffered`: there is decrypted data, or a complete record read ahead; or,
    /// without TLS, something that it left behind. Costs next to nothing where nothing has changed.
    #[inline]
    pub fn note(&self, handshake: Option<Interest>, buffered: bool) {
        let mut tls = if buffered { BUFFERED } else { 0 };
        if let Some(wanted) = handshake {
            tls |= HANDSHAKE | wanted.0 & DIRECTIONS;
        }
        if self.tls.load(Ordering::Relaxed) != tls {
            self.changed(tls);
        }
    }

    #[cold]
    fn changed(&self, tls: u8) {
        let before = self.tls.swap(tls, Ordering::AcqRel);
        if tls == 0 && before & HANDSHAKE == 0 {
            // That there is nothing more to be told a set sees by itself; that a handshake is over changes what it waits for.
            return;
        }
        for (set, key) in self.lock().iter() {
            if let Some(set) = set.upgrade() {
                set.attend(*key);
            }
        }
    }

    /// What an unfinished handshake waits for; `None` where there is none.
    pub fn handshake(&self) -> Option<Interest> {
        let tls = self.tls.load(Ordering::Acquire);
        (tls & HANDSHAKE != 0).then_some(Interest(tls & DIRECTIONS))
    }

    /// Whether bytes can be read that the kernel does not have any more.
    pub fn is_buffered(&self) -> bool {
        self.tls.load(Ordering::Acquire) & BUFFERED != 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Weak<dyn Watching>, u64)>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a registration, which `register` makes and gives the key of, unless that set has one.
    pub(super) fn enter<E>(
        &self,
        set: &Arc<dyn Watching>,
        register: impl FnOnce() -> Result<u64, E>,
    ) -> Result<bool, E> {
        let mut sets = self.lock();
        sets.retain(|(other, _)| other.strong_count() > 0);
        if sets.iter().any(|(other, _)| is(other, set)) {
            return Ok(false);
        }
        sets.push((Arc::downgrade(set), register()?));
        Ok(true)
    }

    /// As what a set knows the socket.
    pub(super) fn key(&self, set: &Arc<dyn Watching>) -> Option<u64> {
        let sets = self.lock();
        sets.iter()
            .find(|(other, _)| is(other, set))
            .map(|(_, key)| *key)
    }

    /// Takes a registration away; as what.
    pub(super) fn leave(&self, set: &Arc<dyn Watching>) -> Option<u64> {
        let mut sets = self.lock();
        let at = sets.iter().position(|(other, _)| is(other, set))?;
        Some(sets.swap_remove(at).1)
    }

    /// The socket ends: before its descriptor is closed, so that no set hears of who gets that number next.
    pub(super) fn end(&self) {
        let sets = std::mem::take(&mut *self.lock());
        for (set, key) in sets {
            if let Some(set) = set.upgrade() {
                set.forget(key);
            }
        }
    }
}

fn is(one: &Weak<dyn Watching>, other: &Arc<dyn Watching>) -> bool {
    std::ptr::addr_eq(one.as_ptr(), Arc::as_ptr(other))
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.tls).finish()
    }
}
