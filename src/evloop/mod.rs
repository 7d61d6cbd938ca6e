//! The loop: readiness, timers, signals, posted work, embedding.
//!
//! Must not know what the descriptors carry: no sockets, no TLS, no names.
//!
//! One loop belongs to one thread: the first that runs it. Everything attached is reference-counted, owned by the loop
//! until its own `close`, and held by the dispatch that is running it, so a handler may do anything: close its own
//! watcher, close others, run the loop again, free the loop.

use crate::clock::Nanos;
use crate::errno::Errno;
use std::os::fd::RawFd;
use std::rc::Rc;

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
}

/// The loop.
pub struct Loop {}

/// A watched descriptor.
pub struct Watcher {}

/// A timer, armed or not.
pub struct Timer {}

/// A loop-bound half of a [`Completer`].
pub struct Completion {}

/// Carries one value from any thread to a closure that runs on the loop.
pub struct Completer<T: Send + 'static> {
    _value: std::marker::PhantomData<T>,
}

/// The place of an [`Attached`] object in its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachKey(pub usize);

impl Loop {
    /// A new loop.
    pub fn new() -> Result<Rc<Loop>, Errno> {
        todo!()
    }
    /// The process's default loop, made at the first call.
    pub fn default_loop() -> Result<Rc<Loop>, Errno> {
        todo!()
    }
    /// Watches `fd`, which stays the caller's. `Errno` EBADF, ENOMEM. The new watcher does not keep `run` running until
    /// `set_ref(true)`.
    pub fn watch(
        self: &Rc<Loop>,
        _fd: RawFd,
        _interest: Interest,
        _handler: Rc<dyn IoHandler>,
    ) -> Result<Rc<Watcher>, Errno> {
        todo!()
    }
    /// A timer, not armed, that does not keep `run` running until `set_ref(true)`.
    pub fn timer(self: &Rc<Loop>, _handler: Rc<dyn TimerHandler>) -> Rc<Timer> {
        todo!()
    }
    /// Runs `task` in a later round, which does not wait. Keeps `run` running until then. Gone with the loop.
    pub fn defer(&self, _task: Rc<dyn Task>) {
        todo!()
    }
    /// A closure that a value from any thread will reach on this loop. Does not keep `run` running by itself.
    pub fn completion<T: Send + 'static>(
        self: &Rc<Loop>,
        _deliver: impl FnOnce(T) + 'static,
    ) -> (Completer<T>, Rc<Completion>) {
        todo!()
    }
    /// Ties an object's life to the loop's.
    pub fn attach(&self, _object: Rc<dyn Attached>) -> AttachKey {
        todo!()
    }
    /// The object ended before the loop.
    pub fn detach(&self, _key: AttachKey) {
        todo!()
    }
    /// One more reason to keep `run` running.
    pub fn hold(&self) {
        todo!()
    }
    /// One reason less.
    pub fn release(&self) {
        todo!()
    }
    /// The cached time of this round.
    pub fn now(&self) -> Nanos {
        todo!()
    }
    /// In a debug build: logs an error that names `function` when this is not the loop's thread.
    #[inline]
    pub fn check_thread(&self, _function: &str) {}
    /// EPERM in a process that was forked since the loop was made.
    pub fn check_process(&self) -> Result<(), Errno> {
        todo!()
    }
    /// Whether `free` was called. Objects of a freed loop are dead; this is for code that runs on its way out.
    pub fn is_freed(&self) -> bool {
        todo!()
    }
    /// Runs until nothing is active or `break_all` was called.
    pub fn run(self: &Rc<Loop>) {
        todo!()
    }
    /// One round, waiting at most so long (-1: no limit).
    pub fn run_once(self: &Rc<Loop>, _timeout_ms: i32) -> Result<usize, Errno> {
        todo!()
    }
    /// Releases everything attached.
    pub fn free(self: &Rc<Loop>) {
        todo!()
    }
}

impl Watcher {
    /// New interest; restarts a stopped watcher. No system call before the loop next waits.
    pub fn set_interest(&self, _interest: Interest) {
        todo!()
    }
    /// What is asked for now.
    pub fn interest(&self) -> Interest {
        todo!()
    }
    /// Dispatches `ready` in the next round, which does not wait, whatever the kernel says (bytes are buffered above the
    /// kernel). Once for each call; forgotten when the watcher is stopped or closed.
    pub fn again(self: &Rc<Self>, _ready: Interest) {
        todo!()
    }
    /// Ends it and takes the descriptor out of the kernel's set at once, where this was its last watcher: it may be
    /// closed right after. Idempotent.
    pub fn close(&self) {
        todo!()
    }
    /// Whether it keeps `run` running while it is started.
    pub fn set_ref(&self, _keeps_running: bool) {
        todo!()
    }
}

impl Timer {
    /// Arms it, or moves it: fires once `deadline` (on the monotonic clock) has passed. `None` disarms.
    pub fn set_deadline(&self, _deadline: Option<Nanos>) {
        todo!()
    }
    /// Whether it is armed.
    pub fn is_armed(&self) -> bool {
        todo!()
    }
    /// Disarms and ends it. Idempotent.
    pub fn close(&self) {
        todo!()
    }
    /// Whether it keeps `run` running while it is armed.
    pub fn set_ref(&self, _keeps_running: bool) {
        todo!()
    }
}

impl Completion {
    /// The closure will never run.
    pub fn cancel(&self) {
        todo!()
    }
}

impl<T: Send + 'static> Completer<T> {
    /// Delivers the value: the closure runs on the loop, unless it was cancelled or the loop is gone.
    pub fn complete(self, _value: T) {
        todo!()
    }
}
