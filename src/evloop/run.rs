//! Rounds: what happens in which order, and when a run ends.
//!
//! A round: bring the kernel's set up to date; wait; dispatch ready descriptors, then what asked for `again`, deferred
//! tasks, posted work, timers, signals, and last what was put off to the round's end. All else that is added in a round
//! runs in a later one. Readiness comes before timers, so that a process that was stopped for a while sees the answer
//! before the time-out.
//!
//! Between two callbacks anything may have happened. A break or `free` is seen by the number of breaks, a nested round by
//! the number of waits: then the outer round leaves its events, which the kernel gives again, and the shared queues.

use super::backend::{Backend, Event, Poller};
#[cfg(target_os = "linux")]
use super::epoll::{room, wait_on};
use super::remote::{Breaks, Message};
use super::table::{Trouble, Unusual};
use super::{Interest, Loop, Todo};
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

/// How long what the kernel refused is left alone.
const RETRY: Nanos = SECOND;
/// No limit to a wait.
const FOREVER: Nanos = Nanos::MAX;
/// No wait.
const AT_ONCE: Nanos = 0;
/// How long nothing happens in a lull, in milliseconds.
pub(super) const LULL_MS: i32 = 1000;
/// So many events and more may be as many as there was room for: no poller has room for fewer.
const CROWD: usize = 256;
/// The cursor between two descriptors' callbacks.
const NO_FD: i32 = -1;

/// What tells a round that it is over.
#[derive(Clone, Copy)]
struct Round {
    breaks: Breaks,
    wait: u32,
}

/// Marks the loop as running, also when a panic goes through.
struct Running<'a>(&'a Loop);

impl<'a> Running<'a> {
    fn enter(lp: &'a Loop) -> Running<'a> {
        lp.claim_thread();
        if lp.is_running() {
            lp.tell_nested_run();
        }
        lp.remote.entered();
        Running(lp)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.remote.left();
        if !self.0.is_running() {
            self.0.time_known.set(false);
        }
        if self.0.remote.embedded() {
            self.0.show_now();
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
            #[cfg(target_os = "linux")]
            lp.ready_rounds(breaks);
            if lp.remote.broken_since(breaks) || !lp.is_alive() {
                break;
            }
            if let Err(errno) = lp.round(breaks, FOREVER) {
                if !lp.is_freed() && lp.check_process().is_ok() {
                    crate::log!(Error, "the event loop cannot wait: {errno}");
                }
                break;
            }
        }
    }

    /// Tells the handler whose callback runs the loop again.
    #[cold]
    fn tell_nested_run(&self) {
        let handlers = self.table.borrow().handlers(self.cursor.get());
        for handler in handlers {
            handler.on_nested_run();
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
        let until = match u64::try_from(timeout_ms) {
            Err(_) if lp.is_alive() => FOREVER,
            Err(_) | Ok(0) => AT_ONCE,
            Ok(millis) => clock::now() + millis * 1_000_000,
        };
        lp.round(lp.remote.breaks_now(), until)
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

    /// Runs `tidy` once, when for a second nothing has happened that the loop waited for. Costs no clock and no system call
    /// of its own; inside another loop, a look about once a second. `tidy` touches no loop.
    #[inline]
    pub fn at_lull(&self, tidy: fn()) {
        self.lull_asked.set(true);
        let first = self.lull.replace(Some(tidy)).is_none();
        self.lull_timeout.set(LULL_MS);
        if first {
            self.work_added();
        }
    }

    pub(super) fn wants_lull(&self) -> bool {
        self.lull.get().is_some()
    }

    #[cold]
    pub(super) fn have_lull(&self) {
        self.lull_timeout.set(-1);
        if let Some(tidy) = self.lull.take() {
            tidy();
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
            || !self.late.borrow().is_empty()
            || self.remote.has_messages()
            || self.pending_signals.get() > 0
    }

    /// Makes `todo` exact.
    pub(super) fn settle(&self) {
        let table = self.table.borrow();
        let changes = !table.is_clean() || self.rebuild_wanted.get() || self.retry_at.get() != 0;
        let timers = self.timers.borrow().heap.first().is_some() || self.retry_at.get() != 0;
        let bits = [
            (Todo::CHANGES, changes),
            (Todo::AGAIN, !self.again.borrow().is_empty()),
            (Todo::DEFERRED, !self.deferred.borrow().is_empty()),
            (Todo::LATE, !self.late.borrow().is_empty()),
            (Todo::SIGNALS, self.pending_signals.get() > 0),
            (Todo::UNPOLLABLE, table.has_unpollable()),
            (Todo::TIMERS, timers),
        ];
        let set = bits.iter().filter(|(_, set)| *set);
        self.todo.set(set.map(|(bit, _)| bit).sum());
    }

    /// Whether a round would find something to do without asking the kernel. `todo` is settled.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        self.todo.get() & Todo::WORK != 0 || self.remote.is_calling()
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
    /// only the kernel can tell. A host that runs in a callback of this loop sees the same at its descriptor from here on.
    pub fn timeout_ms(&self) -> i32 {
        self.settle();
        if self.remote.embedded() {
            self.show_now();
        }
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
            let mut table = self.table.borrow_mut();
            match self.poller.borrow_mut().as_mut() {
                Some(poller) => table.flush(poller, self.waits.get()),
                None => return,
            }
        };
        self.report(troubles);
    }

    pub(super) fn report(&self, troubles: Vec<Trouble>) {
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
        let fresh = self.kind.open().and_then(|mut poller| {
            poller.add_wake(self.remote.wake.raw_fd())?;
            Ok(poller)
        });
        let mut poller = match fresh {
            Ok(poller) => poller,
            Err(errno) => {
                crate::log!(Error, "the poller cannot be rebuilt: {errno}");
                return;
            }
        };
        self.rebuild_wanted.set(false);
        let troubles = self
            .table
            .borrow_mut()
            .register_all(&mut poller, self.waits.get());
        if let Some(embed) = &*self.embed.borrow() {
            let _ = embed.poller_replaced(&poller);
        }
        let old = self.poller.replace(Some(poller));
        drop(old);
        self.note_descriptors();
        crate::log!(
            Warn,
            "a descriptor was closed while it was watched and lives on elsewhere: the poller was rebuilt"
        );
        self.report(troubles);
    }

    /// Waits until `limit`; gives whether timers have to be looked at.
    #[inline(always)]
    fn wait(&self, events: &mut Vec<Event>, limit: Nanos) -> Result<bool, Errno> {
        let armed = self.todo.get() & Todo::TIMERS != 0;
        loop {
            let mut due = false;
            // Nobody reads the clock while no timer is armed and nobody sets a limit.
            let timeout = if armed || (limit != FOREVER && limit != AT_ONCE) {
                let now = clock::now();
                let deadline = self.next_deadline().unwrap_or_else(|| {
                    // The last one was disarmed: the next round need not ask the clock.
                    self.todo.set(self.todo.get() & !Todo::TIMERS);
                    FOREVER
                });
                due = deadline <= now;
                until(deadline.min(limit), now)
            } else if limit == FOREVER {
                -1
            } else {
                0
            };
            let timeout = if self.has_work() { 0 } else { timeout };
            let lull = self.lull.get().is_some() && !(0..=LULL_MS).contains(&timeout);
            let timeout = if lull { LULL_MS } else { timeout };
            let waited = self.wait_for_kernel(events, timeout);
            match waited {
                Ok(()) if lull && events.is_empty() && !self.has_work() => self.have_lull(),
                Ok(()) => return Ok(due || (armed && events.is_empty())),
                Err(Errno(libc::EINTR)) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// One wait of the poller.
    #[inline(always)]
    fn wait_for_kernel(&self, events: &mut Vec<Event>, timeout: i32) -> Result<(), Errno> {
        // Taken out, so that nothing is borrowed in a child that another thread forks meanwhile.
        let Some(mut poller) = self.poller.take() else {
            return Err(Errno(libc::EINVAL));
        };
        self.remote.set_waiting(true);
        let waited = poller.wait(events, timeout);
        self.remote.set_waiting(false);
        *self.poller.borrow_mut() = Some(poller);
        waited
    }

    /// Rounds that have nothing but ready descriptors, for as long as they come: what most rounds of a busy loop are, with
    /// everything left out that [`Loop::round`] would find to be nothing.
    #[cfg(target_os = "linux")]
    fn ready_rounds(&self, breaks: Breaks) {
        let Some(set) = self.poller.borrow().as_ref().and_then(Poller::epoll_set) else {
            return;
        };
        // A round inside one of these finds none and makes its own; the number of waits then tells, and what the poller
        // is has to be asked again.
        let mut events = self.events.take().unwrap_or_default();
        let Some(room) = room(&mut events) else {
            return;
        };
        if self.todo.get() != 0 {
            return self.events.set(Some(events));
        }
        while !self.remote.is_disturbed(breaks) && self.active.get() > 0 {
            let wait = self.waits.get().wrapping_add(1);
            self.waits.set(wait);
            let round = Round { breaks, wait };
            self.remote.set_waiting(true);
            let waited = wait_on(set, room, self.lull_timeout.get());
            self.remote.set_waiting(false);
            let Ok(ready) = waited else {
                break;
            };
            self.time_known.set(false);
            if self.remote.is_disturbed(breaks) {
                let mut ready = ready.to_vec();
                self.full_round(round, &mut ready, false);
                self.run_late(round);
                break;
            }
            if ready.is_empty() {
                self.have_lull();
                continue;
            }
            self.dispatch_ready(round, ready);
            if self.waits.get() != wait {
                break;
            }
            if self.todo.get() != 0 {
                if self.todo.get() & Todo::LATE != 0 {
                    self.crowded.set(ready.len() >= CROWD);
                    self.run_late(round);
                }
                break;
            }
        }
        self.events.set(Some(events));
    }

    /// One round; gives how many callbacks ran.
    #[inline(always)]
    fn round(&self, breaks: Breaks, limit: Nanos) -> Result<usize, Errno> {
        if self.todo.get() & !Todo::TIMERS != 0 {
            self.prepare();
        }
        let wait = self.waits.get().wrapping_add(1);
        self.waits.set(wait);
        let round = Round { breaks, wait };
        // A round inside this one finds none and makes its own.
        let mut events = self.events.take().unwrap_or_default();
        let result = match self.wait(&mut events, limit) {
            Ok(look_at_timers) => {
                self.time_known.set(false);
                let ran = if look_at_timers || self.has_work() {
                    self.full_round(round, &mut events, look_at_timers)
                } else {
                    self.dispatch_ready(round, &events)
                };
                Ok(match self.todo.get() & Todo::LATE {
                    0 => ran,
                    _ => {
                        self.crowded.set(events.len() >= CROWD);
                        ran + self.run_late(round)
                    }
                })
            }
            Err(errno) => Err(errno),
        };
        self.events.set(Some(events));
        result
    }

    #[cold]
    fn prepare(&self) {
        self.flush();
        self.settle();
    }

    /// A round that has more than ready descriptors.
    #[cold]
    fn full_round(&self, round: Round, events: &mut Vec<Event>, look_at_timers: bool) -> usize {
        // What is pushed from here on is for a later round.
        let again = self.again.borrow().mark();
        let deferred = self.deferred.borrow().mark();
        let posted = self.remote.mark();
        let armed = self.timers.borrow().heap.mark();
        self.crowded.set(events.len() >= CROWD);

        self.table.borrow().unpollable_events(events);
        if !self.goes_on(round) {
            return 0;
        }
        let mut ran = self.dispatch_ready(round, events);
        ran += self.dispatch_again(round, again);
        ran += self.run_deferred(round, deferred);
        ran += self.run_posted(round, posted);
        if look_at_timers {
            ran += self.run_timers(round, armed);
        }
        ran + self.tell_signals(round)
    }

    #[inline]
    fn goes_on(&self, round: Round) -> bool {
        self.waits.get() == round.wait && !self.remote.broken_since(round.breaks)
    }

    /// The caller has seen that the round goes on.
    #[inline(always)]
    fn dispatch_ready(&self, round: Round, events: &[Event]) -> usize {
        let mut ran = 0usize;
        let mut events = events.iter();
        let Some(mut event) = events.next() else {
            return 0;
        };
        loop {
            let target = self.table.borrow().target(*event);
            match target {
                Some((handler, ready)) => {
                    let fd = event.key().fd();
                    self.cursor.set(fd);
                    handler.on_io(fd, ready);
                    ran = ran.wrapping_add(1);
                }
                None => ran += self.dispatch_unusual(*event, round),
            }
            match events.next() {
                Some(next) if self.goes_on(round) => event = next,
                _ => break,
            }
        }
        self.cursor.set(NO_FD);
        ran
    }

    #[cold]
    fn dispatch_unusual(&self, event: Event, round: Round) -> usize {
        let unusual = self.table.borrow().unusual(event, round.wait);
        let mut ran = 0;
        match unusual {
            Unusual::Many(watched) => {
                let fd = event.key().fd();
                for (watcher, handler) in watched {
                    if !self.goes_on(round) {
                        break;
                    }
                    // The ones before may have stopped or closed it.
                    let ready = watcher.take_ready(event.ready());
                    if ready != Interest::NONE {
                        self.cursor.set(fd);
                        handler.on_io(fd, ready);
                        ran += 1;
                    }
                }
            }
            Unusual::Undead => {
                self.rebuild_wanted.set(true);
                self.raise(Todo::CHANGES);
            }
            Unusual::Nobody => {}
        }
        ran
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

    #[cold]
    fn run_late(&self, round: Round) -> usize {
        let mark = self.late.borrow().mark();
        let mut ran = 0;
        while self.goes_on(round) {
            let Some(task) = self.late.borrow_mut().take_before(mark) else {
                break;
            };
            task.run();
            ran += 1;
        }
        if self.late.borrow().is_empty() {
            self.todo.set(self.todo.get() & !Todo::LATE);
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
        if self.remote.has_signals() {
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
