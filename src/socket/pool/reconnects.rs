//! Connections of a pool that are made again when they break: each has a client that stays connected, which the program tells
//! to connect and the pool drives. When that has a connection, its socket is the pool's connection's, and belongs to the client:
//! it ends with that.
//!
//! A client is one thread's at a time. So the one that is being driven is marked, and whoever takes it away meanwhile leaves
//! its end to the thread that drives it.

use super::super::reconnect::{self, Policy, Reconnect, State as Reached, DEFAULTS};
use super::super::{Error, Handle};
use super::{failed, key, Connection, Pool, State};
use std::collections::btree_map::{BTreeMap, Entry};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

type Client = &'static reconnect::Handle;

struct Attached {
    client: Client,
    /// A thread drives it.
    driven: bool,
    /// It is nobody's any more, and ends when it is not driven.
    doomed: bool,
}

/// The clients of a pool, by the serial numbers of their connections.
#[derive(Default)]
pub(super) struct Clients {
    attached: BTreeMap<u64, Attached>,
    policy: Option<Policy>,
}

impl Clients {
    /// Takes the client of a connection away; it is to be ended without a lock.
    pub(super) fn detach(&mut self, serial: u64) -> Option<Client> {
        let attached = self.attached.get_mut(&serial)?;
        if attached.driven {
            attached.doomed = true;
            return None;
        }
        self.attached.remove(&serial).map(|gone| gone.client)
    }

    /// Takes all away.
    pub(super) fn detach_all(&mut self) -> Vec<Client> {
        let serials: Vec<u64> = self.attached.keys().copied().collect();
        let gone = serials.into_iter();
        gone.filter_map(|serial| self.detach(serial)).collect()
    }

    /// Marks one as driven.
    fn begin(&mut self, serial: u64) -> Option<Client> {
        let attached = self.attached.get_mut(&serial)?;
        if attached.driven || attached.doomed {
            return None;
        }
        attached.driven = true;
        Some(attached.client)
    }

    /// It is not driven any more; it, if it is to end now.
    fn finish(&mut self, serial: u64) -> Option<Client> {
        let attached = self.attached.get_mut(&serial)?;
        attached.driven = false;
        if !attached.doomed {
            return None;
        }
        self.attached.remove(&serial).map(|gone| gone.client)
    }
}

/// Ends a client that was taken away.
pub(super) fn end(client: Option<Client>) {
    if let Some(client) = client {
        reconnect::free(client);
    }
}

impl State {
    /// The socket of a connection is another one from now on.
    fn exchange(&mut self, serial: u64, socket: &'static Handle) {
        let Some(connection) = self.by_age.get(&serial).copied() else {
            return;
        };
        if self.by_socket.contains_key(&key(socket)) {
            return;
        }
        let before = connection.key();
        self.by_socket.remove(&before);
        self.limits.release_socket(before);
        self.by_socket.insert(key(socket), connection);
        connection.exchange(socket);
        connection.touch();
    }

    fn serial_of(&self, connection: &'static Connection) -> Option<u64> {
        let serial = connection.serial();
        let known = self.by_age.get(&serial)?;
        ptr::eq(*known, connection).then_some(serial)
    }
}

impl Pool {
    /// How the clients of connections to come try again; `None`: the defaults.
    pub fn set_reconnect_policy(&self, policy: Option<Policy>) {
        self.lock().clients.policy = policy;
    }

    /// Gives a connection a client for this place, in the place of the one that it may have.
    pub fn enable_reconnect(
        self: &Arc<Pool>,
        connection: &'static Connection,
        host: &str,
        port: i32,
        keep: reconnect::Keep,
    ) -> Result<(), Error> {
        let not_there = || failed("SocketPool_enable_reconnect: the connection is not in the pool");
        let (serial, policy) = {
            let state = self.lock();
            let serial = state.serial_of(connection).ok_or_else(not_there)?;
            (serial, state.clients.policy)
        };
        let pool = Arc::downgrade(self);
        let told: reconnect::Told = Rc::new(move |client: Client, _, now| {
            let socket = (now == Reached::Connected)
                .then(|| client.get()?.socket())
                .flatten();
            if let (Some(pool), Some(socket)) = (pool.upgrade(), socket) {
                pool.lock().exchange(serial, socket);
            }
            Ok(())
        });
        let policy = policy.unwrap_or_else(|| Policy::new(&DEFAULTS));
        let client = reconnect::new(host, port, policy, Some(told), keep, 0)?;
        let (before, unwanted) = {
            let mut state = self.lock();
            if state.serial_of(connection) == Some(serial) {
                let before = state.clients.detach(serial);
                match state.clients.attached.entry(serial) {
                    // The one before is being driven, by the program that calls this from inside.
                    Entry::Occupied(_) => (before, Some(client)),
                    Entry::Vacant(place) => {
                        place.insert(Attached {
                            client,
                            driven: false,
                            doomed: false,
                        });
                        connection.set_client(ptr::from_ref(client));
                        (before, None)
                    }
                }
            } else {
                (None, Some(client))
            }
        };
        end(before);
        if unwanted.is_some() {
            end(unwanted);
            return Err(failed(
                "SocketPool_enable_reconnect: the connection was removed, or its SocketReconnect_T is at work",
            ));
        }
        Ok(())
    }

    /// Ends the client of a connection, if it has one.
    pub fn disable_reconnect(&self, connection: &'static Connection) {
        let client = {
            let mut state = self.lock();
            let serial = state.serial_of(connection);
            if serial.is_some() {
                connection.set_client(ptr::null());
            }
            serial.and_then(|serial| state.clients.detach(serial))
        };
        end(client);
    }

    /// Lets each client do what it has to: what happened at its descriptor, and what was due. The first failure of a callback's
    /// is told when all had their turn.
    pub fn process_reconnects(&self) -> Result<(), Error> {
        let serials: Vec<u64> = self.lock().clients.attached.keys().copied().collect();
        let mut result = Ok(());
        for serial in serials {
            let begun = self.lock().clients.begin(serial);
            let Some(client) = begun else { continue };
            let step = |what: fn(&Reconnect) -> Result<(), Error>| match client.get() {
                Some(reconnect) => what(&reconnect),
                None => Ok(()),
            };
            let done = step(Reconnect::process).and_then(|()| step(Reconnect::tick));
            let over = self.lock().clients.finish(serial);
            end(over);
            result = result.and(done);
        }
        result
    }

    /// Milliseconds until a client has something to do; `None` when none has.
    pub fn next_reconnect(&self) -> Option<u32> {
        let state = self.lock();
        let idle = state.clients.attached.values();
        idle.filter(|attached| !attached.driven)
            .filter_map(|attached| attached.client.get()?.next_ms())
            .min()
    }
}
