//! Signals as events.
//!
//! The handler that the process gets touches atomics and eventfds only: it looks the loops up in a table that is
//! replaced, never changed, sets a bit in each and rings. A replaced table is freed once no handler is inside one.

use super::remote::Remote;
use super::{registry, Loop, Todo};
use crate::errno::Errno;
use std::cell::Cell;
use std::ffi::c_int;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::Arc;

/// Signal numbers are 1 to this.
const LAST: c_int = 64;

/// Told when a signal arrived.
pub trait SignalHandler {
    /// Several arrivals before this is called may be told as one.
    fn on_signal(self: Rc<Self>, signum: c_int);
}

/// A signal that is watched.
pub struct SignalWatcher {
    lp: Rc<Loop>,
    signum: c_int,
    /// Not stopped.
    started: Cell<bool>,
    /// Arrived, not told yet.
    pending: Cell<bool>,
}

/// The loop's list of them.
pub(super) type SignalList = Vec<(Rc<SignalWatcher>, Rc<dyn SignalHandler>)>;

/// Which loops want which signal.
type Routes = Vec<(c_int, Arc<Remote>)>;

static ROUTES: AtomicPtr<Routes> = AtomicPtr::new(std::ptr::null_mut());
/// How many handlers are running.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(signum: c_int) {
    let errno = Errno::last();
    INSIDE.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the pointer is null or a table that is not freed while INSIDE counts us: `publish` replaces it first and
    // waits for the count after, both in the one total order of SeqCst.
    if let Some(routes) = unsafe { ROUTES.load(Ordering::SeqCst).as_ref() } {
        for (number, remote) in routes {
            if *number == signum {
                remote.note_signal(bit(signum));
            }
        }
    }
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    errno.set();
}

fn bit(signum: c_int) -> u64 {
    1 << (signum - 1)
}

/// The process's side: under the registry's lock.
pub(super) struct Signals {
    /// One entry for each watcher.
    routes: Vec<(c_int, Arc<Remote>)>,
    /// Tables that handlers no longer find; freed once none is inside one.
    retired: Vec<*mut Routes>,
    /// What each watched signal did before.
    previous: Vec<(c_int, libc::sigaction)>,
}

// SAFETY: `sigaction` holds a handler's address, which is the same in every thread, and the retired tables are owned by whoever
// holds the registry's lock.
unsafe impl Send for Signals {}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_signal as *const () as usize
}

impl Signals {
    pub(super) const fn new() -> Signals {
        Signals {
            routes: Vec::new(),
            retired: Vec::new(),
            previous: Vec::new(),
        }
    }

    fn subscribe(&mut self, signum: c_int, remote: &Arc<Remote>) -> Result<(), Errno> {
        self.routes.push((signum, remote.clone()));
        self.publish();
        if self.previous.iter().any(|(number, _)| *number == signum) {
            return Ok(());
        }
        // SAFETY: an all-zero sigaction is a valid one to fill; both structs live through the call; `on_signal` is async-signal-safe.
        let result = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigfillset(&mut action.sa_mask);
            let mut before: libc::sigaction = std::mem::zeroed();
            match libc::sigaction(signum, &action, &mut before) {
                0 => Ok(before),
                _ => Err(Errno::last()),
            }
        };
        match result {
            Ok(before) => {
                self.previous.push((signum, before));
                Ok(())
            }
            Err(errno) => {
                self.routes.pop();
                self.publish();
                Err(errno)
            }
        }
    }

    fn unsubscribe(&mut self, signum: c_int, remote: &Arc<Remote>) {
        let found = self
            .routes
            .iter()
            .position(|(number, other)| *number == signum && Arc::ptr_eq(other, remote));
        let Some(index) = found else {
            // In a forked child, where all were forgotten.
            return;
        };
        self.routes.swap_remove(index);
        if !self.routes.iter().any(|(number, _)| *number == signum) {
            if let Some(at) = self.previous.iter().position(|(n, _)| *n == signum) {
                let (_, before) = self.previous.swap_remove(at);
                restore(signum, &before);
            }
        }
        self.publish();
    }

    /// Gives the handler a new table and frees those it may have used before.
    fn publish(&mut self) {
        let next = if self.routes.is_empty() {
            std::ptr::null_mut()
        } else {
            Box::into_raw(Box::new(self.routes.clone()))
        };
        let old = ROUTES.swap(next, Ordering::SeqCst);
        if !old.is_null() {
            self.retired.push(old);
        }
        // A handler runs for a microsecond. In a storm of signals there may always be one: then the tables wait for a later change.
        for _ in 0..100 {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                for table in self.retired.drain(..) {
                    // SAFETY: it came from `Box::into_raw`, was taken out of ROUTES before INSIDE was read as 0, and so no
                    // handler is inside it or can find it.
                    drop(unsafe { Box::from_raw(table) });
                }
                return;
            }
            std::thread::yield_now();
        }
    }

    /// In a child of `fork` the loops that asked are the parent's: signals do again what they did before.
    pub(super) fn restore_in_child(&mut self) {
        INSIDE.store(0, Ordering::SeqCst);
        for (signum, before) in self.previous.drain(..) {
            restore(signum, &before);
        }
        self.routes.clear();
        self.publish();
    }
}

/// Puts the former disposition back, unless somebody else replaced ours meanwhile.
fn restore(signum: c_int, before: &libc::sigaction) {
    // SAFETY: an all-zero sigaction is a valid one to fill, and `before` was filled by the system.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signum, std::ptr::null(), &mut now) == 0 && is_ours(&now) {
            libc::sigaction(signum, before, std::ptr::null_mut());
        }
    }
}

impl Loop {
    /// Watches a signal; keeps `run` running until it is stopped. EINVAL for one that cannot be caught, and for
    /// the faults of the processor (SIGSEGV, SIGBUS, SIGFPE, SIGILL): returning from their handler repeats the fault.
    pub fn watch_signal(
        self: &Rc<Loop>,
        signum: c_int,
        handler: Rc<dyn SignalHandler>,
    ) -> Result<Rc<SignalWatcher>, Errno> {
        self.check_process()?;
        let fault = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL].contains(&signum);
        if self.is_freed() || fault || !(1..=LAST).contains(&signum) {
            return Err(Errno(libc::EINVAL));
        }
        registry::lock().signals.subscribe(signum, &self.remote)?;
        let watcher = Rc::new(SignalWatcher {
            lp: self.clone(),
            signum,
            started: Cell::new(true),
            pending: Cell::new(false),
        });
        self.signals.borrow_mut().push((watcher.clone(), handler));
        self.hold();
        Ok(watcher)
    }

    /// Moves what the handler noted to the watchers.
    pub(super) fn collect_signals(&self) {
        let arrived = self.remote.take_signals();
        for (watcher, _) in self.signals.borrow().iter() {
            if watcher.started.get() && arrived & bit(watcher.signum) != 0 && !watcher.pending.get()
            {
                watcher.pending.set(true);
                self.pending_signals.set(self.pending_signals.get() + 1);
                self.raise(Todo::SIGNALS);
            }
        }
    }

    /// In a child that takes the loop over: its watchers are told of the child's signals from now on. What had arrived was
    /// the parent's.
    pub(super) fn watch_signals_again(&self) -> Result<(), Errno> {
        let watchers: Vec<_> = self
            .signals
            .borrow()
            .iter()
            .map(|(w, _)| w.clone())
            .collect();
        let mut registry = registry::lock();
        for watcher in watchers.iter().filter(|w| w.started.get()) {
            watcher.clear_pending();
            registry.signals.subscribe(watcher.signum, &self.remote)?;
        }
        Ok(())
    }

    /// The next watcher to tell. What is not told in this round (a break) waits for the next.
    pub(super) fn next_signal(&self) -> Option<(Rc<dyn SignalHandler>, c_int)> {
        let signals = self.signals.borrow();
        let (watcher, handler) = signals.iter().find(|(watcher, _)| watcher.pending.get())?;
        watcher.clear_pending();
        Some((handler.clone(), watcher.signum))
    }
}

impl SignalWatcher {
    fn clear_pending(&self) {
        if self.pending.replace(false) {
            let pending = &self.lp.pending_signals;
            pending.set(pending.get() - 1);
        }
    }

    /// The signal is no longer told here; the object stays. Idempotent.
    pub fn stop(&self) {
        if !self.started.replace(false) {
            return;
        }
        self.clear_pending();
        self.lp.release();
        registry::lock()
            .signals
            .unsubscribe(self.signum, &self.lp.remote);
    }

    /// Stops and ends it. Idempotent.
    pub fn close(&self) {
        self.stop();
        let ended = {
            let mut signals = self.lp.signals.borrow_mut();
            let index = signals.iter().position(|(w, _)| std::ptr::eq(&**w, self));
            index.map(|index| signals.remove(index))
        };
        drop(ended);
    }

    /// The loop it belongs to.
    pub fn owner(&self) -> &Rc<Loop> {
        &self.lp
    }
}
