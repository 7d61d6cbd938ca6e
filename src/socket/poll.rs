//! Poll sets: sockets that are waited for, by edges, and timers that run inside a wait. Any thread may change a set while
//! one waits. Nothing is locked while a program's function runs.
//!
//! A wait is over when the kernel or TLS has something to tell, a timer has run, or its time is up. What was harvested is
//! queued by socket until it is delivered, so nothing is lost where a timer throws, or where there is more than one wait may
//! give. Must not know how TLS works: see `readiness.rs`.

mod state;

use super::error::{Error, Kind};
use super::event;
use super::handle::Handle;
use super::object::Socket;
use super::readiness::Watching;
use super::timers::{Callback, TimerId, Timers};
use crate::clock::{self, Nanos, MILLISECOND};
use crate::errno::Errno;
use crate::evloop::{fork_generation, EdgeRoom, Edges, Interest};
use state::{bits, interest, key, refused, unmade, Entry, Slot, State};
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `POLL_READ`
pub const READ: c_uint = 1;
/// `POLL_WRITE`
pub const WRITE: c_uint = 2;
/// `POLL_ERROR`
pub const ERROR: c_uint = 4;
/// `POLL_HANGUP`
pub const HANGUP: c_uint = 8;

/// The most events of a wait.
pub const MOST_EVENTS: c_int = 10_000;
/// How long a wait is that asks for the default, at first.
const DEFAULT_TIMEOUT: c_int = 1000;
/// This asks for it.
pub const USE_DEFAULT: c_int = -2;

/// What a wait tells, laid out as the C face gives it to programs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Whose.
    pub socket: &'static Handle,
    /// What the program gave with it.
    pub data: usize,
    /// What there is.
    pub events: c_uint,
}

/// A poll set.
pub struct PollSet {
    most: usize,
    /// The process that it is of, by [`fork_generation`].
    made_in: AtomicU32,
    state: Mutex<State>,
}

impl Watching for PollSet {
    fn attend(&self, key: u64) {
        let mut state = self.lock();
        state.attend(key);
        state.rouse();
    }

    fn forget(&self, key: u64) {
        let state = if self.made_in.load(Ordering::Relaxed) == fork_generation() {
            Some(self.lock())
        } else {
            // A thread of the parent's may have held the lock, and is not here to open it.
            self.state.try_lock().ok()
        };
        if let Some(mut state) = state {
            // What the kernel says to it has no reader: the descriptor is closed next.
            let _ = state.remove(key);
        }
    }
}

impl PollSet {
    /// An empty one whose waits give at most `most` events (1 to [`MOST_EVENTS`]).
    pub fn new(most: usize) -> Result<Arc<PollSet>, Error> {
        let edges = Edges::new().map_err(unmade)?;
        Ok(Arc::new(PollSet {
            most,
            made_in: AtomicU32::new(fork_generation()),
            state: Mutex::new(State {
                edges: Arc::new(edges),
                slots: Vec::new(),
                unused: Vec::new(),
                attention: Vec::new(),
                queue: VecDeque::new(),
                timers: Timers::default(),
                default_timeout: DEFAULT_TIMEOUT,
                limit: 0,
                room: Some(EdgeRoom::default()),
                asleep: false,
                ended: false,
                // Never empty memory: programs may look at where the events would be.
                delivered_to: Vec::new(),
                delivered: Vec::with_capacity(most.min(64)),
            }),
        }))
    }

    /// The program lets go of it, inside a timer perhaps: no timer runs any more.
    pub fn end(&self) {
        let timers = {
            let mut state = self.lock();
            state.ended = true;
            std::mem::take(&mut state.timers)
        };
        drop(timers);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revived(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.lock();
        state.revive()?;
        self.made_in.store(fork_generation(), Ordering::Relaxed);
        Ok(state)
    }

    fn watching(self: &Arc<Self>) -> Arc<dyn Watching> {
        self.clone()
    }

    /// Registers a socket, which becomes non-blocking.
    pub fn add(
        self: &Arc<Self>,
        socket: &Socket,
        events: c_uint,
        data: usize,
    ) -> Result<(), Error> {
        let fd = socket.fd();
        let Some(handle) = socket.handle().filter(|_| fd >= 0) else {
            return Err(refused("SocketPoll_add", fd, Errno(libc::EBADF)));
        };
        super::option::set_nonblocking(fd, true)
            .map_err(|errno| refused("SocketPoll_add", fd, errno))?;
        let readiness = socket.readiness();
        let asked = interest(events);
        let entered = readiness.enter(&self.watching(), || {
            let mut state = self.revived()?;
            if state.limit > 0 && state.live() >= state.limit {
                let text = format!(
                    "SocketPoll_add: the poll set has {} sockets, its limit",
                    state.live()
                );
                return Err(Error::new(Kind::Poll, Errno(libc::ENOSPC), text));
            }
            let at = match state.unused.pop() {
                Some(at) => at,
                None => {
                    state.slots.push(Slot::default());
                    (state.slots.len() - 1) as u32
                }
            };
            let key = key(at, state.slots[at as usize].generation);
            if let Err(errno) = state.edges.add(fd, key, asked) {
                state.unused.push(at);
                return Err(refused("SocketPoll_add", fd, errno));
            }
            state.slots[at as usize].entry = Some(Entry {
                socket: handle,
                readiness: readiness.clone(),
                fd,
                data,
                asked,
                armed: asked,
                told: false,
                shook: false,
                attended: false,
                queued: None,
            });
            if readiness.handshake().is_some() || readiness.is_buffered() {
                state.attend(key);
                state.rouse();
            }
            Ok(key)
        })?;
        if !entered {
            let text = format!("SocketPoll_add: Socket already in poll set (descriptor {fd})");
            return Err(Error::new(Kind::Poll, Errno(libc::EEXIST), text));
        }
        Ok(())
    }

    /// New events and data, and the edge once more.
    pub fn modify(
        self: &Arc<Self>,
        socket: &Socket,
        events: c_uint,
        data: usize,
    ) -> Result<(), Error> {
        self.change("SocketPoll_mod", socket, |entry| {
            entry.data = data;
            interest(events)
        })
    }

    /// More events and fewer, with the same data.
    pub fn modify_events(
        self: &Arc<Self>,
        socket: &Socket,
        more: c_uint,
        fewer: c_uint,
    ) -> Result<(), Error> {
        self.change("SocketPoll_modify_events", socket, |entry| {
            Interest((entry.asked.0 | interest(more).0) & !interest(fewer).0)
        })
    }

    fn change(
        self: &Arc<Self>,
        function: &str,
        socket: &Socket,
        asks: impl FnOnce(&mut Entry) -> Interest,
    ) -> Result<(), Error> {
        let known = socket.readiness().key(&self.watching());
        let mut state = self.revived()?;
        let edges = state.edges.clone();
        let Some((key, entry)) = known.and_then(|key| Some((key, state.entry(key)?))) else {
            return Err(not_there(function));
        };
        let asked = asks(entry);
        edges
            .rearm(entry.fd, key, asked)
            .map_err(|errno| refused(function, entry.fd, errno))?;
        (entry.asked, entry.armed, entry.told) = (asked, asked, false);
        if entry.readiness.handshake().is_some() || entry.readiness.is_buffered() {
            state.attend(key);
            state.rouse();
        }
        Ok(())
    }

    /// Takes a socket out; nothing where it is not in.
    pub fn delete(self: &Arc<Self>, socket: &Socket) -> Result<(), Error> {
        let Some(key) = socket.readiness().leave(&self.watching()) else {
            return Ok(());
        };
        let fd = socket.fd();
        let removed = self.lock().remove(key);
        removed.map_err(|errno| refused("SocketPoll_del", fd, errno))
    }

    /// Waits for at most `timeout_ms` (-1: for ever, [`USE_DEFAULT`]) and no longer than until a timer is due; runs those that
    /// are. Where the events are and how many: valid until the next wait, or the end.
    pub fn wait(self: &Arc<Self>, timeout_ms: c_int) -> Result<(*const Event, usize), Error> {
        let timeout_ms = match timeout_ms {
            USE_DEFAULT => self.default_timeout(),
            timeout => timeout,
        };
        let until = u64::try_from(timeout_ms)
            .ok()
            .map(|ms| clock::now().saturating_add(ms * MILLISECOND));
        loop {
            let over = self.look(until)?;
            let ran = self.run_due()?;
            let mut state = self.lock();
            if state.ended {
                return Ok((std::ptr::NonNull::dangling().as_ptr(), 0));
            }
            state.deliver(self.most);
            let given = (state.delivered.as_ptr(), state.delivered.len());
            drop(state);
            if given.1 > 0 && event::listened_to() {
                let woken = event::Event::PollWakeup {
                    count: given.1 as c_int,
                    timeout_ms,
                };
                if let Err(thrown) = event::emit(&woken) {
                    self.lock().take_back();
                    return Err(thrown);
                }
            }
            if given.1 > 0 || ran || over {
                return Ok(given);
            }
        }
    }

    /// One wait in the kernel, whose fruits are queued. Whether the time is up.
    fn look(&self, until: Option<Nanos>) -> Result<bool, Error> {
        let mut state = self.revived()?;
        state.settle()?;
        let wakes = [until, state.timers.next()].into_iter().flatten().min();
        let timeout = match wakes {
            _ if !state.queue.is_empty() => 0,
            None => -1,
            Some(at) => {
                let left = at.saturating_sub(clock::now()).div_ceil(MILLISECOND);
                c_int::try_from(left).unwrap_or(c_int::MAX)
            }
        };
        let Some(mut room) = state.room.take() else {
            let text = "SocketPoll_wait: another thread waits on this poll set";
            return Err(Error::new(Kind::Poll, Errno(libc::EBUSY), text));
        };
        let edges = state.edges.clone();
        state.asleep = timeout != 0;
        drop(state);
        let waited = edges.wait(&mut room, self.most, timeout);
        let mut state = self.lock();
        state.asleep = false;
        let waited = waited.map(|found| found.for_each(|edge| state.enqueue(edge.key, bits(edge))));
        state.room = Some(room);
        match waited {
            Ok(()) | Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(Error::system(Kind::Poll, "SocketPoll_wait", errno)),
        }
        let now = clock::now();
        state.timers.collect(now);
        Ok(until.is_some_and(|until| until <= now))
    }

    /// Runs the timers that were due at the end of the wait; whether there were any. What one throws goes out, and the rest
    /// stays due.
    fn run_due(&self) -> Result<bool, Error> {
        let mut ran = false;
        loop {
            let due = self.lock().timers.take_due();
            match due {
                Some(callback) => callback()?,
                None => return Ok(ran),
            }
            ran = true;
        }
    }

    /// How long a wait is that asks for the default.
    pub fn default_timeout(&self) -> c_int {
        self.lock().default_timeout
    }

    /// Sets it; below -1 becomes 0.
    pub fn set_default_timeout(&self, timeout_ms: c_int) {
        self.lock().default_timeout = if timeout_ms < -1 { 0 } else { timeout_ms };
    }

    /// The most registrations; 0: any number.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    /// Sets it: not below what there are.
    pub fn set_limit(&self, limit: usize) -> Result<(), Error> {
        let mut state = self.lock();
        let live = state.live();
        if limit > 0 && limit < live {
            let text = format!(
                "SocketPoll_setmaxregistered: {live} sockets are registered, more than {limit}"
            );
            return Err(Error::invalid(Kind::Poll, text));
        }
        state.limit = limit;
        Ok(())
    }

    /// How many are registered.
    pub fn registered(&self) -> usize {
        self.lock().live()
    }

    /// The registered ones, one call each.
    pub fn each_registered(&self, mut tell: impl FnMut(&'static Handle)) {
        let state = self.lock();
        let entries = state.slots.iter().filter_map(|slot| slot.entry.as_ref());
        entries.for_each(|entry| tell(entry.socket));
    }

    /// The poller's name.
    pub fn poller(&self) -> &'static str {
        self.lock().edges.name()
    }

    /// Adds a timer, which runs in a wait: `ms` milliseconds from now, and then every so often if it repeats.
    pub fn add_timer(&self, ms: i64, repeats: bool, callback: Callback) -> Result<TimerId, Error> {
        let mut state = self.lock();
        let id = state.timers.add(clock::now(), ms, repeats, callback)?;
        state.rouse();
        Ok(id)
    }

    /// Has `change` see the timers and the time; who waits learns of it.
    pub fn with_timers<T>(&self, change: impl FnOnce(&mut Timers, Nanos) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state.timers, clock::now());
        state.rouse();
        changed
    }
}

/// No such registration.
pub fn not_there(function: &str) -> Error {
    let text = format!("{function}: Socket not in poll set");
    Error::new(Kind::Poll, Errno(libc::ENOENT), text)
}
