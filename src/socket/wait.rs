//! Waiting for one descriptor, up to a point in time; signals do not end it.

use crate::clock::{self, Nanos, MILLISECOND};
use crate::errno::Errno;
use std::ffi::{c_int, c_short};
use std::os::fd::RawFd;

/// So many milliseconds at most are waited by one poll(2).
const LONGEST: u64 = (c_int::MAX / 2) as u64;

/// Until when to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Nanos>);

impl Deadline {
    /// As long as it takes.
    pub const NEVER: Deadline = Deadline(None);

    /// This many milliseconds from now; negative: [`Deadline::NEVER`].
    pub fn after_ms(ms: c_int) -> Deadline {
        match u64::try_from(ms) {
            Ok(ms) => Deadline::after(ms * MILLISECOND),
            Err(_) => Deadline::NEVER,
        }
    }

    /// This long from now.
    pub fn after(time: Nanos) -> Deadline {
        Deadline(Some(clock::now().saturating_add(time)))
    }

    /// What is left; `None`: no end.
    pub fn left(self) -> Option<Nanos> {
        self.0.map(|at| at.saturating_sub(clock::now()))
    }

    /// Whether it has come.
    pub fn is_over(self) -> bool {
        self.left() == Some(0)
    }
}

/// Waits for these events of poll(2): what came, 0 when the time is over.
pub fn wait(fd: RawFd, events: c_short, deadline: Deadline) -> Result<c_short, Errno> {
    loop {
        let left = deadline.left();
        let ms = match left {
            None => -1,
            // Rounded up: a wait that ends early would be made again at once.
            Some(left) => left.div_ceil(MILLISECOND).min(LONGEST) as c_int,
        };
        let mut polled = libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // SAFETY: one pollfd.
        match unsafe { libc::poll(&mut polled, 1, ms) } {
            -1 => match Errno::last() {
                Errno(libc::EINTR) => {}
                errno => return Err(errno),
            },
            0 if left == Some(0) || deadline.is_over() => return Ok(0),
            0 => {}
            _ => return Ok(polled.revents),
        }
    }
}
