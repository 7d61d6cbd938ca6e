//! Readiness for who waits by himself and not in a loop: edge-triggered, changed by any thread while one waits. On the
//! pollers of the loop, and as ignorant of what descriptors carry.

use super::backend::{Backend, Event, Key, Kind};
use super::polling::WAKE_KEY;
use super::wake::Wake;
use super::{fork, Interest};
use crate::errno::Errno;
use ::polling::PollMode;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;

/// A set of descriptors, each told of once for each change of its readiness.
pub struct Edges {
    kernel: ManuallyDrop<Kernel>,
    wake: Wake,
    /// The process that made it: a child has the same kernel side as its parent and must not change it.
    made_in: u32,
}

enum Kernel {
    #[cfg(target_os = "linux")]
    Epoll(super::epoll::Epoll),
    Polling(super::polling::Shared),
}

/// One descriptor whose readiness has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it was registered as.
    pub key: u64,
    /// READ and WRITE, whether asked for or not.
    pub ready: Interest,
    /// An error is pending at it.
    pub failed: bool,
    /// Both directions have ended.
    pub hung_up: bool,
}

/// Room for what a wait gives.
#[derive(Default)]
pub struct EdgeRoom {
    events: Vec<Event>,
    /// Made by the poller that needs it.
    polling: Option<::polling::Events>,
}

impl Edges {
    /// Of the poller that the system and the environment ask for. `Errno` ENOTSUP where that one knows no edges.
    pub fn new() -> Result<Edges, Errno> {
        fork::watch_for_forks();
        let wake = Wake::new()?;
        let kernel = match Kind::chosen() {
            #[cfg(target_os = "linux")]
            Kind::Epoll => {
                let mut epoll = super::epoll::Epoll::new()?;
                epoll.add_wake(wake.raw_fd())?;
                Kernel::Epoll(epoll)
            }
            Kind::Polling => {
                let polling = super::polling::Shared::new()?;
                if !polling.supports_edge() {
                    return Err(Errno(libc::ENOTSUP));
                }
                polling.add_as(wake.raw_fd(), WAKE_KEY, Interest::READ, PollMode::Level)?;
                Kernel::Polling(polling)
            }
        };
        Ok(Edges {
            kernel: ManuallyDrop::new(kernel),
            wake,
            made_in: fork::generation(),
        })
    }

    /// The name of the poller.
    pub fn name(&self) -> &'static str {
        Kind::chosen().name()
    }

    /// Whether this process is a child of the one that made it: then nothing here may be used any more.
    pub fn is_inherited(&self) -> bool {
        self.made_in != fork::generation()
    }

    /// Registers a descriptor, or registers it anew where the kernel has it already. `key`: any number below 2^63 (on a
    /// system of 32 bits: 2^31).
    pub fn add(&self, fd: RawFd, key: u64, interest: Interest) -> Result<(), Errno> {
        match self.register(fd, Key(key), interest, true) {
            Err(Errno(libc::EEXIST)) => self.register(fd, Key(key), interest, false),
            done => done,
        }
    }

    /// Changes what is asked for, and tells once more of what is ready, where nothing was changed, too.
    pub fn rearm(&self, fd: RawFd, key: u64, interest: Interest) -> Result<(), Errno> {
        match self.register(fd, Key(key), interest, false) {
            Err(Errno(libc::ENOENT)) => self.register(fd, Key(key), interest, true),
            done => done,
        }
    }

    fn register(&self, fd: RawFd, key: Key, interest: Interest, new: bool) -> Result<(), Errno> {
        match &*self.kernel {
            #[cfg(target_os = "linux")]
            Kernel::Epoll(epoll) => {
                let operation = if new {
                    libc::EPOLL_CTL_ADD
                } else {
                    libc::EPOLL_CTL_MOD
                };
                let events = super::epoll::bits(interest) | libc::EPOLLET as u32;
                epoll.control(operation, fd, events, key)
            }
            Kernel::Polling(polling) if new => polling.add_as(fd, key, interest, PollMode::Edge),
            Kernel::Polling(polling) => polling.modify_as(fd, key, interest, PollMode::Edge),
        }
    }

    /// Takes a descriptor out. `Errno` ENOENT, EBADF: it is not in the set.
    pub fn remove(&self, fd: RawFd) -> Result<(), Errno> {
        match &*self.kernel {
            #[cfg(target_os = "linux")]
            Kernel::Epoll(epoll) => epoll.control(libc::EPOLL_CTL_DEL, fd, 0, Key(0)),
            Kernel::Polling(polling) => polling.delete(fd),
        }
    }

    /// Waits until something has changed, for at most `timeout_ms` (-1: for ever), and gives about `most` of what has. One
    /// thread at a time. Nothing is given when [`Edges::wake`] ended the wait. EINTR is the caller's to handle.
    pub fn wait<'a>(
        &self,
        room: &'a mut EdgeRoom,
        most: usize,
        timeout_ms: i32,
    ) -> Result<impl Iterator<Item = Edge> + 'a, Errno> {
        room.events.clear();
        match &*self.kernel {
            #[cfg(target_os = "linux")]
            Kernel::Epoll(epoll) => {
                let set = epoll.raw_fd();
                super::epoll::wait_behind(set, &mut room.events, most, timeout_ms)?;
            }
            Kernel::Polling(polling) => {
                let buffer = room.polling.get_or_insert_with(::polling::Events::new);
                polling.wait_behind(buffer, &mut room.events, self.wake.raw_fd(), timeout_ms)?;
            }
        }
        let events = room.events.iter();
        Ok(events.filter(|e| e.key() != Key::WAKE).map(|e| Edge {
            key: e.key().0,
            ready: {
                let is = |bit, interest| match e.bits() & bit {
                    0 => Interest::NONE,
                    _ => interest,
                };
                is(Event::IN, Interest::READ).with(is(Event::OUT, Interest::WRITE))
            },
            failed: e.bits() & Event::ERR != 0,
            hung_up: e.bits() & Event::HUP != 0,
        }))
    }

    /// Ends the wait that is going on, or else the next one. Any thread.
    pub fn wake(&self) {
        self.wake.ring();
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let kernel = unsafe { ManuallyDrop::take(&mut self.kernel) };
        if !self.is_inherited() {
            return;
        }
        match kernel {
            #[cfg(target_os = "linux")]
            Kernel::Epoll(epoll) => epoll.abandon(),
            Kernel::Polling(polling) => polling.abandon(),
        }
        self.wake.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn now(edges: &Edges) -> Vec<Edge> {
        let mut room = EdgeRoom::default();
        let edges = edges.wait(&mut room, 8, 0).unwrap();
        edges.collect()
    }

    #[test]
    fn a_change_is_told_once_and_again_after_rearming() {
        let edges = Edges::new().unwrap();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let fd = near.as_raw_fd();
        edges.add(fd, 7, Interest::READ).unwrap();
        assert_eq!(now(&edges), []);
        far.write_all(b"ab").unwrap();
        let readable = Edge {
            key: 7,
            ready: Interest::READ,
            failed: false,
            hung_up: false,
        };
        assert_eq!(now(&edges), [readable]);
        assert_eq!(now(&edges), []);
        edges.rearm(fd, 7, Interest::READ).unwrap();
        assert_eq!(now(&edges), [readable]);
        near.read_exact(&mut [0; 2]).unwrap();
        edges.rearm(fd, 7, Interest::READ).unwrap();
        assert_eq!(now(&edges), []);
        drop(far);
        assert!(now(&edges).iter().all(|edge| edge.hung_up));
        edges.remove(fd).unwrap();
        assert_eq!(edges.remove(fd), Err(Errno(libc::ENOENT)));
    }

    #[test]
    fn a_wait_is_ended_from_elsewhere() {
        let edges = Edges::new().unwrap();
        edges.wake();
        let mut room = EdgeRoom::default();
        assert_eq!(edges.wait(&mut room, 8, -1).unwrap().count(), 0);
        assert_eq!(now(&edges), []);
    }
}
