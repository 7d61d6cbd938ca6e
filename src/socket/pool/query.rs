//! Looking through a pool's connections, in the order in which they were added. The program's functions see each connection
//! with nothing locked; one that was removed meanwhile is passed over.

use super::super::{Error, Handle, Thrown};
use super::{Connection, Pool};
use crate::clock;
use crate::errno::Errno;

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    Healthy,
    /// The peer has ended it.
    Disconnected,
    /// It failed, or is no connection of the pool's.
    Failed,
    /// Idle for longer than the pool allows.
    Stale,
}

/// Shows each that is still what it was, until one fails.
pub(super) fn each(
    connections: Vec<(u64, &'static Connection)>,
    mut show: impl FnMut(&'static Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    for (serial, connection) in connections {
        if connection.serial() == serial {
            show(connection)?;
        }
    }
    Ok(())
}

impl Pool {
    fn present(&self) -> Vec<(u64, &'static Connection)> {
        let state = self.lock();
        let present = state.by_age.iter();
        present.map(|(serial, c)| (*serial, *c)).collect()
    }

    /// Shows each connection to the program.
    pub fn for_each(
        &self,
        show: impl Fn(&'static Connection) -> Result<(), Thrown>,
    ) -> Result<(), Error> {
        each(self.present(), |c| show(c).map_err(Thrown::raised))
    }

    /// The first connection that the program wants.
    pub fn find(
        &self,
        wanted: impl Fn(&'static Connection) -> Result<bool, Thrown>,
    ) -> Result<Option<&'static Connection>, Error> {
        let mut found = self.filter(wanted, 1)?;
        Ok(found.pop())
    }

    /// The first `max` connections that the program wants.
    pub fn filter(
        &self,
        wanted: impl Fn(&'static Connection) -> Result<bool, Thrown>,
        max: usize,
    ) -> Result<Vec<&'static Connection>, Error> {
        let mut found = Vec::new();
        for (serial, connection) in self.present() {
            if found.len() == max {
                break;
            }
            if connection.serial() == serial && wanted(connection).map_err(Thrown::raised)? {
                found.push(connection);
            }
        }
        Ok(found)
    }

    /// Looks at a connection's socket without waiting and without taking anything from it.
    pub fn check(&self, connection: &'static Connection) -> Health {
        let (health, stale) = {
            let state = self.lock();
            let known = state.by_age.get(&connection.serial());
            if !known.is_some_and(|known| std::ptr::eq(*known, connection)) {
                return Health::Failed;
            }
            let idle = clock::now().saturating_sub(connection.used());
            let socket = connection.handle().and_then(Handle::socket);
            let stale = state.idle_timeout > 0 && idle >= state.idle_timeout;
            (
                socket.map_or(Health::Failed, |s| look(s.fd(), s.kind())),
                stale,
            )
        };
        let mut state = self.lock();
        state.counters.checks += 1;
        match health {
            Health::Healthy if stale => Health::Stale,
            Health::Healthy => health,
            _ => {
                state.counters.failed_checks += 1;
                health
            }
        }
    }
}

fn look(fd: i32, kind: i32) -> Health {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: a byte to write to.
    let count = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, flags) };
    match count {
        0 if kind == libc::SOCK_STREAM => Health::Disconnected,
        0.. => Health::Healthy,
        _ => match Errno::last().0 {
            libc::EAGAIN | libc::EINTR => Health::Healthy,
            libc::ECONNRESET | libc::EPIPE | libc::ENOTCONN => Health::Disconnected,
            _ => Health::Failed,
        },
    }
}
