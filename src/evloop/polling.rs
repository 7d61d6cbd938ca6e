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
    shared: Shared,
    buffer: polling::Events,
    wake: RawFd,
}

/// What the loop's wake-up descriptor is registered as: the largest key is the crate's own.
const WAKE: usize = usize::MAX - 1;
pub(super) const WAKE_KEY: Key = Key(WAKE as u64);

/// What of it any thread may use while another one waits.
pub(super) struct Shared {
    poller: ManuallyDrop<Poller>,
}

impl Polling {
    pub(super) fn new() -> Result<Polling, Errno> {
        let shared = Shared::new()?;
        if !shared.poller.supports_level() {
            return Err(Errno(libc::ENOTSUP));
        }
        Ok(Polling {
            shared,
            buffer: polling::Events::new(),
            wake: -1,
        })
    }
}

impl Drop for Shared {
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

impl Shared {
    pub(super) fn new() -> Result<Shared, Errno> {
        Ok(Shared {
            poller: ManuallyDrop::new(Poller::new()?),
        })
    }

    /// The end in a forked child: see [`Backend::abandon`].
    pub(super) fn abandon(self) {
        // Its drop would deregister from the set that the parent uses: its descriptors stay open in the child.
        std::mem::forget(self);
    }

    pub(super) fn supports_edge(&self) -> bool {
        self.poller.supports_edge()
    }

    pub(super) fn add_as(
        &self,
        fd: RawFd,
        key: Key,
        interest: Interest,
        mode: PollMode,
    ) -> Result<(), Errno> {
        // SAFETY: the crate asks that a source is deleted before it is closed. On the pollers we build for (epoll, kqueue)
        // that is a matter of stale events, which the keys' generations catch, not of memory.
        let added = unsafe {
            self.poller
                .add_with_mode(fd, event(key.0 as usize, interest), mode)
        };
        Ok(added?)
    }

    pub(super) fn modify_as(
        &self,
        fd: RawFd,
        key: Key,
        interest: Interest,
        mode: PollMode,
    ) -> Result<(), Errno> {
        // SAFETY: the number is only passed on to the kernel during this call; a closed one gives EBADF.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        let event = event(key.0 as usize, interest);
        Ok(self.poller.modify_with_mode(source, event, mode)?)
    }

    pub(super) fn delete(&self, fd: RawFd) -> Result<(), Errno> {
        // SAFETY: as in `modify_as`.
        Ok(self.poller.delete(unsafe { BorrowedFd::borrow_raw(fd) })?)
    }

    /// Waits, and puts what is ready behind what `events` holds. `buffer`: room, cleared here; `wake`: the wake-up
    /// descriptor, for which no event is given.
    pub(super) fn wait_behind(
        &self,
        buffer: &mut polling::Events,
        events: &mut Vec<Event>,
        wake: RawFd,
        timeout_ms: i32,
    ) -> Result<(), Errno> {
        buffer.clear();
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        self.poller.wait(buffer, timeout)?;
        for raw in buffer.iter() {
            if raw.key == WAKE {
                super::wake::drain(wake);
                continue;
            }
            let mut bits = 0;
            if raw.readable {
                bits |= Event::IN;
            }
            if raw.writable {
                bits |= Event::OUT;
            }
            if raw.is_err() == Some(true) {
                bits |= Event::ERR;
            }
            if raw.is_interrupt() {
                bits |= Event::HUP;
            }
            events.push(Event::new(Key(raw.key as u64), bits));
        }
        Ok(())
    }
}

impl Backend for Polling {
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        self.shared.add_as(fd, key, interest, PollMode::Level)
    }

    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        self.shared.modify_as(fd, key, interest, PollMode::Level)
    }

    fn remove(&mut self, fd: RawFd) -> Result<(), Errno> {
        self.shared.delete(fd)
    }

    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno> {
        // Outlives the poller.
        self.shared
            .add_as(fd, WAKE_KEY, Interest::READ, PollMode::Level)?;
        self.wake = fd;
        Ok(())
    }

    // Kept out of the round, which is laid out for epoll.
    #[inline(never)]
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno> {
        events.clear();
        self.shared
            .wait_behind(&mut self.buffer, events, self.wake, timeout_ms)
    }

    fn raw_fd(&self) -> RawFd {
        self.shared.poller.as_raw_fd()
    }

    fn abandon(self) {
        self.shared.abandon();
    }
}
