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

    #[inline]
    pub(super) fn new(fd: RawFd, generation: u32) -> Key {
        // The keys of `polling` are as wide as a pointer.
        let wide = cfg!(target_pointer_width = "64");
        let generation = if wide { generation } else { 0 };
        Key(u64::from(generation) << 32 | u64::from(fd as u32))
    }
    #[inline]
    pub(super) fn fd(self) -> RawFd {
        self.0 as u32 as RawFd
    }
}

/// One ready descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: Key,
    /// What the kernel reports, hang-up and error as `HANGUP` whether asked for or not.
    pub(super) ready: Interest,
}

/// A level-triggered poller.
pub(super) trait Backend {
    /// EEXIST when it is registered already; EPERM for a descriptor that cannot be polled.
    fn add(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno>;
    /// ENOENT when it is not registered.
    fn modify(&mut self, fd: RawFd, key: Key, interest: Interest) -> Result<(), Errno>;
    /// Takes it out of the set.
    fn remove(&mut self, fd: RawFd) -> Result<(), Errno>;
    /// Registers the wake-up descriptor, whose events end a wait and are not reported.
    fn add_wake(&mut self, fd: RawFd) -> Result<(), Errno>;
    /// Waits (-1: for ever) and replaces `events`. EINTR is the caller's to handle.
    fn wait(&mut self, events: &mut Vec<Event>, timeout_ms: i32) -> Result<(), Errno>;
    /// A descriptor that is readable while an event waits.
    fn raw_fd(&self) -> RawFd;
    /// The end in a forked child: closes what can be closed without touching the set it shares with its parent.
    fn abandon(self: Box<Self>);
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

    pub(super) fn open(self) -> Result<Box<dyn Backend>, Errno> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Kind::Epoll => Box::new(super::epoll::Epoll::new()?),
            Kind::Polling => Box::new(super::polling::Polling::new()?),
        })
    }
}
