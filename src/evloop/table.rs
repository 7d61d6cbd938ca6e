//! The table of watched descriptors, by number, and what the kernel is told of it.
//!
//! The kernel's set is brought up to date just before a wait. Until then a change of interest only marks its descriptor,
//! so changes that cancel out cost no system call. What is taken out for good is taken out at once, because the
//! descriptor may be closed next.

use super::backend::{Backend, Event, Key};
use super::watch::Watcher;
use super::{Interest, IoHandler};
use crate::errno::Errno;
use std::os::fd::RawFd;
use std::rc::Rc;

/// By how many descriptors the table grows at a time.
const STEP: usize = 128;

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
        let union = |sum: Interest, (w, _): &Watched| sum.with(w.interest());
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

/// What becomes of an event that is not for the one watcher of its descriptor.
pub(super) enum Unusual {
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

    pub(super) fn add(&mut self, fd: RawFd, watched: Watched) -> Result<(), Errno> {
        let index = fd as usize;
        if let Some(missing) = (index + 1).checked_sub(self.descriptors.len()) {
            // In steps, not by doubling: with many idle connections the spare half would be a tenth of what each costs.
            let room = self.descriptors.capacity() - self.descriptors.len();
            let wanted = if missing > room {
                missing.max(STEP)
            } else {
                missing
            };
            let reserved = self.descriptors.try_reserve_exact(wanted);
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

    /// Takes a watcher out; its descriptor too, at once, where it was the last.
    pub(super) fn remove(
        &mut self,
        watcher: &Watcher,
        poller: Option<&mut impl Backend>,
        wait: u32,
    ) -> Option<Watched> {
        let fd = watcher.fd();
        let descriptor = self.get_mut(fd)?;
        let ended = descriptor.watchers.remove(watcher)?;
        if let Watchers::None = descriptor.watchers {
            descriptor.generation = descriptor.generation.wrapping_add(1);
            descriptor.removed_in = wait;
            descriptor.failed = false;
            self.failed.retain(|other| *other != fd);
            if let Some(poller) = poller {
                self.unregister(fd, poller, wait);
            }
        } else {
            self.touch(fd);
        }
        Some(ended)
    }

    /// Puts it on the list of changes.
    #[inline]
    pub(super) fn touch(&mut self, fd: RawFd) {
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
    pub(super) fn flush(&mut self, poller: &mut impl Backend, wait: u32) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let mut dirty = std::mem::take(&mut self.dirty);
        for fd in dirty.drain(..) {
            if let Some(trouble) = self.register(fd, poller, wait) {
                troubles.push(trouble);
            }
        }
        // The list keeps its memory; nothing was added meanwhile.
        self.dirty = dirty;
        troubles
    }

    fn register(&mut self, fd: RawFd, poller: &mut impl Backend, wait: u32) -> Option<Trouble> {
        let descriptor = self.descriptors.get_mut(fd as u32 as usize)?;
        descriptor.dirty = false;
        let verify = std::mem::take(&mut descriptor.verify);
        let Some(wanted) = descriptor.wanted() else {
            self.unregister(fd, poller, wait);
            return None;
        };
        if descriptor.unpollable || (descriptor.registered == Some(wanted) && !verify) {
            return None;
        }
        let key = Key::new(fd, descriptor.generation);
        let result = match descriptor.registered {
            Some(_) => match poller.modify(fd, key, wanted) {
                Err(Errno(libc::ENOENT)) => poller.add(fd, key, wanted),
                other => other,
            },
            None => match poller.add(fd, key, wanted) {
                Err(Errno(libc::EEXIST)) => poller.modify(fd, key, wanted),
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
    fn unregister(&mut self, fd: RawFd, poller: &mut impl Backend, wait: u32) {
        let Some(descriptor) = self.get_mut(fd) else {
            return;
        };
        if descriptor.registered.take().is_some() {
            // It fails where the descriptor was closed before: then it has left the set, or its events will tell.
            let _ = poller.remove(fd);
            descriptor.removed_in = wait;
        }
        if std::mem::take(&mut descriptor.unpollable) {
            descriptor.removed_in = wait;
            self.unpollable.retain(|other| *other != fd);
        }
    }

    /// Every registration anew, in a set that is empty.
    pub(super) fn register_all(&mut self, poller: &mut impl Backend, wait: u32) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for fd in 0..self.descriptors.len() {
            if self.descriptors[fd].registered.take().is_some() {
                let trouble = self.register(fd as RawFd, poller, wait);
                // Still on the list of changes, if it was; that costs one comparison.
                troubles.extend(trouble);
            }
        }
        troubles
    }

    /// Whom an event is for, asked at the moment of dispatch: the one watcher of a descriptor, if it wants it. `None`
    /// sends the event to [`Table::unusual`].
    #[inline(always)]
    pub(super) fn target(&self, event: Event) -> Option<(Rc<dyn IoHandler>, Interest)> {
        let descriptor = self.get(event.key().fd())?;
        let Watchers::One((watcher, handler)) = &descriptor.watchers else {
            return None;
        };
        if descriptor.registered.is_none() || !event.key().is_of(descriptor.generation) {
            return None;
        }
        match watcher.take_ready(event.ready()) {
            Interest::NONE => None,
            ready => Some((handler.clone(), ready)),
        }
    }

    /// What the other events mean.
    pub(super) fn unusual(&self, event: Event, wait: u32) -> Unusual {
        if event.key() == Key::WAKE {
            return Unusual::Nobody;
        }
        let Some(descriptor) = self.get(event.key().fd()) else {
            return Unusual::Undead;
        };
        let registered = descriptor.registered.is_some() || descriptor.unpollable;
        if registered && event.key().is_of(descriptor.generation) {
            return match &descriptor.watchers {
                // Asked before, and it does not want it.
                Watchers::One(_) if !descriptor.unpollable => Unusual::Nobody,
                all => Unusual::Many(all.as_slice().to_vec()),
            };
        }
        if descriptor.removed_in == wait {
            // Collected before it was removed in this same round: nothing wrong.
            return Unusual::Nobody;
        }
        Unusual::Undead
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

    /// The handlers of a descriptor, also of one that nobody watches.
    pub(super) fn handlers(&self, fd: RawFd) -> Vec<Rc<dyn IoHandler>> {
        let watchers = self.get(fd).map_or(&[][..], |d| d.watchers.as_slice());
        watchers.iter().map(|(_, h)| h.clone()).collect()
    }

    /// The handler of a watcher that is not closed.
    pub(super) fn handler(&self, watcher: &Watcher) -> Option<Rc<dyn IoHandler>> {
        let watchers = &self.get(watcher.fd())?.watchers;
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

#[cfg(test)]
mod tests;
