//! The loop: readiness, timers, signals, posted work, embedding.
//!
//! Must not know what the descriptors carry: no sockets, no TLS, no names.
//!
//! One loop belongs to one thread: the first that runs it. Everything attached is reference-counted, owned by the loop
//! until its own `close`, and held by the dispatch that is running it, so a handler may do anything: close its own
//! watcher, close others, run the loop again, free the loop.
//!
//! - `run`: rounds, their order, when a run ends
//! - `watch` over `table`: descriptors; `timers` over `heap`; `signals`; `completion`
//! - `remote`: the half that any thread may touch; `wake`: its descriptor; `queue`: what is put off
//! - `backend`: what a poller is; `epoll` and `polling`: the two there are
//! - `edges`: the pollers, for who waits without a loop
//! - `embed`: a loop inside another one
//! - `registry`: the process's loops; `fork`: how a child is told from its parent; `forked`: a loop in a child

mod backend;
mod completion;
mod edges;
mod embed;
#[cfg(target_os = "linux")]
mod epoll;
mod fork;
mod forked;
mod heap;
mod polling;
mod queue;
mod registry;
mod remote;
mod run;
mod signals;
mod slots;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod wake;
mod watch;

pub use completion::{Completer, Completion};
pub use edges::{Edge, EdgeRoom, Edges};
pub use fork::{generation as fork_generation, mark as fork_mark};
pub use heap::Heap;
pub use registry::{at_destroy, destroy_all, is_loop};
pub use remote::{Breaks, Remote};
pub use signals::{SignalHandler, SignalWatcher};
pub use timers::Timer;
pub use watch::Watcher;

use crate::clock::{self, Nanos};
use crate::errno::Errno;
use backend::{Backend, Event, Kind, Poller};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// A set of directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interest(pub u8);

impl Interest {
    /// Nothing: an idle watcher.
    pub const NONE: Interest = Interest(0);
    /// `EVLOOP_READ`
    pub const READ: Interest = Interest(1);
    /// `EVLOOP_WRITE`
    pub const WRITE: Interest = Interest(2);
    /// Hang-up and error, told as such and also where nothing else is asked for. A watcher that did not ask for it sees
    /// them as the directions it asked for.
    pub const HANGUP: Interest = Interest(4);

    /// Whether any direction of `other` is in this set.
    pub fn any(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }
    /// Both together.
    pub fn with(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

/// Told when a watched descriptor is ready.
pub trait IoHandler {
    /// `ready` holds only what the watcher asked for; may be spurious.
    fn on_io(self: Rc<Self>, fd: RawFd, ready: Interest);

    /// The loop is being run again inside this handler's `on_io`: what it does at its end has to be done now, too.
    fn on_nested_run(self: Rc<Self>) {}
}

/// Told when a timer fires.
pub trait TimerHandler {
    /// The timer is no longer armed, unless it repeats.
    fn on_timer(self: Rc<Self>);
}

/// Work put off to the loop's next round.
pub trait Task {
    /// Runs once for each [`Loop::defer`].
    fn run(self: Rc<Self>);
}

/// An object that must end with its loop.
pub trait Attached {
    /// The loop is being freed: release what is held, call nobody back.
    fn on_loop_freed(self: Rc<Self>);

    /// This process is a child that takes the loop over from its parent (see [`Loop::after_fork`]): what the object shares
    /// with the parent and must not be used by both ends here, without a byte sent. Calls nobody back: what has to be told is
    /// deferred. The kernel's side still is the parent's.
    fn on_forked(self: Rc<Self>) {}
}

/// What a round has to see to besides ready descriptors. A bit is raised by whoever adds something and settled before
/// the next wait, so that a round where nothing was added asks one number.
struct Todo;

impl Todo {
    /// The kernel's set is not up to date.
    const CHANGES: u32 = 1;
    const AGAIN: u32 = 2;
    const DEFERRED: u32 = 4;
    const SIGNALS: u32 = 8;
    const UNPOLLABLE: u32 = 16;
    const TIMERS: u32 = 32;
    const LATE: u32 = 64;
    /// What does not let a round wait.
    const WORK: u32 = Todo::AGAIN | Todo::DEFERRED | Todo::SIGNALS | Todo::UNPOLLABLE | Todo::LATE;
}

/// The program's own object at a loop.
struct Attachment {
    data: *mut c_void,
    detach: Option<Rc<dyn Attached>>,
}

/// The loop.
///
/// It lives until [`Loop::free`], whoever else holds it.
pub struct Loop {
    remote: Arc<Remote>,
    /// Which process of a line of forks made it, or took it over.
    generation: Cell<u32>,
    kind: Kind,
    /// `None` once the loop is freed.
    poller: RefCell<Option<Poller>>,
    /// What the last wait gave; taken out while it is dispatched.
    #[allow(clippy::box_collection)]
    // One word to take out and put back in each round, not three.
    events: Cell<Option<Box<Vec<Event>>>>,
    /// Bits of [`Todo`].
    todo: Cell<u32>,
    table: RefCell<table::Table>,
    timers: RefCell<timers::Timers>,
    again: RefCell<queue::Queue<Rc<Watcher>>>,
    deferred: RefCell<queue::Queue<Rc<dyn Task>>>,
    late: RefCell<queue::Queue<Rc<dyn Task>>>,
    signals: RefCell<signals::SignalList>,
    pending_signals: Cell<usize>,
    completions: completion::Completions,
    attached: RefCell<slots::Slots<Rc<dyn Attached>>>,
    attachment: RefCell<Option<Attachment>>,
    embed: RefCell<Option<embed::Embed>>,
    /// How many reasons `run` has to go on.
    active: Cell<usize>,
    /// How many waits there were: tells a round that another one ran inside it.
    waits: Cell<u32>,
    /// The last wait had no room for more events: what it did not tell may be there all the same.
    crowded: Cell<bool>,
    /// The descriptor whose handler is running.
    cursor: Cell<RawFd>,
    time: Cell<Nanos>,
    /// Whether `time` is this round's.
    time_known: Cell<bool>,
    /// When to try again what the kernel refused; 0 for nothing to try.
    retry_at: Cell<Nanos>,
    rebuild_wanted: Cell<bool>,
    /// To be run when nothing has happened for a while.
    lull: Cell<Option<fn()>>,
    /// Of a wait that nothing else ends: that while, in milliseconds, or -1.
    lull_timeout: Cell<i32>,
    /// In another loop: when to look whether there is one (0: not yet), and whether it was asked for since the last look.
    lull_at: Cell<Nanos>,
    lull_asked: Cell<bool>,
    freed: Cell<bool>,
}

/// The place of an [`Attached`] object in its loop, plus 1: an optional one is as small as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachKey(NonZeroUsize);

impl Loop {
    /// A new loop.
    pub fn new() -> Result<Rc<Loop>, Errno> {
        Loop::with_poller(Kind::chosen())
    }

    fn with_poller(kind: Kind) -> Result<Rc<Loop>, Errno> {
        fork::watch_for_forks();
        let remote = Remote::new()?;
        let mut poller = kind.open()?;
        poller.add_wake(remote.wake.raw_fd())?;
        let lp = Rc::new(Loop {
            remote: Arc::new(remote),
            generation: Cell::new(fork::generation()),
            kind,
            poller: RefCell::new(Some(poller)),
            events: Cell::default(),
            todo: Cell::new(0),
            table: RefCell::default(),
            timers: RefCell::default(),
            again: RefCell::new(queue::Queue::new()),
            deferred: RefCell::new(queue::Queue::new()),
            late: RefCell::new(queue::Queue::new()),
            signals: RefCell::default(),
            pending_signals: Cell::new(0),
            completions: completion::Completions::default(),
            attached: RefCell::default(),
            attachment: RefCell::new(None),
            embed: RefCell::new(None),
            active: Cell::new(0),
            // Not 0, which a new descriptor's last removal is.
            waits: Cell::new(1),
            crowded: Cell::new(false),
            cursor: Cell::new(-1),
            time: Cell::new(0),
            time_known: Cell::new(false),
            retry_at: Cell::new(0),
            rebuild_wanted: Cell::new(false),
            lull: Cell::new(None),
            lull_timeout: Cell::new(-1),
            lull_at: Cell::new(0),
            lull_asked: Cell::new(false),
            freed: Cell::new(false),
        });
        lp.note_descriptors();
        registry::add(lp.clone());
        Ok(lp)
    }

    /// The process's default loop, made at the first call; in a forked child a new one.
    pub fn default_loop() -> Result<Rc<Loop>, Errno> {
        let lp = registry::default_loop()?;
        // SAFETY: the registry holds a count until the loop is freed, and the caller is the thread that the loop belongs to.
        unsafe {
            Rc::increment_strong_count(lp);
            Ok(Rc::from_raw(lp))
        }
    }

    /// The default loop's address: as [`Loop::default_loop`], for a thread that is not the loop's.
    pub fn default_address() -> Result<*const Loop, Errno> {
        registry::default_loop()
    }

    /// The poller that new loops get: "epoll" or "polling".
    pub fn poller_name() -> &'static str {
        Kind::chosen().name()
    }

    /// The half that any thread may hold and use.
    pub fn remote(&self) -> Arc<Remote> {
        self.remote.clone()
    }

    /// The same, of a loop that may belong to another thread.
    ///
    /// # Safety
    /// `lp` is the address of a loop that is not freed during the call.
    pub unsafe fn remote_of(lp: *const Loop) -> Arc<Remote> {
        // SAFETY: the caller promises a living loop. `remote` is never written after its making, and only this field is
        // reached, so it does not matter what the loop's own thread does to the others.
        let remote: &Arc<Remote> = unsafe { &(*lp).remote };
        remote.clone()
    }

    /// Runs `task` in a later round, which does not wait. Keeps `run` running until then. Gone with the loop.
    pub fn defer(&self, task: Rc<dyn Task>) {
        if !self.is_freed() {
            self.deferred.borrow_mut().push(task);
            self.raise(Todo::DEFERRED);
            self.work_added();
        }
    }

    /// Runs `task` at the end of the round that is running, without another wait: for what needs to know no more than the
    /// kernel has just told. At the end of the next round where none is running, or `task` is added by such a task. Keeps `run`
    /// running until then. Gone with the loop.
    pub fn defer_to_round_end(&self, task: Rc<dyn Task>) {
        if !self.is_freed() {
            self.late.borrow_mut().push(task);
            self.raise(Todo::LATE);
            self.work_added();
        }
    }

    /// The number of the last wait: what was seen under the same number was seen in this round. Never 0 but after four
    /// thousand million waits.
    #[inline(always)]
    pub fn wait_number(&self) -> u32 {
        self.waits.get()
    }

    /// Whether a callback of a round is on the stack.
    #[inline]
    pub fn is_in_round(&self) -> bool {
        self.is_running()
    }

    /// Whether there was no room for all that the last wait could have told.
    pub fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// Ties an object's life to the loop's.
    pub fn attach(&self, object: Rc<dyn Attached>) -> AttachKey {
        let place = self.attached.borrow_mut().insert(object);
        AttachKey(NonZeroUsize::MIN.saturating_add(place))
    }

    /// The object ended before the loop.
    pub fn detach(&self, key: AttachKey) {
        let object = self.attached.borrow_mut().remove(key.0.get() - 1);
        drop(object);
    }

    /// Puts the program's own pointer at the loop, or takes it away (NULL). `detach` is told by `free` alone. EEXIST
    /// when there is one already.
    pub fn set_attachment(
        &self,
        data: *mut c_void,
        detach: Option<Rc<dyn Attached>>,
    ) -> Result<(), Errno> {
        let old = if data.is_null() {
            self.attachment.take()
        } else if self.attachment.borrow().is_some() {
            return Err(Errno(libc::EEXIST));
        } else {
            self.attachment.replace(Some(Attachment { data, detach }))
        };
        drop(old);
        Ok(())
    }

    /// The pointer put there, or NULL.
    pub fn attachment(&self) -> *mut c_void {
        let attachment = self.attachment.borrow();
        attachment.as_ref().map_or(std::ptr::null_mut(), |a| a.data)
    }

    /// One more reason to keep `run` running.
    pub fn hold(&self) {
        self.count(true);
    }

    /// One reason less.
    pub fn release(&self) {
        self.count(false);
    }

    #[inline]
    fn count(&self, more: bool) {
        let active = self.active.get();
        // What ends after the loop was freed gives back what is no longer counted.
        self.active.set(if more {
            active + 1
        } else {
            active.saturating_sub(1)
        });
    }

    #[inline]
    fn raise(&self, todo: u32) {
        self.todo.set(self.todo.get() | todo);
    }

    /// The cached time of this round.
    pub fn now(&self) -> Nanos {
        if !self.time_known.get() {
            self.time.set(clock::now());
            self.time_known.set(self.is_running());
        }
        self.time.get()
    }

    /// Somebody read the clock: it serves as this round's time, where nobody asked before.
    fn note_time(&self, now: Nanos) {
        if !self.time_known.get() && self.is_running() {
            self.time.set(now);
            self.time_known.set(true);
        }
    }

    /// Whether a run is on the stack.
    #[inline]
    fn is_running(&self) -> bool {
        self.remote.depth.load(Ordering::Relaxed) > 0
    }

    /// How many breaks there were: a handler that has two callbacks to make asks between them whether one came.
    #[inline]
    pub fn breaks(&self) -> Breaks {
        self.remote.breaks_now()
    }

    /// The first thread that runs it owns it.
    fn claim_thread(&self) {
        if self.remote.owner.load(Ordering::Relaxed) == 0 {
            self.remote.owner.store(thread_id(), Ordering::Relaxed);
        }
    }

    /// In a debug build: logs an error that names `function` when this is not the loop's thread.
    #[inline]
    pub fn check_thread(&self, _function: &str) {
        #[cfg(debug_assertions)]
        {
            let owner = self.remote.owner.load(Ordering::Relaxed);
            let here = thread_id();
            if owner != 0 && owner != here && self.check_process().is_ok() {
                crate::log!(
                    Error,
                    "{_function} called on the wrong thread: this loop belongs to thread {owner}, not {here}"
                );
            }
        }
    }

    /// EPERM in a process that was forked since the loop was made.
    #[inline]
    pub fn check_process(&self) -> Result<(), Errno> {
        if self.generation.get() == fork::generation() {
            Ok(())
        } else {
            Err(Errno(libc::EPERM))
        }
    }

    /// Lets other loops of the process know which numbers are this one's.
    fn note_descriptors(&self) {
        let poller = self.poller.borrow().as_ref().map_or(-1, Poller::raw_fd);
        let embed = self.embed.borrow();
        let numbers = embed.as_ref().map_or([-1, -1], embed::Embed::numbers);
        self.remote.note_descriptors(poller, numbers);
    }

    /// Whether this is a child whose host has closed all descriptors that it did not know, and perhaps opened others: what
    /// the loop's objects take for theirs must be left alone.
    pub fn has_lost_descriptors(&self) -> bool {
        self.check_process().is_err() && !fork::is_inherited(self.remote.wake.raw_fd())
    }

    /// Whether `free` was called. Objects of a freed loop are dead; this is for code that runs on its way out.
    #[inline]
    pub fn is_freed(&self) -> bool {
        self.freed.get()
    }

    /// Releases everything attached. Runs of it on the stack return after the current callback.
    pub fn free(self: &Rc<Loop>) {
        let Some(_own) = registry::remove(self) else {
            return;
        };
        self.freed.set(true);
        self.remote.interrupt();
        self.waits.set(self.waits.get().wrapping_add(1));
        // While the descriptors are still open, which a host's loop may have to forget: that of this process, not of the
        // parent, with whom a child shares what the host would change.
        let attachment = self.attachment.take();
        if let (Some(detach), Ok(())) = (attachment.and_then(|a| a.detach), self.check_process()) {
            detach.on_loop_freed();
        }
        while let Some(object) = self.pop_attached() {
            object.on_loop_freed();
        }
        self.release_watching();
        // Taken first and dropped then, with nothing borrowed: what goes may reach for other parts of the loop.
        let deferred = self.deferred.borrow_mut().take_all();
        drop(deferred);
        let late = self.late.borrow_mut().take_all();
        drop(late);
        let again = self.again.borrow_mut().take_all();
        drop(again);
        let messages = self.remote.close();
        drop(messages);
        self.completions.clear();
        self.active.set(0);
        self.close_kernel();
    }

    fn pop_attached(&self) -> Option<Rc<dyn Attached>> {
        self.attached.borrow_mut().pop()
    }

    /// Ends all watchers and timers.
    fn release_watching(&self) {
        let signals: Vec<_> = self
            .signals
            .borrow()
            .iter()
            .map(|(w, _)| w.clone())
            .collect();
        for watcher in signals {
            watcher.close();
        }
        let watched = self.table.borrow_mut().take_all();
        for (watcher, _) in &watched {
            watcher.orphan();
        }
        let timers = self.timers.borrow_mut().take_all();
        for (timer, _) in timers.iter().flatten() {
            timer.orphan();
        }
        drop(watched);
        drop(timers);
    }

    fn close_kernel(&self) {
        let (poller, embed) = (self.poller.take(), self.embed.take());
        match self.check_process() {
            Ok(()) => {
                drop((poller, embed));
                self.remote.wake.close();
            }
            Err(_) => {
                if let Some(poller) = poller {
                    poller.abandon();
                }
                if let Some(embed) = embed {
                    embed.abandon();
                }
                self.remote.wake.abandon();
            }
        }
    }
}

/// The kernel's number of this thread.
fn thread_id() -> i32 {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
