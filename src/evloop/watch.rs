//! Watchers: what a holder of one can do.

use super::table::Watched;
use super::{Interest, IoHandler, Loop, Todo};
use crate::errno::Errno;
use std::cell::Cell;
use std::os::fd::RawFd;
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Started,
    Stopped,
    Closed,
}

/// A watched descriptor.
pub struct Watcher {
    lp: Rc<Loop>,
    fd: RawFd,
    /// Empty unless started.
    interest: Cell<Interest>,
    state: Cell<State>,
    keeps_running: Cell<bool>,
    /// What the next round dispatches unasked by the kernel.
    again: Cell<Interest>,
}

impl Loop {
    /// Watches `fd`, which stays the caller's. `Errno` EBADF, ENOMEM. The new watcher does not keep `run` running until
    /// `set_ref(true)`.
    pub fn watch(
        self: &Rc<Loop>,
        fd: RawFd,
        interest: Interest,
        handler: Rc<dyn IoHandler>,
    ) -> Result<Rc<Watcher>, Errno> {
        self.check_process()?;
        if self.is_freed() {
            return Err(Errno(libc::EINVAL));
        }
        // Not by trying to register it: that would be a system call that a change right after makes useless.
        // SAFETY: F_GETFD takes no further argument; any number is safe as a descriptor.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(Errno::last());
        }
        let watcher = Rc::new(Watcher::new(self, fd, interest));
        let watched = (watcher.clone(), handler);
        self.table.borrow_mut().add(fd, watched)?;
        self.raise(Todo::CHANGES);
        self.flush_if_embedded();
        Ok(watcher)
    }
}

impl Watcher {
    pub(super) fn new(lp: &Rc<Loop>, fd: RawFd, interest: Interest) -> Watcher {
        Watcher {
            lp: lp.clone(),
            fd,
            interest: Cell::new(interest),
            state: Cell::new(State::Started),
            keeps_running: Cell::new(false),
            again: Cell::new(Interest::NONE),
        }
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// The loop it belongs to.
    pub fn owner(&self) -> &Rc<Loop> {
        &self.lp
    }

    /// New interest; restarts a stopped watcher. No system call before the loop next waits.
    #[inline]
    pub fn set_interest(&self, interest: Interest) {
        if self.state.get() != State::Started {
            if self.state.get() == State::Closed {
                return;
            }
            self.set_state(State::Started);
        }
        if self.interest.replace(interest) != interest {
            self.changed();
        }
    }

    fn changed(&self) {
        self.lp.table.borrow_mut().touch(self.fd);
        self.lp.raise(Todo::CHANGES);
        self.lp.flush_if_embedded();
    }

    /// What is asked for now; nothing while it is stopped.
    pub fn interest(&self) -> Interest {
        self.interest.get()
    }

    /// No more events, not even those already collected, until a new interest is set. Does not keep `run` running.
    pub fn stop(&self) {
        if self.state.get() == State::Started {
            self.set_state(State::Stopped);
            self.again.set(Interest::NONE);
            if self.interest.replace(Interest::NONE) != Interest::NONE {
                self.changed();
            }
        }
    }

    fn set_state(&self, state: State) {
        let was = self.state.replace(state) == State::Started;
        let is = state == State::Started;
        if was != is && self.keeps_running.get() {
            self.lp.count(is);
        }
    }

    /// Dispatches `ready` in the next round, which does not wait, whatever the kernel says (bytes are buffered above the
    /// kernel). Once for each call; forgotten when the watcher is stopped or closed, and where it is not asked for then.
    pub fn again(self: &Rc<Self>, ready: Interest) {
        if self.state.get() != State::Started || ready == Interest::NONE {
            return;
        }
        let before = self.again.replace(self.again.get().with(ready));
        if before == Interest::NONE {
            self.lp.again.borrow_mut().push(self.clone());
            self.lp.raise(Todo::AGAIN);
            self.lp.work_added();
        }
    }

    /// What the watcher wants of `ready`; what `again` asked for is taken along.
    #[inline(always)]
    pub(super) fn take_ready(&self, ready: Interest) -> Interest {
        let wanted = self.interest.get();
        if self.has_again() || ready.any(Interest::HANGUP) {
            return self.take_unusual(ready, wanted);
        }
        Interest(ready.0 & wanted.0)
    }

    #[cold]
    fn take_unusual(&self, ready: Interest, wanted: Interest) -> Interest {
        if ready.any(Interest::HANGUP) && !wanted.any(Interest::HANGUP) {
            self.again.set(Interest::NONE);
            return wanted;
        }
        let all = ready.with(self.again.replace(Interest::NONE));
        Interest(all.0 & wanted.0)
    }

    /// Whether `again` asked for something that was not told yet.
    #[inline]
    pub(super) fn has_again(&self) -> bool {
        self.again.get() != Interest::NONE
    }

    /// Ends it and takes the descriptor out of the kernel's set at once, where this was its last watcher: it may be
    /// closed right after. Idempotent.
    pub fn close(&self) {
        if self.state.get() == State::Closed {
            return;
        }
        self.set_state(State::Closed);
        self.interest.set(Interest::NONE);
        self.again.set(Interest::NONE);
        let ended = self.lp.forget_watcher(self);
        // Its handler may do anything when it is dropped.
        drop(ended);
        self.lp.flush_if_embedded();
    }

    /// The loop is gone and has dropped its side.
    pub(super) fn orphan(&self) {
        self.state.set(State::Closed);
        self.interest.set(Interest::NONE);
        self.again.set(Interest::NONE);
    }

    /// Whether it keeps `run` running while it is started.
    pub fn set_ref(&self, keeps_running: bool) {
        let changed = self.keeps_running.replace(keeps_running) != keeps_running;
        if changed && self.state.get() == State::Started {
            self.lp.count(keeps_running);
        }
    }
}

impl Loop {
    fn forget_watcher(&self, watcher: &Watcher) -> Option<Watched> {
        self.raise(Todo::CHANGES);
        let mut poller = self.poller.borrow_mut();
        // In a forked child the set is the parent's.
        let poller = poller.as_mut().filter(|_| self.check_process().is_ok());
        let mut table = self.table.borrow_mut();
        table.remove(watcher, poller, self.waits.get())
    }
}
