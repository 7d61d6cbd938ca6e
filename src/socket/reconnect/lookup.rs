//! From a name to addresses without waiting: the answer comes on a thread of the library, and a descriptor tells of it, whatever
//! the program waits for at it: the reading end of a pipe, whose other end is closed then (a hang-up is told always).

use crate::dns as resolver;
use crate::errno::Errno;
use crate::socket::dns::{self, Asked, List};
use crate::socket::error::{Error, Kind};
use socket2::SockAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses, at least one.
type Answer = Result<Vec<SockAddr>, Error>;
type Place = Arc<Mutex<Option<Answer>>>;

/// A lookup under way.
pub(super) struct Lookup {
    place: Place,
    /// The reading end.
    fd: OwnedFd,
    /// A resolver for this question alone.
    resolver: Resolver,
}

/// What is known when a lookup begins.
pub(super) enum Found {
    Already(Vec<SockAddr>),
    Later(Box<Lookup>),
}

/// Ends with its question.
struct Resolver(u64);

impl Drop for Resolver {
    fn drop(&mut self) {
        dns::free(self.0);
    }
}

impl Lookup {
    /// Asks for the IPv4 addresses of a host.
    pub(super) fn begin(host: &str, port: u16) -> Result<Found, Error> {
        let mut asked = Asked::stream(Some(host), i32::from(port));
        asked.family = libc::AF_INET;
        let query = resolver::Query {
            host: Some(host.to_owned()),
            service: Some(port.to_string()),
            family: libc::AF_INET,
            socktype: libc::SOCK_STREAM,
            protocol: 0,
        };
        if let Some(answer) = resolver::literal(&query) {
            let found = answer.map(List::Found).map_err(|error| error.status);
            return addresses(host, found).map(Found::Already);
        }
        let (reading, writing) = pipe()?;
        let place = Place::default();
        let theirs = Arc::clone(&place);
        let name = host.to_owned();
        let resolver = Resolver(dns::new()?);
        dns::resolve(
            resolver.0,
            &asked,
            Some(Box::new(move |_, found| {
                let answer = addresses(&name, found);
                *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                drop(writing);
                Ok(())
            })),
        )?;
        Ok(Found::Later(Box::new(Lookup {
            place,
            fd: reading,
            resolver,
        })))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The answer, once it is there.
    pub(super) fn take(&self) -> Option<Answer> {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The descriptor, which is not needed any more.
    pub(super) fn into_fd(self) -> OwnedFd {
        drop(self.resolver);
        self.fd
    }
}

fn addresses(host: &str, found: Result<List, i32>) -> Answer {
    let unknown = |status: i32| {
        let error = resolver::ResolveError {
            status,
            errno: Errno(0),
        };
        Error::new(
            Kind::Reconnect,
            Errno(0),
            format!("{host} cannot be resolved: {error}"),
        )
    };
    match found {
        Ok(List::Found(found)) => Ok(found.iter().map(|address| address.addr.clone()).collect()),
        Ok(List::Given(_)) => Err(unknown(libc::EAI_FAIL)),
        Err(status) => Err(unknown(status)),
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let mut fds = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } < 0 {
        return Err(Error::system(Kind::Reconnect, "pipe", Errno::last()));
    }
    // SAFETY: just made, and nobody else's.
    let [reading, writing] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Ok((reading, writing))
}
