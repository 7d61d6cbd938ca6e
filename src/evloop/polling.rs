//! The poller of every other system, and of Linux by choice: the `polling` crate, level-triggered.

use super::backend::{Backend, Event, Key};
use super::Interest;
use crate::errno::Errno;
use polling::{PollMode, Poller};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// A poller of the `polling` crate.
pub(super) struct Polling {
    poller: ManuallyDrop<Poller>,
    buffer: polling::Events,
    wake: RawFd,
}

/// What the loop's wake-up descriptor is registered as: the largest key is the crate's own.
const WAKE: usize = usize::MAX - 1;

impl Polling {
    pub(super) fn new() -> Result<Polling, Errno> {
        let poller = Poller::new()?;
        if !poller.supports_level() {
            return Err(Errno(libc::ENOTSUP));
        }
        Ok(Polling {
            poller: ManuallyDrop::new(poller),
            buffer: polling::Events::new(),
            wake: -1,
        })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        // SAFETY: dropped once, here; `abandon` forgets the whole object and so never comes here.
        unsafe { ManuallyDrop::drop(&mut self.poller) }
    }
}

fn event(key: usize, interest: Interest) -> polling::Event {
    polling::Event::new(
        key,
        interest.any(Interest::READ),
        interest.any(Interest::WRITE),
    )
}

impl Backend for Polling {
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        // SAFETY: the crate asks that a source is deleted before it is closed. On the pollers we build for (epoll, kqueue)
        // that is a matter of stale events, which the keys' generations catch, not of memory.
        let added = unsafe {
            self.poller
                .add_with_mode(fd, event(key.0 as usize, interest), PollMode::Level)
        };
        Ok(added?)
    }

    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        // SAFETY: the number is only passed on to the kernel during this call; a closed one gives EBADF.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        let event = event(key.0 as usize, interest);
        Ok(self
            .poller
            .modify_with_mode(source, event, PollMode::Level)?)
    }

    fn remove(&mut self, fd: RawFd) -> Result<(), Errno> {
        // SAFETY: as in `modify`.
        Ok(self.poller.delete(unsafe { BorrowedFd::borrow_raw(fd) })?)
    }

    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno> {
        // SAFETY: as in `add`; the loop's wake-up descriptor outlives the poller.
        let added = unsafe {
            self.poller
                .add_with_mode(fd, event(WAKE, Interest::READ), PollMode::Level)
        };
        added?;
        self.wake = fd;
        Ok(())
    }

    // Kept out of the round, which is laid out for epoll.
    #[inline(never)]
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno> {
        events.clear();
        self.buffer.clear();
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        self.poller.wait(&mut self.buffer, timeout)?;
        for raw in self.buffer.iter() {
            if raw.key == WAKE {
                super::wake::drain(self.wake);
                continue;
            }
            let mut bits = 0;
            if raw.readable {
                bits |= Event::IN;
            }
            if raw.writable {
                bits |= Event::OUT;
            }
            if raw.is_interrupt() || raw.is_err() == Some(true) {
                bits |= Event::HUP;
            }
            events.push(Event::new(Key(raw.key as u64), bits));
        }
        Ok(())
    }

    fn raw_fd(&self) -> RawFd {
        self.poller.as_raw_fd()
    }

    fn abandon(self) {
        // Its drop would deregister from the set that the parent uses: its descriptors stay open in the child.
        std::mem::forget(self);
    }
}
