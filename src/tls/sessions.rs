//! A client's sessions, to be resumed: put, take, discard. Keyed by a printable text that says under which conditions
//! each was verified. Knows nothing of how a session is judged.

use super::owned::Owned;
use super::sys;
use openssl_sys as ffi;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Sessions in a context.
const MAX_SESSIONS: usize = 1000;
/// Sessions under one key: servers send two tickets, and a client may open a few connections at once.
const MAX_PER_KEY: usize = 4;

pub(super) type SslSession = Owned<ffi::SSL_SESSION>;

#[derive(Default)]
struct Inner {
    /// Which settings the sessions here were made under.
    generation: u32,
    /// The age of the next session.
    next: u64,
    by_key: HashMap<Arc<str>, VecDeque<(u64, SslSession)>>,
    /// Connections to one peer share the text of their key.
    last_key: Option<Arc<str>>,
    by_age: BTreeMap<u64, Arc<str>>,
}

/// The sessions of one context.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Inner>);

/// Sessions that left the cache. OpenSSL may call the program's code when they are freed: drop it without a lock.
#[must_use]
pub(super) struct Discarded(#[allow(dead_code)] Vec<SslSession>);

impl Sessions {
    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which settings a session has to be made under to be kept.
    pub(super) fn generation(&self) -> u32 {
        self.with(|inner| inner.generation)
    }

    /// The settings changed: nothing of before is offered any more, not even what a running handshake yet gives.
    pub(super) fn discard(&self) -> Discarded {
        self.with(|inner| {
            inner.generation += 1;
            inner.by_age.clear();
            let all = std::mem::take(&mut inner.by_key);
            Discarded(
                all.into_values()
                    .flatten()
                    .map(|(_, session)| session)
                    .collect(),
            )
        })
    }

    /// The key with the text that an earlier connection to the same peer has, where there was one.
    pub(super) fn share_key(&self, key: Arc<str>) -> Arc<str> {
        self.with(|inner| {
            let known = inner.last_key.as_ref().filter(|last| ***last == *key);
            let known = known.or_else(|| inner.by_key.get_key_value(&*key).map(|(known, _)| known));
            let key = known.map_or(key, Arc::clone);
            inner.last_key = Some(Arc::clone(&key));
            key
        })
    }

    /// Keeps a session that was made under the settings of `generation`; the oldest go where there are too many.
    pub(super) fn put(&self, generation: u32, key: &Arc<str>, session: SslSession) -> Discarded {
        let single_use = single_use(&session);
        self.with(|inner| {
            if generation != inner.generation {
                return Discarded(vec![session]);
            }
            let mut out = Vec::new();
            let age = inner.next;
            inner.next += 1;
            let queue = inner.by_key.entry(Arc::clone(key)).or_default();
            // A session that can be used again makes the earlier ones needless.
            let keep = if single_use { MAX_PER_KEY - 1 } else { 0 };
            while queue.len() > keep {
                if let Some((age, session)) = queue.pop_front() {
                    inner.by_age.remove(&age);
                    out.push(session);
                }
            }
            queue.push_back((age, session));
            inner.by_age.insert(age, Arc::clone(key));
            if inner.by_age.len() > MAX_SESSIONS {
                out.extend(inner.remove_oldest());
            }
            Discarded(out)
        })
    }

    /// The newest session under a key that can still be resumed, if the settings are those of `generation`. One that may be used once only leaves the cache.
    pub(super) fn take(&self, generation: u32, key: &str) -> (Option<SslSession>, Discarded) {
        let now = now();
        self.with(|inner| {
            let mut out = Vec::new();
            let mut found = None;
            if generation != inner.generation {
                return (None, Discarded(out));
            }
            while let Some((age, session)) = inner.remove_newest(key) {
                if !usable(&session, now) {
                    out.push(session);
                } else if single_use(&session) {
                    found = Some(session);
                    break;
                } else {
                    // SAFETY: a live session; the reference that this adds is owned by the value made of it.
                    found = unsafe {
                        ffi::SSL_SESSION_up_ref(session.as_ptr());
                        Owned::new(session.as_ptr())
                    };
                    inner.restore(key, age, session);
                    break;
                }
            }
            (found, Discarded(out))
        })
    }

    /// Forgets what is kept under a key.
    pub(super) fn forget(&self, key: &str) -> Discarded {
        self.with(|inner| {
            let mut out = Vec::new();
            while let Some((_, session)) = inner.remove_newest(key) {
                out.push(session);
            }
            Discarded(out)
        })
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.with(|inner| inner.by_age.len())
    }
}

impl Inner {
    fn remove_newest(&mut self, key: &str) -> Option<(u64, SslSession)> {
        let queue = self.by_key.get_mut(key)?;
        let entry = queue.pop_back();
        if queue.is_empty() {
            self.by_key.remove(key);
        }
        let (age, session) = entry?;
        self.by_age.remove(&age);
        Some((age, session))
    }

    fn restore(&mut self, key: &str, age: u64, session: SslSession) {
        let key: Arc<str> = key.into();
        self.by_age.insert(age, Arc::clone(&key));
        self.by_key
            .entry(key)
            .or_default()
            .push_back((age, session));
    }

    fn remove_oldest(&mut self) -> Option<SslSession> {
        let (age, key) = self.by_age.pop_first()?;
        let queue = self.by_key.get_mut(&key)?;
        // Within a key the oldest is in front.
        let entry = queue.pop_front();
        if queue.is_empty() {
            self.by_key.remove(&key);
        }
        debug_assert_eq!(entry.as_ref().map(|(age, _)| *age), Some(age));
        entry.map(|(_, session)| session)
    }
}

/// Seconds since 1970, as sessions count them.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

/// TLS 1.3 tickets are used once: a second use would let an observer link the two connections (RFC 8446, C.4).
pub(super) fn single_use(session: &SslSession) -> bool {
    // SAFETY: a live session.
    unsafe { ffi::SSL_SESSION_get_protocol_version(session.as_ptr()) >= ffi::TLS1_3_VERSION }
}

/// Whether it can be resumed, and is not too old.
pub(super) fn usable(session: &SslSession, now: i64) -> bool {
    let session = session.as_ptr();
    // SAFETY: a live session.
    let (made, lifetime, resumable) = unsafe {
        (
            ffi::SSL_SESSION_get_time(session),
            ffi::SSL_SESSION_get_timeout(session),
            sys::SSL_SESSION_is_resumable(session),
        )
    };
    resumable == 1 && now < made.saturating_add(lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::{c_int, c_long};

    extern "C" {
        fn SSL_SESSION_new() -> *mut ffi::SSL_SESSION;
        fn SSL_SESSION_set1_id(session: *mut ffi::SSL_SESSION, id: *const u8, len: u32) -> c_int;
        fn SSL_SESSION_set_protocol_version(
            session: *mut ffi::SSL_SESSION,
            version: c_int,
        ) -> c_int;
        fn SSL_SESSION_set_time(session: *mut ffi::SSL_SESSION, time: c_long) -> c_long;
    }

    /// A session that can be resumed.
    fn session(version: c_int) -> SslSession {
        // SAFETY: a new session of ours.
        unsafe {
            let session = Owned::new(SSL_SESSION_new()).unwrap();
            SSL_SESSION_set1_id(session.as_ptr(), [7].as_ptr(), 1);
            SSL_SESSION_set_protocol_version(session.as_ptr(), version);
            session
        }
    }

    fn ticket() -> SslSession {
        session(ffi::TLS1_3_VERSION)
    }

    fn put(sessions: &Sessions, key: &str, session: SslSession) {
        drop(sessions.put(sessions.generation(), &key.into(), session));
    }

    fn take(sessions: &Sessions, key: &str) -> Option<*mut ffi::SSL_SESSION> {
        let (found, _) = sessions.take(sessions.generation(), key);
        found.map(|session| session.as_ptr())
    }

    #[test]
    fn a_ticket_is_taken_once_the_newest_first() {
        let sessions = Sessions::default();
        let (one, two) = (ticket(), ticket());
        let (first, second) = (one.as_ptr(), two.as_ptr());
        put(&sessions, "a", one);
        put(&sessions, "a", two);
        assert_eq!(take(&sessions, "b"), None);
        assert_eq!(take(&sessions, "a"), Some(second));
        assert_eq!(take(&sessions, "a"), Some(first));
        assert_eq!(take(&sessions, "a"), None);
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn a_session_of_tls_1_2_stays_and_replaces_the_earlier_ones() {
        let sessions = Sessions::default();
        put(&sessions, "a", ticket());
        put(&sessions, "a", session(ffi::TLS1_2_VERSION));
        let newest = session(ffi::TLS1_2_VERSION);
        let address = newest.as_ptr();
        put(&sessions, "a", newest);
        assert_eq!(sessions.len(), 1);
        assert_eq!(take(&sessions, "a"), Some(address));
        assert_eq!(take(&sessions, "a"), Some(address));
        assert_eq!(sessions.len(), 1);
    }

    #[test]
    fn the_oldest_go_first() {
        let sessions = Sessions::default();
        for i in 0..MAX_SESSIONS + 10 {
            put(&sessions, &i.to_string(), ticket());
        }
        assert_eq!(sessions.len(), MAX_SESSIONS);
        assert_eq!(take(&sessions, "9"), None);
        assert!(take(&sessions, "10").is_some());
        for _ in 0..MAX_PER_KEY + 10 {
            put(&sessions, "one", ticket());
        }
        assert_eq!(sessions.len(), MAX_SESSIONS - 1 + 1);
        let taken = std::iter::from_fn(|| take(&sessions, "one")).count();
        assert_eq!(taken, MAX_PER_KEY);
        sessions.with(|inner| {
            let listed: usize = inner.by_key.values().map(VecDeque::len).sum();
            assert_eq!(listed, inner.by_age.len());
            assert!(inner.by_key.values().all(|queue| !queue.is_empty()));
        });
    }

    #[test]
    fn what_is_too_old_is_dropped() {
        let sessions = Sessions::default();
        let old = ticket();
        // SAFETY: a session of ours.
        unsafe { SSL_SESSION_set_time(old.as_ptr(), 1000) };
        put(&sessions, "a", old);
        assert_eq!(take(&sessions, "a"), None);
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn nothing_of_before_survives_a_change() {
        let sessions = Sessions::default();
        let before = sessions.generation();
        put(&sessions, "a", ticket());
        drop(sessions.discard());
        assert_eq!(sessions.len(), 0);
        drop(sessions.put(before, &"a".into(), ticket()));
        assert_eq!(sessions.len(), 0);
        put(&sessions, "a", ticket());
        assert!(sessions.take(before, "a").0.is_none());
        assert!(take(&sessions, "a").is_some());
    }

    #[test]
    fn a_key_can_be_forgotten() {
        let sessions = Sessions::default();
        put(&sessions, "a", ticket());
        put(&sessions, "a", ticket());
        put(&sessions, "b", ticket());
        drop(sessions.forget("a"));
        assert_eq!(take(&sessions, "a"), None);
        assert_eq!(sessions.len(), 1);
    }
}
