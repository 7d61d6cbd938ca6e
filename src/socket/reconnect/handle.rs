//! What a `SocketReconnect_T` points to: memory that is never given back, so that a handle which a program keeps too long is
//! recognised; used again only after 65,536 others were freed.

use super::Reconnect;
use crate::socket::held::Held;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// So many handles rest before the oldest of them is used again.
const RESTING: usize = 65_536;

/// The memory behind a `SocketReconnect_T`.
#[derive(Debug, Default)]
pub struct Handle {
    /// Nothing while it is nobody's.
    object: Held<Reconnect>,
}

static FREE: Mutex<VecDeque<&'static Handle>> = Mutex::new(VecDeque::new());

impl Handle {
    /// One for a new object, which is made knowing it.
    pub(super) fn new(make: impl FnOnce(&'static Handle) -> Reconnect) -> &'static Handle {
        let handle = {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            let rested = free.len() > RESTING;
            rested.then(|| free.pop_front()).flatten()
        };
        let handle = handle.unwrap_or_else(|| Box::leak(Box::default()));
        handle.object.put(Arc::new(make(handle)));
        handle
    }

    /// The object, if the handle is live. Not to be raced with [`Handle::end`]: one connection is one thread's at a time.
    pub fn get(&self) -> Option<Arc<Reconnect>> {
        self.object.get()
    }

    /// The object is no more the handle's, which rests from now on.
    pub(super) fn end(&'static self) -> Option<Arc<Reconnect>> {
        let object = self.object.take()?;
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push_back(self);
        Some(object)
    }
}
