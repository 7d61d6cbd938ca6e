//! New connections of a listening socket: many at once, or one within the limits.

use super::super::{accept_within, Error, Handle, Socket};
use super::{key, Phase, Pool};
use crate::clock;
use std::ffi::CStr;

/// The most connections that are accepted by one call.
pub const MOST_AT_ONCE: usize = 1000;

impl Pool {
    /// Accepts what is waiting, up to `max` connections and as far as there is room, without waiting, and takes it in. An error
    /// ends it, and is nobody's business here: what was accepted before counts.
    pub fn accept_batch(&self, listener: &Socket, max: usize) -> Vec<&'static Handle> {
        let mut taken = Vec::new();
        while taken.len() < max.min(MOST_AT_ONCE) && self.has_room() {
            let Ok(Some(handle)) = accept_within(listener, 0) else {
                break;
            };
            let unblocked = handle.socket().map(|socket| socket.set_nonblocking());
            let added = match unblocked {
                Some(Ok(())) => self.add(handle),
                _ => Ok(None),
            };
            match added {
                Ok(Some(_)) => taken.push(handle),
                // Another thread was faster, or there is no memory.
                _ => {
                    handle.end();
                    break;
                }
            }
        }
        taken
    }

    fn has_room(&self) -> bool {
        let state = self.lock();
        state.phase == Phase::Running && !state.is_full()
    }

    /// Accepts one connection, as the listener's mode says, if the pool is running and the limits allow it; it is not taken in.
    /// What comes from an address that has too many is closed again. `None` where there is none.
    pub fn accept_limited(&self, listener: &Socket) -> Result<Option<&'static Handle>, Error> {
        if !self.accept_allowed(None) {
            return Ok(None);
        }
        let Some(handle) = super::super::accept(listener)? else {
            return Ok(None);
        };
        let ip = handle.socket().map(|socket| {
            // SAFETY: a NUL-terminated text that lives as long as the socket.
            let text = unsafe { CStr::from_ptr(socket.peer_text()) };
            text.to_string_lossy().into_owned()
        });
        let mut state = self.lock();
        // Others may have come since it was asked for.
        let allowed = state.phase == Phase::Running
            && state.limits.rate_allows(clock::now())
            && ip.is_some_and(|ip| state.limits.track_socket(key(handle), &ip));
        if allowed {
            state.limits.count_one();
            return Ok(Some(handle));
        }
        drop(state);
        handle.end();
        Ok(None)
    }
}
