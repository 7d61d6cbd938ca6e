//! What the process has of loops: all of them, the default one, and the lock that `fork` waits for.

use super::remote::HeldInbox;
use super::signals::Signals;
use super::{fork, Loop};
use crate::errno::Errno;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The loop's own count, kept from its making to its `free`.
struct Owned(Rc<Loop>);

// SAFETY: other threads only compare the address and use the loop's shared half. The count is touched by the thread that owns the
// loop or, once nobody runs it and its user says so (`destroy_all`), by another one: never by two threads at a time.
unsafe impl Send for Owned {}

impl Owned {
    fn is(&self, lp: *const Loop) -> bool {
        std::ptr::eq(Rc::as_ptr(&self.0), lp)
    }
}

/// A loop's address, to give away or compare.
struct Address(*const Loop);

// SAFETY: see `Loop::default_address`: whoever gets it follows it on the loop's own thread, or to the shared half alone.
unsafe impl Send for Address {}

/// Everything process-wide, under one lock that no code of another room runs under.
pub(super) struct Registry {
    loops: Vec<Owned>,
    /// The default loop, and the generation of the process that made it.
    default: Option<(Address, u32)>,
    hooks: Vec<fn()>,
    pub(super) signals: Signals,
}

impl Registry {
    /// The default loop, unless it is the one of the parent process.
    fn current_default(&self) -> Option<*const Loop> {
        let (address, generation) = self.default.as_ref()?;
        (*generation == fork::generation()).then_some(address.0)
    }
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

/// What is locked from just before `fork` to just after it, so that in the child no other thread holds it for ever.
struct Held {
    // Opened in this order.
    inboxes: Vec<HeldInbox>,
    registry: MutexGuard<'static, Registry>,
}

thread_local! {
    static AT_FORK: RefCell<Option<Held>> = const { RefCell::new(None) };
}

pub(super) fn lock_for_fork() {
    let registry = lock();
    let inboxes = registry
        .loops
        .iter()
        .map(|owned| owned.0.remote.hold_inbox())
        .collect();
    // Fails on a thread that is already ending: the child then has locks for ever taken, and no more.
    let _ = AT_FORK.try_with(|held| *held.borrow_mut() = Some(Held { inboxes, registry }));
}

pub(super) fn unlock_in_parent() {
    let _ = AT_FORK.try_with(|held| held.borrow_mut().take());
}

pub(super) fn unlock_in_child() {
    let _ = AT_FORK.try_with(|held| {
        if let Some(Held {
            inboxes,
            mut registry,
        }) = held.borrow_mut().take()
        {
            drop(inboxes);
            for owned in &registry.loops {
                owned.0.remote.note_fork();
            }
            registry.signals.restore_in_child();
        }
    });
}

/// Gives the process the loop's own count.
pub(super) fn add(lp: Rc<Loop>) {
    lock().loops.push(Owned(lp));
}

/// Takes that count back; `None` when it was taken before.
pub(super) fn remove(lp: &Loop) -> Option<Rc<Loop>> {
    let mut registry = lock();
    let default = registry.default.take();
    registry.default = default.filter(|(address, _)| !std::ptr::eq(address.0, lp));
    let index = registry.loops.iter().position(|owned| owned.is(lp))?;
    Some(registry.loops.swap_remove(index).0)
}

/// Whether a loop that is not freed lives at this address, which is compared and not followed. Another thread's answers too.
pub fn is_loop(address: *const Loop) -> bool {
    lock().loops.iter().any(|owned| owned.is(address))
}

/// The default loop's address, made at the first call and anew in a child. No count is touched: any thread may ask.
pub(super) fn default_loop() -> Result<*const Loop, Errno> {
    if let Some(address) = lock().current_default() {
        return Ok(address);
    }
    let made = Loop::new()?;
    let mut registry = lock();
    if let Some(first) = registry.current_default() {
        // Another thread was faster.
        drop(registry);
        made.free();
        return Ok(first);
    }
    let address = Rc::as_ptr(&made);
    registry.default = Some((Address(address), fork::generation()));
    Ok(address)
}

/// Whether a loop of this process uses this number.
pub(super) fn uses(fd: RawFd) -> bool {
    lock().loops.iter().any(|owned| owned.0.remote.uses(fd))
}

/// A child took a loop of its parent's over: where that was the default one, it is so again, unless the child has made
/// another.
pub(super) fn took_over(lp: &Loop) {
    let mut registry = lock();
    if let Some((address, generation)) = &mut registry.default {
        if std::ptr::eq(address.0, lp) {
            *generation = fork::generation();
        }
    }
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
    let idle = |owned: &&Owned| owned.0.remote.depth.load(Ordering::SeqCst) == 0;
    registry
        .loops
        .iter()
        .find(idle)
        .map(|owned| owned.0.clone())
}
