//! The half of a loop that any thread may touch: posted work, wake-up, break, signal flags.
//!
//! It outlives the loop for as long as somebody holds it; what reaches it after the loop's end is dropped.

use super::fork;
use super::queue::Queue;
use super::wake::Wake;
use crate::errno::Errno;
use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::{
    fence, AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something for the loop to do.
pub(super) enum Message {
    Run(Box<dyn FnOnce() + Send>),
    /// A value for the completion of this number.
    Deliver(u64, Box<dyn Any + Send>),
    /// The completion of this number will get no value.
    Abandon(u64),
}

/// The inbox holds something; written under its lock.
const MESSAGES: u32 = 1;
/// A handler noted a signal.
const SIGNALS: u32 = 2;
/// Counts breaks: a run that began under another number ends.
const BREAK: u32 = 4;

struct Inbox {
    messages: Queue<Message>,
    closed: bool,
}

/// The shared half of a loop.
pub struct Remote {
    inbox: Mutex<Inbox>,
    /// `MESSAGES`, `SIGNALS`, and above them the number of breaks: one load tells a round that all is quiet.
    state: AtomicU32,
    /// How many runs of the loop are on the stack.
    pub(super) depth: AtomicU32,
    /// The thread that is running it ([`this_thread`]), 0 for none.
    running_on: AtomicUsize,
    /// That thread waits for the kernel, with nothing of the loop half done.
    waiting: AtomicBool,
    /// The first thread that ran it (its kernel id), 0 before.
    pub(super) owner: AtomicI32,
    /// Whether a host watches the loop's descriptor.
    embedded: AtomicBool,
    /// One bit for each signal that arrived, number 1 lowest.
    signals: AtomicU64,
    pub(super) wake: Wake,
    /// The numbers of the loop's other descriptors; -1 for none.
    others: [AtomicI32; 3],
    /// The process that the wake-up descriptor belongs to ([`fork::generation`]).
    generation: AtomicU32,
    /// Breaks that only kept children from going on with a round of their parent's.
    fork_breaks: AtomicU32,
    /// When this process was forked, a thread that is not here was at work in the loop: nobody knows how far it came.
    torn: AtomicBool,
}

/// The inbox of a loop, locked by the thread that is about to fork.
pub(super) struct HeldInbox {
    // Before `_remote`: the guard goes first.
    _inbox: MutexGuard<'static, Inbox>,
    _remote: Arc<Remote>,
}

/// A number that tells living threads apart, never 0, for the price of a thread-local's address.
fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.try_with(|mark| std::ptr::from_ref(mark) as usize)
        .unwrap_or(0)
}

impl Remote {
    pub(super) fn new() -> Result<Remote, Errno> {
        Ok(Remote {
            inbox: Mutex::new(Inbox {
                messages: Queue::new(),
                closed: false,
            }),
            state: AtomicU32::new(0),
            depth: AtomicU32::new(0),
            running_on: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            owner: AtomicI32::new(0),
            embedded: AtomicBool::new(false),
            signals: AtomicU64::new(0),
            wake: Wake::new()?,
            others: [const { AtomicI32::new(-1) }; 3],
            generation: AtomicU32::new(fork::generation()),
            fork_breaks: AtomicU32::new(0),
            torn: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn same_process(&self) -> bool {
        self.generation.load(Ordering::Relaxed) == fork::generation()
    }

    /// What the loop has open besides the wake-up descriptor: its poller, and what a host watches.
    pub(super) fn note_descriptors(&self, poller: RawFd, [outer, timer]: [RawFd; 2]) {
        for (slot, fd) in self.others.iter().zip([poller, outer, timer]) {
            slot.store(fd, Ordering::Relaxed);
        }
    }

    /// Whether this number is one of the loop's, and the loop this process's.
    pub(super) fn uses(&self, fd: RawFd) -> bool {
        let mut others = self.others.iter();
        self.same_process()
            && (self.wake.raw_fd() == fd || others.any(|slot| slot.load(Ordering::Relaxed) == fd))
    }

    /// Locks the inbox until after `fork`, so that no other thread is half through changing it.
    pub(super) fn hold_inbox(self: &Arc<Remote>) -> HeldInbox {
        let inbox: MutexGuard<'_, Inbox> = self.lock();
        // SAFETY: the lifetime alone changes. The mutex lives in the `Remote`, whose count is taken right below and dropped
        // after the guard (fields go in their order), at an address that does not move.
        let inbox: MutexGuard<'static, Inbox> = unsafe { std::mem::transmute(inbox) };
        HeldInbox {
            _inbox: inbox,
            _remote: Arc::clone(self),
        }
    }

    /// In a child, from the handler of `fork`: a round of the parent's ends, and of the parent's other threads nothing is
    /// left.
    pub(super) fn note_fork(&self) {
        self.interrupt();
        self.fork_breaks.fetch_add(1, Ordering::Relaxed);
        if self.depth.load(Ordering::Relaxed) > 0 && !self.runs_here() {
            if self.waiting.load(Ordering::Relaxed) {
                self.depth.store(0, Ordering::SeqCst);
                self.running_on.store(0, Ordering::Relaxed);
            } else {
                self.torn.store(true, Ordering::Relaxed);
            }
        }
        self.waiting.store(false, Ordering::Relaxed);
        self.wake.note_fork();
    }

    /// Whether what the parent left here can be used at all.
    pub(super) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }

    /// The child takes it over, with a wake-up descriptor of its own. Rounds on this thread's stack may go on, signals
    /// that had arrived were the parent's.
    pub(super) fn take_over(&self, wake: Wake) {
        self.wake.replace(wake);
        let breaks = self.fork_breaks.swap(0, Ordering::Relaxed);
        self.state.fetch_sub(breaks * BREAK, Ordering::SeqCst);
        self.take_signals();
        if self.owner.load(Ordering::Relaxed) != 0 {
            self.owner.store(super::thread_id(), Ordering::Relaxed);
        }
        self.generation.store(fork::generation(), Ordering::SeqCst);
    }

    /// The thread that runs the loop begins or ends a wait for the kernel.
    #[inline]
    pub(super) fn set_waiting(&self, waiting: bool) {
        // Read in the copy of our memory that a child gets: there this stands between what was done before and after it.
        self.waiting.store(waiting, Ordering::Release);
        fence(Ordering::Release);
    }

    /// Runs `work` once on the loop; work posted by one thread runs in order. EPERM in a forked child, ENOMEM,
    /// ECANCELED when the loop is gone.
    pub fn post(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
        self.send(Message::Run(Box::new(work)))
    }

    pub(super) fn send(&self, message: Message) -> Result<(), Errno> {
        if !self.same_process() {
            return Err(Errno(libc::EPERM));
        }
        let first = {
            let mut inbox = self.lock();
            if inbox.closed {
                // The message is dropped by the caller's return, outside the lock.
                return Err(Errno(libc::ECANCELED));
            }
            if inbox.messages.try_reserve().is_err() {
                return Err(Errno(libc::ENOMEM));
            }
            inbox.messages.push(message);
            self.state.fetch_or(MESSAGES, Ordering::SeqCst) & MESSAGES == 0
        };
        // Later messages find the loop awake already, or about to be; so does a message from inside a callback, at whose
        // end a host is told.
        if first && !self.runs_here() {
            self.ring();
        }
        Ok(())
    }

    /// Whether the calling thread is inside a run of the loop.
    fn runs_here(&self) -> bool {
        let running_on = self.running_on.load(Ordering::Relaxed);
        running_on != 0 && running_on == this_thread()
    }

    pub(super) fn entered(&self) {
        self.running_on.store(this_thread(), Ordering::Relaxed);
        self.depth.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn left(&self) {
        if self.depth.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.running_on.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn embedded(&self) -> bool {
        self.embedded.load(Ordering::Relaxed)
    }

    pub(super) fn set_embedded(&self) {
        self.embedded.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn has_messages(&self) -> bool {
        self.state.load(Ordering::SeqCst) & MESSAGES != 0
    }

    /// See [`Queue::mark`].
    pub(super) fn mark(&self) -> u64 {
        self.lock().messages.mark()
    }

    pub(super) fn take_before(&self, mark: u64) -> Option<Message> {
        let mut inbox = self.lock();
        let message = inbox.messages.take_before(mark);
        if inbox.messages.is_empty() {
            self.state.fetch_and(!MESSAGES, Ordering::SeqCst);
        }
        message
    }

    /// The loop is gone: nothing more is taken. Gives back what was never run.
    pub(super) fn close(&self) -> VecDeque<Message> {
        let mut inbox = self.lock();
        inbox.closed = true;
        self.state.fetch_and(!MESSAGES, Ordering::SeqCst);
        inbox.messages.take_all()
    }

    /// The current wait returns, or else the next one. Async-signal-safe, except that it may change `errno`.
    pub fn wakeup(&self) {
        if self.same_process() {
            self.ring();
        }
    }

    fn ring(&self) {
        self.wake.ring();
    }

    /// Every run of the loop returns after its current callback. No effect while none runs.
    pub fn break_all(&self) {
        self.interrupt();
        // A run that begins after this either is seen here or sees the new number.
        if self.depth.load(Ordering::SeqCst) > 0 && self.same_process() && !self.runs_here() {
            self.ring();
        }
    }

    /// Ends the runs without a wake-up.
    pub(super) fn interrupt(&self) {
        self.state.fetch_add(BREAK, Ordering::SeqCst);
    }

    /// The number of breaks so far.
    pub(super) fn breaks_now(&self) -> Breaks {
        Breaks(self.state.load(Ordering::SeqCst) & !(MESSAGES | SIGNALS))
    }

    /// Whether a break came since `breaks` was read.
    #[inline]
    pub(super) fn broken_since(&self, breaks: Breaks) -> bool {
        (self.state.load(Ordering::Relaxed) ^ breaks.0) >= BREAK
    }

    /// Whether there was a break since, or a message or a signal waits.
    #[inline]
    pub(super) fn is_disturbed(&self, since: Breaks) -> bool {
        self.state.load(Ordering::SeqCst) != since.0
    }

    /// Whether a message or a signal waits.
    #[inline]
    pub(super) fn is_calling(&self) -> bool {
        self.state.load(Ordering::SeqCst) & (MESSAGES | SIGNALS) != 0
    }

    /// A signal arrived: async-signal-safe, except that it may change `errno`.
    pub(super) fn note_signal(&self, bit: u64) {
        self.signals.fetch_or(bit, Ordering::SeqCst);
        self.state.fetch_or(SIGNALS, Ordering::SeqCst);
        self.wakeup();
    }

    #[inline]
    pub(super) fn has_signals(&self) -> bool {
        self.state.load(Ordering::Relaxed) & SIGNALS != 0
    }

    /// What arrived since the last call.
    pub(super) fn take_signals(&self) -> u64 {
        // In this order: a signal that comes between the two is told now and looked for once more.
        self.state.fetch_and(!SIGNALS, Ordering::SeqCst);
        self.signals.swap(0, Ordering::SeqCst)
    }
}

/// A number of breaks, to be compared with a later one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Breaks(u32);
