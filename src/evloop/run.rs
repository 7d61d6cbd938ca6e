//! Rounds: what happens in which order, and when a run ends.
//!
//! A round: bring the kernel's set up to date; wait; dispatch ready descriptors, then what asked for `again`, deferred
//! tasks, posted work, timers, signals. What is added in a round runs in a later one. Readiness comes before timers, so
//! that a process that was stopped for a while sees the answer before the time-out.
//!
//! Between two callbacks anything may have happened. A break or `free` is seen by the number of breaks, a nested round by
//! the number of waits: then the outer round leaves its events, which the kernel gives again, and the shared queues.

use super::backend::Event;
use super::remote::Message;
use super::watch::{Target, Trouble};
use super::{Interest, Loop};
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// How long what the kernel refused is left alone.
const RETRY: Nanos = SECOND;
/// The cursor between two descriptors' callbacks.
const NO_FD: i32 = -1;

/// What tells a round that it is over.
#[derive(Clone, Copy)]
struct Round {
    breaks: u32,
    wait: u32,
}

/// Marks the loop as running, also when a panic goes through.
struct Running<'a>(&'a Loop);

impl<'a> Running<'a> {
    fn enter(lp: &'a Loop) -> Running<'a> {
        lp.claim_thread();
        lp.remote.entered();
        Running(lp)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.remote.left();
        if !self.0.is_running() {
            self.0.time_known.set(false);
            self.0.work_added();
        }
    }
}

impl Loop {
    /// Runs until nothing is active or `break_all` was called.
    pub fn run(self: &Rc<Loop>) {
        if self.is_freed() || self.check_process().is_err() {
            return;
        }
        // `free` inside a callback takes the loop's own count.
        let lp = self.clone();
        let _running = Running::enter(&lp);
        let breaks = lp.remote.breaks_now();
        while !lp.remote.broken_since(breaks) && lp.is_alive() {
            if let Err(errno) = lp.round(breaks, -1) {
                if !lp.is_freed() && lp.check_process().is_ok() {
                    crate::log!(Error, "the event loop cannot wait: {errno}");
                }
                break;
            }
        }
    }

    /// As [`Loop::run`], but a panic in a handler ends that handler's watching and no more.
    pub fn run_guarded(self: &Rc<Loop>) {
        while catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            self.recover();
        }
    }

    /// One round, waiting at most so long (-1: no limit, but not where nothing is active).
    pub fn run_once(self: &Rc<Loop>, timeout_ms: i32) -> Result<usize, Errno> {
        self.check_process()?;
        if self.is_freed() {
            return Err(Errno(libc::EINVAL));
        }
        let lp = self.clone();
        let _running = Running::enter(&lp);
        let timeout_ms = if timeout_ms < 0 && !lp.is_alive() {
            0
        } else {
            timeout_ms
        };
        lp.round(lp.remote.breaks_now(), timeout_ms)
    }

    /// As [`Loop::run_once`], with the guard of [`Loop::run_guarded`]: a panic counts as one callback.
    pub fn run_once_guarded(self: &Rc<Loop>, timeout_ms: i32) -> Result<usize, Errno> {
        match catch_unwind(AssertUnwindSafe(|| self.run_once(timeout_ms))) {
            Ok(result) => result,
            Err(_) => {
                self.recover();
                Ok(1)
            }
        }
    }

    /// After a panic in a handler: nothing is known of its object, so its descriptor is no longer watched. Its holder can still
    /// close it.
    fn recover(&self) {
        let fd = self.cursor.replace(NO_FD);
        if fd != NO_FD {
            crate::log!(
                Error,
                "descriptor {fd} is no longer watched: its handler failed"
            );
            let watchers = self.table.borrow().watchers(fd);
            for watcher in watchers {
                watcher.stop();
            }
        }
    }

    /// Every running `run` and `run_once` returns after the current callback. Any thread: see [`super::Remote`].
    pub fn break_all(&self) {
        self.remote.break_all();
    }

    /// Whether anything keeps `run` running.
    fn is_alive(&self) -> bool {
        self.active.get() > 0
            || !self.deferred.borrow().is_empty()
            || self.remote.has_messages()
            || self.pending_signals.get() > 0
    }

    /// Whether a round would find something to do without asking the kernel.
    pub(super) fn has_work(&self) -> bool {
        !self.again.borrow().is_empty()
            || !self.deferred.borrow().is_empty()
            || self.remote.has_messages()
            || self.pending_signals.get() > 0
            || self.remote.signals.load(Ordering::Relaxed) != 0
            || self.table.borrow().has_unpollable()
    }

    /// When the next round has to be, as far as time tells.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        let first = self.timers.borrow().heap.first().map(|e| e.deadline);
        let first = first.filter(|deadline| *deadline != Nanos::MAX);
        match self.retry_at.get() {
            0 => first,
            retry => Some(first.map_or(retry, |first| first.min(retry))),
        }
    }

    /// Milliseconds until a round has something to do, rounded up so that nothing is early: 0 when it has now, -1 when
    /// only the kernel can tell.
    pub fn timeout_ms(&self) -> i32 {
        if self.has_work() {
            return 0;
        }
        match self.next_deadline() {
            Some(deadline) => until(deadline, clock::now()),
            None => -1,
        }
    }

    /// Brings the kernel's set up to date.
    pub(super) fn flush(&self) {
        if self.rebuild_wanted.get() {
            self.rebuild();
        }
        if self.retry_at.get() != 0 && clock::now() >= self.retry_at.get() {
            self.retry_at.set(0);
            self.table.borrow_mut().retry_failed();
        }
        if self.table.borrow().is_clean() || self.check_process().is_err() {
            return;
        }
        let troubles = {
            let mut kernel = self.kernel.borrow_mut();
            match kernel.backend.as_mut() {
                Some(backend) => self
                    .table
                    .borrow_mut()
                    .flush(&mut **backend, self.waits.get()),
                None => return,
            }
        };
        self.report(troubles);
    }

    fn report(&self, troubles: Vec<Trouble>) {
        for trouble in troubles {
            match trouble {
                Trouble::Closed(fd) => {
                    crate::log!(Warn, "descriptor {fd} was closed while it was watched");
                    // Once, so that its owner meets EBADF and can end the watching.
                    let watchers = self.table.borrow().watchers(fd);
                    for watcher in watchers {
                        watcher.again(watcher.interest());
                    }
                }
                Trouble::Refused(fd, errno) => {
                    crate::log!(Error, "descriptor {fd} cannot be watched for now: {errno}");
                }
            }
        }
        if !self.table.borrow().failed.is_empty() && self.retry_at.get() == 0 {
            self.retry_at.set(clock::now() + RETRY);
        }
    }

    /// A new set in the kernel: the old one holds a registration that cannot be removed any more, because its descriptor was
    /// closed while a duplicate of it lives on.
    fn rebuild(&self) {
        if self.check_process().is_err() {
            return;
        }
        let fresh = self.kind.open().and_then(|mut backend| {
            backend.add_wake(self.remote.wake.raw_fd())?;
            Ok(backend)
        });
        let mut backend = match fresh {
            Ok(backend) => backend,
            Err(errno) => {
                crate::log!(Error, "the poller cannot be rebuilt: {errno}");
                return;
            }
        };
        self.rebuild_wanted.set(false);
        let troubles = self
            .table
            .borrow_mut()
            .register_all(&mut *backend, self.waits.get());
        if let Some(embed) = &*self.embed.borrow() {
            let _ = embed.poller_replaced(&*backend);
        }
        let old = self.kernel.borrow_mut().backend.replace(backend);
        drop(old);
        crate::log!(Warn, "a descriptor was closed while it was watched and lives on elsewhere: the poller was rebuilt");
        self.report(troubles);
    }

    /// Waits; gives whether timers have to be looked at. Leaves the events in `self.kernel`.
    fn wait(&self, limit_ms: i32) -> Result<bool, Errno> {
        let mut timeout = if self.has_work() { 0 } else { limit_ms };
        let mut due = false;
        let mut now = 0;
        // Nobody reads the clock while no timer is armed and nobody asks.
        let deadline = self.next_deadline();
        if deadline.is_some() || timeout > 0 {
            now = clock::now();
            self.time.set(now);
        }
        if let Some(deadline) = deadline {
            due = deadline <= now;
            let remaining = until(deadline, now);
            if timeout < 0 || remaining < timeout {
                timeout = remaining;
            }
        }
        let length = Nanos::from(timeout.max(0) as u32) * 1_000_000;
        let mut kernel = self.kernel.borrow_mut();
        let kernel = &mut *kernel;
        let Some(backend) = kernel.backend.as_mut() else {
            return Err(Errno(libc::EINVAL));
        };
        while let Err(errno) = backend.wait(&mut kernel.events, timeout) {
            if errno.0 != libc::EINTR {
                return Err(errno);
            }
            if timeout > 0 {
                timeout = until(now + length, clock::now());
            }
        }
        self.time_known.set(length == 0 && deadline.is_some());
        let table = self.table.borrow();
        if table.has_unpollable() {
            table.unpollable_events(&mut kernel.events);
        }
        Ok(due || (kernel.events.is_empty() && deadline.is_some()))
    }

    /// One round; gives how many callbacks ran.
    fn round(&self, breaks: u32, limit_ms: i32) -> Result<usize, Errno> {
        self.check_process()?;
        self.flush();
        let wait = self.waits.get().wrapping_add(1);
        self.waits.set(wait);
        let look_at_timers = self.wait(limit_ms)?;
        let round = Round { breaks, wait };

        // What is pushed from here on is for a later round.
        let again = self.again.borrow().mark();
        let deferred = self.deferred.borrow().mark();
        let posted = if self.remote.has_messages() {
            self.remote.mark()
        } else {
            0
        };
        let armed = self.timers.borrow().heap.mark();

        let mut ran = self.dispatch_ready(round);
        if self.goes_on(round) && !self.again.borrow().is_empty() {
            ran += self.dispatch_again(round, again);
        }
        if self.goes_on(round) && !self.deferred.borrow().is_empty() {
            ran += self.run_deferred(round, deferred);
        }
        if self.goes_on(round) && posted != 0 {
            ran += self.run_posted(round, posted);
        }
        if self.goes_on(round) && look_at_timers {
            ran += self.run_timers(round, armed);
        }
        if self.goes_on(round) {
            ran += self.tell_signals(round);
        }
        Ok(ran)
    }

    #[inline]
    fn goes_on(&self, round: Round) -> bool {
        self.waits.get() == round.wait && !self.remote.broken_since(round.breaks)
    }

    fn dispatch_ready(&self, round: Round) -> usize {
        let mut ran = 0;
        let mut index = 0;
        while self.goes_on(round) {
            // A nested round replaces the events, and `goes_on` tells.
            let Some(event) = self.kernel.borrow().events.get(index).copied() else {
                break;
            };
            index += 1;
            ran += self.dispatch(event, round);
        }
        self.cursor.set(NO_FD);
        ran
    }

    #[inline]
    fn dispatch(&self, event: Event, round: Round) -> usize {
        let fd = event.key.fd();
        let target = self.table.borrow().target(event, round.wait);
        match target {
            Target::One(handler, ready) => {
                self.cursor.set(fd);
                handler.on_io(fd, ready);
                1
            }
            Target::Many(watched) => {
                let mut ran = 0;
                for (watcher, handler) in watched {
                    // The ones before may have stopped or closed it.
                    let ready = watcher.take_ready(event.ready);
                    if ready != Interest::NONE {
                        self.cursor.set(fd);
                        handler.on_io(fd, ready);
                        ran += 1;
                        if !self.goes_on(round) {
                            break;
                        }
                    }
                }
                ran
            }
            Target::Nobody => 0,
            Target::Undead => {
                self.rebuild_wanted.set(true);
                0
            }
        }
    }

    fn dispatch_again(&self, round: Round, mark: u64) -> usize {
        let mut ran = 0;
        while self.goes_on(round) {
            let Some(watcher) = self.again.borrow_mut().take_before(mark) else {
                break;
            };
            // The kernel's own event may have taken it along.
            if !watcher.has_again() {
                continue;
            }
            let ready = watcher.take_ready(Interest::NONE);
            let handler = self.table.borrow().handler(&watcher);
            if let (Some(handler), true) = (handler, ready != Interest::NONE) {
                self.cursor.set(watcher.fd());
                handler.on_io(watcher.fd(), ready);
                ran += 1;
            }
        }
        self.cursor.set(NO_FD);
        ran
    }

    fn run_deferred(&self, round: Round, mark: u64) -> usize {
        let mut ran = 0;
        while self.goes_on(round) {
            let Some(task) = self.deferred.borrow_mut().take_before(mark) else {
                break;
            };
            task.run();
            ran += 1;
        }
        ran
    }

    fn run_posted(&self, round: Round, mark: u64) -> usize {
        let mut ran = 0;
        while self.goes_on(round) {
            match self.remote.take_before(mark) {
                Some(Message::Run(work)) => work(),
                Some(Message::Deliver(number, value)) => self.completions.deliver(number, value),
                Some(Message::Abandon(number)) => self.completions.forget(number),
                None => break,
            }
            ran += 1;
        }
        ran
    }

    fn run_timers(&self, round: Round, mark: u64) -> usize {
        let mut ran = 0;
        let now = self.now();
        while self.goes_on(round) {
            let Some(handler) = self.timers.borrow_mut().take_due(now, mark) else {
                break;
            };
            handler.on_timer();
            ran += 1;
        }
        ran
    }

    fn tell_signals(&self, round: Round) -> usize {
        if self.remote.signals.load(Ordering::Relaxed) != 0 {
            self.collect_signals();
        }
        let mut ran = 0;
        while self.pending_signals.get() > 0 && self.goes_on(round) {
            let Some((handler, signum)) = self.next_signal() else {
                break;
            };
            handler.on_signal(signum);
            ran += 1;
        }
        ran
    }
}

/// Milliseconds from `now` to `deadline`, rounded up, in the range of a poller's time-out.
fn until(deadline: Nanos, now: Nanos) -> i32 {
    let millis = deadline.saturating_sub(now).div_ceil(1_000_000);
    i32::try_from(millis).unwrap_or(i32::MAX)
}
