//! Which TLS streams of a thread keep OpenSSL's record buffers (some 32 KiB each).
//!
//! Giving them back after each record costs OpenSSL up to a seventh of a small round trip; keeping them costs each idle
//! connection more than all its other memory. So a stream gives them back where it is seen to be idle (after the
//! handshake, and when it is woken for nothing but tickets); a stream that is used keeps them and is listed; and the list
//! is looked through in small steps, as streams join it and are used: one that was not used between two looks gives its
//! buffers back and leaves. When nothing at all happens for a while, everybody leaves ([`release_all`]).

use super::secure::Secure;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// So many streams of a thread are not looked at.
const FEW: usize = 16;
/// No more than so many are listed.
const MOST: usize = 1024;
/// After so many uses of listed streams some are looked at. (And one when another joins: more would find streams that
/// take turns unused because it is not their turn.)
const USES: u32 = 256;
/// How many are looked at then.
const LOOKS: usize = 4;

/// The way from a thread's list back to a stream. A stream may die on another thread than the one that lists it (its
/// loop freed by somebody else): the lock keeps it alive for as long as it is looked at.
pub(super) struct Lease(Mutex<Option<Listed>>);

struct Listed(NonNull<Secure>);
// SAFETY: only used under the lease's lock, which the stream takes before it dies, and by the thread that lists it, which
// is the one that reads and writes the stream.
unsafe impl Send for Listed {}

impl Lease {
    /// # Safety
    /// `stream` stays where it is until it has called `end`.
    pub(super) unsafe fn new(stream: &Secure) -> Arc<Lease> {
        Arc::new(Lease(Mutex::new(Some(Listed(NonNull::from(stream))))))
    }

    /// The stream leaves by itself, or dies.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The stream gives its buffers back, unless it was used since the last look and `spare_used`. Whether it stays.
    fn look(&self, spare_used: bool) -> bool {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Listed(stream)) = &*listed else {
            return false;
        };
        // SAFETY: `end` waits for the lock, so the stream is alive; what is called here does not take the lock, and runs no
        // code of anybody who could.
        let stream = unsafe { stream.as_ref() };
        if stream.take_used() && spare_used {
            return true;
        }
        *listed = None;
        stream.leave();
        false
    }
}

struct List {
    leases: Vec<Arc<Lease>>,
    /// The next one to be looked at.
    hand: usize,
}

impl List {
    fn look(&mut self, count: usize) {
        for _ in 0..count {
            let over = self.leases.len() > MOST;
            if self.leases.len() <= FEW {
                return;
            }
            if self.hand >= self.leases.len() {
                self.hand = 0;
            }
            if self.leases[self.hand].look(!over) {
                self.hand += 1;
            } else {
                self.leases.swap_remove(self.hand);
            }
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        for lease in &self.leases {
            lease.look(false);
        }
    }
}

thread_local! {
    static LIST: RefCell<List> = const { RefCell::new(List { leases: Vec::new(), hand: 0 }) };
    static USED: Cell<u32> = const { Cell::new(0) };
}

/// A listed stream is used.
#[inline(always)]
pub(super) fn count_use() {
    let used = USED.get().wrapping_add(1);
    USED.set(used);
    if used % USES == 0 {
        look();
    }
}

#[cold]
fn look() {
    // Nothing that runs under the borrow comes back here: it gives memory back.
    let _ = LIST.try_with(|list| list.borrow_mut().look(LOOKS));
}

/// The stream keeps its buffers from now on. False where the thread is ending.
pub(super) fn join(lease: &Arc<Lease>) -> bool {
    LIST.try_with(|list| {
        let mut list = list.borrow_mut();
        list.look(1);
        list.leases.push(Arc::clone(lease));
    })
    .is_ok()
}

/// Nothing has happened on this thread for a while: all its streams give their buffers back.
pub fn release_all() {
    let _ = LIST.try_with(|list| {
        let leases = std::mem::take(&mut list.borrow_mut().leases);
        for lease in leases {
            lease.look(false);
        }
    });
}
