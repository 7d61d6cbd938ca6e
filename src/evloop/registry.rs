//! What the process has of loops: all of them, the default one, and the lock that `fork` waits for.

use super::signals::Signals;
use super::{fork, Loop};
use crate::errno::Errno;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The loop's own strong count, kept from its making to its `free`.
struct Owned(*const Loop);

// SAFETY: the pointer is only compared, or turned into an `Rc` by the thread that owns the loop or, once nobody runs the loop
// and its user says so (`destroy_all`), by another one; the counts are never touched by two threads at a time.
unsafe impl Send for Owned {}

/// Everything process-wide, under one lock that no code of another room runs under.
pub(super) struct Registry {
    loops: Vec<Owned>,
    /// The default loop, and the generation of the process that made it.
    default: Option<(Owned, u32)>,
    hooks: Vec<fn()>,
    pub(super) signals: Signals,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    loops: Vec::new(),
    default: None,
    hooks: Vec::new(),
    signals: Signals::new(),
});

pub(super) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The lock, from just before `fork` to just after it, so that no other thread holds it in the child for ever.
    static AT_FORK: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
}

pub(super) fn lock_for_fork() {
    let guard = lock();
    // Fails on a thread that is already ending: the child then has a lock for ever taken, and no more.
    let _ = AT_FORK.try_with(|held| *held.borrow_mut() = Some(guard));
}

pub(super) fn unlock_in_parent() {
    let _ = AT_FORK.try_with(|held| held.borrow_mut().take());
}

pub(super) fn unlock_in_child() {
    let _ = AT_FORK.try_with(|held| {
        if let Some(mut registry) = held.borrow_mut().take() {
            for owned in &registry.loops {
                // SAFETY: a loop in the list is alive, and only its shared half is touched.
                // A fork inside a callback: the child must not go on with the round.
                unsafe { &(*owned.0).remote }.interrupt();
            }
            registry.signals.restore_in_child();
        }
    });
}

/// Gives the process the loop's own count.
pub(super) fn add(lp: Rc<Loop>) {
    lock().loops.push(Owned(Rc::into_raw(lp)));
}

/// Takes that count back; `None` when it was taken before.
pub(super) fn remove(lp: &Loop) -> Option<Rc<Loop>> {
    let mut registry = lock();
    if registry
        .default
        .as_ref()
        .is_some_and(|(d, _)| std::ptr::eq(d.0, lp))
    {
        registry.default = None;
    }
    let index = registry.loops.iter().position(|o| std::ptr::eq(o.0, lp))?;
    let owned = registry.loops.swap_remove(index);
    // SAFETY: the count came from `Rc::into_raw` in `add` and left the list with this entry.
    Some(unsafe { Rc::from_raw(owned.0) })
}

/// The default loop's address, made at the first call and anew in a child. No count is touched: any thread may ask.
pub(super) fn default_loop() -> Result<*const Loop, Errno> {
    if let Some((owned, generation)) = &lock().default {
        if *generation == fork::generation() {
            return Ok(owned.0);
        }
    }
    let made = Loop::new()?;
    let mut registry = lock();
    if let Some((owned, generation)) = &registry.default {
        if *generation == fork::generation() {
            // Another thread was first.
            let first = owned.0;
            drop(registry);
            made.free();
            return Ok(first);
        }
    }
    let address = Rc::as_ptr(&made);
    registry.default = Some((Owned(address), fork::generation()));
    Ok(address)
}

/// Frees every loop that nobody is running, then calls the hooks.
pub fn destroy_all() {
    while let Some(lp) = first_idle() {
        lp.free();
    }
    let hooks = std::mem::take(&mut lock().hooks);
    for hook in hooks {
        hook();
    }
}

/// Something process-wide of another room that ends with [`destroy_all`]: called once for each registration, after the
/// loops are gone; the same function registered twice counts once.
pub fn at_destroy(hook: fn()) {
    let mut registry = lock();
    if !registry
        .hooks
        .iter()
        .any(|h| *h as *const () == hook as *const ())
    {
        registry.hooks.push(hook);
    }
}

fn first_idle() -> Option<Rc<Loop>> {
    let registry = lock();
    let idle = registry.loops.iter().find(|owned| {
        // SAFETY: a loop in the list is alive, and only its shared half is touched.
        unsafe { &(*owned.0).remote }.depth.load(Ordering::SeqCst) == 0
    })?;
    // SAFETY: the list holds a count, so the loop is alive; nobody runs it, and the caller of `destroy_all` answers for nobody using it.
    unsafe {
        Rc::increment_strong_count(idle.0);
        Some(Rc::from_raw(idle.0))
    }
}
