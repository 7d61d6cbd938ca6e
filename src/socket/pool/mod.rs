//! A pool: sockets, each in a slot with two buffers. The sockets stay the program's; the pool finds them, counts them, and
//! ends them where it is asked to. Any thread may call, and a callback may do anything with the pool: while one runs, nothing
//! is locked.
//!
//! Must not know exceptions, and not how a socket does what it is asked for.
//!
//! - [`connection`]: a slot
//! - `limits`: how many connections, of whom, how fast
//! - `query`: looking through the connections
//! - `accept`: new connections of a listening socket
//! - `connect`: connections that the pool makes itself
//! - `resize`, `drain`: other sizes; the end in good order
//! - `reconnects`: connections that are made again
//! - `parting`: what happens to a socket that leaves; sessions of TLS that stay
//! - `shelf`: things kept by peer
//! - `secure`: TLS on a socket, as far as a pool cares
//! - `statistics`: what happened so far

mod accept;
mod connect;
mod connection;
mod drain;
mod limits;
mod parting;
mod query;
mod reconnects;
mod resize;
mod secure;
mod shelf;
mod statistics;

pub use accept::MOST_AT_ONCE;
pub use connect::Arrived;
pub(super) use connection::locked;
pub use connection::Connection;
pub use drain::{Phase, Polled};
pub use query::Health;
pub use statistics::Statistics;

use super::arena::Arena;
use super::{reconnect, Buf, Error, Handle, Kind, Thrown};
use crate::clock::{self, Nanos};
use crate::errno::Errno;
use connect::Pending;
use limits::Limits;
use parting::Kept;
use reconnects::Clients;
use statistics::Counters;
use std::collections::{BTreeMap, HashMap};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most slots of a pool.
pub const MAX_CONNECTIONS: usize = 10_000;
/// How long a connection may be idle, in seconds, where nothing else was said.
const IDLE_TIMEOUT: u64 = 300;
/// So many slots of a hundred have buffers from the beginning.
const PREWARMED: usize = 20;

/// Asks the program whether a connection will do.
pub type Validate = Arc<dyn Fn(&'static Connection) -> Result<bool, Thrown> + Send + Sync>;
/// Tells the program of another size: old and new.
pub type Resized = Arc<dyn Fn(usize, usize) -> Result<(), Thrown> + Send + Sync>;
/// Tells the program that draining has ended, and whether by force.
pub type Drained = Arc<dyn Fn(bool) -> Result<(), Thrown> + Send + Sync>;
/// Shows the program a connection.
pub type Shown = Arc<dyn Fn(&'static Connection) -> Result<(), Thrown> + Send + Sync>;

#[derive(Default)]
struct Callbacks {
    validate: Option<Validate>,
    before_resize: Option<Resized>,
    resized: Option<Resized>,
    drained: Option<Drained>,
    idle: Option<Shown>,
}

struct State {
    max: usize,
    bufsize: usize,
    phase: Phase,
    /// The program has ended the pool.
    closed: bool,
    /// Every slot there is. After shrinking there may be more than `max`.
    slots: Vec<&'static Connection>,
    /// Those nobody is in, the one that became free last at the end.
    free: Vec<&'static Connection>,
    by_socket: HashMap<Key, &'static Connection>,
    /// By serial number: in the order of being added.
    by_age: BTreeMap<u64, &'static Connection>,
    last_serial: u64,
    idle_timeout: Nanos,
    next_idle_cleanup: Nanos,
    callbacks: Callbacks,
    limits: Limits,
    clients: Clients,
    counters: Counters,
}

/// A pool of connections.
pub struct Pool {
    arena: NonNull<Arena>,
    state: Mutex<State>,
    kept: Kept,
    pending: Pending,
}

// SAFETY: the arena is internally locked and outlives the pool; the rest is behind locks.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

fn failed(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(Kind::Pool, text)
}

fn seconds(count: i64) -> Nanos {
    u64::try_from(count)
        .unwrap_or(0)
        .saturating_mul(clock::SECOND)
}

/// By what sockets are found: a handle, which is for ever, and which of its sockets. A program may free one that is in a pool.
type Key = (usize, u64);

fn key(socket: &Handle) -> Key {
    (ptr::from_ref(socket) as usize, socket.life())
}

/// A connection that is no longer to be found, and whose slot is not free yet.
struct Leaving {
    connection: &'static Connection,
    /// `None`: its handle is another's by now.
    socket: Option<&'static Handle>,
    client: Option<&'static reconnect::Handle>,
}

impl State {
    fn is_full(&self) -> bool {
        self.slots.len() - self.free.len() >= self.max
    }

    fn find(&self, socket: &Handle) -> Option<&'static Connection> {
        self.by_socket.get(&key(socket)).copied()
    }

    /// Takes a connection out: from now on nobody finds it.
    fn take(&mut self, connection: &'static Connection) -> Option<Leaving> {
        let serial = connection.serial();
        self.by_age
            .get(&serial)
            .filter(|c| ptr::eq(**c, connection))?;
        let (socket, key) = (connection.handle(), connection.key());
        self.by_age.remove(&serial);
        self.by_socket.remove(&key);
        self.limits.release_socket(key);
        self.counters.removed += 1;
        connection.vacate();
        let client = self.clients.detach(serial);
        Some(Leaving {
            connection,
            socket,
            client,
        })
    }

    /// All that nothing has happened on since `before`.
    fn take_idle(&mut self, before: Nanos) -> Vec<Leaving> {
        let idle: Vec<_> = self
            .by_age
            .values()
            .filter(|connection| connection.used() <= before)
            .copied()
            .collect();
        idle.into_iter().filter_map(|c| self.take(c)).collect()
    }
}

impl Pool {
    /// A pool of up to `max` connections with buffers of `bufsize` bytes each way.
    ///
    /// # Safety
    /// The arena outlives the pool.
    pub unsafe fn new(arena: &Arena, max: usize, bufsize: usize) -> Result<Pool, Error> {
        if !(1..=MAX_CONNECTIONS).contains(&max) {
            return Err(failed(format!(
                "SocketPool: {max} connections are not in 1..{MAX_CONNECTIONS}"
            )));
        }
        let range = super::buf::MIN_CAPACITY..=super::buf::MAX_CAPACITY;
        if !range.contains(&bufsize) {
            return Err(failed(format!(
                "SocketPool: buffers of {bufsize} bytes are not in {}..{}",
                range.start(),
                range.end()
            )));
        }
        let pool = Pool {
            arena: NonNull::from(arena),
            kept: Kept::default(),
            pending: Pending::default(),
            state: Mutex::new(State {
                max,
                bufsize,
                phase: Phase::Running,
                closed: false,
                slots: Vec::new(),
                free: Vec::new(),
                by_socket: HashMap::new(),
                by_age: BTreeMap::new(),
                last_serial: 0,
                idle_timeout: IDLE_TIMEOUT * clock::SECOND,
                next_idle_cleanup: clock::now() + statistics::CLEANUP_INTERVAL,
                callbacks: Callbacks::default(),
                limits: Limits::default(),
                clients: Clients::default(),
                counters: Counters::new(),
            }),
        };
        pool.prewarm(PREWARMED)?;
        Ok(pool)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_buffers(&self, connection: &Connection, size: usize) -> Result<(), Error> {
        // SAFETY: the arena outlives the pool.
        let arena = unsafe { self.arena.as_ref() };
        let buffer = || {
            Buf::new(arena, size)
                .map(NonNull::as_ptr)
                .map_err(|e| Error::new(Kind::Pool, e.errno, e.text))
        };
        connection.set_buffers(buffer()?, buffer()?);
        Ok(())
    }

    /// Takes a socket in; `None` when there is no room, and when the pool takes none any more. One that is in it already
    /// begins anew, with empty buffers.
    pub fn add(&self, socket: &'static Handle) -> Result<Option<&'static Connection>, Error> {
        let Some(object) = socket.socket() else {
            return Err(Error::new(
                Kind::Pool,
                Errno(libc::EBADF),
                "SocketPool_add: the socket was freed",
            ));
        };
        let connection = {
            let mut state = self.lock();
            if state.phase != Phase::Running {
                return Ok(None);
            }
            if let Some(known) = state.find(socket) {
                // SAFETY: the arena outlives the pool; one thread uses a connection at a time.
                unsafe { known.wipe() };
                known.touch();
                known
            } else if state.is_full() {
                return Ok(None);
            } else {
                self.move_in(&mut state, socket)?
            }
        };
        self.kept.offer(&object);
        Ok(Some(connection))
    }

    fn move_in(
        &self,
        state: &mut State,
        socket: &'static Handle,
    ) -> Result<&'static Connection, Error> {
        let connection = match state.free.last() {
            Some(free) => *free,
            None => {
                let new = Connection::new();
                state.slots.push(new);
                state.free.push(new);
                new
            }
        };
        if !connection.has_buffers() {
            self.give_buffers(connection, state.bufsize)?;
        }
        state.free.pop();
        state.last_serial += 1;
        let serial = state.last_serial;
        connection.occupy(serial, socket);
        state.by_socket.insert(key(socket), connection);
        state.by_age.insert(serial, connection);
        state.counters.added += 1;
        Ok(connection)
    }

    /// The connection of a socket, which is then no longer idle, if the program's callback is content with it; one that it is
    /// not content with is removed.
    pub fn get(&self, socket: &'static Handle) -> Result<Option<&'static Connection>, Error> {
        let (connection, serial, validate) = {
            let mut state = self.lock();
            state.counters.asked += 1;
            let Some(connection) = state.find(socket) else {
                return Ok(None);
            };
            connection.touch();
            state.counters.found += 1;
            let validate = state.callbacks.validate.clone();
            (connection, connection.serial(), validate)
        };
        match socket.socket() {
            Some(object) => self.kept.drop_expired(&object),
            // The program has freed it.
            None => {
                self.remove(socket);
                return Ok(None);
            }
        }
        let Some(validate) = validate else {
            return Ok(Some(connection));
        };
        let content = validate(connection).map_err(Thrown::raised)?;
        // The callback may have removed it, and the slot may have another socket by now.
        if connection.serial() != serial {
            return Ok(None);
        }
        if content {
            return Ok(Some(connection));
        }
        let leaving = {
            let mut state = self.lock();
            state.counters.refused += 1;
            state.take(connection)
        };
        self.part(leaving);
        Ok(None)
    }

    /// Takes a socket out; nothing happens when it is not in.
    pub fn remove(&self, socket: &'static Handle) {
        let leaving = {
            let mut state = self.lock();
            let known = state.find(socket);
            known.and_then(|connection| state.take(connection))
        };
        self.part(leaving);
    }

    /// Takes out, and ends, the sockets of connections that have been idle for so many seconds (0 and below: all).
    pub fn cleanup(&self, idle: i64) -> Result<usize, Error> {
        self.end_idle(seconds(idle))
    }

    fn end_idle(&self, idle: Nanos) -> Result<usize, Error> {
        let before = match idle {
            0 => Nanos::MAX,
            _ => clock::now().saturating_sub(idle),
        };
        self.tell_idle(before)?;
        let leaving = self.lock().take_idle(before);
        let count = leaving.len();
        self.end(leaving, false);
        Ok(count)
    }

    /// Shows those that are about to go to the program.
    fn tell_idle(&self, before: Nanos) -> Result<(), Error> {
        let (idle, tell) = {
            let state = self.lock();
            let Some(tell) = state.callbacks.idle.clone() else {
                return Ok(());
            };
            let idle: Vec<_> = state
                .by_age
                .iter()
                .filter(|(_, connection)| connection.used() <= before)
                .map(|(serial, connection)| (*serial, *connection))
                .collect();
            (idle, tell)
        };
        query::each(idle, |connection| tell(connection).map_err(Thrown::raised))
    }

    /// The pool ends, whoever still holds it: nothing of it touches the arena from now on, and no callback runs that is not
    /// running on this thread. The sockets stay as they are.
    pub fn close(&self) {
        self.cancel_pending();
        self.end_state();
        self.kept.clear();
    }

    fn end_state(&self) {
        let (callbacks, clients) = {
            let mut state = self.lock();
            state.phase = Phase::Stopped;
            state.closed = true;
            for connection in state.by_age.values() {
                // SAFETY: the arena outlives the pool; a pool that has ended has no connections.
                unsafe { connection.wipe() };
            }
            state.by_age.clear();
            state.by_socket.clear();
            state.free.clear();
            for connection in state.slots.drain(..) {
                connection.give_back();
            }
            let clients = state.clients.detach_all();
            (std::mem::take(&mut state.callbacks), clients)
        };
        drop(callbacks);
        for client in clients {
            reconnects::end(Some(client));
        }
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.lock().by_age.len()
    }

    /// Whom to ask in [`Pool::get`].
    pub fn set_validation(&self, callback: Option<Validate>) {
        let before = std::mem::replace(&mut self.lock().callbacks.validate, callback);
        drop(before);
    }

    /// Whom to tell of connections that are about to be taken out as idle.
    pub fn set_idle_callback(&self, callback: Option<Shown>) {
        let before = std::mem::replace(&mut self.lock().callbacks.idle, callback);
        drop(before);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end_state();
    }
}
