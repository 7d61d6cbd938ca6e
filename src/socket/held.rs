//! The object behind a handle of a program's: at most one, counted, and found again from an address that may be stale. Must
//! not know what it is.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

/// A place for a counted object.
#[repr(transparent)]
pub(super) struct Held<T> {
    /// From `Arc::into_raw`; NULL while there is none.
    object: AtomicPtr<T>,
}

// Both by hand: they ask nothing of `T`.
impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<T> Default for Held<T> {
    fn default() -> Held<T> {
        Held {
            object: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

impl<T: Send + Sync> Held<T> {
    /// Puts an object into the place, which is empty.
    pub(super) fn put(&self, object: Arc<T>) {
        let object = Arc::into_raw(object).cast_mut();
        self.object.store(object, Ordering::Release);
    }

    /// The object. Not to be raced with [`Held::take`]: what a handle stands for is one thread's at a time.
    #[inline]
    pub(super) fn get(&self) -> Option<Arc<T>> {
        let object = self.object.load(Ordering::Acquire);
        if object.is_null() {
            return None;
        }
        // SAFETY: from `Arc::into_raw`, and the place's own count keeps it until `take`, which the caller does not run at the
        // same time.
        unsafe {
            Arc::increment_strong_count(object);
            Some(Arc::from_raw(object))
        }
    }

    /// Looks at the object without holding it. `work` is short and runs nothing of the program's, which might take it out.
    #[inline]
    pub(super) fn look<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        // SAFETY: as in `get`: the place's count keeps the object, and `take` does not run at the same time.
        unsafe { self.object.load(Ordering::Acquire).as_ref() }.map(work)
    }

    #[inline]
    pub(super) fn is_there(&self) -> bool {
        !self.object.load(Ordering::Acquire).is_null()
    }

    /// The object, which is not the place's any more; a second call, of another thread too, finds none.
    pub(super) fn take(&self) -> Option<Arc<T>> {
        let object = self.object.swap(ptr::null_mut(), Ordering::AcqRel);
        if object.is_null() {
            return None;
        }
        // SAFETY: from `Arc::into_raw`; the swap makes this call the only one that gets the place's count.
        Some(unsafe { Arc::from_raw(object) })
    }
}
