//! Which TLS streams of a thread keep OpenSSL's record buffers (some 32 KiB each).
//!
//! Giving them back after each record costs OpenSSL nearly a tenth of a small round trip; keeping them costs each idle
//! connection more than all its other memory. So the streams that moved bytes last keep theirs, a fixed number a thread,
//! and each that joins them makes the one that has been among them longest give its own back. A stream that is among
//! them pays one look at a flag. A handshake alone is no way in: a connection that has only been made is idle.

use super::secure::Secure;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// How many streams of one thread keep their buffers.
const KEPT: usize = 16;

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

    /// The stream dies.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The stream gives its buffers back.
    fn cool(&self) {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Listed(stream)) = &*listed {
            // SAFETY: `end` waits for the lock, so the stream is alive; `cool` runs no code of anybody who could take
            // the lock again.
            unsafe { stream.as_ref() }.cool();
        }
    }
}

struct Kept {
    leases: [Option<Arc<Lease>>; KEPT],
    /// The one that has been here longest.
    oldest: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for lease in self.leases.iter().flatten() {
            lease.cool();
        }
    }
}

thread_local!(static STREAMS: RefCell<Kept> = const {
    RefCell::new(Kept {
        leases: [const { None }; KEPT],
        oldest: 0,
    })
});

/// The stream becomes one of those that keep their buffers. False where the thread is ending.
pub(super) fn join(lease: &Arc<Lease>) -> bool {
    let joined = STREAMS.try_with(|streams| {
        let mut streams = streams.borrow_mut();
        let oldest = streams.oldest;
        streams.oldest = (oldest + 1) % KEPT;
        streams.leases[oldest].replace(Arc::clone(lease))
    });
    match joined {
        Ok(Some(left)) => {
            left.cool();
            true
        }
        Ok(None) => true,
        Err(_) => false,
    }
}
