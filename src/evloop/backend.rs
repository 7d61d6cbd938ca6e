//! What the loop needs of a poller, and the choice of one. Knows descriptors and keys; no watchers.

use super::Interest;
use crate::errno::Errno;
use once_cell::sync::OnceCell;
use std::os::fd::RawFd;

/// What a registration is known by: the descriptor, and which of the registrations that this number has seen. An event
/// of a number that was closed and given out again carries the old generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64);

impl Key {
    /// The loop's own wake-up descriptor. No descriptor has this number.
    pub(super) const WAKE: Key = Key(u64::MAX);
    /// The keys of `polling` are as wide as a pointer: elsewhere there is no room for a generation.
    const WIDE: bool = cfg!(target_pointer_width = "64");

    #[inline]
    pub(super) fn new(fd: RawFd, generation: u32) -> Key {
        let generation = if Key::WIDE { generation } else { 0 };
        Key(u64::from(generation) << 32 | u64::from(fd as u32))
    }
    #[inline]
    pub(super) fn fd(self) -> RawFd {
        self.0 as u32 as RawFd
    }
    #[inline]
    pub(super) fn is_of(self, generation: u32) -> bool {
        !Key::WIDE || (self.0 >> 32) as u32 == generation
    }
}

/// One ready descriptor, laid out as the kernel gives it to `epoll_wait`.
#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
pub(super) struct Event {
    bits: u32,
    key: u64,
}

impl Event {
    pub(super) const IN: u32 = 0x01;
    pub(super) const OUT: u32 = 0x04;
    pub(super) const ERR: u32 = 0x08;
    pub(super) const HUP: u32 = 0x10;

    pub(super) fn new(key: Key, bits: u32) -> Event {
        Event { bits, key: key.0 }
    }

    #[inline]
    pub(super) fn key(self) -> Key {
        Key(self.key)
    }

    /// As the kernel tells it, for who tells errors and hang-ups apart.
    pub(super) fn bits(self) -> u32 {
        self.bits
    }

    /// What is reported, hang-up and error as `HANGUP` whether asked for or not.
    #[inline(always)]
    pub(super) fn ready(self) -> Interest {
        let bits = self.bits;
        // IN is READ, and OUT one bit higher than WRITE.
        let ready = Interest((bits & Event::IN | bits >> 1 & Event::OUT >> 1) as u8);
        if bits & (Event::ERR | Event::HUP) != 0 {
            return Event::hung_up(ready);
        }
        ready
    }

    /// Apart, so that what follows for the other events need not ask again.
    #[cold]
    fn hung_up(ready: Interest) -> Interest {
        ready.with(Interest::HANGUP)
    }
}

/// A level-triggered poller.
pub(super) trait Backend: Sized {
    /// EEXIST when it is registered already; EPERM for a descriptor that cannot be polled.
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno>;
    /// ENOENT when it is not registered.
    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno>;
    /// Takes it out of the set.
    fn remove(&mut self, fd: RawFd) -> Result<(), Errno>;
    /// Registers the wake-up descriptor, whose events end a wait. They are reported as `Key::WAKE` or not at all.
    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno>;
    /// Waits (-1: for ever) and replaces `events`. EINTR is the caller's to handle.
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno>;
    /// A descriptor that is readable while an event waits.
    fn raw_fd(&self) -> RawFd;
    /// The end in a forked child whose host has closed the descriptors.
    fn forget(self) {
        std::mem::forget(self);
    }
    /// The end in a forked child: closes what can be closed without touching the set it shares with its parent.
    fn abandon(self);
}

/// Which poller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    #[cfg(target_os = "linux")]
    Epoll,
    Polling,
}

impl Kind {
    /// The one that the system and the environment (`NETCONN_POLLER`) ask for; asked once.
    pub(super) fn chosen() -> Kind {
        #[cfg(target_os = "linux")]
        {
            static CHOSEN: OnceCell<Kind> = OnceCell::new();
            *CHOSEN.get_or_init(
                || match crate::log::environment("NETCONN_POLLER").as_deref() {
                    Some("polling") => Kind::Polling,
                    _ => Kind::Epoll,
                },
            )
        }
        #[cfg(not(target_os = "linux"))]
        Kind::Polling
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Kind::Epoll => "epoll",
            Kind::Polling => "polling",
        }
    }

    pub(super) fn open(self) -> Result<Poller, Errno> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Kind::Epoll => Poller::Epoll(super::epoll::Epoll::new()?),
            Kind::Polling => Poller::Polling(Box::new(super::polling::Polling::new()?)),
        })
    }
}

/// A poller of either kind, told apart by a comparison: a wait is too frequent for a call through a table. Small, because
/// each wait moves it.
pub(super) enum Poller {
    #[cfg(target_os = "linux")]
    Epoll(super::epoll::Epoll),
    Polling(Box<super::polling::Polling>),
}

impl Poller {
    /// The epoll set, where it is one.
    #[cfg(target_os = "linux")]
    pub(super) fn epoll_set(&self) -> Option<RawFd> {
        match self {
            Poller::Epoll(epoll) => Some(epoll.raw_fd()),
            Poller::Polling(_) => None,
        }
    }
}

macro_rules! either {
    ($self:ident, $poller:ident => $call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Poller::Epoll($poller) => $call,
            Poller::Polling($poller) => $call,
        }
    };
}

impl Backend for Poller {
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        either!(self, poller => poller.add(fd, key, interest))
    }
    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno> {
        either!(self, poller => poller.modify(fd, key, interest))
    }
    fn remove(&mut self, fd: RawFd) -> Result<(), Errno> {
        either!(self, poller => poller.remove(fd))
    }
    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno> {
        either!(self, poller => poller.add_wake(fd))
    }
    #[inline]
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno> {
        either!(self, poller => poller.wait(events, timeout_ms))
    }
    fn raw_fd(&self) -> RawFd {
        either!(self, poller => poller.raw_fd())
    }
    fn abandon(self) {
        either!(self, poller => poller.abandon())
    }
}
