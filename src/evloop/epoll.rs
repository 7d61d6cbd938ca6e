//! The poller of Linux, straight on `epoll`: one system call a wait.

use super::backend::{Backend, Event, Key};
use super::{fork, Interest};
use crate::errno::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The most events of one wait: enough that a busy loop's waits cost little, 3 KiB of memory.
const BATCH: usize = 256;

// The kernel writes `Event`s.
const _: () = {
    assert!(size_of::<Event>() == size_of::<libc::epoll_event>());
    assert!(align_of::<Event>() == align_of::<libc::epoll_event>());
    assert!(Event::IN == libc::EPOLLIN as u32 && Event::OUT == libc::EPOLLOUT as u32);
    assert!(Event::HUP == libc::EPOLLHUP as u32);
};

/// An epoll set.
pub(super) struct Epoll {
    set: OwnedFd,
}

impl Epoll {
    pub(super) fn new() -> Result<Epoll, Errno> {
        // SAFETY: takes a flag, gives a new descriptor or -1.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Errno::last());
        }
        Ok(Epoll {
            // SAFETY: `fd` was just opened here and nobody else owns it.
            set: unsafe { OwnedFd::from_raw_fd(fd) },
        })
    }

    pub(super) fn control(
        &self,
        operation: i32,
        fd: RawFd,
        events: u32,
        key: Key,
    ) -> Result<(), Errno> {
        let mut event = libc::epoll_event { events, u64: key.0 };
        // SAFETY: `event` is a valid epoll_event for the length of the call; any number is safe as `fd`.
        match unsafe { libc::epoll_ctl(self.set.as_raw_fd(), operation, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    }
}

pub(super) fn bits(interest: Interest) -> u32 {
    let mut bits = 0;
    if interest.any(Interest::READ) {
        bits |= libc::EPOLLIN;
    }
    if interest.any(Interest::WRITE) {
        bits |= libc::EPOLLOUT;
    }
    // EPOLLHUP and EPOLLERR come unasked.
    bits as u32
}

/// Room for the events of one wait.
pub(super) type Room = [MaybeUninit<Event>; BATCH];

/// One `epoll_wait` that takes as many events as there is room for behind those that `events` holds; how many came.
pub(super) fn wait_behind(
    set: RawFd,
    events: &mut Vec<Event>,
    most: usize,
    timeout_ms: i32,
) -> Result<usize, Errno> {
    if events.try_reserve(most).is_err() {
        return Err(Errno(libc::ENOMEM));
    }
    let at = events.spare_capacity_mut().as_mut_ptr();
    let room = i32::try_from(most).unwrap_or(i32::MAX);
    // SAFETY: there is room for `most` events, which are laid out as epoll_events; any number is safe as `set`.
    let n = unsafe { libc::epoll_wait(set, at.cast(), room, timeout_ms) };
    if n < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel wrote `n` events behind those that there were, which is at most `most`.
    unsafe { events.set_len(events.len() + n as usize) };
    Ok(n as usize)
}

/// One `epoll_wait`; the events it gave.
#[inline(always)]
pub(super) fn wait_on(set: RawFd, room: &mut Room, timeout_ms: i32) -> Result<&[Event], Errno> {
    // SAFETY: `room` has room for BATCH events, which are laid out as epoll_events; any number is safe as `set`.
    let n = unsafe { libc::epoll_wait(set, room.as_mut_ptr().cast(), BATCH as i32, timeout_ms) };
    if n < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel wrote `n` events, which is at most BATCH.
    Ok(unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), n as usize) })
}

/// The room behind the events that there are, which are cleared.
pub(super) fn room(events: &mut Vec<Event>) -> Option<&mut Room> {
    events.clear();
    events.reserve(BATCH);
    events.spare_capacity_mut().first_chunk_mut()
}

impl Backend for Epoll {
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_ADD, fd, bits(interest), key)
    }

    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_MOD, fd, bits(interest), key)
    }

    fn remove(&mut self, fd: RawFd) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Key(0))
    }

    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno> {
        // Edge-triggered: each write to the eventfd ends one wait, and nobody has to read it.
        let events = libc::EPOLLIN | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, fd, events as u32, Key::WAKE)
    }

    #[inline]
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno> {
        let Some(room) = room(events) else {
            return Err(Errno(libc::ENOMEM));
        };
        let n = wait_on(self.raw_fd(), room, timeout_ms)?.len();
        // SAFETY: so many were written behind the events that there were, which is none.
        unsafe { events.set_len(n) };
        Ok(())
    }

    fn raw_fd(&self) -> RawFd {
        self.set.as_raw_fd()
    }

    fn abandon(self) {
        // Closing the child's descriptor leaves the shared set as it is: a set ends with its last descriptor.
        fork::close_inherited(self.set);
    }
}
