//! What there is: resolvers, their requests, what is to be called and when. Plain data under one lock.

use super::{Callback, List};
use crate::clock::Nanos;
use crate::dns::{self, Inquiry, ResolveError};
use crate::errno::Errno;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// So many requests that are over are still known, for programs that ask twice.
const REMEMBERED: usize = 1024;

pub(super) static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

#[derive(Default)]
pub(super) struct Table {
    last_number: u64,
    pub(super) resolvers: HashMap<u64, Resolver>,
    pub(super) requests: HashMap<u64, Request>,
    /// Those of them that are over, the oldest first.
    over: VecDeque<u64>,
    /// When which request has waited too long.
    pub(super) deadlines: BTreeSet<(Nanos, u64)>,
    /// What the courier has to call.
    pub(super) deliveries: VecDeque<u64>,
    /// Whose callback is running, and on which thread; 0 for none.
    pub(super) running: u64,
    pub(super) owner_of_running: u64,
    pub(super) running_on: Option<libc::pthread_t>,
    /// The thread, and its number: one that finds another number there ends.
    pub(super) courier: Option<(u64, JoinHandle<()>)>,
    /// In a forked child: handles of threads that are not there, which must not be used again.
    parents: Vec<JoinHandle<()>>,
}

pub(super) struct Resolver {
    /// An eventfd: what completes adds one.
    pub(super) signal: OwnedFd,
    pub(super) timeout: Option<Nanos>,
}

pub(super) struct Request {
    resolver: u64,
    /// For the event of a time-out.
    pub(super) name: (String, u16),
    made: Nanos,
    deadline: Option<Nanos>,
    pub(super) callback: Option<Callback>,
    inquiry: Option<Inquiry>,
    outcome: Outcome,
}

pub(super) enum Outcome {
    Pending,
    Ready(List),
    /// The program has it.
    Taken,
    /// An `EAI_*` code.
    Failed(c_int),
}

/// A non-blocking eventfd.
pub(super) fn signal() -> Result<OwnedFd, Errno> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Tells the program's handlers of a time-out.
pub(super) fn emit_timeout(host: &str, port: u16) {
    super::super::event::dns_timeout(host, port);
}

impl Resolver {
    pub(super) fn new(signal: OwnedFd) -> Resolver {
        Resolver {
            signal,
            timeout: super::limit(super::DEFAULT_TIMEOUT_MS),
        }
    }

    fn completed_one(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes, as an eventfd takes them. It fails for a full counter alone, which is readable too.
        unsafe { libc::write(self.signal.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    pub(super) fn count(&mut self) -> c_int {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes, as an eventfd gives them.
        let read = unsafe {
            libc::read(
                self.signal.as_raw_fd(),
                count.as_mut_ptr().cast(),
                count.len(),
            )
        };
        if read != 8 {
            return 0;
        }
        c_int::try_from(u64::from_ne_bytes(count)).unwrap_or(c_int::MAX)
    }
}

impl Request {
    pub(super) fn new(resolver: u64, name: (String, u16), now: Nanos) -> Request {
        Request {
            resolver,
            name,
            made: now,
            deadline: None,
            callback: None,
            inquiry: None,
            outcome: Outcome::Pending,
        }
    }
}

/// What was taken out under the lock, and is to be dropped outside of it: it may call out.
pub(super) type Left = Option<(Option<Inquiry>, Option<Callback>, Outcome)>;

impl Table {
    pub(super) fn lock() -> MutexGuard<'static, Table> {
        TABLE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with<R>(work: impl FnOnce(&mut Table) -> R) -> R {
        work(&mut Table::lock())
    }

    /// The next one, never 0.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn owner(&self, request: u64) -> Option<u64> {
        self.requests.get(&request).map(|request| request.resolver)
    }

    pub(super) fn set_timeout(&mut self, number: u64, length: Option<Nanos>) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        if !matches!(request.outcome, Outcome::Pending) {
            return;
        }
        let deadline = length.map(|length| request.made.saturating_add(length));
        if let Some(old) = std::mem::replace(&mut request.deadline, deadline) {
            self.deadlines.remove(&(old, number));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, number));
            super::courier::tell();
        }
    }

    /// Keeps the question while its answer is awaited; gives it back when it came, or nobody waits.
    pub(super) fn keep(&mut self, number: u64, inquiry: Inquiry) -> Option<Inquiry> {
        match self.requests.get_mut(&number) {
            Some(request) if matches!(request.outcome, Outcome::Pending) => {
                request.inquiry = Some(inquiry);
                None
            }
            _ => Some(inquiry),
        }
    }

    /// The outcome of a request that waits for one; else it comes back.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome) -> Left {
        let Some(request) = self.requests.get_mut(&number) else {
            return Some((None, None, outcome));
        };
        if !matches!(request.outcome, Outcome::Pending) {
            return Some((None, None, outcome));
        }
        request.outcome = outcome;
        let inquiry = request.inquiry.take();
        if let Some(deadline) = request.deadline.take() {
            self.deadlines.remove(&(deadline, number));
        }
        if request.callback.is_some() {
            self.deliveries.push_back(number);
            super::courier::tell();
        } else if let Some(resolver) = self.resolvers.get(&request.resolver) {
            resolver.completed_one();
        }
        inquiry.map(|inquiry| (Some(inquiry), None, Outcome::Taken))
    }

    /// What the courier calls now, with the request's outcome; from here on it is running.
    pub(super) fn next_delivery(&mut self) -> Option<(u64, Callback, Result<List, c_int>)> {
        while let Some(number) = self.deliveries.pop_front() {
            let Some(request) = self.requests.get_mut(&number) else {
                continue;
            };
            let Some(callback) = request.callback.take() else {
                continue;
            };
            let outcome = match std::mem::replace(&mut request.outcome, Outcome::Taken) {
                Outcome::Ready(list) => Ok(list),
                Outcome::Failed(code) => {
                    request.outcome = Outcome::Failed(code);
                    Err(code)
                }
                other => {
                    request.outcome = other;
                    continue;
                }
            };
            self.running = number;
            self.owner_of_running = request.resolver;
            self.running_on = Some(super::courier::this_thread());
            return Some((number, callback, outcome));
        }
        None
    }

    /// The callback has returned.
    pub(super) fn delivered(&mut self, number: u64) {
        self.running = 0;
        self.running_on = None;
        let resolver = std::mem::take(&mut self.owner_of_running);
        if self.requests.contains_key(&number) {
            self.is_over(number);
        }
        if let Some(resolver) = self.resolvers.get(&resolver) {
            resolver.completed_one();
        }
    }

    pub(super) fn cancel(&mut self, number: u64) -> Left {
        let request = self.requests.get_mut(&number)?;
        if let Some(deadline) = request.deadline.take() {
            self.deadlines.remove(&(deadline, number));
        }
        let (inquiry, callback) = (request.inquiry.take(), request.callback.take());
        let waits = matches!(request.outcome, Outcome::Pending | Outcome::Ready(_));
        if !waits && callback.is_none() {
            return None;
        }
        let outcome = std::mem::replace(
            &mut request.outcome,
            Outcome::Failed(ResolveError::ENDED.status),
        );
        self.is_over(number);
        Some((inquiry, callback, outcome))
    }

    pub(super) fn take(&mut self, number: u64) -> Option<List> {
        let request = self.requests.get_mut(&number)?;
        // What has a callback is the callback's.
        if request.callback.is_some() || !matches!(request.outcome, Outcome::Ready(_)) {
            return None;
        }
        let outcome = std::mem::replace(&mut request.outcome, Outcome::Taken);
        self.is_over(number);
        match outcome {
            Outcome::Ready(list) => Some(list),
            _ => None,
        }
    }

    /// Why a request failed; 0 when it has not. One that nobody remembers will have no answer.
    pub(super) fn failure(&mut self, number: u64) -> c_int {
        let Some(request) = self.requests.get(&number) else {
            return ResolveError::ENDED.status;
        };
        match request.outcome {
            Outcome::Failed(code) => {
                // The program knows now.
                if request.callback.is_none() && self.running != number {
                    self.is_over(number);
                }
                code
            }
            _ => 0,
        }
    }

    /// From now on it is remembered as long as there is room.
    fn is_over(&mut self, number: u64) {
        if self.over.contains(&number) {
            return;
        }
        self.over.push_back(number);
        if self.over.len() > REMEMBERED {
            if let Some(oldest) = self.over.pop_front() {
                self.requests.remove(&oldest);
            }
        }
    }

    /// The resolver is gone: so are its requests.
    pub(super) fn end_requests(&mut self, resolver: u64) -> Vec<Request> {
        let mut ended = Vec::new();
        let numbers: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| request.resolver == resolver)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            if let Some(request) = self.requests.remove(&number) {
                if let Some(deadline) = request.deadline {
                    self.deadlines.remove(&(deadline, number));
                }
                ended.push(request);
            }
        }
        self.over
            .retain(|number| self.requests.contains_key(number));
        ended
    }

    /// There is nothing in it any more.
    pub(super) fn give_memory_back(&mut self) {
        self.resolvers = HashMap::new();
        self.requests = HashMap::new();
        self.over = VecDeque::new();
        self.deliveries = VecDeque::new();
    }

    /// The requests that have waited too long by now fail; their names, and what is to be dropped.
    pub(super) fn expire(&mut self, now: Nanos) -> Vec<((String, u16), Left)> {
        let mut expired = Vec::new();
        while let Some((deadline, number)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            let name = self
                .requests
                .get(&number)
                .map(|request| request.name.clone());
            let left = self.settle(number, Outcome::Failed(dns::TIMED_OUT.status));
            expired.extend(name.map(|name| (name, left)));
        }
        expired
    }

    /// In a forked child: whoever was to answer is the parent's. What waits fails, without calling back.
    pub(super) fn after_fork(&mut self) {
        let parents = self.courier.take().map(|(_, handle)| handle);
        self.parents.extend(parents);
        self.deadlines.clear();
        self.deliveries.clear();
        self.running = 0;
        self.owner_of_running = 0;
        self.running_on = None;
        for resolver in self.resolvers.values_mut() {
            // Under the same number, and empty: what was there is the parent's.
            if let Ok(fresh) = signal() {
                // SAFETY: both are open; the old one's number is the resolver's own.
                unsafe {
                    libc::dup3(
                        fresh.as_raw_fd(),
                        resolver.signal.as_raw_fd(),
                        libc::O_CLOEXEC,
                    )
                };
            }
        }
        for request in self.requests.values_mut() {
            let undelivered = request.callback.take().is_some();
            if undelivered || matches!(request.outcome, Outcome::Pending) {
                request.deadline = None;
                request.outcome = Outcome::Failed(ResolveError::ENDED.status);
            }
            // Its end in a child leaves the parent's alone.
            request.inquiry = None;
        }
    }
}
