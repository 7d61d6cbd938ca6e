//! The bytes of a READY connection: reading, writing, half-close, and when to tell the program of them.

use super::machine::{Event, State};
use super::{Conn, ALWAYS, NOT_DIRECT};
use crate::errno::Errno;
use crate::evloop::{self, Interest};
use crate::transport::{self, Operation, Stop, Transport};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::rc::Rc;

impl Conn {
    /// The transport, while bytes can be asked for: ENOTCONN before READY and after establishing failed, EPERM in a forked
    /// child: two processes on one TLS state would repeat nonces.
    fn stream(&self) -> Result<Rc<Transport>, Errno> {
        self.lp.check_process()?;
        if !self.established.get() {
            return Err(Errno(libc::ENOTCONN));
        }
        self.check_in_use()?;
        let gone = || match self.forked.get() {
            true => self.failure().map_or(libc::ECANCELED, |f| f.code),
            false => libc::ENOTCONN,
        };
        let transport = self.transport().ok_or_else(|| Errno(gone()))?;
        if transport.session().is_some() {
            self.lp.at_lull(transport::release_idle_buffers);
        }
        Ok(transport)
    }

    /// The socket, where a plain connection needs nothing but the kernel: what [`transport::receive_now`] or
    /// [`transport::send_now`] did not give goes to [`Conn::after_direct`]. Negative otherwise.
    #[inline(always)]
    pub fn direct_fd(&self) -> RawFd {
        let fd = self.direct.get() ^ evloop::fork_mark();
        match fd <= RawFd::MAX as u64 {
            true => fd as RawFd,
            false => -1,
        }
    }

    /// From now on bytes go straight to and from the socket, where nothing more is needed: an owner wants to know what reads
    /// have left in the kernel.
    pub(super) fn go_direct(&self) {
        let fd = self.transport().and_then(|transport| transport.direct_fd());
        if let (Some(fd), false) = (fd, self.has_owner()) {
            self.direct.set(evloop::fork_mark() ^ u64::from(fd as u32));
        }
    }

    /// A direct read gave 0 or an error, a direct write an error: the same as `read` or `write` would have given.
    pub fn after_direct(
        &self,
        operation: Operation,
        answer: Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let transport = self.stream()?;
        match operation {
            Operation::Read => {
                let result = transport.received(answer);
                self.note_drained(matches!(result, Err(Stop::Blocked)));
                self.after_read(result)
            }
            Operation::Write => self.wrote(&transport, transport.sent(answer)),
        }
    }

    /// Up to `buf.len()` bytes; 0 at the end of the stream. EAGAIN, ENOTCONN, or the failure's errno.
    pub fn read(&self, buf: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
        let transport = self.stream()?;
        if buf.is_empty() {
            return Ok(0);
        }
        let result = transport.read(buf);
        self.note_read(transport.drained_by(&result, buf.len()));
        self.after_read(result)
    }

    fn after_read(&self, result: Result<usize, Stop>) -> Result<usize, Errno> {
        match result {
            Ok(0) => {
                if !self.read_done.replace(true) {
                    self.after_end(Event::ReadEnded);
                }
                Ok(0)
            }
            Ok(n) => {
                self.note_moved();
                if !self.dispatching.get() {
                    // The kernel knows nothing of what is left inside TLS.
                    self.update_interest();
                }
                Ok(n)
            }
            Err(stop) => {
                if matches!(stop, Stop::Failed(_)) {
                    self.read_done.set(true);
                }
                Err(self.stopped(stop))
            }
        }
    }

    /// Takes bytes of `buf`. EAGAIN, EPIPE after [`Conn::shutdown`], ENOTCONN, or the failure's errno.
    pub fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        let transport = self.stream()?;
        if buf.is_empty() {
            return Ok(0);
        }
        self.wrote(&transport, transport.write(buf))
    }

    /// As [`Conn::write`], for several pieces.
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let transport = self.stream()?;
        if bufs.iter().all(|b| b.is_empty()) {
            return Ok(0);
        }
        self.wrote(&transport, transport.write_vectored(bufs))
    }

    /// As [`Conn::write`], for bytes of a file: see [`Transport::send_file`]. What is wrong with the file is an error of
    /// the call alone.
    pub fn send_file(
        &self,
        file: RawFd,
        offset: Option<&mut libc::off_t>,
        count: usize,
    ) -> Result<usize, Errno> {
        let transport = self.stream()?;
        self.wrote(&transport, transport.send_file(file, offset, count))
    }

    fn wrote(&self, transport: &Transport, result: Result<usize, Stop>) -> Result<usize, Errno> {
        let result = result.map_err(|stop| self.stopped(stop));
        if result.is_ok_and(|n| n > 0) {
            self.note_moved();
        }
        if transport.has_unsent() {
            // The kernel did not take all of it: the loop sends the rest.
            self.update_interest();
        }
        result
    }

    /// Half-close: no more writes; close_notify, then FIN; reading goes on.
    pub fn shutdown(&self) -> Result<(), Errno> {
        let transport = self.stream()?;
        self.direct.set(NOT_DIRECT);
        if transport.write_ended() {
            return Ok(());
        }
        match transport.shutdown_write() {
            Ok(()) | Err(Stop::Blocked) => {}
            Err(stop) => return Err(self.stopped(stop)),
        }
        self.after_flush(&transport);
        self.update_interest();
        Ok(())
    }

    /// The write side has ended once the kernel has FIN.
    fn after_flush(&self, transport: &Transport) {
        if transport.write_ended() && !transport.has_unsent() && !self.write_done.replace(true) {
            self.after_end(Event::WriteEnded);
        }
    }

    /// One direction ended cleanly.
    fn after_end(&self, event: Event) {
        if let Some(this) = self.rc() {
            this.step(event);
            self.update_interest();
        }
    }

    fn stopped(&self, stop: Stop) -> Errno {
        match stop {
            Stop::Blocked => Errno(libc::EAGAIN),
            Stop::Refused(errno) => errno,
            Stop::Failed(failure) => {
                let errno = failure.errno;
                self.fail(&failure);
                errno
            }
        }
    }

    /// A failure after READY: the state shows it at once, `on_error` follows from the loop.
    fn fail(&self, failure: &transport::Failure) {
        if self.state() != State::Ready {
            return;
        }
        self.direct.set(NOT_DIRECT);
        self.note_failure(failure);
        self.set_state(State::Error);
        let kind = self.failure().map_or(super::ErrorKind::Io, |f| f.kind);
        self.defer(Event::TransportFailed(kind, failure.errno.0));
        self.update_interest();
    }

    /// The loop has something for a plain connection that nothing ails. What it wants changes by calls alone, each of which
    /// tells the loop itself.
    pub(super) fn on_direct_io(self: &Rc<Self>, ready: Interest) {
        let breaks = self.lp.breaks();
        if ready.any(Interest::READ) && self.may_read() {
            self.observer.get().on_readable(self);
        }
        if self.lp.breaks() != breaks {
            // The level is told again by the next run.
            return;
        }
        // Not where the first callback closed it, failed or shut the write side.
        if ready.any(Interest::WRITE) && self.wants_writable.get() && self.direct_fd() >= 0 {
            self.observer.get().on_writable(self);
        }
    }

    /// The program wants to read, and there is something left to be read or told.
    #[inline(always)]
    pub(super) fn may_read(&self) -> bool {
        self.wants_readable.get() != 0 && !self.read_done.get()
    }

    /// The loop has something for a connection that reached READY.
    pub(super) fn on_ready_io(self: &Rc<Self>, ready: Interest) {
        let Some(transport) = self.transport() else {
            return;
        };
        self.dispatching.set(true);
        let breaks = self.lp.breaks();
        if ready.any(Interest::WRITE) && transport.has_unsent() {
            match transport.flush() {
                Ok(()) | Err(Stop::Blocked | Stop::Refused(_)) => {
                    // The peer takes what was written before.
                    self.note_moved();
                    self.after_flush(&transport);
                    // A plain connection's first bytes may be out.
                    self.go_direct();
                }
                Err(Stop::Failed(failure)) => self.fail(&failure),
            }
        }
        let may_read = self.may_read();
        if ready.any(Interest::HANGUP) && !may_read {
            self.on_hangup(&transport);
        }
        // A hang-up or error alone: the read finds out what it is.
        let readable = transport
            .waits_for(Operation::Read)
            .with(Interest(Interest::READ.0 | Interest::HANGUP.0));
        if may_read && ready.any(readable) {
            self.observer.get().on_readable(self);
        }
        if self.may_write(&transport)
            && ready.any(transport.waits_for(Operation::Write))
            && !transport.has_unsent()
            && !self.closed.get()
            // After a break no further callback: the level is told again by the next run.
            && self.lp.breaks() == breaks
        {
            self.observer.get().on_writable(self);
        }
        self.dispatching.set(false);
        self.update_interest();
    }

    /// Hang-up or error that no read will find, because the program does not read (any more).
    fn on_hangup(self: &Rc<Self>, transport: &Transport) {
        match transport.take_socket_error() {
            Some(failure) => self.fail(&failure),
            // Both directions are over and nothing is wrong.
            None => self.hung_up.set(true),
        }
    }

    fn may_write(&self, transport: &Transport) -> bool {
        self.wants_writable.get()
            && !transport.write_ended()
            && self.state() == State::Ready
            && !self.is_parked()
    }

    /// Tells the loop what to wait for. Costs no system call, and next to nothing where nothing changes.
    pub(super) fn update_interest(&self) {
        if !self.established.get() || self.closed.get() {
            return;
        }
        let transport = self.transport.borrow();
        let Some(transport) = transport.as_ref() else {
            return;
        };
        let may_read = self.may_read();
        let state = self.view.state.get();
        let mut interest = Interest::NONE;
        if may_read {
            interest = interest.with(transport.waits_for(Operation::Read));
        }
        if self.may_write(transport) {
            interest = interest.with(transport.waits_for(Operation::Write));
        }
        if transport.has_unsent() {
            interest = interest.with(Interest::WRITE);
        }
        if !self.hung_up.get() && state != State::Error as i32 {
            interest = interest.with(ALWAYS);
        }
        if interest != self.interest.get() {
            self.change_interest(interest);
        }
        if may_read && transport.read_again() {
            if let Some(watcher) = self.watcher() {
                watcher.again(Interest::READ);
            }
        }
    }

    #[cold]
    fn change_interest(&self, interest: Interest) {
        let Some(this) = self.rc() else { return };
        if let Err(errno) = this.watch(interest) {
            this.fail_watch(errno);
        }
    }
}
