//! `SocketDNS_T`: names to addresses for programs without a loop. Requests with a callback or to be asked for, time-outs,
//! cancellation. The questions go to the process's one resolver (`dns/`).
//!
//! Handles are numbers that are given once: what a program passes on too late is recognised, and nothing stands behind it.
//! All there is lies in one [`Table`] under one lock, which is held for no call out of this room; `courier` is the thread that calls
//! back and minds the time.

mod courier;
mod fork;
mod table;

use super::error::{Error, Kind, Thrown};
use super::timeouts::limit;
use crate::clock;
use crate::dns::{self, eai, Address, Answer, Query, ResolveError};
use crate::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use table::{Outcome, Request, Resolver, Table};

/// Time-outs are this long until something else is said.
pub const DEFAULT_TIMEOUT_MS: c_int = 5000;
/// The longest host.
const MAX_HOST: usize = 255;

/// What a callback is given: the request, and the addresses or an `EAI_*` code.
pub type Callback = Box<dyn FnOnce(u64, Result<List, c_int>) -> Result<(), Thrown> + Send>;

/// Addresses, as the resolver has them or as a program brought them.
pub enum List {
    /// At least one.
    Found(Arc<Vec<Address>>),
    /// A C list.
    Given(Given),
}

/// A program's list, of which this room knows only how to end it.
pub struct Given {
    list: usize,
    release: fn(usize),
}

impl Given {
    /// The list at this address, to be ended by this function.
    pub fn new(list: usize, release: fn(usize)) -> Given {
        Given { list, release }
    }

    /// Somebody else's to end from now on.
    pub fn into_list(self) -> usize {
        let list = self.list;
        std::mem::forget(self);
        list
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        (self.release)(self.list);
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// A name or an address; `None`: all of this machine's addresses, to bind to.
    pub host: Option<&'a str>,
    /// 0..65535
    pub port: c_int,
    /// AF_UNSPEC for any.
    pub family: c_int,
    /// 0 for any.
    pub socktype: c_int,
    /// 0 for any.
    pub protocol: c_int,
    /// An address alone will do; no name is looked up.
    pub numeric: bool,
}

impl<'a> Asked<'a> {
    /// For a stream to there.
    pub fn stream(host: Option<&'a str>, port: c_int) -> Asked<'a> {
        Asked {
            host,
            port,
            family: libc::AF_UNSPEC,
            socktype: libc::SOCK_STREAM,
            protocol: 0,
            numeric: false,
        }
    }

    fn query(&self) -> Result<Query, Error> {
        if !(0..=65535).contains(&self.port) {
            return Err(Error::invalid(
                Kind::Dns,
                format!("{} is no port (0 to 65535)", self.port),
            ));
        }
        if self
            .host
            .is_some_and(|host| host.is_empty() || host.len() > MAX_HOST)
        {
            return Err(Error::invalid(
                Kind::Dns,
                format!("a host name has 1 to {MAX_HOST} bytes"),
            ));
        }
        Ok(Query {
            host: self.host.map(str::to_owned),
            service: Some(self.port.to_string()),
            family: self.family,
            socktype: self.socktype,
            protocol: self.protocol,
        })
    }

    /// The answer, where nobody has to be asked.
    fn known(&self, query: &Query) -> Option<Answer> {
        if query.host.is_none() {
            return Some(wildcards(query));
        }
        if self.numeric {
            let none = || Err(ResolveError::new(eai::EAI_NONAME));
            return Some(dns::literal(query).unwrap_or_else(none));
        }
        None
    }
}

fn wildcards(query: &Query) -> Answer {
    let mut found = Vec::new();
    for host in ["0.0.0.0", "::"] {
        let query = Query {
            host: Some(host.into()),
            ..query.clone()
        };
        if let Some(Ok(addresses)) = dns::literal(&query) {
            found.extend(addresses.iter().cloned());
        }
    }
    if found.is_empty() {
        return Err(ResolveError::new(eai::EAI_NONAME));
    }
    Ok(Arc::new(found))
}

fn no_resolver() -> Error {
    Error::invalid(Kind::Dns, "there is no such resolver, or not any more")
}

/// A new resolver: a number that is never 0.
pub fn new() -> Result<u64, Error> {
    dns::start();
    fork::watch();
    let signal = table::signal()
        .map_err(|errno| Error::system(Kind::Dns, "a resolver's eventfd cannot be made", errno))?;
    Ok(Table::with(|table| {
        let number = table.number();
        table.resolvers.insert(number, Resolver::new(signal));
        number
    }))
}

/// The number of a request that there never is.
pub fn unknown() -> u64 {
    Table::with(Table::number)
}

/// Ends it and its requests: no callback of theirs is called any more, and one that is running on another thread has
/// returned. Nothing happens for one that ended.
pub fn free(resolver: u64) {
    let (over, courier) = Table::with(|table| {
        let Some(gone) = table.resolvers.remove(&resolver) else {
            return (None, None);
        };
        let over = table.end_requests(resolver);
        if !table.resolvers.is_empty() {
            return (Some((gone, over)), None);
        }
        table.give_memory_back();
        (Some((gone, over)), table.dismiss_courier())
    });
    // What they own may call out.
    drop(over);
    courier::wait_while_running(|table, number| table.owner_of_running == resolver && number != 0);
    if let Some(courier) = courier {
        courier::join(courier);
    }
}

/// Asks. With a callback the courier calls it, never this call; else the request is to be asked for its [`take`].
pub fn resolve(resolver: u64, asked: &Asked, callback: Option<Callback>) -> Result<u64, Error> {
    let query = asked.query()?;
    let known = asked.known(&query);
    let number = Table::with(|table| {
        let Some(owner) = table.resolvers.get(&resolver) else {
            return Err(no_resolver());
        };
        let timeout = owner.timeout;
        courier::ensure(table).map_err(|errno| {
            Error::system(Kind::Dns, "a resolver's thread cannot be started", errno)
        })?;
        let number = table.number();
        let name = (asked.host.unwrap_or("").to_owned(), asked.port as u16);
        let mut request = Request::new(resolver, name, clock::now());
        request.callback = callback;
        table.requests.insert(number, request);
        table.set_timeout(number, timeout);
        Ok(number)
    })?;
    match known {
        Some(answer) => settle(number, answer),
        None => {
            let inquiry = dns::inquire(query, move |answer| settle(number, answer));
            // Kept while the answer is awaited.
            let unwanted = Table::with(|table| table.keep(number, inquiry));
            drop(unwanted);
        }
    }
    Ok(number)
}

/// The answer is there.
fn settle(number: u64, answer: Answer) {
    let outcome = match answer {
        Ok(addresses) => Outcome::Ready(List::Found(addresses)),
        Err(error) => Outcome::Failed(error.status),
    };
    let left = Table::with(|table| table.settle(number, outcome));
    drop(left);
}

/// A request that is answered already, with this list.
pub fn completed(resolver: u64, list: List) -> Result<u64, Error> {
    Table::with(|table| {
        if !table.resolvers.contains_key(&resolver) {
            return Err((no_resolver(), list));
        }
        let number = table.number();
        let request = Request::new(resolver, (String::new(), 0), clock::now());
        table.requests.insert(number, request);
        let left = table.settle(number, Outcome::Ready(list));
        debug_assert!(left.is_none());
        Ok(number)
    })
    .map_err(|(error, list)| {
        drop(list);
        error
    })
}

/// The answer is not wanted: the callback will not be called, and one that is running on another thread has returned.
/// Nothing happens for a request that is over.
pub fn cancel(resolver: u64, request: u64) {
    let over = Table::with(|table| {
        (table.owner(request) == Some(resolver)).then(|| table.cancel(request))
    });
    if over.is_some() {
        drop(over);
        courier::wait_while_running(|_, running| running == request);
    }
}

/// The addresses of a request without a callback, once.
pub fn take(resolver: u64, request: u64) -> Option<List> {
    Table::with(|table| {
        (table.owner(request) == Some(resolver))
            .then(|| table.take(request))
            .flatten()
    })
}

/// Why there are none, as an `EAI_*` code; 0 while there may be some.
pub fn error(resolver: u64, request: u64) -> c_int {
    Table::with(|table| {
        if request == 0 || table.owner(request).is_some_and(|owner| owner != resolver) {
            return 0;
        }
        table.failure(request)
    })
}

/// Asks and waits, `timeout_ms` at most: 0 is the resolver's own, less is for ever.
pub fn resolve_sync(resolver: u64, asked: &Asked, timeout_ms: c_int) -> Result<List, Error> {
    let query = asked.query()?;
    let own = Table::with(|table| table.resolvers.get(&resolver).map(|owner| owner.timeout));
    let own = own.ok_or_else(no_resolver)?;
    let at_most = if timeout_ms == 0 {
        own
    } else {
        limit(timeout_ms)
    };
    let answer = match asked.known(&query) {
        Some(answer) => answer,
        None => dns::wait_for(query, at_most),
    };
    answer.map(List::Found).map_err(|error| {
        let late = error == dns::TIMED_OUT;
        if late {
            table::emit_timeout(asked.host.unwrap_or(""), asked.port as u16);
        }
        let errno = match error.errno {
            Errno(0) if late => Errno(libc::ETIMEDOUT),
            errno => errno,
        };
        let host = asked.host.unwrap_or("any address");
        Error::new(
            Kind::Dns,
            errno,
            format!("{host} cannot be resolved: {error}"),
        )
    })
}

/// A descriptor, the resolver's own, that is readable while requests have completed that [`check`] has not counted.
pub fn pollfd(resolver: u64) -> Result<RawFd, Error> {
    Table::with(|table| {
        let owner = table.resolvers.get(&resolver);
        owner
            .map(|owner| owner.signal.as_raw_fd())
            .ok_or_else(no_resolver)
    })
}

/// How many requests have completed since the last call.
pub fn check(resolver: u64) -> Result<c_int, Error> {
    Table::with(|table| {
        let owner = table.resolvers.get_mut(&resolver).ok_or_else(no_resolver)?;
        Ok(owner.count())
    })
}

/// For requests that are made from now on; 0 or less: none.
pub fn set_timeout(resolver: u64, ms: c_int) -> Result<(), Error> {
    Table::with(|table| {
        let owner = table.resolvers.get_mut(&resolver).ok_or_else(no_resolver)?;
        owner.timeout = limit(ms);
        Ok(())
    })
}

/// For this request, from when it was made; 0 or less: none. Nothing happens for one that is over.
pub fn set_request_timeout(resolver: u64, request: u64, ms: c_int) -> Result<(), Error> {
    Table::with(|table| {
        if !table.resolvers.contains_key(&resolver) {
            return Err(no_resolver());
        }
        if table.owner(request) == Some(resolver) {
            table.set_timeout(request, limit(ms));
            courier::tell();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;
