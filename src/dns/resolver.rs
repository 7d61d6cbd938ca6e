//! The resolver: threads that block in the lookup function, so that no loop does.
//!
//! Threads own all they touch and are never waited for while they look something up: to cancel is to forget, at once,
//! and a process can exit with every thread stuck. Equal questions share a lookup. Knows no loops: an answer is given
//! to a function that may run on any thread.

use super::cache::Cache;
use super::order;
use super::status::{eai, ResolveError};
use super::system::{self, Found};
use super::{Answer, Question};
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What takes an answer away. Runs once, on any thread, with no lock held; must not block.
pub(super) type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Looks a name up, for as long as it takes: the one place that knows how.
pub(super) type LookUp = Arc<dyn Fn(&Question) -> Found + Send + Sync>;

/// What a resolver is made of.
pub(super) struct Setup {
    pub(super) lookup: LookUp,
    /// At most so many lookups at a time.
    pub(super) max_threads: usize,
    /// A thread without work ends after this time.
    pub(super) idle: Duration,
    /// How long answers are kept.
    pub(super) ttl: Nanos,
    /// Bytes of stack for each thread.
    pub(super) stack: usize,
}

/// Looks names up in threads of its own.
pub(super) struct Resolver {
    /// Where the program has not chosen another one.
    lookup: LookUp,
    max_threads: usize,
    idle: Duration,
    stack: usize,
    ttl: AtomicU64,
    /// How often `end` was called: an answer that began under another number is not to be delivered.
    ends: AtomicU64,
    /// How many threads are inside the function, and when the last one went in.
    inside: AtomicU32,
    last_begun: AtomicU64,
    state: Mutex<State>,
    /// A question is waiting, or threads are to end.
    work: Condvar,
}

#[derive(Default)]
struct State {
    lookups: HashMap<Arc<Question>, Lookup>,
    /// Those of them that no thread has taken yet, by the lookup's number: oldest first.
    queue: BTreeMap<u64, Arc<Question>>,
    /// Those that a thread is at with a function that was replaced meanwhile, by number: nobody joins them, and their answers
    /// are not kept.
    outdated: HashMap<u64, Lookup>,
    /// The program's own function.
    chosen: Option<LookUp>,
    /// The threads at work or ready for it. One that is stuck when the resolver ends leaves the table, and itself, when
    /// it comes back, goes.
    threads: HashMap<u64, Thread>,
    /// How many of them wait for work.
    idle: usize,
    /// Threads that ended for lack of work and have not been joined.
    ended: Vec<JoinHandle<()>>,
    cache: Cache,
    /// The last number given to a thread, lookup or reply.
    last_number: u64,
}

struct Lookup {
    number: u64,
    /// By number. Empty when all who asked have lost interest and a thread is at it.
    replies: BTreeMap<u64, Reply>,
}

struct Thread {
    handle: JoinHandle<()>,
    busy: bool,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn set_busy(&mut self, thread: u64, busy: bool) {
        if let Some(thread) = self.threads.get_mut(&thread) {
            thread.busy = busy;
        }
    }
}

/// An interest in a lookup that is under way.
pub(super) struct Ticket {
    question: Arc<Question>,
    number: u64,
}

impl Resolver {
    pub(super) fn new(setup: Setup) -> Arc<Resolver> {
        Arc::new(Resolver {
            lookup: setup.lookup,
            max_threads: setup.max_threads.max(1),
            idle: setup.idle,
            stack: setup.stack,
            ttl: AtomicU64::new(setup.ttl),
            ends: AtomicU64::new(0),
            inside: AtomicU32::new(0),
            last_begun: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a question, from the cache inside this call (and there is no ticket), or later.
    pub(super) fn ask(self: &Arc<Self>, question: Question, reply: Reply) -> Option<Ticket> {
        let now = clock::now();
        let mut state = self.lock();
        let ended = std::mem::take(&mut state.ended);
        let ttl = self.ttl.load(Ordering::Relaxed);
        let outcome = match state.cache.get(&question, ttl, now) {
            Some(answer) => Err((reply, answer)),
            None => self.join_or_start(&mut state, Arc::new(question), reply),
        };
        drop(state);
        join(ended);
        match outcome {
            Ok(ticket) => Some(ticket),
            Err((reply, answer)) => {
                reply(answer);
                None
            }
        }
    }

    fn join_or_start(
        self: &Arc<Self>,
        state: &mut State,
        question: Arc<Question>,
        reply: Reply,
    ) -> Result<Ticket, (Reply, Answer)> {
        let number = state.number();
        let ticket = Ticket {
            question: Arc::clone(&question),
            number,
        };
        if let Some(lookup) = state.lookups.get_mut(&question) {
            lookup.replies.insert(number, reply);
            return Ok(ticket);
        }
        // Each waiting question has an idle thread that was told, or will be taken by one that is busy now.
        if state.idle <= state.queue.len() && state.threads.len() < self.max_threads {
            if let Err(errno) = self.start_thread(state) {
                if state.threads.is_empty() {
                    return Err((reply, Err(ResolveError::system(errno))));
                }
            }
        }
        let lookup = Lookup {
            number,
            replies: BTreeMap::from([(number, reply)]),
        };
        state.lookups.insert(Arc::clone(&question), lookup);
        state.queue.insert(number, question);
        self.work.notify_one();
        Ok(ticket)
    }

    /// The reply of this ticket will not be called, unless that is happening now. A question that nobody has an
    /// interest in, and that no thread has taken, is dropped; what a thread is at goes on, for the cache.
    pub(super) fn withdraw(&self, ticket: &Ticket) {
        let mut state = self.lock();
        let mut reply = None;
        if let Some(lookup) = state.lookups.get_mut(&ticket.question) {
            reply = lookup.replies.remove(&ticket.number);
            let (number, unwanted) = (lookup.number, lookup.replies.is_empty());
            if unwanted && state.queue.remove(&number).is_some() {
                state.lookups.remove(&ticket.question);
            }
        }
        if reply.is_none() {
            let mut outdated = state.outdated.values_mut();
            reply = outdated.find_map(|lookup| lookup.replies.remove(&ticket.number));
        }
        drop(state);
        drop(reply);
    }

    /// Names are looked up by this function from now on, by the first one for `None`. What is known from before is forgotten;
    /// a lookup that a thread is at goes on, for those who have asked already.
    pub(super) fn choose(&self, lookup: Option<LookUp>) {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.chosen, lookup);
        let cache = std::mem::take(&mut state.cache);
        let waiting: Vec<u64> = state.queue.keys().copied().collect();
        let (queued, begun): (HashMap<_, _>, HashMap<_, _>) = std::mem::take(&mut state.lookups)
            .into_iter()
            .partition(|(_, lookup)| waiting.binary_search(&lookup.number).is_ok());
        state.lookups = queued;
        let begun = begun.into_values().map(|lookup| (lookup.number, lookup));
        state.outdated.extend(begun);
        drop(state);
        drop((before, cache));
    }

    /// This name leaves the cache.
    pub(super) fn forget(&self, host: &str) {
        self.lock().cache.forget(host);
    }

    pub(super) fn set_ttl(&self, ttl: Nanos) {
        self.ttl.store(ttl, Ordering::Relaxed);
    }

    /// Before `fork`, with the state locked, so that no lookup begins: waits until those that have just begun are over, or some
    /// way on. The C library reads its configuration then, under locks that it does not see to at a fork (glibc's lists of
    /// modules and servers): a child of that moment would never look a name up. No lock is held while it waits for a name
    /// server.
    fn let_lookups_begin(&self) {
        // A function of the program's may fork itself.
        let own = u32::from(LOOKING_UP.try_with(Cell::get).unwrap_or(false));
        while self.inside.load(Ordering::SeqCst) > own
            && clock::now().saturating_sub(self.last_begun.load(Ordering::SeqCst)) < BEGINNING
        {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// How often the resolver has ended.
    pub(super) fn ends(&self) -> u64 {
        self.ends.load(Ordering::SeqCst)
    }

    /// Ends what is under way: each reply is told so, the cache is emptied, threads without work end and are waited for,
    /// those inside the lookup function are abandoned. A later question starts afresh.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        self.ends.fetch_add(1, Ordering::SeqCst);
        // With their tables, so that a leak checker finds nothing.
        let mut old = std::mem::take(&mut *state);
        state.last_number = old.last_number;
        state.chosen = old.chosen.take();
        // Under the lock: a later notification must not go to one of these.
        self.work.notify_all();
        drop(state);
        for lookup in old.lookups.into_values().chain(old.outdated.into_values()) {
            for reply in lookup.replies.into_values() {
                reply(Err(ResolveError::ENDED));
            }
        }
        join(old.ended);
        // Dropped, the handles of the others let them go.
        let threads = old.threads.into_values().filter(|thread| !thread.busy);
        join(threads.map(|thread| thread.handle).collect());
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> Result<(), Errno> {
        let number = state.number();
        let resolver = Arc::clone(self);
        // A new thread has its maker's signal mask: the host's signals are for the host's threads.
        let _blocked = SignalsBlocked::new();
        let handle = std::thread::Builder::new()
            .name("netconn-dns".to_owned())
            .stack_size(self.stack)
            .spawn(move || resolver.work(number))
            .map_err(Errno::from)?;
        let thread = Thread {
            handle,
            busy: false,
        };
        state.threads.insert(number, thread);
        Ok(())
    }

    /// The life of a thread. It begins by waiting for the lock that its maker holds.
    fn work(&self, number: u64) {
        let mut state = self.lock();
        loop {
            if !state.threads.contains_key(&number) {
                return;
            }
            if let Some((lookup, question)) = state.queue.pop_first() {
                state.set_busy(number, true);
                let function = state.chosen.clone();
                drop(state);
                let function = function.as_ref().unwrap_or(&self.lookup);
                self.answer(function, &question, lookup, number);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (guard, wait) = self
                .work
                .wait_timeout(state, self.idle)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if !state.threads.contains_key(&number) {
                return;
            }
            state.idle -= 1;
            if wait.timed_out() && state.queue.is_empty() {
                if let Some(thread) = state.threads.remove(&number) {
                    state.ended.push(thread.handle);
                }
                return;
            }
        }
    }

    /// Looks it up and tells all who asked, unless the resolver ended meanwhile.
    fn answer(&self, function: &LookUp, question: &Arc<Question>, number: u64, thread: u64) {
        // A panic must not take the thread, and with it the replies, away.
        self.last_begun.store(clock::now(), Ordering::SeqCst);
        self.inside.fetch_add(1, Ordering::SeqCst);
        LOOKING_UP.set(true);
        let found = catch_unwind(AssertUnwindSafe(|| function(question)))
            .unwrap_or(Err(ResolveError::new(eai::EAI_FAIL)));
        LOOKING_UP.set(false);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        let answer: Answer = found.and_then(|addresses| {
            let addresses = order::arrange(addresses);
            if addresses.is_empty() {
                return Err(ResolveError::new(eai::EAI_NODATA));
            }
            Ok(Arc::new(addresses))
        });
        let now = clock::now();
        let mut state = self.lock();
        // Before anybody hears of the answer: who ends the resolver then waits for this thread.
        state.set_busy(thread, false);
        // The resolver may have ended or changed its function, and even begun an equal lookup anew.
        let lookup = match state.lookups.get(question) {
            Some(lookup) if lookup.number == number => {
                if self.ttl.load(Ordering::Relaxed) > 0 {
                    state.cache.insert(question, &answer, now);
                }
                state.lookups.remove(question)
            }
            _ => state.outdated.remove(&number),
        };
        drop(state);
        for reply in lookup
            .into_iter()
            .flat_map(|lookup| lookup.replies.into_values())
        {
            reply(answer.clone());
        }
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // It has nothing left to do but return. A panic was caught and logged inside it.
        let _ = thread.join();
    }
}

/// All signals blocked in this thread, until it is dropped.
pub(crate) struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    /// From now on.
    pub(crate) fn new() -> SignalsBlocked {
        // SAFETY: signal sets are plain memory, for which zeros are valid; both calls write to sets of ours. They fail for
        // arguments only that are not given here.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            SignalsBlocked(before)
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask that the call in `new` filled in.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// The process's resolver. In a forked child there is none of its threads: the child makes another.
struct ProcessWide {
    resolver: Arc<Resolver>,
    forks: u32,
    /// The parent's, never touched again; kept so that a leak checker finds it.
    _parents: *mut ProcessWide,
}

static CURRENT: AtomicPtr<ProcessWide> = AtomicPtr::new(std::ptr::null_mut());
/// How often this process is a child, since the first resolver.
static FORKS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// This thread is inside a resolver's function.
    static LOOKING_UP: Cell<bool> = const { Cell::new(false) };
    /// The lock of the process's resolver, from just before `fork` to just after it: so the child can read what the program
    /// has chosen.
    static AT_FORK: RefCell<Option<MutexGuard<'static, State>>> = const { RefCell::new(None) };
}

extern "C" fn before_fork() {
    if let (_, Some(process_wide)) = existing() {
        let guard = process_wide.resolver.lock();
        process_wide.resolver.let_lookups_begin();
        // Fails on a thread that is already ending.
        let _ = AT_FORK.try_with(|held| *held.borrow_mut() = Some(guard));
    }
}

extern "C" fn after_fork() {
    let _ = AT_FORK.try_with(|held| held.borrow_mut().take());
}

extern "C" fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    after_fork();
}

fn existing() -> (*mut ProcessWide, Option<&'static ProcessWide>) {
    let pointer = CURRENT.load(Ordering::Acquire);
    // SAFETY: NULL, or a leaked box that nobody writes to.
    (pointer, unsafe { pointer.as_ref() })
}

/// The resolver of this process, if it was made already.
pub(super) fn made() -> Option<Arc<Resolver>> {
    let (_, process_wide) = existing();
    process_wide
        .filter(|p| p.forks == FORKS.load(Ordering::SeqCst))
        .map(|p| Arc::clone(&p.resolver))
}

/// How often this process is a child, since the first resolver was made.
pub(super) fn forks() -> u32 {
    FORKS.load(Ordering::SeqCst)
}

/// Whether this process or one that it was forked from has made one.
pub(super) fn was_made() -> bool {
    existing().1.is_some()
}

/// The resolver of this process.
pub(super) fn current() -> Arc<Resolver> {
    static WATCH_FORKS: Once = Once::new();
    WATCH_FORKS.call_once(|| {
        // SAFETY: the handlers touch one lock and one atomic and live as long as the library, which takes its handlers along
        // when it is unloaded. It fails for lack of memory alone; then a child must not look names up before it executes
        // another program.
        unsafe {
            libc::pthread_atfork(
                Some(before_fork),
                Some(after_fork),
                Some(after_fork_in_child),
            )
        };
    });
    loop {
        if let Some(resolver) = made() {
            return resolver;
        }
        let (old, parents) = existing();
        // What the program has set is inherited.
        let (ttl, chosen) = match parents {
            Some(parents) => (
                parents.resolver.ttl.load(Ordering::Relaxed),
                parents.resolver.lock().chosen.clone(),
            ),
            None => (DEFAULT_TTL, None),
        };
        let forks = FORKS.load(Ordering::SeqCst);
        let resolver = Resolver::new(Setup {
            lookup: Arc::new(system::lookup),
            max_threads: threads_wanted(),
            idle: IDLE,
            ttl,
            stack: stack_size(forks),
        });
        resolver.lock().chosen = chosen;
        let new = Box::into_raw(Box::new(ProcessWide {
            resolver,
            forks,
            _parents: old,
        }));
        if CURRENT
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: made above and shown to nobody: another thread was faster.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

const DEFAULT_TTL: Nanos = 60 * SECOND;
const IDLE: Duration = Duration::from_secs(5);
/// So long a lookup counts as one that has just begun: a fork waits no longer.
const BEGINNING: Nanos = SECOND / 20;
const DEFAULT_THREADS: usize = 4;
/// More would be a mistake in the environment.
const MAX_THREADS: usize = 256;

/// Larger in each generation of children. glibc gives the stack of a thread that vanished in `fork` to a new one that
/// asks for no more, and with it that thread's resolver state: the child's lookup would use the socket of the parent's,
/// and each take the other's answers. A quarter of the usual stack size at most, so that the stacks of the host's own threads
/// are too large to be reused so.
fn stack_size(forks: u32) -> usize {
    const FIRST: usize = 1 << 20;
    const STEP: usize = 64 << 10;
    FIRST + STEP * forks as usize
}

fn threads_wanted() -> usize {
    let Some(text) = crate::log::environment("NETCONN_DNS_THREADS") else {
        return DEFAULT_THREADS;
    };
    match text.parse() {
        Ok(threads @ 1..=MAX_THREADS) => threads,
        _ => {
            crate::log!(Warn, "NETCONN_DNS_THREADS={text} is not a number from 1 to {MAX_THREADS}; {DEFAULT_THREADS} it is");
            DEFAULT_THREADS
        }
    }
}

#[cfg(test)]
mod tests;
