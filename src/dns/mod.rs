//! Names to addresses: literals, resolver threads, cancellation, cache, address order.
//!
//! Must not know what the addresses are for: no sockets are made here.

use crate::errno::Errno;
use crate::evloop::Loop;
use std::ffi::c_int;
use std::rc::Rc;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// A name, a literal (brackets and `%scope` allowed), or `None` for loopback.
    pub host: Option<String>,
    /// A port number or service name; `None` for port 0.
    pub service: Option<String>,
    /// `AF_UNSPEC`, `AF_INET`, `AF_INET6`
    pub family: c_int,
    /// `SOCK_STREAM`, ... or 0
    pub socktype: c_int,
    /// `IPPROTO_TCP`, ... or 0
    pub protocol: c_int,
}

/// One address of an answer.
#[derive(Clone, Debug)]
pub struct Address {
    /// The address with its port.
    pub addr: socket2::SockAddr,
    /// As `ai_socktype`
    pub socktype: c_int,
    /// As `ai_protocol`
    pub protocol: c_int,
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// As reported to C: an `EAI_*` code (see `netconn_strerror` for systems where they are positive).
    pub status: c_int,
    /// The errno behind `EAI_SYSTEM`; ECANCELED after `shutdown`; else 0.
    pub errno: Errno,
}

/// The answer: never empty.
pub type Answer = Result<Arc<Vec<Address>>, ResolveError>;

/// A lookup under way.
pub struct Request {}

impl Request {
    /// The answer will never be delivered. Idempotent; a no-op once it was.
    pub fn cancel(&self) {
        todo!()
    }
}

/// Starts a lookup. `done` runs once, from the loop, never inside this call. The lookup keeps the loop running.
pub fn resolve(
    _lp: &Rc<Loop>,
    _query: Query,
    _done: impl FnOnce(Answer) + 'static,
) -> Result<Rc<Request>, Errno> {
    todo!()
}

/// The addresses of a literal host (or none for a name), without a lookup. An error for a literal with an impossible
/// service.
pub fn literal(_query: &Query) -> Option<Answer> {
    todo!()
}

/// The IDNA form (UTS-46) of a name, lower-cased ASCII as it is looked up, sent and checked; `None` for an impossible
/// one. A pure ASCII name comes back as it is, unless impossible (empty label, label over 63 bytes, over 253 in all).
pub fn to_ascii(_name: &str) -> Option<String> {
    todo!()
}

/// None of this name's addresses could be connected: it leaves the cache.
pub fn forget(_host: &str) {
    todo!()
}

/// Text of a status.
pub fn status_text(_status: c_int) -> String {
    todo!()
}
