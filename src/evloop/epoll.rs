//! The poller of Linux, straight on `epoll`: one system call a wait.

use super::backend::{Backend, Event, Key};
use super::Interest;
use crate::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The most events of one wait: enough that a busy loop's waits cost little, 3 KiB of memory.
const BATCH: usize = 256;

/// An epoll set.
pub(super) struct Epoll {
    set: OwnedFd,
    buffer: Box<[libc::epoll_event]>,
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
            buffer: vec![libc::epoll_event { events: 0, u64: 0 }; BATCH].into(),
        })
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, key: Key) -> Result<(), Errno> {
        let mut event = libc::epoll_event { events, u64: key.0 };
        // SAFETY: `event` is a valid epoll_event for the length of the call; any number is safe as `fd`.
        match unsafe { libc::epoll_ctl(self.set.as_raw_fd(), operation, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    }
}

fn bits(interest: Interest) -> u32 {
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

    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno> {
        events.clear();
        // SAFETY: `buffer` has room for BATCH events and lives through the call.
        let n = unsafe {
            libc::epoll_wait(
                self.set.as_raw_fd(),
                self.buffer.as_mut_ptr(),
                BATCH as i32,
                timeout_ms,
            )
        };
        if n < 0 {
            return Err(Errno::last());
        }
        for raw in self.buffer.iter().take(n as usize) {
            let key = Key(raw.u64);
            if key == Key::WAKE {
                continue;
            }
            let bits = raw.events as i32;
            let mut ready = Interest::NONE;
            if bits & libc::EPOLLIN != 0 {
                ready = ready.with(Interest::READ);
            }
            if bits & libc::EPOLLOUT != 0 {
                ready = ready.with(Interest::WRITE);
            }
            if bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0 {
                ready = ready.with(Interest::HANGUP);
            }
            events.push(Event { key, ready });
        }
        Ok(())
    }

    fn raw_fd(&self) -> RawFd {
        self.set.as_raw_fd()
    }

    fn abandon(self: Box<Self>) {
        // Closing the child's descriptor leaves the shared set as it is.
    }
}
