//! Connections that a pool makes itself. Each has a thread of its own for as long as that takes, because names and connecting
//! can only be waited for; the program hears of it there, once. What is yet to come when the pool ends is told to be cancelled,
//! by the thread that ends it, and nobody is called any more when that is done.

use super::super::{connect_one_of, defaults, Connected, Error, Handle, Kind, Thrown};
use super::super::{made, new, timeouts::limit, Socket};
use super::{failed, Connection, Phase, Pool};
use crate::address_text::endpoint_text;
use crate::dns::{self, SignalsBlocked};
use crate::errno::Errno;
use socket2::SockAddr;
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// Hears of a connection, or why there is none: an error number, or a code of the resolver's.
pub type Arrived = Box<dyn FnOnce(Result<&'static Connection, c_int>) -> Result<(), Thrown> + Send>;

/// So many may be on their way.
const MOST: usize = 1000;
/// The longest host.
const MAX_HOST: usize = 255;
/// The program's code runs on it, at the end.
const STACK: usize = 1 << 20;
/// Where the process's default is not to wait for a connection.
const CONNECT_MS: c_int = 30_000;

/// What is on its way.
#[derive(Default)]
pub(super) struct Pending {
    calls: Mutex<Calls>,
    returned: Condvar,
}

#[derive(Default)]
struct Calls {
    last: u64,
    waiting: HashMap<u64, Arrived>,
    /// Whose thread is in the program's function.
    running: Vec<libc::pthread_t>,
    /// Whose threads these are.
    process: u32,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// A socket to connect to this host, which does not block, and the addresses' family: to be looked up by whoever connects.
    pub fn prepare(host: &str, port: c_int) -> Result<(&'static Handle, c_int), Error> {
        place("SocketPool_prepare_connection", host, port)?;
        let family = match host.parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_ipv6() => libc::AF_INET6,
            _ => libc::AF_INET,
        };
        let handle = made(family, Socket::set_nonblocking)?;
        Ok((handle, family))
    }
}

impl Calls {
    fn add(&mut self, arrived: Arrived) -> Result<u64, Error> {
        if self.waiting.len() >= MOST {
            return Err(Error::new(
                Kind::Pool,
                Errno(libc::EAGAIN),
                format!("SocketPool_connect_async: {MOST} connections are on their way"),
            ));
        }
        self.leave_to_parent();
        self.process = std::process::id();
        self.last += 1;
        self.waiting.insert(self.last, arrived);
        Ok(self.last)
    }

    /// After a fork: the threads, and the callbacks, are the parent's.
    fn leave_to_parent(&mut self) {
        if self.process != std::process::id() {
            self.waiting.clear();
            self.running.clear();
        }
    }
}

/// What a host and a port from C must be.
fn place(function: &str, host: &str, port: c_int) -> Result<u16, Error> {
    if host.is_empty() || host.len() > MAX_HOST {
        return Err(failed(format!(
            "{function}: a host has 1 to {MAX_HOST} bytes"
        )));
    }
    match u16::try_from(port) {
        Ok(port @ 1..) => Ok(port),
        _ => Err(failed(format!(
            "{function}: {port} is no port (1 to 65535)"
        ))),
    }
}

impl Pool {
    /// Connects and takes the connection in, without waiting.
    pub fn connect(
        self: &Arc<Pool>,
        host: &str,
        port: c_int,
        arrived: Arrived,
    ) -> Result<(), Error> {
        let port = place("SocketPool_connect_async", host, port)?;
        let number = self.pending.lock().add(arrived)?;
        let (pool, host) = (Arc::downgrade(self), host.to_owned());
        let _blocked = SignalsBlocked::new();
        let started = thread::Builder::new()
            .name("netconn-connect".to_owned())
            .stack_size(STACK)
            .spawn(move || work(&pool, number, &host, port));
        if let Err(error) = started {
            let unheard = self.pending.lock().waiting.remove(&number);
            drop(unheard);
            return Err(Error::system(
                Kind::Pool,
                "SocketPool_connect_async: a thread",
                error.into(),
            ));
        }
        Ok(())
    }

    fn arrive(&self, number: u64, reached: Result<&'static Handle, c_int>) {
        let arrived = {
            let mut calls = self.pending.lock();
            let arrived = calls.waiting.remove(&number);
            if arrived.is_some() {
                calls.running.push(this_thread());
            }
            arrived
        };
        let Some(arrived) = arrived else {
            // The pool has ended, and said so.
            give_up(reached);
            return;
        };
        hear(arrived, reached.and_then(|handle| self.take_in(handle)));
        let mut calls = self.pending.lock();
        let own = this_thread();
        calls.running.retain(|running| *running != own);
        drop(calls);
        self.pending.returned.notify_all();
    }

    fn take_in(&self, handle: &'static Handle) -> Result<&'static Connection, c_int> {
        let errno = match self.add(handle) {
            Ok(Some(connection)) => return Ok(connection),
            Ok(None) if self.phase() == Phase::Running => libc::ENOSPC,
            Ok(None) => libc::ESHUTDOWN,
            Err(error) => error.errno.0,
        };
        handle.end();
        Err(errno)
    }

    /// The pool ends: what is on its way is cancelled.
    pub(super) fn cancel_pending(&self) {
        let waiting = {
            let mut calls = self.pending.lock();
            calls.leave_to_parent();
            std::mem::take(&mut calls.waiting)
        };
        for arrived in waiting.into_values() {
            hear(arrived, Err(libc::ECANCELED));
        }
        let own = this_thread();
        let mut calls = self.pending.lock();
        while calls.running.iter().any(|running| *running != own) {
            let waited = self.pending.returned.wait(calls);
            calls = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Whose standing for a thread costs the program's threads nothing, unlike the standard library's.
fn this_thread() -> libc::pthread_t {
    // SAFETY: no arguments.
    unsafe { libc::pthread_self() }
}

fn hear(arrived: Arrived, outcome: Result<&'static Connection, c_int>) {
    if let Err(thrown) = arrived(outcome) {
        crate::log!(
            Warn,
            "SocketPool_connect_async: the callback raised: {}",
            thrown.reason.to_string_lossy()
        );
    }
}

fn give_up(reached: Result<&'static Handle, c_int>) {
    if let Ok(handle) = reached {
        handle.end();
    }
}

fn work(pool: &Weak<Pool>, number: u64, host: &str, port: u16) {
    let reached = reach(host, port);
    match pool.upgrade() {
        Some(pool) => pool.arrive(number, reached),
        None => give_up(reached),
    }
}

/// A connected socket that does not block.
fn reach(host: &str, port: u16) -> Result<&'static Handle, c_int> {
    let query = dns::Query {
        host: Some(host.to_owned()),
        service: Some(port.to_string()),
        family: libc::AF_UNSPEC,
        socktype: libc::SOCK_STREAM,
        protocol: 0,
    };
    let answer =
        dns::wait_for(query, limit(defaults().dns)).map_err(|error| match error.errno {
            Errno(errno @ 1..) if error.status == libc::EAI_SYSTEM => errno,
            _ => error.status,
        })?;
    let addresses: Vec<SockAddr> = answer.iter().map(|entry| entry.addr.clone()).collect();
    let name = endpoint_text(host, &port.to_string());
    let mut families: Vec<c_int> = Vec::new();
    for address in &addresses {
        let family = c_int::from(address.family());
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let mut why = libc::EADDRNOTAVAIL;
    for family in families {
        let handle = new(family, libc::SOCK_STREAM, 0).map_err(|error| error.errno.0)?;
        let connected = handle
            .socket()
            .map(|socket| connect_to(&socket, &name, &addresses));
        match connected {
            Some(Ok(())) => return Ok(handle),
            Some(Err(error)) if error.errno.0 != 0 => why = error.errno.0,
            // The program's handler of events does not want it.
            _ => why = libc::ECANCELED,
        }
        handle.end();
    }
    // The name may have moved.
    dns::forget(host);
    Err(why)
}

fn connect_to(socket: &Socket, name: &str, addresses: &[SockAddr]) -> Result<(), Error> {
    let mut timeouts = socket.timeouts();
    if timeouts.connect <= 0 {
        timeouts.connect = CONNECT_MS;
        socket.set_timeouts(timeouts);
    }
    match connect_one_of(socket, name, addresses)? {
        Connected::No(error) => Err(error),
        Connected::Yes | Connected::Pending => socket.set_nonblocking(),
    }
}
