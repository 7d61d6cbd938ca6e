//! Around `fork`: the table is locked, so that the child finds it whole; there it learns that its thread and its questions were the
//! parent's.

use super::table::Table;
use std::cell::RefCell;
use std::sync::{MutexGuard, Once};

thread_local! {
    static AT_FORK: RefCell<Option<MutexGuard<'static, Table>>> = const { RefCell::new(None) };
}

/// From now on, once for the process. After the resolver's own handlers: those run later before a fork, earlier after it.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers touch one lock and what it protects, and live as long as the library. It fails for lack of memory
        // alone; then a child's resolvers stay silent.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after_in_child)) };
    });
}

extern "C" fn before() {
    let guard = Table::lock();
    // Fails on a thread that is already ending.
    let _ = AT_FORK.try_with(|held| *held.borrow_mut() = Some(guard));
}

extern "C" fn after() {
    let _ = AT_FORK.try_with(|held| held.borrow_mut().take());
}

extern "C" fn after_in_child() {
    let _ = AT_FORK.try_with(|held| {
        if let Some(mut table) = held.borrow_mut().take() {
            table.after_fork();
        }
    });
}
