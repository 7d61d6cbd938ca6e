//! Around `fork`: what the sockets of a process share is locked, so that a child finds it whole and open, whatever the parent's
//! other threads were at. Each of these locks is held for a moment, and for no other one: so their order does not matter.

use super::{event, handle, pool, reconnect, timeouts};
use std::cell::RefCell;
use std::sync::Once;

/// Keeps something locked for as long as it lives.
pub(super) trait Locked {}
impl<T> Locked for std::sync::MutexGuard<'_, T> {}

thread_local! {
    static AT_FORK: RefCell<Option<[Box<dyn Locked>; 5]>> = const { RefCell::new(None) };
}

/// From now on, once for the process.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers touch these locks alone, and live as long as the library. It fails for lack of memory alone; then
        // a child may wait for a thread that it does not have.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    });
}

extern "C" fn before() {
    let held = [
        handle::locked(),
        reconnect::locked(),
        pool::locked(),
        event::locked(),
        timeouts::locked(),
    ];
    // Fails on a thread that is already ending.
    let _ = AT_FORK.try_with(|place| *place.borrow_mut() = Some(held));
}

extern "C" fn after() {
    let _ = AT_FORK.try_with(|held| held.borrow_mut().take());
}
