//! Watched descriptors: the watchers, the table by descriptor, and what the kernel is told of it.
//!
//! The kernel's set is brought up to date just before a wait. Until then a change of interest only marks its descriptor,
//! so changes that cancel out cost no system call. What is taken out for good is taken out at once, because the
//! descriptor may be closed next.

use super::backend::{Backend, Event, Key};
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

/// A watcher that the loop owns.
pub(super) type Watched = (Rc<Watcher>, Rc<dyn IoHandler>);

/// The watchers of one descriptor: nearly always one.
#[derive(Default)]
enum Watchers {
    #[default]
    None,
    One(Watched),
    Many(Vec<Watched>),
}

impl Watchers {
    fn as_slice(&self) -> &[Watched] {
        match self {
            Watchers::None => &[],
            Watchers::One(watched) => std::slice::from_ref(watched),
            Watchers::Many(all) => all,
        }
    }

    fn push(&mut self, watched: Watched) {
        *self = match std::mem::take(self) {
            Watchers::None => Watchers::One(watched),
            Watchers::One(first) => Watchers::Many(vec![first, watched]),
            Watchers::Many(mut all) => {
                all.push(watched);
                Watchers::Many(all)
            }
        };
    }

    fn remove(&mut self, watcher: &Watcher) -> Option<Watched> {
        let index = self
            .as_slice()
            .iter()
            .position(|(w, _)| std::ptr::eq(&**w, watcher))?;
        let (removed, rest) = match std::mem::take(self) {
            Watchers::None => return None,
            Watchers::One(watched) => (watched, Watchers::None),
            Watchers::Many(mut all) => {
                let removed = all.remove(index);
                match all.len() {
                    1 => (removed, all.pop().map_or(Watchers::None, Watchers::One)),
                    _ => (removed, Watchers::Many(all)),
                }
            }
        };
        *self = rest;
        Some(removed)
    }
}

/// What the loop knows of one descriptor number.
#[derive(Default)]
struct Descriptor {
    watchers: Watchers,
    /// What the kernel's set holds for it; `None` when it is not in the set.
    registered: Option<Interest>,
    /// Raised when its last watcher ends: events that carry an older one are not for those who come after.
    generation: u32,
    /// The wait before which (or in whose round) it last left the kernel's set.
    removed_in: u32,
    /// On the list of changes.
    dirty: bool,
    /// The kernel must be asked even if nothing seems to change: the number may have been closed and opened meanwhile.
    verify: bool,
    /// The kernel cannot poll it: it counts as always ready.
    unpollable: bool,
    /// The kernel refused it, which was said once and is tried again.
    failed: bool,
}

impl Descriptor {
    /// What all its watchers want together; `None` for nothing.
    fn wanted(&self) -> Option<Interest> {
        let union = |sum: Interest, (w, _): &Watched| sum.with(w.interest.get());
        let sum = self.watchers.as_slice().iter().fold(Interest::NONE, union);
        (sum != Interest::NONE).then_some(sum)
    }
}

/// Something to say or do once no borrow is held.
pub(super) enum Trouble {
    /// The descriptor was closed under its watchers.
    Closed(RawFd),
    /// The kernel refused it.
    Refused(RawFd, Errno),
}

/// Whom an event is for.
pub(super) enum Target {
    One(Rc<dyn IoHandler>, Interest),
    /// Several watchers: to be asked one by one.
    Many(Vec<Watched>),
    Nobody,
    /// A registration that we ended lives on in the kernel.
    Undead,
}

/// All descriptors, by number.
#[derive(Default)]
pub(super) struct Table {
    descriptors: Vec<Descriptor>,
    dirty: Vec<RawFd>,
    unpollable: Vec<RawFd>,
    pub(super) failed: Vec<RawFd>,
}

impl Table {
    #[inline]
    fn get(&self, fd: RawFd) -> Option<&Descriptor> {
        self.descriptors.get(fd as u32 as usize)
    }

    fn get_mut(&mut self, fd: RawFd) -> Option<&mut Descriptor> {
        self.descriptors.get_mut(fd as u32 as usize)
    }

    fn add(&mut self, fd: RawFd, watched: Watched) -> Result<(), Errno> {
        let index = fd as usize;
        if let Some(missing) = (index + 1).checked_sub(self.descriptors.len()) {
            let reserved = self.descriptors.try_reserve(missing);
            reserved.map_err(|_| Errno(libc::ENOMEM))?;
        }
        if self.descriptors.len() <= index {
            self.descriptors.resize_with(index + 1, Descriptor::default);
        }
        let descriptor = &mut self.descriptors[index];
        descriptor.watchers.push(watched);
        descriptor.verify |= descriptor.registered.is_some();
        self.touch(fd);
        Ok(())
    }

    /// Puts it on the list of changes.
    #[inline]
    fn touch(&mut self, fd: RawFd) {
        if let Some(descriptor) = self.descriptors.get_mut(fd as u32 as usize) {
            if !descriptor.dirty {
                descriptor.dirty = true;
                self.dirty.push(fd);
            }
        }
    }

    #[inline]
    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Puts what was refused before on the list of changes.
    pub(super) fn retry_failed(&mut self) {
        for fd in std::mem::take(&mut self.failed) {
            self.touch(fd);
        }
    }

    /// Brings the kernel's set up to date.
    pub(super) fn flush(&mut self, backend: &mut impl Backend, wait: u32) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let mut dirty = std::mem::take(&mut self.dirty);
        for fd in dirty.drain(..) {
            if let Some(trouble) = self.register(fd, backend, wait) {
                troubles.push(trouble);
            }
        }
        // The list keeps its memory; nothing was added meanwhile.
        self.dirty = dirty;
        troubles
    }

    fn register(&mut self, fd: RawFd, backend: &mut impl Backend, wait: u32) -> Option<Trouble> {
        let descriptor = self.descriptors.get_mut(fd as u32 as usize)?;
        descriptor.dirty = false;
        let verify = std::mem::take(&mut descriptor.verify);
        let Some(wanted) = descriptor.wanted() else {
            self.unregister(fd, backend, wait);
            return None;
        };
        if descriptor.unpollable || (descriptor.registered == Some(wanted) && !verify) {
            return None;
        }
        let key = Key::new(fd, descriptor.generation);
        let result = match descriptor.registered {
            Some(_) => match backend.modify(fd, key, wanted) {
                Err(Errno(libc::ENOENT)) => backend.add(fd, key, wanted),
                other => other,
            },
            None => match backend.add(fd, key, wanted) {
                Err(Errno(libc::EEXIST)) => backend.modify(fd, key, wanted),
                other => other,
            },
        };
        match result {
            Ok(()) => {
                descriptor.registered = Some(wanted);
                descriptor.failed = false;
                None
            }
            Err(Errno(libc::EPERM)) => {
                descriptor.registered = None;
                descriptor.unpollable = true;
                self.unpollable.push(fd);
                None
            }
            Err(Errno(libc::EBADF)) => {
                descriptor.registered = None;
                Some(Trouble::Closed(fd))
            }
            Err(errno) => {
                self.failed.push(fd);
                let said = std::mem::replace(&mut descriptor.failed, true);
                (!said).then_some(Trouble::Refused(fd, errno))
            }
        }
    }

    /// Takes it out of the kernel's set and off the lists.
    fn unregister(&mut self, fd: RawFd, backend: &mut impl Backend, wait: u32) {
        let Some(descriptor) = self.get_mut(fd) else {
            return;
        };
        if descriptor.registered.take().is_some() {
            // It fails where the descriptor was closed before: then it has left the set, or its events will tell.
            let _ = backend.remove(fd);
            descriptor.removed_in = wait;
        }
        if std::mem::take(&mut descriptor.unpollable) {
            descriptor.removed_in = wait;
            self.unpollable.retain(|other| *other != fd);
        }
    }

    /// Every registration anew, in a set that is empty.
    pub(super) fn register_all(&mut self, backend: &mut impl Backend, wait: u32) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for fd in 0..self.descriptors.len() {
            if self.descriptors[fd].registered.take().is_some() {
                let trouble = self.register(fd as RawFd, backend, wait);
                // Still on the list of changes, if it was; that costs one comparison.
                troubles.extend(trouble);
            }
        }
        troubles
    }

    /// Whom an event is for, asked at the moment of dispatch.
    #[inline]
    pub(super) fn target(&self, event: Event, wait: u32) -> Target {
        if let Some(descriptor) = self.get(event.key().fd()) {
            let current = event.key() == Key::new(event.key().fd(), descriptor.generation);
            if let (Watchers::One((watcher, handler)), true) = (&descriptor.watchers, current) {
                if descriptor.registered.is_some() {
                    return match watcher.take_ready(event.ready()) {
                        Interest::NONE => Target::Nobody,
                        ready => Target::One(handler.clone(), ready),
                    };
                }
            }
        }
        self.unusual_target(event, wait)
    }

    #[cold]
    fn unusual_target(&self, event: Event, wait: u32) -> Target {
        if event.key() == Key::WAKE {
            return Target::Nobody;
        }
        let Some(descriptor) = self.get(event.key().fd()) else {
            return Target::Undead;
        };
        let current = event.key() == Key::new(event.key().fd(), descriptor.generation);
        if current && (descriptor.registered.is_some() || descriptor.unpollable) {
            return Target::Many(descriptor.watchers.as_slice().to_vec());
        }
        if descriptor.removed_in == wait {
            // Collected before it was removed in this same round: nothing wrong.
            return Target::Nobody;
        }
        Target::Undead
    }

    #[inline]
    pub(super) fn has_unpollable(&self) -> bool {
        !self.unpollable.is_empty()
    }

    /// Events that the kernel cannot give.
    pub(super) fn unpollable_events(&self, events: &mut Vec<Event>) {
        for fd in &self.unpollable {
            if let Some(descriptor) = self.get(*fd) {
                let key = Key::new(*fd, descriptor.generation);
                events.push(Event::new(key, Event::IN | Event::OUT));
            }
        }
    }

    /// The handler of a watcher that is not closed.
    pub(super) fn handler(&self, watcher: &Watcher) -> Option<Rc<dyn IoHandler>> {
        let watchers = &self.get(watcher.fd)?.watchers;
        let mut all = watchers.as_slice().iter();
        all.find(|(w, _)| std::ptr::eq(&**w, watcher))
            .map(|(_, handler)| handler.clone())
    }

    pub(super) fn watchers(&self, fd: RawFd) -> Vec<Rc<Watcher>> {
        let watchers = self.get(fd).map_or(&[][..], |d| d.watchers.as_slice());
        watchers.iter().map(|(w, _)| w.clone()).collect()
    }

    /// Everything, for the end: to be dropped outside the borrow.
    pub(super) fn take_all(&mut self) -> Vec<Watched> {
        let table = std::mem::take(self);
        let mut all = Vec::new();
        for descriptor in table.descriptors {
            match descriptor.watchers {
                Watchers::None => {}
                Watchers::One(watched) => all.push(watched),
                Watchers::Many(many) => all.extend(many),
            }
        }
        all
    }
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
            return Err(Errno(libc::EBADF));
        }
        let watcher = Rc::new(Watcher {
            lp: self.clone(),
            fd,
            interest: Cell::new(interest),
            state: Cell::new(State::Started),
            keeps_running: Cell::new(false),
            again: Cell::new(Interest::NONE),
        });
        let watched = (watcher.clone(), handler);
        self.table.borrow_mut().add(fd, watched)?;
        self.raise(Todo::CHANGES);
        self.flush_if_embedded();
        Ok(watcher)
    }
}

impl Watcher {
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
    #[inline]
    pub(super) fn take_ready(&self, ready: Interest) -> Interest {
        let wanted = self.interest.get();
        let mut told = Interest(ready.0 & wanted.0);
        if self.has_again() {
            let again = self.again.replace(Interest::NONE);
            told = told.with(Interest(again.0 & wanted.0));
        }
        if ready.any(Interest::HANGUP) && !wanted.any(Interest::HANGUP) {
            told = wanted;
        }
        told
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
        let mut table = self.table.borrow_mut();
        let descriptor = table.get_mut(watcher.fd)?;
        let ended = descriptor.watchers.remove(watcher)?;
        if let Watchers::None = descriptor.watchers {
            descriptor.generation = descriptor.generation.wrapping_add(1);
            descriptor.removed_in = self.waits.get();
            descriptor.failed = false;
            table.failed.retain(|fd| *fd != watcher.fd);
            if self.check_process().is_ok() {
                if let Some(poller) = self.poller.borrow_mut().as_mut() {
                    table.unregister(watcher.fd, poller, self.waits.get());
                }
            }
        } else {
            table.touch(watcher.fd);
        }
        self.raise(Todo::CHANGES);
        Some(ended)
    }
}
