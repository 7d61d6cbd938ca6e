//! Names to addresses: literals, resolver threads, cancellation, cache, address order.
//!
//! Must not know what the addresses are for: no sockets are made here.
//!
//! A question about a literal is answered by [`literal`] alone. Any other goes to the resolver (`resolver`), which has it
//! in its cache (`cache`) or has a thread ask the system (`system`) or the program's own resolver (`custom`), and puts the addresses into the order to try them
//! (`order`). `service`, `idna` and `status` are the vocabulary. This file joins the resolver, which knows threads but no
//! loops, to the loop that wants the answer; `direct` is for those who have no loop.

mod cache;
mod custom;
mod direct;
mod idna;
mod literal;
mod order;
mod resolver;
mod service;
mod status;
mod system;
#[cfg(test)]
mod tests;

pub use self::idna::to_ascii;
pub use custom::Custom;
pub use direct::{inquire, wait_for, Inquiry, TIMED_OUT};
pub use literal::literal;
pub(crate) use resolver::SignalsBlocked;
pub use status::{status_text, ResolveError};
pub(crate) use system::copy;

use crate::clock::Nanos;
use crate::errno::Errno;
use crate::evloop::{self, AttachKey, Attached, Completer, Completion, Loop, Task};
use resolver::{LookUp, Reply, Resolver, Ticket};
use service::Service;
pub(crate) use status::eai;
use std::cell::Cell;
use std::ffi::c_int;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The answer: never empty.
pub type Answer = Result<Arc<Vec<Address>>, ResolveError>;

/// A query about a name in the one form that equal ones share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    /// ASCII in lower case.
    host: Option<String>,
    service: Service,
    family: c_int,
    socktype: c_int,
    protocol: c_int,
}

impl Question {
    /// An error for what cannot exist.
    fn new(query: &Query) -> Result<Question, ResolveError> {
        let service = Service::parse(query.service.as_deref())?;
        let host = match query.host.as_deref() {
            Some(host) => Some(canonical(host).ok_or(ResolveError::new(eai::EAI_NONAME))?),
            None => None,
        };
        Ok(Question {
            host,
            service,
            family: query.family,
            socktype: query.socktype,
            protocol: query.protocol,
        })
    }
}

/// The form of a name in questions; `None` for one that cannot be asked about.
fn canonical(host: &str) -> Option<String> {
    let ascii = to_ascii(host)?.to_ascii_lowercase();
    (!self::idna::is_numeric(&ascii)).then_some(ascii)
}

/// A lookup under way.
pub struct Request {
    /// `None` once the answer was delivered, or never will be.
    pending: Cell<Option<Pending>>,
}

struct Pending {
    lp: Weak<Loop>,
    /// The loop counts it.
    holds: bool,
    completion: Rc<Completion>,
    /// What was asked, to ask it again in a child.
    query: Query,
    /// Whom, and how often it had ended then.
    asked: (Arc<Resolver>, u64),
    /// What the resolver has to be told when nobody waits any more.
    ticket: Option<Ticket>,
    attached: Option<AttachKey>,
}

impl Request {
    /// The answer will never be delivered. Idempotent; a no-op once it was.
    pub fn cancel(&self) {
        if let Some(completion) = self.settle() {
            completion.cancel();
        }
    }

    /// The lookup alone does not keep the loop running: whoever asked counts for itself.
    pub fn unref(&self) {
        self.with(|pending| {
            if std::mem::take(&mut pending.holds) {
                if let Some(lp) = pending.lp.upgrade() {
                    lp.release();
                }
            }
        });
    }

    /// See [`Loop::check_thread`].
    pub fn check_thread(&self, function: &str) {
        self.with(|pending| {
            if let Some(lp) = pending.lp.upgrade() {
                lp.check_thread(function);
            }
        });
    }

    /// Nothing is awaited any more: lets the loop and the resolver go.
    fn settle(&self) -> Option<Rc<Completion>> {
        let pending = self.pending.take()?;
        if let Some(lp) = pending.lp.upgrade() {
            if pending.holds {
                lp.release();
            }
            if let Some(key) = pending.attached {
                lp.detach(key);
            }
        }
        if let Some(ticket) = pending.ticket {
            let resolver = pending.asked.0;
            // In a forked child the lookup is the parent's affair.
            if resolver::made().is_some_and(|made| Arc::ptr_eq(&made, &resolver)) {
                resolver.withdraw(&ticket);
            }
        }
        Some(pending.completion)
    }

    /// Changes what is pending, if it still is.
    fn with<R>(&self, work: impl FnOnce(&mut Pending) -> R) -> Option<R> {
        let mut pending = self.pending.take()?;
        let result = work(&mut pending);
        self.pending.set(Some(pending));
        Some(result)
    }

    /// Whether the resolver ended since it was asked.
    fn has_ended(&self) -> bool {
        let ended = self.with(|pending| {
            let (resolver, ends) = &pending.asked;
            resolver.ends() != *ends
        });
        ended.unwrap_or(false)
    }

    /// Asks the resolver; the answer goes to `completer`.
    fn ask(&self, resolver: Arc<Resolver>, completer: Completer<Answer>) {
        let asked = (Arc::clone(&resolver), resolver.ends());
        let query = self.with(|pending| {
            pending.asked = asked;
            pending.query.clone()
        });
        let Some(query) = query else { return };
        let reply: Reply = Box::new(move |answer| completer.complete(answer));
        let known = literal(&query)
            .map(Err)
            .unwrap_or_else(|| Question::new(&query).map_err(Err));
        match known {
            Err(answer) => reply(answer),
            Ok(question) => {
                let ticket = resolver.ask(question, reply);
                self.with(|pending| pending.ticket = ticket);
            }
        }
    }
}

impl Attached for Request {
    fn on_loop_freed(self: Rc<Self>) {
        self.with(|pending| pending.attached = None);
    }

    fn on_forked(self: Rc<Self>) {
        // The thread that was to answer is the parent's. Asked again from the loop: who ends with the fork cancels it before.
        let lp = self.with(|pending| {
            pending.ticket = None;
            pending.lp.upgrade()
        });
        if let Some(lp) = lp.flatten() {
            lp.defer(self);
        }
    }
}

impl Task for Request {
    fn run(self: Rc<Self>) {
        let completer = self.with(|pending| pending.completion.completer());
        if let Some(completer) = completer.flatten() {
            self.ask(resolver::current(), completer);
        }
    }
}

/// The closure's hold on its request: whichever way the closure ends (it ran, it was cancelled, its loop was freed), the
/// request is settled.
struct Settled(Rc<Request>);

impl Drop for Settled {
    fn drop(&mut self) {
        self.0.settle();
    }
}

/// Starts a lookup. `done` runs once, from the loop, never inside this call. The lookup keeps the loop running, unless
/// [`Request::unref`] says otherwise. The request lives at least until `done` has run, was cancelled, or went with its loop.
pub fn resolve(
    lp: &Rc<Loop>,
    query: Query,
    done: impl FnOnce(Answer) + 'static,
) -> Result<Rc<Request>, Errno> {
    lp.check_process()?;
    if lp.is_freed() {
        return Err(Errno(libc::EINVAL));
    }
    end_with_the_loops();
    let resolver = resolver::current();
    let request = Rc::new(Request {
        pending: Cell::new(None),
    });
    let settled = Settled(Rc::clone(&request));
    let (completer, completion) = lp.completion(move |answer: Answer| {
        // The resolver may have ended while the answer was on its way.
        let ended = settled.0.has_ended();
        settled.0.settle();
        done(if ended {
            Err(ResolveError::ENDED)
        } else {
            answer
        });
    });
    lp.hold();
    request.pending.set(Some(Pending {
        lp: Rc::downgrade(lp),
        holds: true,
        completion,
        query,
        asked: (Arc::clone(&resolver), resolver.ends()),
        ticket: None,
        attached: Some(lp.attach(request.clone())),
    }));
    request.ask(resolver, completer);
    Ok(request)
}

/// The resolver ends when all loops of the process are destroyed.
fn end_with_the_loops() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    fn hook() {
        // The hook was called for the last time, unless another lookup registers it again.
        REGISTERED.store(false, Ordering::SeqCst);
        end();
    }
    if !REGISTERED.swap(true, Ordering::SeqCst) {
        evloop::at_destroy(hook);
    }
}

/// None of this name's addresses could be connected: it leaves the cache.
pub fn forget(host: &str) {
    if let (Some(resolver), Some(host)) = (resolver::made(), canonical(host)) {
        resolver.forget(&host);
    }
}

/// Answers are kept this long; `None` for ever, 0 not at all. For those that are kept already too.
pub fn set_cache_ttl(ttl: Option<Nanos>) {
    resolver::current().set_ttl(ttl.unwrap_or(Nanos::MAX));
}

/// Names are looked up by the program's own function from now on; `None`: by the system's resolver. The cache is emptied.
pub fn set_resolver(custom: Option<Custom>) {
    let chosen =
        custom.map(|custom| -> LookUp { Arc::new(move |question| custom.lookup(question)) });
    // Without a resolver there is nothing to restore.
    if chosen.is_some() || resolver::was_made() {
        resolver::current().choose(chosen);
    }
}

/// Makes the resolver ready; the first lookup does so too.
pub fn start() {
    resolver::current();
}

/// Ends the resolver: lookups under way get [`ResolveError::ENDED`] from their loops, idle threads end and are waited
/// for, one that is stuck in the system's resolver is abandoned. The next lookup starts it afresh.
pub fn end() {
    if let Some(resolver) = resolver::made() {
        resolver.end();
    }
}
