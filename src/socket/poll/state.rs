//! What a poll set knows, behind its lock: registrations, what waits to be told, and for whom TLS says more than the kernel.
//! Waits for nothing and calls nobody.

use super::{Event, ERROR, HANGUP, READ, WRITE};
use crate::errno::Errno;
use crate::evloop::{Edge, EdgeRoom, Edges, Interest};
use crate::socket::error::{Error, Kind};
use crate::socket::handle::Handle;
use crate::socket::readiness::Readiness;
use crate::socket::timers::Timers;
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::os::fd::RawFd;
use std::sync::Arc;

pub(super) struct State {
    pub(super) edges: Arc<Edges>,
    pub(super) slots: Vec<Slot>,
    pub(super) unused: Vec<u32>,
    /// Those of whom TLS says more than the kernel.
    pub(super) attention: Vec<u64>,
    /// Those who have something to be told, in its order.
    pub(super) queue: VecDeque<u64>,
    pub(super) timers: Timers,
    pub(super) default_timeout: c_int,
    /// The most registrations; 0: any number.
    pub(super) limit: usize,
    /// Taken by who waits.
    pub(super) room: Option<EdgeRoom>,
    /// A wait is in the kernel, and has to be told of what it does not see.
    pub(super) asleep: bool,
    pub(super) ended: bool,
    pub(super) delivered: Vec<Event>,
    /// The key of each of them.
    pub(super) delivered_to: Vec<u64>,
}

/// A place for a registration. Its number and generation make the key.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) entry: Option<Entry>,
}

pub(super) struct Entry {
    pub(super) socket: &'static Handle,
    pub(super) readiness: Arc<Readiness>,
    pub(super) fd: RawFd,
    pub(super) data: usize,
    /// As the program asked.
    pub(super) asked: Interest,
    /// As the kernel knows it: what a handshake wants may stand for what was asked.
    pub(super) armed: Interest,
    /// Something was told since the program asked.
    pub(super) told: bool,
    /// A handshake was seen since the kernel was last asked for what the program asked.
    pub(super) shook: bool,
    /// On the list.
    pub(super) attended: bool,
    /// In the queue, with what the kernel has told.
    pub(super) queued: Option<c_uint>,
}

/// Events that are not given yet, and the key of each.
pub(super) struct Aside {
    events: Vec<Event>,
    keys: Vec<u64>,
}

impl Aside {
    pub(super) fn count(&self) -> usize {
        self.events.len()
    }
}

impl State {
    pub(super) fn entry(&mut self, key: u64) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(key as u32 as usize)?;
        let is = !WIDE || slot.generation == (key >> 32) as u32;
        slot.entry.as_mut().filter(|_| is)
    }

    pub(super) fn live(&self) -> usize {
        self.slots.len() - self.unused.len()
    }

    /// Takes an entry out, and out of the kernel's set.
    pub(super) fn remove(&mut self, key: u64) -> Result<(), Errno> {
        let Some(entry) = self.entry(key) else {
            return Ok(());
        };
        let fd = entry.fd;
        let at = key as u32;
        let slot = &mut self.slots[at as usize];
        slot.entry = None;
        slot.generation = slot.generation.wrapping_add(1) & GENERATIONS;
        self.unused.push(at);
        if self.edges.is_inherited() {
            // The set in the kernel is the parent's.
            return Ok(());
        }
        match self.edges.remove(fd) {
            // Closed behind our back.
            Err(Errno(libc::ENOENT | libc::EBADF)) => Ok(()),
            done => done,
        }
    }

    pub(super) fn attend(&mut self, key: u64) {
        if let Some(entry) = self.entry(key) {
            entry.shook |= entry.readiness.handshake().is_some();
            if !std::mem::replace(&mut entry.attended, true) {
                self.attention.push(key);
            }
        }
    }

    pub(super) fn enqueue(&mut self, key: u64, bits: c_uint) {
        if let Some(entry) = self.entry(key) {
            match &mut entry.queued {
                Some(queued) => *queued |= bits,
                None => {
                    entry.queued = Some(bits);
                    self.queue.push_back(key);
                }
            }
        }
    }

    /// Asks the kernel for what handshakes want now, and queues those of whom TLS holds bytes.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        let mut attention = std::mem::take(&mut self.attention);
        let mut failed = Ok(());
        attention.retain(|&key| {
            let edges = self.edges.clone();
            let Some(entry) = self.entry(key) else {
                return false;
            };
            let handshake = entry.readiness.handshake();
            entry.shook |= handshake.is_some();
            let wanted = match handshake {
                // Until something was told, as the program asked; and so where a step wants nothing.
                Some(wanted) if wanted == Interest::NONE || !entry.told => entry.armed,
                Some(wanted) => wanted,
                None => entry.asked,
            };
            // After a handshake once more in any case: it may have left bytes of whom the kernel has told.
            let over = handshake.is_none() && std::mem::take(&mut entry.shook);
            if wanted != entry.armed || over {
                match edges.rearm(entry.fd, key, wanted) {
                    Ok(()) => entry.armed = wanted,
                    // Closed behind our back: nothing will be told of it.
                    Err(Errno(libc::EBADF)) => {}
                    Err(errno) => failed = Err(refused("SocketPoll_wait", entry.fd, errno)),
                }
            }
            let reads = handshake.is_none() && entry.asked.any(Interest::READ);
            let buffered = entry.readiness.is_buffered();
            entry.attended = handshake.is_some() || buffered;
            let attended = entry.attended;
            if buffered && reads {
                self.enqueue(key, 0);
            }
            attended
        });
        attention.append(&mut self.attention);
        self.attention = attention;
        failed
    }

    /// Empties the queue into what is given to the program, as far as one wait goes.
    pub(super) fn deliver(&mut self, most: usize) {
        self.delivered.clear();
        self.delivered_to.clear();
        while self.delivered.len() < most {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let Some(entry) = self.entry(key) else {
                continue;
            };
            let mut events = entry.queued.take().unwrap_or(0);
            events &= c_uint::from(entry.armed.0) | ERROR | HANGUP;
            if events & HANGUP != 0 {
                // So that a reader sees the end.
                events |= READ;
            }
            let shaking = entry.readiness.handshake().is_some();
            if !shaking && entry.asked.any(Interest::READ) && entry.readiness.is_buffered() {
                events |= READ;
            }
            if events != 0 {
                entry.told = true;
                let event = Event {
                    socket: entry.socket,
                    data: entry.data,
                    events,
                };
                self.delivered.push(event);
                self.delivered_to.push(key);
            }
        }
    }

    /// What is to be given, for as long as functions of the program's run.
    pub(super) fn put_aside(&self) -> Aside {
        Aside {
            events: self.delivered.clone(),
            keys: self.delivered_to.clone(),
        }
    }

    /// It is given now, but for what has left the set.
    pub(super) fn give_after_all(&mut self, aside: Aside) {
        self.delivered.clear();
        self.delivered_to.clear();
        for (event, key) in aside.events.into_iter().zip(aside.keys) {
            if self.entry(key).is_some() {
                self.delivered.push(event);
                self.delivered_to.push(key);
            }
        }
    }

    /// It could not be given: it waits for the next time.
    pub(super) fn take_back(&mut self, aside: Aside) {
        for (event, key) in aside.events.into_iter().zip(aside.keys) {
            self.enqueue(key, event.events);
        }
    }

    /// Ends the wait that is in the kernel, if there is one: for what the kernel does not see.
    pub(super) fn rouse(&self) {
        if self.asleep && !self.edges.is_inherited() {
            self.edges.wake();
        }
    }

    /// Begins anew in a child of the process that made it, where the kernel's set is the parent's: the child's own one has the
    /// same sockets.
    pub(super) fn revive(&mut self) -> Result<(), Error> {
        if !self.edges.is_inherited() {
            return Ok(());
        }
        self.edges = Arc::new(Edges::new().map_err(unmade)?);
        self.asleep = false;
        self.room.get_or_insert_with(EdgeRoom::default);
        for (at, slot) in self.slots.iter().enumerate() {
            if let Some(entry) = &slot.entry {
                let key = key(at as u32, slot.generation);
                match self.edges.add(entry.fd, key, entry.armed) {
                    Ok(()) | Err(Errno(libc::EBADF)) => {}
                    Err(errno) => return Err(refused("SocketPoll", entry.fd, errno)),
                }
            }
        }
        Ok(())
    }
}

/// Keys are as wide as a pointer where the poller is not epoll itself: elsewhere there is no room for a generation.
const WIDE: bool = cfg!(target_pointer_width = "64");
/// Below 2^63, as the poller asks.
const GENERATIONS: u32 = u32::MAX >> 1;

pub(super) fn key(slot: u32, generation: u32) -> u64 {
    let generation = if WIDE { generation } else { 0 };
    u64::from(generation) << 32 | u64::from(slot)
}

pub(super) fn unmade(errno: Errno) -> Error {
    Error::system(Kind::Poll, "the kernel's side of a poll set", errno)
}

pub(super) fn refused(function: &str, fd: RawFd, errno: Errno) -> Error {
    Error::system(
        Kind::Poll,
        format_args!("{function}: descriptor {fd}"),
        errno,
    )
}

pub(super) fn interest(events: c_uint) -> Interest {
    Interest((events & (READ | WRITE)) as u8)
}

pub(super) fn bits(edge: Edge) -> c_uint {
    let mut bits = c_uint::from(edge.ready.0);
    if edge.failed {
        bits |= ERROR;
    }
    if edge.hung_up {
        bits |= HANGUP;
    }
    bits
}
