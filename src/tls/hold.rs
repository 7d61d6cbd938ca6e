//! Who holds a context. Memory is counted by `Arc`; this counts those for whom its callbacks are called.

use super::context::Context;
use std::ptr;
use std::sync::Arc;

/// A holder of a context: while there is one, its callbacks are called. What the program holds as a
/// `SocketTLSContext_T` is one, the default of the process is one, a server or a pool has one; a connection has none and
/// keeps only the memory.
pub struct Hold(Arc<Context>);

impl Hold {
    /// One more holder.
    pub fn new(context: Arc<Context>) -> Hold {
        context.add_holder();
        Hold(context)
    }

    /// The context.
    pub fn context(&self) -> &Arc<Context> {
        &self.0
    }

    /// As a handle for C: the address that `Arc::into_raw` gives.
    pub fn into_raw(self) -> *const Context {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the reference moves out of it exactly once.
        Arc::into_raw(unsafe { ptr::read(&this.0) })
    }

    /// Takes a handle back.
    ///
    /// # Safety
    /// `raw` came from `into_raw`, and comes back once.
    pub unsafe fn from_raw(raw: *const Context) -> Hold {
        // SAFETY: the caller's promise: the reference that `into_raw` gave away.
        Hold(unsafe { Arc::from_raw(raw) })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.remove_holder();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_holder_frees() {
        let context = Context::server().unwrap();
        assert!(!context.is_freed());
        let (first, second) = (
            Hold::new(Arc::clone(&context)),
            Hold::new(Arc::clone(&context)),
        );
        let raw = first.into_raw();
        drop(second);
        assert!(!context.is_freed());
        // SAFETY: made above, comes back once.
        drop(unsafe { Hold::from_raw(raw) });
        assert!(context.is_freed());
        let again = Hold::new(Arc::clone(&context));
        assert!(!context.is_freed());
        drop(again);
        assert_eq!(Arc::strong_count(&context), 1);
    }
}
