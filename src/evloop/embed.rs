//! A loop inside another one: one descriptor that is readable whenever a round has work.
//!
//! It is an epoll set of its own around the poller and a timer descriptor. The poller's set may be replaced behind it
//! without the host's loop noticing.

use super::backend::{Backend, Poller};
use super::{fork, Loop};
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;

/// How long nothing happens in a lull.
const LULL: Nanos = super::run::LULL_MS as Nanos * (SECOND / 1000);

/// What a host watches.
pub(super) struct Embed {
    outer: OwnedFd,
    timer: OwnedFd,
    /// What the timer descriptor is set to: 0 is off.
    shown: Cell<Nanos>,
}

/// A deadline that has passed: the timer descriptor stays readable until it is set to another one.
const PASSED: Nanos = 1;

fn owned(fd: RawFd) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the callers pass what a system call just opened for them.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Embed {
    pub(super) fn new(poller: &Poller) -> Result<Embed, Errno> {
        // SAFETY: takes a flag, gives a new descriptor or -1.
        let outer = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // Nobody reads it, but hosts may insist (libevent's debug mode does).
        // SAFETY: takes three numbers.
        unsafe { libc::fcntl(outer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes two numbers, gives a new descriptor or -1.
        let timer = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        let embed = Embed {
            outer,
            timer,
            shown: Cell::new(0),
        };
        embed.add(embed.timer.as_raw_fd())?;
        embed.add(poller.raw_fd())?;
        Ok(embed)
    }

    fn add(&self, fd: RawFd) -> Result<(), Errno> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        let outer = self.outer.as_raw_fd();
        // SAFETY: `event` is a valid epoll_event for the length of the call.
        match unsafe { libc::epoll_ctl(outer, libc::EPOLL_CTL_ADD, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    }

    /// Takes the place of the one that the child shares with its parent, under the same number: what the host's loop
    /// watches stays what it is called.
    pub(super) fn replace(self, old: Embed) -> Embed {
        let Embed { outer, timer, .. } = old;
        fork::close_inherited(timer);
        let number = outer.as_raw_fd();
        if fork::is_inherited(number) {
            // SAFETY: both are descriptors of ours; the old set is the parent's, which keeps it.
            if unsafe { libc::dup3(self.outer.as_raw_fd(), number, libc::O_CLOEXEC) } == number {
                return Embed {
                    outer,
                    timer: self.timer,
                    shown: self.shown,
                };
            }
        }
        let _ = outer.into_raw_fd();
        self
    }

    pub(super) fn numbers(&self) -> [RawFd; 2] {
        [self.outer.as_raw_fd(), self.timer.as_raw_fd()]
    }

    /// The end in a child where others have the numbers.
    pub(super) fn forget(self) {
        let _ = (self.outer.into_raw_fd(), self.timer.into_raw_fd());
    }

    /// The end in a child that shares it with its parent.
    pub(super) fn abandon(self) {
        fork::close_inherited(self.outer);
        fork::close_inherited(self.timer);
    }

    /// The poller was replaced; the old one's set left with its descriptor.
    pub(super) fn poller_replaced(&self, poller: &Poller) -> Result<(), Errno> {
        self.add(poller.raw_fd())
    }

    /// Makes the timer descriptor readable once `deadline` has passed: 0 for never.
    fn show(&self, deadline: Nanos) {
        if self.shown.replace(deadline) == deadline {
            return;
        }
        let value = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: (deadline / SECOND) as libc::time_t,
                tv_nsec: (deadline % SECOND) as libc::c_long,
            },
        };
        let timer = self.timer.as_raw_fd();
        // SAFETY: `value` is a valid itimerspec; the old value is not asked for.
        unsafe {
            libc::timerfd_settime(timer, libc::TFD_TIMER_ABSTIME, &value, std::ptr::null_mut());
        }
    }
}

impl Loop {
    /// A descriptor that is readable whenever a round has work, for another loop to watch: it then calls
    /// `run_once(0)`. The same one at each call; the loop's.
    pub fn embed_fd(self: &Rc<Loop>) -> Result<RawFd, Errno> {
        self.check_process()?;
        if let Some(embed) = &*self.embed.borrow() {
            return Ok(embed.outer.as_raw_fd());
        }
        let embed = match &*self.poller.borrow() {
            Some(poller) => Embed::new(poller)?,
            None => return Err(Errno(libc::EINVAL)),
        };
        let fd = embed.outer.as_raw_fd();
        *self.embed.borrow_mut() = Some(embed);
        self.note_descriptors();
        self.remote.set_embedded();
        self.show_now();
        Ok(fd)
    }

    /// Interest changes reach the kernel at once while a host watches; those made in a run at its end.
    #[inline]
    pub(super) fn flush_if_embedded(&self) {
        if self.remote.embedded() {
            self.show_work();
        }
    }

    /// Something was added that the next round does without waiting.
    #[inline]
    pub(super) fn work_added(&self) {
        if self.remote.embedded() {
            self.show_work();
        }
    }

    /// The earliest deadline may be another one.
    #[inline]
    pub(super) fn timers_changed(&self) {
        if self.remote.embedded() {
            self.show_work();
        }
    }

    /// When to look whether there is a lull. It is one where nobody has asked for it anew since the last look: so a busy loop
    /// looks, and sets the timer for it, about once a second.
    fn lull_deadline(&self) -> Option<Nanos> {
        if !self.wants_lull() {
            self.lull_at.set(0);
            return None;
        }
        let now = clock::now();
        let due = self.lull_at.get();
        if due == 0 || (due <= now && self.lull_asked.get()) {
            self.lull_asked.set(false);
            self.lull_at.set(now + LULL);
        } else if due <= now {
            self.lull_at.set(0);
            self.have_lull();
            return None;
        }
        Some(self.lull_at.get())
    }

    /// Tells the host what waits. Inside a run that is left to its end.
    pub(super) fn show_work(&self) {
        if !self.is_running() {
            self.show_now();
        }
    }

    /// The same inside a run, for a host that runs in a callback of this loop. Work that waits is shown as a deadline that
    /// has passed: one system call tells either, and none is needed while it stays the same from round to round.
    pub(super) fn show_now(&self) {
        if self.check_process().is_err() {
            return;
        }
        if let Some(embed) = &*self.embed.borrow() {
            self.flush();
            self.settle();
            let next = || [self.next_deadline(), self.lull_deadline()];
            let next = || next().into_iter().flatten().min().unwrap_or(0);
            embed.show(if self.has_work() { PASSED } else { next() });
        }
    }
}
