//! What a `Socket_T` points to. Pools and poll sets free sockets whose handles a program still holds, and the program may
//! pass them on; so the memory behind a handle is never given back: it stays a handle, live or not, and is used again only
//! after 65,536 others were freed. Growth is bounded by the most sockets that were alive at once.

use super::held::Held;
use super::object::Socket;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// So many handles rest before the oldest of them is used again.
const RESTING: usize = 65_536;
/// So many are made at a time.
const CHUNK: usize = 512;

/// The memory behind a `Socket_T`.
#[repr(C)]
#[derive(Debug)]
pub struct Handle {
    /// The live `SSL`, or NULL: for programs that look into the struct of the original library. First.
    ssl: AtomicPtr<c_void>,
    /// Nothing while it is nobody's.
    socket: Held<Socket>,
}

static FREE: Mutex<VecDeque<&'static Handle>> = Mutex::new(VecDeque::new());
static LIVE: AtomicI32 = AtomicI32::new(0);

/// How many are live.
pub(super) fn live() -> i32 {
    LIVE.load(Ordering::Acquire)
}

impl Handle {
    /// A handle for a new socket, which learns of it.
    pub(super) fn new(socket: Socket) -> &'static Handle {
        let handle = {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            // Until enough rest, new ones come from chunks, which stand at the front.
            let rested =
                free.len() > RESTING || free.front().is_some_and(|first| first.is_unused());
            match rested.then(|| free.pop_front()).flatten() {
                Some(handle) => handle,
                None => {
                    let chunk: Vec<Handle> = (0..CHUNK).map(|_| Handle::unused()).collect();
                    let mut chunk = Box::leak(chunk.into_boxed_slice()).iter();
                    let first = chunk.next();
                    for handle in chunk.rev() {
                        free.push_front(handle);
                    }
                    match first {
                        Some(first) => first,
                        None => unreachable!("a chunk is not empty"),
                    }
                }
            }
        };
        handle.ssl.store(ptr::null_mut(), Ordering::Relaxed);
        socket.set_handle(handle);
        LIVE.fetch_add(1, Ordering::AcqRel);
        handle.socket.put(Arc::new(socket));
        handle
    }

    fn unused() -> Handle {
        Handle {
            ssl: AtomicPtr::new(Self::NEVER_USED as *mut c_void),
            socket: Held::default(),
        }
    }

    const NEVER_USED: usize = usize::MAX;

    fn is_unused(&self) -> bool {
        self.ssl.load(Ordering::Relaxed) as usize == Self::NEVER_USED
    }

    /// The socket, if the handle is live. Not to be raced with [`Handle::end`]: one socket is one thread's at a time.
    #[inline]
    pub fn socket(&self) -> Option<Arc<Socket>> {
        self.socket.get()
    }

    /// Looks at the socket without holding it; `None` when the handle was freed. `work` is short and runs nothing of the
    /// program's, which might free the handle.
    #[inline]
    pub(super) fn look<R>(&self, work: impl FnOnce(&Socket) -> R) -> Option<R> {
        self.socket.look(work)
    }

    /// Whether a socket stands behind it.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.socket.is_there()
    }

    /// Ends the socket; a second call, of another thread too, finds nothing to end.
    pub fn end(&'static self) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        self.set_ssl(ptr::null_mut());
        socket.end();
        drop(socket);
        LIVE.fetch_sub(1, Ordering::AcqRel);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push_back(self);
    }

    /// Shows or hides the live `SSL`.
    pub(super) fn set_ssl(&self, ssl: *mut c_void) {
        self.ssl.store(ssl, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_handle_is_recognised_and_rests() {
        let (first, second) = super::super::pair(libc::SOCK_STREAM).unwrap();
        let at: *const Handle = first;
        assert!(first.is_live() && first.socket().is_some());
        first.end();
        first.end();
        assert!(!first.is_live() && first.socket().is_none());
        let (next, other) = super::super::pair(libc::SOCK_STREAM).unwrap();
        assert!(!ptr::eq(at, next) && !ptr::eq(at, other));
        for handle in [second, next, other] {
            handle.end();
        }
    }
}
